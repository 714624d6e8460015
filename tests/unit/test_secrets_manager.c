/* providers/secrets-manager, before a store that is a function of each test */
#include "../../providers/secrets-manager/answer.h"
#include "../../providers/secrets-manager/secrets-manager.h"
#include "envsync/format.h"
#include "envsync/key.h"
#include "fake_aws.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct es_secrets_manager_options options;
    struct es_sink sink;
    struct es_fetch fetch;
    struct es_err err;
};

static void done(struct world *w)
{
    fake_aws_reset(&w->fetch);
    fake_sink_done(&w->sink);
}

static int run(struct world *w, fake_answer_fn *answer)
{
    w->fetch.state = &w->options;
    w->fetch.sink = &w->sink;
    return fake_aws_fetch(es_fetch_secrets_manager, &w->fetch, answer, &w->err);
}

#define WORLD(name, ...)                                                                           \
    char *name##_ids[] = {__VA_ARGS__};                                                            \
    ES_CLEANUP(done)                                                                               \
    struct world name = {                                                                          \
        .options = {.ids = {.items = name##_ids, .n = sizeof name##_ids / sizeof *name##_ids}}}

/* ---- options ---- */

static void combinations_that_cannot_be_meant_are_wrong_configuration(void **state)
{
    static const struct fake_wrong cases[] = {
        {"", "ids"},
        {"ids = []", "ids"},
        {"ids = ['']", "ids"},
        {"ids = ['a b']", "ids"},
        {"ids = ['a', 'b', 'a']", "twice"},
        {"ids = ['a']\nkey = 'a..b'", "key"},
        {"ids = ['a', 'b']\nversion = 'x'", "version"},
        {"ids = ['a']\nversion = ''", "version"},
        {"ids = ['a']\nstage = ''", "stage"},
        {"ids = ['a']\nregion = '7'", "region"},
    };

    (void)state;
    fake_aws_assert_wrong(&es_provider_secrets_manager, cases, sizeof cases / sizeof *cases);
    fake_aws_assert_fine(&es_provider_secrets_manager,
                         "ids = ['foo/${cloud.tags.Environment}', 'b!x+=.@-']\nkey = 'a.b'\n"
                         "stage = 'AWSPREVIOUS'");
}

/* ---- one ---- */

static void a_json_object_becomes_keys(void **state)
{
    WORLD(w, (char *)"foo/prod");
    const struct es_record *record;

    (void)state;
    fake_aws_said =
        "{\"ARN\":\"arn:aws:secretsmanager:eu-west-1:1:secret:foo/prod-AbCdEf\",\"Name\":"
        "\"foo/prod\",\"VersionId\":\"v-1\",\"SecretString\":\" {\\\"user\\\":\\\"u\\\","
        "\\\"pool\\\":{\\\"size\\\":3}}\"}";
    assert_int_equal(run(&w, fake_aws_say), 0);
    assert_int_equal(fake_n_calls, 1);
    assert_string_equal(fake_calls[0].operation, "GetSecretValue");
    assert_string_equal(fake_calls[0].body, "{\"SecretId\":\"foo/prod\"}");
    assert_string_equal(
        fake_calls[0].allow,
        "secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:*:secret:foo/prod-*");
    assert_int_equal(w.sink.n, 2);
    fake_sink_assert(&w.sink, "user", "u");
    record = fake_sink_get(&w.sink, "pool.size");
    assert_int_equal(record->value.integer, 3);
    assert_string_equal(record->object.data, "foo/prod");
    assert_string_equal(record->version.data, "v-1");
}

static void stage_and_version_are_asked_for(void **state)
{
    WORLD(w, (char *)"a", (char *)"b");

    (void)state;
    w.options.stage = (char *)"AWSPREVIOUS";
    fake_aws_said = "{\"SecretString\":\"{\\\"k\\\":\\\"v\\\"}\"}";
    assert_int_equal(run(&w, fake_aws_say), 0);
    assert_int_equal(fake_aws_count("GetSecretValue"), 2);
    assert_string_equal(fake_calls[1].body,
                        "{\"SecretId\":\"b\",\"VersionStage\":\"AWSPREVIOUS\"}");
    done(&w);
    w.options.ids.n = 1;
    w.options.stage = NULL;
    w.options.version = (char *)"v-9";
    assert_int_equal(run(&w, fake_aws_say), 0);
    assert_string_equal(fake_calls[0].body, "{\"SecretId\":\"a\",\"VersionId\":\"v-9\"}");
}

static void a_plain_string_needs_a_key(void **state)
{
    static const char *const plain[] = {"CANARY", "[1]", "\\\"CANARY\\\"", "3", ""};
    static char text[100];

    (void)state;
    fake_aws_said = text;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        WORLD(w, (char *)"a");

        snprintf(text, sizeof text, "{\"SecretString\":\"%s\"}", plain[i]);
        assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "a holds a plain string");
        done(&w);
        w.options.key = (char *)"db.password";
        assert_int_equal(run(&w, fake_aws_say), 0);
        assert_int_equal(w.sink.n, 1);
        assert_non_null(fake_sink_get(&w.sink, "db.password"));
    }
}

static void what_only_looks_like_an_object_is_plain_where_there_is_a_key(void **state)
{
    WORLD(w, (char *)"a");

    (void)state;
    fake_aws_said = "{\"SecretString\":\"{{ CANARY }}\"}";
    assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "a:1:2");
    done(&w);
    w.options.key = (char *)"k";
    assert_int_equal(run(&w, fake_aws_say), 0);
    fake_sink_assert(&w.sink, "k", "{{ CANARY }}");
    done(&w);
    fake_aws_said = "{\"SecretString\":\"{\\\"x\\\":1,\\\"x\\\":2}\"}";
    assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "a:1");
}

