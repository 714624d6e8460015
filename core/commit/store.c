/* See store.h. Both directories are root's alone; what is read back from them is still decoded with
 * every length checked, and a set that does not hold together counts as none. */
#include "store.h"

#include "envsync/limits.h"
#include "sealed.h"
#include "sum.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_STORED = 64 << 20, /* bytes of one file of the store */
    POINTER = 96,
};

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

static int broken(const char *what, struct es_err *err)
{
    return es_fail_errno(err, errno == EACCES || errno == EPERM ? ES_DENIED : ES_OUTPUT, errno,
                         "state: %s", what);
}

static int64_t time_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

/* Reads a file below a directory. -ENOENT has a message, too. */
static int read_file(int dir, const char *path, struct es_buf *ret, int64_t *ret_ms,
                     struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0 && errno != ELOOP && errno != ENXIO)
        return broken(path, err);
    if (fd >= 0 && fstat(fd, &st) < 0)
        return broken(path, err);
    if (fd < 0 || !S_ISREG(st.st_mode))
        return es_fail(err, ES_OUTPUT, EINVAL, "state: %s is no regular file; remove it", path);
    r = es_buf_read_fd(ret, fd, MAX_STORED + ES_SUM);
    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0)
        return es_fail_errno(err, ES_OUTPUT, -r, "state: %s", path);
    if (ret_ms)
        *ret_ms = time_of(&st);
    return 0;
}

bool es_store_id_valid(const char *id, size_t len)
{
    return len == ES_SET_ID && strspn(id, "0123456789abcdef") >= ES_SET_ID;
}

/* "ID PREVIOUS HOLD SUM\n", "-" for none. */
static int write_pointer(const char *id, const char *previous, bool held, char text[POINTER])
{
    int n =
        snprintf(text, POINTER, "%s %s %s", id, *previous ? previous : "-", held ? "held" : "-");
    uint64_t sum = es_sum_add(0, text, (size_t)n);

    return n + snprintf(text + n, POINTER - (size_t)n, " %016llx\n", (unsigned long long)sum);
}

/* What does not read as it was written is damaged. */
static bool parse_pointer(struct es_store *store, const struct es_buf *text)
{
    char current[32], previous[32], hold[8], again[POINTER];

    if (sscanf(es_buf_str(text), "%31s %31s %7s", current, previous, hold) != 3 ||
        !es_store_id_valid(current, strlen(current)))
        return false;
    if (!es_store_id_valid(previous, strlen(previous)))
        previous[0] = '\0';
    write_pointer(current, previous, strcmp(hold, "held") == 0, again);
    if (!es_buf_is(text, again))
        return false;
    memcpy(store->current, current, ES_SET_ID + 1);
    memcpy(store->previous, previous, strlen(previous) + 1);
    store->held = strcmp(hold, "held") == 0;
    return true;
}

static enum es_half pointer_half(const struct es_store *store)
{
    return store->halves[ES_HALF_DISK].dir >= 0 ? ES_HALF_DISK : ES_HALF_RUN;
}

int es_store_directory(const struct es_store *store)
{
    return store->halves[pointer_half(store)].dir;
}

/* Takes the sum off. */
static int take_sum(const char *id, const char *name, struct es_buf *text, struct es_err *err)
{
    size_t len = text->len < ES_SUM ? 0 : text->len - ES_SUM;
    const struct es_sum sum = es_sum_of(id, name, es_buf_str(text), len);

    if (text->len < ES_SUM || memcmp(text->data + len, sum.bytes, ES_SUM) != 0)
        return es_fail(err, ES_OUTPUT, EBADMSG, "state: %s/%s is damaged", id, name);
    text->data[len] = '\0';
    text->len = len;
    return 0;
}

static int read_unsealed(const struct es_unsealed *unsealed, const char *name, struct es_buf *ret,
                         int64_t *ret_ms, struct es_err *err)
{
    for (size_t i = 0; i < unsealed->n; i++) {
        const struct es_unsealed_file *file = &unsealed->files[i];

        if (!es_buf_is(&file->name, name))
            continue;
        if (ret_ms)
            *ret_ms = file->ms;
        return es_buf_append(ret, es_buf_str(&file->text), file->text.len) < 0 ? es_nomem(err) : 0;
    }
    return es_fail(err, ES_OUTPUT, ENOENT, "state: %s is not there", name);
}

int es_store_read(const struct es_store *store, const char *id, enum es_half half, const char *name,
                  struct es_buf *ret, int64_t *ret_ms, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int dir = store->halves[half].dir;
    char path[ES_SET_ID + 64];
    int64_t ms = 0;
    int r;

    if (half == ES_HALF_RUN && strcmp(id, store->unsealed.id) == 0)
        return read_unsealed(&store->unsealed, name, ret, ret_ms, err);
    if (half == ES_HALF_DISK && dir < 0)
        dir = store->left.dir;
    if (dir < 0)
        return es_fail(err, ES_OUTPUT, ENOENT, "state: %s is not there", name);
    snprintf(path, sizeof path, "%s/%s", id, name);
    r = read_file(dir, path, &text, &ms, err);
    if (r == 0)
        r = take_sum(id, name, &text, err);
    if (r < 0)
        return r;
    es_buf_move(ret, &text);
    if (ret_ms)
        *ret_ms = ms;
    return 0;
}

