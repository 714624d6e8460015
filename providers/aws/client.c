/* See client.h: when a call may go. It waits for the region, then for the credentials; how it goes
 * and what becomes of it is in call.c. */
#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *given(const char *text)
{
    return text && *text ? text : NULL;
}

static void client_free(struct es_aws **aws)
{
    es_aws_free(*aws);
}

void es_aws_free(struct es_aws *aws)
{
    if (!aws)
        return;
    while (aws->calls) {
        struct call *call = aws->calls;

        aws->calls = call->next;
        es_http_forget(aws->shared->http, call);
        if (aws->creds)
            es_aws_creds_forget(aws->creds, call);
        call_free(call);
    }
    es_http_forget(aws->shared->http, aws);
    es_aws_region_free(aws->asking);
    es_aws_settings_done(&aws->settings);
    free(aws);
}

/* ---- the calls ---- */

void client_drop(struct call *call)
{
    struct es_aws *aws = call->aws;
    struct call **p = &aws->calls;

    while (*p != call)
        p = &(*p)->next;
    *p = call->next;
    if (aws->calls_end == &call->next)
        aws->calls_end = p;
}

static void on_keys(void *data, int r, const struct es_err *err)
{
    struct call *call = data;

    if (r < 0)
        call_end(call, r, err, NULL);
    else
        client_advance(call);
}

void client_advance(struct call *call)
{
    struct es_aws *aws = call->aws;
    struct es_err err;
    int r = 1;

    call->state = CALL_WAITS;
    if (aws->r < 0) {
        call_end(call, aws->r, &aws->err, NULL);
        return;
    }
    if (!aws->region[0])
        return; /* on_region() comes back to it */
    if (aws->creds)
        r = es_aws_creds_get(aws->creds, aws->region, on_keys, call, &err);
    if (r < 0) {
        call_end(call, r, &err, NULL);
    } else if (r > 0) {
        call_go(call);
    } else if (!call->announced) {
        /* The keys are on their way: meanwhile the connection is made. */
        call->announced = true;
        call_announce(aws, call->is.method, call->is.bucket, call->body.len, 1, true);
    }
}

void es_aws_expect(struct es_aws *aws, const char *bucket, size_t n)
{
    call_announce(aws, "GET", bucket, 0, n, false);
}

static void start(void *data)
{
    client_advance(data);
}

int es_aws_send(struct es_aws *aws, const struct es_aws_call *is, struct es_err *err)
{
    struct call *call;
    int r = call_new(aws, is, &call, err);

    if (r < 0)
        return r;
    /* From the loop, also where it can go at once: it may fail at once, too. */
    call->state = CALL_RESTS;
    r = es_http_after(aws->shared->http, 0, start, call, err);
    if (r < 0) {
        call_free(call);
        return r;
    }
    *aws->calls_end = call;
    aws->calls_end = &call->next;
    return 0;
}

/* ---- the client ---- */

static void on_region(void *data, int r, const char *region, const struct es_err *err)
{
    struct es_aws *aws = data;
    struct call *call = aws->calls;

    aws->asking = NULL;
    if (r < 0) {
        aws->r = r;
        aws->err = *err;
    } else {
        memcpy(aws->region, region, strlen(region) + 1);
    }
    while (call) {
        struct call *next = call->next;

        /* A callback may add calls, at the end; it takes none away but its own. */
        if (call->state == CALL_WAITS)
            client_advance(call);
        call = next;
    }
}

static void on_early_keys(void *data, int r, const struct es_err *err)
{
    (void)data;
    (void)r;
    (void)err; /* each call gets it again */
}

static int client_new(struct es_aws_shared *shared, const struct es_fetch *fetch,
                      const struct es_aws_options *options, enum es_aws_service service, bool own,
                      struct es_aws **ret, struct es_err *err)
{
    ES_CLEANUP(client_free) struct es_aws *aws = calloc(1, sizeof *aws);
    const char *origin;
    int r;

