/* core/clock.c */
#include "core_case.h"

#include "core/clock.h"

#include <limits.h>

static void time_does_not_go_back(void **state)
{
    int64_t last = es_clock_ms();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = es_clock_ms();

        assert_true(now >= last);
        last = now;
    }
}

static void what_is_left_is_never_negative_and_never_overflows(void **state)
{
    (void)state;
    assert_int_equal(es_clock_left(es_clock_ms() - 5), 0);
    assert_int_equal(es_clock_left(0), 0);
    assert_int_equal(es_clock_left(INT64_MAX), INT_MAX);
    assert_in_range(es_clock_left(es_clock_ms() + 10000), 9000, 10000);
}

static void a_nap_ends_at_the_deadline(void **state)
{
    int64_t begun = es_clock_ms();

    (void)state;
    es_clock_nap(60000, begun + 30);
    assert_in_range(es_clock_ms() - begun, 25, 5000);
    es_clock_nap(60000, begun);
    es_clock_nap(0, INT64_MAX);
    assert_true(es_clock_ms() - begun < 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_does_not_go_back),
        cmocka_unit_test(what_is_left_is_never_negative_and_never_overflows),
        cmocka_unit_test(a_nap_ends_at_the_deadline),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
