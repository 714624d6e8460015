/* See select.h. Values and keys come from outside; every rule here fails closed and names the key
 * and its source, never the value. */
#include "select.h"

#include "cast.h"
#include "envsync/limits.h"
#include "names.h"
#include "texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct selecting {
    const struct es_tree *tree;
    const struct es_output *output;
    struct es_selection *selection;
    struct es_report *report;
};

static int refuse(const struct selecting *s, const struct es_record *record, struct es_err *err,
                  const char *why)
{
    ES_CLEANUP(es_buf_done) struct es_buf origin = {0};

    if (es_origin_format(s->tree->config, record, &origin) < 0)
        return es_nomem(err);
    return es_fail(err, ES_INVALID, EINVAL, "%s, from source %s: %s",
                   es_key_text(&record->key).text, es_buf_str(&origin), why);
}

static int name_item(const struct selecting *s, struct es_item *item, struct es_err *err)
{
    const struct es_record *record = item->record;
    int r;

    switch (s->output->format->shape) {
    case ES_SHAPE_FLAT:
        r = es_name_of_key(&record->key, record->verbatim, s->output->keep_case, &item->name);
        if (r == -EINVAL)
            return refuse(s, record, err, "makes no valid variable name; rename it");
        break;
    case ES_SHAPE_NAMED:
        r = es_buf_set(&item->name, record->object.data, record->object.len);
        break;
    default:
        r = es_key_format(&record->key, &item->name);
        break;
    }
    return r < 0 ? es_nomem(err) : 0;
}

static bool allowed(const struct es_output *output, const char *name)
{
    for (size_t i = 0; i < output->allow.n; i++)
        if (strcmp(output->allow.items[i], name) == 0)
            return true;
    return false;
}

/* Everything but the nested formats has only strings. */
static int to_text(const struct selecting *s, struct es_item *item, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = es_value_text(&item->value, &text);

    if (r == -EDOM)
        return refuse(s, item->record, err, "JSON text cannot carry this list or table");
    if (r == 0)
        r = es_value_set_string(&item->value, es_buf_str(&text), text.len);
    return r < 0 ? es_nomem(err) : 0;
}

static enum es_cast cast_of(const struct es_output *output, const struct es_buf *key)
{
    for (size_t i = 0; i < output->types.n; i++)
        if (es_buf_equal(&output->casts[i].key, key))
            return output->casts[i].cast;
    return ES_CAST_NONE;
}

static int check_item(const struct selecting *s, const struct es_item *item, struct es_err *err)
{
    bool flat = s->output->format->shape == ES_SHAPE_FLAT;
    const char *why = flat ? es_name_refused(item->name.data) : NULL;

    if (why && !allowed(s->output, item->name.data)) {
        char text[256];

        snprintf(text, sizeof text,
                 "%.64s %s and is refused; rename or exclude it, or list it in allow",
                 item->name.data, why);
        return refuse(s, item->record, err, text);
    }
    why = s->output->format->accepts
              ? s->output->format->accepts(flat ? item->name.data : NULL, &item->value)
              : NULL;
    return why ? refuse(s, item->record, err, why) : 0;
}

static int convert(const struct selecting *s, struct es_item *item, const char **ret_why)
{
    const struct es_record *record = item->record;
    enum es_cast cast = cast_of(s->output, item->leaf->key);
    const struct es_text *text = cast == ES_CAST_JSON ? es_texts_find(s->tree, record) : NULL;
    int r;

    if (text && text->state == ES_TEXT_READ)
        return es_value_copy(&item->value, &text->value);
    r = es_value_copy(&item->value, &record->value);
    return r < 0 ? r : es_cast(&item->value, cast, ret_why);
}

/* Makes an item of the leaf's winner; leaves it out (0 and no item) where it has none here. */
static int add_item(const struct selecting *s, const struct es_leaf *leaf, struct es_err *err)
{
    const struct es_record *record = es_leaf_winner(leaf, s->output->sources);
    bool nested = s->output->format->shape == ES_SHAPE_NESTED;
    struct es_item *item = &s->selection->items[s->selection->n];
    const char *why = NULL;
    int r;

    /* An empty table has no place where tables are names. */
    if (!record || (record->value.type == ES_TABLE && !nested))
        return 0;
    *item = (struct es_item){.leaf = leaf, .record = record};
    s->selection->n++;
    r = convert(s, item, &why);
    if (r == -EINVAL)
        return refuse(s, record, err, why);
    if (r < 0)
        return es_nomem(err);
    if (nested && es_key_depth(leaf->key) + es_value_depth(&item->value) > ES_MAX_DEPTH)
        return refuse(s, record, err, "with its key it would be nested deeper than 32");
    r = name_item(s, item, err);
    if (r == 0 && !nested)
        r = to_text(s, item, err);
    return r;
}

