/* providers/ssm, before a parameter store that is a function of each test */
#include "../../providers/ssm/answer.h"
#include "../../providers/ssm/name.h"
#include "../../providers/ssm/ssm.h"
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
    struct es_ssm_options options;
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
    return fake_aws_fetch(es_fetch_ssm, &w->fetch, answer, &w->err);
}

#define BY_PATH(name, text)                                                                        \
    ES_CLEANUP(done)                                                                               \
    struct world name = {.options = {.path = (char *)(text), .recursive = true}}

#define BY_NAMES(name, ...)                                                                        \
    char *name##_names[] = {__VA_ARGS__};                                                          \
    ES_CLEANUP(done)                                                                               \
    struct world name = {.options = {.names = {.items = name##_names,                              \
                                               .n = sizeof name##_names / sizeof *name##_names}}}

/* ---- names and keys ---- */

static void a_name_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *base, *selector;
        bool arn;
    } cases[] = {
        {"/a/b", "/a/b", "", false},
        {"plain", "plain", "", false},
        {"/a/b:3", "/a/b", ":3", false},
        {"/a/b:live", "/a/b", ":live", false},
        {"arn:aws:ssm:eu-west-1:123456789012:parameter/a/b:3", "/a/b", ":3", true},
        {"/aws/reference/secretsmanager/x+y=@z", "/aws/reference/secretsmanager/x+y=@z", "", false},
    };
    struct es_ssm_name name;
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(es_ssm_name_parse(cases[i].text, &name, &err), 0);
        assert_int_equal(name.len, strlen(cases[i].base));
        assert_memory_equal(name.base, cases[i].base, name.len);
        assert_string_equal(name.selector, cases[i].selector);
        assert_int_equal(name.arn, cases[i].arn);
    }
}

static void what_can_be_no_parameter_is_wrong_configuration(void **state)
{
    static const char *const bad[] = {
        "",       "/",    "/a/",       "/a//b",         "/a b",           "/a:",
        "/a:1:2", "/a+b", "/\xc3\xa9", "arn:aws:ssm:x", "arn:aws:s3:::b", "/a:x/y"};
    struct es_ssm_name name;
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.class = ES_INTERNAL;
        assert_true(es_ssm_name_parse(bad[i], &name, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
    }
}

static void assert_key(const char *name, const char *above, const char *want)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    int r = es_ssm_key(name, strlen(name), above, &key);

    assert_int_equal(r, want ? 0 : -ENOENT);
    if (want)
        assert_string_equal(es_key_text(&key).text, want);
}

static void keys_are_what_is_below(void **state)
{
    (void)state;
    assert_key("/foo/prod/db/password", "/foo/prod/", "db.password");
    assert_key("/foo/prod/db/password", "/foo/prod", "db.password");
    assert_key("/foo/prod/Foo.Repo/url", "/foo/prod", "\"Foo.Repo\".url");
    assert_key("/foo/x", "/", "foo.x");
    assert_key("x", "/", "x");
    assert_key("/foo/prod/db/password", NULL, "password");
    assert_key("plain", NULL, "plain");
    assert_key("/foo/production/x", "/foo/prod", NULL);
    assert_key("/foo/prod", "/foo/prod", NULL);
    assert_key("/foo/prod/", "/foo/prod", NULL);
    assert_key("/foo/prod//x", "/foo/prod", NULL);
    assert_key("x", "/foo", NULL);
}

static void combinations_that_cannot_be_meant_are_wrong_configuration(void **state)
{
    static const struct fake_wrong cases[] = {
        {"", "path or names"},
        {"path = '/a'\nnames = ['/b']", "exclude"},
        {"path = 'a'", "path"},
        {"path = '/a//b'", "path"},
        {"path = '/a'\nstrip = '/a'", "strip"},
        {"path = '/a'\nlabel = ''", "label"},
        {"names = ['/a']\nlabel = 'x'", "NAME:x"},
        {"names = ['/a b']", "names"},
        {"names = ['/a/b']\nstrip = '/c'", "not below strip"},
        {"path = '/a'\nregion = 'x y'", "region"},
    };

    (void)state;
    fake_aws_assert_wrong(&es_provider_ssm, cases, sizeof cases / sizeof *cases);
    fake_aws_assert_fine(&es_provider_ssm,
                         "path = '/a/${cloud.tags.Environment}/'\nlabel = 'live'");
    fake_aws_assert_fine(&es_provider_ssm,
                         "names = ['/a/${cloud.region}', '/a/b:3']\nstrip = '/a/'");
}

