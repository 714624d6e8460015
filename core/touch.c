/* See touch.h. The directory may be anybody's, unlike that of an output: nothing that matters is
 * written. So what is there is only ever opened by O_PATH, which has no effect on a device or a
 * FIFO, and a link in its place is not followed. Whoever owns the directory can have the time of
 * another file changed that he could link there, and no more. */
#include "touch.h"

#include "commit/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* One event for whoever watches, as both times are set at once. */
static int set_time(int fd, const char *path, struct es_err *err)
{
    char link[64];

    if (utimensat(fd, "", NULL, AT_EMPTY_PATH) == 0)
        return 0;
    /* Kernels before 5.8 know no empty path here. */
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (errno == EINVAL && utimensat(AT_FDCWD, link, NULL, 0) == 0)
        return 0;
    return es_write_failed(path, errno, "time", err);
}

static int make(const struct es_place *place, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_close)
    int fd =
        openat(place->dir, place->base, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat dir;
    int r = 0;

    if (fd < 0 || fstat(place->dir, &dir) < 0)
        return es_write_failed(path, errno, "create", err);
    if (dir.st_uid != 0 || dir.st_gid != 0)
        r = es_give_owner(fd, &(struct es_owner){.uid = dir.st_uid, .gid = dir.st_gid}, path, err);
    if (r == 0 && fchmod(fd, 0644) < 0)
        r = es_write_failed(path, errno, "chmod", err);
    return r;
}

int es_touch(const char *root, const char *path, struct es_err *err)
{
    const struct es_walk walk = {.root = root, .missing = ES_OUTPUT};
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    ES_CLEANUP(es_close) int fd = -1;
    struct stat st;
    int r = es_walk_to(&walk, path, &place, err);

    if (r != 0)
        return r;
    fd = openat(place.dir, place.base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return make(&place, path, err);
    if (fd < 0 || fstat(fd, &st) < 0)
        return es_write_failed(path, errno, "open", err);
    if (S_ISLNK(st.st_mode))
        return es_fail(err, ES_OUTPUT, ELOOP,
                       "%s: is a symbolic link, which is not followed; name what is watched itself",
                       path);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return es_fail(err, ES_OUTPUT, EINVAL, "%s: is neither a file nor a directory", path);
    return set_time(fd, path, err);
}
