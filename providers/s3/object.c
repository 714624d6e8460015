/* One object on its way: GET with If-Match, counted, summed up, and handed on as it comes.
 *
 * Bytes are hostile until the answer is whole and its ETag, length and checksum are right; what a
 * broken try brought never counts. A mirrored object passes through in constant memory, a merged
 * one (at most ES_MAX_DOCUMENT) is kept until all are there. The checksum that the headers promise
 * is computed meanwhile. */
#include "envsync/limits.h"
#include "providers/aws/checksum.h"
#include "providers/aws/client.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct es_s3_transfer {
    struct es_s3_transfer *next, **link;
    struct es_s3_run *run;
    struct es_s3_object *object;
    struct es_checksum sum;       /* of what came of this try */
    struct es_checksum_want want; /* that it must give */
    bool summing;                 /* the headers of this try were looked at */
    int64_t got;
    unsigned wrong_sums;
    uint32_t id;
    bool begun;  /* the mirrored file `id` */
    bool unlike; /* what comes is not what was listed */
    int stopped; /* 0, or why no more data is taken, with err */
    struct es_err err;
};

static void transfer_free(struct es_s3_transfer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    es_checksum_done(&t->sum);
    free(t);
}

void es_s3_transfers_free(struct es_s3_run *run)
{
    while (run->transfers)
        transfer_free(run->transfers);
}

static struct es_s3_transfer *transfer_new(struct es_s3_run *run, struct es_s3_object *object)
{
    struct es_s3_transfer *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->run = run;
    t->object = object;
    t->next = run->transfers;
    t->link = &run->transfers;
    if (t->next)
        t->next->link = &t->next;
    run->transfers = t;
    return t;
}

static const char *const sum_headers[] = {
    "x-amz-checksum-crc64nvme", "x-amz-checksum-crc32", "x-amz-checksum-crc32c",
    "x-amz-checksum-sha256",    "x-amz-checksum-sha1",
};

/* What the answer promises, before the first byte or, of an empty object, at the end. */
static int start_sum(struct es_s3_transfer *t, const struct es_http_answer *answer,
                     struct es_err *err)
{
    if (t->summing)
        return 0;
    t->summing = true;
    t->want = (struct es_checksum_want){0};
    for (size_t i = 0; i < sizeof sum_headers / sizeof *sum_headers; i++) {
        const char *value = es_http_header(answer, sum_headers[i]);

        if (value)
            es_checksum_pick(&t->want, sum_headers[i], value);
    }
    return t->want.kind == ES_CHECKSUM_NONE ? 0 : es_checksum_init(&t->sum, t->want.kind, err);
}

static int begin_file(struct es_s3_transfer *t)
{
    const struct es_object object = es_s3_object_known_as(t->run, t->object);
    int r;

    if (t->begun)
        return 0;
    t->id = t->run->ids++;
    r = es_sink_file_begin(t->run->fetch->sink, t->id, es_s3_object_path(t->run, t->object),
                           &object, &t->err);
    t->begun = r == 0;
    return r;
}

static int drop_file(struct es_s3_transfer *t)
{
    if (!t->begun)
        return 0;
    t->begun = false;
    return es_sink_file_drop(t->run->fetch->sink, t->id, &t->err);
}

static int mirror_data(struct es_s3_transfer *t, const char *bytes, size_t len)
{
    int r = begin_file(t);

    for (size_t at = 0; r == 0 && at < len;) {
        size_t n = len - at < ES_S3_MAX_DATA ? len - at : ES_S3_MAX_DATA;

        r = es_sink_file_data(t->run->fetch->sink, t->id, bytes + at, n, &t->err);
        at += n;
    }
    return r;
}

