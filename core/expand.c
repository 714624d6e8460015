/* See expand.h. The bootstrap file is parsed with the caller's rights: it is local, named by the
 * configuration, bounded, and in a grammar of our own. Values are never put into messages. */
#include "expand.h"

#include "envsync/format.h"
#include "envsync/limits.h"
#include "walk.h"

#include <errno.h>
#include <string.h>

int es_variables_load(struct es_variables *variables, const char *bootstrap, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close) int fd = -1;
    struct es_err why;
    int r;

    es_value_set_table(&variables->bootstrap);
    if (!bootstrap)
        return 0;
    fd = es_open_source(bootstrap, err);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0) {
        es_context(err, "bootstrap");
        return fd;
    }
    r = es_buf_read_fd(&text, fd, ES_MAX_CONFIG);
    if (r == -EFBIG)
        return es_fail(err, ES_INVALID, EFBIG, "bootstrap %s: is larger than 1 MiB", bootstrap);
    if (r < 0)
        return es_fail_errno(err, ES_DENIED, -r, "bootstrap %s", bootstrap);
    r = es_format_env.read(es_buf_str(&text), text.len, &variables->bootstrap, &why);
    if (r < 0)
        return es_fail(err, why.class, -r, "bootstrap %s:%s", bootstrap, why.msg);
    return 0;
}

void es_variables_done(struct es_variables *variables)
{
    es_value_done(&variables->bootstrap);
}

/* The value of a name, borrowed, or false where nothing sets it. */
static bool look_up(const struct es_variables *variables, const char *name, size_t len,
                    struct es_segment *ret)
{
    const struct es_entry *entry;

    for (size_t i = 0; variables->allowed && i < variables->allowed->n; i++) {
        const char *allowed = variables->allowed->items[i], *value;

        if (strlen(allowed) != len || memcmp(allowed, name, len) != 0)
            continue;
        value = es_process_getenv(variables->process, allowed);
        if (value) {
            *ret = (struct es_segment){.data = value, .len = strlen(value)};
            return true;
        }
    }
    entry = es_table_find(&variables->bootstrap, name, len);
    if (!entry)
        return false;
    *ret =
        (struct es_segment){.data = es_buf_str(&entry->value.text), .len = entry->value.text.len};
    return true;
}

struct place {
    const struct es_option *option;
    const struct es_pos *pos;
    const char *file;
};

static int complain(const struct place *place, struct es_err *err, const char *name, size_t len,
                    const char *what)
{
    return es_fail(err, ES_CONFIG, EINVAL, "%s:%u:%u: %s: ${%.*s} %s", place->file,
                   place->pos->line, place->pos->column, place->option->key,
                   len > 80 ? 80 : (int)len, name, what);
}

/* One reference; `p` stands behind "${", `end` on its brace. */
static int expand_one(const struct es_variables *variables, const struct place *place,
                      const char *p, const char *end, struct es_buf *out, struct es_err *err)
{
    const char *def = memmem(p, (size_t)(end - p), ":-", 2);
    size_t len = (size_t)((def ? def : end) - p);
    struct es_segment value;

    /* The first brace ends it, so the rest of what was meant would be taken for text. */
    if (def && memmem(def, (size_t)(end - def), "${", 2))
        return complain(place, err, p, len, "has another ${ in its default, which is plain text");
    if (len > 6 && memcmp(p, "cloud.", 6) == 0) {
        if (!(place->option->flags & ES_OPT_CLOUD))
            return complain(place, err, p, len,
                            "may not stand here: instance data never chooses this");
        return es_buf_append(out, p - 2, (size_t)(end - p) + 3) < 0 ? es_nomem(err) : 0;
    }
    if (!es_env_name_valid(p, len))
        return complain(place, err, p, len, "is no variable; write $${ for a literal ${");
    if (look_up(variables, p, len, &value)) {
        if (memchr(value.data, '\n', value.len) || memchr(value.data, '\r', value.len))
            return complain(place, err, p, len, "has a line break in its value");
        return es_buf_append(out, value.data, value.len) < 0 ? es_nomem(err) : 0;
    }
    if (!def)
        return complain(place, err, p, len,
                        "is set nowhere: put it into the bootstrap file, list it in env, or give "
                        "a default with :-");
    return es_buf_append(out, def + 2, (size_t)(end - def) - 2) < 0 ? es_nomem(err) : 0;
}

static int expand_text(const struct es_variables *variables, const struct place *place,
                       struct es_buf *text, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    const char *p = es_buf_str(text), *stop = p + text->len;

    if (!memmem(p, text->len, "${", 2))
        return 0;
    while (p < stop) {
        size_t left = (size_t)(stop - p);
        const char *end;
        int r;

        if (left >= 3 && memcmp(p, "$${", 3) == 0) {
            if (es_buf_puts(&out, "${") < 0)
                return es_nomem(err);
            p += 3;
            continue;
        }
        if (left < 2 || memcmp(p, "${", 2) != 0) {
            if (es_buf_putc(&out, *p) < 0)
                return es_nomem(err);
            p++;
            continue;
        }
        end = memchr(p, '}', left);
        if (!end)
            return complain(place, err, "...", 3, "is not closed: a } is missing");
        r = expand_one(variables, place, p + 2, end, &out, err);
        if (r < 0)
            return r;
        p = end + 1;
    }
    es_buf_move(text, &out);
    return 0;
}

static int expand_value(const struct es_variables *variables, const struct es_option *option,
                        struct es_value *value, const char *file, struct es_err *err)
{
    struct place place = {.option = option, .pos = &value->pos, .file = file};
    int r = 0;

    switch (value->type) {
    case ES_STRING:
        return expand_text(variables, &place, &value->text, err);
    case ES_LIST:
        for (size_t i = 0; r == 0 && i < value->list.n; i++)
            r = expand_value(variables, option, &value->list.items[i], file, err);
        return r;
    case ES_TABLE:
        for (size_t i = 0; r == 0 && i < value->table.n; i++)
            r = expand_value(variables, option, &value->table.entries[i].value, file, err);
        return r;
    default:
        return 0;
    }
}

int es_expand_table(const struct es_variables *variables, const struct es_option *options,
                    struct es_value *table, const char *file, struct es_err *err)
{
    for (const struct es_option *option = options; option->key; option++) {
        struct es_value *value = es_table_get(table, option->key);
        int r;

        if (!value || option->flags & ES_OPT_RAW)
            continue;
        r = expand_value(variables, option, value, file, err);
        if (r < 0)
            return r;
    }
    return 0;
}
