/* See endpoint.h. Regions and buckets may come from the network; messages name them only after
 * they were found to be plain text. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct partition {
    const char *prefix; /* of the region */
    const char *plain, *dual;
    bool gov;   /* ssm and sts are FIPS under their plain names here */
    bool mixed; /* secretsmanager answers dual-stack under its plain name */
    bool mixed_fips;
    bool no_s3_fips;
};

/* The last one is where every unknown region goes. */
static const struct partition partitions[] = {
    {"us-gov-", "amazonaws.com", "api.aws", true, true, true, false},
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false, true, false, true},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", false, false, false, false},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov", false, false, false, false},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud", false, false, false, false},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", false, false, false, false},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", false, false, false, false},
    {"", "amazonaws.com", "api.aws", false, true, true, false},
};

static const struct partition *find_partition(const char *region)
{
    const struct partition *p = partitions;

    while (strncmp(region, p->prefix, strlen(p->prefix)) != 0)
        p++;
    return p;
}

const char *es_aws_service_name(enum es_aws_service service)
{
    static const char *const names[ES_AWS_SERVICES] = {"s3", "ssm", "secretsmanager", "sts"};

    return names[service];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c);
}

static bool is_alnum(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* A label of a host name. */
static bool is_label(const char *text, size_t len)
{
    if (len < 1 || len > 63 || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(text[i]) && text[i] != '-')
            return false;
    return true;
}

bool es_aws_region_valid(const char *region)
{
    size_t len = strlen(region);

    return is_label(region, len) && strspn(region, "0123456789") != len;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

int es_aws_bucket_check(const char *bucket, struct es_err *err)
{
    size_t len = strlen(bucket);

    if (strncmp(bucket, "arn:", 4) == 0)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "an ARN in place of a bucket: access points are not supported, name the "
                       "bucket or the access point's alias");
    if (len < 1 || len > 255)
        return es_fail(err, ES_CONFIG, EINVAL, "a bucket name of %zu characters", len);
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(bucket[i]) && !strchr("-._", bucket[i]))
            return es_fail(err, ES_CONFIG, EINVAL,
                           "a bucket name may hold letters, digits, '-', '.' and '_' only");
    if (strcmp(bucket, ".") == 0 || strcmp(bucket, "..") == 0)
        return es_fail(err, ES_CONFIG, EINVAL, "'%s' is no bucket name", bucket);
    if (ends_with(bucket, "--x-s3") || ends_with(bucket, "--xa-s3"))
        return es_fail(err, ES_CONFIG, EINVAL,
                       "%s is a directory bucket (S3 Express), which is not supported", bucket);
    return 0;
}

/* Whether a bucket can be the first label (or labels, without TLS) of a host name. */
static bool is_host_bucket(const char *bucket, bool dots)
{
    size_t len = strlen(bucket);
    struct in_addr address;

    if (len < 3 || len > 63 || !is_lower(bucket[0]) || !is_lower(bucket[len - 1]) ||
        inet_pton(AF_INET, bucket, &address) == 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (is_lower(bucket[i]) || bucket[i] == '-')
            continue;
        if (bucket[i] != '.' || !dots || strchr(".-", bucket[i + 1]) || bucket[i - 1] == '-')
            return false;
    }
    return true;
}

/* ---- custom endpoints ---- */

static bool is_name(const char *host)
{
    while (*host) {
        size_t n = strcspn(host, ".");

        if (!is_label(host, n))
            return false;
        host += n;
        if (*host == '.' && *++host == '\0')
            return false;
    }
    return true;
}

static bool is_host(const char *host)
{
    size_t len = strlen(host);
    struct in6_addr address;
    char bare[64];

    if (len == 0)
        return false;
    if (host[0] != '[')
        return is_name(host);
    if (len < 4 || len - 2 >= sizeof bare || host[len - 1] != ']')
        return false;
    memcpy(bare, host + 1, len - 2);
    bare[len - 2] = '\0';
    return inet_pton(AF_INET6, bare, &address) == 1;
}

