/* The format shell: what it writes, and a reader that believes only in literal words. */
#include "format_case.h"

#include "envsync/limits.h"

#define SHELL &es_format_shell

static void writes_export_lines(void **state)
{
    (void)state;
    assert_writes(SHELL, TEXT(""), "export NAME=\n");
    assert_writes(SHELL, TEXT("a/b=c"), "export NAME=a/b=c\n");
    assert_writes(SHELL, TEXT("=x"), "export NAME='=x'\n");
    assert_writes(SHELL, TEXT("~x"), "export NAME='~x'\n");
    assert_writes(SHELL, TEXT("$(x) `y` !\n"), "export NAME='$(x) `y` !\n'\n");
    assert_writes(SHELL, TEXT("it's $x"), "export NAME=\"it's \\$x\"\n");
    assert_writes(SHELL, TEXT("\"`\\'"), "export NAME=\"\\\"\\`\\\\'\"\n");
}

static void carries_control_characters(void **state)
{
    (void)state;
    assert_writes(SHELL, TEXT("a\r\n"), "export NAME=\"a\r\n\"\n");
    assert_writes(SHELL, TEXT("\x01\x7f\x1b"), "export NAME='\x01\x7f\x1b'\n");
    assert_writes(SHELL, TEXT("\xef\xbf\xbf"), "export NAME='\xef\xbf\xbf'\n");
}

static void refuses_what_no_environment_carries(void **state)
{
    static char value[ES_MAX_ENV_VARIABLE];

    (void)state;
    assert_not_carried(SHELL, TEXT("a\0"), "has a NUL byte");
    assert_not_carried(SHELL, TEXT("\x80"), "is not valid UTF-8");
    memset(value, 'x', sizeof value);
    assert_null(accepts_text(SHELL, "NAME", value, ES_MAX_ENV_VARIABLE - 6));
    assert_not_carried(SHELL, value, ES_MAX_ENV_VARIABLE - 5,
                       "is longer than one environment variable may be (128 KiB with its name)");
}

static void reads_literal_words(void **state)
{
    (void)state;
    assert_reads(SHELL, "", NULL);
    assert_reads(SHELL, "export A=\nexport B=x'y z'\"\\$\"\n", "A", "", "B", "xy z$", NULL);
    assert_reads(SHELL, "export A=1\nexport A='2\n3'\n", "A", "2\n3", NULL);
}

static void does_not_believe_in_what_a_shell_expands(void **state)
{
    static const char quotes[] = "1:10: a shell would expand what is in these quotes";
    static const char literal[] = "1:10: a character that a shell may not take literally";

    (void)state;
    assert_refused(SHELL, TEXT("export A=\"$x\"\n"), quotes);
    assert_refused(SHELL, TEXT("export A=\"`x`\"\n"), quotes);
    for (const char *p = "$`\\#;&|<>()*?[]{}~!=^ \t\r\x01\x7f\xc3"; *p; p++) {
        char text[] = "export A=?\n";

        text[9] = *p;
        assert_refused(SHELL, text, strlen(text), literal);
    }
    assert_refused(SHELL, TEXT("export A=\0\n"), literal);
    assert_refused(SHELL, TEXT("export A=x#y\n"),
                   "1:11: a character that a shell may not take literally");
}

static void does_not_believe_in_broken_words(void **state)
{
    (void)state;
    assert_refused(SHELL, TEXT("export A='x\n"), "1:10: a quote that is not closed");
    assert_refused(SHELL, TEXT("export A=\"x\n"), "1:10: a quote that is not closed");
    assert_refused(SHELL, TEXT("export A=\"x\\"), "1:10: a quote that is not closed");
    assert_refused(SHELL, TEXT("export A=\"\\n\"\n"), "1:10: a backslash that escapes nothing");
    assert_refused(SHELL, TEXT("export A='\0'\n"), "1:10: a NUL byte");
    assert_refused(SHELL, TEXT("export A=\"\0\"\n"), "1:10: a NUL byte");
    assert_refused(SHELL, TEXT("export A=x"), "1:11: the last line has no end");
}

static void does_not_believe_in_other_lines(void **state)
{
    static const char form[] = "1:1: not of the form export NAME=VALUE";

    (void)state;
    assert_refused(SHELL, TEXT("A=1\n"), form);
    assert_refused(SHELL, TEXT("rm -rf x\n"), form);
    assert_refused(SHELL, TEXT("\n"), form);
    assert_refused(SHELL, TEXT("export A\n"), form);
    assert_refused(SHELL, TEXT("export 1A=x\n"),
                   "1:1: the name before '=' is no variable name: letters, digits and '_' only, "
                   "and no digit first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_export_lines),
        cmocka_unit_test(carries_control_characters),
        cmocka_unit_test(refuses_what_no_environment_carries),
        cmocka_unit_test(reads_literal_words),
        cmocka_unit_test(does_not_believe_in_what_a_shell_expands),
        cmocka_unit_test(does_not_believe_in_broken_words),
        cmocka_unit_test(does_not_believe_in_other_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
