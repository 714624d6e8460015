/* base/err.c */
#include "core_case.h"

static void a_failure_returns_the_negative_number_and_keeps_class_and_message(void **state)
{
    struct es_err err;

    (void)state;
    assert_int_equal(es_fail(&err, ES_ABSENT, ENOENT, "%s: line %d", "file", 3), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    assert_string_equal(err.msg, "file: line 3");
}

static void a_failed_call_is_told_in_the_words_of_the_system(void **state)
{
    struct es_err err;

    (void)state;
    assert_int_equal(es_fail_errno(&err, ES_OUTPUT, ENOSPC, "write"), -ENOSPC);
    assert_string_equal(err.msg, "write: No space left on device");
}

static void context_stands_before_the_message_and_leaves_the_class(void **state)
{
    struct es_err err;

    (void)state;
    es_fail(&err, ES_DENIED, EPERM, "no");
    es_context(&err, "source %s", "x");
    assert_string_equal(err.msg, "source x: no");
    assert_int_equal(err.class, ES_DENIED);
}

/* All that is too long ends in "...", inside the struct, whoever made it so. */
static void a_message_that_is_too_long_is_cut_and_says_so(void **state)
{
    char text[2 * ES_ERR_MAX];
    struct es_err err;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int way = 0; way < 3; way++) {
        if (way == 0)
            es_fail(&err, ES_INVALID, EINVAL, "%s", text);
        else if (way == 1)
            es_fail_errno(&err, ES_INVALID, EINVAL, "%.*s", ES_ERR_MAX - 5, text);
        else
            es_context(&err, "%.*s", ES_ERR_MAX - 2, text);
        assert_int_equal(strlen(err.msg), ES_ERR_MAX - 1);
        assert_string_equal(err.msg + ES_ERR_MAX - 4, "...");
    }
}

static void a_message_that_just_fits_is_not_cut(void **state)
{
    char text[ES_ERR_MAX];
    struct es_err err;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    es_fail(&err, ES_INVALID, EINVAL, "%s", text);
    assert_string_equal(err.msg, text);
}

static void no_memory_is_a_fault_of_envsync_itself(void **state)
{
    struct es_err err;

    (void)state;
    assert_int_equal(es_nomem(&err), -ENOMEM);
    assert_int_equal(err.class, ES_INTERNAL);
    assert_string_equal(err.msg, "out of memory");
}

static void every_class_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (enum es_class a = 0; a < ES_CLASSES; a++)
        for (enum es_class b = 0; b < a; b++)
            assert_string_not_equal(es_class_name(a), es_class_name(b));
    assert_string_equal(es_class_name(ES_CLASSES), "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_the_negative_number_and_keeps_class_and_message),
        cmocka_unit_test(a_failed_call_is_told_in_the_words_of_the_system),
        cmocka_unit_test(context_stands_before_the_message_and_leaves_the_class),
        cmocka_unit_test(a_message_that_is_too_long_is_cut_and_says_so),
        cmocka_unit_test(a_message_that_just_fits_is_not_cut),
        cmocka_unit_test(no_memory_is_a_fault_of_envsync_itself),
        cmocka_unit_test(every_class_has_a_word_of_its_own),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
