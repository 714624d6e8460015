/* Fetches an S3 source.
 *
 * List every page; look at every key; compare with what the last set has; get the rest; and only
 * when all of it is there, put it. Where an object is found to be another than was listed, no
 * more is asked for, and when the rest has come the bucket is listed again: what did not change is
 * kept, so the set is always that of one listing. */
#include "envsync/format.h"
#include "envsync/limits.h"
#include "providers/aws/client.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int list(struct es_s3_run *run, const char *token, struct es_err *err);

void es_s3_run_finish(struct es_s3_run *run, int r, const struct es_err *err)
{
    if (run->over)
        return;
    run->over = true;
    es_fetch_finish(run->fetch, r, err);
}

struct es_object es_s3_object_known_as(const struct es_s3_run *run,
                                       const struct es_s3_object *object)
{
    bool exact = run->options->exact_mtime && object->uses & ES_OBJECT_MIRRORED;

    return (struct es_object){
        .name = object->key.data,
        .version = es_buf_str(&object->etag),
        .size = object->size,
        .modified_ms = exact ? object->modified_ms : -1,
        .rank = (uint32_t)(object - run->listing.objects),
        .uses = object->uses,
    };
}

const char *es_s3_object_path(const struct es_s3_run *run, const struct es_s3_object *object)
{
    return object->key.data + run->prefix.len;
}

static int compare_known(const void *name, const void *object)
{
    return strcmp(name, ((const struct es_object *)object)->name);
}

static const struct es_object *known(const struct es_s3_run *run, const struct es_s3_object *object)
{
    if (run->fetch->n_known == 0)
        return NULL;
    return bsearch(object->key.data, run->fetch->known, run->fetch->n_known,
                   sizeof *run->fetch->known, compare_known);
}

static bool is_same(const struct es_s3_run *run, const struct es_s3_object *object)
{
    const struct es_object *old = known(run, object), new = es_s3_object_known_as(run, object);

    return old && object->etag.len > 0 && strcmp(old->version, new.version) == 0 &&
           old->size == new.size && (old->uses & new.uses) == new.uses &&
           (!run->options->exact_mtime || old->modified_ms == new.modified_ms);
}

/* ---- from a sealed listing to the objects to get ---- */

static bool carry_over(struct es_s3_object *old, struct es_s3_object *object)
{
    if (!old || old->state != ES_S3_FETCHED || !es_buf_equal(&old->etag, &object->etag) ||
        old->size != object->size || old->modified_ms != object->modified_ms)
        return false;
    object->state = old->state;
    object->id = old->id;
    es_buf_move(&object->text, &old->text);
    old->state = ES_S3_WAITING; /* nothing to drop any more */
    return true;
}

/* Files that came, but are not in the new listing as they were. */
static int drop_stale(struct es_s3_run *run, struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < run->before.n; i++) {
        const struct es_s3_object *old = &run->before.objects[i];

        if (old->state == ES_S3_FETCHED && old->uses & ES_OBJECT_MIRRORED)
            r = es_sink_file_drop(run->fetch->sink, old->id, err);
    }
    es_s3_listing_done(&run->before);
    return r;
}

static int plan(struct es_s3_run *run, struct es_err *err)
{
    size_t more = run->listing.passed_over;

    for (size_t i = 0; i < run->listing.n; i++) {
        struct es_s3_object *object = &run->listing.objects[i];
        struct es_s3_object *old =
            es_s3_listing_find(&run->before, object->key.data, object->key.len);

        if (!carry_over(old, object) && is_same(run, object))
            object->state = ES_S3_SAME;
    }
    if (more > ES_S3_MAX_TOLD &&
        es_sink_detail(run->fetch->sink, err, "passed over %zu objects that no pattern takes",
                       more) < 0)
        return -EIO;
    run->next = 0;
    es_aws_expect(run->aws, run->options->bucket, 0);
    return drop_stale(run, err);
}

/* ---- when all objects are there ---- */

static int put_merged(struct es_s3_run *run, struct es_s3_object *object, struct es_err *err)
{
    const struct es_object as = es_s3_object_known_as(run, object);
    const struct es_document document = {
        .format = es_format_by_path(es_s3_object_path(run, object)),
        .object = as.name,
        .version = as.version,
        .rank = as.rank,
    };
    int r = es_sink_object(run->fetch->sink, &as, err);

    if (r == 0)
        r = es_document_put(&document, es_buf_str(&object->text), object->text.len,
                            run->fetch->sink, err);
    es_buf_done(&object->text);
    return r;
}

