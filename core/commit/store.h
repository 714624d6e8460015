/* The store: accepted sets, each a generation of files, and one pointer to the present one.
 *
 * It has two halves, both 0700: /var/lib/envsync/NAME on disk, and /run/envsync/NAME for what feeds
 * targets below /run, so that no secret outlives its target's medium. A generation is a directory
 * with a random name in one or both halves. The pointer `current` lies in the disk half, or where
 * a configuration has none in the /run half; replacing it is the one commit point. The previous
 * generation is kept for a rollback.
 *
 * Each file ends with a sum over its set, its name and its bytes. A set with an output that is
 * damaged or missing is not used: a torn file is never published.
 *
 * Life cycle: es_store_open(), then es_store_begin(), es_store_write() for each file,
 * es_store_commit(); or nothing of it where a run changes nothing. es_store_done() in any state; a
 * generation that was begun and not committed is removed by the next es_store_commit() or sweep.
 */
#ifndef ENVSYNC_CORE_COMMIT_STORE_H
#define ENVSYNC_CORE_COMMIT_STORE_H

#include "../config.h"
#include "manifest.h"

enum es_half { ES_HALF_RUN, ES_HALF_DISK, ES_HALVES };

static inline enum es_half es_half_of(bool on_disk)
{
    return on_disk ? ES_HALF_DISK : ES_HALF_RUN;
}

enum { ES_SET_ID = 16 };

/* Files of a set's /run half that were read from its sealed copy, see sealed.h. */
struct es_unsealed {
    char id[ES_SET_ID + 1]; /* "" where there are none */
    struct es_unsealed_file {
        struct es_buf name;
        struct es_buf text;
        int64_t ms;
    } * files;
    size_t n;
};
void es_unsealed_done(struct es_unsealed *unsealed);

struct es_store {
    struct es_place halves[ES_HALVES]; /* directories; .dir is -1 where there is none */
    struct es_place left; /* a disk half that is no longer to be there; .base is its own name */
    char current[ES_SET_ID + 1]; /* "" where there is none */
    char previous[ES_SET_ID + 1];
    bool held;              /* by a rollback */
    int64_t succeeded_ms;   /* since 1970: the last success, 0 where there is none */
    int64_t published_ms;   /* since 1970: when the present set was last in place whole */
    struct es_manifest set; /* of current; empty where there is none */
    bool usable;            /* set belongs to this machine and is whole where it should be */
    bool foreign;           /* it is another machine's, as in an image: no memory of this one */
    bool damaged;           /* it is not whole: a hold must not end behind somebody's back */
    bool run_lost;          /* its /run half is not there */
    char begun[ES_SET_ID + 1];
    struct es_unsealed unsealed; /* answers in place of a /run half */
};
#define ES_STORE_INIT                                                                              \
    {                                                                                              \
        .halves = {{.dir = -1}, {.dir = -1}}, .left = {.dir = -1 }                                 \
    }

/* Opens the state of a configuration and loads the present set. `make`: directories are made
 * where absent, the disk half only with `disk`. ES_CONFIG where another configuration file owns
 * the state. */
int es_store_open(const struct es_config *config, const char *root, bool make, bool disk,
                  struct es_store *ret, struct es_report *report, struct es_err *err);
void es_store_done(struct es_store *store);

/* Adds to an ES_OUTPUT failure where the state lies: what has failed is named without that. */
void es_store_locate(const struct es_config *config, const char *root, struct es_err *err);

/* The name of a source's file in a generation: "source-3". */
struct es_store_name {
    char text[32];
};
struct es_store_name es_source_file(size_t number);
struct es_store_name es_output_file(size_t number);

/* The manifest of a generation. 0, -ENOENT where there is none that is whole, or what kept it from
 * being read. */
int es_store_manifest(const struct es_store *store, const char *id, struct es_manifest *ret,
                      struct es_err *err);

/* The directory of `current`. */
int es_store_directory(const struct es_store *store);

