/* Formats: how a document is read and an output is written, each one struct.
 *
 * read() parses a whole document into a table (or, for `value`, a string); its input may come
 * from anywhere and is bounded by the caller. write() appends the document for a value of the
 * shape that the format takes; accepts() says beforehand what the format cannot carry, so that
 * write() only fails for lack of memory. What write() wrote, read() must read back to an equal
 * value: es_format_render() enforces that for every format that has a reader.
 */
#ifndef ENVSYNC_FORMAT_H
#define ENVSYNC_FORMAT_H

#include "envsync/value.h"

enum es_shape {
    ES_SHAPE_FLAT,   /* table of NAME = string; names are env names */
    ES_SHAPE_NESTED, /* table of values */
    ES_SHAPE_SINGLE, /* one string */
    ES_SHAPE_NAMED,  /* list of {Name, Value} */
};

struct es_format {
    const char *name;
    const char *extension; /* ".env", or NULL: not found by extension */
    enum es_shape shape;
    bool source; /* may be named as the format of a source */

    /* Parses text. Errors are ES_INVALID and start "LINE:COLUMN: " (columns count bytes from 1).
     * ret is untouched on failure, else a value owned by the caller. NULL: never read. */
    int (*read)(const char *text, size_t len, struct es_value *ret, struct es_err *err);

    /* NULL where the format carries this leaf, else why not ("has a NUL byte", ...). name is the
     * flat name for ES_SHAPE_FLAT, else NULL. */
    const char *(*accepts)(const char *name, const struct es_value *leaf);

    /* Appends the document. 0 or -ENOMEM. Tables come sorted. */
    int (*write)(const struct es_value *root, struct es_buf *out);
};

extern const struct es_format es_format_env;
extern const struct es_format es_format_toml;
/* Appends a text as a TOML string, quotes included; control characters are escaped. */
int es_toml_quote(struct es_buf *out, const char *text, size_t len);
extern const struct es_format es_format_json;
extern const struct es_format es_format_ssm_json;
extern const struct es_format es_format_shell;
extern const struct es_format es_format_dotenv;
extern const struct es_format es_format_value;

/* All of them, ends with NULL. */
extern const struct es_format *const es_formats[];

const struct es_format *es_format_by_name(const char *name); /* or NULL */
/* By the extension of a path, or the file name `environment`; or NULL. */
const struct es_format *es_format_by_path(const char *path);

/* write(), read back, compare: -EBADMSG and ES_INTERNAL where the bytes would not read back. */
int es_format_render(const struct es_format *format, const struct es_value *root,
                     struct es_buf *out, struct es_err *err);

/* The text of a scalar, list or table where a format has only strings: strings and date-times as
 * they are, true/false, numbers in shortest exact form, lists and tables as compact JSON (no
 * spaces; keys sorted). -EDOM where it cannot be said (NaN or infinity inside JSON, bytes that
 * are no UTF-8 inside JSON). */
int es_value_text(const struct es_value *value, struct es_buf *out);

/* Text that is to become a value of a type, for `types` and the like: JSON text of any kind. */
int es_json_parse(const char *text, size_t len, struct es_value *ret, struct es_err *err);

/* True for [A-Za-z_][A-Za-z0-9_]*. */
bool es_env_name_valid(const char *name, size_t len);

#endif
