/* One request in libcurl's hands: what it sends, and how the answer is taken.
 *
 * The answer is hostile. Headers and bodies are counted as they come and cut at their caps; headers
 * are kept only of the final answer, trailers never. Requests hold secrets (signatures, tokens,
 * STS forms): their texts live in es_buf, which cleanses; libcurl's own copy of the request's head
 * is beyond our reach. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    es_buf_done(&t->url);
    es_buf_done(&t->body);
    es_buf_done(&t->lines);
    es_buf_done(&t->got_headers);
    es_buf_done(&t->got);
    free(t->headers);
    free(t);
}

static const char *method_of(const char *method)
{
    static const char *const known[] = {"GET", "PUT", "POST", "HEAD"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], method) == 0)
            return known[i];
    return NULL;
}

/* libcurl adds these by itself unless it is told not to: nothing is sent that was not asked for.
 * The latter two come with a body only. */
static const char *const suppressed[] = {"Accept:", "Expect:", "Content-Type:"};

static bool gives(const struct es_http_request *request, const char *start)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (strncasecmp(request->headers[i], start, strlen(start)) == 0)
            return true;
    return false;
}

static int put_line(struct transfer *t, const char *line)
{
    return es_buf_append(&t->lines, line, strlen(line) + 1);
}

/* libcurl only reads the list, so it may be one block that points into the cleansed text. */
static int make_headers(struct transfer *t, const struct es_http_request *request)
{
    size_t n = 0, suppress = t->method[0] == 'P' ? 3 : 1;
    const char *at;

    for (size_t i = 0; i < request->n_headers; i++, n++)
        if (put_line(t, request->headers[i]) < 0)
            return -ENOMEM;
    for (size_t i = 0; i < suppress; i++) {
        if (gives(request, suppressed[i]))
            continue;
        if (put_line(t, suppressed[i]) < 0)
            return -ENOMEM;
        n++;
    }
    t->headers = calloc(n, sizeof *t->headers);
    if (!t->headers)
        return -ENOMEM;
    at = t->lines.data;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        t->headers[i] = (struct curl_slist){.data = (char *)(uintptr_t)at,
                                            .next = i + 1 < n ? &t->headers[i + 1] : NULL};
    return 0;
}

static int check(const struct es_http_request *request, struct es_err *err)
{
    if (!method_of(request->method) || strlen(request->url) > MAX_URL)
        return es_fail(err, ES_INTERNAL, EINVAL, "a request that cannot be sent");
    for (const char *p = request->url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return es_fail(err, ES_INTERNAL, EINVAL, "a URL with a control character");
    for (size_t i = 0; i < request->n_headers; i++)
        if (strpbrk(request->headers[i], "\r\n") || !strchr(request->headers[i], ':'))
            return es_fail(err, ES_INVALID, EINVAL, "a header with a line break");
    return 0;
}

int transfer_new(const struct es_http_request *request, struct transfer **ret, struct es_err *err)
{
    struct transfer *t;
    int r = check(request, err);

    if (r < 0)
        return r;
    t = calloc(1, sizeof *t);
    if (!t)
        return es_nomem(err);
    t->method = method_of(request->method);
    t->max_body = request->max_body;
    t->timeout_ms = request->timeout_ms;
    t->first = request->flags & ES_HTTP_FIRST;
    t->on_data = request->on_data;
    t->on_done = request->on_done;
    t->data = request->data;
    if (es_buf_puts(&t->url, request->url) < 0 ||
        es_buf_append(&t->body, request->body ? request->body : "", request->body_len) < 0 ||
        make_headers(t, request) < 0) {
        transfer_free(t);
        return es_nomem(err);
    }
    *ret = t;
    return 0;
}

/* ---- the answer as it comes ---- */

static size_t stop(struct transfer *t, enum es_http_outcome why)
{
    t->verdict = why;
    return 0; /* less than was offered: libcurl gives up */
}

static bool success(const struct transfer *t)
{
    return t->status >= 200 && t->status < 300;
}

static void trim(const char **text, size_t *len)
{
    while (*len && strchr(" \t\r\n", (*text)[*len - 1]))
        --*len;
    while (*len && (**text == ' ' || **text == '\t')) {
        ++*text;
        --*len;
    }
}

/* "HTTP/1.1 200 OK" */
static int status_of(const char *line, size_t len)
{
    int status = 0;

    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
        return 0;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        status = 10 * status + line[i] - '0';
    }
    return status;
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    struct transfer *t = data;
    const char *colon, *value;
    size_t len = size * n, name_len, value_len;

    t->header_bytes += len;
    if (t->header_bytes > MAX_HEADERS)
        return stop(t, ES_HTTP_TOO_LARGE);
    if (t->in_body) /* a trailer */
        return len;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        es_buf_clear(&t->got_headers);
        t->status = status_of(line, len);
        t->headed = false;
        return len;
    }
    if (len <= 2 && (line[0] == '\r' || line[0] == '\n')) {
        t->headed = true;
        return len;
    }
    colon = memchr(line, ':', len);
    if (!colon)
        return len;
    name_len = (size_t)(colon - line);
    value = colon + 1;
    value_len = len - name_len - 1;
    trim(&value, &value_len);
    /* A NUL would make two of it; no header of AWS has one. */
    if (memchr(line, '\0', len))
        return stop(t, ES_HTTP_BODY_BROKEN);
    if (es_buf_append(&t->got_headers, line, name_len) < 0 ||
        es_buf_putc(&t->got_headers, '\0') < 0 ||
        es_buf_append(&t->got_headers, value, value_len) < 0 ||
        es_buf_putc(&t->got_headers, '\0') < 0)
        return stop(t, ES_HTTP_FAULT);
    return len;
}

