/* Endpoints: the table of partitions and variants (as botocore's rule sets give them), custom
 * ones, addressing, and what may never become part of a host name. */
#include "../../providers/aws/endpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct es_aws_endpoint get(const struct es_aws_endpoint_want *want)
{
    struct es_aws_endpoint endpoint = {0};
    struct es_err err = {0};
    int r = es_aws_endpoint(want, &endpoint, &err);

    if (r < 0)
        print_message("%s\n", err.msg);
    assert_int_equal(r, 0);
    return endpoint;
}

/* 64 characters: one too many. */
#define LONG "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"

static void refused(const struct es_aws_endpoint_want *want)
{
    struct es_aws_endpoint endpoint = {.port = 7};
    struct es_err err = {0};

    assert_int_equal(es_aws_endpoint(want, &endpoint, &err), -EINVAL);
    assert_int_equal(err.class, ES_CONFIG);
    assert_int_equal(endpoint.port, 7);
    assert_true(strlen(err.msg) > 0);
}

static void each_partition_has_its_hosts(void **state)
{
    static const struct {
        enum es_aws_service service;
        const char *region;
        const char *hosts[4]; /* plain, FIPS, dual-stack, both; NULL: refused */
    } rows[] = {
        {ES_AWS_SSM,
         "eu-west-1",
         {"ssm.eu-west-1.amazonaws.com", "ssm-fips.eu-west-1.amazonaws.com",
          "ssm.eu-west-1.api.aws", "ssm-fips.eu-west-1.api.aws"}},
        {ES_AWS_SSM,
         "us-gov-west-1",
         {"ssm.us-gov-west-1.amazonaws.com", "ssm.us-gov-west-1.amazonaws.com",
          "ssm.us-gov-west-1.api.aws", "ssm-fips.us-gov-west-1.api.aws"}},
        {ES_AWS_STS,
         "us-gov-west-1",
         {"sts.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com",
          "sts.us-gov-west-1.api.aws", "sts-fips.us-gov-west-1.api.aws"}},
        {ES_AWS_STS,
         "cn-north-1",
         {"sts.cn-north-1.amazonaws.com.cn", "sts-fips.cn-north-1.amazonaws.com.cn",
          "sts.cn-north-1.api.amazonwebservices.com.cn",
          "sts-fips.cn-north-1.api.amazonwebservices.com.cn"}},
        {ES_AWS_STS,
         "eusc-de-east-1",
         {"sts.eusc-de-east-1.amazonaws.eu", "sts-fips.eusc-de-east-1.amazonaws.eu",
          "sts.eusc-de-east-1.api.amazonwebservices.eu",
          "sts-fips.eusc-de-east-1.api.amazonwebservices.eu"}},
        {ES_AWS_SECRETS_MANAGER,
         "eu-west-1",
         {"secretsmanager.eu-west-1.amazonaws.com", "secretsmanager-fips.eu-west-1.amazonaws.com",
          "secretsmanager.eu-west-1.amazonaws.com", "secretsmanager-fips.eu-west-1.amazonaws.com"}},
        {ES_AWS_SECRETS_MANAGER,
         "cn-north-1",
         {"secretsmanager.cn-north-1.amazonaws.com.cn",
          "secretsmanager-fips.cn-north-1.amazonaws.com.cn",
          "secretsmanager.cn-north-1.amazonaws.com.cn",
          "secretsmanager-fips.cn-north-1.api.amazonwebservices.com.cn"}},
        {ES_AWS_SECRETS_MANAGER,
         "us-iso-east-1",
         {"secretsmanager.us-iso-east-1.c2s.ic.gov", "secretsmanager-fips.us-iso-east-1.c2s.ic.gov",
          "secretsmanager.us-iso-east-1.api.aws.ic.gov",
          "secretsmanager-fips.us-iso-east-1.api.aws.ic.gov"}},
        {ES_AWS_SSM,
         "us-isob-east-1",
         {"ssm.us-isob-east-1.sc2s.sgov.gov", "ssm-fips.us-isob-east-1.sc2s.sgov.gov",
          "ssm.us-isob-east-1.api.aws.scloud", "ssm-fips.us-isob-east-1.api.aws.scloud"}},
        {ES_AWS_S3,
         "eu-west-1",
         {"bkt.s3.eu-west-1.amazonaws.com", "bkt.s3-fips.eu-west-1.amazonaws.com",
          "bkt.s3.dualstack.eu-west-1.amazonaws.com",
          "bkt.s3-fips.dualstack.eu-west-1.amazonaws.com"}},
        {ES_AWS_S3,
         "cn-north-1",
         {"bkt.s3.cn-north-1.amazonaws.com.cn", NULL,
          "bkt.s3.dualstack.cn-north-1.amazonaws.com.cn", NULL}},
        {ES_AWS_S3,
         "us-east-1",
         {"bkt.s3.us-east-1.amazonaws.com", "bkt.s3-fips.us-east-1.amazonaws.com",
          "bkt.s3.dualstack.us-east-1.amazonaws.com",
          "bkt.s3-fips.dualstack.us-east-1.amazonaws.com"}},
        {ES_AWS_SSM,
         "xx-nowhere-9",
         {"ssm.xx-nowhere-9.amazonaws.com", "ssm-fips.xx-nowhere-9.amazonaws.com",
          "ssm.xx-nowhere-9.api.aws", "ssm-fips.xx-nowhere-9.api.aws"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int variant = 0; variant < 4; variant++) {
            struct es_aws_endpoint_want want = {
                .service = rows[i].service,
                .region = rows[i].region,
                .fips = variant & 1,
                .dual_stack = variant & 2,
                .bucket = "bkt",
            };
            struct es_aws_endpoint endpoint;

            if (!rows[i].hosts[variant]) {
                refused(&want);
                continue;
            }
            endpoint = get(&want);
            assert_string_equal(endpoint.host, rows[i].hosts[variant]);
            assert_string_equal(endpoint.authority, endpoint.host);
            assert_string_equal(endpoint.base, "");
            assert_true(endpoint.tls && endpoint.port == 443 && !endpoint.custom);
        }
    }
}

static void a_bucket_that_is_no_label_goes_into_the_path(void **state)
{
    static const char *const path[] = {"a.b", "Upper", "ab",          "un_der",
                                       "-ab", "ab-",   "192.168.1.1", LONG};
    struct es_aws_endpoint_want want = {.service = ES_AWS_S3, .region = "eu-west-1"};

    (void)state;
    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        struct es_aws_endpoint endpoint;
        char base[100];

        want.bucket = path[i];
        endpoint = get(&want);
        snprintf(base, sizeof base, "/%s", path[i]);
        assert_true(endpoint.path_style);
        assert_string_equal(endpoint.base, base);
        assert_string_equal(endpoint.host, "s3.eu-west-1.amazonaws.com");
    }
    want.bucket = "fine-bucket";
    want.addressing = ES_AWS_ADDRESS_PATH;
    assert_string_equal(get(&want).base, "/fine-bucket");
    want.addressing = ES_AWS_ADDRESS_VIRTUAL;
    want.bucket = "un_der";
    refused(&want);
    want.bucket = NULL;
    assert_string_equal(get(&want).host, "s3.eu-west-1.amazonaws.com");
}

