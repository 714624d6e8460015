/* The format env: systemd's grammar, what is refused of it, and the quoting. */
#include "format_case.h"

#include "envsync/limits.h"

#define ENV &es_format_env

static void reads_names_and_values(void **state)
{
    (void)state;
    assert_reads(ENV, "", NULL);
    assert_reads(ENV, " \t\r\n\n", NULL);
    assert_reads(ENV, "A=1", "A", "1", NULL);
    assert_reads(ENV, "A=1\nB=2\n", "A", "1", "B", "2", NULL);
    assert_reads(ENV, "A=1\r\nB=2\rC=3", "A", "1", "B", "2", "C", "3", NULL);
    assert_reads(ENV, "  A \t= \t x y \t\n", "A", "x y", NULL);
    assert_reads(ENV, "A=\nB= \n_c9=x=y\n", "A", "", "B", "", "_c9", "x=y", NULL);
}

static void knows_comments_only_before_a_key(void **state)
{
    (void)state;
    assert_reads(ENV, "# a\n; b = 'c\n \t# d\nA=1 # e\nB=;\nC='x' # y\n", "A", "1 # e", "B", ";",
                 "C", "x# y", NULL);
}

static void a_quote_opens_only_at_the_start_of_a_value(void **state)
{
    (void)state;
    assert_reads(ENV, "A=a\"b\"\nB=a'b\n", "A", "a\"b\"", "B", "a'b", NULL);
    assert_reads(ENV, "A=\"a\" \t'b'c 'd' \n", "A", "abc 'd'", NULL);
    assert_reads(ENV, "A='a'\\''b'\n", "A", "a''b'", NULL);
    assert_reads(ENV, "A='a'\"'\"'b'\n", "A", "a'b", NULL);
}

static void single_quotes_keep_everything(void **state)
{
    (void)state;
    assert_reads(ENV, "A=' \\n$x\"\\\n\r\n#'\n", "A", " \\n$x\"\\\n\r\n#", NULL);
}

static void double_quotes_unescape_four_characters_and_join_lines(void **state)
{
    (void)state;
    assert_reads(ENV, "A=\"\\\"\\\\\\$\\`\\n\\'a\\\nb\nc \"\n", "A", "\"\\$`\\n\\'ab\nc ", NULL);
    assert_reads(ENV, "A=\"a\\\r\nb\"\n", "A", "a\\\r\nb", NULL);
}

static void unquoted_backslashes_keep_the_next_character(void **state)
{
    (void)state;
    assert_reads(ENV, "A=\\n\\\\\\'x\\ \\\t \nB=2", "A", "n\\'x \t", "B", "2", NULL);
    assert_reads(ENV, "A=a\\\nb\nB=\\\n x\n", "A", "ab", "B", " x", NULL);
    assert_reads(ENV, "A=a \\\n\nB=b\\", "A", "a ", "B", "b", NULL);
}

static void the_last_of_a_name_wins_with_its_position(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};

    (void)state;
    read_ok(ENV, TEXT("A=1\nB=2\n\n  A='x\ny'\n"), &table);
    assert_int_equal(table.table.n, 2);
    assert_true(es_buf_is(&es_table_get(&table, "A")->text, "x\ny"));
    assert_int_equal(es_table_find(&table, "A", 1)->pos.line, 4);
    assert_int_equal(es_table_find(&table, "A", 1)->pos.column, 3);
    assert_int_equal(es_table_get(&table, "A")->pos.line, 4);
    assert_int_equal(es_table_find(&table, "B", 1)->pos.line, 2);
}

static void refuses_what_systemd_drops(void **state)
{
    static const char no_name[] = "the name before '=' is no variable name: letters, digits and "
                                  "'_' only, and no digit first";
    char message[200];

    (void)state;
    assert_refused(ENV, TEXT("A=1\nhunter2\nB=2"),
                   "2:1: a line without '=', which systemd would drop");
    assert_refused(ENV, TEXT("A=1\n hunter2"), "2:2: a line without '=', which systemd would drop");
    assert_refused(ENV, TEXT("export A=1"), "1:1: systemd does not know 'export': remove it");
    assert_refused(ENV, TEXT("export \tA"), "1:1: systemd does not know 'export': remove it");
    for (const char *const *p = (const char *const[]){"=x", "1A=x", "A-B=x", "A B=x", "\xc3\xa9=x",
                                                      "A.b=x", "exports A=x", NULL};
         *p; p++) {
        snprintf(message, sizeof message, "2:3: %s", no_name);
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        assert_int_equal(es_buf_printf(&text, "\n  %s\nB=1\n", *p), 0);
        assert_refused(ENV, text.data, text.len, message);
    }
}

