/* See sink.h. Caps and shapes are enforced here once for all providers, with the message that the
 * user sees; the privileged side checks again, because this process may have been taken over. */
#include "sink.h"

#include "envsync/key.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { FLUSH_AT = 60000 };

int es_pipe_flush(struct es_pipe *pipe, struct es_err *err)
{
    size_t at = 0;

    while (at < pipe->out.len) {
        ssize_t n = write(pipe->fd, pipe->out.data + at, pipe->out.len - at);

        if (n < 0 && errno != EINTR)
            return es_fail_errno(err, ES_INTERNAL, errno, "writing records");
        if (n > 0)
            at += (size_t)n;
    }
    es_buf_clear(&pipe->out);
    return 0;
}

static int send(struct es_pipe *pipe, enum es_frame type, const struct es_buf *payload,
                struct es_err *err)
{
    if (es_put_frame(&pipe->out, type, payload) < 0)
        return es_nomem(err);
    return pipe->out.len >= FLUSH_AT ? es_pipe_flush(pipe, err) : 0;
}

/* A payload that begins with the number of the present source. */
static int start(const struct es_sink *sink, struct es_buf *payload)
{
    return es_put_u32(payload, sink->source);
}

int es_sink_put(struct es_sink *sink, const struct es_record *record, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    struct es_record mine = *record; /* shallow: only the number differs */
    int r = es_record_check(record, err);

    if (r < 0)
        return r;
    mine.source = sink->source;
    if (es_put_record(&payload, &mine) < 0)
        return es_nomem(err);
    if (payload.len + 1 > ES_MAX_FRAME)
        return es_fail(err, ES_INVALID, EMSGSIZE,
                       "%s: its items take more than %d MiB, the most that one key may have; split "
                       "the list",
                       es_key_text(&record->key).text, ES_MAX_FRAME >> 20);
    sink->pipe->records++;
    sink->pipe->bytes += payload.len - record->object.len - record->version.len;
    if (sink->pipe->records > ES_MAX_RECORDS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d keys in one run", ES_MAX_RECORDS);
    if (sink->pipe->bytes > 4 * (size_t)ES_MAX_TOTAL)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d MiB of keys and values in one run",
                       4 * ES_MAX_TOTAL >> 20);
    return send(sink->pipe, ES_FRAME_RECORD, &payload, err);
}

int es_sink_count(struct es_sink *sink, size_t len, struct es_err *err)
{
    sink->pipe->documents += len;
    if (sink->pipe->documents > ES_MAX_TOTAL)
        return es_fail(err, ES_INVALID, EMSGSIZE,
                       "all documents of a run together have more than %d MiB", ES_MAX_TOTAL >> 20);
    return 0;
}

__attribute__((format(printf, 4, 0))) static int
note(struct es_sink *sink, uint8_t level, struct es_err *err, const char *fmt, va_list args)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    char text[ES_ERR_MAX];

    /* Where one request has failed, others of the source are still answered. */
    if (sink->ended)
        return 0;
    /* Counted apart: details must not leave notes without room. */
    if ((level == LOG_NOTICE ? sink->pipe->notes++ : sink->pipe->details++) >= ES_MAX_NOTES)
        return 0;
    vsnprintf(text, sizeof text, fmt, args);
    if (start(sink, &payload) < 0 || es_put_u8(&payload, level) < 0 ||
        es_put_bytes(&payload, text, strlen(text)) < 0)
        return es_nomem(err);
    return send(sink->pipe, ES_FRAME_NOTE, &payload, err);
}

int es_sink_note(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;
    int r;

    va_start(args, fmt);
    r = note(sink, LOG_NOTICE, err, fmt, args);
    va_end(args);
    return r;
}

int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;
    int r;

    va_start(args, fmt);
    r = note(sink, LOG_INFO, err, fmt, args);
    va_end(args);
    return r;
}

int es_sink_address(struct es_sink *sink, const struct es_value *options, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};

    if (start(sink, &payload) < 0 || es_put_value(&payload, options) < 0)
        return es_nomem(err);
    return send(sink->pipe, ES_FRAME_ADDRESS, &payload, err);
}

static int put_object(struct es_buf *payload, const struct es_object *object)
{
    int r = es_put_bytes(payload, object->name, strlen(object->name));

    if (r == 0)
        r = es_put_bytes(payload, object->version, strlen(object->version));
    if (r == 0)
        r = es_put_u64(payload, (uint64_t)object->size);
    if (r == 0)
        r = es_put_u64(payload, (uint64_t)object->modified_ms);
    return r < 0 ? r : es_put_u32(payload, object->rank);
}

