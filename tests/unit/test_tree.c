/* core/tree.c */
#include "core_case.h"
#include "failing.h"

#include "core/tree.h"

struct fixture {
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
};

static void fixture_done(struct fixture *f)
{
    es_tree_done(&f->tree);
    es_fetched_done(&f->fetched);
    es_config_done(&f->config);
}

static void build(struct fixture *f)
{
    struct es_err err = {.msg = "nothing"};

    if (es_tree_build(&f->config, &f->fetched, &f->tree, &err) < 0)
        fail_msg("%s", err.msg);
}

static void assert_no_tree(struct fixture *f, const char *words)
{
    struct es_err err = {.msg = "nothing"};

    assert_true(es_tree_build(&f->config, &f->fetched, &f->tree, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    if (!strstr(err.msg, words))
        fail_msg("%s", err.msg);
    assert_null(f->tree.leaves);
}

static const struct es_leaf *leaf_of(const struct es_tree *tree, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_err err;

    assert_int_equal(es_key_parse(text, &key, &err), 0);
    for (size_t i = 0; i < tree->n; i++)
        if (es_buf_equal(tree->leaves[i].key, &key))
            return &tree->leaves[i];
    return NULL;
}

static void assert_leaf(const struct es_tree *tree, const char *key, const char *value)
{
    const struct es_leaf *leaf = leaf_of(tree, key);

    if (!leaf)
        fail_msg("%s is missing", key);
    assert_string_equal(es_buf_str(&es_leaf_winner(leaf, NULL)->value.text), value);
}

static void the_later_source_wins_and_the_earlier_is_kept_as_shadowed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    static const bool first_only[] = {true, false}, none[] = {false, false};
    const struct es_leaf *leaf;

    load_config(*state, TOP SOURCE SECOND, &f.config);
    give(&f.fetched, 1, "a", "late");
    give(&f.fetched, 0, "a", "early");
    give(&f.fetched, 0, "b", "only");
    build(&f);
    assert_int_equal(f.tree.n, 2);
    assert_leaf(&f.tree, "a", "late");
    assert_leaf(&f.tree, "b", "only");
    leaf = leaf_of(&f.tree, "a");
    assert_int_equal(leaf->n, 2);
    assert_int_equal(leaf->records[0]->source, 0);
    assert_int_equal(es_leaf_winner(leaf, first_only)->source, 0);
    assert_null(es_leaf_winner(leaf, none));
}

static void within_a_source_the_later_object_wins_and_then_the_later_record(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE, &f.config);
    give(&f.fetched, 0, "a", "rank 2")->rank = 2;
    give(&f.fetched, 0, "a", "rank 1")->rank = 1;
    give(&f.fetched, 0, "b", "first");
    give(&f.fetched, 0, "b", "second");
    build(&f);
    assert_leaf(&f.tree, "a", "rank 2");
    assert_leaf(&f.tree, "b", "second");
}

static void leaves_come_in_the_order_of_their_keys(void **state)
{
    static const char *const keys[] = {"b", "a.z", "ab", "a", "a-b", "\"a.b\"", "a.b.c"};
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE, &f.config);
    for (size_t i = 0; i < 7; i++)
        give(&f.fetched, 0, keys[i], "x");
    build(&f);
    for (size_t i = 1; i < f.tree.n; i++)
        assert_true(es_key_compare(f.tree.leaves[i - 1].key, f.tree.leaves[i].key) < 0);
}

static void include_and_exclude_see_the_sources_own_keys(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state,
                TOP SOURCE "include = ['db.**', 'x']\nexclude = ['**.secret']\n"
                           "rename = { 'db' = 'x2' }\nprefix_key = 'p'\n",
                &f.config);
    give(&f.fetched, 0, "db.user", "1");
    give(&f.fetched, 0, "db.secret", "2");
    give(&f.fetched, 0, "other", "3");
    give(&f.fetched, 0, "x", "4");
    build(&f);
    assert_int_equal(f.tree.n, 2);
    assert_leaf(&f.tree, "p.x2.user", "1");
    assert_leaf(&f.tree, "p.x", "4");
}

static void rename_moves_what_lies_below_and_the_most_specific_counts(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE "rename = { 'a' = 'x.y', 'a.b' = 'z', 'a.b.c' = 'a' }\n",
                &f.config);
    give(&f.fetched, 0, "a.q", "1");
    give(&f.fetched, 0, "a.b.d", "2");
    give(&f.fetched, 0, "a.b.c", "3");
    give(&f.fetched, 0, "ab", "4");
    build(&f);
    assert_int_equal(f.tree.n, 4);
    assert_leaf(&f.tree, "x.y.q", "1");
    assert_leaf(&f.tree, "z.d", "2");
    assert_leaf(&f.tree, "a", "3");
    assert_leaf(&f.tree, "ab", "4");
}

