/* See creds.h. Between fork() and exec() the child only takes away. What comes back is bytes,
 * bounded and not looked at here. */
#include "creds.h"

#include "clock.h"
#include "drop.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than base64 with its line breaks, name, key and tag make of a chunk. */
enum { MAX_ANSWER = 2 * ES_CREDS_CHUNK, BLOCK = 65536 };

static const char *const verbs[] = {
    [ES_CREDS_ENCRYPT] = "encrypt",
    [ES_CREDS_DECRYPT] = "decrypt",
};

struct child {
    pid_t pid; /* 0: ended */
    int in;    /* written */
    int out;   /* read */
};

static void child_done(struct child *child)
{
    es_process_kill(&child->pid);
    es_close(&child->in);
    es_close(&child->out);
}

const char *es_creds_find(struct es_err *err)
{
    static const char *const places[] = {"/usr/bin/systemd-creds", "/bin/systemd-creds"};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct stat st;

        if (stat(places[i], &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
            continue;
        if (st.st_uid == 0 && !(st.st_mode & 022))
            return places[i];
        es_fail(err, ES_DENIED, EPERM,
                "%s: others than root may change it, and it would be given what is to be sealed; "
                "reinstall it",
                places[i]);
        return NULL;
    }
    es_fail(err, ES_CONFIG, ENOENT,
            "there is no /usr/bin/systemd-creds; install systemd 250 or newer");
    return NULL;
}

/* In the child. */
static void become(const char *path, const char *verb, const char *name, int in, int out)
{
    static char search[] = "PATH=/usr/bin:/bin", lang[] = "LC_ALL=C.UTF-8";
    static char key[] = "--with-key=auto", dash[] = "-";
    char *environment[] = {search, lang, NULL};
    char option[128];
    char *seal[] = {(char *)"systemd-creds", (char *)verb, key, option, dash, dash, NULL};
    char *open_again[] = {(char *)"systemd-creds", (char *)verb, option, dash, dash, NULL};
    struct es_err err;

    snprintf(option, sizeof option, "--name=%s", name);
    if (es_plain_stdio(true, &err) < 0 || dup2(0, 2) < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0)
        _exit(126);
    setsid();
    es_close_on_exec();
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    /* Should envsync itself be killed, nobody else would end it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execve(path, verb == verbs[ES_CREDS_ENCRYPT] ? seal : open_again, environment);
    _exit(127);
}

static int start(enum es_creds_verb verb, const char *name, struct child *ret, struct es_err *err)
{
    const char *path = es_creds_find(err);
    int in[2], out[2];

    if (!path)
        return err->class == ES_CONFIG ? -ENOENT : -EPERM;
    if (pipe2(in, O_CLOEXEC) < 0)
        return es_fail_errno(err, ES_OUTPUT, errno, "pipe");
    ret->in = in[1];
    if (pipe2(out, O_CLOEXEC) < 0) {
        es_close(&in[0]);
        return es_fail_errno(err, ES_OUTPUT, errno, "pipe");
    }
    ret->out = out[0];
    ret->pid = fork();
    if (ret->pid == 0)
        become(path, verbs[verb], name, in[0], out[1]);
    es_close(&in[0]);
    es_close(&out[1]);
    if (ret->pid < 0) {
        ret->pid = 0;
        return es_fail_errno(err, ES_OUTPUT, errno, "fork");
    }
    fcntl(ret->in, F_SETFL, O_NONBLOCK);
    return 0;
}

/* Waits until something can be written or read; the deadline and signals end that. */
static int wait_for(const struct child *child, int64_t deadline, struct pollfd p[2],
                    struct es_err *err)
{
    for (;;) {
        int left = es_clock_left(deadline), n;

        if (es_process_caught())
            return es_fail(err, ES_INTERNAL, EINTR, "interrupted");
        p[0] = (struct pollfd){.fd = child->in, .events = POLLOUT}; /* -1 is passed over */
        p[1] = (struct pollfd){.fd = child->out, .events = POLLIN};
        /* A signal may come between the look and the poll: never sleep for long. */
        n = poll(p, 2, left < 1000 ? left : 1000);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return es_fail_errno(err, ES_OUTPUT, errno, "poll");
        if (left == 0)
            return es_fail(err, ES_OUTPUT, ETIMEDOUT, "systemd-creds did not end in time");
    }
}

/* Gives it as much as it takes now. That it wants no more is for its exit status to explain. */
static void feed(struct child *child, const char **data, size_t *len)
{
    ssize_t n = *len ? write(child->in, *data, *len) : 0;

    if (n > 0) {
        *data += n;
        *len -= (size_t)n;
    }
    if (*len == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        es_close(&child->in);
}

static int pump(struct child *child, const char *data, size_t len, int64_t deadline,
                struct es_buf *answer, struct es_err *err)
{
    for (;;) {
        struct pollfd p[2];
        ssize_t n;
        int r = wait_for(child, deadline, p, err);

        if (r < 0)
            return r;
        if (p[0].revents)
            feed(child, &data, &len);
        if (!p[1].revents)
            continue;
        if (es_buf_reserve(answer, BLOCK) < 0)
            return es_nomem(err);
        n = read(child->out, answer->data + answer->len, BLOCK);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return es_fail_errno(err, ES_OUTPUT, errno, "reading from systemd-creds");
        if (n > 0) {
            answer->len += (size_t)n;
            answer->data[answer->len] = '\0';
        }
        if (answer->len > MAX_ANSWER)
            return es_fail(err, ES_OUTPUT, EMSGSIZE, "systemd-creds gives no end of bytes");
    }
}

static int judge(struct child *child, enum es_creds_verb verb, int64_t deadline, struct es_err *err)
{
    int status = 0;

    while (!es_process_reap(&child->pid, &status)) {
        if (es_clock_left(deadline) == 0)
            return es_fail(err, ES_OUTPUT, ETIMEDOUT, "systemd-creds did not end in time");
        es_clock_nap(1, deadline);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return es_fail(err, ES_OUTPUT, EIO, "systemd-creds %s failed with exit status %d",
                       verbs[verb], WEXITSTATUS(status));
    return es_fail(err, ES_OUTPUT, EIO, "systemd-creds %s was ended by signal %d", verbs[verb],
                   WTERMSIG(status));
}

int es_creds_run(enum es_creds_verb verb, const char *name, const void *data, size_t len,
                 int64_t deadline, struct es_buf *ret, struct es_err *err)
{
    ES_CLEANUP(child_done) struct child child = {.in = -1, .out = -1};
    ES_CLEANUP(es_buf_done) struct es_buf answer = {0};
    int r = start(verb, name, &child, err);

    if (r == 0)
        r = pump(&child, data, len, deadline, &answer, err);
    if (r == 0)
        r = judge(&child, verb, deadline, err);
    if (r < 0)
        return r;
    if (verb == ES_CREDS_ENCRYPT && answer.len <= len)
        return es_fail(err, ES_OUTPUT, EIO, "systemd-creds encrypt gave less than it was given");
    es_buf_move(ret, &answer);
    return 0;
}
