/* What the last accepted set still has to give: records and objects of each source, for those that
 * are unchanged now. */
#ifndef ENVSYNC_CORE_PREVIOUS_H
#define ENVSYNC_CORE_PREVIOUS_H

#include "commit/store.h"

/* A mirrored file that is still the one that the set means. */
struct es_known_file {
    const struct es_kept_file *kept;
    bool sure; /* nobody has touched it since: it need not be fetched to know what is in it */
};

struct es_before {
    const struct es_kept_source *kept; /* NULL: nothing is known of this source */
    struct es_record *records;         /* in order of rank */
    size_t n;
    int64_t fetched_ms;          /* since 1970 */
    struct es_known_file *files; /* mirrored, and still in their places */
    size_t n_files;
    const struct es_kept_file *lost; /* one that is not, or NULL */
};

struct es_previous {
    struct es_before *sources; /* by source of the configuration */
    size_t n;
};

/* Loads what the store's set has. What cannot be read counts as not known. */
int es_previous_load(const struct es_config *config, const char *root, const struct es_store *store,
                     struct es_previous *ret, struct es_err *err);
/* Is this a set of the very same configuration, so that it can answer for it? */
bool es_set_is_of(const struct es_config *config, const struct es_store *store);
/* Is this source configured as it was for that set, `prune` apart? Then what the set says of files
 * that are gone holds also where prune has come later. */
bool es_source_is_as(const struct es_source *source, const struct es_kept_source *kept);
void es_previous_done(struct es_previous *previous);

#endif
