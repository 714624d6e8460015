/* Patterns of `merge` and `mirror`: on the part of an object key behind the prefix. */
#ifndef ENVSYNC_S3_GLOB_H
#define ENVSYNC_S3_GLOB_H

#include "envsync/err.h"
#include "envsync/option.h"

/* `*` stays within a segment, a segment `**` is any number of segments, none included; every
 * other byte is itself. ES_CONFIG for a pattern that no good key can match. */
int es_s3_glob_check(const char *pattern, struct es_err *err);

/* Takes any key, also one that could be no file name. */
bool es_s3_glob_match(const char *pattern, const char *key, size_t len);
bool es_s3_globs_match(const struct es_strings *patterns, const char *key, size_t len);

#endif
