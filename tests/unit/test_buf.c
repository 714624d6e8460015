/* base/buf.c */
#include "envsync/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void appending_keeps_every_byte_and_ends_with_nul(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf buf = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(es_buf_append(&buf, "a\0b", 3), 0);
    assert_int_equal(buf.len, 3000);
    for (size_t i = 0; i < buf.len; i += 3)
        assert_memory_equal(buf.data + i, "a\0b", 3);
    assert_int_equal(buf.data[buf.len], '\0');
}

static void clearing_leaves_no_byte_of_a_secret_behind(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf buf = {0};

    (void)state;
    assert_int_equal(es_buf_append(&buf, "hunter2", 7), 0);
    es_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    for (size_t i = 0; i < buf.cap; i++)
        assert_int_equal(buf.data[i], 0);
}

static void a_size_that_would_overflow_is_refused_and_the_buffer_stays(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf buf = {0};

    (void)state;
    assert_int_equal(es_buf_append(&buf, "kept", 4), 0);
    assert_true(es_buf_reserve(&buf, SIZE_MAX) < 0);
    assert_int_equal(buf.len, 4);
    assert_string_equal(buf.data, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending_keeps_every_byte_and_ends_with_nul),
        cmocka_unit_test(clearing_leaves_no_byte_of_a_secret_behind),
        cmocka_unit_test(a_size_that_would_overflow_is_refused_and_the_buffer_stays),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
