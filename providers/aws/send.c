/* See call.h: one try of a call on its way out. What the service wants to be told, the signature
 * over it, the endpoint it goes to. Keys, ids and bodies lie in buffers that cleanse. */
#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_json(enum es_aws_service service)
{
    return service == ES_AWS_SSM || service == ES_AWS_SECRETS_MANAGER;
}

/* What the service wants besides the caller's own headers. */
static size_t service_headers(const struct call *call, struct es_aws_pair *to, char *target,
                              size_t size)
{
    enum es_aws_service service = call->aws->service;
    size_t n = 0;

    if (service == ES_AWS_STS)
        to[n++] = (struct es_aws_pair){"content-type",
                                       "application/x-www-form-urlencoded; charset=utf-8"};
    if (!is_json(service))
        return n;
    snprintf(target, size, "%s.%s", service == ES_AWS_SSM ? "AmazonSSM" : "secretsmanager",
             call->is.operation);
    to[n++] = (struct es_aws_pair){"content-type", "application/x-amz-json-1.1"};
    to[n++] = (struct es_aws_pair){"x-amz-target", target};
    return n;
}

/* "Name: value" of all headers, one behind the other with their NULs; out gets where they start. */
struct header_lines {
    struct es_buf text;
    size_t at[ES_AWS_MAX_HEADERS + ES_AWS_SIGNED_HEADERS];
    const char *lines[ES_AWS_MAX_HEADERS + ES_AWS_SIGNED_HEADERS];
    size_t n;
};

static void header_lines_done(struct header_lines *lines)
{
    es_buf_done(&lines->text);
}

static int add_line(struct header_lines *lines, const char *name, const char *value)
{
    lines->at[lines->n++] = lines->text.len;
    if ((name && (es_buf_puts(&lines->text, name) < 0 || es_buf_puts(&lines->text, ": ") < 0)) ||
        es_buf_puts(&lines->text, value) < 0)
        return -ENOMEM;
    return es_buf_putc(&lines->text, '\0');
}

static int make_lines(struct header_lines *lines, const struct es_aws_pair *headers, size_t n,
                      const struct es_aws_signed *with)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_line(lines, headers[i].name, headers[i].value ? headers[i].value : "");
    for (size_t i = 0; r == 0 && i < ES_AWS_SIGNED_HEADERS; i++)
        if (with->headers[i].len)
            r = add_line(lines, NULL, es_buf_str(&with->headers[i]));
    for (size_t i = 0; r == 0 && i < lines->n; i++)
        lines->lines[i] = lines->text.data + lines->at[i];
    return r;
}

static int sign(struct call *call, const struct es_aws_request *request, struct es_aws_signed *out,
                struct es_err *err)
{
    struct es_aws *aws = call->aws;
    struct es_aws_scope scope = {
        .region = call->region,
        .service = es_aws_service_name(aws->service),
        .flags = aws->service == ES_AWS_S3 ? ES_AWS_SIGN_S3 : ES_AWS_SIGN_OTHER,
        .now = es_aws_now(aws->shared),
    };

    call->offset = aws->shared->offset;
    if (!aws->creds)
        return es_aws_target(&out->target, request->path, request->query, request->n_query, err);
    scope.keys = es_aws_creds_keys(aws->creds);
    es_buf_clear(&call->id);
    if (es_buf_append(&call->id, scope.keys->id.data, scope.keys->id.len) < 0)
        return es_nomem(err);
    return es_aws_sign(aws->shared->signer, &scope, request, out, err);
}

static int find_endpoint(const struct es_aws *aws, const char *bucket, char region[64],
                         struct es_aws_endpoint *ret, struct es_err *err)
{
    const char *learnt = bucket ? es_aws_bucket_region(aws->shared, bucket) : NULL;
    struct es_aws_endpoint_want want = {
        .service = aws->service,
        .region = region,
        .fips = aws->settings.fips,
        .dual_stack = aws->settings.dual_stack,
        .custom = aws->custom,
        .bucket = bucket,
        .addressing = aws->addressing,
    };

    snprintf(region, 64, "%s", learnt ? learnt : aws->region);
    return es_aws_endpoint(&want, ret, err);
}

void call_announce(struct es_aws *aws, const char *method, const char *bucket, size_t body_len,
                   size_t n, bool soon)
{
    ES_CLEANUP(es_buf_done) struct es_buf url = {0};
    struct es_aws_endpoint endpoint;
    struct es_http_request like = {
        .method = method, .body_len = body_len, .ca = aws->ca, .proxy = aws->proxy};
    struct es_err ignored;
    char region[64];

    if (!aws->region[0] || find_endpoint(aws, bucket, region, &endpoint, &ignored) < 0 ||
        es_buf_printf(&url, "%s://%s/", endpoint.tls ? "https" : "http", endpoint.authority) < 0)
        return;
    like.url = es_buf_str(&url);
    like.flags = endpoint.tls ? 0 : ES_HTTP_PLAIN_OK;
    if (n)
        es_http_ahead(aws->shared->http, &like, n, soon);
    else
        es_http_no_more(aws->shared->http, &like);
}

