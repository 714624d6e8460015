/* Mirrored files on their way to disk.
 *
 * The worker streams a file; its bytes go at once into a temporary file beside the target and are
 * compared with what is there. Nothing is published before the whole set is: see mirrored.h.
 */
#ifndef ENVSYNC_CORE_MIRROR_H
#define ENVSYNC_CORE_MIRROR_H

#include "commit/manifest.h"
#include "config.h"
#include "mirrored.h"

enum es_file_state {
    ES_FILE_SAME,
    ES_FILE_CREATE,
    ES_FILE_UPDATE,
    ES_FILE_REPAIR, /* the bytes were right, owner or mode were not */
    ES_FILE_REMOVE, /* pruned */
    ES_FILE_UNKNOWN /* a dry run may not read what is there */
};

/* What became of one path, for people. */
struct es_file_result {
    uint32_t source;
    char *path;
    enum es_file_state state;
};

struct es_stream; /* one file under way */

struct es_mirror {
    const struct es_config *config;
    const char *root;
    const int *lock;            /* is marked before the first file is staged; or NULL */
    bool staged;                /* a file was */
    bool left;                  /* and could not be removed when it was not wanted any more */
    bool look;                  /* a dry run: compare only */
    struct es_mirrored_way way; /* to the last file */
    struct es_stream *streams;
    size_t n_streams;
    struct es_kept_file *files; /* whole ones, for the manifest */
    size_t n_files, cap_files;
    struct es_file_result *results;
    size_t n_results, cap_results;
};

void es_mirror_done(struct es_mirror *mirror); /* removes what was staged and not handed over */

/* Forgets and removes what came of one source. */
void es_mirror_forget(struct es_mirror *mirror, uint32_t source);

/* The frames of the worker. The object is moved from where it is taken. */
int es_mirror_begin(struct es_mirror *mirror, uint32_t source, uint32_t id,
                    const struct es_buf *path, struct es_kept_object *object, struct es_err *err);
int es_mirror_data(struct es_mirror *mirror, uint32_t source, uint32_t id, const void *data,
                   size_t len, struct es_err *err);
int es_mirror_end(struct es_mirror *mirror, uint32_t source, uint32_t id, struct es_err *err);
int es_mirror_drop(struct es_mirror *mirror, uint32_t source, uint32_t id, struct es_err *err);

/* A file that is as the previous set has it. */
int es_mirror_same(struct es_mirror *m, const struct es_kept_file *known, uint32_t source,
                   struct es_kept_object *object, struct es_err *err);

/* Is there a file of this path in what this run got? Once all is fetched: files are in order then.
 */
bool es_mirror_has(const struct es_mirror *mirror, const struct es_buf *path);

/* Adds what became of a path. -ENOMEM. */
int es_mirror_tell(struct es_mirror *mirror, uint32_t source, const char *path,
                   enum es_file_state state);

#endif
