/* One fetch of one SSM source: what its two ways, by path and by names, share. */
#ifndef ENVSYNC_SSM_RUN_H
#define ENVSYNC_SSM_RUN_H

#include "answer.h"
#include "envsync/limits.h"
#include "name.h"
#include "providers/aws/answer.h"
#include "providers/aws/client.h"
#include "ssm.h"

enum {
    ES_SSM_BATCH = 10,        /* names of one GetParameters, parameters of one page */
    ES_SSM_MAX_BODY = 4 << 20 /* of one answer: ten values of 8 KiB, escaped, and what is beside */
};

/* A parameter that came, and the key it gets. */
struct es_ssm_item {
    struct es_buf key;
    struct es_ssm_parameter parameter;
};

struct es_ssm_wanted;
struct es_ssm_call;

struct es_ssm_run {
    struct es_fetch *fetch;
    const struct es_ssm_options *options;
    struct es_aws *aws;
    struct es_ssm_item *items;
    size_t n, cap, bytes;
    bool over; /* es_fetch_finish() was called */

    struct es_buf path; /* by path: as it is asked for */
    struct es_answer_pages pages;

    struct es_ssm_wanted *wanted; /* by names, one each */
    struct es_ssm_call *calls;    /* sent so far */
    size_t in_flight;
};

int es_ssm_by_path(struct es_ssm_run *run, struct es_err *err);
int es_ssm_by_names(struct es_ssm_run *run, struct es_err *err);
void es_ssm_names_done(struct es_ssm_run *run);

/* Keeps a parameter; its buffers are taken. name: what its key is made of. */
int es_ssm_keep(struct es_ssm_run *run, struct es_ssm_parameter *parameter, const char *name,
                size_t len, const char *above, struct es_err *err);
/* Ends the run. With r 0 everything that was kept is put first. */
void es_ssm_finish(struct es_ssm_run *run, int r, const struct es_err *err);

/* What a failed call means; `what` is a path or name. Sets err, returns a negative errno. */
int es_ssm_explain(const struct es_aws_reply *reply, const char *what, struct es_err *err);
/* "arn:aws:ssm:eu-west-1:*:parameter/app" for a name or path, without a selector. */
int es_ssm_resource(const struct es_ssm_run *run, const char *name, size_t len, struct es_buf *out);

#endif