/* Of a refusal the beginning is kept; the rest is read for the connection's sake, to a bound. */
static size_t on_refusal(struct transfer *t, const char *bytes, size_t len)
{
    size_t room = t->got.len < MAX_ERROR_BODY ? MAX_ERROR_BODY - t->got.len : 0;

    if (t->got_bytes > MAX_ERROR_WASTE)
        return stop(t, ES_HTTP_TOO_LARGE);
    if (es_buf_append(&t->got, bytes, len < room ? len : room) < 0)
        return stop(t, ES_HTTP_FAULT);
    return len;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
    struct transfer *t = data;
    const struct es_http_answer answer = {.status = t->status, .headers = &t->got_headers};
    size_t len = size * n;

    t->in_body = true;
    t->got_bytes += len;
    if (!success(t))
        return on_refusal(t, bytes, len);
    if (t->got_bytes > t->max_body)
        return stop(t, ES_HTTP_TOO_LARGE);
    if (t->on_data)
        return t->on_data(t->data, &answer, bytes, len) < 0 ? stop(t, ES_HTTP_STOPPED) : len;
    return es_buf_append(&t->got, bytes, len) < 0 ? stop(t, ES_HTTP_FAULT) : len;
}

/* ---- going and coming back ---- */

/* The seat's URL has the origin alone, which libcurl takes apart in no time, and may have done
 * already; what is sent is the target. A plain proxy wants all of it. */
static bool set_url(const struct transfer *t, CURL *easy)
{
    const char *url = es_buf_str(&t->url), *target = url + strlen(t->line->origin);

    if (*target != '/' || (t->line->proxy && !t->line->tls))
        return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, NULL) == CURLE_OK;
    return curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, target) == CURLE_OK;
}

bool transfer_seat(struct transfer *t, struct seat *seat)
{
    CURL *easy = seat->easy;
    bool ok;

    ok = set_url(t, easy) && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, CURL_HET_DEFAULT) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)seat->ahead) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)t->timeout_ms) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    if (ok && t->method[0] == 'H')
        ok = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (ok && t->method[0] == 'P')
        ok = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, es_buf_str(&t->body)) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len) ==
                 CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->method) == CURLE_OK;
    t->seat = ok ? seat : NULL;
    seat->transfer = t->seat ? t : NULL;
    return ok;
}

/* libcurl takes an answer that ends within its headers for a whole one, and a body without a length
 * for whole where the connection ends. Neither can be told from one that was cut off. */
static bool is_whole(const struct transfer *t)
{
    struct es_http_answer answer = {.headers = &t->got_headers};

    if (!t->headed)
        return false;
    return t->got_bytes == 0 || es_http_header(&answer, "content-length") ||
           es_http_header(&answer, "transfer-encoding");
}

