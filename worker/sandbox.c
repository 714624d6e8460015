/* See sandbox.h. Landlock, by its system calls: libc has no functions for them, and the headers of
 * the machine that compiles may be older than the kernel that runs, so the few numbers stand here.
 *
 * Whatever the worker may read by name is in the lists below, or was named by the caller's own AWS
 * profiles; sources come as open descriptors, which Landlock leaves alone. Nothing may be written,
 * executed or made. The rest is not Landlock's: user and no_new_privs are the parent's work, and a
 * filter of system calls is the unit's. */
#include "sandbox.h"

#include "build.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far above what the largest runs take, 8 MiB for each name that is being resolved among it: a text
 * that makes a parser eat memory ends the worker and not the host. */
#define MAX_MEMORY ((rlim_t)2 << 30)

/* ---- Landlock ---- */

enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 }; /* on every machine */
enum { ASK_VERSION = 1 << 0, RULE_PATH_BENEATH = 1 };

enum {
    FS_EXECUTE = 1 << 0,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_FIRST = (1 << 13) - 1,            /* these, and all that writes, makes and removes */
    FS_REFER = 1 << 13,                  /* since version 2: to other directories */
    FS_TRUNCATE = 1 << 14,               /* 3 */
    FS_IOCTL_DEV = 1 << 15,              /* 5 */
    NET_BIND_TCP = 1 << 0,               /* 4 */
    NET_CONNECT_TCP = 1 << 1,            /* 4 */
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* 6 */
    SCOPE_SIGNAL = 1 << 1,               /* 6 */
};

/* The kernel takes a longer one than it knows as long as the rest is zero. */
struct ruleset {
    uint64_t fs, net, scopes;
};
struct path_beneath {
    uint64_t access;
    int32_t dir;
} __attribute__((packed));

static int ask(void *nothing)
{
    (void)nothing;
    syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
    syscall(ADD_RULE, -1, RULE_PATH_BENEATH, NULL, 0);
    syscall(RESTRICT_SELF, -1, 0);
    return 0;
}

/* A unit's SystemCallFilter=, such as @system-service of systemd 252, may kill who asks for
 * Landlock. So where there is a filter, a child asks first; in this memory, because a copy of all
 * the libraries' would cost more than the whole sandbox. */
static bool would_kill(void)
{
    enum { FILTER = 2 };
    _Alignas(16) char stack[16384];
    int status = 0;
    pid_t child;

    if (prctl(PR_GET_SECCOMP) != FILTER)
        return false;
    child = clone(ask, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

static uint64_t forbidden_on_files(int version)
{
    uint64_t fs = FS_FIRST;

    if (version >= 2)
        fs |= FS_REFER;
    if (version >= 3)
        fs |= FS_TRUNCATE;
    if (version >= 5)
        fs |= FS_IOCTL_DEV;
    return fs;
}

/* A worker that asks nobody connects to nobody; one that does may have to go to any port, but
 * nobody comes to it. Neither has a word for processes beside it. */
static int make_ruleset(int version, bool network)
{
    struct ruleset set = {.fs = forbidden_on_files(version)};

    if (version >= 4)
        set.net = NET_BIND_TCP | (network ? 0 : NET_CONNECT_TCP);
    if (version >= 6)
        set.scopes = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    return (int)syscall(CREATE_RULESET, &set, sizeof set, 0);
}

/* What is not there is not allowed, and that is all. */
void es_sandbox_allow(struct es_sandbox *sandbox, const char *path)
{
    ES_CLEANUP(es_close) int fd = -1;
    struct path_beneath rule;
    struct stat st;

    if (sandbox->ruleset < 0)
        return;
    fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    rule = (struct path_beneath){
        .access = S_ISDIR(st.st_mode) ? FS_READ_FILE | FS_READ_DIR : FS_READ_FILE, .dir = fd};
    syscall(ADD_RULE, sandbox->ruleset, RULE_PATH_BENEATH, &rule, 0);
}

/* ---- what may be read ---- */

/* Names: the resolver of libc and the modules of nsswitch.conf; passwd for messages that name the
 * worker's user. Where resolv.conf is a link to one of the directories, it may be replaced in the
 * middle of a run. */
static const char *const names[] = {
    "/etc/resolv.conf",    "/run/systemd/resolve",
    "/run/NetworkManager", "/run/resolvconf",
    "/run/connman",        "/run/netconfig",
    "/etc/hosts",          "/etc/host.conf",
    "/etc/nsswitch.conf",  "/usr/etc/nsswitch.conf",
    "/etc/gai.conf",       "/etc/services",
    "/etc/passwd",         "/etc/mdns.allow",
    "/var/lib/sss/mc",     "/var/cache/nscd",
    "/var/db/nscd",        NULL,
};

/* Trust: certificates of authorities wherever systems keep them, and OpenSSL's own settings. */
static const char *const trust[] = {
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/usr/share/ca-certificates",
    "/usr/share/pki",
    "/usr/share/crypto-policies",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
    "/proc/sys/crypto/fips_enabled",
    NULL,
};

/* Modules of libc and OpenSSL that are loaded when they are needed, and what libraries ask for. */
static const char *const libraries[] = {
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/null",
    "/sys/devices/system/cpu/online",
    NULL,
};

static void allow_all(struct es_sandbox *sandbox, const char *const *paths)
{
    for (; *paths; paths++)
        es_sandbox_allow(sandbox, *paths);
}

/* Links in a directory of certificates that an administrator made: what they lead to is trusted, so
 * it may be read. The system's own all lead to one place that is allowed already. */
static void allow_linked(struct es_sandbox *sandbox, const char *path)
{
    static const char system[] = "/usr/share/ca-certificates/";
    DIR *dir = sandbox->ruleset < 0 ? NULL : opendir(path);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char target[PATH_MAX], full[PATH_MAX];
        ssize_t n = entry->d_type == DT_LNK
                        ? readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1)
                        : 0;

        target[n > 0 ? n : 0] = '\0';
        if (strchr(target, '/') && strncmp(target, system, strlen(system)) != 0 &&
            snprintf(full, sizeof full, "%s/%s", path, entry->d_name) < (int)sizeof full)
            es_sandbox_allow(sandbox, full);
    }
    if (dir)
        closedir(dir);
}

