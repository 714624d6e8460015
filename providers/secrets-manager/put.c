/* What a secret's content becomes: a JSON object its keys, anything else the value of `key`. */
#include "answer.h"

#include "envsync/format.h"
#include "envsync/jansson.h"
#include "envsync/key.h"
#include "envsync/provider.h"

#include <errno.h>
#include <string.h>

static bool looks_like_object(const struct es_buf *value)
{
    size_t at = strspn(es_buf_str(value), " \t\r\n");

    return at < value->len && value->data[at] == '{';
}

/* With a key, text that only looks like an object ("{{ template }}") is a plain string. What is
 * JSON must keep the rules of documents (no key twice, no null), so they are left to its reader. */
static int is_object(const struct es_secret *secret, const char *key, bool *ret, struct es_err *err)
{
    json_t *root = NULL;
    json_error_t why;
    int r;

    *ret = !secret->binary && looks_like_object(&secret->value);
    if (!*ret || !key)
        return 0;
    r = es_jansson_load(secret->value.data, secret->value.len, JSON_ALLOW_NUL, &root, &why);
    if (r == -ENOMEM)
        return es_nomem(err);
    *ret = r == 0;
    json_decref(root);
    return 0;
}

static int put_plain(const struct es_secret *secret, const char *name, const char *key,
                     unsigned rank, struct es_sink *sink, struct es_err *err)
{
    ES_CLEANUP(es_record_done) struct es_record record = {.rank = rank};
    int r;

    if (!key)
        return es_fail(err, ES_INVALID, EINVAL,
                       "%s holds %s and no JSON object; say what it is with key = \"...\"", name,
                       secret->binary ? "bytes" : "a plain string");
    r = es_key_parse(key, &record.key, err);
    if (r < 0)
        return r;
    if (es_value_set_string(&record.value, es_buf_str(&secret->value), secret->value.len) < 0 ||
        es_buf_puts(&record.object, name) < 0 ||
        es_buf_puts(&record.version, es_buf_str(&secret->version)) < 0)
        return es_nomem(err);
    r = es_sink_put(sink, &record, err);
    if (r < 0 && err->class != ES_INTERNAL)
        es_context(err, "%s", name);
    return r;
}

int es_secret_put(const struct es_secret *secret, const char *id, const char *key, unsigned rank,
                  struct es_sink *sink, struct es_err *err)
{
    const char *name = secret->name.len > 0 ? secret->name.data : id;
    const struct es_document document = {
        .format = &es_format_json,
        .object = name,
        .version = es_buf_str(&secret->version),
        .rank = rank,
    };
    bool object = false;
    int r = is_object(secret, key, &object, err);

    if (r < 0)
        return r;
    if (!object)
        return put_plain(secret, name, key, rank, sink, err);
    return es_document_put(&document, secret->value.data, secret->value.len, sink, err);
}
