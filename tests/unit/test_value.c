/* base/value.c */
#include "core_case.h"

#include "envsync/limits.h"

static struct es_entry *add(struct es_value *table, const char *key)
{
    struct es_entry *entry;

    assert_int_equal(es_table_add(table, key, strlen(key), &entry), 0);
    return entry;
}

static void parse(const char *json, struct es_value *ret)
{
    struct es_err err = {.msg = "nothing"};

    if (es_json_parse(json, strlen(json), ret, &err) < 0)
        fail_msg("%s: %s", json, err.msg);
}

static void a_zero_value_is_an_empty_string(void **state)
{
    struct es_value value = {0}, empty = {0};

    (void)state;
    assert_int_equal(es_value_set_string(&empty, "", 0), 0);
    assert_true(es_value_equal(&value, &empty, false));
    es_value_done(&empty);
    es_value_done(&value);
}

/* Across the step from a scan to an index, and its growth. */
static void a_table_finds_every_key_and_keeps_the_order_of_insertion(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE};
    char key[16];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%d", i * 7 % 2000);
        add(&table, key)->value = (struct es_value){.type = ES_INTEGER, .integer = i};
        assert_non_null(es_table_get(&table, "k0"));
        assert_null(es_table_get(&table, "k2000"));
    }
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%d", i * 7 % 2000);
        assert_true(es_buf_is(&table.table.entries[i].key, key));
        assert_int_equal(es_table_get(&table, key)->integer, i);
    }
}

static void adding_a_key_twice_names_the_one_that_is_there(void **state)
{
    (void)state;
    for (int n = 1; n < 40; n += 19) {
        ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE};
        struct es_entry *first, *second = NULL;
        char key[16];

        for (int i = 0; i < n; i++) {
            snprintf(key, sizeof key, "%d", i);
            add(&table, key);
        }
        first = es_table_find(&table, "0", 1);
        assert_int_equal(es_table_add(&table, "0", 1, &second), -EEXIST);
        assert_ptr_equal(first, second);
        assert_int_equal(table.table.n, n);
    }
}

static void keys_may_be_empty_and_may_hold_nul(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE};
    struct es_entry *entry;

    (void)state;
    assert_int_equal(es_table_add(&table, "", 0, &entry), 0);
    assert_int_equal(es_table_add(&table, "a\0b", 3, &entry), 0);
    assert_int_equal(es_table_add(&table, "a\0c", 3, &entry), 0);
    assert_int_equal(es_table_add(&table, "a", 1, &entry), 0);
    assert_int_equal(table.table.n, 4);
    assert_int_equal(es_table_add(&table, "", 0, &entry), -EEXIST);
    assert_non_null(es_table_find(&table, "a\0c", 3));
}

static void sorting_orders_bytewise_at_every_depth_and_keys_are_still_found(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    struct es_value *deep;

    (void)state;
    parse("{\"l\":[{\"b\":1,\"a\":2}],\"9\":0,\"10\":0,\"B\":0,\"a-b\":0,\"a\":0,\"ab\":0,\"h\":0,"
          "\"i\":0,\"\xc3\xa9\":{\"z\":0,\"y\":0}}",
          &value);
    es_table_sort(&value);
    for (size_t i = 1; i < value.table.n; i++)
        assert_true(strcmp(value.table.entries[i - 1].key.data, value.table.entries[i].key.data) <
                    0);
    for (size_t i = 0; i < value.table.n; i++)
        assert_ptr_equal(es_table_get(&value, value.table.entries[i].key.data),
                         &value.table.entries[i].value);
    deep = es_table_get(&value, "\xc3\xa9");
    assert_true(es_buf_is(&deep->table.entries[0].key, "y"));
    deep = &es_table_get(&value, "l")->list.items[0];
    assert_true(es_buf_is(&deep->table.entries[0].key, "a"));
}

static void a_copy_is_equal_and_independent(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0}, copy = {0};

    (void)state;
    parse("{\"s\":\"x\",\"i\":-1,\"f\":1.5,\"b\":true,\"l\":[1,[2]],\"t\":{\"u\":{}}}", &value);
    assert_int_equal(es_value_copy(&copy, &value), 0);
    assert_true(es_value_equal(&value, &copy, false));
    es_value_set_list(es_table_get(&value, "t"));
    assert_false(es_value_equal(&value, &copy, false));
    assert_int_equal(es_table_get(&copy, "t")->table.n, 1);
}

