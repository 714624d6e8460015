/* See run.h. */
#include "run.h"

#include "clock.h"
#include "commit/sealed.h"
#include "keep.h"
#include "lock.h"
#include "mirrored.h"
#include "pending.h"
#include "rest.h"
#include "texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- republish ---- */

static const struct es_output *output_of(const struct es_config *config,
                                         const struct es_kept_output *kept)
{
    for (size_t i = 0; i < config->n_outputs; i++)
        if (es_buf_is(&kept->path, config->outputs[i].path))
            return &config->outputs[i];
    return NULL;
}

static int republish_output(struct es_run *run, const struct es_run_options *options, size_t number,
                            struct es_publishing *publishing, struct es_report *report,
                            struct es_err *err)
{
    const struct es_kept_output *kept = &run->memory.store.set.outputs[number];
    const struct es_output *output = output_of(&run->config, kept);
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    struct es_wanted wanted;
    int r;

    if (!output)
        return 0;
    r = es_store_read(&run->memory.store, run->memory.store.current, es_half_of(kept->on_disk),
                      es_output_file(number).text, &text, NULL, err);
    /* Lost with an earlier boot: rendered again, or fetched. */
    if (r == -ENOENT)
        return 0;
    if (r < 0) {
        es_store_locate(&run->config, options->root, err);
        return r;
    }
    wanted = (struct es_wanted){
        .path = output->path, .data = es_buf_str(&text), .len = text.len, .owner = kept->owner};
    r = es_set_open_target(&run->config, output, options->root, &wanted, &target, err);
    if (r == 0 && target.state != ES_TARGET_SAME)
        es_report_add(report, ES_LEVEL_NOTICE, "%s: %s", output->path,
                      target.state == ES_TARGET_REPAIR ? "owner or mode was wrong: repaired"
                                                       : "put back from the last set");
    if (r == 0)
        run->restored[output - run->config.outputs] = target.state;
    if (r == 0 && target.state != ES_TARGET_SAME)
        r = es_publishing_settle(publishing, err);
    if (r == 0)
        r = es_target_stage(&target, err);
    return r == 0 ? es_target_publish(&target, err) : r;
}

/* As much as can be: what is in the way of one output is none of the others' business. */
static int republish(struct es_run *run, const struct es_run_options *options,
                     struct es_report *report, struct es_err *err)
{
    /* A run that was killed right behind the rename of `current` has not synced it. */
    struct es_publishing publishing = {.state = es_store_directory(&run->memory.store)};
    const struct es_manifest *set = &run->memory.store.set;
    struct es_err further;
    int r = 0, s = 0;

    run->restored = calloc(run->config.n_outputs + 1, sizeof *run->restored);
    if (!run->restored)
        return es_nomem(err);
    for (size_t i = 0; !publishing.lost && i < set->n_outputs; i++) {
        s = republish_output(run, options, i, &publishing, report, r < 0 ? &further : err);
        r = r < 0 ? r : s;
    }
    if (!publishing.lost)
        s = es_mirrored_publish(&run->config, options->root, set, &publishing, report,
                                r < 0 ? &further : err);
    r = r < 0 ? r : s;
    run->repaired = publishing.repaired;
    run->missing = publishing.missing != NULL;
    if (r < 0)
        es_context(err, "output");
    return r;
}

/* ---- the run ---- */

static bool is_fresh(const struct es_run *run)
{
    int64_t age = es_now_ms() - run->memory.store.succeeded_ms;

    return run->config.fresh_for > 0 && age >= 0 && age < run->config.fresh_for && !run->missing &&
           run->memory.store.set.complete && es_set_is_of(&run->config, &run->memory.store);
}

/* What a reboot took of a set and a sealed copy holds is put back. Half of the time is left for
 * whatever follows. */
static int bring_back(struct es_run *run, const struct es_run_options *options, const char *id,
                      struct es_report *report, struct es_err *err)
{
    int64_t deadline = options->deadline - es_clock_left(options->deadline) / 2;
    int r = es_sealed_restore(&run->memory.store, &run->config, id, deadline, report, err);

    if (r < 0)
        es_store_locate(&run->config, options->root, err);
    return r;
}

/* The previous set becomes the present one, and is held. What it mirrored was replaced in place and
 * cannot come back. */
