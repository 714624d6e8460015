/* A set's sealed copy: what of it lies in the /run half, encrypted to this host in one file of the
 * disk half. It is made where `at_rest = "encrypted"`, and opened only where a reboot, or whatever
 * else empties /run, has taken the /run half.
 *
 * The files are put into one bundle and sealed by systemd-creds in chunks. The name of each chunk
 * holds the set, its number and how many there are, and the bundle names the configuration file: no
 * chunk opens in another place than its own. What does not open counts as not there.
 *
 * Times are not sealed: of "NAME" in the bundle it is that of an empty file "NAME.time" in the disk
 * half, so that a run that changes nothing needs no key.
 */
#ifndef ENVSYNC_CORE_COMMIT_SEALED_H
#define ENVSYNC_CORE_COMMIT_SEALED_H

#include "store.h"

/* Begins a bundle, and adds a file. ms: its time, or 0 where that does not matter. */
int es_bundle_begin(struct es_buf *bundle, const struct es_config *config);
int es_bundle_add(struct es_buf *bundle, const char *name, int64_t ms, const struct es_buf *text);

/* Seals a bundle into the set that was begun. */
int es_sealed_write(struct es_store *store, const struct es_buf *bundle, int64_t deadline,
                    struct es_err *err);

/* Has the present set a sealed copy? 1, 0, or negative. */
int es_sealed_is_there(const struct es_store *store, struct es_err *err);

/* The time of a file in the copy, in the set that was begun; and in the present one, for a run that
 * changed nothing. */
int es_sealed_time(struct es_store *store, const char *name, int64_t ms, struct es_err *err);
void es_sealed_touch(struct es_store *store, const char *name);

/* Where the /run half of a set is gone and it has a sealed copy: opens that, and
 * reads of the /run half are answered from it. Nothing is written. A copy that does not open is
 * told in the report. Fails for an interruption and where there is no memory. */
int es_sealed_open(struct es_store *store, const struct es_config *config, const char *id,
                   int64_t deadline, struct es_report *report, struct es_err *err);

/* The same, and puts the files back into the /run half. 0 whether there was something or not. */
int es_sealed_restore(struct es_store *store, const struct es_config *config, const char *id,
                      int64_t deadline, struct es_report *report, struct es_err *err);

#endif
