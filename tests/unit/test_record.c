/* base/record.c */
#include "core_case.h"

#include "envsync/limits.h"

static void make_record(struct es_record *record)
{
    static const char json[] = "[\"text\",-9223372036854775808,1.5,true,false,[],[[\"x\"]],{\"k\":{"
                               "\"deep\":[1]},\"e\":{}}]";
    struct es_err err;

    *record = (struct es_record){.source = 3, .rank = UINT32_MAX, .line = 7, .verbatim = true};
    assert_int_equal(es_key_parse("a.\"b.c\"", &record->key, &err), 0);
    assert_int_equal(es_json_parse(json, sizeof json - 1, &record->value, &err), 0);
    assert_int_equal(es_buf_puts(&record->object, "prod/app.json"), 0);
    assert_int_equal(es_buf_puts(&record->version, "v1"), 0);
}

static void a_record_survives_the_wire(void **state)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0}, back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
    struct es_cursor in;

    (void)state;
    make_record(&record);
    assert_int_equal(es_put_record(&wire, &record), 0);
    in = (struct es_cursor){.p = wire.data, .left = wire.len};
    assert_int_equal(es_get_record(&in, &back), 0);
    assert_int_equal(in.left, 0);
    assert_int_equal(back.source, 3);
    assert_int_equal(back.rank, UINT32_MAX);
    assert_int_equal(back.line, 7);
    assert_true(back.verbatim);
    assert_true(es_buf_equal(&back.key, &record.key));
    assert_true(es_buf_equal(&back.object, &record.object));
    assert_true(es_buf_equal(&back.version, &record.version));
    assert_true(es_value_equal(&back.value, &record.value, false));
}

static void every_type_of_value_survives_the_wire(void **state)
{
    struct es_value values[] = {
        {.type = ES_INTEGER, .integer = INT64_MIN},
        {.type = ES_FLOAT, .number = -0.0},
        {.type = ES_FLOAT, .number = strtod("nan", NULL)},
        {.type = ES_FLOAT, .number = strtod("-inf", NULL)},
        {.type = ES_BOOLEAN, .boolean = true},
        {.type = ES_DATETIME},
        {.type = ES_LIST},
        {.type = ES_TABLE},
        {.type = ES_STRING},
    };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ES_CLEANUP(es_value_done) struct es_value back = {0};
        ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
        struct es_cursor in;

        assert_int_equal(es_put_value(&wire, &values[i]), 0);
        in = (struct es_cursor){.p = wire.data, .left = wire.len};
        assert_int_equal(es_get_value(&in, &back), 0);
        assert_true(es_value_equal(&back, &values[i], false));
    }
}

/* Each cut is a block of just its size, so that a sanitizer sees a byte read too far. */
static void a_record_that_is_cut_at_any_byte_is_refused(void **state)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};

    (void)state;
    make_record(&record);
    assert_int_equal(es_put_record(&wire, &record), 0);
    for (size_t len = 0; len < wire.len; len++) {
        struct es_record back = {.source = 4711};
        char *exact = malloc(len ? len : 1);
        struct es_cursor in = {.p = exact, .left = len};

        assert_non_null(exact);
        memcpy(exact, wire.data, len);
        assert_int_equal(es_get_record(&in, &back), -EBADMSG);
        assert_int_equal(in.left, len);
        assert_ptr_equal(in.p, exact);
        assert_int_equal(back.source, 4711);
        free(exact);
    }
}

/* Whatever one byte is made into, the decoder gives a record or refuses; nothing else. */
static void a_record_with_any_byte_changed_is_no_danger(void **state)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};

    (void)state;
    make_record(&record);
    assert_int_equal(es_put_record(&wire, &record), 0);
    for (size_t at = 0; at < wire.len; at++)
        for (int value = 0; value < 256; value += 5) {
            ES_CLEANUP(es_record_done) struct es_record back = {0};
            struct es_cursor in = {.p = wire.data, .left = wire.len};
            char kept = wire.data[at];
            struct es_err err;
            int r;

            wire.data[at] = (char)value;
            r = es_get_record(&in, &back);
            wire.data[at] = kept;
            assert_true(r == 0 || r == -EBADMSG);
            if (r == 0)
                (void)es_record_check(&back, &err);
        }
}

