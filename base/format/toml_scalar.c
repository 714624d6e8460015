/* Booleans, numbers and date-times of TOML (see toml.h).
 *
 * A scalar is one run of the bytes that such a thing may have, found first and judged as a whole;
 * what stands behind it is the caller's business. Untrusted; nothing past the run is read, but for
 * the blank that may stand between a date and its time.
 */
#include "toml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Borrowed bytes that are taken from the front. */
struct run {
    const char *p, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_char(struct run *run, const char *any)
{
    if (run->p == run->end || !*run->p || !strchr(any, *run->p))
        return false;
    run->p++;
    return true;
}

/* Exactly n digits. */
static bool take_number(struct run *run, int n, unsigned *ret)
{
    unsigned value = 0;

    for (int i = 0; i < n; i++) {
        if (run->p == run->end || !is_digit(*run->p))
            return false;
        value = value * 10 + (unsigned)(*run->p++ - '0');
    }
    *ret = value;
    return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(struct run *run)
{
    unsigned year, month, day;

    return take_number(run, 4, &year) && take_char(run, "-") && take_number(run, 2, &month) &&
           take_char(run, "-") && take_number(run, 2, &day) && month >= 1 && month <= 12 &&
           day >= 1 && day <= days_in(year, month);
}

/* A second of 60 is taken everywhere: which minutes have one is not for us to know. */
static bool take_time(struct run *run)
{
    unsigned hour, minute, second, digit;

    if (!(take_number(run, 2, &hour) && take_char(run, ":") && take_number(run, 2, &minute) &&
          take_char(run, ":") && take_number(run, 2, &second) && hour < 24 && minute < 60 &&
          second <= 60))
        return false;
    if (!take_char(run, "."))
        return true;
    if (!take_number(run, 1, &digit))
        return false;
    while (take_number(run, 1, &digit))
        ;
    return true;
}

static bool take_offset(struct run *run)
{
    unsigned hour, minute;

    if (take_char(run, "Zz"))
        return true;
    return take_char(run, "+-") && take_number(run, 2, &hour) && take_char(run, ":") &&
           take_number(run, 2, &minute) && hour < 24 && minute < 60;
}

/* date, time, date and time, or those with an offset. */
static bool is_datetime(struct run run)
{
    if (run.end - run.p > 2 && run.p[2] == ':')
        return take_time(&run) && run.p == run.end;
    if (!take_date(&run))
        return false;
    if (run.p == run.end)
        return true;
    if (!take_char(&run, "Tt ") || !take_time(&run))
        return false;
    return run.p == run.end || (take_offset(&run) && run.p == run.end);
}

/* Digits of a base, single underscores only between them. */
static bool take_digits(struct run *run, const char *digits)
{
    bool last_is_digit = false;

    while (run->p < run->end) {
        if (take_char(run, digits))
            last_is_digit = true;
        else if (last_is_digit && take_char(run, "_"))
            last_is_digit = false;
        else
            break;
    }
    return last_is_digit;
}

/* What a run is, by its first bytes alone: decides which message a wrong one gets. */
enum kind { WORD, NUMBER, BASED_NUMBER, DATETIME };

static enum kind kind_of(struct run run)
{
    size_t digits = 0, n = (size_t)(run.end - run.p);

    while (digits < n && is_digit(run.p[digits]))
        digits++;
    if (digits < n && ((digits == 4 && run.p[4] == '-') || (digits == 2 && run.p[2] == ':')))
        return DATETIME;
    if (digits == 1 && n > 2 && *run.p == '0' && strchr("xob", run.p[1]))
        return BASED_NUMBER;
    take_char(&run, "+-");
    return run.p < run.end && is_digit(*run.p) ? NUMBER : WORD;
}

/* A decimal number: [+-] digits [. digits] [e [+-] digits]. */
static bool is_decimal(struct run run, bool *ret_float, bool *ret_leading_zero)
{
    static const char decimal[] = "0123456789";
    const char *first;

    take_char(&run, "+-");
    first = run.p;
    *ret_float = false;
    if (!take_digits(&run, decimal))
        return false;
    *ret_leading_zero = *first == '0' && run.p - first > 1;
    if (take_char(&run, ".")) {
        *ret_float = true;
        if (!take_digits(&run, decimal))
            return false;
    }
    if (take_char(&run, "eE")) {
        *ret_float = true;
        take_char(&run, "+-");
        if (!take_digits(&run, decimal))
            return false;
    }
    return run.p == run.end;
}

static int without_underscores(struct toml *t, struct run run, struct es_buf *out)
{
    while (run.p < run.end) {
        const char *underscore = memchr(run.p, '_', (size_t)(run.end - run.p));
        const char *end = underscore ? underscore : run.end;

        if (es_buf_append(out, run.p, (size_t)(end - run.p)) < 0)
            return es_nomem(t->err);
        run.p = underscore ? end + 1 : end;
    }
    return 0;
}

static int not_a_number(struct toml *t, struct es_pos pos)
{
    return toml_fail(t, pos, "neither a number nor a date-time; put quotes around text");
}

static int too_large(struct toml *t, struct es_pos pos)
{
    return toml_fail(t, pos,
                     "the integer does not fit into 64 bits; put quotes around it to have it as "
                     "text");
}

static int scan_decimal(struct toml *t, struct es_pos pos, struct run run, struct es_value *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    bool is_float, leading_zero;
    int r;

    if (!is_decimal(run, &is_float, &leading_zero))
        return not_a_number(t, pos);
    if (leading_zero)
        return toml_fail(t, pos,
                         "a number has no leading zero; put quotes around it to have it as text");
    r = without_underscores(t, run, &text);
    if (r < 0)
        return r;
    if (!is_float) {
        ret->type = ES_INTEGER;
        return es_integer_parse(es_buf_str(&text), text.len, &ret->integer) ? 0 : too_large(t, pos);
    }
    ret->type = ES_FLOAT;
    ret->number = strtod(es_buf_str(&text), NULL);
    return isfinite(ret->number)
               ? 0
               : toml_fail(t, pos, "the number is too large for a float of 64 bits");
}

/* 0x, 0o, 0b: no sign, and no more than the largest signed integer. */
static int scan_based(struct toml *t, struct es_pos pos, struct run run, struct es_value *ret)
{
    unsigned shift = run.p[1] == 'x' ? 4 : run.p[1] == 'o' ? 3 : 1;
    struct run digits = {.p = run.p + 2, .end = run.end}, all = digits;
    uint64_t value = 0;

    if (!take_digits(&digits, shift == 4   ? "0123456789abcdefABCDEF"
                              : shift == 3 ? "01234567"
                                           : "01") ||
        digits.p != digits.end)
        return toml_fail(t, pos,
                         "not a number: behind 0x stand hex digits, behind 0o digits to 7, behind "
                         "0b 0 and 1; put quotes around text");
    for (; all.p < all.end; all.p++) {
        char c = *all.p;

        if (c == '_')
            continue;
        if (value >> (63 - shift))
            return too_large(t, pos);
        value = value << shift | (uint64_t)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    ret->type = ES_INTEGER;
    ret->integer = (int64_t)value;
    return 0;
}

static bool run_is(struct run run, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(run.end - run.p) == len && memcmp(run.p, text, len) == 0;
}

static int scan_word(struct toml *t, struct es_pos pos, struct run run, struct es_value *ret)
{
    struct run unsigned_run = run;
    bool negative;

    if (run_is(run, "true") || run_is(run, "false")) {
        ret->type = ES_BOOLEAN;
        ret->boolean = *run.p == 't';
        return 0;
    }
    negative = run.p < run.end && *run.p == '-';
    take_char(&unsigned_run, "+-");
    if (run_is(unsigned_run, "inf") || run_is(unsigned_run, "nan")) {
        ret->type = ES_FLOAT;
        ret->number = *unsigned_run.p == 'n' ? (double)NAN : (double)INFINITY;
        if (negative)
            ret->number = -ret->number;
        return 0;
    }
    return toml_fail(t, pos,
                     "text needs quotes around it (and true and false are written in "
                     "small letters)");
}

static int scan_datetime(struct toml *t, struct es_pos pos, struct run run, struct es_value *ret)
{
    struct es_value value = {.type = ES_DATETIME, .pos = ret->pos};

    if (!is_datetime(run))
        return toml_fail(t, pos,
                         "no such date or time; it is written YYYY-MM-DDTHH:MM:SSZ, or a part of "
                         "that, and text needs quotes around it");
    if (es_buf_set(&value.text, run.p, (size_t)(run.end - run.p)) < 0)
        return es_nomem(t->err);
    es_value_move(ret, &value);
    return 0;
}

static bool is_scalar_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) ||
           (c && strchr("_+-.:", c));
}

static struct run find_run(const struct toml *t)
{
    struct run run = {.p = t->at, .end = t->at};

    while (run.end < t->end && is_scalar_byte(*run.end))
        run.end++;
    /* A date may have its time behind one blank. */
    if (run.end - run.p == 10 && kind_of(run) == DATETIME && t->end - run.end > 3 &&
        run.end[0] == ' ' && is_digit(run.end[1]) && is_digit(run.end[2]) && run.end[3] == ':') {
        run.end++;
        while (run.end < t->end && is_scalar_byte(*run.end))
            run.end++;
    }
    return run;
}

int toml_scan_scalar(struct toml *t, struct es_value *ret)
{
    struct es_pos pos = toml_pos(t);
    struct run run = find_run(t);

    t->at = run.end;
    switch (kind_of(run)) {
    case DATETIME:
        return scan_datetime(t, pos, run, ret);
    case NUMBER:
        return scan_decimal(t, pos, run, ret);
    case BASED_NUMBER:
        return scan_based(t, pos, run, ret);
    case WORD:
        break;
    }
    return scan_word(t, pos, run, ret);
}
