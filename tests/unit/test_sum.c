/* core/commit/sum.c: the published values, and that any damage is seen. */
#include "core_case.h"

#include "core/commit/sum.h"

static uint64_t sum(const char *text)
{
    return es_sum_add(0, text, strlen(text));
}

/* "check" of CRC-64/XZ in the catalogue of parametrised CRC algorithms, and what `xz` computes. */
static void sums_are_those_of_crc_64_xz(void **state)
{
    (void)state;
    assert_true(sum("") == 0);
    assert_true(sum("123456789") == 0x995dc9bbdf1939faULL);
}

static void a_sum_may_be_taken_in_pieces(void **state)
{
    (void)state;
    assert_true(es_sum_add(sum("1234"), "56789", 5) == 0x995dc9bbdf1939faULL);
    assert_true(es_sum_add(sum("1234"), "", 0) == sum("1234"));
}

static bool same(struct es_sum a, struct es_sum b)
{
    return memcmp(a.bytes, b.bytes, ES_SUM) == 0;
}

static void every_flipped_bit_and_every_cut_breaks_the_sum(void **state)
{
    char text[300];
    struct es_sum whole;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    whole = es_sum_of("0123456789abcdef", "output-0", text, sizeof text);
    for (size_t i = 0; i < 8 * sizeof text; i++) {
        text[i / 8] ^= (char)(1 << i % 8);
        assert_false(same(whole, es_sum_of("0123456789abcdef", "output-0", text, sizeof text)));
        text[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t i = 0; i < sizeof text; i++)
        assert_false(same(whole, es_sum_of("0123456789abcdef", "output-0", text, i)));
    memset(text + 100, 0, 200); /* what a lost write leaves */
    assert_false(same(whole, es_sum_of("0123456789abcdef", "output-0", text, sizeof text)));
}

static void a_sum_belongs_to_one_set_and_one_name(void **state)
{
    struct es_sum sum = es_sum_of("0123456789abcdef", "output-0", "x", 1);

    (void)state;
    assert_true(same(sum, es_sum_of("0123456789abcdef", "output-0", "x", 1)));
    assert_false(same(sum, es_sum_of("0123456789abcdee", "output-0", "x", 1)));
    assert_false(same(sum, es_sum_of("0123456789abcdef", "output-1", "x", 1)));
    assert_false(same(es_sum_of("a", "bc", "d", 1), es_sum_of("ab", "c", "d", 1)));
    assert_false(same(es_sum_of("a", "bc", "d", 1), es_sum_of("a", "b", "cd", 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_crc_64_xz),
        cmocka_unit_test(a_sum_may_be_taken_in_pieces),
        cmocka_unit_test(every_flipped_bit_and_every_cut_breaks_the_sum),
        cmocka_unit_test(a_sum_belongs_to_one_set_and_one_name),
    };

    return cmocka_run_group_tests_name("sum", tests, NULL, NULL);
}
