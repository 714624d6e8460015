/* See envsync/provider.h: the variables and the home directory that providers may know. */
#include "envsync/provider.h"

#include <stdlib.h>

const char *es_surroundings_get(const struct es_surroundings *surroundings, const char *name)
{
    const struct es_value *value = surroundings->environment.type == ES_TABLE
                                       ? es_table_get(&surroundings->environment, name)
                                       : NULL;

    return value ? es_buf_str(&value->text) : NULL;
}

void es_surroundings_done(struct es_surroundings *surroundings)
{
    es_value_done(&surroundings->environment);
    free(surroundings->home);
    *surroundings = (struct es_surroundings){0};
}
