/* What a unit's settings leave of the file system, as far as envsync needs it.
 * Computed from the unit alone, by the rules of systemd 247 to 257; tests compare with a real one.
 */
#ifndef ENVSYNC_CORE_UNIT_MOUNTS_H
#define ENVSYNC_CORE_UNIT_MOUNTS_H

#include "unit.h"

/* In this order: where two settings name one path, the smaller one counts. */
enum es_access {
    ES_ACCESS_NONE,    /* hidden */
    ES_ACCESS_BOUND,   /* something else is mounted there; nobody can tell from here */
    ES_ACCESS_SHARED,  /* empty at first, and seen by all commands of the unit: PrivateTmp= */
    ES_ACCESS_EMPTY,   /* empty for each command: TemporaryFileSystem= */
    ES_ACCESS_READ,    /* read-only */
    ES_ACCESS_FULL,    /* may be written */
    ES_ACCESS_DEFAULT, /* as it is, unless something else says more */
};

struct es_unit_mount {
    char *path; /* simplified */
    enum es_access access;
    bool must_exist;                  /* else the unit fails with 226/NAMESPACE */
    bool is_final;                    /* nothing below counts: systemd drops what is hidden */
    bool is_remount;                  /* of what is there: brings nothing into an empty place */
    const struct es_unit_setting *at; /* never NULL */
};

struct es_unit_mounts {
    struct es_unit_mount *items;
    size_t n;
};
int es_unit_mounts_read(const struct es_unit *unit, struct es_unit_mounts *ret, struct es_err *err);
void es_unit_mounts_done(struct es_unit_mounts *mounts);

/* What decides about a path, or NULL: nothing does. */
const struct es_unit_mount *es_unit_mounts_find(const struct es_unit_mounts *mounts,
                                                const char *path);

/* A directory that systemd makes for the unit, with RuntimeDirectory= and the like. */
struct es_unit_dir {
    char *path;
    const char *key; /* "RuntimeDirectory" */
    const struct es_unit_setting *at;
};
struct es_unit_dirs {
    struct es_unit_dir *items;
    size_t n;
};
int es_unit_dirs_read(const struct es_unit *unit, struct es_unit_dirs *ret, struct es_err *err);
void es_unit_dirs_done(struct es_unit_dirs *dirs);

/* Takes doubled and trailing slashes away, in place, and "/var/run" for "/run". False for what is
 * no absolute path without "." and "..". */
bool es_path_simplify(char *path);
/* Is path the directory itself, or below it? Both simplified. */
bool es_path_below(const char *path, const char *dir);
/* What is behind the last slash. */
const char *es_path_base(const char *path);

#endif
