/* See walk.h. Directory contents may be in the hands of the app or of any local user; the
 * configuration, which names the paths, is not. */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories from the root down to where the walk stands, and what is still to be walked. */
struct walker {
    const struct es_walk *walk;
    const char *path; /* as configured, for messages and for `make` */
    int fds[ES_WALK_DEPTH];
    size_t n;
    char rest[2 * PATH_MAX];
    size_t
        own; /* what is left is the path's own where it is shorter: the longer came from a link */
    unsigned links;
    bool below_app; /* the directory on top is the app's */
};

static void walker_done(struct walker *w)
{
    while (w->n > 0)
        es_close(&w->fds[--w->n]);
}

static bool trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

static bool is_app(const struct es_walk *walk, uid_t uid)
{
    for (const uid_t *p = walk->app; p && *p != (uid_t)-1; p++)
        if (*p == uid)
            return true;
    return false;
}

/* Names the directory that the walk stands on, for messages. */
static const char *here(const struct walker *w, char buf[PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", w->fds[w->n - 1]);
    n = readlink(link, buf, PATH_MAX - 1);
    if (n <= 0)
        return w->path;
    buf[n] = '\0';
    return buf;
}

/* A source that is there and cannot be opened: not allowed, or an ill system. */
static enum es_class source_class(int errnum)
{
    switch (errnum) {
    case EACCES:
    case EPERM:
    case ELOOP:
        return ES_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ES_INTERNAL;
    default:
        return ES_UNAVAILABLE;
    }
}

static int fail(const struct walker *w, int errnum, struct es_err *err, const char *component)
{
    enum es_class class = errnum == EACCES || errnum == EPERM     ? ES_DENIED
                          : errnum == ENOENT || errnum == ENOTDIR ? w->walk->missing
                          : w->walk->missing == ES_ABSENT         ? source_class(errnum)
                                                                  : ES_OUTPUT;
    char buf[PATH_MAX];
    const char *dir = here(w, buf);

    if (errnum == ENOENT)
        return es_fail(err, class, errnum, "%s: directory %s%s%s does not exist%s", w->path, dir,
                       strcmp(dir, "/") == 0 ? "" : "/", component,
                       w->walk->check ? "; create it: only /etc/APP, /run/APP and a mirror's dir "
                                        "are made"
                                      : "");
    if (errnum == ENOTDIR)
        return es_fail(err, class, errnum, "%s: %s%s%s is no directory%s", w->path, dir,
                       strcmp(dir, "/") == 0 ? "" : "/", component,
                       w->walk->check ? "; remove it where files below it are wanted" : "");
    return es_fail_errno(err, class, errnum, "%s: %s%s%s", w->path, dir,
                         strcmp(dir, "/") == 0 ? "" : "/", component);
}

static int fail_below_app(const struct walker *w, struct es_err *err)
{
    char buf[PATH_MAX];

    return es_fail(err, ES_DENIED, EPERM,
                   "%s: a directory in the way to %s belongs to the app, which could swap what "
                   "lies in it: only the last directory may be the app's; write to /etc or /run "
                   "instead",
                   w->path, here(w, buf));
}

/* Is the directory on top one in which envsync, as root, may write? */
static int check_top(struct walker *w, struct es_err *err)
{
    char buf[PATH_MAX];
    struct stat st;

    if (!w->walk->check)
        return 0;
    if (fstat(w->fds[w->n - 1], &st) < 0)
        return fail(w, errno, err, "");
    if (w->below_app)
        return fail_below_app(w, err);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: directory %s is writable for %s (mode %04o): anyone there could plant "
                       "or swap files; chmod go-w it, or write to /etc or /run instead",
                       w->path, here(w, buf), st.st_mode & S_IWOTH ? "everyone" : "its group",
                       (unsigned)(st.st_mode & 07777));
    if (trusted(st.st_uid))
        return 0;
    if (!is_app(w->walk, st.st_uid))
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: directory %s belongs to uid %u, neither to root nor to the app; "
                       "chown it to root, or write to /etc or /run instead",
                       w->path, here(w, buf), (unsigned)st.st_uid);
    w->below_app = true;
    return 0;
}

