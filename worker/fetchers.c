/* The worker's half of the list of providers. */
#include "job.h"

#include "providers/aws/client.h"

#define DECLARE(name)                                                                              \
    extern const struct es_provider es_provider_##name;                                            \
    es_fetch_fn es_fetch_##name;
ES_PROVIDERS(DECLARE)

es_fetch_fn *es_fetcher_of(const struct es_provider *provider)
{
#define MATCH(name)                                                                                \
    if (provider == &es_provider_##name)                                                           \
        return es_fetch_##name;
    ES_PROVIDERS(MATCH)
    return NULL;
}

/* Whoever needs AWS's files needs what these name. */
es_prepare_fn *es_preparer_of(const struct es_provider *provider)
{
    return provider->needs == es_aws_needs ? es_aws_prepare : NULL;
}