static bool read_port(const char *text, size_t len, uint16_t *ret)
{
    unsigned port = 0;

    if (len < 1 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    *ret = (uint16_t)port;
    return port >= 1 && port <= 65535;
}

/* The base path: plain segments, so that encoding it again changes nothing. No slash at its end. */
static bool read_base(const char *text, char *base)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        len--;
    if (len >= ES_AWS_BASE - 256) /* a bucket fits behind it */
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && !strchr("-._~/", text[i]))
            return false;
        if (text[i] == '/' && (text[i + 1] == '/' || text[i + 1] == '.'))
            return false;
    }
    memcpy(base, text, len);
    base[len] = '\0';
    return true;
}

static int bad_url(struct es_err *err, const char *why)
{
    return es_fail(err, ES_CONFIG, EINVAL, "the endpoint must be http(s)://HOST[:PORT][/PATH]: %s",
                   why);
}

static int read_custom(const char *url, struct es_aws_endpoint *out, struct es_err *err)
{
    const char *host, *port;
    size_t len;

    out->custom = true;
    out->tls = strncmp(url, "https://", 8) == 0;
    if (!out->tls && strncmp(url, "http://", 7) != 0)
        return bad_url(err, "it starts with neither http:// nor https://");
    host = url + (out->tls ? 8 : 7);
    len = strcspn(host, "/?#");
    if (memchr(host, '@', len))
        return bad_url(err, "it holds a user name");
    if (host[len] == '?' || host[len] == '#' || strpbrk(host + len, "?#"))
        return bad_url(err, "it holds a query or a fragment");
    port = host[0] == '[' ? memchr(host, ']', len) : host;
    port = port ? memchr(port, ':', len - (size_t)(port - host)) : NULL;
    out->port = out->tls ? 443 : 80;
    if (port && !read_port(port + 1, len - (size_t)(port + 1 - host), &out->port))
        return bad_url(err, "its port is no number from 1 to 65535");
    if (!read_base(host + len, out->base))
        return bad_url(err, "its path is too long or holds other than letters, digits, -._~ and /");
    if (port)
        len = (size_t)(port - host);
    if (len >= ES_AWS_HOST)
        return bad_url(err, "its host is too long");
    memcpy(out->host, host, len);
    out->host[len] = '\0';
    return is_host(out->host) ? 0 : bad_url(err, "its host is no host name or address");
}

/* ---- a proxy ---- */

static int bad_proxy(struct es_err *err, const char *why)
{
    return es_fail(err, ES_CONFIG, EINVAL, "it must be http(s)://[USER:PASSWORD@]HOST:PORT: %s",
                   why);
}

/* Other than a service's, a proxy's name may be one that no host of the internet has. */
static bool is_proxy_host(const char *host, size_t len)
{
    char bare[ES_AWS_HOST];

    if (len == 0 || len >= sizeof bare)
        return false;
    memcpy(bare, host, len);
    bare[len] = '\0';
    if (host[0] == '[')
        return is_host(bare);
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(host[i]) && !strchr("-._", host[i]))
            return false;
    return true;
}

static bool is_user_info(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || text[i] == '@')
            return false;
    return true;
}

int es_aws_proxy_check(const char *proxy, struct es_err *err)
{
    const char *host = strstr(proxy, "://"), *at, *port;
    size_t len;
    uint16_t number;

    if (host && strncmp(proxy, "http://", 7) != 0 && strncmp(proxy, "https://", 8) != 0)
        return bad_proxy(err, "it starts with neither http:// nor https://");
    host = host ? host + 3 : proxy;
    len = strcspn(host, "/?#");
    if (host[len] != '\0' && strcmp(host + len, "/") != 0)
        return bad_proxy(err, "something follows the port");
    at = memrchr(host, '@', len);
    if (at && !is_user_info(host, (size_t)(at - host)))
        return bad_proxy(err, "the user or password has a character that must be written as %XX");
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    port = host[0] == '[' ? memchr(host, ']', len) : host;
    port = port ? memchr(port, ':', len - (size_t)(port - host)) : NULL;
    if (port && !read_port(port + 1, len - (size_t)(port + 1 - host), &number))
        return bad_proxy(err, "its port is no number from 1 to 65535");
    if (!is_proxy_host(host, port ? (size_t)(port - host) : len))
        return bad_proxy(err, "its host is no host name or address");
    return 0;
}

