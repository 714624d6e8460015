/* Numbers as text and back (see envsync/value.h). The C locale is assumed: nothing in envsync calls
 * setlocale(). */
#include "envsync/value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int es_integer_format(struct es_buf *out, int64_t value)
{
    return es_buf_printf(out, "%lld", (long long)value);
}

/* Lays out the shortest digits as people do: plain for exponents -4..15, else d.ddde+XX. */
static int put_digits(struct es_buf *out, const char *digits, int n, int exponent)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = 0;

    if (exponent < -4 || exponent >= 16) {
        r = es_buf_printf(&text, "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1, digits + 1,
                          exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        r = es_buf_printf(&text, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
    } else if (n <= exponent + 1) {
        r = es_buf_printf(&text, "%.*s%.*s.0", n, digits, exponent + 1 - n, "000000000000000");
    } else {
        r = es_buf_printf(&text, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1,
                          digits + exponent + 1);
    }
    return r < 0 ? r : es_buf_append(out, text.data, text.len);
}

/* The shortest "d.ddde+XX" that reads back. Below a power of two floats lie closer together than
 * above it, so the decimal next above may read back where the nearest one does not. */
static void find_shortest(char *text, size_t size, double value)
{
    for (int precision = 0; precision <= 16; precision++) {
        char *last;

        snprintf(text, size, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            return;
        last = strchr(text, 'e') - 1;
        if (*last < '9') {
            ++*last;
            if (strtod(text, NULL) == value)
                return;
        }
    }
}

int es_float_format(struct es_buf *out, double value)
{
    char text[40], digits[24];
    int n = 0;

    if (isnan(value))
        return es_buf_puts(out, "nan");
    if (isinf(value))
        return es_buf_puts(out, value < 0 ? "-inf" : "inf");
    find_shortest(text, sizeof text, fabs(value));
    for (const char *p = text; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    digits[n] = '\0';
    if (signbit(value)) {
        int r = es_buf_putc(out, '-');

        if (r < 0)
            return r;
    }
    return put_digits(out, digits, n, (int)strtol(strchr(text, 'e') + 1, NULL, 10));
}

static bool all_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len > 0;
}

bool es_integer_parse(const char *text, size_t len, int64_t *ret)
{
    bool negative = len > 0 && text[0] == '-';
    size_t at = negative || (len > 0 && text[0] == '+') ? 1 : 0;
    uint64_t n = 0;

    if (!all_digits(text + at, len - at))
        return false;
    for (; at < len; at++) {
        unsigned digit = (unsigned)(text[at] - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

/* [+-] digits [. digits] [e [+-] digits], nothing else: no hex, no "inf", no spaces. */
static bool float_shaped(const char *p)
{
    size_t n;

    p += *p == '+' || *p == '-';
    n = strspn(p, "0123456789");
    if (n == 0)
        return false;
    p += n;
    if (*p == '.') {
        n = strspn(p + 1, "0123456789");
        if (n == 0)
            return false;
        p += 1 + n;
    }
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        n = strspn(p, "0123456789");
        if (n == 0)
            return false;
        p += n;
    }
    return *p == '\0';
}

bool es_float_parse(const struct es_buf *text, double *ret)
{
    double value;

    if (strlen(es_buf_str(text)) != text->len || !float_shaped(es_buf_str(text)))
        return false;
    value = strtod(text->data, NULL);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}
