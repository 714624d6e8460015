/* The two calls of STS that give credentials. The answer holds secrets and goes from the loop's
 * cleansed buffer through keys.c into cleansed buffers. */
#include "inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct es_aws_sts {
    struct es_aws_sts_call call;
};

void es_aws_sts_free(struct es_aws_sts *sts)
{
    free(sts);
}

static void on_done(void *data, const struct es_aws_reply *reply)
{
    struct es_aws_sts *sts = data;
    struct es_aws_keys keys = {0};
    struct es_err err = reply->err;
    int64_t expires = 0;
    int r = reply->r;

    if (r == 0)
        r = es_aws_keys_read_sts(es_buf_str(&reply->answer->body), reply->answer->body.len, &keys,
                                 &expires, &err);
    sts->call.done(sts->call.data, r, &keys, expires, &err);
    es_aws_keys_done(&keys);
}

int es_aws_sts_start(struct es_aws *aws, const struct es_aws_sts_call *call,
                     struct es_aws_sts **ret, struct es_err *err)
{
    const struct es_aws_link *link = call->link;
    ES_CLEANUP(es_buf_done) struct es_buf body = {0};
    ES_CLEANUP(es_freep) struct es_aws_sts *sts = calloc(1, sizeof *sts);
    struct es_aws_pair form[7] = {
        {"Action", call->token ? "AssumeRoleWithWebIdentity" : "AssumeRole"},
        {"Version", "2011-06-15"},
        {"RoleArn", link->role_arn},
        {"RoleSessionName", link->session && *link->session ? link->session : "envsync"},
    };
    struct es_aws_call send = {
        .operation = form[0].value,
        .method = "POST",
        .path = "/",
        .max_body = ES_AWS_MAX_STS_ANSWER,
        .allow = call->token ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole",
        .allow_resource = link->role_arn,
        .on_done = on_done,
    };
    char seconds[16];
    size_t n = 4;
    int r;

    if (!sts)
        return es_nomem(err);
    if (link->duration) {
        snprintf(seconds, sizeof seconds, "%d", link->duration);
        form[n++] = (struct es_aws_pair){"DurationSeconds", seconds};
    }
    if (link->external_id)
        form[n++] = (struct es_aws_pair){"ExternalId", link->external_id};
    if (call->token)
        form[n++] = (struct es_aws_pair){"WebIdentityToken", call->token};
    r = es_aws_query(&body, form, n, err);
    if (r < 0)
        return r;
    sts->call = *call;
    send.body = body.data;
    send.body_len = body.len;
    send.data = sts;
    r = es_aws_send(aws, &send, err);
    if (r < 0)
        return r;
    *ret = sts;
    sts = NULL;
    return 0;
}
