/* Fetches secrets.
 *
 * One is asked for by GetSecretValue. Several go into BatchGetSecretValue, twenty at a time; what
 * it does not answer (an error of one secret, an operation that is not allowed or not known) is
 * then asked for one by one, so that a failure is told as AWS tells it for that secret. A stage or
 * version can only be asked for one by one. All is put when all is there, in the order of `ids`. */
#include "secrets-manager.h"

#include "answer.h"
#include "envsync/limits.h"
#include "providers/aws/answer.h"
#include "providers/aws/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 20,
    MAX_ONE = 1 << 20,   /* of an answer: 64 KiB, escaped */
    MAX_PAGE = 16 << 20, /* twenty of them */
};

enum state { OPEN, GIVEN, MISSING };

struct wanted {
    struct run *run;
    const char *id;
    enum state state;
    struct es_buf why; /* AWS's code and request id, where it is missing */
    struct es_secret secret;
};

struct batch {
    struct run *run;
    size_t first, n;
    struct es_answer_pages pages;
};

struct run {
    struct es_fetch *fetch;
    const struct es_secrets_manager_options *options;
    struct es_aws *aws;
    struct wanted *wanted; /* one per id */
    struct batch *batches;
    size_t n_batches;
    size_t in_flight;
    size_t bytes;
    bool over; /* es_fetch_finish() was called */
};

static void finish(struct run *run, int r, const struct es_err *err)
{
    if (run->over)
        return;
    run->over = true;
    es_fetch_finish(run->fetch, r, err);
}

/* ---- the end ---- */

static int judge_missing(struct run *run, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf missing = {0};
    size_t n = 0;

    for (size_t i = 0; i < run->options->ids.n; i++)
        if (run->wanted[i].state == MISSING &&
            es_buf_printf(&missing, "%s%s (%s)", n++ > 0 ? ", " : "", run->wanted[i].id,
                          es_buf_str(&run->wanted[i].why)) < 0)
            return es_nomem(err);
    if (n == 0)
        return 0;
    if (run->fetch->optional && n < run->options->ids.n)
        return es_sink_note(run->fetch->sink, err, "not there: %s", missing.data);
    return es_fail(err, ES_ABSENT, ENOENT, "not there: %s", missing.data);
}

static void complete(struct run *run)
{
    struct es_err err;
    int r = judge_missing(run, &err);

    for (size_t i = 0; r == 0 && i < run->options->ids.n; i++) {
        struct wanted *wanted = &run->wanted[i];

        if (wanted->state == GIVEN)
            r = es_secret_put(&wanted->secret, wanted->id, run->options->key, (unsigned)i,
                              run->fetch->sink, &err);
    }
    finish(run, r, &err);
}

static void one_less(struct run *run)
{
    run->in_flight--;
    if (run->in_flight == 0 && !run->over)
        complete(run);
}

static int count(struct run *run, const struct es_secret *secret, struct es_err *err)
{
    run->bytes += secret->value.len;
    return run->bytes <= ES_MAX_TOTAL
               ? 0
               : es_fail(err, ES_INVALID, EMSGSIZE, "more than %d MiB", ES_MAX_TOTAL >> 20);
}

/* ---- one by one ---- */

static int explain(const struct es_aws_reply *reply, const char *id, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const struct es_aws_error *error = &reply->error;

    *err = reply->err;
    if (es_aws_error_text(error, &text) < 0)
        return es_nomem(err);
    if (strcmp(error->code, "DecryptionFailure") == 0 || strncmp(error->action, "kms:", 4) == 0 ||
        (strncmp(error->code, "AccessDenied", strlen("AccessDenied")) == 0 &&
         error->action[0] == '\0'))
        return es_fail(err, ES_DENIED, EACCES,
                       "%s: %s: the secret cannot be decrypted: allow kms:Decrypt on %s", id,
                       es_buf_str(&text),
                       error->resource[0] ? error->resource
                                          : "the KMS key that it was encrypted with");
    if (err->class != ES_INTERNAL)
        es_context(err, "%s", id);
    return reply->r;
}

static int take_one(struct wanted *wanted, const struct es_aws_reply *reply, struct es_err *err)
{
    const struct es_buf *body;
    int r;

    if (reply->r < 0 && strcmp(reply->error.code, "ResourceNotFoundException") == 0) {
        wanted->state = MISSING;
        return es_aws_error_text(&reply->error, &wanted->why) < 0 ? es_nomem(err) : 0;
    }
    if (reply->r < 0)
        return explain(reply, wanted->id, err);
    body = &reply->answer->body;
    r = es_secret_read(es_buf_str(body), body->len, &wanted->secret, err);
    if (r < 0) {
        if (err->class != ES_INTERNAL)
            es_context(err, "%s", wanted->id);
        return r;
    }
    wanted->state = GIVEN;
    return count(wanted->run, &wanted->secret, err);
}