static bool chosen(const struct es_output *output, const struct es_buf *key)
{
    if (output->format->shape == ES_SHAPE_SINGLE)
        return es_buf_equal(key, &output->key);
    return (output->includes.n == 0 || es_globs_match(&output->includes, key)) &&
           !es_globs_match(&output->excludes, key);
}

static int compare_names(const struct es_buf *a, const struct es_buf *b)
{
    return es_key_compare(a, b); /* bytewise */
}

static int compare_items(const void *a, const void *b)
{
    const struct es_item *x = a, *y = b;
    int c = compare_names(&x->name, &y->name);

    return c ? c
             : (x->record->source > y->record->source) - (x->record->source < y->record->source);
}

static void item_done(struct es_item *item)
{
    es_value_done(&item->value);
    es_buf_done(&item->name);
}

/* Two keys that become one name: of different sources the later one wins, of one it is an error. */
static int resolve_names(const struct selecting *s, struct es_err *err)
{
    struct es_selection *sel = s->selection;
    size_t kept = 0;

    if (sel->n > 1)
        qsort(sel->items, sel->n, sizeof *sel->items, compare_items);
    for (size_t i = 0; i < sel->n; i++) {
        struct es_item *item = &sel->items[i], *last = kept ? &sel->items[kept - 1] : NULL;

        if (last && compare_names(&last->name, &item->name) == 0) {
            if (last->record->source == item->record->source)
                return es_fail(
                    err, ES_INVALID, EEXIST, "%s and %s of source %s both become %s; rename one",
                    es_key_text(&last->record->key).text, es_key_text(&item->record->key).text,
                    s->tree->config->sources[item->record->source].name, item->name.data);
            item_done(last);
            kept--;
        }
        if (kept != i) {
            sel->items[kept] = *item;
            *item = (struct es_item){0};
        }
        kept++;
    }
    sel->n = kept;
    return 0;
}

static int find_name(const void *name, const void *item)
{
    return compare_names(name, &((const struct es_item *)item)->name);
}

const struct es_item *es_selection_find(const struct es_selection *selection, const char *name,
                                        size_t len)
{
    const struct es_buf key = {.data = (char *)name, .len = len};

    return selection->n
               ? bsearch(&key, selection->items, selection->n, sizeof *selection->items, find_name)
               : NULL;
}

/* A required key of a nested format may also be a table: then something must lie below it. */
static bool has_required_key(const struct es_selection *selection, const struct es_buf *key)
{
    bool found = false;

    for (size_t i = 0; i < selection->n; i++) {
        const struct es_item *item = &selection->items[i];

        if (es_buf_equal(&item->record->key, key))
            return !(item->value.type == ES_STRING && item->value.text.len == 0);
        found = found || es_key_below(&item->record->key, key);
    }
    return found;
}

/* 1, 0, or -ENOMEM. */
static int has_required(const struct selecting *s, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_err ignored;
    int r;

    if (s->output->format->shape != ES_SHAPE_NESTED) {
        const struct es_item *item = es_selection_find(s->selection, text, strlen(text));

        return item && item->value.text.len > 0;
    }
    r = es_key_parse(text, &key, &ignored);
    return r == -ENOMEM ? r : r == 0 && has_required_key(s->selection, &key);
}

static int check_required(const struct selecting *s, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf missing = {0};
    size_t n = 0;

    for (size_t i = 0; i < s->output->require.n; i++) {
        const char *name = s->output->require.items[i];
        int r = has_required(s, name);

        if (r == 0)
            r = es_buf_printf(&missing, "%s%s", n++ ? ", " : "", name);
        if (r < 0)
            return es_nomem(err);
    }
    if (n == 0)
        return 0;
    return es_fail(err, ES_INVALID, ENOENT, "required, but missing or empty: %s",
                   es_buf_str(&missing));
}

static void warn_unused_casts(const struct selecting *s)
{
    for (size_t i = 0; i < s->output->types.n; i++) {
        bool used = false;

        for (size_t j = 0; !used && j < s->selection->n; j++)
            used = es_buf_equal(&s->selection->items[j].record->key, &s->output->casts[i].key);
        if (!used)
            es_report_add(s->report, ES_LEVEL_WARNING,
                          "output %s: types names %s, which is not in it", s->output->path,
                          s->output->types.items[i].key);
    }
}

static int check_total(const struct selecting *s, struct es_err *err)
{
    size_t total = 0;

    if (s->output->format->shape != ES_SHAPE_FLAT)
        return 0;
    for (size_t i = 0; i < s->selection->n; i++)
        total += s->selection->items[i].name.len + s->selection->items[i].value.text.len + 2;
    if (total > ES_MAX_ENV_TOTAL)
        return es_fail(err, ES_INVALID, E2BIG,
                       "all variables together have %zu bytes; a process starts with at most %d",
                       total, ES_MAX_ENV_TOTAL);
    return 0;
}

