/* See envsync/key.h. Keys come from outside; globs and key texts from the configuration. */
#include "envsync/key.h"

#include "envsync/limits.h"
#include "envsync/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int es_key_push(struct es_buf *key, const void *segment, size_t len)
{
    int r;

    if (len && memchr(segment, '\0', len))
        return -EINVAL;
    r = es_buf_reserve(key, len + 1);
    if (r < 0)
        return r;
    es_buf_append(key, segment, len);
    return es_buf_putc(key, '\0');
}

bool es_key_next(const struct es_buf *key, size_t *offset, struct es_segment *ret)
{
    const char *end;

    if (*offset >= key->len)
        return false;
    ret->data = key->data + *offset;
    end = memchr(ret->data, '\0', key->len - *offset);
    ret->len = end ? (size_t)(end - ret->data) : key->len - *offset;
    *offset += ret->len + 1;
    return true;
}

size_t es_key_depth(const struct es_buf *key)
{
    size_t offset = 0, n = 0;
    struct es_segment segment;

    while (es_key_next(key, &offset, &segment))
        n++;
    return n;
}

int es_key_compare(const struct es_buf *a, const struct es_buf *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int c = len ? memcmp(a->data, b->data, len) : 0;

    return c ? c : (a->len > b->len) - (a->len < b->len);
}

bool es_key_below(const struct es_buf *key, const struct es_buf *above)
{
    return key->len >= above->len &&
           (above->len == 0 || memcmp(key->data, above->data, above->len) == 0);
}

static bool is_bare(const struct es_segment *segment)
{
    for (size_t i = 0; i < segment->len; i++) {
        char c = segment->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return segment->len > 0;
}

/* Quoted as in TOML. What is no UTF-8 or would move a terminal is escaped, so the result may be
 * printed whatever the key holds. */
static int format_quoted(const struct es_segment *segment, struct es_buf *out)
{
    int r = es_buf_putc(out, '"');

    for (size_t at = 0; r == 0 && at < segment->len;) {
        const char *p = segment->data + at;
        uint32_t c = 0;
        size_t n = es_utf8_decode(p, segment->len - at, &c);

        if (n == 0) {
            n = 1;
            r = es_buf_printf(out, "\\x%02X", (unsigned char)*p);
        } else if (c == '"' || c == '\\') {
            r = es_buf_printf(out, "\\%c", (char)c);
        } else if (es_utf8_control(c)) {
            r = es_buf_printf(out, "\\u%04X", c);
        } else {
            r = es_buf_append(out, p, n);
        }
        at += n;
    }
    return r < 0 ? r : es_buf_putc(out, '"');
}

int es_key_format(const struct es_buf *key, struct es_buf *out)
{
    size_t offset = 0;
    struct es_segment segment;
    bool first = true;
    int r = 0;

    while (r == 0 && es_key_next(key, &offset, &segment)) {
        if (!first)
            r = es_buf_putc(out, '.');
        first = false;
        if (r == 0)
            r = is_bare(&segment) ? es_buf_append(out, segment.data, segment.len)
                                  : format_quoted(&segment, out);
    }
    return r;
}

struct es_key_text es_key_text(const struct es_buf *key)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_key_text ret;

    if (es_key_format(key, &text) < 0)
        snprintf(ret.text, sizeof ret.text, "(key)");
    else if (snprintf(ret.text, sizeof ret.text, "%s", es_buf_str(&text)) >= (int)sizeof ret.text)
        memcpy(ret.text + sizeof ret.text - 4, "...", 4);
    return ret;
}

/* One segment of a key text or glob, at `at`: bare up to the next dot, or in quotes. */
static int parse_segment(const char *text, const char **at, struct es_buf *segment, bool *quoted,
                         struct es_err *err)
{
    const char *p = *at;
    char quote = *p == '"' || *p == '\'' ? *p : '\0';
    int r = 0;

    *quoted = quote != '\0';
    if (!quote) {
        size_t len = strcspn(p, ".\"'");

        if (len == 0)
            return es_fail(err, ES_CONFIG, EINVAL, "\"%s\" is no key: a part of it is empty", text);
        *at = p + len;
        return es_buf_append(segment, p, len) < 0 ? es_nomem(err) : 0;
    }
    for (p++; r == 0 && *p && *p != quote; p++) {
        if (quote == '"' && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        r = es_buf_putc(segment, *p);
    }
    if (r < 0)
        return es_nomem(err);
    if (*p != quote)
        return es_fail(err, ES_CONFIG, EINVAL, "\"%s\" is no key: a quote is not closed", text);
    *at = p + 1;
    return 0;
}

/* Calls each() for the segments of a key text. */
static int parse_text(const char *text, void *data,
                      int (*each)(void *data, const struct es_buf *segment, bool quoted,
                                  struct es_err *err),
                      struct es_err *err)
{
    const char *p = text;

