/* Reads what a program printed. Its output is untrusted: read up to ES_MAX_DOCUMENT, it must be one
 * JSON object. Whether the program succeeded, and in time, is judged by the side that started it.
 *
 * The pipe is read as far as it goes without waiting, and looked at again by the loop a little
 * later, so that a slow program holds no other source up. */
#include "exec.h"

#include "envsync/format.h"
#include "envsync/http.h"
#include "envsync/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MS = 20, CHUNK = 16384 };

struct run {
    struct es_fetch *fetch;
    const struct es_file *pipe;
    struct es_buf text;
};

static int put(const struct run *run, struct es_err *err)
{
    const struct es_document document = {
        .format = &es_format_json, .object = run->pipe->path, .version = ""};

    if (strspn(es_buf_str(&run->text), " \t\r\n") == run->text.len)
        return es_fail(err, ES_INVALID, ENODATA,
                       "%s printed nothing; a JSON object is expected on its stdout",
                       run->pipe->path);
    return es_document_put(&document, run->text.data, run->text.len, run->fetch->sink, err);
}

/* 1: there is more to come. */
static int read_some(struct run *run, struct es_err *err)
{
    for (;;) {
        ssize_t n;

        if (es_buf_reserve(&run->text, CHUNK) < 0)
            return es_nomem(err);
        n = read(run->pipe->fd, run->text.data + run->text.len, CHUNK);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EAGAIN)
            return 1;
        if (n < 0 && errno != EINTR)
            return es_fail_errno(err, ES_UNAVAILABLE, errno, "the output of %s cannot be read",
                                 run->pipe->path);
        if (n > 0)
            run->text.len += (size_t)n;
        run->text.data[run->text.len] = '\0';
        if (run->text.len > ES_MAX_DOCUMENT)
            return es_fail(err, ES_INVALID, EFBIG, "%s printed more than %d MiB", run->pipe->path,
                           ES_MAX_DOCUMENT >> 20);
    }
}

static int go_on(struct run *run, struct es_err *err);

static void on_time(void *data)
{
    struct run *run = data;
    struct es_err err;
    int r = go_on(run, &err);

    if (r != ES_FETCH_PENDING)
        es_fetch_finish(run->fetch, r, &err);
}

static int go_on(struct run *run, struct es_err *err)
{
    struct es_http *http = run->fetch->http;
    int r = read_some(run, err);

    if (r == 0)
        return put(run, err);
    if (r < 0)
        return r;
    if (es_http_now_ms(http) >= es_http_deadline_ms(http))
        return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT,
                       "%s was still running at the deadline of the run", run->pipe->path);
    r = es_http_after(http, STEP_MS, on_time, run, err);
    return r < 0 ? r : ES_FETCH_PENDING;
}

static void run_free(void *own)
{
    struct run *run = own;

    es_http_forget(run->fetch->http, run);
    es_buf_done(&run->text);
    free(run);
}

int es_fetch_exec(struct es_fetch *fetch, struct es_err *err)
{
    struct run *run;
    int flags;

    if (fetch->describe)
        return 0;
    run = calloc(1, sizeof *run);
    if (!run)
        return es_nomem(err);
    fetch->own = run;
    fetch->clear = run_free;
    run->fetch = fetch;
    run->pipe = &fetch->files[0]; /* not optional: it is there */
    flags = fcntl(run->pipe->fd, F_GETFL);
    if (flags < 0 || fcntl(run->pipe->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "the output of %s", run->pipe->path);
    return go_on(run, err);
}
