/* The format ssm-json: a list of {"Name": ..., "Value": ...}, both strings, as AwsSsmProvider reads
 * it and `aws ssm get-parameters-by-path` prints it. The reader is there for the proof. */
#include "envsync/format.h"

#include "json.h"
#include "scan.h"

static bool is_parameter(const struct es_value *item)
{
    const struct es_value *name, *value;

    if (item->type != ES_TABLE || item->table.n != 2)
        return false;
    name = es_table_get(item, "Name");
    value = es_table_get(item, "Value");
    return name && value && name->type == ES_STRING && value->type == ES_STRING;
}

static int read_ssm(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    int r = es_json_read(text, len, &root, err);

    if (r < 0)
        return r;
    if (root.type != ES_LIST)
        return es_scan_fail(root.pos, err, "the document has to be a JSON list; its type is %s",
                            es_type_name(root.type));
    for (size_t i = 0; i < root.list.n; i++)
        if (!is_parameter(&root.list.items[i]))
            return es_scan_fail(root.list.items[i].pos, err,
                                "not an object of the strings Name and Value");
    es_value_move(ret, &root);
    return 0;
}

static const char *accepts_ssm(const char *name, const struct es_value *leaf)
{
    (void)name;
    return es_json_refuses(leaf);
}

static int write_ssm(const struct es_value *root, struct es_buf *out)
{
    int r = es_json_put(out, root, false);

    return r < 0 ? r : es_buf_putc(out, '\n');
}

const struct es_format es_format_ssm_json = {
    .name = "ssm-json",
    .shape = ES_SHAPE_NAMED,
    .read = read_ssm,
    .accepts = accepts_ssm,
    .write = write_ssm,
};
