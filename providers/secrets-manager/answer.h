/* Answers of GetSecretValue and BatchGetSecretValue, read; and what a secret's text becomes. */
#ifndef ENVSYNC_SECRETS_MANAGER_ANSWER_H
#define ENVSYNC_SECRETS_MANAGER_ANSWER_H

#include "envsync/buf.h"
#include "envsync/err.h"

struct es_sink;

struct es_secret {
    struct es_buf arn; /* may be empty; holds no control character, as name and version */
    struct es_buf name;
    struct es_buf version;
    struct es_buf value; /* the string, or the decoded bytes */
    bool binary;
};
void es_secret_done(struct es_secret *secret);

/* The answer of GetSecretValue. ret must be empty, and is untouched on failure (ES_INVALID). */
int es_secret_read(const char *text, size_t len, struct es_secret *ret, struct es_err *err);

/* A page of BatchGetSecretValue. What it says of secrets that failed is not kept: those are asked
 * for one by one, which tells more. */
struct es_secret_page {
    struct es_secret *secrets;
    size_t n;
    struct es_buf token; /* empty: this was the last */
};
int es_secret_page_read(const char *text, size_t len, struct es_secret_page *ret,
                        struct es_err *err);
void es_secret_page_done(struct es_secret_page *page);

/* Whether this is the secret that was asked for by name, ARN, or ARN without its random end. */
bool es_secret_is(const struct es_secret *secret, const char *id);

/* Puts a secret's keys. id names it where its answer did not; key may be NULL. */
int es_secret_put(const struct es_secret *secret, const char *id, const char *key, unsigned rank,
                  struct es_sink *sink, struct es_err *err);

#endif
