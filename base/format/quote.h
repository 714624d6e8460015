/* How a value becomes a word of an env file or a shell script, and what cannot become one.
 *
 * The quoting is the one that systemd of all versions and every POSIX shell read alike: nothing for
 * an empty value, a bare word where every byte is harmless, single quotes where the value has no
 * single quote, backslash or CR, else double quotes with a backslash before " \ $ and `. */
#ifndef ENVSYNC_FORMAT_QUOTE_H
#define ENVSYNC_FORMAT_QUOTE_H

#include "envsync/value.h"

/* One of the bytes that no reader gives a meaning, at any place but (for '=') the first. */
bool es_quote_harmless(unsigned char c);

/* Appends the word for a value. 0 or -ENOMEM. */
int es_quote_put(struct es_buf *out, const struct es_buf *value);

/* The two kinds of quotes alone. The value has no NUL, and for single quotes no single quote. */
int es_quote_put_single(struct es_buf *out, const struct es_buf *value);
int es_quote_put_double(struct es_buf *out, const struct es_buf *value, const char *escaped);

/* Appends PREFIX NAME = WORD LF for each entry of a table of strings. */
int es_quote_put_all(struct es_buf *out, const char *prefix, const struct es_value *root,
                     int (*put)(struct es_buf *out, const struct es_buf *value));

/* Why no environment can carry the value under this name, or NULL. */
const char *es_quote_refuses(const char *name, const struct es_buf *value);

#endif
