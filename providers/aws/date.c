/* See date.h. Texts come from the network; each field is read by width and checked by range. */
#include "date.h"

#include <string.h>

enum { DAY = 86400 };

/* Days since 1970-01-01, by counting years from March so that the leap day is the last. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

static void put(char *at, int width, int value)
{
    while (width-- > 0) {
        at[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

struct es_aws_date es_aws_date_format(int64_t seconds)
{
    static const int64_t last = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */
    struct es_aws_date date = {.text = "00000000T000000Z"};
    int64_t at = seconds < 0 ? 0 : seconds > last ? last : seconds;
    int second = (int)(at % DAY), year, month, day;

    civil_from_days(at / DAY, &year, &month, &day);
    put(date.text, 4, year);
    put(date.text + 4, 2, month);
    put(date.text + 6, 2, day);
    put(date.text + 9, 2, second / 3600);
    put(date.text + 11, 2, second / 60 % 60);
    put(date.text + 13, 2, second % 60);
    return date;
}

/* Exactly `width` digits; moves on. */
static bool get(const char **text, int width, int *ret)
{
    int value = 0;

    for (int i = 0; i < width; i++) {
        char c = (*text)[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *text += width;
    *ret = value;
    return true;
}

static bool skip(const char **text, const char *what)
{
    size_t len = strlen(what);

    if (strncmp(*text, what, len) != 0)
        return false;
    *text += len;
    return true;
}

struct civil {
    int year, month, day, hour, minute, second;
};

static bool to_seconds(const struct civil *c, int64_t *ret)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

    if (c->year < 1970 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > length[c->month - 1] + (c->month == 2 && leap) || c->hour > 23 || c->minute > 59 ||
        c->second > 60)
        return false;
    *ret = days_from_civil(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 +
           c->second;
    return true;
}

static bool get_clock(const char **text, struct civil *c)
{
    return get(text, 2, &c->hour) && skip(text, ":") && get(text, 2, &c->minute) &&
           skip(text, ":") && get(text, 2, &c->second);
}

bool es_aws_date_http(const char *text, int64_t *ret_seconds)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct civil c = {0};
    int64_t seconds;

    if (strlen(text) != 29 || memcmp(text + 3, ", ", 2) != 0)
        return false;
    text += 5;
    if (!get(&text, 2, &c.day) || !skip(&text, " "))
        return false;
    for (int i = 0; i < 12; i++)
        if (memcmp(names + (size_t)i * 3, text, 3) == 0)
            c.month = i + 1;
    text += 3;
    if (!skip(&text, " ") || !get(&text, 4, &c.year) || !skip(&text, " ") ||
        !get_clock(&text, &c) || strcmp(text, " GMT") != 0 || !to_seconds(&c, &seconds))
        return false;
    *ret_seconds = seconds;
    return true;
}

/* "Z" or "+hh:mm", to the end of the text; the seconds to take off. */
static bool get_zone(const char *text, int *ret)
{
    int sign = *text == '-' ? -1 : 1, hour, minute;

    if (strcmp(text, "Z") == 0) {
        *ret = 0;
        return true;
    }
    if (*text != '+' && *text != '-')
        return false;
    text++;
    if (!get(&text, 2, &hour) || !skip(&text, ":") || !get(&text, 2, &minute) || *text ||
        hour > 23 || minute > 59)
        return false;
    *ret = sign * (hour * 3600 + minute * 60);
    return true;
}

bool es_aws_date_iso(const char *text, int64_t *ret_ms)
{
    struct civil c = {0};
    int64_t seconds;
    int ms = 0, zone;

    if (!get(&text, 4, &c.year) || !skip(&text, "-") || !get(&text, 2, &c.month) ||
        !skip(&text, "-") || !get(&text, 2, &c.day) || !skip(&text, "T") || !get_clock(&text, &c))
        return false;
    if (skip(&text, ".")) {
        if (*text < '0' || *text > '9')
            return false;
        for (int unit = 100; *text >= '0' && *text <= '9'; text++, unit /= 10)
            ms += (*text - '0') * unit;
    }
    if (!get_zone(text, &zone) || !to_seconds(&c, &seconds) || seconds < zone)
        return false;
    *ret_ms = (seconds - zone) * 1000 + ms;
    return true;
}