static int roll_back(struct es_run *run, const struct es_run_options *options,
                     struct es_report *report, struct es_err *err)
{
    char current[ES_SET_ID + 1], previous[ES_SET_ID + 1];
    bool had_files = run->memory.store.set.n_files > 0;
    int r;

    /* Before anything is changed: one that cannot be published must not become the present one. */
    r = bring_back(run, options, run->memory.store.previous, report, err);
    if (r < 0)
        return r;
    r = es_store_can_go_back(&run->memory.store, err);
    if (r == 0)
        return es_fail(err, ES_ABSENT, ENOENT,
                       "%s has no earlier set to roll back to; what lay below /run goes with each "
                       "boot",
                       run->config.name);
    if (r < 0) {
        es_store_locate(&run->config, options->root, err);
        return r;
    }
    r = es_pending_go_back(run, err);
    if (r < 0)
        return r;
    memcpy(current, run->memory.store.current, sizeof current);
    memcpy(previous, run->memory.store.previous, sizeof previous);
    r = es_store_point(&run->memory.store, previous, current, true, err);
    if (r < 0)
        es_store_locate(&run->config, options->root, err);
    es_store_done(&run->memory.store);
    run->memory.store = (struct es_store)ES_STORE_INIT;
    if (r == 0)
        r = es_store_open(&run->config, options->root, true, es_config_has_disk(&run->config),
                          &run->memory.store, report, err);
    if (r == 0 && !run->memory.store.usable)
        return es_fail(err, ES_INTERNAL, EIO, "the earlier set of %s cannot be read",
                       run->config.name);
    if (r == 0)
        r = republish(run, options, report, err);
    run->differs = run->repaired;
    for (size_t i = 0; r == 0 && i < run->config.n_outputs; i++)
        run->differs = run->differs || run->restored[i] != ES_TARGET_SAME;
    if (r == 0 && had_files)
        es_report_add(report, ES_LEVEL_WARNING,
                      "mirrored files stay as they are: of them no earlier version is kept");
    run->end = ES_RUN_HELD;
    return r;
}

/* What the last set is decides whether the run ends with it, or goes on. */
static int decide_end(struct es_run *run, const struct es_run_options *options,
                      struct es_report *report, struct es_err *err)
{
    /* A hold that is to be released ends with what this run accepts: where it fails, not at all. */
    bool held = run->memory.store.held && !options->release;

    run->end = run->memory.store.usable && held                        ? ES_RUN_HELD
               : !options->fresh && !options->release && is_fresh(run) ? ES_RUN_FRESH
                                                                       : ES_RUN_DONE;
    /* No exit status of success for outputs that are not there, and no newer set behind the back of
     * who went back on purpose. */
    if (held) {
        int r = es_store_check_hold(&run->memory.store, run->config.name, err);

        if (r < 0)
            return r;
    }
    if (run->end == ES_RUN_HELD && !es_set_is_of(&run->config, &run->memory.store))
        es_report_add(report, ES_LEVEL_WARNING,
                      "%s: the configuration has changed since the set that is held; it takes "
                      "effect with `envsync sync --release`",
                      run->config.name);
    if (run->end != ES_RUN_DONE)
        return 0;
    return es_previous_load(&run->config, options->root, &run->memory.store, &run->memory.previous,
                            report, err);
}

/* The state, and what the present set still has to publish. */
static int begin(struct es_run *run, const struct es_run_options *options, struct es_report *report,
                 struct es_err *err)
{
    int r;

    run->lock = es_lock(&run->config, options->root, options->deadline, options->on_wait,
                        options->data, err);
    if (run->lock < 0)
        return run->lock;
    r = es_store_open(&run->config, options->root, true, es_config_has_disk(&run->config),
                      &run->memory.store, report, err);
    /* At once, because this run may end before it comes to what it writes. */
    if (r == 0) {
        es_store_sweep(&run->memory.store);
        es_set_sweep(&run->config, &run->memory.store.set, options->root);
    }
    if (r == 0 && options->rollback)
        return roll_back(run, options, report, err);
    if (r == 0)
        r = bring_back(run, options, run->memory.store.current, report, err);
    if (r == 0 && run->memory.store.usable)
        r = republish(run, options, report, err);
    /* Whatever is staged now is nobody's. */
    if (r == 0 && !es_lock_is_clean(run->lock)) {
        es_mirrored_sweep(&run->config, &run->memory.store.set, options->root);
        es_lock_set_clean(run->lock);
    }
    return r == 0 ? decide_end(run, options, report, err) : r;
}

