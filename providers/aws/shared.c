/* What all AWS sources of one worker have in common. It hangs at the loop and ends with it. */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void clear(void *own)
{
    struct es_aws_shared *shared = own;

    es_aws_creds_free_all(shared->creds);
    es_aws_helpers_free(shared->helpers);
    es_aws_imds_free(shared->imds);
    while (shared->buckets) {
        struct es_aws_bucket *bucket = shared->buckets;

        shared->buckets = bucket->next;
        free(bucket->name);
        free(bucket);
    }
    es_aws_signer_free(shared->signer);
    free(shared);
}

int es_aws_shared(struct es_http *http, struct es_aws_shared **ret, struct es_err *err)
{
    struct es_http_room *room = es_http_room(http);
    struct es_aws_shared *shared = room->own;
    int r;

    if (!shared) {
        shared = calloc(1, sizeof *shared);
        if (!shared)
            return es_nomem(err);
        shared->http = http;
        r = es_aws_signer_new(&shared->signer, err);
        if (r < 0) {
            free(shared);
            return r;
        }
        for (size_t i = 0; i < ES_AWS_SERVICES; i++)
            es_aws_budget_init(&shared->budgets[i]);
        *room = (struct es_http_room){.own = shared, .clear = clear};
    }
    *ret = shared;
    return 0;
}

int64_t es_aws_now(const struct es_aws_shared *shared)
{
    return es_http_time(shared->http) + shared->offset;
}

const char *es_aws_bucket_region(const struct es_aws_shared *shared, const char *bucket)
{
    for (const struct es_aws_bucket *b = shared->buckets; b; b = b->next)
        if (strcmp(b->name, bucket) == 0)
            return b->region;
    return NULL;
}

int es_aws_bucket_learn(struct es_aws_shared *shared, const char *bucket, const char *region,
                        struct es_err *err)
{
    struct es_aws_bucket *b = shared->buckets;

    while (b && strcmp(b->name, bucket) != 0)
        b = b->next;
    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b)
            return es_nomem(err);
        b->name = strdup(bucket);
        if (!b->name) {
            free(b);
            return es_nomem(err);
        }
        b->next = shared->buckets;
        shared->buckets = b;
    }
    strncpy(b->region, region, sizeof b->region - 1);
    return 0;
}

int es_aws_trust(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                 const struct es_http_ca **ret, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf pem = {0};
    const char *of;
    int r = es_aws_read_ca(settings, &pem, &of, err);

    *ret = NULL;
    if (r < 0 || pem.len == 0)
        return r;
    r = es_http_trust(shared->http, pem.data, pem.len, ret, err);
    if (r < 0)
        es_context(err, "%s", of);
    return r;
}
