/* See unit.h. The text may be anybody's. The grammar is that of systemd 247 to 257, odd corners
 * included: a NUL, CR or LF ends a line and one of each together is one end; a comment inside a
 * continued line is passed over and does not end it; a line that is no UTF-8 is ignored. */
#include "envsync/limits.h"
#include "envsync/utf8.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct es_unit *unit;
    const char *file;
    const char *at, *end;
    unsigned line;
    const char *section; /* NULL: none yet; borrowed from the last header */
    bool ignored;        /* the section is one that systemd does not know */
};

enum { EOL_LF = 1, EOL_CR = 2, EOL_NUL = 4 };

static unsigned eol_of(char c)
{
    return c == '\n' ? EOL_LF : c == '\r' ? EOL_CR : c == '\0' ? EOL_NUL : 0;
}

/* The next physical line, borrowed; false at the end. "\r\n" and "\n\r" are one end, "\n\n" two. */
static bool next_line(struct parser *p, const char **ret, size_t *ret_len)
{
    const char *start = p->at;
    unsigned seen = 0;

    if (p->at == p->end)
        return false;
    while (p->at < p->end && eol_of(*p->at) == 0)
        p->at++;
    *ret = start;
    *ret_len = (size_t)(p->at - start);
    while (p->at < p->end && !(seen & EOL_NUL)) {
        unsigned eol = eol_of(*p->at);

        if (eol == 0 || seen & eol)
            break;
        seen |= eol;
        p->at++;
    }
    p->line++;
    return true;
}

static int keep(struct parser *p, enum es_unit_kind kind, unsigned line, const char *key,
                size_t key_len, const char *value, size_t len, struct es_err *err)
{
    struct es_unit *unit = p->unit;
    struct es_unit_setting *setting;

    if (unit->n == ES_MAX_UNIT_SETTINGS)
        return es_fail(err, ES_CONFIG, EFBIG, "%s:%u: more than %d settings in one unit", p->file,
                       line, ES_MAX_UNIT_SETTINGS);
    if (unit->n == unit->cap) {
        size_t cap = unit->cap ? 2 * unit->cap : 64;
        struct es_unit_setting *settings = reallocarray(unit->settings, cap, sizeof *settings);

        if (!settings)
            return es_nomem(err);
        unit->settings = settings;
        unit->cap = cap;
    }
    setting = &unit->settings[unit->n++];
    *setting = (struct es_unit_setting){.kind = kind, .file = p->file, .line = line};
    if (p->section)
        setting->section = strdup(p->section);
    if (key)
        setting->key = strndup(key, key_len);
    if ((p->section && !setting->section) || (key && !setting->key) ||
        es_buf_set(&setting->value, value, len) < 0)
        return es_nomem(err);
    return 0;
}

static int ignore(struct parser *p, unsigned line, const char *key, size_t key_len, const char *why,
                  struct es_err *err)
{
    return keep(p, ES_UNIT_IGNORED, line, key, key_len, why, strlen(why), err);
}

static const char *strip(const char *text, size_t *len)
{
    while (*len > 0 && strchr(ES_UNIT_BLANKS, *text)) {
        text++;
        --*len;
    }
    while (*len > 0 && strchr(ES_UNIT_BLANKS, text[*len - 1]))
        --*len;
    return text;
}

/* Those of a service; [X-...] are for others. */
static bool known_section(const char *name)
{
    return strcmp(name, "Unit") == 0 || strcmp(name, "Service") == 0 ||
           strcmp(name, "Install") == 0;
}

static int take_header(struct parser *p, unsigned line, const char *text, size_t len,
                       struct es_err *err)
{
    ES_CLEANUP(es_freep) char *name = NULL;
    int r;

    if (text[len - 1] != ']')
        return es_fail(err, ES_CONFIG, EBADMSG,
                       "%s:%u: a section header that is not closed with ]: systemd does not load "
                       "the unit",
                       p->file, line);
    name = strndup(text + 1, len - 2);
    if (!name)
        return es_nomem(err);
    p->section = name;
    r = keep(p, ES_UNIT_HEADER, line, NULL, 0, "", 0, err);
    p->section = NULL;
    p->ignored = !known_section(name);
    if (r != 0)
        return r;
    p->section = p->unit->settings[p->unit->n - 1].section;
    if (p->ignored && strncmp(name, "X-", 2) != 0)
        return ignore(p, line, NULL, 0, "a service has no such section", err);
    return 0;
}

