/* What the files of the TOML reader share; nobody else includes this.
 *
 * A struct toml is a place in a document that toml_start() has found to be UTF-8 without control
 * characters and bare carriage returns, so the scanners need not look for those. Scanners start at
 * the first byte of what they read and stop right behind it; on failure the place is undefined and
 * the reading ends. Every message starts "LINE:COLUMN: " and holds no value.
 */
#ifndef ENVSYNC_FORMAT_TOML_H
#define ENVSYNC_FORMAT_TOML_H

#include "envsync/value.h"

struct toml {
    const char *at, *end;
    const char *line_start;
    uint32_t line;
    struct es_buf path; /* the table or key that is being read, see key.h: for messages only */
    struct es_err *err;
};

/* Checks the bytes, steps over a byte order mark and stands at 1:1. Owns t->path from then on. */
int toml_start(struct toml *t, const char *text, size_t len, struct es_err *err);
void toml_done(struct toml *t);

/* Sets the message, "LINE:COLUMN: " first; returns -EINVAL. */
int toml_fail(struct toml *t, struct es_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct es_pos toml_pos(const struct toml *t);
int toml_peek(const struct toml *t); /* the next byte, or -1 at the end */
void toml_skip_blank(struct toml *t);
void toml_skip_lines(struct toml *t);        /* blanks, comments, line ends */
bool toml_at_line_end(const struct toml *t); /* a comment, a line end, the end */

/* One part of a key, bare or quoted. */
int toml_scan_name(struct toml *t, struct es_buf *ret);

/* At a quote: a string of any of the four kinds. */
int toml_scan_string(struct toml *t, struct es_buf *ret);

/* Booleans, numbers, date-times. */
int toml_scan_scalar(struct toml *t, struct es_value *ret);

/* The reader of es_format_toml. */
int toml_read(const char *text, size_t len, struct es_value *ret, struct es_err *err);

#endif
