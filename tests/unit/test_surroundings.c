/* core/surroundings.c, base/surroundings.c: what providers may know besides their options. */
#include "core_case.h"

#include "core/surroundings.h"

#include <pwd.h>

static const char *const names[] = {"AWS_PROFILE", "EMPTY", "NOWHERE", NULL};
static const char *const more[] = {"AWS_PROFILE", "CREDENTIALS_DIRECTORY", "OTHER", NULL};
static const struct es_provider one = {.type = "one", .environment = names};
static const struct es_provider two = {.type = "two", .environment = more};
static const struct es_provider none = {.type = "none"};

/* `own`: what the last run wrote, or NULL; `listed`: a name in the configuration's `env`, or NULL.
 */
static void gather_with(const struct es_provider *a, const struct es_provider *b,
                        const struct es_value *own, const char *listed, struct es_surroundings *ret)
{
    char *items[] = {(char *)listed};
    static char *environment[] = {(char *)"AWS_PROFILE=prod",
                                  (char *)"EMPTY=",
                                  (char *)"SECRET=CANARY",
                                  (char *)"OTHER=x",
                                  (char *)"HOME=/evil",
                                  (char *)"CREDENTIALS_DIRECTORY=/c",
                                  NULL};
    const struct es_process process = {.environ = environment};
    struct es_source sources[] = {{.provider = a}, {.provider = b}};
    const struct es_config config = {
        .sources = sources, .n_sources = 2, .env = {.items = items, .n = listed ? 1 : 0}};
    struct es_err err;

    assert_int_equal(es_surroundings_gather(&config, &process, own, ret, &err), 0);
}

static void gather(const struct es_provider *a, const struct es_provider *b,
                   struct es_surroundings *ret)
{
    gather_with(a, b, NULL, NULL, ret);
}

static void only_what_a_configured_provider_declares_is_taken(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0};

    (void)state;
    gather(&one, &none, &s);
    assert_string_equal(es_surroundings_get(&s, "AWS_PROFILE"), "prod");
    assert_null(es_surroundings_get(&s, "SECRET"));
    assert_null(es_surroundings_get(&s, "OTHER"));
    assert_null(es_surroundings_get(&s, "NOWHERE"));
    assert_int_equal(s.environment.table.n, 1);
}

static void an_empty_variable_is_none(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0};

    (void)state;
    gather(&one, &none, &s);
    assert_null(es_surroundings_get(&s, "EMPTY"));
}

static void what_is_not_aws_own_nor_systemds_has_to_be_listed(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0};

    (void)state;
    gather(&one, &two, &s);
    assert_null(es_surroundings_get(&s, "OTHER"));
    assert_string_equal(es_surroundings_get(&s, "CREDENTIALS_DIRECTORY"), "/c");
}

static void what_the_last_run_wrote_is_no_input_of_this_one_unless_listed(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0}, listed = {0};
    ES_CLEANUP(es_value_done) struct es_value own = {.type = ES_TABLE};
    struct es_entry *entry;

    (void)state;
    assert_int_equal(es_table_add(&own, "AWS_PROFILE", 11, &entry), 0);
    gather_with(&one, &two, &own, NULL, &s);
    assert_null(es_surroundings_get(&s, "AWS_PROFILE"));
    gather_with(&one, &two, &own, "AWS_PROFILE", &listed);
    assert_string_equal(es_surroundings_get(&listed, "AWS_PROFILE"), "prod");
}

static void two_providers_may_want_the_same(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0};

    (void)state;
    gather_with(&one, &two, NULL, "OTHER", &s);
    assert_string_equal(es_surroundings_get(&s, "AWS_PROFILE"), "prod");
    assert_string_equal(es_surroundings_get(&s, "OTHER"), "x");
    assert_int_equal(s.environment.table.n, 3);
}

static void home_is_never_what_the_environment_says(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0};
    const struct passwd *user = getpwuid(geteuid());

    (void)state;
    gather(&none, &none, &s);
    if (user)
        assert_string_equal(s.home, user->pw_dir);
    else
        assert_null(s.home);
}

static void nothing_known_is_nothing_found(void **state)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0}, empty = {0};

    (void)state;
    assert_null(es_surroundings_get(&empty, "AWS_PROFILE"));
    gather(&none, &none, &s);
    assert_null(es_surroundings_get(&s, "AWS_PROFILE"));
    assert_int_equal(s.environment.table.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_a_configured_provider_declares_is_taken),
        cmocka_unit_test(an_empty_variable_is_none),
        cmocka_unit_test(what_is_not_aws_own_nor_systemds_has_to_be_listed),
        cmocka_unit_test(what_the_last_run_wrote_is_no_input_of_this_one_unless_listed),
        cmocka_unit_test(two_providers_may_want_the_same),
        cmocka_unit_test(home_is_never_what_the_environment_says),
        cmocka_unit_test(nothing_known_is_nothing_found),
    };

    return cmocka_run_group_tests_name("surroundings", tests, NULL, NULL);
}
