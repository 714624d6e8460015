/* ${NAME}: variables in the configuration.
 *
 * A variable comes from the process environment where the configuration's `env` lists it, else from
 * the bootstrap file, else from its `:-default`. `$${` stands for a literal `${`. ${cloud.FACT} is
 * left for the worker where the option allows it.
 */
#ifndef ENVSYNC_CORE_EXPAND_H
#define ENVSYNC_CORE_EXPAND_H

#include "envsync/key.h"
#include "envsync/option.h"
#include "process.h"

struct es_variables {
    const struct es_process *process;
    const struct es_strings *allowed; /* names that the process environment may give */
    struct es_value bootstrap;        /* table of strings */
};

/* Reads the bootstrap file (by absolute path); one that is not there gives no variables. */
int es_variables_load(struct es_variables *variables, const char *bootstrap, struct es_err *err);
void es_variables_done(struct es_variables *variables);

/* Replaces, in place, every string that `options` reads from `table`. ES_CONFIG with position. */
int es_expand_table(const struct es_variables *variables, const struct es_option *options,
                    struct es_value *table, const char *file, struct es_err *err);

#endif