    if (!aws)
        return es_nomem(err);
    aws->shared = shared;
    aws->fetch = fetch;
    aws->service = service;
    aws->calls_end = &aws->calls;
    r = es_aws_settings_init(&aws->settings, fetch, options, err);
    if (r == 0)
        r = es_aws_trust(shared, &aws->settings, &aws->ca, err);
    if (r < 0)
        return r;
    aws->proxy = given(options->proxy);
    if (!aws->proxy) {
        aws->proxy = es_surroundings_get(fetch->surroundings, "HTTPS_PROXY");
        r = aws->proxy ? es_aws_proxy_check(aws->proxy, err) : 0;
        if (r < 0) {
            es_context(err, "HTTPS_PROXY");
            return r;
        }
    }
    aws->custom = es_aws_custom_endpoint(&aws->settings, service, own, &origin);
    *ret = aws;
    aws = NULL;
    return 0;
}

int es_aws_new_sts(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                   const char *region, struct es_aws_creds *creds, struct es_aws **ret,
                   struct es_err *err)
{
    struct es_aws *aws;
    int r = client_new(shared, settings->fetch, settings->options, ES_AWS_STS, false, &aws, err);

    if (r < 0)
        return r;
    aws->creds = creds;
    memcpy(aws->region, region, strlen(region) + 1);
    *ret = aws;
    return 0;
}

int es_aws_new(struct es_fetch *fetch, const struct es_aws_options *options,
               enum es_aws_service service, enum es_aws_addressing addressing, struct es_aws **ret,
               struct es_err *err)
{
    ES_CLEANUP(client_free) struct es_aws *aws = NULL;
    struct es_aws_shared *shared;
    const char *origin;
    int r = es_aws_shared(fetch->http, &shared, err);

    if (r == 0)
        r = client_new(shared, fetch, options, service, true, &aws, err);
    if (r == 0)
        r = es_aws_creds_find(shared, fetch, options, &aws->creds, err);
    if (r != 0)
        return r;
    aws->addressing = addressing;
    r = es_aws_region_find(shared, &aws->settings, aws->custom != NULL, aws->region, &origin,
                           on_region, aws, &aws->asking, err);
    /* The keys are fetched meanwhile. */
    if (r >= 0)
        r = es_aws_creds_get(aws->creds, given(aws->region), on_early_keys, aws, err);
    if (r < 0)
        return r;
    es_aws_creds_forget(aws->creds, aws);
    *ret = aws;
    aws = NULL;
    return 0;
}

const char *es_aws_region(const struct es_aws *aws)
{
    return aws->region;
}

const char *es_aws_partition(const struct es_aws *aws)
{
    static const char *const prefixes[][2] = {
        {"us-gov-", "aws-us-gov"}, {"cn-", "aws-cn"},         {"eusc-", "aws-eusc"},
        {"us-iso-", "aws-iso"},    {"us-isob-", "aws-iso-b"}, {"eu-isoe-", "aws-iso-e"},
        {"us-isof-", "aws-iso-f"},
    };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(aws->region, prefixes[i][0], strlen(prefixes[i][0])) == 0)
            return prefixes[i][1];
    return "aws";
}

int es_aws_describe(struct es_fetch *fetch, const struct es_aws_options *options,
                    enum es_aws_service service, struct es_err *err)
{
    ES_CLEANUP(client_free) struct es_aws *aws = NULL;
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL;
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_aws_shared *shared;
    const char *origin = "";
    int r = es_aws_shared(fetch->http, &shared, err);

    if (r == 0)
        r = client_new(shared, fetch, options, service, true, &aws, err);
    if (r == 0)
        r = es_aws_chain_find(&aws->settings, &link, err);
    if (r != 0)
        return r;
    if (es_aws_chain_tell(link, &text) < 0)
        return es_nomem(err);
    r = es_sink_note(fetch->sink, err, "credentials: %s", es_buf_str(&text));
    if (r == 0)
        r = es_aws_region_find(shared, &aws->settings, aws->custom != NULL, aws->region, &origin,
                               NULL, NULL, NULL, err);
    if (r >= 0)
        r = es_sink_note(fetch->sink, err, "region: %s, from %s",
                         r ? aws->region : "to be asked for", origin);
    if (r < 0 || !aws->custom)
        return r;
    es_aws_custom_endpoint(&aws->settings, service, true, &origin);
    return es_sink_note(fetch->sink, err, "endpoint: %s, from %s", aws->custom, origin);
}
