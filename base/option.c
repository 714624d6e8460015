/* See envsync/option.h. Reads the local configuration, which root wrote: mistakes are common,
 * malice is not expected, and every message tells where and what to type instead. */
#include "envsync/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *es_option_type_name(enum es_option_type type)
{
    static const char *const names[] = {
        [ES_OPT_STRING] = "string",       [ES_OPT_PATH] = "path",
        [ES_OPT_ENUM] = "word",           [ES_OPT_BOOL] = "boolean",
        [ES_OPT_INTEGER] = "integer",     [ES_OPT_DURATION] = "duration",
        [ES_OPT_MODE] = "mode",           [ES_OPT_STRINGS] = "list of strings",
        [ES_OPT_PATHS] = "list of paths", [ES_OPT_MAP] = "table of strings",
    };

    return names[type];
}

bool es_duration_parse(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");
    int64_t n;

    if (digits == 0 || digits > 12 || !es_integer_parse(text, digits, &n))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].unit) != 0)
            continue;
        if (n > INT64_C(365) * 86400000 * 100 / units[i].ms)
            return false;
        *ret = n * units[i].ms;
        return true;
    }
    return false;
}

/* Edits between two words, counting a swap of neighbours as one (Damerau-Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t rows[3][MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > MAX || lb > MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *now = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *es_suggest(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1, least = limit + 1;

    for (; *words; words++) {
        size_t d = distance(word, *words);

        if (d < least) {
            least = d;
            best = *words;
        }
    }
    return best;
}

static int wrong(const char *file, const struct es_pos *pos, struct es_err *err, const char *key,
                 const char *what)
{
    return es_fail(err, ES_CONFIG, EINVAL, "%s:%u:%u: %s %s", file, pos->line, pos->column, key,
                   what);
}

/* A string of the configuration as C text, so without a NUL. */
static int take_text(const struct es_value *value, const char *key, const char *file, char **ret,
                     struct es_err *err)
{
    char *copy;

    if (value->type != ES_STRING)
        return es_fail(err, ES_CONFIG, EINVAL, "%s:%u:%u: %s must be a string, not %s %s", file,
                       value->pos.line, value->pos.column, key,
                       value->type == ES_INTEGER ? "an" : "a", es_type_name(value->type));
    if (memchr(es_buf_str(&value->text), '\0', value->text.len))
        return wrong(file, &value->pos, err, key, "has a NUL byte in it");
    copy = strdup(es_buf_str(&value->text));
    if (!copy)
        return es_nomem(err);
    *ret = copy;
    return 0;
}

static bool path_is_clean(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p;) {
        size_t n;

        p += strspn(p, "/");
        n = strcspn(p, "/");
        if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
    }
    return true;
}

static bool is_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);

    if (strchr(word, '|'))
        return false;
    for (const char *p = choices; p; p = strchr(p, '|')) {
        p += *p == '|';
        if (strncmp(p, word, len) == 0 && (p[len] == '|' || p[len] == '\0'))
            return true;
    }
    return false;
}

/* "a", "b" or "c" out of "a|b|c". */
static void list_choices(const char *choices, char *out, size_t size)
{
    size_t at = 0;

    for (const char *p = choices; *p && at < size;) {
        size_t n = strcspn(p, "|");
        const char *sep = at == 0 ? "" : strchr(p, '|') ? ", " : " or ";

        at += (size_t)snprintf(out + at, size - at, "%s\"%.*s\"", sep, (int)n, p);
        p += n + (p[n] == '|');
    }
}

static int check_word(const struct es_option *option, const char *text, const struct es_pos *pos,
                      const char *file, struct es_err *err)
{
    char list[300];

    if ((option->type == ES_OPT_PATH || option->type == ES_OPT_PATHS) && !path_is_clean(text))
        return wrong(file, pos, err, option->key,
                     "must be an absolute path without \".\" and \"..\"");
    if (option->type != ES_OPT_ENUM || is_choice(option->choices, text))
        return 0;
    list_choices(option->choices, list, sizeof list);
    return es_fail(err, ES_CONFIG, EINVAL, "%s:%u:%u: %s must be %s", file, pos->line, pos->column,
                   option->key, list);
}

