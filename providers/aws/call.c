/* See call.h. One call: sent (send.c), judged by retry.h, repaired or tried again, and ended once.
 *
 * The answer is hostile until its certificate was verified, and AWS's text is never shown: codes,
 * request ids and resources only, each checked for shape by error.c. Bodies and keys lie in buffers
 * that cleanse. */
#include "call.h"

#include "date.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WRONG = 3 /* answers whose content does not hold, in a row */ };

void call_free(struct call *call)
{
    if (!call)
        return;
    es_buf_done(&call->texts);
    es_buf_done(&call->body);
    es_buf_done(&call->id);
    free(call->pairs);
    free(call);
}

/* ---- the copy ---- */

static size_t room(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Never moves the buffer: all its room was reserved. */
static const char *put(struct es_buf *texts, const char *text)
{
    size_t at = texts->len;

    if (!text || es_buf_append(texts, text, strlen(text) + 1) < 0)
        return NULL;
    return texts->data + at;
}

static size_t room_of(const struct es_aws_call *is)
{
    size_t n = room(is->operation) + room(is->method) + room(is->bucket) + room(is->path) +
               room(is->allow) + room(is->allow_resource);

    for (size_t i = 0; i < is->n_query; i++)
        n += room(is->query[i].name) + room(is->query[i].value);
    for (size_t i = 0; i < is->n_headers; i++)
        n += room(is->headers[i].name) + room(is->headers[i].value);
    return n;
}

static void copy_pairs(struct call *call, struct es_aws_pair *to, const struct es_aws_pair *from,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i].name = put(&call->texts, from[i].name);
        to[i].value = put(&call->texts, from[i].value);
    }
}

static int copy(struct call *call, const struct es_aws_call *is)
{
    struct es_buf *texts = &call->texts;

    call->pairs = calloc(is->n_query + is->n_headers + 1, sizeof *call->pairs);
    if (!call->pairs || es_buf_reserve(texts, room_of(is) + 1) < 0 ||
        es_buf_append(&call->body, is->body ? is->body : "", is->body_len) < 0)
        return -ENOMEM;
    call->is = *is;
    call->is.operation = put(texts, is->operation);
    call->is.method = put(texts, is->method);
    call->is.bucket = put(texts, is->bucket);
    call->is.path = put(texts, is->path);
    call->is.allow = put(texts, is->allow);
    call->is.allow_resource = put(texts, is->allow_resource);
    call->is.query = call->pairs;
    call->is.headers = call->pairs + is->n_query;
    call->is.body = es_buf_str(&call->body);
    copy_pairs(call, call->pairs, is->query, is->n_query);
    copy_pairs(call, call->pairs + is->n_query, is->headers, is->n_headers);
    return 0;
}

int call_new(struct es_aws *aws, const struct es_aws_call *is, struct call **ret,
             struct es_err *err)
{
    struct call *call = calloc(1, sizeof *call);
    int r;

    if (!call)
        return es_nomem(err);
    call->aws = aws;
    call->last.class = ES_CLASSES;
    if (copy(call, is) < 0) {
        call_free(call);
        return es_nomem(err);
    }
    r = call->body.len ? es_aws_signer_hash(aws->shared->signer, call->is.body, call->body.len,
                                            call->hash, err)
                       : 0;
    if (r < 0) {
        call_free(call);
        return r;
    }
    *ret = call;
    return 0;
}

void call_end(struct call *call, int r, const struct es_err *err,
              const struct es_http_answer *answer)
{
    struct es_aws_reply reply = {.r = r, .error = call->error, .answer = answer};

    if (r < 0)
        reply.err = *err;
    client_drop(call);
    call->is.on_done(call->is.data, &reply);
    call_free(call);
}

/* ---- judging ---- */

static enum es_aws_transport transport_of(enum es_http_outcome outcome)
{
    static const enum es_aws_transport transports[] = {
        [ES_HTTP_ANSWERED] = ES_AWS_ANSWERED,
        [ES_HTTP_NO_DNS] = ES_AWS_NO_DNS,
        [ES_HTTP_NO_CONNECTION] = ES_AWS_NO_CONNECTION,
        [ES_HTTP_TIMEOUT] = ES_AWS_TIMEOUT,
        [ES_HTTP_DEADLINE] = ES_AWS_TIMEOUT,
        [ES_HTTP_TLS_BROKEN] = ES_AWS_TLS_BROKEN,
        [ES_HTTP_CERTIFICATE] = ES_AWS_CERTIFICATE,
        [ES_HTTP_BODY_BROKEN] = ES_AWS_BODY_BROKEN,
        [ES_HTTP_TOO_LARGE] = ES_AWS_REFUSED,
        [ES_HTTP_STOPPED] = ES_AWS_REFUSED,
        [ES_HTTP_FAULT] = ES_AWS_REFUSED,
    };

