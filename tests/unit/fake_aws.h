/* AWS as a function: a client in the place of providers/aws/client.c that answers each call by what
 * the test says, and does with the answer what the real one does: data, restart, check, done. */
#ifndef ENVSYNC_FAKE_AWS_H
#define ENVSYNC_FAKE_AWS_H

#include "providers/aws/client.h"

/* A call as it was sent. Texts live until fake_aws_reset(). */
struct fake_call {
    char operation[64];
    char *path;
    char *query;   /* "name=value&name=value", raw, in the order given */
    char *headers; /* "name: value\n" each */
    char *body;
    char *allow; /* "ssm:GetParameters on arn:..." */
    size_t max_body;
    unsigned tries;
    struct es_aws_call as_sent; /* callbacks only */
};

/* What to answer. Zero-initialised: 200 and no body. */
struct fake_answer {
    int status;
    const char *body; /* static, or freed where `made` */
    size_t len;       /* 0: strlen */
    bool made;
    const char *headers[6]; /* "Name: value" */
    /* A failure that is final: its class; code and so on as AWS says them. */
    enum es_class class;
    const char *code, *action, *resource;
    size_t broken; /* bytes of the body after which this try breaks, to be tried again */
};
typedef void fake_answer_fn(struct fake_call *call, struct fake_answer *answer);

/* Answers every call with fake_aws_said. */
fake_answer_fn fake_aws_say;
extern const char *fake_aws_said;

extern struct fake_call *fake_calls;
extern size_t fake_n_calls;

/* Options that are wrong configuration, and a word of why. They are read as the configuration reads
 * a source's. */
struct fake_wrong {
    const char *toml, *says;
};
void fake_aws_assert_wrong(const struct es_provider *provider, const struct fake_wrong *cases,
                           size_t n);
void fake_aws_assert_fine(const struct es_provider *provider, const char *toml);

/* A result is a failure of this class, with this text in it and no CANARY. */
void fake_aws_assert_says(const struct es_err *err, int r, enum es_class class, const char *text);
#define assert_says(world, r, class, text) fake_aws_assert_says(&(world)->err, r, class, text)

/* Runs a fetch to its end and returns its result. Not finished, or twice: the test fails. */
int fake_aws_fetch(es_fetch_fn *fn, struct es_fetch *fetch, fake_answer_fn *answer,
                   struct es_err *err);
/* Answers the latest call first, so that order is not that of sending. */
extern bool fake_aws_backwards;
/* The most calls that were waiting for an answer at once. */
extern size_t fake_aws_most;

/* What the last fetch left behind is ended by this; the sink is the test's. */
void fake_aws_reset(struct es_fetch *fetch);

/* How many calls were of an operation. */
size_t fake_aws_count(const char *operation);

#endif
