/* See process.h. */
#include "process.h"

#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
    caught = sig;
}

/* A closed stdin would be the next file that is opened, and a library's stray print would go there.
 */
static int open_standard_fds(struct es_process *process, struct es_err *err)
{
    int null;

    for (int fd = 0; fd <= 2; fd++) {
        process->closed[fd] = fcntl(fd, F_GETFD) < 0;
        if (!process->closed[fd])
            continue;
        null = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        if (null != fd)
            return es_fail_errno(err, ES_INTERNAL, errno, "/dev/null");
    }
    return 0;
}

int es_process_start(struct es_process *process, struct es_err *err)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LC_ALL=C.UTF-8";
    static char *constants[] = {path, lang, NULL};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};
    sigset_t none;

    process->environ = environ;
    process->umask = umask(077);
    sigprocmask(SIG_SETMASK, NULL, &process->mask);
    getrlimit(RLIMIT_CORE, &process->core);
    environ = constants;
    setrlimit(RLIMIT_CORE, &(struct rlimit){.rlim_max = process->core.rlim_max});
#ifndef ES_SANITIZED /* the leak checker attaches to its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    sigaction(SIGPIPE, &ignore, &process->pipe);
    sigaction(SIGXFSZ, &ignore, &process->xfsz); /* LimitFSIZE= then is an error of write() */
    sigaction(SIGCHLD, &normal, &process->chld); /* ignored, waitpid() would find no worker */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return open_standard_fds(process, err);
}

const char *es_process_getenv(const struct es_process *process, const char *name)
{
    size_t len = strlen(name);

    for (char **p = process->environ; p && *p; p++)
        if (strncmp(*p, name, len) == 0 && (*p)[len] == '=')
            return *p + len + 1;
    return NULL;
}

void es_process_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old;

        /* nohup and the like stay ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

int es_process_caught(void)
{
    return caught;
}

void es_process_die(int sig)
{
    signal(sig, SIG_DFL);
    raise(sig);
}

void es_process_restore_signals(const struct es_process *process)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction now;

        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == on_signal)
            signal(signals[i], SIG_DFL);
    }
    sigaction(SIGPIPE, &process->pipe, NULL);
    sigaction(SIGXFSZ, &process->xfsz, NULL);
    sigaction(SIGCHLD, &process->chld, NULL);
    sigprocmask(SIG_SETMASK, &process->mask, NULL);
}

bool es_process_reap(pid_t *pid, int *ret_status)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)*pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0)
        return false;
    kill(-*pid, SIGKILL);
    waitpid(*pid, ret_status, 0);
    *pid = 0;
    return true;
}

void es_process_kill(pid_t *pid)
{
    if (*pid > 0) {
        kill(-*pid, SIGKILL);
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

void es_process_restore(const struct es_process *process)
{
    es_process_restore_signals(process);
    for (int fd = 0; fd <= 2; fd++)
        if (process->closed[fd])
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    setrlimit(RLIMIT_CORE, &process->core);
    /* Not dumpable until execve(), which resets it: what was merged is still in memory. */
    umask(process->umask);
}
