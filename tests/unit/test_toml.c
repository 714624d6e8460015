/* The rules of the toml format that are ours: positions, messages, bounds, the shape of what is
 * written. What TOML itself says is judged by tests/e2e/test_toml_suite.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "envsync/format.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int read_text(const char *text, struct es_value *ret, struct es_err *err)
{
    return es_format_toml.read(text, strlen(text), ret, err);
}

static void must_read(const char *text, size_t len, struct es_value *ret)
{
    struct es_err err = {0};

    if (es_format_toml.read(text, len, ret, &err) < 0)
        fail_msg("refused: %s", err.msg);
}

static void must_refuse(const char *text, const char *message)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    struct es_err err = {0};

    if (read_text(text, &value, &err) != -EINVAL)
        fail_msg("not refused: %s", text);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, message);
}

/* The document that write() makes of what read() makes of the text. */
static void check_written(const char *text, const char *want)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err = {0};

    must_read(text, strlen(text), &value);
    es_table_sort(&value);
    if (es_format_render(&es_format_toml, &value, &out, &err) < 0)
        fail_msg("not rendered: %s", err.msg);
    assert_string_equal(es_buf_str(&out), want);
}

/* What accepts() says of x. */
static const char *reason(const char *text)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};

    must_read(text, strlen(text), &value);
    return es_format_toml.accepts(NULL, es_table_get(&value, "x"));
}

static void check_pos(const struct es_pos *pos, unsigned line, unsigned column)
{
    assert_int_equal(pos->line, line);
    assert_int_equal(pos->column, column);
}

static void keys_and_values_know_line_and_column_in_bytes(void **state)
{
    static const char text[] = "\xef\xbb\xbf"
                               "# first\n"
                               "a = 1\r\n"
                               "  \"\xc3\xa9\" = [ 2,\n"
                               "   'x' ]\n"
                               "[t.u]\n"
                               "s = \"\"\"\n\n\"\"\"\n"
                               "i = { k.l = 5 }\n";
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    const struct es_entry *entry;
    const struct es_value *t;

    (void)state;
    must_read(text, sizeof text - 1, &root);
    entry = es_table_find(&root, "a", 1);
    check_pos(&entry->pos, 2, 1);
    check_pos(&entry->value.pos, 2, 5);
    entry = es_table_find(&root, "\xc3\xa9", 2);
    check_pos(&entry->pos, 3, 3);
    check_pos(&entry->value.pos, 3, 10);
    check_pos(&entry->value.list.items[0].pos, 3, 12);
    check_pos(&entry->value.list.items[1].pos, 4, 4);
    entry = es_table_find(&root, "t", 1);
    check_pos(&entry->pos, 5, 2);
    entry = es_table_find(&entry->value, "u", 1);
    check_pos(&entry->pos, 5, 4);
    t = &entry->value;
    check_pos(&es_table_get(t, "s")->pos, 6, 5);
    entry = es_table_find(t, "i", 1);
    check_pos(&entry->pos, 9, 1);
    entry = es_table_find(es_table_get(&entry->value, "k"), "l", 1);
    check_pos(&entry->pos, 9, 9);
    check_pos(&entry->value.pos, 9, 13);
}

static void a_byte_order_mark_moves_no_column(void **state)
{
    (void)state;
    must_refuse("\xef\xbb\xbf"
                "a 1",
                "1:3: no = behind the key; a key of other characters than A-Z a-z 0-9 _ - must "
                "stand in quotes");
}

