/* The signer against AWS's own suite, against signatures that botocore made, and its refusals. */
#include "../../providers/aws/date.h"
#include "../../providers/aws/sign.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_non_null(text);
    return text;
}

static size_t pairs_of(const json_t *list, struct es_aws_pair *pairs)
{
    size_t n = json_array_size(list);

    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(list, i);

        pairs[i].name = json_string_value(json_array_get(pair, 0));
        pairs[i].value = json_string_value(json_array_get(pair, 1));
    }
    return n;
}

static void set_keys(struct es_aws_keys *keys, const char *id, const char *secret,
                     const char *token)
{
    assert_int_equal(es_buf_set(&keys->id, id, strlen(id)), 0);
    assert_int_equal(es_buf_set(&keys->secret, secret, strlen(secret)), 0);
    assert_int_equal(es_buf_set(&keys->token, token, strlen(token)), 0);
}

/* The 64 digits at the end of the Authorization line. */
static const char *signature_of(const struct es_aws_signed *out)
{
    const struct es_buf *line = &out->headers[ES_AWS_HEADER_AUTHORIZATION];

    assert_true(line->len > 64);
    return line->data + line->len - 64;
}

static void check_case(struct es_aws_signer *signer, const json_t *c)
{
    struct es_aws_keys keys = {0};
    struct es_aws_signed out = {0};
    struct es_aws_pair query[16], headers[16];
    struct es_aws_scope scope = {.keys = &keys, .now = 1440938160};
    struct es_aws_request request = {.query = query, .headers = headers};
    const char *body = text_of(c, "body");
    char hash[ES_AWS_HASH_HEX + 1];
    struct es_err err = {0};

    print_message("  %s\n", text_of(c, "name"));
    set_keys(&keys, text_of(c, "access_key"), text_of(c, "secret"), text_of(c, "token"));
    scope.region = text_of(c, "region");
    scope.service = text_of(c, "service");
    scope.flags = json_is_true(json_object_get(c, "normalize")) ? ES_AWS_SIGN_NORMALISE : 0;
    request.method = text_of(c, "method");
    request.host = text_of(c, "host");
    request.path = text_of(c, "path");
    request.n_query = pairs_of(json_object_get(c, "query"), query);
    request.n_headers = pairs_of(json_object_get(c, "headers"), headers);
    assert_int_equal(es_aws_signer_hash(signer, body, strlen(body), hash, &err), 0);
    request.payload_hash = hash;
    assert_int_equal(es_aws_sign(signer, &scope, &request, &out, &err), 0);
    assert_string_equal(es_buf_str(es_aws_signer_canonical(signer)), text_of(c, "canonical"));
    assert_string_equal(es_buf_str(es_aws_signer_string(signer)), text_of(c, "string_to_sign"));
    assert_string_equal(signature_of(&out), text_of(c, "signature"));
    es_aws_signed_done(&out);
    es_aws_keys_done(&keys);
}

static void aws_own_suite_passes_at_every_stage(void **state)
{
    const char *srcdir = getenv("ENVSYNC_SRCDIR");
    struct es_aws_signer *signer;
    struct es_err err;
    char path[4096];
    json_t *document, *cases;

    (void)state;
    snprintf(path, sizeof path, "%s/tests/vectors/sigv4/aws-v4.json", srcdir ? srcdir : ".");
    document = json_load_file(path, 0, NULL);
    cases = json_object_get(document, "cases");
    assert_int_equal(json_array_size(cases), 38);
    assert_int_equal(es_aws_signer_new(&signer, &err), 0);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(signer, json_array_get(cases, i));
    es_aws_signer_free(signer);
    json_decref(document);
}

struct vector {
    unsigned flags;
    const char *region, *service, *token, *secret, *id;
    int64_t now;
    struct es_aws_request request;
    const char *body, *target, *signature;
};

#define PAIRS(...)                                                                                 \
    (const struct es_aws_pair[]){__VA_ARGS__},                                                     \
        sizeof((const struct es_aws_pair[]){__VA_ARGS__}) / sizeof(struct es_aws_pair)

static void check_vector(const struct vector *v)
{
    struct es_aws_keys keys = {0};
    struct es_aws_signed out = {0};
    struct es_aws_scope scope = {&keys, v->region, v->service, v->flags, v->now};
    struct es_aws_request request = v->request;
    struct es_aws_signer *signer;
    char hash[ES_AWS_HASH_HEX + 1];
    struct es_err err;

    set_keys(&keys, v->id, v->secret, v->token);
    assert_int_equal(es_aws_signer_new(&signer, &err), 0);
    if (v->body) {
        assert_int_equal(es_aws_signer_hash(signer, v->body, strlen(v->body), hash, &err), 0);
        request.payload_hash = hash;
    }
    assert_int_equal(es_aws_sign(signer, &scope, &request, &out, &err), 0);
    assert_string_equal(es_buf_str(&out.target), v->target);
    assert_string_equal(signature_of(&out), v->signature);
    es_aws_signer_free(signer);
    es_aws_signed_done(&out);
    es_aws_keys_done(&keys);
}

