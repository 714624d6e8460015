/* One AWS service as one source sees it: credentials, region, endpoint, signatures, retries.
 *
 * A client is made by a source's fetch() and lives in fetch->own. Calls are sent at once or, while
 * credentials or region are still being found, as soon as they are there. Each call ends in exactly
 * one on_done, from the loop: with an answer that AWS means (2xx), or with an error that is final
 * after every retry and repair that spec'd behaviour knows (transient, throttled, expired
 * credentials, skewed clock, wrong region), bounded by the run's deadline. Clients of one worker
 * share credentials per (profile, role_arn, ca_file), the signer, the clock offset, the budget per
 * service and the region of each bucket.
 */
#ifndef ENVSYNC_AWS_CLIENT_H
#define ENVSYNC_AWS_CLIENT_H

#include "endpoint.h"
#include "envsync/http.h"
#include "envsync/provider.h"
#include "error.h"
#include "options.h"
#include "sign.h"

struct es_aws;

/* Before fetch(), of a source whose state begins with es_aws_options. */
es_prepare_fn es_aws_prepare;

/* Starts to find credentials and region. ES_CONFIG for what is wrong at once. */
int es_aws_new(struct es_fetch *fetch, const struct es_aws_options *options,
               enum es_aws_service service, enum es_aws_addressing addressing, struct es_aws **ret,
               struct es_err *err);
/* For a fetch() with `describe` set: says by notes where credentials, region and endpoint come
 * from, and asks nothing of the network. */
int es_aws_describe(struct es_fetch *fetch, const struct es_aws_options *options,
                    enum es_aws_service service, struct es_err *err);
void es_aws_free(struct es_aws *aws); /* NULL is fine; calls under way are forgotten */

struct es_aws_reply {
    int r;                               /* 0, or the negative errno of err */
    struct es_err err;                   /* final: "AccessDenied, request 4442587FB7D0A2F9: allow
                                          * ssm:GetParametersByPath on arn:..." */
    struct es_aws_error error;           /* what AWS said, where it said anything */
    const struct es_http_answer *answer; /* NULL where there was none */
};

/* All is copied by es_aws_send(), but `data`. */
struct es_aws_call {
    const char *operation;           /* "GetParametersByPath": the JSON target, and for messages */
    const char *method;              /* "GET", "POST" */
    const char *bucket;              /* S3, else NULL */
    const char *path;                /* raw, S3: "/" or "/KEY"; others "/" */
    const struct es_aws_pair *query; /* raw */
    size_t n_query;
    const struct es_aws_pair *headers;
    size_t n_headers;
    const char *body;
    size_t body_len;
    size_t max_body;
    bool first;        /* before all that wait: more calls come after this one, page by page */
    const char *allow; /* what a denial should name: "s3:GetObject" */
    const char *allow_resource; /* "arn:aws:s3:::bucket/key", or NULL */
    /* As in es_http_request, for streamed objects. on_restart: what came does not count. */
    int (*on_data)(void *data, const struct es_http_answer *answer, const void *bytes, size_t len);
    void (*on_restart)(void *data);
    /* May refuse a 2xx whose content does not hold (checksum, not AWS's answer): a negative errno
     * with err makes it final, 1 with err a transient failure: tried again, final the third time.
     */
    int (*check)(void *data, const struct es_http_answer *answer, struct es_err *err);
    void (*on_done)(void *data, const struct es_aws_reply *reply);
    void *data;
};
int es_aws_send(struct es_aws *aws, const struct es_aws_call *is, struct es_err *err);

/* A hint: about so many objects of the bucket will be asked for, as soon as it is known which. 0:
 * no more than what has been sent. Connections are opened meanwhile. */
void es_aws_expect(struct es_aws *aws, const char *bucket, size_t n);

/* "aws", "aws-cn", ...: for ARNs in messages. Known once a call is done. */
const char *es_aws_partition(const struct es_aws *aws);
const char *es_aws_region(const struct es_aws *aws);

#endif
