/* The chain of credentials: each link, each broken link, and the order. Nothing asks a network. */
#include "providers/aws/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const char canary[] = "c4n4ry-s3cr3t";

int es_sink_note(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    (void)sink;
    (void)err;
    (void)fmt;
    return 0;
}

int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    (void)sink;
    (void)err;
    (void)fmt;
    return 0;
}

/* What one case is made of: variables as NAME=VALUE, the two files, options. */
struct given {
    const char *variables[8];
    const char *config, *credentials;
    struct es_aws_options options;
};

static struct es_file file_of(const char *role, const char *content)
{
    int fd = memfd_create(role, MFD_CLOEXEC);

    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    return (struct es_file){.role = role, .path = role, .fd = fd};
}

static void fill(struct es_surroundings *s, const struct given *given)
{
    es_value_set_table(&s->environment);
    for (size_t i = 0; given->variables[i]; i++) {
        const char *value = strchr(given->variables[i], '=') + 1;
        size_t len = (size_t)(value - 1 - given->variables[i]);
        struct es_entry *entry;

        assert_int_equal(es_table_add(&s->environment, given->variables[i], len, &entry), 0);
        assert_int_equal(es_value_set_string(&entry->value, value, strlen(value)), 0);
    }
}

/* Appends what the chain says, or "class: message". */
static int find(const struct given *given, struct es_buf *out)
{
    struct es_surroundings s = {0};
    struct es_file files[2] = {
        file_of(ES_AWS_ROLE_CONFIG, given->config ? given->config : ""),
        file_of(ES_AWS_ROLE_CREDENTIALS, given->credentials ? given->credentials : ""),
    };
    struct es_fetch fetch = {.surroundings = &s, .files = files, .n_files = 2};
    struct es_aws_settings settings = {0};
    struct es_aws_link *link = NULL;
    struct es_err err;
    int r;

    fill(&s, given);
    r = es_aws_settings_init(&settings, &fetch, &given->options, &err);
    if (r == 0)
        r = es_aws_chain_find(&settings, &link, &err);
    if (r == 0)
        assert_int_equal(es_aws_chain_tell(link, out), 0);
    else
        assert_int_equal(es_buf_printf(out, "%s: %s", es_class_name(err.class), err.msg), 0);
    assert_null(strstr(es_buf_str(out), canary));
    es_aws_link_free(link);
    es_aws_settings_done(&settings);
    es_surroundings_done(&s);
    close(files[0].fd);
    close(files[1].fd);
    return r;
}

static void gives(struct given given, const char *expected)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    assert_int_equal(find(&given, &out), 0);
    assert_string_equal(es_buf_str(&out), expected);
}

static void breaks(struct given given, const char *class, const char *part)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    assert_true(find(&given, &out) < 0);
    assert_memory_equal(es_buf_str(&out), class, strlen(class));
    if (!strstr(es_buf_str(&out), part))
        fail_msg("\"%s\" does not name \"%s\"", es_buf_str(&out), part);
}

#define KEYS         "aws_access_key_id = AKID\naws_secret_access_key = c4n4ry-s3cr3t\n"
#define OPTION(k, v) .options = {.k = (char *)(uintptr_t)(v)}
#define ENV_ID       "AWS_ACCESS_KEY_ID=AKID"
#define ENV_SECRET   "AWS_SECRET_ACCESS_KEY=c4n4ry-s3cr3t"
#define ROLE         "arn:aws:iam::123456789012:role/x"