static void binary_secrets_are_their_bytes(void **state)
{
    static const struct {
        const char *base64, *bytes;
        size_t len;
    } good[] = {{"", "", 0}, {"AA==", "\0", 1}, {"aGk=", "hi", 2}, {"/+8A", "\xff\xef\0", 3}};
    static const char *const bad[] = {"A",    "AAA",  "A===",   "AB==", "AAB=",    "=AAA",
                                      "AA=A", "A A=", "AA\\n=", "_-==", "AA==AAAA"};
    static char text[100];

    (void)state;
    fake_aws_said = text;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        WORLD(w, (char *)"a");
        const struct es_record *record;

        w.options.key = (char *)"k";
        snprintf(text, sizeof text, "{\"SecretBinary\":\"%s\"}", good[i].base64);
        assert_int_equal(run(&w, fake_aws_say), 0);
        record = fake_sink_get(&w.sink, "k");
        assert_int_equal(record->value.text.len, good[i].len);
        assert_memory_equal(es_buf_str(&record->value.text), good[i].bytes, good[i].len);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WORLD(w, (char *)"a");

        w.options.key = (char *)"k";
        snprintf(text, sizeof text, "{\"SecretBinary\":\"%s\"}", bad[i]);
        assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "base64");
    }
}

static void answers_that_are_not_awss_are_invalid(void **state)
{
    static const char *const bad[] = {
        "",
        "<html>CANARY",
        "[]",
        "{}",
        "{\"SecretString\":null}",
        "{\"SecretString\":{\"a\":\"CANARY\"}}",
        "{\"SecretString\":\"CANARY\",\"SecretBinary\":\"AAAA\"}",
        "{\"SecretString\":\"{}\",\"Name\":3}",
        "{\"SecretString\":\"{}\",\"Name\":\"a\\u0007\"}",
        "{\"SecretString\":\"{}\",\"VersionId\":[]}",
        "{\"SecretString\":\"{}\",\"SecretString\":\"{}\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WORLD(w, (char *)"a");

        fake_aws_said = bad[i];
        assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "a: the answer is not AWS's");
    }
}

/* ---- several ---- */

#define ARN "arn:aws:secretsmanager:eu-west-1:1:secret:"