static void assert_bad_value(const char *bytes, size_t len)
{
    struct es_value back = {.type = ES_INTEGER, .integer = 4711};
    struct es_cursor in = {.p = bytes, .left = len};

    assert_int_equal(es_get_value(&in, &back), -EBADMSG);
    assert_int_equal(back.integer, 4711);
    assert_int_equal(in.left, len);
}
#define ASSERT_BAD_VALUE(bytes) assert_bad_value(bytes, sizeof(bytes) - 1)

static void lengths_that_lie_are_refused(void **state)
{
    (void)state;
    ASSERT_BAD_VALUE("\x00\xff\xff\xff\xff"
                     "abc");
    ASSERT_BAD_VALUE("\x00\x04\0\0\0"
                     "abc");
    ASSERT_BAD_VALUE("\x05\xff\xff\xff\xff\x03\x01");
    ASSERT_BAD_VALUE("\x06\xff\xff\xff\xff\x01\0\0\0k\x03\x01");
    ASSERT_BAD_VALUE("\x06\x01\0\0\0\xff\xff\xff\x7fk\x03\x01");
}

static void types_and_booleans_that_are_none_are_refused(void **state)
{
    (void)state;
    ASSERT_BAD_VALUE("\x07");
    ASSERT_BAD_VALUE("\xff");
    ASSERT_BAD_VALUE("\x03\x02");
    ASSERT_BAD_VALUE("");
}

static void a_key_that_comes_twice_in_a_table_is_refused(void **state)
{
    (void)state;
    ASSERT_BAD_VALUE("\x06\x02\0\0\0\x01\0\0\0k\x03\x01\x01\0\0\0k\x03\x01");
}

static void nesting_is_followed_to_its_limit_and_no_deeper(void **state)
{
    (void)state;
    for (size_t depth = ES_MAX_DEPTH - 1; depth <= ES_MAX_DEPTH + 1; depth++) {
        ES_CLEANUP(es_value_done) struct es_value back = {0};
        ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
        struct es_cursor in;

        for (size_t i = 0; i < depth; i++)
            assert_int_equal(es_buf_append(&wire, "\x05\x01\0\0\0", 5), 0);
        assert_int_equal(es_buf_append(&wire, "\x03\x01", 2), 0);
        in = (struct es_cursor){.p = wire.data, .left = wire.len};
        assert_int_equal(es_get_value(&in, &back), depth <= ES_MAX_DEPTH ? 0 : -EBADMSG);
    }
}

/* A megabyte of opening brackets must neither recurse nor allocate its way down. */
static void a_tower_of_lists_is_refused(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};

    (void)state;
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(es_buf_append(&wire, "\x05\x01\0\0\0", 5), 0);
    assert_bad_value(wire.data, wire.len);
}

static void numbers_are_little_endian(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
    struct es_cursor in;
    uint32_t small;
    uint64_t large;
    uint8_t byte;

    (void)state;
    assert_int_equal(es_put_u8(&wire, 0xfe), 0);
    assert_int_equal(es_put_u32(&wire, 0x01020304), 0);
    assert_int_equal(es_put_u64(&wire, 0x8877665544332211), 0);
    assert_int_equal(wire.len, 13);
    assert_memory_equal(wire.data, "\xfe\x04\x03\x02\x01\x11\x22\x33\x44\x55\x66\x77\x88", 13);
    in = (struct es_cursor){.p = wire.data, .left = wire.len};
    assert_int_equal(es_get_u8(&in, &byte), 0);
    assert_int_equal(es_get_u32(&in, &small), 0);
    assert_int_equal(es_get_u64(&in, &large), 0);
    assert_int_equal(byte, 0xfe);
    assert_int_equal(small, 0x01020304);
    assert_true(large == 0x8877665544332211);
    assert_int_equal(es_get_u8(&in, &byte), -EBADMSG);
}

