/* One run of `envsync sync`, from the lock to the last rename.
 *
 *   lock; republish what the present set still has to publish; where it is held or fresh, stop.
 *   Fetch, merge, render and check everything. Where nothing differs from the present set, touch
 * it. Else stage a generation, commit it (one rename), publish, sweep.
 *
 * A dry run takes no lock and no state, and stops before staging.
 */
#ifndef ENVSYNC_CORE_RUN_H
#define ENVSYNC_CORE_RUN_H

#include "commit/store.h"
#include "envsync/limits.h"
#include "fetch.h"
#include "memory.h"
#include "set.h"

/* What a run is about to do, for whoever wants to tell: n sources, or n actions. */
enum es_phase { ES_PHASE_FETCH, ES_PHASE_PUBLISH, ES_PHASE_ACT };
typedef void es_phase_fn(void *data, enum es_phase phase, size_t n);

struct es_run_options {
    const struct es_process *process;
    const char *root;
    int64_t deadline;
    bool dry;
    bool fresh;    /* fetch, whatever fresh_for says */
    bool release;  /* end the hold of a rollback */
    bool verbose;  /* details of each request are wanted */
    bool rollback; /* publish the previous set and hold it, instead */
    es_wait_fn *on_wait;
    es_progress_fn *on_progress;
    es_phase_fn *on_phase;
    void *data;
};

enum es_run_end {
    ES_RUN_DONE,  /* fetched and, where needed, written */
    ES_RUN_FRESH, /* the present set is young enough: nothing was fetched */
    ES_RUN_HELD,  /* a rollback holds the present set: nothing was fetched */
};

/* What became of one action of [on_change]. */
enum es_act {
    ES_ACT_NONE = 0, /* it was not due */
    ES_ACT_DONE,
    ES_ACT_SKIPPED, /* not needed, since this run belongs to the start of a unit */
    ES_ACT_PENDING, /* left to another run; in a dry run: it would be done */
    ES_ACT_FAILED,  /* left to the next run */
};

struct es_run {
    struct es_config config;
    int lock;
    struct es_worker worker;
    struct es_memory memory; /* the present set, and what it knows */
    struct es_value own_names;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_set set;
    enum es_run_end end;
    enum es_target_state *restored;   /* by output, what the republishing put right */
    int *gone;                        /* by file of the last set: who gives it no more, or -1 */
    bool differs;                     /* outputs or mirrored files */
    bool repaired;                    /* mirrored files had a wrong owner or mode */
    bool missing;                     /* a mirrored file of the present set is not in its place */
    bool changes;                     /* the set differs from the last one: see pending.h */
    enum es_act acts[ES_MAX_ACTIONS]; /* by action of the configuration: see act.h */
};
#define ES_RUN_INIT                                                                                \
    {                                                                                              \
        .lock = -1, .worker = ES_WORKER_INIT, .memory = ES_MEMORY_INIT                             \
    }

void es_run_tell(const struct es_run_options *options, enum es_phase phase, size_t n);

/* The configuration must be loaded. */
int es_run(struct es_run *run, const struct es_run_options *options, struct es_report *report,
           struct es_err *err);
void es_run_done(struct es_run *run);

#endif
