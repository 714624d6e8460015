/* The state directory /run/envsync/NAME and the locks in it: one run at a time per configuration.
 */
#ifndef ENVSYNC_CORE_LOCK_H
#define ENVSYNC_CORE_LOCK_H

#include "needs.h"

/* Waits for the lock until the deadline. Returns a descriptor that holds it, or -ETIMEDOUT
 * (ES_LOCKED), or what kept the directory from being made. */
int es_lock(const struct es_config *config, const char *root, int64_t deadline, es_wait_fn *on_wait,
            void *data, struct es_err *err);

/* What the lock file says: has the last run of this boot left nothing half-way? Where nobody knows,
 * it is not clean. */
bool es_lock_is_clean(int lock);
int es_lock_set_dirty(int lock, struct es_err *err);
void es_lock_set_clean(int lock); /* where it cannot be said, the next run looks once more */

/* The lock of who does what on_change asks for, which one does without the other lock. */
int es_lock_acting(const struct es_config *config, const char *root, int64_t deadline,
                   struct es_err *err);

#endif
