/* See lock.h. */
#include "lock.h"

#include "clock.h"
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOCK_STEP = 20 /* milliseconds between two tries */ };

static int open_lock(const struct es_config *config, const char *root, const char *name,
                     struct es_err *err)
{
    const struct es_make make[] = {
        {.path = "/run", .mode = 0755}, {.path = "/run/envsync", .below = true, .mode = 0700}, {0}};
    const struct es_walk walk = {
        .root = root, .check = true, .make = root ? make : make + 1, .missing = ES_OUTPUT};
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    ES_CLEANUP(es_freep) char *path = NULL;
    int fd, r;

    if (asprintf(&path, "/run/envsync/%s/%s", config->name, name) < 0) {
        path = NULL;
        return es_nomem(err);
    }
    r = es_walk_to(&walk, path, &place, err);
    if (r < 0) {
        es_context(err, "state");
        return r;
    }
    fd =
        openat(place.dir, place.base, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return es_fail_errno(err, errno == EACCES ? ES_DENIED : ES_OUTPUT, errno, "state: %s",
                             path);
    return fd;
}

static int take(const struct es_config *config, const char *root, const char *name,
                int64_t deadline, es_wait_fn *on_wait, void *data, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = open_lock(config, root, name, err);
    bool told = false;
    int ret;

    if (fd < 0)
        return fd;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return es_fail_errno(err, ES_OUTPUT, errno, "state: lock of %s", config->name);
        if (es_process_caught())
            return es_fail(err, ES_INTERNAL, EINTR, "interrupted");
        if (es_clock_left(deadline) == 0)
            return es_fail(err, ES_LOCKED, ETIMEDOUT,
                           "another run of %s holds the lock until the deadline; see who with: "
                           "fuser -v %s/run/envsync/%s/%s",
                           config->name, root ? root : "", config->name, name);
        if (!told && on_wait)
            on_wait(data, "another run", config->name);
        told = true;
        es_clock_nap(LOCK_STEP, deadline);
    }
    ret = fd;
    fd = -1;
    return ret;
}

int es_lock(const struct es_config *config, const char *root, int64_t deadline, es_wait_fn *on_wait,
            void *data, struct es_err *err)
{
    return take(config, root, "lock", deadline, on_wait, data, err);
}

int es_lock_acting(const struct es_config *config, const char *root, int64_t deadline,
                   struct es_err *err)
{
    return take(config, root, "acting", deadline, NULL, NULL, err);
}

static const char clean_mark[] = "clean\n";

bool es_lock_is_clean(int lock)
{
    char text[sizeof clean_mark];

    return pread(lock, text, sizeof text, 0) == (ssize_t)strlen(clean_mark) &&
           memcmp(text, clean_mark, strlen(clean_mark)) == 0;
}

int es_lock_set_dirty(int lock, struct es_err *err)
{
    return ftruncate(lock, 0) < 0 ? es_fail_errno(err, ES_OUTPUT, errno, "state: lock") : 0;
}

void es_lock_set_clean(int lock)
{
    if (ftruncate(lock, 0) == 0)
        (void)!pwrite(lock, clean_mark, strlen(clean_mark), 0);
}
