/* A listing, cut in two at a place that the input chooses: no chunking may change what is read,
 * and whatever is accepted is whole. */
#include "../../providers/aws/s3_list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_page(const char *text, size_t len, size_t cut, struct es_s3_page *page)
{
    struct es_s3_list *list;
    struct es_err err;
    int r = es_s3_list_new(&list, &err);

    if (r == 0)
        r = es_s3_list_feed(list, text, cut, &err);
    if (r == 0)
        r = es_s3_list_feed(list, text + cut, len - cut, &err);
    if (r == 0)
        r = es_s3_list_finish(list, page, &err);
    es_s3_list_free(list);
    return r;
}

static void must(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct es_s3_page whole = {0}, cut = {0};
    const char *text = (const char *)data + 1;
    int a, b;

    if (size < 2)
        return 0;
    size--;
    a = read_page(text, size, size, &whole);
    b = read_page(text, size, size * data[0] / 256, &cut);
    must((a == 0) == (b == 0));
    if (a == 0) {
        must(whole.n == cut.n && whole.failed == cut.failed && whole.truncated == cut.truncated);
        must(!whole.truncated || whole.token.len > 0);
        for (size_t i = 0; i < whole.n; i++) {
            must(whole.entries[i].key_len > 0 && whole.entries[i].size >= 0);
            must(whole.entries[i].key_len == cut.entries[i].key_len);
            must(memcmp(whole.entries[i].key, cut.entries[i].key, whole.entries[i].key_len) == 0);
            must(strcmp(whole.entries[i].etag, cut.entries[i].etag) == 0);
        }
    }
    es_s3_page_done(&whole);
    es_s3_page_done(&cut);
    return 0;
}
