/* core/own_unit.c: the unit in a cgroup's path, and its names. What systemd says of it is tested
 * under a real one, in tests/e2e/test_boot_on_change.py. */
#include "core_case.h"

#include "core/own_unit.h"

static void the_first_unit_of_the_path_is_ones_own(void **state)
{
    static const char *const cases[][2] = {
        {"0::/system.slice/foo.service\n", "foo.service"},
        {"0::/system.slice/system-foo.slice/foo@a.service\n", "foo@a.service"},
        {"0::/system.slice/foo.service/.control\n", "foo.service"},
        {"0::/system.slice/foo.service/worker.service\n", "foo.service"},
        {"0::/system.slice/_cpu.service\n", "cpu.service"},
        {"0::/system.slice/foo.socket", "foo.socket"},
        {"0::/user.slice/user-7.slice/session-3.scope\n", "session-3.scope"},
        {"0::/user.slice/user-7.slice/user@7.service/app.slice/x.service\n", "user@7.service"},
        {"0::/\n", ""},
        {"0::/../..\n", ""},
        {"0::/system.slice\n", ""},
        {"0::/init.scope\n", "init.scope"},
        {"0::/system.slice/.service\n", ""},
        {"0::", ""},
        {"0:", ""},
        {"0", ""},
        {"", ""},
        {"\n\n", ""},
        /* Version 1, alone and with 2 beside it, in both orders. */
        {"9:name=systemd:/system.slice/foo.service\n8:pids:/system.slice/bar.service\n",
         "foo.service"},
        {"9:name=systemd:/\n8:pids:/bar.service\n0::/system.slice/foo.service\n", "foo.service"},
        {"8:pids:/system.slice/bar.service\n", ""},
        {"8:name=systemd", ""},
        {"0::/a:b/c:d.service\n", "c:d.service"},
    };
    char name[ES_UNIT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        es_own_unit_parse(cases[i][0], name);
        if (strcmp(name, cases[i][1]) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i][0], name, cases[i][1]);
    }
}

static void a_name_that_is_too_long_is_none(void **state)
{
    char text[2 * ES_UNIT_MAX], name[ES_UNIT_MAX];

    (void)state;
    memset(text, 'a', sizeof text);
    strcpy(text, "0::/");
    text[4] = 'a';
    strcpy(text + sizeof text - 10, ".service");
    es_own_unit_parse(text, name);
    assert_string_equal(name, "");
    es_own_unit_parse("0::/a.service/b.service", name);
    assert_string_equal(name, "a.service");
}

static void a_unit_is_known_by_each_of_its_names_and_no_part_of_one(void **state)
{
    struct es_own_unit own = {0};

    (void)state;
    assert_false(es_own_unit_is(&own, "foo.service"));
    assert_int_equal(es_buf_puts(&own.names, " foo.service foo.service-alias.service bar.service "),
                     0);
    assert_true(es_own_unit_is(&own, "foo.service"));
    assert_true(es_own_unit_is(&own, "bar.service"));
    assert_true(es_own_unit_is(&own, "foo.service-alias.service"));
    assert_false(es_own_unit_is(&own, "oo.service"));
    assert_false(es_own_unit_is(&own, "alias.service"));
    assert_false(es_own_unit_is(&own, "foo.serv"));
    es_own_unit_done(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_unit_of_the_path_is_ones_own),
        cmocka_unit_test(a_name_that_is_too_long_is_none),
        cmocka_unit_test(a_unit_is_known_by_each_of_its_names_and_no_part_of_one),
    };

    return cmocka_run_group_tests_name("own_unit", tests, NULL, NULL);
}
