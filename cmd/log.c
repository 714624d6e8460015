/* See log.h. Texts carry names that came from outside (keys, files): what could move a terminal or
 * forge a line of the journal is escaped here, in the one place where lines leave. */
#include "log.h"

#include "envsync/buf.h"
#include "envsync/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is stderr really the journal's? systemd hands over its device and inode; the variable alone may
 * be inherited through any number of redirections. */
static bool is_journal(const struct es_process *process)
{
    const char *stream = es_process_getenv(process, "JOURNAL_STREAM");
    char is[64];
    struct stat st;

    if (!stream || fstat(2, &st) < 0)
        return false;
    snprintf(is, sizeof is, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, is) == 0;
}

void es_log_init(struct es_log *log, const struct es_process *process, bool quiet, bool verbose)
{
    const char *no_color = es_process_getenv(process, "NO_COLOR");
    const char *term = es_process_getenv(process, "TERM");

    log->level = quiet ? ES_LEVEL_WARNING : verbose ? ES_LEVEL_INFO : ES_LEVEL_NOTICE;
    log->journal = is_journal(process);
    log->terminal = isatty(2) == 1;
    log->colour = log->terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

int es_print_safe(struct es_buf *out, const char *text)
{
    size_t len = strlen(text);
    int r = 0;

    for (size_t at = 0; r == 0 && at < len;) {
        uint32_t c = 0;
        size_t n = es_utf8_decode(text + at, len - at, &c);

        if (n == 0) {
            n = 1;
            r = es_buf_printf(out, "\\x%02X", (unsigned char)text[at]);
        } else if (es_utf8_control(c)) {
            r = es_buf_printf(out, "\\u%04X", c);
        } else {
            r = es_buf_append(out, text + at, n);
        }
        at += n;
    }
    return r;
}

static const char *colour_of(enum es_level level)
{
    return level == ES_LEVEL_ERROR ? "\033[31m" : level == ES_LEVEL_WARNING ? "\033[33m" : NULL;
}

static const char *word_of(enum es_level level)
{
    return level == ES_LEVEL_ERROR ? "error: " : level == ES_LEVEL_WARNING ? "warning: " : "";
}

void es_log_line(const struct es_log *log, enum es_level level, const char *fmt, ...)
{
    ES_CLEANUP(es_buf_done) struct es_buf line = {0};
    const char *colour = log->colour ? colour_of(level) : NULL;
    char text[2048];
    va_list args;
    int r;

    if (level > log->level)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (log->journal)
        r = es_buf_printf(&line, "<%d>%s", (int)level, word_of(level));
    else
        r = es_buf_printf(&line, "envsync: %s%s%s", colour ? colour : "", word_of(level),
                          colour ? "\033[0m" : "");
    if (r == 0)
        r = es_print_safe(&line, text);
    if (r == 0)
        r = es_buf_putc(&line, '\n');
    /* One write for a line, so that concurrent runs do not mix. */
    if (r == 0 && write(2, line.data, line.len) < 0)
        return;
}

void es_log_progress(struct es_log *log, const char *fmt, ...)
{
    char text[200];
    va_list args;

    if (!log->terminal || log->level != ES_LEVEL_NOTICE)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    dprintf(2, "\r\033[Kenvsync: %s", text);
    log->progress = true;
}

void es_log_progress_end(struct es_log *log)
{
    if (log->progress)
        dprintf(2, "\r\033[K");
    log->progress = false;
}
