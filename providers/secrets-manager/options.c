/* The Secrets Manager provider's options. Local configuration, which root wrote. Pure. What may
 * hold a ${cloud.FACT} is looked at again in the worker, once that is filled in. */
#include "secrets-manager.h"

#include "envsync/key.h"

#include <errno.h>
#include <string.h>

#define AT(field) offsetof(struct es_secrets_manager_options, field)

enum { MAX_ID = 2048, MAX_STAGE = 256 };

static const struct es_option options[] = {
    {
        .key = "ids",
        .type = ES_OPT_STRINGS,
        .flags = ES_OPT_REQUIRED | ES_OPT_CLOUD,
        .offset = AT(ids),
        .help = "names or ARNs of secrets, merged in this order; a JSON object becomes keys",
    },
    {
        .key = "key",
        .type = ES_OPT_STRING,
        .offset = AT(key),
        .help = "key for a secret that is a plain string or binary",
    },
    {
        .key = "stage",
        .type = ES_OPT_STRING,
        .offset = AT(stage),
        .help = "take the version with this stage (default: AWSCURRENT)",
    },
    {
        .key = "version",
        .type = ES_OPT_STRING,
        .offset = AT(version),
        .help = "take the version with this id",
    },
    ES_AWS_OPTION_ROWS,
    {0},
};

int es_secret_id_check(const char *id, struct es_err *err)
{
    size_t len = strlen(id);
    bool good = len > 0 && len <= MAX_ID;

    for (size_t i = 0; good && i < len; i++)
        good = (id[i] >= 'a' && id[i] <= 'z') || (id[i] >= 'A' && id[i] <= 'Z') ||
               (id[i] >= '0' && id[i] <= '9') || strchr("/_+=.@-:!", id[i]);
    return good ? 0
                : es_fail(err, ES_CONFIG, EINVAL, "ids: \"%.100s\" is no name or ARN of a secret",
                          id);
}

static int validate_ids(const struct es_strings *ids, struct es_err *err)
{
    int r = 0;

    if (ids->n == 0)
        return es_fail(err, ES_CONFIG, EINVAL, "ids: names no secret");
    for (size_t i = 0; r == 0 && i < ids->n; i++) {
        if (!strstr(ids->items[i], "${"))
            r = es_secret_id_check(ids->items[i], err);
        for (size_t j = 0; r == 0 && j < i; j++)
            if (strcmp(ids->items[i], ids->items[j]) == 0)
                r = es_fail(err, ES_CONFIG, EEXIST, "ids: \"%.100s\" stands there twice",
                            ids->items[i]);
    }
    return r;
}

static int validate(const void *state, struct es_err *err)
{
    const struct es_secrets_manager_options *secrets = state;
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    int r = es_aws_validate(&secrets->aws, err);

    if (r == 0)
        r = validate_ids(&secrets->ids, err);
    if (r == 0 && secrets->key) {
        r = es_key_parse(secrets->key, &key, err);
        if (r < 0)
            es_context(err, "key");
    }
    if (r == 0 && secrets->version && secrets->ids.n > 1)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "version is that of one secret, and ids names several");
    if (r == 0 && secrets->stage && (!*secrets->stage || strlen(secrets->stage) > MAX_STAGE))
        return es_fail(err, ES_CONFIG, EINVAL, "stage: is no name of a stage");
    if (r == 0 && secrets->version && !*secrets->version)
        return es_fail(err, ES_CONFIG, EINVAL, "version: is no id of a version");
    return r;
}

const struct es_provider es_provider_secrets_manager = {
    .type = "secrets-manager",
    .summary = "secrets of AWS Secrets Manager",
    .options = options,
    .size = sizeof(struct es_secrets_manager_options),
    .validate = validate,
    .needs = es_aws_needs,
    .environment = es_aws_environment,
    .defaults = "aws",
    .default_options = es_aws_defaults,
    .describes = true,
    .network = true,
};
