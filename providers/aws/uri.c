/* The encoding of paths and queries; contract in sign.h. Texts may be anything: object keys come
 * from a bucket's listing. Bytes on the wire and bytes that are signed are both made here. */
#include "uri.h"
#include "sign.h"

#include <errno.h>
#include <string.h>

/* RFC 3986's unreserved characters. */
static bool is_plain(unsigned char c)
{
    static const uint32_t plain[8] = {
        [1] = 0x03ff6000, /* - . 0-9 */
        [2] = 0x87fffffe, /* A-Z _ */
        [3] = 0x47fffffe, /* a-z ~ */
    };

    return plain[c >> 5] >> (c & 31) & 1;
}

int es_aws_uri_encode(struct es_buf *out, const char *text, size_t len, bool path)
{
    static const char hex[] = "0123456789ABCDEF";
    char *to;
    int r;

    if (len > SIZE_MAX / 16)
        return -ENOMEM;
    r = es_buf_reserve(out, len * 3);
    if (r < 0)
        return r;
    to = out->data + out->len;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (is_plain(c) || (path && c == '/')) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    *to = '\0';
    out->len = (size_t)(to - out->data);
    return 0;
}

/* One encoded pair: where its name and value lie in the scratch buffer. */
struct slot {
    size_t name, name_len, value_len; /* the value follows the name */
};

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    int c = len ? memcmp(a, b, len) : 0;

    return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* By the pair, never by the joined text: "a=2" goes before "a-b=1" although '-' < '='. */
static int compare_slots(const char *base, const struct slot *a, const struct slot *b)
{
    int c = compare_bytes(base + a->name, a->name_len, base + b->name, b->name_len);

    return c ? c
             : compare_bytes(base + a->name + a->name_len, a->value_len,
                             base + b->name + b->name_len, b->value_len);
}

static int encode_pair(struct es_buf *scratch, const struct es_aws_pair *pair, struct slot *slot)
{
    const char *value = pair->value ? pair->value : "";
    int r;

    slot->name = scratch->len;
    r = es_aws_uri_encode(scratch, pair->name, strlen(pair->name), false);
    if (r < 0)
        return r;
    slot->name_len = scratch->len - slot->name;
    r = es_aws_uri_encode(scratch, value, strlen(value), false);
    slot->value_len = scratch->len - slot->name - slot->name_len;
    return r;
}

static int put_slot(struct es_buf *out, const char *base, const struct slot *slot, bool first)
{
    int r = first ? 0 : es_buf_putc(out, '&');

    if (r == 0)
        r = es_buf_append(out, base + slot->name, slot->name_len);
    if (r == 0)
        r = es_buf_putc(out, '=');
    return r ? r : es_buf_append(out, base + slot->name + slot->name_len, slot->value_len);
}

int es_aws_query(struct es_buf *out, const struct es_aws_pair *query, size_t n, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf scratch = {0};
    struct slot slots[ES_AWS_MAX_QUERY];
    size_t order[ES_AWS_MAX_QUERY];

    if (n > ES_AWS_MAX_QUERY)
        return es_fail(err, ES_INVALID, E2BIG, "a request with more than %d query parameters",
                       ES_AWS_MAX_QUERY);
    for (size_t i = 0; i < n; i++)
        if (encode_pair(&scratch, &query[i], &slots[i]) < 0)
            return es_nomem(err);
    for (size_t i = 0; i < n; i++) {
        size_t at = i;

        for (; at > 0 && compare_slots(scratch.data, &slots[order[at - 1]], &slots[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (size_t i = 0; i < n; i++)
        if (put_slot(out, es_buf_str(&scratch), &slots[order[i]], i == 0) < 0)
            return es_nomem(err);
    return 0;
}

int es_aws_target(struct es_buf *out, const char *path, const struct es_aws_pair *query, size_t n,
                  struct es_err *err)
{
    if (path[0] != '/')
        return es_fail(err, ES_INVALID, EINVAL, "a request path that does not start with '/'");
    if (es_aws_uri_encode(out, path, strlen(path), true) < 0)
        return es_nomem(err);
    if (n == 0)
        return 0;
    if (es_buf_putc(out, '?') < 0)
        return es_nomem(err);
    return es_aws_query(out, query, n, err);
}

/* Dot segments and empty segments go; a final slash stays where something is left before it. */
static int normalise(struct es_buf *out, const char *path, size_t len)
{
    int r = es_buf_putc(out, '/');

    for (size_t at = 0; r == 0 && at < len;) {
        const char *p = path + at;
        const char *end = memchr(p, '/', len - at);
        size_t n = end ? (size_t)(end - p) : len - at;

        at += n + 1;
        if (n == 0 || (n == 1 && p[0] == '.'))
            continue;
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out->len > 1 && out->data[out->len - 1] != '/')
                out->len--;
            out->len -= out->len > 1;
            out->data[out->len] = '\0';
            continue;
        }
        if (out->len > 1)
            r = es_buf_putc(out, '/');
        if (r == 0)
            r = es_buf_append(out, p, n);
    }
    return r == 0 && out->len > 1 && path[len - 1] == '/' ? es_buf_putc(out, '/') : r;
}

int es_aws_canonical_path(struct es_buf *out, const char *wire, size_t len, unsigned flags)
{
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    int r = 0;

    if (flags & ES_AWS_SIGN_NORMALISE) {
        r = normalise(&path, wire, len);
        wire = es_buf_str(&path);
        len = path.len;
    }
    if (r < 0)
        return r;
    return flags & ES_AWS_SIGN_TWICE ? es_aws_uri_encode(out, wire, len, true)
                                     : es_buf_append(out, wire, len);
}
