/* How each link of the chain is asked for keys: a copy, a process, a container's endpoint, the
 * metadata service, STS. One question at a time, which ends in creds_got() or creds_failed().
 *
 * Answers are hostile: they become keys in keys.c only, and a role's name is checked before it is
 * part of a path. No message holds a key or a token. */
#include "credentials.h"

#include <errno.h>
#include <string.h>

enum {
    CONTAINER_TRIES = 5,
    CONTAINER_TRY_MS = 2000,
    CONTAINER_WAIT_MS = 200,
    MAX_ANSWER = 65536,
};

static void on_document(struct es_aws_creds *creds, bool process, const char *text, size_t len)
{
    ES_CLEANUP(es_aws_keys_done) struct es_aws_keys keys = {0};
    struct es_err err;
    int64_t expires = 0;
    int r = es_aws_keys_read(text, len, process, &keys, &expires, &err);

    if (r == -ENOENT)
        err.class = ES_DENIED; /* a role in trouble: "Code" without keys */
    if (r < 0)
        creds_failed(creds, r, &err);
    else
        creds_got(creds, &keys, expires);
}

/* ---- one after the other ---- */

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
        creds_failed(creds, r, err);
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
        creds_failed(creds, r, &err);
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
        creds_failed(creds, r, &err);
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
    creds_failed(creds, r, &why);
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
        creds_failed(creds, r, &why);
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
        creds_failed(creds, r, err);
    else
        creds_got(creds, keys, expires);
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
    creds_got(creds, &keys, 0);
    es_aws_keys_done(&keys);
    return 0;
}

void creds_ask(struct es_aws_creds *creds)
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
        creds_failed(creds, r, &err);
}

void creds_forget_asking(struct es_aws_creds *creds)
{
    es_aws_free(creds->sts_client);
    es_aws_sts_free(creds->sts);
    es_http_forget(creds->shared->http, creds);
    es_aws_process_free(creds->process);
    es_buf_done(&creds->token);
}
