/* Names of parameters: what may be asked for, and the keys that they become. Pure. */
#ifndef ENVSYNC_SSM_NAME_H
#define ENVSYNC_SSM_NAME_H

#include "envsync/buf.h"
#include "envsync/err.h"

/* What was typed, taken apart; all borrowed from it. "/a/b:3" and "arn:...:parameter/a/b:3" are
 * both the parameter "/a/b" with the selector ":3". */
struct es_ssm_name {
    const char *text; /* as typed */
    const char *base; /* "/a/b", not terminated */
    size_t len;
    const char *selector; /* ":3", ":label", or "" */
    bool arn;
};

/* ES_CONFIG where it can be no parameter. */
int es_ssm_name_parse(const char *text, struct es_ssm_name *ret, struct es_err *err);
/* "/a/b": absolute, no empty part, a final slash is fine. ES_CONFIG. */
int es_ssm_path_check(const char *path, struct es_err *err);

/* The key of a parameter: what is behind `above` ("/a", "/a/" or "/"), a segment per part; of the
 * last part alone where above is NULL. -ENOENT, without err, where the name is not below it or has
 * an empty part; else 0 or -ENOMEM. */
int es_ssm_key(const char *name, size_t len, const char *above, struct es_buf *ret);

#endif
