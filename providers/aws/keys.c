/* Documents that hold credentials: of the metadata service, a container endpoint, a process, STS.
 * What they hold is checked for shape before it becomes a header: printable and without spaces. No
 * message repeats any of it. */
#include "inner.h"

#include "date.h"
#include "envsync/format.h"
#include "xml.h"

#include <errno.h>
#include <string.h>

static const struct es_buf *member(const struct es_value *root, const char *name)
{
    const struct es_value *value = es_table_get(root, name);

    return value && value->type == ES_STRING && value->text.len ? &value->text : NULL;
}

static bool is_plain(const struct es_buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] <= ' ' || (unsigned char)text->data[i] >= 0x7f)
            return false;
    return true;
}

static int check_plain(const struct es_buf *text, struct es_err *err)
{
    if (!is_plain(text))
        return es_fail(err, ES_INVALID, EBADMSG, "credentials with a character that none have");
    return 0;
}

static int copy(struct es_buf *to, const struct es_buf *from, struct es_err *err)
{
    if (!from)
        return 0;
    if (check_plain(from, err) < 0)
        return -EBADMSG;
    return es_buf_append(to, from->data, from->len) < 0 ? es_nomem(err) : 0;
}

static int read_expiry(const struct es_value *root, int64_t *ret, struct es_err *err)
{
    const struct es_buf *text = member(root, "Expiration");
    int64_t ms;

    *ret = 0;
    if (!text)
        return 0;
    if (!es_aws_date_iso(es_buf_str(text), &ms))
        return es_fail(err, ES_INVALID, EBADMSG, "credentials with an Expiration that is no time");
    *ret = ms / 1000;
    return 0;
}

int es_aws_keys_read(const char *text, size_t len, bool process, struct es_aws_keys *ret,
                     int64_t *ret_expires, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    ES_CLEANUP(es_aws_keys_done) struct es_aws_keys keys = {0};
    const struct es_value *version;
    int64_t expires = 0;
    int r;

    es_value_set_table(&root);
    r = es_format_json.read(text, len, &root, err);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || root.type != ES_TABLE)
        return es_fail(err, ES_INVALID, EBADMSG, "what came in place of credentials is no JSON");
    version = es_table_get(&root, "Version");
    if (process && (!version || version->type != ES_INTEGER || version->integer != 1))
        return es_fail(err, ES_INVALID, EBADMSG, "it printed no Version 1");
    if (!member(&root, "AccessKeyId") || !member(&root, "SecretAccessKey"))
        return es_fail(err, ES_INVALID, ENOENT, "no keys are in what it gave%s",
                       member(&root, "Code") ? ", but a code of failure" : "");
    r = copy(&keys.id, member(&root, "AccessKeyId"), err);
    if (r == 0)
        r = copy(&keys.secret, member(&root, "SecretAccessKey"), err);
    if (r == 0)
        r = copy(&keys.token, member(&root, process ? "SessionToken" : "Token"), err);
    if (r == 0)
        r = read_expiry(&root, &expires, err);
    if (r < 0)
        return r;
    *ret = keys;
    keys = (struct es_aws_keys){0};
    *ret_expires = expires;
    return 0;
}

/* ---- STS ---- */

/* What an answer has of <Credentials>. */
struct reading {
    struct es_aws_keys keys;
    int64_t expires_ms;
    unsigned in; /* depth of <Credentials>, 0: not there */
};

static void reading_done(struct reading *reading)
{
    es_aws_keys_done(&reading->keys);
}

static int on_open(void *state, unsigned depth, const char *name, struct es_err *err)
{
    struct reading *reading = state;

    (void)err;
    if (strcmp(name, "Credentials") == 0 && depth == 2)
        reading->in = depth;
    return 0;
}

static int on_close(void *state, unsigned depth, const char *name, const char *text, size_t len,
                    struct es_err *err)
{
    struct reading *reading = state;
    struct es_buf *to = NULL;

    if (depth == reading->in)
        reading->in = 0;
    if (!reading->in || depth != reading->in + 1)
        return 0;
    if (strcmp(name, "AccessKeyId") == 0)
        to = &reading->keys.id;
    else if (strcmp(name, "SecretAccessKey") == 0)
        to = &reading->keys.secret;
    else if (strcmp(name, "SessionToken") == 0)
        to = &reading->keys.token;
    else if (strcmp(name, "Expiration") == 0 && !es_aws_date_iso(text, &reading->expires_ms))
        return es_fail(err, ES_INVALID, EBADMSG, "an expiration that is no time");
    if (to && es_buf_set(to, text, len) < 0)
        return es_nomem(err);
    return to ? check_plain(to, err) : 0;
}

int es_aws_keys_read_sts(const char *text, size_t len, struct es_aws_keys *ret,
                         int64_t *ret_expires, struct es_err *err)
{
    static const struct es_xml_handler handler = {.open = on_open, .close = on_close};
    ES_CLEANUP(es_xml_freep) struct es_xml *xml = NULL;
    ES_CLEANUP(reading_done) struct reading reading = {0};
    int r = es_xml_new(&handler, &reading, ES_AWS_MAX_STS_ANSWER, &xml, err);

    if (r == 0)
        r = es_xml_feed(xml, text, len, err);
    if (r == 0)
        r = es_xml_finish(xml, err);
    if (r < 0)
        return r;
    if (!reading.keys.id.len || !reading.keys.secret.len || !reading.keys.token.len)
        return es_fail(err, ES_INVALID, EBADMSG, "STS has answered without credentials");
    *ret = reading.keys;
    reading.keys = (struct es_aws_keys){0};
    *ret_expires = reading.expires_ms / 1000;
    return 0;
}
