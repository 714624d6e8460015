/* base/option.c */
#include "core_case.h"

struct all {
    char *string, *path, *word;
    bool flag;
    int64_t integer, duration, mode;
    struct es_strings strings;
    struct es_strings paths;
    struct es_map map;
};

#define OPT(field) offsetof(struct all, field)

static const struct es_option options[] = {
    {"string", ES_OPT_STRING, 0, NULL, NULL, OPT(string), "a string"},
    {"path", ES_OPT_PATH, 0, NULL, NULL, OPT(path), "a path"},
    {"word", ES_OPT_ENUM, 0, "one", "one|two|three", OPT(word), "a word"},
    {"flag", ES_OPT_BOOL, 0, "true", NULL, OPT(flag), "a flag"},
    {"integer", ES_OPT_INTEGER, 0, "-7", NULL, OPT(integer), "a number"},
    {"duration", ES_OPT_DURATION, 0, "45s", NULL, OPT(duration), "a time"},
    {"mode", ES_OPT_MODE, 0, "0640", NULL, OPT(mode), "a mode"},
    {"strings", ES_OPT_STRINGS, 0, NULL, NULL, OPT(strings), "strings"},
    {"paths", ES_OPT_PATHS, 0, NULL, NULL, OPT(paths), "paths"},
    {"map", ES_OPT_MAP, 0, NULL, NULL, OPT(map), "a map"},
    {0},
};

