/* See temp.h. Runs as root in directories that, at worst, the app owns: nothing is opened but by
 * descriptor and name with O_NOFOLLOW, nothing is changed but through a descriptor of our own. */
#include "temp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ".BASE.envsync-" and eleven random characters. */
#define TEMP_MARK ".envsync-"
static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
enum { TEMP_RANDOM = 11, N_LETTERS = sizeof letters - 1 };

int es_write_failed(const char *path, int errnum, const char *what, struct es_err *err)
{
    enum es_class class = errnum == EACCES || errnum == EPERM ? ES_DENIED : ES_OUTPUT;

    return es_fail_errno(err, class, errnum, "%s: %s", path, what);
}

int es_not_a_file(const char *path, mode_t mode, struct es_err *err)
{
    return es_fail(err, ES_OUTPUT, EEXIST,
                   "%s: a %s is in its place; remove it, envsync replaces regular files only", path,
                   S_ISLNK(mode)    ? "symbolic link"
                   : S_ISDIR(mode)  ? "directory"
                   : S_ISFIFO(mode) ? "FIFO"
                                    : "special file");
}

bool es_temp_name(const char *name)
{
    size_t len = strlen(name), tail = strlen(TEMP_MARK) + TEMP_RANDOM;

    return name[0] == '.' && len > tail + 1 &&
           strncmp(name + len - tail, TEMP_MARK, strlen(TEMP_MARK)) == 0;
}

static uint32_t sum_of(const char *text)
{
    uint32_t sum = 2166136261u; /* FNV-1a */

    for (const char *p = text; *p; p++)
        sum = (sum ^ (unsigned char)*p) * 16777619u;
    return sum;
}

struct es_temp_tag es_temp_tag(const char *name)
{
    struct es_temp_tag tag = {0};
    uint32_t sum = sum_of(name);

    for (size_t i = 0; i < ES_TEMP_TAG; i++, sum /= N_LETTERS)
        tag.text[i] = letters[sum % N_LETTERS];
    return tag;
}

bool es_temp_has_tag(const char *name, const char *tag)
{
    return es_temp_name(name) && strncmp(name + strlen(name) - TEMP_RANDOM, tag, strlen(tag)) == 0;
}

/* ".BASE.envsync-". Of a long name only as much as leaves room, and a sum of the whole: what
 * sweeping takes for this target's own must never be a sibling's that is still being written. */
static size_t mark_of(const char *base, char mark[NAME_MAX + 1])
{
    int len = (int)strlen(base), room = NAME_MAX - 1 - (int)strlen(TEMP_MARK) - TEMP_RANDOM;

    if (len <= room)
        return (size_t)snprintf(mark, NAME_MAX + 1, ".%.*s" TEMP_MARK, room, base);
    return (size_t)snprintf(mark, NAME_MAX + 1, ".%.*s%08x" TEMP_MARK, room - 8, base,
                            sum_of(base));
}

static bool is_temp_of(const char *name, const char *base)
{
    char mark[NAME_MAX + 1];
    size_t len = mark_of(base, mark);

    return strlen(name) == len + TEMP_RANDOM && strncmp(name, mark, len) == 0;
}

/* Only regular files; a failure here is no failure. */
void es_temp_sweep(const struct es_place *place, const char *keep)
{
    ES_CLEANUP(es_dir_close) DIR *dir = es_dir_open(place->dir, ".");
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        struct stat st;

        if (is_temp_of(entry->d_name, place->base) && !(keep && strcmp(entry->d_name, keep) == 0) &&
            fstatat(place->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            unlinkat(place->dir, entry->d_name, 0);
    }
}

int es_give_owner(int fd, const struct es_owner *owner, const char *path, struct es_err *err)
{
    if (geteuid() != 0 || fchown(fd, owner->uid, owner->gid) == 0)
        return 0;
    if (errno == EPERM)
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: cannot give the file to its owner: capability CAP_CHOWN is missing; "
                       "add it to CapabilityBoundingSet=",
                       path);
    return es_write_failed(path, errno, "chown", err);
}

/* The label that the old file has, so that SELinux lets the same domains read the new one. */
static void copy_label(int old, int fd)
{
    char label[256];
    ssize_t n = old < 0 ? -1 : fgetxattr(old, "security.selinux", label, sizeof label);

    if (n > 0)
        (void)!fsetxattr(fd, "security.selinux", label, (size_t)n, 0);
}

