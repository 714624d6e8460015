/* See replace.h. Runs as root in directories that, at worst, the app owns: nothing is opened but by
 * descriptor and name with O_NOFOLLOW, nothing is changed but through a descriptor of our own, and
 * a file that is there is compared byte by byte, never parsed. */
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int fail(const struct es_target *t, int errnum, const char *what, struct es_err *err)
{
    return es_write_failed(t->wanted->path, errnum, what, err);
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
    return t->st.st_uid == t->wanted->owner.uid && t->st.st_gid == t->wanted->owner.gid;
}

bool es_target_owner_differs(const struct es_target *t)
{
    return t->old >= 0 && (!right_owner(t) || (t->st.st_mode & 07777) != t->wanted->owner.mode);
}

static int compare(struct es_target *t, struct es_err *err)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    if (fstatat(t->place.dir, t->place.base, &t->st, AT_SYMLINK_NOFOLLOW) < 0) {
        /* A directory of the app's group alone: the usual case for who only looks. */
        if (errno == EACCES && t->wanted->look) {
            t->state = ES_TARGET_UNKNOWN;
            return 0;
        }
        if (errno != ENOENT)
            return fail(t, errno, "stat", err);
        t->state = ES_TARGET_CREATE;
        return 0;
    }
    if (!S_ISREG(t->st.st_mode))
        return es_not_a_file(t->wanted->path, t->st.st_mode, err);
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
        return es_not_a_file(t->wanted->path, t->st.st_mode, err);
    if (t->st.st_nlink != 1 || !same_bytes(t))
        t->state = ES_TARGET_UPDATE;
    else if (es_target_owner_differs(t))
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
            es_temp_sweep(&t.place, NULL);
        r = compare(&t, err);
    }
    if (r < 0)
        return r;
    *ret = t;
    t = (struct es_target)ES_TARGET_INIT;
    return 0;
}

int es_target_stage(struct es_target *t, struct es_err *err)
{
    const char *path = t->wanted->path;
    int r;

    if ((t->state != ES_TARGET_CREATE && t->state != ES_TARGET_UPDATE) || t->temp.name[0] != '\0')
        return 0;
    r = es_temp_create(&t->place, &t->wanted->owner, t->old, NULL, path, &t->temp, err);
    if (r == 0)
        r = es_temp_write(&t->temp, t->wanted->data, t->wanted->len, path, err);
    return r == 0 ? es_temp_seal(&t->temp, t->wanted->owner.mode, path, err) : r;
}

static int repair(struct es_target *t, struct es_err *err)
{
    int r = 0;

    if (!right_owner(t))
        r = es_give_owner(t->old, &t->wanted->owner, t->wanted->path, err);
    /* chown() takes set-id bits away, so the mode comes last. */
    if (r == 0 && fchmod(t->old, t->wanted->owner.mode) < 0)
        r = fail(t, errno, "chmod", err);
    if (r == 0 && fsync(t->old) < 0)
        r = fail(t, errno, "fsync", err);
    return r;
}

int es_target_publish(struct es_target *t, struct es_err *err)
{
    int r;

    if (t->state == ES_TARGET_REPAIR)
        return repair(t, err);
    if (t->temp.name[0] == '\0')
        return 0;
    r = es_temp_rename(&t->temp, t->wanted->path, err);
    return r == 0 ? es_sync_directory(t->place.dir, t->wanted->path, err) : r;
}

void es_target_done(struct es_target *t)
{
    es_temp_done(&t->temp);
    es_place_done(&t->place);
    es_close(&t->old);
    *t = (struct es_target)ES_TARGET_INIT;
}
