/* base/format.c: the registry, and the rule that what is written reads back. */
#include "format_case.h"

static void every_format_is_found_by_its_name_and_no_other(void **state)
{
    static const char *const names[] = {"env",   "toml",   "json", "ssm-json",
                                        "shell", "dotenv", "value"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct es_format *format = es_format_by_name(names[i]);

        assert_non_null(format);
        assert_string_equal(format->name, names[i]);
        assert_non_null(format->write);
    }
    assert_null(es_format_by_name("yaml"));
    assert_null(es_format_by_name("ENV"));
    assert_null(es_format_by_name(""));
}

static void a_path_tells_the_format_by_extension_or_the_name_environment(void **state)
{
    static const struct {
        const char *path;
        const struct es_format *format;
    } cases[] = {
        {"/a/b.env", &es_format_env},
        {"b.toml", &es_format_toml},
        {"/a.json/b.json", &es_format_json},
        {"/a/environment", &es_format_env},
        {"environment", &es_format_env},
        {".env", &es_format_env},
        {"/a/b.env.bak", NULL},
        {"/a.env/b", NULL},
        {"/a/b.ENV", NULL},
        {"/a/environment.d", NULL},
        {"/a/b", NULL},
        {"/a/", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (es_format_by_path(cases[i].path) != cases[i].format)
            fail_msg("%s", cases[i].path);
}

static void a_format_that_is_a_source_has_a_reader(void **state)
{
    (void)state;
    for (size_t i = 0; es_formats[i]; i++)
        if (es_formats[i]->source)
            assert_non_null(es_formats[i]->read);
}

static int write_else(const struct es_value *root, struct es_buf *out)
{
    (void)root;
    return es_buf_puts(out, "NAME=other\n");
}

static int write_broken(const struct es_value *root, struct es_buf *out)
{
    (void)root;
    return es_buf_puts(out, "NAME='");
}

static int write_nothing(const struct es_value *root, struct es_buf *out)
{
    (void)root;
    (void)out;
    return -ENOMEM;
}

/* A writer with a mistake in it must not get a byte out. */
static void what_does_not_read_back_is_not_rendered(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value root = {.type = ES_TABLE};
    struct es_format wrong = es_format_env;

    (void)state;
    put_text(&root, "NAME", TEXT("hunter2"));
    for (int i = 0; i < 2; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};
        struct es_err err;

        wrong.write = i == 0 ? write_else : write_broken;
        assert_int_equal(es_format_render(&wrong, &root, &out, &err), -EBADMSG);
        assert_int_equal(err.class, ES_INTERNAL);
        assert_null(strstr(err.msg, "hunter2"));
        assert_int_equal(out.len, 0);
    }
}

static void no_memory_in_a_writer_is_told_as_that(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value root = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_format wrong = es_format_env;
    struct es_err err;

    (void)state;
    wrong.write = write_nothing;
    assert_int_equal(es_format_render(&wrong, &root, &out, &err), -ENOMEM);
    assert_int_equal(err.class, ES_INTERNAL);
}

static void rendering_appends_to_what_is_there(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value root = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    put_text(&root, "NAME", TEXT("x"));
    assert_int_equal(es_buf_puts(&out, "kept "), 0);
    assert_int_equal(es_format_render(&es_format_env, &root, &out, &err), 0);
    assert_string_equal(out.data, "kept NAME=x\n");
}

static void names_of_variables_are_letters_digits_and_underscores(void **state)
{
    static const char *const good[] = {"A", "_", "a9_B", "_1"};
    static const char *const bad[] = {"", "1A", "A-B", "A.B", "A B", "A=", "\xc3\xa9", "A\n"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(es_env_name_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(es_env_name_valid(bad[i], strlen(bad[i])));
    assert_false(es_env_name_valid("A\0B", 3));
    assert_true(es_env_name_valid("A=B", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_found_by_its_name_and_no_other),
        cmocka_unit_test(a_path_tells_the_format_by_extension_or_the_name_environment),
        cmocka_unit_test(a_format_that_is_a_source_has_a_reader),
        cmocka_unit_test(what_does_not_read_back_is_not_rendered),
        cmocka_unit_test(no_memory_in_a_writer_is_told_as_that),
        cmocka_unit_test(rendering_appends_to_what_is_there),
        cmocka_unit_test(names_of_variables_are_letters_digits_and_underscores),
    };

    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