static void export_is_a_name_too(void **state)
{
    (void)state;
    assert_reads(ENV, "export=1\n", "export", "1", NULL);
    assert_reads(ENV, "export \t=2\n", "export", "2", NULL);
}

static void refuses_a_quote_that_is_not_closed(void **state)
{
    (void)state;
    assert_refused(ENV, TEXT("A=1\nB= 'x\nC=2\n"), "2:4: a quote that is not closed");
    assert_refused(ENV, TEXT("A=\"x"), "1:3: a quote that is not closed");
    assert_refused(ENV, TEXT("A=\"x\\"), "1:3: a quote that is not closed");
    assert_refused(ENV, TEXT("A=\"x\\\""), "1:3: a quote that is not closed");
    assert_refused(ENV, TEXT("A='x''"), "1:6: a quote that is not closed");
}

static void refuses_bytes_for_which_systemd_rejects_the_file(void **state)
{
    (void)state;
    assert_refused(ENV, TEXT("A=1\nB=x\0y\n"), "2:4: a NUL byte");
    assert_refused(ENV, TEXT("# \xff\nA=1\n"), "1:3: not valid UTF-8");
    assert_refused(ENV, TEXT("A=\xed\xa0\x80\n"), "1:3: not valid UTF-8");
    assert_refused(ENV, TEXT("A=\xc0\x80\n"), "1:3: not valid UTF-8");
    assert_refused(ENV, TEXT("A=\xc3"), "1:3: not valid UTF-8");
    assert_refused(ENV, TEXT("A='\xef\xb7\x90'\n"), "1:4: a Unicode noncharacter");
    assert_refused(ENV, TEXT("A=\xf4\x8f\xbf\xbf\n"), "1:3: a Unicode noncharacter");
    assert_refused(ENV,
                   TEXT("\xef\xbb\xbf"
                        "A=1\n"),
                   "1:1: the file begins with a byte order mark: save it without one");
}

static void a_comment_that_ends_in_a_backslash_must_not_swallow_a_variable(void **state)
{
    static const char why[] = "2:1: the comment before this line ends with a backslash, so some "
                              "versions of systemd drop this line: remove the backslash";

    (void)state;
    assert_refused(ENV, TEXT("# C:\\\nA=1\n"), why);
    assert_refused(ENV, TEXT("; \\\\\\\rA=1\n"), why);
    assert_refused(ENV, TEXT("# \\\n\\\n"), why);
    assert_reads(ENV, "# C:\\", NULL);
    assert_reads(ENV, "# C:\\\n \t\nA=1\n", "A", "1", NULL);
    assert_reads(ENV, "# C:\\\n# x\nA=1\n", "A", "1", NULL);
    assert_reads(ENV, "# C:\\\\\nA=1\n", "A", "1", NULL);
    assert_reads(ENV, "# C:\\\r\nA=1\n", "A", "1", NULL);
    assert_reads(ENV, "# C:\\x\nA=1\n", "A", "1", NULL);
}

static void no_message_quotes_the_document(void **state)
{
    static const char *const documents[] = {
        "hunter2\n",
        "hun-ter2=hunter2\n",
        "A='hunter2",
        "export hunter2=hunter2",
        "A=hunter2\xff",
        "#\\\nhunter2=1",
        "A=1\nhunter2 hunter2=\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct es_value ret = {0};
        struct es_err err;

        assert_int_equal(es_format_env.read(documents[i], strlen(documents[i]), &ret, &err),
                         -EINVAL);
        assert_null(strstr(err.msg, "hun"));
    }
}

