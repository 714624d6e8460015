/* The format value: the bytes of one value and nothing more, not even a line end. It has no syntax,
 * so it carries everything and has nothing to read back. */
#include "envsync/format.h"

static const char *accepts_value(const char *name, const struct es_value *leaf)
{
    (void)name;
    (void)leaf;
    return NULL;
}

static int write_value(const struct es_value *root, struct es_buf *out)
{
    return es_buf_append(out, root->text.data, root->text.len);
}

const struct es_format es_format_value = {
    .name = "value",
    .shape = ES_SHAPE_SINGLE,
    .accepts = accepts_value,
    .write = write_value,
};
