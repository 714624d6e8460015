/* See options.h. Local configuration and the caller's environment; nothing is opened here. */
#include "options.h"

#include "endpoint.h"

#include <errno.h>
#include <string.h>

const struct es_option es_aws_defaults[] = {ES_AWS_OPTION_ROWS, {0}};

const char *const es_aws_environment[] = {
    "HTTPS_PROXY", /* only where the configuration lists it in `env` */
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CA_BUNDLE",
    NULL,
};

static int check_endpoint(const char *endpoint, struct es_err *err)
{
    struct es_aws_endpoint_want want = {
        .service = ES_AWS_STS, .region = "us-east-1", .custom = endpoint};
    struct es_aws_endpoint ignored;
    int r = es_aws_endpoint(&want, &ignored, err);

    if (r < 0)
        es_context(err, "endpoint");
    return r;
}

static int check_proxy(const char *proxy, struct es_err *err)
{
    int r = strstr(proxy, "://") ? es_aws_proxy_check(proxy, err)
                                 : es_fail(err, ES_CONFIG, EINVAL, "write http://HOST:PORT");

    if (r < 0)
        es_context(err, "proxy");
    return r;
}

/* arn:aws:iam::123456789012:role/name */
static int check_role(const char *arn, struct es_err *err)
{
    const char *iam = strstr(arn, ":iam::"), *role = iam ? strstr(iam, ":role/") : NULL;

    if (strncmp(arn, "arn:", 4) != 0 || !role || role[6] == '\0' || strpbrk(arn, " \t\r\n"))
        return es_fail(err, ES_CONFIG, EINVAL, "role_arn: write arn:aws:iam::ACCOUNT:role/NAME");
    return 0;
}

static bool given(const char *text)
{
    return text && *text;
}

int es_aws_validate(const struct es_aws_options *options, struct es_err *err)
{
    int r = 0;

    if (given(options->region) && !strstr(options->region, "${cloud") &&
        !es_aws_region_valid(options->region))
        return es_fail(err, ES_CONFIG, EINVAL,
                       "region: \"%.64s\" is no region; write one like eu-west-1", options->region);
    if (given(options->endpoint))
        r = check_endpoint(options->endpoint, err);
    if (r == 0 && given(options->proxy))
        r = check_proxy(options->proxy, err);
    if (r == 0 && given(options->role_arn))
        r = check_role(options->role_arn, err);
    return r;
}

static int need(struct es_needs *needs, const char *role, const char *path, struct es_err *err)
{
    struct es_need one = {.role = role, .path = path, .flags = ES_NEED_OPTIONAL};

    /* A relative name would mean another file for every caller; the worker says that it was not
     * handed over. */
    if (!path || path[0] != '/')
        return 0;
    return es_needs_add(needs, &one, err);
}

/* A file of AWS's own: where the variable says, else in the home directory. */
static int need_file(struct es_needs *needs, const struct es_surroundings *surroundings,
                     const char *role, const char *variable, const char *in_home,
                     struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    const char *given_path = es_surroundings_get(surroundings, variable);

    /* Not opened, as it is no file; the settings take it for none. */
    if (given_path && strcmp(given_path, "/dev/null") == 0)
        return 0;
    if (given_path)
        return need(needs, role, given_path, err);
    if (!surroundings->home)
        return 0;
    if (es_buf_puts(&path, surroundings->home) < 0 || es_buf_puts(&path, in_home) < 0)
        return es_nomem(err);
    return need(needs, role, path.data, err);
}

int es_aws_needs(const void *state, const struct es_surroundings *surroundings,
                 struct es_needs *needs, struct es_err *err)
{
    const struct es_aws_options *options = state;
    static const struct {
        const char *role, *variable;
    } named[] = {
        {ES_AWS_ROLE_CA_BUNDLE, "AWS_CA_BUNDLE"},
        {ES_AWS_ROLE_WEB_TOKEN, "AWS_WEB_IDENTITY_TOKEN_FILE"},
        {ES_AWS_ROLE_CONTAINER_TOKEN, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"},
    };
    int r =
        need_file(needs, surroundings, ES_AWS_ROLE_CONFIG, "AWS_CONFIG_FILE", "/.aws/config", err);

    if (r == 0)
        r = need_file(needs, surroundings, ES_AWS_ROLE_CREDENTIALS, "AWS_SHARED_CREDENTIALS_FILE",
                      "/.aws/credentials", err);
    for (size_t i = 0; r == 0 && i < sizeof named / sizeof *named; i++)
        r = need(needs, named[i].role, es_surroundings_get(surroundings, named[i].variable), err);
    if (r == 0)
        r = need(needs, ES_AWS_ROLE_CA_FILE, given(options->ca_file) ? options->ca_file : NULL,
                 err);
    if (r == 0 && !given(options->region))
        r = need(needs, ES_AWS_ROLE_CLOUD, "/run/cloud-init/instance-data.json", err);
    return r;
}
