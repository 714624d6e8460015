/* core/diff.c */
#include "core_case.h"

#include "core/set.h"

struct fixture {
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_set set;
    char root[64];
};

static void fixture_done(struct fixture *f)
{
    es_set_done(&f->set);
    es_tree_done(&f->tree);
    es_fetched_done(&f->fetched);
    es_config_done(&f->config);
}

/* A configuration with an output at DIR/etc/demo/out, which holds `old` (NULL: nothing). */
static void set_up_config(struct fixture *f, struct dir *dir, const char *text, const char *old)
{
    load_config(dir, text, &f->config);
    f->fetched.states = calloc(2, sizeof *f->fetched.states);
    assert_non_null(f->fetched.states);
    snprintf(f->root, sizeof f->root, "%s", dir->path);
    (void)!mkdir(in(dir, "etc"), 0755);
    (void)!mkdir(in(dir, "etc/demo"), 0755);
    if (old)
        put_bytes(in(dir, "etc/demo/out"), old, strlen(old), 0640);
}

/* The same with two sources, and the output in this format. */
static void set_up(struct fixture *f, struct dir *dir, const char *format, const char *more,
                   const char *old)
{
    char text[1000];

    snprintf(text, sizeof text,
             TOP SOURCE SECOND "[[output]]\npath = '/etc/demo/out'\nformat = '%s'\n%s", format,
             more);
    set_up_config(f, dir, text, old);
}

/* The changes as "+A:file ~B:second -C", in their order. */
static void assert_changes(struct fixture *f, const char *changes)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    struct es_err err = {.msg = "nothing"};
    const struct es_piece *piece;

    if (es_tree_build(&f->config, &f->fetched, &f->tree, &err) < 0 ||
        es_set_prepare(&f->config, &f->tree, &f->fetched, f->root, true, &f->set, &report, &err) <
            0 ||
        es_set_diff(&f->set, &f->config, &err) < 0)
        fail_msg("%s", err.msg);
    piece = &f->set.pieces[0];
    for (size_t i = 0; i < piece->n_changes; i++) {
        const struct es_change *c = &piece->changes[i];

        assert_int_equal(es_buf_printf(&is, "%s%c%s%s%s", i ? " " : "", c->marker, c->name,
                                       c->source ? ":" : "", c->source ? c->source : ""),
                         0);
    }
    assert_string_equal(es_buf_str(&is), changes);
}

static void keys_of_a_flat_output_are_added_changed_and_removed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "", "CHANGED=old\nGONE=x\nSAME='a b'\n");
    give(&f.fetched, 0, "changed", "shadowed");
    give(&f.fetched, 1, "changed", "new");
    give(&f.fetched, 0, "same", "a b");
    give(&f.fetched, 0, "added", "x");
    assert_changes(&f, "+ADDED:file ~CHANGED:second -GONE");
}

static void keys_of_a_nested_output_are_told_as_paths(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "json", "", "{\"a\":{\"same\":1,\"gone\":{\"x.y\":2}},\"b\":[1],\"d\":{}}");
    give_json(&f.fetched, 0, "a.same", "1");
    give_json(&f.fetched, 0, "a.new", "1");
    give_json(&f.fetched, 0, "b", "[1,2]");
    assert_changes(&f, "+a.new:file ~b:file -a.gone.\"x.y\" -d");
}

#define PARAMETERS                                                                                 \
    TOP "[[source]]\ntype = 'ssm'\npath = '/p/'\nregion = 'eu-west-1'\n"                           \
        "[[output]]\npath = '/etc/demo/out'\nformat = 'ssm-json'\n"

static void give_parameter(struct fixture *f, const char *key, const char *name, const char *value)
{
    struct es_record *record = give(&f->fetched, 0, key, value);

    assert_int_equal(es_buf_set(&record->object, name, strlen(name)), 0);
}

static void parameters_are_told_by_their_names(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up_config(
        &f, *state, PARAMETERS,
        "[{\"Name\":\"/p/changed\",\"Value\":\"old\"},{\"Name\":\"/p/gone\",\"Value\":\"x\"},"
        "{\"Name\":\"/p/same\",\"Value\":\"1\"},{\"Name\":\"/p/same\",\"Value\":\"2\"}]");
    give_parameter(&f, "changed", "/p/changed", "new");
    give_parameter(&f, "same", "/p/same", "1");
    give_parameter(&f, "added", "/p/added", "x");
    assert_changes(&f, "+/p/added:ssm ~/p/changed:ssm -/p/gone");
}