static int send_object(struct es_sink *sink, enum es_frame type, const struct es_object *object,
                       struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};

    if (++sink->pipe->objects > ES_MAX_OBJECTS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d objects in one run",
                       ES_MAX_OBJECTS);
    if (start(sink, &payload) < 0 || put_object(&payload, object) < 0)
        return es_nomem(err);
    return send(sink->pipe, type, &payload, err);
}

int es_sink_same(struct es_sink *sink, const struct es_object *object, struct es_err *err)
{
    return send_object(sink, ES_FRAME_SAME, object, err);
}

int es_sink_object(struct es_sink *sink, const struct es_object *object, struct es_err *err)
{
    return send_object(sink, ES_FRAME_OBJECT, object, err);
}

static int send_path(struct es_sink *sink, enum es_frame type, const uint32_t *id, const char *path,
                     const struct es_object *object, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    int r = es_mirror_path_check(path, strlen(path), err);

    if (r < 0)
        return r;
    if (++sink->pipe->objects > ES_MAX_OBJECTS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d objects in one run",
                       ES_MAX_OBJECTS);
    if (start(sink, &payload) < 0 || (id && es_put_u32(&payload, *id) < 0) ||
        es_put_bytes(&payload, path, strlen(path)) < 0 || put_object(&payload, object) < 0)
        return es_nomem(err);
    return send(sink->pipe, type, &payload, err);
}

int es_sink_file_same(struct es_sink *sink, const char *path, const struct es_object *object,
                      struct es_err *err)
{
    return send_path(sink, ES_FRAME_FILE_SAME, NULL, path, object, err);
}

int es_sink_file_begin(struct es_sink *sink, uint32_t id, const char *path,
                       const struct es_object *object, struct es_err *err)
{
    return send_path(sink, ES_FRAME_FILE_BEGIN, &id, path, object, err);
}

int es_sink_file_data(struct es_sink *sink, uint32_t id, const void *data, size_t len,
                      struct es_err *err)
{
    const char *p = data;
    int r = 0;

    while (r == 0 && len > 0) {
        ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
        size_t n = len < ES_MAX_FILE_DATA ? len : ES_MAX_FILE_DATA;

        if (start(sink, &payload) < 0 || es_put_u32(&payload, id) < 0 ||
            es_buf_append(&payload, p, n) < 0)
            return es_nomem(err);
        r = send(sink->pipe, ES_FRAME_FILE_DATA, &payload, err);
        p += n;
        len -= n;
    }
    return r;
}

static int send_id(struct es_sink *sink, enum es_frame type, uint32_t id, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};

    if (start(sink, &payload) < 0 || es_put_u32(&payload, id) < 0)
        return es_nomem(err);
    return send(sink->pipe, type, &payload, err);
}

int es_sink_file_end(struct es_sink *sink, uint32_t id, struct es_err *err)
{
    return send_id(sink, ES_FRAME_FILE_END, id, err);
}

int es_sink_file_drop(struct es_sink *sink, uint32_t id, struct es_err *err)
{
    return send_id(sink, ES_FRAME_FILE_DROP, id, err);
}

static int put_failure(struct es_buf *payload, const struct es_err *failure)
{
    int r = es_put_u8(payload, (uint8_t)failure->class);

    return r < 0 ? r : es_put_bytes(payload, failure->msg, strlen(failure->msg));
}

int es_sink_finish(struct es_sink *sink, const struct es_err *failure, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};

    if (es_put_u32(&payload, sink->source) < 0 || es_put_u8(&payload, failure != NULL) < 0 ||
        (failure && put_failure(&payload, failure) < 0))
        return es_nomem(err);
    sink->ended = true;
    return send(sink->pipe, ES_FRAME_DONE, &payload, err);
}

int es_pipe_remark(struct es_pipe *pipe, const struct es_buf *text, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};

    if (es_put_bytes(&payload, text->data, text->len) < 0)
        return es_nomem(err);
    return send(pipe, ES_FRAME_REMARK, &payload, err);
}

int es_pipe_text(struct es_pipe *pipe, const struct es_buf *payload, struct es_err *err)
{
    return send(pipe, ES_FRAME_TEXT, payload, err);
}

int es_pipe_end(struct es_pipe *pipe, struct es_err *err)
{
    static const struct es_buf nothing;
    int r = send(pipe, ES_FRAME_END, &nothing, err);

    return r < 0 ? r : es_pipe_flush(pipe, err);
}

int es_pipe_fatal(struct es_pipe *pipe, const struct es_err *failure, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    int r;

    if (put_failure(&payload, failure) < 0)
        return es_nomem(err);
    r = send(pipe, ES_FRAME_FATAL, &payload, err);
    return r < 0 ? r : es_pipe_flush(pipe, err);
}

void es_pipe_done(struct es_pipe *pipe)
{
    es_buf_done(&pipe->out);
}
