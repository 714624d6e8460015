/* Runs a program and whatever it starts, and lets one system call go wrong:
 *
 *   trip [-l LOG] [-t TASK -c CALL -n NUMBER -a ACTION] [--] PROGRAM [ARGUMENT...]
 *
 * Tasks (processes and threads) are numbered as they are born, PROGRAM itself is 0. CALL is a
 * number of the kernel's table; those of a task are counted from 1, so that it does not matter how
 * often it has waited before. ACTION is one of these:
 *
 *   kill     the process is killed where the call is entered, and the call is not made
 *   short    a call that moves bytes is asked for half of them
 *   ERRNO    (a number) the call is not made and fails with that; close() is made all the same
 *
 * Without one, LOG gets a line for each call: TASK, number of the call in the kernel's table, what
 * its first argument is open on, the text that its second one points to; separated by tabs.
 *
 * The exit status is PROGRAM's, 128 and the signal's number where one ended it, or 125 for a
 * mistake of this program or where the call never came.
 */
#include "build.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_TASKS = 256, MAX_ERRNO = 4095 };
enum action { NONE, KILL, SHORT, FAIL };

struct task {
    pid_t pid;
    int number;          /* -1: it has stopped before its parent told of it */
    unsigned long calls; /* of the kind that is to go wrong */
    bool begun;
    bool failing; /* at whose exit the result is to be replaced */
};

static struct {
    struct task tasks[MAX_TASKS];
    int n, born;
    FILE *log;
    int task;
    unsigned long call, number;
    enum action action;
    int error;
    bool hit;
} trip = {.task = -1};

static void die(const char *what)
{
    fprintf(stderr, "trip: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* ---- registers ---- */

#if defined(__x86_64__)
typedef struct user_regs_struct regs;

static void set_number(pid_t pid, regs *r, long number)
{
    (void)pid;
    r->orig_rax = (unsigned long long)number;
}

static void set_result(regs *r, long result)
{
    r->rax = (unsigned long long)result;
}

static void halve_count(regs *r)
{
    r->rdx = r->rdx > 1 ? r->rdx / 2 : r->rdx;
}
#elif defined(__aarch64__)
typedef struct user_regs_struct regs;

static void set_number(pid_t pid, regs *r, long number)
{
    int value = (int)number;
    struct iovec iov = {.iov_base = &value, .iov_len = sizeof value};

    (void)r;
    ptrace(PTRACE_SETREGSET, pid, (void *)(uintptr_t)NT_ARM_SYSTEM_CALL, &iov);
}

static void set_result(regs *r, long result)
{
    r->regs[0] = (unsigned long long)result;
}

static void halve_count(regs *r)
{
    r->regs[2] = r->regs[2] > 1 ? r->regs[2] / 2 : r->regs[2];
}
#else
#error "trip knows the registers of x86_64 and aarch64; add those of this machine"
#endif

static void transfer(int request, pid_t pid, regs *r)
{
    struct iovec iov = {.iov_base = r, .iov_len = sizeof *r};

    ptrace((enum __ptrace_request)request, pid, (void *)(uintptr_t)NT_PRSTATUS, &iov);
}

/* ---- the log ---- */

/* Tabs, line ends and what cannot be read are left out. */
static void put_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i]; i++)
        if (text[i] >= ' ' && text[i] <= '~')
            putc(text[i], trip.log);
}

static void put_open_on(pid_t pid, uint64_t fd)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/%d/fd/%llu", (int)pid, (unsigned long long)fd);
    n = readlink(link, path, sizeof path);
    if (n > 0)
        put_text(path, (size_t)n);
}

static void put_pointed_to(pid_t pid, uint64_t at)
{
    char text[256];
    struct iovec local = {.iov_base = text, .iov_len = sizeof text};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)at, .iov_len = sizeof text};
    ssize_t n;

    /* A text at the end of its page. */
    if (at % 4096 > 4096 - sizeof text)
        remote.iov_len = local.iov_len = 4096 - at % 4096;
    n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (n > 0)
        put_text(text, (size_t)n);
}

static void tell(const struct task *task, const struct __ptrace_syscall_info *call)
{
    if (!trip.log)
        return;
    fprintf(trip.log, "%d\t%llu\t", task->number, (unsigned long long)call->entry.nr);
    put_open_on(task->pid, call->entry.args[0]);
    putc('\t', trip.log);
    put_pointed_to(task->pid, call->entry.args[1]);
    putc('\n', trip.log);
}

