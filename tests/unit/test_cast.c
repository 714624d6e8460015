/* core/cast.c */
#include "core_case.h"

#include "core/cast.h"

#include <math.h>

static void make(const char *text, bool json, struct es_value *ret)
{
    struct es_err err;

    if (json)
        assert_int_equal(es_json_parse(text, strlen(text), ret, &err), 0);
    else
        assert_int_equal(es_value_set_string(ret, text, strlen(text)), 0);
}

/* `text` is a string, `json` any value; one of them is NULL. */
struct conversion {
    enum es_cast cast;
    const char *text, *json;
    const char *becomes; /* as JSON, or NULL where it is refused */
};

static void a_value_becomes_its_type_or_is_refused(void **state)
{
    static const struct conversion cases[] = {
        {ES_CAST_NONE, "5", NULL, "\"5\""},
        {ES_CAST_STRING, NULL, "5", "\"5\""},
        {ES_CAST_STRING, NULL, "1.50", "\"1.5\""},
        {ES_CAST_STRING, NULL, "true", "\"true\""},
        {ES_CAST_STRING, NULL, "[1,\"a\"]", "\"[1,\\\"a\\\"]\""},
        {ES_CAST_STRING, "x", NULL, "\"x\""},
        {ES_CAST_INTEGER, "42", NULL, "42"},
        {ES_CAST_INTEGER, "-9223372036854775808", NULL, "-9223372036854775808"},
        {ES_CAST_INTEGER, NULL, "7", "7"},
        {ES_CAST_INTEGER, "9223372036854775808", NULL, NULL},
        {ES_CAST_INTEGER, "4.0", NULL, NULL},
        {ES_CAST_INTEGER, "", NULL, NULL},
        {ES_CAST_INTEGER, " 4", NULL, NULL},
        {ES_CAST_INTEGER, NULL, "4.0", NULL},
        {ES_CAST_INTEGER, NULL, "true", NULL},
        {ES_CAST_FLOAT, "1.5", NULL, "1.5"},
        {ES_CAST_FLOAT, NULL, "2.5", "2.5"},
        {ES_CAST_FLOAT, "3", NULL, "3.0"},
        {ES_CAST_FLOAT, NULL, "3", "3.0"},
        {ES_CAST_FLOAT, NULL, "9007199254740992", "9007199254740992.0"},
        {ES_CAST_FLOAT, NULL, "9007199254740993", NULL},
        {ES_CAST_FLOAT, "nan", NULL, NULL},
        {ES_CAST_FLOAT, "1e999", NULL, NULL},
        {ES_CAST_FLOAT, NULL, "false", NULL},
        {ES_CAST_BOOLEAN, "true", NULL, "true"},
        {ES_CAST_BOOLEAN, "false", NULL, "false"},
        {ES_CAST_BOOLEAN, NULL, "true", "true"},
        {ES_CAST_BOOLEAN, "True", NULL, NULL},
        {ES_CAST_BOOLEAN, "1", NULL, NULL},
        {ES_CAST_BOOLEAN, "", NULL, NULL},
        {ES_CAST_BOOLEAN, NULL, "1", NULL},
        {ES_CAST_LIST, "a,b", NULL, "[\"a\",\"b\"]"},
        {ES_CAST_LIST, "a", NULL, "[\"a\"]"},
        {ES_CAST_LIST, "", NULL, "[]"},
        {ES_CAST_LIST, ",", NULL, "[\"\",\"\"]"},
        {ES_CAST_LIST, "a,", NULL, "[\"a\",\"\"]"},
        {ES_CAST_LIST, "a, b", NULL, "[\"a\",\" b\"]"},
        {ES_CAST_LIST, NULL, "[1]", "[1]"},
        {ES_CAST_LIST, NULL, "1", NULL},
        {ES_CAST_JSON, NULL, "5", "5"},
        {ES_CAST_JSON, NULL, "[1,true]", "[1,true]"},
        {ES_CAST_JSON, "[1]", NULL, NULL}, /* text is a worker's to parse, never ours */
        {ES_CAST_JSON, "", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct conversion *c = &cases[i];
        ES_CLEANUP(es_value_done) struct es_value value = {0}, before = {0}, wanted = {0};
        const char *why = NULL;
        int r;

        make(c->text ? c->text : c->json, !c->text, &value);
        assert_int_equal(es_value_copy(&before, &value), 0);
        r = es_cast(&value, c->cast, &why);
        if (r != (c->becomes ? 0 : -EINVAL))
            fail_msg("%s: %d", c->text ? c->text : c->json, r);
        if (c->becomes)
            make(c->becomes, true, &wanted);
        else
            assert_int_equal(strncmp(why, "types: ", 7), 0);
        if (!es_value_equal(&value, c->becomes ? &wanted : &before, false))
            fail_msg("%s becomes something else", c->text ? c->text : c->json);
    }
}

static void a_date_time_is_text(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    const char *why;

    (void)state;
    make("2026-01-02", false, &value);
    value.type = ES_DATETIME;
    assert_int_equal(es_cast(&value, ES_CAST_INTEGER, &why), -EINVAL);
    assert_int_equal(es_cast(&value, ES_CAST_STRING, &why), 0);
    assert_int_equal(value.type, ES_STRING);
    assert_string_equal(value.text.data, "2026-01-02");
}

static void a_nul_in_a_number_is_refused(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    const char *why;

    (void)state;
    assert_int_equal(es_value_set_string(&value, "1\0", 2), 0);
    assert_int_equal(es_cast(&value, ES_CAST_INTEGER, &why), -EINVAL);
    assert_int_equal(es_cast(&value, ES_CAST_FLOAT, &why), -EINVAL);
    assert_int_equal(es_cast(&value, ES_CAST_BOOLEAN, &why), -EINVAL);
}

static void a_list_that_no_text_can_carry_is_refused(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    struct es_value *item;
    const char *why = NULL;

    (void)state;
    es_value_set_list(&value);
    assert_int_equal(es_list_add(&value, &item), 0);
    *item = (struct es_value){.type = ES_FLOAT, .number = INFINITY};
    assert_int_equal(es_cast(&value, ES_CAST_STRING, &why), -EINVAL);
    assert_string_equal(why, "types: this list or table cannot be text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_becomes_its_type_or_is_refused),
        cmocka_unit_test(a_date_time_is_text),
        cmocka_unit_test(a_nul_in_a_number_is_refused),
        cmocka_unit_test(a_list_that_no_text_can_carry_is_refused),
    };

    return cmocka_run_group_tests_name("cast", tests, NULL, NULL);
}
