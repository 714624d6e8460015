/* The format env: what systemd reads as EnvironmentFile=.
 *
 * The reader is systemd's grammar state by state, so that a file means here what it means there;
 * but where systemd would drop a line, or its versions differ on one, the document is refused: a
 * configuration that silently lacks a variable is worse than none. Input is untrusted. The writer
 * uses only what every systemd and every POSIX shell read alike. */
#include "envsync/format.h"
#include "envsync/utf8.h"

#include "quote.h"
#include "scan.h"

#include <string.h>

static bool is_newline(int c)
{
    return c == '\n' || c == '\r';
}

static bool is_space(int c)
{
    return is_newline(c) || c == ' ' || c == '\t';
}

/* systemd rejects the whole file for one of these, also in a comment. */
static int check_characters(const struct es_scan *whole, struct es_err *err)
{
    struct es_scan scan = *whole;

    if (es_scan_skip(&scan, "\xef\xbb\xbf"))
        return es_scan_fail((struct es_pos){1, 1}, err,
                            "the file begins with a byte order mark: save it without one");
    while (scan.at < scan.len) {
        uint32_t c = 0;
        size_t n = es_utf8_decode(scan.text + scan.at, scan.len - scan.at, &c);

        if (n == 0)
            return es_scan_fail(es_scan_pos(&scan), err, "not valid UTF-8");
        if (c == 0)
            return es_scan_fail(es_scan_pos(&scan), err, "a NUL byte");
        if (es_utf8_nonchar(c))
            return es_scan_fail(es_scan_pos(&scan), err, "a Unicode noncharacter");
        es_scan_to(&scan, scan.at + n);
    }
    return 0;
}

/* A comment up to the end of its line. Up to version 253 systemd takes a backslash at the end of it
 * as a continuation, since 254 it does not: that is accepted only where it makes no difference,
 * before another comment or an empty line. */
static int read_comment(struct es_scan *scan, struct es_err *err)
{
    for (;;) {
        int c = es_scan_next(scan);

        if (c < 0 || is_newline(c))
            return 0;
        if (c != '\\' || !is_newline(es_scan_next(scan)))
            continue;
        while (is_space(es_scan_peek(scan)))
            if (is_newline(es_scan_next(scan)))
                return 0;
        c = es_scan_peek(scan);
        if (c >= 0 && c != '#' && c != ';')
            return es_scan_fail(es_scan_pos(scan), err,
                                "the comment before this line ends with a backslash, so some "
                                "versions of systemd drop this line: remove the backslash");
    }
}

static bool is_export(const char *key, size_t len)
{
    return len > 7 && memcmp(key, "export", 6) == 0 && (key[6] == ' ' || key[6] == '\t');
}

/* The key up to and with its '='; trailing blanks are not part of it. */
static int read_key(struct es_scan *scan, const char **ret_key, size_t *ret_len, struct es_err *err)
{
    struct es_pos pos = es_scan_pos(scan);
    const char *key = scan->text + scan->at;
    size_t len = 0;
    int c;

    while ((c = es_scan_next(scan)) >= 0 && !is_newline(c) && c != '=')
        len++;
    while (len > 0 && is_space((unsigned char)key[len - 1]))
        len--;
    if (is_export(key, len))
        return es_scan_fail(pos, err, "systemd does not know 'export': remove it");
    if (c != '=')
        return es_scan_fail(pos, err, "a line without '=', which systemd would drop");
    *ret_key = key;
    *ret_len = len;
    return 0;
}

/* Behind an opening quote, up to and with the closing one. Single quotes keep everything; in double
 * quotes a backslash escapes four characters and joins lines, before any other it stays. */
static int read_quoted(struct es_scan *scan, int quote, struct es_pos pos, struct es_buf *value,
                       struct es_err *err)
{
    int c, r = 0;

    while (r == 0 && (c = es_scan_next(scan)) != quote) {
        if (quote == '"' && c == '\\') {
            c = es_scan_next(scan);
            if (c == '\n')
                continue;
            if (c >= 0 && !strchr("\"\\$`", c))
                r = es_buf_putc(value, '\\');
        }
        if (c < 0)
            return es_scan_fail(pos, err, "a quote that is not closed");
        if (r == 0)
            r = es_buf_putc(value, (char)c);
    }
    return r < 0 ? es_nomem(err) : 0;
}

/* An unquoted rest up to the end of the line: a backslash keeps the next character as it is, or
 * takes away a line break, and either way what stands before it is not trimmed any more. */
static int read_bare(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    size_t keep = value->len; /* trimming never goes below */
    int c, r = 0;

    while (r == 0 && (c = es_scan_next(scan)) >= 0 && !is_newline(c)) {
        bool escaped = c == '\\';

        if (escaped) {
            keep = value->len;
            c = es_scan_next(scan);
            if (c < 0 || is_newline(c))
                continue;
        }
        r = es_buf_putc(value, (char)c);
        if (escaped || !is_space(c))
            keep = value->len;
    }
    if (r < 0)
        return es_nomem(err);
    if (value->data) {
        value->len = keep;
        value->data[keep] = '\0';
    }
    return 0;
}

/* Any number of quoted pieces with blanks between them, then perhaps an unquoted rest. */
static int read_value(struct es_scan *scan, struct es_buf *value, struct es_err *err)
{
    for (;;) {
        struct es_pos pos = es_scan_pos(scan);
        int c = es_scan_peek(scan), r = 0;

        if (c == '\'' || c == '"') {
            es_scan_next(scan);
            r = read_quoted(scan, c, pos, value, err);
        } else if (c >= 0 && !is_space(c)) {
            return read_bare(scan, value, err);
        } else if (c < 0 || is_newline(es_scan_next(scan))) {
            return 0;
        }
        if (r < 0)
            return r;
    }
}

static int read_env(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE, .pos = {1, 1}};
    struct es_scan scan = {.text = text, .len = len};
    int r = check_characters(&scan, err);

    while (r == 0 && scan.at < scan.len) {
        ES_CLEANUP(es_buf_done) struct es_buf value = {0};
        struct es_pos pos = es_scan_pos(&scan);
        int c = es_scan_peek(&scan);
        const char *key = NULL;
        size_t key_len = 0;

        if (is_space(c)) {
            es_scan_next(&scan);
            continue;
        }
        if (c == '#' || c == ';') {
            r = read_comment(&scan, err);
            continue;
        }
        r = read_key(&scan, &key, &key_len, err);
        if (r == 0)
            r = read_value(&scan, &value, err);
        if (r == 0)
            r = es_scan_put(&table, pos, key, key_len, &value, err);
    }
    if (r < 0)
        return r;
    es_value_move(ret, &table);
    return 0;
}

static const char *accepts_env(const char *name, const struct es_value *leaf)
{
    const char *why = es_quote_refuses(name, &leaf->text);

    for (size_t at = 0; !why && at < leaf->text.len;) {
        uint32_t c = 0;

        at += es_utf8_decode(leaf->text.data + at, leaf->text.len - at, &c);
        if (c == '\r')
            why = "has a carriage return, which not every reader of env files keeps";
        else if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
            why = "has a control character";
        else if (es_utf8_nonchar(c))
            why = "has a Unicode noncharacter, for which systemd rejects the whole file";
    }
    return why;
}

static int write_env(const struct es_value *root, struct es_buf *out)
{
    return es_quote_put_all(out, "", root, es_quote_put);
}

const struct es_format es_format_env = {
    .name = "env",
    .extension = ".env",
    .shape = ES_SHAPE_FLAT,
    .source = true,
    .read = read_env,
    .accepts = accepts_env,
    .write = write_env,
};