/* Three pages: an empty one, one with a, one with the rest but c, which has an error. */
static void pages(struct fake_call *call, struct fake_answer *answer)
{
    if (strcmp(call->operation, "GetSecretValue") == 0)
        answer->body = "{\"Name\":\"c\",\"SecretString\":\"{\\\"k\\\":\\\"of c\\\"}\"}";
    else if (strstr(call->body, "\"NextToken\":\"two\""))
        answer->body =
            "{\"SecretValues\":[{\"ARN\":\"" ARN "b-AbCdEf\",\"Name\":\"b\",\"SecretString\":"
            "\"{\\\"k\\\":\\\"of b\\\",\\\"b\\\":\\\"1\\\"}\"},{\"ARN\":\"" ARN "d-AbCdEf\","
            "\"Name\":\"d\",\"SecretString\":\"{\\\"d\\\":\\\"1\\\"}\"}],"
            "\"Errors\":[{\"SecretId\":\"c\",\"ErrorCode\":\"InternalServiceError\"}]}";
    else if (strstr(call->body, "\"NextToken\":\"one\""))
        answer->body = "{\"SecretValues\":[{\"Name\":\"a\",\"SecretString\":\"{\\\"k\\\":"
                       "\\\"of a\\\"}\"}],\"NextToken\":\"two\"}";
    else
        answer->body = "{\"SecretValues\":[],\"NextToken\":\"one\"}";
}

static void several_come_in_batches_and_merge_in_their_order(void **state)
{
    WORLD(w, (char *)"a", (char *)ARN "b", (char *)"c", (char *)ARN "d-AbCdEf");
    size_t of_k = 0;

    (void)state;
    assert_int_equal(run(&w, pages), 0);
    assert_int_equal(fake_aws_count("BatchGetSecretValue"), 3);
    assert_int_equal(fake_aws_count("GetSecretValue"), 1);
    assert_string_equal(fake_calls[0].body,
                        "{\"SecretIdList\":[\"a\",\"" ARN "b\",\"c\",\"" ARN "d-AbCdEf\"]}");
    assert_int_equal(w.sink.n, 5);
    for (size_t i = 0; i < w.sink.n; i++) {
        const struct es_record *record = &w.sink.records[i];

        if (strcmp(es_key_text(&record->key).text, "k") == 0)
            assert_int_equal(record->rank, of_k++);
    }
    assert_int_equal(of_k, 3);
    fake_sink_assert(&w.sink, "d", "1");
}

static void twenty_go_into_a_batch(void **state)
{
    static char texts[41][8];
    char *ids[41];
    ES_CLEANUP(done) struct world w = {.options = {.ids = {.items = ids, .n = 41}}};

    (void)state;
    for (size_t i = 0; i < 41; i++) {
        snprintf(texts[i], sizeof texts[i], "s%zu", i);
        ids[i] = texts[i];
    }
    fake_aws_said = "{\"SecretValues\":[],\"Errors\":[],\"SecretString\":\"{}\"}";
    assert_int_equal(run(&w, fake_aws_say), 0);
    assert_int_equal(fake_aws_count("BatchGetSecretValue"), 3);
    assert_int_equal(fake_aws_count("GetSecretValue"), 41);
    assert_non_null(strstr(fake_calls[1].body, "\"s20\""));
    assert_null(strstr(fake_calls[1].body, "\"s40\""));
}

static void deny_batches(struct fake_call *call, struct fake_answer *answer)
{
    if (strcmp(call->operation, "BatchGetSecretValue") == 0)
        *answer = (struct fake_answer){.class = ES_DENIED, .code = "AccessDeniedException"};
    else
        answer->body = "{\"SecretString\":\"{\\\"k\\\":\\\"v\\\"}\"}";
}

static void where_batches_are_denied_each_is_asked_for_alone(void **state)
{
    WORLD(w, (char *)"a", (char *)"b");

    (void)state;
    assert_int_equal(run(&w, deny_batches), 0);
    assert_int_equal(fake_aws_count("GetSecretValue"), 2);
    assert_int_equal(w.sink.n, 2);
}

static void tokens_that_go_in_a_circle_end_the_source(void **state)
{
    WORLD(w, (char *)"a", (char *)"b");

    (void)state;
    fake_aws_said = "{\"SecretValues\":[],\"NextToken\":\"again\"}";
    assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "circle");
}

