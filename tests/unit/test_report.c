/* core/report.c */
#include "core_case.h"

#include "envsync/limits.h"

static void messages_keep_order_level_and_class(void **state)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err;

    (void)state;
    es_report_add(&report, ES_LEVEL_NOTICE, "%s %d", "first", 1);
    es_fail(&err, ES_DENIED, EPERM, "100%% denied");
    es_report_error(&report, &err);
    assert_int_equal(report.n, 2);
    assert_string_equal(report.items[0].text, "first 1");
    assert_int_equal(report.items[0].level, ES_LEVEL_NOTICE);
    assert_string_equal(report.items[1].text, "100% denied");
    assert_int_equal(report.items[1].level, ES_LEVEL_ERROR);
    assert_int_equal(report.items[1].class, ES_DENIED);
}

static void what_is_over_the_cap_is_counted(void **state)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};

    (void)state;
    for (int i = 0; i < ES_MAX_NOTES + 3; i++)
        es_report_add(&report, ES_LEVEL_INFO, "%d", i);
    assert_int_equal(report.n, ES_MAX_NOTES);
    assert_int_equal(report.dropped, 3);
}

static void a_report_that_is_done_may_be_used_again(void **state)
{
    struct es_report report = {0};

    (void)state;
    es_report_add(&report, ES_LEVEL_INFO, "x");
    es_report_done(&report);
    assert_int_equal(report.n, 0);
    es_report_add(&report, ES_LEVEL_INFO, "y");
    assert_string_equal(report.items[0].text, "y");
    es_report_done(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_order_level_and_class),
        cmocka_unit_test(what_is_over_the_cap_is_counted),
        cmocka_unit_test(a_report_that_is_done_may_be_used_again),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
