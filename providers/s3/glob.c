/* See glob.h. Patterns come from the configuration, keys from whoever writes the bucket: matching
 * has one point of return per level, so its time is bounded by the product of both lengths. */
#include "glob.h"

#include <errno.h>
#include <string.h>

/* A segment of a pattern or key, and what is behind it: NULL after the last. */
struct segment {
    const char *data;
    size_t len;
    const char *next;
};

static struct segment segment_at(const char *p, const char *end)
{
    const char *slash = memchr(p, '/', (size_t)(end - p));

    return (struct segment){p, (size_t)((slash ? slash : end) - p), slash ? slash + 1 : NULL};
}

static bool is(const struct segment *segment, const char *text)
{
    return segment->len == strlen(text) && memcmp(segment->data, text, segment->len) == 0;
}

static bool match_stars(const struct segment *pattern, const struct segment *text)
{
    size_t p = 0, t = 0, star = (size_t)-1, from = 0;

    while (t < text->len) {
        if (p < pattern->len && pattern->data[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern->len && pattern->data[p] == text->data[t]) {
            p++, t++;
        } else if (star != (size_t)-1) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern->len && pattern->data[p] == '*')
        p++;
    return p == pattern->len;
}

bool es_s3_glob_match(const char *pattern, const char *key, size_t len)
{
    const char *pattern_end = pattern + strlen(pattern), *key_end = key + len;
    const char *p = pattern, *k = key, *star = NULL, *from = NULL;

    while (k) {
        struct segment text = segment_at(k, key_end), part = {0};

        if (p)
            part = segment_at(p, pattern_end);
        if (p && is(&part, "**")) {
            if (!part.next)
                return true;
            star = p = part.next;
            from = k;
        } else if (p && match_stars(&part, &text)) {
            p = part.next;
            k = text.next;
        } else if (star) {
            p = star;
            k = from = segment_at(from, key_end).next;
        } else {
            return false;
        }
    }
    /* A final any-depth part takes none as well. */
    while (p) {
        struct segment part = segment_at(p, pattern_end);

        if (!is(&part, "**"))
            return false;
        p = part.next;
    }
    return true;
}

bool es_s3_globs_match(const struct es_strings *patterns, const char *key, size_t len)
{
    for (size_t i = 0; i < patterns->n; i++)
        if (es_s3_glob_match(patterns->items[i], key, len))
            return true;
    return false;
}

static const char *segment_fault(const struct segment *segment)
{
    if (segment->len == 0)
        return "has an empty part between slashes";
    if (is(segment, ".") || is(segment, ".."))
        return "has a part \".\" or \"..\"";
    if (!is(segment, "**") && memmem(segment->data, segment->len, "**", 2))
        return "has \"**\" beside other characters; it must stand alone between slashes";
    return NULL;
}

int es_s3_glob_check(const char *pattern, struct es_err *err)
{
    const char *end = pattern + strlen(pattern), *p = pattern;

    while (p) {
        struct segment segment = segment_at(p, end);
        const char *fault = segment_fault(&segment);

        if (fault)
            return es_fail(err, ES_CONFIG, EINVAL, "the pattern \"%s\" %s", pattern, fault);
        p = segment.next;
    }
    return 0;
}
