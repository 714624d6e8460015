/* cloud-init's instance data as a tree, and how a path finds its way in it.
 *
 * The one place here that knows JSON. Spots are borrowed from the data and end with it.
 */
#ifndef ENVSYNC_CLOUD_INIT_DATA_H
#define ENVSYNC_CLOUD_INIT_DATA_H

#include "template.h"

#include <jansson.h>

enum { ES_DATA_DEPTH = 64 };

struct es_data {
    json_t *root;
    char *path; /* of the file, for messages */
};

/* A value and the names that lead to it, as they stand in the file. */
struct es_spot {
    const json_t *value;
    const char *names[ES_DATA_DEPTH + 2];
    size_t n;
    bool in_list; /* a list was entered: base64_encoded_keys does not reach there */
};

/* Objects all the way, nulls allowed, no duplicate keys, depth bounded. ES_INVALID otherwise. */
int es_data_parse(const char *text, size_t len, const char *path, struct es_data *ret,
                  struct es_err *err);
void es_data_done(struct es_data *data);

/* False where there is nothing, or a null. Where the way is barred by a redacted value or by a
 * list that is entered by name, the spot is that value: es_data_text() then says what is wrong. */
bool es_data_walk(const struct es_data *data, const struct es_step *steps, size_t n,
                  struct es_spot *ret);

/* One name further: exactly as written, or in any form of hyphens and underscores. */
bool es_spot_enter(const struct es_spot *spot, const char *name, bool exact, struct es_spot *ret);

bool es_spot_redacted(const struct es_spot *spot);

/* Says that `what` is redacted and what to do: ES_DENIED. */
int es_data_redacted(const struct es_data *data, const char *what, struct es_err *err);

/* Appends the text of a scalar, decoded where it is base64. `what` is for messages: as the user
 * wrote it. ES_DENIED for a redacted value, ES_INVALID for a list or table. */
int es_data_text(const struct es_data *data, const struct es_spot *spot, const char *what,
                 struct es_buf *out, struct es_err *err);

#endif
