/* See fake_aws.h. */
#include "fake_aws.h"

#include "envsync/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

struct fake_call *fake_calls;
size_t fake_n_calls;
bool fake_aws_backwards;
const char *fake_aws_said;
size_t fake_aws_most;

struct es_aws {
    int unused;
};

enum { MAX_CALLS = 8192, CHUNK = 1000 };

static struct es_aws the_client;
static size_t waiting[MAX_CALLS], n_waiting;
static unsigned finished;
static int finished_with;
static struct es_err finished_err;

void fake_aws_say(struct fake_call *call, struct fake_answer *answer)
{
    (void)call;
    answer->body = fake_aws_said;
}

void es_fetch_finish(struct es_fetch *fetch, int r, const struct es_err *err)
{
    (void)fetch;
    finished++;
    finished_with = r;
    if (r < 0)
        finished_err = *err;
}

int es_aws_new(struct es_fetch *fetch, const struct es_aws_options *options,
               enum es_aws_service service, enum es_aws_addressing addressing, struct es_aws **ret,
               struct es_err *err)
{
    (void)fetch, (void)options, (void)service, (void)addressing, (void)err;
    *ret = &the_client;
    return 0;
}

int es_aws_describe(struct es_fetch *fetch, const struct es_aws_options *options,
                    enum es_aws_service service, struct es_err *err)
{
    (void)options;
    return es_sink_note(fetch->sink, err, "service %d", (int)service);
}

void es_aws_free(struct es_aws *aws)
{
    (void)aws;
    n_waiting = 0;
}

const char *es_aws_partition(const struct es_aws *aws)
{
    (void)aws;
    return "aws";
}

const char *es_aws_region(const struct es_aws *aws)
{
    (void)aws;
    return "eu-west-1";
}

static char *join(const struct es_aws_pair *pairs, size_t n, const char *between, const char *end)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    char *text;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(es_buf_printf(&out, "%s%s%s%s", pairs[i].name, between,
                                       pairs[i].value ? pairs[i].value : "", end),
                         0);
    text = strdup(es_buf_str(&out));
    assert_non_null(text);
    return text;
}

void es_aws_expect(struct es_aws *aws, const char *bucket, size_t n)
{
    (void)aws;
    (void)bucket;
    (void)n;
}

int es_aws_send(struct es_aws *aws, const struct es_aws_call *call, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf allow = {0};
    struct fake_call *sent;

    (void)aws, (void)err;
    assert_true(fake_n_calls < MAX_CALLS);
    if (!fake_calls)
        fake_calls = calloc(MAX_CALLS, sizeof *fake_calls);
    assert_non_null(fake_calls);
    sent = &fake_calls[fake_n_calls];
    assert_int_equal(es_buf_printf(&allow, "%s on %s", call->allow, call->allow_resource), 0);
    snprintf(sent->operation, sizeof sent->operation, "%s", call->operation);
    sent->path = strdup(call->path);
    sent->query = join(call->query, call->n_query, "=", "&");
    sent->headers = join(call->headers, call->n_headers, ": ", "\n");
    sent->body = strndup(call->body ? call->body : "", call->body_len);
    sent->allow = strdup(allow.data);
    sent->max_body = call->max_body;
    sent->as_sent = *call;
    waiting[n_waiting++] = fake_n_calls++;
    if (n_waiting > fake_aws_most)
        fake_aws_most = n_waiting;
    return 0;
}

const char *es_http_header(const struct es_http_answer *answer, const char *name)
{
    const char *const *headers = answer->headers;
    size_t len = strlen(name);

    for (size_t i = 0; i < 6 && headers[i]; i++)
        if (strncasecmp(headers[i], name, len) == 0 && strncmp(headers[i] + len, ": ", 2) == 0)
            return headers[i] + len + 2;
    return NULL;
}

/* 0, -ECONNRESET where this try breaks, or what on_data says. In pieces, from memory of its own, so
 * that nothing is kept that was only lent. */
static int give_data(const struct es_aws_call *call, const struct fake_answer *answer,
                     const struct es_http_answer *http)
{
    size_t len = answer->broken ? answer->broken : answer->len;

    for (size_t at = 0; at < len; at += CHUNK) {
        size_t n = len - at < CHUNK ? len - at : CHUNK;
        char *piece = malloc(n);
        int r;

        assert_non_null(piece);
        for (size_t i = 0; i < n; i++)
            piece[i] = answer->body[at + i];
        r = call->on_data(call->data, http, piece, n);
        free(piece);
        if (r < 0)
            return r;
    }
    return answer->broken ? -ECONNRESET : 0;
}

