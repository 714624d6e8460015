/* Checksums: check values, any cut into updates, and which header counts. */
#include "../../providers/aws/checksum.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check(enum es_checksum_kind kind, const void *data, size_t len, size_t chunk,
                  char text[ES_CHECKSUM_TEXT])
{
    struct es_checksum sum = {0};
    struct es_err err;

    assert_int_equal(es_checksum_init(&sum, kind, &err), 0);
    for (size_t at = 0; at < len; at += chunk) {
        size_t n = len - at < chunk ? len - at : chunk;

        assert_int_equal(es_checksum_update(&sum, (const char *)data + at, n, &err), 0);
    }
    assert_int_equal(es_checksum_final(&sum, text, &err), 0);
    es_checksum_done(&sum);
}

static const struct {
    enum es_checksum_kind kind;
    const char *digits, *nothing; /* of "123456789" and of no bytes */
} known[] = {
    {ES_CHECKSUM_CRC32, "y/Q5Jg==", "AAAAAA=="},
    {ES_CHECKSUM_CRC32C, "4waSgw==", "AAAAAA=="},
    {ES_CHECKSUM_CRC64NVME, "rosUhgp5mIg=", "AAAAAAAAAAA="},
    {ES_CHECKSUM_SHA1, "98O8HYCOBHMq32eZZczDTKeuNEE=", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
    {ES_CHECKSUM_SHA256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
};

static void check_values_come_out(void **state)
{
    char text[ES_CHECKSUM_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        check(known[i].kind, "123456789", 9, 9, text);
        assert_string_equal(text, known[i].digits);
        check(known[i].kind, "123456789", 9, 2, text);
        assert_string_equal(text, known[i].digits);
        check(known[i].kind, "", 0, 1, text);
        assert_string_equal(text, known[i].nothing);
    }
}

static void a_cut_into_updates_and_alignment_make_no_difference(void **state)
{
    unsigned char data[1025];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 167 + 13);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char whole[ES_CHECKSUM_TEXT], bytes[ES_CHECKSUM_TEXT], odd[ES_CHECKSUM_TEXT];

        check(known[i].kind, data + 1, 1024, 1024, whole);
        check(known[i].kind, data + 1, 1024, 1, bytes);
        check(known[i].kind, data + 1, 1024, 13, odd);
        assert_string_equal(whole, bytes);
        assert_string_equal(whole, odd);
        data[500] ^= 1;
        check(known[i].kind, data + 1, 1024, 1024, odd);
        assert_string_not_equal(whole, odd);
    }
}

static void the_strongest_whole_object_checksum_is_picked(void **state)
{
    struct es_checksum_want want = {0};

    (void)state;
    es_checksum_pick(&want, "x-amz-checksum-type", "FULL_OBJECT");
    es_checksum_pick(&want, "x-amz-checksum-crc99", "AAAA");
    es_checksum_pick(&want, "x-amz-checksum-sha256",
                     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3");
    es_checksum_pick(&want, "x-amz-checksum-", "AAAA");
    es_checksum_pick(&want, "x-amz-checksum-none", "AAAA");
    es_checksum_pick(&want, "etag", "y/Q5Jg==");
    assert_int_equal(want.kind, ES_CHECKSUM_NONE);
    es_checksum_pick(&want, "X-Amz-Checksum-CRC32", "y/Q5Jg==");
    assert_int_equal(want.kind, ES_CHECKSUM_CRC32);
    assert_string_equal(want.text, "y/Q5Jg==");
    es_checksum_pick(&want, "x-amz-checksum-crc64nvme", "rosUhgp5mIg=");
    assert_int_equal(want.kind, ES_CHECKSUM_CRC64NVME);
    es_checksum_pick(&want, "x-amz-checksum-sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    assert_int_equal(want.kind, ES_CHECKSUM_CRC64NVME);
    assert_string_equal(want.text, "rosUhgp5mIg=");
}

static void a_malformed_checksum_never_matches_and_never_overflows(void **state)
{
    struct es_checksum_want want = {0};
    char text[ES_CHECKSUM_TEXT], huge[500];

    (void)state;
    memset(huge, 'A', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    es_checksum_pick(&want, "x-amz-checksum-crc32", huge);
    assert_int_equal(want.kind, ES_CHECKSUM_CRC32);
    check(want.kind, "", 0, 1, text);
    assert_string_not_equal(want.text, text);
    want = (struct es_checksum_want){0};
    es_checksum_pick(&want, "x-amz-checksum-crc32", "");
    assert_int_equal(want.kind, ES_CHECKSUM_CRC32);
    assert_string_not_equal(want.text, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_values_come_out),
        cmocka_unit_test(a_cut_into_updates_and_alignment_make_no_difference),
        cmocka_unit_test(the_strongest_whole_object_checksum_is_picked),
        cmocka_unit_test(a_malformed_checksum_never_matches_and_never_overflows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
