/* See unit.h. What several assignments of one key come to: the last that can be read where there is
 * one value, all since the last empty one where there is a list. */
#include "envsync/limits.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Is `key` among the names in `keys`, "A|B|C"? */
static bool is_key(const char *key, const char *keys)
{
    size_t len = strlen(key);

    for (const char *p = keys; *p;) {
        size_t n = strcspn(p, "|");

        if (n == len && memcmp(p, key, n) == 0)
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

const struct es_unit_setting *es_unit_next(const struct es_unit *unit, const char *section,
                                           const char *key, const struct es_unit_setting *after)
{
    size_t i = after ? (size_t)(after - unit->settings) + 1 : 0;

    for (; i < unit->n; i++) {
        const struct es_unit_setting *s = &unit->settings[i];

        if (s->kind == ES_UNIT_SETTING && strcmp(s->section, section) == 0 && is_key(s->key, key))
            return s;
    }
    return NULL;
}

static int read_bool(const char *text)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
    static const char *const no[] = {"0", "no", "n", "false", "f", "off"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return 1;
        if (strcasecmp(text, no[i]) == 0)
            return 0;
    }
    return -1;
}

bool es_unit_bool(const struct es_unit *unit, const char *section, const char *key, bool def,
                  const struct es_unit_setting **ret_at)
{
    const struct es_unit_setting *s = NULL, *at = NULL;
    bool value = def;

    while ((s = es_unit_next(unit, section, key, s))) {
        int read = read_bool(es_buf_str(&s->value));

        if (read < 0)
            continue;
        value = read;
        at = s;
    }
    if (ret_at)
        *ret_at = at;
    return value;
}

int es_unit_choice(const struct es_unit *unit, const char *section, const char *key,
                   const char *const *words, const struct es_unit_setting **ret_at)
{
    const struct es_unit_setting *s = NULL, *at = NULL;
    int value = -1;

    while ((s = es_unit_next(unit, section, key, s)))
        for (int i = 0; words[i]; i++)
            if (strcmp(words[i], es_buf_str(&s->value)) == 0) {
                value = i;
                at = s;
            }
    if (ret_at)
        *ret_at = at;
    return value;
}

/* ---- time spans ---- */

struct unit_of_time {
    const char *name;
    double ms;
};

/* In this order: a name stands before those that it begins with. */
static const struct unit_of_time units_of_time[] = {
    {"seconds", 1e3},     {"second", 1e3},     {"sec", 1e3},     {"s", 1e3},
    {"minutes", 6e4},     {"minute", 6e4},     {"min", 6e4},     {"months", 2629800e3},
    {"month", 2629800e3}, {"M", 2629800e3},    {"msec", 1},      {"ms", 1},
    {"m", 6e4},           {"hours", 3600e3},   {"hour", 3600e3}, {"hr", 3600e3},
    {"h", 3600e3},        {"days", 86400e3},   {"day", 86400e3}, {"d", 86400e3},
    {"weeks", 604800e3},  {"week", 604800e3},  {"w", 604800e3},  {"years", 31557600e3},
    {"year", 31557600e3}, {"y", 31557600e3},   {"usec", 1e-3},   {"us", 1e-3},
    {"\xce\xbcs", 1e-3},  {"\xc2\xb5s", 1e-3},
};

static double take_unit_of_time(const char **p)
{
    for (size_t i = 0; i < sizeof units_of_time / sizeof *units_of_time; i++) {
        size_t len = strlen(units_of_time[i].name);

        if (strncmp(*p, units_of_time[i].name, len) == 0) {
            *p += len;
            return units_of_time[i].ms;
        }
    }
    return 1e3;
}

/* Digits, perhaps with a point; no sign, no exponent. */
static bool take_number(const char **p, double *ret)
{
    const char *start = *p;
    double value = 0, place = 1;

    for (; **p >= '0' && **p <= '9'; ++*p)
        value = value * 10 + (**p - '0');
    if (**p == '.')
        for (++*p; **p >= '0' && **p <= '9'; ++*p)
            value += (**p - '0') * (place /= 10);
    *ret = value;
    return *p > start && !(*p == start + 1 && *start == '.');
}

bool es_unit_span(const char *text, int64_t *ret_ms)
{
    const double most = 9e15; /* exact in a double, and longer than any machine runs */
    double sum = 0;

    text += strspn(text, " \t");
    if (strncmp(text, "infinity", 8) == 0 && text[8 + strspn(text + 8, " \t")] == '\0') {
        *ret_ms = INT64_MAX;
        return true;
    }
    if (*text == '\0')
        return false;
    while (*text) {
        double number;

        if (!take_number(&text, &number))
            return false;
        text += strspn(text, " \t");
        sum += number * take_unit_of_time(&text);
        text += strspn(text, " \t");
        if (sum > most)
            return false;
    }
    *ret_ms = (int64_t)sum;
    return true;
}

/* ---- lists ---- */

static int add(struct es_unit_items *items, const struct es_unit *unit,
               const struct es_unit_setting *at, const char *text, struct es_err *err)
{
    struct es_unit_item *more;
    int r;

    if (items->n == ES_MAX_UNIT_SETTINGS)
        return es_fail(err, ES_CONFIG, EFBIG, "%s:%u: more than %d words in one setting", at->file,
                       at->line, ES_MAX_UNIT_SETTINGS);
    more = reallocarray(items->items, items->n + 1, sizeof *more);
    if (!more)
        return es_nomem(err);
    items->items = more;
    more[items->n++] = (struct es_unit_item){.at = at};
    r = es_unit_expand(unit, text, &more[items->n - 1].text);
    if (r == -EFBIG)
        return es_fail(err, ES_CONFIG, EFBIG, "%s:%u: is longer than 1 MiB", at->file, at->line);
    return r < 0 ? es_nomem(err) : 0;
}

/* A quote that is not closed ends the assignment; what stood before counts. */
static int add_words(struct es_unit_items *items, const struct es_unit *unit,
                     const struct es_unit_setting *at, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf word = {0};
    const char *p = es_buf_str(&at->value);

    for (;;) {
        int r = es_unit_word(&p, &word);

        if (r == -ENOMEM)
            return es_nomem(err);
        if (r <= 0)
            return 0;
        r = add(items, unit, at, es_buf_str(&word), err);
        if (r < 0)
            return r;
    }
}

int es_unit_list(const struct es_unit *unit, const char *section, const char *key, unsigned how,
                 struct es_unit_items *ret, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    const struct es_unit_setting *s = NULL;
    int r = 0;

    while (r == 0 && (s = es_unit_next(unit, section, key, s))) {
        if (s->value.len == 0) {
            if (!(how & ES_UNIT_NO_RESET))
                es_unit_items_done(&items);
        } else if (how & ES_UNIT_WHOLE) {
            r = add(&items, unit, s, es_buf_str(&s->value), err);
        } else {
            r = add_words(&items, unit, s, err);
        }
    }
    if (r != 0)
        return r;
    *ret = items;
    items = (struct es_unit_items){0};
    return 0;
}

void es_unit_items_done(struct es_unit_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        es_buf_done(&items->items[i].text);
    free(items->items);
    *items = (struct es_unit_items){0};
}

const struct es_unit_item *es_unit_find(const struct es_unit_items *items, const char *text)
{
    for (size_t i = 0; i < items->n; i++)
        if (es_buf_is(&items->items[i].text, text))
            return &items->items[i];
    return NULL;
}

int es_unit_text(const struct es_unit *unit, const char *section, const char *key,
                 struct es_buf *ret, const struct es_unit_setting **ret_at, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    int r = es_unit_list(unit, section, key, ES_UNIT_WHOLE, &items, err);

    if (r != 0)
        return r;
    if (ret_at)
        *ret_at = items.n ? items.items[items.n - 1].at : NULL;
    es_buf_clear(ret);
    if (items.n)
        es_buf_move(ret, &items.items[items.n - 1].text);
    return 0;
}
