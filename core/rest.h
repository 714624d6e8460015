/* What may lie on disk: a secret never outlives the medium of the files that it goes to, unless the
 * configuration allows that ([last_good] at_rest). */
#ifndef ENVSYNC_CORE_REST_H
#define ENVSYNC_CORE_REST_H

#include "config.h"

/* May the records of a source rest on disk? */
bool es_source_rests(const struct es_config *config, size_t source);

/* May the text of an output? */
bool es_output_rests(const struct es_config *config, const struct es_output *output);

/* Is what may not rest on disk to be sealed there? */
bool es_config_seals(const struct es_config *config);

/* 1 where less may rest on disk than an earlier configuration allowed, as a manifest has it; 0, or
 * no memory. */
int es_config_is_stricter(const struct es_config *config, const struct es_buf *configured,
                          struct es_err *err);

/* ES_CONFIG where this host lacks what at_rest needs. */
int es_config_check_rest(const struct es_config *config, struct es_err *err);

/* Does this configuration keep anything on disk, beside what it writes? */
bool es_config_has_disk(const struct es_config *config);

#endif
