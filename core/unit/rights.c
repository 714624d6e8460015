/* See rights.h: what a unit's settings leave of capabilities, system calls and the network. */
#include "rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const es_right_names[ES_RIGHTS] = {
    [ES_RIGHT_CHOWN] = "CAP_CHOWN",   [ES_RIGHT_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
    [ES_RIGHT_FOWNER] = "CAP_FOWNER", [ES_RIGHT_SETGID] = "CAP_SETGID",
    [ES_RIGHT_SETUID] = "CAP_SETUID",
};

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* Does one of the words name the right? ret_any: is there any word? */
static bool names_right(const char *value, enum es_right right, bool *ret_any)
{
    bool found = false;

    *ret_any = false;
    for (value += strspn(value, " \t"); *value; value += strspn(value, " \t")) {
        size_t n = strcspn(value, " \t");

        *ret_any = true;
        found |= is_word(value, n, es_right_names[right]);
        value += n;
    }
    return found;
}

/* The first assignment, and one behind "all", sets; others add, or with ~ take away. */
const struct es_unit_setting *es_unit_lacks_right(const struct es_unit *unit, enum es_right right)
{
    const struct es_unit_setting *s = NULL, *lacks = NULL;
    bool all = true;

    while ((s = es_unit_next(unit, "Service", "CapabilityBoundingSet", s))) {
        const char *value = es_buf_str(&s->value);
        bool invert = *value == '~', any, named = names_right(value + invert, right, &any);

        if (all || !any)
            lacks = named == invert ? s : NULL;
        else if (named)
            lacks = invert ? s : NULL;
        all = !any && invert;
    }
    return lacks;
}

/* Calls without which envsync cannot work as root, and their groups. */
static const char *const calls_needed[][5] = {
    {"@chown", "chown", "fchown", "fchownat", NULL},
    {"@setuid", "setgroups", "setresgid", "setresuid", NULL},
    {"capset", NULL},
};
enum { CALLS = sizeof calls_needed / sizeof *calls_needed };

/* One word of SystemCallFilter=: "@group", "call" or "call:ERRNO". `by` refuses it, NULL: it is
 * allowed. */
static void judge_call(const struct es_unit_setting *refused[CALLS], const char *word,
                       const struct es_unit_setting *by)
{
    size_t n = strcspn(word, ":");
    bool all = is_word(word, n, "@privileged") || is_word(word, n, "@system-service") ||
               is_word(word, n, "@known");

    for (size_t i = 0; i < CALLS; i++) {
        bool named = all;

        for (size_t j = 0; !named && calls_needed[i][j]; j++)
            named = is_word(word, n, calls_needed[i][j]);
        if (named)
            refused[i] = by;
    }
}

/* The first assignment that is not empty says what the list is: one of calls that are allowed, or
 * with ~ of those that are not. Others add to it, or take away. */
int es_unit_filters_calls(const struct es_unit *unit, const struct es_unit_setting **ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf word = {0};
    const struct es_unit_setting *s = NULL;
    const struct es_unit_setting *refused[CALLS] = {0};
    bool first = true;

    while ((s = es_unit_next(unit, "Service", "SystemCallFilter", s))) {
        const char *p = es_buf_str(&s->value);
        bool invert = *p == '~', resets = *p == '\0';
        int r;

        for (size_t i = 0; i < CALLS && (resets || first); i++)
            refused[i] = resets || invert ? NULL : s;
        first = resets;
        p += invert;
        while ((r = es_unit_word(&p, &word)) > 0)
            judge_call(refused, es_buf_str(&word), invert ? s : NULL);
        if (r == -ENOMEM)
            return -ENOMEM;
    }
    *ret = NULL;
    for (size_t i = 0; i < CALLS; i++)
        if (refused[i])
            *ret = refused[i];
    return 0;
}

/* ---- network ---- */

/* What RestrictAddressFamilies= leaves. */
struct families {
    bool deny; /* a list of what is not allowed */
    bool local, inet, inet6;
    const struct es_unit_setting *at; /* NULL: all */
};

/* The last word that matters counts. A list without ~ allows what it names alone. */
static int read_families(const struct es_unit *unit, struct families *ret, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    int r = es_unit_list(unit, "Service", "RestrictAddressFamilies", ES_UNIT_WHOLE, &items, err);

    *ret = (struct families){.local = true, .inet = true, .inet6 = true};
    for (size_t i = 0; r == 0 && i < items.n; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf word = {0};
        const char *p = es_buf_str(&items.items[i].text);
        bool invert = *p == '~';
        int more;

        ret->at = items.items[i].at;
        if (i == 0 || strcmp(p, "none") == 0)
            ret->deny = ret->local = ret->inet = ret->inet6 = invert;
        p += invert;
        while ((more = es_unit_word(&p, &word)) > 0) {
            if (es_buf_is(&word, "AF_UNIX"))
                ret->local = !invert;
            if (es_buf_is(&word, "AF_INET"))
                ret->inet = !invert;
            if (es_buf_is(&word, "AF_INET6"))
                ret->inet6 = !invert;
        }
        if (more == -ENOMEM)
            return es_nomem(err);
    }
    return r;
}

int es_unit_lacks_unix(const struct es_unit *unit, const struct es_unit_setting **ret,
                       struct es_err *err)
{
    struct families left;
    int r = read_families(unit, &left, err);

    if (r == 0)
        *ret = left.local ? NULL : left.at;
    return r;
}

/* IPAddressDeny=any, and nothing but loopback allowed. */
static int lacks_addresses(const struct es_unit *unit, const struct es_unit_setting **ret,
                           struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items deny = {0}, allow = {0};
    const struct es_unit_item *any = NULL;
    int r = es_unit_list(unit, "Service", "IPAddressDeny", ES_UNIT_WORDS, &deny, err);

    if (r == 0)
        r = es_unit_list(unit, "Service", "IPAddressAllow", ES_UNIT_WORDS, &allow, err);
    if (r != 0)
        return r;
    any = es_unit_find(&deny, "any");
    if (!any)
        any = es_unit_find(&deny, "0.0.0.0/0");
    for (size_t i = 0; i < allow.n; i++)
        if (!es_buf_is(&allow.items[i].text, "localhost") &&
            strncmp(es_buf_str(&allow.items[i].text), "127.", 4) != 0 &&
            !es_buf_is(&allow.items[i].text, "::1"))
            any = NULL;
    if (any)
        *ret = any->at;
    return 0;
}

int es_unit_lacks_network(const struct es_unit *unit, bool seccomp,
                          const struct es_unit_setting **ret, struct es_err *err)
{
    const struct es_unit_setting *at = NULL;
    struct families left = {0};
    int r = 0;

    *ret = NULL;
    if (es_unit_bool(unit, "Service", "PrivateNetwork", false, &at)) {
        *ret = at;
        return 0;
    }
    if (seccomp)
        r = read_families(unit, &left, err);
    if (r == 0 && !left.inet && (left.deny || !left.inet6))
        *ret = left.at;
    return r == 0 && !*ret ? lacks_addresses(unit, ret, err) : r;
}