static void two_keys_of_one_source_that_become_one_are_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE "rename = { 'a' = 'b' }\n", &f.config);
    give(&f.fetched, 0, "a", "1");
    give(&f.fetched, 0, "b", "2");
    assert_no_tree(&f, "source file: a and b both become b");
}

static void keys_of_two_sources_may_become_one(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE "rename = { 'a' = 'b' }\n" SECOND, &f.config);
    give(&f.fetched, 0, "a", "1");
    give(&f.fetched, 1, "b", "2");
    build(&f);
    assert_int_equal(f.tree.n, 1);
    assert_leaf(&f.tree, "b", "2");
}

static void a_key_that_grows_too_deep_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state,
                TOP SOURCE "prefix_key = 'a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
                           "a.a.a.a'\n",
                &f.config);
    give(&f.fetched, 0, "b", "1");
    assert_no_tree(&f, "nested deeper than 32");
}

static int check(struct fixture *f, const bool *wanted, struct es_err *err)
{
    *err = (struct es_err){.msg = "nothing"};
    return es_tree_check_shapes(&f->tree, wanted, err);
}

static void a_value_here_and_a_table_there_is_refused_where_both_count(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    static const bool first[] = {true, false};
    struct es_err err;

    load_config(*state, TOP SOURCE SECOND, &f.config);
    give(&f.fetched, 0, "a", "value");
    give(&f.fetched, 1, "a.b", "below");
    build(&f);
    assert_int_equal(check(&f, NULL, &err), -EEXIST);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, "a is a value in source file: object and a table in source "
                                 "second: object; there rename or exclude one");
    assert_int_equal(check(&f, first, &err), 0);
}

static void one_source_that_gives_both_is_refused_too(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    struct es_err err;

    load_config(*state, TOP SOURCE, &f.config);
    give(&f.fetched, 0, "a", "value");
    give(&f.fetched, 0, "a-b", "between, bytewise");
    give(&f.fetched, 0, "a.b.c", "below");
    build(&f);
    assert_int_equal(check(&f, NULL, &err), -EEXIST);
}

static void an_empty_table_is_a_table(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0}, g = {0};
    struct es_err err;

    load_config(*state, TOP SOURCE SECOND, &f.config);
    give_json(&f.fetched, 0, "a", "{}");
    give(&f.fetched, 1, "a", "value");
    build(&f);
    assert_int_equal(check(&f, NULL, &err), -EEXIST);
    load_config(*state, TOP SOURCE SECOND, &g.config);
    give_json(&g.fetched, 0, "a", "{}");
    give(&g.fetched, 1, "a.b", "below");
    give_json(&g.fetched, 1, "c", "[]");
    build(&g);
    assert_int_equal(check(&g, NULL, &err), 0);
}

static void an_origin_names_source_object_line_and_version(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_record *record;

    load_config(*state, TOP SOURCE, &f.config);
    record = give(&f.fetched, 0, "a", "secret");
    record->line = 7;
    assert_int_equal(es_buf_puts(&record->version, "ETag 1"), 0);
    assert_int_equal(es_origin_format(&f.config, record, &text), 0);
    assert_string_equal(text.data, "file: object:7 (ETag 1)");
}

static void nothing_fetched_is_an_empty_tree(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    struct es_err err;

    load_config(*state, TOP SOURCE, &f.config);
    build(&f);
    assert_int_equal(f.tree.n, 0);
    assert_int_equal(check(&f, NULL, &err), 0);
}

static int check_mixed(void *data, struct es_err *err)
{
    const struct fixture *f = data;
    int r = es_tree_check_shapes(&f->tree, NULL, err);

    assert_true(r < 0);
    return r == -EEXIST ? 0 : r;
}

static void want_of_memory_is_never_taken_for_a_mixed_key(void **state)
{
    static const struct ordeal o = {.run = check_mixed};
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE SECOND OUTPUT, &f.config);
    give(&f.fetched, 0, "a", "1");
    give(&f.fetched, 1, "a.b", "2");
    build(&f);
    ordeal(&o, &f, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(the_later_source_wins_and_the_earlier_is_kept_as_shadowed),
        test_in_dir(within_a_source_the_later_object_wins_and_then_the_later_record),
        test_in_dir(leaves_come_in_the_order_of_their_keys),
        test_in_dir(include_and_exclude_see_the_sources_own_keys),
        test_in_dir(rename_moves_what_lies_below_and_the_most_specific_counts),
        test_in_dir(two_keys_of_one_source_that_become_one_are_refused),
        test_in_dir(keys_of_two_sources_may_become_one),
        test_in_dir(a_key_that_grows_too_deep_is_refused),
        test_in_dir(a_value_here_and_a_table_there_is_refused_where_both_count),
        test_in_dir(one_source_that_gives_both_is_refused_too),
        test_in_dir(an_empty_table_is_a_table),
        test_in_dir(an_origin_names_source_object_line_and_version),
        test_in_dir(nothing_fetched_is_an_empty_tree),
        test_in_dir(want_of_memory_is_never_taken_for_a_mixed_key),
    };

    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