/* A dry run takes no lock and changes nothing; what it may read of the state it uses as a run
 * would. */
static int look(struct es_run *run, const struct es_run_options *options, struct es_report *report,
                struct es_err *err)
{
    int r =
        es_memory_look(&run->config, options->root, options->deadline, &run->memory, report, err);

    if (r == 0 && run->memory.store.held && !options->release)
        es_report_add(report, ES_LEVEL_WARNING,
                      "%s is held since a rollback: a run would fetch nothing before `envsync sync "
                      "--release`",
                      run->config.name);
    return r;
}

static bool files_differ(const struct es_mirror *mirror)
{
    for (size_t i = 0; i < mirror->n_results; i++)
        if (mirror->results[i].state != ES_FILE_SAME && mirror->results[i].state != ES_FILE_UNKNOWN)
            return true;
    return false;
}

void es_run_tell(const struct es_run_options *options, enum es_phase phase, size_t n)
{
    if (options->on_phase)
        options->on_phase(options->data, phase, n);
}

static int fetch(struct es_run *run, const struct es_run_options *options, struct es_report *report,
                 struct es_err *err)
{
    const struct es_fetch_plan plan = {.config = &run->config,
                                       .process = options->process,
                                       .previous = &run->memory.previous,
                                       .own_names = &run->own_names,
                                       .worker = &run->worker,
                                       .root = options->root,
                                       .lock = options->dry ? NULL : &run->lock,
                                       .deadline = options->deadline,
                                       .look = options->dry,
                                       .verbose = options->verbose,
                                       .on_wait = options->on_wait,
                                       .on_progress = options->on_progress,
                                       .data = options->data};

    es_run_tell(options, ES_PHASE_FETCH, run->config.n_sources);
    return es_fetch_all(&plan, &run->fetched, report, err);
}

static int same_source(const struct es_run *run, const struct es_buf *name)
{
    for (size_t i = 0; i < run->config.n_sources; i++)
        if (run->config.sources[i].mirrors && es_buf_is(name, run->config.sources[i].name))
            return (int)i;
    return -1;
}

/* Do the files of an earlier set come from the same place? Addresses that facts completed are
 * compared as they were resolved; all others may differ in `prune`. */
static int is_base(const struct es_source *source, const struct es_kept_source *now,
                   const struct es_kept_source *before)
{
    if (es_buf_equal(&now->address, &before->address))
        return 1;
    if (!es_buf_equal(&now->address, &now->configured) ||
        !es_buf_equal(&before->address, &before->configured))
        return 0;
    return es_source_is_as(source, before);
}

/* The source that mirrored a file of the last set and gives it no more, or -1. Only what is still
 * as it was written counts: what somebody else put there is not ours to remove. */
static int gone_from(const struct es_run *run, struct es_mirrored_way *way,
                     const struct es_kept_file *file, int *ret, struct es_err *err)
{
    const struct es_kept_source *was = &run->memory.store.set.sources[file->source];
    int source = same_source(run, &was->name);
    int r = 0;

    if (source >= 0 && run->fetched.states[source] == ES_SOURCE_GIVEN &&
        !es_mirror_has(&run->fetched.mirror, &file->path))
        r = is_base(&run->config.sources[source], &run->fetched.sources[source], was);
    if (r < 0)
        return es_nomem(err);
    if (r > 0)
        r = es_mirrored_holds(way, (uint32_t)source, file, NULL, err);
    *ret = r > 0 ? source : -1;
    return r < 0 ? r : 0;
}

static int find_gone(struct es_run *run, const char *root, struct es_err *err)
{
    ES_CLEANUP(es_mirrored_way_done)
    struct es_mirrored_way way = ES_MIRRORED_WAY(&run->config, root);
    const struct es_manifest *old = &run->memory.store.set;

    if (!run->memory.store.usable)
        return 0;
    run->gone = calloc(old->n_files + 1, sizeof *run->gone);
    if (!run->gone)
        return es_nomem(err);
    for (size_t i = 0; i < old->n_files; i++) {
        int r = gone_from(run, &way, &old->files[i], &run->gone[i], err);

        if (r < 0)
            return r;
        if (run->gone[i] >= 0 && run->config.sources[run->gone[i]].mirror.prune &&
            es_mirror_tell(&run->fetched.mirror, (uint32_t)run->gone[i],
                           es_buf_str(&old->files[i].path), ES_FILE_REMOVE) < 0)
            return es_nomem(err);
    }
    return 0;
}

