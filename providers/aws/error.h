/* What AWS says when it says no.
 *
 * Error documents come as XML (S3: <Error>, STS: <ErrorResponse><Error>) or JSON (SSM, Secrets
 * Manager, the metadata services), or not at all (HEAD). The texts of AWS's messages may repeat
 * what was sent, so none is kept: only the code, the request id, the region that S3 names and,
 * from a denial, the action and the resource, each only where it has the shape of one. So every
 * field is short, printable ASCII and holds no value: it may be shown as it is.
 */
#ifndef ENVSYNC_AWS_ERROR_H
#define ENVSYNC_AWS_ERROR_H

#include "envsync/buf.h"
#include "envsync/err.h"

enum { ES_AWS_MAX_ERROR = 65536 }; /* bytes of an error document that are read */

/* Empty strings where unknown. */
struct es_aws_error {
    char code[96];
    char request_id[128];
    char region[64];    /* valid as a region */
    char action[96];    /* "ssm:GetParametersByPath" */
    char resource[512]; /* an ARN */
};

/* The headers of the answer that matter; NULL where absent. */
struct es_aws_error_headers {
    const char *type;          /* X-Amzn-Errortype */
    const char *request_id;    /* x-amzn-requestid or x-amz-request-id */
    const char *bucket_region; /* x-amz-bucket-region */
};

/* Reads what there is; body may be empty, cut off, or not AWS's at all: then only what the headers
 * say is filled. Never fails but for -ENOMEM. Of a body over ES_AWS_MAX_ERROR nothing is read. */
int es_aws_error_read(struct es_aws_error *ret, const char *body, size_t len,
                      const struct es_aws_error_headers *headers, struct es_err *err);

/* Appends "AccessDenied, request 4442587FB7D0A2F9" (or what of it is known; nothing otherwise). */
int es_aws_error_text(const struct es_aws_error *error, struct es_buf *out);

/* One element of an XML error document, for readers that meet one where they expected another
 * document: name and text of a child of <Error> (or <RequestId> beside it). */
void es_aws_error_element(struct es_aws_error *error, const char *name, const char *text);

#endif
