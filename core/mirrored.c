/* See mirrored.h. The directories may be the app's: every name is looked at through the descriptor
 * of its directory and never followed, and only what the manifest describes is renamed, repaired
 * or removed. */
#include "mirrored.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct es_owner es_mirrored_owner(const struct es_source *source)
{
    return (struct es_owner){
        .uid = source->mirror_uid, .gid = source->mirror_gid, .mode = (mode_t)source->mirror.mode};
}

static int walk_to(const struct es_config *config, const char *root, uint32_t number,
                   struct es_walk walk, const char *path, struct es_place *ret, struct es_err *err)
{
    const struct es_source *source = &config->sources[number];
    const struct es_make make[] = {
        {source->mirror.dir, true, (mode_t)source->mirror.dir_mode, source->mirror_gid},
        {config->etc_dir, true, 0750, config->gid},
        {config->run_dir, true, 0750, config->gid},
        {root ? "/etc" : NULL, false, 0755, 0},
        {"/run", false, 0755, 0},
        {0},
    };
    const uid_t app[] = {config->uid, source->mirror_uid ? source->mirror_uid : config->uid,
                         (uid_t)-1};

    walk.root = root;
    walk.check = true;
    walk.app = app;
    walk.make = make;
    walk.missing = ES_OUTPUT;
    return es_walk_to(&walk, path, ret, err);
}

int es_mirrored_walk(const struct es_config *config, const char *root, uint32_t source, bool dry,
                     const char *path, struct es_place *ret, struct es_err *err)
{
    return walk_to(config, root, source, (struct es_walk){.dry = dry}, path, ret, err);
}

