/* Signature Version 4, and the bytes that go on the wire.
 *
 * NAME
 *     es_aws_sign, es_aws_target, es_aws_query, es_aws_uri_encode
 *
 * WHO ENCODES
 *     Callers hand over *raw* text: the object key, the parameter's name, the value. This module
 *     makes both the request target for the wire and the canonical request that is signed, from
 *     one encoding, so the two cannot differ. The target must be sent byte for byte as returned
 *     (with libcurl: CURLOPT_PATH_AS_IS and the target put behind scheme and authority).
 *
 * ENCODING
 *     A-Z a-z 0-9 - . _ ~ stand for themselves, every other byte becomes %XX in upper case; a
 *     path keeps its '/'. Bytes are bytes: text need not be UTF-8. Strings end at their NUL, so
 *     a key with a NUL in it cannot be asked for; callers refuse it before.
 *     The query of the target is already in canonical order: pairs sorted bytewise by (encoded
 *     name, encoded value), equal pairs kept, an empty name first, a NULL or empty value as
 *     "name=". So the order in which the caller lists pairs never matters.
 *
 * HEADERS
 *     Every header handed over is signed, except those a proxy may change: connection, expect,
 *     keep-alive, proxy-authenticate, proxy-authorization, te, trailer, transfer-encoding,
 *     upgrade, user-agent, x-amzn-trace-id. Names are compared in lower case and sorted; values
 *     lose spaces at both ends, runs of spaces become one (inside quotes too); values of one name
 *     are joined with ',' in the order given. The caller sends exactly the headers it handed over
 *     plus those returned; Host is sent as `host` says.
 *     authorization, host, x-amz-date, x-amz-security-token and, with ES_AWS_SIGN_HASH,
 *     x-amz-content-sha256 belong to the signer: handing one over is an error.
 *
 * ERRORS
 *     -ENOMEM (ES_INTERNAL); -E2BIG (ES_INVALID) beyond ES_AWS_MAX_*; -EINVAL (ES_INVALID) for a
 *     header name that is no HTTP token, a control character in anything that becomes a header,
 *     a path without leading '/', a payload hash that is not 64 lower-case hex digits, and
 *     a missing access key, secret, region or service. No message holds a value.
 *
 * The clock is the caller's: nothing here asks for the time.
 */
#ifndef ENVSYNC_AWS_SIGN_H
#define ENVSYNC_AWS_SIGN_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <stdint.h>

enum {
    ES_AWS_MAX_QUERY = 64,   /* query pairs of a request */
    ES_AWS_MAX_HEADERS = 64, /* headers handed over with a request */
    ES_AWS_HASH_HEX = 64,    /* digits of a payload hash */
};

/* SHA-256 of nothing, in hex. */
extern const char es_aws_empty_hash[ES_AWS_HASH_HEX + 1];

/* Credentials. The secret and the token are cleansed by es_aws_keys_done(). */
struct es_aws_keys {
    struct es_buf id;
    struct es_buf secret;
    struct es_buf token; /* empty: none */
};
void es_aws_keys_done(struct es_aws_keys *keys);

/* A name and a value, borrowed. A NULL value is an empty one. */
struct es_aws_pair {
    const char *name;
    const char *value;
};

/* How a service wants its canonical request. */
enum es_aws_sign_flags {
    ES_AWS_SIGN_NORMALISE = 1 << 0, /* "." and ".." and "//" are resolved in the canonical path */
    ES_AWS_SIGN_TWICE = 1 << 1,     /* the path of the wire is encoded once more */
    ES_AWS_SIGN_HASH = 1 << 2,      /* the payload hash is sent as x-amz-content-sha256 */
};
#define ES_AWS_SIGN_S3    ES_AWS_SIGN_HASH
#define ES_AWS_SIGN_OTHER (ES_AWS_SIGN_NORMALISE | ES_AWS_SIGN_TWICE)

struct es_aws_scope {
    const struct es_aws_keys *keys;
    const char *region;
    const char *service; /* as in the scope: "s3", "ssm", "secretsmanager", "sts" */
    unsigned flags;      /* es_aws_sign_flags */
    int64_t now;         /* seconds since 1970, with the clock offset already in it */
};

struct es_aws_request {
    const char *method;
    const char *host; /* as sent in Host: with the port where it is not the scheme's own */
    const char *path; /* raw, starts with '/' */
    const struct es_aws_pair *query;
    size_t n_query;
    const struct es_aws_pair *headers;
    size_t n_headers;
    const char *payload_hash; /* hex SHA-256 of the body; NULL: no body */
};

/* What to send besides the caller's own headers. Zero-initialise, reuse at will (es_aws_sign()
 * overwrites it), end with es_aws_signed_done(). On failure the content is unspecified. */
enum es_aws_signed_header {
    ES_AWS_HEADER_AUTHORIZATION,
    ES_AWS_HEADER_DATE,
    ES_AWS_HEADER_TOKEN, /* empty without a session token */
    ES_AWS_HEADER_HASH,  /* empty without ES_AWS_SIGN_HASH */
    ES_AWS_SIGNED_HEADERS
};
struct es_aws_signed {
    struct es_buf target;                         /* "/path?query", for the request line */
    struct es_buf headers[ES_AWS_SIGNED_HEADERS]; /* "Name: value" each */
};
void es_aws_signed_done(struct es_aws_signed *out);

/* A signer keeps the digests it works with and the signing keys of the last few (date, region,
 * service, secret), so that one more signature costs microseconds. Not for two threads at once. */
struct es_aws_signer;
int es_aws_signer_new(struct es_aws_signer **ret, struct es_err *err);
void es_aws_signer_free(struct es_aws_signer *signer); /* cleanses; NULL is fine */
void es_aws_signer_freep(struct es_aws_signer **signer);

int es_aws_sign(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                const struct es_aws_request *request, struct es_aws_signed *out,
                struct es_err *err);

/* What the last signature was made of, borrowed until the next: for tests. They hold the session
 * token: never to be shown. */
const struct es_buf *es_aws_signer_canonical(const struct es_aws_signer *signer);
const struct es_buf *es_aws_signer_string(const struct es_aws_signer *signer);

/* Hex SHA-256 of a body, for payload_hash. ret has room for ES_AWS_HASH_HEX + 1. */
int es_aws_signer_hash(struct es_aws_signer *signer, const void *data, size_t len, char *ret,
                       struct es_err *err);

/* ---- encoding alone, for requests that are not signed and for form bodies ---- */

/* Appends the encoding of len bytes; `path` keeps '/'. 0 or -ENOMEM. */
int es_aws_uri_encode(struct es_buf *out, const char *text, size_t len, bool path);

/* Appends the pairs, encoded, sorted and joined with '&'. */
int es_aws_query(struct es_buf *out, const struct es_aws_pair *query, size_t n, struct es_err *err);

/* Appends "/path" and, where there are pairs, "?query". */
int es_aws_target(struct es_buf *out, const char *path, const struct es_aws_pair *query, size_t n,
                  struct es_err *err);

#endif
