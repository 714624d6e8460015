/* Memory that runs out once: a library to be preloaded (LD_PRELOAD) into a program.
 *
 * $SCARCE names a file of three 64-bit numbers, which is mapped: which allocation shall fail (from
 * 1, 0 for none), how many there were, and whether one has failed. Counted are those of the process
 * that was started, from the beginning of main() to its end, in whichever library.
 */
#include "build.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct page {
    uint64_t failing, count, failed;
};

typedef int main_fn(int, char **, char **);
typedef int start_fn(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void),
                     void *);

/* glibc's own, under the names that are not replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
start_fn __libc_start_main;

static struct page *page;
static main_fn *real_main;
static pid_t self;
static bool looking_up;

/* Shall this one fail? */
static bool fails(void)
{
    if (!page || looking_up || getpid() != self ||
        __atomic_add_fetch(&page->count, 1, __ATOMIC_RELAXED) != page->failing)
        return false;
    page->failed = 1;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, total);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, size);

    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

/* The next library's function of this name. */
static uintptr_t next(const char *name)
{
    return (uintptr_t)dlsym(RTLD_NEXT, name);
}

struct group *getgrnam(const char *name)
{
    struct group *(*real)(const char *) = (struct group * (*)(const char *)) next("getgrnam");
    struct group *found;

    looking_up = true;
    found = real(name);
    looking_up = false;
    return found;
}

struct passwd *getpwnam(const char *name)
{
    struct passwd *(*real)(const char *) = (struct passwd * (*)(const char *)) next("getpwnam");
    struct passwd *found;

    looking_up = true;
    found = real(name);
    looking_up = false;
    return found;
}

struct passwd *getpwuid(uid_t uid)
{
    struct passwd *(*real)(uid_t) = (struct passwd * (*)(uid_t)) next("getpwuid");
    struct passwd *found;

    looking_up = true;
    found = real(uid);
    looking_up = false;
    return found;
}

static int counted_main(int argc, char **argv, char **envp)
{
    const char *path = getenv("SCARCE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1, r;
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    self = getpid();
    page = at == MAP_FAILED ? NULL : at;
    r = real_main(argc, argv, envp);
    page = NULL;
    return r;
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    start_fn *start = (start_fn *)next("__libc_start_main");

    real_main = main;
    return start(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}
