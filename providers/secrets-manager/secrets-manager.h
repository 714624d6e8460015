/* The Secrets Manager provider: secrets by their names or ARNs. */
#ifndef ENVSYNC_SECRETS_MANAGER_H
#define ENVSYNC_SECRETS_MANAGER_H

#include "envsync/option.h"
#include "envsync/provider.h"
#include "providers/aws/options.h"

struct es_secrets_manager_options {
    struct es_aws_options aws; /* first: see aws/options.h */
    struct es_strings ids;
    char *key;
    char *stage;
    char *version;
};

/* ES_CONFIG where it can be no name and no ARN of a secret. */
int es_secret_id_check(const char *id, struct es_err *err);

extern const struct es_provider es_provider_secrets_manager;

es_fetch_fn es_fetch_secrets_manager;

#endif
