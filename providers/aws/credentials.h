/* Between credentials.c (keys as they are now, and who waits for them) and links.c (how each link
 * of the chain is asked for keys). */
#ifndef ENVSYNC_AWS_CREDENTIALS_H
#define ENVSYNC_AWS_CREDENTIALS_H

#include "inner.h"

enum creds_state { CREDS_EMPTY, CREDS_READY, CREDS_FAILED };

struct es_aws_creds {
    struct es_aws_creds *next;
    struct es_aws_shared *shared;
    struct es_aws_settings settings;
    struct es_aws_link *top; /* owned */
    const struct es_aws_link *link;
    struct es_aws_creds *base; /* owned: of a role */
    const struct es_http_ca *ca;
    char region[64]; /* for STS */
    struct es_aws_keys keys;
    int64_t expires; /* 0: never */
    int64_t fetched_ms;
    enum creds_state state;
    bool busy;    /* its link is being asked */
    bool refused; /* AWS calls these keys expired */
    struct es_err err;
    int r;
    struct waiter *waiters;

    /* links.c: what is under way */
    struct es_aws_process *process;
    struct es_aws *sts_client;
    struct es_aws_sts *sts;
    struct es_buf token; /* of a container or web identity, while it is needed */
    int tries;
};

/* links.c: asks the link. Ends in one of the two below, at once or from the loop. */
void creds_ask(struct es_aws_creds *creds);
void creds_forget_asking(struct es_aws_creds *creds);

/* credentials.c: the link has given keys, which are taken over, or none. */
void creds_got(struct es_aws_creds *creds, struct es_aws_keys *keys, int64_t expires);
void creds_failed(struct es_aws_creds *creds, int r, const struct es_err *err);

#endif