/* ---- calls ---- */

static void act(struct task *task, const struct __ptrace_syscall_info *call)
{
    regs r;

    trip.hit = true;
    if (trip.action == KILL) {
        kill(task->pid, SIGKILL);
        return;
    }
    transfer(PTRACE_GETREGSET, task->pid, &r);
    if (trip.action == SHORT)
        halve_count(&r);
    else if (call->entry.nr != SYS_close)
        set_number(task->pid, &r, -1);
    task->failing = trip.action == FAIL;
    transfer(PTRACE_SETREGSET, task->pid, &r);
}

static void at_call(struct task *task)
{
    struct __ptrace_syscall_info call;
    regs r;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, (void *)sizeof call, &call) < 0)
        return;
    if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
        task->begun = true;
        if (trip.action == NONE) {
            tell(task, &call);
        } else if (task->number == trip.task && call.entry.nr == trip.call &&
                   ++task->calls == trip.number) {
            tell(task, &call);
            act(task, &call);
        }
    } else if (task->failing) {
        task->failing = false;
        transfer(PTRACE_GETREGSET, task->pid, &r);
        set_result(&r, -trip.error);
        transfer(PTRACE_SETREGSET, task->pid, &r);
    }
}

/* ---- tasks ---- */

static struct task *find(pid_t pid)
{
    for (int i = 0; i < trip.n; i++)
        if (trip.tasks[i].pid == pid)
            return &trip.tasks[i];
    return NULL;
}

static struct task *add(pid_t pid, int number)
{
    if (trip.n == MAX_TASKS) {
        errno = EAGAIN;
        die("too many tasks");
    }
    trip.tasks[trip.n] = (struct task){.pid = pid, .number = number};
    return &trip.tasks[trip.n++];
}

static void go_on(pid_t pid, int sig)
{
    ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)sig);
}

/* A parent tells of its child, which may have stopped already. */
static void at_birth(pid_t parent)
{
    unsigned long pid;
    struct task *child;

    if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &pid) < 0)
        return;
    child = find((pid_t)pid);
    if (child) {
        child->number = ++trip.born;
        go_on(child->pid, 0);
    } else {
        add((pid_t)pid, ++trip.born);
    }
}

static void at_stop(pid_t pid, int status)
{
    struct task *task = find(pid);
    int sig = WSTOPSIG(status), event = status >> 16;

    if (!task) {
        add(pid, -1); /* goes on when its parent has told of it */
        return;
    }
    if (sig == (SIGTRAP | 0x80)) {
        at_call(task);
        sig = 0;
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
               event == PTRACE_EVENT_CLONE) {
        at_birth(pid);
        sig = 0;
    } else if (event || (sig == SIGSTOP && !task->begun)) {
        sig = 0; /* exec, and the stop with which every task begins */
    }
    go_on(pid, sig);
}

static int watch(pid_t program)
{
    int status, ret = 125;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        struct task *task = find(pid);

        if (WIFSTOPPED(status)) {
            at_stop(pid, status);
            continue;
        }
        if (task)
            *task = trip.tasks[--trip.n];
        if (pid == program)
            ret = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return trip.action != NONE && !trip.hit ? 125 : ret;
}

static pid_t start(char **argv)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(argv[0], argv);
        die(argv[0]);
    }
    /* It stops behind exec: what comes before is not the program's. */
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
        die("start");
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options) < 0)
        die("ptrace");
    add(pid, 0);
    go_on(pid, 0);
    return pid;
}

static enum action action_of(const char *text)
{
    if (strcmp(text, "kill") == 0)
        return KILL;
    if (strcmp(text, "short") == 0)
        return SHORT;
    trip.error = atoi(text);
    errno = EINVAL;
    if (trip.error < 1 || trip.error > MAX_ERRNO)
        die(text);
    return FAIL;
}

int main(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "+l:t:c:n:a:")) != -1) {
        if (c == 'l')
            trip.log = fopen(optarg, "we");
        else if (c == 't')
            trip.task = atoi(optarg);
        else if (c == 'c')
            trip.call = strtoul(optarg, NULL, 10);
        else if (c == 'n')
            trip.number = strtoul(optarg, NULL, 10);
        else if (c == 'a')
            trip.action = action_of(optarg);
        if (c == '?' || (c == 'l' && !trip.log))
            die("usage");
    }
    if (optind == argc)
        die("usage");
    return watch(start(argv + optind));
}
