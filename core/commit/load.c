/* See store.h: reading sets back, and whether the present one counts. The directories are root's
 * alone; what is read from them is still decoded with every length checked, and a set that does not
 * hold together counts as none. Nothing here writes. */
#include "inner.h"

#include "sealed.h"
#include "sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINE = 4096 };

/* ---- files ---- */

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
        return es_store_broken(path, err);
    if (fd >= 0 && fstat(fd, &st) < 0)
        return es_store_broken(path, err);
    if (fd < 0 || !S_ISREG(st.st_mode))
        return es_fail(err, ES_OUTPUT, EINVAL, "state: %s is no regular file; remove it", path);
    r = es_buf_read_fd(ret, fd, ES_MAX_STORED + ES_SUM);
    if (r == -ENOMEM)
        return es_nomem(err);
    /* Nothing so large was ever written. */
    if (r == -EFBIG)
        return es_fail(err, ES_OUTPUT, EBADMSG, "state: %s is damaged", path);
    if (r < 0)
        return es_fail_errno(err, ES_OUTPUT, -r, "state: %s", path);
    if (ret_ms)
        *ret_ms = time_of(&st);
    return 0;
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

int es_store_read_note(const struct es_store *store, const char *id, const char *name,
                       struct es_buf *ret, struct es_err *err)
{
    int r = es_store_read(store, id, es_store_pointer_half(store), name, ret, NULL, err);

    /* Of a set whose successor leaves the disk. */
    return r == -ENOENT && store->left.dir >= 0
               ? es_store_read(store, id, ES_HALF_DISK, name, ret, NULL, err)
               : r;
}

/* ---- sets ---- */

/* One line of a file such as /etc/machine-id; empty where there is none. */
static int read_line(const char *path, struct es_buf *ret, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r;

    es_buf_clear(ret);
    if (fd < 0 && errno == ENOENT)
        return 0;
    r = fd < 0 ? -errno : es_buf_read_fd(ret, fd, MAX_LINE);
    if (r == -ENOMEM)
        return es_nomem(err);
    /* To be taken for another machine or boot would make a memory count as none. */
    if (r < 0)
        return es_fail_errno(err, ES_INTERNAL, -r, "%s", path);
    ret->len = strcspn(es_buf_str(ret), "\n");
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

/* 1 where what the set has below /run is there, 0 where it is not. Only that it is not there says
 * so: what counts as lost is fetched anew. */
static int has_run_half(const struct es_store *store, const char *id, const struct es_manifest *set,
                        struct es_err *err)
{
    int dir = store->halves[ES_HALF_RUN].dir;
    struct stat st;

    if (!es_manifest_has_run_half(set))
        return 1;
    if (dir < 0)
        return 0;
    if (fstatat(dir, id, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    return errno == ENOENT ? 0 : es_store_broken(id, err);
}

/* -EBADMSG where an output of a set is damaged or missing. What went with a boot is neither. */
static int check_outputs(const struct es_store *store, const char *id,
                         const struct es_manifest *set, bool run_half, struct es_err *err)
{
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
    int r = es_manifest_bind(&now, config, err);
    bool run_half;

    if (r < 0)
        return r;
    if (!es_buf_equal(&store->set.config_file, &now.config_file))
        return es_fail(err, ES_CONFIG, EEXIST,
                       "%s: the state of \"%s\" belongs to %s; give one of the two another name",
                       config->file, config->name, es_buf_str(&store->set.config_file));
    /* An image that was baked on another machine: its set is no memory of this one, and nobody has
     * gone back here. */
    if (!es_buf_equal(&store->set.machine_id, &now.machine_id)) {
        store->foreign = true;
        store->held = false;
        return 0;
    }
    r = has_run_half(store, store->current, &store->set, err);
    if (r < 0)
        return r;
    run_half = r > 0;
    r = check_outputs(store, store->current, &store->set, run_half, err);
    if (r == -EBADMSG) {
        es_report_add(report, ES_LEVEL_WARNING, "%s; the last set of %s is not used", err->msg,
                      config->name);
        store->damaged = true;
        return 0;
    }
    if (r < 0)
        return r;
    store->usable = true;
    if (run_half)
        return 0;
    store->run_lost = true;
    /* What only this host's keys open is the set's, whoever has emptied /run. */
    if (!es_buf_equal(&store->set.boot_id, &now.boot_id))
        return 0;
    r = es_sealed_is_there(store, err);
    if (r == 0) {
        store->usable = false;
        es_report_add(report, ES_LEVEL_WARNING,
                      "state: half of the last set is gone from /run/envsync/%s since this boot; "
                      "it is not used",
                      config->name);
    }
    return r < 0 ? r : 0;
}

/* -ENOENT also for one that is damaged: that is for good, other errors are of this moment. */
static int read_manifest(const struct es_store *store, const char *id, struct es_manifest *ret,
                         int64_t *ret_ms, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = es_store_read(store, id, es_store_pointer_half(store), "manifest", &text, ret_ms, err);

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
    if (!es_buf_equal(&set.machine_id, &store->set.machine_id))
        return 0;
    r = has_run_half(store, store->previous, &set, err);
    if (r <= 0)
        return r;
    r = check_outputs(store, store->previous, &set, true, err);
    return r == 0 ? 1 : r == -EBADMSG ? 0 : r;
}

bool es_store_outputs_lost(const struct es_store *store)
{
    for (size_t i = 0; store->run_lost && i < store->set.n_outputs; i++)
        if (!store->set.outputs[i].on_disk)
            return true;
    return false;
}

int es_store_check_hold(const struct es_store *store, const char *name, struct es_err *err)
{
    if (!store->damaged && !es_store_outputs_lost(store))
        return 0;
    return es_fail(err, ES_ABSENT, ENODATA,
                   "the set that a rollback of %s holds is %s; `envsync sync --release` fetches "
                   "anew",
                   name, store->damaged ? "damaged" : "gone from /run/envsync");
}

/* ---- the present set ---- */

bool es_store_id_valid(const char *id, size_t len)
{
    return len == ES_SET_ID && strspn(id, "0123456789abcdef") >= ES_SET_ID;
}

/* "ID PREVIOUS HOLD SUM\n", "-" for none. */
int es_pointer_format(const char *id, const char *previous, bool held, char text[ES_POINTER])
{
    int n =
        snprintf(text, ES_POINTER, "%s %s %s", id, *previous ? previous : "-", held ? "held" : "-");
    uint64_t sum = es_sum_add(0, text, (size_t)n);

    return n + snprintf(text + n, ES_POINTER - (size_t)n, " %016llx\n", (unsigned long long)sum);
}

/* What does not read as it was written is damaged. */
static bool parse_pointer(struct es_store *store, const struct es_buf *text)
{
    char current[32], previous[32], hold[8], again[ES_POINTER];

    if (sscanf(es_buf_str(text), "%31s %31s %7s", current, previous, hold) != 3 ||
        !es_store_id_valid(current, strlen(current)))
        return false;
    if (!es_store_id_valid(previous, strlen(previous)))
        previous[0] = '\0';
    es_pointer_format(current, previous, strcmp(hold, "held") == 0, again);
    if (!es_buf_is(text, again))
        return false;
    memcpy(store->current, current, ES_SET_ID + 1);
    memcpy(store->previous, previous, strlen(previous) + 1);
    store->held = strcmp(hold, "held") == 0;
    return true;
}

int es_store_load(struct es_store *store, const struct es_config *config, struct es_report *report,
                  struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    enum es_half half = es_store_pointer_half(store);
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
