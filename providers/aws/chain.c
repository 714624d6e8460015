/* See chain.h. Environment and profiles are the caller's own. Keys are copied into buffers that
 * cleanse; no message holds one. */
#include "chain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HOPS = 8 /* profiles that one may lead through */ };

void es_aws_link_free(struct es_aws_link *link)
{
    if (!link)
        return;
    es_aws_link_free(link->base);
    es_aws_keys_done(&link->keys);
    free(link->what);
    free(link->command);
    free(link->role_arn);
    free(link->session);
    free(link->external_id);
    free(link->token_path);
    free(link->url);
    free(link);
}

void es_aws_link_freep(struct es_aws_link **link)
{
    es_aws_link_free(*link);
}

static int link_new(enum es_aws_link_kind kind, const char *what, struct es_aws_link **ret,
                    struct es_err *err)
{
    struct es_aws_link *link = calloc(1, sizeof *link);

    if (!link)
        return es_nomem(err);
    link->kind = kind;
    link->what = strdup(what);
    if (!link->what) {
        free(link);
        return es_nomem(err);
    }
    *ret = link;
    return 0;
}

/* Copies a text that may be NULL. */
static int keep(char **field, const char *text, struct es_err *err)
{
    if (!text)
        return 0;
    *field = strdup(text);
    return *field ? 0 : es_nomem(err);
}

/* "profile "x": y", cut where the name is long. */
struct label {
    char text[160];
};

static struct label label_of(const char *profile, const char *what)
{
    struct label label;

    snprintf(label.text, sizeof label.text, "profile \"%.64s\"%s%s", profile, *what ? ": " : "",
             what);
    return label;
}

/* ---- keys ---- */

static int static_link(const char *what, const char *id, const char *secret, const char *token,
                       struct es_aws_link **ret, struct es_err *err)
{
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL;
    int r = link_new(ES_AWS_LINK_STATIC, what, &link, err);

    if (r < 0)
        return r;
    if (es_buf_puts(&link->keys.id, id) < 0 || es_buf_puts(&link->keys.secret, secret) < 0 ||
        (token && es_buf_puts(&link->keys.token, token) < 0))
        return es_nomem(err);
    *ret = link;
    link = NULL;
    return 0;
}

static int from_environment(const struct es_aws_settings *settings, struct es_aws_link **ret,
                            struct es_err *err)
{
    const char *id = es_aws_variable(settings, "AWS_ACCESS_KEY_ID");
    const char *secret = es_aws_variable(settings, "AWS_SECRET_ACCESS_KEY");

    if (!id && !secret)
        return 0;
    if (!id || !secret)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "credentials of the environment: %s is set and %s is not",
                       id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                       id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    return static_link("environment (AWS_ACCESS_KEY_ID)", id, secret,
                       es_aws_variable(settings, "AWS_SESSION_TOKEN"), ret, err);
}

static bool has_keys(const struct es_aws_settings *settings, const char *profile)
{
    return es_aws_of_profile(settings, profile, "aws_access_key_id") ||
           es_aws_of_profile(settings, profile, "aws_secret_access_key");
}

static int from_keys(const struct es_aws_settings *settings, const char *profile,
                     struct es_aws_link **ret, struct es_err *err)
{
    const char *id = es_aws_of_profile(settings, profile, "aws_access_key_id");
    const char *secret = es_aws_of_profile(settings, profile, "aws_secret_access_key");
    struct label label = label_of(profile, "");

    if (!id || !secret)
        return es_fail(err, ES_CONFIG, EINVAL, "%s: %s is missing", label.text,
                       id ? "aws_secret_access_key" : "aws_access_key_id");
    return static_link(label_of(profile, "keys").text, id, secret,
                       es_aws_of_profile(settings, profile, "aws_session_token"), ret, err);
}

/* ---- metadata service and containers ---- */

/* http only to the hosts that are known to be local; https to any. */
static bool is_local_host(const char *host, size_t len)
{
    static const char *const known[] = {"localhost", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    char text[64];
    struct in_addr v4;
    struct in6_addr v6;

    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i]) == 0)
            return true;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (text[0] != '[' || text[len - 1] != ']')
        return false;
    text[len - 1] = '\0';
    return inet_pton(AF_INET6, text + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_url(const char *url)
{
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '#')
            return false;
    return true;
}

