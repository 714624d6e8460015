/* See tree.h. Keys come from outside and were checked for shape; the rules that move them are
 * local. */
#include "tree.h"

#include "envsync/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool es_globs_match(const struct es_globs *globs, const struct es_buf *key)
{
    for (size_t i = 0; i < globs->n; i++)
        if (es_glob_match(globs->items[i], key))
            return true;
    return false;
}

static bool taken(const struct es_globs *includes, const struct es_globs *excludes,
                  const struct es_buf *key)
{
    return (includes->n == 0 || es_globs_match(includes, key)) && !es_globs_match(excludes, key);
}

/* prefix + the part of key behind `from` bytes, into key. */
static int rebase(struct es_buf *key, const struct es_buf *prefix, size_t from)
{
    ES_CLEANUP(es_buf_done) struct es_buf moved = {0};
    int r = es_buf_append(&moved, es_buf_str(prefix), prefix->len);

    if (r == 0)
        r = es_buf_append(&moved, key->data + from, key->len - from);
    if (r == 0)
        es_buf_move(key, &moved);
    return r;
}

/* rename, of several the most specific; then prefix_key. */
static int move_key(const struct es_source *source, struct es_record *record, struct es_err *err)
{
    const struct es_rename *best = NULL;
    int r = 0;

    for (size_t i = 0; i < source->rename.n; i++) {
        const struct es_rename *rename = &source->renames[i];

        if (es_key_below(&record->key, &rename->from) &&
            (!best || rename->from.len > best->from.len))
            best = rename;
    }
    if (best)
        r = rebase(&record->key, &best->to, best->from.len);
    if (r == 0 && source->prefix.len > 0)
        r = rebase(&record->key, &source->prefix, 0);
    if (r < 0)
        return es_nomem(err);
    r = es_record_check(record, err);
    if (r < 0)
        es_context(err, "source %s", source->name);
    return r;
}

static int compare_records(const void *a, const void *b)
{
    const struct es_record *x = *(const struct es_record *const *)a;
    const struct es_record *y = *(const struct es_record *const *)b;
    int c = es_key_compare(&x->key, &y->key);

    if (c == 0)
        c = (x->source > y->source) - (x->source < y->source);
    if (c == 0)
        c = (x->rank > y->rank) - (x->rank < y->rank);
    /* Records lie in one array in the order in which they came. */
    return c ? c : (x > y) - (x < y);
}

static int collide(const struct es_config *config, const struct es_record *a,
                   const struct es_buf *original_a, const struct es_buf *original_b,
                   struct es_err *err)
{
    return es_fail(err, ES_INVALID, EEXIST, "source %s: %s and %s both become %s; rename one",
                   config->sources[a->source].name, es_key_text(original_a).text,
                   es_key_text(original_b).text, es_key_text(&a->key).text);
}

/* rename may move a key onto another one of its source: neither may silently be lost. `originals`
 * is by the record's place among the fetched. */
static int check_renamed(const struct es_tree *tree, const struct es_fetched *fetched,
                         const struct es_buf *originals, struct es_err *err)
{
    for (size_t i = 1; i < tree->n_records; i++) {
        const struct es_record *a = tree->records[i - 1], *b = tree->records[i];
        const struct es_buf *x = &originals[a - fetched->records];
        const struct es_buf *y = &originals[b - fetched->records];

        if (a->source == b->source && es_buf_equal(&a->key, &b->key) && !es_buf_equal(x, y))
            return collide(tree->config, a, x, y, err);
    }
    return 0;
}

static void originals_done(struct es_buf **originals, size_t n)
{
    for (size_t i = 0; *originals && i < n; i++)
        es_buf_done(&(*originals)[i]);
    free(*originals);
}

/* Fills tree->records with those that their source's rules let through. */
static int collect(struct es_tree *tree, struct es_fetched *fetched, struct es_buf *originals,
                   struct es_err *err)
{
    for (size_t i = 0; i < fetched->n; i++) {
        struct es_record *record = &fetched->records[i];
        const struct es_source *source = &tree->config->sources[record->source];
        int r;

        if (!taken(&source->includes, &source->excludes, &record->key))
            continue;
        if (es_buf_set(&originals[i], record->key.data, record->key.len) < 0)
            return es_nomem(err);
        r = move_key(source, record, err);
        if (r < 0)
            return r;
        tree->records[tree->n_records++] = record;
    }
    if (tree->n_records > 1)
        qsort(tree->records, tree->n_records, sizeof *tree->records, compare_records);
    return check_renamed(tree, fetched, originals, err);
}

