/* See judge.h: the places that envsync writes to and reads, and what the unit's mounts make of
 * them.
 */
#include "../rest.h"
#include "../surroundings.h"
#include "judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int es_judge_path(const char *path, char **ret, struct es_err *err)
{
    *ret = strdup(path);
    if (!*ret)
        return es_nomem(err);
    es_path_simplify(*ret);
    return 0;
}

int es_judge_dirname(const char *path, char **ret, struct es_err *err)
{
    char *slash;
    int r = es_judge_path(path, ret, err);

    if (r != 0)
        return r;
    slash = strrchr(*ret, '/');
    if (slash)
        slash[slash == *ret] = '\0';
    return 0;
}

/* ---- where it writes ---- */

static bool judged_before(const struct es_config *config, size_t output)
{
    const char *path = config->outputs[output].path;
    size_t len = (size_t)(strrchr(path, '/') - path) + 1;

    for (size_t i = 0; i < output; i++) {
        const char *other = config->outputs[i].path;

        if ((size_t)(strrchr(other, '/') - other) + 1 == len && memcmp(other, path, len) == 0)
            return true;
    }
    return false;
}

/* What cannot be written, by the setting that is in the way: one finding for each. */
struct places {
    const struct es_unit_setting *at;
    enum es_access access;
    bool is_named; /* the setting names the very directory: nothing beside it helps */
    struct es_buf dirs;
};

static void places_done(struct places *places)
{
    es_buf_done(&places->dirs);
}

static void tell_places(struct es_judge *judge, const struct places *places)
{
    const char *key, *dirs = es_buf_str(&places->dirs);

    if (places->dirs.len == 0)
        return;
    key = places->at->key;
    if (places->access == ES_ACCESS_EMPTY)
        es_judge_error(judge, places->at,
                       "%s= gives envsync an empty place of its own where it is to write to %s: it "
                       "is gone when envsync ends; leave that out, or start envsync with \"+\"",
                       key, dirs);
    else if (places->access == ES_ACCESS_NONE || places->is_named)
        es_judge_error(judge, places->at,
                       "%s= keeps envsync from writing to %s, and ReadWritePaths= does not undo "
                       "that; leave it out, or start envsync with \"+\" instead of \"!\"",
                       key, dirs);
    else
        es_judge_error(
            judge, places->at,
            "%s= keeps envsync from writing to %s; add ReadWritePaths=%s, of directories "
            "that are there before the unit starts (tmpfiles.d(5)), or start envsync "
            "with \"+\" instead of \"!\"",
            key, dirs, dirs);
}

/* Adds a directory that envsync writes to, where it cannot; tells the ones so far where another
 * setting is in the way. */
static int judge_place(struct es_judge *judge, const struct es_unit_mounts *mounts,
                       struct places *places, const char *dir, struct es_err *err)
{
    const struct es_unit_mount *mount = es_unit_mounts_find(mounts, dir);

    if (!mount || mount->access == ES_ACCESS_FULL || mount->access == ES_ACCESS_DEFAULT ||
        mount->access == ES_ACCESS_BOUND || mount->access == ES_ACCESS_SHARED)
        return 0;
    if (places->at != mount->at) {
        tell_places(judge, places);
        es_buf_clear(&places->dirs);
        places->at = mount->at;
        places->access = mount->access;
        places->is_named = false;
    }
    places->is_named = places->is_named || strcmp(mount->path, dir) == 0;
    return es_buf_printf(&places->dirs, "%s%s", places->dirs.len ? " " : "", dir) < 0
               ? es_nomem(err)
               : 0;
}

/* A file that is a mount point itself cannot be replaced. */
static bool is_mount_point(struct es_judge *judge, const struct es_unit_mounts *mounts,
                           const char *path, const char *dir)
{
    for (size_t i = 0; i < mounts->n; i++) {
        const struct es_unit_mount *mount = &mounts->items[i];

        if (strcmp(mount->path, path) != 0 || mount->access == ES_ACCESS_DEFAULT)
            continue;
        es_judge_error(judge, mount->at,
                       "%s= names the file %s itself, which envsync then cannot replace; name the "
                       "directory: %s",
                       mount->at->key, path, dir);
        return true;
    }
    return false;
}

