/* See sealed.h. The sealed copy lies in root's own directory, but is there to be read where a disk
 * was in other hands: it is decoded with every length checked, and only what this host's own keys
 * open is used. */
#include "sealed.h"

#include "inner.h"

#include "../clock.h"
#include "../creds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_CHUNKS = 60, /* so that a sealed copy can be read again, see inner.h */
    MOST_MS = 20000, /* for one chunk; a TPM takes seconds */
    LEAST_MS = 3000, /* for all: what was fetched in time is kept, also late */
};

static const char file_name[] = "sealed";
static const char magic[] = "envsync sealed 1\n";

/* What systemd-creds made with no key at all begins with: that of systems without a TPM. It would
 * open it, and everybody can make it. */
static const char no_key[] = "BYRp2vb1QySABUnaD46i+";

struct time_name {
    char text[64];
};

static struct time_name time_of(const char *name)
{
    struct time_name time;

    snprintf(time.text, sizeof time.text, "%.50s.time", name);
    return time;
}

void es_unsealed_done(struct es_unsealed *unsealed)
{
    for (size_t i = 0; i < unsealed->n; i++) {
        es_buf_done(&unsealed->files[i].name);
        es_buf_done(&unsealed->files[i].text);
    }
    free(unsealed->files);
    *unsealed = (struct es_unsealed){0};
}

/* ---- bundles ---- */

int es_bundle_begin(struct es_buf *bundle, const struct es_config *config)
{
    es_buf_clear(bundle);
    return es_put_bytes(bundle, config->file, strlen(config->file));
}

int es_bundle_add(struct es_buf *bundle, const char *name, int64_t ms, const struct es_buf *text)
{
    int r = es_put_bytes(bundle, name, strlen(name));

    if (r == 0)
        r = es_put_u64(bundle, (uint64_t)ms);
    return r == 0 ? es_put_bytes(bundle, es_buf_str(text), text->len) : r;
}

static int take_file(struct es_cursor *in, struct es_unsealed *unsealed)
{
    struct es_unsealed_file *files = reallocarray(unsealed->files, unsealed->n + 1, sizeof *files);
    struct es_unsealed_file *file;
    uint64_t ms = 0;
    int r;

    if (!files)
        return -ENOMEM;
    unsealed->files = files;
    file = &files[unsealed->n++];
    *file = (struct es_unsealed_file){0};
    r = es_get_bytes(in, &file->name);
    if (r == 0)
        r = es_get_u64(in, &ms);
    file->ms = (int64_t)ms;
    return r == 0 ? es_get_bytes(in, &file->text) : r;
}

static int decode_bundle(const struct es_buf *bundle, const struct es_config *config,
                         struct es_unsealed *ret)
{
    ES_CLEANUP(es_unsealed_done) struct es_unsealed unsealed = {0};
    ES_CLEANUP(es_buf_done) struct es_buf file = {0};
    struct es_cursor in = {.p = es_buf_str(bundle), .left = bundle->len};
    int r = es_get_bytes(&in, &file);

    if (r == 0 && !es_buf_is(&file, config->file))
        return -EBADMSG;
    while (r == 0 && in.left > 0)
        r = take_file(&in, &unsealed);
    if (r < 0)
        return r;
    *ret = unsealed;
    unsealed = (struct es_unsealed){0};
    return 0;
}

/* ---- chunks ---- */

struct chunk_name {
    char text[64];
};

static struct chunk_name chunk_name(const char *id, uint32_t number, uint32_t n)
{
    struct chunk_name name;

    snprintf(name.text, sizeof name.text, "envsync-%s-%u-%u", id, number, n);
    return name;
}

static int64_t soon(int64_t deadline)
{
    int64_t most = es_clock_ms() + MOST_MS;

    return most < deadline ? most : deadline;
}

static int seal(const char *id, const struct es_buf *bundle, int64_t deadline, struct es_buf *ret,
                struct es_err *err)
{
    uint32_t n = (uint32_t)((bundle->len + ES_CREDS_CHUNK - 1) / ES_CREDS_CHUNK);
    int r = es_buf_puts(ret, magic);

