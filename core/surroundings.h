/* Gathers what providers may know besides their options (see envsync/provider.h). */
#ifndef ENVSYNC_CORE_SURROUNDINGS_H
#define ENVSYNC_CORE_SURROUNDINGS_H

#include "config.h"

/* `own`: names that the last run wrote, as a table, or NULL; they count only where `env` lists
 * them. */
int es_surroundings_gather(const struct es_config *config, const struct es_process *process,
                           const struct es_value *own, struct es_surroundings *ret,
                           struct es_err *err);

#endif