/* ---- AWS's own ---- */

static int make_standard(const struct es_aws_endpoint_want *want, struct es_aws_endpoint *out,
                         struct es_err *err)
{
    const struct partition *p = find_partition(want->region);
    const char *service = es_aws_service_name(want->service);
    bool fips = want->fips, dual = want->dual_stack, s3 = want->service == ES_AWS_S3;
    const char *middle = "";

    if (fips && s3 && p->no_s3_fips)
        return es_fail(err, ES_CONFIG, EINVAL, "S3 has no FIPS endpoint in %s", want->region);
    if (fips && !dual && p->gov && (want->service == ES_AWS_SSM || want->service == ES_AWS_STS))
        fips = false;
    if (s3 && dual)
        middle = ".dualstack";
    if (s3 || (want->service == ES_AWS_SECRETS_MANAGER && (fips ? p->mixed_fips : p->mixed)))
        dual = false;
    snprintf(out->host, sizeof out->host, "%s%s%s.%s.%s", service, fips ? "-fips" : "", middle,
             want->region, dual ? p->dual : p->plain);
    out->tls = true;
    out->port = 443;
    return 0;
}

/* Puts the bucket before the host or behind the path. */
static int add_bucket(const struct es_aws_endpoint_want *want, struct es_aws_endpoint *out,
                      struct es_err *err)
{
    bool asked = want->addressing == ES_AWS_ADDRESS_VIRTUAL;
    struct in_addr address;
    char host[ES_AWS_HOST];
    size_t len = strlen(out->base);
    int r = es_aws_bucket_check(want->bucket, err);

    if (r < 0)
        return r;
    out->path_style = want->addressing == ES_AWS_ADDRESS_PATH || (out->custom && !asked) ||
                      !is_host_bucket(want->bucket, asked || !out->tls);
    if (out->path_style && asked)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "bucket %s cannot be part of a host name: use addressing = \"path\"",
                       want->bucket);
    if (out->path_style) {
        snprintf(out->base + len, sizeof out->base - len, "/%s", want->bucket);
        return 0;
    }
    if (out->host[0] == '[' || inet_pton(AF_INET, out->host, &address) == 1)
        return es_fail(err, ES_CONFIG, EINVAL,
                       "an endpoint that is an address needs addressing = \"path\"");
    if (snprintf(host, sizeof host, "%s.%s", want->bucket, out->host) >= (int)sizeof host)
        return es_fail(err, ES_CONFIG, EINVAL, "bucket %s makes too long a host name",
                       want->bucket);
    memcpy(out->host, host, sizeof host);
    return 0;
}

int es_aws_endpoint(const struct es_aws_endpoint_want *want, struct es_aws_endpoint *ret,
                    struct es_err *err)
{
    struct es_aws_endpoint out = {0};
    int r;

    if (!es_aws_region_valid(want->region))
        return es_fail(err, ES_CONFIG, EINVAL,
                       "a region is letters, digits and '-', like eu-west-1");
    r = want->custom && *want->custom ? read_custom(want->custom, &out, err)
                                      : make_standard(want, &out, err);
    if (r == 0 && want->bucket && want->service == ES_AWS_S3)
        r = add_bucket(want, &out, err);
    if (r < 0)
        return r;
    if (out.port == (out.tls ? 443 : 80))
        snprintf(out.authority, sizeof out.authority, "%s", out.host);
    else
        snprintf(out.authority, sizeof out.authority, "%s:%u", out.host, (unsigned)out.port);
    *ret = out;
    return 0;
}