/* From AWS's documentation of S3. */
static void documented_s3_examples_pass(void **state)
{
    const struct vector base = {
        .flags = ES_AWS_SIGN_S3,
        .region = "us-east-1",
        .service = "s3",
        .token = "",
        .id = "AKIAIOSFODNN7EXAMPLE",
        .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        .now = 1369353600,
    };
    const char *host = "examplebucket.s3.amazonaws.com";
    struct vector v = base;

    (void)state;
    v.request = (struct es_aws_request){
        "GET", host, "/test.txt", NULL, 0, PAIRS({"Range", "bytes=0-9"}), NULL};
    v.target = "/test.txt";
    v.signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    check_vector(&v);
    v.request =
        (struct es_aws_request){"GET", host, "/", PAIRS({"lifecycle", NULL}), NULL, 0, NULL};
    v.target = "/?lifecycle=";
    v.signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
    check_vector(&v);
    v.request = (struct es_aws_request){"GET", host, "/", PAIRS({"prefix", "J"}, {"max-keys", "2"}),
                                        NULL,  0,    NULL};
    v.target = "/?max-keys=2&prefix=J";
    v.signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    check_vector(&v);
}

static void session_tokens_and_hostile_keys_sign_as_botocore_signs_them(void **state)
{
    const struct vector base = {
        .flags = ES_AWS_SIGN_S3,
        .region = "eu-west-1",
        .service = "s3",
        .token = "SESSIONTOKEN",
        .id = "AKIDEXAMPLE",
        .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .now = 1767323045,
    };
    const char *host = "mybucket.s3.eu-west-1.amazonaws.com";
    struct vector v = base;

    (void)state;
    v.flags = ES_AWS_SIGN_OTHER;
    v.service = "ssm";
    v.request = (struct es_aws_request){"POST",
                                        "ssm.eu-west-1.amazonaws.com",
                                        "/",
                                        NULL,
                                        0,
                                        PAIRS({"X-Amz-Target", "AmazonSSM.GetParametersByPath"},
                                              {"Content-Type", "application/x-amz-json-1.1"}),
                                        NULL};
    v.body = "{\"Path\":\"/app/prod\",\"Recursive\":true,\"WithDecryption\":true,"
             "\"MaxResults\":10}";
    v.target = "/";
    v.signature = "7659a4246cde2499484717816507884005a7450945e784e137eff89667d3491a";
    check_vector(&v);
    v = base;
    v.request =
        (struct es_aws_request){"GET",
                                host,
                                "/",
                                PAIRS({"prefix", "app/\xc3\xbc x/"}, {"list-type", "2"},
                                      {"encoding-type", "url"}, {"continuation-token", "1+ab/=="}),
                                NULL,
                                0,
                                NULL};
    v.target = "/?continuation-token=1%2Bab%2F%3D%3D&encoding-type=url&list-type=2&"
               "prefix=app%2F%C3%BC%20x%2F";
    v.signature = "b81f236b6e36ae3c78203c9eb09801139436af79b27ad9df3e39b607d6a8b679";
    check_vector(&v);
    v.request =
        (struct es_aws_request){"GET",
                                host,
                                "/app//a=b/../% ~+(x)",
                                PAIRS({"versionId", "null"}),
                                PAIRS({"If-Match", "\"abc\""}, {"x-amz-checksum-mode", "ENABLED"},
                                      {"x-amz-expected-bucket-owner", "123456789012"}),
                                NULL};
    v.target = "/app//a%3Db/../%25%20~%2B%28x%29?versionId=null";
    v.signature = "0096c9cfdddf285752be0f4d29af686b8cd1da7b8bd1cd14a71068825b49fb3e";
    check_vector(&v);
}

/* One signer, credentials and request to vary. */
struct fixture {
    struct es_aws_signer *signer;
    struct es_aws_keys keys;
    struct es_aws_signed out;
    struct es_aws_scope scope;
    struct es_aws_request request;
    struct es_err err;
};

static int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(es_aws_signer_new(&f->signer, &f->err), 0);
    set_keys(&f->keys, "AKIDEXAMPLE", "hunter2", "");
    f->scope = (struct es_aws_scope){&f->keys, "eu-west-1", "s3", ES_AWS_SIGN_S3, 1767323045};
    f->request = (struct es_aws_request){.method = "GET", .host = "h.example", .path = "/"};
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    es_aws_signer_free(f->signer);
    es_aws_signed_done(&f->out);
    es_aws_keys_done(&f->keys);
    free(f);
    return 0;
}

