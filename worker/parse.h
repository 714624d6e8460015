/* A job without a source: texts that `types` calls json. */
#ifndef ENVSYNC_WORKER_PARSE_H
#define ENVSYNC_WORKER_PARSE_H

#include "sink.h"

/* Parses a list of strings and answers each by its place in the list; then the end. */
int es_parse_texts(const struct es_value *texts, struct es_pipe *pipe, struct es_err *err);

#endif
