/* providers/file */
#include "../../providers/file/file.h"
#include "envsync/format.h"
#include "envsync/limits.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A file as core would hand it over. */
struct given {
    const char *path, *text;
};

static int fetch(const char *path, const char *format, const struct given *given, size_t n,
                 struct es_sink *sink, struct es_err *err)
{
    struct es_file_options options = {.path = (char *)path, .format = (char *)format};
    struct es_file files[8];
    struct es_fetch job = {.state = &options, .files = files, .n_files = n, .sink = sink};
    int r;

    for (size_t i = 0; i < n; i++)
        files[i] = (struct es_file){"file", given[i].path,
                                    fake_file(given[i].text, strlen(given[i].text))};
    r = es_fetch_file(&job, err);
    for (size_t i = 0; i < n; i++)
        close(files[i].fd);
    return r;
}

static void one_need_asks_for_a_file_directory_or_glob(void **state)
{
    struct es_file_options options = {.path = (char *)"/srv/a/*.env"};
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_provider_file.needs(&options, NULL, &needs, &err), 0);
    assert_int_equal(needs.n, 1);
    assert_string_equal(needs.items[0].role, "file");
    assert_string_equal(needs.items[0].path, "/srv/a/*.env");
    assert_int_equal(needs.items[0].flags, ES_NEED_EXPAND);
    assert_null(needs.items[0].wait);
}

static void options_are_parsed_by_the_table(void **state)
{
    struct es_file_options options = {0};
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err = {0};
    const char *good = "path = \"/a\"\nformat = \"json\"\n",
               *bad = "path = \"/a\"\nformat = \"ini\"\n";

    (void)state;
    assert_int_equal(es_format_toml.read(good, strlen(good), &table, &err), 0);
    assert_int_equal(es_options_parse(es_provider_file.options, &table, "c.toml", &options, &err),
                     0);
    assert_string_equal(options.path, "/a");
    assert_string_equal(options.format, "json");
    es_options_clear(es_provider_file.options, &options);
    es_value_done(&table);
    assert_int_equal(es_format_toml.read(bad, strlen(bad), &table, &err), 0);
    assert_true(es_options_parse(es_provider_file.options, &table, "c.toml", &options, &err) < 0);
    assert_int_equal(err.class, ES_CONFIG);
    es_options_clear(es_provider_file.options, &options);
}

static void each_file_is_read_by_its_extension_and_ranked_in_order(void **state)
{
    const struct given given[] = {{"/d/a.env", "A=1\n"},
                                  {"/d/b.toml", "b.c = 2\n"},
                                  {"/d/c.json", "{\"d\": 3}"},
                                  {"/d/environment", "E=4\n"}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    const struct es_record *record;
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("/d", NULL, given, 4, &sink, &err), 0);
    assert_int_equal(sink.n, 4);
    assert_int_equal(sink.n_notes, 0);
    record = fake_sink_get(&sink, "b.c");
    assert_int_equal(record->rank, 1);
    assert_false(record->verbatim);
    assert_true(es_buf_is(&record->object, "/d/b.toml"));
    assert_int_equal(record->version.len, strlen("2026-01-02T03:04:05Z"));
    assert_int_equal(fake_sink_get(&sink, "A")->rank, 0);
    assert_true(fake_sink_get(&sink, "A")->verbatim);
    assert_int_equal(fake_sink_get(&sink, "d")->value.integer, 3);
    assert_int_equal(fake_sink_get(&sink, "E")->rank, 3);
}

static void the_format_option_rules_over_the_extension(void **state)
{
    const struct given given[] = {{"/d/a.env", "{\"x\": {\"y\": 1}}"}, {"/d/b", "{\"z\": 1}"}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("/d", "json", given, 2, &sink, &err), 0);
    assert_int_equal(fake_sink_get(&sink, "x.y")->value.integer, 1);
    assert_int_equal(fake_sink_get(&sink, "z")->value.integer, 1);
}

