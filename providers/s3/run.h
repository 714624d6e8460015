/* One fetch of one S3 source: list, plan, get, and again where the bucket changed meanwhile. */
#ifndef ENVSYNC_S3_RUN_H
#define ENVSYNC_S3_RUN_H

#include "listing.h"
#include "providers/aws/answer.h"

enum {
    ES_S3_WINDOW = 256,         /* objects asked for at once; the engine sends as many as is wise */
    ES_S3_EXPECTED = 24,        /* objects of a bucket that has not been listed yet */
    ES_S3_MAX_RELISTS = 3,      /* for objects that change between list and get */
    ES_S3_MAX_WRONG_SUMS = 3,   /* tries of an object whose checksum does not match */
    ES_S3_MAX_DATA = 128 << 10, /* bytes of a mirrored file handed on at once */
};

struct es_s3_transfer;

struct es_s3_run {
    struct es_fetch *fetch;
    const struct es_s3_options *options;
    struct es_aws *aws;
    struct es_buf prefix;

    struct es_s3_listing listing; /* grows by pages, then is sealed */
    struct es_s3_listing before;  /* the one that turned out to be stale */
    struct es_s3_page page;       /* from check to done */
    struct es_answer_pages pages;
    unsigned relists;

    size_t next; /* of listing.objects, to be looked at */
    size_t in_flight;
    struct es_s3_transfer *transfers; /* those in flight */
    uint32_t ids;                     /* mirrored files begun so far */
    bool changed;                     /* an object is not as it was listed */
    bool over;                        /* es_fetch_finish() was called */
};

/* Ends the run, well or badly. Calls that are still under way then come to nothing. */
void es_s3_run_finish(struct es_s3_run *run, int r, const struct es_err *err);

/* object.c: asks for an object. es_s3_run_pump() is called when it is done. */
int es_s3_object_get(struct es_s3_run *run, struct es_s3_object *object, struct es_err *err);
void es_s3_transfers_free(struct es_s3_run *run);
void es_s3_run_pump(struct es_s3_run *run);

/* How the sink knows an object. The texts are borrowed. */
struct es_object es_s3_object_known_as(const struct es_s3_run *run,
                                       const struct es_s3_object *object);
const char *es_s3_object_path(const struct es_s3_run *run, const struct es_s3_object *object);

#endif
