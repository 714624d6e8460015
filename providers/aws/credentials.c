/* Credentials as they are now: fetched by the chain's link, refreshed in time, handed to all who
 * wait for them.
 *
 * REFRESH
 *     With less than 15 minutes left new ones are fetched while the old ones still serve; with less
 *     than 10 they are waited for. Where that fails and the old ones have not been refused, they
 *     serve on, also a little beyond their time: the metadata service hands out stale ones in an
 *     outage on purpose. At most once a minute, since a role may give 15 minutes and no more.
 *
 * No message holds a key. */
#include "inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFRESH_S = 15 * 60,
    MANDATORY_S = 10 * 60,
    PAUSE_MS = 60000,
    CONTAINER_TRIES = 5,
    CONTAINER_TRY_MS = 2000,
    CONTAINER_WAIT_MS = 200,
    MAX_ANSWER = 65536,
};

enum state { EMPTY, READY, FAILED };

struct waiter {
    struct waiter *next;
    es_aws_creds_fn *fn;
    void *data;
};

struct es_aws_creds {
    struct es_aws_creds *next;
    struct es_aws_shared *shared;
    struct es_aws_settings settings;
    struct es_aws_link *top; /* owned */
    const struct es_aws_link *link;
    struct es_aws_creds *base; /* owned: of a role */
    const struct es_http_ca *ca;
    char region[64]; /* for STS */
    struct es_aws_keys keys;
    int64_t expires; /* 0: never */
    int64_t fetched_ms;
    enum state state;
    bool busy;
    bool refused; /* AWS calls these keys expired */
    struct es_err err;
    int r;
    struct waiter *waiters;
    struct es_aws_process *process;
    struct es_aws *sts_client;
    struct es_aws_sts *sts;
    struct es_buf token; /* of a container or web identity, while it is needed */
    int tries;
};

static void begin(struct es_aws_creds *creds);

/* ---- the end of a fetch ---- */

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

static void failed(struct es_aws_creds *creds, int r, const struct es_err *err)
{
    struct es_err why = *err;

    creds->busy = false;
    es_buf_done(&creds->token);
    if (creds->state == READY && !creds->refused) { /* the old ones are better than none */
        creds->fetched_ms = es_http_now_ms(creds->shared->http);
        wake(creds, 0, NULL);
        return;
    }
    es_context(&why, "credentials from %s", creds->link->what);
    creds->state = FAILED;
    creds->err = why;
    creds->r = r;
    wake(creds, r, &why);
}

