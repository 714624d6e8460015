/* An error document and a header: whatever comes in, only short printable ASCII comes out. */
#include "../../providers/aws/endpoint.h"
#include "../../providers/aws/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *field, size_t room)
{
    size_t len = strnlen(field, room);

    if (len == room)
        abort();
    for (size_t i = 0; i < len; i++)
        if (field[i] <= ' ' || field[i] >= 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_aws_error error;
    struct es_err err;
    char header[32] = {0};
    size_t n = size < 31 ? size : 31;
    struct es_aws_error_headers headers;

    if (n)
        memcpy(header, data, n);
    for (int with = 0; with < 2; with++) {
        if (!with)
            headers = (struct es_aws_error_headers){0};
        else
            headers = (struct es_aws_error_headers){header, header, header};
        if (es_aws_error_read(&error, (const char *)data, size, &headers, &err) < 0)
            abort();
        check(error.code, sizeof error.code);
        check(error.request_id, sizeof error.request_id);
        check(error.region, sizeof error.region);
        check(error.action, sizeof error.action);
        check(error.resource, sizeof error.resource);
        if (*error.region && !es_aws_region_valid(error.region))
            abort();
        if (es_aws_error_text(&error, &text) < 0)
            abort();
    }
    return 0;
}
