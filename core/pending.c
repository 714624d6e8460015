/* See pending.h. The notes lie in the state directory, which only root may enter, and are read with
 * every length checked all the same; of one that does not hold together, all is due. */
#include "pending.h"

#include "rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char note[] = "pending";
static const char magic[] = "envsync pending 1\n";

/* ---- does anything change? ---- */

static const struct es_kept_output *find_output(const struct es_manifest *set,
                                                const struct es_buf *path, size_t *ret_number)
{
    for (size_t i = 0; i < set->n_outputs; i++)
        if (es_buf_equal(&set->outputs[i].path, path)) {
            *ret_number = i;
            return &set->outputs[i];
        }
    return NULL;
}

/* What a set says is in an output. -ENOENT where that is not known any more. */
static int read_output(const struct es_store *store, const char *id, const struct es_manifest *set,
                       const struct es_buf *path, struct es_buf *ret, bool *ret_named,
                       struct es_err *err)
{
    size_t number = 0;
    const struct es_kept_output *output = find_output(set, path, &number);

    *ret_named = output != NULL;
    if (!output)
        return 0;
    return es_store_read(store, id, es_half_of(output->on_disk), es_output_file(number).text, ret,
                         NULL, err);
}

/* An output that the present set does not name is new; one whose text was lost with an earlier boot
 * is only put back. */
static int output_changes(const struct es_store *store, const struct es_buf *path,
                          const struct es_buf *text, bool *ret, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf before = {0};
    bool named;
    int r = read_output(store, store->current, &store->set, path, &before, &named, err);

    if (r == 0)
        *ret = !named || !es_buf_equal(&before, text);
    return r == -ENOENT ? 0 : r;
}

static int compare_path(const void *path, const void *file)
{
    return es_key_compare(path, &((const struct es_kept_file *)file)->path);
}

/* Files are in order, and behind them those that were gone already. */
static const struct es_kept_file *find_file(const struct es_kept_file *files, size_t n,
                                            const struct es_buf *path)
{
    while (n > 0 && files[n - 1].gone)
        n--;
    return n ? bsearch(path, files, n, sizeof *files, compare_path) : NULL;
}

/* One that somebody has deleted or changed here comes back from the same object: no change. */
static bool file_changes(const struct es_run *run, const struct es_file_result *result)
{
    const struct es_manifest *old = &run->memory.store.set;
    const struct es_mirror *mirror = &run->fetched.mirror;
    const struct es_buf path = {.data = result->path, .len = strlen(result->path)};
    const struct es_kept_file *before, *now;

    if (result->state == ES_FILE_REMOVE)
        return true;
    if (result->state != ES_FILE_CREATE && result->state != ES_FILE_UPDATE)
        return false;
    before = find_file(old->files, old->n_files, &path);
    now = find_file(mirror->files, mirror->n_files, &path);
    return !before || !now || before->object.size != now->object.size ||
           !es_buf_equal(&before->object.version, &now->object.version);
}

int es_pending_find(struct es_run *run, struct es_err *err)
{
    const struct es_store *store = &run->memory.store;
    int r = 0;

    if (run->config.on_change.n == 0 || !store->usable)
        return 0;
    for (size_t i = 0; r == 0 && !run->changes && i < run->set.n; i++) {
        const struct es_piece *piece = &run->set.pieces[i];
        char *path = piece->output->path;
        const struct es_buf name = {.data = path, .len = strlen(path)};

        if (!piece->kept)
            r = output_changes(store, &name, &piece->text, &run->changes, err);
    }
    for (size_t i = 0; r == 0 && !run->changes && i < run->fetched.mirror.n_results; i++)
        run->changes = file_changes(run, &run->fetched.mirror.results[i]);
    return r;
}

/* ---- notes ---- */

static int put_action(struct es_buf *out, const struct es_action *action)
{
    int r = es_put_u8(out, (uint8_t)action->kind);

    if (r == 0)
        r = es_put_u32(out, (uint32_t)action->n);
    for (size_t i = 0; r == 0 && i < action->n; i++)
        r = es_put_bytes(out, action->words[i], strlen(action->words[i]));
    return r;
}

static int encode(const struct es_on_change *on_change, const bool *due, struct es_buf *out)
{
    int r = es_buf_puts(out, magic);

    for (size_t i = 0; r == 0 && i < on_change->n; i++)
        if (due[i])
            r = put_action(out, &on_change->actions[i]);
    return r;
}

