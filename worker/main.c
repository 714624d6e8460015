/* envsync-worker: the unprivileged program. Parses what came from outside.
 *
 * It is started by envsync with a pipe that holds its job, a pipe for its records, and the files
 * that its sources need, already opened. It runs as another user under no_new_privs, asks for no
 * path and writes no file.
 */
#include "build.h"
#include "job.h"
#include "sink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Dies with its parent, leaves no core, is nobody's to attach to. The change of user and exec have
 * reset what the parent had set. */
static int settle(const char *parent)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
#ifndef ES_SANITIZED /* the leak checker attaches to its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == (pid_t)atoi(parent) ? 0 : -ESRCH;
}

void es_fetch_finish(struct es_fetch *fetch, int r, const struct es_err *err)
{
    (void)fetch;
    (void)r;
    (void)err;
}

static int work(struct es_pipe *pipe, struct es_job *job, struct es_err *err)
{
    for (size_t i = 0; i < job->n; i++) {
        struct es_task *task = &job->tasks[i];
        struct es_err why;
        int r;

        task->sink.pipe = pipe;
        task->fetch.state = task->state;
        task->fetch.surroundings = &job->surroundings;
        task->fetch.files = task->files;
        task->fetch.sink = &task->sink;
        task->fetch.describe = job->describe;
        r = task->fn(&task->fetch, &why);
        r = es_sink_finish(&task->sink, r < 0 ? &why : NULL, err);
        if (r < 0)
            return r;
    }
    return es_pipe_end(pipe, err);
}

int main(int argc, char **argv)
{
    ES_CLEANUP(es_pipe_done) struct es_pipe pipe = {0};
    ES_CLEANUP(es_job_done) struct es_job job = {0};
    struct es_err err, ignored;
    int r;

    if (argc != 4) {
        fputs("envsync starts this program; it is of no use alone\n", stderr);
        return 64;
    }
    pipe.fd = atoi(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    if (settle(argv[3]) < 0)
        return 70;
    r = es_job_read(atoi(argv[1]), &job, &err);
    if (r == 0)
        r = work(&pipe, &job, &err);
    if (r < 0)
        es_pipe_fatal(&pipe, &err, &ignored);
    return r < 0 ? 70 : 0;
}
