/* One page of ListObjectsV2, read chunk by chunk.
 *
 * The page is handed out whole, after the last byte: what a broken page began never counts, and
 * EncodingType may stand behind the keys. Where it says "url", keys are decoded ('+' to a space
 * first, then %XX), otherwise they are taken as they are. Order of the elements does not matter,
 * unknown ones are passed over; what must be there (Key and Size of an object, IsTruncated, a
 * NextContinuationToken where it is true) and is not, stands twice or does not parse makes the
 * page ES_INVALID: half a listing must not look like a whole one, as prunes depend on it.
 */
#ifndef ENVSYNC_AWS_S3_LIST_H
#define ENVSYNC_AWS_S3_LIST_H

#include "error.h"

#include <stdint.h>

enum {
    ES_S3_MAX_PAGE = 8 << 20,   /* bytes of one page */
    ES_S3_MAX_ENTRIES = 100000, /* objects of one page; S3 itself gives 1000 */
};

/* Texts are borrowed from the page. A key is any bytes, NUL included: who cannot use one refuses
 * it. etag is as sent, with its quotes, or "". */
struct es_s3_entry {
    const char *key;
    size_t key_len;
    const char *etag;
    const char *storage_class; /* "STANDARD", "GLACIER", ...; "" where not said */
    int64_t size;
    int64_t modified_ms; /* since 1970; -1 where not said */
};

struct es_s3_page {
    struct es_s3_entry *entries;
    size_t n;
    bool truncated;
    struct es_buf token;  /* for the next page; not empty where truncated */
    struct es_buf prefix; /* as the server understood it, decoded */
    bool failed;          /* the document was an <Error>, also in a 200: see error, no entries */
    struct es_aws_error error;
    struct es_buf arena; /* what the texts lie in */
};
void es_s3_page_done(struct es_s3_page *page);

struct es_s3_list;
int es_s3_list_new(struct es_s3_list **ret, struct es_err *err);
int es_s3_list_feed(struct es_s3_list *list, const char *data, size_t len, struct es_err *err);
/* ret must be empty; untouched on failure. The list is used up either way. */
int es_s3_list_finish(struct es_s3_list *list, struct es_s3_page *ret, struct es_err *err);
void es_s3_list_free(struct es_s3_list *list); /* NULL is fine */
void es_s3_list_freep(struct es_s3_list **list);

#endif