static size_t host_length(const char *host)
{
    return host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
}

static int check_full_uri(const char *url, struct es_err *err)
{
    const char *host = url + (strncmp(url, "https://", 8) == 0 ? 8 : 7);

    if (is_url(url) && strncmp(url, "https://", 8) == 0 && host_length(host) > 0)
        return 0;
    if (!is_url(url) || strncmp(url, "http://", 7) != 0 || !is_local_host(host, host_length(host)))
        return es_fail(err, ES_CONFIG, EINVAL,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI: https, or http to a loopback address "
                       "or to the container hosts of AWS");
    return 0;
}

static int from_container(const struct es_aws_settings *settings, struct es_aws_link **ret,
                          struct es_err *err)
{
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL;
    ES_CLEANUP(es_buf_done) struct es_buf url = {0};
    const char *relative = es_aws_variable(settings, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = es_aws_variable(settings, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    int r;

    if (!relative && !full)
        return 0;
    if (relative && (relative[0] != '/' || !is_url(relative)))
        return es_fail(err, ES_CONFIG, EINVAL,
                       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: is no path");
    r = relative ? 0 : check_full_uri(full, err);
    if (r == 0)
        r = link_new(ES_AWS_LINK_CONTAINER,
                     relative ? "container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)"
                              : "container (AWS_CONTAINER_CREDENTIALS_FULL_URI)",
                     &link, err);
    if (r < 0)
        return r;
    if ((relative && es_buf_puts(&url, "http://169.254.170.2") < 0) ||
        es_buf_puts(&url, relative ? relative : full) < 0)
        return es_nomem(err);
    r = keep(&link->url, es_buf_str(&url), err);
    if (r < 0)
        return r;
    *ret = link;
    link = NULL;
    return 0;
}

int es_aws_imds_origin(const struct es_aws_settings *settings, const char **ret, struct es_err *err)
{
    const char *off = es_aws_variable(settings, "AWS_EC2_METADATA_DISABLED");
    const char *url = es_aws_variable(settings, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = es_aws_variable(settings, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

    *ret = NULL;
    if (off && strcasecmp(off, "true") == 0)
        return 0;
    if (url &&
        (!is_url(url) || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)))
        return es_fail(err, ES_CONFIG, EINVAL, "AWS_EC2_METADATA_SERVICE_ENDPOINT: is no URL");
    if (mode && strcasecmp(mode, "ipv4") != 0 && strcasecmp(mode, "ipv6") != 0)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: ipv4 or ipv6");
    if (!url)
        url = mode && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
                                                    : "http://169.254.169.254";
    *ret = url;
    return 0;
}

static int from_imds(const struct es_aws_settings *settings, struct es_aws_link **ret,
                     struct es_err *err)
{
    const char *origin;
    int r = es_aws_imds_origin(settings, &origin, err);

    if (r < 0 || !origin)
        return r;
    return link_new(ES_AWS_LINK_IMDS, "role of the instance (metadata service)", ret, err);
}

/* ---- roles ---- */

static int web_identity(const char *what, const char *role, const char *session,
                        const char *token_path, struct es_aws_link **ret, struct es_err *err)
{
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL;
    int r = link_new(ES_AWS_LINK_WEB_IDENTITY, what, &link, err);

    if (r == 0)
        r = keep(&link->role_arn, role, err);
    if (r == 0)
        r = keep(&link->session, session, err);
    if (r == 0)
        r = keep(&link->token_path, token_path, err);
    if (r < 0)
        return r;
    *ret = link;
    link = NULL;
    return 0;
}

static int from_web_identity(const struct es_aws_settings *settings, struct es_aws_link **ret,
                             struct es_err *err)
{
    const char *file = es_aws_variable(settings, "AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role = es_aws_variable(settings, "AWS_ROLE_ARN");

    if (!file)
        return 0; /* AWS_ROLE_ARN alone means nothing */
    if (!role)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
    return web_identity("web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", role,
                        es_aws_variable(settings, "AWS_ROLE_SESSION_NAME"), NULL, ret, err);
}

/* Profiles already on the way, to find loops. */
struct way {
    const char *names[MAX_HOPS];
    size_t n;
};

static int from_profile(const struct es_aws_settings *settings, const char *profile,
                        struct way *way, struct es_aws_link **ret, struct es_err *err);

static int from_source_profile(const struct es_aws_settings *settings, const char *profile,
                               const char *source, struct way *way, struct es_aws_link **ret,
                               struct es_err *err)
{
    struct label label = label_of(profile, "source_profile");
    int r;

    if (!es_aws_profile_exists(settings->profiles, source))
        return es_fail(err, ES_CONFIG, ENOENT, "%s: there is no profile \"%.64s\"", label.text,
                       source);
    /* Keys beside a role are the role's source where another profile, or it itself, asks. */
    if (has_keys(settings, source))
        return from_keys(settings, source, ret, err);
    for (size_t i = 0; i < way->n; i++)
        if (strcmp(way->names[i], source) == 0)
            return es_fail(err, ES_CONFIG, ELOOP, "%s: \"%.64s\" leads back to itself", label.text,
                           source);
    r = from_profile(settings, source, way, ret, err);
    if (r == 0 && !*ret)
        return es_fail(err, ES_CONFIG, ENOENT, "%s: the profile \"%.64s\" holds no credentials",
                       label.text, source);
    return r;
}

static int from_credential_source(const struct es_aws_settings *settings, const char *profile,
                                  const char *source, struct es_aws_link **ret, struct es_err *err)
{
    static const struct {
        const char *name;
        int (*find)(const struct es_aws_settings *settings, struct es_aws_link **ret,
                    struct es_err *err);
    } known[] = {
        {"Environment", from_environment},
        {"Ec2InstanceMetadata", from_imds},
        {"EcsContainer", from_container},
    };
    struct label label = label_of(profile, "credential_source");

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int r;

        if (strcmp(known[i].name, source) != 0)
            continue;
        r = known[i].find(settings, ret, err);
        if (r < 0)
            es_context(err, "%s", label.text);
        else if (!*ret)
            return es_fail(err, ES_CONFIG, ENOENT, "%s: %s gives no credentials here", label.text,
                           source);
        return r;
    }
    return es_fail(err, ES_CONFIG, EINVAL, "%s: Environment, Ec2InstanceMetadata or EcsContainer",
                   label.text);
}

static int duration_of(const struct es_aws_settings *settings, const char *profile, int *ret,
                       struct es_err *err)
{
    const char *text = es_aws_of_profile(settings, profile, "duration_seconds");
    char *end = NULL;
    long seconds;

    if (!text)
        return 0;
    seconds = strtol(text, &end, 10);
    if (*end || seconds < 900 || seconds > 43200)
        return es_fail(err, ES_CONFIG, EINVAL, "%s",
                       label_of(profile, "duration_seconds: 900 to 43200").text);
    *ret = (int)seconds;
    return 0;
}

static int assume(const char *what, const char *role, struct es_aws_link **base,
                  struct es_aws_link **ret, struct es_err *err)
{
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL;
    int r = link_new(ES_AWS_LINK_ROLE, what, &link, err);

    if (r == 0)
        r = keep(&link->role_arn, role, err);
    if (r < 0)
        return r;
    link->base = *base;
    *base = NULL;
    *ret = link;
    link = NULL;
    return 0;
}

static int role_of_profile(const struct es_aws_settings *settings, const char *profile,
                           const char *role, struct way *way, struct es_aws_link **ret,
                           struct es_err *err)
{
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *base = NULL;
    const char *source = es_aws_of_profile(settings, profile, "source_profile");
    const char *credential = es_aws_of_profile(settings, profile, "credential_source");
    int r;

    if (es_aws_of_profile(settings, profile, "mfa_serial"))
        return es_fail(err, ES_CONFIG, ENOTSUP,
                       "%s: mfa_serial needs a person at boot; use a role without it",
                       label_of(profile, "").text);
    if (!source == !credential)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "%s: beside role_arn write %s source_profile or credential_source",
                       label_of(profile, "").text, source ? "only one of" : "one of");
    r = source ? from_source_profile(settings, profile, source, way, &base, err)
               : from_credential_source(settings, profile, credential, &base, err);
    if (r == 0)
        r = assume(label_of(profile, "role_arn").text, role, &base, ret, err);
    if (r == 0)
        r = keep(&(*ret)->session, es_aws_of_profile(settings, profile, "role_session_name"), err);
    if (r == 0)
        r = keep(&(*ret)->external_id, es_aws_of_profile(settings, profile, "external_id"), err);
    return r != 0 ? r : duration_of(settings, profile, &(*ret)->duration, err);
}

static int from_process(const char *profile, const char *command, struct es_aws_link **ret,
                        struct es_err *err)
{
    int r = link_new(ES_AWS_LINK_PROCESS, label_of(profile, "credential_process").text, ret, err);

    return r < 0 ? r : keep(&(*ret)->command, command, err);
}

static bool wants_sso(const struct es_aws_settings *settings, const char *profile)
{
    return es_aws_of_profile(settings, profile, "sso_session") ||
           es_aws_of_profile(settings, profile, "sso_start_url") ||
           es_aws_of_profile(settings, profile, "sso_account_id");
}

/* *ret stays NULL where the profile is there and says nothing about credentials. */
static int from_profile(const struct es_aws_settings *settings, const char *profile,
                        struct way *way, struct es_aws_link **ret, struct es_err *err)
{
    const char *role = es_aws_of_profile(settings, profile, "role_arn");
    const char *token = es_aws_of_profile(settings, profile, "web_identity_token_file");
    const char *command = es_aws_of_profile(settings, profile, "credential_process");

    if (way->n == MAX_HOPS)
        return es_fail(err, ES_CONFIG, ELOOP, "%s",
                       label_of(way->names[0], "leads through more than 8 profiles").text);
    way->names[way->n++] = profile;
    if (token && !role)
        return es_fail(err, ES_CONFIG, EINVAL, "%s",
                       label_of(profile, "web_identity_token_file needs role_arn").text);
    if (token)
        return web_identity(label_of(profile, "web_identity_token_file").text, role,
                            es_aws_of_profile(settings, profile, "role_session_name"), token, ret,
                            err);
    if (role)
        return role_of_profile(settings, profile, role, way, ret, err);
    if (has_keys(settings, profile))
        return from_keys(settings, profile, ret, err);
    if (command)
        return from_process(profile, command, ret, err);
    if (wants_sso(settings, profile))
        return es_fail(err, ES_CONFIG, ENOTSUP,
                       "%s: SSO needs a person at boot; use role_arn, credential_process or the "
                       "role of the instance",
                       label_of(profile, "").text);
    return 0;
}

static int find_base(const struct es_aws_settings *settings, struct es_aws_link **ret,
                     struct es_err *err)
{
    struct way way = {.n = 0};
    int r = 0;

    if (!settings->profile_chosen)
        r = from_environment(settings, ret, err);
    if (r == 0 && !*ret)
        r = from_profile(settings, settings->profile, &way, ret, err);
    if (r == 0 && !*ret && settings->profile_chosen)
        r = from_environment(settings, ret, err);
    if (r == 0 && !*ret)
        r = from_web_identity(settings, ret, err);
    if (r == 0 && !*ret)
        r = from_container(settings, ret, err);
    if (r == 0 && !*ret) {
        r = from_imds(settings, ret, err);
        if (*ret)
            (*ret)->implied = true;
    }
    if (r == 0 && !*ret)
        return es_fail(err, ES_DENIED, EACCES,
                       "no credentials: none in environment and profiles, and the metadata service "
                       "is switched off");
    return r;
}

int es_aws_chain_find(const struct es_aws_settings *settings, struct es_aws_link **ret,
                      struct es_err *err)
{
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL, *top = NULL;
    const char *role = settings->options->role_arn;
    int r = find_base(settings, &link, err);

    if (r == 0 && role && *role) {
        r = assume("role_arn", role, &link, &top, err);
        link = top;
        top = NULL;
    }
    if (r < 0)
        return r;
    *ret = link;
    link = NULL;
    return 0;
}

int es_aws_chain_tell(const struct es_aws_link *link, struct es_buf *out)
{
    int r = es_buf_puts(out, link->what);

    if (r == 0 && link->role_arn)
        r = es_buf_printf(out, " for %s", link->role_arn);
    if (r < 0 || !link->base)
        return r;
    r = es_buf_puts(out, ", with ");
    return r < 0 ? r : es_aws_chain_tell(link->base, out);
}