/* A file of a generation. -ENOENT where it is not there, -EBADMSG where it is damaged. ret_ms: its
 * time, or NULL. */
int es_store_read(const struct es_store *store, const char *id, enum es_half half, const char *name,
                  struct es_buf *ret, int64_t *ret_ms, struct es_err *err);

/* What is begun from here on has no disk half. One that is there counts until it is committed, and
 * is then swept. */
void es_store_leave_disk(struct es_store *store, const struct es_config *config);

int es_store_begin(struct es_store *store, struct es_err *err);
/* ms: the time that the file shall have, or 0 for now. */
int es_store_write(struct es_store *store, enum es_half half, const char *name, const void *data,
                   size_t len, int64_t ms, struct es_err *err);

/* A note beside the manifest of a generation that is there or was begun: a small file that may
 * change after the commit. NULL removes it. Reading: -ENOENT where there is none. */
int es_store_note(const struct es_store *store, const char *id, const char *name,
                  const struct es_buf *text, struct es_err *err);
int es_store_read_note(const struct es_store *store, const char *id, const char *name,
                       struct es_buf *ret, struct es_err *err);

/* Where a rollback of a new set would go: to the present one, to where that one would go, or
 * nowhere. What is not gone to is nobody's. */
enum es_way_back { ES_BACK_TO_CURRENT, ES_BACK_TO_PREVIOUS, ES_BACK_NOWHERE };

/* Makes what was begun the present set, which is not held. The manifest is taken over by the store.
 */
int es_store_commit(struct es_store *store, struct es_manifest *manifest, enum es_way_back way_back,
                    struct es_err *err);

/* What was begun is to be the /run half of a set that has lost its own: writes a file, and makes it
 * that. */
int es_store_write_for(struct es_store *store, const char *id, enum es_half half, const char *name,
                       const void *data, size_t len, int64_t ms, struct es_err *err);
int es_store_adopt(struct es_store *store, const char *id, struct es_err *err);

/* Removes what was begun and will not be committed. False, and nothing is removed, where `current`
 * names it already and only the fsync behind that failed: which of the two survives a power loss
 * is not known then, so both stay, and the next run goes on with the one that it finds. */
bool es_store_abandon(struct es_store *store);

/* Points to another generation that is there, held or not. After a failure, too, store->current
 * says what `current` names. */
int es_store_point(struct es_store *store, const char *id, const char *previous, bool held,
                   struct es_err *err);

/* 1 where the previous set is there and whole, so that it may become the present one; 0, or
 * negative. */
int es_store_can_go_back(const struct es_store *store, struct es_err *err);

/* Did outputs of the present set go with an earlier boot, so that it cannot be published whole? */
bool es_store_outputs_lost(const struct es_store *store);

/* -ENODATA (ES_ABSENT) where what a rollback holds is not whole any more: it can be neither put in
 * place nor handed out. */
int es_store_check_hold(const struct es_store *store, const char *name, struct es_err *err);

/* A run that changed nothing: its time, and that of a file of the present set. No byte is written.
 */
void es_store_touch(struct es_store *store);
void es_store_touch_file(struct es_store *store, enum es_half half, const char *name);

/* Notes that all of the present set is in its places. */
void es_store_published(struct es_store *store);

/* Removes every generation but the present and the previous one, and a disk half that was left. */
void es_store_sweep(const struct es_store *store);

/* Could this be the name of a set? */
bool es_store_id_valid(const char *id, size_t len);

/* The directory of one half; ret is left alone where it is absent and not to be made. */
int es_state_directory(const struct es_config *config, const char *root, enum es_half half,
                       bool make, struct es_place *ret, struct es_err *err);

/* Fills what ties a set to this configuration, machine and boot. */
int es_manifest_bind(struct es_manifest *manifest, const struct es_config *config,
                     struct es_err *err);

/* Below /run? */
bool es_path_is_volatile(const char *path);

#endif