static void test_the_first_link_wins(void **state)
{
    (void)state;
    gives((struct given){.variables = {ENV_ID, ENV_SECRET, "AWS_WEB_IDENTITY_TOKEN_FILE=/t",
                                       "AWS_ROLE_ARN=" ROLE},
                         .credentials = "[default]\n" KEYS},
          "environment (AWS_ACCESS_KEY_ID)");
    gives((struct given){.variables = {"AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_ROLE_ARN=" ROLE},
                         .credentials = "[default]\n" KEYS},
          "profile \"default\": keys");
    gives((struct given){.variables = {"AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_ROLE_ARN=" ROLE,
                                       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x"}},
          "web identity (AWS_WEB_IDENTITY_TOKEN_FILE) for " ROLE);
    gives((struct given){.variables = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x",
                                       "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://evil/"}},
          "container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)");
    gives((struct given){.config = ""}, "role of the instance (metadata service)");
}

static void test_a_profile_of_the_option_goes_before_the_environment(void **state)
{
    (void)state;
    gives((struct given){.variables = {ENV_ID, ENV_SECRET},
                         .credentials = "[app]\n" KEYS,
                         OPTION(profile, "app")},
          "profile \"app\": keys");
    gives((struct given){.variables = {ENV_ID, ENV_SECRET, "AWS_PROFILE=app"},
                         .credentials = "[app]\n" KEYS},
          "environment (AWS_ACCESS_KEY_ID)");
}

static void test_half_of_a_pair_is_an_error(void **state)
{
    (void)state;
    breaks((struct given){.variables = {ENV_ID}}, "config", "AWS_SECRET_ACCESS_KEY is not");
    breaks((struct given){.variables = {ENV_SECRET}}, "config", "AWS_ACCESS_KEY_ID is not");
    breaks((struct given){.credentials = "[default]\naws_access_key_id = a\n"}, "config",
           "aws_secret_access_key is missing");
    breaks((struct given){.variables = {"AWS_WEB_IDENTITY_TOKEN_FILE=/t"}}, "config",
           "AWS_ROLE_ARN is not");
}

static void test_a_profile_that_is_named_and_missing_is_an_error(void **state)
{
    (void)state;
    breaks((struct given){.variables = {"AWS_PROFILE=nope"}}, "config", "AWS_PROFILE names");
    breaks((struct given){OPTION(profile, "nope")}, "config", "profile names");
}

static void test_a_role_needs_exactly_one_source(void **state)
{
    (void)state;
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE "\n"}, "config",
           "one of source_profile");
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE
                                    "\nsource_profile=a\ncredential_source=Environment\n"},
           "config", "only one of");
    gives((struct given){.config = "[default]\nrole_arn=" ROLE "\nsource_profile=a\n",
                         .credentials = "[a]\n" KEYS},
          "profile \"default\": role_arn for " ROLE ", with profile \"a\": keys");
    gives((struct given){.config = "[default]\nrole_arn=" ROLE
                                   "\ncredential_source=Ec2InstanceMetadata\n"},
          "profile \"default\": role_arn for " ROLE
          ", with role of the instance (metadata service)");
}

static void test_sources_of_a_role_that_give_nothing_are_errors(void **state)
{
    (void)state;
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE "\nsource_profile=a\n"}, "config",
           "no profile \"a\"");
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE
                                    "\nsource_profile=a\n[profile a]\nregion=x\n"},
           "config", "holds no credentials");
    breaks(
        (struct given){.config = "[default]\nrole_arn=" ROLE "\ncredential_source=Environment\n"},
        "config", "Environment gives no credentials");
    breaks(
        (struct given){.config = "[default]\nrole_arn=" ROLE "\ncredential_source=EcsContainer\n"},
        "config", "EcsContainer gives no credentials");
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE "\ncredential_source=Moon\n"},
           "config", "credential_source");
}

static void test_profiles_that_lead_back_are_an_error(void **state)
{
    (void)state;
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE "\nsource_profile=a\n"
                                    "[profile a]\nrole_arn=" ROLE "\nsource_profile=default\n"},
           "config", "leads back to itself");
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE "\nsource_profile=default\n"},
           "config", "leads back to itself");
    gives((struct given){.config = "[default]\nrole_arn=" ROLE "\nsource_profile=default\n",
                         .credentials = "[default]\n" KEYS},
          "profile \"default\": role_arn for " ROLE ", with profile \"default\": keys");
}

static void test_what_needs_a_person_is_refused(void **state)
{
    (void)state;
    breaks((struct given){.config = "[default]\nsso_session=x\n"}, "config", "SSO needs a person");
    breaks((struct given){.config = "[default]\nrole_arn=" ROLE
                                    "\nsource_profile=a\nmfa_serial=arn:aws:iam::1:mfa/x\n"},
           "config", "mfa_serial needs a person");
}

static void test_the_option_role_arn_stands_on_top(void **state)
{
    (void)state;
    gives((struct given){.variables = {ENV_ID, ENV_SECRET}, OPTION(role_arn, ROLE)},
          "role_arn for " ROLE ", with environment (AWS_ACCESS_KEY_ID)");
}

