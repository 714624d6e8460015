/* See failing.h. */
#include "failing.h"

#include "envsync/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    bool armed, paused;
    const char *name; /* which calls count, or NULL for all */
    unsigned number;
    int errnum;
    unsigned counted;
    const char *failed;
    void (*hook)(void *data);
    void *data;
} state;
static bool shortly;
static uid_t user = (uid_t)-1;

void failing_begin(const char *name, unsigned number, int errnum)
{
    memset(&state, 0, sizeof state);
    state.armed = true;
    state.name = name;
    state.number = number;
    state.errnum = errnum;
}

void failing_hook(const char *name, unsigned number, void (*fn)(void *data), void *data)
{
    failing_begin(name, number, 0);
    state.hook = fn;
    state.data = data;
}

const char *failing_end(void)
{
    state.armed = false;
    return state.failed;
}

void failing_pause(bool pause)
{
    state.paused = pause;
}

unsigned failing_counted(void)
{
    return state.counted;
}

void failing_write_shortly(bool yes)
{
    shortly = yes;
}

void failing_be(uid_t uid)
{
    user = uid;
}

static bool fails(const char *name, int errnum)
{
    if (!state.armed || state.paused || (state.name && strcmp(state.name, name) != 0) ||
        ++state.counted != state.number)
        return false;
    state.failed = name;
    if (state.hook) {
        state.armed = false;
        state.hook(state.data);
        return false;
    }
    errno = errnum;
    return true;
}

/* ---- the calls ---- */

#define CALL(type, name, parameters, arguments, failure, errnum)                                   \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails(#name, errnum) ? (failure) : __real_##name arguments;                         \
    }
#define MEMORY(name, parameters, arguments) CALL(void *, name, parameters, arguments, NULL, ENOMEM)
#define SYSTEM(type, name, parameters, arguments)                                                  \
    CALL(type, name, parameters, arguments, -1, state.errnum)

MEMORY(malloc, (size_t size), (size))
MEMORY(calloc, (size_t n, size_t size), (n, size))
MEMORY(reallocarray, (void *old, size_t n, size_t size), (old, n, size))
CALL(char *, strdup, (const char *text), (text), NULL, ENOMEM)

CALL(DIR *, fdopendir, (int fd), (fd), NULL, state.errnum)
CALL(struct dirent *, readdir, (DIR * dir), (dir), NULL, state.errnum)
CALL(char *, getcwd, (char *buf, size_t size), (buf, size), NULL, state.errnum)
SYSTEM(int, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))
SYSTEM(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
SYSTEM(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
       (a, from, b, to, flags))
SYSTEM(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
SYSTEM(int, fstat, (int fd, struct stat *st), (fd, st))
SYSTEM(int, fstatat, (int dir, const char *name, struct stat *st, int flags),
       (dir, name, st, flags))
SYSTEM(int, fchmod, (int fd, mode_t mode), (fd, mode))
SYSTEM(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
SYSTEM(int, ftruncate, (int fd, off_t size), (fd, size))
SYSTEM(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
SYSTEM(int, utimensat, (int dir, const char *name, const struct timespec times[2], int flags),
       (dir, name, times, flags))
SYSTEM(ssize_t, read, (int fd, void *data, size_t len), (fd, data, len))
SYSTEM(ssize_t, pread, (int fd, void *data, size_t len, off_t at), (fd, data, len, at))
SYSTEM(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
SYSTEM(ssize_t, readlink, (const char *name, char *to, size_t len), (name, to, len))
SYSTEM(ssize_t, readlinkat, (int dir, const char *name, char *to, size_t len), (dir, name, to, len))
SYSTEM(ssize_t, getrandom, (void *data, size_t len, unsigned flags), (data, len, flags))

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (fails("write", state.errnum))
        return -1;
    return __real_write(fd, data, shortly && len > 3 ? 3 : len);
}

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return user == (uid_t)-1 ? __real_geteuid() : user;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return fails("fsync", state.errnum) || fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

/* Linux has closed it, whatever it says. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int r = __real_close(fd);

    return fails("close", state.errnum) ? -1 : r;
}

/* ---- those with a variable number of arguments, by each name that they may have ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails("open", state.errnum) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails("openat", state.errnum) ? -1 : __real_openat(dir, path, flags, mode);
}

/* What _FORTIFY_SOURCE makes of them where it does not see the flags. */
int __wrap___open_2(const char *path, int flags);
int __wrap___open_2(const char *path, int flags)
{
    return __wrap_open(path, flags);
}

int __wrap___openat_2(int dir, const char *path, int flags);
int __wrap___openat_2(int dir, const char *path, int flags)
{
    return __wrap_openat(dir, path, flags);
}

/* All that is here takes an int at most. */
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list args;
    int argument;

    va_start(args, command);
    argument = command == F_GETFD || command == F_GETFL ? 0 : va_arg(args, int);
    va_end(args);
    return command != F_GETFD && fails("fcntl", state.errnum) ? -1
                                                              : __real_fcntl(fd, command, argument);
}

/* Where it fails, nobody may look at what it leaves in *ret. */
int __real_vasprintf(char **ret, const char *fmt, va_list args);

static int print(char **ret, const char *fmt, va_list args)
{
    if (fails("asprintf", ENOMEM)) {
        *ret = (char *)(uintptr_t)16;
        return -1;
    }
    return __real_vasprintf(ret, fmt, args);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list args);
int __wrap_vasprintf(char **ret, const char *fmt, va_list args)
{
    return print(ret, fmt, args);
}

int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list args);
int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list args)
{
    (void)flag;
    return print(ret, fmt, args);
}

int __wrap_asprintf(char **ret, const char *fmt, ...);
int __wrap_asprintf(char **ret, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = print(ret, fmt, args);
    va_end(args);
    return n;
}

int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...);
int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...)
{
    va_list args;
    int n;

    (void)flag;
    va_start(args, fmt);
    n = print(ret, fmt, args);
    va_end(args);
    return n;
}

