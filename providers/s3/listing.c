/* See listing.h. Keys are hostile: who can write the bucket chooses them. They are compared
 * bytewise, never normalised, and become paths only after es_mirror_path_check(). */
#include "listing.h"

#include "envsync/format.h"
#include "envsync/limits.h"
#include "glob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void es_s3_object_done(struct es_s3_object *object)
{
    es_buf_done(&object->key);
    es_buf_done(&object->etag);
    es_buf_done(&object->text);
}

void es_s3_listing_done(struct es_s3_listing *listing)
{
    for (size_t i = 0; i < listing->n; i++)
        es_s3_object_done(&listing->objects[i]);
    free(listing->objects);
    *listing = (struct es_s3_listing){0};
}

int es_s3_prefix(const struct es_s3_options *options, struct es_buf *ret, struct es_err *err)
{
    const char *prefix = options->prefix ? options->prefix : "";
    size_t len = strlen(prefix);

    if (es_buf_set(ret, prefix, len) < 0 ||
        (len > 0 && prefix[len - 1] != '/' && es_buf_putc(ret, '/') < 0))
        return es_nomem(err);
    return 0;
}

/* "abc" in quotes, as listings have it, is abc. */
static int set_etag(struct es_buf *ret, const char *etag)
{
    size_t len = strlen(etag);

    if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"')
        return es_buf_set(ret, etag + 1, len - 2);
    return es_buf_set(ret, etag, len);
}

static struct es_s3_object *grow(struct es_s3_listing *listing)
{
    if (listing->n == listing->cap) {
        size_t cap = listing->cap ? 2 * listing->cap : 64;
        struct es_s3_object *objects = reallocarray(listing->objects, cap, sizeof *objects);

        if (!objects)
            return NULL;
        listing->objects = objects;
        listing->cap = cap;
    }
    return &listing->objects[listing->n];
}

static int add(struct es_s3_listing *listing, const struct es_s3_entry *entry, unsigned uses,
               struct es_err *err)
{
    struct es_s3_object *object = grow(listing);

    if (!object)
        return es_nomem(err);
    *object =
        (struct es_s3_object){.size = entry->size, .modified_ms = entry->modified_ms, .uses = uses};
    listing->n++;
    if (es_buf_set(&object->key, entry->key, entry->key_len) < 0 ||
        set_etag(&object->etag, entry->etag) < 0)
        return es_nomem(err);
    if (listing->n > ES_S3_MAX_OBJECTS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d objects are to be taken",
                       ES_S3_MAX_OBJECTS);
    return 0;
}

static int pass_over(struct es_s3_listing *listing, const char *path, size_t len,
                     struct es_sink *sink, struct es_err *err)
{
    struct es_err why;

    listing->passed_over++;
    if (es_mirror_path_check(path, len, &why) < 0)
        return es_sink_note(sink, err, "passed over an object: %s", why.msg);
    if (listing->passed_over > ES_S3_MAX_TOLD)
        return 0;
    return es_sink_detail(sink, err, "passed over %.*s: neither merge nor mirror takes it",
                          (int)len, path);
}

static int check_merged(const struct es_s3_entry *entry, const char *path, struct es_err *err)
{
    const struct es_format *format = es_format_by_path(path);

    if (!format || !format->source || !format->read)
        return es_fail(err, ES_INVALID, EINVAL,
                       "%s: merge takes it, but its name ends in none of .env, .toml and .json; "
                       "mirror it instead",
                       entry->key);
    if (entry->size > ES_MAX_DOCUMENT)
        return es_fail(err, ES_INVALID, EFBIG, "%s is larger than %d MiB, too large to be merged",
                       entry->key, ES_MAX_DOCUMENT >> 20);
    return 0;
}