/* ---- by path ---- */

static void two_pages(struct fake_call *call, struct fake_answer *answer)
{
    if (strstr(call->body, "\"NextToken\":\"t/+\""))
        answer->body = "{\"Parameters\":[],\"NextToken\":\"u\"}";
    else if (strstr(call->body, "\"NextToken\":\"u\""))
        answer->body = "{\"Parameters\":[{\"Name\":\"/foo/prod/list\",\"Type\":\"StringList\","
                       "\"Value\":\"a,b\",\"Version\":1}],\"NextToken\":\"\"}";
    else
        answer->body =
            "{\"Parameters\":[{\"Name\":\"/foo/prod/db/password\",\"Type\":\"SecureString\","
            "\"Value\":\"s3cret\",\"Version\":7},{\"Name\":\"/foo/prod/a\",\"Type\":\"String\","
            "\"Value\":\"\\u0000\\u00e9\",\"Version\":1}],\"NextToken\":\"t/+\"}";
}

static void every_page_below_a_path_is_read_empty_ones_too(void **state)
{
    BY_PATH(w, "/foo/prod/");
    const struct es_record *record;

    (void)state;
    w.options.label = (char *)"live";
    assert_int_equal(run(&w, two_pages), 0);
    assert_int_equal(fake_n_calls, 3);
    assert_string_equal(fake_calls[0].body,
                        "{\"Path\":\"/foo/prod\",\"Recursive\":true,\"WithDecryption\":true,"
                        "\"MaxResults\":10,\"ParameterFilters\":[{\"Key\":\"Label\",\"Option\":"
                        "\"Equals\",\"Values\":[\"live\"]}]}");
    assert_string_equal(fake_calls[0].allow,
                        "ssm:GetParametersByPath on arn:aws:ssm:eu-west-1:*:parameter/foo/prod");
    assert_int_equal(w.sink.n, 3);
    fake_sink_assert(&w.sink, "db.password", "s3cret");
    fake_sink_assert(&w.sink, "list", "a,b");
    record = fake_sink_get(&w.sink, "a");
    assert_int_equal(record->value.text.len, 3);
    record = fake_sink_get(&w.sink, "db.password");
    assert_string_equal(record->object.data, "/foo/prod/db/password");
    assert_string_equal(record->version.data, "version 7");
    assert_false(record->verbatim);
}

static void a_path_without_parameters_is_absent(void **state)
{
    BY_PATH(w, "/foo");

    (void)state;
    fake_aws_said = "{\"Parameters\":[]}";
    assert_says(&w, run(&w, fake_aws_say), ES_ABSENT, "below /foo");
}

static void a_token_that_comes_again_ends_the_source(void **state)
{
    BY_PATH(w, "/foo");

    (void)state;
    fake_aws_said = "{\"Parameters\":[],\"NextToken\":\"again\"}";
    assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "circle");
    assert_true(fake_n_calls <= 3);
}

static void circle(struct fake_call *call, struct fake_answer *answer)
{
    static char text[80];

    (void)call;
    snprintf(text, sizeof text, "{\"Parameters\":[],\"NextToken\":\"%zu\"}", fake_n_calls % 7);
    answer->body = text;
}

static void a_longer_circle_of_tokens_ends_it_too(void **state)
{
    BY_PATH(w, "/foo");

    (void)state;
    assert_says(&w, run(&w, circle), ES_INVALID, "circle");
    assert_true(fake_n_calls < 40);
}

