/* The two calls of STS that give credentials. The answer is XML that holds secrets: it goes from
 * the loop's cleansed buffer through the cleansing parser into cleansed buffers. */
#include "inner.h"

#include "date.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER = 65536 };

struct es_aws_sts {
    struct es_aws_sts_call call;
};

void es_aws_sts_free(struct es_aws_sts *sts)
{
    free(sts);
}

/* What an answer has of <Credentials>. */
struct reading {
    struct es_aws_keys keys;
    int64_t expires_ms;
    unsigned in; /* depth of <Credentials>, 0: not there */
};

static int on_open(void *state, unsigned depth, const char *name, struct es_err *err)
{
    struct reading *reading = state;

    (void)err;
    if (strcmp(name, "Credentials") == 0 && depth == 2)
        reading->in = depth;
    return 0;
}

static int on_close(void *state, unsigned depth, const char *name, const char *text, size_t len,
                    struct es_err *err)
{
    struct reading *reading = state;
    struct es_buf *to = NULL;

    if (depth == reading->in)
        reading->in = 0;
    if (!reading->in || depth != reading->in + 1)
        return 0;
    if (strcmp(name, "AccessKeyId") == 0)
        to = &reading->keys.id;
    else if (strcmp(name, "SecretAccessKey") == 0)
        to = &reading->keys.secret;
    else if (strcmp(name, "SessionToken") == 0)
        to = &reading->keys.token;
    else if (strcmp(name, "Expiration") == 0 && !es_aws_date_iso(text, &reading->expires_ms))
        return es_fail(err, ES_INVALID, EBADMSG, "an expiration that is no time");
    if (to && es_buf_set(to, text, len) < 0)
        return es_nomem(err);
    return 0;
}

static int read_answer(const struct es_buf *body, struct reading *reading, struct es_err *err)
{
    static const struct es_xml_handler handler = {.open = on_open, .close = on_close};
    ES_CLEANUP(es_xml_freep) struct es_xml *xml = NULL;
    int r = es_xml_new(&handler, reading, MAX_ANSWER, &xml, err);

    if (r == 0)
        r = es_xml_feed(xml, es_buf_str(body), body->len, err);
    if (r == 0)
        r = es_xml_finish(xml, err);
    if (r < 0)
        return r;
    if (!reading->keys.id.len || !reading->keys.secret.len || !reading->keys.token.len)
        return es_fail(err, ES_INVALID, EBADMSG, "STS has answered without credentials");
    return 0;
}

static void on_done(void *data, const struct es_aws_reply *reply)
{
    struct es_aws_sts *sts = data;
    struct reading reading = {0};
    struct es_err err = reply->err;
    int r = reply->r;

    if (r == 0)
        r = read_answer(&reply->answer->body, &reading, &err);
    sts->call.done(sts->call.data, r, &reading.keys, reading.expires_ms / 1000, &err);
    es_aws_keys_done(&reading.keys);
}

int es_aws_sts_start(struct es_aws *aws, const struct es_aws_sts_call *call,
                     struct es_aws_sts **ret, struct es_err *err)
{
    const struct es_aws_link *link = call->link;
    ES_CLEANUP(es_buf_done) struct es_buf body = {0};
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
        .max_body = MAX_ANSWER,
        .allow = call->token ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole",
        .allow_resource = link->role_arn,
        .on_done = on_done,
    };
    char seconds[16];
    size_t n = 4;
    int r;

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
    *ret = calloc(1, sizeof **ret);
    if (!*ret)
        return es_nomem(err);
    (*ret)->call = *call;
    send.body = body.data;
    send.body_len = body.len;
    send.data = *ret;
    return es_aws_send(aws, &send, err);
}