static int push(struct walker *w, int fd, struct es_err *err)
{
    if (w->n == ES_WALK_DEPTH) {
        es_close(&fd);
        return es_fail(err, ES_OUTPUT, ENAMETOOLONG, "%s: more than %d directories deep", w->path,
                       ES_WALK_DEPTH);
    }
    w->fds[w->n++] = fd;
    return check_top(w, err);
}

/* ".." of a link's target: up, but never above the root that the walk started from. */
static void pop(struct walker *w)
{
    if (w->n > 1)
        es_close(&w->fds[--w->n]);
    w->below_app = false; /* what lies above the app's directory passed the check before */
}

static int start(struct walker *w, struct es_err *err)
{
    const char *root = w->walk->root ? w->walk->root : "/";
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return es_fail_errno(err, errno == EACCES ? ES_DENIED : ES_OUTPUT, errno, "%s", root);
    if (strlen(w->path) >= PATH_MAX) {
        es_close(&fd);
        return es_fail(err, ES_CONFIG, ENAMETOOLONG, "a path has more than %d bytes", PATH_MAX);
    }
    memcpy(w->rest, w->path, strlen(w->path) + 1);
    w->own = strlen(w->path) + 1;
    return push(w, fd, err);
}

/* Takes the next component off the rest; false at the end. */
static bool next_component(struct walker *w, char component[NAME_MAX + 1], struct es_err *err,
                           int *ret_error)
{
    char *p = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(p, "/");

    *ret_error = 0;
    if (len == 0)
        return false;
    if (len > NAME_MAX) {
        *ret_error = es_fail(err, ES_CONFIG, ENAMETOOLONG, "%s: a part has more than %d bytes",
                             w->path, NAME_MAX);
        return false;
    }
    memcpy(component, p, len);
    component[len] = '\0';
    memmove(w->rest, p + len, strlen(p + len) + 1);
    return true;
}

static bool is_last(const struct walker *w)
{
    return w->rest[strspn(w->rest, "/")] == '\0';
}

/* Puts a link's target before the rest, if it may be followed. `link` is its O_PATH descriptor. */
static int follow(struct walker *w, int link, const struct stat *st, const char *component,
                  struct es_err *err)
{
    char target[PATH_MAX], rest[sizeof w->rest], buf[PATH_MAX];
    struct stat dir;
    ssize_t n;

    if (fstat(w->fds[w->n - 1], &dir) < 0)
        return fail(w, errno, err, component);
    if (!trusted(st->st_uid) || !trusted(dir.st_uid))
        return es_fail(err, ES_DENIED, ELOOP,
                       "%s: %s/%s is a symbolic link that root does not own, so it is not "
                       "followed; name the file itself",
                       w->path, here(w, buf), component);
    if (++w->links > ES_WALK_LINKS)
        return fail(w, ELOOP, err, component);
    n = readlinkat(link, "", target, sizeof target - 1);
    if (n < 0)
        return fail(w, errno, err, component);
    target[n] = '\0';
    memcpy(rest, w->rest, sizeof rest);
    if (strlen(rest) < w->own)
        w->own = strlen(rest);
    if ((size_t)snprintf(w->rest, sizeof w->rest, "%s%s", target, rest) >= sizeof w->rest)
        return fail(w, ENAMETOOLONG, err, component);
    if (target[0] == '/')
        while (w->n > 1)
            pop(w);
    return 0;
}

/* May the directory `component`, which the walk has not found, be made? Prefixes are compared with
 * the configured path: a part of it that was reached through a link is the administrator's. */
