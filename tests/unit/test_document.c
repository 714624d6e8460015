/* providers/document.c and providers/registry.c */
#include "envsync/format.h"
#include "envsync/limits.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int put(const struct es_format *format, const char *text, size_t len, struct es_sink *sink,
               struct es_err *err)
{
    struct es_document document = {
        .format = format, .object = "/srv/a", .version = "v7", .rank = 3};

    return es_document_put(&document, text, len, sink, err);
}

#define PUT(format, text, sink, err) put(&es_format_##format, text, sizeof(text) - 1, sink, err)

static void every_leaf_becomes_a_record_with_its_origin(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    const struct es_record *record;
    struct es_err err;

    (void)state;
    assert_int_equal(PUT(toml, "a = 1\n[b.c]\nd = \"x\"\n\"e.f\" = true\n", &sink, &err), 0);
    assert_int_equal(sink.n, 3);
    record = fake_sink_get(&sink, "b.c.d");
    assert_true(es_buf_is(&record->value.text, "x"));
    assert_int_equal(record->line, 3);
    assert_int_equal(record->rank, 3);
    assert_true(es_buf_is(&record->object, "/srv/a"));
    assert_true(es_buf_is(&record->version, "v7"));
    assert_false(record->verbatim);
    assert_int_equal(fake_sink_get(&sink, "a")->value.integer, 1);
    assert_true(fake_sink_get(&sink, "b.c.\"e.f\"")->value.boolean);
}

static void lists_and_empty_tables_are_leaves(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(
        PUT(json, "{\"l\": [1, {\"x\": 2}], \"t\": {\"e\": {}}, \"n\": []}", &sink, &err), 0);
    assert_int_equal(sink.n, 3);
    assert_int_equal(fake_sink_get(&sink, "l")->value.type, ES_LIST);
    assert_int_equal(fake_sink_get(&sink, "l")->value.list.n, 2);
    assert_int_equal(fake_sink_get(&sink, "t.e")->value.type, ES_TABLE);
    assert_int_equal(fake_sink_get(&sink, "n")->value.type, ES_LIST);
}

static void an_empty_document_gives_no_record(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(PUT(env, "", &sink, &err), 0);
    assert_int_equal(PUT(toml, "# nothing\n", &sink, &err), 0);
    assert_int_equal(PUT(json, "{}", &sink, &err), 0);
    assert_int_equal(sink.n, 0);
}

static void names_of_an_env_file_are_kept_as_they_are(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(PUT(env, "# x\nlower_Case=1\n", &sink, &err), 0);
    assert_true(fake_sink_get(&sink, "lower_Case")->verbatim);
    assert_int_equal(fake_sink_get(&sink, "lower_Case")->line, 2);
}

static void a_mistake_is_told_with_object_line_and_column(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};

    (void)state;
    assert_true(PUT(toml, "a = 1\nb = hunter2\n", &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_ptr_equal(strstr(err.msg, "/srv/a:2:"), err.msg);
    assert_null(strstr(err.msg, "hunter2"));
    assert_int_equal(sink.n, 0);
}

static void a_key_with_a_nul_byte_is_refused_with_its_line(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};

    (void)state;
    assert_true(PUT(toml, "a = 1\n\"x\\u0000y\" = 2\n", &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_ptr_equal(strstr(err.msg, "/srv/a:2:"), err.msg);
}

static void what_the_sink_refuses_is_told_with_object_and_line(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {.refuse = true};
    struct es_err err = {0};

    (void)state;
    assert_true(PUT(toml, "\n\nk.l = 1\n", &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, "/srv/a:3: k.l: refused");
}

static void a_document_at_the_limit_is_read_and_one_byte_over_is_not(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};
    char *text = malloc(ES_MAX_DOCUMENT + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '\n', ES_MAX_DOCUMENT + 1);
    memcpy(text, "K=1", 3);
    assert_int_equal(put(&es_format_env, text, ES_MAX_DOCUMENT, &sink, &err), 0);
    assert_int_equal(sink.n, 1);
    assert_int_equal(put(&es_format_env, text, ES_MAX_DOCUMENT + 1, &sink, &err), -EFBIG);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, "/srv/a is larger than 1 MiB");
    free(text);
}

static int read_string(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    return es_value_set_string(ret, text, len) < 0 ? es_nomem(err) : 0;
}

static void a_document_that_is_no_table_is_refused(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    const struct es_format format = {.name = "text", .read = read_string};
    struct es_err err = {0};

    (void)state;
    assert_true(put(&format, "hunter2", 7, &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_null(strstr(err.msg, "hunter2"));
}

static void the_version_of_a_file_is_its_mtime_in_utc(void **state)
{
    struct timespec times[2] = {{.tv_sec = 1767323045}, {.tv_sec = 1767323045}};
    int fd = fake_file("", 0);

    (void)state;
    assert_int_equal(futimens(fd, times), 0);
    assert_string_equal(es_file_version(fd).text, "2026-01-02T03:04:05Z");
    close(fd);
    assert_string_equal(es_file_version(-1).text, "");
}

static void every_provider_is_found_by_its_type_and_tells_about_itself(void **state)
{
    (void)state;
    for (size_t i = 0; es_providers[i]; i++) {
        assert_ptr_equal(es_provider_by_type(es_providers[i]->type), es_providers[i]);
        assert_non_null(es_providers[i]->summary);
        assert_true(es_providers[i]->size > 0);
        for (const struct es_option *option = es_providers[i]->options; option->key; option++)
            assert_non_null(option->help);
    }
    assert_string_equal(es_provider_by_type("file")->type, "file");
    assert_string_equal(es_provider_by_type("cloud-init")->type, "cloud-init");
    assert_null(es_provider_by_type("cloud_init"));
    assert_null(es_provider_by_type(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_leaf_becomes_a_record_with_its_origin),
        cmocka_unit_test(lists_and_empty_tables_are_leaves),
        cmocka_unit_test(an_empty_document_gives_no_record),
        cmocka_unit_test(names_of_an_env_file_are_kept_as_they_are),
        cmocka_unit_test(a_mistake_is_told_with_object_line_and_column),
        cmocka_unit_test(a_key_with_a_nul_byte_is_refused_with_its_line),
        cmocka_unit_test(what_the_sink_refuses_is_told_with_object_and_line),
        cmocka_unit_test(a_document_at_the_limit_is_read_and_one_byte_over_is_not),
        cmocka_unit_test(a_document_that_is_no_table_is_refused),
        cmocka_unit_test(the_version_of_a_file_is_its_mtime_in_utc),
        cmocka_unit_test(every_provider_is_found_by_its_type_and_tells_about_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
