/* base/utf8.c */
#include "core_case.h"

#include "envsync/utf8.h"

static void every_scalar_value_is_encoded_and_decoded_to_itself(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        uint32_t back = 0;
        char text[4];
        size_t n = es_utf8_encode(c, text);

        if (c >= 0xd800 && c < 0xe000) {
            assert_int_equal(n, 0);
            continue;
        }
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_int_equal(es_utf8_decode(text, n, &back), n);
        assert_int_equal(back, c);
    }
}

static void what_is_beyond_unicode_is_not_encoded(void **state)
{
    char text[4];

    (void)state;
    assert_int_equal(es_utf8_encode(0x110000, text), 0);
    assert_int_equal(es_utf8_encode(UINT32_MAX, text), 0);
}

static void overlong_surrogate_and_broken_bytes_are_refused(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc3(",
        "\xe2\x82(",
        "\xf0\x9f\x98(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t c = 4711;

        assert_int_equal(es_utf8_decode(bad[i], strlen(bad[i]), &c), 0);
        assert_int_equal(c, 4711);
        assert_false(es_utf8_valid(bad[i], strlen(bad[i])));
    }
}

/* Each text is a block of just its size, so that a sanitizer sees a byte read too far. */
static void a_character_that_is_cut_off_is_refused_without_reading_on(void **state)
{
    static const char *const whole[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t len = 1; len < strlen(whole[i]); len++) {
            char *exact = malloc(len);
            uint32_t c;

            assert_non_null(exact);
            memcpy(exact, whole[i], len);
            assert_int_equal(es_utf8_decode(exact, len, &c), 0);
            free(exact);
        }
}

static void the_span_ends_at_the_first_bad_byte(void **state)
{
    (void)state;
    assert_int_equal(es_utf8_span("a\xc3\xa9\xff"
                                  "b",
                                  5),
                     3);
    assert_int_equal(es_utf8_span("abc", 3), 3);
    assert_int_equal(es_utf8_span("", 0), 0);
    assert_true(es_utf8_valid("a\0b", 3));
}

static void noncharacters_are_known(void **state)
{
    size_t n = 0;

    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++)
        n += es_utf8_nonchar(c);
    assert_int_equal(n, 66);
    assert_true(es_utf8_nonchar(0xfdd0));
    assert_true(es_utf8_nonchar(0x10ffff));
    assert_false(es_utf8_nonchar(0xfdf0));
    assert_false(es_utf8_nonchar(0xfffd));
}

static void what_moves_a_terminal_or_turns_its_direction_is_known(void **state)
{
    static const uint32_t control[] = {0,      0x1b,   0x1f,   0x7f,   0x9f,   0x061c, 0x200e,
                                       0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069};
    static const uint32_t fine[] = {' ', '~', 0xa0, 0xe9, 0x200d, 0x2027, 0x202f, 0x2065, 0x1f600};

    (void)state;
    for (size_t i = 0; i < sizeof control / sizeof *control; i++)
        assert_true(es_utf8_control(control[i]));
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_false(es_utf8_control(fine[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_value_is_encoded_and_decoded_to_itself),
        cmocka_unit_test(what_is_beyond_unicode_is_not_encoded),
        cmocka_unit_test(overlong_surrogate_and_broken_bytes_are_refused),
        cmocka_unit_test(a_character_that_is_cut_off_is_refused_without_reading_on),
        cmocka_unit_test(the_span_ends_at_the_first_bad_byte),
        cmocka_unit_test(what_moves_a_terminal_or_turns_its_direction_is_known),
        cmocka_unit_test(noncharacters_are_known),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