static void a_parameter_that_changed_between_pages_counts_once(void **state)
{
    BY_PATH(w, "/foo");

    (void)state;
    fake_aws_said = "{\"Parameters\":[{\"Name\":\"/foo/a\",\"Value\":\"1\",\"Version\":1},"
                    "{\"Name\":\"/foo/a\",\"Value\":\"2\",\"Version\":2}]}";
    assert_int_equal(run(&w, fake_aws_say), 0);
    assert_int_equal(w.sink.n, 1);
    fake_sink_assert(&w.sink, "a", "2");
}

static void answers_that_are_not_awss_are_invalid(void **state)
{
    static const char *const bad[] = {
        "",
        "<html>CANARY</html>",
        "[]",
        "{}",
        "{\"Parameters\":{}}",
        "{\"Parameters\":[1]}",
        "{\"Parameters\":[{}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\",\"Value\":null}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\",\"Value\":[\"CANARY\"]}]}",
        "{\"Parameters\":[{\"Name\":\"\",\"Value\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\\u0000\",\"Value\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\\n\",\"Value\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/bar/a\",\"Value\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo\",\"Value\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo//a\",\"Value\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\",\"Value\":\"x\",\"Version\":\"CANARY\"}]}",
        "{\"Parameters\":[{\"Name\":\"/foo/a\",\"Value\":\"x\",\"Version\":-1}]}",
        "{\"Parameters\":[],\"NextToken\":7}",
        "{\"Parameters\":[],\"Parameters\":[]}",
        "{\"Parameters\":[",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        BY_PATH(w, "/foo");

        fake_aws_said = bad[i];
        assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "not AWS's");
        assert_int_equal(w.sink.n, 0);
    }
}

/* ---- by names ---- */

/* Gives every parameter that is asked for, unless its name has "missing" in it. */
static void give(struct fake_call *call, struct fake_answer *answer)
{
    struct es_buf given = {0}, invalid = {0}, out = {0};
    char *rest = strchr(call->body, '['), *name;

    if (!rest) {
        answer->body = "{\"Parameter\":{\"Name\":\"/shared/x\",\"Value\":\"of an ARN\","
                       "\"Version\":3,\"Selector\":\":3\"}}";
        return;
    }
    while ((name = strtok_r(rest, "[\",]", &rest)) && name[0] == '/') {
        char *selector = strchr(name, ':');
        struct es_buf *to = strstr(name, "missing") ? &invalid : &given;

        es_buf_puts(to, to->len ? "," : "");
        if (to == &invalid)
            es_buf_printf(to, "\"%s\"", name);
        else
            es_buf_printf(to,
                          "{\"Name\":\"%.*s\",\"Selector\":\"%s\",\"Value\":\"v of %s\","
                          "\"Version\":2,\"SourceResult\":\"CANARY\"}",
                          selector ? (int)(selector - name) : 255, name, selector ? selector : "",
                          name);
    }
    es_buf_printf(&out, "{\"Parameters\":[%s],\"InvalidParameters\":[%s]}", es_buf_str(&given),
                  es_buf_str(&invalid));
    es_buf_done(&given);
    es_buf_done(&invalid);
    answer->body = out.data;
    answer->made = true;
}

static void names_are_asked_for_in_tens_and_arns_alone(void **state)
{
    static char texts[23][16];
    char *names[25];
    ES_CLEANUP(done) struct world w = {.options = {.names = {.items = names, .n = 25}}};

    (void)state;
    for (size_t i = 0; i < 23; i++) {
        snprintf(texts[i], sizeof texts[i], "/app/p%zu", i);
        names[i + 1] = texts[i];
    }
    names[0] = (char *)"arn:aws:ssm:eu-west-1:210987654321:parameter/shared/x:3";
    names[24] = (char *)"/db/password:live";
    assert_int_equal(run(&w, give), 0);
    assert_int_equal(fake_aws_count("GetParameters"), 3);
    assert_int_equal(fake_aws_count("GetParameter"), 1);
    assert_string_equal(fake_calls[0].body,
                        "{\"Name\":\"arn:aws:ssm:eu-west-1:210987654321:parameter/shared/x:3\","
                        "\"WithDecryption\":true}");
    assert_string_equal(
        fake_calls[0].allow,
        "ssm:GetParameter on arn:aws:ssm:eu-west-1:210987654321:parameter/shared/x");
    assert_int_equal(w.sink.n, 25);
    fake_sink_assert(&w.sink, "x", "of an ARN");
    fake_sink_assert(&w.sink, "p22", "v of /app/p22");
    fake_sink_assert(&w.sink, "password", "v of /db/password:live");
    assert_string_equal(fake_sink_get(&w.sink, "password")->object.data, "/db/password");
}

