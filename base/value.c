/* See envsync/value.h: the typed tree and its ownership. Content is untrusted, shape is bounded by
 * the readers; nothing here interprets a value. */
#include "envsync/value.h"

#include "envsync/limits.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* Below this many entries a plain scan is faster than an index. */
enum { SMALL_TABLE = 8 };

const char *es_type_name(enum es_type type)
{
    static const char *const names[] = {
        [ES_STRING] = "string",   [ES_INTEGER] = "integer",    [ES_FLOAT] = "float",
        [ES_BOOLEAN] = "boolean", [ES_DATETIME] = "date-time", [ES_LIST] = "list",
        [ES_TABLE] = "table",
    };

    return names[type];
}

void es_value_done(struct es_value *value)
{
    switch (value->type) {
    case ES_STRING:
    case ES_DATETIME:
        es_buf_done(&value->text);
        break;
    case ES_LIST:
        for (size_t i = 0; i < value->list.n; i++)
            es_value_done(&value->list.items[i]);
        free(value->list.items);
        break;
    case ES_TABLE:
        for (size_t i = 0; i < value->table.n; i++) {
            es_buf_done(&value->table.entries[i].key);
            es_value_done(&value->table.entries[i].value);
        }
        free(value->table.entries);
        free(value->table.index);
        break;
    default:
        break;
    }
    explicit_bzero(value, sizeof *value);
}

void es_value_move(struct es_value *to, struct es_value *from)
{
    struct es_value taken = *from;

    *from = (struct es_value){0};
    es_value_done(to);
    *to = taken;
}

int es_value_set_string(struct es_value *value, const void *data, size_t len)
{
    struct es_value fresh = {.type = ES_STRING, .pos = value->pos};
    int r = es_buf_set(&fresh.text, data, len);

    if (r == 0)
        es_value_move(value, &fresh);
    return r;
}

void es_value_set_list(struct es_value *value)
{
    es_value_move(value, &(struct es_value){.type = ES_LIST, .pos = value->pos});
}

void es_value_set_table(struct es_value *value)
{
    es_value_move(value, &(struct es_value){.type = ES_TABLE, .pos = value->pos});
}

/* Grows an array of n elements of some size so that one more fits; the old memory holds values
 * whose numbers may be secrets, so it is cleansed. */
static int grow(void *items, size_t size, size_t n, size_t *cap)
{
    size_t more = *cap ? *cap * 2 : 4;
    void **array = items;
    void *fresh;

    if (n < *cap)
        return 0;
    fresh = calloc(more, size);
    if (!fresh)
        return -ENOMEM;
    if (n)
        memcpy(fresh, *array, n * size);
    es_secret_free(*array, n * size);
    *array = fresh;
    *cap = more;
    return 0;
}

int es_list_add(struct es_value *list, struct es_value **ret)
{
    int r = grow(&list->list.items, sizeof *list->list.items, list->list.n, &list->list.cap);

    if (r < 0)
        return r;
    *ret = &list->list.items[list->list.n++];
    return 0;
}

/* Keyed by the random bytes that the kernel gives each process, so that a document cannot be made
 * whose keys all collide. */
static size_t hash(const void *key, size_t len)
{
    static uint64_t seed;
    const unsigned char *p = key;
    uint64_t h;

    if (!seed) {
        const void *random = (const void *)getauxval(AT_RANDOM);

        if (random)
            memcpy(&seed, random, sizeof seed);
        seed |= 1;
    }
    h = seed;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 0x9e3779b97f4a7c15U;
        h ^= h >> 32;
    }
    return (size_t)(h ^ seed >> 7);
}

/* The slot of the index that holds the key, or the free one where it belongs. */
static uint32_t *slot(const struct es_value *table, const void *key, size_t len)
{
    size_t mask = table->table.index_cap - 1;

    for (size_t i = hash(key, len) & mask;; i = (i + 1) & mask) {
        uint32_t *at = &table->table.index[i];
        const struct es_buf *there;

        if (*at == 0)
            return at;
        there = &table->table.entries[*at - 1].key;
        if (there->len == len && (len == 0 || memcmp(there->data, key, len) == 0))
            return at;
    }
}

static void fill_index(struct es_value *table)
{
    memset(table->table.index, 0, table->table.index_cap * sizeof *table->table.index);
    for (size_t i = 0; i < table->table.n; i++) {
        const struct es_buf *key = &table->table.entries[i].key;

        *slot(table, key->data, key->len) = (uint32_t)i + 1;
    }
}

/* Keeps the index at most half full, counting one entry that is about to come. */
static int grow_index(struct es_value *table)
{
    size_t cap = table->table.index_cap ? table->table.index_cap : 4 * SMALL_TABLE;
    uint32_t *index;

    if (table->table.n + 1 <= SMALL_TABLE || 2 * (table->table.n + 1) <= table->table.index_cap)
        return 0;
    while (cap < 2 * (table->table.n + 1))
        cap *= 2;
    index = calloc(cap, sizeof *index);
    if (!index)
        return -ENOMEM;
    free(table->table.index);
    table->table.index = index;
    table->table.index_cap = cap;
    fill_index(table);
    return 0;
}

struct es_entry *es_table_find(const struct es_value *table, const void *key, size_t len)
{
    if (table->table.index) {
        uint32_t at = *slot(table, key, len);

        return at ? &table->table.entries[at - 1] : NULL;
    }
    for (size_t i = 0; i < table->table.n; i++) {
        struct es_entry *entry = &table->table.entries[i];

        if (entry->key.len == len && (len == 0 || memcmp(entry->key.data, key, len) == 0))
            return entry;
    }
    return NULL;
}

