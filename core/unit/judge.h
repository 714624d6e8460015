/* Between the files that judge a unit: check.c, run.c, order.c, files.c, confine.c, places.c,
 * owner.c. */
#ifndef ENVSYNC_CORE_UNIT_JUDGE_H
#define ENVSYNC_CORE_UNIT_JUDGE_H

#include "check.h"
#include "mounts.h"
#include "rights.h"

/* Where envsync keeps its state. */
#define ES_STATE_RUN  "/run/envsync"
#define ES_STATE_DISK "/var/lib/envsync"

struct es_judge {
    const struct es_unit *unit;
    const struct es_config *config;
    const struct es_process *process;
    struct es_report *report;
    es_exit_code_fn *exit_code;
    size_t errors;

    /* How the unit runs envsync. Where it does not, and no other does it for it, it is judged as if
     * it had ExecStartPre=!envsync. */
    const struct es_unit_command *line; /* NULL: it does not */
    struct es_unit_call call;
    bool as_root;       /* that line is root's */
    bool sandboxed;     /* and in the unit's sandbox */
    const char *runner; /* the unit that does it before this one starts, or NULL */

    struct es_buf user; /* empty: root */
    const struct es_unit_setting *user_at;
    struct es_unit_dirs dirs;
    struct es_unit_items environment_files;
};

/* One line of the report. at: what it is about, or NULL for the unit as a whole. */
void es_judge_error(struct es_judge *judge, const struct es_unit_setting *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void es_judge_warning(struct es_judge *judge, const struct es_unit_setting *at, const char *fmt,
                      ...) __attribute__((format(printf, 3, 4)));

/* Where a section begins, to be pointed at for what is missing in it. */
const struct es_unit_setting *es_judge_section(const struct es_judge *judge, const char *section);

bool es_judge_oneshot(const struct es_judge *judge);

/* The rules. */
void es_judge_lines(struct es_judge *judge);                  /* what systemd ignores */
int es_judge_run(struct es_judge *judge, struct es_err *err); /* the line that runs envsync */
int es_judge_order(struct es_judge *judge, struct es_err *err);
int es_judge_files(struct es_judge *judge, struct es_err *err); /* EnvironmentFile= */
int es_judge_readers(struct es_judge *judge, struct es_err *err);
int es_judge_confinement(struct es_judge *judge, struct es_err *err);

int es_judge_places(struct es_judge *judge, struct es_err *err);

/* A path of the configuration, simplified; the directory that it is in. */
int es_judge_path(const char *path, char **ret, struct es_err *err);
int es_judge_dirname(const char *path, char **ret, struct es_err *err);

#endif
