/* providers/s3: patterns and options */
#include "../../providers/s3/glob.h"
#include "s3_case.h"

/* ---- patterns ---- */

static bool matches(const char *pattern, const char *key)
{
    return es_s3_glob_match(pattern, key, strlen(key));
}

static void a_star_stays_in_its_segment_and_two_cross_any_number(void **state)
{
    (void)state;
    assert_true(matches("*.pem", "a.pem"));
    assert_true(matches("*.pem", ".pem"));
    assert_false(matches("*.pem", "d/a.pem"));
    assert_true(matches("**", "a"));
    assert_true(matches("**", "a/b/c"));
    assert_true(matches("**/*.pem", "a.pem"));
    assert_true(matches("**/*.pem", "x/y/a.pem"));
    assert_false(matches("**/*.pem", "x/y/a.pen"));
    assert_true(matches("x/**/y", "x/y"));
    assert_true(matches("x/**/y", "x/a/b/y"));
    assert_false(matches("x/**/y", "a/x/y"));
    assert_true(matches("**/a/**/b", "a/c/a/b"));
    assert_true(matches("a*b*c", "aXbXbc"));
    assert_false(matches("a*b*c", "aXbX"));
    assert_false(matches("vm.args", "vmXargs"));
    assert_false(matches("*", "a/b"));
    assert_true(matches("[a]?", "[a]?"));
    assert_true(matches("**", "../x"));
    assert_true(matches("**", "a//b"));
    assert_false(matches("*/*", "a//b"));
}

static void matching_never_takes_exponential_time(void **state)
{
    char key[1025];

    (void)state;
    for (size_t i = 0; i < sizeof key - 1; i++)
        key[i] = i % 2 ? '/' : 'a';
    key[sizeof key - 1] = '\0';
    assert_false(matches("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b", key));
    memset(key, 'a', sizeof key - 1);
    assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", key));
}

static void a_pattern_that_no_good_key_can_match_is_refused(void **state)
{
    const char *const bad[] = {"", "/a", "a/", "a//b", "../a", "a/.", "a**", "**b/c"};
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(es_s3_glob_check(bad[i], &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
    }
    assert_int_equal(es_s3_glob_check("**/a*.b", &err), 0);
}

/* ---- options ---- */

static void combinations_that_cannot_be_meant_are_wrong_configuration(void **state)
{
    static const struct fake_wrong cases[] = {
        {"bucket = 'bucket'", "merge"},
        {"bucket = 'bucket'\nmirror = ['**']", "dir"},
        {"bucket = 'bucket'\nmerge = ['*']\ndir = '/etc/foo'", "dir"},
        {"bucket = 'bucket'\nmerge = ['*']\nprune = true", "prune"},
        {"bucket = 'bucket'\nmerge = ['/x']", "merge"},
        {"bucket = 'no bucket'\nmerge = ['*']", "bucket"},
        {"bucket = 'x--use1-az4--x-s3'\nmerge = ['*']", "bucket"},
        {"bucket = 'bucket'\nmerge = ['*']\nexpected_bucket_owner = '12'", "12 digits"},
        {"bucket = 'bucket'\nmerge = ['*']\naddressing = 'host'", "addressing"},
        {"bucket = 'bucket'\nmerge = ['*']\nregion = '-'", "region"},
        {"merge = ['*']", "bucket"},
    };

    (void)state;
    fake_aws_assert_wrong(&es_provider_s3, cases, sizeof cases / sizeof *cases);
    fake_aws_assert_fine(&es_provider_s3,
                         "bucket = 'b-${cloud.region}'\nmirror = ['**']\ndir = '/etc/foo'\n"
                         "prune = true\nmode = '0600'");
}

static void core_is_told_where_mirrored_files_go(void **state)
{
    struct es_s3_options options = source(NULL, "**");

    (void)state;
    assert_ptr_equal(es_provider_s3.mirror(&options), &options.files);
    options.files.dir = NULL;
    assert_null(es_provider_s3.mirror(&options));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_stays_in_its_segment_and_two_cross_any_number),
        cmocka_unit_test(matching_never_takes_exponential_time),
        cmocka_unit_test(a_pattern_that_no_good_key_can_match_is_refused),
        cmocka_unit_test(combinations_that_cannot_be_meant_are_wrong_configuration),
        cmocka_unit_test(core_is_told_where_mirrored_files_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
