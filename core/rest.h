/* What may lie on disk: a secret never outlives the medium of the files that it goes to, unless the
 * configuration allows that ([last_good] at_rest). */
#ifndef ENVSYNC_CORE_REST_H
#define ENVSYNC_CORE_REST_H

#include "config.h"

/* May the records of a source rest on disk? */
bool es_source_rests(const struct es_config *config, size_t source);

/* May the text of an output? */
bool es_output_rests(const struct es_config *config, const struct es_output *output);

/* Does this configuration keep anything on disk, beside what it writes? */
bool es_config_has_disk(const struct es_config *config);

#endif
