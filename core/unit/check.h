/* Does a unit run envsync so that a boot works, and so that nobody becomes root by it? Offline.
 *
 * What breaks a boot or opens root is an error, what is merely unwise a warning; each is one line
 * of the report, "FILE:LINE: what is wrong; what to do".
 */
#ifndef ENVSYNC_CORE_UNIT_CHECK_H
#define ENVSYNC_CORE_UNIT_CHECK_H

#include "../config.h"
#include "../report.h"
#include "unit.h"

enum es_unit_task {
    ES_UNIT_SYNC,  /* writes */
    ES_UNIT_EXEC,  /* envsync exec: writes nothing */
    ES_UNIT_OTHER, /* neither */
};

/* What a command line of the unit makes envsync do. */
struct es_unit_call {
    enum es_unit_task task;
    const char *config; /* borrowed from the command line, or constant */
    int64_t deadline;   /* milliseconds, 0: as configured */
    bool dry_run;
};

/* Reads envsync's own arguments; may reorder them. Fails where envsync would exit with 64. */
typedef int es_unit_call_fn(struct es_unit_command *command, struct es_unit_call *ret,
                            struct es_err *err);

/* What runs envsync for a unit. */
struct es_runner {
    char *config;         /* that the line names, or NULL */
    bool found;           /* it is another unit that does: */
    struct es_unit other; /* which the one that is asked about depends on */
};
void es_runner_done(struct es_runner *runner);

/* Finds it. config: what it is to run with, or NULL: then one is found, or ES_CONFIG where nothing
 * runs envsync, and ES_USAGE where nobody can tell. */
int es_unit_find_runner(const struct es_unit *unit, const char *config, es_unit_call_fn *read_call,
                        struct es_runner *ret, struct es_err *err);

/* The environment that the unit gives its commands, as far as it is in the unit itself and in files
 * that are there, besides `inherited`, less what is unset. A list for execve(). */
struct es_unit_environment {
    char **list; /* ends with NULL; may hold secrets */
};
int es_unit_environment(const struct es_unit *unit, char *const *inherited,
                        struct es_unit_environment *ret, struct es_err *err);
void es_unit_environment_done(struct es_unit_environment *environment);

/* envsync's exit code for a class of failures. */
typedef int es_exit_code_fn(enum es_class class);

/* What only the program itself knows. */
struct es_unit_program {
    es_unit_call_fn *read_call;
    es_exit_code_fn *exit_code;
};

/* Adds what it finds to the report. ret_errors: how many of it are errors. */
int es_unit_check(const struct es_unit *unit, const struct es_config *config,
                  const struct es_process *process, const struct es_unit_program *program,
                  struct es_report *report, size_t *ret_errors, struct es_err *err);

#endif
