/* What every AWS source takes, for the option tables of the providers. Pure: linked into both
 * programs, knows nothing of libcurl, OpenSSL or expat.
 *
 * A provider's state begins with `struct es_aws_options aws`, its table with ES_AWS_OPTION_ROWS;
 * its es_provider names es_aws_environment and es_aws_needs, and its validate() calls
 * es_aws_validate(). */
#ifndef ENVSYNC_AWS_OPTIONS_H
#define ENVSYNC_AWS_OPTIONS_H

#include "envsync/option.h"
#include "envsync/provider.h"

#include <stddef.h>

struct es_aws_options {
    char *region;
    char *endpoint; /* of the source's own service */
    char *profile;
    char *role_arn;
    char *ca_file;
    char *proxy;
};

/* The roles of the files that root opens. */
#define ES_AWS_ROLE_CONFIG          "aws-config"
#define ES_AWS_ROLE_CREDENTIALS     "aws-credentials"
#define ES_AWS_ROLE_CA_FILE         "aws-ca-file"
#define ES_AWS_ROLE_CA_BUNDLE       "aws-ca-bundle"
#define ES_AWS_ROLE_WEB_TOKEN       "aws-web-identity-token"
#define ES_AWS_ROLE_CONTAINER_TOKEN "aws-container-token"
#define ES_AWS_ROLE_CLOUD           "cloud"

#define ES_AWS_OPTION_ROWS                                                                         \
    {.key = "region",                                                                              \
     .type = ES_OPT_STRING,                                                                        \
     .flags = ES_OPT_CLOUD,                                                                        \
     .offset = offsetof(struct es_aws_options, region),                                            \
     .help = "AWS region; else AWS_REGION, the profile, cloud-init, the metadata service"},        \
        {.key = "endpoint",                                                                        \
         .type = ES_OPT_STRING,                                                                    \
         .offset = offsetof(struct es_aws_options, endpoint),                                      \
         .help = "URL to ask in place of AWS's own"},                                              \
        {.key = "profile",                                                                         \
         .type = ES_OPT_STRING,                                                                    \
         .offset = offsetof(struct es_aws_options, profile),                                       \
         .help = "profile of AWS's config and credentials files"},                                 \
        {.key = "role_arn",                                                                        \
         .type = ES_OPT_STRING,                                                                    \
         .offset = offsetof(struct es_aws_options, role_arn),                                      \
         .help = "role to assume with the credentials that are found"},                            \
        {.key = "ca_file",                                                                         \
         .type = ES_OPT_PATH,                                                                      \
         .offset = offsetof(struct es_aws_options, ca_file),                                       \
         .help = "PEM file of authorities to trust in place of the system's"},                     \
    {                                                                                              \
        .key = "proxy", .type = ES_OPT_STRING, .offset = offsetof(struct es_aws_options, proxy),   \
        .help = "URL of a proxy for all but the metadata services"                                 \
    }

/* The same rows alone: what [aws] may hold. */
extern const struct es_option es_aws_defaults[];

/* Messages start with the option's name. ES_CONFIG. */
int es_aws_validate(const struct es_aws_options *options, struct es_err *err);
int es_aws_needs(const void *state, const struct es_surroundings *surroundings,
                 struct es_needs *needs, struct es_err *err);

/* Every variable of the process environment that counts. NULL-terminated. */
extern const char *const es_aws_environment[];

#endif