/* One line of a file such as /etc/machine-id; empty where there is none. */
static int read_line(const char *path, struct es_buf *ret, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char line[64];
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line);

    /* To be taken for another machine or boot would make a memory count as none. */
    if ((fd < 0 && errno != ENOENT) || n < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "%s", path);
    es_buf_clear(ret);
    if (n > 0 && es_buf_append(ret, line, strnlen(line, (size_t)n)) < 0)
        return es_nomem(err);
    ret->len = ret->data ? strcspn(ret->data, "\n") : 0;
    return 0;
}

int es_manifest_bind(struct es_manifest *manifest, const struct es_config *config,
                     struct es_err *err)
{
    int r;

    if (es_buf_set(&manifest->config_file, config->file, strlen(config->file)) < 0)
        return es_nomem(err);
    r = read_line("/etc/machine-id", &manifest->machine_id, err);
    return r < 0 ? r : read_line("/proc/sys/kernel/random/boot_id", &manifest->boot_id, err);
}

/* Is what the set has below /run there? */
static bool run_half_is_there(const struct es_store *store, const char *id,
                              const struct es_manifest *set)
{
    int dir = store->halves[ES_HALF_RUN].dir;
    struct stat st;

    return !es_manifest_has_run_half(set) ||
           (dir >= 0 && fstatat(dir, id, &st, AT_SYMLINK_NOFOLLOW) == 0);
}

/* -EBADMSG where an output of a set is damaged or missing. What went with a boot is neither. */
static int check_outputs(const struct es_store *store, const char *id,
                         const struct es_manifest *set, struct es_err *err)
{
    bool run_half = run_half_is_there(store, id, set);
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n_outputs; i++) {
        enum es_half half = es_half_of(set->outputs[i].on_disk);
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};

        if (half == ES_HALF_RUN && !run_half)
            continue;
        r = es_store_read(store, id, half, es_output_file(i).text, &text, NULL, err);
        if (r == -ENOENT)
            r = es_fail(err, ES_OUTPUT, EBADMSG, "state: %s/%s is missing", id,
                        es_output_file(i).text);
    }
    return r;
}

/* Is the loaded set one that this run may build on? */
static int judge(struct es_store *store, const struct es_config *config, struct es_report *report,
                 struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest now = {0};
    int r;

    r = es_manifest_bind(&now, config, err);
    if (r < 0)
        return r;
    if (!es_buf_equal(&store->set.config_file, &now.config_file))
        return es_fail(err, ES_CONFIG, EEXIST,
                       "%s: the state of \"%s\" belongs to %s; give one of the two another name",
                       config->file, config->name, es_buf_str(&store->set.config_file));
    /* An image that was baked on another machine: its set is no memory of this one. */
    if (!es_buf_equal(&store->set.machine_id, &now.machine_id))
        return 0;
    r = check_outputs(store, store->current, &store->set, err);
    if (r == -EBADMSG) {
        es_report_add(report, ES_LEVEL_WARNING, "%s; the last set of %s is not used", err->msg,
                      config->name);
        store->damaged = true;
        return 0;
    }
    if (r < 0)
        return r;
    store->usable = true;
    if (run_half_is_there(store, store->current, &store->set))
        return 0;
    store->run_lost = true;
    /* What only this host's keys open is the set's, whoever has emptied /run. */
    if (es_buf_equal(&store->set.boot_id, &now.boot_id) && !es_sealed_is_there(store)) {
        store->usable = false;
        es_report_add(report, ES_LEVEL_WARNING,
                      "state: half of the last set is gone from /run/envsync/%s since this boot; "
                      "it is not used",
                      config->name);
    }
    return 0;
}

/* -ENOENT also for one that is damaged: that is for good, other errors are of this moment. */
static int read_manifest(const struct es_store *store, const char *id, struct es_manifest *ret,
                         int64_t *ret_ms, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = es_store_read(store, id, pointer_half(store), "manifest", &text, ret_ms, err);

    if (r == -EBADMSG)
        return -ENOENT;
    if (r < 0)
        return r;
    r = es_manifest_decode(es_buf_str(&text), text.len, ret);
    if (r == -ENOMEM)
        return es_nomem(err);
    return r < 0 ? es_fail(err, ES_OUTPUT, ENOENT, "state: %s/manifest is none of this version", id)
                 : 0;
}

int es_store_manifest(const struct es_store *store, const char *id, struct es_manifest *ret,
                      struct es_err *err)
{
    return read_manifest(store, id, ret, NULL, err);
}

int es_store_can_go_back(const struct es_store *store, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest set = {0};
    int r = store->usable && store->previous[0]
                ? read_manifest(store, store->previous, &set, NULL, err)
                : -ENOENT;

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (!es_buf_equal(&set.machine_id, &store->set.machine_id) ||
        !run_half_is_there(store, store->previous, &set))
        return 0;
    r = check_outputs(store, store->previous, &set, err);
    return r == 0 ? 1 : r == -EBADMSG ? 0 : r;
}