    if (bundle->len > (size_t)MAX_CHUNKS * ES_CREDS_CHUNK)
        return es_fail(err, ES_INVALID, EFBIG,
                       "what lies below /run is over %d MiB and cannot be sealed; set [last_good] "
                       "at_rest to \"no\"",
                       MAX_CHUNKS * (ES_CREDS_CHUNK >> 10) >> 10);
    if (r == 0)
        r = es_put_u32(ret, n);
    if (r < 0)
        return es_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf chunk = {0};
        size_t at = (size_t)i * ES_CREDS_CHUNK, left = bundle->len - at;

        r = es_creds_run(ES_CREDS_ENCRYPT, chunk_name(id, i, n).text, bundle->data + at,
                         left < ES_CREDS_CHUNK ? left : ES_CREDS_CHUNK, soon(deadline), &chunk,
                         err);
        if (r < 0) {
            es_context(err, "the set cannot be sealed");
            es_advise(err,
                      "`systemd-creds encrypt --name=test - - </dev/null` tells more; where a unit "
                      "may not write /var/lib/systemd, run `systemd-creds setup` once");
            return r;
        }
        if (es_put_bytes(ret, chunk.data, chunk.len) < 0)
            return es_nomem(err);
    }
    return 0;
}

static int damaged(struct es_err *err)
{
    return es_fail(err, ES_OUTPUT, EBADMSG, "it is damaged");
}

/* systemd-creds passes over white space, wherever it is. */
static bool has_no_key(const char *text)
{
    const char *key = no_key;

    for (; *key && *text; text++)
        if (!strchr(" \t\n\r\v\f", *text) && *text != *key++)
            return false;
    return *key == '\0';
}

static int unseal_chunk(const char *name, struct es_cursor *in, int64_t deadline,
                        struct es_buf *bundle, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf chunk = {0}, text = {0};
    int r = es_get_bytes(in, &chunk);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0)
        return damaged(err);
    if (has_no_key(es_buf_str(&chunk)))
        return es_fail(err, ES_OUTPUT, EBADMSG, "it is sealed with no key");
    r = es_creds_run(ES_CREDS_DECRYPT, name, chunk.data, chunk.len, soon(deadline), &text, err);
    if (r < 0)
        return r;
    return es_buf_append(bundle, es_buf_str(&text), text.len) < 0 ? es_nomem(err) : 0;
}

static int unseal(const char *id, const struct es_buf *sealed, int64_t deadline,
                  struct es_buf *bundle, struct es_err *err)
{
    size_t head = strlen(magic);
    struct es_cursor in = {.p = es_buf_str(sealed), .left = sealed->len};
    uint32_t n;
    int r = 0;

    if (in.left < head || memcmp(in.p, magic, head) != 0)
        return damaged(err);
    in.p += head;
    in.left -= head;
    if (es_get_u32(&in, &n) < 0 || n > MAX_CHUNKS)
        return damaged(err);
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = unseal_chunk(chunk_name(id, i, n).text, &in, deadline, bundle, err);
    return r == 0 && in.left > 0 ? damaged(err) : r;
}

/* ---- the copy of a set ---- */

int es_sealed_write(struct es_store *store, const struct es_buf *bundle, int64_t deadline,
                    struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf sealed = {0};
    int64_t least = es_clock_ms() + LEAST_MS;
    int r = seal(store->begun, bundle, deadline > least ? deadline : least, &sealed, err);

    return r < 0 ? r
                 : es_store_write(store, ES_HALF_DISK, file_name, sealed.data, sealed.len, 0, err);
}

/* Is there such a file, or with "." the set's directory? 1, 0, or negative. */
static int has(const struct es_store *store, const char *id, enum es_half half, const char *name,
               struct es_err *err)
{
    char path[ES_SET_ID + 64];
    struct stat st;

