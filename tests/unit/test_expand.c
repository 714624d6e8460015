/* core/expand.c */
#include "core_case.h"

#include "core/expand.h"

struct texts {
    char *plain, *cloud, *raw;
    struct es_strings strings;
    struct es_map map;
};

#define OPT(field) offsetof(struct texts, field)

static const struct es_option options[] = {
    {"plain", ES_OPT_STRING, 0, NULL, NULL, OPT(plain), "a"},
    {"cloud", ES_OPT_STRING, ES_OPT_CLOUD, NULL, NULL, OPT(cloud), "b"},
    {"raw", ES_OPT_STRING, ES_OPT_RAW, NULL, NULL, OPT(raw), "c"},
    {"strings", ES_OPT_STRINGS, 0, NULL, NULL, OPT(strings), "d"},
    {"map", ES_OPT_MAP, 0, NULL, NULL, OPT(map), "e"},
    {0},
};

static char *environment[] = {
    (char *)"LISTED=from process", (char *)"BOTH=process", (char *)"HIDDEN=secret",
    (char *)"LINES=a\nb",          (char *)"EMPTY=",       NULL};

/* Variables as a configuration with env = [...] and a bootstrap file would have them. */
static void set_up(struct dir *dir, struct es_variables *variables)
{
    static char *allowed[] = {(char *)"LISTED", (char *)"BOTH", (char *)"LINES", (char *)"EMPTY",
                              (char *)"UNSET"};
    static const struct es_strings strings = {.items = allowed, .n = 5};
    static const struct es_process process = {.environ = environment};
    struct es_err err = {.msg = "nothing"};

    put_file(in(dir, "bootstrap"), "BOTH=file\nBUCKET=conf\nUNSET=file\n");
    *variables = (struct es_variables){.process = &process, .allowed = &strings};
    if (es_variables_load(variables, in(dir, "bootstrap"), &err) < 0)
        fail_msg("%s", err.msg);
}

static int expand(struct dir *dir, const char *toml, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_variables_done) struct es_variables variables = {0};

    set_up(dir, &variables);
    assert_int_equal(es_format_toml.read(toml, strlen(toml), ret, err), 0);
    return es_expand_table(&variables, options, ret, "F", err);
}

static void assert_expands(struct dir *dir, const char *key, const char *text, const char *becomes)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err = {.msg = "nothing"};
    char toml[300];

    snprintf(toml, sizeof toml, "%s = '%s'", key, text);
    if (expand(dir, toml, &table, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(es_buf_str(&es_table_get(&table, key)->text), becomes);
}

static void assert_refused(struct dir *dir, const char *toml, const char *message)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err = {.msg = "nothing"};

    assert_int_equal(expand(dir, toml, &table, &err), -EINVAL);
    assert_int_equal(err.class, ES_CONFIG);
    assert_string_equal(err.msg, message);
}

static void a_variable_comes_from_the_process_then_the_file_then_its_default(void **state)
{
    assert_expands(*state, "plain", "${LISTED}", "from process");
    assert_expands(*state, "plain", "${BOTH}", "process");
    assert_expands(*state, "plain", "${UNSET:-d}", "file");
    assert_expands(*state, "plain", "${NONE:-d}", "d");
    assert_expands(*state, "plain", "${NONE:-}", "");
    assert_expands(*state, "plain", "${EMPTY}", "");
    assert_expands(*state, "plain", "a${BUCKET}b${BUCKET:-x}c", "aconfbconfc");
}

static void text_that_is_no_reference_stays(void **state)
{
    assert_expands(*state, "plain", "$ $$ $A {A} }", "$ $$ $A {A} }");
    assert_expands(*state, "plain", "$${A}", "${A}");
    assert_expands(*state, "plain", "$${A}${BUCKET}", "${A}conf");
    assert_expands(*state, "plain", "${BUCKET}$", "conf$");
    assert_expands(*state, "plain", "", "");
}

static void a_value_is_not_expanded_again(void **state)
{
    assert_expands(*state, "plain", "${NONE:-$}{A}", "${A}");
}

static void a_variable_that_no_list_allows_is_not_taken(void **state)
{
    assert_expands(*state, "plain", "${HIDDEN:-not told}", "not told");
}

