/* core/names.c */
#include "core_case.h"
#include "failing.h"

#include "core/names.h"

static void assert_name(const char *key_text, bool verbatim, bool keep_case, const char *name)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0}, out = {0};
    struct es_err err;

    assert_int_equal(es_key_parse(key_text, &key, &err), 0);
    assert_int_equal(es_name_of_key(&key, verbatim, keep_case, &out), 0);
    assert_string_equal(out.data, name);
}

static void a_path_is_joined_folded_and_upper_cased(void **state)
{
    (void)state;
    assert_name("db.password", false, false, "DB_PASSWORD");
    assert_name("foo.\"Foo.Repo\".pool-size", false, false, "FOO_FOO_REPO_POOL_SIZE");
    assert_name("a", false, false, "A");
    assert_name("a.9", false, false, "A_9");
    assert_name("_x.y", false, false, "_X_Y");
}

static void keep_keeps_the_case_and_nothing_else(void **state)
{
    (void)state;
    assert_name("db.Pass-word", false, true, "db_Pass_word");
}

static void a_single_name_of_an_env_file_is_kept(void **state)
{
    (void)state;
    assert_name("http_proxy", true, false, "http_proxy");
    assert_name("http_proxy", false, false, "HTTP_PROXY");
    assert_name("a.b", true, false, "A_B");
    assert_name("a-b", true, false, "A_B");
}

static void what_makes_no_name_is_refused_and_the_output_stays(void **state)
{
    static const char *const bad[] = {"9a", "\"a b\"", "\"\"", "\"a=b\"", "\"\xc3\xa9\"", "'\n'"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf key = {0}, out = {0};
        struct es_err err;

        assert_int_equal(es_key_parse(bad[i], &key, &err), 0);
        assert_int_equal(es_name_of_key(&key, true, true, &out), -EINVAL);
        assert_null(out.data);
    }
}

/* The list of what acts on privileged programs, systemd and shells, name by name. */
static void names_that_act_on_privileged_programs_are_refused(void **state)
{
    static const char *const refused[] = {
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_",
        "GLIBC_TUNABLES",
        "GCONV_PATH",
        "GETCONF_DIR",
        "HOSTALIASES",
        "LOCALDOMAIN",
        "LOCPATH",
        "MALLOC_CHECK_",
        "MALLOC_TRACE",
        "NIS_PATH",
        "NLSPATH",
        "RESOLV_HOST_CONF",
        "RES_OPTIONS",
        "TZDIR",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "CREDENTIALS_DIRECTORY",
        "RUNTIME_DIRECTORY",
        "STATE_DIRECTORY",
        "CACHE_DIRECTORY",
        "LOGS_DIRECTORY",
        "CONFIGURATION_DIRECTORY",
        "SYSTEMD_EXEC_PID",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PS4",
        "SHELLOPTS",
        "BASHOPTS",
        "UID",
        "EUID",
        "PPID",
    };

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!es_name_refused(refused[i]))
            fail_msg("%s is let through", refused[i]);
}

static void everything_else_is_the_apps_business(void **state)
{
    static const char *const fine[] = {
        "HOME",
        "PATH",
        "MALLOC_ARENA_MAX",
        "RUBYOPT",
        "ERL_FLAGS",
        "NODE_OPTIONS",
        "http_proxy",
        "AWS_REGION",
        "LD",
        "LDFLAGS",
        "ld_preload",
        "ENVIRONMENT",
        "UIDS",
        "RUNTIME_DIRECTORY_X",
        "TZ",
        "ENV_",
        "PS1",
        "A_LD_PRELOAD",
        "WATCHDOG",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (es_name_refused(fine[i]))
            fail_msg("%s is refused", fine[i]);
}

static int name_long_key(void *data, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};
    int r = es_name_of_key(data, false, false, &name);

    assert_true(r == 0 || (r == -ENOMEM && name.len == 0));
    return r < 0 ? es_nomem(err) : 0;
}

/* Also where the first part fills the memory that there is. */
static void want_of_memory_leaves_no_half_of_a_name(void **state)
{
    static const struct ordeal o = {.run = name_long_key};
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_key_parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbb", &key, &err), 0);
    ordeal(&o, &key, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_joined_folded_and_upper_cased),
        cmocka_unit_test(keep_keeps_the_case_and_nothing_else),
        cmocka_unit_test(a_single_name_of_an_env_file_is_kept),
        cmocka_unit_test(what_makes_no_name_is_refused_and_the_output_stays),
        cmocka_unit_test(names_that_act_on_privileged_programs_are_refused),
        cmocka_unit_test(everything_else_is_the_apps_business),
        cmocka_unit_test(want_of_memory_leaves_no_half_of_a_name),
    };

    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
