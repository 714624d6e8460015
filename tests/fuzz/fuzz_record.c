/* Fuzzes the record decoder with what a worker that was taken over could send: it must refuse or
 * give a record, and a record that it gave must survive being encoded and decoded again. */
#include "envsync/record.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0}, again = {0};
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
    struct es_cursor in = {.p = (const char *)data, .left = size};
    struct es_err err;

    if (es_get_record(&in, &record) < 0)
        return 0;
    (void)es_record_check(&record, &err);
    if (es_put_record(&wire, &record) < 0)
        return 0;
    in = (struct es_cursor){.p = wire.data, .left = wire.len};
    if (es_get_record(&in, &again) < 0 || in.left != 0)
        abort();
    if (!es_value_equal(&record.value, &again.value, false) ||
        !es_buf_equal(&record.key, &again.key))
        abort();
    return 0;
}