/* 1, 0, or -ENOMEM: what is due must not be forgotten for that. */
static int is_action(const struct es_action *action, const struct es_buf *encoded)
{
    ES_CLEANUP(es_buf_done) struct es_buf own = {0};
    int r = put_action(&own, action);

    return r < 0 ? r : es_buf_equal(&own, encoded);
}

/* The bytes of one action. */
static int get_action(struct es_cursor *in, struct es_buf *ret)
{
    const char *start = in->p;
    uint32_t n = 0;
    uint8_t kind;
    int r = es_get_u8(in, &kind);

    if (r == 0)
        r = es_get_u32(in, &n);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf word = {0};

        r = es_get_bytes(in, &word);
    }
    return r == 0 ? es_buf_set(ret, start, (size_t)(in->p - start)) : r;
}

static int decode(const struct es_on_change *on_change, const struct es_buf *text, bool *ret)
{
    struct es_cursor in = {.p = es_buf_str(text), .left = text->len};
    size_t head = strlen(magic);
    int r = 0;

    if (in.left < head || memcmp(in.p, magic, head) != 0)
        return -EBADMSG;
    in.p += head;
    in.left -= head;
    while (r == 0 && in.left > 0) {
        ES_CLEANUP(es_buf_done) struct es_buf encoded = {0};

        r = get_action(&in, &encoded);
        for (size_t i = 0; r == 0 && i < on_change->n; i++) {
            int is = is_action(&on_change->actions[i], &encoded);

            ret[i] = ret[i] || is > 0;
            r = is < 0 ? is : 0;
        }
    }
    return r;
}

int es_pending_read(const struct es_config *config, const struct es_store *store, bool *ret,
                    struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r;

    memset(ret, 0, config->on_change.n * sizeof *ret);
    if (config->on_change.n == 0 || !store->usable)
        return 0;
    r = es_store_read_note(store, store->current, note, &text, err);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = decode(&config->on_change, &text, ret);
    for (size_t i = 0; r == -EBADMSG && i < config->on_change.n; i++)
        ret[i] = true;
    return r == -ENOMEM ? es_nomem(err) : r == -EBADMSG ? 0 : r;
}

/* Into the set `id`. */
static int write_to(const struct es_config *config, const struct es_store *store, const char *id,
                    const bool *due, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    bool any = false;

    for (size_t i = 0; i < config->on_change.n; i++)
        any |= due[i];
    if (encode(&config->on_change, due, &text) < 0)
        return es_nomem(err);
    return es_store_note(store, id, note, any ? &text : NULL, err);
}

int es_pending_write(const struct es_config *config, const struct es_store *store, const bool *due,
                     struct es_err *err)
{
    return write_to(config, store, store->current, due, err);
}

/* All of it where something changes, else what is left of the present set. */
static int hand_on(const struct es_run *run, const char *id, struct es_err *err)
{
    bool due[ES_MAX_ACTIONS];
    int r = es_pending_read(&run->config, &run->memory.store, due, err);

    for (size_t i = 0; r == 0 && i < run->config.on_change.n; i++)
        due[i] = due[i] || run->changes;
    return r == 0 ? write_to(&run->config, &run->memory.store, id, due, err) : r;
}

int es_pending_stage(const struct es_run *run, struct es_err *err)
{
    return run->config.on_change.n ? hand_on(run, run->memory.store.begun, err) : 0;
}

/* Mirrored files stay as they are in a rollback, so only outputs count. */
int es_pending_go_back(struct es_run *run, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest set = {0};
    const struct es_store *store = &run->memory.store;
    int r = run->config.on_change.n ? es_store_manifest(store, store->previous, &set, err) : 0;

    if (r < 0) {
        es_context(err, "state of %s: the earlier set", run->config.name);
        return r;
    }
    for (size_t i = 0; r == 0 && !run->changes && i < set.n_outputs; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        bool named;

        r = read_output(store, store->previous, &set, &set.outputs[i].path, &text, &named, err);
        if (r == 0)
            r = output_changes(store, &set.outputs[i].path, &text, &run->changes, err);
    }
    return r == 0 && run->config.on_change.n ? hand_on(run, store->previous, err) : r;
}
