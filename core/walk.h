/* Paths, resolved component by component on descriptors, so that nobody can swap a directory for
 * a link in between.
 *
 * Trusted owners are root and the caller. A symbolic link is followed only where a trusted owner
 * has both the link and the directory that it lies in. Where directories are checked (outputs and
 * state), each must belong to a trusted owner and be writable for nobody else; the last one may
 * be the app's.
 */
#ifndef ENVSYNC_CORE_WALK_H
#define ENVSYNC_CORE_WALK_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum { ES_WALK_DEPTH = 64, ES_WALK_LINKS = 20 };

/* A directory that may be made where it is absent. */
struct es_make {
    const char *path;
    bool below; /* and all below it, too */
    mode_t mode;
    gid_t gid;
};

/* What a walk may meet and make. Zero-initialised it only resolves, from "/". */
struct es_walk {
    const char *root; /* directory put before every path, or NULL for "/" */
    bool check;       /* directories must be safe, see above */
    const uid_t *app; /* owners that the last directory may have besides, ends with (uid_t)-1 */
    const struct es_make *make; /* ends with a NULL path, or NULL */
    bool dry;                   /* make nothing: es_walk_to() then returns 1 */
    bool sweep;                 /* remove a directory that a killed run was about to make */
    enum es_class missing; /* class of an absent directory: ES_ABSENT for sources, else ES_OUTPUT */
};

struct es_place {
    int dir;                 /* O_PATH descriptor of the directory, owned */
    char base[NAME_MAX + 1]; /* last component, never resolved */
    bool app_owned;          /* the directory is the app's */
};
void es_place_done(struct es_place *place);

/* Resolves the directory of `path` (absolute). -ENOENT with class `missing` where a directory is
 * absent and may not be made; -EACCES, -ELOOP, ... with ES_DENIED or ES_OUTPUT. 1, and no
 * directory in ret, where a dry walk came to one that would be made. */
int es_walk_to(const struct es_walk *walk, const char *path, struct es_place *ret,
               struct es_err *err);

/* A name that a directory has while it is made? */
bool es_walk_is_new(const char *name);

/* A path that somebody typed, from "/" on, without the "./" before it; it need not be there. */
int es_walk_absolute(const char *path, enum es_class failure, char **ret, struct es_err *err);

/* Opens a source, also through a link as its last component: a regular file, read-only. Returns
 * the descriptor, or -ENOENT (ES_ABSENT), -EISDIR (it is a directory), -EINVAL (ES_INVALID: no
 * regular file), -EACCES, -EPERM (ES_DENIED). Messages begin with the path. */
int es_open_source(const char *path, struct es_err *err);

/* Opens a directory for listing by the same rules. */
int es_open_directory(const char *path, struct es_err *err);

/* A directory below another one, for listing; never through a link. NULL, and errno says why. */
DIR *es_dir_open(int parent, const char *name);
void es_dir_close(DIR **dir); /* for ES_CLEANUP; NULL is none */

#endif