static int take_line(struct parser *p, unsigned line, const char *text, size_t len,
                     struct es_err *err)
{
    const char *equals, *value;
    size_t key_len, value_len;

    text = strip(text, &len);
    if (len == 0)
        return 0;
    if (!es_utf8_valid(text, len))
        return ignore(p, line, NULL, 0, "it is no valid UTF-8", err);
    if (text[0] == '[')
        return take_header(p, line, text, len, err);
    equals = memchr(text, '=', len);
    key_len = equals ? (size_t)(equals - text) : 0;
    strip(text, &key_len);
    if (!p->section)
        return ignore(p, line, equals ? text : NULL, key_len,
                      "no [Section] has begun above it; is a header misspelt?", err);
    if (p->ignored)
        return 0;
    if (!equals)
        return ignore(p, line, NULL, 0, "there is no = in it", err);
    if (key_len == 0)
        return ignore(p, line, NULL, 0, "there is no name before the =", err);
    value = equals + 1;
    value_len = len - (size_t)(value - text);
    value = strip(value, &value_len);
    return keep(p, ES_UNIT_SETTING, line, text, key_len, value, value_len, err);
}

/* Does a backslash that is not escaped itself end the text? */
static bool continues(const char *text, size_t len)
{
    bool escaped = false;

    for (size_t i = 0; i < len; i++)
        escaped = !escaped && text[i] == '\\';
    return escaped;
}

static bool is_comment(const char *text, size_t len)
{
    text = strip(text, &len);
    return len > 0 && (*text == '#' || *text == ';');
}

static int remember_file(struct es_unit *unit, const char *file, const char **ret,
                         struct es_err *err)
{
    char **files = reallocarray(unit->files, unit->n_files + 1, sizeof *files);

    if (!files)
        return es_nomem(err);
    unit->files = files;
    files[unit->n_files] = strdup(file);
    if (!files[unit->n_files])
        return es_nomem(err);
    *ret = files[unit->n_files++];
    return 0;
}

/* Takes a byte order mark off: the first one of a file, on whichever line. */
static bool skip_mark(const char **line, size_t *len)
{
    if (*len < 3 || memcmp(*line, "\xef\xbb\xbf", 3) != 0)
        return false;
    *line += 3;
    *len -= 3;
    return true;
}

/* Lines that go on are gathered; any other is taken where it lies. All of it is linear: only the
 * last physical line says whether it goes on, and what was gathered is given back, for clearing a
 * buffer costs what it once held. */
int es_unit_parse(struct es_unit *unit, const char *file, const char *text, size_t len,
                  struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf logical = {0};
    struct parser p = {.unit = unit, .at = text, .end = text + len};
    unsigned first = 0; /* of a continued line, or 0 */
    const char *line = NULL;
    size_t n = 0;
    int r = remember_file(unit, file, &p.file, err);

    for (bool marked = false; r == 0 && next_line(&p, &line, &n);) {
        if (is_comment(line, n))
            continue;
        marked = marked || skip_mark(&line, &n);
        if (first == 0 && !continues(line, n)) {
            r = take_line(&p, p.line, line, n, err);
            continue;
        }
        if (first == 0)
            first = p.line;
        if (es_buf_append(&logical, line, n) < 0)
            return es_nomem(err);
        if (continues(line, n)) {
            logical.data[logical.len - 1] = ' ';
            continue;
        }
        r = take_line(&p, first, es_buf_str(&logical), logical.len, err);
        es_buf_done(&logical);
        first = 0;
    }
    if (r == 0 && first > 0)
        r = take_line(&p, first, es_buf_str(&logical), logical.len, err);
    return r;
}

void es_unit_done(struct es_unit *unit)
{
    for (size_t i = 0; i < unit->n; i++) {
        free(unit->settings[i].section);
        free(unit->settings[i].key);
        es_buf_done(&unit->settings[i].value);
    }
    for (size_t i = 0; i < unit->n_files; i++)
        free(unit->files[i]);
    free(unit->settings);
    free(unit->files);
    free(unit->name);
    free(unit->instance);
    free(unit->folder);
    *unit = (struct es_unit){0};
}
