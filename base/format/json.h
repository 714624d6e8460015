/* JSON within base: what the formats json and ssm-json and the texts of values share. */
#ifndef ENVSYNC_FORMAT_JSON_H
#define ENVSYNC_FORMAT_JSON_H

#include "envsync/value.h"

/* Reads JSON of any kind into a fresh value; errors start "LINE:COLUMN: ". */
int es_json_read(const char *text, size_t len, struct es_value *ret, struct es_err *err);

/* Appends a value: over several lines and indented by two blanks, or compact. 0 or -ENOMEM. */
int es_json_put(struct es_buf *out, const struct es_value *value, bool compact);

/* Why JSON cannot carry the value or something in it, or NULL. */
const char *es_json_refuses(const struct es_value *value);

#endif
