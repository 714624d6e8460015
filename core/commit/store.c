/* See store.h: where the state lies, and writing it. What is written is envsync's own; load.c reads
 * it back. */
#include "inner.h"

#include "sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static const char *const half_paths[ES_HALVES] = {
    [ES_HALF_RUN] = "/run/envsync",
    [ES_HALF_DISK] = "/var/lib/envsync",
};

struct es_store_name es_source_file(size_t number)
{
    struct es_store_name name;

    snprintf(name.text, sizeof name.text, "source-%zu", number);
    return name;
}

struct es_store_name es_output_file(size_t number)
{
    struct es_store_name name;

    snprintf(name.text, sizeof name.text, "output-%zu", number);
    return name;
}

bool es_path_is_volatile(const char *path)
{
    path += strspn(path, "/");
    if (strncmp(path, "var/run/", 8) == 0)
        path += 4;
    return strncmp(path, "run/", 4) == 0;
}

int es_state_directory(const struct es_config *config, const char *root, enum es_half half,
                       bool make, struct es_place *ret, struct es_err *err)
{
    /* Below --root the directories that every host has are made as well. */
    const struct es_make all[] = {{.path = half_paths[half], .below = true, .mode = 0700},
                                  {.path = "/var/lib", .mode = 0755},
                                  {.path = root ? "/var" : NULL, .mode = 0755},
                                  {.path = "/run", .mode = 0755},
                                  {0}};
    const struct es_walk walk = {
        .root = root, .check = true, .make = all, .dry = !make, .missing = ES_OUTPUT};
    ES_CLEANUP(es_freep) char *path = NULL;
    int r;

    if (asprintf(&path, "%s/%s/current", half_paths[half], config->name) < 0) {
        path = NULL;
        return es_nomem(err);
    }
    r = es_walk_to(&walk, path, ret, err);
    if (r == 1)
        return 0;
    if (r == -EACCES && geteuid() != 0)
        return es_fail(err, ES_DENIED, EACCES,
                       "state: %s: only root may keep state there; run as root, or with --root",
                       half_paths[half]);
    if (r < 0)
        es_context(err, "state");
    return r;
}

int es_store_broken(const char *what, struct es_err *err)
{
    return es_fail_errno(err, errno == EACCES || errno == EPERM ? ES_DENIED : ES_OUTPUT, errno,
                         "state: %s", what);
}

enum es_half es_store_pointer_half(const struct es_store *store)
{
    return store->halves[ES_HALF_DISK].dir >= 0 ? ES_HALF_DISK : ES_HALF_RUN;
}

int es_store_directory(const struct es_store *store)
{
    return store->halves[es_store_pointer_half(store)].dir;
}