struct es_value *es_table_get(const struct es_value *table, const char *key)
{
    struct es_entry *entry = es_table_find(table, key, strlen(key));

    return entry ? &entry->value : NULL;
}

int es_table_add(struct es_value *table, const void *key, size_t len, struct es_entry **ret)
{
    struct es_entry *entry = es_table_find(table, key, len);
    int r;

    if (entry) {
        *ret = entry;
        return -EEXIST;
    }
    r = grow_index(table);
    if (r < 0)
        return r;
    r = grow(&table->table.entries, sizeof *entry, table->table.n, &table->table.cap);
    if (r < 0)
        return r;
    entry = &table->table.entries[table->table.n];
    r = es_buf_set(&entry->key, key, len);
    if (r < 0)
        return r;
    if (table->table.index)
        *slot(table, key, len) = (uint32_t)table->table.n + 1;
    table->table.n++;
    *ret = entry;
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct es_buf *x = &((const struct es_entry *)a)->key;
    const struct es_buf *y = &((const struct es_entry *)b)->key;
    size_t len = x->len < y->len ? x->len : y->len;
    int c = len ? memcmp(x->data, y->data, len) : 0;

    return c ? c : (x->len > y->len) - (x->len < y->len);
}

void es_table_sort(struct es_value *table)
{
    if (table->type == ES_LIST)
        for (size_t i = 0; i < table->list.n; i++)
            es_table_sort(&table->list.items[i]);
    if (table->type != ES_TABLE || table->table.n == 0)
        return;
    qsort(table->table.entries, table->table.n, sizeof *table->table.entries, compare_entries);
    if (table->table.index)
        fill_index(table);
    for (size_t i = 0; i < table->table.n; i++)
        es_table_sort(&table->table.entries[i].value);
}

static int copy_list(struct es_value *to, const struct es_value *from)
{
    for (size_t i = 0; i < from->list.n; i++) {
        struct es_value *item;
        int r = es_list_add(to, &item);

        if (r == 0)
            r = es_value_copy(item, &from->list.items[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_table(struct es_value *to, const struct es_value *from)
{
    for (size_t i = 0; i < from->table.n; i++) {
        const struct es_entry *entry = &from->table.entries[i];
        struct es_entry *added;
        int r = es_table_add(to, entry->key.data, entry->key.len, &added);

        if (r < 0)
            return r;
        added->pos = entry->pos;
        r = es_value_copy(&added->value, &entry->value);
        if (r < 0)
            return r;
    }
    return 0;
}

int es_value_copy(struct es_value *to, const struct es_value *from)
{
    ES_CLEANUP(es_value_done) struct es_value copy = {.type = from->type, .pos = from->pos};
    int r = 0;

    switch (from->type) {
    case ES_STRING:
    case ES_DATETIME:
        r = es_buf_set(&copy.text, from->text.data, from->text.len);
        break;
    case ES_LIST:
        r = copy_list(&copy, from);
        break;
    case ES_TABLE:
        r = copy_table(&copy, from);
        break;
    default:
        copy = *from;
        break;
    }
    if (r == 0)
        es_value_move(to, &copy);
    return r;
}

static size_t depth_below(const struct es_value *value, size_t depth)
{
    bool list = value->type == ES_LIST;
    size_t deepest = depth + 1;

    if (!list && value->type != ES_TABLE)
        return depth;
    if (depth >= ES_MAX_DEPTH)
        return deepest;
    for (size_t i = 0; i < (list ? value->list.n : value->table.n); i++) {
        size_t d =
            depth_below(list ? &value->list.items[i] : &value->table.entries[i].value, depth + 1);

        if (d > deepest)
            deepest = d;
    }
    return deepest;
}

size_t es_value_depth(const struct es_value *value)
{
    return depth_below(value, 0);
}

static bool equal_tables(const struct es_value *a, const struct es_value *b, bool loose)
{
    if (a->table.n != b->table.n)
        return false;
    for (size_t i = 0; i < a->table.n; i++) {
        const struct es_entry *x = &a->table.entries[i];
        const struct es_entry *y = es_table_find(b, x->key.data, x->key.len);

        if (!y || !es_value_equal(&x->value, &y->value, loose))
            return false;
    }
    return true;
}

static bool is_text(const struct es_value *value)
{
    return value->type == ES_STRING || value->type == ES_DATETIME;
}

bool es_value_equal(const struct es_value *a, const struct es_value *b, bool loose)
{
    if (a->type != b->type && !(loose && is_text(a) && is_text(b)))
        return false;
    switch (a->type) {
    case ES_STRING:
    case ES_DATETIME:
        return es_buf_equal(&a->text, &b->text);
    case ES_INTEGER:
        return a->integer == b->integer;
    case ES_FLOAT:
        return memcmp(&a->number, &b->number, sizeof a->number) == 0 ||
               (isnan(a->number) && isnan(b->number));
    case ES_BOOLEAN:
        return a->boolean == b->boolean;
    case ES_LIST:
        if (a->list.n != b->list.n)
            return false;
        for (size_t i = 0; i < a->list.n; i++)
            if (!es_value_equal(&a->list.items[i], &b->list.items[i], loose))
                return false;
        return true;
    case ES_TABLE:
        return equal_tables(a, b, loose);
    }
    return false;
}
