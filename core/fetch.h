/* From the plan to records: opens what is needed, runs the worker, and collects what it says. */
#ifndef ENVSYNC_CORE_FETCH_H
#define ENVSYNC_CORE_FETCH_H

#include "config.h"
#include "needs.h"

enum es_source_state {
    ES_SOURCE_GIVEN = 0, /* its records are there */
    ES_SOURCE_ABSENT,    /* optional, and not there */
    ES_SOURCE_SKIPPED,   /* unavailable, and on_unavailable = "skip" */
};

struct es_fetched {
    struct es_record *records; /* in the order in which they came, checked */
    size_t n, cap;
    enum es_source_state *states; /* by source */
};

struct es_fetch_hooks {
    es_wait_fn *on_wait;
    void *data;
};

/* All sources or nothing: fails where one that may not be missing is. Further failures than the
 * returned one are errors in the report. */
int es_fetch_all(const struct es_config *config, const struct es_process *process, int64_t deadline,
                 const struct es_fetch_hooks *hooks, struct es_fetched *ret,
                 struct es_report *report, struct es_err *err);
void es_fetched_done(struct es_fetched *fetched);

#endif
