/* What the rooms of the AWS client share: client.c (calls), shared.c (what all sources of a worker
 * have in common), credentials.c (keys, their refresh and who waits for them) with links.c, imds.c,
 * process.c and its helper.c, sts.c, region.c. Providers include client.h and not this. */
#ifndef ENVSYNC_AWS_INNER_H
#define ENVSYNC_AWS_INNER_H

#include "chain.h"
#include "client.h"
#include "retry.h"
#include "settings.h"

#include <sys/types.h>

/* ---- shared.c ---- */

struct es_aws_bucket {
    struct es_aws_bucket *next;
    char *name;
    char region[64];
};

struct es_aws_shared {
    struct es_http *http;
    struct es_aws_signer *signer;
    int64_t offset; /* seconds that AWS's clock is ahead of ours; for signing only */
    struct es_aws_budget budgets[ES_AWS_SERVICES];
    struct es_aws_bucket *buckets; /* whose region was found to be another */
    struct es_aws_creds *creds;
    struct es_aws_imds *imds;
    struct es_aws_helper *helpers;
};
/* Made at the first call, ended with the loop. */
int es_aws_shared(struct es_http *http, struct es_aws_shared **ret, struct es_err *err);
int64_t es_aws_now(const struct es_aws_shared *shared); /* seconds, with the offset */
const char *es_aws_bucket_region(const struct es_aws_shared *shared, const char *bucket);
int es_aws_bucket_learn(struct es_aws_shared *shared, const char *bucket, const char *region,
                        struct es_err *err);

/* A text that was asked for, of the metadata service or a process: r is 0 with the text, or
 * negative with err. */
typedef void es_aws_text_fn(void *data, int r, const struct es_buf *text, const struct es_err *err);

/* ---- imds.c ---- */

/* The one of this worker, NULL in ret where it is switched off. */
int es_aws_imds_find(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                     struct es_aws_imds **ret, struct es_err *err);
/* Asks for a path with a session token of version 2. fn is called from the loop: with -ENOENT for a
 * 404, -EHOSTUNREACH where nobody answers at all. */
int es_aws_imds_get(struct es_aws_imds *imds, const char *path, es_aws_text_fn *fn, void *data,
                    struct es_err *err);
void es_aws_imds_forget(struct es_aws_imds *imds, const void *data);
void es_aws_imds_free(struct es_aws_imds *imds);

/* ---- process.c ---- */

struct es_aws_process;
/* Has a command run without a shell; fn is called from the loop with what it printed. */
int es_aws_process_start(struct es_aws_shared *shared, const char *command, const char *home,
                         es_aws_text_fn *fn, void *data, struct es_aws_process **ret,
                         struct es_err *err);
void es_aws_process_free(struct es_aws_process *process); /* NULL is fine */
/* Splits as a shell would, without its expansions. *ret: NULL-terminated, freed as one block. */
int es_aws_argv_split(const char *command, char ***ret, struct es_err *err);

/* ---- helper.c ---- */

/* A process beside the worker that runs one command as often as it is asked, one at a time. */
struct es_aws_helper {
    struct es_aws_helper *next;
    char *command;
    pid_t pid;
    int fd;    /* -1: it was given up */
    bool busy; /* asked, and not yet heard */
};
/* The one for a command; started where there is none, which is of use only before the sandbox is
 * closed. ES_CONFIG for what is no command. */
int es_aws_helper_find(struct es_aws_shared *shared, const char *command, const char *home,
                       struct es_aws_helper **ret, struct es_err *err);
/* Run it, for at most so many milliseconds. */
int es_aws_helper_ask(struct es_aws_helper *helper, int64_t ms, struct es_err *err);
/* 1 with what was printed, 0 where it still runs, or how it failed. */
int es_aws_helper_hear(struct es_aws_helper *helper, struct es_buf *text, struct es_err *err);
/* Its answer is not waited for: where it is busy, it kills what runs and ends. */
void es_aws_helper_leave(struct es_aws_helper *helper);
void es_aws_helpers_free(struct es_aws_helper *helpers);

/* ---- keys.c ---- */

/* Keys as a document: of a container, the metadata service ("Token"), or a process
 * ("SessionToken", Version 1). *ret_expires: seconds since 1970, 0 for never. ES_INVALID. */
int es_aws_keys_read(const char *text, size_t len, bool process, struct es_aws_keys *ret,
                     int64_t *ret_expires, struct es_err *err);
/* The same of an answer of STS, which is XML and always has a token. */
enum { ES_AWS_MAX_STS_ANSWER = 65536 };
int es_aws_keys_read_sts(const char *text, size_t len, struct es_aws_keys *ret,
                         int64_t *ret_expires, struct es_err *err);

/* ---- credentials.c ---- */

typedef void es_aws_creds_fn(void *data, int r, const struct es_err *err);
struct es_aws_creds;
int es_aws_creds_find(struct es_aws_shared *shared, const struct es_fetch *fetch,
                      const struct es_aws_options *options, struct es_aws_creds **ret,
                      struct es_err *err);
const struct es_aws_link *es_aws_creds_link(const struct es_aws_creds *creds);
/* 1 where the keys may be used now (region: for STS, may be NULL), 0 where fn will be called from
 * the loop, or negative. */
int es_aws_creds_get(struct es_aws_creds *creds, const char *region, es_aws_creds_fn *fn,
                     void *data, struct es_err *err);
/* AWS has said that the keys with this id are expired: the next get brings others, or fails. */
void es_aws_creds_expired(struct es_aws_creds *creds, const char *id);
const struct es_aws_keys *es_aws_creds_keys(const struct es_aws_creds *creds);
void es_aws_creds_forget(struct es_aws_creds *creds, const void *data);
void es_aws_creds_free_all(struct es_aws_creds *creds);

/* ---- sts.c ---- */

/* AssumeRole (aws has keys) or, with token, AssumeRoleWithWebIdentity. done: keys are moved. */
struct es_aws_sts_call {
    const struct es_aws_link *link;
    const char *token;
    void (*done)(void *data, int r, struct es_aws_keys *keys, int64_t expires,
                 const struct es_err *err);
    void *data;
};
struct es_aws_sts;
int es_aws_sts_start(struct es_aws *aws, const struct es_aws_sts_call *call,
                     struct es_aws_sts **ret, struct es_err *err);
void es_aws_sts_free(struct es_aws_sts *sts); /* NULL is fine */

/* ---- region.c ---- */

/* Where it is known without a question it is put into region at once (1); else fn is called from
 * the loop with it (0). with_endpoint: the source has its own endpoint. */
typedef void es_aws_region_fn(void *data, int r, const char *region, const struct es_err *err);
struct es_aws_region;
int es_aws_region_find(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                       bool with_endpoint, char region[64], const char **ret_origin,
                       es_aws_region_fn *fn, void *data, struct es_aws_region **ret,
                       struct es_err *err);
/* NULL is fine; not after fn was called. */
void es_aws_region_free(struct es_aws_region *region);

/* ---- client.c ---- */

/* A client for STS: with the keys of creds, or unsigned. */
int es_aws_new_sts(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                   const char *region, struct es_aws_creds *creds, struct es_aws **ret,
                   struct es_err *err);

/* What every request of a source needs to know of trust and proxy. */
int es_aws_trust(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                 const struct es_http_ca **ret, struct es_err *err);

#endif