static void buckets_that_cannot_be_asked_for_are_refused(void **state)
{
    static const char *const bad[] = {"b--x-s3", "b--xa-s3", "arn:aws:s3:eu:1:accesspoint/x",
                                      "",        ".",        "..",
                                      "a/b",     "a?b",      "a b",
                                      "a\nb",    "a%2f",     "b@c"};
    struct es_aws_endpoint_want want = {.service = ES_AWS_S3, .region = "eu-west-1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        want.bucket = bad[i];
        refused(&want);
    }
}

static void a_custom_endpoint_keeps_its_path_and_wins_over_variants(void **state)
{
    struct es_aws_endpoint_want want = {.service = ES_AWS_S3,
                                        .region = "us-east-1",
                                        .fips = true,
                                        .dual_stack = true,
                                        .bucket = "bkt"};
    struct es_aws_endpoint endpoint;

    (void)state;
    want.custom = "http://127.0.0.1:9000/base/v1/";
    endpoint = get(&want);
    assert_false(endpoint.tls);
    assert_true(endpoint.custom && endpoint.path_style);
    assert_string_equal(endpoint.host, "127.0.0.1");
    assert_string_equal(endpoint.authority, "127.0.0.1:9000");
    assert_string_equal(endpoint.base, "/base/v1/bkt");
    want.custom = "https://[::1]:443";
    endpoint = get(&want);
    assert_string_equal(endpoint.host, "[::1]");
    assert_string_equal(endpoint.authority, "[::1]");
    assert_string_equal(endpoint.base, "/bkt");
    want.custom = "https://minio.example:80";
    assert_string_equal(get(&want).authority, "minio.example:80");
    want.addressing = ES_AWS_ADDRESS_VIRTUAL;
    endpoint = get(&want);
    assert_string_equal(endpoint.authority, "bkt.minio.example:80");
    assert_string_equal(endpoint.base, "");
    want.custom = "http://127.0.0.1:9000";
    refused(&want);
    want.custom = "http://[::1]";
    refused(&want);
    want.service = ES_AWS_SSM;
    want.custom = "https://gateway.example/ssm";
    endpoint = get(&want);
    assert_string_equal(endpoint.base, "/ssm");
    assert_false(endpoint.path_style);
}

static void a_custom_endpoint_that_is_no_plain_url_is_refused(void **state)
{
    static const char *const bad[] = {
        "ftp://h",           "h",
        "https://",          "https:///x",
        "https://u:p@h/",    "https://h?x=1",
        "https://h/#f",      "https://h/a?b",
        "https://h:0",       "https://h:65536",
        "https://h:",        "https://h:80x",
        "https://h h",       "https://-h",
        "https://h..x",      "https://[::1",
        "https://[1.2.3.4]", "https://[::1]x",
        "https://h/a b",     "https://h/a%20b",
        "https://h/../x",    "https://h//x",
        "https://h\n",       "https://h.",
    };
    struct es_aws_endpoint_want want = {.service = ES_AWS_SSM, .region = "us-east-1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        want.custom = bad[i];
        print_message("  %s\n", bad[i]);
        refused(&want);
    }
}

static void a_region_cannot_lead_to_another_host(void **state)
{
    static const char *const bad[] = {
        "",
        "-eu",
        "eu-",
        "123",
        "eu.evil.example",
        "eu/x",
        "eu@x",
        "eu west",
        "eu\n",
        "e\xc3\xbc",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct es_aws_endpoint_want want = {.service = ES_AWS_SSM};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(es_aws_region_valid(bad[i]));
        want.region = bad[i];
        want.custom = NULL;
        refused(&want);
        want.custom = "https://h";
        refused(&want);
    }
    assert_true(es_aws_region_valid("eu-west-1"));
    assert_true(es_aws_region_valid("RegionOne"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_partition_has_its_hosts),
        cmocka_unit_test(a_bucket_that_is_no_label_goes_into_the_path),
        cmocka_unit_test(buckets_that_cannot_be_asked_for_are_refused),
        cmocka_unit_test(a_custom_endpoint_keeps_its_path_and_wins_over_variants),
        cmocka_unit_test(a_custom_endpoint_that_is_no_plain_url_is_refused),
        cmocka_unit_test(a_region_cannot_lead_to_another_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