static int read_mode(const char *text, int64_t *ret)
{
    size_t len = strlen(text);
    int64_t mode = 0;

    if (len < 3 || len > 4 || strspn(text, "01234567") != len || (len == 4 && text[0] != '0'))
        return -EINVAL;
    for (; *text; text++)
        mode = mode * 8 + (*text - '0');
    if (mode & 02 || (mode & 0400) == 0)
        return -EINVAL;
    *ret = mode;
    return 0;
}

/* Paths are compared as text later on: single slashes, and none at the end. */
static void normalise(char *path)
{
    char *to = path;

    for (const char *p = path; *p; p++)
        if (!(p[0] == '/' && p[1] == '/'))
            *to++ = *p;
    if (to > path + 1 && to[-1] == '/')
        to--;
    *to = '\0';
}

static int read_strings(const struct es_option *option, const struct es_value *value,
                        const char *file, struct es_strings *ret, struct es_err *err)
{
    if (value->type != ES_LIST)
        return wrong(file, &value->pos, err, option->key, "must be a list of strings");
    if (value->list.n == 0)
        return 0;
    ret->items = calloc(value->list.n + 1, sizeof *ret->items); /* ends with NULL */
    ret->pos = calloc(value->list.n, sizeof *ret->pos);
    if (!ret->items || !ret->pos)
        return es_nomem(err);
    for (size_t i = 0; i < value->list.n; i++) {
        int r = take_text(&value->list.items[i], option->key, file, &ret->items[i], err);

        if (r < 0)
            return r;
        ret->pos[i] = value->list.items[i].pos;
        ret->n++;
        r = check_word(option, ret->items[i], &ret->pos[i], file, err);
        if (r < 0)
            return r;
        if (option->type == ES_OPT_PATHS)
            normalise(ret->items[i]);
    }
    return 0;
}

