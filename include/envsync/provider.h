/* The provider contract.
 *
 * A provider is a folder of two files. `options.c` is pure, linked into both programs, and defines
 * one `const struct es_provider`: what may be configured and what root has to open. `fetch.c` is
 * linked into the worker only and defines one function: it reads what it was handed (or asks the
 * network) and puts records into a sink. One line in the list below makes it known everywhere.
 *
 * Life cycle, per [[source]]:
 *   privileged  1. options are expanded and parsed by the table into `size` bytes of state
 *               2. validate(): offline, may look at nothing but the state        (optional)
 *               3. needs(): names files to be opened; core opens them            (optional)
 *   worker      4. options are parsed again by the same table, into a state of its own
 *               5. fetch(): puts records                                         (required)
 *   both        6. the state is ended by the table
 *
 * Providers never merge, log, write files or exit; they hold no global state. docs/provider.md
 * shows how to write one.
 */
#ifndef ENVSYNC_PROVIDER_H
#define ENVSYNC_PROVIDER_H

#include "envsync/option.h"
#include "envsync/record.h"

/* Every provider, as X(identifier). */
#define ES_PROVIDERS(X)                                                                            \
    X(file)                                                                                        \
    X(credentials)                                                                                 \
    X(cloud_init)                                                                                  \
    X(s3)                                                                                          \
    X(ssm)                                                                                         \
    X(secrets_manager)                                                                             \
    X(exec)

enum es_need_flags {
    ES_NEED_OPTIONAL = 1 << 0, /* absent or unreadable: simply not handed over */
    ES_NEED_EXPAND =
        1 << 1,            /* a file, a directory (its files) or a glob; several are handed over */
    ES_NEED_EXEC = 1 << 2, /* a program: it is started, and its stdout is handed over */
};

/* While a needed file is absent, envsync waits for it until the deadline as long as a file of
 * `begun` exists and `over` does not. All are names in the needed file's own directory. */
struct es_wait {
    const char *what; /* "cloud-init": for messages */
    const char *const *begun;
    const char *over;
    /* For `check --unit`, or NULL: units that come after it, ends with NULL, the one to name first;
     * those of them that also come after multi-user.target, which nothing that it starts may wait
     * for. */
    const char *const *after;
    const char *const *too_late;
};

struct es_need {
    const char *role; /* static; fetch() finds the files by it */
    const char *path; /* absolute; copied */
    unsigned flags;
    const struct es_wait *wait; /* static, or NULL */

    /* ES_NEED_EXEC: `path` is argv[0]. Borrowed from the state, lists end with NULL. It runs with
     * stdin closed, an environment of nothing but a constant PATH and the variables named in
     * `environment`, and is killed after timeout_ms. Whether it succeeded is core's to judge: the
     * source fails with it, whatever its output was. */
    const char *const *argv;
    const char *run_as;             /* a user, or NULL: the worker's */
    const char *const *environment; /* names, or NULL */
    int64_t timeout_ms;
};

/* What a provider may know besides its options: the variables that it declares in `environment`, as
 * the process had them (one that the last run wrote is not among them), and a home directory. */
struct es_surroundings {
    struct es_value environment; /* table of strings; empty values are left out */
    char *home;                  /* of the caller's passwd entry, never of HOME; or NULL */
};
/* A variable, borrowed, or NULL. */
void es_surroundings_done(struct es_surroundings *surroundings);
const char *es_surroundings_get(const struct es_surroundings *surroundings, const char *name);

/* What needs() has named. The paths are the list's own copies. */
struct es_needs {
    struct es_need *items;
    size_t n;
};
int es_needs_add(struct es_needs *needs, const struct es_need *need, struct es_err *err);

void es_needs_done(struct es_needs *needs);

/* Where the files that a source mirrors go, for core: borrowed from the state. */
struct es_mirror_want {
    char *dir;   /* absolute, or NULL: nothing is mirrored */
    bool prune;  /* remove what an earlier run mirrored and this one does not give */
    char *owner; /* or NULL: root */
    char *group; /* or NULL: as for outputs */
    int64_t mode;
    int64_t dir_mode;
};

struct es_provider {
    const char *type;    /* as in `type = "..."` */
    const char *summary; /* one line */
    const struct es_option *options;
    size_t size; /* of the state that `options` fills */

    /* Messages without position: the caller puts source and place before them. ES_CONFIG. */
    int (*validate)(const void *state, struct es_err *err);
    int (*needs)(const void *state, const struct es_surroundings *surroundings,
                 struct es_needs *needs, struct es_err *err);

    /* Where it mirrors files to; NULL: it never gives any. */
    const struct es_mirror_want *(*mirror)(const void *state);
    /* May a file of this path below `dir` be among them? NULL: any may. For `check --unit`. */
    bool (*mirrors)(const void *state, const char *path);

    /* Names or globs of the unit's credentials that it cannot do without; or NULL. For `check
     * --unit`; of one that reads CREDENTIALS_DIRECTORY. */
    const struct es_strings *(*credentials)(const void *state);

    const char *const *environment; /* variables that it reads, NULL-terminated; or NULL */
    const char *defaults; /* top-level table that gives defaults for its options ("aws"), or NULL */
    const struct es_option *default_options; /* those of its options that it may give */
    /* Names where it reads ${cloud.FACT} for the options of others, without a source of its own. */
    int (*facts)(struct es_needs *needs, struct es_err *err);
    bool describes; /* fetch() can tell, instead, how it would authenticate (es_fetch.describe) */
    bool network;   /* fetch() asks the network */
    bool named;     /* its records' `object` is the full name that ssm-json writes */
};