static void on_one(void *data, const struct es_aws_reply *reply)
{
    struct wanted *wanted = data;
    struct run *run = wanted->run;
    struct es_err err;

    if (!run->over && take_one(wanted, reply, &err) < 0)
        finish(run, -EIO, &err);
    one_less(run);
}

static int resource_of(const struct run *run, const char *id, struct es_buf *out)
{
    const char *partition = es_aws_partition(run->aws), *region = es_aws_region(run->aws);

    if (strncmp(id, "arn:", 4) == 0)
        return es_buf_puts(out, id);
    return es_buf_printf(out, "arn:%s:secretsmanager:%s:*:secret:%s-*",
                         partition ? partition : "aws", region && *region ? region : "*", id);
}

static int send(struct run *run, const char *operation, const char *id, const struct es_buf *body,
                void (*on_done)(void *data, const struct es_aws_reply *reply), void *data,
                struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf resource = {0}, allow = {0};
    bool one = on_done == on_one;
    int r;

    if (resource_of(run, id, &resource) < 0 ||
        es_buf_printf(&allow, "secretsmanager:%s", operation) < 0)
        return es_nomem(err);
    r = es_aws_send(run->aws,
                    &(struct es_aws_call){
                        .operation = operation,
                        .method = "POST",
                        .path = "/",
                        .body = body->data,
                        .body_len = body->len,
                        .max_body = one ? MAX_ONE : MAX_PAGE,
                        .allow = allow.data,
                        .allow_resource = one ? resource.data : "*",
                        .on_done = on_done,
                        .data = data,
                    },
                    err);
    if (r == 0)
        run->in_flight++;
    return r;
}

static int ask_one(struct wanted *wanted, struct es_err *err)
{
    const struct es_secrets_manager_options *options = wanted->run->options;
    ES_CLEANUP(es_buf_done) struct es_buf body = {0};
    int r = es_answer_request(json_pack("{s:s, s:s*, s:s*}", "SecretId", wanted->id, "VersionId",
                                        options->version, "VersionStage", options->stage),
                              &body, err);

    return r < 0 ? r : send(wanted->run, "GetSecretValue", wanted->id, &body, on_one, wanted, err);
}

/* ---- in batches ---- */

static int ask_batch(struct batch *batch, const struct es_buf *token, struct es_err *err);

static int ask_rest(struct batch *batch, struct es_err *err)
{
    int r = 0;

    for (size_t i = batch->first; r == 0 && i < batch->first + batch->n; i++)
        if (batch->run->wanted[i].state == OPEN)
            r = ask_one(&batch->run->wanted[i], err);
    return r;
}

/* Takes the content where one id names it, a copy where several do. */
static int give(struct batch *batch, struct es_secret *secret, struct es_err *err)
{
    for (size_t i = batch->first; i < batch->first + batch->n; i++) {
        struct wanted *wanted = &batch->run->wanted[i];
        struct es_secret *to = &wanted->secret;

        if (wanted->state != OPEN || !es_secret_is(secret, wanted->id))
            continue;
        if (es_buf_set(&to->arn, es_buf_str(&secret->arn), secret->arn.len) < 0 ||
            es_buf_set(&to->name, es_buf_str(&secret->name), secret->name.len) < 0 ||
            es_buf_set(&to->version, es_buf_str(&secret->version), secret->version.len) < 0 ||
            es_buf_set(&to->value, es_buf_str(&secret->value), secret->value.len) < 0)
            return es_nomem(err);
        to->binary = secret->binary;
        wanted->state = GIVEN;
        if (count(batch->run, to, err) < 0)
            return -EMSGSIZE;
    }
    return 0;
}

static int take_page(struct batch *batch, const struct es_buf *body, struct es_err *err)
{
    ES_CLEANUP(es_secret_page_done) struct es_secret_page page = {0};
    int r = es_secret_page_read(es_buf_str(body), body->len, &page, err);

    for (size_t i = 0; r == 0 && i < page.n; i++)
        r = give(batch, &page.secrets[i], err);
    if (r < 0 || page.token.len == 0)
        return r < 0 ? r : ask_rest(batch, err);
    r = es_answer_pages_next(&batch->pages, page.token.data, page.token.len, err);
    return r < 0 ? r : ask_batch(batch, &page.token, err);
}