static int make(struct es_temp *temp, const char *tag, const char *path, struct es_err *err)
{
    size_t tagged = tag ? strlen(tag) : 0;
    unsigned char random[TEMP_RANDOM];
    char name[NAME_MAX + 1];

    for (unsigned tries = 0; tries < 100; tries++) {
        size_t n = mark_of(temp->base, name);

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return es_write_failed(path, errno, "random name", err);
        for (size_t i = 0; i < TEMP_RANDOM; i++)
            name[n++] = i < tagged ? tag[i] : letters[random[i] % N_LETTERS];
        name[n] = '\0';
        temp->fd =
            openat(temp->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (temp->fd >= 0) {
            memcpy(temp->name, name, n + 1);
            return 0;
        }
        if (errno != EEXIST)
            break;
    }
    return es_write_failed(path, errno, "temporary file", err);
}

/* Owner before content, mode last: at no time may somebody read who shall not. */
int es_temp_create(const struct es_place *place, const struct es_owner *owner, int old,
                   const char *tag, const char *path, struct es_temp *ret, struct es_err *err)
{
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    int r;

    memcpy(temp.base, place->base, sizeof temp.base);
    temp.dir = fcntl(place->dir, F_DUPFD_CLOEXEC, 3);
    if (temp.dir < 0)
        return es_write_failed(path, errno, "directory", err);
    r = make(&temp, tag, path, err);
    if (r < 0)
        return r;
    copy_label(old, temp.fd);
    r = es_give_owner(temp.fd, owner, path, err);
    if (r < 0)
        return r;
    *ret = temp;
    temp = (struct es_temp)ES_TEMP_INIT;
    return 0;
}

int es_temp_write(struct es_temp *temp, const void *data, size_t len, const char *path,
                  struct es_err *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(temp->fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return es_write_failed(path, n < 0 ? errno : EIO, "write", err);
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Some file systems tell only here that they could not write. */
static int shut(int *fd, const char *path, struct es_err *err)
{
    int closing = *fd;

    *fd = -1;
    return close(closing) < 0 ? es_write_failed(path, errno, "close", err) : 0;
}

static int finish(struct es_temp *temp, mode_t mode, bool sync, const char *path,
                  struct es_err *err)
{
    int fd = temp->fd;

    if (fchmod(fd, mode) < 0)
        return es_write_failed(path, errno, "chmod", err);
    if ((sync && fsync(fd) < 0) || fstat(fd, &temp->st) < 0)
        return es_write_failed(path, errno, "fsync", err);
    /* The disk may begin now; es_sync_file() waits for it, and tells what became of it. */
    if (!sync)
        sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return shut(&temp->fd, path, err);
}

int es_temp_seal(struct es_temp *temp, mode_t mode, const char *path, struct es_err *err)
{
    return finish(temp, mode, true, path, err);
}

int es_temp_close(struct es_temp *temp, mode_t mode, const char *path, struct es_err *err)
{
    return finish(temp, mode, false, path, err);
}

int es_sync_file(int dir, const char *name, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_close)
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return es_write_failed(path, errno, "fsync", err);
    return shut(&fd, path, err);
}

int es_sync_directory(int dir, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return es_write_failed(path, errno, "fsync of its directory", err);
    return 0;
}

int es_temp_rename(struct es_temp *temp, const char *path, struct es_err *err)
{
    if (renameat(temp->dir, temp->name, temp->dir, temp->base) < 0) {
        if (errno == EISDIR || errno == ENOTDIR)
            return es_not_a_file(path, S_IFDIR, err);
        return es_write_failed(path, errno, "rename", err);
    }
    temp->name[0] = '\0';
    return 0;
}

void es_temp_keep(struct es_temp *temp)
{
    temp->name[0] = '\0';
}

bool es_temp_remove(struct es_temp *temp)
{
    bool gone = temp->name[0] == '\0' || unlinkat(temp->dir, temp->name, 0) == 0 || errno == ENOENT;

    temp->name[0] = '\0';
    es_temp_done(temp);
    return gone;
}

void es_temp_done(struct es_temp *temp)
{
    es_close(&temp->fd);
    if (temp->name[0] != '\0')
        unlinkat(temp->dir, temp->name, 0);
    es_close(&temp->dir);
    *temp = (struct es_temp)ES_TEMP_INIT;
}
