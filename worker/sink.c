/* See sink.h. Caps and shapes are enforced here once for all providers, with the message that the
 * user sees; the privileged side checks again, because this process may have been taken over. */
#include "sink.h"

#include "envsync/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_AT = 60000 };

static int flush(struct es_pipe *pipe, struct es_err *err)
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
    return pipe->out.len >= FLUSH_AT ? flush(pipe, err) : 0;
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
        return es_fail(err, ES_INVALID, EMSGSIZE, "a value is larger than 1 MiB");
    sink->pipe->records++;
    sink->pipe->bytes += payload.len - record->object.len - record->version.len;
    if (sink->pipe->records > ES_MAX_RECORDS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d keys in one run", ES_MAX_RECORDS);
    if (sink->pipe->bytes > 2 * (size_t)ES_MAX_TOTAL)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d MiB in one run",
                       ES_MAX_TOTAL >> 20);
    return send(sink->pipe, ES_FRAME_RECORD, &payload, err);
}

__attribute__((format(printf, 4, 0))) static int
say(struct es_sink *sink, enum es_frame type, struct es_err *err, const char *fmt, va_list args)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    char text[ES_ERR_MAX];

    /* Counted apart: details must not leave notes without room. */
    if ((type == ES_FRAME_NOTE ? sink->pipe->notes++ : sink->pipe->details++) >= ES_MAX_NOTES)
        return 0;
    vsnprintf(text, sizeof text, fmt, args);
    if (es_put_u32(&payload, sink->source) < 0 || es_put_bytes(&payload, text, strlen(text)) < 0)
        return es_nomem(err);
    return send(sink->pipe, type, &payload, err);
}

int es_sink_note(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;
    int r;

    va_start(args, fmt);
    r = say(sink, ES_FRAME_NOTE, err, fmt, args);
    va_end(args);
    return r;
}

int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;
    int r;

    va_start(args, fmt);
    r = say(sink, ES_FRAME_DETAIL, err, fmt, args);
    va_end(args);
    return r;
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
    return send(sink->pipe, ES_FRAME_DONE, &payload, err);
}

int es_pipe_end(struct es_pipe *pipe, struct es_err *err)
{
    static const struct es_buf nothing;
    int r = send(pipe, ES_FRAME_END, &nothing, err);

    return r < 0 ? r : flush(pipe, err);
}

int es_pipe_fatal(struct es_pipe *pipe, const struct es_err *failure, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    int r;

    if (put_failure(&payload, failure) < 0)
        return es_nomem(err);
    r = send(pipe, ES_FRAME_FATAL, &payload, err);
    return r < 0 ? r : flush(pipe, err);
}

void es_pipe_done(struct es_pipe *pipe)
{
    es_buf_done(&pipe->out);
}