/* ---- the ordeal ---- */

static size_t descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static bool is_for_memory(const char *call)
{
    static const char *const calls[] = {"malloc", "calloc", "reallocarray", "strdup", "asprintf"};

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i], call) == 0)
            return true;
    return false;
}

/* Is gone on with after a signal. */
static bool is_repeated(const char *call)
{
    return strcmp(call, "read") == 0 || strcmp(call, "pread") == 0 || strcmp(call, "write") == 0;
}

static void judge(const struct ordeal *o, const char *call, unsigned number, int errnum, int r,
                  const struct es_err *err)
{
    unsigned classes = o->classes ? o->classes : 1U << ES_OUTPUT;

    if (r < 0 && !call)
        fail_msg("fails by itself: %s", err->msg);
    if (r >= 0)
        return;
    if (strcmp(err->msg, "nothing") == 0 || strchr(err->msg, '\n'))
        fail_msg("call %u, %s: returns %d, and says \"%s\"", number, call, r, err->msg);
    if (is_for_memory(call)) {
        errnum = ENOMEM;
        classes = 1U << ES_INTERNAL;
    }
    if (r != -errnum || !(classes & 1U << err->class))
        fail_msg("call %u, %s: returns %d of class %s: %s", number, call, r,
                 es_class_name(err->class), err->msg);
}

static const char *one_round(const struct ordeal *o, void *data, unsigned number, int errnum)
{
    struct es_err err = {.class = ES_CLASSES, .msg = "nothing"};
    size_t open;
    const char *call;
    int r;

    if (o->before)
        o->before(data);
    open = descriptors();
    failing_begin(o->name, number, errnum);
    r = o->run(data, &err);
    call = failing_end();
    judge(o, call, number, errnum, r, &err);
    if (descriptors() != open)
        fail_msg("call %u, %s: leaves a descriptor open", number, call ? call : "none");
    if (call && errnum == EINTR && is_repeated(call) && r < 0)
        fail_msg("call %u, %s: ends with a signal", number, call);
    if (o->after)
        o->after(data, call, r);
    return call;
}

void ordeal(const struct ordeal *o, void *data, int errnum)
{
    const char *every = getenv("ENVSYNC_ORDEAL"), *call = "";
    unsigned step = every ? (unsigned)strtoul(every, NULL, 10) : 1;

    for (unsigned number = 1; call; number += step) {
        call = one_round(o, data, number, errnum);
        if (call && is_repeated(call))
            one_round(o, data, number, EINTR);
    }
}
