/* Listings: what a page gives, however it is cut into chunks, and what is not one. */
#include "../../providers/aws/s3_list.h"
#include "../../providers/aws/xml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int read_page(const char *text, size_t len, size_t chunk, struct es_s3_page *page,
                     struct es_err *err)
{
    ES_CLEANUP(es_s3_list_freep) struct es_s3_list *list = NULL;
    int r = es_s3_list_new(&list, err);

    assert_int_equal(r, 0);
    for (size_t at = 0; r == 0 && at < len; at += chunk)
        r = es_s3_list_feed(list, text + at, len - at < chunk ? len - at : chunk, err);
    return r ? r : es_s3_list_finish(list, page, err);
}

static void refused(const char *text)
{
    struct es_s3_page page = {0};
    struct es_err err = {0};
    int r = read_page(text, strlen(text), 7, &page, &err);

    if (r == 0)
        print_message("accepted: %.200s\n", text);
    assert_true(r < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_null(page.entries);
}

#define ROOT "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define END  "<IsTruncated>false</IsTruncated></ListBucketResult>"

static const char full[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" ROOT
    "<Name>b</Name><Prefix>a+b%2F</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>\n"
    "  <Contents><Key>a+b%2Fc%2Bd%25%C3%BC</Key><LastModified>2026-01-02T03:04:05.678Z"
    "</LastModified><ETag>&quot;abc&quot;</ETag><Size>12</Size><Owner><ID>x</ID></Owner>"
    "<StorageClass>GLACIER</StorageClass></Contents>\n"
    "  <Contents><Key>a+b%2F%00</Key><Size>0</Size></Contents>"
    "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
    "<NextContinuationToken>1+ab/==</NextContinuationToken></ListBucketResult>";

static void a_page_reads_the_same_in_chunks_of_any_size(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk < sizeof full; chunk++) {
        struct es_s3_page page = {0};
        struct es_err err;

        assert_int_equal(read_page(full, sizeof full - 1, chunk, &page, &err), 0);
        assert_int_equal(page.n, 2);
        assert_true(page.truncated && !page.failed);
        assert_string_equal(page.token.data, "1+ab/==");
        assert_string_equal(page.prefix.data, "a b/");
        assert_string_equal(page.entries[0].key, "a b/c+d%\xc3\xbc");
        assert_string_equal(page.entries[0].etag, "\"abc\"");
        assert_string_equal(page.entries[0].storage_class, "GLACIER");
        assert_int_equal(page.entries[0].size, 12);
        assert_int_equal(page.entries[0].modified_ms, INT64_C(1767323045678));
        assert_int_equal(page.entries[1].key_len, 5);
        assert_memory_equal(page.entries[1].key, "a b/\0", 5);
        assert_int_equal(page.entries[1].modified_ms, -1);
        assert_string_equal(page.entries[1].etag, "");
        es_s3_page_done(&page);
    }
}

static void keys_are_taken_as_they_are_without_an_encoding(void **state)
{
    static const char text[] =
        "<s3:ListBucketResult xmlns:s3=\"x\"><s3:Contents><s3:Key>a+b%2F&lt;c&amp;</s3:Key>"
        "<s3:Size>5497558138880</s3:Size></s3:Contents><IsTruncated>false</IsTruncated>"
        "</s3:ListBucketResult>";
    struct es_s3_page page = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(read_page(text, strlen(text), 1000, &page, &err), 0);
    assert_string_equal(page.entries[0].key, "a+b%2F<c&");
    assert_int_equal(page.entries[0].size, INT64_C(5497558138880));
    es_s3_page_done(&page);
}

static void an_empty_page_is_a_page(void **state)
{
    struct es_s3_page page = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(read_page(ROOT END, strlen(ROOT END), 9, &page, &err), 0);
    assert_int_equal(page.n, 0);
    assert_false(page.truncated || page.failed);
    es_s3_page_done(&page);
}

static void an_error_in_a_200_is_reported_as_one(void **state)
{
    static const char text[] = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code>"
                               "<RequestId>R1</RequestId><Contents/></Error>";
    struct es_s3_page page = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(read_page(text, strlen(text), 5, &page, &err), 0);
    assert_true(page.failed);
    assert_int_equal(page.n, 0);
    assert_string_equal(page.error.code, "InternalError");
    assert_string_equal(page.error.request_id, "R1");
    es_s3_page_done(&page);
}

static void what_is_no_listing_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "<html></html>",
        "{}",
        ROOT,
        ROOT "</ListBucketResult>",
        ROOT "<IsTruncated>true</IsTruncated></ListBucketResult>",
        ROOT "<IsTruncated>true</IsTruncated><NextContinuationToken/></ListBucketResult>",
        ROOT "<IsTruncated>maybe</IsTruncated></ListBucketResult>",
        ROOT "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>" END,
        ROOT "<EncodingType>rot13</EncodingType>" END,
        ROOT "<Contents><Key>a</Key></Contents>" END,
        ROOT "<Contents><Size>1</Size></Contents>" END,
        ROOT "<Contents/>" END,
        ROOT "<Contents><Key></Key><Size>1</Size></Contents>" END,
        ROOT "<Contents><Key>a</Key><Size>-1</Size></Contents>" END,
        ROOT "<Contents><Key>a</Key><Size></Size></Contents>" END,
        ROOT "<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>" END,
        ROOT "<Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents>" END,
        ROOT "<Contents><Key>a</Key><Size>1</Size><LastModified>x</LastModified></Contents>" END,
        ROOT "<EncodingType>url</EncodingType><Contents><Key>%4</Key><Size>1</Size></Contents>" END,
        ROOT
        "<EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>1</Size></Contents>" END,
        ROOT END "<x/>",
        "<!DOCTYPE x>" ROOT END,
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" ROOT "&b;" END,
        ROOT "&unknown;" END,
        ROOT "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a>"
             "</a></a></a></a></a></a></a></a></a>" END,
        ROOT "\xff" END,
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i]);
}

