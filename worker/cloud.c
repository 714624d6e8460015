/* See cloud.h. The metadata is untrusted: what it gives becomes part of a bucket, a prefix, a path
 * or a region, and is held to the shape of one segment before it does. */
#include "cloud.h"

#include "providers/cloud-init/facts.h"

#include <errno.h>
#include <string.h>

static const char mark[] = "${cloud.";

struct expanding {
    const struct es_file *files;
    size_t n_files;
    struct es_facts *facts; /* loaded at the first use */
    bool absent;
};

static const struct es_file *find_file(const struct expanding *e, const char *role)
{
    for (size_t i = 0; i < e->n_files; i++)
        if (strcmp(e->files[i].role, role) == 0)
            return &e->files[i];
    return NULL;
}

/* Without instance data only defaults are left. */
static int load(struct expanding *e, struct es_err *err)
{
    const struct es_file *file = find_file(e, "sensitive");

    if (e->facts)
        return 0;
    if (!file)
        file = find_file(e, "data");
    e->absent = !file;
    return file ? es_facts_read(file->fd, file->path, &e->facts, err)
                : es_facts_load("{}", 2, "instance data", &e->facts, err);
}

static bool is_segment(const struct es_buf *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    return text->len > 0 && strspn(es_buf_str(text), plain) == text->len && !es_buf_is(text, ".") &&
           !es_buf_is(text, "..");
}

static int expand_one(struct expanding *e, const char *name, size_t len, struct es_buf *out,
                      struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0}, fact = {0};
    int r = load(e, err);

    if (r == 0 && es_buf_append(&text, name, len) < 0)
        r = es_nomem(err);
    if (r < 0)
        return r;
    if (e->absent && !strstr(es_buf_str(&text), ":-"))
        return es_fail(err, ES_ABSENT, ENOENT,
                       "${cloud.%s}: there is no instance data; give a default with :-", text.data);
    r = es_facts_get(e->facts, text.data, &fact, err);
    if (r < 0) {
        es_context(err, "${cloud.%.100s}", text.data);
        return r;
    }
    if (!is_segment(&fact))
        return es_fail(
            err, ES_INVALID, EINVAL,
            "${cloud.%.100s} is no plain segment: letters, digits, \".\", \"_\" and \"-\" "
            "may stand there",
            text.data);
    return es_buf_append(out, fact.data, fact.len) < 0 ? es_nomem(err) : 0;
}

static int expand_text(struct expanding *e, struct es_buf *text, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    const char *p = es_buf_str(text), *at;

    if (!strstr(p, mark))
        return 0;
    while ((at = strstr(p, mark))) {
        const char *name = at + strlen(mark), *end = strchr(name, '}');
        int r;

        if (!end)
            return es_fail(err, ES_INVALID, EINVAL, "%s is not closed", mark);
        if (es_buf_append(&out, p, (size_t)(at - p)) < 0)
            return es_nomem(err);
        r = expand_one(e, name, (size_t)(end - name), &out, err);
        if (r < 0)
            return r;
        p = end + 1;
    }
    if (es_buf_puts(&out, p) < 0)
        return es_nomem(err);
    es_buf_move(text, &out);
    return 0;
}

static int expand_value(struct expanding *e, struct es_value *value, struct es_err *err)
{
    int r = 0;

    if (value->type == ES_STRING)
        return expand_text(e, &value->text, err);
    for (size_t i = 0; r == 0 && value->type == ES_LIST && i < value->list.n; i++)
        r = expand_value(e, &value->list.items[i], err);
    return r;
}

int es_cloud_expand(struct es_value *table, const struct es_option *options,
                    const struct es_file *files, size_t n_files, struct es_err *err)
{
    struct expanding e = {.files = files, .n_files = n_files};
    int r = 0;

    for (const struct es_option *option = options; r == 0 && option->key; option++) {
        struct es_value *value = es_table_get(table, option->key);

        if (value && option->flags & ES_OPT_CLOUD) {
            r = expand_value(&e, value, err);
            if (r < 0)
                es_context(err, "%s", option->key);
        }
    }
    es_facts_free(e.facts);
    return r;
}
