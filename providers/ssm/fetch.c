/* Fetches an SSM source: by path (path.c) or by names (names.c). Here is what both share.
 *
 * Everything that came is kept until all of it is there, then put in the order of the names: pages
 * are no snapshot, and a parameter that was changed between two of them may come twice. */
#include "run.h"

#include "envsync/key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void item_done(struct es_ssm_item *item)
{
    es_buf_done(&item->key);
    es_ssm_parameter_done(&item->parameter);
}

static struct es_ssm_item *grow(struct es_ssm_run *run)
{
    if (run->n == run->cap) {
        size_t cap = run->cap ? 2 * run->cap : 64;
        struct es_ssm_item *items = reallocarray(run->items, cap, sizeof *items);

        if (!items)
            return NULL;
        run->items = items;
        run->cap = cap;
    }
    return &run->items[run->n];
}

int es_ssm_keep(struct es_ssm_run *run, struct es_ssm_parameter *parameter, const char *name,
                size_t len, const char *above, struct es_err *err)
{
    struct es_ssm_item *item = grow(run);
    int r;

    if (!item)
        return es_nomem(err);
    *item = (struct es_ssm_item){0};
    r = es_ssm_key(name, len, above, &item->key);
    if (r == -ENOENT)
        return es_fail(err, ES_INVALID, EBADMSG,
                       "the answer is not AWS's: it has %s, which was not asked for",
                       parameter->name.data);
    if (r < 0)
        return es_nomem(err);
    item->parameter = *parameter;
    *parameter = (struct es_ssm_parameter){0};
    run->n++;
    run->bytes += item->key.len + item->parameter.value.len;
    if (run->bytes > ES_MAX_TOTAL || run->n > ES_MAX_RECORDS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d MiB or %d parameters",
                       ES_MAX_TOTAL >> 20, ES_MAX_RECORDS);
    return 0;
}

/* ---- putting ---- */

/* By key, then name; of one name the latest version first. */
static int compare_items(const void *a, const void *b)
{
    const struct es_ssm_item *x = a, *y = b;
    int c = es_key_compare(&x->key, &y->key);

    if (c == 0)
        c = strcmp(x->parameter.name.data, y->parameter.name.data);
    return c ? c
             : (x->parameter.version < y->parameter.version) -
                   (x->parameter.version > y->parameter.version);
}

static int put_item(struct es_ssm_run *run, struct es_ssm_item *item, struct es_err *err)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    int r = 0;

    es_buf_move(&record.key, &item->key);
    es_buf_move(&record.value.text, &item->parameter.value);
    es_buf_move(&record.object, &item->parameter.name);
    if (item->parameter.version >= 0)
        r = es_buf_printf(&record.version, "version %" PRId64, item->parameter.version);
    if (r < 0)
        return es_nomem(err);
    r = es_sink_put(run->fetch->sink, &record, err);
    if (r < 0 && err->class != ES_INTERNAL)
        es_context(err, "%s", record.object.data);
    /* The names of both are needed to compare with the next. */
    es_buf_move(&item->key, &record.key);
    es_buf_move(&item->parameter.name, &record.object);
    return r;
}

static int put_all(struct es_ssm_run *run, struct es_err *err)
{
    int r = 0;

    if (run->n > 1)
        qsort(run->items, run->n, sizeof *run->items, compare_items);
    for (size_t i = 0; r == 0 && i < run->n; i++) {
        struct es_ssm_item *item = &run->items[i], *last = i > 0 ? item - 1 : NULL;

        if (!last || !es_buf_equal(&last->key, &item->key))
            r = put_item(run, item, err);
        else if (!es_buf_equal(&last->parameter.name, &item->parameter.name))
            r = es_fail(err, ES_INVALID, EEXIST,
                        "%s and %s both become the key %s; with strip "
                        "more of a name becomes part of its key",
                        last->parameter.name.data, item->parameter.name.data,
                        es_key_text(&item->key).text);
    }
    return r;
}

