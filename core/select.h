/* What one output will hold: its keys, with winners, names and final values. */
#ifndef ENVSYNC_CORE_SELECT_H
#define ENVSYNC_CORE_SELECT_H

#include "tree.h"

struct es_item {
    const struct es_leaf *leaf;
    const struct es_record *record; /* the winner */
    struct es_value value;          /* as it will be written */
    struct es_buf name;             /* in the output: variable, key as text, or parameter */
};

struct es_selection {
    struct es_item *items; /* sorted bytewise by name */
    size_t n;
};

/* Selects, types, names and checks. ES_INVALID for what the output cannot hold: collisions, refused
 * or invalid names, values that do not fit their type or the format, missing required names. */
int es_select(const struct es_tree *tree, const struct es_output *output, struct es_selection *ret,
              struct es_report *report, struct es_err *err);
void es_selection_done(struct es_selection *selection);

/* The item that has this name in the output, or NULL. */
const struct es_item *es_selection_find(const struct es_selection *selection, const char *name,
                                        size_t len);

/* Renders what was selected, read back and compared. */
int es_selection_render(const struct es_selection *selection, const struct es_output *output,
                        struct es_buf *out, struct es_err *err);

#endif