static void group(struct es_tree *tree)
{
    struct es_leaf *last = NULL;

    for (size_t i = 0; i < tree->n_records; i++) {
        if (!last || !es_buf_equal(last->key, &tree->records[i]->key)) {
            last = &tree->leaves[tree->n++];
            *last = (struct es_leaf){.key = &tree->records[i]->key, .records = &tree->records[i]};
        }
        last->n++;
    }
}

int es_tree_build(const struct es_config *config, struct es_fetched *fetched, struct es_tree *ret,
                  struct es_err *err)
{
    ES_CLEANUP(es_tree_done) struct es_tree tree = {.config = config};
    struct es_buf *originals = calloc(fetched->n + 1, sizeof *originals);
    int r = 0;

    tree.records = calloc(fetched->n + 1, sizeof *tree.records);
    tree.leaves = calloc(fetched->n + 1, sizeof *tree.leaves);
    if (!originals || !tree.records || !tree.leaves)
        r = es_nomem(err);
    if (r == 0)
        r = collect(&tree, fetched, originals, err);
    originals_done(&originals, fetched->n);
    if (r != 0)
        return r;
    group(&tree);
    *ret = tree;
    tree = (struct es_tree){0};
    return 0;
}

void es_tree_done(struct es_tree *tree)
{
    for (size_t i = 0; i < tree->n_texts; i++)
        es_value_done(&tree->texts[i].value);
    free(tree->texts);
    free(tree->records);
    free(tree->leaves);
    *tree = (struct es_tree){0};
}

static int compare_key(const void *key, const void *leaf)
{
    return es_key_compare(key, ((const struct es_leaf *)leaf)->key);
}

const struct es_leaf *es_tree_find(const struct es_tree *tree, const struct es_buf *key)
{
    return tree->n ? bsearch(key, tree->leaves, tree->n, sizeof *tree->leaves, compare_key) : NULL;
}

static bool counts(const struct es_record *record, const bool *wanted)
{
    return !wanted || wanted[record->source];
}

const struct es_record *es_leaf_winner(const struct es_leaf *leaf, const bool *wanted)
{
    for (size_t i = leaf->n; i-- > 0;)
        if (counts(leaf->records[i], wanted))
            return leaf->records[i];
    return NULL;
}

/* A record of the leaf that is (or is not) an empty table, among the wanted; or NULL. */
static const struct es_record *find_shape(const struct es_leaf *leaf, const bool *wanted,
                                          bool table)
{
    for (size_t i = leaf->n; i-- > 0;)
        if (counts(leaf->records[i], wanted) && (leaf->records[i]->value.type == ES_TABLE) == table)
            return leaf->records[i];
    return NULL;
}

int es_origin_format(const struct es_config *config, const struct es_record *record,
                     struct es_buf *out)
{
    int r = es_buf_printf(out, "%s: %s", config->sources[record->source].name,
                          es_buf_str(&record->object));

    if (r == 0 && record->line)
        r = es_buf_printf(out, ":%u", record->line);
    if (r == 0 && record->version.len)
        r = es_buf_printf(out, " (%s)", es_buf_str(&record->version));
    return r;
}

static int mixed(const struct es_tree *tree, const struct es_record *value,
                 const struct es_record *table, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf a = {0}, b = {0};

    if (es_origin_format(tree->config, value, &a) < 0 ||
        es_origin_format(tree->config, table, &b) < 0)
        return es_nomem(err);
    return es_fail(err, ES_INVALID, EEXIST,
                   "%s is a value in source %s and a table in source %s; there rename or exclude "
                   "one",
                   es_key_text(&value->key).text, es_buf_str(&a), es_buf_str(&b));
}

/* Leaves lie in the order of their keys: everything below one follows it directly. */
static int check_below(const struct es_tree *tree, size_t at, const struct es_record *value,
                       const bool *wanted, struct es_err *err)
{
    for (size_t i = at + 1; i < tree->n; i++) {
        const struct es_record *below;

        if (!es_key_below(tree->leaves[i].key, tree->leaves[at].key))
            return 0;
        below = es_leaf_winner(&tree->leaves[i], wanted);
        if (below)
            return mixed(tree, value, below, err);
    }
    return 0;
}

int es_tree_check_shapes(const struct es_tree *tree, const bool *wanted, struct es_err *err)
{
    for (size_t i = 0; i < tree->n; i++) {
        const struct es_record *value = find_shape(&tree->leaves[i], wanted, false);
        const struct es_record *table = find_shape(&tree->leaves[i], wanted, true);
        int r = 0;

        if (!value)
            continue;
        if (table)
            return mixed(tree, value, table, err);
        r = check_below(tree, i, value, wanted, err);
        if (r < 0)
            return r;
    }
    return 0;
}