    if (store->halves[half].dir < 0)
        return 0;
    snprintf(path, sizeof path, "%s/%s", id, name);
    if (fstatat(store->halves[half].dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    return errno == ENOENT ? 0 : es_store_broken(path, err);
}

int es_sealed_is_there(const struct es_store *store, struct es_err *err)
{
    return has(store, store->current, ES_HALF_DISK, file_name, err);
}

/* Has a set that may be used here a sealed copy, and lost what that is of? */
static int to_be_opened(const struct es_store *store, const struct es_config *config,
                        const char *id, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest set = {0}, now = {0};
    struct es_err why;
    int r;

    if (!store->usable || !id[0])
        return 0;
    r = has(store, id, ES_HALF_RUN, ".", err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = has(store, id, ES_HALF_DISK, file_name, err);
    if (r <= 0)
        return r;
    r = es_store_manifest(store, id, &set, &why);
    if (r == 0)
        r = es_manifest_bind(&now, config, &why);
    if (r < 0) {
        *err = why;
        return r == -ENOENT ? 0 : r;
    }
    return es_manifest_has_run_half(&set) && es_buf_equal(&set.machine_id, &now.machine_id);
}

int es_sealed_time(struct es_store *store, const char *name, int64_t ms, struct es_err *err)
{
    return es_store_write(store, ES_HALF_DISK, time_of(name).text, "", 0, ms, err);
}

void es_sealed_touch(struct es_store *store, const char *name)
{
    es_store_touch_file(store, ES_HALF_DISK, time_of(name).text);
}

/* Runs that changed nothing have only moved the time outside; without one, what is inside counts.
 */
static int take_times(const struct es_store *store, const char *id, struct es_unsealed *unsealed)
{
    int r = 0;

    for (size_t i = 0; r != -ENOMEM && i < unsealed->n; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf empty = {0};
        struct es_unsealed_file *file = &unsealed->files[i];
        struct es_err ignored;

        if (file->ms != 0)
            r = es_store_read(store, id, ES_HALF_DISK, time_of(es_buf_str(&file->name)).text,
                              &empty, &file->ms, &ignored);
    }
    return r == -ENOMEM ? r : 0;
}

static int open_copy(const struct es_store *store, const struct es_config *config, const char *id,
                     int64_t deadline, struct es_unsealed *ret, struct es_err *err)
{
    ES_CLEANUP(es_unsealed_done) struct es_unsealed unsealed = {0};
    ES_CLEANUP(es_buf_done) struct es_buf sealed = {0}, bundle = {0};
    int r = es_store_read(store, id, ES_HALF_DISK, file_name, &sealed, NULL, err);

    if (r == 0)
        r = unseal(id, &sealed, deadline, &bundle, err);
    if (r < 0)
        return r;
    r = decode_bundle(&bundle, config, &unsealed);
    if (r == 0)
        r = take_times(store, id, &unsealed);
    if (r < 0)
        return r == -ENOMEM ? es_nomem(err) : damaged(err);
    memcpy(unsealed.id, id, sizeof unsealed.id);
    *ret = unsealed;
    unsealed = (struct es_unsealed){0};
    return 0;
}

int es_sealed_open(struct es_store *store, const struct es_config *config, const char *id,
                   int64_t deadline, struct es_report *report, struct es_err *err)
{
    struct es_err why = {0};
    int r = to_be_opened(store, config, id, err);

    if (r <= 0)
        return r;
    es_unsealed_done(&store->unsealed);
    r = open_copy(store, config, id, deadline, &store->unsealed, &why);
    if (r == -EINTR || r == -ENOMEM) {
        *err = why;
        return r;
    }
    if (r < 0)
        es_report_add(report, ES_LEVEL_WARNING,
                      "state: the sealed copy of what %s had below /run does not open here and "
                      "counts as none: %s",
                      config->name, why.msg);
    else if (strcmp(id, store->current) == 0)
        store->run_lost = false;
    return r == 0;
}

int es_sealed_restore(struct es_store *store, const struct es_config *config, const char *id,
                      int64_t deadline, struct es_report *report, struct es_err *err)
{
    int r = es_sealed_open(store, config, id, deadline, report, err);

    if (r <= 0)
        return r;
    r = es_store_begin(store, err);
    for (size_t i = 0; r == 0 && i < store->unsealed.n; i++) {
        const struct es_unsealed_file *file = &store->unsealed.files[i];

        r = es_store_write_for(store, id, ES_HALF_RUN, es_buf_str(&file->name),
                               es_buf_str(&file->text), file->text.len, file->ms, err);
    }
    if (r == 0)
        r = es_store_adopt(store, id, err);
    es_unsealed_done(&store->unsealed);
    es_store_abandon(store);
    return r;
}
