/* Whether, when and how to try again. Pure: clock and randomness are the caller's.
 *
 * WHAT BOUNDS THE TRIES
 *     The deadline of the run, never a count. A fleet that boots together exceeds the quota of
 *     its account for minutes; with three tries each nearly all hosts fail, with full jitter up
 *     to 20 s until the deadline all are served.
 *
 * THE DELAY
 *     random * min(b * 2^(n-1), 20 s) before the n-th retry; b is 1 s after throttling and 0.05 s
 *     otherwise. x-amz-retry-after (ms) replaces it, clamped to [delay, delay + 5 s];
 *     Retry-After (seconds) is a floor, itself no more than 20 s.
 *
 * THE BUDGET
 *     A bucket of 500 tokens shared by all requests to a service. A retry takes 14 (5 after
 *     throttling); a request that succeeds gives back what its last retry took, or 1 where that
 *     was nothing. It bounds how much a host adds to an outage.
 *     *An empty bucket does not fail a request*, as it does in the SDKs: at boot there is no
 *     one to serve the failure to, and nothing would ever fill the bucket again. Instead the
 *     backoff is taken to have reached its cap: the retry waits for random * 20 s whatever its
 *     number, costs nothing, and is so bounded to one per 10 s and request in flight.
 *
 * THE END
 *     A retry that would start later than a second before the deadline is replaced, once per
 *     request, by a last one in the second half of what is left (spread, as a fleet shares its
 *     deadline too). After that, or with less than a second left, it is over: ES_AWS_OVER.
 *
 * REPAIRS
 *     Expired credentials, a wrong clock and a wrong region are repaired by the caller and tried
 *     again at once, each once per request; the second time they are fatal. That is so with little
 *     time left, too: who ends there as unreachable is served its last good values.
 */
#ifndef ENVSYNC_AWS_RETRY_H
#define ENVSYNC_AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* How far a request got before there was an answer to read. */
enum es_aws_transport {
    ES_AWS_ANSWERED,      /* a whole HTTP answer is there */
    ES_AWS_NO_DNS,        /* the name did not resolve (yet) */
    ES_AWS_NO_CONNECTION, /* refused, unreachable, reset */
    ES_AWS_TIMEOUT,       /* connecting, or too slow */
    ES_AWS_TLS_BROKEN,    /* the handshake or the stream broke below the certificate check */
    ES_AWS_BODY_BROKEN,   /* shorter than announced, or its checksum is wrong: restarts */
    ES_AWS_CERTIFICATE,   /* does not verify */
    ES_AWS_REFUSED,       /* by ourselves: too large, too many headers */
};

struct es_aws_answer {
    enum es_aws_transport transport;
    int status;             /* HTTP; 0 without an answer */
    const char *code;       /* AWS error code, or NULL / "" where there is none */
    bool s3;                /* from S3: 3xx and region errors mean another region */
    bool head;              /* to a HEAD: errors come without a code */
    bool region;            /* the answer names a region other than the one that was asked */
    bool dated;             /* the answer came with a Date over verified TLS */
    int64_t skew;           /* seconds: that Date minus our corrected clock; only where dated */
    int64_t retry_after_ms; /* x-amz-retry-after, or -1 */
    int64_t retry_after;    /* Retry-After in seconds, or -1 */
};

enum es_aws_verdict {
    ES_AWS_OK,
    ES_AWS_TRANSIENT,    /* again after a delay */
    ES_AWS_THROTTLED,    /* again after a longer one */
    ES_AWS_EXPIRED,      /* refresh the credentials, then again at once */
    ES_AWS_CLOCK,        /* take over the answer's date for signing, then again at once */
    ES_AWS_WRONG_REGION, /* find the bucket's region, then again at once */
    ES_AWS_FATAL,        /* the answer is final */
    ES_AWS_OVER,         /* it would be worth another try, but the deadline is there */
};

enum { ES_AWS_SKEW = 240 }; /* seconds off before a clock is thought wrong */

/* What an answer means by itself, by the tables in retry.c. Never ES_AWS_OVER. */
enum es_aws_verdict es_aws_classify(const struct es_aws_answer *answer);

struct es_aws_budget {
    int tokens;
};
void es_aws_budget_init(struct es_aws_budget *budget); /* full */

/* One request with all its tries. Zero-initialise. */
struct es_aws_retry {
    unsigned retries;  /* delayed ones so far */
    unsigned repaired; /* bit per verdict that was repaired */
    int taken;         /* tokens the last retry took */
    bool last;         /* the last try is on its way */
};

/* Takes in an answer and says what to do: ret_delay_ms is set for every verdict but OK, FATAL and
 * OVER, and 0 for the repairs. Times are milliseconds of one monotonic clock; random is uniform
 * over 32 bits. */
enum es_aws_verdict es_aws_retry(struct es_aws_retry *retry, struct es_aws_budget *budget,
                                 const struct es_aws_answer *answer, int64_t now_ms,
                                 int64_t deadline_ms, uint32_t random, int64_t *ret_delay_ms);

/* A repair that did not come about: it may be tried once more. */
void es_aws_retry_undo(struct es_aws_retry *retry, enum es_aws_verdict verdict);

#endif
