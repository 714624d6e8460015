/* The cloud-init provider: facts about this machine out of cloud-init's instance data. */
#ifndef ENVSYNC_CLOUD_INIT_H
#define ENVSYNC_CLOUD_INIT_H

#include "envsync/option.h"
#include "envsync/provider.h"

struct es_cloud_init_options {
    char *path;         /* instance-data.json */
    struct es_map keys; /* NAME = template */
};

extern const struct es_provider es_provider_cloud_init;

es_fetch_fn es_fetch_cloud_init;

#endif