static void what_cannot_be_expanded_is_told_with_place_and_without_a_value(void **state)
{
    assert_refused(*state, "\nplain = '${HIDDEN}'",
                   "F:2:9: plain: ${HIDDEN} is set nowhere: put it into the bootstrap file, list "
                   "it in env, or give a default with :-");
    assert_refused(*state, "plain = '${LINES}'",
                   "F:1:9: plain: ${LINES} has a line break in its value");
    assert_refused(*state, "plain = '${A'", "F:1:9: plain: ${...} is not closed: a } is missing");
    assert_refused(*state, "plain = '${NONE:-${BUCKET}}'",
                   "F:1:9: plain: ${NONE} has another ${ in its default, which is plain text");
    assert_refused(*state, "plain = '${BUCKET:-a${B}}'",
                   "F:1:9: plain: ${BUCKET} has another ${ in its default, which is plain text");
    assert_refused(*state, "plain = '${}'",
                   "F:1:9: plain: ${} is no variable; write $${ for a literal ${");
    assert_refused(*state, "plain = '${A-B}'",
                   "F:1:9: plain: ${A-B} is no variable; write $${ for a literal ${");
    assert_refused(*state, "strings = ['', '${NONE}']",
                   "F:1:16: strings: ${NONE} is set nowhere: put it into the bootstrap file, list "
                   "it in env, or give a default with :-");
}

static void a_fact_of_the_cloud_is_left_only_where_it_may_stand(void **state)
{
    assert_expands(*state, "cloud", "a/${cloud.region}/${BUCKET}", "a/${cloud.region}/conf");
    assert_expands(*state, "cloud", "${cloud.tags.E:-x}", "${cloud.tags.E:-x}");
    assert_refused(*state, "plain = '${cloud.region}'",
                   "F:1:9: plain: ${cloud.region} may not stand here: instance data never chooses "
                   "this");
}

static void what_is_the_providers_own_is_left_alone(void **state)
{
    assert_expands(*state, "raw", "${anything.at[0]", "${anything.at[0]");
}

static void lists_and_maps_are_expanded_item_by_item(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err;

    assert_int_equal(expand(*state,
                            "strings = ['a', '${BUCKET}']\nmap.k = '${BOTH}'\nother = '${X}'",
                            &table, &err),
                     0);
    assert_string_equal(es_table_get(&table, "strings")->list.items[1].text.data, "conf");
    assert_string_equal(es_table_get(es_table_get(&table, "map"), "k")->text.data, "process");
    assert_string_equal(es_table_get(&table, "other")->text.data, "${X}");
}

static void a_bootstrap_file_may_be_absent_but_not_wrong(void **state)
{
    struct dir *dir = *state;
    struct es_err err = {.msg = "nothing"};

    for (int i = 0; i < 3; i++) {
        ES_CLEANUP(es_variables_done) struct es_variables variables = {0};
        static const enum es_class classes[] = {ES_INVALID, ES_INVALID, ES_INVALID};
        static const char *const contents[] = {"no assignment\n", "A='open\n", "1A=x\n"};

        assert_int_equal(es_variables_load(&variables, in(dir, "absent"), &err), 0);
        put_file(in(dir, "b"), contents[i]);
        assert_true(es_variables_load(&variables, in(dir, "b"), &err) < 0);
        assert_int_equal(err.class, classes[i]);
        assert_non_null(strstr(err.msg, "/b:1:"));
        assert_int_equal(strncmp(err.msg, "bootstrap ", 10), 0);
    }
}

static void a_bootstrap_that_is_no_file_or_too_large_is_refused(void **state)
{
    ES_CLEANUP(es_variables_done) struct es_variables variables = {0};
    struct dir *dir = *state;
    struct es_err err;

    assert_true(es_variables_load(&variables, dir->path, &err) < 0);
    assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
    assert_true(es_variables_load(&variables, in(dir, "fifo"), &err) < 0);
    put_file(in(dir, "large"), "");
    assert_int_equal(truncate(in(dir, "large"), (1 << 20) + 1), 0);
    assert_int_equal(es_variables_load(&variables, in(dir, "large"), &err), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_variable_comes_from_the_process_then_the_file_then_its_default),
        test_in_dir(text_that_is_no_reference_stays),
        test_in_dir(a_value_is_not_expanded_again),
        test_in_dir(a_variable_that_no_list_allows_is_not_taken),
        test_in_dir(what_cannot_be_expanded_is_told_with_place_and_without_a_value),
        test_in_dir(a_fact_of_the_cloud_is_left_only_where_it_may_stand),
        test_in_dir(what_is_the_providers_own_is_left_alone),
        test_in_dir(lists_and_maps_are_expanded_item_by_item),
        test_in_dir(a_bootstrap_file_may_be_absent_but_not_wrong),
        test_in_dir(a_bootstrap_that_is_no_file_or_too_large_is_refused),
    };

    return cmocka_run_group_tests_name("expand", tests, NULL, NULL);
}