static int on_data(void *data, const struct es_http_answer *answer, const void *bytes, size_t len)
{
    struct call *call = data;

    call->delivered = true;
    return call->is.on_data(call->is.data, answer, bytes, len);
}

static int send(struct call *call, const struct es_aws_request *request,
                const struct es_aws_signed *with, call_done_fn *on_done, struct es_err *err)
{
    struct es_aws *aws = call->aws;
    ES_CLEANUP(header_lines_done) struct header_lines lines = {.n = 0};
    ES_CLEANUP(es_buf_done) struct es_buf url = {0};
    struct es_http_request http = {
        .method = call->is.method,
        .headers = lines.lines,
        .body = call->is.body,
        .body_len = call->body.len,
        .max_body = call->is.max_body,
        .flags =
            (call->endpoint.tls ? 0u : ES_HTTP_PLAIN_OK) | (call->is.first ? ES_HTTP_FIRST : 0u),
        .ca = aws->ca,
        .proxy = aws->proxy,
        .on_data = call->is.on_data ? on_data : NULL,
        .on_done = on_done,
        .data = call,
    };

    if (make_lines(&lines, request->headers, request->n_headers, with) < 0 ||
        es_buf_puts(&url, call->endpoint.tls ? "https://" : "http://") < 0 ||
        es_buf_puts(&url, call->endpoint.authority) < 0 ||
        es_buf_append(&url, with->target.data, with->target.len) < 0)
        return es_nomem(err);
    http.n_headers = lines.n;
    http.url = es_buf_str(&url);
    return es_http_send(aws->shared->http, &http, err);
}

int call_send(struct call *call, call_done_fn *on_done, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    ES_CLEANUP(es_aws_signed_done) struct es_aws_signed with = {0};
    struct es_aws_pair headers[ES_AWS_MAX_HEADERS];
    char target[128];
    struct es_aws_request request = {
        .method = call->is.method,
        .host = call->endpoint.authority,
        .query = call->is.query,
        .n_query = call->is.n_query,
        .headers = headers,
        .payload_hash = call->body.len ? call->hash : NULL,
    };
    int r = find_endpoint(call->aws, call->is.bucket, call->region, &call->endpoint, err);

    if (r < 0)
        return r;
    if (call->is.n_headers > ES_AWS_MAX_HEADERS - 2)
        return es_fail(err, ES_INTERNAL, E2BIG, "too many headers");
    request.n_headers = service_headers(call, headers, target, sizeof target);
    for (size_t i = 0; i < call->is.n_headers; i++)
        headers[request.n_headers++] = call->is.headers[i];
    if (es_buf_puts(&path, call->endpoint.base) < 0 || es_buf_puts(&path, call->is.path) < 0)
        return es_nomem(err);
    request.path = es_buf_str(&path);
    r = sign(call, &request, &with, err);
    return r < 0 ? r : send(call, &request, &with, on_done, err);
}

int call_send_head(struct call *call, call_done_fn *on_done, struct es_err *err)
{
    ES_CLEANUP(es_aws_signed_done) struct es_aws_signed with = {0};
    ES_CLEANUP(header_lines_done) struct header_lines lines = {.n = 0};
    ES_CLEANUP(es_buf_done) struct es_buf url = {0}, path = {0};
    struct es_aws_request request = {.method = "HEAD", .host = call->endpoint.authority};
    struct es_http_request http = {
        .method = "HEAD",
        .headers = lines.lines,
        .flags = call->endpoint.tls ? 0 : ES_HTTP_PLAIN_OK,
        .ca = call->aws->ca,
        .proxy = call->aws->proxy,
        .on_done = on_done,
        .data = call,
    };
    int r;

    if (es_buf_printf(&path, "%s/", call->endpoint.base) < 0)
        return es_nomem(err);
    request.path = es_buf_str(&path);
    r = sign(call, &request, &with, err);
    if (r < 0)
        return r;
    if (make_lines(&lines, NULL, 0, &with) < 0 ||
        es_buf_printf(&url, "%s://%s%s", call->endpoint.tls ? "https" : "http",
                      call->endpoint.authority, es_buf_str(&with.target)) < 0)
        return es_nomem(err);
    http.n_headers = lines.n;
    http.url = es_buf_str(&url);
    return es_http_send(call->aws->shared->http, &http, err);
}
