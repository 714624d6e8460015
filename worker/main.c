/* envsync-worker: the unprivileged program. Parses what came from outside.
 *
 * It is started by envsync with a socket that gives it its job, and the files that its sources
 * need, already opened; and a pipe for its records. It runs as another user under no_new_privs,
 * asks for no path and writes no file. Before the first byte of a source is read it closes its
 * sandbox.
 */
#include "build.h"
#include "http.h"
#include "job.h"
#include "parse.h"
#include "sandbox.h"
#include "sink.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* envsync's own arguments; what is no number fits nothing. */
static int number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    return *end || n < 0 || n > INT_MAX ? -1 : (int)n;
}

/* One run: all sources are started, then the loop runs until each has finished. */
struct es_work {
    struct es_pipe pipe;
    struct es_http *http;
    size_t pending;
    struct es_err err; /* of the pipe */
    int r;
};

static void finish(struct es_task *task, int r, const struct es_err *err)
{
    struct es_work *work = task->work;

    if (task->finished)
        return;
    task->finished = true;
    work->pending--;
    if (work->r == 0)
        work->r = es_sink_finish(&task->sink, r < 0 ? err : NULL, &work->err);
}

void es_fetch_finish(struct es_fetch *fetch, int r, const struct es_err *err)
{
    struct es_task *task =
        (struct es_task *)(void *)((char *)fetch - offsetof(struct es_task, fetch));

    finish(task, r, err);
}

static void prepare(struct es_work *work, const struct es_job *job, struct es_task *task)
{
    task->work = work;
    task->sink.pipe = &work->pipe;
    task->fetch.state = task->state;
    task->fetch.surroundings = &job->surroundings;
    task->fetch.files = task->files;
    task->fetch.sink = &task->sink;
    task->fetch.http = work->http;
    task->fetch.describe = job->describe;
    task->fetch.verbose = job->verbose;
}

/* From here on nothing is opened, executed or written but what was told before. */
static int confine(struct es_work *work, struct es_job *job, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf lacks = {0};
    struct es_sandbox sandbox;
    bool network = false;

    for (size_t i = 0; i < job->n; i++)
        network = network || job->tasks[i].provider->network;
    if (network && es_http_ready(err) < 0)
        return -ENOMEM;
    es_sandbox_init(&sandbox, network);
    for (size_t i = 0; i < job->n; i++) {
        prepare(work, job, &job->tasks[i]);
        es_task_announce(&job->tasks[i], &sandbox);
    }
    es_sandbox_close(&sandbox);
    if (!job->verbose)
        return 0;
    if (es_sandbox_lacks(&sandbox, &lacks) < 0)
        return es_nomem(err);
    return lacks.len > 0 ? es_pipe_remark(&work->pipe, &lacks, err) : 0;
}

static void start(struct es_task *task)
{
    struct es_err err;
    int r = es_task_prepare(task, &err);

    if (r == 0)
        r = task->fn(&task->fetch, &err);
    if (r != ES_FETCH_PENDING)
        finish(task, r, &err);
}

/* A source that has not kept its promise to finish: a fault of ours, but the others are fine. */
static void give_up(const struct es_job *job, const struct es_err *err)
{
    for (size_t i = 0; i < job->n; i++)
        finish(&job->tasks[i], -EDEADLK, err);
}

static int run(struct es_work *work, struct es_job *job, struct es_err *err)
{
    /* So that the last words are there before nobody listens any more. */
    int64_t ms = job->milliseconds - (job->milliseconds > 500 ? 50 : job->milliseconds / 10);
    struct es_err why;
    int r = es_http_new(NULL, ms, &work->http, err);

    if (r < 0)
        return r;
    r = confine(work, job, err);
    if (r < 0)
        return r;
    work->pending = job->n;
    for (size_t i = 0; i < job->n; i++)
        start(&job->tasks[i]);
    if (es_http_run(work->http, &work->pending, &why) < 0)
        give_up(job, &why);
    if (work->r < 0) {
        *err = work->err;
        return work->r;
    }
    return es_pipe_end(&work->pipe, err);
}

/* Nothing but what came with the job is needed for that. */
static int parse(struct es_work *work, const struct es_job *job, struct es_err *err)
{
    struct es_sandbox sandbox;

    es_sandbox_init(&sandbox, false);
    es_sandbox_close(&sandbox);
    return es_parse_texts(job->texts, &work->pipe, err);
}

/* All has been said, and envsync waits: the kernel takes memory and connections back faster than
 * they could be given. Nor is anybody waited for who hangs, a resolver for one. */
static void leave(struct es_work *work, struct es_job *job, int status)
{
#if defined ES_SANITIZED || defined ES_COVERAGE /* they look at how it ends */
    bool over = work->http && es_http_now_ms(work->http) >= es_http_deadline_ms(work->http);
#else
    bool over = true;
#endif

    if (over)
        _exit(status);
    es_job_done(job);
    es_http_free(work->http);
    es_pipe_done(&work->pipe);
}

int main(int argc, char **argv)
{
    struct es_work work = {.r = 0};
    struct es_job job = {0};
    struct es_err err, ignored;
    int down, r;

    if (argc != 4) {
        fputs("envsync starts this program; it is of no use alone\n", stderr);
        return 64;
    }
    down = number(argv[1]);
    work.pipe.fd = number(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    if (es_sandbox_settle(number(argv[3])) < 0)
        return 70;
    r = es_job_read(down, &job, &err);
    es_close(&down);
    if (r == 0)
        r = job.texts ? parse(&work, &job, &err) : run(&work, &job, &err);
    if (r < 0)
        es_pipe_fatal(&work.pipe, &err, &ignored);
    leave(&work, &job, r < 0 ? 70 : 0);
    return r < 0 ? 70 : 0;
}