static void a_frame_is_length_type_and_payload(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0}, payload = {0};

    (void)state;
    assert_int_equal(es_buf_puts(&payload, "abc"), 0);
    assert_int_equal(es_put_frame(&wire, ES_FRAME_NOTE, &payload), 0);
    assert_int_equal(wire.len, 8);
    assert_memory_equal(wire.data,
                        "\x04\0\0\0\x04"
                        "abc",
                        8);
}

static int check(const char *key, size_t len, struct es_value *value, struct es_err *err)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};

    assert_int_equal(es_buf_set(&record.key, key, len), 0);
    if (value)
        es_value_move(&record.value, value);
    return es_record_check(&record, err);
}

static void a_record_needs_a_whole_key(void **state)
{
    struct es_err err;

    (void)state;
    assert_int_equal(check("a\0", 2, NULL, &err), 0);
    assert_int_equal(check("", 0, NULL, &err), -EBADMSG);
    assert_int_equal(check("a", 1, NULL, &err), -EBADMSG);
    assert_int_equal(check("a\0b", 3, NULL, &err), -EBADMSG);
    assert_int_equal(err.class, ES_INTERNAL);
}

static void a_key_of_other_bytes_than_utf8_is_invalid_and_shown_safely(void **state)
{
    struct es_err err;

    (void)state;
    assert_int_equal(check("\xff\x1b\0", 3, NULL, &err), -EILSEQ);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, "\"\\xFF\\u001B\": the key is not valid UTF-8");
}

static void a_key_is_taken_up_to_its_limit(void **state)
{
    char key[ES_MAX_KEY + 2];
    struct es_err err;

    (void)state;
    memset(key, 'k', sizeof key);
    key[ES_MAX_KEY] = '\0';
    assert_int_equal(check(key, ES_MAX_KEY + 1, NULL, &err), 0);
    key[ES_MAX_KEY] = 'k';
    key[ES_MAX_KEY + 1] = '\0';
    assert_int_equal(check(key, ES_MAX_KEY + 2, NULL, &err), -EMSGSIZE);
    assert_int_equal(err.class, ES_INVALID);
}

static void a_record_holds_no_table_but_an_empty_one(void **state)
{
    struct es_value empty = {.type = ES_TABLE}, full = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_json_parse("{\"a\":1}", 7, &full, &err), 0);
    assert_int_equal(check("a\0", 2, &empty, &err), 0);
    assert_int_equal(check("a\0", 2, &full, &err), -EBADMSG);
}

static void segments_and_nesting_count_together(void **state)
{
    struct es_err err;

    (void)state;
    for (size_t lists = ES_MAX_DEPTH - 4; lists <= ES_MAX_DEPTH - 2; lists++) {
        char json[2 * ES_MAX_DEPTH + 1] = "";
        struct es_value value = {0};

        memset(json, '[', lists);
        memset(json + lists, ']', lists);
        assert_int_equal(es_json_parse(json, 2 * lists, &value, &err), 0);
        assert_int_equal(check("a\0b\0c\0", 6, &value, &err),
                         3 + lists <= ES_MAX_DEPTH ? 0 : -EMSGSIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_survives_the_wire),
        cmocka_unit_test(every_type_of_value_survives_the_wire),
        cmocka_unit_test(a_record_that_is_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_record_with_any_byte_changed_is_no_danger),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(types_and_booleans_that_are_none_are_refused),
        cmocka_unit_test(a_key_that_comes_twice_in_a_table_is_refused),
        cmocka_unit_test(nesting_is_followed_to_its_limit_and_no_deeper),
        cmocka_unit_test(a_tower_of_lists_is_refused),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(a_frame_is_length_type_and_payload),
        cmocka_unit_test(a_record_needs_a_whole_key),
        cmocka_unit_test(a_key_of_other_bytes_than_utf8_is_invalid_and_shown_safely),
        cmocka_unit_test(a_key_is_taken_up_to_its_limit),
        cmocka_unit_test(a_record_holds_no_table_but_an_empty_one),
        cmocka_unit_test(segments_and_nesting_count_together),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
