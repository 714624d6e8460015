/* See replace.h. Runs as root in directories that, at worst, the app owns: nothing is opened but by
 * descriptor and name with O_NOFOLLOW, nothing is changed but through a descriptor of our own, and
 * a file that is there is compared byte by byte, never parsed. */
#include "replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ".BASE.envsync-" and eleven random characters. */
#define TEMP_MARK ".envsync-"
enum { TEMP_RANDOM = 11 };

static int fail(const struct es_target *t, int errnum, const char *what, struct es_err *err)
{
    enum es_class class = errnum == EACCES || errnum == EPERM ? ES_DENIED : ES_OUTPUT;

    return es_fail_errno(err, class, errnum, "%s: %s", t->wanted->path, what);
}

static bool is_temp_of(const char *name, const char *base)
{
    size_t len = strlen(base);

    return name[0] == '.' && strncmp(name + 1, base, len) == 0 &&
           strncmp(name + 1 + len, TEMP_MARK, strlen(TEMP_MARK)) == 0 &&
           strlen(name + 1 + len) == strlen(TEMP_MARK) + TEMP_RANDOM;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* What a killed run has left. Only regular files of our own; a failure here is no failure. */
static void remove_leftovers(const struct es_place *place)
{
    int fd = openat(place->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ES_CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        es_close(&fd);
        return;
    }
    while ((entry = readdir(dir))) {
        struct stat st;

        if (is_temp_of(entry->d_name, place->base) &&
            fstatat(place->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            unlinkat(place->dir, entry->d_name, 0);
    }
}

static bool same_bytes(const struct es_target *t)
{
    const struct es_wanted *wanted = t->wanted;
    char block[16384];
    size_t at = 0;
    bool same = (size_t)t->st.st_size == wanted->len;

    while (same) {
        ssize_t n = pread(t->old, block, sizeof block, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            same = n == 0 && at == wanted->len;
            break;
        }
        same = (size_t)n <= wanted->len - at && memcmp(block, wanted->data + at, (size_t)n) == 0;
        at += (size_t)n;
    }
    explicit_bzero(block, sizeof block);
    return same;
}

static bool right_owner(const struct es_target *t)
{
    /* Without root, owner and group stay the caller's; who only looks may be shown what root's run
     * would repair, but not in files of his own. */
    if (geteuid() != 0 && (!t->wanted->look || t->st.st_uid == geteuid()))
        return true;
    return t->st.st_uid == t->wanted->uid && t->st.st_gid == t->wanted->gid;
}

static int not_a_file(const struct es_target *t, mode_t mode, struct es_err *err)
{
    return es_fail(err, ES_OUTPUT, EEXIST,
                   "%s: a %s is in its place; remove it, envsync replaces regular files only",
                   t->wanted->path,
                   S_ISLNK(mode)    ? "symbolic link"
                   : S_ISDIR(mode)  ? "directory"
                   : S_ISFIFO(mode) ? "FIFO"
                                    : "special file");
}

static int compare(struct es_target *t, struct es_err *err)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    if (fstatat(t->place.dir, t->place.base, &t->st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == EACCES && t->wanted->look)
            t->state = ES_TARGET_UNKNOWN;
        else if (errno == ENOENT)
            t->state = ES_TARGET_CREATE;
        else
            return fail(t, errno, "stat", err);
        return 0;
    }
    if (!S_ISREG(t->st.st_mode))
        return not_a_file(t, t->st.st_mode, err);
    t->old = openat(t->place.dir, t->place.base, flags);
    if (t->old < 0 && errno == ENOENT) {
        t->state = ES_TARGET_CREATE;
        return 0;
    }
    if (t->old < 0 && (errno == EACCES || errno == EPERM)) {
        t->state = t->wanted->look ? ES_TARGET_UNKNOWN : ES_TARGET_UPDATE;
        return 0;
    }
    if (t->old < 0 || fstat(t->old, &t->st) < 0)
        return fail(t, errno, "open", err);
    if (!S_ISREG(t->st.st_mode))
        return not_a_file(t, t->st.st_mode, err);
    if (t->st.st_nlink != 1 || !same_bytes(t))
        t->state = ES_TARGET_UPDATE;
    else if (!right_owner(t) || (t->st.st_mode & 07777) != t->wanted->mode)
        t->state = ES_TARGET_REPAIR;
    else
        t->state = ES_TARGET_SAME;
    return 0;
}

int es_target_open(const struct es_walk *walk, const struct es_wanted *wanted,
                   struct es_target *ret, struct es_err *err)
{
    ES_CLEANUP(es_target_done) struct es_target t = ES_TARGET_INIT;
    int r;

    t.wanted = wanted;
    r = es_walk_to(walk, wanted->path, &t.place, err);
    if (r == -EACCES && wanted->look) {
        t.state = ES_TARGET_UNKNOWN;
        r = 0;
    } else if (r == 1) {
        t.state = ES_TARGET_CREATE;
        r = 0;
    } else if (r == 0) {
        if (!wanted->look)
            remove_leftovers(&t.place);
        r = compare(&t, err);
    }
    if (r < 0)
        return r;
    *ret = t;
    t = (struct es_target)ES_TARGET_INIT;
    return 0;
}

static int make_temp(struct es_target *t, int *ret_fd, struct es_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[TEMP_RANDOM];
    char name[NAME_MAX + 1];
    int n;

    for (unsigned tries = 0; tries < 100; tries++) {
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return fail(t, errno, "random name", err);
        n = snprintf(name, sizeof name, ".%s" TEMP_MARK, t->place.base);
        if (n < 0 || (size_t)n + TEMP_RANDOM >= sizeof name)
            return fail(t, ENAMETOOLONG, "temporary file", err);
        for (size_t i = 0; i < TEMP_RANDOM; i++)
            name[n++] = letters[random[i] % (sizeof letters - 1)];
        name[n] = '\0';
        *ret_fd =
            openat(t->place.dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (*ret_fd >= 0) {
            memcpy(t->temp, name, (size_t)n + 1);
            return 0;
        }
        if (errno != EEXIST)
            break;
    }
    return fail(t, errno, "temporary file", err);
}

/* The label that the old file has, so that SELinux lets the same domains read the new one. */
static void copy_label(const struct es_target *t, int fd)
{
    char label[256];
    ssize_t n = t->old < 0 ? -1 : fgetxattr(t->old, "security.selinux", label, sizeof label);

    if (n > 0)
        (void)!fsetxattr(fd, "security.selinux", label, (size_t)n, 0);
}

static int give_owner(const struct es_target *t, int fd, struct es_err *err)
{
    if (geteuid() != 0 || fchown(fd, t->wanted->uid, t->wanted->gid) == 0)
        return 0;
    if (errno == EPERM)
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: cannot give the file to its owner: capability CAP_CHOWN is missing; "
                       "add it to CapabilityBoundingSet=",
                       t->wanted->path);
    return fail(t, errno, "chown", err);
}

static int write_all(const struct es_target *t, int fd, struct es_err *err)
{
    size_t at = 0;

    while (at < t->wanted->len) {
        ssize_t n = write(fd, t->wanted->data + at, t->wanted->len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(t, n < 0 ? errno : EIO, "write", err);
        at += (size_t)n;
    }
    return 0;
}

/* Owner before content before mode: at no time may somebody read who shall not. */
int es_target_stage(struct es_target *t, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = -1;
    int made = -1, r;

    if (t->state != ES_TARGET_CREATE && t->state != ES_TARGET_UPDATE)
        return 0;
    r = make_temp(t, &made, err);
    fd = made;
    if (r < 0)
        return r;
    copy_label(t, fd);
    r = give_owner(t, fd, err);
    if (r == 0)
        r = write_all(t, fd, err);
    if (r == 0 && fchmod(fd, t->wanted->mode) < 0)
        r = fail(t, errno, "chmod", err);
    if (r == 0 && fsync(fd) < 0)
        r = fail(t, errno, "fsync", err);
    if (r < 0)
        return r;
    fd = -1;
    return close(made) < 0 ? fail(t, errno, "close", err) : 0;
}

static int repair(struct es_target *t, struct es_err *err)
{
    int r = 0;

    if (!right_owner(t))
        r = give_owner(t, t->old, err);
    /* chown() takes set-id bits away, so the mode comes last. */
    if (r == 0 && fchmod(t->old, t->wanted->mode) < 0)
        r = fail(t, errno, "chmod", err);
    if (r == 0 && fsync(t->old) < 0)
        r = fail(t, errno, "fsync", err);
    return r;
}

static int sync_directory(const struct es_target *t, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = openat(t->place.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return fail(t, errno, "fsync of its directory", err);
    return 0;
}

int es_target_publish(struct es_target *t, struct es_err *err)
{
    if (t->state == ES_TARGET_REPAIR)
        return repair(t, err);
    if (t->temp[0] == '\0')
        return 0;
    if (renameat(t->place.dir, t->temp, t->place.dir, t->place.base) < 0) {
        if (errno == EISDIR || errno == ENOTDIR)
            return not_a_file(t, S_IFDIR, err);
        return fail(t, errno, "rename", err);
    }
    t->temp[0] = '\0';
    return sync_directory(t, err);
}

void es_target_done(struct es_target *t)
{
    if (t->temp[0] != '\0')
        unlinkat(t->place.dir, t->temp, 0);
    es_place_done(&t->place);
    es_close(&t->old);
    *t = (struct es_target)ES_TARGET_INIT;
}
