/* base/key.c */
#include "core_case.h"

#include "envsync/limits.h"

static void parse(const char *text, struct es_buf *ret)
{
    struct es_err err = {.msg = "nothing"};

    if (es_key_parse(text, ret, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
}

static void assert_key(const char *text, const char *bytes, size_t len, const char *as)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0}, out = {0};

    parse(text, &key);
    assert_int_equal(key.len, len);
    assert_memory_equal(key.data, bytes, len);
    assert_int_equal(es_key_format(&key, &out), 0);
    assert_string_equal(out.data, as);
}
#define ASSERT_KEY(text, bytes, as) assert_key(text, bytes, sizeof(bytes) - 1, as)

static void a_key_is_its_segments_each_with_a_nul(void **state)
{
    (void)state;
    ASSERT_KEY("a", "a\0", "a");
    ASSERT_KEY("db.password", "db\0password\0", "db.password");
    ASSERT_KEY("foo.\"Foo.Repo\".url", "foo\0Foo.Repo\0url\0", "foo.\"Foo.Repo\".url");
    ASSERT_KEY("'a.b'.c", "a.b\0c\0", "\"a.b\".c");
    ASSERT_KEY("\"\"", "\0", "\"\"");
    ASSERT_KEY("\"a\\\"b\\\\c\"", "a\"b\\c\0", "\"a\\\"b\\\\c\"");
    ASSERT_KEY("a-b_C9", "a-b_C9\0", "a-b_C9");
    ASSERT_KEY("a b", "a b\0", "\"a b\"");
    ASSERT_KEY("h\xc3\xa9", "h\xc3\xa9\0", "\"h\xc3\xa9\"");
}

static void a_text_that_is_no_key_is_refused_and_the_whole_of_it_named(void **state)
{
    static const char *const bad[] = {"",    ".",  "a.",       ".a",    "a..b",
                                      "\"a", "'a", "a.\"b\"c", "a\"b\""};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf key = {0};
        struct es_err err = {.msg = "nothing"};
        char named[32];

        assert_true(es_key_parse(bad[i], &key, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
        snprintf(named, sizeof named, "\"%s\" is no key: ", bad[i]);
        assert_int_equal(strncmp(err.msg, named, strlen(named)), 0);
        assert_null(key.data);
    }
}

static void a_key_may_have_as_many_segments_as_documents_may_nest(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_err err;
    char text[2 * ES_MAX_DEPTH + 2];

    (void)state;
    for (size_t i = 0; i <= ES_MAX_DEPTH; i++)
        memcpy(text + 2 * i, "a.", 2);
    text[2 * ES_MAX_DEPTH - 1] = '\0';
    parse(text, &key);
    assert_int_equal(es_key_depth(&key), ES_MAX_DEPTH);
    text[2 * ES_MAX_DEPTH - 1] = '.';
    text[2 * ES_MAX_DEPTH + 1] = '\0';
    assert_true(es_key_parse(text, &key, &err) < 0);
}

static void a_segment_with_a_nul_is_refused_and_the_key_stays(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};

    (void)state;
    parse("a", &key);
    assert_int_equal(es_key_push(&key, "b\0c", 3), -EINVAL);
    assert_int_equal(key.len, 2);
}

static void what_would_move_a_terminal_is_escaped_in_a_text(void **state)
{
    static const char raw[] = "\x1b[2J\n\x7f\xff\xe2\x80\xae\xc2\x9b";
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_key_text text;

    (void)state;
    assert_int_equal(es_key_push(&key, raw, sizeof raw - 1), 0);
    text = es_key_text(&key);
    assert_string_equal(text.text, "\"\\u001B[2J\\u000A\\u007F\\xFF\\u202E\\u009B\"");
}

static void a_long_key_is_cut_in_a_message(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_key_text text;
    char raw[1000];

    (void)state;
    memset(raw, 'k', sizeof raw);
    assert_int_equal(es_key_push(&key, raw, sizeof raw), 0);
    text = es_key_text(&key);
    assert_int_equal(strlen(text.text), sizeof text.text - 1);
    assert_string_equal(text.text + sizeof text.text - 4, "...");
}

static void a_key_stands_right_before_what_lies_below_it(void **state)
{
    static const char *const sorted[] = {"a",      "a.b", "a.b.c",   "a.z",
                                         "\"a!\"", "a-b", "\"a.b\"", "ab"};

    (void)state;
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++) {
            ES_CLEANUP(es_buf_done) struct es_buf a = {0}, b = {0};
            int c;

            parse(sorted[i], &a);
            parse(sorted[j], &b);
            c = es_key_compare(&a, &b);
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
}

