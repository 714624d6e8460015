/* providers/credentials */
#include "../../providers/credentials/credentials.h"
#include "envsync/format.h"
#include "envsync/limits.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DIRECTORY "/run/credentials/foo@a\\x2db.service"

struct given {
    const char *name, *text;
    size_t len; /* 0: that of the text */
};

static int read_options(const char *toml, struct es_credentials_options *options,
                        struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    int r;

    assert_int_equal(es_format_toml.read(toml, strlen(toml), &table, err), 0);
    r = es_options_parse(es_provider_credentials.options, &table, "c.toml", options, err);
    return r < 0 ? r : es_provider_credentials.validate(options, err);
}

/* Gives the credentials, sorted by name as core does, to a source with these options. */
static int fetch(const char *toml, bool optional, const struct given *given, size_t n,
                 struct es_sink *sink, struct es_err *err)
{
    struct es_credentials_options options = {0};
    struct es_file files[8];
    char paths[8][200];
    struct es_fetch job = {
        .state = &options, .files = files, .n_files = n, .sink = sink, .optional = optional};
    int r = read_options(toml, &options, err);

    assert_int_equal(r, 0);
    for (size_t i = 0; i < n; i++) {
        snprintf(paths[i], sizeof paths[i], DIRECTORY "/%s", given[i].name);
        files[i] = (struct es_file){
            "credential", paths[i],
            fake_file(given[i].text, given[i].len ? given[i].len : strlen(given[i].text))};
    }
    r = es_fetch_credentials(&job, err);
    for (size_t i = 0; i < n; i++)
        close(files[i].fd);
    es_options_clear(es_provider_credentials.options, &options);
    return r;
}

static int name_needs(const char *directory, struct es_needs *needs, struct es_err *err)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings surroundings = {0};
    struct es_credentials_options options = {0};
    struct es_entry *entry;

    es_value_set_table(&surroundings.environment);
    if (directory) {
        assert_int_equal(
            es_table_add(&surroundings.environment, "CREDENTIALS_DIRECTORY", 21, &entry), 0);
        assert_int_equal(es_value_set_string(&entry->value, directory, strlen(directory)), 0);
    }
    return es_provider_credentials.needs(&options, &surroundings, needs, err);
}

static void the_directory_that_systemd_names_is_needed(void **state)
{
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err err;

    (void)state;
    assert_string_equal(es_provider_credentials.environment[0], "CREDENTIALS_DIRECTORY");
    assert_int_equal(name_needs(DIRECTORY, &needs, &err), 0);
    assert_int_equal(needs.n, 1);
    assert_string_equal(needs.items[0].path, DIRECTORY);
    assert_int_equal(needs.items[0].flags, ES_NEED_EXPAND);
}

static void without_a_directory_the_source_is_absent(void **state)
{
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(name_needs(NULL, &needs, &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    assert_non_null(strstr(err.msg, "LoadCredential="));
    assert_int_equal(name_needs("relative", &needs, &err), -ENOENT);
    assert_int_equal(needs.n, 0);
}

static void a_credential_is_one_value_under_its_name(void **state)
{
    const struct given given[] = {{"DATABASE_URL", "ecto://x", 0}, {"db.password", "a b", 0}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    const struct es_record *record;
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("", false, given, 2, &sink, &err), 0);
    assert_int_equal(sink.n, 2);
    record = fake_sink_get(&sink, "\"db.password\"");
    assert_true(es_buf_is(&record->value.text, "a b"));
    assert_true(es_buf_is(&record->object, "db.password"));
    assert_false(record->verbatim);
    /* Made anew at every start: its time must not make a new set. */
    assert_int_equal(record->version.len, 0);
    assert_int_equal(record->line, 0);
}

static void a_name_that_says_so_is_parsed(void **state)
{
    const struct given given[] = {
        {"a.env", "A=1\n", 0}, {"b.toml", "b.c = 2\n", 0}, {"c.json", "{\"A\": 3}", 0}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("", false, given, 3, &sink, &err), 0);
    assert_int_equal(sink.n, 3);
    assert_true(sink.records[0].verbatim);
    assert_int_equal(fake_sink_get(&sink, "b.c")->value.integer, 2);
    assert_true(es_buf_is(&fake_sink_get(&sink, "b.c")->object, "b.toml"));
    assert_int_equal(sink.records[2].rank, 2);
    assert_true(sink.records[2].rank > sink.records[0].rank);
}

static void format_rules_over_the_name(void **state)
{
    const struct given given[] = {{"a.json", "A=1\n", 0}, {"b", "B=2\n", 0}};
    ES_CLEANUP(fake_sink_done) struct es_sink env = {0}, value = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("format = \"env\"", false, given, 2, &env, &err), 0);
    assert_true(es_buf_is(&fake_sink_get(&env, "B")->value.text, "2"));
    assert_int_equal(fetch("format = \"value\"", false, given, 2, &value, &err), 0);
    assert_true(es_buf_is(&fake_sink_get(&value, "\"a.json\"")->value.text, "A=1"));
}

static void one_line_break_at_the_end_is_not_part_of_a_value(void **state)
{
    const struct given given[] = {
        {"a", "x\n", 0}, {"b", "x\n\n", 0}, {"c", "x\r\n", 0}, {"d", "\n", 0}, {"e", "", 0}};
    static const char *const cut[] = {"x", "x\n", "x\r", "", ""};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0}, kept = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("", false, given, 5, &sink, &err), 0);
    assert_int_equal(fetch("keep_newline = true", false, given, 5, &kept, &err), 0);
    for (size_t i = 0; i < 5; i++) {
        assert_true(es_buf_is(&sink.records[i].value.text, cut[i]));
        assert_true(es_buf_is(&kept.records[i].value.text, given[i].text));
    }
}