/* Milliseconds of this processor to compare so many parameters with as many others. */
static double cost_of(struct dir *dir, size_t n)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    ES_CLEANUP(es_buf_done) struct es_buf old = {0};
    double from, took;
    struct es_err err;
    char name[32];

    assert_int_equal(es_buf_putc(&old, '['), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            es_buf_printf(&old, "%s{\"Name\":\"/p/%zu\",\"Value\":\"old\"}", i ? "," : "", i), 0);
    assert_int_equal(es_buf_putc(&old, ']'), 0);
    set_up_config(&f, dir, PARAMETERS, old.data);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "/p/%zu", i);
        give_parameter(&f, name + 3, name, "new");
    }
    assert_int_equal(es_tree_build(&f.config, &f.fetched, &f.tree, &err), 0);
    assert_int_equal(
        es_set_prepare(&f.config, &f.tree, &f.fetched, f.root, true, &f.set, &report, &err), 0);
    from = cpu_ms();
    assert_int_equal(es_set_diff(&f.set, &f.config, &err), 0);
    took = cpu_ms() - from;
    assert_int_equal(f.set.pieces[0].n_changes, n);
    return took;
}

static void many_parameters_do_not_cost_the_square_of_their_number(void **state)
{
    double few = cost_of(*state, 1000), many = cost_of(*state, 8000);

    if (many > 30 * few)
        fail_msg("1000: %.1f ms, 8000: %.1f ms", few, many);
}

static void a_value_that_became_a_table_is_both(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0};

    set_up(&f, *state, "json", "", "{\"a\":1}");
    give(&f.fetched, 0, "a.b", "x");
    assert_changes(&f, "+a.b:file -a");
    set_up(&g, *state, "json", "", "{\"a\":{\"b\":1}}");
    give(&g.fetched, 0, "a", "x");
    assert_changes(&g, "~a:file -a.b");
}

static void a_file_that_is_not_there_gives_only_additions(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "toml", "", NULL);
    give(&f.fetched, 0, "a", "x");
    assert_changes(&f, "+a:file");
    assert_false(f.set.pieces[0].unreadable);
}

static void a_value_output_changes_as_a_whole(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "value", "key = 'a'\n", "old");
    give(&f.fetched, 0, "a", "new");
    assert_changes(&f, "~a:file");
}

static void what_is_the_same_has_no_changes(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "", "A=x\n");
    give(&f.fetched, 0, "a", "x");
    assert_changes(&f, "");
    assert_false(es_set_differs(&f.set));
}

static void what_does_not_parse_counts_as_new(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "json", "", "{\"a\":");
    give(&f.fetched, 0, "a", "x");
    assert_changes(&f, "+a:file");
    assert_true(f.set.pieces[0].unreadable);
}

/* Parsing is for what root wrote: the app must not choose what runs through root's parser. */
static void a_file_that_others_may_have_written_is_not_parsed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0};
    struct dir *dir = *state;

    set_up(&f, dir, "env", "", "A=old\n");
    assert_int_equal(chmod(in(dir, "etc/demo/out"), 0660), 0);
    give(&f.fetched, 0, "a", "x");
    assert_changes(&f, "+A:file");
    assert_true(f.set.pieces[0].unreadable);
    NEEDS_ROOT();
    set_up(&g, dir, "env", "", "A=old\n");
    assert_int_equal(chown(in(dir, "etc/demo/out"), STRANGER, 0), 0);
    give(&g.fetched, 0, "a", "x");
    assert_changes(&g, "+A:file");
    assert_true(g.set.pieces[0].unreadable);
}

static void no_key_of_the_old_file_is_told_twice_or_with_a_value(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, *state, "env", "", "A=hunter2\nB=hunter2\n");
    assert_changes(&f, "-A -B");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(keys_of_a_flat_output_are_added_changed_and_removed),
        test_in_dir(keys_of_a_nested_output_are_told_as_paths),
        test_in_dir(parameters_are_told_by_their_names),
        test_in_dir(many_parameters_do_not_cost_the_square_of_their_number),
        test_in_dir(a_value_that_became_a_table_is_both),
        test_in_dir(a_file_that_is_not_there_gives_only_additions),
        test_in_dir(a_value_output_changes_as_a_whole),
        test_in_dir(what_is_the_same_has_no_changes),
        test_in_dir(what_does_not_parse_counts_as_new),
        test_in_dir(a_file_that_others_may_have_written_is_not_parsed),
        test_in_dir(no_key_of_the_old_file_is_told_twice_or_with_a_value),
    };

    return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