static int put(struct es_s3_run *run, struct es_s3_object *object, struct es_err *err)
{
    const struct es_object as = es_s3_object_known_as(run, object), *old = known(run, object);
    const char *path = es_s3_object_path(run, object);
    int r = 0;

    if (object->state == ES_S3_FETCHED)
        return object->uses & ES_OBJECT_MERGED ? put_merged(run, object, err) : 0;
    if (object->state == ES_S3_ARCHIVED) /* still in the bucket: not to be pruned */
        return old && old->uses & ES_OBJECT_MIRRORED
                   ? es_sink_file_same(run->fetch->sink, path, old, err)
                   : 0;
    if (object->uses & ES_OBJECT_MERGED)
        r = es_sink_same(run->fetch->sink, &as, err);
    if (r == 0 && object->uses & ES_OBJECT_MIRRORED)
        r = es_sink_file_same(run->fetch->sink, path, &as, err);
    return r;
}

static void complete(struct es_s3_run *run)
{
    struct es_err err;
    int r = 0;

    for (size_t i = 0; r == 0 && i < run->listing.n; i++)
        r = put(run, &run->listing.objects[i], &err);
    es_s3_run_finish(run, r, &err);
}

static int relist(struct es_s3_run *run, struct es_err *err)
{
    if (run->relists++ == ES_S3_MAX_RELISTS)
        return es_fail(err, ES_UNAVAILABLE, ESTALE,
                       "the objects of bucket %s change faster than they can be read",
                       run->options->bucket);
    run->changed = false;
    run->before = run->listing;
    run->listing = (struct es_s3_listing){0};
    es_answer_pages_done(&run->pages);
    run->pages = (struct es_answer_pages){0};
    return list(run, NULL, err);
}

void es_s3_run_pump(struct es_s3_run *run)
{
    struct es_err err;
    int r = 0;

    while (r == 0 && !run->over && !run->changed && run->in_flight < ES_S3_WINDOW &&
           run->next < run->listing.n) {
        struct es_s3_object *object = &run->listing.objects[run->next++];

        if (object->state == ES_S3_WAITING)
            r = es_s3_object_get(run, object, &err);
    }
    if (r == 0 && !run->over && run->in_flight == 0) {
        if (run->changed)
            r = relist(run, &err);
        else
            complete(run);
    }
    if (r < 0)
        es_s3_run_finish(run, r, &err);
}

/* ---- listing ---- */

static int check_page(void *data, const struct es_http_answer *answer, struct es_err *err)
{
    struct es_s3_run *run = data;
    ES_CLEANUP(es_s3_list_freep) struct es_s3_list *reader = NULL;
    int r = es_s3_list_new(&reader, err);

    es_s3_page_done(&run->page);
    run->page = (struct es_s3_page){0};
    if (r == 0)
        r = es_s3_list_feed(reader, es_buf_str(&answer->body), answer->body.len, err);
    if (r == 0)
        r = es_s3_list_finish(reader, &run->page, err);
    if (r < 0 && err->class == ES_INVALID)
        es_context(err, "the listing of bucket %s", run->options->bucket);
    if (r < 0 || !run->page.failed)
        return r;
    /* S3 may begin a 200 before it knows that it will fail. */
    es_fail(err, ES_UNAVAILABLE, EIO, "S3 broke the listing of bucket %s off%s%s",
            run->options->bucket, run->page.error.code[0] ? ": " : "", run->page.error.code);
    return 1;
}

static int take_page(struct es_s3_run *run, struct es_err *err)
{
    const struct es_s3_page *page = &run->page;
    int r = 0;

    for (size_t i = 0; r == 0 && i < page->n; i++)
        r = es_s3_listing_add(&run->listing, run->options, &run->prefix, &page->entries[i],
                              run->fetch->sink, err);
    if (r == 0 && page->truncated) {
        r = es_answer_pages_next(&run->pages, page->token.data, page->token.len, err);
        return r < 0 ? r : list(run, page->token.data, err);
    }
    if (r == 0)
        r = es_s3_listing_seal(&run->listing, run->options, &run->prefix, err);
    if (r == 0)
        r = plan(run, err);
    if (r == 0)
        es_s3_run_pump(run);
    return r;
}