static void refuse(struct es_aws_reply *reply, const struct fake_answer *answer)
{
    const char *code = answer->code ? answer->code : "";

    reply->r = es_fail(&reply->err, answer->class, EIO, "%s, request 1", code);
    snprintf(reply->error.code, sizeof reply->error.code, "%s", code);
    snprintf(reply->error.request_id, sizeof reply->error.request_id, "1");
    snprintf(reply->error.action, sizeof reply->error.action, "%s",
             answer->action ? answer->action : "");
    snprintf(reply->error.resource, sizeof reply->error.resource, "%s",
             answer->resource ? answer->resource : "");
}

/* One try. True where it is to be tried again. */
static bool try(struct fake_call *call, fake_answer_fn *fn)
{
    const struct es_aws_call *c = &call->as_sent;
    struct fake_answer answer = {.status = 200, .body = "", .class = ES_CLASSES};
    struct es_http_answer http = {0};
    struct es_aws_reply reply = {.answer = &http};
    bool again = false;
    int r = 0;

    call->tries++;
    fn(call, &answer);
    if (!answer.body)
        answer.body = "";
    if (answer.len == 0)
        answer.len = strlen(answer.body);
    http.status = answer.status;
    http.headers = answer.headers;
    if (answer.class != ES_CLASSES)
        refuse(&reply, &answer);
    else if (c->on_data)
        r = give_data(c, &answer, &http);
    else
        assert_int_equal(es_buf_append(&http.body, answer.body, answer.len), 0);
    if (reply.r == 0 && r == -ECONNRESET)
        again = true;
    else if (reply.r == 0 && r < 0)
        reply.r = es_fail(&reply.err, ES_INTERNAL, -r, "stopped");
    if (reply.r == 0 && !again && c->check) {
        r = c->check(c->data, &http, &reply.err);
        again = r == 1;
        reply.r = r < 0 ? r : 0;
    }
    if (answer.made)
        free((char *)answer.body);
    if (again) {
        if (c->on_restart && answer.len > 0)
            c->on_restart(c->data);
        assert_true(call->tries < 100);
    } else {
        c->on_done(c->data, &reply);
    }
    es_buf_done(&http.body);
    return again;
}

static void answer_one(fake_answer_fn *fn)
{
    size_t at = fake_aws_backwards ? n_waiting - 1 : 0, number = waiting[at];

    n_waiting--;
    for (size_t i = at; i < n_waiting; i++)
        waiting[i] = waiting[i + 1];
    while (try(&fake_calls[number], fn))
        ;
}

static int validate(const struct es_provider *provider, const char *toml, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    ES_CLEANUP(es_freep) void *state = calloc(1, provider->size);
    int r = es_format_toml.read(toml, strlen(toml), &table, err);

    assert_non_null(state);
    assert_int_equal(r, 0);
    r = es_options_parse(provider->options, &table, "c.toml", state, err);
    if (r == 0)
        r = provider->validate(state, err);
    es_options_clear(provider->options, state);
    return r;
}

void fake_aws_assert_wrong(const struct es_provider *provider, const struct fake_wrong *cases,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct es_err err = {.msg = "nothing"};
        int r = validate(provider, cases[i].toml, &err);

        fake_aws_assert_says(&err, r, ES_CONFIG, cases[i].says);
    }
}

void fake_aws_assert_fine(const struct es_provider *provider, const char *toml)
{
    struct es_err err;

    if (validate(provider, toml, &err) < 0)
        fail_msg("%s", err.msg);
}

void fake_aws_assert_says(const struct es_err *err, int r, enum es_class class, const char *text)
{
    assert_true(r < 0);
    if (err->class != class || !strstr(err->msg, text))
        fail_msg("class %d: %s", err->class, err->msg);
    assert_null(strstr(err->msg, "CANARY"));
}

int fake_aws_fetch(es_fetch_fn *fn, struct es_fetch *fetch, fake_answer_fn *answer,
                   struct es_err *err)
{
    int r;

    finished = 0;
    fake_aws_most = 0;
    r = fn(fetch, err);
    while (n_waiting > 0)
        answer_one(answer);
    if (r != ES_FETCH_PENDING) {
        assert_int_equal(finished, 0);
        return r;
    }
    assert_int_equal(finished, 1);
    if (finished_with < 0)
        *err = finished_err;
    return finished_with;
}

void fake_aws_reset(struct es_fetch *fetch)
{
    if (fetch->clear)
        fetch->clear(fetch->own);
    fetch->own = NULL;
    fetch->clear = NULL;
    for (size_t i = 0; i < fake_n_calls; i++) {
        free(fake_calls[i].path);
        free(fake_calls[i].query);
        free(fake_calls[i].headers);
        free(fake_calls[i].body);
        free(fake_calls[i].allow);
    }
    free(fake_calls);
    fake_calls = NULL;
    fake_n_calls = 0;
    fake_aws_backwards = false;
}

size_t fake_aws_count(const char *operation)
{
    size_t n = 0;

    for (size_t i = 0; i < fake_n_calls; i++)
        n += strcmp(fake_calls[i].operation, operation) == 0;
    return n;
}
