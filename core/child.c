/* See child.h. What is printed is kept for messages and for two lines of systemctl's: bounded, and
 * the rest is thrown away. */
#include "child.h"

#include "clock.h"
#include "drop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAX_SAID = 16 << 10,
    BLOCKS = 16, /* read at one look */
    STEP = 5,    /* milliseconds between two looks */
};

/* In the child. Whatever goes wrong is told by its errno on `why`, which exec() closes. */
static void become(const char *const *argv, const struct es_process *process, int out, int why)
{
    struct es_err err;
    ssize_t n;

    setsid();
    es_close_on_exec();
    es_process_restore(process);
    if (es_plain_stdio(false, &err) == 0 && dup2(out, 1) >= 0 && (out == 2 || dup2(out, 2) >= 0)) {
        fcntl(2, F_SETFD, 0);
        /* Should envsync itself be killed, nobody else would end it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvpe(argv[0], (char **)argv, environ);
    }
    n = write(why, &errno, sizeof errno);
    (void)n;
    _exit(127);
}

/* What was printed so far, or some of it: who prints without an end is not listened to for ever. */
static void drain(int fd, struct es_buf *said)
{
    char block[4096];
    ssize_t n;

    for (size_t i = 0; said && i < BLOCKS && (n = read(fd, block, sizeof block)) > 0; i++)
        if (said->len < MAX_SAID && es_buf_append(said, block, (size_t)n) < 0)
            return;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0 || info.si_pid != 0;
}

static int judge(const char *program, int status, struct es_err *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return es_fail(err, ES_UNAVAILABLE, EIO, "%s failed with exit status %d", program,
                       WEXITSTATUS(status));
    return es_fail(err, ES_UNAVAILABLE, EIO, "%s was ended by signal %d", program,
                   WTERMSIG(status));
}

/* The last line that it printed is mostly its reason. */
static void add_reason(const struct es_buf *said, struct es_err *err)
{
    const char *start = es_buf_str(said), *end = start + said->len, *line;
    char reason[300];

    while (end > start && (end[-1] == '\n' || end[-1] == ' ' || end[-1] == '.'))
        end--;
    for (line = end; line > start && line[-1] != '\n';)
        line--;
    if (end == line)
        return;
    snprintf(reason, sizeof reason, "%.*s", (int)(end - line), line);
    es_advise(err, reason);
}

static int wait_for(const char *program, pid_t pid, int64_t until, int out, struct es_buf *said,
                    struct es_err *err)
{
    int status = 0, r = 0;

    while (!has_ended(pid)) {
        drain(out, said);
        if (es_process_caught())
            r = es_fail(err, ES_UNAVAILABLE, EINTR, "%s: interrupted", program);
        else if (es_clock_left(until) == 0)
            r = es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "%s did not end in time", program);
        if (r < 0) {
            es_process_kill(&pid);
            return r;
        }
        es_clock_nap(STEP, until);
    }
    /* Its group is left alone: what it has started on purpose may go on. */
    waitpid(pid, &status, 0);
    drain(out, said);
    r = judge(program, status, err);
    if (r < 0 && said)
        add_reason(said, err);
    return r;
}

int es_child_run(const char *const *argv, const struct es_process *process, int64_t until,
                 struct es_buf *said, struct es_err *err)
{
    ES_CLEANUP(es_close) int out = -1, in = -1, why = -1, why_in = -1;
    int fds[2], errnum = 0;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "pipe");
    why = fds[0];
    why_in = fds[1];
    if (said && pipe2(fds, O_CLOEXEC) < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "pipe");
    if (said) {
        out = fds[0];
        in = fds[1];
        fcntl(out, F_SETFL, O_NONBLOCK);
    }
    pid = fork();
    if (pid == 0)
        become(argv, process, said ? in : 2, why_in);
    es_close(&in);
    es_close(&why_in);
    if (pid < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "fork");
    if (read(why, &errnum, sizeof errnum) == (ssize_t)sizeof errnum) {
        waitpid(pid, NULL, 0);
        return es_fail_errno(err, ES_UNAVAILABLE, errnum, "%s cannot be run", argv[0]);
    }
    return wait_for(argv[0], pid, until, out, said, err);
}
