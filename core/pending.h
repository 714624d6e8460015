/* What [on_change] asks for and is not done yet.
 *
 * It is a note in the set whose commit made it due, so the one rename that makes the set the
 * present one makes this due as well, and whoever comes next after a kill finds it. What an earlier
 * set left undone goes on to the next one. A note names the actions as they were configured; only
 * those that the configuration still names count.
 */
#ifndef ENVSYNC_CORE_PENDING_H
#define ENVSYNC_CORE_PENDING_H

#include "run.h"

/* Does what this run has rendered and fetched differ from what the present set says, so that
 * somebody has to be told? Sets run->changes. The first set is no change, nor is what was put back
 * or repaired, and another version of the same content neither. */
int es_pending_find(struct es_run *run, struct es_err *err);

/* Notes in the set that was begun what its commit makes due. */
int es_pending_stage(const struct es_run *run, struct es_err *err);

/* The same before a rollback, in the set that becomes the present one again. */
int es_pending_go_back(struct es_run *run, struct es_err *err);

/* By action of the configuration: is it due in the present set? `ret` has room for all. */
int es_pending_read(const struct es_config *config, const struct es_store *store, bool *ret,
                    struct es_err *err);
int es_pending_write(const struct es_config *config, const struct es_store *store, const bool *due,
                     struct es_err *err);

#endif
