/* The writer of TOML, and the format itself (see envsync/format.h).
 *
 * Consumers are not only ours: some read TOML 0.5. So what is written is a subset that 0.5 and 1.0
 * read alike: lists of one type, date-times as strings, basic strings with every control character
 * escaped, no comments. Values come from our own readers, hence are shallow; their strings are not
 * trusted and are checked by accepts().
 */
#include "toml.h"

#include "envsync/format.h"
#include "envsync/key.h"
#include "envsync/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_bare(const struct es_buf *name)
{
    for (size_t i = 0; i < name->len; i++) {
        char c = name->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return name->len > 0;
}

static int put_char(struct es_buf *out, uint32_t c, const char *p, size_t n)
{
    static const char *const escapes[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
    };

    if (c < sizeof escapes / sizeof *escapes && escapes[c])
        return es_buf_puts(out, escapes[c]);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return es_buf_printf(out, "\\u%04X", c);
    return es_buf_append(out, p, n);
}

/* Bytes that are no UTF-8 never get here with accepts() asked first; if they do, they are written
 * as they are and the document does not read back. */
int es_toml_quote(struct es_buf *out, const char *text, size_t len)
{
    int r = es_buf_putc(out, '"');

    for (size_t at = 0, n; r == 0 && at < len; at += n) {
        const char *p = text + at;
        uint32_t c = UINT32_MAX;

        n = es_utf8_decode(p, len - at, &c);
        n += n == 0;
        r = put_char(out, c, p, n);
    }
    return r < 0 ? r : es_buf_putc(out, '"');
}

static int put_string(struct es_buf *out, const struct es_buf *text)
{
    return es_toml_quote(out, text->data, text->len);
}

static int put_name(struct es_buf *out, const struct es_buf *name)
{
    return is_bare(name) ? es_buf_append(out, name->data, name->len) : put_string(out, name);
}

static int put_value(struct es_buf *out, const struct es_value *value);

static int put_list(struct es_buf *out, const struct es_value *list)
{
    int r = es_buf_putc(out, '[');

    for (size_t i = 0; r == 0 && i < list->list.n; i++) {
        r = i ? es_buf_puts(out, ", ") : 0;
        if (r == 0)
            r = put_value(out, &list->list.items[i]);
    }
    return r < 0 ? r : es_buf_putc(out, ']');
}

static int put_pair(struct es_buf *out, const struct es_entry *entry)
{
    int r = put_name(out, &entry->key);

    if (r == 0)
        r = es_buf_puts(out, " = ");
    return r < 0 ? r : put_value(out, &entry->value);
}

static int put_inline(struct es_buf *out, const struct es_value *table)
{
    int r;

    if (table->table.n == 0)
        return es_buf_puts(out, "{}");
    r = es_buf_puts(out, "{ ");
    for (size_t i = 0; r == 0 && i < table->table.n; i++) {
        r = i ? es_buf_puts(out, ", ") : 0;
        if (r == 0)
            r = put_pair(out, &table->table.entries[i]);
    }
    return r < 0 ? r : es_buf_puts(out, " }");
}

static int put_value(struct es_buf *out, const struct es_value *value)
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
        return put_list(out, value);
    case ES_TABLE:
        break;
    }
    return put_inline(out, value);
}

/* [path], behind an empty line where it is not the first. The path is its names as they are
 * written. */
static int put_header(struct es_buf *out, const struct es_buf *path)
{
    int r = out->len ? es_buf_putc(out, '\n') : 0;

    if (r == 0)
        r = es_buf_putc(out, '[');
    if (r == 0)
        r = es_buf_append(out, path->data, path->len);
    return r < 0 ? r : es_buf_puts(out, "]\n");
}

/* What is no table comes first: behind a header it would belong to that. */
static int put_pairs(struct es_buf *out, const struct es_value *table, const struct es_buf *path)
{
    bool header = path->len > 0;
    int r = header && table->table.n == 0 ? put_header(out, path) : 0;

    for (size_t i = 0; r == 0 && i < table->table.n; i++) {
        if (table->table.entries[i].value.type == ES_TABLE)
            continue;
        if (header)
            r = put_header(out, path);
        header = false;
        if (r == 0)
            r = put_pair(out, &table->table.entries[i]);
        if (r == 0)
            r = es_buf_putc(out, '\n');
    }
    return r;
}

static int put_table(struct es_buf *out, const struct es_value *table, struct es_buf *path)
{
    size_t len = path->len;
    int r = put_pairs(out, table, path);

    for (size_t i = 0; r == 0 && i < table->table.n; i++) {
        const struct es_entry *entry = &table->table.entries[i];

        if (entry->value.type != ES_TABLE)
            continue;
        r = len ? es_buf_putc(path, '.') : 0;
        if (r == 0)
            r = put_name(path, &entry->key);
        if (r == 0)
            r = put_table(out, &entry->value, path);
        path->len = len;
    }
    return r;
}

static int write_toml(const struct es_value *root, struct es_buf *out)
{
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = put_table(&text, root, &path);

    return r < 0 ? r : es_buf_append(out, es_buf_str(&text), text.len);
}

/* A date-time is written as a string, so it goes with strings. */
static enum es_type written_type(const struct es_value *value)
{
    return value->type == ES_DATETIME ? ES_STRING : value->type;
}

static bool is_number(enum es_type type)
{
    return type == ES_INTEGER || type == ES_FLOAT;
}

static const char *refuse_mix(const struct es_value *list)
{
    enum es_type first;

    for (size_t i = 1; i < list->list.n; i++) {
        enum es_type type = written_type(&list->list.items[i]);

        first = written_type(&list->list.items[0]);
        if (type == first)
            continue;
        return is_number(type) && is_number(first)
                   ? "has integers and floats in one list, which readers of TOML 0.5 refuse; "
                     "write them all as floats (1.0)"
                   : "has values of different types in one list, which readers of TOML 0.5 refuse";
    }
    return NULL;
}

static const char *accepts(const char *name, const struct es_value *leaf)
{
    const char *why = NULL;

    (void)name;
    switch (leaf->type) {
    case ES_STRING:
    case ES_DATETIME:
        return es_utf8_valid(leaf->text.data, leaf->text.len) ? NULL : "is not valid UTF-8";
    case ES_LIST:
        why = refuse_mix(leaf);
        for (size_t i = 0; !why && i < leaf->list.n; i++)
            why = accepts(NULL, &leaf->list.items[i]);
        return why;
    case ES_TABLE:
        /* Names of tables within lists are nobody else's to check. */
        for (size_t i = 0; !why && i < leaf->table.n; i++) {
            const struct es_entry *entry = &leaf->table.entries[i];

            why = es_utf8_valid(entry->key.data, entry->key.len)
                      ? accepts(NULL, &entry->value)
                      : "has a key in a list that is not valid UTF-8";
        }
        return why;
    default:
        return NULL;
    }
}

const struct es_format es_format_toml = {
    .name = "toml",
    .extension = ".toml",
    .shape = ES_SHAPE_NESTED,
    .source = true,
    .read = toml_read,
    .accepts = accepts,
    .write = write_toml,
};