static int merge(struct es_run *run, const struct es_run_options *options, struct es_report *report,
                 struct es_err *err)
{
    int r = es_tree_build(&run->config, &run->fetched, &run->tree, err);

    if (r == 0)
        r = es_texts_read(&run->tree, err);
    if (r == 0)
        r = es_set_prepare(&run->config, &run->tree, &run->fetched, options->root, options->dry,
                           &run->set, report, err);
    if (r == 0)
        r = es_set_diff(&run->set, &run->config, err);
    if (r == 0)
        r = find_gone(run, options->root, err);
    if (r == 0)
        r = es_pending_find(run, err);
    for (size_t i = 0; run->restored && i < run->set.n; i++)
        run->set.pieces[i].restored = run->restored[i];
    run->differs = es_set_differs(&run->set) || run->repaired || files_differ(&run->fetched.mirror);
    return r;
}

/* Before anything is asked or changed: can what is configured be kept? */
static int may_rest(const struct es_run *run, const struct es_run_options *options,
                    struct es_err *err)
{
    int r = es_config_check_rest(&run->config, err);

    if (r == 0 && es_config_seals(&run->config) && !options->dry && geteuid() != 0)
        return es_fail(err, ES_DENIED, EPERM,
                       "[last_good] at_rest = \"encrypted\": only root has the keys of this host; "
                       "run as root, or set another at_rest");
    return r;
}

/* What a unit's sandbox does looks like a fault of the disk or of modes, and is met at boot. */
static void advise_on_unit(int r, const struct es_run_options *options, struct es_err *err)
{
    if (r == -EROFS)
        es_advise(err, "where the unit has ProtectSystem= or DynamicUser=, ReadWritePaths= must "
                       "name the directory, or the line begin with ExecStartPre=+");
    else if (r == -EACCES && geteuid() != 0 && !options->dry && !options->root)
        es_advise(err, "envsync is not root here; in a unit the line begins with ExecStartPre=!");
}

static int go(struct es_run *run, const struct es_run_options *options, struct es_report *report,
              struct es_err *err)
{
    struct es_buf *texts = NULL;
    int r = may_rest(run, options, err);

    /* It loads its libraries while the state is looked at. What is fresh needs none. */
    if (r == 0 && !options->rollback && (options->fresh || run->config.fresh_for == 0))
        r = es_worker_start(&run->worker, err);
    if (r == 0)
        r = options->dry ? look(run, options, report, err) : begin(run, options, report, err);
    if (r < 0 || run->end != ES_RUN_DONE)
        return r;
    r = es_memory_names(&run->config, &run->memory.store, &run->own_names, err);
    if (r < 0)
        es_store_locate(&run->config, options->root, err);
    if (r == 0)
        r = fetch(run, options, report, err);
    if (r == 0 && !options->dry)
        r = es_keep_encode(run, &texts, err);
    if (r == 0)
        r = merge(run, options, report, err);
    if (r == 0 && !options->dry)
        r = es_keep(run, options, texts, report, err);
    es_keep_done(texts, run->config.n_sources);
    if (r == 0 && run->fetched.mirror.staged && !run->fetched.mirror.left)
        es_lock_set_clean(run->lock);
    return r;
}

int es_run(struct es_run *run, const struct es_run_options *options, struct es_report *report,
           struct es_err *err)
{
    int r = go(run, options, report, err);

    if (r < 0)
        advise_on_unit(r, options, err);
    return r;
}

void es_run_done(struct es_run *run)
{
    es_set_done(&run->set);
    es_tree_done(&run->tree);
    es_fetched_done(&run->fetched);
    es_memory_done(&run->memory);
    es_value_done(&run->own_names);
    es_config_done(&run->config);
    es_worker_done(&run->worker);
    es_close(&run->lock);
    free(run->restored);
    free(run->gone);
}
