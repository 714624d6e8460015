/* See unit.h. Words as systemd splits them in Exec lines, environments and lists: quotes anywhere
 * in a word, C escapes inside and outside of both kinds of quotes, an escape that is none kept as
 * it stands. And specifiers. The text may be anybody's. */
#include "envsync/utf8.h"
#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXPANDED = 1 << 20 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `n` digits of a base that is a power of two; false where one is missing or the whole is NUL. */
static bool read_digits(const char *p, unsigned n, unsigned bits, uint32_t *ret)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < n; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0 || digit >= 1 << bits)
            return false;
        value = value << bits | (uint32_t)digit;
    }
    *ret = value;
    return value != 0;
}

/* What stands behind a backslash: appends what it means and returns how many bytes it took; 0 where
 * it is no escape; -ENOMEM. */
static int unescape(const char *p, struct es_buf *out)
{
    static const char from[] = "abfnrtv\\\"'s", to[] = "\a\b\f\n\r\t\v\\\"' ";
    const char *simple = *p ? strchr(from, *p) : NULL;
    uint32_t c = 0;
    char bytes[4];
    size_t len;

    if (simple)
        return es_buf_putc(out, to[simple - from]) < 0 ? -ENOMEM : 1;
    if (*p == 'x' && read_digits(p + 1, 2, 4, &c))
        return es_buf_putc(out, (char)c) < 0 ? -ENOMEM : 3;
    if (read_digits(p, 3, 3, &c) && c < 256)
        return es_buf_putc(out, (char)c) < 0 ? -ENOMEM : 3;
    if (!(*p == 'u' && read_digits(p + 1, 4, 4, &c)) &&
        !(*p == 'U' && read_digits(p + 1, 8, 4, &c)))
        return 0;
    len = es_utf8_encode(c, bytes);
    if (len == 0)
        return 0;
    return es_buf_append(out, bytes, len) < 0 ? -ENOMEM : *p == 'u' ? 5 : 9;
}

/* `p` stands behind a backslash. Returns how many bytes were taken, or -ENOMEM. */
static int take_escape(const char *p, struct es_buf *out)
{
    int n = unescape(p, out);

    if (n != 0)
        return n;
    if (es_buf_putc(out, '\\') < 0 || (*p && es_buf_putc(out, *p) < 0))
        return -ENOMEM;
    return *p ? 1 : 0;
}

int es_unit_word(const char **p, struct es_buf *ret)
{
    const char *at = *p + strspn(*p, ES_UNIT_BLANKS);
    char quote = '\0';

    es_buf_clear(ret);
    if (*at == '\0') {
        *p = at;
        return 0;
    }
    for (; *at && (quote || !strchr(ES_UNIT_BLANKS, *at)); at++) {
        if (*at == '\\') {
            int n = take_escape(at + 1, ret);

            if (n < 0)
                return n;
            at += n;
        } else if (*at == quote) {
            quote = '\0';
        } else if (!quote && (*at == '"' || *at == '\'')) {
            quote = *at;
        } else if (es_buf_putc(ret, *at) < 0) {
            return -ENOMEM;
        }
    }
    *p = at + strspn(at, ES_UNIT_BLANKS);
    return quote ? -EINVAL : 1;
}

size_t es_unit_prefix_length(const char *name)
{
    const char *end = strchr(name, '@');

    if (!end)
        end = strrchr(name, '.');
    return end ? (size_t)(end - name) : strlen(name);
}

int es_unit_template(const char *name, char **ret)
{
    const char *at = strchr(name, '@'), *dot = strrchr(name, '.');
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    *ret = NULL;
    if (!at || !dot || dot <= at + 1)
        return 0;
    if (es_buf_append(&text, name, (size_t)(at + 1 - name)) < 0 || es_buf_puts(&text, dot) < 0)
        return -ENOMEM;
    *ret = strdup(es_buf_str(&text));
    return *ret ? 0 : -ENOMEM;
}

/* "-" stands for "/", "\x2d" for a character. */
static int append_unescaped(struct es_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint32_t c = 0;
        int r;

        if (text[i] == '\\' && len - i >= 4 && text[i + 1] == 'x' &&
            read_digits(text + i + 2, 2, 4, &c)) {
            r = es_buf_putc(out, (char)c);
            i += 3;
        } else {
            r = es_buf_putc(out, text[i] == '-' ? '/' : text[i]);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

struct piece {
    const char *text;
    size_t len;
};

/* What a specifier stands for, of those that are parts of the name: text is NULL for all others. */
static struct piece name_piece(const struct es_unit *unit, char specifier)
{
    const char *name = unit->name, *dot = strrchr(name, '.'), *dash;
    const char *instance = unit->instance ? unit->instance : "";
    struct piece prefix = {name, es_unit_prefix_length(name)};

    switch (specifier) {
    case 'n':
        return (struct piece){name, strlen(name)};
    case 'N':
        return (struct piece){name, dot ? (size_t)(dot - name) : strlen(name)};
    case 'i':
    case 'I':
        return (struct piece){instance, strlen(instance)};
    case 'f':
        return unit->instance ? (struct piece){instance, strlen(instance)} : prefix;
    case 'p':
    case 'P':
        return prefix;
    case 'j':
    case 'J':
        dash = memrchr(prefix.text, '-', prefix.len);
        if (!dash)
            return prefix;
        return (struct piece){dash + 1, prefix.len - (size_t)(dash + 1 - prefix.text)};
    default:
        return (struct piece){0};
    }
}

/* The rest is the same in every system manager. What depends on the host stays as it is. */
static const char *constant(char specifier)
{
    switch (specifier) {
    case '%':
        return "%";
    case 't':
        return "/run";
    case 'S':
        return "/var/lib";
    case 'C':
        return "/var/cache";
    case 'L':
        return "/var/log";
    case 'E':
        return "/etc";
    case 'T':
        return "/tmp";
    case 'V':
        return "/var/tmp";
    case 'u':
    case 'g':
        return "root";
    case 'U':
    case 'G':
        return "0";
    case 'h':
        return "/root";
    case 's':
        return "/bin/sh";
    default:
        return NULL;
    }
}

static int append_specifier(const struct es_unit *unit, char specifier, struct es_buf *out)
{
    struct piece piece = name_piece(unit, specifier);
    const char *text = constant(specifier);

    if (text)
        return es_buf_puts(out, text);
    if (!piece.text)
        return es_buf_putc(out, '%') < 0 || (specifier && es_buf_putc(out, specifier) < 0) ? -ENOMEM
                                                                                           : 0;
    if (specifier == 'f' && es_buf_putc(out, '/') < 0)
        return -ENOMEM;
    if (strchr("IPJf", specifier))
        return append_unescaped(out, piece.text, piece.len);
    return es_buf_append(out, piece.text, piece.len);
}

int es_unit_expand(const struct es_unit *unit, const char *text, struct es_buf *ret)
{
    es_buf_clear(ret);
    for (; *text; text++) {
        int r;

        if (*text != '%') {
            r = es_buf_putc(ret, *text);
        } else {
            r = append_specifier(unit, text[1], ret);
            text += text[1] != '\0';
        }
        if (r < 0)
            return -ENOMEM;
        if (ret->len > MAX_EXPANDED)
            return -EFBIG;
    }
    return 0;
}
