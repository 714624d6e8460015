/* Log lines to stderr: with <N> priorities under the journal, colour on a terminal, escaped always.
 */
#ifndef ENVSYNC_CMD_LOG_H
#define ENVSYNC_CMD_LOG_H

#include "../core/process.h"
#include "../core/report.h"

struct es_log {
    enum es_level level; /* what is above is not shown */
    bool journal;        /* stderr goes to the journal */
    bool terminal;
    bool colour;
    bool progress; /* a line of it stands on the terminal */
};

void es_log_init(struct es_log *log, const struct es_process *process, bool quiet, bool verbose);
void es_log_line(const struct es_log *log, enum es_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* One line on a terminal that the next one replaces; nothing elsewhere. */
void es_log_progress(struct es_log *log, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void es_log_progress_end(struct es_log *log);

/* Appends text with control characters and broken UTF-8 made visible. 0 or -ENOMEM. */
struct es_buf;
int es_print_safe(struct es_buf *out, const char *text);

#endif
