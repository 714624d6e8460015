/* The list of providers, for both programs: built from ES_PROVIDERS, so that a provider is named
 * in one place only. Holds no fetch functions: the worker has a list of those of its own. */
#include "envsync/provider.h"

#include <string.h>

#define DECLARE(id) extern const struct es_provider es_provider_##id;
ES_PROVIDERS(DECLARE)
#undef DECLARE

#define ENTRY(id) &es_provider_##id,
const struct es_provider *const es_providers[] = {ES_PROVIDERS(ENTRY) NULL};
#undef ENTRY

const struct es_provider *es_provider_by_type(const char *type)
{
    for (size_t i = 0; es_providers[i]; i++)
        if (strcmp(es_providers[i]->type, type) == 0)
            return es_providers[i];
    return NULL;
}
