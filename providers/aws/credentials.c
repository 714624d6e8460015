/* Credentials as they are now: given by the chain's link (links.c), refreshed in time, handed to
 * all who wait for them.
 *
 * REFRESH
 *     With less than 15 minutes left new ones are fetched while the old ones still serve; with less
 *     than 10 they are waited for. Where that fails and the old ones have not been refused, they
 *     serve on, also a little beyond their time: the metadata service hands out stale ones in an
 *     outage on purpose. At most once a minute, since a role may give 15 minutes and no more.
 *
 * No message holds a key. */
#include "credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFRESH_S = 15 * 60,
    MANDATORY_S = 10 * 60,
    PAUSE_MS = 60000,
};

struct waiter {
    struct waiter *next;
    es_aws_creds_fn *fn;
    void *data;
};

/* ---- what the link has given ---- */

static void wake(struct es_aws_creds *creds, int r, const struct es_err *err)
{
    struct waiter *waiters = creds->waiters;

    creds->waiters = NULL;
    while (waiters) {
        struct waiter *waiter = waiters;

        waiters = waiter->next;
        waiter->fn(waiter->data, r, err);
        free(waiter);
    }
}

void creds_failed(struct es_aws_creds *creds, int r, const struct es_err *err)
{
    struct es_err why = *err;

    creds->busy = false;
    es_buf_done(&creds->token);
    if (creds->state == CREDS_READY && !creds->refused) { /* the old ones are better than none */
        creds->fetched_ms = es_http_now_ms(creds->shared->http);
        wake(creds, 0, NULL);
        return;
    }
    es_context(&why, "credentials from %s", creds->link->what);
    creds->state = CREDS_FAILED;
    creds->err = why;
    creds->r = r;
    wake(creds, r, &why);
}

/* Takes the keys over. */
void creds_got(struct es_aws_creds *creds, struct es_aws_keys *keys, int64_t expires)
{
    struct es_err err;

    if (creds->refused && es_buf_equal(&creds->keys.id, &keys->id)) {
        creds_failed(
            creds,
            es_fail(&err, ES_DENIED, EACCES, "AWS calls them expired, and there are no newer ones"),
            &err);
        return;
    }
    es_aws_keys_done(&creds->keys);
    creds->keys = *keys;
    *keys = (struct es_aws_keys){0};
    creds->expires = expires;
    creds->fetched_ms = es_http_now_ms(creds->shared->http);
    creds->state = CREDS_READY;
    creds->busy = false;
    creds->refused = false;
    es_buf_done(&creds->token);
    wake(creds, 0, NULL);
}

/* ---- for clients ---- */

static bool needs_region(const struct es_aws_creds *creds)
{
    return creds->link->kind == ES_AWS_LINK_ROLE || creds->link->kind == ES_AWS_LINK_WEB_IDENTITY;
}

static int wait_for(struct es_aws_creds *creds, es_aws_creds_fn *fn, void *data, struct es_err *err)
{
    struct waiter *waiter = calloc(1, sizeof *waiter), **end = &creds->waiters;

    if (!waiter)
        return es_nomem(err);
    *waiter = (struct waiter){.fn = fn, .data = data};
    while (*end)
        end = &(*end)->next;
    *end = waiter;
    return 0;
}

/* How old they are: 0 fine, 1 to be refreshed, 2 to be waited for. */
static int age(const struct es_aws_creds *creds)
{
    int64_t left;

    if (creds->state != CREDS_READY || creds->refused)
        return 2;
    if (!creds->expires || es_http_now_ms(creds->shared->http) - creds->fetched_ms < PAUSE_MS)
        return 0;
    left = creds->expires - es_aws_now(creds->shared);
    return left < MANDATORY_S ? 2 : left < REFRESH_S ? 1 : 0;
}