static int take(struct es_s3_transfer *t, const struct es_http_answer *answer, const char *bytes,
                size_t len)
{
    int r = start_sum(t, answer, &t->err);

    if (r == 0 && t->want.kind != ES_CHECKSUM_NONE)
        r = es_checksum_update(&t->sum, bytes, len, &t->err);
    if (r == 0 && t->object->uses & ES_OBJECT_MERGED &&
        es_buf_append(&t->object->text, bytes, len) < 0)
        r = es_nomem(&t->err);
    if (r == 0 && t->object->uses & ES_OBJECT_MIRRORED)
        r = mirror_data(t, bytes, len);
    return r;
}

static int on_data(void *data, const struct es_http_answer *answer, const void *bytes, size_t len)
{
    struct es_s3_transfer *t = data;

    if (t->run->over)
        return -ECANCELED;
    if (t->stopped < 0)
        return t->stopped;
    if (len > (uint64_t)(t->object->size - t->got)) {
        t->unlike = true;
        return -ESTALE;
    }
    t->got += (int64_t)len;
    t->stopped = take(t, answer, bytes, len);
    return t->stopped;
}

/* What came does not count. */
static void on_restart(void *data)
{
    struct es_s3_transfer *t = data;

    if (t->run->over)
        return;
    t->got = 0;
    t->summing = false;
    es_buf_clear(&t->object->text);
    if (t->stopped == 0)
        t->stopped = drop_file(t);
}

static int check_sum(struct es_s3_transfer *t, const struct es_http_answer *answer,
                     struct es_err *err)
{
    char have[ES_CHECKSUM_TEXT];
    int r = start_sum(t, answer, err);

    if (r < 0 || t->want.kind == ES_CHECKSUM_NONE)
        return r;
    r = es_checksum_final(&t->sum, have, err);
    if (r < 0 || strcmp(have, t->want.text) == 0)
        return r;
    t->wrong_sums++;
    r = es_fail(err, ES_INVALID, EBADMSG, "%s: its %s checksum does not match", t->object->key.data,
                es_checksum_name(t->want.kind));
    t->summing = false; /* without data there is no restart that would */
    return t->wrong_sums < ES_S3_MAX_WRONG_SUMS ? 1 : r;
}

static bool same_etag(const struct es_buf *etag, const char *header)
{
    size_t len = header ? strlen(header) : 0;

    if (len == 0 || etag->len == 0)
        return true; /* nothing to compare */
    if (len >= 2 && header[0] == '"' && header[len - 1] == '"') {
        header++;
        len -= 2;
    }
    return len == etag->len && memcmp(header, etag->data, len) == 0;
}

static int check(void *data, const struct es_http_answer *answer, struct es_err *err)
{
    struct es_s3_transfer *t = data;

    if (answer->status != 200)
        return es_fail(err, ES_INVALID, EBADMSG, "%s: status %d is no answer to a plain GET",
                       t->object->key.data, answer->status);
    /* A whole answer (the engine counts) of another length is not what was listed. */
    if (!es_http_header(answer, "ETag") || t->got != t->object->size ||
        !same_etag(&t->object->etag, es_http_header(answer, "ETag"))) {
        t->unlike = true;
        return es_fail(err, ES_INVALID, ESTALE, "%s is not as it was listed", t->object->key.data);
    }
    return check_sum(t, answer, err);
}

/* Whether the object is no longer the one that was listed: the server says so, or gives another
 * with an ETag of its own. */
static bool is_change(const struct es_s3_transfer *t, const struct es_aws_reply *reply)
{
    const struct es_buf *listed = &t->object->etag;
    const char *etag = reply->answer ? es_http_header(reply->answer, "ETag") : NULL;

    if (strcmp(reply->error.code, "NoSuchKey") == 0 ||
        (reply->answer && reply->answer->status == 412))
        return true;
    return t->unlike && etag && (listed->len == 0 || !same_etag(listed, etag));
}

static int accept_object(struct es_s3_transfer *t)
{
    int r = 0;

    if (t->object->uses & ES_OBJECT_MIRRORED) {
        r = begin_file(t); /* an empty one had no data */
        if (r == 0)
            r = es_sink_file_end(t->run->fetch->sink, t->id, &t->err);
    }
    t->object->id = t->id;
    t->object->state = ES_S3_FETCHED;
    return r;
}