/* Takes the keys over. */
static void got(struct es_aws_creds *creds, struct es_aws_keys *keys, int64_t expires)
{
    struct es_err err;

    if (creds->refused && es_buf_equal(&creds->keys.id, &keys->id)) {
        failed(
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
    creds->state = READY;
    creds->busy = false;
    creds->refused = false;
    es_buf_done(&creds->token);
    wake(creds, 0, NULL);
}

static void on_document(struct es_aws_creds *creds, bool process, const char *text, size_t len)
{
    ES_CLEANUP(es_aws_keys_done) struct es_aws_keys keys = {0};
    struct es_err err;
    int64_t expires = 0;
    int r = es_aws_keys_read(text, len, process, &keys, &expires, &err);

    if (r == -ENOENT)
        err.class = ES_DENIED; /* a role in trouble: "Code" without keys */
    if (r < 0)
        failed(creds, r, &err);
    else
        got(creds, &keys, expires);
}

/* ---- the links ---- */

static void on_process(void *data, int r, const struct es_buf *text, const struct es_err *err)
{
    struct es_aws_creds *creds = data;
    ES_CLEANUP(es_buf_done) struct es_buf mine = {0};
    struct es_err why;

    if (r == 0 && es_buf_append(&mine, es_buf_str(text), text->len) < 0) {
        r = es_nomem(&why);
        err = &why;
    } else if (r < 0) {
        why = *err;
        err = &why;
    }
    es_aws_process_free(creds->process);
    creds->process = NULL;
    if (r < 0)
        failed(creds, r, err);
    else
        on_document(creds, true, es_buf_str(&mine), mine.len);
}

static int ask_container(struct es_aws_creds *creds, struct es_err *err);

static void container_again(void *data)
{
    struct es_aws_creds *creds = data;
    struct es_err err;
    int r = ask_container(creds, &err);

    if (r < 0)
        failed(creds, r, &err);
}

static void on_container(void *data, const struct es_http_answer *answer)
{
    struct es_aws_creds *creds = data;
    struct es_err err;
    int r;

    if (answer->outcome == ES_HTTP_ANSWERED && answer->status == 200) {
        on_document(creds, false, es_buf_str(&answer->body), answer->body.len);
        return;
    }
    if (answer->outcome == ES_HTTP_ANSWERED && answer->status < 500 && answer->status != 429)
        r = es_fail(&err, ES_DENIED, EACCES, "the container endpoint refuses with status %d",
                    answer->status);
    else if (answer->outcome == ES_HTTP_CERTIFICATE)
        r = es_fail(&err, ES_DENIED, EACCES, "the container endpoint: %s", answer->detail);
    else if (++creds->tries >= CONTAINER_TRIES || answer->outcome == ES_HTTP_DEADLINE)
        r = es_fail(&err, ES_UNAVAILABLE, EIO,
                    "the container endpoint does not answer (status %d, %s)", answer->status,
                    answer->detail);
    else
        r = es_http_after(creds->shared->http, CONTAINER_WAIT_MS << creds->tries, container_again,
                          creds, &err);
    if (r < 0)
        failed(creds, r, &err);
}

/* The file goes before the variable. */
static int read_container_token(struct es_aws_creds *creds, struct es_err *err)
{
    const struct es_aws_settings *settings = &creds->settings;
    const char *file = es_aws_variable(settings, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = es_aws_variable(settings, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    int r = 0;

    es_buf_clear(&creds->token);
    if (file)
        r = es_aws_read_file(settings, ES_AWS_ROLE_CONTAINER_TOKEN,
                             "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file, ES_AWS_MAX_TOKEN,
                             &creds->token, err);
    else if (token && es_buf_puts(&creds->token, token) < 0)
        r = es_nomem(err);
    if (r == 0 && strpbrk(es_buf_str(&creds->token), "\r\n"))
        return es_fail(err, ES_CONFIG, EINVAL, "the authorization token has a line break in it");
    return r;
}

static int ask_container(struct es_aws_creds *creds, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf header = {0};
    const char *headers[1];
    struct es_http_request request = {
        .method = "GET",
        .url = creds->link->url,
        .headers = headers,
        .max_body = MAX_ANSWER,
        .flags = ES_HTTP_PLAIN_OK | ES_HTTP_NO_PROXY,
        .timeout_ms = CONTAINER_TRY_MS,
        .ca = creds->ca,
        .on_done = on_container,
        .data = creds,
    };
    int r = read_container_token(creds, err);

    if (r < 0)
        return r;
    if (creds->token.len) {
        if (es_buf_puts(&header, "Authorization: ") < 0 ||
            es_buf_append(&header, creds->token.data, creds->token.len) < 0)
            return es_nomem(err);
        headers[request.n_headers++] = es_buf_str(&header);
    }
    return es_http_send(creds->shared->http, &request, err);
}

/* Nobody there at all is no outage of ours, but a host that is none of AWS's, unless it was named.
 */
static void imds_failed(struct es_aws_creds *creds, int r, const struct es_err *err)
{
    struct es_err why = *err;

    if (r == -EHOSTUNREACH && creds->link->implied && why.class == ES_UNAVAILABLE &&
        es_http_now_ms(creds->shared->http) < es_http_deadline_ms(creds->shared->http)) {
        why.class = ES_DENIED;
        es_context(&why, "no credentials: none in environment and profiles, and");
    } else if (r == -ENOENT) {
        why.class = ES_DENIED;
        es_context(&why, "no credentials: none in environment and profiles, and the instance has "
                         "no role");
    }
    failed(creds, r, &why);
}

static void on_imds_keys(void *data, int r, const struct es_buf *body, const struct es_err *err)
{
    struct es_aws_creds *creds = data;

    if (r < 0)
        imds_failed(creds, r, err);
    else
        on_document(creds, false, es_buf_str(body), body->len);
}

static bool is_role_name(const char *name, size_t len)
{
    if (len == 0 || len > 128)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-",
                    name[i]))
            return false;
    return true;
}

static void on_imds_role(void *data, int r, const struct es_buf *body, const struct es_err *err)
{
    struct es_aws_creds *creds = data;
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    struct es_err why;
    const char *role;
    size_t len;

    if (r < 0) {
        imds_failed(creds, r, err);
        return;
    }
    role = es_buf_str(body);
    role += strspn(role, " \t\r\n");
    len = strcspn(role, " \t\r\n");
    if (!is_role_name(role, len))
        r = es_fail(&why, ES_INVALID, EBADMSG, "the metadata service names a role that is none");
    else if (es_buf_puts(&path, "/latest/meta-data/iam/security-credentials/") < 0 ||
             es_buf_append(&path, role, len) < 0)
        r = es_nomem(&why);
    else
        r = es_aws_imds_get(creds->shared->imds, es_buf_str(&path), on_imds_keys, creds, &why);
    if (r < 0)
        failed(creds, r, &why);
}

static int ask_imds(struct es_aws_creds *creds, struct es_err *err)
{
    struct es_aws_imds *imds;
    int r = es_aws_imds_find(creds->shared, &creds->settings, &imds, err);

    return r < 0 ? r
                 : es_aws_imds_get(imds, "/latest/meta-data/iam/security-credentials/",
                                   on_imds_role, creds, err);
}

static void on_sts(void *data, int r, struct es_aws_keys *keys, int64_t expires,
                   const struct es_err *err)
{
    struct es_aws_creds *creds = data;

    es_aws_sts_free(creds->sts);
    creds->sts = NULL;
    if (r < 0)
        failed(creds, r, err);
    else
        got(creds, keys, expires);
}

static int ask_sts(struct es_aws_creds *creds, struct es_err *err)
{
    struct es_aws_sts_call call = {
        .link = creds->link,
        .token = creds->link->kind == ES_AWS_LINK_WEB_IDENTITY ? es_buf_str(&creds->token) : NULL,
        .done = on_sts,
        .data = creds,
    };
    int r = 0;

    if (!creds->sts_client)
        r = es_aws_new_sts(creds->shared, &creds->settings, creds->region, creds->base,
                           &creds->sts_client, err);
    return r < 0 ? r : es_aws_sts_start(creds->sts_client, &call, &creds->sts, err);
}

/* Read again at each refresh: it rotates. */
static int ask_web_identity(struct es_aws_creds *creds, struct es_err *err)
{
    const char *path = creds->link->token_path;
    int r;

    es_buf_clear(&creds->token);
    if (path)
        r = es_aws_read_path(path, "web_identity_token_file", ES_AWS_MAX_TOKEN, &creds->token, err);
    else
        r = es_aws_read_file(&creds->settings, ES_AWS_ROLE_WEB_TOKEN, "AWS_WEB_IDENTITY_TOKEN_FILE",
                             es_aws_variable(&creds->settings, "AWS_WEB_IDENTITY_TOKEN_FILE"),
                             ES_AWS_MAX_TOKEN, &creds->token, err);
    while (r == 0 && creds->token.len && strchr(" \t\r\n", creds->token.data[creds->token.len - 1]))
        creds->token.data[--creds->token.len] = '\0';
    if (r == 0 && creds->token.len == 0)
        return es_fail(err, ES_CONFIG, EINVAL, "the token file is empty");
    return r < 0 ? r : ask_sts(creds, err);
}

static int copy_keys(struct es_aws_creds *creds, struct es_err *err)
{
    const struct es_aws_keys *from = &creds->link->keys;
    struct es_aws_keys keys = {0};

    if (es_buf_append(&keys.id, from->id.data, from->id.len) < 0 ||
        es_buf_append(&keys.secret, from->secret.data, from->secret.len) < 0 ||
        es_buf_append(&keys.token, es_buf_str(&from->token), from->token.len) < 0) {
        es_aws_keys_done(&keys);
        return es_nomem(err);
    }
    got(creds, &keys, 0);
    es_aws_keys_done(&keys);
    return 0;
}

static void begin(struct es_aws_creds *creds)
{
    struct es_err err;
    int r = 0;

    creds->busy = true;
    creds->tries = 0;
    switch (creds->link->kind) {
    case ES_AWS_LINK_STATIC:
        r = copy_keys(creds, &err);
        break;
    case ES_AWS_LINK_PROCESS:
        r = es_aws_process_start(creds->shared, creds->link->command,
                                 creds->settings.surroundings->home, on_process, creds,
                                 &creds->process, &err);
        break;
    case ES_AWS_LINK_CONTAINER:
        r = ask_container(creds, &err);
        break;
    case ES_AWS_LINK_IMDS:
        r = ask_imds(creds, &err);
        break;
    case ES_AWS_LINK_WEB_IDENTITY:
        r = ask_web_identity(creds, &err);
        break;
    case ES_AWS_LINK_ROLE:
        r = ask_sts(creds, &err);
        break;
    }
    if (r < 0)
        failed(creds, r, &err);
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

    if (creds->state != READY || creds->refused)
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

    if (creds->state == FAILED) {
        *err = creds->err;
        return creds->r;
    }
    if (region && !creds->region[0])
        strncpy(creds->region, region, sizeof creds->region - 1);
    old = age(creds);
    if (old && !creds->busy && (creds->region[0] || !needs_region(creds)))
        begin(creds);
    if (creds->state == FAILED) {
        *err = creds->err;
        return creds->r;
    }
    if (old < 2 || age(creds) < 2)
        return 1;
    return wait_for(creds, fn, data, err);
}

void es_aws_creds_expired(struct es_aws_creds *creds, const char *id)
{
    if (creds->state == READY && es_buf_is(&creds->keys.id, id))
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
    es_aws_free(creds->sts_client);
    es_aws_sts_free(creds->sts);
    creds_free(creds->base);
    es_http_forget(creds->shared->http, creds);
    es_aws_process_free(creds->process);
    while (creds->waiters) {
        struct waiter *waiter = creds->waiters;

        creds->waiters = waiter->next;
        free(waiter);
    }
    es_aws_link_free(creds->top);
    es_aws_settings_done(&creds->settings);
    es_aws_keys_done(&creds->keys);
    es_buf_done(&creds->token);
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
