/* What the last set has of a source, taken over: of an object that is as it was, or all of it where
 * the source cannot be reached (see collect.h). The set is root's own; which of it is asked for,
 * the worker says. */
#include "collect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* At most what a value is long in a frame. */
static size_t weight(const struct es_value *value)
{
    size_t n = 2;

    if (value->type == ES_STRING || value->type == ES_DATETIME)
        n += value->text.len;
    for (size_t i = 0; value->type == ES_LIST && i < value->list.n; i++)
        n += weight(&value->list.items[i]);
    for (size_t i = 0; value->type == ES_TABLE && i < value->table.n; i++)
        n += value->table.entries[i].key.len + weight(&value->table.entries[i].value);
    return n;
}

static int copy_record(struct es_collecting *c, const struct es_record *record, uint32_t rank,
                       struct es_err *err)
{
    ES_CLEANUP(es_record_done)
    struct es_record copy = {
        .source = record->source,
        .rank = rank,
        .line = record->line,
        .verbatim = record->verbatim,
    };

    if (es_buf_append(&copy.key, record->key.data, record->key.len) < 0 ||
        es_buf_append(&copy.object, record->object.data, record->object.len) < 0 ||
        es_buf_append(&copy.version, record->version.data, record->version.len) < 0 ||
        es_value_copy(&copy.value, &record->value) < 0)
        return es_nomem(err);
    return es_collect_add(c->fetched, &copy, err);
}

/* Where in the last set's records those of this rank begin: they are in its order. */
static size_t first_of(const struct es_before *before, uint32_t rank)
{
    size_t low = 0, high = before->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (before->records[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The records of an object that has not changed come from the last set. */
static int copy_records(struct es_collecting *c, const struct es_before *before,
                        const struct es_kept_object *kept, uint32_t rank, struct es_err *err)
{
    int r = 0;

    for (size_t i = first_of(before, kept->rank);
         r == 0 && i < before->n && before->records[i].rank == kept->rank; i++) {
        const struct es_record *record = &before->records[i];

        if (!es_buf_equal(&record->object, &kept->name))
            continue;
        /* It may be said again and again. */
        r = es_collect_count(c, record->key.len + weight(&record->value), err);
        if (r == 0)
            r = copy_record(c, record, rank, err);
    }
    return r;
}

/* The object of the last set that this one still is, or NULL. They are kept in the order of their
 * names. */
static const struct es_kept_object *find_same(const struct es_kept_source *kept,
                                              const struct es_kept_object *object)
{
    size_t low = 0, high = kept->n_objects;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (es_key_compare(&kept->objects[middle].name, &object->name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < kept->n_objects && es_buf_equal(&kept->objects[low].name, &object->name); low++)
        if (es_buf_equal(&kept->objects[low].version, &object->version))
            return &kept->objects[low];
    return NULL;
}

/* What is known of a source: only for the very same address. */
const struct es_before *es_collect_known(const struct es_collecting *c, uint32_t source)
{
    const struct es_before *before = c->plan->previous && c->plan->previous->sources
                                         ? &c->plan->previous->sources[source]
                                         : NULL;

    return before && before->kept &&
                   es_buf_equal(&before->kept->address, &c->fetched->sources[source].address)
               ? before
               : NULL;
}

int es_collect_same(struct es_collecting *c, uint32_t source, const struct es_kept_object *object,
                    struct es_err *err)
{
    const struct es_before *before = es_collect_known(c, source);
    const struct es_kept_object *kept = before ? find_same(before->kept, object) : NULL;
    int r;

    if (!kept)
        return 0;
    r = copy_records(c, before, kept, object->rank, err);
    return r < 0 ? r : 1;
}

static int copy_object(struct es_kept_object *to, const struct es_kept_object *from)
{
    int r = es_buf_append(&to->name, from->name.data, from->name.len);

    if (r == 0)
        r = es_buf_append(&to->version, from->version.data, from->version.len);
    to->size = from->size;
    to->modified_ms = from->modified_ms;
    to->rank = from->rank;
    return r;
}

int es_collect_before(struct es_collecting *c, uint32_t number, const struct es_before *before,
                      struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < before->n; i++)
        r = copy_record(c, &before->records[i], before->records[i].rank, err);
    for (size_t i = 0; r == 0 && i < before->kept->n_objects; i++) {
        struct es_kept_object *object = es_kept_source_add(&c->fetched->sources[number]);

        if (!object || copy_object(object, &before->kept->objects[i]) < 0)
            r = es_nomem(err);
    }
    for (size_t i = 0; r == 0 && i < before->n_files; i++) {
        ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {0};

        if (copy_object(&object, &before->files[i].kept->object) < 0)
            return es_nomem(err);
        r = es_mirror_same(&c->fetched->mirror, before->files[i].kept, number, &object, err);
    }
    return r;
}

/* Why what the last set has of a source may not stand in for it; false where it may. */
static bool is_no_last_good(const struct es_collecting *c, uint32_t number, char why[ES_ERR_MAX])
{
    const struct es_before *before = c->plan->previous && c->plan->previous->sources
                                         ? &c->plan->previous->sources[number]
                                         : NULL;

    why[0] = '\0';
    if (!before || !before->kept)
        snprintf(why, ES_ERR_MAX, "%s",
                 before && before->damaged ? "its last good values are damaged"
                                           : "no last good values of it are kept");
    else if (!es_collect_known(c, number))
        snprintf(why, ES_ERR_MAX, "its last good values are of another address");
    /* Of these no second copy is kept: without one of them the set would be a mixed one. */
    else if (before->lost)
        snprintf(why, ES_ERR_MAX, "its last good values are not used: %s is not as it was mirrored",
                 es_buf_str(&before->lost->path));
    else if (es_before_ripeness(c->config, before) == ES_AGE_OF_THE_FUTURE)
        snprintf(why, ES_ERR_MAX, "its last good values have a time in the future");
    else if (es_before_ripeness(c->config, before) == ES_AGE_TOO_OLD)
        snprintf(why, ES_ERR_MAX, "its last good values are %s old, over max_age",
                 es_age_of(before->fetched_ms).text);
    return why[0] != '\0';
}

int es_collect_last_good(struct es_collecting *c, uint32_t number, struct es_err *why)
{
    const struct es_before *before = es_collect_known(c, number);
    char reason[ES_ERR_MAX];
    int r;

    if (is_no_last_good(c, number, reason)) {
        es_advise(why, reason);
        return 0;
    }
    r = es_collect_before(c, number, before, why);
    if (r < 0)
        return r;
    c->fetched->fetched_ms[number] = before->fetched_ms;
    c->fetched->sources[number].given = true;
    return 1;
}