static const struct es_make *may_make(const struct walker *w)
{
    size_t left = strlen(w->rest), done = strlen(w->path) - left;

    if (left >= w->own)
        return NULL;
    for (const struct es_make *m = w->walk->make; m && m->path; m++) {
        size_t len = strlen(m->path);

        if (strncmp(w->path, m->path, len) == 0 &&
            (done == len || (m->below && done > len && w->path[len] == '/')))
            return m;
    }
    return NULL;
}

/* Owner and mode of a directory that is not in its place yet. */
static int furnish(const struct walker *w, const char *name, const struct es_make *how,
                   const char *component, struct es_err *err)
{
    ES_CLEANUP(es_close)
    int fd = openat(w->fds[w->n - 1], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return fail(w, errno, err, component);
    if (geteuid() == 0 && fchown(fd, 0, how->gid) < 0) {
        if (errno == EPERM)
            return es_fail(err, ES_DENIED, EPERM,
                           "%s: cannot give a new directory to its group: capability CAP_CHOWN is "
                           "missing; add it to CapabilityBoundingSet=",
                           w->path);
        return fail(w, errno, err, component);
    }
    return fchmod(fd, how->mode) < 0 || fsync(fd) < 0 ? fail(w, errno, err, component) : 0;
}

static int sync_top(const struct walker *w, const char *component, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = openat(w->fds[w->n - 1], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? fail(w, errno, err, component) : 0;
}

/* Not every file system knows the flag; without it, only an empty directory would be replaced. */
static int rename_new(int dir, const char *from, const char *to)
{
    int r = renameat2(dir, from, dir, to, RENAME_NOREPLACE);

    return r < 0 && (errno == EINVAL || errno == ENOSYS) ? renameat(dir, from, dir, to) : r;
}

#define NEW_MARK ".envsync-new"

static int new_name(const struct walker *w, const char *component, char name[NAME_MAX + 1],
                    struct es_err *err)
{
    if ((size_t)snprintf(name, NAME_MAX + 1, ".%s" NEW_MARK, component) > NAME_MAX)
        return fail(w, ENAMETOOLONG, err, component);
    return 0;
}

bool es_walk_is_new(const char *name)
{
    size_t len = strlen(name), mark = strlen(NEW_MARK);

    return name[0] == '.' && len > mark + 1 && strcmp(name + len - mark, NEW_MARK) == 0;
}

/* Made under another name and renamed when it is ready: one that a kill left half-way would keep
 * its first mode for ever, since what is there is taken as the administrator's. The name is always
 * the same one, so the next run goes on with what a killed one left. */
static int make(struct walker *w, const struct es_make *how, const char *component,
                struct es_err *err)
{
    int top = w->fds[w->n - 1];
    char temp[NAME_MAX + 1];
    int r = new_name(w, component, temp, err);

    if (r < 0)
        return r;
    if (mkdirat(top, temp, 0700) < 0 && errno != EEXIST)
        return fail(w, errno, err, component);
    r = furnish(w, temp, how, component, err);
    /* Another configuration of the same app may have been faster: then it is there. */
    if (r == 0 && rename_new(top, temp, component) < 0 && errno != EEXIST && errno != ENOENT)
        r = fail(w, errno, err, component);
    if (r == 0)
        r = sync_top(w, component, err);
    unlinkat(top, temp, AT_REMOVEDIR);
    return r;
}

static int step(struct walker *w, const char *component, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = -1;
    int top = w->fds[w->n - 1], r;
    char temp[NAME_MAX + 1];
    const struct es_make *how;
    struct stat st;

    if (strcmp(component, ".") == 0)
        return 0;
    if (strcmp(component, "..") == 0) {
        pop(w);
        return 0;
    }
    fd = openat(top, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    how = fd < 0 && errno == ENOENT ? may_make(w) : NULL;
    if (how && w->below_app)
        return fail_below_app(w, err);
    if (how && w->walk->dry) {
        if (w->walk->sweep && new_name(w, component, temp, err) == 0)
            unlinkat(top, temp, AT_REMOVEDIR);
        return 1;
    }
    /* A run of another configuration may sweep it away before it has its name. */
    for (unsigned tries = 0; how && fd < 0 && tries < 10; tries++) {
        r = make(w, how, component, err);
        if (r < 0)
            return r;
        fd = openat(top, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
            break;
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(w, errno, err, component);
    if (S_ISLNK(st.st_mode))
        return follow(w, fd, &st, component, err);
    if (!S_ISDIR(st.st_mode))
        return fail(w, ENOTDIR, err, component);
    r = push(w, fd, err);
    fd = -1;
    return r;
}

static int walk_on(struct walker *w, char base[NAME_MAX + 1], struct es_err *err)
{
    int r;

    while (next_component(w, base, err, &r)) {
        if (is_last(w))
            return 0;
        r = step(w, base, err);
        if (r != 0)
            return r;
    }
    if (r == 0)
        memcpy(base, ".", 2); /* the path is a directory that a link led back to */
    return r;
}

void es_place_done(struct es_place *place)
{
    es_close(&place->dir);
}

int es_walk_to(const struct es_walk *walk, const char *path, struct es_place *ret,
               struct es_err *err)
{
    ES_CLEANUP(walker_done) struct walker w = {.walk = walk, .path = path};
    char base[NAME_MAX + 1];
    int r = start(&w, err);

    if (r == 0)
        r = walk_on(&w, base, err);
    if (r != 0)
        return r;
    ret->dir = w.fds[--w.n];
    ret->app_owned = w.below_app;
    memcpy(ret->base, base, sizeof base);
    return 0;
}

/* Opens the last component with `flags`, following it while it is a link that may be followed. */
static int open_last(const char *path, int flags, struct es_err *err)
{
    static const struct es_walk plain = {.missing = ES_ABSENT};
    ES_CLEANUP(walker_done) struct walker w = {.walk = &plain, .path = path};
    char base[NAME_MAX + 1];
    int r = start(&w, err);

    while (r == 0) {
        ES_CLEANUP(es_close) int link = -1;
        struct stat st;

        r = walk_on(&w, base, err);
        if (r < 0)
            return r;
        link = openat(w.fds[w.n - 1], base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (link < 0 || fstat(link, &st) < 0)
            return errno == ENOENT ? es_fail(err, ES_ABSENT, ENOENT, "%s: does not exist", path)
                                   : fail(&w, errno, err, base);
        /* Nothing else is even opened: that alone acts on a device or a FIFO. */
        if (!S_ISLNK(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            return es_fail(err, ES_INVALID, EINVAL, "%s: is no regular file", path);
        if (!S_ISLNK(st.st_mode)) {
            int fd = openat(w.fds[w.n - 1], base, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

            if (fd >= 0)
                return fd;
            return es_fail_errno(err, source_class(errno), errno, "%s", path);
        }
        r = follow(&w, link, &st, base, err);
    }
    return r;
}

int es_walk_absolute(const char *path, enum es_class failure, char **ret, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *cwd = NULL;
    char *joined;

    if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd)
            return es_fail_errno(err, failure, errno, "%s: current directory", path);
        if (cwd[1] == '\0')
            cwd[0] = '\0';
        path += strncmp(path, "./", 2) == 0 ? 2 : 0;
    }
    if (asprintf(&joined, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", path) < 0)
        return es_nomem(err);
    *ret = joined;
    return 0;
}

int es_open_source(const char *path, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = open_last(path, O_RDONLY | O_NOCTTY, err);
    struct stat st;
    int ret;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return es_fail_errno(err, ES_DENIED, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return es_fail(err, ES_INVALID, EISDIR, "%s: is a directory", path);
    ret = fd;
    fd = -1;
    return ret;
}

int es_open_directory(const char *path, struct es_err *err)
{
    return open_last(path, O_RDONLY | O_DIRECTORY, err);
}

DIR *es_dir_open(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        es_close(&fd);
    return dir;
}

void es_dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
