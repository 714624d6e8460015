/* One body for the fuzzers of formats: whatever parses and is accepted must survive being written
 * and read back. Returns what LLVMFuzzerTestOneInput() has to. */
#ifndef ENVSYNC_FUZZ_FORMAT_H
#define ENVSYNC_FUZZ_FORMAT_H

#include "envsync/format.h"
#include "envsync/limits.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline int fuzz_accepted(const struct es_format *format, const struct es_value *root)
{
    if (format->shape != ES_SHAPE_FLAT)
        return !format->accepts(NULL, root);
    for (size_t i = 0; i < root->table.n; i++)
        if (format->accepts(es_buf_str(&root->table.entries[i].key), &root->table.entries[i].value))
            return 0;
    return 1;
}

static inline int fuzz_format(const struct es_format *format, const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err;
    char *exact;
    int r;

    if (size > ES_MAX_DOCUMENT)
        return 0;
    /* A block of just this size, so that one byte read too far is found. */
    exact = malloc(size ? size : 1);
    if (!exact)
        return 0;
    for (size_t i = 0; i < size; i++)
        exact[i] = (char)data[i];
    r = format->read(exact, size, &root, &err);
    free(exact);
    if (r < 0) {
        if (err.class != ES_INVALID)
            abort();
        return 0;
    }
    es_table_sort(&root);
    if (fuzz_accepted(format, &root) && es_format_render(format, &root, &text, &err) < 0)
        abort();
    return 0;
}

#endif