static void equality_knows_type_order_and_bits(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"1", "1.0", false},
        {"0.0", "-0.0", false},
        {"\"1\"", "1", false},
        {"true", "false", false},
        {"[]", "{}", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_value_done) struct es_value a = {0}, b = {0};

        parse(cases[i].a, &a);
        parse(cases[i].b, &b);
        assert_int_equal(es_value_equal(&a, &b, false), cases[i].equal);
        assert_int_equal(es_value_equal(&b, &a, true), cases[i].equal);
    }
}

static void nan_equals_nan(void **state)
{
    struct es_value a = {.type = ES_FLOAT, .number = strtod("nan", NULL)};
    struct es_value b = {.type = ES_FLOAT, .number = -strtod("nan", NULL)};

    (void)state;
    assert_true(es_value_equal(&a, &b, false));
}

static void a_date_time_equals_its_text_only_when_loose(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value date = {0}, text = {0};

    (void)state;
    assert_int_equal(es_value_set_string(&date, "2026-01-02", 10), 0);
    assert_int_equal(es_value_set_string(&text, "2026-01-02", 10), 0);
    date.type = ES_DATETIME;
    assert_false(es_value_equal(&date, &text, false));
    assert_true(es_value_equal(&date, &text, true));
}

static void moving_ends_what_was_there_and_empties_what_was_moved(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value a = {0}, b = {0};

    (void)state;
    parse("[1,2]", &a);
    parse("{\"x\":1}", &b);
    es_value_move(&a, &b);
    assert_int_equal(a.type, ES_TABLE);
    assert_int_equal(b.type, ES_STRING);
    assert_int_equal(b.text.len, 0);
}

/* A part of a value may take the place of the whole. */
static void a_value_may_be_moved_onto_its_own_parent(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};

    (void)state;
    parse("{\"x\":[\"kept\"]}", &value);
    es_value_move(&value, es_table_get(&value, "x"));
    assert_int_equal(value.type, ES_LIST);
    assert_string_equal(value.list.items[0].text.data, "kept");
}

static void setting_keeps_the_position(void **state)
{
    struct es_value value = {.pos = {.line = 3, .column = 4}};

    (void)state;
    assert_int_equal(es_value_set_string(&value, "x", 1), 0);
    assert_int_equal(value.pos.line, 3);
    es_value_set_list(&value);
    assert_int_equal(value.pos.column, 4);
    es_value_set_table(&value);
    assert_int_equal(value.pos.line, 3);
    es_value_done(&value);
}

/* As the readers count it: what they let through at their limit is at the limit here. */
static void depth_counts_empty_lists_and_tables_too(void **state)
{
    static const struct {
        const char *json;
        size_t depth;
    } cases[] = {{"1", 0},          {"[]", 1},           {"{}", 1},    {"[1]", 1},
                 {"[1,[[]],2]", 3}, {"{\"a\":[{}]}", 3}, {"[[],1]", 2}};
    char deep[2 * ES_MAX_DEPTH + 2] = "";
    ES_CLEANUP(es_value_done) struct es_value at_limit = {0};
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_value_done) struct es_value value = {0};

        parse(cases[i].json, &value);
        assert_int_equal(es_value_depth(&value), cases[i].depth);
    }
    memset(deep, '[', ES_MAX_DEPTH);
    memset(deep + ES_MAX_DEPTH, ']', ES_MAX_DEPTH);
    parse(deep, &at_limit);
    assert_int_equal(es_value_depth(&at_limit), ES_MAX_DEPTH);
    memset(deep, '[', ES_MAX_DEPTH + 1);
    memset(deep + ES_MAX_DEPTH + 1, ']', ES_MAX_DEPTH + 1 - 1);
    assert_true(es_json_parse(deep, 2 * ES_MAX_DEPTH + 1, &at_limit, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zero_value_is_an_empty_string),
        cmocka_unit_test(a_table_finds_every_key_and_keeps_the_order_of_insertion),
        cmocka_unit_test(adding_a_key_twice_names_the_one_that_is_there),
        cmocka_unit_test(keys_may_be_empty_and_may_hold_nul),
        cmocka_unit_test(sorting_orders_bytewise_at_every_depth_and_keys_are_still_found),
        cmocka_unit_test(a_copy_is_equal_and_independent),
        cmocka_unit_test(equality_knows_type_order_and_bits),
        cmocka_unit_test(nan_equals_nan),
        cmocka_unit_test(a_date_time_equals_its_text_only_when_loose),
        cmocka_unit_test(moving_ends_what_was_there_and_empties_what_was_moved),
        cmocka_unit_test(a_value_may_be_moved_onto_its_own_parent),
        cmocka_unit_test(depth_counts_empty_lists_and_tables_too),
        cmocka_unit_test(setting_keeps_the_position),
    };

    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
