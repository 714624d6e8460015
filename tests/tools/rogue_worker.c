/* rogue_worker: what a worker could do that was taken over by what it parsed. It starts as the real
 * one does, with the real job and sandbox, and then tries everything it should not be able to do;
 * what came of it goes up as notes, "WHAT: ok" or "WHAT: why not".
 *
 * The first file of its first source lists paths to try, one "read PATH", "write PATH" or "run
 * PATH" per line. */
#include "worker/job.h"
#include "worker/sandbox.h"
#include "worker/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct es_sink *sink;

/* No source is ever fetched. */
void es_fetch_finish(struct es_fetch *fetch, int r, const struct es_err *err)
{
    (void)fetch;
    (void)r;
    (void)err;
}

static void tell(const char *what, const char *of, bool done)
{
    const char *why = done ? "ok" : strerror(errno);
    struct es_err err;

    if (es_sink_note(sink, &err, "%s%s%s: %s", what, *of ? " " : "", of, why) < 0)
        exit(1);
}

static void try_path(const char *what, const char *path)
{
    ES_CLEANUP(es_close) int fd = -1;

    if (strcmp(what, "run") == 0) {
        execl(path, path, (char *)NULL);
    } else {
        bool write = strcmp(what, "write") == 0;

        fd = open(path, write ? O_WRONLY | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    }
    tell(what, path, fd >= 0);
}

static void try_paths(int fd)
{
    char text[8192], *line, *rest = text;
    ssize_t n = read(fd, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    while ((line = strsep(&rest, "\n"))) {
        char *path = strchr(line, ' ');

        if (!path)
            continue;
        *path++ = '\0';
        try_path(line, path);
    }
}

static bool has_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3];

    return syscall(SYS_capget, &header, has) < 0 || has[0].permitted || has[1].permitted ||
           has[0].inheritable || has[1].inheritable;
}

static void try_root(void)
{
    tell("setuid", "", setuid(0) == 0);
    tell("setresuid", "", setresuid(0, 0, 0) == 0);
    tell("setresuid", "-1 0 -1", setresuid((uid_t)-1, 0, (uid_t)-1) == 0);
    tell("setgid", "", setgid(0) == 0);
    tell("chroot", "", chroot("/") == 0);
    tell("ptrace", "parent", ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0);
    tell("signal", "parent", kill(getppid(), 0) == 0);
    tell("core", "", setrlimit(RLIMIT_CORE, &(struct rlimit){1 << 20, 1 << 20}) == 0);
}

/* Every descriptor that can be written to, with what it is. */
static void list_writable(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;
        char text[64];

        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || flags & O_PATH)
            continue;
        fstat(fd, &st);
        if (S_ISSOCK(st.st_mode) && send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            continue;
        snprintf(text, sizeof text, "%d of type %o", fd, st.st_mode & S_IFMT);
        tell("descriptor", text, true);
    }
    tell("stderr", "", write(2, "rogue\n", 6) == 6);
}

int main(int argc, char **argv)
{
    struct es_pipe pipe = {.fd = argc == 4 ? atoi(argv[2]) : -1};
    struct es_job job = {0};
    struct es_sandbox sandbox;
    bool network = false;
    struct es_err err;

    if (argc != 4 || es_sandbox_settle(atoi(argv[3])) < 0 ||
        es_job_read(atoi(argv[1]), &job, &err) < 0)
        return 70;
    for (size_t i = 0; i < job.n; i++)
        network = network || job.tasks[i].provider->network;
    es_sandbox_init(&sandbox, network);
    es_sandbox_close(&sandbox);
    job.tasks[0].sink.pipe = &pipe;
    sink = &job.tasks[0].sink;
    try_paths(job.tasks[0].files[0].fd);
    try_root();
    list_writable();
    tell("dumpable", "", prctl(PR_GET_DUMPABLE) != 0);
    tell("capabilities", "", has_capabilities());
    for (size_t i = 0; i < job.n; i++) {
        job.tasks[i].sink.pipe = &pipe;
        if (es_sink_finish(&job.tasks[i].sink, NULL, &err) < 0)
            return 70;
    }
    return es_pipe_end(&pipe, &err) < 0 ? 70 : 0;
}