static void test_container_addresses_are_local_or_https(void **state)
{
    static const char *const good[] = {
        "http://127.0.0.1/x",     "http://127.9.9.9:8080/x",        "http://localhost/x",
        "http://169.254.170.2/x", "http://169.254.170.23/x",        "http://[fd00:ec2::23]/x",
        "http://[::1]:80/x",      "https://anything.example.org/x",
    };
    static const char *const bad[] = {
        "http://evil.example.org/x",   "http://169.254.170.24/x",
        "http://127.0.0.1.evil.org/x", "ftp://127.0.0.1/x",
        "http://localhost@evil/x",     "http://[fd00:ec2::24]/x",
        "http://127.0.0.1/\r\nx",      "https:///x",
    };
    char variable[128];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(variable, sizeof variable, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", good[i]);
        gives((struct given){.variables = {variable}},
              "container (AWS_CONTAINER_CREDENTIALS_FULL_URI)");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(variable, sizeof variable, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", bad[i]);
        breaks((struct given){.variables = {variable}}, "config",
               "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    }
}

static void test_with_the_metadata_service_off_there_is_nothing_left(void **state)
{
    (void)state;
    breaks((struct given){.variables = {"AWS_EC2_METADATA_DISABLED=true"}}, "denied",
           "no credentials");
    breaks((struct given){.variables = {"AWS_EC2_METADATA_SERVICE_ENDPOINT=nonsense"}}, "config",
           "AWS_EC2_METADATA_SERVICE_ENDPOINT");
}

static void test_a_command_is_split_as_a_shell_would(void **state)
{
    struct es_err err;
    char **argv = NULL;

    (void)state;
    assert_int_equal(es_aws_argv_split(" a 'b c' \"d \\\" $x\" e\\ f '' g'h'i ", &argv, &err), 0);
    assert_string_equal(argv[0], "a");
    assert_string_equal(argv[1], "b c");
    assert_string_equal(argv[2], "d \" $x");
    assert_string_equal(argv[3], "e f");
    assert_string_equal(argv[4], "");
    assert_string_equal(argv[5], "ghi");
    assert_null(argv[6]);
    free(argv);
    assert_true(es_aws_argv_split("a 'b", &argv, &err) < 0);
    assert_true(es_aws_argv_split("a \\", &argv, &err) < 0);
    assert_true(es_aws_argv_split("  ", &argv, &err) < 0);
}

static void read_keys(const char *text, bool process, int expected)
{
    struct es_aws_keys keys = {0};
    int64_t expires = -1;
    struct es_err err = {0};
    int r = es_aws_keys_read(text, strlen(text), process, &keys, &expires, &err);

    assert_int_equal(r, expected);
    assert_null(strstr(err.msg, canary));
    if (r == 0) {
        assert_true(es_buf_is(&keys.secret, canary));
        assert_int_equal(expires, strstr(text, "Expiration") ? 1767323045 : 0);
    }
    es_aws_keys_done(&keys);
}

static void test_documents_that_hold_keys(void **state)
{
    (void)state;
    read_keys("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"c4n4ry-s3cr3t\",\"Token\":\"t\","
              "\"Expiration\":\"2026-01-02T03:04:05Z\"}",
              false, 0);
    read_keys("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"c4n4ry-s3cr3t\"}", true,
              0);
    read_keys("{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"c4n4ry-s3cr3t\"}", true,
              -EBADMSG);
    read_keys("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"c4n4ry-s3cr3t\"}", true, -EBADMSG);
    read_keys("{\"Code\":\"Failed\",\"Message\":\"c4n4ry-s3cr3t\"}", false, -ENOENT);
    read_keys("{\"AccessKeyId\":\"A\\r\\nx\",\"SecretAccessKey\":\"c4n4ry-s3cr3t\"}", false,
              -EBADMSG);
    read_keys("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"c4n4ry-s3cr3t\",\"Expiration\":\"x\"}",
              false, -EBADMSG);
    read_keys("[]", false, -EBADMSG);
    read_keys("<html>c4n4ry-s3cr3t</html>", false, -EBADMSG);
    read_keys("", false, -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_link_wins),
        cmocka_unit_test(test_a_profile_of_the_option_goes_before_the_environment),
        cmocka_unit_test(test_half_of_a_pair_is_an_error),
        cmocka_unit_test(test_a_profile_that_is_named_and_missing_is_an_error),
        cmocka_unit_test(test_a_role_needs_exactly_one_source),
        cmocka_unit_test(test_sources_of_a_role_that_give_nothing_are_errors),
        cmocka_unit_test(test_profiles_that_lead_back_are_an_error),
        cmocka_unit_test(test_what_needs_a_person_is_refused),
        cmocka_unit_test(test_the_option_role_arn_stands_on_top),
        cmocka_unit_test(test_container_addresses_are_local_or_https),
        cmocka_unit_test(test_with_the_metadata_service_off_there_is_nothing_left),
        cmocka_unit_test(test_a_command_is_split_as_a_shell_would),
        cmocka_unit_test(test_documents_that_hold_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
