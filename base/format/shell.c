/* The format shell: `export NAME=...` lines for a script that is dot-sourced.
 *
 * It is written like env, and carries control characters too: only quotes stand around them. The
 * reader is there to prove what was written: it understands nothing but words that every shell
 * takes literally, and refuses whatever a shell would expand, split or run. */
#include "envsync/format.h"

#include "quote.h"
#include "scan.h"

#include <string.h>

static int read_single(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    struct es_pos pos = es_scan_pos(scan);
    int c, r = 0;

    es_scan_next(scan);
    while (r == 0 && (c = es_scan_next(scan)) != '\'') {
        if (c <= 0)
            return es_scan_fail(pos, err, c < 0 ? "a quote that is not closed" : "a NUL byte");
        r = es_buf_putc(value, (char)c);
    }
    return r < 0 ? es_nomem(err) : 0;
}

static int read_double(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    struct es_pos pos = es_scan_pos(scan);
    int c, r = 0;

    es_scan_next(scan);
    while (r == 0 && (c = es_scan_next(scan)) != '"') {
        if (c == '$' || c == '`')
            return es_scan_fail(pos, err, "a shell would expand what is in these quotes");
        if (c == '\\') {
            c = es_scan_next(scan);
            if (c > 0 && !strchr("\"\\$`", c))
                return es_scan_fail(pos, err, "a backslash that escapes nothing");
        }
        if (c <= 0)
            return es_scan_fail(pos, err, c < 0 ? "a quote that is not closed" : "a NUL byte");
        r = es_buf_putc(value, (char)c);
    }
    return r < 0 ? es_nomem(err) : 0;
}

static int read_word(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    size_t from = scan->at;
    int c;

    while ((c = es_scan_peek(scan)) != '\n') {
        int r;

        if (c == '\'')
            r = read_single(scan, value, err);
        else if (c == '"')
            r = read_double(scan, value, err);
        else if (c >= 0 && es_quote_harmless((unsigned char)c) && !(c == '=' && scan->at == from))
            r = es_buf_putc(value, (char)es_scan_next(scan)) < 0 ? es_nomem(err) : 0;
        else
            return es_scan_fail(es_scan_pos(scan), err,
                                c < 0 ? "the last line has no end"
                                      : "a character that a shell may not take literally");
        if (r < 0)
            return r;
    }
    es_scan_next(scan);
    return 0;
}

static int read_shell(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE, .pos = {1, 1}};
    struct es_scan scan = {.text = text, .len = len};

    while (scan.at < scan.len) {
        ES_CLEANUP(es_buf_done) struct es_buf value = {0};
        struct es_pos pos = es_scan_pos(&scan);
        const char *name;
        size_t name_len = 0;
        int r;

        if (!es_scan_skip(&scan, "export "))
            return es_scan_fail(pos, err, "not of the form export NAME=VALUE");
        name = scan.text + scan.at;
        while (name_len < scan.len - scan.at && name[name_len] != '=')
            name_len++;
        es_scan_to(&scan, scan.at + name_len);
        if (!es_scan_skip(&scan, "="))
            return es_scan_fail(pos, err, "not of the form export NAME=VALUE");
        r = read_word(&scan, &value, err);
        if (r == 0)
            r = es_scan_put(&table, pos, name, name_len, &value, err);
        if (r < 0)
            return r;
    }
    es_value_move(ret, &table);
    return 0;
}

static const char *accepts_shell(const char *name, const struct es_value *leaf)
{
    return es_quote_refuses(name, &leaf->text);
}

static int write_shell(const struct es_value *root, struct es_buf *out)
{
    return es_quote_put_all(out, "export ", root, es_quote_put);
}

const struct es_format es_format_shell = {
    .name = "shell",
    .shape = ES_SHAPE_FLAT,
    .read = read_shell,
    .accepts = accepts_shell,
    .write = write_shell,
};
