/* For tests: reads TOML from stdin and prints the tagged JSON of the toml-test suite, or, with
 * --write, the TOML that envsync would write for it.
 *
 * Exit 0; 1 where the document is refused (why on stderr); 2 where the writer refuses a value;
 * 3 for anything else. Date-times are printed as they were written.
 */
#include "envsync/format.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REFUSED = 1, NOT_ACCEPTED = 2, BROKEN = 3 };

static int put_json_string(struct es_buf *out, const struct es_buf *text)
{
    int r = es_buf_putc(out, '"');

    for (size_t i = 0; r == 0 && i < text->len; i++) {
        unsigned char c = (unsigned char)text->data[i];

        if (c < 0x20 || c == '"' || c == '\\')
            r = es_buf_printf(out, "\\u%04x", c);
        else
            r = es_buf_putc(out, (char)c);
    }
    return r < 0 ? r : es_buf_putc(out, '"');
}

static const char *datetime_tag(const struct es_buf *text)
{
    const char *s = es_buf_str(text);

    if (text->len > 2 && s[2] == ':')
        return "time-local";
    if (text->len == 10)
        return "date-local";
    return strpbrk(s + 11, "Zz+-") ? "datetime" : "datetime-local";
}

static int put_leaf(struct es_buf *out, const struct es_value *value)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const char *tag = "string";
    int r = 0;

    switch (value->type) {
    case ES_INTEGER:
        tag = "integer";
        r = es_integer_format(&text, value->integer);
        break;
    case ES_FLOAT:
        tag = "float";
        r = es_float_format(&text, value->number);
        break;
    case ES_BOOLEAN:
        tag = "bool";
        r = es_buf_puts(&text, value->boolean ? "true" : "false");
        break;
    case ES_DATETIME:
        tag = datetime_tag(&value->text);
        r = es_buf_append(&text, value->text.data, value->text.len);
        break;
    default:
        r = es_buf_append(&text, es_buf_str(&value->text), value->text.len);
        break;
    }
    if (r == 0)
        r = es_buf_printf(out, "{\"type\": \"%s\", \"value\": ", tag);
    if (r == 0)
        r = put_json_string(out, &text);
    return r < 0 ? r : es_buf_putc(out, '}');
}

static int put_tagged(struct es_buf *out, const struct es_value *value)
{
    bool table = value->type == ES_TABLE;
    size_t n = table ? value->table.n : value->list.n;
    int r;

    if (!table && value->type != ES_LIST)
        return put_leaf(out, value);
    r = es_buf_putc(out, table ? '{' : '[');
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = i ? es_buf_puts(out, ", ") : 0;
        if (r == 0 && table)
            r = put_json_string(out, &value->table.entries[i].key);
        if (r == 0 && table)
            r = es_buf_puts(out, ": ");
        if (r == 0)
            r = put_tagged(out, table ? &value->table.entries[i].value : &value->list.items[i]);
    }
    return r < 0 ? r : es_buf_putc(out, table ? '}' : ']');
}

/* NULL where the format takes every leaf. */
static const char *refused_leaf(const struct es_value *value)
{
    const char *why = NULL;

    if (value->type != ES_TABLE)
        return es_format_toml.accepts(NULL, value);
    for (size_t i = 0; !why && i < value->table.n; i++)
        why = refused_leaf(&value->table.entries[i].value);
    return why;
}

static int render(struct es_value *root, struct es_buf *out)
{
    const char *why = refused_leaf(root);
    struct es_err err;

    if (why) {
        fprintf(stderr, "a value %s\n", why);
        return NOT_ACCEPTED;
    }
    es_table_sort(root);
    if (es_format_render(&es_format_toml, root, out, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return BROKEN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    struct es_err err;
    int r = 0;

    if (es_buf_read_fd(&text, STDIN_FILENO, 16 << 20) < 0)
        return BROKEN;
    if (es_format_toml.read(es_buf_str(&text), text.len, &root, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return err.class == ES_INVALID ? REFUSED : BROKEN;
    }
    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        r = render(&root, &out);
    else if (put_tagged(&out, &root) < 0)
        r = BROKEN;
    if (r == 0 && fwrite(es_buf_str(&out), 1, out.len, stdout) != out.len)
        r = BROKEN;
    return fflush(stdout) == 0 ? r : BROKEN;
}