static size_t length_of_directory(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

static bool same_directory(const char *a, const char *b)
{
    size_t len = length_of_directory(a);

    return len == length_of_directory(b) && memcmp(a, b, len) == 0;
}

void es_mirrored_way_done(struct es_mirrored_way *way)
{
    if (way->path[0])
        es_place_done(&way->place);
    way->path[0] = '\0';
    way->place.dir = -1;
}

int es_mirrored_go(struct es_mirrored_way *way, uint32_t source, bool dry, const char *path,
                   struct es_err *err)
{
    const char *base = path + length_of_directory(path) + 1;
    int r;

    if (way->path[0] && way->source == source && way->dry == dry &&
        same_directory(way->path, path) && strlen(base) < sizeof way->place.base) {
        snprintf(way->place.base, sizeof way->place.base, "%s", base);
        return 0;
    }
    es_mirrored_way_done(way);
    r = es_mirrored_walk(way->config, way->root, source, dry, path, &way->place, err);
    if (r != 0)
        return r;
    /* The walk has refused what is longer. */
    snprintf(way->path, sizeof way->path, "%s", path);
    way->source = source;
    way->dry = dry;
    return 0;
}

bool es_mirrored_right_owner(const struct stat *st, const struct es_owner *owner)
{
    return (geteuid() != 0 || (st->st_uid == owner->uid && st->st_gid == owner->gid)) &&
           (st->st_mode & 07777) == owner->mode;
}

/* The same file: inode, size and time as the manifest says. */
static bool is_file(const struct stat *st, const struct es_kept_file *file)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 1 && st->st_dev == file->device &&
           st->st_ino == file->inode && st->st_size == file->size &&
           (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == file->modified_ns;
}

/* What an error of the system says of a file: that it is not there for envsync, or nothing. */
static bool says_no(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == EACCES ||
           errnum == EPERM;
}

int es_mirrored_holds(struct es_mirrored_way *way, uint32_t source, const struct es_kept_file *file,
                      int64_t *ret_changed_ms, struct es_err *err)
{
    const char *path = es_buf_str(&file->path);
    int r = es_mirrored_go(way, source, true, path, err);
    struct stat st;

    if (r != 0)
        return r == 1 || says_no(-r) ? 0 : r;
    if (fstatat(way->place.dir, way->place.base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return says_no(errno) ? 0 : es_write_failed(path, errno, "stat", err);
    if (!is_file(&st, file))
        return 0;
    if (ret_changed_ms)
        *ret_changed_ms = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
    return 1;
}

/* ---- publishing ---- */

/* Files are in the order of their paths: each directory comes once. */
int es_mirrored_settle(const struct es_config *config, const char *root,
                       const struct es_manifest *set, struct es_err *err)
{
    ES_CLEANUP(es_mirrored_way_done) struct es_mirrored_way way = ES_MIRRORED_WAY(config, root);
    const struct es_kept_file *last = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i <= set->n_files; i++) {
        const struct es_kept_file *file = i < set->n_files ? &set->files[i] : NULL;

        if (file && (!file->streamed || file->temp.len == 0))
            continue;
        if (last && !(file && same_directory(es_buf_str(&last->path), es_buf_str(&file->path))))
            r = es_sync_directory(way.place.dir, es_buf_str(&last->path), err);
        last = file;
        if (r == 0 && file)
            r = es_mirrored_go(&way, file->source, false, es_buf_str(&file->path), err);
        if (r == 0 && file)
            r = es_sync_file(way.place.dir, es_buf_str(&file->temp), es_buf_str(&file->path), err);
    }
    return r;
}

/* 1: the file is in its place, with owner and mode; 0: something else is, or nothing. */
static int repair(const struct es_place *place, const struct es_kept_file *file,
                  struct es_publishing *publishing, struct es_report *report, struct es_err *err)
{
    const char *path = es_buf_str(&file->path);
    ES_CLEANUP(es_close)
    int fd = openat(place->dir, place->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return es_write_failed(path, errno, "open", err);
    if (!is_file(&st, file))
        return 0;
    if (es_mirrored_right_owner(&st, &file->owner))
        return 1;
    r = es_give_owner(fd, &file->owner, path, err);
    if (r == 0 && fchmod(fd, file->owner.mode) < 0)
        r = es_write_failed(path, errno, "chmod", err);
    if (r == 0 && fsync(fd) < 0)
        r = es_write_failed(path, errno, "fsync", err);
    if (r < 0)
        return r;
    publishing->repaired = true;
    es_report_add(report, ES_LEVEL_NOTICE, "%s: owner or mode was wrong: repaired", path);
    return 1;
}

int es_publishing_settle(struct es_publishing *publishing, struct es_err *err)
{
    int r = publishing->state < 0 ? 0 : es_sync_directory(publishing->state, "state", err);

    publishing->lost = r < 0;
    if (r == 0)
        publishing->state = -1;
    return r;
}

/* A planted file must not be put in place: the staged one is known by its inode and owner. */
static int publish(const struct es_place *place, const struct es_kept_file *file,
                   struct es_publishing *publishing, struct es_err *err)
{
    const char *path = es_buf_str(&file->path), *name = es_buf_str(&file->temp);
    struct stat st;
    int r;

    if (fstatat(place->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : es_write_failed(path, errno, "stat", err);
    if (!is_file(&st, file) || (geteuid() == 0 && st.st_uid != file->owner.uid))
        return 0;
    if (fstatat(place->dir, place->base, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return es_not_a_file(path, st.st_mode, err);
    r = es_publishing_settle(publishing, err);
    if (r < 0)
        return r;
    if (renameat(place->dir, name, place->dir, place->base) < 0)
        return es_write_failed(path, errno, "rename", err);
    publishing->unsynced = true;
    return 0;
}

/* Only what is still as this program wrote it. */
static int prune(const struct es_place *place, const struct es_kept_file *file,
                 struct es_publishing *publishing, struct es_err *err)
{
    const char *path = es_buf_str(&file->path);
    struct stat st;
    int r;

    if (fstatat(place->dir, place->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : es_write_failed(path, errno, "stat", err);
    if (!is_file(&st, file))
        return 0;
    r = es_publishing_settle(publishing, err);
    if (r < 0)
        return r;
    if (unlinkat(place->dir, place->base, 0) < 0 && errno != ENOENT)
        return es_write_failed(path, errno, "remove", err);
    publishing->unsynced = true;
    return 0;
}

/* What is gone from one bucket says nothing of another, and where prune has come since, what the
 * source has now must be seen first: the commit then names what is gone. */
static int may_prune(const struct es_source *source, const struct es_kept_source *kept,
                     struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf configured = {0};

    if (!source->mirror.prune)
        return 0;
    if (es_put_value(&configured, &source->where) < 0)
        return es_nomem(err);
    return es_buf_equal(&configured, &kept->configured);
}

static const struct es_source *mirror_source(const struct es_config *config,
                                             const struct es_manifest *set,
                                             const struct es_kept_file *file, uint32_t *ret)
{
    const struct es_buf *name = &set->sources[file->source].name;

    for (uint32_t i = 0; i < config->n_sources; i++)
        if (config->sources[i].mirrors && es_buf_is(name, config->sources[i].name)) {
            *ret = i;
            return &config->sources[i];
        }
    return NULL;
}

/* What was renamed or removed in a directory, before the way leads to another one. */
static int leave(const struct es_mirrored_way *way, struct es_publishing *publishing,
                 struct es_err *err)
{
    if (!publishing->unsynced)
        return 0;
    publishing->unsynced = false;
    return es_sync_directory(way->place.dir, way->path, err);
}

/* Do two files share a walk? */
static bool together(const struct es_kept_file *a, const struct es_kept_file *b)
{
    return a && b && a->source == b->source &&
           same_directory(es_buf_str(&a->path), es_buf_str(&b->path));
}

static int publish_one(struct es_mirrored_way *way, const struct es_manifest *set,
                       const struct es_kept_file *file, struct es_publishing *publishing,
                       struct es_report *report, struct es_err *err)
{
    const char *path = es_buf_str(&file->path);
    uint32_t number;
    const struct es_source *source = mirror_source(way->config, set, file, &number);
    int r;

    /* Only what the configuration still names. */
    if (!source)
        return 0;
    if (file->gone) {
        r = may_prune(source, &set->sources[file->source], err);
        if (r <= 0)
            return r;
    }
    r = es_mirrored_go(way, number, false, path, err);
    if (r == 0 && file->gone)
        return prune(&way->place, file, publishing, err);
    if (r == 0 && file->temp.len > 0)
        r = publish(&way->place, file, publishing, err);
    if (r < 0)
        return r;
    r = repair(&way->place, file, publishing, report, err);
    if (r == 0)
        publishing->missing = file;
    return r < 0 ? r : 0;
}

int es_mirrored_publish(const struct es_config *config, const char *root,
                        const struct es_manifest *set, struct es_publishing *publishing,
                        struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_mirrored_way_done) struct es_mirrored_way way = ES_MIRRORED_WAY(config, root);
    const struct es_kept_file *last = NULL;
    struct es_err further;
    int r = 0;

    for (size_t i = 0; !publishing->lost && i <= set->n_files; i++) {
        const struct es_kept_file *file = i < set->n_files ? &set->files[i] : NULL;
        int s = together(last, file) ? 0 : leave(&way, publishing, r < 0 ? &further : err);

        r = r < 0 ? r : s;
        s = file ? publish_one(&way, set, file, publishing, report, r < 0 ? &further : err) : 0;
        r = r < 0 ? r : s;
        last = file;
    }
    return r;
}

/* ---- sweeping ---- */

/* One directory and what lies below it. Not below one of the app's: envsync never writes there. */
static void sweep(int parent, const char *name, const char *tag, unsigned depth);

static void sweep_entry(int dir, const struct stat *st, const struct dirent *entry, const char *tag,
                        unsigned depth)
{
    bool ours = es_temp_has_tag(entry->d_name, tag);
    struct stat is;

    if ((entry->d_type == DT_REG && !ours) || strcmp(entry->d_name, ".") == 0 ||
        strcmp(entry->d_name, "..") == 0 ||
        fstatat(dir, entry->d_name, &is, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (S_ISREG(is.st_mode) && ours)
        unlinkat(dir, entry->d_name, 0);
    else if (S_ISDIR(is.st_mode) && es_walk_is_new(entry->d_name))
        unlinkat(dir, entry->d_name, AT_REMOVEDIR);
    else if (S_ISDIR(is.st_mode) && is.st_dev == st->st_dev && depth < ES_WALK_DEPTH &&
             (st->st_uid == 0 || st->st_uid == geteuid()))
        sweep(dir, entry->d_name, tag, depth + 1);
}

static void sweep(int parent, const char *name, const char *tag, unsigned depth)
{
    ES_CLEANUP(es_dir_close) DIR *dir = es_dir_open(parent, name);
    const struct dirent *entry;
    struct stat st;

    if (!dir || fstat(dirfd(dir), &st) < 0)
        return;
    while ((entry = readdir(dir)))
        sweep_entry(dirfd(dir), &st, entry, tag, depth);
}

/* What the configuration has named before. */
static void sweep_last(const struct es_config *config, const struct es_manifest *last,
                       const char *root, const char *tag)
{
    const uid_t app[] = {config->uid, (uid_t)-1};
    const struct es_walk walk = {
        .root = root, .check = true, .app = app, .dry = true, .sweep = true, .missing = ES_OUTPUT};
    struct es_err ignored;

    for (size_t i = 0; i < last->n_files; i++) {
        const char *path = es_buf_str(&last->files[i].path);
        ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};

        if (i > 0 && together(&last->files[i - 1], &last->files[i]))
            continue;
        if (es_walk_to(&walk, path, &place, &ignored) == 0)
            sweep(place.dir, ".", tag, ES_WALK_DEPTH);
    }
}

void es_mirrored_sweep(const struct es_config *config, const struct es_manifest *last,
                       const char *root)
{
    const struct es_temp_tag tag = es_temp_tag(config->name);
    const struct es_walk walk = {.dry = true, .sweep = true};
    struct es_err ignored;

    for (uint32_t i = 0; i < config->n_sources; i++) {
        ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
        ES_CLEANUP(es_freep) char *any = NULL;

        /* Of a file in it, so that the walk goes into the directory itself. */
        if (config->sources[i].mirrors && asprintf(&any, "%s/x", config->sources[i].mirror.dir) < 0)
            any = NULL;
        if (any && walk_to(config, root, i, walk, any, &place, &ignored) == 0)
            sweep(place.dir, ".", tag.text, 0);
    }
    sweep_last(config, last, root, tag.text);
}
