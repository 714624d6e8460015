/* The format dotenv: for Ruby's dotenv 3, and where it can be for its relatives.
 *
 * In single quotes Ruby's dotenv takes everything literally, so they are used wherever they can be:
 * $(COMMAND) anywhere else is run. A quote before which a backslash stands may or may not close for
 * it, depending on the rest of the file, so neither kind of quotes is used for a value that ends in
 * a backslash; that one is written bare, with a backslash before all that is not harmless.
 *
 * The reader is a model of that parser for what is written here, stricter where the real one
 * depends on what follows; it is there for the proof by reading back. */
#include "envsync/format.h"

#include "quote.h"
#include "scan.h"

#include <string.h>

static bool has_char(const struct es_buf *value, char c)
{
    return value->len && memchr(value->data, c, value->len);
}

static bool ends_in_backslash(const struct es_buf *value)
{
    return value->len && value->data[value->len - 1] == '\\';
}

static bool fits_single(const struct es_buf *value)
{
    return !has_char(value, '\'') && !ends_in_backslash(value);
}

static int put_bare(struct es_buf *out, const struct es_buf *value)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < value->len; i++) {
        unsigned char c = (unsigned char)value->data[i];

        if (c < 0x80 && !es_quote_harmless(c))
            r = es_buf_putc(out, '\\');
        if (r == 0)
            r = es_buf_putc(out, (char)c);
    }
    return r;
}

static int put_value(struct es_buf *out, const struct es_buf *value)
{
    if (ends_in_backslash(value))
        return put_bare(out, value);
    return fits_single(value) ? es_quote_put_single(out, value)
                              : es_quote_put_double(out, value, "\"\\$");
}

/* Up to a quote that no backslash stands before: there the real parser has no choice. */
static int read_single(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    struct es_pos pos = es_scan_pos(scan);
    int c, before = 0, r = 0;

    es_scan_next(scan);
    while (r == 0 && (c = es_scan_next(scan)) != '\'') {
        if (c < 0)
            return es_scan_fail(pos, err, "a quote that is not closed");
        r = es_buf_putc(value, (char)c);
        before = c;
    }
    if (before == '\\')
        return es_scan_fail(pos, err, "a backslash before a quote");
    return r < 0 ? es_nomem(err) : 0;
}

/* A dollar sign that is not escaped starts a substitution, and one before a parenthesis may start a
 * command even where it is. */
static int read_escaped(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    struct es_pos pos = es_scan_pos(scan);
    int c = es_scan_next(scan), r;

    if (c == '\\')
        c = es_scan_next(scan);
    else if (c == '$')
        return es_scan_fail(pos, err, "a substitution");
    if (c < 0)
        return es_scan_fail(pos, err, "a backslash at the end");
    if (c == '$' && es_scan_peek(scan) == '(')
        return es_scan_fail(pos, err, "what dotenv may run as a command");
    r = es_buf_putc(value, (char)c);
    return r < 0 ? es_nomem(err) : 0;
}

static int read_double(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    struct es_pos pos = es_scan_pos(scan);

    es_scan_next(scan);
    while (es_scan_peek(scan) != '"') {
        bool escape = es_scan_peek(scan) == '\\';
        int r;

        if (es_scan_peek(scan) < 0)
            return es_scan_fail(pos, err, "a quote that is not closed");
        /* \n and \r mean what a variable of that file says; other letters lose the backslash. */
        if (escape && (scan->at + 1 >= scan->len || !strchr("\"\\$", scan->text[scan->at + 1])))
            return es_scan_fail(pos, err, "a backslash that escapes nothing");
        r = read_escaped(scan, value, err);
        if (r < 0)
            return r;
    }
    es_scan_next(scan);
    return ends_in_backslash(value) ? es_scan_fail(pos, err, "a backslash before a quote") : 0;
}

static int read_bare(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    while (es_scan_peek(scan) != '\n') {
        int c = es_scan_peek(scan), r;

        if (c < 0x80 && c != '\\' && (c < 0 || !es_quote_harmless((unsigned char)c)))
            return es_scan_fail(es_scan_pos(scan), err, "a character that has to be escaped");
        /* A comment or the end of the line is found before escapes are looked at. */
        if (c == '\\' && scan->at + 1 < scan->len && strchr("#\n", scan->text[scan->at + 1]))
            return es_scan_fail(es_scan_pos(scan), err, "a character that cannot be escaped");
        r = read_escaped(scan, value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_line(struct es_scan *scan, struct es_value *table, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf value = {0};
    struct es_pos pos = es_scan_pos(scan);
    const char *name = scan->text + scan->at;
    size_t name_len = 0;
    int c, r;

    while (name_len < scan->len - scan->at && name[name_len] != '=')
        name_len++;
    es_scan_to(scan, scan->at + name_len);
    if (!es_scan_skip(scan, "="))
        return es_scan_fail(pos, err, "not of the form NAME=VALUE");
    c = es_scan_peek(scan);
    if (c == '\'')
        r = read_single(scan, &value, err);
    else
        r = c == '"' ? read_double(scan, &value, err) : read_bare(scan, &value, err);
    if (r == 0 && !es_scan_skip(scan, "\n"))
        r = es_scan_fail(es_scan_pos(scan), err, "more after the value");
    return r < 0 ? r : es_scan_put(table, pos, name, name_len, &value, err);
}

static int read_dotenv(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE, .pos = {1, 1}};
    struct es_scan scan = {.text = text, .len = len};

    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || text[i] == '\r') {
            es_scan_to(&scan, i);
            return es_scan_fail(es_scan_pos(&scan), err, "a NUL byte or a carriage return");
        }
    while (scan.at < scan.len) {
        int r = read_line(&scan, &table, err);

        if (r < 0)
            return r;
    }
    es_value_move(ret, &table);
    return 0;
}

static const char *accepts_dotenv(const char *name, const struct es_value *leaf)
{
    const struct es_buf *value = &leaf->text;
    const char *why = es_quote_refuses(name, value);

    if (why)
        return why;
    if (has_char(value, '\r'))
        return "has a carriage return, which dotenv turns into a line feed";
    /* It would change how every double-quoted value after it is read. */
    if (strcmp(name, "DOTENV_LINEBREAK_MODE") == 0 && es_buf_is(value, "legacy"))
        return "would make dotenv read other values differently";
    if (fits_single(value))
        return NULL;
    if (strstr(es_buf_str(value), "$("))
        return "has '$(' and a single quote or a backslash at its end, so dotenv might run it";
    if (ends_in_backslash(value) && (has_char(value, '\n') || has_char(value, '#')))
        return "ends in a backslash and has a '#' or a line break, which dotenv has no quoting for";
    return NULL;
}

static int write_dotenv(const struct es_value *root, struct es_buf *out)
{
    return es_quote_put_all(out, "", root, put_value);
}

const struct es_format es_format_dotenv = {
    .name = "dotenv",
    .shape = ES_SHAPE_FLAT,
    .read = read_dotenv,
    .accepts = accepts_dotenv,
    .write = write_dotenv,
};
