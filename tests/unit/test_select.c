/* core/select.c: what one output holds, and why it cannot be made. */
#include "core_case.h"
#include "failing.h"

#include "core/select.h"
#include "core/texts.h"

#include <math.h>

/* A configuration of two sources and one output, and what they give. */
struct fixture {
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_selection selection;
    struct es_report report;
    struct es_err err;
};

static void fixture_done(struct fixture *f)
{
    es_selection_done(&f->selection);
    es_report_done(&f->report);
    es_tree_done(&f->tree);
    es_fetched_done(&f->fetched);
    es_config_done(&f->config);
}

static void set_up(struct fixture *f, void *dir, const char *format, const char *more)
{
    char text[1000];

    snprintf(text, sizeof text,
             TOP SOURCE SECOND "[[output]]\npath = '/run/demo/out'\nformat = '%s'\n%s", format,
             more);
    load_config(dir, text, &f->config);
}

/* What the worker makes of texts that are to be JSON. */
static void read_texts(struct fixture *f)
{
    assert_int_equal(es_texts_gather(&f->tree, &f->err), 0);
    for (size_t i = 0; i < f->tree.n_texts; i++) {
        struct es_text *text = &f->tree.texts[i];
        const struct es_buf *is = &text->record->value.text;

        text->state = es_json_parse(es_buf_str(is), is->len, &text->value, &f->err) < 0
                          ? ES_TEXT_REFUSED
                          : ES_TEXT_READ;
    }
}

static int choose(struct fixture *f)
{
    f->err = (struct es_err){.msg = "nothing"};
    if (es_tree_build(&f->config, &f->fetched, &f->tree, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    read_texts(f);
    return es_select(&f->tree, &f->config.outputs[0], &f->selection, &f->report, &f->err);
}

static void assert_document(struct fixture *f, const char *document)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    if (choose(f) < 0)
        fail_msg("%s", f->err.msg);
    if (es_selection_render(&f->selection, &f->config.outputs[0], &out, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    assert_string_equal(es_buf_str(&out), document);
}

static void assert_refused(struct fixture *f, const char *words)
{
    assert_true(choose(f) < 0);
    assert_int_equal(f->err.class, ES_INVALID);
    assert_int_equal(strncmp(f->err.msg, "output /run/demo/out: ", 22), 0);
    if (!strstr(f->err.msg, words))
        fail_msg("%s\nnot %s", f->err.msg, words);
    if (strstr(f->err.msg, "hunter2"))
        fail_msg("a value in a message: %s", f->err.msg);
    assert_null(f->selection.items);
}

static void an_env_output_names_joins_and_sorts(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "");
    give(&f.fetched, 0, "z", "1");
    give(&f.fetched, 0, "db.password", "hunter2");
    give(&f.fetched, 0, "lower", "kept")->verbatim = true;
    give_json(&f.fetched, 0, "flag", "true");
    give_json(&f.fetched, 0, "n", "1.50");
    give_json(&f.fetched, 0, "list", "[1,{\"b\":1,\"a\":2}]");
    give_json(&f.fetched, 0, "empty", "{}");
    assert_document(&f, "DB_PASSWORD=hunter2\nFLAG=true\nLIST='[1,{\"a\":2,\"b\":1}]'\nN=1.5\nZ=1\n"
                        "lower=kept\n");
}

static void case_keep_keeps_the_case(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "case = 'keep'\n");
    give(&f.fetched, 0, "db.Password", "x");
    assert_document(&f, "db_Password=x\n");
}

static void a_nested_output_nests_and_keeps_types_and_empty_tables(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "json", "types = { 'pool' = 'integer', 'hosts' = 'list', 'j' = 'json' }\n");
    give(&f.fetched, 0, "pool", "5");
    give(&f.fetched, 0, "hosts", "a,b");
    give(&f.fetched, 0, "j", "{\"k\":[true]}");
    give(&f.fetched, 0, "a.b.c", "x");
    give_json(&f.fetched, 0, "a.e", "{}");
    give(&f.fetched, 0, "s", "5");
    if (choose(&f) < 0)
        fail_msg("%s", f.err.msg);
    assert_int_equal(f.selection.n, 6);
    assert_string_equal(f.selection.items[0].name.data, "a.b.c");
    {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};
        ES_CLEANUP(es_value_done) struct es_value is = {0}, wanted = {0};
        static const char text[] = "{\"a\":{\"b\":{\"c\":\"x\"},\"e\":{}},\"hosts\":[\"a\",\"b\"],"
                                   "\"j\":{\"k\":[true]},\"pool\":5,\"s\":\"5\"}";

        assert_int_equal(es_selection_render(&f.selection, &f.config.outputs[0], &out, &f.err), 0);
        assert_int_equal(es_json_parse(out.data, out.len, &is, &f.err), 0);
        assert_int_equal(es_json_parse(text, sizeof text - 1, &wanted, &f.err), 0);
        assert_true(es_value_equal(&is, &wanted, false));
    }
}

