/* Endpoints: from service, region and options to scheme, host, port and path. Pure.
 *
 * Everything that becomes part of a host name is checked first, wherever it came from (the
 * configuration, a profile, the metadata service, an answer of S3): a region or bucket cannot
 * turn a request to another host. A custom endpoint keeps its base path, switches FIPS and
 * dual-stack off and makes S3 path style unless virtual addressing is asked for.
 */
#ifndef ENVSYNC_AWS_ENDPOINT_H
#define ENVSYNC_AWS_ENDPOINT_H

#include "envsync/err.h"

#include <stdbool.h>
#include <stdint.h>

enum es_aws_service { ES_AWS_S3, ES_AWS_SSM, ES_AWS_SECRETS_MANAGER, ES_AWS_STS, ES_AWS_SERVICES };

/* The service's name in a signature's scope: "s3", "ssm", "secretsmanager", "sts". */
const char *es_aws_service_name(enum es_aws_service service);

enum es_aws_addressing { ES_AWS_ADDRESS_AUTO, ES_AWS_ADDRESS_PATH, ES_AWS_ADDRESS_VIRTUAL };

struct es_aws_endpoint_want {
    enum es_aws_service service;
    const char *region;
    bool fips;
    bool dual_stack;
    const char *custom; /* "https://host[:port][/base]", http too; NULL or "": AWS's own */
    const char *bucket; /* S3 only, else NULL; S3 without one gives the service's own host */
    enum es_aws_addressing addressing;
};

enum { ES_AWS_HOST = 254, ES_AWS_BASE = 1024 };

struct es_aws_endpoint {
    bool tls;
    char host[ES_AWS_HOST];          /* a name, an IPv4 address, or an IPv6 address in [ ] */
    uint16_t port;                   /* always set */
    char authority[ES_AWS_HOST + 6]; /* for Host: and the URL: with the port where not default */
    char base[ES_AWS_BASE];          /* "" or "/x[/y]", raw; in path style the bucket is its end */
    bool path_style;
    bool custom;
};

/* ES_CONFIG (-EINVAL) names what is wrong; ret untouched then. The path of an object is base, '/'
 * and its key, of anything else base and '/'. */
int es_aws_endpoint(const struct es_aws_endpoint_want *want, struct es_aws_endpoint *ret,
                    struct es_err *err);

/* [http(s)://][USER[:PASSWORD]@]HOST[:PORT][/]. ES_CONFIG says what is wrong, and nothing of the
 * text: it may hold a password. What passes, libcurl can take apart, and need not complain of. */
int es_aws_proxy_check(const char *proxy, struct es_err *err);

/* [a-zA-Z0-9-]{1,63}, not all digits, no '-' at an end. */
bool es_aws_region_valid(const char *region);

/* Whether a bucket can be asked for at all (either addressing), and why not. */
int es_aws_bucket_check(const char *bucket, struct es_err *err);

#endif
