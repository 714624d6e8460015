/* Error documents: what is taken from them, and that nothing else is. */
#include "../../providers/aws/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct es_aws_error read_body(const char *body, const char *type)
{
    struct es_aws_error_headers headers = {.type = type};
    struct es_aws_error error;
    struct es_err err;

    memset(&error, 'x', sizeof error);
    assert_int_equal(es_aws_error_read(&error, body, strlen(body), &headers, &err), 0);
    return error;
}

static void s3_and_sts_documents_give_code_and_request(void **state)
{
    struct es_aws_error e;

    (void)state;
    e = read_body("<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>m</Message>"
                  "<Key>k</Key><RequestId>ABC123</RequestId></Error>",
                  NULL);
    assert_string_equal(e.code, "NoSuchKey");
    assert_string_equal(e.request_id, "ABC123");
    assert_string_equal(e.action, "");
    e = read_body("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                  "<Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>x</Message>"
                  "</Error><RequestId>b-1</RequestId></ErrorResponse>",
                  NULL);
    assert_string_equal(e.code, "InvalidClientTokenId");
    assert_string_equal(e.request_id, "b-1");
    e = read_body("<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>"
                  "</Error>",
                  NULL);
    assert_string_equal(e.region, "eu-west-1");
}

static void json_documents_give_the_code_between_hash_and_colon(void **state)
{
    static const char *const bodies[] = {
        "{\"__type\":\"ParameterNotFound\"}",
        "{\"__type\":\"com.amazonaws.ssm#ParameterNotFound\",\"message\":\"m\"}",
        "{\"__type\":\"com.amazonaws.ssm#ParameterNotFound:http://a#b/\"}",
        " \n{\"Code\":\"ParameterNotFound\"}",
        "{\"code\":\"ParameterNotFound\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_string_equal(read_body(bodies[i], NULL).code, "ParameterNotFound");
    assert_string_equal(read_body("{}", "Foo:http://x").code, "Foo");
    assert_string_equal(read_body("", "aws#Foo").code, "Foo");
    assert_string_equal(read_body("{\"__type\":\"A\",\"code\":\"B\"}", "C").code, "A");
    assert_string_equal(read_body("{\"code\":\"B\"}", "C").code, "C");
}

static void a_denial_names_action_and_resource(void **state)
{
    struct es_aws_error e;

    (void)state;
    e = read_body("{\"__type\":\"AccessDeniedException\",\"Message\":\"User: arn:aws:sts::1:"
                  "assumed-role/r/i-1 is not authorized to perform: ssm:GetParametersByPath on "
                  "resource: arn:aws:ssm:eu-west-1:1:parameter/foo/prod/ because no identity-based "
                  "policy allows the ssm:GetParametersByPath action\"}",
                  NULL);
    assert_string_equal(e.code, "AccessDeniedException");
    assert_string_equal(e.action, "ssm:GetParametersByPath");
    assert_string_equal(e.resource, "arn:aws:ssm:eu-west-1:1:parameter/foo/prod/");
    e = read_body("<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: "
                  "s3:ListBucket on resource: \"arn:aws:s3:::b\" because</Message></Error>",
                  NULL);
    assert_string_equal(e.action, "s3:ListBucket");
    assert_string_equal(e.resource, "arn:aws:s3:::b");
    e = read_body("{\"message\":\"not authorized to perform: hunter2 on resource: hunter2\"}",
                  NULL);
    assert_string_equal(e.action, "");
    assert_string_equal(e.resource, "");
}

static void headers_count_where_there_is_no_body(void **state)
{
    struct es_aws_error_headers headers = {NULL, "R1", "ap-south-1"};
    struct es_aws_error e;
    struct es_err err;
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    assert_int_equal(es_aws_error_read(&e, NULL, 0, &headers, &err), 0);
    assert_string_equal(e.request_id, "R1");
    assert_string_equal(e.region, "ap-south-1");
    assert_string_equal(e.code, "");
    assert_int_equal(es_aws_error_text(&e, &text), 0);
    assert_string_equal(text.data, "request R1");
    strcpy(e.code, "X");
    es_buf_clear(&text);
    assert_int_equal(es_aws_error_text(&e, &text), 0);
    assert_string_equal(text.data, "X, request R1");
}

static void what_could_move_a_terminal_or_hold_a_value_is_dropped(void **state)
{
    static const char *const bodies[] = {
        "<Error><Code>&#27;[2J</Code></Error>",
        "<Error><Code>a b</Code></Error>",
        "{\"__type\":\"a\\u001b[2J\"}",
        "{\"__type\":\"a\\nb\"}",
        "{\"__type\":5}",
        "{\"__type\":[\"x\"]}",
        "[1]",
        "hello",
        "<html><Code>x</Code></html>",
        "<Error><x><Code>x</Code></x></Error>",
        "<!DOCTYPE Error [<!ENTITY a \"b\">]><Error><Code>x</Code></Error>",
        "{\"__type\":\"x\"",
    };
    struct es_aws_error empty = {0};
    char *big = malloc(ES_AWS_MAX_ERROR + 100);

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct es_aws_error e = read_body(bodies[i], NULL);

        assert_string_equal(e.code, empty.code);
        assert_string_equal(e.resource, "");
        assert_string_equal(e.request_id, "");
    }
    assert_string_equal(read_body("<Error><Region>-eu</Region></Error>", NULL).region, "");
    assert_string_equal(read_body("<Error><Region>12</Region></Error>", NULL).region, "");
    assert_string_equal(read_body("<Error><Region>a.evil.example</Region></Error>", NULL).region,
                        "");
    assert_non_null(big);
    memset(big, ' ', ES_AWS_MAX_ERROR + 100);
    strcpy(big + ES_AWS_MAX_ERROR, "<Error><Code>X</Code></Error>");
    assert_string_equal(read_body(big, NULL).code, "");
    free(big);
}

static void what_stands_before_a_cut_still_counts(void **state)
{
    (void)state;
    assert_string_equal(read_body("<Error><Code>SlowDown</Code><Mess", NULL).code, "SlowDown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3_and_sts_documents_give_code_and_request),
        cmocka_unit_test(json_documents_give_the_code_between_hash_and_colon),
        cmocka_unit_test(a_denial_names_action_and_resource),
        cmocka_unit_test(headers_count_where_there_is_no_body),
        cmocka_unit_test(what_could_move_a_terminal_or_hold_a_value_is_dropped),
        cmocka_unit_test(what_stands_before_a_cut_still_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
