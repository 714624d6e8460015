/* Takes in what the worker says, frame by frame, and checks it. */
#ifndef ENVSYNC_CORE_COLLECT_H
#define ENVSYNC_CORE_COLLECT_H

#include "fetch.h"

struct es_collecting {
    const struct es_fetch_plan *plan;
    const struct es_config *config; /* the plan's */
    struct es_fetched *fetched;
    struct es_report *report;
    struct es_surroundings surroundings;
    struct es_files *files; /* with the programs that were started */
    bool *pending;          /* by source: asked of the worker, not yet done */
    size_t bytes;           /* of records, those of the last set too */
    size_t told;            /* bytes of all other frames but files' contents */
    size_t announced;       /* objects: whether they came or not */
    size_t next_same;       /* where the next unchanged file is looked for first */
    size_t objects;         /* merged or mirrored, so far */
    struct es_err first;    /* the failure that is returned */
    int failed;             /* its negative errno, 0 where there is none */
};

/* One frame. Returns 1 at the last one, 0, or a negative errno. */
int es_collect(struct es_collecting *c, enum es_frame type, struct es_cursor *in,
               struct es_err *err);

/* The worker's last words. Always a negative errno. */
int es_collect_fatal(struct es_cursor *in, struct es_err *err);

/* A source has failed: decides what that means. Never itself a failure. */
void es_collect_failure(struct es_collecting *c, uint32_t number, int r, struct es_err *why);

/* A record, which is moved; so many more bytes of records. Both fail over the caps of a run. */
int es_collect_add(struct es_fetched *fetched, struct es_record *record, struct es_err *err);
int es_collect_count(struct es_collecting *c, size_t len, struct es_err *err);

/* ---- recall.c ---- */

/* What is known of a source, or NULL: only for the very same address. */
const struct es_before *es_collect_known(const struct es_collecting *c, uint32_t source);

/* Takes the records of a merged object that is as the last set has it: 1, or 0 where that has no
 * such object. */
int es_collect_same(struct es_collecting *c, uint32_t source, const struct es_kept_object *object,
                    struct es_err *err);

/* All that the last set has of a source. */
int es_collect_before(struct es_collecting *c, uint32_t number, const struct es_before *before,
                      struct es_err *err);

/* Takes a source's records and files from the last set, because it cannot be reached: 1. 0 where
 * there is no such set, or it is too old: that is added to `why`. Negative, and `why` says that
 * instead, where there is no memory. */
int es_collect_last_good(struct es_collecting *c, uint32_t number, struct es_err *why);

#endif