static int explain_listing(const struct es_s3_run *run, const struct es_aws_reply *reply,
                           struct es_err *err)
{
    *err = reply->err;
    if (err->class == ES_ABSENT)
        es_context(err, "there is no bucket %s", run->options->bucket);
    else if (err->class == ES_DENIED && run->prefix.len > 0)
        es_context(err, "bucket %s, prefix %s", run->options->bucket, run->prefix.data);
    else if (err->class != ES_INTERNAL)
        es_context(err, "bucket %s", run->options->bucket);
    return reply->r;
}

static void on_page(void *data, const struct es_aws_reply *reply)
{
    struct es_s3_run *run = data;
    struct es_err err;
    int r;

    if (run->over)
        return;
    r = reply->r < 0 ? explain_listing(run, reply, &err) : take_page(run, &err);
    if (r < 0)
        es_s3_run_finish(run, r, &err);
}

static int list(struct es_s3_run *run, const char *token, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf resource = {0};
    const char *partition = es_aws_partition(run->aws),
               *owner = run->options->expected_bucket_owner;
    const struct es_aws_pair query[] = {{"list-type", "2"},
                                        {"encoding-type", "url"},
                                        {"prefix", es_buf_str(&run->prefix)},
                                        {"continuation-token", token}};
    const struct es_aws_pair headers[] = {{"x-amz-expected-bucket-owner", owner}};

    if (es_buf_printf(&resource, "arn:%s:s3:::%s", partition ? partition : "aws",
                      run->options->bucket) < 0)
        return es_nomem(err);
    return es_aws_send(run->aws,
                       &(struct es_aws_call){
                           .operation = "ListObjectsV2",
                           .method = "GET",
                           .bucket = run->options->bucket,
                           .path = "/",
                           .query = query,
                           .n_query = token ? 4 : 3,
                           .headers = headers,
                           .n_headers = owner ? 1 : 0,
                           .max_body = ES_S3_MAX_PAGE,
                           .first = true,
                           .allow = "s3:ListBucket",
                           .allow_resource = resource.data,
                           .check = check_page,
                           .on_done = on_page,
                           .data = run,
                       },
                       err);
}

static void run_free(void *own)
{
    struct es_s3_run *run = own;

    es_aws_free(run->aws); /* first: it forgets the calls that point here */
    es_s3_transfers_free(run);
    es_s3_listing_done(&run->listing);
    es_s3_listing_done(&run->before);
    es_s3_page_done(&run->page);
    es_answer_pages_done(&run->pages);
    es_buf_done(&run->prefix);
    free(run);
}

static enum es_aws_addressing addressing(const char *word)
{
    if (word && strcmp(word, "path") == 0)
        return ES_AWS_ADDRESS_PATH;
    return word && strcmp(word, "virtual") == 0 ? ES_AWS_ADDRESS_VIRTUAL : ES_AWS_ADDRESS_AUTO;
}

int es_fetch_s3(struct es_fetch *fetch, struct es_err *err)
{
    const struct es_s3_options *options = fetch->state;
    struct es_s3_run *run;
    int r;

    if (fetch->describe)
        return es_aws_describe(fetch, &options->aws, ES_AWS_S3, err);
    run = calloc(1, sizeof *run);
    if (!run)
        return es_nomem(err);
    run->fetch = fetch;
    run->options = options;
    fetch->own = run;
    fetch->clear = run_free;
    r = es_aws_bucket_check(options->bucket, err);
    if (r == 0)
        r = es_s3_prefix(options, &run->prefix, err);
    if (r == 0)
        r = es_aws_new(fetch, &options->aws, ES_AWS_S3, addressing(options->addressing), &run->aws,
                       err);
    if (r == 0)
        r = list(run, NULL, err);
    /* Where nothing is known, all of the listing will be asked for. */
    if (r == 0 && fetch->n_known == 0)
        es_aws_expect(run->aws, options->bucket, ES_S3_EXPECTED);
    run->over = r < 0; /* what was sent already comes to nothing */
    return r < 0 ? r : ES_FETCH_PENDING;
}
