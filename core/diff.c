/* Which keys of an output differ from the file that is there (see set.h). Values are compared,
 * never kept or told. The file is parsed only where nobody but root or the caller can have written
 * it: what the app or a stranger wrote is compared by its bytes alone. */
#include "set.h"

#include "envsync/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OLD = 2 * ES_MAX_TOTAL };

static int add_change(struct es_piece *piece, char marker, const char *name, const char *source)
{
    size_t n = piece->n_changes;
    char *copy;

    /* There is room up to the next power of two. */
    if ((n & (n - 1)) == 0) {
        struct es_change *changes = reallocarray(piece->changes, n ? 2 * n : 1, sizeof *changes);

        if (!changes)
            return -ENOMEM;
        piece->changes = changes;
    }
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    piece->changes[piece->n_changes++] =
        (struct es_change){.marker = marker, .name = copy, .source = source};
    return 0;
}

/* The value that the old document has in an item's place, or NULL. */
static const struct es_value *find_nested(const struct es_value *table, const struct es_buf *key)
{
    struct es_segment segment;
    size_t offset = 0;

    while (table && es_key_next(key, &offset, &segment)) {
        const struct es_entry *entry =
            table->type == ES_TABLE ? es_table_find(table, segment.data, segment.len) : NULL;

        table = entry ? &entry->value : NULL;
    }
    return table;
}

static const struct es_value *find_old(const struct es_piece *piece, const struct es_value *old,
                                       const struct es_item *item)
{
    const struct es_entry *entry;

    if (piece->output->format->shape == ES_SHAPE_NESTED)
        return find_nested(old, &item->record->key);
    entry = old->type == ES_TABLE ? es_table_find(old, item->name.data, item->name.len) : NULL;
    return entry ? &entry->value : NULL;
}

static int removed(struct es_piece *piece, const char *name, size_t len)
{
    return es_selection_find(&piece->selection, name, len) ? 0 : add_change(piece, '-', name, NULL);
}

/* Leaves of the old document that the new one has not. */
static int find_removed(struct es_piece *piece, const struct es_value *table, struct es_buf *key)
{
    bool nested = piece->output->format->shape == ES_SHAPE_NESTED;
    int r = 0;

    for (size_t i = 0; r == 0 && i < table->table.n; i++) {
        const struct es_entry *entry = &table->table.entries[i];
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        size_t len = key->len;

        if (!nested) {
            r = removed(piece, es_buf_str(&entry->key), entry->key.len);
            continue;
        }
        r = es_key_push(key, entry->key.data, entry->key.len);
        if (r == 0 && entry->value.type == ES_TABLE && entry->value.table.n > 0)
            r = find_removed(piece, &entry->value, key);
        else if (r == 0 && (r = es_key_format(key, &text)) == 0)
            r = removed(piece, es_buf_str(&text), text.len);
        if (r == -EINVAL) /* a NUL in a key: none of ours */
            r = 0;
        key->len = len;
    }
    return r;
}

/* The list of {"Name": ..., "Value": ...} that a reader has given, as a table: to look for each of
 * many names in a list takes the square of their number. Of two with one name the first counts. */
static int index_names(struct es_value *document)
{
    ES_CLEANUP(es_value_done) struct es_value list = {0};
    int r = 0;

    es_value_move(&list, document);
    es_value_set_table(document);
    for (size_t i = 0; r == 0 && list.type == ES_LIST && i < list.list.n; i++) {
        const struct es_value *item = &list.list.items[i];
        const struct es_buf *name = &es_table_get(item, "Name")->text;
        struct es_entry *entry;

        r = es_table_add(document, es_buf_str(name), name->len, &entry);
        if (r == 0)
            es_value_move(&entry->value, es_table_get(item, "Value"));
        else if (r == -EEXIST)
            r = 0;
    }
    return r;
}

static int compare_documents(struct es_piece *piece, const struct es_value *old,
                             const struct es_config *config)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < piece->selection.n; i++) {
        const struct es_item *item = &piece->selection.items[i];
        const struct es_value *there = find_old(piece, old, item);
        char marker = !there ? '+' : es_value_equal(there, &item->value, true) ? ' ' : '~';

        if (marker != ' ')
            r = add_change(piece, marker, es_buf_str(&item->name),
                           config->sources[item->record->source].name);
    }
    if (r == 0 && old->type == ES_TABLE)
        r = find_removed(piece, old, &key);
    return r;
}

static bool only_ours(const struct es_target *target)
{
    return (target->st.st_uid == 0 || target->st.st_uid == geteuid()) &&
           (target->st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && target->st.st_nlink == 1;
}

/* An empty table where there is no file, or none that can be read as this format. */
static int read_old(struct es_piece *piece, struct es_value *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const struct es_format *format = piece->output->format;
    struct es_err ignored;
    int r;

    es_value_set_table(ret);
    if (piece->target.old < 0 || !format->read)
        return 0;
    piece->unreadable = true;
    if (!only_ours(&piece->target))
        return 0;
    r = es_buf_read_fd(&text, piece->target.old, MAX_OLD);
    if (r == 0)
        r = format->read(es_buf_str(&text), text.len, ret, &ignored);
    if (r == -ENOMEM)
        return r;
    piece->unreadable = r < 0;
    return format->shape == ES_SHAPE_NAMED ? index_names(ret) : 0;
}

static int diff_piece(struct es_piece *piece, const struct es_config *config)
{
    ES_CLEANUP(es_value_done) struct es_value old = {0};
    int r = read_old(piece, &old);

    if (r == 0 && piece->output->format->shape == ES_SHAPE_SINGLE)
        return add_change(piece, piece->target.old < 0 ? '+' : '~',
                          es_buf_str(&piece->selection.items[0].name),
                          config->sources[piece->selection.items[0].record->source].name);
    return r < 0 ? r : compare_documents(piece, &old, config);
}

int es_set_diff(struct es_set *set, const struct es_config *config, struct es_err *err)
{
    for (size_t i = 0; i < set->n; i++) {
        struct es_piece *piece = &set->pieces[i];
        bool differs =
            piece->target.state == ES_TARGET_CREATE || piece->target.state == ES_TARGET_UPDATE;

        if (!piece->kept && differs && diff_piece(piece, config) < 0)
            return es_nomem(err);
    }
    return 0;
}
