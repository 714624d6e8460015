/* See previous.h. */
#include "previous.h"

#include "fetch.h"
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
    for (size_t i = 0; r == 0 && i < ret->n; i++) {
        if (i > 0 && ret->records[i].rank < ret->records[i - 1].rank)
            r = -EBADMSG; /* those of an object are looked for by its rank */
        ret->records[i].source = source;
    }
    return r == 0 && in.left > 0 ? -EBADMSG : r;
}

static int read_records(const struct es_store *store, size_t number, uint32_t source,
                        struct es_before *before, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const char *name = es_source_file(number).text;
    int r = es_store_read(store, store->current, es_half_of(before->kept->on_disk), name, &text,
                          &before->fetched_ms, err);

    if (r < 0)
        return r;
    r = decode(&text, source, before);
    if (r == -ENOMEM)
        return es_nomem(err);
    return r < 0 ? es_fail(err, ES_OUTPUT, EBADMSG, "state: %s/%s is damaged", store->current, name)
                 : 0;
}

/* Records that are lost or damaged are no failure: their source is then fetched anew. */
static int load_records(const struct es_store *store, size_t number, uint32_t source,
                        struct es_before *before, struct es_report *report)
{
    struct es_err why;
    int r = read_records(store, number, source, before, &why);

    if (r == 0 || r == -ENOMEM)
        return r;
    before->damaged = r != -ENOENT || before->kept->on_disk || !store->run_lost;
    if (before->damaged)
        es_report_add(report, ES_LEVEL_WARNING,
                      "%s; what the last set has of source %s is not used", why.msg,
                      es_buf_str(&before->kept->name));
    records_done(before);
    before->kept = NULL;
    return 0;
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
                       const struct es_store *store, uint32_t source, struct es_before *before,
                       struct es_report *report)
{
    for (size_t i = 0; i < store->set.n_sources; i++) {
        const struct es_kept_source *kept = &store->set.sources[i];
        int r;

        if (!kept->given || !es_buf_is(&kept->name, config->sources[source].name))
            continue;
        before->kept = kept;
        r = load_records(store, i, source, before, report);
        if (r == 0 && before->kept && config->sources[source].mirrors)
            r = load_files(config, root, store, i, source, before);
        return r;
    }
    return 0;
}

int es_previous_load(const struct es_config *config, const char *root, const struct es_store *store,
                     struct es_previous *ret, struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_previous_done) struct es_previous previous = {.n = config->n_sources};
    int r = 0;

    previous.sources = calloc(previous.n + 1, sizeof *previous.sources);
    if (!previous.sources)
        return es_nomem(err);
    for (uint32_t i = 0; r == 0 && store->usable && i < previous.n; i++)
        r = load_source(config, root, store, i, &previous.sources[i], report);
    if (r < 0)
        return es_nomem(err);
    *ret = previous;
    previous = (struct es_previous){0};
    return 0;
}

bool es_previous_is_whole(const struct es_previous *previous)
{
    for (size_t i = 0; i < previous->n; i++)
        if (previous->sources[i].damaged)
            return false;
    return true;
}

enum es_ripeness es_before_ripeness(const struct es_config *config, const struct es_before *before)
{
    int64_t age = es_now_ms() - before->fetched_ms;

    return age < 0                           ? ES_AGE_OF_THE_FUTURE
           : age > config->last_good.max_age ? ES_AGE_TOO_OLD
                                             : ES_AGE_COUNTS;
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

int es_source_is_as(const struct es_source *source, const struct es_kept_source *kept)
{
    ES_CLEANUP(es_value_done) struct es_value old = {0};
    struct es_cursor in = {.p = es_buf_str(&kept->configured), .left = kept->configured.len};
    int r = es_get_value(&in, &old);

    if (r == -ENOMEM)
        return r;
    return r == 0 && old.type == ES_TABLE && is_within(&old, &source->where) &&
           is_within(&source->where, &old);
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
