/* The end of a run: what it fetched and rendered becomes the present set.
 *
 * Where it is what the present set says already, only times are touched. Else a generation is
 * staged, committed by one rename, and published.
 */
#ifndef ENVSYNC_CORE_KEEP_H
#define ENVSYNC_CORE_KEEP_H

#include "run.h"

/* The records of each source as they came, because merging changes their keys. The texts, one per
 * source, belong to the caller; es_keep_done() frees them, and takes NULL. */
int es_keep_encode(const struct es_run *run, struct es_buf **ret, struct es_err *err);
void es_keep_done(struct es_buf *texts, size_t n);

int es_keep(struct es_run *run, const struct es_run_options *options, const struct es_buf *texts,
            struct es_report *report, struct es_err *err);

#endif
