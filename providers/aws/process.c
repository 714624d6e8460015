/* credential_process: a command of the profile, run as the worker's user, without a shell.
 *
 * It gets /dev/null, PATH, LC_ALL and HOME, and nothing else of ours; its stderr is dropped, since
 * it may hold anything. 64 KiB of output and 30 s are its bounds; then it is killed, with its
 * group. The loop goes on meanwhile: a timer looks. */
#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 10, MAX_MS = 30000, MAX_OUTPUT = 65536, MAX_COMMAND = 65536 };

struct es_aws_process {
    struct es_http *http;
    pid_t pid; /* 0: reaped */
    int out;
    struct es_buf text;
    int64_t until_ms;
    es_aws_imds_fn *fn;
    void *data;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies one word to *to and leaves *at behind it. False for an open quote or a final backslash. */
static bool take_word(const char **at, char **to)
{
    const char *p = *at;
    char quote = '\0';

    for (; *p && (quote || !is_space(*p)); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"')
            quote = quote ? '\0' : *p;
        else if (*p != '\\' || quote == '\'' || (quote && p[1] != '"' && p[1] != '\\') || *++p)
            *(*to)++ = *p;
        else
            return false;
    }
    *(*to)++ = '\0';
    *at = p;
    return quote == '\0';
}

int es_aws_argv_split(const char *command, char ***ret, struct es_err *err)
{
    size_t len = strlen(command), max = len / 2 + 2, n = 0;
    char **argv, *to;

    if (len > MAX_COMMAND)
        return es_fail(err, ES_CONFIG, E2BIG, "the command is too long");
    argv = malloc(max * sizeof *argv + len + max);
    if (!argv)
        return es_nomem(err);
    to = (char *)(argv + max);
    for (;;) {
        while (is_space(*command))
            command++;
        if (!*command)
            break;
        argv[n++] = to;
        if (!take_word(&command, &to)) {
            free(argv);
            return es_fail(err, ES_CONFIG, EINVAL, "the command has a quote that is not closed");
        }
    }
    if (n == 0) {
        free(argv);
        return es_fail(err, ES_CONFIG, EINVAL, "the command is empty");
    }
    argv[n] = NULL;
    *ret = argv;
    return 0;
}

static void end(struct es_aws_process *process)
{
    if (process->pid > 0) {
        kill(-process->pid, SIGKILL);
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
    }
    process->pid = 0;
}

void es_aws_process_free(struct es_aws_process *process)
{
    if (!process)
        return;
    es_http_forget(process->http, process);
    end(process);
    es_close(&process->out);
    es_buf_done(&process->text);
    free(process);
}

/* 1 at the end of the output, 0 where more may come. */
static int drain(struct es_aws_process *process, struct es_err *err)
{
    char block[4096];
    ssize_t n;
    int r = 0;

    while ((n = read(process->out, block, sizeof block)) > 0 && r == 0) {
        if (process->text.len + (size_t)n > MAX_OUTPUT)
            r = es_fail(err, ES_INVALID, EFBIG, "it printed more than 64 KiB");
        else if (es_buf_append(&process->text, block, (size_t)n) < 0)
            r = es_nomem(err);
    }
    explicit_bzero(block, sizeof block);
    return r < 0 ? r : n == 0;
}

/* 1 where it has ended well, 0 where it runs on. */
static int look(struct es_aws_process *process, struct es_err *err)
{
    int status, r = drain(process, err);

    if (r < 0)
        return r;
    if (r == 0 || waitpid(process->pid, &status, WNOHANG) != process->pid)
        return es_http_now_ms(process->http) < process->until_ms
                   ? 0
                   : es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "it does not end");
    process->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return es_fail(err, ES_CONFIG, ENOENT, "it cannot be started by the worker's user");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 1;
    return es_fail(err, ES_DENIED, EACCES, "it ended with %s %d",
                   WIFEXITED(status) ? "status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void on_timer(void *data)
{
    struct es_aws_process *process = data;
    struct es_err err;
    int r = look(process, &err);

    if (r == 0)
        r = es_http_after(process->http, LOOK_MS, on_timer, process, &err);
    if (r == 0 && process->pid > 0)
        return;
    end(process);
    process->fn(process->data, r < 0 ? r : 0, &process->text, &err);
}

__attribute__((noreturn)) static void become(char **argv, int out, const char *home)
{
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LC_ALL=C.UTF-8";
    char at_home[4096];
    char *environment[] = {path, lang, NULL, NULL};
    int null = open("/dev/null", O_RDWR);

    if (home && (size_t)snprintf(at_home, sizeof at_home, "HOME=%s", home) < sizeof at_home)
        environment[2] = at_home;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
        _exit(127);
    for (int fd = 3; fd < 1024; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    execvpe(argv[0], argv, environment);
    _exit(127);
}

int es_aws_process_start(struct es_http *http, const char *command, const char *home,
                         es_aws_imds_fn *fn, void *data, struct es_aws_process **ret,
                         struct es_err *err)
{
    ES_CLEANUP(es_freep) char **argv = NULL;
    struct es_aws_process *process;
    int out[2], r = es_aws_argv_split(command, &argv, err);

    if (r < 0)
        return r;
    process = calloc(1, sizeof *process);
    if (!process)
        return es_nomem(err);
    *process = (struct es_aws_process){.http = http, .out = -1, .fn = fn, .data = data};
    process->until_ms = es_http_now_ms(http) + MAX_MS;
    if (process->until_ms > es_http_deadline_ms(http))
        process->until_ms = es_http_deadline_ms(http);
    if (pipe2(out, O_CLOEXEC) < 0) {
        free(process);
        return es_fail_errno(err, ES_INTERNAL, errno, "pipe");
    }
    process->out = out[0];
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    process->pid = fork();
    if (process->pid == 0)
        become(argv, out[1], home);
    es_close(&out[1]);
    r = process->pid < 0 ? es_fail_errno(err, ES_INTERNAL, errno, "fork")
                         : es_http_after(http, LOOK_MS, on_timer, process, err);
    if (r < 0) {
        es_aws_process_free(process);
        return r;
    }
    *ret = process;
    return 0;
}
