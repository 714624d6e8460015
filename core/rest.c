/* See rest.h. */
#include "rest.h"

#include "commit/store.h"

#include <string.h>

/* A secret never outlives its target's medium: what feeds a target below /run stays in /run,
 * unless the configuration allows it to rest on disk. */
bool es_source_rests(const struct es_config *config, size_t source)
{
    bool feeds_disk =
        config->sources[source].mirrors && !es_path_is_volatile(config->sources[source].mirror.dir);

    if (strcmp(config->last_good.at_rest, "plain") == 0)
        return true;
    for (size_t i = 0; i < config->n_outputs; i++) {
        if (!config->outputs[i].sources[source])
            continue;
        if (es_path_is_volatile(config->outputs[i].path))
            return false;
        feeds_disk = true;
    }
    return feeds_disk;
}

bool es_output_rests(const struct es_config *config, const struct es_output *output)
{
    return strcmp(config->last_good.at_rest, "plain") == 0 || !es_path_is_volatile(output->path);
}

bool es_config_has_disk(const struct es_config *config)
{
    for (size_t i = 0; i < config->n_outputs; i++)
        if (es_output_rests(config, &config->outputs[i]))
            return true;
    for (size_t i = 0; i < config->n_sources; i++)
        if (es_source_rests(config, i))
            return true;
    return false;
}