static void a_value_output_is_the_bytes_of_its_key(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0};

    set_up(&f, *state, "value", "key = 'a.b'\n");
    give(&f.fetched, 0, "a.b", "COOKIE\n");
    give(&f.fetched, 0, "a.c", "other");
    assert_document(&f, "COOKIE\n");
    set_up(&g, *state, "value", "key = 'a'\n");
    give(&g.fetched, 0, "b", "x");
    assert_refused(&g, "no source gives the key a");
}

static void include_exclude_and_from_choose(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "from = ['second']\ninclude = ['a.**']\nexclude = ['a.x']\n");
    give(&f.fetched, 0, "a.y", "of another source");
    give(&f.fetched, 1, "a.y", "1");
    give(&f.fetched, 1, "a.x", "2");
    give(&f.fetched, 1, "b", "3");
    give(&f.fetched, 0, "a.z", "4");
    assert_document(&f, "A_Y=1\n");
}

static void of_two_sources_with_one_name_the_later_wins(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "");
    give(&f.fetched, 1, "db.password", "late");
    give(&f.fetched, 0, "DB_PASSWORD", "early")->verbatim = true;
    give(&f.fetched, 0, "A", "x");
    give(&f.fetched, 0, "Z", "x");
    assert_document(&f, "A=x\nDB_PASSWORD=late\nZ=x\n");
    assert_int_equal(f.selection.n, 3);
}

static void two_keys_of_one_source_with_one_name_are_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "");
    give(&f.fetched, 0, "other", "x");
    give(&f.fetched, 1, "db.pass", "hunter2");
    give(&f.fetched, 1, "db-pass", "hunter2");
    assert_refused(&f, "db.pass and db-pass of source second both become DB_PASS");
}

static void a_name_that_is_none_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "");
    give(&f.fetched, 0, "9lives", "hunter2");
    assert_refused(&f, "makes no valid variable name");
}

static void a_refused_name_needs_to_be_allowed_by_name(void **state)
{
    static const char *const formats[] = {"env", "shell", "dotenv"};

    for (size_t i = 0; i < 3; i++) {
        ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0}, h = {0};

        set_up(&f, *state, formats[i], "");
        give(&f.fetched, 0, "LD_PRELOAD", "hunter2")->verbatim = true;
        assert_refused(&f, "LD_PRELOAD acts on the dynamic loader");
        set_up(&g, *state, formats[i], "allow = ['LD_LIBRARY_PATH']\n");
        give(&g.fetched, 0, "ld.preload", "hunter2");
        assert_refused(&g, "is refused; rename or exclude it, or list it in allow");
        set_up(&h, *state, formats[i], "allow = ['LD_PRELOAD']\n");
        give(&h.fetched, 0, "ld.preload", "x");
        assert_int_equal(choose(&h), 0);
    }
}

static void refused_names_are_fine_where_they_are_no_variables(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "toml", "");
    give(&f.fetched, 0, "LD_PRELOAD", "x");
    assert_document(&f, "LD_PRELOAD = \"x\"\n");
}

static void a_value_that_does_not_fit_its_type_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "toml", "types = { 'a' = 'integer' }\n");
    give(&f.fetched, 0, "a", "hunter2");
    assert_refused(&f, "a, from source file: object: types: the value is no integer");
}

/* Each part is within the limit, the document would not be. */
static void json_text_that_nests_too_deep_in_its_place_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "json", "types = { 'a.b.c' = 'json' }\n");
    give(&f.fetched, 0, "a.b.c", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_refused(&f, "nested deeper than 32");
}

/* At the limit, with an empty list innermost: it must read back. */
static void json_text_at_the_limit_is_written(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    set_up(&f, *state, "json", "types = { 'a.b.c' = 'json' }\n");
    give(&f.fetched, 0, "a.b.c", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_int_equal(choose(&f), 0);
    assert_int_equal(es_selection_render(&f.selection, &f.config.outputs[0], &out, &f.err), 0);
}

static void a_value_that_the_format_cannot_carry_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    struct es_record *record;

    set_up(&f, *state, "env", "");
    record = give(&f.fetched, 0, "a", "");
    assert_int_equal(es_value_set_string(&record->value, "hunter2\0x", 9), 0);
    assert_refused(&f, "a, from source file: object: ");
}

static void what_is_required_must_be_there_and_not_empty(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0};

    set_up(&f, *state, "env", "require = ['A', 'B', 'C', 'D_E']\n");
    give(&f.fetched, 0, "a", "x");
    give(&f.fetched, 0, "b", "");
    give(&f.fetched, 0, "d.e", "x");
    assert_refused(&f, "required, but missing or empty: B, C");
    set_up(&g, *state, "toml", "require = ['a.b', 'e.f', 'e.g', 'h']\n");
    give(&g.fetched, 0, "a.b", "");
    give(&g.fetched, 0, "e.f", "x");
    give(&g.fetched, 0, "e.fg", "x");
    assert_refused(&g, "required, but missing or empty: a.b, e.g, h");
}

