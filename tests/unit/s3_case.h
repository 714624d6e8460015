/* What the tests of providers/s3 share: a bucket that is a table, and one source before it. */
#ifndef ENVSYNC_TESTS_S3_CASE_H
#define ENVSYNC_TESTS_S3_CASE_H

#include "../../providers/s3/listing.h"
#include "../../providers/s3/run.h"
#include "fake_aws.h"
#include "fake_sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the bucket ---- */

struct thing {
    const char *key;
    const char *body;
    const char *etag;     /* default: "e1" */
    const char *sum;      /* header of a checksum */
    const char *archived; /* storage class */
    size_t size;          /* of a body that is made up, where body is NULL */
    int64_t lie;          /* what the listing says more than there is */
};

static struct {
    struct thing *things;
    size_t n;
    size_t page;        /* objects of one page; 0: all */
    bool raw;           /* no url encoding */
    const char *listed; /* in the place of every listing */
    size_t loop;        /* the token never changes */
    /* Just before the nth GetObject (from 1), things[at] becomes `then`. */
    size_t when, at;
    struct thing then;
    size_t gets;
    bool restless; /* a new ETag after each listing */
    unsigned lists;
    size_t break_after; /* the first try of each object breaks after so many bytes */
} bucket;

static inline const char *etag_of(const struct thing *thing)
{
    static char text[32];

    if (!bucket.restless)
        return thing->etag ? thing->etag : "e1";
    snprintf(text, sizeof text, "r%u", bucket.lists);
    return text;
}

static inline size_t size_of(const struct thing *thing)
{
    return thing->body ? strlen(thing->body) : thing->size;
}

static inline void put_key(struct es_buf *out, const char *key)
{
    for (; *key; key++)
        if (*key == '<' || *key == '&' || (unsigned char)*key <= ' ' || *key == '%' || *key == '+')
            es_buf_printf(out, "%%%02X", (unsigned char)*key);
        else
            es_buf_putc(out, *key);
}

static inline void put_entry(struct es_buf *out, const struct thing *thing)
{
    es_buf_puts(out, "<Contents><Key>");
    put_key(out, thing->key);
    es_buf_printf(out,
                  "</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
                  "<ETag>&quot;%s&quot;</ETag><Size>%lld</Size><StorageClass>%s</StorageClass>"
                  "</Contents>",
                  etag_of(thing), (long long)size_of(thing) + (long long)thing->lie,
                  thing->archived ? thing->archived : "STANDARD");
}

static inline void answer_list(const struct fake_call *call, struct fake_answer *answer)
{
    const char *token = strstr(call->query, "continuation-token=");
    size_t from = token && !bucket.loop ? (size_t)atoi(token + strlen("continuation-token=t")) : 0;
    size_t to = bucket.page && from + bucket.page < bucket.n ? from + bucket.page : bucket.n;
    struct es_buf out = {0};

    if (bucket.listed) {
        answer->body = bucket.listed;
        return;
    }
    if (from == 0)
        bucket.lists++;
    es_buf_printf(&out,
                  "<ListBucketResult><IsTruncated>%s</IsTruncated><EncodingType>url"
                  "</EncodingType>",
                  to < bucket.n || bucket.loop ? "true" : "false");
    if (to < bucket.n || bucket.loop)
        es_buf_printf(&out, "<NextContinuationToken>t%zu+/=</NextContinuationToken>", to);
    for (size_t i = from; i < to; i++)
        put_entry(&out, &bucket.things[i]);
    es_buf_puts(&out, "</ListBucketResult>");
    answer->body = out.data;
    answer->made = true;
}

static inline char *make_up(size_t size)
{
    char *body = malloc(size + 1);

    assert_non_null(body);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 26);
    body[size] = '\0';
    return body;
}

static inline const struct thing *find_thing(const char *key)
{
    for (size_t i = 0; i < bucket.n; i++)
        if (bucket.things[i].key && strcmp(bucket.things[i].key, key) == 0)
            return &bucket.things[i];
    return NULL;
}

static inline void answer_get(const struct fake_call *call, struct fake_answer *answer)
{
    static char header[64];
    const struct thing *thing;
    char want[64];

    if (++bucket.gets == bucket.when)
        bucket.things[bucket.at] = bucket.then;
    thing = find_thing(call->path + 1);
    if (!thing) {
        *answer = (struct fake_answer){.status = 404, .class = ES_ABSENT, .code = "NoSuchKey"};
        return;
    }
    if (bucket.restless)
        bucket.lists += 100;
    snprintf(want, sizeof want, "If-Match: \"%s\"\n", etag_of(thing));
    if (!strstr(call->headers, want)) {
        *answer =
            (struct fake_answer){.status = 412, .class = ES_INVALID, .code = "PreconditionFailed"};
        return;
    }
    if (thing->archived) {
        *answer =
            (struct fake_answer){.status = 403, .class = ES_DENIED, .code = "InvalidObjectState"};
        return;
    }
    snprintf(header, sizeof header, "ETag: \"%s\"", etag_of(thing));
    answer->headers[0] = header;
    answer->headers[1] = thing->sum;
    answer->body = thing->body ? thing->body : make_up(thing->size);
    answer->made = !thing->body;
    answer->broken = call->tries == 1 ? bucket.break_after : 0;
}

static inline void aws(struct fake_call *call, struct fake_answer *answer)
{
    if (strcmp(call->operation, "ListObjectsV2") == 0)
        answer_list(call, answer);
    else
        answer_get(call, answer);
}

/* ---- one source ---- */

static char *words[16];

static inline struct es_strings strings(const char *first, const char *second)
{
    static size_t used;
    struct es_strings ret = {.items = &words[used % 14]};

    if (first)
        ret.items[ret.n++] = (char *)first;
    if (second)
        ret.items[ret.n++] = (char *)second;
    used += 2;
    return ret;
}

static inline struct es_s3_options source(const char *merge, const char *mirror)
{
    return (struct es_s3_options){
        .bucket = (char *)"b",
        .prefix = (char *)"prod",
        .merge = strings(merge, NULL),
        .mirror = strings(mirror, NULL),
        .files = {.dir = (char *)"/etc/foo", .mode = 0640, .dir_mode = 0750},
    };
}

struct world {
    struct es_s3_options options;
    struct es_sink sink;
    struct es_fetch fetch;
    struct es_err err;
};

static inline void fill(struct thing *things, size_t n)
{
    memset(&bucket, 0, sizeof bucket);
    bucket.things = things;
    bucket.n = n;
}

static inline int run_with(struct world *w, fake_answer_fn *answer)
{
    w->fetch.state = &w->options;
    w->fetch.sink = &w->sink;
    return fake_aws_fetch(es_fetch_s3, &w->fetch, answer, &w->err);
}

static inline int run(struct world *w)
{
    return run_with(w, aws);
}

static inline void done(struct world *w)
{
    fake_aws_reset(&w->fetch);
    fake_sink_done(&w->sink);
}
#define WORLD(name, merge, mirror)                                                                 \
    ES_CLEANUP(done) struct world name = {.options = source(merge, mirror)}
#define FILL(...)                                                                                  \
    struct thing things[] = {__VA_ARGS__};                                                         \
    fill(things, sizeof things / sizeof *things)

static inline void assert_file(const struct world *w, const char *path, const char *body)
{
    const struct fake_object *file = fake_sink_file(&w->sink, path);

    assert_non_null(file);
    assert_int_equal(file->kind, FAKE_FILE);
    assert_true(file->ended);
    assert_string_equal(es_buf_str(&file->data), body);
}

#endif
