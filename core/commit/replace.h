/* Replacing one file: the only way in which envsync writes anything.
 *
 * States of a target:
 *   es_target_open()     walks to the directory, looks at what is there, compares. Writes nothing,
 *                        except directories where it may make them.
 *   es_target_stage()    writes a temporary file beside the target: created 0600 and exclusive,
 *                        owned, filled, then given its mode, and synced. The target is as it was.
 *   es_target_publish()  renames it over the target (or repairs owner and mode of a target whose
 *                        bytes are right) and syncs the directory.
 *   es_target_done()     removes a temporary file that was not published; any state.
 * A crash in between leaves the old file or the new one, whole, never wider than its mode; a
 * temporary file that it leaves is removed by the next es_target_open() of the same target.
 */
#ifndef ENVSYNC_CORE_COMMIT_REPLACE_H
#define ENVSYNC_CORE_COMMIT_REPLACE_H

#include "temp.h"

enum es_target_state {
    ES_TARGET_SAME,    /* bytes, owner and mode are right */
    ES_TARGET_CREATE,  /* there is no file */
    ES_TARGET_UPDATE,  /* the bytes differ */
    ES_TARGET_REPAIR,  /* the bytes are right, owner or mode is not */
    ES_TARGET_UNKNOWN, /* may not be read: not comparable (only where `look` is set) */
};

/* What is wanted in one place. All pointers are borrowed and outlive the target. */
struct es_wanted {
    const char *path;
    const char *data;
    size_t len;
    struct es_owner owner;
    bool look; /* only compare: write nothing at all, and what may not be read is no error */
};

struct es_target {
    const struct es_wanted *wanted;
    struct es_place place;
    enum es_target_state state;
    int old;        /* the file that is there, read-only, or -1 */
    struct stat st; /* of old */
    struct es_temp temp;
};

#define ES_TARGET_INIT                                                                             \
    {                                                                                              \
        .place = {.dir = -1}, .old = -1, .temp = ES_TEMP_INIT                                      \
    }

int es_target_open(const struct es_walk *walk, const struct es_wanted *wanted,
                   struct es_target *ret, struct es_err *err);
int es_target_stage(struct es_target *target, struct es_err *err);
int es_target_publish(struct es_target *target, struct es_err *err);
void es_target_done(struct es_target *target);

#endif