void es_sandbox_init(struct es_sandbox *sandbox, bool network)
{
    long version = would_kill() ? 0 : syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);

    *sandbox = (struct es_sandbox){.ruleset = -1};
    if (version <= 0)
        return;
    sandbox->ruleset = make_ruleset((int)version, network);
    sandbox->version = (int)version;
    if (sandbox->ruleset < 0)
        sandbox->fault = "landlock_create_ruleset";
#ifdef ES_SANITIZED /* the leak checker looks at its own process */
    es_sandbox_allow(sandbox, "/proc");
    allow_all(sandbox, libraries);
#endif
    if (!network)
        return;
    allow_all(sandbox, names);
    allow_all(sandbox, trust);
    allow_all(sandbox, libraries);
    allow_linked(sandbox, "/etc/ssl/certs");
    allow_linked(sandbox, "/etc/pki/tls/certs");
}

/* ---- the limits ---- */

/* Hard and soft alike; what is lower already stays. */
static void limit(int resource, rlim_t most)
{
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return;
    if (now.rlim_cur > most)
        now.rlim_cur = most;
    now.rlim_max = now.rlim_cur;
    setrlimit(resource, &now);
}

int es_sandbox_settle(pid_t parent)
{
    limit(RLIMIT_CORE, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#ifndef ES_SANITIZED /* the leak checker attaches to its own process, and prints */
    prctl(PR_SET_DUMPABLE, 0);
    dup2(0, 2);
#endif
    return getppid() == parent ? 0 : -ESRCH;
}

void es_sandbox_close(struct es_sandbox *sandbox)
{
    /* Not RLIMIT_NPROC: it counts all that the user runs, and threads, of which the resolver makes
     * some. That nothing can be executed is Landlock's part. */
    limit(RLIMIT_NOFILE, RLIM_INFINITY);
#ifdef ES_COVERAGE
    return;
#endif
#ifndef ES_SANITIZED
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_DATA, MAX_MEMORY);
#endif
    if (sandbox->ruleset < 0)
        return;
    if (syscall(RESTRICT_SELF, sandbox->ruleset, 0) < 0)
        sandbox->fault = "landlock_restrict_self";
    es_close(&sandbox->ruleset);
}

static int tell(const struct es_sandbox *sandbox, const char *user, struct es_buf *out)
{
    if (sandbox->version == 0)
        return es_buf_printf(out,
                             "this kernel has no Landlock, or does not let it be used: it can read "
                             "what the user %s may read",
                             user);
    if (sandbox->fault)
        return es_buf_printf(out, "%s fails: it can read what the user %s may read", sandbox->fault,
                             user);
    return es_buf_printf(out,
                         "the kernel's Landlock is of version %d, which does not keep it from "
                         "truncating files",
                         sandbox->version);
}

int es_sandbox_lacks(const struct es_sandbox *sandbox, struct es_buf *out)
{
    const struct passwd *user;

    if (sandbox->version >= 3 && !sandbox->fault)
        return 0;
    user = getpwuid(geteuid());
    return tell(sandbox, user ? user->pw_name : "it runs as", out);
}