static int select_items(const struct selecting *s, struct es_err *err)
{
    const struct es_tree *tree = s->tree;
    int r = s->output->format->shape == ES_SHAPE_NAMED
                ? 0
                : es_tree_check_shapes(tree, s->output->sources, err);

    for (size_t i = 0; r == 0 && i < tree->n; i++)
        if (chosen(s->output, tree->leaves[i].key))
            r = add_item(s, &tree->leaves[i], err);
    if (r == 0)
        r = resolve_names(s, err);
    for (size_t i = 0; r == 0 && i < s->selection->n; i++)
        r = check_item(s, &s->selection->items[i], err);
    if (r == 0 && s->output->format->shape == ES_SHAPE_SINGLE && s->selection->n == 0)
        r = es_fail(err, ES_INVALID, ENOENT, "no source gives the key %s", s->output->key_text);
    if (r == 0)
        r = check_required(s, err);
    return r == 0 ? check_total(s, err) : r;
}

int es_select(const struct es_tree *tree, const struct es_output *output, struct es_selection *ret,
              struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_selection_done) struct es_selection selection = {0};
    const struct selecting s = {
        .tree = tree, .output = output, .selection = &selection, .report = report};
    int r;

    selection.items = calloc(tree->n + 1, sizeof *selection.items);
    if (!selection.items)
        return es_nomem(err);
    r = select_items(&s, err);
    if (r < 0) {
        if (output->path && r != -ENOMEM)
            es_context(err, "output %s", output->path);
        return r;
    }
    warn_unused_casts(&s);
    *ret = selection;
    selection = (struct es_selection){0};
    return 0;
}

void es_selection_done(struct es_selection *selection)
{
    for (size_t i = 0; i < selection->n; i++)
        item_done(&selection->items[i]);
    free(selection->items);
    *selection = (struct es_selection){0};
}

/* The table in which a nested key lies, made on the way; ret_last is its last segment. */
static int descend(struct es_value *table, const struct es_buf *key, struct es_value **ret_table,
                   struct es_segment *ret_last)
{
    struct es_segment segment;
    size_t offset = 0;

    es_key_next(key, &offset, &segment);
    while (offset < key->len) {
        struct es_entry *entry;
        int r = es_table_add(table, segment.data, segment.len, &entry);

        /* es_tree_check_shapes() has made sure that what is there is a table. */
        if (r == 0)
            es_value_set_table(&entry->value);
        else if (r != -EEXIST || entry->value.type != ES_TABLE)
            return r;
        table = &entry->value;
        es_key_next(key, &offset, &segment);
    }
    *ret_table = table;
    *ret_last = segment;
    return 0;
}

static int add_nested(struct es_value *root, const struct es_item *item)
{
    struct es_value *table;
    struct es_segment last;
    struct es_entry *entry;
    int r = descend(root, &item->record->key, &table, &last);

    /* Items are in the order of their names: an empty table comes before what others put in it. */
    if (r == 0)
        r = es_table_add(table, last.data, last.len, &entry);
    return r == 0 ? es_value_copy(&entry->value, &item->value) : r;
}

static int add_flat(struct es_value *root, const struct es_item *item)
{
    struct es_entry *entry;
    int r = es_table_add(root, item->name.data, item->name.len, &entry);

    return r < 0 ? r : es_value_copy(&entry->value, &item->value);
}

static int add_named(struct es_value *root, const struct es_item *item)
{
    struct es_entry *name, *value;
    struct es_value *table;
    int r = es_list_add(root, &table);

    if (r < 0)
        return r;
    es_value_set_table(table);
    r = es_table_add(table, "Name", 4, &name);
    if (r == 0)
        r = es_value_set_string(&name->value, es_buf_str(&item->name), item->name.len);
    if (r == 0)
        r = es_table_add(table, "Value", 5, &value);
    return r == 0 ? es_value_copy(&value->value, &item->value) : r;
}

static int add_to(struct es_value *root, const struct es_item *item, enum es_shape shape)
{
    switch (shape) {
    case ES_SHAPE_FLAT:
        return add_flat(root, item);
    case ES_SHAPE_NAMED:
        return add_named(root, item);
    case ES_SHAPE_NESTED:
        return add_nested(root, item);
    case ES_SHAPE_SINGLE:
        break;
    }
    return es_value_copy(root, &item->value);
}

int es_selection_render(const struct es_selection *selection, const struct es_output *output,
                        struct es_buf *out, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    enum es_shape shape = output->format->shape;
    int r = 0;

    if (shape == ES_SHAPE_NAMED)
        es_value_set_list(&root);
    else if (shape != ES_SHAPE_SINGLE)
        es_value_set_table(&root);
    for (size_t i = 0; r == 0 && i < selection->n; i++)
        r = add_to(&root, &selection->items[i], shape);
    if (r < 0)
        return es_nomem(err);
    if (shape == ES_SHAPE_NESTED)
        es_table_sort(&root);
    r = es_format_render(output->format, &root, out, err);
    if (r < 0)
        es_context(err, "output %s", output->path ? output->path : "environment");
    return r;
}
