/* Typed values: what a source gives and an output writes.
 *
 * A value owns all below it. Zero-initialised it is an empty string; es_value_done() ends it.
 * Tables keep the order of insertion and find keys by hash (seeded per process: keys come from
 * outside). Depth is bounded by the readers (ES_MAX_DEPTH), so recursion over values is safe.
 * Keys and strings are counted bytes and may hold NUL; who cannot carry that refuses it.
 */
#ifndef ENVSYNC_VALUE_H
#define ENVSYNC_VALUE_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <stdint.h>

enum es_type {
    ES_STRING = 0,
    ES_INTEGER,
    ES_FLOAT,
    ES_BOOLEAN,
    ES_DATETIME, /* text as written in TOML; every writer writes it as a string */
    ES_LIST,
    ES_TABLE,
};

struct es_pos {
    uint32_t line; /* from 1; 0 = unknown */
    uint32_t column;
};

struct es_value {
    enum es_type type;
    struct es_pos pos; /* where it was read */
    uint32_t mark;     /* the reader's own while it builds the tree; means nothing to others */
    union {
        struct es_buf text; /* ES_STRING, ES_DATETIME */
        int64_t integer;
        double number; /* ES_FLOAT */
        bool boolean;
        struct {
            struct es_value *items;
            size_t n, cap;
        } list;
        struct {
            struct es_entry *entries;
            size_t n, cap;
            uint32_t *index; /* open addressing, entry number + 1; NULL while small */
            size_t index_cap;
        } table;
    };
};

struct es_entry {
    struct es_buf key;
    struct es_pos pos; /* of the key */
    struct es_value value;
};

const char *es_type_name(enum es_type type); /* "string", "integer", "float", "boolean", ... */

void es_value_done(struct es_value *value);
void es_value_move(struct es_value *to, struct es_value *from); /* to is done first */
int es_value_copy(struct es_value *to, const struct es_value *from);
int es_value_set_string(struct es_value *value, const void *data, size_t len);
void es_value_set_list(struct es_value *value);  /* empty list */
void es_value_set_table(struct es_value *value); /* empty table */

/* Same type and content, tables in any order, floats bit for bit (NaN equals NaN). Positions do
 * not count. A date-time equals a string of the same text when loose. */
bool es_value_equal(const struct es_value *a, const struct es_value *b, bool loose);

/* Levels of lists and tables: 0 for a scalar, 1 for an empty list. What lies deeper than
 * ES_MAX_DEPTH is not followed. */
size_t es_value_depth(const struct es_value *value);

/* Appends a new empty value and returns it in ret (borrowed until the list grows). */
int es_list_add(struct es_value *list, struct es_value **ret);

struct es_entry *es_table_find(const struct es_value *table, const void *key, size_t len);
struct es_value *es_table_get(const struct es_value *table, const char *key); /* or NULL */

/* Adds a key with an empty value; -EEXIST where the key is there (ret then names that one).
 * ret is borrowed until the table grows. */
int es_table_add(struct es_value *table, const void *key, size_t len, struct es_entry **ret);

/* Orders the entries bytewise by key, here and in all tables below. Always succeeds. */
void es_table_sort(struct es_value *table);

/* Numbers as text. Integers in decimal; floats the shortest that reads back to the same bits,
 * always with a '.' or an exponent ("1.0", "1e+16"), or "inf", "-inf", "nan". */
int es_integer_format(struct es_buf *out, int64_t value);
int es_float_format(struct es_buf *out, double value);

/* The other way, for text that must be wholly a number: false where it is not or does not fit. */
bool es_integer_parse(const char *text, size_t len, int64_t *ret);
bool es_float_parse(const struct es_buf *text, double *ret); /* decimal only; finite */

#endif
