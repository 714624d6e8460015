/* The SSM provider: parameters below a path, or by their names. */
#ifndef ENVSYNC_SSM_H
#define ENVSYNC_SSM_H

#include "envsync/option.h"
#include "envsync/provider.h"
#include "providers/aws/options.h"

struct es_ssm_options {
    struct es_aws_options aws; /* first: see aws/options.h */
    char *path;
    struct es_strings names;
    bool recursive;
    char *label;
    char *strip;
};

extern const struct es_provider es_provider_ssm;

es_fetch_fn es_fetch_ssm;

#endif
