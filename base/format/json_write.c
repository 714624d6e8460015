/* Values into JSON, and into the text that stands for a value where a format knows only strings.
 *
 * Keys and strings may be any bytes: es_json_refuses() says what has no form in JSON and has to be
 * asked first. Depth is bounded by whoever read the value. */
#include "envsync/format.h"
#include "envsync/utf8.h"

#include "json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* What JSON demands, and what breaks lines or terminals though it would be legal. */
static int put_escape(struct es_buf *out, uint32_t c)
{
    static const char shorts[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c && c < 0x80 ? strchr(shorts, (int)c) : NULL;

    if (found)
        return es_buf_printf(out, "\\%c", letters[found - shorts]);
    return es_buf_printf(out, "\\u%04x", c);
}

static int put_string(struct es_buf *out, const struct es_buf *text)
{
    int r = es_buf_putc(out, '"');

    for (size_t at = 0; r == 0 && at < text->len;) {
        const char *p = text->data + at;
        uint32_t c = 0;
        size_t n = es_utf8_decode(p, text->len - at, &c);

        if (n == 0) /* es_json_refuses() was not asked; reading back will fail */
            r = es_buf_append(out, p, n = 1);
        else if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f || c == 0x2028 || c == 0x2029)
            r = put_escape(out, c);
        else
            r = es_buf_append(out, p, n);
        at += n;
    }
    return r < 0 ? r : es_buf_putc(out, '"');
}

/* indent counts levels, or is COMPACT. */
enum { COMPACT = -1 };

static int put_break(struct es_buf *out, int indent)
{
    return indent == COMPACT ? 0 : es_buf_printf(out, "\n%*s", 2 * indent, "");
}

static int put_value(struct es_buf *out, const struct es_value *value, int indent);

static int put_container(struct es_buf *out, const struct es_value *value, int indent)
{
    bool table = value->type == ES_TABLE;
    size_t n = table ? value->table.n : value->list.n;
    int below = indent == COMPACT ? COMPACT : indent + 1;
    int r = es_buf_putc(out, table ? '{' : '[');

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (i > 0)
            r = es_buf_putc(out, ',');
        if (r == 0)
            r = put_break(out, below);
        if (r == 0 && table)
            r = put_string(out, &value->table.entries[i].key);
        if (r == 0 && table)
            r = es_buf_puts(out, indent == COMPACT ? ":" : ": ");
        if (r == 0)
            r = put_value(out, table ? &value->table.entries[i].value : &value->list.items[i],
                          below);
    }
    if (r == 0 && n > 0)
        r = put_break(out, indent);
    return r < 0 ? r : es_buf_putc(out, table ? '}' : ']');
}

static int put_value(struct es_buf *out, const struct es_value *value, int indent)
{
    switch (value->type) {
    case ES_STRING:
    case ES_DATETIME:
        return put_string(out, &value->text);
    case ES_INTEGER:
        return es_integer_format(out, value->integer);
    case ES_FLOAT:
        return es_float_format(out, value->number);
    case ES_BOOLEAN:
        return es_buf_puts(out, value->boolean ? "true" : "false");
    case ES_LIST:
    case ES_TABLE:
        return put_container(out, value, indent);
    }
    return -EINVAL;
}

int es_json_put(struct es_buf *out, const struct es_value *value, bool compact)
{
    return put_value(out, value, compact ? COMPACT : 0);
}

static const char *refuses_table(const struct es_value *table)
{
    const char *why = NULL;

    for (size_t i = 0; !why && i < table->table.n; i++) {
        const struct es_buf *key = &table->table.entries[i].key;

        if (!es_utf8_valid(es_buf_str(key), key->len))
            why = "has a key that is not valid UTF-8";
        else if (key->len && memchr(key->data, '\0', key->len))
            why = "has a key with a NUL character, which few JSON readers take";
        else
            why = es_json_refuses(&table->table.entries[i].value);
    }
    return why;
}

const char *es_json_refuses(const struct es_value *value)
{
    const char *why = NULL;

    switch (value->type) {
    case ES_STRING:
    case ES_DATETIME:
        return es_utf8_valid(es_buf_str(&value->text), value->text.len) ? NULL
                                                                        : "is not valid UTF-8";
    case ES_FLOAT:
        return isfinite(value->number) ? NULL : "JSON has no NaN or infinity";
    case ES_LIST:
        for (size_t i = 0; !why && i < value->list.n; i++)
            why = es_json_refuses(&value->list.items[i]);
        return why;
    case ES_TABLE:
        return refuses_table(value);
    default:
        return NULL;
    }
}

static int put_sorted(struct es_buf *out, const struct es_value *value)
{
    ES_CLEANUP(es_value_done) struct es_value sorted = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r;

    if (es_json_refuses(value))
        return -EDOM;
    r = es_value_copy(&sorted, value);
    if (r < 0)
        return r;
    es_table_sort(&sorted);
    r = es_json_put(&text, &sorted, true);
    return r < 0 ? r : es_buf_append(out, text.data, text.len);
}

int es_value_text(const struct es_value *value, struct es_buf *out)
{
    switch (value->type) {
    case ES_STRING:
    case ES_DATETIME:
        return es_buf_append(out, value->text.data, value->text.len);
    case ES_LIST:
    case ES_TABLE:
        return put_sorted(out, value);
    default:
        return put_value(out, value, COMPACT);
    }
}