static void writes_the_least_quoting_that_every_reader_agrees_on(void **state)
{
    (void)state;
    assert_writes(ENV, TEXT(""), "NAME=\n");
    assert_writes(ENV, TEXT("aZ09_@%+:,./-="), "NAME=aZ09_@%+:,./-=\n");
    assert_writes(ENV, TEXT("=x"), "NAME='=x'\n");
    assert_writes(ENV, TEXT("~"), "NAME='~'\n");
    assert_writes(ENV, TEXT("a b"), "NAME='a b'\n");
    assert_writes(ENV, TEXT("#\"$`!*\n\t "), "NAME='#\"$`!*\n\t '\n");
    assert_writes(ENV, TEXT("\xc3\xa9"), "NAME='\xc3\xa9'\n");
    assert_writes(ENV, TEXT("it's"), "NAME=\"it's\"\n");
    assert_writes(ENV, TEXT("\\"), "NAME=\"\\\\\"\n");
    assert_writes(ENV, TEXT("'\"\\$`\\n\n"), "NAME=\"'\\\"\\\\\\$\\`\\\\n\n\"\n");
}

static void an_empty_table_is_an_empty_document(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_format_render(ENV, &table, &out, &err), 0);
    assert_int_equal(out.len, 0);
}

static void writes_entries_in_the_given_order(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    put_text(&table, "B", TEXT("1"));
    put_text(&table, "A", TEXT("2 3"));
    assert_int_equal(es_format_render(ENV, &table, &out, &err), 0);
    assert_string_equal(out.data, "B=1\nA='2 3'\n");
}

static void refuses_values_that_a_reader_would_lose(void **state)
{
    static const char noncharacter[] =
        "has a Unicode noncharacter, for which systemd rejects the whole file";

    (void)state;
    assert_not_carried(ENV, TEXT("a\0b"), "has a NUL byte");
    assert_not_carried(ENV, TEXT("a\r\n"),
                       "has a carriage return, which not every reader of env files keeps");
    for (char c = 1; c < 0x20; c++)
        if (c != '\t' && c != '\n' && c != '\r')
            assert_not_carried(ENV, &c, 1, "has a control character");
    assert_not_carried(ENV, TEXT("\x7f"), "has a control character");
    assert_not_carried(ENV, TEXT("a\xff"), "is not valid UTF-8");
    assert_not_carried(ENV, TEXT("\xed\xa0\x80"), "is not valid UTF-8");
    assert_not_carried(ENV, TEXT("\xef\xb7\x90"), noncharacter);
    assert_not_carried(ENV, TEXT("\xef\xb7\xaf"), noncharacter);
    assert_not_carried(ENV, TEXT("\xef\xbf\xbe"), noncharacter);
    assert_not_carried(ENV, TEXT("\xf0\x9f\xbf\xbf"), noncharacter);
    assert_writes(ENV, TEXT("\xef\xb7\x8f\xef\xb7\xb0\xef\xbf\xbd"),
                  "NAME='\xef\xb7\x8f\xef\xb7\xb0\xef\xbf\xbd'\n");
}

static void a_variable_may_be_as_long_as_the_kernel_allows(void **state)
{
    static char value[ES_MAX_ENV_VARIABLE];
    size_t most = ES_MAX_ENV_VARIABLE - strlen("NAME=") - 1;

    (void)state;
    memset(value, 'x', sizeof value);
    assert_null(accepts_text(ENV, "NAME", value, most));
    assert_not_carried(ENV, value, most + 1,
                       "is longer than one environment variable may be (128 KiB with its name)");
    assert_non_null(accepts_text(ENV, "NAMES", value, most));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names_and_values),
        cmocka_unit_test(knows_comments_only_before_a_key),
        cmocka_unit_test(a_quote_opens_only_at_the_start_of_a_value),
        cmocka_unit_test(single_quotes_keep_everything),
        cmocka_unit_test(double_quotes_unescape_four_characters_and_join_lines),
        cmocka_unit_test(unquoted_backslashes_keep_the_next_character),
        cmocka_unit_test(the_last_of_a_name_wins_with_its_position),
        cmocka_unit_test(refuses_what_systemd_drops),
        cmocka_unit_test(export_is_a_name_too),
        cmocka_unit_test(refuses_a_quote_that_is_not_closed),
        cmocka_unit_test(refuses_bytes_for_which_systemd_rejects_the_file),
        cmocka_unit_test(a_comment_that_ends_in_a_backslash_must_not_swallow_a_variable),
        cmocka_unit_test(no_message_quotes_the_document),
        cmocka_unit_test(writes_the_least_quoting_that_every_reader_agrees_on),
        cmocka_unit_test(an_empty_table_is_an_empty_document),
        cmocka_unit_test(writes_entries_in_the_given_order),
        cmocka_unit_test(refuses_values_that_a_reader_would_lose),
        cmocka_unit_test(a_variable_may_be_as_long_as_the_kernel_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
