/* The S3 provider's options. Local configuration, which root wrote. Pure: what may hold a
 * ${cloud.FACT} is looked at again in the worker, once that is filled in. */
#include "s3.h"

#include "glob.h"
#include "providers/aws/endpoint.h"

#include <errno.h>
#include <string.h>

#define AT(field) offsetof(struct es_s3_options, field)

static const struct es_option options[] = {
    {
        .key = "bucket",
        .type = ES_OPT_STRING,
        .flags = ES_OPT_REQUIRED | ES_OPT_CLOUD,
        .offset = AT(bucket),
        .help = "name of the bucket",
    },
    {
        .key = "prefix",
        .type = ES_OPT_STRING,
        .flags = ES_OPT_CLOUD,
        .offset = AT(prefix),
        .help = "folder in the bucket; a missing final / is added (default: all of the bucket)",
    },
    {
        .key = "merge",
        .type = ES_OPT_STRINGS,
        .offset = AT(merge),
        .help = "globs, relative to prefix, of objects that are parsed and merged in key order",
    },
    {
        .key = "mirror",
        .type = ES_OPT_STRINGS,
        .offset = AT(mirror),
        .help = "globs, relative to prefix, of objects that are copied below dir",
    },
    {
        .key = "dir",
        .type = ES_OPT_PATH,
        .offset = AT(files.dir),
        .help = "directory for mirrored objects",
    },
    {
        .key = "prune",
        .type = ES_OPT_BOOL,
        .def = "false",
        .offset = AT(files.prune),
        .help = "remove what an earlier run mirrored and the bucket no longer has",
    },
    {
        .key = "owner",
        .type = ES_OPT_STRING,
        .offset = AT(files.owner),
        .help = "owner of mirrored files (default: root)",
    },
    {
        .key = "group",
        .type = ES_OPT_STRING,
        .offset = AT(files.group),
        .help = "group of mirrored files (default: the configuration's)",
    },
    {
        .key = "mode",
        .type = ES_OPT_MODE,
        .def = "0640",
        .offset = AT(files.mode),
        .help = "mode of mirrored files",
    },
    {
        .key = "dir_mode",
        .type = ES_OPT_MODE,
        .def = "0750",
        .offset = AT(files.dir_mode),
        .help = "mode of directories made for them",
    },
    {
        .key = "exact_mtime",
        .type = ES_OPT_BOOL,
        .def = "false",
        .offset = AT(exact_mtime),
        .help = "give mirrored files the object's LastModified as their mtime",
    },
    {
        .key = "addressing",
        .type = ES_OPT_ENUM,
        .choices = "auto|path|virtual",
        .def = "auto",
        .offset = AT(addressing),
        .help = "whether the bucket goes into the path or the host name of a URL",
    },
    {
        .key = "expected_bucket_owner",
        .type = ES_OPT_STRING,
        .offset = AT(expected_bucket_owner),
        .help = "account, 12 digits, that the bucket must belong to",
    },
    ES_AWS_OPTION_ROWS,
    {0},
};

static int validate_globs(const struct es_strings *globs, const char *option, struct es_err *err)
{
    for (size_t i = 0; i < globs->n; i++) {
        int r = es_s3_glob_check(globs->items[i], err);

        if (r < 0) {
            es_context(err, "%s", option);
            return r;
        }
    }
    return 0;
}

static int validate_mirror(const struct es_s3_options *s3, struct es_err *err)
{
    const char *unused = NULL;

    if (s3->merge.n == 0 && s3->mirror.n == 0)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "neither merge nor mirror says which objects to take; mirror = [\"**\"] "
                       "takes all of them");
    if (s3->mirror.n > 0)
        return s3->files.dir
                   ? 0
                   : es_fail(err, ES_CONFIG, EINVAL, "mirror needs dir, the directory to copy to");
    if (s3->files.dir)
        unused = "dir";
    else if (s3->files.prune)
        unused = "prune";
    else if (s3->files.owner)
        unused = "owner";
    else if (s3->files.group)
        unused = "group";
    else if (s3->exact_mtime)
        unused = "exact_mtime";
    return unused ? es_fail(err, ES_CONFIG, EINVAL, "%s has no effect without mirror", unused) : 0;
}

static int validate_owner(const char *account, struct es_err *err)
{
    if (!account || (strlen(account) == 12 && strspn(account, "0123456789") == 12))
        return 0;
    return es_fail(err, ES_CONFIG, EINVAL, "expected_bucket_owner must be an account of 12 digits");
}

static int validate(const void *state, struct es_err *err)
{
    const struct es_s3_options *s3 = state;
    int r = es_aws_validate(&s3->aws, err);

    if (r == 0 && !strstr(s3->bucket, "${")) {
        r = es_aws_bucket_check(s3->bucket, err);
        if (r < 0)
            es_context(err, "bucket");
    }
    if (r == 0)
        r = validate_globs(&s3->merge, "merge", err);
    if (r == 0)
        r = validate_globs(&s3->mirror, "mirror", err);
    if (r == 0)
        r = validate_mirror(s3, err);
    return r == 0 ? validate_owner(s3->expected_bucket_owner, err) : r;
}

static const struct es_mirror_want *mirror(const void *state)
{
    const struct es_s3_options *s3 = state;

    return s3->files.dir ? &s3->files : NULL;
}

static bool mirrors(const void *state, const char *path)
{
    const struct es_s3_options *s3 = state;

    return es_s3_globs_match(&s3->mirror, path, strlen(path));
}

const struct es_provider es_provider_s3 = {
    .type = "s3",
    .summary = "objects of an S3 bucket, merged or copied to a directory",
    .options = options,
    .size = sizeof(struct es_s3_options),
    .validate = validate,
    .needs = es_aws_needs,
    .environment = es_aws_environment,
    .defaults = "aws",
    .default_options = es_aws_defaults,
    .describes = true,
    .network = true,
    .mirror = mirror,
    .mirrors = mirrors,
};
