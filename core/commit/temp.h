/* Temporary files beside their targets: how every byte that envsync writes gets to disk.
 *
 * States: es_temp_create() makes an exclusive file, 0600, with its owner; es_temp_write() fills it;
 * es_temp_seal() gives it its mode, syncs and closes it; es_temp_rename() puts it in its place.
 * es_temp_done() in any state before the rename removes it. What a killed run leaves is found by
 * its name and removed by es_temp_sweep().
 */
#ifndef ENVSYNC_CORE_COMMIT_TEMP_H
#define ENVSYNC_CORE_COMMIT_TEMP_H

#include "../walk.h"

#include <sys/stat.h>

struct es_owner {
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

struct es_temp {
    int dir;                 /* O_PATH, owned */
    int fd;                  /* while it is written, or -1 */
    char name[NAME_MAX + 1]; /* "" where there is none */
    char base[NAME_MAX + 1]; /* the target's name */
    struct stat st;          /* of the sealed file */
};
#define ES_TEMP_INIT                                                                               \
    {                                                                                              \
        .dir = -1, .fd = -1                                                                        \
    }

/* `path` is for messages. `old` is the file that will be replaced, for its label, or -1. `tag` is
 * part of the name, or NULL. */
int es_temp_create(const struct es_place *place, const struct es_owner *owner, int old,
                   const char *tag, const char *path, struct es_temp *ret, struct es_err *err);
int es_temp_write(struct es_temp *temp, const void *data, size_t len, const char *path,
                  struct es_err *err);
/* Gives it its mode, syncs and closes it. */
int es_temp_seal(struct es_temp *temp, mode_t mode, const char *path, struct es_err *err);
/* The same for one of many, which es_sync_file() is to sync later: all at once is much faster. */
int es_temp_close(struct es_temp *temp, mode_t mode, const char *path, struct es_err *err);
/* Renames; the directory is the caller's to sync. The temp is done. */
int es_temp_rename(struct es_temp *temp, const char *path, struct es_err *err);
void es_temp_keep(struct es_temp *temp);   /* forgets it without removing: a manifest names it */
bool es_temp_remove(struct es_temp *temp); /* false: it is left, for a sweep */
void es_temp_done(struct es_temp *temp);   /* the same, for whom that makes no difference */

/* Removes leftovers of earlier runs for this target, except `keep` (or NULL). */
void es_temp_sweep(const struct es_place *place, const char *keep);

/* True for a name that es_temp_create() could have made, of any target. */
bool es_temp_name(const char *name);

/* Where nobody knows the targets any more, the name of a temporary file tells whose it is: of which
 * configuration. */
enum { ES_TEMP_TAG = 4 };
struct es_temp_tag {
    char text[ES_TEMP_TAG + 1];
};
struct es_temp_tag es_temp_tag(const char *name);
bool es_temp_has_tag(const char *name, const char *tag);

/* fchown() where there are the rights to; the missing capability is named. */
int es_give_owner(int fd, const struct es_owner *owner, const char *path, struct es_err *err);
int es_sync_file(int dir, const char *name, const char *path, struct es_err *err);
int es_sync_directory(int dir, const char *path, struct es_err *err);

/* ES_DENIED for what the system forbids, ES_OUTPUT for the rest: "PATH: WHAT: strerror". */
int es_write_failed(const char *path, int errnum, const char *what, struct es_err *err);

/* What a mode says is there: "symbolic link", "directory", "FIFO", "special file". */
int es_not_a_file(const char *path, mode_t mode, struct es_err *err);

#endif
