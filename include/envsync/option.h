/* Option tables: one table gives parsing, defaults, validation and help.
 *
 * A table of the configuration is read into a C struct by a const array of es_option that ends
 * with a NULL key. Each type fills a field of this C type at `offset`:
 *
 *   STRING PATH ENUM  char *              (NULL where absent without default)
 *   BOOL              bool
 *   INTEGER           int64_t
 *   DURATION          int64_t             milliseconds: "250ms" "45s" "5m" "2h" "3d"
 *   MODE              int64_t             "0640" -> 0640; rwx bits, nothing for others to write
 *   STRINGS PATHS     struct es_strings
 *   MAP               struct es_map       table of strings
 *
 * All structs are zero-initialised first and ended with es_options_clear().
 */
#ifndef ENVSYNC_OPTION_H
#define ENVSYNC_OPTION_H

#include "envsync/value.h"

enum es_option_type {
    ES_OPT_STRING,
    ES_OPT_PATH, /* absolute, no "." or ".." component */
    ES_OPT_ENUM,
    ES_OPT_BOOL,
    ES_OPT_INTEGER,
    ES_OPT_DURATION,
    ES_OPT_MODE,
    ES_OPT_STRINGS,
    ES_OPT_PATHS, /* each as of PATH */
    ES_OPT_MAP,
};

enum es_option_flags {
    ES_OPT_REQUIRED = 1 << 0,
    ES_OPT_SECRET = 1 << 1, /* never shown */
    ES_OPT_CLOUD = 1 << 2,  /* may hold ${cloud.FACT}, filled in where the data is parsed */
    ES_OPT_RAW = 1 << 3,    /* ${...} is the provider's own business, not a variable */
};

struct es_option {
    const char *key;
    enum es_option_type type;
    unsigned flags;
    const char *def;     /* default as it would be typed (a bare word for strings), or NULL */
    const char *choices; /* ENUM: "fail|skip" */
    size_t offset;
    const char *help; /* one line */
};

struct es_strings {
    char **items; /* one more is NULL, unless n is 0 */
    struct es_pos *pos;
    size_t n;
};

struct es_pair {
    char *key;
    char *value;
    struct es_pos pos;
};

struct es_map {
    struct es_pair *items;
    size_t n;
};

/* Reads the keys of `table` that `options` knows into `out`; others are left to
 * es_options_unknown(). Errors are ES_CONFIG and start "FILE:LINE:COLUMN: ". */
int es_options_parse(const struct es_option *options, const struct es_value *table,
                     const char *file, void *out, struct es_err *err);
void es_options_clear(const struct es_option *options, void *out);

/* Fails on the first key of `table` that none of the n option arrays knows, nor `extra` (NULL-
 * terminated names of sub-tables, may be NULL); says which known one was probably meant. */
int es_options_unknown(const struct es_option *const *sets, size_t n, const char *const *extra,
                       const struct es_value *table, const char *file, struct es_err *err);

const char *es_option_type_name(enum es_option_type type);

/* "250ms", "45s": milliseconds in ret, or false. */
bool es_duration_parse(const char *text, int64_t *ret);

/* The word of a NULL-terminated list that is nearest to `word`, or NULL where none is near. */
const char *es_suggest(const char *word, const char *const *words);

#endif