static void batches_that_are_not_awss_are_invalid(void **state)
{
    static const char *const bad[] = {"{}", "{\"SecretValues\":{}}", "{\"SecretValues\":[3]}",
                                      "{\"SecretValues\":[{\"Name\":\"a\"}]}",
                                      "{\"SecretValues\":[],\"NextToken\":{}}"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WORLD(w, (char *)"a", (char *)"b");

        fake_aws_said = bad[i];
        assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "not AWS's");
    }
}

/* ---- failures ---- */

static struct fake_answer failure;

/* b fails, the others are there. */
static void fail_b(struct fake_call *call, struct fake_answer *answer)
{
    if (strcmp(call->operation, "BatchGetSecretValue") == 0)
        answer->body = "{\"Errors\":[{\"SecretId\":\"b\"}]}";
    else if (strstr(call->body, "\"b\""))
        *answer = failure;
    else
        answer->body = "{\"SecretString\":\"{\\\"k\\\":\\\"v\\\"}\"}";
}

static void denied_by_iam_by_kms_and_missing_are_told_apart(void **state)
{
    static const struct {
        struct fake_answer answer;
        enum es_class class;
        const char *says;
    } cases[] = {
        {{.class = ES_DENIED,
          .code = "AccessDeniedException",
          .action = "secretsmanager:GetSecretValue"},
         ES_DENIED,
         "b: AccessDeniedException, request 1"},
        {{.class = ES_DENIED, .code = "AccessDeniedException"}, ES_DENIED, "kms:Decrypt"},
        {{.class = ES_INVALID, .code = "DecryptionFailure"}, ES_DENIED, "kms:Decrypt"},
        {{.class = ES_INVALID, .code = "ResourceNotFoundException"},
         ES_ABSENT,
         "not there: b (ResourceNotFoundException, request 1)"},
        {{.class = ES_UNAVAILABLE, .code = "InternalServiceError"}, ES_UNAVAILABLE, "b: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        WORLD(w, (char *)"a", (char *)"b");

        failure = cases[i].answer;
        assert_says(&w, run(&w, fail_b), cases[i].class, cases[i].says);
    }
}

static void an_optional_source_does_without_the_missing_ones(void **state)
{
    WORLD(w, (char *)"a", (char *)"b");

    (void)state;
    failure = (struct fake_answer){.class = ES_INVALID, .code = "ResourceNotFoundException"};
    w.fetch.optional = true;
    assert_int_equal(run(&w, fail_b), 0);
    assert_int_equal(w.sink.n, 1);
    assert_true(fake_sink_noted(&w.sink, "not there: b"));
}

static void check_with_credentials_asks_for_nothing(void **state)
{
    WORLD(w, (char *)"a");
    char note[32];

    (void)state;
    snprintf(note, sizeof note, "service %d", (int)ES_AWS_SECRETS_MANAGER);
    w.fetch.describe = true;
    assert_int_equal(run(&w, NULL), 0);
    assert_true(fake_sink_noted(&w.sink, note));
    assert_int_equal(fake_n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations_that_cannot_be_meant_are_wrong_configuration),
        cmocka_unit_test(a_json_object_becomes_keys),
        cmocka_unit_test(stage_and_version_are_asked_for),
        cmocka_unit_test(a_plain_string_needs_a_key),
        cmocka_unit_test(what_only_looks_like_an_object_is_plain_where_there_is_a_key),
        cmocka_unit_test(binary_secrets_are_their_bytes),
        cmocka_unit_test(answers_that_are_not_awss_are_invalid),
        cmocka_unit_test(several_come_in_batches_and_merge_in_their_order),
        cmocka_unit_test(twenty_go_into_a_batch),
        cmocka_unit_test(where_batches_are_denied_each_is_asked_for_alone),
        cmocka_unit_test(tokens_that_go_in_a_circle_end_the_source),
        cmocka_unit_test(batches_that_are_not_awss_are_invalid),
        cmocka_unit_test(denied_by_iam_by_kms_and_missing_are_told_apart),
        cmocka_unit_test(an_optional_source_does_without_the_missing_ones),
        cmocka_unit_test(check_with_credentials_asks_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
