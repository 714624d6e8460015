/* The merged tree: every key that any source gives, with all who gave it.
 *
 * A tree is its leaves in the order of their keys, so that a key stands right before what lies
 * below it. Each leaf has its records in order of precedence: the last of a source that an output
 * takes from wins, the others are shadowed. Which sources count differs by output; the tree is one.
 */
#ifndef ENVSYNC_CORE_TREE_H
#define ENVSYNC_CORE_TREE_H

#include "fetch.h"

struct es_leaf {
    const struct es_buf *key;
    const struct es_record *const *records; /* lowest precedence first */
    size_t n;
};

/* A text that an output's `types` calls json, and what it was parsed to. */
struct es_text {
    const struct es_record *record;
    enum { ES_TEXT_UNREAD = 0, ES_TEXT_READ, ES_TEXT_REFUSED } state;
    struct es_value value;
};

struct es_tree {
    const struct es_config *config;
    const struct es_record **records; /* sorted; what the leaves point into */
    size_t n_records;
    struct es_leaf *leaves;
    size_t n;
    struct es_text *texts; /* by record; see texts.h */
    size_t n_texts;
};

/* Applies include, exclude, rename and prefix_key of each source, then merges. The records are
 * changed (keys) and borrowed: `fetched` must outlive the tree. */
int es_tree_build(const struct es_config *config, struct es_fetched *fetched, struct es_tree *ret,
                  struct es_err *err);
void es_tree_done(struct es_tree *tree);

bool es_globs_match(const struct es_globs *globs, const struct es_buf *key);

/* The leaf of a key, or NULL. */
const struct es_leaf *es_tree_find(const struct es_tree *tree, const struct es_buf *key);

/* The record that wins among the sources for which wanted[i] is set (NULL: all), or NULL. */
const struct es_record *es_leaf_winner(const struct es_leaf *leaf, const bool *wanted);

/* Fails (ES_INVALID, naming both) where, among these sources, one key is a value here and a table
 * there. */
int es_tree_check_shapes(const struct es_tree *tree, const bool *wanted, struct es_err *err);

/* "bucket: prod/app.env:3 (ETag ...)": where a record came from, for people. */
int es_origin_format(const struct es_config *config, const struct es_record *record,
                     struct es_buf *out);

#endif
