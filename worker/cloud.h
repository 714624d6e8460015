/* ${cloud.FACT} in the options of a source: filled in here, where the instance data is parsed. */
#ifndef ENVSYNC_WORKER_CLOUD_H
#define ENVSYNC_WORKER_CLOUD_H

#include "envsync/provider.h"

/* Replaces them, in place, in every option that may hold one. A fact must be one plain segment:
 * metadata never chooses a host or another folder. ES_INVALID, ES_ABSENT, ES_DENIED. */
int es_cloud_expand(struct es_value *table, const struct es_option *options,
                    const struct es_file *files, size_t n_files, struct es_err *err);

#endif