    return transports[outcome];
}

static int64_t number_of(const struct es_http_answer *answer, const char *header)
{
    const char *text = es_http_header(answer, header);
    int64_t n = -1;

    if (text && es_integer_parse(text, strlen(text), &n) && n >= 0)
        return n;
    return -1;
}

static bool succeeded(const struct es_http_answer *answer)
{
    return answer->outcome == ES_HTTP_ANSWERED && answer->status >= 200 && answer->status < 300;
}

static int read_error(struct call *call, const struct es_http_answer *answer, struct es_err *err)
{
    struct es_aws_error_headers headers;
    const char *id;

    call->error = (struct es_aws_error){0};
    if (answer->outcome != ES_HTTP_ANSWERED || succeeded(answer))
        return 0;
    id = es_http_header(answer, "x-amzn-requestid");
    headers = (struct es_aws_error_headers){
        .type = es_http_header(answer, "x-amzn-errortype"),
        .request_id = id ? id : es_http_header(answer, "x-amz-request-id"),
        .bucket_region = es_http_header(answer, "x-amz-bucket-region"),
    };
    return es_aws_error_read(&call->error, es_buf_str(&answer->body), answer->body.len, &headers,
                             err);
}

static struct es_aws_answer judge(const struct call *call, const struct es_http_answer *answer)
{
    const struct es_aws *aws = call->aws;
    const char *date;
    struct es_aws_answer seen = {
        .transport = transport_of(answer->outcome),
        .status = answer->status,
        .code = call->error.code,
        .s3 = aws->service == ES_AWS_S3,
        .head = strcmp(call->is.method, "HEAD") == 0,
        .region = call->error.region[0] && strcmp(call->error.region, call->region) != 0,
        .retry_after_ms = -1,
        .retry_after = -1,
    };
    int64_t at;

    if (succeeded(answer))
        return seen;
    seen.retry_after_ms = number_of(answer, "x-amz-retry-after");
    seen.retry_after = number_of(answer, "retry-after");
    date = es_http_header(answer, "date");
    if (answer->verified && date && es_aws_date_http(date, &at)) {
        seen.dated = true;
        /* Against the clock that was signed by: of many under way, one corrects it before the
         * others come back. */
        seen.skew = at - (es_aws_now(aws->shared) - aws->shared->offset + call->offset);
    }
    return seen;
}

/* ---- repairs ---- */

static void again(void *data)
{
    struct call *call = data;

    client_advance(call);
}

static void later(struct call *call, int64_t ms)
{
    struct es_err err;
    int r;

    call->state = CALL_RESTS;
    r = es_http_after(call->aws->shared->http, (int)ms, again, call, &err);
    if (r < 0)
        call_end(call, r, &err, NULL);
}

static void on_head(void *data, const struct es_http_answer *answer);

static void other_region(struct call *call)
{
    const char *learnt = es_aws_bucket_region(call->aws->shared, call->is.bucket);
    struct es_err err;
    int r = 0;

    if (learnt && strcmp(learnt, call->region) != 0) { /* by another call, meanwhile */
        again(call);
        return;
    }
    if (!call->error.region[0] || strcmp(call->error.region, call->region) == 0) {
        r = call_send_head(call, on_head, &err);
        if (r < 0)
            call_end(call, r, &err, NULL);
        return;
    }
    r = es_aws_bucket_learn(call->aws->shared, call->is.bucket, call->error.region, &err);
    if (r < 0)
        call_end(call, r, &err, NULL);
    else
        again(call);
}

/* A line for -v: never a URL, a signature or a value. */
static void tell(const struct call *call, const struct es_http_answer *answer, const char *what)
{
    const struct es_fetch *fetch = call->aws->fetch;
    struct es_err said, ignored;

    if (!fetch || !fetch->verbose)
        return;
    call_describe(call, answer, &said);
    es_sink_detail(fetch->sink, &ignored, "%s: %s, try %u: %s%s", call->endpoint.authority,
                   call->is.operation ? call->is.operation : call->is.method, call->tries, said.msg,
                   what);
}

static bool content_wrong(const struct es_http_answer *answer, const struct es_aws_answer *seen)
{
    return answer->outcome == ES_HTTP_ANSWERED && seen->transport == ES_AWS_BODY_BROKEN;
}