static void bytes_are_kept_as_they_are(void **state)
{
    const struct given given[] = {{"key", "\xff\0\n\x80", 4}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("", false, given, 1, &sink, &err), 0);
    assert_int_equal(sink.records[0].value.text.len, 4);
    assert_memory_equal(sink.records[0].value.text.data, "\xff\0\n\x80", 4);
}

static void only_names_that_were_asked_for_are_taken(void **state)
{
    const struct given given[] = {{"aws", "CANARY", 0}, {"db-a", "1", 0}, {"db-b", "2", 0}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("names = [\"db-*\"]", false, given, 3, &sink, &err), 0);
    assert_int_equal(sink.n, 2);
    assert_int_equal(fetch("names = [\"aws\"]", false, given, 3, &sink, &err), 0);
    assert_int_equal(sink.n, 3);
}

static void what_is_missing_is_told_at_once_unless_it_is_optional(void **state)
{
    const struct given given[] = {{"a", "1", 0}};
    const char *names = "names = [\"x\", \"a\", \"y*\"]";
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(fetch(names, false, given, 1, &sink, &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    assert_non_null(strstr(err.msg, "no credential x, y*;"));
    assert_int_equal(sink.n, 0);
    assert_int_equal(fetch(names, true, given, 1, &sink, &err), 0);
    assert_int_equal(sink.n, 1);
    assert_true(fake_sink_noted(&sink, "no credential x, y*;"));
}

static void no_credential_at_all_is_an_empty_source(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(fetch("", false, NULL, 0, &sink, &err), 0);
    assert_int_equal(sink.n, 0);
}

static void a_name_that_cannot_be_is_refused(void **state)
{
    static const char *const bad[] = {"names = [\"\"]", "names = [\"a/b\"]"};
    struct es_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct es_credentials_options options = {0};

        assert_true(read_options(bad[i], &options, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
        assert_ptr_equal(strstr(err.msg, "names: "), err.msg);
        es_options_clear(es_provider_credentials.options, &options);
    }
}

static void a_mistake_names_the_credential_and_no_value(void **state)
{
    const struct given given[] = {{"a.json", "{\n\"k\": hunter2}", 0}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};

    (void)state;
    assert_true(fetch("", false, given, 1, &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_ptr_equal(strstr(err.msg, "a.json:2:"), err.msg);
    assert_null(strstr(err.msg, "hunter2"));
}

static void what_the_sink_refuses_is_told_with_the_name(void **state)
{
    const struct given given[] = {{"a", "hunter2", 0}};
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {.refuse = true};
    struct es_err err = {0};

    (void)state;
    assert_true(fetch("", false, given, 1, &sink, &err) < 0);
    assert_ptr_equal(strstr(err.msg, "a: "), err.msg);
    assert_null(strstr(err.msg, "hunter2"));
}

static void a_credential_over_the_limit_is_refused(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};
    char *text = calloc(1, ES_MAX_DOCUMENT + 2);
    struct given given[] = {{"a", text, ES_MAX_DOCUMENT}};

    (void)state;
    assert_non_null(text);
    assert_int_equal(fetch("", false, given, 1, &sink, &err), 0);
    given[0].len++;
    assert_int_equal(fetch("", false, given, 1, &sink, &err), -EFBIG);
    assert_int_equal(err.class, ES_INVALID);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_directory_that_systemd_names_is_needed),
        cmocka_unit_test(without_a_directory_the_source_is_absent),
        cmocka_unit_test(a_credential_is_one_value_under_its_name),
        cmocka_unit_test(a_name_that_says_so_is_parsed),
        cmocka_unit_test(format_rules_over_the_name),
        cmocka_unit_test(one_line_break_at_the_end_is_not_part_of_a_value),
        cmocka_unit_test(bytes_are_kept_as_they_are),
        cmocka_unit_test(only_names_that_were_asked_for_are_taken),
        cmocka_unit_test(what_is_missing_is_told_at_once_unless_it_is_optional),
        cmocka_unit_test(no_credential_at_all_is_an_empty_source),
        cmocka_unit_test(a_name_that_cannot_be_is_refused),
        cmocka_unit_test(a_mistake_names_the_credential_and_no_value),
        cmocka_unit_test(what_the_sink_refuses_is_told_with_the_name),
        cmocka_unit_test(a_credential_over_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
