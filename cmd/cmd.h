/* The command line: one file per subcommand, a const table of them, and what they share. */
#ifndef ENVSYNC_CMD_H
#define ENVSYNC_CMD_H

#include "../core/config.h"
#include "../core/run.h"
#include "log.h"
#include "notify.h"

#define ES_DEFAULT_CONFIG SYSCONFDIR "/envsync/envsync.toml"

enum es_option_bits {
    ES_ARG_CONFIG = 1 << 0,
    ES_ARG_DRY_RUN = 1 << 1, /* with --exit-code */
    ES_ARG_FRESH = 1 << 2,
    ES_ARG_JSON = 1 << 3,
    ES_ARG_ROOT = 1 << 4,
    ES_ARG_DEADLINE = 1 << 5,
    ES_ARG_FETCH = 1 << 6,
    ES_ARG_RELEASE = 1 << 7,
    ES_ARG_CREDENTIALS = 1 << 8,
    ES_ARG_UNIT = 1 << 9,
};

struct es_args {
    const char *config;
    bool dry_run, exit_code, fresh, release, json, fetch, credentials, quiet, verbose;
    const char *root;
    const char *unit; /* of check and init */
    int64_t deadline; /* milliseconds, 0: as configured */
    char **rest;      /* what is no option */
    int n_rest;
    bool dashes; /* a "--" ended the options */
};

/* What main() hands to a subcommand. */
struct es_session {
    struct es_process process;
    struct es_args args;
    struct es_log log;
    struct es_notify notify;
    int64_t until; /* the deadline of this run, or 0 */
    struct es_report report;
    size_t told; /* of the report's items, how many are logged already */
};

/* Exit codes of the contract. */
enum {
    ES_EXIT_OK = 0,
    ES_EXIT_CHANGES = 1,
};
int es_exit_code(enum es_class class);

struct es_command {
    const char *name;
    const char *usage;   /* behind "envsync NAME" */
    const char *summary; /* one line */
    const char *help;    /* what `envsync help NAME` says besides */
    unsigned options;    /* es_option_bits */
    int max_rest;        /* how many arguments it takes, -1: any */
    int (*run)(struct es_session *session, struct es_err *err); /* exit code, or negative errno */
};

extern const struct es_command es_command_sync;
extern const struct es_command es_command_check;
extern const struct es_command es_command_explain;
extern const struct es_command es_command_status;
extern const struct es_command es_command_rollback;
extern const struct es_command es_command_exec;
extern const struct es_command es_command_init;
extern const struct es_command es_command_providers;
extern const struct es_command es_command_help;
extern const struct es_command *const es_commands[]; /* ends with NULL */
const struct es_command *es_command_by_name(const char *name);

/* Reads argv. ES_USAGE. ret_command is NULL for --version, which needs nothing more. */
int es_args_parse(int argc, char **argv, struct es_args *ret, const struct es_command **ret_command,
                  struct es_err *err);

/* Loads the configuration that the arguments name. */
int es_session_load(struct es_session *session, struct es_config *ret, struct es_err *err);

/* Warns where there is nothing to write: no matter for `exec` and `explain`. */
void es_session_warn_idle(struct es_session *session, const struct es_config *config);

/* The absolute deadline of this run. From here on the service manager knows of it, too. */
int64_t es_session_deadline(struct es_session *session, const struct es_config *config);

/* Logs what has come into the report since the last call. It stays there for --json. */
void es_session_flush(struct es_session *session);

/* Tells on a terminal that envsync waits; a hook of the core. */
void es_session_on_wait(void *data, const char *what, const char *name);
void es_session_on_progress(void *data, size_t keys, size_t objects);
void es_session_on_phase(void *data, enum es_phase phase, size_t n);

#endif