static int sign(struct fixture *f)
{
    memset(&f->err, 0, sizeof f->err);
    return es_aws_sign(f->signer, &f->scope, &f->request, &f->out, &f->err);
}

static void assert_refused(struct fixture *f, int errnum)
{
    assert_int_equal(sign(f), -errnum);
    assert_int_equal(f->err.class, ES_INVALID);
    assert_null(strstr(f->err.msg, "hunter2"));
}

static void what_could_end_a_header_is_refused(void **state)
{
    struct fixture *f = *state;
    struct es_aws_pair header = {"x-amz-meta-a", "b\r\nEvil: 1"};

    f->request.headers = &header;
    f->request.n_headers = 1;
    assert_refused(f, EINVAL);
    header = (struct es_aws_pair){"x-amz:evil", "1"};
    assert_refused(f, EINVAL);
    header = (struct es_aws_pair){"", "1"};
    assert_refused(f, EINVAL);
    f->request.n_headers = 0;
    f->request.host = "a\nb";
    assert_refused(f, EINVAL);
    f->request.host = "a";
    f->scope.region = "eu\n";
    assert_refused(f, EINVAL);
    f->scope.region = "eu";
    set_keys(&f->keys, "AK", "hunter2", "a\nb");
    assert_refused(f, EINVAL);
    set_keys(&f->keys, "AK\n", "hunter2", "");
    assert_refused(f, EINVAL);
    set_keys(&f->keys, "AK", "", "");
    assert_refused(f, EINVAL);
    set_keys(&f->keys, "AK", "hunter2", "");
    f->request.method = "get x";
    assert_refused(f, EINVAL);
    f->request.method = "GET";
    assert_int_equal(sign(f), 0);
}

static void headers_of_the_signer_cannot_be_given(void **state)
{
    static const char *const names[] = {"Host", "X-Amz-Date", "X-AMZ-Security-Token",
                                        "Authorization", "x-amz-content-sha256"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 5; i++) {
        struct es_aws_pair header = {names[i], "x"};

        f->request.headers = &header;
        f->request.n_headers = 1;
        assert_refused(f, EINVAL);
    }
}

static void headers_that_proxies_change_are_not_signed(void **state)
{
    static const struct es_aws_pair headers[] = {
        {"User-Agent", "x"}, {"Range", "bytes=0-1"},   {"Connection", "y"},
        {"TE", "z"},         {"X-Amzn-Trace-Id", "t"}, {"Expect", "100-continue"},
    };
    struct fixture *f = *state;

    f->request.headers = headers;
    f->request.n_headers = sizeof headers / sizeof *headers;
    assert_int_equal(sign(f), 0);
    assert_non_null(strstr(f->out.headers[ES_AWS_HEADER_AUTHORIZATION].data,
                           "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"));
}

static void query_sorts_by_the_pair_and_keeps_duplicates_and_empty_names(void **state)
{
    static const struct es_aws_pair query[] = {
        {"a-b", "1"}, {"a", "2"}, {"a", "10"}, {"a", "2"}, {"", "x"}, {"A", NULL}, {"\xc3\xa4", ""},
    };
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_aws_query(&out, query, 7, &err), 0);
    assert_string_equal(out.data, "=x&%C3%A4=&A=&a=10&a=2&a=2&a-b=1");
}

static void a_path_must_start_with_a_slash_and_bounds_hold(void **state)
{
    struct es_aws_pair many[ES_AWS_MAX_QUERY + 1];
    struct fixture *f = *state;

    for (size_t i = 0; i <= ES_AWS_MAX_QUERY; i++)
        many[i] = (struct es_aws_pair){"x-n", "v"};
    f->request.path = "x";
    assert_refused(f, EINVAL);
    f->request.path = "/";
    f->request.payload_hash = "UNSIGNED";
    assert_refused(f, EINVAL);
    f->request.payload_hash = NULL;
    f->request.query = many;
    f->request.n_query = ES_AWS_MAX_QUERY;
    f->request.headers = many;
    f->request.n_headers = ES_AWS_MAX_HEADERS;
    assert_int_equal(sign(f), 0);
    f->request.n_headers++;
    assert_refused(f, E2BIG);
    f->request.n_headers = 0;
    f->request.n_query++;
    assert_refused(f, E2BIG);
}

static void other_services_normalise_and_encode_twice(void **state)
{
    struct fixture *f = *state;

    f->scope.flags = ES_AWS_SIGN_OTHER;
    f->request.path = "/a b//./c/../d/";
    assert_int_equal(sign(f), 0);
    assert_string_equal(f->out.target.data, "/a%20b//./c/../d/");
    assert_int_equal(memcmp(es_aws_signer_canonical(f->signer)->data, "GET\n/a%2520b/d/\n", 16), 0);
    f->request.path = "/../..";
    assert_int_equal(sign(f), 0);
    assert_int_equal(memcmp(es_aws_signer_canonical(f->signer)->data, "GET\n/\n", 6), 0);
}

