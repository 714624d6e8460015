/* providers/exec */
#include "../../providers/exec/exec.h"
#include "envsync/format.h"
#include "envsync/http.h"
#include "envsync/key.h"
#include "envsync/limits.h"
#include "fake_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a loop that has timers only ---- */

struct es_http {
    int64_t now;
    void (*fn)(void *data);
    void *data;
};

static unsigned finished;
static int finished_with;
static struct es_err finished_err;

int64_t es_http_now_ms(const struct es_http *http)
{
    return http->now;
}

int64_t es_http_deadline_ms(const struct es_http *http)
{
    (void)http;
    return 2000;
}

int es_http_after(struct es_http *http, int ms, void (*fn)(void *data), void *data,
                  struct es_err *err)
{
    (void)err;
    assert_null(http->fn);
    http->now += ms;
    http->fn = fn;
    http->data = data;
    return 0;
}

void es_http_forget(struct es_http *http, const void *data)
{
    if (http->data == data)
        http->fn = NULL;
}

void es_fetch_finish(struct es_fetch *fetch, int r, const struct es_err *err)
{
    (void)fetch;
    finished++;
    finished_with = r;
    if (r < 0)
        finished_err = *err;
}

static size_t write_some(int fd, const char *text)
{
    ssize_t n = write(fd, text, strlen(text));

    assert_true(n > 0);
    return (size_t)n;
}

/* Each piece is written when the loop comes by; NULL closes the pipe, at the end it stays open. */
static int fetch(const char *const *pieces, size_t n, struct es_sink *sink, struct es_err *err)
{
    struct es_exec_options options = {0};
    struct es_http http = {0};
    struct es_file file = {"stdout", "/bin/program", -1};
    struct es_fetch job = {
        .state = &options, .files = &file, .n_files = 1, .sink = sink, .http = &http};
    int ends[2], r;

    finished = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    file.fd = ends[0];
    r = es_fetch_exec(&job, err);
    assert_int_equal(r, ES_FETCH_PENDING);
    for (size_t i = 0, at = 0; finished == 0;) {
        void (*fn)(void *data) = http.fn;

        if (i < n && !pieces[i])
            es_close(&ends[1]);
        else if (i < n && pieces[i][at])
            at += write_some(ends[1], pieces[i] + at);
        if (i < n && (!pieces[i] || !pieces[i][at]))
            i++, at = 0;
        assert_non_null(fn);
        http.fn = NULL;
        fn(http.data);
    }
    assert_int_equal(finished, 1);
    assert_null(http.fn);
    job.clear(job.own);
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    if (finished_with < 0)
        *err = finished_err;
    return finished_with;
}
#define FETCH(sink, err, ...)                                                                      \
    fetch((const char *const[]){__VA_ARGS__},                                                      \
          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), sink, err)

/* ---- options ---- */

static int parse(const char *toml, struct es_exec_options *options, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    int r = es_format_toml.read(toml, strlen(toml), &table, err);

    assert_int_equal(r, 0);
    r = es_options_parse(es_provider_exec.options, &table, "c.toml", options, err);
    return r < 0 ? r : es_provider_exec.validate(options, err);
}

