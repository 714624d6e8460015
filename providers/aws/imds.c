/* The instance's metadata service, version 2 only: a session token, then paths.
 *
 * Real hosts boot before it answers: refusals, timeouts and early 401s are waited out, 1 s per try,
 * 5 tries and 5 s at least. A 401 later means that the token is gone: one more is fetched, once per
 * path. Answers are checked by who asked; only a token is judged here. Requests never go by a
 * proxy. Tokens are secrets of this host. */
#include "inner.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TRY_MS = 1000,
    MIN_TRIES = 5,
    MIN_PATIENCE_MS = 5000,
    BACKOFF_MS = 100,
    BACKOFF_CAP_MS = 2000,
    MAX_ANSWER = 65536,
    MAX_TOKEN = 1024,
};

/* One path that is asked for; or, with fn NULL, the token itself. */
struct ask {
    struct ask *next;
    struct es_aws_imds *imds;
    char *path;
    es_aws_text_fn *fn;
    void *data;
    int tries;
    int64_t since_ms;
    bool renewed; /* a 401 has cost a token already */
    bool waiting; /* for the token */
};

struct es_aws_imds {
    struct es_http *http;
    char *origin;
    struct es_buf token;
    struct ask token_ask;
    bool asking; /* the token is under way */
    struct ask *asks;
};

static void ask_send(void *data);

void es_aws_imds_free(struct es_aws_imds *imds)
{
    if (!imds)
        return;
    while (imds->asks) {
        struct ask *ask = imds->asks;

        imds->asks = ask->next;
        es_http_forget(imds->http, ask);
        free(ask->path);
        free(ask);
    }
    es_http_forget(imds->http, &imds->token_ask);
    es_buf_done(&imds->token);
    free(imds->origin);
    free(imds);
}

int es_aws_imds_find(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                     struct es_aws_imds **ret, struct es_err *err)
{
    const char *origin;
    size_t len;
    int r = es_aws_imds_origin(settings, &origin, err);

    *ret = NULL;
    if (r < 0 || !origin)
        return r;
    if (!shared->imds) {
        struct es_aws_imds *imds = calloc(1, sizeof *imds);

        if (!imds)
            return es_nomem(err);
        for (len = strlen(origin); len && origin[len - 1] == '/';)
            len--;
        imds->http = shared->http;
        imds->origin = strndup(origin, len);
        if (!imds->origin) {
            free(imds);
            return es_nomem(err);
        }
        imds->token_ask = (struct ask){.imds = imds};
        shared->imds = imds;
    }
    *ret = shared->imds;
    return 0;
}

void es_aws_imds_forget(struct es_aws_imds *imds, const void *data)
{
    for (struct ask **p = &imds->asks; *p;) {
        struct ask *ask = *p;

        if (ask->data != data) {
            p = &ask->next;
            continue;
        }
        *p = ask->next;
        es_http_forget(imds->http, ask);
        free(ask->path);
        free(ask);
    }
}

static void ask_end(struct ask *ask, int r, const struct es_buf *body, const struct es_err *err)
{
    struct ask **p = &ask->imds->asks;

    while (*p != ask)
        p = &(*p)->next;
    *p = ask->next;
    ask->fn(ask->data, r, body, err);
    free(ask->path);
    free(ask);
}

/* A rule of the packet filter for this user looks like a refusal. */
static int refused(const struct es_aws_imds *imds, const struct es_http_answer *answer,
                   struct es_err *err)
{
    const struct passwd *user = getpwuid(geteuid());

    if (answer->status)
        return es_fail(err, ES_DENIED, EACCES,
                       "the metadata service at %s refuses with status %d; allow version 2 of it "
                       "for this instance",
                       imds->origin, answer->status);
    return es_fail(err, ES_UNAVAILABLE, EHOSTUNREACH,
                   "the metadata service at %s does not answer (%s); where a packet filter guards "
                   "it, let the user %s through",
                   imds->origin, answer->detail, user ? user->pw_name : "of the worker");
}

/* Plans another try; false where there was enough. */
static bool again(struct ask *ask, const struct es_http_answer *answer)
{
    struct es_http *http = ask->imds->http;
    int64_t spent = es_http_now_ms(http) - ask->since_ms;
    struct es_err ignored;
    int ms = BACKOFF_MS;

    ask->tries++;
    if (answer->outcome == ES_HTTP_DEADLINE || answer->outcome == ES_HTTP_FAULT ||
        (ask->tries >= MIN_TRIES && spent >= MIN_PATIENCE_MS))
        return false;
    for (int i = 1; i < ask->tries && ms < BACKOFF_CAP_MS; i++)
        ms *= 2;
    ms = ms / 2 + (int)((uint64_t)ms * es_http_random(http) >> 33);
    return es_http_after(http, ms, ask_send, ask, &ignored) == 0;
}

/* The token has come, or will not. */
static void token_settled(struct es_aws_imds *imds, int r, const struct es_err *err)
{
    bool more = true;

    imds->asking = false;
    /* A callback may end others or add some: look from the beginning each time. */
    while (more) {
        more = false;
        for (struct ask *ask = imds->asks; ask; ask = ask->next) {
            if (!ask->waiting)
                continue;
            ask->waiting = false;
            more = true;
            if (r < 0)
                ask_end(ask, r, NULL, err);
            else
                ask_send(ask);
            break;
        }
    }
}

