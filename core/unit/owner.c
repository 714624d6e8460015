/* See owner.h. Looks at owners and modes only; nothing is opened. What is not there yet on this
 * host is judged by the unit alone. */
#include "owner.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

/* One that is there as root's stays root's: that goes for ConfigurationDirectory= alone. */
static bool stays_roots(const struct es_unit_dir *dir)
{
    struct stat st;

    return strcmp(dir->key, "ConfigurationDirectory") == 0 && stat(dir->path, &st) == 0 &&
           st.st_uid == 0;
}

const struct es_unit_dir *es_unit_dir_of(const struct es_judge *judge, const char *path)
{
    for (size_t i = 0; judge->user.len > 0 && i < judge->dirs.n; i++) {
        const struct es_unit_dir *dir = &judge->dirs.items[i];

        if (es_path_below(path, dir->path) && strcmp(path, dir->path) != 0 && !stays_roots(dir))
            return dir;
    }
    return NULL;
}

static int say_owner(struct es_buf *ret, const char *path, uid_t uid)
{
    const struct passwd *user = getpwuid(uid);

    if (user)
        return es_buf_printf(ret, "%s belongs to %s", path, user->pw_name);
    return es_buf_printf(ret, "%s belongs to uid %u", path, (unsigned)uid);
}

/* One part of the path, as it is on this host. -ENOENT: there is none. */
static int judge_part(const char *path, bool last, struct es_buf *ret)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -ENOENT;
    if (st.st_uid != 0)
        return say_owner(ret, path, st.st_uid);
    if (st.st_mode & S_IWOTH && (last || !(st.st_mode & S_ISVTX)))
        return es_buf_printf(ret, "everyone may write %s", path);
    if (st.st_mode & S_IWGRP && st.st_gid != 0)
        return es_buf_printf(ret, "group %u may write %s", (unsigned)st.st_gid, path);
    return 0;
}

/* A sticky directory that everyone may write is safe for what is there, not for what is not. */
static int judge_sticky(const char *path, struct es_buf *ret)
{
    struct stat st;

    if (stat(path, &st) == 0 && st.st_mode & S_IWOTH)
        return es_buf_printf(ret, "everyone may write %s", path);
    return 0;
}

static int judge_host(const char *path, struct es_buf *ret)
{
    char part[PATH_MAX], above[PATH_MAX] = "/";
    size_t len = strlen(path);

    if (len >= sizeof part)
        return 0;
    for (size_t n = 1; n <= len && ret->len == 0; n++) {
        int r;

        if (path[n] != '/' && path[n] != '\0')
            continue;
        memcpy(part, path, n);
        part[n] = '\0';
        r = judge_part(part, n == len, ret);
        if (r == -ENOENT)
            return judge_sticky(above, ret);
        if (r < 0)
            return r;
        memcpy(above, part, n + 1);
    }
    return 0;
}

/* A file that envsync gives to somebody, is his. */
static int judge_output(const struct es_judge *judge, const char *path, struct es_buf *ret)
{
    for (size_t i = 0; i < judge->config->n_outputs; i++) {
        const struct es_output *output = &judge->config->outputs[i];

        if (strcmp(output->path, path) != 0)
            continue;
        if (output->uid != 0)
            return es_buf_printf(ret, "owner = \"%s\" gives %s away", output->owner, path);
        if (output->mode & S_IWGRP && output->gid != 0)
            return es_buf_printf(ret, "mode = \"%04o\" lets its group write %s",
                                 (unsigned)output->mode, path);
    }
    return 0;
}

int es_unit_writer(const struct es_judge *judge, const char *path, struct es_buf *ret)
{
    const struct es_unit_dir *dir = es_unit_dir_of(judge, path);
    int r;

    es_buf_clear(ret);
    if (dir)
        return es_buf_printf(ret, "%s is %s's, by %s=", dir->path, es_buf_str(&judge->user),
                             dir->key);
    r = judge_output(judge, path, ret);
    return r == 0 && ret->len == 0 ? judge_host(path, ret) : r;
}
