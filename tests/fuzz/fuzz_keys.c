/* Credentials as a container, a process or STS gives them (the first byte says which): what was
 * read may become a header, and no message has any of it. */
#include "../../providers/aws/inner.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Values of the corpus start so. */
static const char canary[] = "CANARY";

static void check(const struct es_buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] <= ' ' || (unsigned char)text->data[i] >= 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_aws_keys_done) struct es_aws_keys keys = {0};
    const char *text = (const char *)data + 1;
    struct es_err err = {0};
    int64_t expires = 0;
    int r;

    if (size == 0)
        return 0;
    if (data[0] == 'x')
        r = es_aws_keys_read_sts(text, size - 1, &keys, &expires, &err);
    else
        r = es_aws_keys_read(text, size - 1, data[0] == 'p', &keys, &expires, &err);
    if (r < 0 && (strstr(err.msg, canary) || keys.id.len || expires))
        abort();
    if (r == 0 && (!keys.id.len || !keys.secret.len))
        abort();
    check(&keys.id);
    check(&keys.secret);
    check(&keys.token);
    return 0;
}
