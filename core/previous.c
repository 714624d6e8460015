/* See previous.h. */
#include "previous.h"

#include "mirrored.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void records_done(struct es_before *before)
{
    for (size_t i = 0; i < before->n; i++)
        es_record_done(&before->records[i]);
    free(before->records);
    before->records = NULL;
    before->n = 0;
}

static int decode(const struct es_buf *text, uint32_t source, struct es_before *ret)
{
    struct es_cursor in = {.p = text->data, .left = text->len};
    uint32_t n;
    int r = es_get_u32(&in, &n);

    if (r < 0 || n > in.left)
        return -EBADMSG;
    ret->records = calloc((size_t)n + 1, sizeof *ret->records);
    if (!ret->records)
        return -ENOMEM;
    for (; r == 0 && ret->n < n; ret->n++)
        r = es_get_record(&in, &ret->records[ret->n]);
    for (size_t i = 0; r == 0 && i < ret->n; i++)
        ret->records[i].source = source;
    return r == 0 && in.left > 0 ? -EBADMSG : r;
}

/* Records that are lost or damaged are no failure: their source is then fetched anew. */
static int load_records(const struct es_store *store, size_t number, uint32_t source,
                        struct es_before *before)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    enum es_half half = before->kept->on_disk ? ES_HALF_DISK : ES_HALF_RUN;
    struct es_err ignored;
    int r = es_store_read(store, store->current, half, es_source_file(number).text, &text,
                          &before->fetched_ms, &ignored);

    if (r == 0)
        r = decode(&text, source, before);
    if (r < 0) {
        records_done(before);
        before->kept = NULL;
    }
    return r == -ENOMEM ? r : 0;
}

static int load_files(const struct es_config *config, const char *root,
                      const struct es_store *store, size_t number, uint32_t source,
                      struct es_before *before)
{
    ES_CLEANUP(es_mirrored_way_done) struct es_mirrored_way way = ES_MIRRORED_WAY(config, root);
    before->files = calloc(store->set.n_files + 1, sizeof *before->files);
    if (!before->files)
        return -ENOMEM;
    for (size_t i = 0; i < store->set.n_files; i++) {
        const struct es_kept_file *file = &store->set.files[i];
        struct es_err ignored;
        int64_t changed_ms;

        if (file->source != number || file->gone)
            continue;
        if (es_mirrored_holds(&way, source, file, &changed_ms, &ignored) > 0)
            before->files[before->n_files++] =
                (struct es_known_file){.kept = file, .sure = changed_ms <= store->published_ms};
        else
            before->lost = file;
    }
    return 0;
}

static int load_source(const struct es_config *config, const char *root,
                       const struct es_store *store, uint32_t source, struct es_before *before)
{
    for (size_t i = 0; i < store->set.n_sources; i++) {
        const struct es_kept_source *kept = &store->set.sources[i];
        int r;

        if (!kept->given || !es_buf_is(&kept->name, config->sources[source].name))
            continue;
        before->kept = kept;
        r = load_records(store, i, source, before);
        if (r == 0 && before->kept && config->sources[source].mirrors)
            r = load_files(config, root, store, i, source, before);
        return r;
    }
    return 0;
}

int es_previous_load(const struct es_config *config, const char *root, const struct es_store *store,
                     struct es_previous *ret, struct es_err *err)
{
    ES_CLEANUP(es_previous_done) struct es_previous previous = {.n = config->n_sources};
    int r = 0;

    previous.sources = calloc(previous.n + 1, sizeof *previous.sources);
    if (!previous.sources)
        return es_nomem(err);
    for (uint32_t i = 0; r == 0 && store->usable && i < previous.n; i++)
        r = load_source(config, root, store, i, &previous.sources[i]);
    if (r < 0)
        return es_nomem(err);
    *ret = previous;
    previous = (struct es_previous){0};
    return 0;
}

bool es_set_is_of(const struct es_config *config, const struct es_store *store)
{
    ES_CLEANUP(es_buf_done) struct es_buf configured = {0};

    return store->usable && !store->run_lost && es_put_value(&configured, &config->root) == 0 &&
           es_buf_equal(&configured, &store->set.configured);
}

/* Every entry of a, `prune` apart, stands in b with the same value. */
static bool is_within(const struct es_value *a, const struct es_value *b)
{
    for (size_t i = 0; i < a->table.n; i++) {
        const struct es_entry *entry = &a->table.entries[i];
        const struct es_entry *other = es_table_find(b, entry->key.data, entry->key.len);

        if (!es_buf_is(&entry->key, "prune") &&
            (!other || !es_value_equal(&entry->value, &other->value, false)))
            return false;
    }
    return true;
}

bool es_source_is_as(const struct es_source *source, const struct es_kept_source *kept)
{
    ES_CLEANUP(es_value_done) struct es_value old = {0};
    struct es_cursor in = {.p = es_buf_str(&kept->configured), .left = kept->configured.len};

    return es_get_value(&in, &old) == 0 && old.type == ES_TABLE &&
           is_within(&old, &source->where) && is_within(&source->where, &old);
}

void es_previous_done(struct es_previous *previous)
{
    for (size_t i = 0; previous->sources && i < previous->n; i++) {
        records_done(&previous->sources[i]);
        free(previous->sources[i].files);
    }
    free(previous->sources);
    *previous = (struct es_previous){0};
}
