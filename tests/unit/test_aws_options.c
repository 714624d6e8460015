/* The options that all AWS sources share: what is refused, and which files root opens. */
#include "providers/aws/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void set(struct es_surroundings *s, const char *name, const char *value)
{
    struct es_entry *entry;

    if (s->environment.type != ES_TABLE)
        es_value_set_table(&s->environment);
    assert_int_equal(es_table_add(&s->environment, name, strlen(name), &entry), 0);
    assert_int_equal(es_value_set_string(&entry->value, value, strlen(value)), 0);
}

static void refused(struct es_aws_options options, const char *key)
{
    struct es_err err = {0};

    assert_true(es_aws_validate(&options, &err) < 0);
    assert_int_equal(err.class, ES_CONFIG);
    assert_memory_equal(err.msg, key, strlen(key));
}

static void test_what_cannot_be_is_refused_and_named(void **state)
{
    (void)state;
    refused((struct es_aws_options){.region = text("eu west")}, "region: ");
    refused((struct es_aws_options){.region = text("evil.example.org/")}, "region: ");
    refused((struct es_aws_options){.region = text("1234")}, "region: ");
    refused((struct es_aws_options){.endpoint = text("ftp://x")}, "endpoint: ");
    refused((struct es_aws_options){.endpoint = text("https://user:pw@host")}, "endpoint: ");
    refused((struct es_aws_options){.endpoint = text("host:8080")}, "endpoint: ");
    refused((struct es_aws_options){.proxy = text("proxy:3128")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("ftp://proxy")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://proxy:99999")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://proxy/x")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://[::1")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://user:pw@")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://user:p w@proxy")}, "proxy: ");
    refused((struct es_aws_options){.proxy = text("http://user:p@w@proxy")}, "proxy: ");
    refused((struct es_aws_options){.role_arn = text("arn:aws:iam::1:user/x")}, "role_arn: ");
    refused((struct es_aws_options){.role_arn = text("admin")}, "role_arn: ");
}

static void test_what_can_be_is_accepted(void **state)
{
    struct es_aws_options options = {
        .region = text("eu-west-1"),
        .endpoint = text("http://127.0.0.1:9000/base"),
        .proxy = text("http://proxy:3128"),
        .role_arn = text("arn:aws-cn:iam::123456789012:role/path/name"),
    };
    struct es_aws_options cloud = {.region = text("${cloud.region}")}, none = {0};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(es_aws_validate(&options, &err), 0);
    assert_int_equal(es_aws_validate(&cloud, &err), 0);
    assert_int_equal(es_aws_validate(&none, &err), 0);
}

static const char *path_of(const struct es_needs *needs, const char *role)
{
    for (size_t i = 0; i < needs->n; i++)
        if (strcmp(needs->items[i].role, role) == 0) {
            assert_true(needs->items[i].flags & ES_NEED_OPTIONAL);
            return needs->items[i].path;
        }
    return NULL;
}

static void test_files_are_sought_in_the_home_of_the_passwd_entry(void **state)
{
    struct es_surroundings s = {.home = strdup("/root")};
    struct es_aws_options options = {0};
    struct es_needs needs = {0};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(es_aws_needs(&options, &s, &needs, &err), 0);
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CONFIG), "/root/.aws/config");
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CREDENTIALS), "/root/.aws/credentials");
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CLOUD), "/run/cloud-init/instance-data.json");
    assert_int_equal(needs.n, 3);
    es_needs_done(&needs);
    es_surroundings_done(&s);
}

static void test_without_a_home_and_with_a_region_nothing_is_needed(void **state)
{
    struct es_surroundings s = {0};
    struct es_aws_options options = {.region = text("eu-west-1")};
    struct es_needs needs = {0};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(es_aws_needs(&options, &s, &needs, &err), 0);
    assert_int_equal(needs.n, 0);
    es_needs_done(&needs);
}

static void test_variables_and_options_name_the_files(void **state)
{
    struct es_surroundings s = {.home = strdup("/root")};
    struct es_aws_options options = {.ca_file = text("/etc/ca.pem")};
    struct es_needs needs = {0};
    struct es_err err = {0};

    (void)state;
    set(&s, "AWS_CONFIG_FILE", "/a");
    set(&s, "AWS_SHARED_CREDENTIALS_FILE", "/b");
    set(&s, "AWS_CA_BUNDLE", "/c");
    set(&s, "AWS_WEB_IDENTITY_TOKEN_FILE", "/d");
    set(&s, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "relative");
    assert_int_equal(es_aws_needs(&options, &s, &needs, &err), 0);
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CONFIG), "/a");
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CREDENTIALS), "/b");
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CA_BUNDLE), "/c");
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_WEB_TOKEN), "/d");
    assert_string_equal(path_of(&needs, ES_AWS_ROLE_CA_FILE), "/etc/ca.pem");
    assert_null(path_of(&needs, ES_AWS_ROLE_CONTAINER_TOKEN));
    es_needs_done(&needs);
    es_surroundings_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_be_is_refused_and_named),
        cmocka_unit_test(test_what_can_be_is_accepted),
        cmocka_unit_test(test_files_are_sought_in_the_home_of_the_passwd_entry),
        cmocka_unit_test(test_without_a_home_and_with_a_region_nothing_is_needed),
        cmocka_unit_test(test_variables_and_options_name_the_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