static void read_toml(const char *text, struct es_value *ret)
{
    struct es_err err = {.msg = "nothing"};

    if (es_format_toml.read(text, strlen(text), ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static int parse(const struct es_option *table, const char *text, void *out, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value document = {0};

    read_toml(text, &document);
    return es_options_parse(table, &document, "F", out, err);
}

static void assert_refused(const char *text, const char *message)
{
    struct all all = {0};
    struct es_err err = {.msg = "nothing"};

    assert_int_equal(parse(options, text, &all, &err), -EINVAL);
    assert_int_equal(err.class, ES_CONFIG);
    assert_string_equal(err.msg, message);
    es_options_clear(options, &all);
}

static void defaults_stand_for_what_is_not_there(void **state)
{
    struct all all = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(parse(options, "", &all, &err), 0);
    assert_null(all.string);
    assert_null(all.path);
    assert_string_equal(all.word, "one");
    assert_true(all.flag);
    assert_int_equal(all.integer, -7);
    assert_int_equal(all.duration, 45000);
    assert_int_equal(all.mode, 0640);
    assert_int_equal(all.strings.n, 0);
    assert_int_equal(all.map.n, 0);
    es_options_clear(options, &all);
}

static void every_type_is_read_into_its_field(void **state)
{
    struct all all = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(parse(options,
                           "string = 's'\npath = '/a/b'\nword = 'three'\nflag = false\n"
                           "integer = 5\nduration = '2m'\nmode = '0400'\n"
                           "strings = ['x', '']\npaths = ['//a///b']\n[map]\n'a.b' = 'c'\nd = ''\n",
                           &all, &err),
                     0);
    assert_string_equal(all.string, "s");
    assert_string_equal(all.path, "/a/b");
    assert_string_equal(all.word, "three");
    assert_false(all.flag);
    assert_int_equal(all.integer, 5);
    assert_int_equal(all.duration, 120000);
    assert_int_equal(all.mode, 0400);
    assert_int_equal(all.strings.n, 2);
    assert_string_equal(all.strings.items[0], "x");
    assert_int_equal(all.strings.pos[1].column, 17);
    assert_int_equal(all.paths.n, 1);
    assert_string_equal(all.paths.items[0], "/a/b");
    assert_int_equal(all.map.n, 2);
    assert_string_equal(all.map.items[0].key, "a.b");
    assert_string_equal(all.map.items[0].value, "c");
    assert_int_equal(all.map.items[0].pos.line, 11);
    es_options_clear(options, &all);
    assert_null(all.string);
    assert_null(all.strings.items);
    assert_null(all.map.items);
}

static void every_mistake_is_told_with_its_place(void **state)
{
    static const char *const cases[][2] = {
        {"\nstring = 5", "F:2:10: string must be a string, not an integer"},
        {"string = \"a\\u0000b\"", "F:1:10: string has a NUL byte in it"},
        {"path = 'a'", "F:1:8: path must be an absolute path without \".\" and \"..\""},
        {"path = ''", "F:1:8: path must be an absolute path without \".\" and \"..\""},
        {"path = '/a/../b'", "F:1:8: path must be an absolute path without \".\" and \"..\""},
        {"path = '/a/.'", "F:1:8: path must be an absolute path without \".\" and \"..\""},
        {"word = 'four'", "F:1:8: word must be \"one\", \"two\" or \"three\""},
        {"word = 'on'", "F:1:8: word must be \"one\", \"two\" or \"three\""},
        {"word = ''", "F:1:8: word must be \"one\", \"two\" or \"three\""},
        {"word = 'one|two'", "F:1:8: word must be \"one\", \"two\" or \"three\""},
        {"flag = 'true'", "F:1:8: flag must be true or false"},
        {"flag = 1", "F:1:8: flag must be true or false"},
        {"integer = '1'", "F:1:11: integer must be an integer"},
        {"integer = 1.0", "F:1:11: integer must be an integer"},
        {"paths = ['/a', 'b']", "F:1:16: paths must be an absolute path without \".\" and \"..\""},
        {"strings = 'a'", "F:1:11: strings must be a list of strings"},
        {"strings = ['a', 1]", "F:1:17: strings must be a string, not an integer"},
        {"map = 'a'", "F:1:7: map must be a table of strings"},
        {"[map]\na = 1", "F:2:5: a must be a string, not an integer"},
        {"[map]\na.b = 'c'",
         "F:2:1: map takes strings: quote a key that has dots, as in 'a.b' = \"...\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void a_required_option_must_be_there(void **state)
{
    static const struct es_option required[] = {
        {"need", ES_OPT_STRING, ES_OPT_REQUIRED, NULL, NULL, OPT(string), "needed"}, {0}};
    struct all all = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(parse(required, "", &all, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "need is missing"));
}

static void a_mode_is_octal_readable_and_not_writable_for_others(void **state)
{
    static const char *const bad[] = {"",     "64", "0888", "4755", "00640", "0642", "777",
                                      "0040", "rw", "-640", "0x1f", "0o640", "07777"};
    static const struct {
        const char *text;
        int64_t mode;
    } good[] = {{"640", 0640}, {"0600", 0600}, {"0444", 0444}, {"0775", 0775}, {"0700", 0700}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[40];

        snprintf(text, sizeof text, "mode = '%s'", bad[i]);
        assert_refused(text,
                       "F:1:8: mode must be an octal mode in quotes such as \"0640\", readable "
                       "for its owner and not writable for others");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct all all = {0};
        struct es_err err;
        char text[40];

        snprintf(text, sizeof text, "mode = '%s'", good[i].text);
        assert_int_equal(parse(options, text, &all, &err), 0);
        assert_int_equal(all.mode, good[i].mode);
        es_options_clear(options, &all);
    }
}

static void durations_are_read_exactly(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0s", 0},       {"250ms", 250},    {"45s", 45000}, {"5m", 300000},
                {"2h", 7200000}, {"3d", 259200000}, {"007s", 7000}};
    static const char *const bad[] = {"",    "5",   "s",      "-1s",  "1.5s",          " 1s",
                                      "1 s", "1s ", "1S",     "1w",   "1h30m",         "0x1s",
                                      "1ss", "+1s", "36501d", "1e3s", "9999999999999s"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -1;

        assert_true(es_duration_parse(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 4711;

        assert_false(es_duration_parse(bad[i], &ms));
        assert_int_equal(ms, 4711);
    }
}

static void the_nearest_word_is_suggested_and_none_where_none_is_near(void **state)
{
    static const char *const words[] = {"region", "prefix", "bucket", "optional", NULL};
    static const struct {
        const char *word, *near;
    } cases[] = {
        {"regoin", "region"}, {"Prefix", "prefix"}, {"buckets", "bucket"}, {"otpional", "optional"},
        {"zzzzzz", NULL},     {"", NULL},           {"x", NULL},
    };
    char longest[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = es_suggest(cases[i].word, words);

        if (!cases[i].near)
            assert_null(near);
        else
            assert_string_equal(near, cases[i].near);
    }
    memset(longest, 'q', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(es_suggest(longest, words));
    assert_null(es_suggest("word", words + 4));
}

static void an_unknown_key_is_told_with_its_place_and_the_nearest(void **state)
{
    static const struct es_option *const sets[] = {options};
    static const char *const extra[] = {"source", NULL};
    ES_CLEANUP(es_value_done) struct es_value good = {0}, near = {0}, far = {0};
    struct es_err err;

    (void)state;
    read_toml("string = 's'\n[source]\nx = 1\n", &good);
    assert_int_equal(es_options_unknown(sets, 1, extra, &good, "F", &err), 0);
    assert_int_equal(es_options_unknown(sets, 1, NULL, &good, "F", &err), -EINVAL);
    read_toml("flag = true\n  strnig = 's'\n", &near);
    assert_int_equal(es_options_unknown(sets, 1, extra, &near, "F", &err), -EINVAL);
    assert_string_equal(err.msg, "F:2:3: unknown key \"strnig\"; did you mean \"string\"?");
    read_toml("qqqqqqqq = 1", &far);
    assert_int_equal(es_options_unknown(sets, 1, extra, &far, "F", &err), -EINVAL);
    assert_string_equal(err.msg, "F:1:1: unknown key \"qqqqqqqq\"");
}

static void every_type_has_a_name(void **state)
{
    (void)state;
    for (enum es_option_type a = ES_OPT_STRING; a <= ES_OPT_MAP; a++)
        for (enum es_option_type b = ES_OPT_STRING; b < a; b++)
            assert_string_not_equal(es_option_type_name(a), es_option_type_name(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_for_what_is_not_there),
        cmocka_unit_test(every_type_is_read_into_its_field),
        cmocka_unit_test(every_mistake_is_told_with_its_place),
        cmocka_unit_test(a_required_option_must_be_there),
        cmocka_unit_test(a_mode_is_octal_readable_and_not_writable_for_others),
        cmocka_unit_test(durations_are_read_exactly),
        cmocka_unit_test(the_nearest_word_is_suggested_and_none_where_none_is_near),
        cmocka_unit_test(an_unknown_key_is_told_with_its_place_and_the_nearest),
        cmocka_unit_test(every_type_has_a_name),
    };

    return cmocka_run_group_tests_name("option", tests, NULL, NULL);
}