    for (;;) {
        ES_CLEANUP(es_buf_done) struct es_buf segment = {0};
        bool quoted;
        int r = parse_segment(text, &p, &segment, &quoted, err);

        if (r == 0)
            r = each(data, &segment, quoted, err);
        if (r < 0)
            return r;
        if (*p == '\0')
            return 0;
        if (*p != '.')
            return es_fail(err, ES_CONFIG, EINVAL,
                           "\"%s\" is no key: a dot is missing beside a quoted part", text);
        p++;
    }
}

static int push_segment(void *data, const struct es_buf *segment, bool quoted, struct es_err *err)
{
    (void)quoted;
    return es_key_push(data, es_buf_str(segment), segment->len) < 0 ? es_nomem(err) : 0;
}

int es_key_parse(const char *text, struct es_buf *ret_key, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    int r = parse_text(text, &key, push_segment, err);

    if (r < 0)
        return r;
    if (es_key_depth(&key) > ES_MAX_DEPTH || key.len > ES_MAX_KEY + 1)
        return es_fail(err, ES_CONFIG, EINVAL, "\"%.40s...\" is too long for a key", text);
    es_buf_move(ret_key, &key);
    return 0;
}

/* A glob is its segments: each literal, with stars, or "**". */
struct part {
    enum { LITERAL, STARS, ANY_DEPTH } kind;
    struct es_buf text;
};

struct es_glob {
    size_t n;
    struct part parts[ES_MAX_DEPTH];
};

static int add_part(void *data, const struct es_buf *segment, bool quoted, struct es_err *err)
{
    struct es_glob *glob = data;
    struct part *part;

    if (glob->n == ES_MAX_DEPTH)
        return es_fail(err, ES_CONFIG, EINVAL, "a pattern has more than %d parts", ES_MAX_DEPTH);
    part = &glob->parts[glob->n];
    part->kind = quoted || !memchr(es_buf_str(segment), '*', segment->len) ? LITERAL : STARS;
    if (part->kind == STARS && es_buf_is(segment, "**"))
        part->kind = ANY_DEPTH;
    else if (part->kind == STARS && strstr(es_buf_str(segment), "**"))
        return es_fail(err, ES_CONFIG, EINVAL, "\"**\" must stand alone between dots");
    if (es_buf_append(&part->text, es_buf_str(segment), segment->len) < 0)
        return es_nomem(err);
    glob->n++;
    return 0;
}

int es_glob_parse(const char *text, struct es_glob **ret, struct es_err *err)
{
    ES_CLEANUP(es_glob_freep) struct es_glob *glob = calloc(1, sizeof *glob);
    int r;

    if (!glob)
        return es_nomem(err);
    r = parse_text(text, glob, add_part, err);
    if (r < 0)
        return r;
    *ret = glob;
    glob = NULL;
    return 0;
}

void es_glob_free(struct es_glob *glob)
{
    if (!glob)
        return;
    for (size_t i = 0; i < ES_MAX_DEPTH; i++)
        es_buf_done(&glob->parts[i].text);
    free(glob);
}

void es_glob_freep(struct es_glob **glob)
{
    es_glob_free(*glob);
}

/* Stars in one segment, with one point of return: linear in practice, never exponential. */
static bool match_stars(const struct es_buf *pattern, const struct es_segment *segment)
{
    size_t p = 0, s = 0, star = (size_t)-1, from = 0;

    while (s < segment->len) {
        if (p < pattern->len && pattern->data[p] == '*') {
            star = p++;
            from = s;
        } else if (p < pattern->len && pattern->data[p] == segment->data[s]) {
            p++, s++;
        } else if (star != (size_t)-1) {
            p = star + 1;
            s = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern->len && pattern->data[p] == '*')
        p++;
    return p == pattern->len;
}

static bool match_part(const struct part *part, const struct es_segment *segment)
{
    if (part->kind == STARS)
        return match_stars(&part->text, segment);
    return part->text.len == segment->len &&
           (segment->len == 0 || memcmp(part->text.data, segment->data, segment->len) == 0);
}

bool es_glob_match(const struct es_glob *glob, const struct es_buf *key)
{
    /* The same walk as match_stars(), over segments: `**` is the star. */
    size_t part = 0, offset = 0, star = (size_t)-1, from = 0;

    while (offset < key->len) {
        struct es_segment segment;
        size_t next = offset;

        es_key_next(key, &next, &segment);
        if (part < glob->n && glob->parts[part].kind == ANY_DEPTH) {
            star = part++;
            from = offset;
        } else if (part < glob->n && match_part(&glob->parts[part], &segment)) {
            part++;
            offset = next;
        } else if (star != (size_t)-1) {
            part = star + 1;
            es_key_next(key, &from, &segment);
            offset = from;
        } else {
            return false;
        }
    }
    while (part < glob->n && glob->parts[part].kind == ANY_DEPTH)
        part++;
    return part == glob->n;
}
