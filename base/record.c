/* See envsync/record.h. Decoding is the privileged side's first reader of what the worker says:
 * every length is checked before it is used. */
#include "envsync/record.h"

#include "envsync/key.h"
#include "envsync/limits.h"
#include "envsync/utf8.h"

#include <errno.h>
#include <string.h>

void es_record_done(struct es_record *record)
{
    es_buf_done(&record->key);
    es_value_done(&record->value);
    es_buf_done(&record->object);
    es_buf_done(&record->version);
    *record = (struct es_record){0};
}

int es_record_check(const struct es_record *record, struct es_err *err)
{
    size_t depth = es_key_depth(&record->key);

    if (depth == 0 || record->key.data[record->key.len - 1] != '\0')
        return es_fail(err, ES_INTERNAL, EBADMSG, "a record has no key");
    if (record->key.len > ES_MAX_KEY + 1) /* the end of the last segment is no byte of it */
        return es_fail(err, ES_INVALID, EMSGSIZE, "%s: the key has more than %d bytes",
                       es_key_text(&record->key).text, ES_MAX_KEY);
    if (!es_utf8_valid(record->key.data, record->key.len))
        return es_fail(err, ES_INVALID, EILSEQ, "%s: the key is not valid UTF-8",
                       es_key_text(&record->key).text);
    if (record->value.type == ES_TABLE && record->value.table.n > 0)
        return es_fail(err, ES_INTERNAL, EBADMSG, "%s: a record holds a table",
                       es_key_text(&record->key).text);
    if (depth + es_value_depth(&record->value) > ES_MAX_DEPTH)
        return es_fail(err, ES_INVALID, EMSGSIZE, "%s: nested deeper than %d",
                       es_key_text(&record->key).text, ES_MAX_DEPTH);
    return 0;
}

int es_put_u8(struct es_buf *out, uint8_t v)
{
    return es_buf_append(out, &v, 1);
}

static int put_le(struct es_buf *out, uint64_t v, size_t size)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(v >> 8 * i);
    return es_buf_append(out, bytes, size);
}

int es_put_u32(struct es_buf *out, uint32_t v)
{
    return put_le(out, v, 4);
}

int es_put_u64(struct es_buf *out, uint64_t v)
{
    return put_le(out, v, 8);
}

int es_put_bytes(struct es_buf *out, const void *data, size_t len)
{
    int r = es_put_u32(out, (uint32_t)len);

    return r < 0 ? r : es_buf_append(out, data, len);
}

static int put_items(struct es_buf *out, const struct es_value *value)
{
    int r = es_put_u32(out, (uint32_t)value->list.n);

    for (size_t i = 0; r == 0 && i < value->list.n; i++)
        r = es_put_value(out, &value->list.items[i]);
    return r;
}

static int put_entries(struct es_buf *out, const struct es_value *value)
{
    int r = es_put_u32(out, (uint32_t)value->table.n);

    for (size_t i = 0; r == 0 && i < value->table.n; i++) {
        const struct es_entry *entry = &value->table.entries[i];

        r = es_put_bytes(out, entry->key.data, entry->key.len);
        if (r == 0)
            r = es_put_value(out, &entry->value);
    }
    return r;
}

int es_put_value(struct es_buf *out, const struct es_value *value)
{
    uint64_t bits;
    int r = es_put_u8(out, (uint8_t)value->type);

    if (r < 0)
        return r;
    switch (value->type) {
    case ES_STRING:
    case ES_DATETIME:
        return es_put_bytes(out, value->text.data, value->text.len);
    case ES_INTEGER:
        return es_put_u64(out, (uint64_t)value->integer);
    case ES_FLOAT:
        memcpy(&bits, &value->number, sizeof bits);
        return es_put_u64(out, bits);
    case ES_BOOLEAN:
        return es_put_u8(out, value->boolean);
    case ES_LIST:
        return put_items(out, value);
    case ES_TABLE:
        return put_entries(out, value);
    }
    return -EINVAL;
}

int es_put_record(struct es_buf *out, const struct es_record *record)
{
    int r = es_put_u32(out, record->source);

    if (r == 0)
        r = es_put_u32(out, record->rank);
    if (r == 0)
        r = es_put_u32(out, record->line);
    if (r == 0)
        r = es_put_u8(out, record->verbatim);
    if (r == 0)
        r = es_put_bytes(out, record->key.data, record->key.len);
    if (r == 0)
        r = es_put_bytes(out, record->object.data, record->object.len);
    if (r == 0)
        r = es_put_bytes(out, record->version.data, record->version.len);
    return r < 0 ? r : es_put_value(out, &record->value);
}