static void strip_keeps_the_rest_of_the_path(void **state)
{
    BY_NAMES(w, (char *)"/foo/db/password:3", (char *)"/foo/a");

    (void)state;
    w.options.strip = (char *)"/foo/";
    assert_int_equal(run(&w, give), 0);
    fake_sink_assert(&w.sink, "db.password", "v of /foo/db/password:3");
    fake_sink_assert(&w.sink, "a", "v of /foo/a");
}

static void all_missing_names_are_told_at_once(void **state)
{
    BY_NAMES(w, (char *)"/a/missing1", (char *)"/a/b", (char *)"/a/missing2:7");

    (void)state;
    assert_says(&w, run(&w, give), ES_ABSENT, "not there: /a/missing1, /a/missing2:7");
}

static void an_optional_source_does_without_the_missing_ones(void **state)
{
    BY_NAMES(w, (char *)"/a/missing1", (char *)"/a/b");
    BY_NAMES(none, (char *)"/a/missing1");

    (void)state;
    w.fetch.optional = none.fetch.optional = true;
    assert_int_equal(run(&w, give), 0);
    assert_int_equal(w.sink.n, 1);
    assert_true(fake_sink_noted(&w.sink, "/a/missing1"));
    assert_says(&none, run(&none, give), ES_ABSENT, "/a/missing1");
}

static void not_found(struct fake_call *call, struct fake_answer *answer)
{
    (void)call;
    *answer = (struct fake_answer){.status = 400, .class = ES_INVALID, .code = "ParameterNotFound"};
}

static void a_missing_arn_is_absent(void **state)
{
    BY_NAMES(w, (char *)"arn:aws:ssm:eu-west-1:210987654321:parameter/shared/x");

    (void)state;
    assert_says(&w, run(&w, not_found), ES_ABSENT, "parameter/shared/x");
}

static void names_that_become_one_key_are_refused(void **state)
{
    BY_NAMES(w, (char *)"/a/x", (char *)"/b/x");
    BY_NAMES(twice, (char *)"/a/x", (char *)"/a/x:3");

    (void)state;
    assert_says(&w, run(&w, give), ES_INVALID, "/a/x and /b/x");
    assert_says(&twice, run(&twice, give), ES_INVALID, "/a/x:3");
}

static void a_partial_or_foreign_batch_is_invalid(void **state)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{\"Parameters\":[]}", "nothing about /a/x"},
        {"{\"Parameters\":[{\"Name\":\"/a/x\",\"Value\":\"CANARY\"}]}", "nothing about /a/y:2"},
        {"{\"Parameters\":[{\"Name\":\"/a/z\",\"Value\":\"CANARY\"}]}", "/a/z"},
        {"{\"Parameters\":[{\"Name\":\"/a/x\",\"Value\":\"1\"},{\"Name\":\"/a/x\",\"Value\":"
         "\"CANARY\"}]}",
         "twice"},
        {"{\"Parameters\":[{\"Name\":\"/a/y\",\"Selector\":\":3\",\"Value\":\"CANARY\"}]}", "/a/y"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        BY_NAMES(w, (char *)"/a/x", (char *)"/a/y:2");

        fake_aws_said = cases[i].body;
        assert_says(&w, run(&w, fake_aws_say), ES_INVALID, cases[i].says);
    }
}

