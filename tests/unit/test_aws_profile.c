/* AWS's config and credentials files, read as botocore reads them. */
#include "../../providers/aws/profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct es_aws_profiles *read_both(const char *config, const char *credentials)
{
    struct es_aws_profiles *profiles = NULL;
    struct es_err err = {0};

    assert_int_equal(es_aws_profiles_new(&profiles, &err), 0);
    if (es_aws_profiles_read(profiles, ES_AWS_CONFIG_FILE, config, strlen(config), &err) < 0 ||
        es_aws_profiles_read(profiles, ES_AWS_CREDENTIALS_FILE, credentials, strlen(credentials),
                             &err) < 0)
        fail_msg("%s", err.msg);
    return profiles;
}

static void assert_value(const struct es_buf *value, const char *text)
{
    if (!text) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_string_equal(es_buf_str(value), text);
}

static void profiles_and_values_are_found(void **state)
{
    struct es_aws_profiles *p = read_both("# comment\n"
                                          "[default]\n"
                                          "region = eu-west-1\n"
                                          "; comment\n"
                                          "Output=json   \r\n"
                                          "note = a # no comment\n"
                                          "empty =\n"
                                          "colon: x = y\n"
                                          "[profile one]\r\n"
                                          "role_arn=arn:aws:iam::1:role/x\n"
                                          "[profile \"two words\"]\n"
                                          "region=r2\n"
                                          "[three]\n"
                                          "region=r3\n",
                                          "");

    (void)state;
    assert_value(es_aws_profile_get(p, "default", "region"), "eu-west-1");
    assert_value(es_aws_profile_get(p, "default", "output"), "json");
    assert_value(es_aws_profile_get(p, "default", "note"), "a # no comment");
    assert_value(es_aws_profile_get(p, "default", "empty"), "");
    assert_value(es_aws_profile_get(p, "default", "colon"), "x = y");
    assert_value(es_aws_profile_get(p, "one", "role_arn"), "arn:aws:iam::1:role/x");
    assert_value(es_aws_profile_get(p, "two words", "region"), "r2");
    assert_value(es_aws_profile_get(p, "three", "region"), NULL);
    assert_false(es_aws_profile_exists(p, "three"));
    assert_true(es_aws_profile_exists(p, "one"));
    assert_value(es_aws_profile_get(p, "default", "missing"), NULL);
    es_aws_profiles_free(p);
}

static void credentials_override_key_by_key(void **state)
{
    struct es_aws_profiles *p = read_both("[default]\nregion=a\naws_access_key_id=C\n"
                                          "[profile x]\nregion=b\n",
                                          "[default]\naws_access_key_id=S\n[x]\nregion=c\n"
                                          "[profile y]\nregion=d\n[only]\nk=v\n");

    (void)state;
    assert_value(es_aws_profile_get(p, "default", "region"), "a");
    assert_value(es_aws_profile_get(p, "default", "aws_access_key_id"), "S");
    assert_value(es_aws_profile_get(p, "x", "region"), "c");
    assert_value(es_aws_profile_get(p, "y", "region"), NULL);
    assert_value(es_aws_profile_get(p, "only", "k"), "v");
    es_aws_profiles_free(p);
}