static void texts_tokens_and_documents_are_bounded(void **state)
{
    size_t size = ES_S3_MAX_PAGE + 4096;
    char *text = malloc(size);
    size_t start;
    struct es_s3_page page = {0};
    struct es_err err;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, ROOT "<Prefix>", sizeof ROOT "<Prefix>" - 1);
    text[sizeof ROOT + ES_XML_TEXT + 100] = '\0';
    refused(text);
    memset(text, 'x', size);
    start = sizeof ROOT "<!--" - 1;
    memcpy(text, ROOT "<!--", start);
    assert_int_equal(read_page(text, ES_S3_MAX_PAGE, 16384, &page, &err), -EBADMSG);
    assert_non_null(strstr(err.msg, "too long a token"));
    for (size_t i = 0; i + 4 <= size; i += 4)
        memcpy(text + i, "<a/>", 4);
    memset(text, ' ', 4 * sizeof ROOT);
    memcpy(text, ROOT, sizeof ROOT - 1);
    memset(text + ES_S3_MAX_PAGE - 4 * sizeof END, ' ', 4 * sizeof END + 4);
    memcpy(text + ES_S3_MAX_PAGE - sizeof END + 1, END, sizeof END - 1);
    assert_int_equal(read_page(text, ES_S3_MAX_PAGE, 16384, &page, &err), 0);
    es_s3_page_done(&page);
    assert_int_equal(read_page(text, ES_S3_MAX_PAGE + 1, 16384, &page, &err), -EFBIG);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_reads_the_same_in_chunks_of_any_size),
        cmocka_unit_test(keys_are_taken_as_they_are_without_an_encoding),
        cmocka_unit_test(an_empty_page_is_a_page),
        cmocka_unit_test(an_error_in_a_200_is_reported_as_one),
        cmocka_unit_test(what_is_no_listing_is_refused),
        cmocka_unit_test(texts_tokens_and_documents_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
