/* Fuzzes the toml format: any bytes are read or refused cleanly, and what was read and is accepted
 * by the writer reads back from what it writes to the same values. */
#include "envsync/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what, const struct es_buf *text)
{
    fprintf(stderr, "%s:\n%s\n", what, es_buf_str(text));
    abort();
}

static bool accepted(const struct es_value *value)
{
    if (value->type != ES_TABLE)
        return !es_format_toml.accepts(NULL, value);
    for (size_t i = 0; i < value->table.n; i++)
        if (!accepted(&value->table.entries[i].value))
            return false;
    return true;
}

/* A message has its place in front and is one line. */
static void check_message(const struct es_err *err)
{
    unsigned line, column;
    int n = 0;

    if (err->class != ES_INVALID || sscanf(err->msg, "%u:%u: %n", &line, &column, &n) != 2 ||
        n == 0 || line == 0 || column == 0 || strpbrk(err->msg, "\n\r\033"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    ES_CLEANUP(es_value_done) struct es_value back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_buf_done) struct es_buf again = {0};
    struct es_err err = {0};

    if (es_format_toml.read((const char *)data, size, &value, &err) < 0) {
        check_message(&err);
        return 0;
    }
    if (!accepted(&value))
        return 0;
    es_table_sort(&value);
    if (es_format_toml.write(&value, &text) < 0)
        return 0;
    if (es_format_toml.read(es_buf_str(&text), text.len, &back, &err) < 0)
        broken(err.msg, &text);
    if (!es_value_equal(&value, &back, true))
        broken("reads back to other values", &text);
    es_table_sort(&back);
    if (es_format_toml.write(&back, &again) == 0 && !es_buf_equal(&text, &again))
        broken("is written in another way the second time", &again);
    return 0;
}
