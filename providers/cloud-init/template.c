/* See template.h. Reads the local configuration, which root wrote: mistakes are common, malice is
 * not expected. What is parsed here holds no control character, so messages may show it. */
#include "template.h"

#include "envsync/key.h"
#include "envsync/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_STEPS = 64,  /* of one path */
    MAX_INDEX = 5,   /* digits of a number in brackets */
    MAX_PARTS = 256, /* of one template */
};

const char *const es_fact_names[ES_FACTS] = {
    [ES_FACT_PRIMARY_IPV4] = "primary_ipv4",
    [ES_FACT_PRIMARY_IPV6] = "primary_ipv6",
    [ES_FACT_PUBLIC_IPV4] = "public_ipv4",
    [ES_FACT_REGION] = "region",
    [ES_FACT_ZONE] = "zone",
    [ES_FACT_INSTANCE_ID] = "instance_id",
    [ES_FACT_HOSTNAME] = "hostname",
    [ES_FACT_CLOUD] = "cloud",
};

void es_ref_done(struct es_ref *ref)
{
    for (size_t i = 0; i < ref->n_steps; i++)
        es_buf_done(&ref->steps[i].name);
    free(ref->steps);
    es_buf_done(&ref->text);
    es_buf_done(&ref->tag);
    es_buf_done(&ref->def);
    *ref = (struct es_ref){0};
}

void es_template_done(struct es_template *template)
{
    for (size_t i = 0; i < template->n; i++) {
        es_buf_done(&template->parts[i].literal);
        es_ref_done(&template->parts[i].ref);
    }
    free(template->parts);
    *template = (struct es_template){0};
}

/* The reference is shown as written, up to where reading stopped, so that the eye finds it. */
static int wrong(const char *start, const char *at, const char *what, struct es_err *err)
{
    char shown[81];
    size_t len = 0;

    for (; start + len < at && len < sizeof shown - 1; len++)
        shown[len] = (unsigned char)start[len] < 0x20 || start[len] == 0x7f ? '?' : start[len];
    shown[len] = '\0';
    return es_fail(err, ES_CONFIG, EINVAL, "\"${%s\": %s", shown, what);
}

static bool at_end(const char *p)
{
    return *p == '\0' || *p == '}' || (p[0] == ':' && p[1] == '-');
}

