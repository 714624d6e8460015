/* The S3 provider: objects of a bucket below a prefix, merged or mirrored. */
#ifndef ENVSYNC_S3_H
#define ENVSYNC_S3_H

#include "envsync/option.h"
#include "envsync/provider.h"
#include "providers/aws/options.h"

struct es_s3_options {
    struct es_aws_options aws; /* first: see aws/options.h */
    char *bucket;
    char *prefix; /* as typed; NULL: all of the bucket */
    struct es_strings merge;
    struct es_strings mirror;
    struct es_mirror_want files;
    bool exact_mtime;
    char *addressing; /* auto|path|virtual */
    char *expected_bucket_owner;
};

extern const struct es_provider es_provider_s3;

es_fetch_fn es_fetch_s3;

#endif
