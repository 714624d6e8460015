/* The SSM provider's options. Local configuration, which root wrote. Pure. What may hold a
 * ${cloud.FACT} is looked at again in the worker, once that is filled in. */
#include "ssm.h"

#include "name.h"

#include <errno.h>
#include <string.h>

#define AT(field) offsetof(struct es_ssm_options, field)

static const struct es_option options[] = {
    {
        .key = "path",
        .type = ES_OPT_STRING,
        .flags = ES_OPT_CLOUD,
        .offset = AT(path),
        .help = "take the parameters below it; a key is what follows, one part per slash",
    },
    {
        .key = "names",
        .type = ES_OPT_STRINGS,
        .flags = ES_OPT_CLOUD,
        .offset = AT(names),
        .help = "take these: NAME, NAME:VERSION, NAME:LABEL, an ARN, or "
                "/aws/reference/secretsmanager/ID",
    },
    {
        .key = "recursive",
        .type = ES_OPT_BOOL,
        .def = "true",
        .offset = AT(recursive),
        .help = "with path: take what is deeper than one level, too",
    },
    {
        .key = "label",
        .type = ES_OPT_STRING,
        .offset = AT(label),
        .help = "with path: take the versions with this label only",
    },
    {
        .key = "strip",
        .type = ES_OPT_STRING,
        .offset = AT(strip),
        .help = "with names: a key is what follows it, instead of the last part of the name",
    },
    ES_AWS_OPTION_ROWS,
    {0},
};

static int validate_path(const struct es_ssm_options *ssm, struct es_err *err)
{
    int r = 0;

    if (ssm->strip)
        return es_fail(err, ES_CONFIG, EINVAL, "strip goes with names; keys of path have none");
    if (!strstr(ssm->path, "${"))
        r = es_ssm_path_check(ssm->path, err);
    if (r < 0)
        es_context(err, "path");
    if (r == 0 && ssm->label && (!*ssm->label || strpbrk(ssm->label, ":/ \t")))
        return es_fail(err, ES_CONFIG, EINVAL, "label: \"%.100s\" is no label", ssm->label);
    return r;
}

static int validate_name(const struct es_ssm_options *ssm, const char *text, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_ssm_name name;
    int r = es_ssm_name_parse(text, &name, err);

    if (r < 0 || !ssm->strip)
        return r;
    r = es_ssm_key(name.base, name.len, ssm->strip, &key);
    if (r == -ENOMEM)
        return es_nomem(err);
    return r < 0 ? es_fail(err, ES_CONFIG, EINVAL, "\"%.100s\" is not below strip", text) : 0;
}

static int validate_names(const struct es_ssm_options *ssm, struct es_err *err)
{
    int r = 0;

    if (ssm->label)
        return es_fail(err, ES_CONFIG, EINVAL, "label goes with path; write \"NAME:%s\" in names",
                       ssm->label);
    if (ssm->strip && es_ssm_path_check(ssm->strip, err) < 0) {
        es_context(err, "strip");
        return -EINVAL;
    }
    for (size_t i = 0; r == 0 && i < ssm->names.n; i++)
        if (!strstr(ssm->names.items[i], "${"))
            r = validate_name(ssm, ssm->names.items[i], err);
    if (r < 0 && err->class != ES_INTERNAL)
        es_context(err, "names");
    return r;
}

static int validate(const void *state, struct es_err *err)
{
    const struct es_ssm_options *ssm = state;
    int r = es_aws_validate(&ssm->aws, err);

    if (r < 0)
        return r;
    if (ssm->path && ssm->names.n > 0)
        return es_fail(err, ES_CONFIG, EINVAL, "path and names exclude each other");
    if (!ssm->path && ssm->names.n == 0)
        return es_fail(err, ES_CONFIG, EINVAL, "either path or names must say what to take");
    return ssm->path ? validate_path(ssm, err) : validate_names(ssm, err);
}

const struct es_provider es_provider_ssm = {
    .type = "ssm",
    .summary = "parameters of AWS Systems Manager's Parameter Store",
    .options = options,
    .size = sizeof(struct es_ssm_options),
    .validate = validate,
    .needs = es_aws_needs,
    .environment = es_aws_environment,
    .defaults = "aws",
    .default_options = es_aws_defaults,
    .describes = true,
    .network = true,
    .named = true,
};