/* All providers, ends with NULL. */
extern const struct es_provider *const es_providers[];
const struct es_provider *es_provider_by_type(const char *type); /* or NULL */

/* ---- worker only from here on ---- */

/* A file that root opened: read-only, at offset 0, regular when it was opened. */
struct es_file {
    const char *role;
    const char *path;
    int fd;
};

/* An object that a source can give: a file, an S3 object. What the last accepted set has of it is
 * `known`; where the present one is the same, es_sink_same() takes it from there. */
enum es_object_uses {
    ES_OBJECT_MERGED = 1 << 0,
    ES_OBJECT_MIRRORED = 1 << 1,
};
struct es_object {
    const char *name;    /* unique in its source */
    const char *version; /* opaque, compared bytewise: an ETag */
    int64_t size;
    int64_t modified_ms; /* since 1970: a mirrored file gets it as its mtime; -1: no matter */
    uint32_t rank;       /* order of its records within the source */
    unsigned uses;       /* in `known`: which of its uses the last set has */
};

/* Takes what one source gives. Checks caps, names and shapes once for all providers. */
struct es_sink;

/* Hands a record over: key, value, object, version, line, rank and verbatim are the provider's to
 * fill, source is not. The record stays the caller's. */
int es_sink_put(struct es_sink *sink, const struct es_record *record, struct es_err *err);

/* Counts the bytes of a document against the cap of the run. ES_INVALID over it. */
int es_sink_count(struct es_sink *sink, size_t len, struct es_err *err);

/* A line for the user that is no failure ("passed over ..."). Never a value. */
int es_sink_note(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what only matters to who asked for details (-v). */
int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A merged object is as it is known: its records are taken from the last set, with this rank. */
int es_sink_same(struct es_sink *sink, const struct es_object *object, struct es_err *err);

/* A merged object whose records this source puts, to be known in the next run. Before them. */
int es_sink_object(struct es_sink *sink, const struct es_object *object, struct es_err *err);

/* A mirrored file: `path` is relative to the source's `dir`, checked by es_mirror_path_check().
 * Several may be open at once; `id` tells them apart and is the provider's choice. */
int es_sink_file_same(struct es_sink *sink, const char *path, const struct es_object *object,
                      struct es_err *err);
int es_sink_file_begin(struct es_sink *sink, uint32_t id, const char *path,
                       const struct es_object *object, struct es_err *err);
int es_sink_file_data(struct es_sink *sink, uint32_t id, const void *data, size_t len,
                      struct es_err *err);
int es_sink_file_end(struct es_sink *sink, uint32_t id, struct es_err *err); /* it is whole */
/* Forget it, also one that is whole: its path may be begun again under another id. */
int es_sink_file_drop(struct es_sink *sink, uint32_t id, struct es_err *err);

/* Whether a relative path may become a mirrored file: no empty, "." or ".." component, no NUL,
 * components of at most 255 bytes, 1024 in all, not envsync's own temporary names. ES_INVALID. */
int es_mirror_path_check(const char *path, size_t len, struct es_err *err);

struct es_http;
struct es_fetch {
    const void *state; /* the parsed options */
    const struct es_surroundings *surroundings;
    const struct es_file *files;
    size_t n_files;
    const struct es_object *known; /* of this source, sorted by name; mirrored ones too */
    size_t n_known;
    struct es_sink *sink;
    struct es_http *http;
    const char *cloud_region; /* from the instance data, or NULL */
    bool optional;            /* parts that are absent may be left out, with a note */
    bool describe;            /* `check --credentials`: tell by notes which credentials would be
                               * used, fetch nothing else */
    bool verbose;             /* es_sink_detail() is listened to */
    void *own;                /* the provider's, NULL at first; */
    void (*clear)(void *own); /* ended by this at the very end, where it is not NULL */
};

/* Optional (worker/fetchers.c): called with the parsed options, ${cloud.FACT} in them as it was
 * typed, before any fetch() and before the worker closes its sandbox. What fetch() will read by a
 * name that it finds for itself has to be allowed here: a directory with all below it, or a file.
 * It may look at local configuration only, and reports nothing: fetch() meets the same fault. */
struct es_sandbox;
typedef void es_prepare_fn(const struct es_fetch *fetch, struct es_sandbox *sandbox);
void es_sandbox_allow(struct es_sandbox *sandbox, const char *path);

/* Reads, or asks the network. Returns 0 when all is put, a negative errno, or ES_FETCH_PENDING
 * where requests are under way: then es_fetch_finish() must be called exactly once, from the loop
 * (r: 0, or negative with err). The struct outlives the source. */
enum { ES_FETCH_PENDING = 1 };
typedef int es_fetch_fn(struct es_fetch *fetch, struct es_err *err);
void es_fetch_finish(struct es_fetch *fetch, int r, const struct es_err *err);

/* Shared by providers (providers/document.c): parses a document as `format` and puts a record for
 * every leaf. Empty tables are leaves. rank and object as in es_record; version may be "". */
struct es_format;
struct es_document {
    const struct es_format *format;
    const char *object;
    const char *version;
    uint32_t rank;
};
int es_document_put(const struct es_document *document, const char *text, size_t len,
                    struct es_sink *sink, struct es_err *err);

/* Appends the whole of a file that root opened, ES_MAX_DOCUMENT bytes at most. */
int es_file_read(const struct es_file *file, struct es_buf *text, struct es_err *err);

/* "2026-01-02T03:04:05Z" of a file's mtime, as a version for people. */
struct es_file_version {
    char text[32];
};
struct es_file_version es_file_version(int fd);

#endif