static int has_pointer(int dir, struct es_err *err)
{
    struct stat st;

    if (fstatat(dir, "current", &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    return errno == ENOENT ? 0 : es_store_broken("current", err);
}

/* Was a run killed between the commit that left the disk and its sweep? 1, 0, or negative. */
static int has_left_disk(const struct es_store *store, struct es_err *err)
{
    int run = store->halves[ES_HALF_RUN].dir, disk = store->halves[ES_HALF_DISK].dir;
    int r;

    if (run < 0 || disk < 0)
        return 0;
    r = has_pointer(disk, err);
    if (r != 0)
        return r < 0 ? r : 0;
    return has_pointer(run, err);
}

void es_store_leave_disk(struct es_store *store, const struct es_config *config)
{
    if (store->halves[ES_HALF_DISK].dir < 0)
        return;
    store->left = store->halves[ES_HALF_DISK];
    snprintf(store->left.base, sizeof store->left.base, "%s", config->name);
    store->halves[ES_HALF_DISK] = (struct es_place){.dir = -1};
}

void es_store_locate(const struct es_config *config, const char *root, struct es_err *err)
{
    char advice[ES_ERR_MAX];

    if (err->class != ES_OUTPUT)
        return;
    root = root ? root : "";
    snprintf(advice, sizeof advice, "the state is in %s%s/%s and %s%s/%s", root,
             half_paths[ES_HALF_DISK], config->name, root, half_paths[ES_HALF_RUN], config->name);
    es_advise(err, advice);
}

int es_store_open(const struct es_config *config, const char *root, bool make, bool disk,
                  struct es_store *ret, struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    int r = es_state_directory(config, root, ES_HALF_RUN, make, &store.halves[ES_HALF_RUN], err);

    /* A disk half that is there is looked at also where it is no longer needed. */
    if (r == 0)
        r = es_state_directory(config, root, ES_HALF_DISK, make && disk,
                               &store.halves[ES_HALF_DISK], err);
    if (r == 0) {
        r = disk ? 0 : has_left_disk(&store, err);
        if (r > 0)
            es_store_leave_disk(&store, config);
        if (r >= 0)
            r = es_store_load(&store, config, report, err);
        if (r < 0)
            es_store_locate(config, root, err);
    }
    if (r < 0)
        return r;
    *ret = store;
    store = (struct es_store)ES_STORE_INIT;
    return 0;
}

void es_store_done(struct es_store *store)
{
    for (size_t i = 0; i < ES_HALVES; i++)
        es_place_done(&store->halves[i]);
    es_place_done(&store->left);
    es_manifest_done(&store->set);
    es_unsealed_done(&store->unsealed);
}

int es_store_begin(struct es_store *store, struct es_err *err)
{
    unsigned char random[ES_SET_ID / 2];

    /* Random, never a hash: that of a secret would be a leak. */
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return es_store_broken("random name", err);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(store->begun + 2 * i, 3, "%02x", random[i]);
    for (size_t i = 0; i < ES_HALVES; i++)
        if (store->halves[i].dir >= 0 && mkdirat(store->halves[i].dir, store->begun, 0700) < 0)
            return es_store_broken("new set", err);
    return 0;
}

/* One file, by the one recipe; sync: at once, else the set is synced as a whole. */
static int put_file(int dir, const char *name, const void *data, size_t len,
                    const struct es_sum *sum, int64_t ms, bool sync, struct es_err *err)
{
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    const struct es_owner owner = {.uid = geteuid(), .gid = getegid(), .mode = 0600};
    struct es_place place = {.dir = dir};
    const struct timespec times[2] = {
        {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
        {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
    };
    int r;

    snprintf(place.base, sizeof place.base, "%s", name);
    r = es_temp_create(&place, &owner, -1, NULL, name, &temp, err);
    if (r == 0)
        r = es_temp_write(&temp, data, len, name, err);
    if (r == 0 && sum)
        r = es_temp_write(&temp, sum->bytes, sizeof sum->bytes, name, err);
    if (r == 0 && ms && futimens(temp.fd, times) < 0)
        r = es_store_broken(name, err);
    if (r == 0)
        r = sync ? es_temp_seal(&temp, 0600, name, err) : es_temp_close(&temp, 0600, name, err);
    return r == 0 ? es_temp_rename(&temp, name, err) : r;
}

static int open_set(const struct es_store *store, enum es_half half, const char *id,
                    struct es_err *err)
{
    int fd = openat(store->halves[half].dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? es_store_broken(id, err) : fd;
}

int es_store_write_for(struct es_store *store, const char *id, enum es_half half, const char *name,
                       const void *data, size_t len, int64_t ms, struct es_err *err)
{
    ES_CLEANUP(es_close) int dir = open_set(store, half, store->begun, err);
    const struct es_sum sum = es_sum_of(id, name, data, len);

    if (dir < 0)
        return dir;
    return put_file(dir, name, data, len, &sum, ms, false, err);
}

int es_store_write(struct es_store *store, enum es_half half, const char *name, const void *data,
                   size_t len, int64_t ms, struct es_err *err)
{
    return es_store_write_for(store, store->begun, half, name, data, len, ms, err);
}

int es_store_note(const struct es_store *store, const char *id, const char *name,
                  const struct es_buf *text, struct es_err *err)
{
    ES_CLEANUP(es_close) int dir = open_set(store, es_store_pointer_half(store), id, err);
    struct es_place place = {.dir = dir};
    int r = 0;

    if (dir < 0)
        return dir;
    snprintf(place.base, sizeof place.base, "%s", name);
    es_temp_sweep(&place, NULL); /* sweeping the store does not look into sets that are kept */
    if (text) {
        const struct es_sum sum = es_sum_of(id, name, text->data, text->len);

        r = put_file(dir, name, text->data, text->len, &sum, 0, true, err);
    } else if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        r = es_store_broken(name, err);
    if (r == 0 && fsync(dir) < 0)
        r = es_store_broken("fsync", err);
    return r;
}

/* All files of the set, in one go, and then their names. */
static int sync_set(const struct es_store *store, enum es_half half, const char *id,
                    struct es_err *err)
{
    ES_CLEANUP(es_dir_close) DIR *dir = es_dir_open(store->halves[half].dir, id);
    const struct dirent *entry;

    if (!dir)
        return es_store_broken(id, err);
    while (errno = 0, (entry = readdir(dir))) {
        int r = entry->d_name[0] == '.' ? 0 : es_sync_file(dirfd(dir), entry->d_name, "state", err);

        if (r < 0)
            return r;
    }
    if (errno != 0)
        return es_store_broken(id, err);
    if (fsync(dirfd(dir)) < 0)
        return es_store_broken("fsync", err);
    return es_sync_directory(store->halves[half].dir, "state", err);
}

int es_store_point(struct es_store *store, const char *id, const char *previous, bool held,
                   struct es_err *err)
{
    enum es_half half = es_store_pointer_half(store);
    char text[ES_POINTER];
    int n = es_pointer_format(id, previous, held, text);
    /* Its time is that of the last success: a rollback is none. */
    int64_t ms = strcmp(id, store->begun) == 0 ? 0 : store->succeeded_ms;
    int r = put_file(store->halves[half].dir, "current", text, (size_t)n, NULL, ms, true, err);

    if (r < 0)
        return r;
    memmove(store->previous, previous, strlen(previous) + 1);
    memmove(store->current, id, strlen(id) + 1);
    store->held = held;
    return es_sync_directory(store->halves[half].dir, "state", err);
}

int es_store_commit(struct es_store *store, struct es_manifest *manifest, enum es_way_back way_back,
                    struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    char previous[ES_SET_ID + 1] = "";
    int r = 0;

    if (es_manifest_encode(manifest, &text) < 0)
        return es_nomem(err);
    if (text.len > ES_MAX_STORED) /* nobody could read it again */
        return es_fail(err, ES_INVALID, EFBIG,
                       "state: what is to be kept of all objects is over %d MiB",
                       ES_MAX_STORED >> 20);
    r = es_store_write(store, es_store_pointer_half(store), "manifest", text.data, text.len, 0,
                       err);
    for (enum es_half half = 0; r == 0 && half < ES_HALVES; half++)
        if (store->halves[half].dir >= 0)
            r = sync_set(store, half, store->begun, err);
    if (way_back != ES_BACK_NOWHERE)
        memcpy(previous, way_back == ES_BACK_TO_CURRENT ? store->current : store->previous,
               sizeof previous);
    if (r == 0)
        r = es_store_point(store, store->begun, previous, false, err);
    /* While there is one on disk, it is the one that counts. */
    if (r == 0 && store->left.dir >= 0 && unlinkat(store->left.dir, "current", 0) < 0 &&
        errno != ENOENT)
        r = es_store_broken("current", err);
    if (r == 0 && store->left.dir >= 0)
        r = es_sync_directory(store->left.dir, "state", err);
    if (r < 0)
        return r;
    es_manifest_done(&store->set);
    store->set = *manifest;
    *manifest = (struct es_manifest){0};
    store->usable = true;
    store->run_lost = false;
    return 0;
}

int es_store_adopt(struct es_store *store, const char *id, struct es_err *err)
{
    int dir = store->halves[ES_HALF_RUN].dir;
    int r = sync_set(store, ES_HALF_RUN, store->begun, err);

    if (r == 0 && renameat(dir, store->begun, dir, id) < 0)
        r = es_store_broken(id, err);
    return r == 0 ? es_sync_directory(dir, "state", err) : r;
}

void es_store_touch(struct es_store *store)
{
    utimensat(store->halves[es_store_pointer_half(store)].dir, "current", NULL,
              AT_SYMLINK_NOFOLLOW);
}

void es_store_touch_file(struct es_store *store, enum es_half half, const char *name)
{
    char path[ES_SET_ID + 64];

    snprintf(path, sizeof path, "%s/%s", store->current, name);
    utimensat(store->halves[half].dir, path, NULL, AT_SYMLINK_NOFOLLOW);
}

void es_store_published(struct es_store *store)
{
    es_store_touch_file(store, es_store_pointer_half(store), "manifest");
}
