/* See answer.h. */
#include "answer.h"

#include "envsync/jansson.h"

#include <errno.h>
#include <string.h>

enum { MAX_NAME = 2048, MAX_TOKEN = 16384 };

int es_answer_refuse(struct es_err *err, const char *why)
{
    return es_fail(err, ES_INVALID, EBADMSG, "the answer is not AWS's: %s", why);
}

static int refuse_member(struct es_err *err, const char *member)
{
    return es_fail(err, ES_INVALID, EBADMSG,
                   "the answer is not AWS's: its %s is not what it should be", member);
}

int es_answer_load(const char *text, size_t len, json_t **ret, struct es_err *err)
{
    json_t *root = NULL;
    json_error_t why;
    int r = es_jansson_load(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &root, &why);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0)
        return es_answer_refuse(err, "it is not JSON");
    if (!json_is_object(root)) {
        json_decref(root);
        return es_answer_refuse(err, "it is no JSON object");
    }
    *ret = root;
    return 0;
}

void es_answer_drop(json_t **json)
{
    json_decref(*json);
}

static const json_t *get(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    return json_is_null(value) ? NULL : value;
}

int es_answer_text(const json_t *object, const char *member, struct es_answer_text *ret,
                   struct es_err *err)
{
    const json_t *value = get(object, member);

    if (value && !json_is_string(value))
        return refuse_member(err, member);
    *ret = (struct es_answer_text){json_string_value(value), json_string_length(value)};
    return 0;
}

int es_answer_name(const json_t *object, const char *member, const char **ret, struct es_err *err)
{
    struct es_answer_text text;
    int r = es_answer_text(object, member, &text, err);

    if (r < 0)
        return r;
    if (text.len > MAX_NAME)
        return refuse_member(err, member);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return refuse_member(err, member);
    *ret = text.data;
    return 0;
}

int es_answer_list(const json_t *object, const char *member, const json_t **ret, struct es_err *err)
{
    const json_t *value = get(object, member);

    if (value && !json_is_array(value))
        return refuse_member(err, member);
    *ret = value;
    return 0;
}

int es_answer_integer(const json_t *object, const char *member, int64_t *ret, struct es_err *err)
{
    const json_t *value = get(object, member);

    if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
        return refuse_member(err, member);
    *ret = value ? json_integer_value(value) : -1;
    return 0;
}

int es_answer_token(const json_t *object, struct es_buf *ret, struct es_err *err)
{
    struct es_answer_text text;
    int r = es_answer_text(object, "NextToken", &text, err);

    if (r < 0)
        return r;
    if (text.len > MAX_TOKEN)
        return refuse_member(err, "NextToken");
    return es_buf_set(ret, text.data ? text.data : "", text.len) < 0 ? es_nomem(err) : 0;
}

static int append(const char *data, size_t len, void *buf)
{
    return es_buf_append(buf, data, len);
}

int es_answer_request(json_t *request, struct es_buf *ret, struct es_err *err)
{
    int r = request ? json_dump_callback(request, append, ret, JSON_COMPACT) : -1;

    json_decref(request);
    return r < 0 ? es_nomem(err) : 0;
}

void es_answer_pages_done(struct es_answer_pages *pages)
{
    es_buf_done(&pages->kept);
}

int es_answer_pages_next(struct es_answer_pages *pages, const char *token, size_t len,
                         struct es_err *err)
{
    if (pages->n > 0 && pages->kept.len == len && memcmp(es_buf_str(&pages->kept), token, len) == 0)
        return es_answer_refuse(err, "its pages go in a circle (a token came twice)");
    pages->n++;
    if ((pages->n & (pages->n - 1)) == 0 && es_buf_set(&pages->kept, token, len) < 0)
        return es_nomem(err);
    return 0;
}
