/* What a listing says that this source should take.
 *
 * Built page by page, then sealed: after es_s3_listing_seal() the objects are in bytewise order of
 * their keys, and every rule that a key can break has been looked at, before anything is fetched
 * or written.
 */
#ifndef ENVSYNC_S3_LISTING_H
#define ENVSYNC_S3_LISTING_H

#include "providers/aws/s3_list.h"
#include "s3.h"

enum {
    ES_S3_MAX_OBJECTS = 200000, /* that one source takes */
    ES_S3_MAX_TOLD = 20,        /* objects passed over that are named one by one */
};

enum es_s3_state {
    ES_S3_WAITING,  /* to be fetched */
    ES_S3_SAME,     /* as it is known */
    ES_S3_FETCHED,  /* here */
    ES_S3_ARCHIVED, /* cannot be read now */
};

struct es_s3_object {
    struct es_buf key;  /* whole; holds no NUL */
    struct es_buf etag; /* without its quotes */
    int64_t size;
    int64_t modified_ms;
    unsigned uses; /* es_object_uses */
    enum es_s3_state state;
    uint32_t id;        /* of the mirrored file, once fetched */
    struct es_buf text; /* of the merged object, once fetched */
};
void es_s3_object_done(struct es_s3_object *object);

struct es_s3_listing {
    struct es_s3_object *objects;
    size_t n, cap;
    size_t seen;        /* objects below the prefix, taken or not */
    size_t passed_over; /* for no pattern takes them */
};
void es_s3_listing_done(struct es_s3_listing *listing);

/* The prefix with its final '/'. */
int es_s3_prefix(const struct es_s3_options *options, struct es_buf *ret, struct es_err *err);

int es_s3_listing_add(struct es_s3_listing *listing, const struct es_s3_options *options,
                      const struct es_buf *prefix, const struct es_s3_entry *entry,
                      struct es_sink *sink, struct es_err *err);
int es_s3_listing_seal(struct es_s3_listing *listing, const struct es_s3_options *options,
                       const struct es_buf *prefix, struct es_err *err);

/* Looks a key up in a sealed listing, or NULL. */
struct es_s3_object *es_s3_listing_find(const struct es_s3_listing *listing, const char *key,
                                        size_t len);

#endif
