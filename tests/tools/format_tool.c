/* format_tool: a format from outside, for tests against the real readers.
 *
 *   format_tool write FORMAT   JSON from stdin, rendered to stdout; exit 65 and "refused: KEY:
 *                              reason" for each leaf that the format cannot carry
 *   format_tool read FORMAT    a document from stdin, as JSON to stdout; exit 65 and the message
 *
 * `value` takes a JSON string, `ssm-json` a list, the others an object. */
#include "envsync/format.h"
#include "envsync/key.h"
#include "envsync/limits.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_INVALID = 65, EXIT_WRONG_USE = 64 };

static int fail(const char *msg, int status)
{
    fprintf(stderr, "format_tool: %s\n", msg);
    return status;
}

/* True where the leaf was refused, and said so. */
static bool refused(const struct es_format *format, const struct es_buf *path,
                    const struct es_value *leaf)
{
    const char *name = format->shape == ES_SHAPE_FLAT ? es_buf_str(path) : NULL;
    const char *why = format->accepts(name, leaf);

    if (why)
        fprintf(stderr, "refused: %s: %s\n", es_key_text(path).text, why);
    return why != NULL;
}

static bool refused_below(const struct es_format *format, struct es_buf *path,
                          const struct es_value *value)
{
    bool any = false;

    if (value->type != ES_TABLE)
        return refused(format, path, value);
    for (size_t i = 0; i < value->table.n; i++) {
        const struct es_entry *entry = &value->table.entries[i];
        size_t len = path->len;

        if (es_key_push(path, entry->key.data, entry->key.len) < 0)
            return true;
        any |= refused_below(format, path, &entry->value);
        path->len = len;
    }
    return any;
}

/* Flat formats get text only, as from the program. */
static int flatten(struct es_value *root)
{
    for (size_t i = 0; i < root->table.n; i++) {
        struct es_value text = {0}, *value = &root->table.entries[i].value;

        if (es_value_text(value, &text.text) < 0)
            return -1;
        es_value_move(value, &text);
    }
    return 0;
}

static int write_document(const struct es_format *format, const struct es_buf *in,
                          struct es_buf *out)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    struct es_err err;

    if (es_json_parse(es_buf_str(in), in->len, &root, &err) < 0)
        return fail(err.msg, EXIT_INVALID);
    if (format->shape == ES_SHAPE_FLAT && (root.type != ES_TABLE || flatten(&root) < 0))
        return fail("not an object of values that have a text", EXIT_INVALID);
    if (format->shape == ES_SHAPE_SINGLE && root.type != ES_STRING)
        return fail("not a string", EXIT_INVALID);
    es_table_sort(&root);
    if (refused_below(format, &path, &root))
        return EXIT_INVALID;
    if (es_format_render(format, &root, out, &err) < 0)
        return fail(err.msg, 1);
    return 0;
}

static int read_document(const struct es_format *format, const struct es_buf *in,
                         struct es_buf *out)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    struct es_err err;

    if (!format->read)
        return fail("this format is only written", EXIT_WRONG_USE);
    if (format->read(es_buf_str(in), in->len, &root, &err) < 0)
        return fail(err.msg, EXIT_INVALID);
    return es_format_json.write(&root, out) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    ES_CLEANUP(es_buf_done) struct es_buf in = {0}, out = {0};
    const struct es_format *format = argc == 3 ? es_format_by_name(argv[2]) : NULL;
    int status;

    if (!format || (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "read") != 0))
        return fail("usage: format_tool write|read FORMAT", EXIT_WRONG_USE);
    if (es_buf_read_fd(&in, 0, ES_MAX_TOTAL) < 0)
        return fail("stdin cannot be read", 1);
    status =
        argv[1][0] == 'w' ? write_document(format, &in, &out) : read_document(format, &in, &out);
    if (status == 0 && fwrite(es_buf_str(&out), 1, out.len, stdout) != out.len)
        status = 1;
    return status;
}