static void a_cached_key_signs_like_a_fresh_one(void **state)
{
    struct fixture *f = *state;
    char first[20][65];

    /* More scopes than the cache holds, twice over; days, regions and secrets differ. */
    for (int i = 0; i < 40; i++) {
        char secret[16], region[16];
        int n = i % 20;

        snprintf(secret, sizeof secret, "secret%d", n % 2);
        snprintf(region, sizeof region, "r-%d", n / 2 % 5);
        set_keys(&f->keys, "AK", secret, "");
        f->scope.region = region;
        f->scope.now = 1767323045 + n / 10 * 86400;
        assert_int_equal(sign(f), 0);
        if (i < 20)
            memcpy(first[n], signature_of(&f->out), 65);
        else
            assert_string_equal(first[n], signature_of(&f->out));
        for (int j = 0; i < 20 && j < n; j++)
            assert_string_not_equal(first[j], first[n]);
    }
}

static void reuse_leaves_no_header_of_the_last_request(void **state)
{
    struct fixture *f = *state;

    set_keys(&f->keys, "AK", "hunter2", "TOKEN");
    assert_int_equal(sign(f), 0);
    assert_string_equal(f->out.headers[ES_AWS_HEADER_TOKEN].data, "x-amz-security-token: TOKEN");
    set_keys(&f->keys, "AK", "hunter2", "");
    f->scope.flags = ES_AWS_SIGN_OTHER;
    assert_int_equal(sign(f), 0);
    assert_string_equal(es_buf_str(&f->out.headers[ES_AWS_HEADER_TOKEN]), "");
    assert_string_equal(es_buf_str(&f->out.headers[ES_AWS_HEADER_HASH]), "");
    assert_string_equal(f->out.headers[ES_AWS_HEADER_DATE].data, "x-amz-date: 20260102T030405Z");
}

static void dates_are_read_and_written(void **state)
{
    static const char *const bad_http[] = {
        "",
        "Fri, 02 Jan 2026 03:04:05 UTC",
        "Fri, 32 Jan 2026 03:04:05 GMT",
        "Fri, 29 Feb 2025 03:04:05 GMT",
        "Fri, 02 Jax 2026 03:04:05 GMT",
        "Fri, 02 Jan 1969 03:04:05 GMT",
        "Fri, 02 Jan 2026 24:04:05 GMT",
    };
    static const char *const bad_iso[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z",
        "2026-13-02T03:04:05Z",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05Zx",
        "1970-01-01T00:00:00+01:00",
    };
    int64_t t = -7;

    (void)state;
    assert_string_equal(es_aws_date_format(0).text, "19700101T000000Z");
    assert_string_equal(es_aws_date_format(951782400).text, "20000229T000000Z");
    assert_string_equal(es_aws_date_format(INT64_MAX).text, "99991231T235959Z");
    assert_string_equal(es_aws_date_format(-1).text, "19700101T000000Z");
    for (size_t i = 0; i < sizeof bad_http / sizeof *bad_http; i++)
        assert_false(es_aws_date_http(bad_http[i], &t));
    for (size_t i = 0; i < sizeof bad_iso / sizeof *bad_iso; i++)
        assert_false(es_aws_date_iso(bad_iso[i], &t));
    assert_int_equal(t, -7);
    assert_true(es_aws_date_http("Fri, 02 Jan 2026 03:04:05 GMT", &t));
    assert_int_equal(t, 1767323045);
    assert_true(es_aws_date_http("Thu, 29 Feb 2024 00:00:00 GMT", &t));
    assert_int_equal(t, 1709164800);
    assert_true(es_aws_date_iso("2026-01-02T03:04:05Z", &t));
    assert_int_equal(t, INT64_C(1767323045000));
    assert_true(es_aws_date_iso("2026-01-02T03:04:05.0678+02:00", &t));
    assert_int_equal(t, INT64_C(1767315845067));
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aws_own_suite_passes_at_every_stage),
        cmocka_unit_test(documented_s3_examples_pass),
        cmocka_unit_test(session_tokens_and_hostile_keys_sign_as_botocore_signs_them),
        WITH(what_could_end_a_header_is_refused),
        WITH(headers_of_the_signer_cannot_be_given),
        WITH(headers_that_proxies_change_are_not_signed),
        cmocka_unit_test(query_sorts_by_the_pair_and_keeps_duplicates_and_empty_names),
        WITH(a_path_must_start_with_a_slash_and_bounds_hold),
        WITH(other_services_normalise_and_encode_twice),
        WITH(a_cached_key_signs_like_a_fresh_one),
        WITH(reuse_leaves_no_header_of_the_last_request),
        cmocka_unit_test(dates_are_read_and_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
