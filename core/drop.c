/* See drop.h. Runs between fork() and exec(), still privileged: it only takes away. */
#include "drop.h"

#include "build.h"
#include "envsync/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct passwd *user_but_root(const char *name)
{
    const struct passwd *user = getpwnam(name);

    return user && user->pw_uid != 0 && user->pw_gid != 0 ? user : NULL;
}

static struct es_identity find_worker_identity(void)
{
    const struct passwd *user = user_but_root(WORKER_USER);

    if (!user)
        user = user_but_root("nobody");
    if (!user)
        return (struct es_identity){.uid = 65534, .gid = 65534};
    return (struct es_identity){.uid = user->pw_uid, .gid = user->pw_gid};
}

struct es_identity es_worker_identity(void)
{
    static struct es_identity identity; /* never root's: not yet looked up */

    if (identity.uid == 0)
        identity = find_worker_identity();
    return identity;
}

/* Of a name that is not there, NSS may leave ENOENT, ESRCH and others in errno, or nothing. */
bool es_lookup_failed(int errnum)
{
    return errnum == EIO || errnum == EINTR || errnum == EMFILE || errnum == ENFILE ||
           errnum == ENOMEM;
}

int es_identity_of(const char *name, struct es_identity *ret, struct es_err *err)
{
    const struct passwd *user;

    errno = 0;
    user = getpwnam(name);
    if (!user && es_lookup_failed(errno))
        return es_fail_errno(err, ES_INTERNAL, errno, "user %s cannot be looked up", name);
    if (!user)
        return es_fail(err, ES_CONFIG, ENOENT, "there is no user \"%s\"; create it first", name);
    if (user->pw_uid == 0 || user->pw_gid == 0)
        return es_fail(err, ES_CONFIG, EPERM, "the user \"%s\" is root: nothing runs as root",
                       name);
    *ret = (struct es_identity){.uid = user->pw_uid, .gid = user->pw_gid};
    return 0;
}

void es_close_on_exec(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) == 0)
        return;
#endif
    for (int fd = 3, max = (int)sysconf(_SC_OPEN_MAX); fd < max && fd < 65536; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int es_plain_stdio(bool out, struct es_err *err)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, 0) < 0 || (out && dup2(null, 1) < 0) || chdir("/") < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "/dev/null");
    return 0;
}

/* In a user namespace uid 0 is no more than a name: few other users are there to become. */
static bool in_user_namespace(void)
{
    ES_CLEANUP(es_close) int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    char text[64] = "", *end = text;
    unsigned long n = UINT32_MAX;

    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return false;
    /* From which uid, to which, how many. */
    for (int field = 0; field < 3; field++)
        n = strtoul(end, &end, 10);
    return n < UINT32_MAX;
}

/* As a system call filter answers in a unit that has SystemCallErrorNumber=EPERM. */
static int filtered(const char *call, struct es_err *err)
{
    return es_fail(err, ES_DENIED, EPERM,
                   "cannot drop privileges for the worker: the system call %s is refused; where "
                   "the unit has SystemCallFilter=, add SystemCallFilter=@chown @setuid capset "
                   "behind it",
                   call);
}

static bool has(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

static int lacks(int number, const char *capability, const char *call, int errnum,
                 struct es_err *err)
{
    if ((errnum == EPERM || errnum == EINVAL) && in_user_namespace())
        return es_fail(err, ES_DENIED, EPERM,
                       "cannot drop privileges for the worker in a user namespace; where the unit "
                       "has PrivateUsers=, the line must begin with ExecStartPre=+");
    if (errnum == EPERM && has(number))
        return filtered(call, err);
    if (errnum == EPERM)
        return es_fail(err, ES_DENIED, EPERM,
                       "cannot drop privileges for the worker: capability %s is missing; add it "
                       "to CapabilityBoundingSet=",
                       capability);
    return es_fail_errno(err, ES_INTERNAL, errnum, "%s", call);
}

/* The change of user takes them away, but not from who was no root and had been given some, nor
 * where a unit has set SecureBits=. */
static int drop_capabilities(struct es_err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) == 0)
        return 0;
    /* To take away needs no right: what refuses it is a filter. */
    return errno == EPERM ? filtered("capset", err)
                          : es_fail_errno(err, ES_INTERNAL, errno, "capset");
}

int es_drop(const struct es_identity *id, struct es_err *err)
{
    int r;

    if (geteuid() == 0) {
        if (setgroups(0, NULL) < 0)
            return lacks(CAP_SETGID, "CAP_SETGID", "setgroups", errno, err);
        if (setresgid(id->gid, id->gid, id->gid) < 0)
            return lacks(CAP_SETGID, "CAP_SETGID", "setresgid", errno, err);
        if (setresuid(id->uid, id->uid, id->uid) < 0)
            return lacks(CAP_SETUID, "CAP_SETUID", "setresuid", errno, err);
        if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || geteuid() == 0)
            return es_fail(err, ES_INTERNAL, EPERM, "the child could become root again");
    }
    r = drop_capabilities(err);
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "no_new_privs");
    return 0;
}
