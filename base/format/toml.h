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

/* How a table or list was made: the mark of its value while the document is read. Zero is a plain
 * list, to which nothing is ever added. */
enum toml_mark {
    TOML_LIST = 0,
    TOML_IMPLIED, /* on the way to a header; may get a header itself, or dotted keys */
    TOML_HEADER,  /* has its own header; only further headers go below it */
    TOML_DOTTED,  /* by dotted keys, which may go on adding; further headers go below it */
    TOML_INLINE,  /* in braces, closed with all below it */
    TOML_TABLES,  /* list of [[tables]]; headers go below its last one */
};

/* Goes from a table into the one below it that has the name, which is made where it is missing. In
 * a header the way may lead through what has a header, in dotted keys not. depth counts the lists
 * that are passed. */
int toml_enter(struct toml *t, struct es_value **table, unsigned *depth, const struct es_buf *name,
               struct es_pos pos, bool header);

/* The last name of a path: KEY =, [TABLE], [[ITEM]]. ret is where what follows belongs, borrowed
 * until the table or list it is in grows. */
int toml_add_key(struct toml *t, struct es_value *table, const struct es_buf *name,
                 struct es_pos pos, struct es_value **ret);
int toml_add_table(struct toml *t, struct es_value *in, const struct es_buf *name,
                   struct es_pos pos, struct es_value **ret);
int toml_add_item(struct toml *t, struct es_value *in, const struct es_buf *name, struct es_pos pos,
                  struct es_value **ret);

/* The reader of es_format_toml. */
int toml_read(const char *text, size_t len, struct es_value *ret, struct es_err *err);

#endif
