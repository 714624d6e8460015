/* The helper of a credential_process: a child of the worker from before its sandbox was closed, for
 * the program has to read and write what it likes, and may have to run again in the middle of a
 * run.
 *
 * Which command that is, the profile has said before anything was read from outside. All that the
 * worker can tell its helper later is "again, for so many milliseconds"; all it gets is what was
 * printed and how it ended. The helper looks at nothing of that. It runs as the worker's user, and
 * when the worker is gone it kills what it has started, and ends.
 *
 * The command gets /dev/null, PATH, LC_ALL and HOME, and nothing else of ours; its stderr is
 * dropped, since it may hold anything. */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 10, MAX_OUTPUT = 65536, SOCKET = 3 };

enum ending { EXITED, KILLED, LATE, LARGE, FAULT };

struct reply {
    int32_t ending, code;
    char text[MAX_OUTPUT];
};

/* ---- in the helper ---- */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((noreturn)) static void become(char **argv, int out, const char *home)
{
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LC_ALL=C.UTF-8";
    char at_home[4096];
    char *environment[] = {path, lang, NULL, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (home && (size_t)snprintf(at_home, sizeof at_home, "HOME=%s", home) < sizeof at_home)
        environment[2] = at_home;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
        _exit(127);
    execvpe(argv[0], argv, environment);
    _exit(127);
}

struct child {
    pid_t pid;
    int out;
    int64_t until;
};

static void end(const struct child *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
}

/* Until there is something to read or to look at. False: the time is up. */
static bool wait_for(const struct child *child)
{
    struct pollfd p[] = {{.fd = SOCKET}, {.fd = child->out, .events = POLLIN}};
    int64_t left = child->until - now_ms(), most = child->out < 0 ? LOOK_MS : 1000;

    if (left <= 0)
        return false;
    poll(p, 2, (int)(left < most ? left : most));
    if (!p[0].revents)
        return true;
    end(child); /* nobody listens any more */
    _exit(0);
}

/* Fills the reply; gives the length of its text. */
static size_t listen_to(struct child *child, struct reply *reply)
{
    size_t len = 0;
    int status;

    reply->ending = LATE;
    while (wait_for(child)) {
        char more;
        ssize_t n = child->out < 0     ? 0
                    : len < MAX_OUTPUT ? read(child->out, reply->text + len, MAX_OUTPUT - len)
                                       : read(child->out, &more, 1);

        if (n > 0 && len == MAX_OUTPUT) {
            reply->ending = LARGE;
            break;
        }
        len += n > 0 ? (size_t)n : 0;
        if (n == 0)
            es_close(&child->out);
        if (child->out < 0 && waitpid(child->pid, &status, WNOHANG) == child->pid) {
            reply->ending = WIFEXITED(status) ? EXITED : KILLED;
            reply->code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
            return len;
        }
    }
    end(child);
    es_close(&child->out);
    return 0;
}

static size_t run(char **argv, const char *home, int32_t ms, struct reply *reply)
{
    struct child child = {.out = -1, .until = now_ms() + ms};
    int out[2];

    *reply = (struct reply){.ending = FAULT};
    if (pipe2(out, O_CLOEXEC) < 0)
        return 0;
    child.out = out[0];
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    child.pid = fork();
    if (child.pid == 0)
        become(argv, out[1], home);
    es_close(&out[1]);
    if (child.pid > 0)
        return listen_to(&child, reply);
    es_close(&child.out);
    return 0;
}

/* Everything but its socket is closed: the records, the sources, what other helpers have. */
__attribute__((noreturn)) static void serve(int fd, char **argv, const char *home)
{
    static struct reply reply;
    int32_t ms;

    if (dup2(fd, SOCKET) < 0)
        _exit(1);
    fcntl(SOCKET, F_SETFD, FD_CLOEXEC);
#ifdef SYS_close_range
    if (syscall(SYS_close_range, SOCKET + 1U, ~0U, 0U) < 0)
#endif
        for (int i = SOCKET + 1, max = (int)sysconf(_SC_OPEN_MAX); i < max && i < 65536; i++)
            close(i);
    while (recv(SOCKET, &ms, sizeof ms, 0) == sizeof ms) {
        size_t len = run(argv, home, ms, &reply);

        send(SOCKET, &reply, offsetof(struct reply, text) + len, MSG_NOSIGNAL);
        explicit_bzero(&reply, sizeof reply);
    }
    _exit(0);
}

/* ---- in the worker ---- */

static void helper_free(struct es_aws_helper *helper)
{
    es_close(&helper->fd);
    if (helper->pid > 0)
        waitpid(helper->pid, NULL, 0);
    free(helper->command);
    free(helper);
}

void es_aws_helpers_free(struct es_aws_helper *helpers)
{
    while (helpers) {
        struct es_aws_helper *next = helpers->next;

        helper_free(helpers);
        helpers = next;
    }
}

static int helper_new(const char *command, const char *home, struct es_aws_helper **ret,
                      struct es_err *err)
{
    ES_CLEANUP(es_freep) char **argv = NULL;
    struct es_aws_helper *helper;
    int ends[2], r = es_aws_argv_split(command, &argv, err);

    if (r < 0)
        return r;
    helper = calloc(1, sizeof *helper);
    if (!helper)
        return es_nomem(err);
    helper->fd = -1;
    helper->command = strdup(command);
    if (!helper->command) {
        helper_free(helper);
        return es_nomem(err);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        r = es_fail_errno(err, ES_INTERNAL, errno, "socketpair");
        helper_free(helper);
        return r;
    }
    helper->fd = ends[0];
    helper->pid = fork();
    if (helper->pid == 0)
        serve(ends[1], argv, home);
    es_close(&ends[1]);
    if (helper->pid < 0) {
        r = es_fail_errno(err, ES_INTERNAL, errno, "fork");
        helper_free(helper);
        return r;
    }
    *ret = helper;
    return 0;
}

int es_aws_helper_find(struct es_aws_shared *shared, const char *command, const char *home,
                       struct es_aws_helper **ret, struct es_err *err)
{
    struct es_aws_helper *helper = shared->helpers;
    int r;

    while (helper && (helper->fd < 0 || strcmp(helper->command, command) != 0))
        helper = helper->next;
    if (!helper) {
        r = helper_new(command, home, &helper, err);
        if (r < 0)
            return r;
        helper->next = shared->helpers;
        shared->helpers = helper;
    }
    *ret = helper;
    return 0;
}

int es_aws_helper_ask(struct es_aws_helper *helper, int64_t ms, struct es_err *err)
{
    int32_t time = (int32_t)ms;

    if (send(helper->fd, &time, sizeof time, MSG_NOSIGNAL) != sizeof time)
        return es_fail_errno(err, ES_INTERNAL, errno, "its helper");
    helper->busy = true;
    return 0;
}

void es_aws_helper_leave(struct es_aws_helper *helper)
{
    if (helper->busy)
        es_close(&helper->fd);
}

static int judge(const struct reply *reply, struct es_err *err)
{
    switch (reply->ending) {
    case EXITED:
        if (reply->code == 0)
            return 1;
        if (reply->code == 127)
            return es_fail(err, ES_CONFIG, ENOENT, "it cannot be started by the worker's user");
        return es_fail(err, ES_DENIED, EACCES, "it ended with status %d", reply->code);
    case KILLED:
        return es_fail(err, ES_DENIED, EACCES, "it ended with signal %d", reply->code);
    case LATE:
        return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "it does not end");
    case LARGE:
        return es_fail(err, ES_INVALID, EFBIG, "it printed more than 64 KiB");
    default:
        return es_fail(err, ES_INTERNAL, EAGAIN, "no more processes can be started");
    }
}

int es_aws_helper_hear(struct es_aws_helper *helper, struct es_buf *text, struct es_err *err)
{
    static struct reply reply;
    const size_t head = offsetof(struct reply, text);
    ssize_t n = recv(helper->fd, &reply, sizeof reply, MSG_DONTWAIT);
    int r;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    helper->busy = false;
    if (n < (ssize_t)head) {
        es_close(&helper->fd);
        return es_fail(err, ES_INTERNAL, EPIPE, "its helper has ended");
    }
    r = judge(&reply, err);
    if (r > 0 && es_buf_append(text, reply.text, (size_t)n - head) < 0)
        r = es_nomem(err);
    explicit_bzero(&reply, sizeof reply);
    return r;
}
