/* Tokens of TOML: bytes, blanks, names and strings (see toml.h).
 *
 * The text is untrusted. It is walked once from left to right, and a string is copied in runs, so
 * the time is linear in its size whatever it holds.
 */
#include "toml.h"

#include "envsync/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int toml_fail(struct toml *t, struct es_pos pos, const char *fmt, ...)
{
    char text[ES_ERR_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return es_fail(t->err, ES_INVALID, EINVAL, "%u:%u: %s", pos.line, pos.column, text);
}

struct es_pos toml_pos(const struct toml *t)
{
    return (struct es_pos){.line = t->line, .column = (uint32_t)(t->at - t->line_start) + 1};
}

int toml_peek(const struct toml *t)
{
    return t->at < t->end ? (unsigned char)*t->at : -1;
}

static void new_line(struct toml *t)
{
    t->line++;
    t->line_start = t->at;
}

/* The one byte or character at the place, where it may not stand anywhere in a document. */
static int check_char(struct toml *t, size_t *ret_len)
{
    unsigned char c = (unsigned char)*t->at;
    uint32_t code;

    *ret_len = 1;
    if (c >= 0x80) {
        *ret_len = es_utf8_decode(t->at, (size_t)(t->end - t->at), &code);
        return *ret_len ? 0 : toml_fail(t, toml_pos(t), "not valid UTF-8; save the file as UTF-8");
    }
    if (c == '\r' && (t->end - t->at < 2 || t->at[1] != '\n'))
        return toml_fail(t, toml_pos(t),
                         "a carriage return without a line feed; end lines with a line feed, and "
                         "write \\r in a string");
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
        return toml_fail(t, toml_pos(t),
                         "a control character; remove it, or write \\u and four hex digits in a "
                         "string in double quotes");
    return 0;
}

int toml_start(struct toml *t, const char *text, size_t len, struct es_err *err)
{
    *t = (struct toml){.at = text, .end = text + len, .line = 1, .err = err};
    t->line_start = t->at;
    if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return toml_fail(t, toml_pos(t), "this is UTF-16; save the file as UTF-8");
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    t->at = t->line_start = text;
    while (t->at < t->end) {
        size_t n;
        int r = check_char(t, &n);

        if (r < 0)
            return r;
        t->at += n;
        if (t->at[-1] == '\n')
            new_line(t);
    }
    t->at = t->line_start = text;
    t->line = 1;
    return 0;
}

void toml_done(struct toml *t)
{
    es_buf_done(&t->path);
}

void toml_skip_blank(struct toml *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t'))
        t->at++;
}

/* Steps over a line end; a carriage return never stands without its line feed. */
static bool skip_newline(struct toml *t)
{
    int c = toml_peek(t);

    if (c != '\n' && c != '\r')
        return false;
    t->at += c == '\r' ? 2 : 1;
    new_line(t);
    return true;
}

void toml_skip_lines(struct toml *t)
{
    do {
        toml_skip_blank(t);
        if (toml_peek(t) == '#') {
            const char *lf = memchr(t->at, '\n', (size_t)(t->end - t->at));

            t->at = lf ? lf : t->end;
        }
    } while (skip_newline(t));
}

bool toml_at_line_end(const struct toml *t)
{
    int c = toml_peek(t);

    return c < 0 || c == '\n' || c == '\r' || c == '#';
}

static bool is_bare(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static int take(struct toml *t, size_t n, struct es_buf *out)
{
    if (es_buf_append(out, t->at, n) < 0)
        return es_nomem(t->err);
    t->at += n;
    return 0;
}

/* \uXXXX and \UXXXXXXXX, behind the letter. */
static int scan_code(struct toml *t, struct es_pos start, int digits, struct es_buf *out)
{
    uint32_t code = 0;
    char utf8[4];
    size_t n;

    for (int i = 0; i < digits; i++) {
        int c = toml_peek(t);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return toml_fail(t, start, "\\%c needs %d hex digits", digits == 4 ? 'u' : 'U', digits);
        code = code << 4 | (uint32_t)digit;
        t->at++;
    }
    n = es_utf8_encode(code, utf8);
    if (n == 0)
        return toml_fail(t, start,
                         "there is no character with this number; \\u and \\U take "
                         "Unicode characters, and no surrogates");
    return es_buf_append(out, utf8, n) < 0 ? es_nomem(t->err) : 0;
}

/* A backslash at the end of a line joins it with the next text. False where it is none. */
static bool skip_joined_lines(struct toml *t)
{
    const char *before = t->at;

    toml_skip_blank(t);
    if (toml_peek(t) != '\n' && toml_peek(t) != '\r') {
        t->at = before;
        return false;
    }
    while (skip_newline(t))
        toml_skip_blank(t);
    return true;
}

static int scan_escape(struct toml *t, bool lines, struct es_buf *out)
{
    static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
    struct es_pos start = toml_pos(t);
    const char *letter;
    int c;

    t->at++;
    if (lines && skip_joined_lines(t))
        return 0;
    c = toml_peek(t);
    letter = c > 0 ? strchr(letters, c) : NULL;
    if (letter) {
        t->at++;
        return es_buf_putc(out, bytes[letter - letters]) < 0 ? es_nomem(t->err) : 0;
    }
    if (c != 'u' && c != 'U')
        return toml_fail(t, start,
                         "no such escape; write \\\\ for a backslash, or put the string in single "
                         "quotes");
    t->at++;
    return scan_code(t, start, c == 'u' ? 4 : 8, out);
}

/* Bytes up to what means something in this string: its quote, a backslash, a line end. */
static size_t plain_run(const struct toml *t, char quote)
{
    const char *p = t->at;

    while (p < t->end && *p != quote && *p != '\n' && *p != '\r' && !(quote == '"' && *p == '\\'))
        p++;
    return (size_t)(p - t->at);
}

/* A string that ends in its own line, at its opening quote. */
static int scan_line_string(struct toml *t, struct es_buf *out)
{
    struct es_pos start = toml_pos(t);
    char quote = *t->at++;

    for (;;) {
        int r = take(t, plain_run(t, quote), out);
        int c = toml_peek(t);

        if (r < 0)
            return r;
        if (c == quote) {
            t->at++;
            return 0;
        }
        if (c != '\\')
            return toml_fail(t, start,
                             "the string is not closed: %c is missing at its end (a string of "
                             "several lines stands in three quotes)",
                             quote);
        r = scan_escape(t, false, out);
        if (r < 0)
            return r;
    }
}

/* Up to two quotes may stand right before the three that close the string. */
static int scan_quotes(struct toml *t, char quote, struct es_buf *out, bool *ret_closed)
{
    size_t n = 0;
    int r;

    while (n < 5 && t->at + n < t->end && t->at[n] == quote)
        n++;
    *ret_closed = n >= 3;
    r = take(t, n >= 3 ? n - 3 : n, out);
    if (r == 0 && n >= 3)
        t->at += 3;
    return r;
}

static int scan_lines_string(struct toml *t, struct es_buf *out)
{
    struct es_pos start = toml_pos(t);
    char quote = *t->at;
    bool closed = false;
    int r = 0;

    t->at += 3;
    skip_newline(t);
    while (r == 0 && !closed) {
        int c;

        r = take(t, plain_run(t, quote), out);
        if (r < 0)
            return r;
        c = toml_peek(t);
        if (c < 0)
            return toml_fail(t, start, "the string is not closed: %c%c%c is missing at its end",
                             quote, quote, quote);
        if (c == quote) {
            r = scan_quotes(t, quote, out, &closed);
        } else if (c == '\\') {
            r = scan_escape(t, true, out);
        } else {
            r = take(t, c == '\r' ? 2 : 1, out);
            new_line(t);
        }
    }
    return r;
}

static bool at_three_quotes(const struct toml *t)
{
    return t->end - t->at >= 3 && t->at[1] == t->at[0] && t->at[2] == t->at[0];
}

int toml_scan_string(struct toml *t, struct es_buf *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = at_three_quotes(t) ? scan_lines_string(t, &text) : scan_line_string(t, &text);

    if (r == 0)
        es_buf_move(ret, &text);
    return r;
}

int toml_scan_name(struct toml *t, struct es_buf *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};
    int c = toml_peek(t);
    size_t n = 0;
    int r;

    if (c == '"' || c == '\'') {
        if (at_three_quotes(t))
            return toml_fail(t, toml_pos(t), "a key stands in one quote at each end, not in three");
        r = scan_line_string(t, &name);
    } else {
        while (t->at + n < t->end && is_bare((unsigned char)t->at[n]))
            n++;
        if (n == 0 && (c < 0 || c == '\n' || c == '\r' || c == '=' || c == '.' || c == ']'))
            return toml_fail(t, toml_pos(t),
                             "a key is missing here (an empty one is written \"\")");
        if (n == 0)
            return toml_fail(t, toml_pos(t),
                             "no key can start here; a key of other characters than A-Z a-z 0-9 _ "
                             "- must stand in quotes");
        r = take(t, n, &name);
    }
    if (r == 0)
        es_buf_move(ret, &name);
    return r;
}