/* ---- failures ---- */

static struct fake_answer failure;

static void fail_so(struct fake_call *call, struct fake_answer *answer)
{
    (void)call;
    *answer = failure;
}

static void denied_by_iam_by_kms_and_missing_are_told_apart(void **state)
{
    static const struct {
        struct fake_answer answer;
        enum es_class class;
        const char *says;
    } cases[] = {
        {{.class = ES_DENIED, .code = "AccessDeniedException", .action = "ssm:GetParametersByPath"},
         ES_DENIED,
         "/foo: AccessDeniedException"},
        {{.class = ES_DENIED, .code = "AccessDeniedException"}, ES_DENIED, "allow kms:Decrypt"},
        {{.class = ES_DENIED,
          .code = "AccessDeniedException",
          .action = "kms:Decrypt",
          .resource = "arn:aws:kms:eu-west-1:1:key/k"},
         ES_DENIED,
         "allow kms:Decrypt on arn:aws:kms:eu-west-1:1:key/k"},
        {{.class = ES_INVALID, .code = "InvalidKeyId"}, ES_DENIED, "kms:Decrypt"},
        {{.class = ES_INVALID, .code = "ParameterNotFound"}, ES_ABSENT, "no such parameter"},
        {{.class = ES_UNAVAILABLE, .code = "ThrottlingException"}, ES_UNAVAILABLE, "/foo"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        BY_PATH(w, "/foo");

        failure = cases[i].answer;
        assert_says(&w, run(&w, fail_so), cases[i].class, cases[i].says);
        if (i == 0)
            assert_null(strstr(w.err.msg, "kms"));
    }
}

static void a_record_that_the_sink_refuses_names_the_parameter(void **state)
{
    BY_PATH(w, "/foo");

    (void)state;
    fake_aws_said = "{\"Parameters\":[{\"Name\":\"/foo/a\",\"Value\":\"CANARY\"}]}";
    w.sink.refuse = true;
    assert_says(&w, run(&w, fake_aws_say), ES_INVALID, "/foo/a: a: refused");
}

static void check_with_credentials_asks_for_nothing(void **state)
{
    BY_PATH(w, "/foo");
    char note[32];

    (void)state;
    snprintf(note, sizeof note, "service %d", (int)ES_AWS_SSM);
    w.fetch.describe = true;
    assert_int_equal(run(&w, NULL), 0);
    assert_true(fake_sink_noted(&w.sink, note));
    assert_int_equal(fake_n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_taken_apart),
        cmocka_unit_test(what_can_be_no_parameter_is_wrong_configuration),
        cmocka_unit_test(keys_are_what_is_below),
        cmocka_unit_test(combinations_that_cannot_be_meant_are_wrong_configuration),
        cmocka_unit_test(every_page_below_a_path_is_read_empty_ones_too),
        cmocka_unit_test(a_path_without_parameters_is_absent),
        cmocka_unit_test(a_token_that_comes_again_ends_the_source),
        cmocka_unit_test(a_longer_circle_of_tokens_ends_it_too),
        cmocka_unit_test(a_parameter_that_changed_between_pages_counts_once),
        cmocka_unit_test(answers_that_are_not_awss_are_invalid),
        cmocka_unit_test(names_are_asked_for_in_tens_and_arns_alone),
        cmocka_unit_test(strip_keeps_the_rest_of_the_path),
        cmocka_unit_test(all_missing_names_are_told_at_once),
        cmocka_unit_test(an_optional_source_does_without_the_missing_ones),
        cmocka_unit_test(a_missing_arn_is_absent),
        cmocka_unit_test(names_that_become_one_key_are_refused),
        cmocka_unit_test(a_partial_or_foreign_batch_is_invalid),
        cmocka_unit_test(denied_by_iam_by_kms_and_missing_are_told_apart),
        cmocka_unit_test(a_record_that_the_sink_refuses_names_the_parameter),
        cmocka_unit_test(check_with_credentials_asks_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
