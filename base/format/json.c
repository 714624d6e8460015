/* The format json: one object, nested and typed. Reading is json_read.c, writing json_write.c; here
 * is what a whole document adds: its root is an object, and an empty one has no keys. */
#include "envsync/format.h"

#include "json.h"
#include "scan.h"

#include <string.h>

static bool is_blank(const char *text, size_t len)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3, len -= 3;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || !strchr(" \t\r\n", text[i]))
            return false;
    return true;
}

static int read_json(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value root = {.type = ES_TABLE, .pos = {1, 1}};
    int r;

    if (!is_blank(text, len)) {
        r = es_json_read(text, len, &root, err);
        if (r < 0)
            return r;
    }
    if (root.type != ES_TABLE)
        return es_scan_fail(root.pos, err, "the document has to be a JSON object; its type is %s",
                            es_type_name(root.type));
    es_value_move(ret, &root);
    return 0;
}

static const char *accepts_json(const char *name, const struct es_value *leaf)
{
    (void)name;
    return es_json_refuses(leaf);
}

static int write_json(const struct es_value *root, struct es_buf *out)
{
    int r = es_json_put(out, root, false);

    return r < 0 ? r : es_buf_putc(out, '\n');
}

const struct es_format es_format_json = {
    .name = "json",
    .extension = ".json",
    .shape = ES_SHAPE_NESTED,
    .source = true,
    .read = read_json,
    .accepts = accepts_json,
    .write = write_json,
};