static void act(struct call *call, const struct es_http_answer *answer,
                const struct es_aws_answer *seen)
{
    struct es_aws_shared *shared = call->aws->shared;
    struct es_err err;
    int64_t delay = 0;
    enum es_aws_verdict verdict = es_aws_retry(
        &call->retry, &shared->budgets[call->aws->service], seen, es_http_now_ms(shared->http),
        es_http_deadline_ms(shared->http), es_http_random(shared->http), &delay);

    /* What the caller found wrong, and what came before the deadline, says more. */
    if (verdict != ES_AWS_OK && !content_wrong(answer, seen) &&
        (answer->outcome != ES_HTTP_DEADLINE || call->last.class == ES_CLASSES))
        call_describe(call, answer, &call->last);
    switch (verdict) {
    case ES_AWS_OK:
        tell(call, answer, "");
        call_end(call, 0, NULL, answer);
        return;
    case ES_AWS_TRANSIENT:
    case ES_AWS_THROTTLED:
        tell(call, answer, "; again later");
        later(call, delay);
        return;
    case ES_AWS_EXPIRED:
        tell(call, answer, "; new credentials are fetched");
        if (call->aws->creds)
            es_aws_creds_expired(call->aws->creds, es_buf_str(&call->id));
        again(call);
        return;
    case ES_AWS_CLOCK:
        tell(call, answer, "; AWS's clock is taken over for signatures");
        shared->offset = call->offset + seen->skew;
        again(call);
        return;
    case ES_AWS_WRONG_REGION:
        tell(call, answer, "; another region");
        other_region(call);
        return;
    case ES_AWS_FATAL:
        tell(call, answer, "");
        call_end(call, call_refused(call, answer, &err), &err, answer);
        return;
    case ES_AWS_OVER:
        call_end(call, call_over(call, &err), &err, answer);
        return;
    }
}

/* The bucket itself was asked where it is. A question that did not get through is put again with
 * the whole call. */
static void on_head(void *data, const struct es_http_answer *answer)
{
    struct call *call = data;
    const char *region = es_http_header(answer, "x-amz-bucket-region");
    struct es_aws_answer seen;
    enum es_aws_verdict verdict;
    struct es_err err;
    int r = read_error(call, answer, &err);

    if (r == 0 && region && es_aws_region_valid(region) && strcmp(region, call->region) != 0) {
        r = es_aws_bucket_learn(call->aws->shared, call->is.bucket, region, &err);
        if (r == 0) {
            again(call);
            return;
        }
    }
    seen = judge(call, answer);
    seen.head = true;
    verdict = es_aws_classify(&seen);
    if (r == 0 && (answer->outcome != ES_HTTP_ANSWERED || verdict == ES_AWS_TRANSIENT ||
                   verdict == ES_AWS_THROTTLED)) {
        es_aws_retry_undo(&call->retry, ES_AWS_WRONG_REGION);
        act(call, answer, &seen);
        return;
    }
    if (r == 0)
        r = es_fail(&err, ES_INVALID, EBADMSG,
                    "the bucket %s is in another region than %s, and S3 does not say in which; "
                    "set region",
                    call->is.bucket, call->region);
    call_end(call, r, &err, NULL);
}

/* What is well-formed may still be wrong. True where that has been dealt with. */
static bool refused_by_caller(struct call *call, const struct es_http_answer *answer,
                              struct es_aws_answer *seen)
{
    struct es_err err;
    int r;

    if (!succeeded(answer) || !call->is.check)
        return false;
    r = call->is.check(call->is.data, answer, &err);
    if (r > 0 && ++call->wrong >= MAX_WRONG)
        r = -EBADMSG;
    if (r < 0) {
        call_end(call, r, &err, answer);
        return true;
    }
    if (r > 0) {
        seen->transport = ES_AWS_BODY_BROKEN;
        call->last = err;
    }
    return false;
}

static void on_answer(void *data, const struct es_http_answer *answer)
{
    struct call *call = data;
    struct es_aws_answer seen;
    struct es_err err;
    int r = read_error(call, answer, &err);

    if (r < 0) {
        call_end(call, r, &err, answer);
        return;
    }
    seen = judge(call, answer);
    if (!refused_by_caller(call, answer, &seen))
        act(call, answer, &seen);
}

void call_go(struct call *call)
{
    struct es_err err;
    int r;

    if (call->delivered && call->is.on_restart)
        call->is.on_restart(call->is.data);
    call->delivered = false;
    call->state = CALL_GOES;
    call->tries++;
    r = call_send(call, on_answer, &err);
    if (r < 0)
        call_end(call, r, &err, NULL);
}
