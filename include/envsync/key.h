/* Keys: paths of segments.
 *
 * In memory a key is an es_buf in which each segment is followed by one NUL ("db\0password\0").
 * So bytewise comparison orders keys segment by segment, a key stands right before everything
 * below it, and "below" is a prefix test. The empty buffer is the root. Segments may be empty but
 * hold no NUL. As text a key is written as in TOML: db.password, foo."Foo.Repo".url.
 */
#ifndef ENVSYNC_KEY_H
#define ENVSYNC_KEY_H

#include "envsync/buf.h"
#include "envsync/err.h"

/* One segment, borrowed. */
struct es_segment {
    const char *data;
    size_t len;
};

/* Appends a segment. -EINVAL for a NUL in it, -ENOMEM. */
int es_key_push(struct es_buf *key, const void *segment, size_t len);

/* Walks: start with *offset = 0; false at the end. */
bool es_key_next(const struct es_buf *key, size_t *offset, struct es_segment *ret);
size_t es_key_depth(const struct es_buf *key);

int es_key_compare(const struct es_buf *a, const struct es_buf *b);
bool es_key_below(const struct es_buf *key, const struct es_buf *above); /* equal counts too */

/* Appends the key as text; control characters are escaped as in TOML, so it is safe to print. */
int es_key_format(const struct es_buf *key, struct es_buf *out);

/* Reads text into a key. At least one segment. Class ES_CONFIG, message without position. */
int es_key_parse(const char *text, struct es_buf *ret_key, struct es_err *err);

/* A key as text for a message: into a fixed array, cut with "..." where too long. */
struct es_key_text {
    char text[320];
};
struct es_key_text es_key_text(const struct es_buf *key);

/* Globs on keys. `*` stays within a segment, a segment `**` crosses any number of them; quoted
 * segments are literal. */
struct es_glob; /* compiled */
int es_glob_parse(const char *text, struct es_glob **ret, struct es_err *err);
bool es_glob_match(const struct es_glob *glob, const struct es_buf *key);
void es_glob_free(struct es_glob *glob);
void es_glob_freep(struct es_glob **glob);

#endif