static void below_means_by_segments_and_not_by_letters(void **state)
{
    static const struct {
        const char *key, *above;
        bool below;
    } cases[] = {
        {"a.b", "a", true},  {"a", "a", true},        {"ab", "a", false},
        {"a", "a.b", false}, {"\"a.b\"", "a", false}, {"a.bc", "a.b", false},
    };
    const struct es_buf root = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf key = {0}, above = {0};

        parse(cases[i].key, &key);
        parse(cases[i].above, &above);
        assert_int_equal(es_key_below(&key, &above), cases[i].below);
        assert_true(es_key_below(&key, &root));
    }
}

static bool matches(const char *pattern, const char *text)
{
    ES_CLEANUP(es_glob_freep) struct es_glob *glob = NULL;
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    struct es_err err = {.msg = "nothing"};

    if (es_glob_parse(pattern, &glob, &err) < 0)
        fail_msg("%s: %s", pattern, err.msg);
    parse(text, &key);
    return es_glob_match(glob, &key);
}

static void a_star_stays_in_a_segment_and_two_cross(void **state)
{
    static const struct {
        const char *glob, *key;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"a", "a.b", false},
        {"*", "abc", true},
        {"*", "a.b", false},
        {"*", "\"\"", true},
        {"a*c", "abbc", true},
        {"a*c", "ac", true},
        {"a*c", "abcd", false},
        {"*a*b*", "xaybz", true},
        {"*a*b*", "xbya", false},
        {"*.*", "a.b", true},
        {"*.*", "a", false},
        {"**", "a", true},
        {"**", "a.b.c", true},
        {"a.**", "a.b.c", true},
        {"a.**", "a", true},
        {"a.**", "ab", false},
        {"**.z", "z", true},
        {"**.z", "a.b.z", true},
        {"**.z", "a.b.z.c", false},
        {"a.**.z", "a.z", true},
        {"a.**.z", "a.b.c.z", true},
        {"a.**.z", "b.z", false},
        {"**.b.**", "a.b.c", true},
        {"**.b.**", "a.c", false},
        {"**.a.*.c", "a.a.b.c", true},
        {"**.**", "a", true},
        {"*", "\"a.b\"", true},
        {"Foo.*", "\"Foo.Repo\"", false},
        {"\"Foo.Repo\".*", "\"Foo.Repo\".url", true},
        {"\"*\"", "\"*\"", true},
        {"\"*\"", "a", false},
        {"'**'.b", "a.b", false},
        {"'**'.b", "'**'.b", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (matches(cases[i].glob, cases[i].key) != cases[i].matches)
            fail_msg("%s on %s", cases[i].glob, cases[i].key);
}

/* Exponential matching would not end within anybody's patience. */
static void a_hostile_key_does_not_make_a_glob_slow(void **state)
{
    char key[ES_MAX_KEY / 2], pattern[64];

    (void)state;
    memset(key, 'a', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    memset(pattern, 0, sizeof pattern);
    for (size_t i = 0; i < 30; i++)
        memcpy(pattern + 2 * i, "*a", 2);
    strcat(pattern, "b");
    assert_false(matches(pattern, key));
}

static void a_glob_that_cannot_be_meant_is_refused(void **state)
{
    static const char *const bad[] = {"", "a.**b", "***", "a**", "a..b", "\"a"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct es_glob *glob = NULL;
        struct es_err err;

        assert_true(es_glob_parse(bad[i], &glob, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
        assert_null(glob);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_its_segments_each_with_a_nul),
        cmocka_unit_test(a_text_that_is_no_key_is_refused_and_the_whole_of_it_named),
        cmocka_unit_test(a_key_may_have_as_many_segments_as_documents_may_nest),
        cmocka_unit_test(a_segment_with_a_nul_is_refused_and_the_key_stays),
        cmocka_unit_test(what_would_move_a_terminal_is_escaped_in_a_text),
        cmocka_unit_test(a_long_key_is_cut_in_a_message),
        cmocka_unit_test(a_key_stands_right_before_what_lies_below_it),
        cmocka_unit_test(below_means_by_segments_and_not_by_letters),
        cmocka_unit_test(a_star_stays_in_a_segment_and_two_cross),
        cmocka_unit_test(a_hostile_key_does_not_make_a_glob_slow),
        cmocka_unit_test(a_glob_that_cannot_be_meant_is_refused),
    };

    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
