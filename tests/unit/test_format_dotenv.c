/* The format dotenv: three ways to write a value, and what Ruby's dotenv 3 cannot carry. */
#include "format_case.h"

#define DOTENV &es_format_dotenv

static void single_quotes_wherever_they_can_be(void **state)
{
    (void)state;
    assert_writes(DOTENV, TEXT(""), "NAME=''\n");
    assert_writes(DOTENV, TEXT("plain"), "NAME='plain'\n");
    assert_writes(DOTENV, TEXT("$(rm -rf x) ${A} `y` # \"z\"\n\\n"),
                  "NAME='$(rm -rf x) ${A} `y` # \"z\"\n\\n'\n");
    assert_writes(DOTENV, TEXT("\x01\x7f\xef\xbf\xbf"), "NAME='\x01\x7f\xef\xbf\xbf'\n");
}

static void double_quotes_around_a_single_quote(void **state)
{
    (void)state;
    assert_writes(DOTENV, TEXT("it's"), "NAME=\"it's\"\n");
    assert_writes(DOTENV, TEXT("'\"$A${B}$"), "NAME=\"'\\\"\\$A\\${B}\\$\"\n");
    assert_writes(DOTENV, TEXT("'\\n\\$\n#`"), "NAME=\"'\\\\n\\\\\\$\n#`\"\n");
}

static void no_quotes_before_a_closing_backslash(void **state)
{
    (void)state;
    assert_writes(DOTENV, TEXT("C:\\dir\\"), "NAME=C:\\\\dir\\\\\n");
    assert_writes(DOTENV, TEXT(" '\"$A\xc3\xa9\\"), "NAME=\\ \\'\\\"\\$A\xc3\xa9\\\\\n");
}

static void refuses_what_might_run_outside_single_quotes(void **state)
{
    static const char why[] =
        "has '$(' and a single quote or a backslash at its end, so dotenv might run it";

    (void)state;
    assert_not_carried(DOTENV, TEXT("it's $(date)"), why);
    assert_not_carried(DOTENV, TEXT("$(\\"), why);
    assert_null(accepts_text(DOTENV, "NAME", TEXT("$(date)\"\\x")));
    assert_null(accepts_text(DOTENV, "NAME", TEXT("it's $ (date)")));
}

static void refuses_what_no_quoting_holds(void **state)
{
    static const char backslash[] =
        "ends in a backslash and has a '#' or a line break, which dotenv has no quoting for";

    (void)state;
    assert_not_carried(DOTENV, TEXT("#\\"), backslash);
    assert_not_carried(DOTENV, TEXT("a\nb\\"), backslash);
    assert_not_carried(DOTENV, TEXT("\r\n"),
                       "has a carriage return, which dotenv turns into a line feed");
    assert_not_carried(DOTENV, TEXT("a\0b"), "has a NUL byte");
    assert_not_carried(DOTENV, TEXT("\xff"), "is not valid UTF-8");
}

static void refuses_the_switch_that_changes_how_the_rest_is_read(void **state)
{
    const char *why = accepts_text(DOTENV, "DOTENV_LINEBREAK_MODE", TEXT("legacy"));

    (void)state;
    assert_non_null(why);
    assert_string_equal(why, "would make dotenv read other values differently");
    assert_null(accepts_text(DOTENV, "DOTENV_LINEBREAK_MODE", TEXT("strict")));
    assert_null(accepts_text(DOTENV, "MODE", TEXT("legacy")));
}

static void reads_the_three_ways(void **state)
{
    (void)state;
    assert_reads(DOTENV, "", NULL);
    assert_reads(DOTENV, "A='x\ny'\nB=\"\\\"\\\\\\$\"\nC=a\\ b\nD=\n", "A", "x\ny", "B", "\"\\$",
                 "C", "a b", "D", "", NULL);
}

static void does_not_believe_in_what_depends_on_the_rest(void **state)
{
    (void)state;
    assert_refused(DOTENV, TEXT("A='x\\'\n"), "1:3: a backslash before a quote");
    assert_refused(DOTENV, TEXT("A=\"x\\\\\"\n"), "1:3: a backslash before a quote");
    assert_refused(DOTENV, TEXT("A='x'y\n"), "1:6: more after the value");
    assert_refused(DOTENV, TEXT("A='x' # y\n"), "1:6: more after the value");
    assert_refused(DOTENV, TEXT("A='x'"), "1:6: more after the value");
    assert_refused(DOTENV, TEXT("A='x\n"), "1:3: a quote that is not closed");
    assert_refused(DOTENV, TEXT("A=\"x\n"), "1:3: a quote that is not closed");
}

static void does_not_believe_in_substitutions(void **state)
{
    (void)state;
    assert_refused(DOTENV, TEXT("A=\"$B\"\n"), "1:4: a substitution");
    assert_refused(DOTENV, TEXT("A=\"\\$(B)\"\n"), "1:4: what dotenv may run as a command");
    assert_refused(DOTENV, TEXT("A=\"\\n\"\n"), "1:3: a backslash that escapes nothing");
    assert_refused(DOTENV, TEXT("A=\"x\\"), "1:3: a backslash that escapes nothing");
    assert_refused(DOTENV, TEXT("A=$B\n"), "1:3: a character that has to be escaped");
    assert_refused(DOTENV, TEXT("A=\\$(B\n"), "1:3: what dotenv may run as a command");
    assert_refused(DOTENV, TEXT("A=a b\n"), "1:4: a character that has to be escaped");
    assert_refused(DOTENV, TEXT("A=\\#\n"), "1:3: a character that cannot be escaped");
    assert_refused(DOTENV, TEXT("A=\\\n"), "1:3: a character that cannot be escaped");
    assert_refused(DOTENV, TEXT("A=\\"), "1:3: a backslash at the end");
    assert_refused(DOTENV, TEXT("A=x"), "1:4: a character that has to be escaped");
}

static void does_not_believe_in_other_lines(void **state)
{
    (void)state;
    assert_refused(DOTENV, TEXT("A\n"), "1:1: not of the form NAME=VALUE");
    assert_refused(DOTENV, TEXT("\nA=''\n"),
                   "1:1: the name before '=' is no variable name: letters, digits and '_' only, "
                   "and no digit first");
    assert_refused(DOTENV, TEXT("A=''\nB='\0'\n"), "2:4: a NUL byte or a carriage return");
    assert_refused(DOTENV, TEXT("A=''\r\n"), "1:5: a NUL byte or a carriage return");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_quotes_wherever_they_can_be),
        cmocka_unit_test(double_quotes_around_a_single_quote),
        cmocka_unit_test(no_quotes_before_a_closing_backslash),
        cmocka_unit_test(refuses_what_might_run_outside_single_quotes),
        cmocka_unit_test(refuses_what_no_quoting_holds),
        cmocka_unit_test(refuses_the_switch_that_changes_how_the_rest_is_read),
        cmocka_unit_test(reads_the_three_ways),
        cmocka_unit_test(does_not_believe_in_what_depends_on_the_rest),
        cmocka_unit_test(does_not_believe_in_substitutions),
        cmocka_unit_test(does_not_believe_in_other_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
