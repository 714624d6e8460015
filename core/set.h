/* The set of one run: every output rendered, checked, and compared with what is on disk, before the
 * first byte is written.
 */
#ifndef ENVSYNC_CORE_SET_H
#define ENVSYNC_CORE_SET_H

#include "commit/replace.h"
#include "select.h"

/* One key that differs between an output and the file that is there. */
struct es_change {
    char marker; /* '+' '~' '-' */
    char *name;
    const char *source; /* that gives it; NULL for '-' */
};

struct es_piece {
    const struct es_output *output;
    bool kept; /* fed by a skipped source: stays as it is */
    struct es_selection selection;
    struct es_buf text;
    struct es_wanted wanted;
    struct es_target target;
    enum es_target_state
        restored; /* what was put right from the last set before: SAME for nothing */
    struct es_change *changes;
    size_t n_changes;
    bool unreadable; /* the file that is there is not of this format: every key counts as new */
};

struct es_set {
    struct es_piece *pieces; /* by output */
    size_t n;
    const char *root;
};

/* Selects and renders all outputs, then opens all targets. `look`: a dry run, nothing is made. The
 * configuration, tree and fetched data must outlive the set. */
int es_set_prepare(const struct es_config *config, const struct es_tree *tree,
                   const struct es_fetched *fetched, const char *root, bool look,
                   struct es_set *ret, struct es_report *report, struct es_err *err);

/* Opens the place of one output, by the rules for outputs. */
int es_set_open_target(const struct es_config *config, const struct es_output *output,
                       const char *root, const struct es_wanted *wanted, struct es_target *ret,
                       struct es_err *err);

/* Removes what a killed run left beside the outputs. Needs the lock. */
void es_set_sweep(const struct es_config *config, const struct es_manifest *last, const char *root);

/* Writes temporary files beside all targets that will be replaced. */
int es_set_stage(struct es_set *set, struct es_err *err);

/* Publishes all, staging what is not yet. Signals wait until it is done. */
int es_set_write(struct es_set *set, struct es_err *err);

/* Finds out which keys differ, for those who want to know: fills changes. */
int es_set_diff(struct es_set *set, const struct es_config *config, struct es_err *err);

bool es_set_differs(const struct es_set *set); /* is there anything to write or repair? */
void es_set_done(struct es_set *set);

#endif
