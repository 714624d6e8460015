/* Answers of AWS's JSON services, and the tokens of their pages.
 *
 * Answers are hostile: every member is fetched by its type, and one of another type makes the
 * answer ES_INVALID. They hold secrets: no message quotes anything of them, and what is borrowed
 * from them is cleansed with the tree (see envsync/jansson.h).
 */
#ifndef ENVSYNC_AWS_ANSWER_H
#define ENVSYNC_AWS_ANSWER_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <jansson.h>
#include <stdint.h>

/* The object that an answer is. */
int es_answer_load(const char *text, size_t len, json_t **ret, struct es_err *err);
void es_answer_drop(json_t **json);

/* A string, borrowed from the tree; data is NULL where the member is absent or null. May hold
 * NUL. */
struct es_answer_text {
    const char *data;
    size_t len;
};
int es_answer_text(const json_t *object, const char *member, struct es_answer_text *ret,
                   struct es_err *err);
/* A string without control characters and of at most 2048 bytes, so that it may be shown: a name,
 * an identifier. ret is NULL where it is absent or null. */
int es_answer_name(const json_t *object, const char *member, const char **ret, struct es_err *err);
/* A list of objects or of names; ret is NULL where it is absent or null. */
int es_answer_list(const json_t *object, const char *member, const json_t **ret,
                   struct es_err *err);
/* -1 where it is absent or null; negative ones are refused. */
int es_answer_integer(const json_t *object, const char *member, int64_t *ret, struct es_err *err);

/* NextToken, set into ret; empty where it is absent, null or empty: this was the last page. */
int es_answer_token(const json_t *object, struct es_buf *ret, struct es_err *err);
/* The body of a request, from a tree that this takes (NULL: there was no memory for it). */
int es_answer_request(json_t *request, struct es_buf *ret, struct es_err *err);

/* "the answer is not AWS's: WHY", ES_INVALID. */
int es_answer_refuse(struct es_err *err, const char *why);

/* Tells pages that go in a circle, of any length, from those that go on: one token is kept, the
 * last whose number was a power of two. Zero-initialise. */
struct es_answer_pages {
    struct es_buf kept;
    uint64_t n;
};
void es_answer_pages_done(struct es_answer_pages *pages);
int es_answer_pages_next(struct es_answer_pages *pages, const char *token, size_t len,
                         struct es_err *err);

#endif
