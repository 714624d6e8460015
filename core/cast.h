/* `types`: a value that is to become another type. */
#ifndef ENVSYNC_CORE_CAST_H
#define ENVSYNC_CORE_CAST_H

#include "config.h"

/* Changes the value in place, but for text that is to be JSON. -EINVAL with a reason (no value in
 * it) where it does not fit, -ENOMEM. */
int es_cast(struct es_value *value, enum es_cast cast, const char **ret_why);

#endif
