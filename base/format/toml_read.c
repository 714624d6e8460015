/* The structure of a TOML document: tables, keys, lists (see toml.h and envsync/format.h).
 *
 * TOML 1.0.0. The text is untrusted. Recursion goes one level per nested list or inline table and
 * is bounded by ES_MAX_DEPTH like every path of keys.
 */
#include "toml.h"

#include "envsync/key.h"
#include "envsync/limits.h"

#include <string.h>

static int parse_value(struct toml *t, struct es_value *value, unsigned depth);

static int too_deep(struct toml *t, struct es_pos pos)
{
    return toml_fail(t, pos, "nested deeper than %d", ES_MAX_DEPTH);
}

/* Appends a name to the path for messages. Names in it hold no NUL: U+2400 stands for one. */
static int push_path(struct toml *t, const struct es_buf *name)
{
    int r = 0;

    for (size_t at = 0, n; r == 0 && at < name->len; at += n) {
        n = strnlen(name->data + at, name->len - at);
        r = n ? es_buf_append(&t->path, name->data + at, n) : es_buf_puts(&t->path, "\u2400");
        n += n == 0;
    }
    if (r == 0)
        r = es_buf_putc(&t->path, '\0');
    return r < 0 ? es_nomem(t->err) : 0;
}

static void cut_path(struct toml *t, size_t len)
{
    t->path.len = len;
    if (t->path.data)
        t->path.data[len] = '\0';
}

/* One name of a path, with the blanks around it. */
static int parse_name(struct toml *t, unsigned *depth, struct es_buf *name, struct es_pos *pos)
{
    int r;

    toml_skip_blank(t);
    *pos = toml_pos(t);
    r = toml_scan_name(t, name);
    if (r < 0)
        return r;
    if (++*depth > ES_MAX_DEPTH)
        return too_deep(t, *pos);
    toml_skip_blank(t);
    return push_path(t, name);
}

/* All names of a path but the last, which is left in name with the table it belongs into. */
static int parse_path(struct toml *t, struct es_value **table, unsigned *depth, bool header,
                      struct es_buf *name, struct es_pos *pos)
{
    for (;;) {
        int r = parse_name(t, depth, name, pos);

        if (r < 0 || toml_peek(t) != '.')
            return r;
        t->at++;
        r = toml_enter(t, table, depth, name, *pos, header);
        if (r < 0)
            return r;
    }
}

static int expect_equals(struct toml *t)
{
    int c = toml_peek(t);

    if (c == ':')
        return toml_fail(t, toml_pos(t), "write = between key and value, not a colon");
    if (c != '=')
        return toml_fail(t, toml_pos(t),
                         toml_at_line_end(t)
                             ? "no = behind the key; a line is KEY = VALUE"
                             : "no = behind the key; a key of other characters than A-Z a-z 0-9 _ "
                               "- must stand in quotes");
    t->at++;
    if (toml_peek(t) == '=')
        return toml_fail(t, toml_pos(t), "write a single = between key and value");
    return 0;
}

/* KEY = VALUE, in a document or in braces. */
static int parse_pair(struct toml *t, struct es_value *table, unsigned depth)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};
    size_t path = t->path.len;
    struct es_value *value = NULL;
    struct es_pos pos;
    int r = parse_path(t, &table, &depth, false, &name, &pos);

    if (r == 0)
        r = toml_add_key(t, table, &name, pos, &value);
    if (r == 0)
        r = expect_equals(t);
    if (r != 0)
        return r;
    toml_skip_blank(t);
    if (toml_at_line_end(t))
        return toml_fail(t, toml_pos(t),
                         "no value behind the =; it must begin in the same line, and an empty "
                         "string is \"\"");
    r = parse_value(t, value, depth);
    cut_path(t, path);
    return r;
}

static int parse_list(struct toml *t, struct es_value *list, unsigned depth)
{
    struct es_pos start = toml_pos(t);
    bool may_have_item = true;

    es_value_set_list(list);
    for (t->at++;;) {
        struct es_value *item;
        int r;
        int c;

        toml_skip_lines(t);
        c = toml_peek(t);
        if (c == ']') {
            t->at++;
            return 0;
        }
        if (c < 0)
            return toml_fail(t, start, "the list is not closed: ] is missing at its end");
        if ((c == ',') == may_have_item)
            return toml_fail(t, toml_pos(t),
                             c == ',' ? "no value before the comma; remove the comma"
                                      : "no comma between two values of the list that begins in "
                                        "line %u, or no ] at its end",
                             start.line);
        may_have_item = c == ',';
        if (c == ',') {
            t->at++;
            continue;
        }
        if (es_list_add(list, &item) < 0)
            return es_nomem(t->err);
        r = parse_value(t, item, depth + 1);
        if (r < 0)
            return r;
    }
}