static void what_cannot_be_started_is_wrong_configuration(void **state)
{
    static const struct {
        const char *toml, *says;
    } cases[] = {
        {"", "command"},
        {"command = []", "command"},
        {"command = ['program']", "command"},
        {"command = ['/']", "command"},
        {"command = ['/bin/']", "command"},
        {"command = '/bin/x'", "command"},
        {"command = ['/bin/x']\nrun_as = 'root'", "run_as"},
        {"command = ['/bin/x']\nrun_as = '0'", "run_as"},
        {"command = ['/bin/x']\nrun_as = ''", "run_as"},
        {"command = ['/bin/x']\ntimeout = '0s'", "timeout"},
        {"command = ['/bin/x']\nenvironment = ['A=B']", "environment"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct es_exec_options options = {0};
        struct es_err err;

        assert_true(parse(cases[i].toml, &options, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s", err.msg);
        es_options_clear(es_provider_exec.options, &options);
    }
}

static void one_need_describes_the_program(void **state)
{
    struct es_exec_options options = {0};
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(parse("command = ['/bin/x', 'a b', '']\nrun_as = 'vault'\ntimeout = '5s'\n"
                           "environment = ['VAULT_ADDR']",
                           &options, &err),
                     0);
    assert_int_equal(es_provider_exec.needs(&options, NULL, &needs, &err), 0);
    assert_int_equal(needs.n, 1);
    assert_int_equal(needs.items[0].flags, ES_NEED_EXEC);
    assert_string_equal(needs.items[0].role, "stdout");
    assert_string_equal(needs.items[0].path, "/bin/x");
    assert_string_equal(needs.items[0].argv[1], "a b");
    assert_string_equal(needs.items[0].argv[2], "");
    assert_null(needs.items[0].argv[3]);
    assert_string_equal(needs.items[0].run_as, "vault");
    assert_int_equal(needs.items[0].timeout_ms, 5000);
    assert_string_equal(needs.items[0].environment[0], "VAULT_ADDR");
    assert_null(needs.items[0].environment[1]);
    es_options_clear(es_provider_exec.options, &options);
}

/* ---- output ---- */

static void what_comes_in_pieces_is_one_object(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    const struct es_record *record;
    struct es_err err;

    (void)state;
    assert_int_equal(FETCH(&sink, &err, "{\"a\": {\"b\"", "", ": \"x\"}, \"n\": 3}", "\n", NULL),
                     0);
    assert_int_equal(sink.n, 2);
    record = fake_sink_get(&sink, "a.b");
    assert_string_equal(record->value.text.data, "x");
    assert_string_equal(record->object.data, "/bin/program");
    assert_false(record->verbatim);
    assert_int_equal(fake_sink_get(&sink, "n")->value.integer, 3);
}

static void an_empty_object_has_no_keys_and_no_output_is_none(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(FETCH(&sink, &err, "{}", NULL), 0);
    assert_int_equal(sink.n, 0);
    assert_true(FETCH(&sink, &err, NULL) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_non_null(strstr(err.msg, "/bin/program printed nothing"));
}

static void what_is_no_object_is_invalid_and_never_quoted(void **state)
{
    static const char *const bad[] = {"CANARY",       "[\"CANARY\"]",
                                      "\"CANARY\"",   "{\"a\":\"CANARY\",\"a\":1}",
                                      "{\"a\":null}", "{\"a\":\"CANARY\"} {}"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
        struct es_err err;

        assert_true(FETCH(&sink, &err, bad[i], NULL) < 0);
        assert_int_equal(err.class, ES_INVALID);
        assert_non_null(strstr(err.msg, "/bin/program"));
        assert_null(strstr(err.msg, "CANARY"));
    }
}

static void output_over_the_cap_is_invalid_before_it_ends(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    char *text = malloc(ES_MAX_DOCUMENT + 2);
    struct es_err err;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', ES_MAX_DOCUMENT + 1);
    text[ES_MAX_DOCUMENT + 1] = '\0';
    assert_true(FETCH(&sink, &err, text) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_non_null(strstr(err.msg, "1 MiB"));
    memcpy(text, "{}", 2);
    text[ES_MAX_DOCUMENT] = '\0';
    assert_int_equal(FETCH(&sink, &err, text, NULL), 0);
    free(text);
}

static void a_program_that_does_not_end_is_unavailable_at_the_deadline(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_true(FETCH(&sink, &err, "{}") < 0);
    assert_int_equal(err.class, ES_UNAVAILABLE);
    assert_int_equal(sink.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_started_is_wrong_configuration),
        cmocka_unit_test(one_need_describes_the_program),
        cmocka_unit_test(what_comes_in_pieces_is_one_object),
        cmocka_unit_test(an_empty_object_has_no_keys_and_no_output_is_none),
        cmocka_unit_test(what_is_no_object_is_invalid_and_never_quoted),
        cmocka_unit_test(output_over_the_cap_is_invalid_before_it_ends),
        cmocka_unit_test(a_program_that_does_not_end_is_unavailable_at_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