int es_s3_listing_add(struct es_s3_listing *listing, const struct es_s3_options *options,
                      const struct es_buf *prefix, const struct es_s3_entry *entry,
                      struct es_sink *sink, struct es_err *err)
{
    const char *path = entry->key + prefix->len;
    size_t len = entry->key_len - prefix->len;
    unsigned uses = 0;
    int r = 0;

    if (entry->key_len < prefix->len || memcmp(entry->key, es_buf_str(prefix), prefix->len) != 0)
        return es_fail(err, ES_INVALID, EBADMSG,
                       "the listing has a key that is not below the prefix asked for");
    /* What consoles make to show a folder. */
    if (entry->size == 0 && (len == 0 || path[len - 1] == '/'))
        return 0;
    listing->seen++;
    if (es_s3_globs_match(&options->merge, path, len))
        uses |= ES_OBJECT_MERGED;
    if (es_s3_globs_match(&options->mirror, path, len))
        uses |= ES_OBJECT_MIRRORED;
    if (!uses)
        return pass_over(listing, path, len, sink, err);
    r = es_mirror_path_check(path, len, err);
    if (r == 0 && uses & ES_OBJECT_MERGED)
        r = check_merged(entry, path, err);
    return r == 0 ? add(listing, entry, uses, err) : r;
}

static int compare_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    int c = len ? memcmp(a, b, len) : 0;

    return c ? c : (a_len > b_len) - (a_len < b_len);
}

static int compare_objects(const void *a, const void *b)
{
    const struct es_s3_object *x = a, *y = b;

    return compare_bytes(es_buf_str(&x->key), x->key.len, es_buf_str(&y->key), y->key.len);
}

struct es_s3_object *es_s3_listing_find(const struct es_s3_listing *listing, const char *key,
                                        size_t len)
{
    size_t low = 0, high = listing->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct es_s3_object *object = &listing->objects[middle];
        int c = compare_bytes(key, len, es_buf_str(&object->key), object->key.len);

        if (c == 0)
            return object;
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* An object "a" beside "a/b": on disk one name cannot be a file and a directory. */
static int check_collisions(const struct es_s3_listing *listing, const struct es_s3_object *object,
                            size_t prefix_len, struct es_err *err)
{
    const char *key = object->key.data, *slash = key + prefix_len;

    while ((slash = strchr(slash, '/'))) {
        const struct es_s3_object *above = es_s3_listing_find(listing, key, (size_t)(slash - key));

        if (above && above->uses & ES_OBJECT_MIRRORED)
            return es_fail(err, ES_INVALID, EEXIST,
                           "%s and %s are both to be mirrored, and cannot be a file and a "
                           "directory of one name",
                           above->key.data, key);
        slash++;
    }
    return 0;
}

int es_s3_listing_seal(struct es_s3_listing *listing, const struct es_s3_options *options,
                       const struct es_buf *prefix, struct es_err *err)
{
    int64_t merged = 0;
    int r = 0;

    if (listing->seen == 0)
        return es_fail(err, ES_ABSENT, ENOENT, "bucket %s has no objects below \"%s\"%s",
                       options->bucket, es_buf_str(prefix),
                       options->files.prune ? "; nothing is pruned" : "");
    if (listing->n > 1)
        qsort(listing->objects, listing->n, sizeof *listing->objects, compare_objects);
    for (size_t i = 0; r == 0 && i < listing->n; i++) {
        const struct es_s3_object *object = &listing->objects[i];

        if (i > 0 && compare_objects(object - 1, object) == 0)
            r = es_fail(err, ES_INVALID, EBADMSG, "the listing has %s twice", object->key.data);
        else if (object->uses & ES_OBJECT_MIRRORED)
            r = check_collisions(listing, object, prefix->len, err);
        if (object->uses & ES_OBJECT_MERGED)
            merged += object->size;
    }
    if (r == 0 && merged > ES_MAX_TOTAL)
        r = es_fail(err, ES_INVALID, EFBIG, "the objects to be merged have more than %d MiB",
                    ES_MAX_TOTAL >> 20);
    return r;
}