static void common_mistakes_are_told_with_what_to_type(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a = hello", "1:5: text needs quotes around it (and true and false are written in small "
                      "letters)"},
        {"a = 10.0.0.1", "1:5: neither a number nor a date-time; put quotes around text"},
        {"a = 0123", "1:5: a number has no leading zero; put quotes around it to have it as text"},
        {"a = 9223372036854775808", "1:5: the integer does not fit into 64 bits; put quotes around "
                                    "it to have it as text"},
        {"a = 0x8000000000000000", "1:5: the integer does not fit into 64 bits; put quotes around "
                                   "it to have it as text"},
        {"a = 1e999", "1:5: the number is too large for a float of 64 bits"},
        {"a = 2024-02-30",
         "1:5: no such date or time; it is written YYYY-MM-DDTHH:MM:SSZ, or a part of that, and "
         "text needs quotes around it"},
        {"\n a = \"x\nb = 1",
         "2:6: the string is not closed: \" is missing at its end (a string of several lines "
         "stands in three quotes)"},
        {"a = '''x\n", "1:5: the string is not closed: ''' is missing at its end"},
        {"a = \"C:\\dir\"", "1:8: no such escape; write \\\\ for a backslash, or put the string in "
                            "single quotes"},
        {"a = \"x\" y\"",
         "1:9: only a comment may follow a value in its line; text needs quotes around all of it, "
         "a quote within is written \\\""},
        {"a == 1", "1:4: write a single = between key and value"},
        {"a: 1", "1:2: write = between key and value, not a colon"},
        {"a", "1:2: no = behind the key; a line is KEY = VALUE"},
        {"a =\n1",
         "1:4: no value behind the =; it must begin in the same line, and an empty string is \"\""},
        {"\xc3\xa9 = 1", "1:1: no key can start here; a key of other characters than A-Z a-z 0-9 _ "
                         "- must stand in quotes"},
        {"= 1", "1:1: a key is missing here (an empty one is written \"\")"},
        {"[a\nb = 1",
         "1:3: the header is not closed here: ] is missing, or quotes around the name"},
        {"[[a]\n", "1:4: the header is not closed here: ]] is missing, or quotes around the name"},
        {"a = [1\nb = 2", "2:1: no comma between two values of the list that begins in line 1, or "
                          "no ] at its end"},
        {"a = [1,\n2", "1:5: the list is not closed: ] is missing at its end"},
        {"a = { b = 1,\n}", "1:13: a table in braces must end in its line; put it into one line, "
                            "or write it below a [header]"},
        {"a = { b = 1, }", "1:14: no comma may stand before the }"},
        {"a = 1\rb = 2", "1:6: a carriage return without a line feed; end lines with a line feed, "
                         "and write \\r in a string"},
        {"a = 1\n#\x01", "2:2: a control character; remove it, or write \\u and four hex digits in "
                         "a string in double quotes"},
        {"a = 1\nb = '\xff'", "2:6: not valid UTF-8; save the file as UTF-8"},
        {"\xff\xfe"
         "a",
         "1:1: this is UTF-16; save the file as UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_refuse(cases[i].text, cases[i].message);
}

static void a_key_or_table_twice_names_the_line_of_the_first(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[t]\na = 1\n\na = 2", "4:1: t.a is set twice, first in line 2; remove one of the two"},
        {"x = { \"a b\".c = 1, \"a b\".c = 2 }",
         "1:26: x.\"a b\".c is set twice, first in line 1; remove one of the two"},
        {"a.b = 1\na = 2",
         "2:1: a is already a table made by dotted keys (line 1); remove or rename one of the two"},
        {"[a.b]\n[a]\n[a]", "3:2: [a] stands here twice, first in line 2; put its keys together"},
        {"[[a]]\n[a]", "2:2: a is a list of tables (line 1): write [[a]]"},
        {"[a]\n[[a]]", "2:3: a is already a table with a header (line 1) and cannot get a header; "
                       "rename one of the two"},
        {"a = {}\na.b = 1", "2:1: a is already a table in braces (line 1): put the key between its "
                            "braces"},
        {"[a.b]\n[a]\nb.c = 1", "3:1: a.b is already a table with a header (line 1): put the key "
                                "below that header"},
        {"a = 1\n[a.b]", "2:2: a is already an integer (line 1): nothing can be put below it; "
                         "rename one of the two"},
        {"a = [{}]\n[a.b]", "2:2: a is already a list (line 1): nothing can be put below it; "
                            "rename one of the two"},
        {"[[a.b]]\n[a]\nb.c = 1", "3:1: a.b is already a list of tables (line 1): put the key "
                                  "below its [[header]]"},
        {"\"a\\u0000\\u001b\" = 1\n\"a\\u0000\\u001b\" = 1",
         "2:1: \"a\xe2\x90\x80\\u001B\" is set twice, first in line 1; remove one of the two"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_refuse(cases[i].text, cases[i].message);
}

static void no_message_holds_a_value(void **state)
{
    static const char *const texts[] = {
        "a = s3cret",          "a = \"s3cret",       "a = \"s3cret\" s3cret",
        "a = '''s3cret",       "a = [s3cret",        "a = [\"s3cret\" s3cret]",
        "a = {b = s3cret",     "a = \"s3cret\\q\"",  "a = \"s3cret\\ud800\"",
        "a = 1\na = s3cret",   "a = 1s3cret",        "a = 2024-01-01s3cret",
        "a = \"x\"\ns3cret",   "a = \"x\"\ns3cret:", "a = \"x\"\n[s3cret",
        "a = \"x\"\ns3cret x", "a = 0xs3cret",       "a = {b = \"s3cret\" s3cret}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        struct es_err err = {0};

        assert_int_equal(read_text(texts[i], &value, &err), -EINVAL);
        if (strstr(err.msg, "s3cret"))
            fail_msg("told: %s", err.msg);
    }
}

static void a_failed_read_leaves_the_result_untouched(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {.type = ES_INTEGER, .integer = 7};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(read_text("a = 1\nb = [1", &value, &err), -EINVAL);
    assert_int_equal(value.type, ES_INTEGER);
    assert_int_equal(value.integer, 7);
}

static void repeat(struct es_buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(es_buf_puts(out, text), 0);
}

/* head + n times unit + tail: the depth at which it is still read. */
static void check_depth(const char *head, const char *unit, const char *tail, size_t most)
{
    for (size_t n = most; n <= most + 1; n++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        struct es_err err = {0};
        int r;

        repeat(&text, head, 1);
        repeat(&text, unit, n);
        repeat(&text, tail, 1);
        if (*unit == '[')
            repeat(&text, "]", n);
        if (*unit == '{')
            repeat(&text, "}", n);
        r = read_text(es_buf_str(&text), &value, &err);
        if (r != (n == most ? 0 : -EINVAL))
            fail_msg("%s at %zu: %s", es_buf_str(&text), n, err.msg);
        if (n > most) {
            assert_int_equal(err.class, ES_INVALID);
            assert_non_null(strstr(err.msg, ": nested deeper than 32"));
        }
    }
}

static void thirty_two_levels_are_read_and_one_more_is_refused(void **state)
{
    (void)state;
    assert_int_equal(ES_MAX_DEPTH, 32);
    check_depth("", "a.", "a = 1", 31);
    check_depth("[", "a.", "a]", 31);
    check_depth("[[", "a.", "a]]", 30); /* its tables are one level below the list */
    check_depth("[a.a]\n", "a.", "a = 1", 29);
    check_depth("[[a]]\n", "a.", "a = 1", 29);
    check_depth("[[a]]\n[a.", "b.", "c]", 29);
    check_depth("a = ", "[", "", 32);
    check_depth("a = ", "[", "1", 31);
    check_depth("a = ", "{a = ", "1", 31);
    check_depth("a.a = ", "{a = ", "{}", 30);
}

static void endless_nesting_ends_in_an_error(void **state)
{
    static const char *const units[] = {"[", "{a = ", "a.", "[a."};

    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        struct es_err err = {0};

        repeat(&text, i < 2 ? "a = " : "", 1);
        repeat(&text, units[i], 200000);
        assert_int_equal(read_text(es_buf_str(&text), &value, &err), -EINVAL);
        assert_int_equal(err.class, ES_INVALID);
    }
}

/* Documents at the cap that make slow readers slow. The bound is far above what it takes, also
 * under a sanitizer, and far below what quadratic time would take. */
static void a_document_at_the_cap_is_read_in_linear_time(void **state)
{
    /* Each line is the number of the line between these two. */
    static const char *const lines[][2] = {
        {"k", " = 1\n"},
        {"[[x]] #", "\n"},
        {"[[x]]\n[x.", "]\n"},
        {"a.b.c.d.e.f.g.h.i.j.k", " = 1\n"},
        {"[a.b.c.d.e.f.t", "]\n"},
        {"", " = [[[[[[[[[[[[[]]]]]]]]]]]]]\n"},
        {"", " = {a={a={a={}}}}\n"},
        {"#", "\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        char line[80];
        clock_t start;

        for (size_t n = 0; text.len < ES_MAX_DOCUMENT - sizeof line; n++) {
            snprintf(line, sizeof line, "%s%zu%s", lines[i][0], n, lines[i][1]);
            repeat(&text, line, 1);
        }
        repeat(&text, "\n", ES_MAX_DOCUMENT - text.len);
        start = clock();
        must_read(text.data, text.len, &value);
        assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    }
}

static void long_single_tokens_are_read_in_linear_time(void **state)
{
    static const char *const parts[][3] = {
        {"a = \"", "\\n", "\""},
        {"a = '", "x", "'"},
        {"a = \"\"\"", "\"\"\n", "x\"\"\""},
        {"a = \"\"\"\\\n", " \\\n", "\"\"\""},
        {"a = [", "1,", "]"},
        {"a = 0.", "1", ""},
        {"a = 1.0e0", "0", ""},
        {"a = 0b", "0", ""},
        {"", "a", " = 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        clock_t start;

        repeat(&text, parts[i][0], 1);
        while (text.len < ES_MAX_DOCUMENT - 16)
            repeat(&text, parts[i][1], 1);
        repeat(&text, parts[i][2], 1);
        start = clock();
        must_read(text.data, text.len, &value);
        assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    }
}

static void integers_reach_both_ends_of_64_bits(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    static const char text[] = "a = -9223372036854775808\nb = 9_223_372_036_854_775_807\n"
                               "c = 0x7fff_ffff_ffff_ffff\nd = 0o777777777777777777777\n"
                               "e = -0\n";

    (void)state;
    must_read(text, sizeof text - 1, &value);
    assert_true(es_table_get(&value, "a")->integer == INT64_MIN);
    assert_true(es_table_get(&value, "b")->integer == INT64_MAX);
    assert_true(es_table_get(&value, "c")->integer == INT64_MAX);
    assert_true(es_table_get(&value, "d")->integer == INT64_MAX);
    assert_true(es_table_get(&value, "e")->integer == 0);
}

static void date_times_keep_the_text_of_the_document(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    static const char text[] = "a = 1979-05-27 07:32:00.500z # c\nb = 2016-12-31T23:59:60Z\n";

    (void)state;
    must_read(text, sizeof text - 1, &value);
    assert_int_equal(es_table_get(&value, "a")->type, ES_DATETIME);
    assert_true(es_buf_is(&es_table_get(&value, "a")->text, "1979-05-27 07:32:00.500z"));
    assert_true(es_buf_is(&es_table_get(&value, "b")->text, "2016-12-31T23:59:60Z"));
}

static void tables_are_written_sorted_with_their_scalars_first(void **state)
{
    (void)state;
    check_written("", "");
    check_written("b = 1\nB = 2\na.z = 3\na.y = 4\nc = 5\n",
                  "B = 2\nb = 1\nc = 5\n\n[a]\ny = 4\nz = 3\n");
    check_written("[z.y.x]\nk = 1\n[a]\n", "[a]\n\n[z.y.x]\nk = 1\n");
    check_written("[a.b]\nc = 1\n[a]\nz = 2\n", "[a]\nz = 2\n\n[a.b]\nc = 1\n");
    check_written("[foo.\"Foo.Repo\"]\npool_size = 10\n[foo.\"\"]\n\"a b\" = 1\n",
                  "[foo.\"\"]\n\"a b\" = 1\n\n[foo.\"Foo.Repo\"]\npool_size = 10\n");
    check_written("[a.\"x\\\"\\n\"]\n", "[a.\"x\\\"\\n\"]\n");
}

static void empty_tables_and_lists_survive(void **state)
{
    (void)state;
    check_written("a = {}\nb = []\nc.d = {}\ne = [[], [1]]\nf = [{}]\n",
                  "b = []\ne = [[], [1]]\nf = [{}]\n\n[a]\n\n[c.d]\n");
}

static void tables_in_lists_are_written_in_braces(void **state)
{
    (void)state;
    check_written("[[a.b]]\nz = 1\ny.x = 2\n[[a.b]]\n",
                  "[a]\nb = [{ y = { x = 2 }, z = 1 }, {}]\n");
}

static void scalars_are_written_so_that_every_reader_agrees(void **state)
{
    (void)state;
    check_written("a = 'x\"\\'\n", "a = \"x\\\"\\\\\"\n");
    check_written("a = \"\\b\\t\\n\\f\\r\\u0000\\u001f\\u007f\\u0085\\u00a0\"\n",
                  "a = \"\\b\\t\\n\\f\\r\\u0000\\u001F\\u007F\\u0085\xc2\xa0\"\n");
    check_written("a = \"\"\"\nx\r\ny\"\"\"\n", "a = \"x\\r\\ny\"\n");
    check_written("a = 0x1F\nb = 1e3\nc = -0.0\nd = 1e22\ne = -inf\nf = +nan\ng = true\n",
                  "a = 31\nb = 1000.0\nc = -0.0\nd = 1e+22\ne = -inf\nf = nan\ng = true\n");
    check_written("a = 1979-05-27 07:32:00Z\nb = 07:32:00\n",
                  "a = \"1979-05-27 07:32:00Z\"\nb = \"07:32:00\"\n");
}

static void writing_appends_to_what_is_there(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    static const char text[] = "[a]\nb = 1\n";

    (void)state;
    must_read(text, sizeof text - 1, &value);
    assert_int_equal(es_buf_puts(&out, "# before\n"), 0);
    assert_int_equal(es_format_toml.write(&value, &out), 0);
    assert_string_equal(es_buf_str(&out), "# before\n[a]\nb = 1\n");
}

static void a_list_of_mixed_types_is_refused_with_the_reason(void **state)
{
    static const char mixed[] =
        "has values of different types in one list, which readers of TOML 0.5 refuse";
    static const char numbers[] = "has integers and floats in one list, which readers of TOML 0.5 "
                                  "refuse; write them all as floats (1.0)";

    (void)state;
    assert_string_equal(reason("x = [1, 'a']"), mixed);
    assert_string_equal(reason("x = [1, 2.0]"), numbers);
    assert_string_equal(reason("x = [2.0, 3.0, 1]"), numbers);
    assert_string_equal(reason("x = [[1], [{ a = [true, 1] }]]"), mixed);
    assert_string_equal(reason("x = [[], {}]"), mixed);
    assert_null(reason("x = [[1], ['a'], []]"));
    assert_null(reason("x = [{ a = 1 }, { a = 'b' }]"));
    /* Both are strings once they are written. */
    assert_null(reason("x = ['a', 1979-05-27, 07:32:00]"));
    assert_null(reason("x = [nan, inf, 1.0]"));
}

static void strings_and_keys_that_are_no_utf8_are_refused(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value list = {0};
    ES_CLEANUP(es_value_done) struct es_value text = {0};
    struct es_value *item;
    struct es_entry *entry;

    (void)state;
    assert_int_equal(es_value_set_string(&text, "a\xff", 2), 0);
    assert_string_equal(es_format_toml.accepts(NULL, &text), "is not valid UTF-8");
    assert_int_equal(es_value_set_string(&text, "a\0b", 3), 0);
    assert_null(es_format_toml.accepts(NULL, &text));
    es_value_set_list(&list);
    assert_int_equal(es_list_add(&list, &item), 0);
    es_value_set_table(item);
    assert_null(es_format_toml.accepts(NULL, &list));
    assert_int_equal(es_table_add(item, "\xff", 1, &entry), 0);
    assert_string_equal(es_format_toml.accepts(NULL, &list),
                        "has a key in a list that is not valid UTF-8");
}

static void the_format_is_a_nested_source_found_by_its_extension(void **state)
{
    (void)state;
    assert_ptr_equal(es_format_by_name("toml"), &es_format_toml);
    assert_ptr_equal(es_format_by_path("/etc/foo/config.toml"), &es_format_toml);
    assert_int_equal(es_format_toml.shape, ES_SHAPE_NESTED);
    assert_true(es_format_toml.source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_know_line_and_column_in_bytes),
        cmocka_unit_test(a_byte_order_mark_moves_no_column),
        cmocka_unit_test(common_mistakes_are_told_with_what_to_type),
        cmocka_unit_test(a_key_or_table_twice_names_the_line_of_the_first),
        cmocka_unit_test(no_message_holds_a_value),
        cmocka_unit_test(a_failed_read_leaves_the_result_untouched),
        cmocka_unit_test(thirty_two_levels_are_read_and_one_more_is_refused),
        cmocka_unit_test(endless_nesting_ends_in_an_error),
        cmocka_unit_test(a_document_at_the_cap_is_read_in_linear_time),
        cmocka_unit_test(long_single_tokens_are_read_in_linear_time),
        cmocka_unit_test(integers_reach_both_ends_of_64_bits),
        cmocka_unit_test(date_times_keep_the_text_of_the_document),
        cmocka_unit_test(tables_are_written_sorted_with_their_scalars_first),
        cmocka_unit_test(empty_tables_and_lists_survive),
        cmocka_unit_test(tables_in_lists_are_written_in_braces),
        cmocka_unit_test(scalars_are_written_so_that_every_reader_agrees),
        cmocka_unit_test(writing_appends_to_what_is_there),
        cmocka_unit_test(a_list_of_mixed_types_is_refused_with_the_reason),
        cmocka_unit_test(strings_and_keys_that_are_no_utf8_are_refused),
        cmocka_unit_test(the_format_is_a_nested_source_found_by_its_extension),
    };

    return cmocka_run_group_tests_name("toml", tests, NULL, NULL);
}
