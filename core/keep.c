/* See keep.h. */
#include "keep.h"

#include "commit/sealed.h"
#include "mirrored.h"
#include "pending.h"
#include "rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fill_sources(const struct es_run *run, struct es_manifest *m)
{
    const struct es_config *config = &run->config;

    m->complete = true;
    m->sources = calloc(config->n_sources + 1, sizeof *m->sources);
    if (!m->sources)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_sources; i++) {
        struct es_kept_source *from = &run->fetched.sources[i];
        struct es_kept_source *to = &m->sources[m->n_sources++];
        enum es_source_state state = run->fetched.states[i];
        const char *name = config->sources[i].name;

        *to = *from;
        *from = (struct es_kept_source){0};
        to->on_disk = es_source_rests(config, i);
        to->given = state == ES_SOURCE_GIVEN || state == ES_SOURCE_STALE;
        to->stale = state == ES_SOURCE_STALE;
        if (state == ES_SOURCE_SKIPPED || state == ES_SOURCE_STALE)
            m->complete = false;
        if (es_buf_puts(&to->name, name) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int fill_outputs(const struct es_run *run, struct es_manifest *m)
{
    m->outputs = calloc(run->set.n + 1, sizeof *m->outputs);
    if (!m->outputs)
        return -ENOMEM;
    for (; m->n_outputs < run->set.n; m->n_outputs++) {
        const struct es_output *output = run->set.pieces[m->n_outputs].output;
        struct es_kept_output *to = &m->outputs[m->n_outputs];

        to->on_disk = es_output_rests(&run->config, output);
        to->owner = (struct es_owner){output->uid, output->gid, (mode_t)output->mode};
        if (es_buf_puts(&to->path, output->path) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int copy_gone(struct es_manifest *m, uint32_t source, const struct es_kept_file *old)
{
    struct es_kept_file *file = es_manifest_add_file(m);

    if (!file)
        return -ENOMEM;
    file->source = source;
    file->gone = true;
    file->owner = old->owner;
    file->device = old->device;
    file->inode = old->inode;
    file->size = old->size;
    file->modified_ns = old->modified_ns;
    return es_buf_append(&file->path, old->path.data, old->path.len);
}

/* What was mirrored once and is no longer there is remembered, for a prune now or later. */
static int fill_gone(const struct es_run *run, struct es_manifest *m)
{
    const struct es_manifest *old = &run->memory.store.set;

    for (size_t i = 0; run->gone && i < old->n_files; i++)
        if (run->gone[i] >= 0 && copy_gone(m, (uint32_t)run->gone[i], &old->files[i]) < 0)
            return -ENOMEM;
    return 0;
}

static int fill_manifest(struct es_run *run, struct es_manifest *m, struct es_err *err)
{
    int r = es_manifest_bind(m, &run->config, err);

    if (r < 0)
        return r;
    r = es_put_value(&m->configured, &run->config.root);
    if (r == 0)
        r = fill_sources(run, m);
    if (r == 0)
        r = fill_outputs(run, m);
    if (r == 0) {
        m->files = run->fetched.mirror.files;
        m->n_files = run->fetched.mirror.n_files;
        run->fetched.mirror.files = NULL;
        run->fetched.mirror.n_files = run->fetched.mirror.cap_files = 0;
        r = fill_gone(run, m);
    }
    /* All on disk: after a reboot it is still the same set, and no new one takes the place of the
     * one that a rollback would go back to. */
    if (r == 0 && !es_manifest_has_run_half(m))
        es_buf_clear(&m->boot_id);
    return r < 0 ? es_nomem(err) : 0;
}

static int encode_records(const struct es_fetched *fetched, uint32_t source, struct es_buf *out)
{
    uint32_t n = 0;
    int r;

    for (size_t i = 0; i < fetched->n; i++)
        n += fetched->records[i].source == source;
    r = es_put_u32(out, n);
    for (size_t i = 0; r == 0 && i < fetched->n; i++)
        if (fetched->records[i].source == source)
            r = es_put_record(out, &fetched->records[i]);
    return r;
}

int es_keep_encode(const struct es_run *run, struct es_buf **ret, struct es_err *err)
{
    struct es_buf *texts = calloc(run->config.n_sources + 1, sizeof *texts);
    int r = texts ? 0 : -ENOMEM;

    for (uint32_t i = 0; r == 0 && i < run->config.n_sources; i++)
        r = encode_records(&run->fetched, i, &texts[i]);
    *ret = texts;
    return r < 0 ? es_nomem(err) : 0;
}

void es_keep_done(struct es_buf *texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++)
        es_buf_done(&texts[i]);
    free(texts);
}

/* Would the new generation say what the present one says? What came back from a sealed copy is the
 * same set as before the reboot. */
static int same_manifest(const struct es_run *run, const struct es_manifest *m, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf a = {0}, b = {0};
    struct es_manifest now = *m;

    now.boot_id = run->memory.store.set.boot_id;
    if (es_manifest_encode(&now, &a) < 0 || es_manifest_encode(&run->memory.store.set, &b) < 0)
        return es_nomem(err);
    return es_buf_equal(&a, &b);
}

/* 1 or 0. What is lost or damaged differs; what cannot be read in this moment is a failure. */
static int same_file(const struct es_run *run, bool on_disk, const char *name,
                     const struct es_buf *text, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf old = {0};
    int r = es_store_read(&run->memory.store, run->memory.store.current, es_half_of(on_disk), name,
                          &old, NULL, err);

    if (r == -ENOENT || r == -EBADMSG)
        return 0;
    return r < 0 ? r : es_buf_equal(&old, text);
}

/* What a kept output holds is what the last set has of it. */
static int keep_text(struct es_run *run, size_t number, struct es_err *err)
{
    struct es_piece *piece = &run->set.pieces[number];
    const struct es_manifest *old = &run->memory.store.set;

    for (size_t i = 0; i < old->n_outputs; i++)
        if (es_buf_is(&old->outputs[i].path, piece->output->path)) {
            int r = es_store_read(&run->memory.store, run->memory.store.current,
                                  es_half_of(old->outputs[i].on_disk), es_output_file(i).text,
                                  &piece->text, NULL, err);

            return r == -ENOENT ? 0 : r;
        }
    return 0;
}

static int in_state(const struct es_run *run, const struct es_run_options *options, int r,
                    struct es_err *err)
{
    es_context(err, "state of %s", run->config.name);
    es_store_locate(&run->config, options->root, err);
    return r;
}

static bool seals(const struct es_run *run, const struct es_manifest *m)
{
    return es_config_seals(&run->config) && es_manifest_has_run_half(m);
}

/* Was there something to keep on disk, and is no longer? */
static bool leaves_disk(const struct es_run *run)
{
    return !es_config_has_disk(&run->config) && run->memory.store.halves[ES_HALF_DISK].dir >= 0;
}

/* Does an output of the present set hold, with the same owner and mode, what the new one has? */
static int same_output(const struct es_run *run, const struct es_kept_output *now,
                       const struct es_buf *text, struct es_err *err)
{
    const struct es_manifest *old = &run->memory.store.set;

    for (size_t i = 0; i < old->n_outputs; i++) {
        const struct es_kept_output *before = &old->outputs[i];

        if (!es_buf_equal(&before->path, &now->path))
            continue;
        if (before->owner.uid != now->owner.uid || before->owner.gid != now->owner.gid ||
            before->owner.mode != now->owner.mode)
            return 0;
        return same_file(run, before->on_disk, es_output_file(i).text, text, err);
    }
    return 0;
}

/* Are the outputs those of the present set? Mirrored files do not count: a rollback leaves them as
 * they are. */
static int same_outputs(const struct es_run *run, const struct es_manifest *m, struct es_err *err)
{
    int r = m->n_outputs == run->memory.store.set.n_outputs;

    for (size_t i = 0; r > 0 && i < m->n_outputs; i++)
        r = same_output(run, &m->outputs[i], &run->set.pieces[i].text, err);
    return r;
}

/* A set that differs in versions or times alone must not take the place of the one that somebody
 * may want back, nor one that nobody could go back to. */
static int way_back(const struct es_run *run, const struct es_manifest *m, enum es_way_back *ret,
                    struct es_err *err)
{
    const struct es_store *store = &run->memory.store;
    int r;

    *ret = ES_BACK_NOWHERE;
    if (leaves_disk(run))
        return 0;
    if (!store->usable) {
        if (store->damaged || store->run_lost)
            *ret = ES_BACK_TO_PREVIOUS;
        return 0;
    }
    r = es_config_is_stricter(&run->config, &store->set.configured, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = same_outputs(run, m, err);
    if (r < 0)
        return r;
    *ret = r > 0 ? ES_BACK_TO_PREVIOUS : ES_BACK_TO_CURRENT;
    return 0;
}

/* 1, 0, or negative. */
static int unchanged(const struct es_run *run, const struct es_manifest *m,
                     const struct es_buf *texts, struct es_err *err)
{
    int r = run->memory.store.usable && !run->memory.store.run_lost && !leaves_disk(run);

    if (r > 0 && seals(run, m))
        r = es_sealed_is_there(&run->memory.store, err);
    if (r > 0)
        r = same_manifest(run, m, err);
    for (size_t i = 0; r > 0 && i < m->n_sources; i++) {
        r = same_file(run, m->sources[i].on_disk, es_source_file(i).text, &texts[i], err);
        /* Records that cannot be read at all can be once they are written anew. */
        if (r < 0 && r != -ENOMEM)
            r = 0;
    }
    for (size_t i = 0; r > 0 && i < m->n_outputs; i++)
        r = same_file(run, m->outputs[i].on_disk, es_output_file(i).text, &run->set.pieces[i].text,
                      err);
    return r;
}

static void touch(struct es_run *run)
{
    for (size_t i = 0; i < run->config.n_sources; i++)
        if (run->fetched.states[i] == ES_SOURCE_GIVEN) {
            es_store_touch_file(&run->memory.store,
                                es_half_of(run->memory.store.set.sources[i].on_disk),
                                es_source_file(i).text);
            if (es_config_seals(&run->config))
                es_sealed_touch(&run->memory.store, es_source_file(i).text);
        }
    es_store_touch(&run->memory.store);
}

/* What will lie in the /run half, as one text. */
static int bundle(const struct es_run *run, const struct es_manifest *m, const struct es_buf *texts,
                  struct es_buf *ret)
{
    int r = es_bundle_begin(ret, &run->config);

    for (size_t i = 0; r == 0 && i < m->n_sources; i++)
        if (!m->sources[i].on_disk)
            r = es_bundle_add(ret, es_source_file(i).text, run->fetched.fetched_ms[i], &texts[i]);
    for (size_t i = 0; r == 0 && i < m->n_outputs; i++)
        if (!m->outputs[i].on_disk)
            r = es_bundle_add(ret, es_output_file(i).text, 0, &run->set.pieces[i].text);
    return r;
}

static int seal(struct es_run *run, const struct es_manifest *m, const struct es_buf *texts,
                int64_t deadline, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = 0;

    if (!seals(run, m))
        return 0;
    if (bundle(run, m, texts, &text) < 0)
        return es_nomem(err);
    for (size_t i = 0; r == 0 && i < m->n_sources; i++)
        if (!m->sources[i].on_disk)
            r = es_sealed_time(&run->memory.store, es_source_file(i).text,
                               run->fetched.fetched_ms[i], err);
    return r == 0 ? es_sealed_write(&run->memory.store, &text, deadline, err) : r;
}

static int stage(struct es_run *run, const struct es_manifest *m, const struct es_buf *texts,
                 struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->n_sources; i++)
        r = es_store_write(&run->memory.store, es_half_of(m->sources[i].on_disk),
                           es_source_file(i).text, es_buf_str(&texts[i]), texts[i].len,
                           run->fetched.fetched_ms[i], err);
    for (size_t i = 0; r == 0 && i < m->n_outputs; i++)
        r = es_store_write(&run->memory.store, es_half_of(m->outputs[i].on_disk),
                           es_output_file(i).text, es_buf_str(&run->set.pieces[i].text),
                           run->set.pieces[i].text.len, 0, err);
    if (r == 0)
        r = es_pending_stage(run, err);
    return r;
}

/* The new set becomes the present one. What takes longest and asks another program comes first. */
static int commit(struct es_run *run, const struct es_run_options *options, struct es_manifest *m,
                  const struct es_buf *texts, struct es_err *err)
{
    struct es_store *store = &run->memory.store;
    enum es_way_back back = ES_BACK_NOWHERE;
    int r = way_back(run, m, &back, err);

    if (r == 0 && leaves_disk(run))
        es_store_leave_disk(store, &run->config);
    if (r == 0)
        r = es_store_begin(store, err);
    if (r < 0)
        return in_state(run, options, r, err);
    r = seal(run, m, texts, options->deadline, err);
    if (r < 0) {
        es_context(err, "state of %s", run->config.name);
        return r;
    }
    r = es_set_stage(&run->set, err);
    if (r < 0)
        return r;
    r = stage(run, m, texts, err);
    if (r < 0)
        return in_state(run, options, r, err);
    r = es_mirrored_settle(&run->config, options->root, m, err);
    if (r < 0)
        return r;
    r = es_store_commit(store, m, back, err);
    return r < 0 ? in_state(run, options, r, err) : 0;
}

/* Staged files that no committed manifest names are nobody's. Those of one that `current` names are
 * the next run's to publish. */
static void give_back(struct es_run *run, struct es_manifest *m)
{
    if (!m->files) /* the manifest has not come so far as to take them */
        return;
    run->fetched.mirror.files = m->files;
    run->fetched.mirror.n_files = m->n_files;
    m->files = NULL;
    m->n_files = 0;
}

/* What can be put in its place is, whatever else cannot: the set is accepted. */
static int publish(struct es_run *run, const struct es_run_options *options,
                   struct es_report *report, struct es_err *err)
{
    struct es_publishing publishing = {.state = -1};
    struct es_err further;
    int r = es_set_write(&run->set, err);
    int s = es_mirrored_publish(&run->config, options->root, &run->memory.store.set, &publishing,
                                report, r < 0 ? &further : err);

    run->repaired = run->repaired || publishing.repaired;
    if (r < 0 || s < 0)
        return r < 0 ? r : s;
    if (publishing.missing)
        return es_fail(err, ES_OUTPUT, ENOENT,
                       "%s: was removed or replaced by somebody else in this moment; the next run "
                       "fetches it again",
                       es_buf_str(&publishing.missing->path));
    es_store_published(&run->memory.store);
    es_store_sweep(&run->memory.store);
    return 0;
}

/* With --release, and nothing to commit. */
static int end_hold(struct es_run *run, const struct es_run_options *options, struct es_err *err)
{
    struct es_store *store = &run->memory.store;
    int r = store->held ? es_store_point(store, store->current, store->previous, false, err) : 0;

    if (r < 0)
        return in_state(run, options, r, err);
    es_store_touch(store); /* a pointer keeps its time, and this run is a success */
    return 0;
}

int es_keep(struct es_run *run, const struct es_run_options *options, const struct es_buf *texts,
            struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    int r = 0;

    es_run_tell(options, ES_PHASE_PUBLISH, run->set.n);
    for (size_t i = 0; r == 0 && i < run->set.n; i++)
        if (run->set.pieces[i].kept)
            r = keep_text(run, i, err);
    if (r == 0)
        r = fill_manifest(run, &m, err);
    if (r == 0)
        r = unchanged(run, &m, texts, err);
    if (r > 0) {
        touch(run);
        r = publish(run, options, report, err);
        return r == 0 ? end_hold(run, options, err) : r;
    }
    if (r == 0)
        r = commit(run, options, &m, texts, err);
    if (r < 0) {
        if (es_store_abandon(&run->memory.store))
            give_back(run, &m);
        return r;
    }
    return publish(run, options, report, err);
}