bool es_store_outputs_lost(const struct es_store *store)
{
    for (size_t i = 0; store->run_lost && i < store->set.n_outputs; i++)
        if (!store->set.outputs[i].on_disk)
            return true;
    return false;
}

static int load(struct es_store *store, const struct es_config *config, struct es_report *report,
                struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    enum es_half half = pointer_half(store);
    int r;

    if (store->halves[half].dir < 0)
        return 0;
    r = read_file(store->halves[half].dir, "current", &text, &store->succeeded_ms, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (parse_pointer(store, &text)) {
        r = read_manifest(store, store->current, &store->set, &store->published_ms, err);
        if (r == 0)
            return judge(store, config, report, err);
        if (r != -ENOENT)
            return r;
    }
    es_report_add(report, ES_LEVEL_WARNING,
                  "state: the last set of %s cannot be read; it is not used", config->name);
    store->damaged = true;
    /* The previous set is still the one to go back to; a hold is worth more than the sweep. */
    if (!store->held)
        store->current[0] = '\0';
    return 0;
}

static bool has_pointer(const struct es_store *store, enum es_half half)
{
    int dir = store->halves[half].dir;

    return dir >= 0 && faccessat(dir, "current", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool has_left_disk(const struct es_store *store)
{
    return store->halves[ES_HALF_DISK].dir >= 0 && !has_pointer(store, ES_HALF_DISK) &&
           has_pointer(store, ES_HALF_RUN);
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
        /* Killed between its commit and its sweep. */
        if (!disk && has_left_disk(&store))
            es_store_leave_disk(&store, config);
        r = load(&store, config, report, err);
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
        return broken("random name", err);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(store->begun + 2 * i, 3, "%02x", random[i]);
    for (size_t i = 0; i < ES_HALVES; i++)
        if (store->halves[i].dir >= 0 && mkdirat(store->halves[i].dir, store->begun, 0700) < 0)
            return broken("new set", err);
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
        r = broken(name, err);
    if (r == 0)
        r = sync ? es_temp_seal(&temp, 0600, name, err) : es_temp_close(&temp, 0600, name, err);
    return r == 0 ? es_temp_rename(&temp, name, err) : r;
}

static int open_set(const struct es_store *store, enum es_half half, const char *id,
                    struct es_err *err)
{
    int fd = openat(store->halves[half].dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? broken(id, err) : fd;
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
    ES_CLEANUP(es_close) int dir = open_set(store, pointer_half(store), id, err);
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
        r = broken(name, err);
    if (r == 0 && fsync(dir) < 0)
        r = broken("fsync", err);
    return r;
}

int es_store_read_note(const struct es_store *store, const char *id, const char *name,
                       struct es_buf *ret, struct es_err *err)
{
    int r = es_store_read(store, id, pointer_half(store), name, ret, NULL, err);

    /* Of a set whose successor leaves the disk. */
    return r == -ENOENT && store->left.dir >= 0
               ? es_store_read(store, id, ES_HALF_DISK, name, ret, NULL, err)
               : r;
}

/* All files of the set, in one go, and then their names. */
static int sync_set(const struct es_store *store, enum es_half half, const char *id,
                    struct es_err *err)
{
    int fd = open_set(store, half, id, err);
    ES_CLEANUP(es_dir_close) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (fd < 0)
        return fd;
    if (!dir) {
        es_close(&fd);
        return broken(id, err);
    }
    while (errno = 0, (entry = readdir(dir))) {
        int r = entry->d_name[0] == '.' ? 0 : es_sync_file(fd, entry->d_name, "state", err);

        if (r < 0)
            return r;
    }
    if (errno != 0)
        return broken(id, err);
    if (fsync(fd) < 0)
        return broken("fsync", err);
    return es_sync_directory(store->halves[half].dir, "state", err);
}

int es_store_point(struct es_store *store, const char *id, const char *previous, bool held,
                   struct es_err *err)
{
    enum es_half half = pointer_half(store);
    char text[POINTER];
    int n = write_pointer(id, previous, held, text);
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
    if (text.len > MAX_STORED) /* nobody could read it again */
        return es_fail(err, ES_INVALID, EFBIG,
                       "state: what is to be kept of all objects is over %d MiB", MAX_STORED >> 20);
    r = es_store_write(store, pointer_half(store), "manifest", text.data, text.len, 0, err);
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
        r = broken("current", err);
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
        r = broken(id, err);
    return r == 0 ? es_sync_directory(dir, "state", err) : r;
}

void es_store_touch(struct es_store *store)
{
    utimensat(store->halves[pointer_half(store)].dir, "current", NULL, AT_SYMLINK_NOFOLLOW);
}

void es_store_touch_file(struct es_store *store, enum es_half half, const char *name)
{
    char path[ES_SET_ID + 64];

    snprintf(path, sizeof path, "%s/%s", store->current, name);
    utimensat(store->halves[half].dir, path, NULL, AT_SYMLINK_NOFOLLOW);
}

void es_store_published(struct es_store *store)
{
    es_store_touch_file(store, pointer_half(store), "manifest");
}