int es_aws_creds_get(struct es_aws_creds *creds, const char *region, es_aws_creds_fn *fn,
                     void *data, struct es_err *err)
{
    int old;

    if (creds->state == CREDS_FAILED) {
        *err = creds->err;
        return creds->r;
    }
    if (region && !creds->region[0])
        strncpy(creds->region, region, sizeof creds->region - 1);
    old = age(creds);
    if (old && !creds->busy && (creds->region[0] || !needs_region(creds)))
        creds_ask(creds);
    if (creds->state == CREDS_FAILED) {
        *err = creds->err;
        return creds->r;
    }
    if (old < 2 || age(creds) < 2)
        return 1;
    return wait_for(creds, fn, data, err);
}

void es_aws_creds_expired(struct es_aws_creds *creds, const char *id)
{
    if (creds->state == CREDS_READY && es_buf_is(&creds->keys.id, id))
        creds->refused = true;
    if (creds->base && creds->refused)
        es_aws_creds_expired(creds->base, es_buf_str(&creds->base->keys.id));
}

const struct es_aws_keys *es_aws_creds_keys(const struct es_aws_creds *creds)
{
    return &creds->keys;
}

const struct es_aws_link *es_aws_creds_link(const struct es_aws_creds *creds)
{
    return creds->link;
}

void es_aws_creds_forget(struct es_aws_creds *creds, const void *data)
{
    for (struct waiter **p = &creds->waiters; *p;) {
        struct waiter *waiter = *p;

        if (waiter->data == data) {
            *p = waiter->next;
            free(waiter);
        } else {
            p = &waiter->next;
        }
    }
}

static void creds_free(struct es_aws_creds *creds)
{
    if (!creds)
        return;
    creds_forget_asking(creds);
    creds_free(creds->base);
    while (creds->waiters) {
        struct waiter *waiter = creds->waiters;

        creds->waiters = waiter->next;
        free(waiter);
    }
    es_aws_link_free(creds->top);
    es_aws_settings_done(&creds->settings);
    es_aws_keys_done(&creds->keys);
    free(creds);
}

static void creds_freep(struct es_aws_creds **creds)
{
    creds_free(*creds);
}

void es_aws_creds_free_all(struct es_aws_creds *creds)
{
    while (creds) {
        struct es_aws_creds *next = creds->next;

        creds_free(creds);
        creds = next;
    }
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool fits(const struct es_aws_creds *creds, const struct es_aws_options *options)
{
    const struct es_aws_options *mine = creds->settings.options;

    return same(mine->profile, options->profile) && same(mine->role_arn, options->role_arn) &&
           same(mine->ca_file, options->ca_file) && same(mine->proxy, options->proxy);
}

/* The credentials of one link; those of its base are its own. */
static int creds_new(struct es_aws_shared *shared, const struct es_fetch *fetch,
                     const struct es_aws_options *options, const struct es_aws_link *link,
                     struct es_aws_creds **ret, struct es_err *err)
{
    ES_CLEANUP(creds_freep) struct es_aws_creds *creds = calloc(1, sizeof *creds);
    int r;

    if (!creds)
        return es_nomem(err);
    creds->shared = shared;
    r = es_aws_settings_init(&creds->settings, fetch, options, err);
    if (r == 0 && !link) {
        r = es_aws_chain_find(&creds->settings, &creds->top, err);
        link = creds->top;
    }
    if (r == 0)
        r = es_aws_trust(shared, &creds->settings, &creds->ca, err);
    if (r != 0)
        return r;
    creds->link = link;
    if (link->base) {
        r = creds_new(shared, fetch, options, link->base, &creds->base, err);
        if (r < 0)
            return r;
    }
    *ret = creds;
    creds = NULL;
    return 0;
}

int es_aws_creds_find(struct es_aws_shared *shared, const struct es_fetch *fetch,
                      const struct es_aws_options *options, struct es_aws_creds **ret,
                      struct es_err *err)
{
    struct es_aws_creds *creds = shared->creds;
    int r;

    while (creds && !fits(creds, options))
        creds = creds->next;
    if (!creds) {
        r = creds_new(shared, fetch, options, NULL, &creds, err);
        if (r != 0)
            return r;
        creds->next = shared->creds;
        shared->creds = creds;
    }
    *ret = creds;
    return 0;
}
