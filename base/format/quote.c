/* See quote.h. Values are untrusted bytes: what a reader might take as its own syntax is quoted or
 * escaped, never left to luck. */
#include "quote.h"

#include "envsync/limits.h"
#include "envsync/utf8.h"

#include <string.h>

bool es_quote_harmless(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_@%+=:,./-", c));
}

static bool is_bare(const struct es_buf *value)
{
    for (size_t i = 0; i < value->len; i++)
        if (!es_quote_harmless((unsigned char)value->data[i]))
            return false;
    /* zsh expands a word that begins with '='. */
    return value->len > 0 && value->data[0] != '=';
}

static bool has_any(const struct es_buf *value, const char *set)
{
    return es_buf_str(value)[strcspn(es_buf_str(value), set)] != '\0';
}

int es_quote_put_single(struct es_buf *out, const struct es_buf *value)
{
    int r = es_buf_putc(out, '\'');

    if (r == 0)
        r = es_buf_append(out, value->data, value->len);
    return r < 0 ? r : es_buf_putc(out, '\'');
}

int es_quote_put_double(struct es_buf *out, const struct es_buf *value, const char *escaped)
{
    int r = es_buf_putc(out, '"');

    for (size_t i = 0; r == 0 && i < value->len; i++) {
        if (strchr(escaped, value->data[i]))
            r = es_buf_putc(out, '\\');
        if (r == 0)
            r = es_buf_putc(out, value->data[i]);
    }
    return r < 0 ? r : es_buf_putc(out, '"');
}

int es_quote_put(struct es_buf *out, const struct es_buf *value)
{
    if (value->len == 0)
        return 0;
    if (is_bare(value))
        return es_buf_append(out, value->data, value->len);
    if (has_any(value, "'\\\r"))
        return es_quote_put_double(out, value, "\"\\$`");
    return es_quote_put_single(out, value);
}

int es_quote_put_all(struct es_buf *out, const char *prefix, const struct es_value *root,
                     int (*put)(struct es_buf *out, const struct es_buf *value))
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < root->table.n; i++) {
        const struct es_entry *entry = &root->table.entries[i];

        r = es_buf_printf(out, "%s%s=", prefix, es_buf_str(&entry->key));
        if (r == 0)
            r = put(out, &entry->value.text);
        if (r == 0)
            r = es_buf_putc(out, '\n');
    }
    return r;
}

const char *es_quote_refuses(const char *name, const struct es_buf *value)
{
    if (value->len && memchr(value->data, '\0', value->len))
        return "has a NUL byte";
    if (!es_utf8_valid(es_buf_str(value), value->len))
        return "is not valid UTF-8";
    if (strlen(name) + 1 + value->len + 1 > ES_MAX_ENV_VARIABLE)
        return "is longer than one environment variable may be (128 KiB with its name)";
    return NULL;
}