static void indented_lines_are_sub_keys_or_continue_a_value(void **state)
{
    struct es_aws_profiles *p = read_both("[profile x]\n"
                                          "s3 =\n"
                                          "  addressing_style = path\n"
                                          "\n"
                                          "  # comment\n"
                                          "    max = 1 = 2\n"
                                          "  max = 3\n"
                                          "long = one\n"
                                          "   two\n"
                                          "\n"
                                          "   three\n"
                                          "services = mine\n"
                                          "[services mine]\n"
                                          "s3 = \n"
                                          "  endpoint_url = http://h:1/\n"
                                          "secrets_manager =\n"
                                          "\tendpoint_url=https://sm\n",
                                          "");

    (void)state;
    assert_value(es_aws_profile_get(p, "x", "s3"), NULL);
    assert_value(es_aws_profile_sub(p, "x", "s3", "addressing_style"), "path");
    assert_value(es_aws_profile_sub(p, "x", "s3", "max"), "3");
    assert_value(es_aws_profile_sub(p, "x", "s3", ""), NULL);
    assert_value(es_aws_profile_sub(p, "x", "long", "two"), NULL);
    assert_value(es_aws_profile_get(p, "x", "long"), "one\ntwo\n\nthree");
    assert_value(es_aws_profile_service(p, "x", "s3", "endpoint_url"), "http://h:1/");
    assert_value(es_aws_profile_service(p, "x", "secrets_manager", "endpoint_url"), "https://sm");
    assert_value(es_aws_profile_service(p, "x", "ssm", "endpoint_url"), NULL);
    assert_value(es_aws_profile_service(p, "y", "s3", "endpoint_url"), NULL);
    es_aws_profiles_free(p);
}

static void the_later_of_two_spellings_of_a_profile_is_it(void **state)
{
    struct es_aws_profiles *p = read_both("[default]\na=1\nb=1\n[profile default]\na=2\n", "");

    (void)state;
    assert_value(es_aws_profile_get(p, "default", "a"), "2");
    assert_value(es_aws_profile_get(p, "default", "b"), NULL);
    es_aws_profiles_free(p);
}

static void a_bad_line_is_named_and_no_value_told(void **state)
{
    static const struct {
        const char *text, *start;
    } rows[] = {
        {"region=hunter2\n", "1: "},
        {"[a]\nx=hunter2\nhunter2\n", "3: "},
        {"[a]\nx=hunter2\n\n[a]\n", "4: "},
        {"[a]\nx=hunter2\nX = hunter2\n", "3: "},
        {"[a]\n=hunter2\n", "2: "},
        {"[a]\n[]\n", "2: "},
        {"[a]\ns3=\n  hunter2\nb=c\n", "4: "},
        {"[a]\nx=\xff\n", "2: "},
        {"\xef\xbb\xbf[a]\n", "1: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct es_aws_profiles *p;
        struct es_err err = {0};

        assert_int_equal(es_aws_profiles_new(&p, &err), 0);
        assert_int_equal(es_aws_profiles_read(p, ES_AWS_CREDENTIALS_FILE, rows[i].text,
                                              strlen(rows[i].text), &err),
                         -EINVAL);
        assert_int_equal(err.class, ES_CONFIG);
        assert_int_equal(strncmp(err.msg, rows[i].start, strlen(rows[i].start)), 0);
        assert_null(strstr(err.msg, "hunter2"));
        es_aws_profiles_free(p);
    }
}

static void size_and_nul_bytes_are_bounded(void **state)
{
    size_t size = ES_AWS_MAX_PROFILE_FILE + 1;
    char *text = malloc(size);
    struct es_aws_profiles *p;
    struct es_err err = {0};

    (void)state;
    assert_non_null(text);
    memset(text, '#', size);
    assert_int_equal(es_aws_profiles_new(&p, &err), 0);
    assert_int_equal(es_aws_profiles_read(p, ES_AWS_CONFIG_FILE, text, size - 1, &err), 0);
    assert_int_equal(es_aws_profiles_read(p, ES_AWS_CONFIG_FILE, text, size, &err), -EFBIG);
    assert_int_equal(es_aws_profiles_read(p, ES_AWS_CONFIG_FILE, "[a]\nx=\0y\n", 9, &err), -EINVAL);
    es_aws_profiles_free(p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_and_values_are_found),
        cmocka_unit_test(credentials_override_key_by_key),
        cmocka_unit_test(indented_lines_are_sub_keys_or_continue_a_value),
        cmocka_unit_test(the_later_of_two_spellings_of_a_profile_is_it),
        cmocka_unit_test(a_bad_line_is_named_and_no_value_told),
        cmocka_unit_test(size_and_nul_bytes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