/* Behind a pair in braces: the end of the table, or a comma and another pair. */
static int parse_brace_or_comma(struct toml *t, bool *ret_closed)
{
    int c;

    toml_skip_blank(t);
    c = toml_peek(t);
    if (toml_at_line_end(t))
        return toml_fail(t, toml_pos(t),
                         "a table in braces must end in its line; close it with }, or write it "
                         "below a [header]");
    if (c != ',' && c != '}')
        return toml_fail(t, toml_pos(t), "neither , nor } behind the value; text needs quotes");
    t->at++;
    *ret_closed = c == '}';
    if (c == '}')
        return 0;
    toml_skip_blank(t);
    if (toml_peek(t) == '}')
        return toml_fail(t, toml_pos(t), "no comma may stand before the }");
    if (toml_at_line_end(t))
        return toml_fail(t, toml_pos(t),
                         "a table in braces must end in its line; put it into one line, or write "
                         "it below a [header]");
    return 0;
}

static int parse_inline(struct toml *t, struct es_value *table, unsigned depth)
{
    bool closed = false;

    es_value_set_table(table);
    table->mark = TOML_INLINE;
    t->at++;
    toml_skip_blank(t);
    if (toml_peek(t) == '}') {
        t->at++;
        return 0;
    }
    if (toml_at_line_end(t))
        return toml_fail(t, toml_pos(t),
                         "a table in braces must end in its line; put it into one line, or write "
                         "it below a [header]");
    while (!closed) {
        int r = parse_pair(t, table, depth);

        if (r == 0)
            r = parse_brace_or_comma(t, &closed);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Into a value that is empty, at its first byte. */
static int parse_value(struct toml *t, struct es_value *value, unsigned depth)
{
    value->pos = toml_pos(t);
    if (depth > ES_MAX_DEPTH)
        return too_deep(t, value->pos);
    switch (toml_peek(t)) {
    case '[':
        return parse_list(t, value, depth);
    case '{':
        return parse_inline(t, value, depth);
    case '"':
    case '\'':
        return toml_scan_string(t, &value->text);
    default:
        return toml_scan_scalar(t, value);
    }
}

/* A header, at its bracket: the table that the next pairs go into, and its depth. */
static int parse_header(struct toml *t, struct es_value *root, struct es_value **ret,
                        unsigned *ret_depth)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};
    struct es_value *in = root;
    struct es_pos pos;
    unsigned depth = 0;
    bool list;
    int r;

    cut_path(t, 0);
    t->at++;
    list = toml_peek(t) == '[';
    t->at += list;
    r = parse_path(t, &in, &depth, true, &name, &pos);
    if (r < 0)
        return r;
    if (t->end - t->at < 1 + list || t->at[0] != ']' || (list && t->at[1] != ']'))
        return toml_fail(t, toml_pos(t),
                         "the header is not closed here: %s is missing, or quotes around the name",
                         list ? "]]" : "]");
    t->at += 1 + list;
    if (list && ++depth > ES_MAX_DEPTH)
        return too_deep(t, pos);
    *ret_depth = depth;
    return list ? toml_add_item(t, in, &name, pos, ret) : toml_add_table(t, in, &name, pos, ret);
}

static int parse_document(struct toml *t, struct es_value *root)
{
    struct es_value *table = root;
    unsigned depth = 0;

    for (;;) {
        bool header;
        int r;

        toml_skip_lines(t);
        if (toml_peek(t) < 0)
            return 0;
        header = toml_peek(t) == '[';
        r = header ? parse_header(t, root, &table, &depth) : parse_pair(t, table, depth);
        if (r < 0)
            return r;
        toml_skip_blank(t);
        if (!toml_at_line_end(t))
            return toml_fail(t, toml_pos(t),
                             header ? "only a comment may follow a header in its line"
                                    : "only a comment may follow a value in its line; text needs "
                                      "quotes around all of it, a quote within is written \\\"");
    }
}

int toml_read(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(toml_done) struct toml t = {0};
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    int r = toml_start(&t, text, len, err);

    if (r < 0)
        return r;
    root.pos = toml_pos(&t);
    es_value_set_table(&root);
    root.mark = TOML_HEADER;
    r = parse_document(&t, &root);
    if (r == 0)
        es_value_move(ret, &root);
    return r;
}
