/* What earlier runs have left, for whoever wants to look: the last set, what it knows of each
 * source, and the variables that it wrote. Nothing is made, locked or changed. */
#ifndef ENVSYNC_CORE_MEMORY_H
#define ENVSYNC_CORE_MEMORY_H

#include "previous.h"

struct es_memory {
    struct es_store store;
    struct es_previous previous;
    bool unreadable; /* there may be a state, but the caller may not look at it */
};
#define ES_MEMORY_INIT                                                                             \
    {                                                                                              \
        .store = ES_STORE_INIT                                                                     \
    }

/* Who may not read the state, and a host without one, has no memory: that is no failure. What a
 * reboot has taken and a sealed copy holds is opened, in memory only. What is damaged is told. */
int es_memory_look(const struct es_config *config, const char *root, int64_t deadline,
                   struct es_memory *ret, struct es_report *report, struct es_err *err);
void es_memory_done(struct es_memory *memory);

/* The names of variables that the last set has written into env outputs, as a table: what a run
 * wrote is never an input of the next. */
int es_memory_names(const struct es_config *config, const struct es_store *store,
                    struct es_value *ret, struct es_err *err);

#endif