static int get_le(struct es_cursor *in, size_t size, uint64_t *ret)
{
    uint64_t v = 0;

    if (in->left < size)
        return -EBADMSG;
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)(unsigned char)in->p[i] << 8 * i;
    in->p += size;
    in->left -= size;
    *ret = v;
    return 0;
}

int es_get_u8(struct es_cursor *in, uint8_t *ret)
{
    uint64_t v;
    int r = get_le(in, 1, &v);

    if (r == 0)
        *ret = (uint8_t)v;
    return r;
}

int es_get_u32(struct es_cursor *in, uint32_t *ret)
{
    uint64_t v;
    int r = get_le(in, 4, &v);

    if (r == 0)
        *ret = (uint32_t)v;
    return r;
}

int es_get_u64(struct es_cursor *in, uint64_t *ret)
{
    return get_le(in, 8, ret);
}

int es_get_bytes(struct es_cursor *in, struct es_buf *ret)
{
    struct es_cursor at = *in;
    uint32_t len;
    int r = es_get_u32(&at, &len);

    if (r == 0 && len > at.left)
        r = -EBADMSG;
    if (r == 0)
        r = es_buf_set(ret, at.p, len);
    if (r == 0)
        *in = (struct es_cursor){.p = at.p + len, .left = at.left - len};
    return r;
}

static int get_value(struct es_cursor *in, struct es_value *value, unsigned depth);

static int get_items(struct es_cursor *in, struct es_value *list, unsigned depth)
{
    uint32_t n;
    int r = es_get_u32(in, &n);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        struct es_value *item;

        r = es_list_add(list, &item);
        if (r == 0)
            r = get_value(in, item, depth + 1);
    }
    return r;
}

static int get_entries(struct es_cursor *in, struct es_value *table, unsigned depth)
{
    uint32_t n;
    int r = es_get_u32(in, &n);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf key = {0};
        struct es_entry *entry;

        r = es_get_bytes(in, &key);
        if (r == 0)
            r = es_table_add(table, key.data, key.len, &entry);
        if (r == -EEXIST)
            r = -EBADMSG;
        if (r == 0)
            r = get_value(in, &entry->value, depth + 1);
    }
    return r;
}

/* Fills a zero value; what a failure leaves in it is the caller's to end. */
static int get_value(struct es_cursor *in, struct es_value *value, unsigned depth)
{
    uint64_t bits;
    uint8_t type = 0, flag;
    int r = depth > ES_MAX_DEPTH ? -EBADMSG : es_get_u8(in, &type);

    if (r < 0)
        return r;
    if (type > ES_TABLE)
        return -EBADMSG;
    value->type = (enum es_type)type;
    switch (value->type) {
    case ES_STRING:
    case ES_DATETIME:
        return es_get_bytes(in, &value->text);
    case ES_INTEGER:
    case ES_FLOAT:
        r = es_get_u64(in, &bits);
        if (r == 0)
            memcpy(&value->integer, &bits, sizeof bits);
        return r;
    case ES_BOOLEAN:
        r = es_get_u8(in, &flag);
        if (r == 0 && flag > 1)
            r = -EBADMSG;
        if (r == 0)
            value->boolean = flag == 1;
        return r;
    case ES_LIST:
        return get_items(in, value, depth);
    case ES_TABLE:
        return get_entries(in, value, depth);
    }
    return -EBADMSG;
}

int es_get_value(struct es_cursor *in, struct es_value *ret)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    struct es_cursor at = *in;
    int r = get_value(&at, &value, 0);

    if (r == 0) {
        es_value_move(ret, &value);
        *in = at;
    }
    return r;
}

int es_get_record(struct es_cursor *in, struct es_record *ret)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    struct es_cursor at = *in;
    uint8_t verbatim = 0;
    int r = es_get_u32(&at, &record.source);

    if (r == 0)
        r = es_get_u32(&at, &record.rank);
    if (r == 0)
        r = es_get_u32(&at, &record.line);
    if (r == 0)
        r = es_get_u8(&at, &verbatim);
    if (r == 0)
        r = es_get_bytes(&at, &record.key);
    if (r == 0)
        r = es_get_bytes(&at, &record.object);
    if (r == 0)
        r = es_get_bytes(&at, &record.version);
    if (r == 0)
        r = es_get_value(&at, &record.value);
    if (r == 0 && verbatim > 1)
        r = -EBADMSG;
    if (r < 0)
        return r;
    record.verbatim = verbatim == 1;
    es_record_done(ret);
    *ret = record;
    record = (struct es_record){0};
    *in = at;
    return 0;
}

int es_put_frame(struct es_buf *out, enum es_frame type, const struct es_buf *payload)
{
    int r = es_put_u32(out, (uint32_t)payload->len + 1);

    if (r == 0)
        r = es_put_u8(out, (uint8_t)type);
    return r < 0 ? r : es_buf_append(out, payload->data, payload->len);
}
