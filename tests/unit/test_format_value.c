/* The format value: bytes as they are. */
#include "format_case.h"

static void writes_any_bytes_and_nothing_more(void **state)
{
    static const char bytes[] = "a\0\xff\xfe\r\n'";
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_value_set_string(&value, bytes, sizeof bytes), 0);
    assert_null(es_format_value.accepts(NULL, &value));
    assert_int_equal(es_format_render(&es_format_value, &value, &out, &err), 0);
    assert_int_equal(out.len, sizeof bytes);
    assert_memory_equal(out.data, bytes, sizeof bytes);
}

static void an_empty_value_is_an_empty_document(void **state)
{
    struct es_value value = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_format_render(&es_format_value, &value, &out, &err), 0);
    assert_int_equal(out.len, 0);
}

static void is_never_read(void **state)
{
    (void)state;
    assert_null(es_format_value.read);
    assert_false(es_format_value.source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_any_bytes_and_nothing_more),
        cmocka_unit_test(an_empty_value_is_an_empty_document),
        cmocka_unit_test(is_never_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
