/* See program.h. The program is the administrator's choice; its output is parsed by the worker, and
 * only its exit status counts here. */
#include "program.h"

#include "clock.h"
#include "drop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* NAME=VALUE for those that the configuration names; nothing else is inherited. */
static char **environment(const struct es_need *need, const struct es_process *process)
{
    static char path[] = "PATH=/usr/bin:/bin";
    size_t n = 0, used = 0;
    char **list;

    while (need->environment && need->environment[n])
        n++;
    list = calloc(n + 2, sizeof *list);
    if (!list)
        return NULL;
    list[used++] = path;
    for (size_t i = 0; i < n; i++) {
        const char *value = es_process_getenv(process, need->environment[i]);

        if (value && asprintf(&list[used++], "%s=%s", need->environment[i], value) < 0)
            _exit(126);
    }
    return list;
}

/* The timer outlives exec(): a program that does not end is ended by SIGALRM, whatever envsync's
 * caller has ignored or blocked. */
static void limit_time(int64_t ms)
{
    const struct itimerval timer = {
        .it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 + 1}};
    sigset_t alarm;

    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* In the child. */
static void become(const struct es_need *need, const struct es_process *process, int out,
                   const struct es_identity *id, int64_t ms)
{
    char **env = environment(need, process);
    struct es_err err;

    if (!env || es_plain_stdio(false, &err) < 0 || dup2(out, 1) < 0)
        _exit(126);
    setsid();
    es_close_on_exec();
    es_process_restore_signals(process);
    if (es_drop(id, &err) < 0) {
        fprintf(stderr, "envsync: %s\n", err.msg);
        _exit(77);
    }
    /* Should envsync itself be killed, nobody else would end it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit_time(ms);
    execve(need->path, (char **)need->argv, env);
    fprintf(stderr, "envsync: %s: %s\n", need->path, strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

int es_program_start(const struct es_need *need, const struct es_process *process, int64_t deadline,
                     struct es_program *ret, struct es_err *err)
{
    struct es_identity id = es_worker_identity();
    int left = es_clock_left(deadline), fds[2], r = 0;
    struct es_program program = {.timeout_ms = need->timeout_ms < left ? need->timeout_ms : left};

    if (need->run_as)
        r = es_identity_of(need->run_as, &id, err);
    if (r < 0)
        return r;
    program.path = strdup(need->path);
    if (!program.path)
        return es_nomem(err);
    if (pipe2(fds, O_CLOEXEC) < 0) {
        free(program.path);
        return es_fail_errno(err, ES_INTERNAL, errno, "pipe");
    }
    program.pid = fork();
    if (program.pid == 0)
        become(need, process, fds[1], &id, program.timeout_ms);
    es_close(&fds[1]);
    if (program.pid < 0) {
        free(program.path);
        es_close(&fds[0]);
        return es_fail_errno(err, ES_INTERNAL, errno, "fork");
    }
    program.kill_at = es_clock_ms() + program.timeout_ms;
    *ret = program;
    return fds[0];
}

static int judge(const struct es_program *program, int status, struct es_err *err)
{
    const char *path = program->path;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    if (code == 0)
        return 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "%s did not end within %lld ms", path,
                       (long long)program->timeout_ms);
    if (code == 66)
        return es_fail(err, ES_ABSENT, ENOENT, "%s says that it is not there (exit status 66)",
                       path);
    if (code == 69 || code == 75)
        return es_fail(err, ES_UNAVAILABLE, EAGAIN,
                       "%s says that it cannot be reached (exit status %d)", path, code);
    if (code == 77)
        return es_fail(err, ES_DENIED, EACCES, "%s says that it is denied (exit status 77)", path);
    if (code == 126 || code == 127)
        return es_fail(err, ES_INVALID, ENOEXEC, "%s cannot be run (exit status %d)", path, code);
    if (code >= 0)
        return es_fail(err, ES_INVALID, EIO, "%s failed with exit status %d", path, code);
    return es_fail(err, ES_INVALID, EIO, "%s was ended by signal %d", path, WTERMSIG(status));
}

int es_program_judge(struct es_program *program, int64_t deadline, struct es_err *err)
{
    int status = 0;

    while (!es_process_reap(&program->pid, &status)) {
        es_program_expire(program);
        if (es_clock_left(deadline) == 0)
            return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "%s was still running at the deadline",
                           program->path);
        es_clock_nap(2, deadline);
    }
    if (program->killed)
        return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "%s did not end within %lld ms",
                       program->path, (long long)program->timeout_ms);
    return judge(program, status, err);
}

void es_program_expire(struct es_program *program)
{
    if (program->pid <= 0 || program->killed || es_clock_left(program->kill_at) > 0)
        return;
    kill(-program->pid, SIGKILL);
    program->killed = true;
}

void es_program_done(struct es_program *program)
{
    es_process_kill(&program->pid);
    free(program->path);
    *program = (struct es_program){0};
}