/* A handshake fails also where the connection breaks; only then OpenSSL has nothing to say, or that
 * the end came too early. */
static bool spoke_no_tls(const struct transfer *t)
{
    const char *words = t->seat ? t->seat->error : "";

    return strstr(words, "error:") && !strstr(words, "unexpected eof");
}

static enum es_http_outcome judge(const struct transfer *t, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return is_whole(t) ? ES_HTTP_ANSWERED : ES_HTTP_BODY_BROKEN;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return ES_HTTP_NO_DNS;
    case CURLE_OPERATION_TIMEDOUT:
        return ES_HTTP_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return ES_HTTP_CERTIFICATE;
    case CURLE_SSL_CIPHER:
        return ES_HTTP_TLS_BROKEN;
    case CURLE_SSL_CONNECT_ERROR:
        return spoke_no_tls(t) ? ES_HTTP_TLS_BROKEN : ES_HTTP_NO_CONNECTION;
    case CURLE_PARTIAL_FILE:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, HTTP/2 by itself: no answer of AWS's */
    case CURLE_BAD_CONTENT_ENCODING:
        return ES_HTTP_BODY_BROKEN;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        return ES_HTTP_FAULT;
    default: /* refused, unreachable, reset, empty; in the middle of an answer it is broken */
        return t->status ? ES_HTTP_BODY_BROKEN : ES_HTTP_NO_CONNECTION;
    }
}

/* libcurl bounds a line of a header by itself, before it hands it over, and up to 8.6 has only this
 * word for it. */
static bool is_long_line(const struct transfer *t, CURLcode code)
{
    enum { TOO_LARGE = 100 }; /* CURLE_TOO_LARGE, since 8.6 */
    curl_off_t sent = 0;
    void *volatile memory;

    if (t->headed || !t->seat || (code != CURLE_OUT_OF_MEMORY && (int)code != TOO_LARGE))
        return false;
    curl_easy_getinfo(t->seat->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    memory = malloc(MAX_HEADERS);
    free(memory);
    return sent != 0 && memory;
}

/* Where it was when the time was up. */
static const char *phase_of(const struct transfer *t)
{
    CURL *easy = t->seat->easy;
    curl_off_t name = 0, connect = 0, ready = 0;

    curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &name);
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connect);
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    /* First, because a connection that is used again was looked up and connected in no time. */
    if (ready != 0)
        return t->headed ? "in the middle of its answer" : "while waiting for its answer";
    return name == 0      ? "while its name was looked up"
           : connect == 0 ? "while connecting"
                          : "in the handshake of TLS";
}

void transfer_done(struct transfer *t, enum es_http_outcome outcome, CURLcode code)
{
    struct es_http_answer answer = {.outcome = outcome, .headers = &t->got_headers};
    long connects = 1;

    if (t->verdict != ES_HTTP_ANSWERED)
        answer.outcome = t->verdict;
    else if (outcome == ES_HTTP_ANSWERED)
        answer.outcome = is_long_line(t, code) ? ES_HTTP_TOO_LARGE : judge(t, code);
    answer.status = t->status;
    answer.body = t->got; /* lent */
    answer.verified = t->line->tls && t->status != 0;
    answer.detail = "no time was left for it";
    if (t->seat) {
        curl_easy_getinfo(t->seat->easy, CURLINFO_NUM_CONNECTS, &connects);
        answer.reused = connects == 0;
        answer.detail = t->seat->error[0]  ? t->seat->error
                        : code == CURLE_OK ? "cut off"
                                           : curl_easy_strerror(code);
        /* libcurl quotes a proxy that it cannot make out, with the password in it. */
        if (t->line->proxy && strchr(t->line->proxy, '@'))
            answer.detail = curl_easy_strerror(code);
        if (outcome == ES_HTTP_DEADLINE)
            answer.detail = phase_of(t);
    }
    t->on_done(t->data, &answer);
}

const char *es_http_header(const struct es_http_answer *answer, const char *name)
{
    const struct es_buf *headers = answer->headers;
    const char *at = headers->data, *end = at + headers->len;

    while (at < end) {
        const char *value = at + strlen(at) + 1;

        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}
