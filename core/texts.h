/* Values that `types` calls json. Their texts are a source's, so they are parsed where everything
 * of a source is: by a worker without privileges, a second one that has no source and no network.
 * It is started only where there is such a text. */
#ifndef ENVSYNC_CORE_TEXTS_H
#define ENVSYNC_CORE_TEXTS_H

#include "tree.h"

/* Finds them, parses them and puts the results into the tree, for es_select(). A text that is no
 * JSON is no failure here: it is the output's that wants it. */
int es_texts_read(struct es_tree *tree, struct es_err *err);

/* Its two halves. Which records have to be parsed, into tree->texts: */
int es_texts_gather(struct es_tree *tree, struct es_err *err);
/* One frame of the worker's answer: 1 at the last one, 0, or -EBADMSG. */
int es_texts_take(struct es_tree *tree, enum es_frame type, struct es_cursor *in,
                  struct es_err *err);

/* What a record's text was parsed to, or NULL where it was not. */
const struct es_text *es_texts_find(const struct es_tree *tree, const struct es_record *record);

#endif