static int archived(struct es_s3_transfer *t)
{
    struct es_s3_object *object = t->object;

    object->state = ES_S3_ARCHIVED;
    if (object->uses & ES_OBJECT_MERGED)
        return es_fail(&t->err, ES_ABSENT, ENOENT,
                       "%s is archived; restore it, or leave it out of merge", object->key.data);
    return es_sink_note(t->run->fetch->sink, &t->err,
                        "passed over %s: it is archived and has not been restored",
                        object->key.data);
}

static int judge(struct es_s3_transfer *t, const struct es_aws_reply *reply)
{
    int r;

    if (t->stopped < 0)
        return t->stopped;
    if (reply->r == 0)
        return accept_object(t);
    es_buf_clear(&t->object->text);
    r = drop_file(t);
    if (r < 0)
        return r;
    if (reply->answer && reply->answer->outcome == ES_HTTP_TOO_LARGE &&
        reply->answer->status == 200)
        t->unlike = true;
    if (is_change(t, reply)) {
        t->run->changed = true;
        return 0;
    }
    if (t->unlike)
        return es_fail(&t->err, ES_INVALID, EBADMSG,
                       "%s: what came has no ETag, or another length than was listed; does a "
                       "proxy or portal answer in S3's place?",
                       t->object->key.data);
    if (strcmp(reply->error.code, "InvalidObjectState") == 0)
        return archived(t);
    t->err = reply->err;
    if (t->err.class != ES_INTERNAL && !strstr(t->err.msg, t->object->key.data))
        es_context(&t->err, "%s", t->object->key.data);
    return reply->r;
}

static void on_done(void *data, const struct es_aws_reply *reply)
{
    struct es_s3_transfer *t = data;
    struct es_s3_run *run = t->run;
    int r = run->over ? 0 : judge(t, reply);

    run->in_flight--;
    if (r < 0)
        es_s3_run_finish(run, r, &t->err);
    transfer_free(t);
    es_s3_run_pump(run);
}

/* "arn:aws:s3:::bucket/key": for the message of a denial. */
static int resource_of(const struct es_s3_run *run, const struct es_s3_object *object,
                       struct es_buf *out)
{
    const char *partition = es_aws_partition(run->aws);

    return es_buf_printf(out, "arn:%s:s3:::%s/%s", partition ? partition : "aws",
                         run->options->bucket, object->key.data);
}

int es_s3_object_get(struct es_s3_run *run, struct es_s3_object *object, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf path = {0}, etag = {0}, resource = {0};
    struct es_s3_transfer *t = transfer_new(run, object);
    struct es_aws_pair headers[3] = {{"x-amz-checksum-mode", "ENABLED"}};
    size_t n = 1;
    int r;

    if (!t || es_buf_printf(&path, "/%s", object->key.data) < 0 ||
        es_buf_printf(&etag, "\"%s\"", es_buf_str(&object->etag)) < 0 ||
        resource_of(run, object, &resource) < 0)
        return es_nomem(err);
    if (object->etag.len > 0)
        headers[n++] = (struct es_aws_pair){"If-Match", etag.data};
    if (run->options->expected_bucket_owner)
        headers[n++] = (struct es_aws_pair){"x-amz-expected-bucket-owner",
                                            run->options->expected_bucket_owner};
    r = es_aws_send(run->aws,
                    &(struct es_aws_call){
                        .operation = "GetObject",
                        .method = "GET",
                        .bucket = run->options->bucket,
                        .path = path.data,
                        .headers = headers,
                        .n_headers = n,
                        .max_body = (size_t)object->size + 1,
                        .allow = "s3:GetObject",
                        .allow_resource = resource.data,
                        .on_data = on_data,
                        .on_restart = on_restart,
                        .check = check,
                        .on_done = on_done,
                        .data = t,
                    },
                    err);
    if (r == 0)
        run->in_flight++;
    return r;
}