static void a_single_path_without_extension_is_read_as_env(void **state)
{
    const struct given given[] = {{"/etc/default/foo", "A=1\n"}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("/etc/default/foo", NULL, given, 1, &sink, &err), 0);
    assert_true(fake_sink_get(&sink, "A")->verbatim);
    assert_int_equal(sink.n_notes, 0);
}

static void unknown_files_of_a_directory_are_passed_over_with_a_note(void **state)
{
    const struct given given[] = {
        {"/d/README", "not = an env file\n"}, {"/d/a.env", "A=1\n"}, {"/d/a.env.bak", "A=2\n"}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("/d", NULL, given, 3, &sink, &err), 0);
    assert_int_equal(sink.n, 1);
    assert_int_equal(sink.n_notes, 2);
    assert_non_null(strstr(sink.notes[0], "/d/README"));
    assert_non_null(strstr(sink.notes[1], "/d/a.env.bak"));
}

static void the_only_file_of_a_directory_is_not_taken_for_a_named_one(void **state)
{
    const struct given given[] = {{"/d/README", "A=1\n"}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("/d", NULL, given, 1, &sink, &err), 0);
    assert_int_equal(sink.n, 0);
    assert_int_equal(sink.n_notes, 1);
}

static void an_empty_file_and_no_file_give_nothing(void **state)
{
    const struct given given[] = {{"/d/a.env", ""}, {"/d/b.toml", ""}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("/d", NULL, given, 2, &sink, &err), 0);
    assert_int_equal(fetch("/d", NULL, given, 0, &sink, &err), 0);
    assert_int_equal(sink.n, 0);
    assert_int_equal(sink.n_notes, 0);
}

static void a_file_over_the_limit_is_refused_by_name(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};
    char *text = malloc(ES_MAX_DOCUMENT + 2);
    struct given given[] = {{"/d/a.env", text}};

    (void)state;
    assert_non_null(text);
    memset(text, '\n', ES_MAX_DOCUMENT + 1);
    text[ES_MAX_DOCUMENT] = '\0';
    assert_int_equal(fetch("/d/a.env", NULL, given, 1, &sink, &err), 0);
    text[ES_MAX_DOCUMENT] = '\n';
    text[ES_MAX_DOCUMENT + 1] = '\0';
    assert_int_equal(fetch("/d/a.env", NULL, given, 1, &sink, &err), -EFBIG);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, "/d/a.env is larger than 1 MiB");
    free(text);
}

static void a_mistake_stops_the_source_and_names_the_file(void **state)
{
    const struct given given[] = {{"/d/a.env", "A=1\n"}, {"/d/b.json", "{\n\"k\": hunter2}"}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};

    (void)state;
    assert_true(fetch("/d", NULL, given, 2, &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_ptr_equal(strstr(err.msg, "/d/b.json:2:"), err.msg);
    assert_null(strstr(err.msg, "hunter2"));
}

static void a_descriptor_that_cannot_be_read_is_an_error(void **state)
{
    struct es_file_options options = {.path = (char *)"/d/a.env"};
    struct es_file file = {"file", "/d/a.env", -1};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_fetch job = {.state = &options, .files = &file, .n_files = 1, .sink = &sink};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(es_fetch_file(&job, &err), -EBADF);
    assert_ptr_equal(strstr(err.msg, "/d/a.env cannot be read"), err.msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_need_asks_for_a_file_directory_or_glob),
        cmocka_unit_test(options_are_parsed_by_the_table),
        cmocka_unit_test(each_file_is_read_by_its_extension_and_ranked_in_order),
        cmocka_unit_test(the_format_option_rules_over_the_extension),
        cmocka_unit_test(a_single_path_without_extension_is_read_as_env),
        cmocka_unit_test(unknown_files_of_a_directory_are_passed_over_with_a_note),
        cmocka_unit_test(the_only_file_of_a_directory_is_not_taken_for_a_named_one),
        cmocka_unit_test(an_empty_file_and_no_file_give_nothing),
        cmocka_unit_test(a_file_over_the_limit_is_refused_by_name),
        cmocka_unit_test(a_mistake_stops_the_source_and_names_the_file),
        cmocka_unit_test(a_descriptor_that_cannot_be_read_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