void es_ssm_finish(struct es_ssm_run *run, int r, const struct es_err *err)
{
    struct es_err why;

    if (run->over)
        return;
    run->over = true;
    if (r < 0)
        why = *err;
    else
        r = put_all(run, &why);
    es_fetch_finish(run->fetch, r, &why);
}

/* ---- failures ---- */

static bool is_missing(const char *code)
{
    return strcmp(code, "ParameterNotFound") == 0 ||
           strcmp(code, "ParameterVersionNotFound") == 0 ||
           strcmp(code, "ParameterVersionLabelNotFound") == 0;
}

/* Denied by KMS and not by IAM: the caller may read the parameter, but not decrypt it. SSM says so
 * with a code of its own, or with that of a denial whose text names no action of SSM. */
static bool is_kms(const struct es_aws_error *error)
{
    if (strcmp(error->code, "InvalidKeyId") == 0)
        return true;
    return strncmp(error->code, "AccessDenied", strlen("AccessDenied")) == 0 &&
           strncmp(error->action, "ssm:", 4) != 0;
}

static int explain_kms(const struct es_aws_reply *reply, const char *what, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf said = {0};
    const char *key = reply->error.resource;

    if (es_aws_error_text(&reply->error, &said) < 0)
        return es_nomem(err);
    return es_fail(err, ES_DENIED, EACCES,
                   "%s: %s: a SecureString cannot be decrypted: allow kms:Decrypt on %s, and see "
                   "that the key is enabled",
                   what, es_buf_str(&said), *key ? key : "the KMS key that it was encrypted with");
}

int es_ssm_explain(const struct es_aws_reply *reply, const char *what, struct es_err *err)
{
    if (is_missing(reply->error.code))
        return es_fail(err, ES_ABSENT, ENOENT, "%s: there is no such parameter (%s)", what,
                       reply->error.code);
    if (is_kms(&reply->error))
        return explain_kms(reply, what, err);
    *err = reply->err;
    if (err->class != ES_INTERNAL)
        es_context(err, "%s", what);
    return reply->r;
}

int es_ssm_resource(const struct es_ssm_run *run, const char *name, size_t len, struct es_buf *out)
{
    const char *partition = es_aws_partition(run->aws), *region = es_aws_region(run->aws);

    return es_buf_printf(out, "arn:%s:ssm:%s:*:parameter%s%.*s", partition ? partition : "aws",
                         region && *region ? region : "*", len > 0 && name[0] == '/' ? "" : "/",
                         (int)len, name);
}

/* ---- the source ---- */

static void run_free(void *own)
{
    struct es_ssm_run *run = own;

    es_aws_free(run->aws); /* first: it forgets the calls that point here */
    for (size_t i = 0; i < run->n; i++)
        item_done(&run->items[i]);
    free(run->items);
    es_buf_done(&run->path);
    es_answer_pages_done(&run->pages);
    es_ssm_names_done(run);
    free(run);
}

int es_fetch_ssm(struct es_fetch *fetch, struct es_err *err)
{
    const struct es_ssm_options *options = fetch->state;
    struct es_ssm_run *run;
    int r;

    if (fetch->describe)
        return es_aws_describe(fetch, &options->aws, ES_AWS_SSM, err);
    run = calloc(1, sizeof *run);
    if (!run)
        return es_nomem(err);
    run->fetch = fetch;
    run->options = options;
    fetch->own = run;
    fetch->clear = run_free;
    r = es_aws_new(fetch, &options->aws, ES_AWS_SSM, ES_AWS_ADDRESS_AUTO, &run->aws, err);
    if (r == 0)
        r = options->path ? es_ssm_by_path(run, err) : es_ssm_by_names(run, err);
    run->over = r < 0; /* what was sent already comes to nothing */
    return r < 0 ? r : ES_FETCH_PENDING;
}