static void a_required_table_needs_something_below_it(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0};

    set_up(&f, *state, "toml", "require = ['db']\n");
    give(&f.fetched, 0, "db.a", "");
    give(&f.fetched, 0, "db.b", "x");
    if (choose(&f) < 0)
        fail_msg("%s", f.err.msg);
    set_up(&g, *state, "toml", "require = ['db']\n");
    give(&g.fetched, 0, "dbx", "x");
    assert_refused(&g, "missing or empty: db");
}

static void a_value_and_a_table_under_one_key_are_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "toml", "");
    give(&f.fetched, 0, "a", "hunter2");
    give(&f.fetched, 1, "a.b", "x");
    assert_refused(&f, "a is a value in source file: object and a table in source second");
}

static void types_that_name_nothing_are_told(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "toml", "types = { 'a.b' = 'integer' }\n");
    give(&f.fetched, 0, "a.c", "x");
    assert_int_equal(choose(&f), 0);
    assert_int_equal(f.report.n, 1);
    assert_int_equal(f.report.items[0].level, ES_LEVEL_WARNING);
    assert_non_null(strstr(f.report.items[0].text, "a.b"));
}

static void more_than_a_process_can_start_with_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    char *text = malloc(100001), key[16];

    assert_non_null(text);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    set_up(&f, *state, "env", "");
    for (int i = 0; i < 21; i++) {
        snprintf(key, sizeof key, "k%d", i);
        give(&f.fetched, 0, key, text);
    }
    free(text);
    assert_refused(&f, "all variables together have");
}

static void nothing_chosen_is_an_empty_document(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "");
    assert_document(&f, "");
}

static void a_list_that_no_text_can_carry_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_value_done) struct es_value list = {0};
    struct es_value *item;

    set_up(&f, *state, "env", "");
    es_value_set_list(&list);
    assert_int_equal(es_list_add(&list, &item), 0);
    *item = (struct es_value){.type = ES_FLOAT, .number = INFINITY};
    give_value(&f.fetched, 0, "list", &list);
    assert_refused(&f, "JSON text cannot carry this list or table");
}

static void an_empty_table_where_others_put_keys_is_not_empty(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "toml", "");
    give_json(&f.fetched, 0, "a.'b c'", "{}");
    give(&f.fetched, 1, "a.'b c'.d", "x");
    give_json(&f.fetched, 1, "a", "{}");
    assert_document(&f, "[a.\"b c\"]\nd = \"x\"\n");
}

/* What is refused stays refused, unless there is no memory to say so. */
static int select_refused(void *data, struct es_err *err)
{
    struct fixture *f = data;
    ES_CLEANUP(es_selection_done) struct es_selection selection = {0};
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r = es_select(&f->tree, &f->config.outputs[0], &selection, &report, err);

    assert_true(r < 0 && !selection.items);
    return r == -EINVAL || r == -ENOENT ? 0 : r;
}

static void want_of_memory_is_never_taken_for_a_fault_of_the_data(void **state)
{
    static const struct ordeal o = {.run = select_refused};
    static const char *const requires[] = {"", "require = ['other.key']\n"};

    for (size_t i = 0; i < 2; i++) {
        ES_CLEANUP(fixture_done) struct fixture f = {0};

        set_up(&f, *state, i ? "toml" : "env", requires[i]);
        give(&f.fetched, 0, i ? "some" : "LD_PRELOAD", "x");
        assert_int_equal(es_tree_build(&f.config, &f.fetched, &f.tree, &f.err), 0);
        ordeal(&o, &f, EIO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(an_env_output_names_joins_and_sorts),
        test_in_dir(case_keep_keeps_the_case),
        test_in_dir(a_nested_output_nests_and_keeps_types_and_empty_tables),
        test_in_dir(a_value_output_is_the_bytes_of_its_key),
        test_in_dir(include_exclude_and_from_choose),
        test_in_dir(of_two_sources_with_one_name_the_later_wins),
        test_in_dir(two_keys_of_one_source_with_one_name_are_refused),
        test_in_dir(a_name_that_is_none_is_refused),
        test_in_dir(a_refused_name_needs_to_be_allowed_by_name),
        test_in_dir(refused_names_are_fine_where_they_are_no_variables),
        test_in_dir(a_value_that_does_not_fit_its_type_is_refused),
        test_in_dir(json_text_that_nests_too_deep_in_its_place_is_refused),
        test_in_dir(json_text_at_the_limit_is_written),
        test_in_dir(a_value_that_the_format_cannot_carry_is_refused),
        test_in_dir(what_is_required_must_be_there_and_not_empty),
        test_in_dir(a_required_table_needs_something_below_it),
        test_in_dir(a_value_and_a_table_under_one_key_are_refused),
        test_in_dir(types_that_name_nothing_are_told),
        test_in_dir(more_than_a_process_can_start_with_is_refused),
        test_in_dir(nothing_chosen_is_an_empty_document),
        test_in_dir(a_list_that_no_text_can_carry_is_refused),
        test_in_dir(an_empty_table_where_others_put_keys_is_not_empty),
        test_in_dir(want_of_memory_is_never_taken_for_a_fault_of_the_data),
    };

    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