/* Failures that may be those of the batch and not of its secrets. */
static bool try_single(const struct es_aws_error *error)
{
    static const char *const codes[] = {
        "AccessDenied",           "AccessDeniedException",     "InvalidAction",
        "InvalidRequest",         "InvalidParameterException", "InvalidRequestException",
        "NotImplemented",         "ResourceNotFoundException", "UnknownOperation",
        "DecryptionFailure",      "UnknownOperationException", "ValidationException",
        "NotImplementedException"};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(error->code, codes[i]) == 0)
            return true;
    return false;
}

static int take_batch(struct batch *batch, const struct es_aws_reply *reply, struct es_err *err)
{
    if (reply->r == 0)
        return take_page(batch, &reply->answer->body, err);
    if (try_single(&reply->error))
        return ask_rest(batch, err);
    *err = reply->err;
    return reply->r;
}

static void on_batch(void *data, const struct es_aws_reply *reply)
{
    struct batch *batch = data;
    struct run *run = batch->run;
    struct es_err err;

    if (!run->over && take_batch(batch, reply, &err) < 0)
        finish(run, -EIO, &err);
    one_less(run);
}

static int ask_batch(struct batch *batch, const struct es_buf *token, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf body = {0};
    json_t *request = json_pack("{s:[]}", "SecretIdList"),
           *list = json_object_get(request, "SecretIdList");
    int r = request ? 0 : -1;

    for (size_t i = 0; r == 0 && i < batch->n; i++)
        r = json_array_append_new(list, json_string(batch->run->wanted[batch->first + i].id));
    if (r == 0 && token)
        r = json_object_set_new(request, "NextToken", json_stringn(token->data, token->len));
    if (r < 0) {
        json_decref(request);
        return es_nomem(err);
    }
    r = es_answer_request(request, &body, err);
    return r < 0 ? r
                 : send(batch->run, "BatchGetSecretValue", batch->run->wanted[batch->first].id,
                        &body, on_batch, batch, err);
}

/* ---- the source ---- */

static void run_free(void *own)
{
    struct run *run = own;

    es_aws_free(run->aws); /* first: it forgets the calls that point here */
    for (size_t i = 0; run->wanted && i < run->options->ids.n; i++) {
        es_buf_done(&run->wanted[i].why);
        es_secret_done(&run->wanted[i].secret);
    }
    for (size_t i = 0; i < run->n_batches; i++)
        es_answer_pages_done(&run->batches[i].pages);
    free(run->wanted);
    free(run->batches);
    free(run);
}

static int want_all(struct run *run, struct es_err *err)
{
    const struct es_strings *ids = &run->options->ids;
    int r = 0;

    run->wanted = calloc(ids->n + 1, sizeof *run->wanted);
    run->batches = calloc(ids->n / BATCH + 1, sizeof *run->batches);
    if (!run->wanted || !run->batches)
        return es_nomem(err);
    for (size_t i = 0; r == 0 && i < ids->n; i++) {
        run->wanted[i] = (struct wanted){.run = run, .id = ids->items[i]};
        r = es_secret_id_check(ids->items[i], err);
    }
    return r;
}

static int start(struct run *run, struct es_err *err)
{
    const struct es_secrets_manager_options *options = run->options;
    size_t n = options->ids.n;
    bool single = n == 1 || options->stage || options->version;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i += single ? 1 : BATCH) {
        struct batch *batch = &run->batches[run->n_batches];

        if (single) {
            r = ask_one(&run->wanted[i], err);
            continue;
        }
        *batch = (struct batch){.run = run, .first = i, .n = n - i < BATCH ? n - i : BATCH};
        run->n_batches++;
        r = ask_batch(batch, NULL, err);
    }
    return r;
}

int es_fetch_secrets_manager(struct es_fetch *fetch, struct es_err *err)
{
    const struct es_secrets_manager_options *options = fetch->state;
    struct run *run;
    int r;

    if (fetch->describe)
        return es_aws_describe(fetch, &options->aws, ES_AWS_SECRETS_MANAGER, err);
    run = calloc(1, sizeof *run);
    if (!run)
        return es_nomem(err);
    run->fetch = fetch;
    run->options = options;
    fetch->own = run;
    fetch->clear = run_free;
    r = want_all(run, err);
    if (r == 0)
        r = es_aws_new(fetch, &options->aws, ES_AWS_SECRETS_MANAGER, ES_AWS_ADDRESS_AUTO, &run->aws,
                       err);
    if (r == 0)
        r = start(run, err);
    run->over = r < 0; /* what was sent already comes to nothing */
    return r < 0 ? r : ES_FETCH_PENDING;
}