/* "..." with \" and \\, or '...' as it is; *p stands on the quote. */
static int read_quoted(const char *start, const char **p, struct es_buf *out, struct es_err *err)
{
    char quote = **p;
    const char *at = *p + 1;

    for (; *at && *at != quote; at++) {
        if (quote == '"' && at[0] == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++;
        if (es_buf_putc(out, *at) < 0)
            return es_nomem(err);
    }
    if (*at != quote)
        return wrong(start, at, "a quote is not closed", err);
    *p = at + 1;
    return 0;
}

/* A bare name runs to the next dot, bracket, default or brace. Whatever else could be a slip of
 * the pen has to stand in quotes. */
static int read_bare(const char *start, const char **p, struct es_buf *out, struct es_err *err)
{
    const char *at = *p;

    while (!at_end(at) && !strchr(".[", *at)) {
        if (strchr("]{\"'$ ", *at))
            return wrong(start, at + 1, "this character must stand in quotes", err);
        at++;
    }
    if (at == *p)
        return wrong(start, at, "a part of the path is empty", err);
    if (es_buf_append(out, *p, (size_t)(at - *p)) < 0)
        return es_nomem(err);
    *p = at;
    return 0;
}

static int add_step(const char *start, const char *p, struct es_ref *ref, struct es_step **ret,
                    struct es_err *err)
{
    if (!ref->steps)
        ref->steps = calloc(MAX_STEPS, sizeof *ref->steps);
    if (!ref->steps)
        return es_nomem(err);
    if (ref->n_steps == MAX_STEPS)
        return wrong(start, p, "the path has too many parts", err);
    *ret = &ref->steps[ref->n_steps++];
    return 0;
}

/* [N]; *p stands on the bracket. */
static int read_index(const char *start, const char **p, struct es_ref *ref, struct es_err *err)
{
    size_t digits = strspn(*p + 1, "0123456789");
    const char *end = *p + 1 + digits;
    struct es_step *step;
    int64_t index = 0;
    int r;

    if (*end != ']' || digits > MAX_INDEX || !es_integer_parse(*p + 1, digits, &index))
        return wrong(start, *end ? end + 1 : end, "brackets take a number from 0, as in [0]", err);
    r = add_step(start, end, ref, &step, err);
    if (r < 0)
        return r;
    step->index = (size_t)index;
    *p = end + 1;
    return 0;
}

static int read_name(const char *start, const char **p, struct es_ref *ref, struct es_err *err)
{
    struct es_step *step;
    int r = add_step(start, *p, ref, &step, err);

    if (r == 0 && es_buf_puts(&step->name, "") < 0)
        r = es_nomem(err);
    if (r < 0)
        return r;
    return **p == '"' || **p == '\'' ? read_quoted(start, p, &step->name, err)
                                     : read_bare(start, p, &step->name, err);
}

/* NAME [N]* ( . NAME [N]* )* */
static int read_path(const char *start, const char **p, struct es_ref *ref, struct es_err *err)
{
    int r;

    *p += **p == '.';
    for (;;) {
        r = read_name(start, p, ref, err);
        while (r == 0 && **p == '[')
            r = read_index(start, p, ref, err);
        if (r < 0 || at_end(*p))
            return r;
        if (**p != '.')
            return wrong(start, *p, "a dot is missing after a quote or a bracket", err);
        (*p)++;
    }
}

/* A tag's name is all that is left: clouds allow dots and colons in it. */
static int read_tag(const char *start, const char **p, struct es_ref *ref, struct es_err *err)
{
    const char *from = *p;
    int r = 0;

    if (*from == '"' || *from == '\'') {
        r = read_quoted(start, p, &ref->tag, err);
        if (r == 0 && !at_end(*p))
            return wrong(start, *p, "only a default may follow the quoted name of a tag", err);
    } else {
        while (!at_end(*p))
            (*p)++;
        if (es_buf_append(&ref->tag, from, (size_t)(*p - from)) < 0)
            return es_nomem(err);
    }
    if (r == 0 && ref->tag.len == 0)
        return wrong(start, *p, "tags needs a name, as in ${tags.NAME}", err);
    return r;
}

/* Facts are words that stand alone; with a dot before them they are paths. */
static bool read_fact(const char **p, struct es_ref *ref)
{
    for (enum es_fact fact = 0; fact < ES_FACTS; fact++) {
        size_t len = strlen(es_fact_names[fact]);

        if (strncmp(*p, es_fact_names[fact], len) != 0 || !at_end(*p + len))
            continue;
        ref->kind = ES_REF_FACT;
        ref->fact = fact;
        *p += len;
        return true;
    }
    return false;
}

static int read_default(const char *start, const char **p, char close, struct es_ref *ref,
                        struct es_err *err)
{
    const char *from = *p + 2, *end = strchr(from, close);

    if (!end)
        return wrong(start, from, "the closing brace is missing", err);
    /* The first brace ends it, so the rest of what was meant would be taken for text. */
    if (memmem(from, (size_t)(end - from), "${", 2))
        return wrong(start, from, "a default is plain text and holds no other ${", err);
    ref->has_default = true;
    *p = end;
    return es_buf_append(&ref->def, from, (size_t)(end - from)) < 0 ? es_nomem(err) : 0;
}

static int check_controls(const struct es_ref *ref, struct es_err *err)
{
    for (size_t i = 0; i < ref->text.len; i++) {
        unsigned char c = (unsigned char)ref->text.data[i];

        if (c < 0x20 || c == 0x7f)
            return es_fail(err, ES_CONFIG, EINVAL,
                           "a control character stands between \"${\" and \"}\"");
    }
    return 0;
}

/* Reads up to `close`, which is '}' or the end of the text; *p is then on it. */
static int read_ref(const char **p, char close, struct es_ref *ref, struct es_err *err)
{
    const char *start = *p;
    int r = 0;

    if (at_end(*p))
        return wrong(start, *p, "a fact or a path is missing", err);
    if (strncmp(*p, "tags.", 5) == 0) {
        ref->kind = ES_REF_TAG;
        *p += 5;
        r = read_tag(start, p, ref, err);
    } else if (strncmp(*p, "tags", 4) == 0 && at_end(*p + 4)) {
        return wrong(start, *p + 4, "tags needs a name, as in ${tags.NAME}", err);
    } else if (!read_fact(p, ref)) {
        r = read_path(start, p, ref, err);
    }
    if (r < 0)
        return r;
    if (es_buf_append(&ref->text, start, (size_t)(*p - start)) < 0)
        return es_nomem(err);
    r = check_controls(ref, err);
    if (r == 0 && **p == ':')
        r = read_default(start, p, close, ref, err);
    if (r == 0 && **p != close)
        return wrong(start, *p, close ? "the closing brace is missing" : "ends in a brace", err);
    return r;
}

int es_ref_parse(const char *text, struct es_ref *ret, struct es_err *err)
{
    ES_CLEANUP(es_ref_done) struct es_ref ref = {0};
    int r = read_ref(&text, '\0', &ref, err);

    if (r < 0)
        return r;
    es_ref_done(ret);
    *ret = ref;
    ref = (struct es_ref){0};
    return 0;
}

/* Literal text up to a ${ or the end. */
static int read_literal(const char **p, struct es_buf *out)
{
    int r = 0;

    while (r == 0 && **p && !((*p)[0] == '$' && (*p)[1] == '{')) {
        if (strncmp(*p, "$${", 3) == 0) {
            r = es_buf_puts(out, "${");
            *p += 3;
        } else {
            r = es_buf_putc(out, **p);
            (*p)++;
        }
    }
    return r;
}

static int read_part(const char **p, struct es_part *part, struct es_err *err)
{
    int r;

    if (read_literal(p, &part->literal) < 0)
        return es_nomem(err);
    if (!**p)
        return 0;
    *p += 2;
    part->has_ref = true;
    r = read_ref(p, '}', &part->ref, err);
    if (r == 0)
        (*p)++;
    return r;
}

/* An upper bound of the parts, so that the array is made once. */
static size_t count_parts(const char *text)
{
    size_t n = 1;

    for (const char *p = text; (p = strstr(p, "${")); p += 2)
        n++;
    return n;
}

int es_template_parse(const char *text, struct es_template *ret, struct es_err *err)
{
    ES_CLEANUP(es_template_done) struct es_template template = {0};
    size_t max = count_parts(text);
    int r = 0;

    if (max > MAX_PARTS)
        return es_fail(err, ES_CONFIG, EINVAL, "has more than %d times \"${\"", MAX_PARTS - 1);
    template.parts = calloc(max, sizeof *template.parts);
    if (!template.parts)
        return es_nomem(err);
    for (; *text && r == 0; template.n++)
        r = read_part(&text, &template.parts[template.n], err);
    if (r < 0)
        return r;
    es_template_done(ret);
    *ret = template;
    template = (struct es_template){0};
    return 0;
}
