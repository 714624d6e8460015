/* What a unit's settings leave of the file system and of root's rights: as far as envsync needs it.
 * Computed from the unit alone, by the rules of systemd 247 to 257; tests compare with a real one.
 */
#ifndef ENVSYNC_CORE_UNIT_SANDBOX_H
#define ENVSYNC_CORE_UNIT_SANDBOX_H

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

struct es_mount {
    char *path; /* simplified */
    enum es_access access;
    bool must_exist;                  /* else the unit fails with 226/NAMESPACE */
    const struct es_unit_setting *at; /* never NULL */
};

struct es_sandbox {
    struct es_mount *mounts;
    size_t n;
};
int es_sandbox_read(const struct es_unit *unit, struct es_sandbox *ret, struct es_err *err);
void es_sandbox_done(struct es_sandbox *sandbox);

/* What decides about a path, or NULL: nothing does. */
const struct es_mount *es_sandbox_find(const struct es_sandbox *sandbox, const char *path);

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

/* The setting that takes a right away, or NULL. */
enum es_right {
    ES_RIGHT_CHOWN,
    ES_RIGHT_DAC_OVERRIDE,
    ES_RIGHT_FOWNER,
    ES_RIGHT_SETGID,
    ES_RIGHT_SETUID,
    ES_RIGHTS
};
extern const char *const es_right_names[ES_RIGHTS]; /* "CAP_CHOWN" */
const struct es_unit_setting *es_unit_lacks_right(const struct es_unit *unit, enum es_right right);

/* The setting of SystemCallFilter= that refuses chown(), setresuid(), capset() or their like. 0, or
 * -ENOMEM. */
int es_unit_filters_calls(const struct es_unit *unit, const struct es_unit_setting **ret);

/* The setting that keeps the unit from the network, or NULL in ret. `seccomp`: that counts, too. */
int es_unit_lacks_network(const struct es_unit *unit, bool seccomp,
                          const struct es_unit_setting **ret, struct es_err *err);

/* Takes doubled and trailing slashes away, in place, and "/var/run" for "/run". False for what is
 * no absolute path without "." and "..". */
bool es_path_simplify(char *path);
/* Is path the directory itself, or below it? Both simplified. */
bool es_path_below(const char *path, const char *dir);

#endif
