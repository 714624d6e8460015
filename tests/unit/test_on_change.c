/* core/on_change.c: from [on_change] to a list of actions. */
#include "core_case.h"

static void actions_are_in_order_whole_and_once(void **state)
{
    static const struct {
        enum es_action_kind kind;
        const char *word;
    } wanted[] = {
        {ES_ACTION_TOUCH, "/srv/a"},          {ES_ACTION_TOUCH, "/srv/b/c"},
        {ES_ACTION_RESTART, "foo.service"},   {ES_ACTION_RESTART, "foo.socket"},
        {ES_ACTION_RESTART, "a.b@1.service"}, {ES_ACTION_RESTART, "x-1\\x2d2.service"},
        {ES_ACTION_RELOAD, "foo.service"},    {ES_ACTION_RUN, "nginx"},
    };
    ES_CLEANUP(es_config_done) struct es_config config = {0};

    load_config(*state,
                TOP SOURCE "[on_change]\n"
                           "run = ['nginx', '-s', 'reload', '']\n"
                           "reload = ['foo']\n"
                           "restart = ['foo.service', 'foo.socket', 'a.b@1', 'foo', "
                           "'x-1\\x2d2.service']\n"
                           "touch = ['/srv/a', '/srv//b///c', '/srv/b/c']\n",
                &config);
    assert_int_equal(config.on_change.n, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < config.on_change.n; i++) {
        assert_int_equal(config.on_change.actions[i].kind, wanted[i].kind);
        assert_string_equal(config.on_change.actions[i].words[0], wanted[i].word);
    }
    assert_int_equal(config.on_change.actions[7].n, 4);
    assert_string_equal(config.on_change.actions[7].words[2], "reload");
    assert_null(config.on_change.actions[7].words[4]);
}

static void without_a_table_and_with_an_empty_one_nothing_is_to_be_done(void **state)
{
    static const char *const texts[] = {TOP SOURCE, TOP SOURCE "[on_change]\n",
                                        TOP SOURCE "[on_change]\nrun = []\ntouch = []\n"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ES_CLEANUP(es_config_done) struct es_config config = {0};

        load_config(*state, texts[i], &config);
        assert_int_equal(config.on_change.n, 0);
    }
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const char *const cases[][3] = {
        {"restrat = ['a']", "7:1", "did you mean \"restart\"?"},
        {"restart = 'foo'", "7:11", "restart must be a list of strings"},
        {"restart = [1]", "7:12", "restart must be a string"},
        {"restart = ['a', 'foo*.service']", "7:17", "is no name of a unit"},
        {"restart = ['']", "7:12", "is no name of a unit"},
        {"restart = ['--user']", "7:12", "is no name of a unit"},
        {"restart = ['a b']", "7:12", "is no name of a unit"},
        {"restart = ['a/b.service']", "7:12", "is no name of a unit"},
        {"reload = ['foo@.service']", "7:11", "reload: \"foo@.service\" is a template"},
        {"reload = ['foo@']", "7:11", "is a template"},
        {"touch = ['srv/a']", "7:10", "touch must be an absolute path"},
        {"touch = ['/srv/../a']", "7:10", "touch must be an absolute path"},
        {"touch = ['/']", "7:10", "touch: /"},
        {"touch = ['/run/envsync/x']", "7:10", "keeps its own state"},
        {"touch = '/a'", "7:9", "touch must be a list of strings"},
        {"run = 'ls'", "7:7", "run must be a list of strings"},
        {"run = ['./a']", "7:8", "absolute path, or a plain name"},
        {"run = ['/bin/']", "7:8", "absolute path, or a plain name"},
        {"run = ['']", "7:8", "absolute path, or a plain name"},
        {"touch = ['/a/${cloud.region}']", "7:10", "instance data never chooses this"},
        {"restart = ['${cloud.region:-a}']", "7:12", "instance data never chooses this"},
        {"run = ['a', '${cloud.hostname}']", "7:13", "instance data never chooses this"},
        {"touch = ['/a/${NOWHERE}']", "7:10", "is set nowhere"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_config_done) struct es_config config = {0};
        struct es_err err = {.msg = "nothing"};
        char text[400], start[200];

        snprintf(text, sizeof text, "%s[on_change]\n%s\n", TOP SOURCE, cases[i][0]);
        if (try_config(*state, text, NULL, &config, &err) == 0)
            fail_msg("taken: %s", cases[i][0]);
        snprintf(start, sizeof start, "%s:%s: ", in(*state, "c.toml"), cases[i][1]);
        if (err.class != ES_CONFIG || strncmp(err.msg, start, strlen(start)) != 0 ||
            !strstr(err.msg, cases[i][2]))
            fail_msg("%s: %s: %s", cases[i][0], es_class_name(err.class), err.msg);
    }
}

static void there_is_a_bound(void **state)
{
    char text[2000] = TOP SOURCE "[on_change]\nrestart = [";

    for (int n = 1; n < 100; n++) {
        ES_CLEANUP(es_config_done) struct es_config config = {0};
        struct es_err err = {.msg = "nothing"};
        char closed[2100];
        int r;

        snprintf(text + strlen(text), sizeof text - strlen(text), "'u%d',", n);
        snprintf(closed, sizeof closed, "%s]\n", text);
        if (n != 63 && n != 64)
            continue;
        r = try_config(*state, closed, NULL, &config, &err);
        assert_int_equal(r, n == 63 ? 0 : -EINVAL);
        if (r < 0 && !strstr(err.msg, "c.toml:6:2: [on_change] names more than 63 things"))
            fail_msg("%s", err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(actions_are_in_order_whole_and_once),
        test_in_dir(without_a_table_and_with_an_empty_one_nothing_is_to_be_done),
        test_in_dir(mistakes_are_told_with_their_place),
        test_in_dir(there_is_a_bound),
    };

    return cmocka_run_group_tests_name("on_change", tests, NULL, NULL);
}
