/* From the configuration to records: opens what is needed, runs the worker, and collects what it
 * says. */
#ifndef ENVSYNC_CORE_FETCH_H
#define ENVSYNC_CORE_FETCH_H

#include "mirror.h"
#include "needs.h"
#include "previous.h"
#include "worker.h"

enum es_source_state {
    ES_SOURCE_GIVEN = 0, /* its records are there */
    ES_SOURCE_ABSENT,    /* optional, and not there */
    ES_SOURCE_SKIPPED,   /* unavailable, and on_unavailable = "skip" */
    ES_SOURCE_STALE,     /* unavailable, and its records are those of an earlier run */
};

struct es_fetched {
    struct es_record *records; /* in the order in which they came, checked */
    size_t n, cap;
    size_t n_sources;
    enum es_source_state *states;   /* by source */
    struct es_kept_source *sources; /* by source: address and merged objects, for the manifest */
    int64_t *fetched_ms;            /* by source: since 1970; of a stale one, when it was fetched */
    struct es_mirror mirror;
};

/* Tells how far the sources are: keys, and objects merged or mirrored, so far. */
typedef void es_progress_fn(void *data, size_t keys, size_t objects);

/* What a run knows and asks for; all borrowed. */
struct es_fetch_plan {
    const struct es_config *config;
    const struct es_process *process;
    const struct es_previous *previous; /* what may be taken over, or NULL */
    const struct es_value *own_names;   /* that the last run wrote, or NULL */
    struct es_worker *worker;           /* that may have been started already, or NULL */
    const char *root;
    const int *lock; /* which tells that something is staged; NULL in a dry run */
    int64_t deadline;
    bool look;     /* a dry run: mirrored files are compared, not written */
    bool describe; /* ask the sources only how they would authenticate */
    bool verbose;  /* details are wanted */
    es_wait_fn *on_wait;
    es_progress_fn *on_progress; /* every now and then, or NULL */
    void *data;                  /* for both */
};

/* All sources or nothing: fails where one that may not be missing is. Further failures than the
 * returned one are errors in the report. */
int es_fetch_all(const struct es_fetch_plan *plan, struct es_fetched *ret, struct es_report *report,
                 struct es_err *err);
/* The records of the last accepted set, without asking anybody. */
int es_fetched_from(const struct es_fetch_plan *plan, struct es_fetched *ret, struct es_err *err);
void es_fetched_done(struct es_fetched *fetched);

int64_t es_now_ms(void); /* since 1970 */

/* "3 h", "12 min": how old something is, for people. */
struct es_age {
    char text[32];
};
struct es_age es_age_of(int64_t then_ms);

#endif
