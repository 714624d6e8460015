/* Names of variables: how a key becomes one, and which are refused. */
#ifndef ENVSYNC_CORE_NAMES_H
#define ENVSYNC_CORE_NAMES_H

#include "envsync/buf.h"
#include "envsync/err.h"

/* The variable that a key becomes: segments joined with "_", "-" and "." as "_", upper-cased unless
 * keep_case, a verbatim single segment as it is. -EINVAL where that is no valid name. */
int es_name_of_key(const struct es_buf *key, bool verbatim, bool keep_case, struct es_buf *ret);

/* Why a variable of this name must not come from a source ("acts on the dynamic loader ..."), or
 * NULL. */
const char *es_name_refused(const char *name);

#endif