static bool is_token(const struct es_buf *body)
{
    if (body->len == 0 || body->len > MAX_TOKEN)
        return false;
    for (size_t i = 0; i < body->len; i++)
        if ((unsigned char)body->data[i] <= ' ' || (unsigned char)body->data[i] >= 0x7f)
            return false;
    return true;
}

static void on_token(struct es_aws_imds *imds, const struct es_http_answer *answer)
{
    struct es_err err;
    int r;

    if (answer->outcome == ES_HTTP_ANSWERED && answer->status == 200 && is_token(&answer->body)) {
        es_buf_clear(&imds->token);
        r = es_buf_append(&imds->token, answer->body.data, answer->body.len) < 0 ? es_nomem(&err)
                                                                                 : 0;
        token_settled(imds, r, &err);
        return;
    }
    if (again(&imds->token_ask, answer))
        return;
    if (answer->outcome == ES_HTTP_ANSWERED && answer->status == 200)
        r = es_fail(&err, ES_INVALID, EBADMSG, "what answers at %s is no metadata service",
                    imds->origin);
    else
        r = refused(imds, answer, &err);
    token_settled(imds, r, &err);
}

static void on_path(struct ask *ask, const struct es_http_answer *answer)
{
    struct es_aws_imds *imds = ask->imds;
    struct es_err err;
    int r;

    if (answer->outcome == ES_HTTP_ANSWERED && answer->status == 200) {
        ask_end(ask, 0, &answer->body, NULL);
        return;
    }
    if (answer->status == 404) {
        r = es_fail(&err, ES_ABSENT, ENOENT, "the metadata service has no %s", ask->path);
        ask_end(ask, r, NULL, &err);
        return;
    }
    if (answer->status == 401 && !ask->renewed) {
        ask->renewed = true;
        es_buf_clear(&imds->token);
        ask_send(ask);
        return;
    }
    if (again(ask, answer))
        return;
    if (answer->status == 401 || answer->status == 403)
        r = refused(imds, answer, &err);
    else
        r = es_fail(&err, ES_UNAVAILABLE, EIO,
                    "the metadata service at %s does not give %s (status %d, %s)", imds->origin,
                    ask->path, answer->status, answer->detail);
    ask_end(ask, r, NULL, &err);
}

static void on_done(void *data, const struct es_http_answer *answer)
{
    struct ask *ask = data;

    if (ask->fn)
        on_path(ask, answer);
    else
        on_token(ask->imds, answer);
}

static int request(struct ask *ask, struct es_err *err)
{
    struct es_aws_imds *imds = ask->imds;
    ES_CLEANUP(es_buf_done) struct es_buf url = {0}, header = {0};
    const char *headers[1];
    struct es_http_request request = {
        .method = ask->fn ? "GET" : "PUT",
        .headers = headers,
        .n_headers = 1,
        .max_body = MAX_ANSWER,
        .flags = ES_HTTP_PLAIN_OK | ES_HTTP_NO_PROXY,
        .timeout_ms = TRY_MS,
        .on_done = on_done,
        .data = ask,
    };

    if (es_buf_puts(&url, imds->origin) < 0 ||
        es_buf_puts(&url, ask->fn ? ask->path : "/latest/api/token") < 0 ||
        es_buf_puts(&header, ask->fn ? "x-aws-ec2-metadata-token: "
                                     : "x-aws-ec2-metadata-token-ttl-seconds: 21600") < 0 ||
        (ask->fn && es_buf_puts(&header, es_buf_str(&imds->token)) < 0))
        return es_nomem(err);
    request.url = es_buf_str(&url);
    headers[0] = es_buf_str(&header);
    return es_http_send(imds->http, &request, err);
}

/* Sends the path's request, or the token's first. */
static void ask_send(void *data)
{
    struct ask *ask = data;
    struct es_aws_imds *imds = ask->imds;
    struct es_err err;
    int r = 0;

    if (ask->fn && imds->token.len == 0) {
        ask->waiting = true;
        if (imds->asking)
            return;
        imds->asking = true;
        imds->token_ask.tries = 0;
        imds->token_ask.since_ms = es_http_now_ms(imds->http);
        ask = &imds->token_ask;
    }
    r = request(ask, &err);
    if (r < 0 && ask->fn)
        ask_end(ask, r, NULL, &err);
    else if (r < 0)
        token_settled(imds, r, &err);
}

int es_aws_imds_get(struct es_aws_imds *imds, const char *path, es_aws_text_fn *fn, void *data,
                    struct es_err *err)
{
    struct ask *ask = calloc(1, sizeof *ask);
    int r;

    if (!ask)
        return es_nomem(err);
    *ask = (struct ask){.imds = imds, .fn = fn, .data = data};
    ask->since_ms = es_http_now_ms(imds->http);
    ask->path = strdup(path);
    r = ask->path ? es_http_after(imds->http, 0, ask_send, ask, err) : es_nomem(err);
    if (r < 0) {
        free(ask->path);
        free(ask);
        return r;
    }
    ask->next = imds->asks;
    imds->asks = ask;
    return 0;
}
