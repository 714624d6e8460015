/* Between client.c (what a source sees, and when a call may go), call.c (one call with all its
 * tries), send.c (one try on its way out) and words.c (what is said of it). */
#ifndef ENVSYNC_AWS_CALL_H
#define ENVSYNC_AWS_CALL_H

#include "inner.h"

struct es_aws {
    struct es_aws_shared *shared;
    const struct es_fetch *fetch;
    struct es_aws_settings settings;
    enum es_aws_service service;
    enum es_aws_addressing addressing;
    const char *custom; /* endpoint, borrowed from settings; or NULL */
    const char *proxy;  /* or NULL */
    const struct es_http_ca *ca;
    struct es_aws_creds *creds; /* shared; NULL: unsigned */
    char region[64];            /* empty: not known yet */
    struct es_aws_region *asking;
    int r; /* negative: nothing can be sent, and err says why */
    struct es_err err;
    struct call *calls, **calls_end;
};

enum call_state { CALL_WAITS /* for region or keys */, CALL_GOES, CALL_RESTS /* for a timer */ };

struct call {
    struct call *next;
    struct es_aws *aws;
    enum call_state state;
    bool for_keys;  /* waits for keys: is in the list of the credentials */
    bool announced; /* its connection may be on its way already */
    struct es_aws_call is;
    struct es_buf texts, body; /* what `is` points to */
    struct es_aws_pair *pairs; /* query, then headers */
    char hash[ES_AWS_HASH_HEX + 1];
    struct es_aws_endpoint endpoint;
    struct es_buf id; /* of the key of this try */
    char region[64];  /* of this try */
    int64_t offset;   /* of the clock that this try was signed by */
    struct es_aws_retry retry;
    unsigned tries, wrong;
    bool delivered; /* on_data has been given something */
    struct es_aws_error error;
    struct es_err last; /* the most telling failure so far; class ES_CLASSES: none */
};

int call_new(struct es_aws *aws, const struct es_aws_call *is, struct call **ret,
             struct es_err *err);
void call_free(struct call *call);
/* A try. The keys are there. Failures end the call. */
void call_go(struct call *call);
void call_end(struct call *call, int r, const struct es_err *err,
              const struct es_http_answer *answer);

/* send.c: signs and sends; on_done gets the call. */
typedef void call_done_fn(void *data, const struct es_http_answer *answer);
int call_send(struct call *call, call_done_fn *on_done, struct es_err *err);
/* The same for a HEAD of the call's bucket, which tells where that is. */
int call_send_head(struct call *call, call_done_fn *on_done, struct es_err *err);
/* Says to the engine that n requests like this will follow, soon or perhaps; 0: none any more. */
void call_announce(struct es_aws *aws, const char *method, const char *bucket, size_t body_len,
                   size_t n, bool soon);

/* words.c: what one try has come to; the error that an answer is; the one that time is. */
void call_describe(const struct call *call, const struct es_http_answer *answer,
                   struct es_err *ret);
int call_refused(const struct call *call, const struct es_http_answer *answer, struct es_err *err);
int call_over(const struct call *call, struct es_err *err);

/* client.c: sends the call, or lets it wait for region and keys. */
void client_advance(struct call *call);
void client_drop(struct call *call); /* out of the client's list */

#endif
