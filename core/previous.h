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
    bool damaged;                    /* the set has it, but it does not read back */
};

struct es_previous {
    struct es_before *sources; /* by source of the configuration */
    size_t n;
};

/* Loads what the store's set has. What cannot be read counts as not known, and is told where it has
 * not just gone with /run. */
int es_previous_load(const struct es_config *config, const char *root, const struct es_store *store,
                     struct es_previous *ret, struct es_report *report, struct es_err *err);
bool es_previous_is_whole(const struct es_previous *previous); /* nothing of it is damaged */

/* May it be last good, by its age? A time in the future says that a clock was wrong: nobody knows
 * how old that is. */
enum es_ripeness { ES_AGE_COUNTS, ES_AGE_TOO_OLD, ES_AGE_OF_THE_FUTURE };
enum es_ripeness es_before_ripeness(const struct es_config *config, const struct es_before *before);
/* Is this a set of the very same configuration, so that it can answer for it? */
bool es_set_is_of(const struct es_config *config, const struct es_store *store);
/* Is this source configured as it was for that set, `prune` apart? Then what the set says of files
 * that are gone holds also where prune has come later. 1, 0, or -ENOMEM. */
int es_source_is_as(const struct es_source *source, const struct es_kept_source *kept);
void es_previous_done(struct es_previous *previous);

#endif