static int read_map(const struct es_option *option, const struct es_value *value, const char *file,
                    struct es_map *ret, struct es_err *err)
{
    if (value->type != ES_TABLE)
        return wrong(file, &value->pos, err, option->key, "must be a table of strings");
    if (value->table.n == 0)
        return 0;
    ret->items = calloc(value->table.n, sizeof *ret->items);
    if (!ret->items)
        return es_nomem(err);
    for (size_t i = 0; i < value->table.n; i++) {
        const struct es_entry *entry = &value->table.entries[i];
        struct es_pair *pair = &ret->items[i];
        int r;

        if (memchr(es_buf_str(&entry->key), '\0', entry->key.len))
            return wrong(file, &entry->pos, err, option->key, "has a NUL byte in a key");
        if (entry->value.type == ES_TABLE)
            return es_fail(err, ES_CONFIG, EINVAL,
                           "%s:%u:%u: %s takes strings: quote a key that has dots, as in "
                           "'a.b' = \"...\"",
                           file, entry->pos.line, entry->pos.column, option->key);
        ret->n++;
        pair->pos = entry->pos;
        pair->key = strdup(es_buf_str(&entry->key));
        if (!pair->key)
            return es_nomem(err);
        r = take_text(&entry->value, pair->key, file, &pair->value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_number(const struct es_option *option, const struct es_value *value,
                       const char *file, void *field, struct es_err *err)
{
    if (option->type == ES_OPT_BOOL) {
        if (value->type != ES_BOOLEAN)
            return wrong(file, &value->pos, err, option->key, "must be true or false");
        *(bool *)field = value->boolean;
        return 0;
    }
    if (value->type != ES_INTEGER)
        return wrong(file, &value->pos, err, option->key, "must be an integer");
    *(int64_t *)field = value->integer;
    return 0;
}

static int read_text(const struct es_option *option, const struct es_value *value, const char *file,
                     void *field, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *text = NULL;
    int r = take_text(value, option->key, file, &text, err);

    if (r < 0)
        return r;
    if (option->type == ES_OPT_DURATION) {
        if (!es_duration_parse(text, field))
            return wrong(file, &value->pos, err, option->key,
                         "must be a duration such as \"250ms\", \"45s\", \"5m\", \"2h\" or \"3d\"");
        return 0;
    }
    if (option->type == ES_OPT_MODE) {
        if (read_mode(text, field) < 0)
            return wrong(file, &value->pos, err, option->key,
                         "must be an octal mode in quotes such as \"0640\", readable for its owner "
                         "and not writable for others");
        return 0;
    }
    r = check_word(option, text, &value->pos, file, err);
    if (r < 0)
        return r;
    if (option->type == ES_OPT_PATH)
        normalise(text);
    *(char **)field = text;
    text = NULL;
    return 0;
}

static int read_option(const struct es_option *option, const struct es_value *value,
                       const char *file, void *field, struct es_err *err)
{
    switch (option->type) {
    case ES_OPT_BOOL:
    case ES_OPT_INTEGER:
        return read_number(option, value, file, field, err);
    case ES_OPT_STRINGS:
    case ES_OPT_PATHS:
        return read_strings(option, value, file, field, err);
    case ES_OPT_MAP:
        return read_map(option, value, file, field, err);
    default:
        return read_text(option, value, file, field, err);
    }
}

/* A default as a value, so that it goes through the same reading as what a user types. */
static int default_value(const struct es_option *option, struct es_value *ret)
{
    if (option->type == ES_OPT_BOOL) {
        *ret = (struct es_value){.type = ES_BOOLEAN, .boolean = strcmp(option->def, "true") == 0};
        return 0;
    }
    if (option->type == ES_OPT_INTEGER) {
        *ret = (struct es_value){.type = ES_INTEGER};
        return es_integer_parse(option->def, strlen(option->def), &ret->integer) ? 0 : -EINVAL;
    }
    return es_value_set_string(ret, option->def, strlen(option->def));
}

int es_options_parse(const struct es_option *options, const struct es_value *table,
                     const char *file, void *out, struct es_err *err)
{
    for (const struct es_option *option = options; option->key; option++) {
        ES_CLEANUP(es_value_done) struct es_value def = {0};
        const struct es_value *value = es_table_get(table, option->key);
        int r;

        if (!value && option->flags & ES_OPT_REQUIRED)
            return wrong(file, &table->pos, err, option->key, "is missing");
        if (!value && !option->def)
            continue;
        if (!value) {
            r = default_value(option, &def);
            if (r < 0)
                return es_nomem(err);
            value = &def;
        }
        r = read_option(option, value, file, (char *)out + option->offset, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void clear_strings(struct es_strings *strings)
{
    for (size_t i = 0; i < strings->n; i++)
        free(strings->items[i]);
    free(strings->items);
    free(strings->pos);
    *strings = (struct es_strings){0};
}

static void clear_map(struct es_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        free(map->items[i].key);
        free(map->items[i].value);
    }
    free(map->items);
    *map = (struct es_map){0};
}

void es_options_clear(const struct es_option *options, void *out)
{
    for (const struct es_option *option = options; option->key; option++) {
        void *field = (char *)out + option->offset;

        switch (option->type) {
        case ES_OPT_STRINGS:
        case ES_OPT_PATHS:
            clear_strings(field);
            break;
        case ES_OPT_MAP:
            clear_map(field);
            break;
        case ES_OPT_STRING:
        case ES_OPT_PATH:
        case ES_OPT_ENUM:
            es_freep(field);
            *(char **)field = NULL;
            break;
        default:
            break;
        }
    }
}

/* Every key that may stand in the table, for the search of the nearest one. */
static size_t known_keys(const struct es_option *const *sets, size_t n, const char *const *extra,
                         const char **out, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        for (const struct es_option *option = sets[i]; option->key && count < max; option++)
            out[count++] = option->key;
    for (; extra && *extra && count < max; extra++)
        out[count++] = *extra;
    out[count] = NULL;
    return count;
}

int es_options_unknown(const struct es_option *const *sets, size_t n, const char *const *extra,
                       const struct es_value *table, const char *file, struct es_err *err)
{
    const char *known[129];
    size_t count = known_keys(sets, n, extra, known, 128);

    for (size_t i = 0; i < table->table.n; i++) {
        const struct es_entry *entry = &table->table.entries[i];
        const char *key = es_buf_str(&entry->key), *near;
        size_t at = 0;

        while (at < count && !es_buf_is(&entry->key, known[at]))
            at++;
        if (at < count)
            continue;
        near = es_suggest(key, known);
        return es_fail(err, ES_CONFIG, EINVAL, "%s:%u:%u: unknown key \"%.60s\"%s%s%s", file,
                       entry->pos.line, entry->pos.column, key, near ? "; did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "");
    }
    return 0;
}
