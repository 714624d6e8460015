/* The configuration: read, expanded, validated and compiled, offline.
 *
 * Everything here comes from one local file that root (or the caller) wrote, the bootstrap file and
 * allowed variables. After es_config_load() it does not change any more.
 */
#ifndef ENVSYNC_CORE_CONFIG_H
#define ENVSYNC_CORE_CONFIG_H

#include "envsync/format.h"
#include "envsync/key.h"
#include "envsync/provider.h"
#include "process.h"
#include "report.h"

struct es_globs {
    struct es_glob **items;
    size_t n;
};

struct es_rename {
    struct es_buf from;
    struct es_buf to;
};

/* What every source takes, and what its provider takes besides. */
struct es_source {
    char *name;
    char *type;
    bool optional;
    char *prefix_key;
    struct es_map rename;
    struct es_strings include;
    struct es_strings exclude;
    char *on_unavailable; /* "fail", "last-good" or "skip" */

    struct es_pos pos; /* of the [[source]] */
    const struct es_provider *provider;
    struct es_value *table; /* borrowed from the configuration; expanded */
    struct es_value where;  /* what of it says where its data is and what of it: for the worker, and
                             * what a last good belongs to */
    void *state;            /* provider->options parsed */
    struct es_buf prefix;
    struct es_rename *renames; /* rename.n of them */
    struct es_globs includes;
    struct es_globs excludes;
    bool mirrors;
    struct es_mirror_want mirror; /* borrowed from state */
    uid_t mirror_uid;
    gid_t mirror_gid;
};

enum es_cast {
    ES_CAST_NONE,
    ES_CAST_STRING,
    ES_CAST_INTEGER,
    ES_CAST_FLOAT,
    ES_CAST_BOOLEAN,
    ES_CAST_LIST,
    ES_CAST_JSON
};

struct es_typed {
    struct es_buf key;
    enum es_cast cast;
};

struct es_output {
    char *path;
    char *format_name;
    struct es_strings from;
    struct es_strings include;
    struct es_strings exclude;
    struct es_strings allow;
    struct es_strings require;
    struct es_map types;
    int64_t mode;
    char *owner;
    char *group;
    char *key_text;
    char *naming; /* `case`: "upper" or "keep" */

    struct es_pos pos;
    const struct es_format *format;
    bool *sources; /* by number: does this output take from it? */
    struct es_globs includes;
    struct es_globs excludes;
    struct es_typed *casts; /* types.n of them */
    struct es_buf key;
    bool keep_case;
    uid_t uid; /* root's unless `owner` says otherwise */
    gid_t gid;
};

/* [last_good] */
struct es_last_good {
    int64_t max_age; /* milliseconds */
    char *at_rest;   /* "no", "encrypted" or "plain" */
};

/* What is to be done after a set has changed. */
enum es_action_kind { ES_ACTION_TOUCH, ES_ACTION_RESTART, ES_ACTION_RELOAD, ES_ACTION_RUN };

struct es_action {
    enum es_action_kind kind;
    char *const *words; /* a path, a unit, or a program and its arguments, which end with NULL */
    size_t n;
};

/* [on_change] */
struct es_on_change {
    struct es_strings touch;
    struct es_strings restart;
    struct es_strings reload;
    struct es_strings run;

    struct es_action *actions; /* in the order in which they are done */
    size_t n;
};

struct es_config {
    char *file; /* absolute path of the configuration */
    char *app;
    char *user;
    char *group;
    char *name;
    char *bootstrap;
    struct es_strings env;
    int64_t deadline;  /* milliseconds */
    int64_t fresh_for; /* milliseconds */
    struct es_last_good last_good;
    struct es_on_change on_change;

    struct es_value root; /* the parsed document, which sources borrow from */
    struct es_source *sources;
    size_t n_sources;
    struct es_output *outputs;
    size_t n_outputs;
    uid_t uid;               /* the app's user, (uid_t)-1 where there is none */
    gid_t gid;               /* who may read what is written */
    char *etc_dir, *run_dir; /* "/etc/APP", "/run/APP" */
};

/* Reads `file`. Errors are ES_CONFIG ("FILE:LINE:COLUMN: ..."), ES_DENIED where the file may not be
 * read or is not safe. */
int es_config_load(const char *file, const struct es_process *process, struct es_config *ret,
                   struct es_err *err);
void es_config_done(struct es_config *config);

/* What lies at a path that nothing may be written to ("the configuration"); NULL where it may. */
const char *es_config_taken(const struct es_config *config, const char *path);
/* Is it an output's own path? */
bool es_config_is_output(const struct es_config *config, const char *path);
/* The output in whose place, above or below which a file would lie; or NULL. */
const char *es_config_output_at(const struct es_config *config, const char *path);

/* Tables for messages, help and the manual page. */
extern const struct es_option es_config_options[];
extern const struct es_option es_last_good_options[];
extern const struct es_option es_on_change_options[];
extern const struct es_option es_source_options[];
extern const struct es_option es_output_options[];

#endif