static int judge_outputs(struct es_judge *judge, const struct es_unit_mounts *mounts,
                         struct places *places, struct es_err *err)
{
    for (size_t i = 0; i < judge->config->n_outputs; i++) {
        ES_CLEANUP(es_freep) char *dir = NULL, *path = NULL;
        int r = es_judge_dirname(judge->config->outputs[i].path, &dir, err);

        if (r == 0)
            r = es_judge_path(judge->config->outputs[i].path, &path, err);
        if (r == 0 && !is_mount_point(judge, mounts, path, dir) && !judged_before(judge->config, i))
            r = judge_place(judge, mounts, places, dir, err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int judge_mirrors(struct es_judge *judge, const struct es_unit_mounts *mounts,
                         struct places *places, struct es_err *err)
{
    for (size_t i = 0; i < judge->config->n_sources; i++) {
        const struct es_source *source = &judge->config->sources[i];
        ES_CLEANUP(es_freep) char *dir = NULL;
        int r;

        if (!source->mirrors)
            continue;
        r = es_judge_path(source->mirror.dir, &dir, err);
        if (r == 0)
            r = judge_place(judge, mounts, places, dir, err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int judge_writing(struct es_judge *judge, const struct es_unit_mounts *mounts,
                         struct es_err *err)
{
    ES_CLEANUP(places_done) struct places places = {0};
    int r = judge_place(judge, mounts, &places, ES_STATE_RUN, err);

    if (r == 0 && es_config_has_disk(judge->config))
        r = judge_place(judge, mounts, &places, ES_STATE_DISK, err);
    if (r == 0)
        r = judge_outputs(judge, mounts, &places, err);
    if (r == 0)
        r = judge_mirrors(judge, mounts, &places, err);
    if (r == 0)
        tell_places(judge, &places);
    return r;
}

/* The unit fails before anything runs where such a path is not there. Only a unit that is installed
 * tells that of this host. */
static void judge_missing(struct es_judge *judge, const struct es_unit_mounts *mounts)
{
    struct stat st;

    for (size_t i = 0; !judge->unit->folder && i < mounts->n; i++) {
        const struct es_unit_mount *mount = &mounts->items[i];

        if (mount->must_exist && stat(mount->path, &st) < 0 && errno == ENOENT)
            es_judge_warning(judge, mount->at,
                             "%s=%s: it is not there, and the unit fails with 226/NAMESPACE; have "
                             "tmpfiles.d(5) make it",
                             mount->at->key, mount->path);
    }
}

/* ---- what it seals with ---- */

#define HOST_KEY "/var/lib/systemd/credential.secret"
#define TPM      "/dev/tpmrm0"

/* systemd-creds takes the host's key, which it makes where there is none, and a TPM. What is there
 * is asked only for a unit that is installed: only that one tells of this host. */
static void judge_sealing(struct es_judge *judge, const struct es_unit_mounts *mounts)
{
    const struct es_unit_mount *mount = es_unit_mounts_find(mounts, HOST_KEY);
    const struct es_unit_setting *at = NULL;
    bool hidden = mount && (mount->access == ES_ACCESS_NONE || mount->access == ES_ACCESS_EMPTY);

    if (!es_config_seals(judge->config))
        return;
    if (hidden || (mount && mount->access == ES_ACCESS_READ &&
                   (judge->unit->folder || access(HOST_KEY, F_OK) < 0)))
        es_judge_warning(judge, mount->at,
                         "%s= %s " HOST_KEY ", the key with which at_rest = \"encrypted\" seals "
                         "where there is no TPM; add ReadWritePaths=/var/lib/systemd%s",
                         mount->at->key, hidden ? "hides" : "keeps systemd-creds from making",
                         hidden ? "" : ", or run `systemd-creds setup` once");
    if (es_unit_bool(judge->unit, "Service", "PrivateDevices", false, &at) &&
        (judge->unit->folder || access(TPM, F_OK) == 0))
        es_judge_warning(
            judge, at,
            "PrivateDevices= hides a TPM: at_rest = \"encrypted\" seals with the host's "
            "key alone, which lies on the same disk; say DevicePolicy=closed and "
            "DeviceAllow=" TPM " rw instead");
}

/* ---- what it reads ---- */

static void judge_read(struct es_judge *judge, const struct es_unit_mounts *mounts,
                       const char *path, const char *what, const char *name)
{
    const struct es_unit_mount *mount = es_unit_mounts_find(mounts, path);

    if (mount && (mount->access == ES_ACCESS_NONE || mount->access == ES_ACCESS_EMPTY ||
                  mount->access == ES_ACCESS_SHARED))
        es_judge_error(judge, mount->at,
                       "%s= hides %s, which %s%s reads; move it, or start envsync with \"+\"",
                       mount->at->key, path, what, name);
}

static int judge_source(struct es_judge *judge, const struct es_unit_mounts *mounts,
                        const struct es_source *source, const struct es_surroundings *surroundings,
                        struct es_err *err)
{
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err ignored;
    int r = source->provider->needs
                ? source->provider->needs(source->state, surroundings, &needs, &ignored)
                : 0;

    if (r == -ENOMEM)
        return es_nomem(err);
    for (size_t i = 0; r == 0 && i < needs.n; i++)
        if (!(needs.items[i].flags & ES_NEED_OPTIONAL))
            judge_read(judge, mounts, needs.items[i].path, "source ", source->name);
    return 0;
}

static int judge_sources(struct es_judge *judge, const struct es_unit_mounts *mounts,
                         struct es_err *err)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings surroundings = {0};
    int r = es_surroundings_gather(judge->config, judge->process, NULL, &surroundings, err);

    if (r == 0 && judge->call.config)
        judge_read(judge, mounts, judge->call.config, "envsync", "");
    if (r == 0 && judge->config->bootstrap)
        judge_read(judge, mounts, judge->config->bootstrap, "the configuration", "");
    for (size_t i = 0; r == 0 && i < judge->config->n_sources; i++)
        r = judge_source(judge, mounts, &judge->config->sources[i], &surroundings, err);
    return r;
}

int es_judge_places(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_unit_mounts_done) struct es_unit_mounts mounts = {0};
    int r = es_unit_mounts_read(judge->unit, &mounts, err);

    if (r == 0)
        r = judge_sources(judge, &mounts, err);
    if (r != 0 || judge->call.task == ES_UNIT_EXEC)
        return r;
    judge_missing(judge, &mounts);
    judge_sealing(judge, &mounts);
    return judge_writing(judge, &mounts, err);
}
