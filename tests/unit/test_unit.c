/* core/unit: parse.c, words.c, values.c, command.c. What is asserted here was tried on systemd 252;
 * tests/e2e/test_unit_systemd.py asks the one of this host. */
#include "core_case.h"

#include "core/clock.h"
#include "core/unit/unit.h"
#include "envsync/limits.h"

static struct es_unit unit_of(const char *name, const char *text, size_t len)
{
    const char *at = strchr(name, '@');
    struct es_unit unit = {.name = strdup(name)};
    struct es_err err = {.msg = "nothing"};

    assert_non_null(unit.name);
    if (at)
        unit.instance = strndup(at + 1, strcspn(at + 1, "."));
    if (es_unit_parse(&unit, "F", text, len, &err) < 0)
        fail_msg("refused: %s", err.msg);
    return unit;
}

#define UNIT(text) unit_of("foo.service", text, sizeof text - 1)

/* All settings as "LINE SECTION.KEY=VALUE", ignored ones as "LINE !". */
static void assert_settings(const struct es_unit *unit, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};

    for (size_t i = 0; i < unit->n; i++) {
        const struct es_unit_setting *s = &unit->settings[i];

        if (s->kind == ES_UNIT_SETTING)
            es_buf_printf(&is, "%u %s.%s=%s\n", s->line, s->section, s->key, es_buf_str(&s->value));
        else if (s->kind == ES_UNIT_IGNORED)
            es_buf_printf(&is, "%u !%s\n", s->line, s->key ? s->key : "");
    }
    assert_string_equal(es_buf_str(&is), text);
}

static void lines_become_settings_with_section_and_line(void **state)
{
    ES_CLEANUP(es_unit_done)
    struct es_unit unit = UNIT("# c\n[Unit]\n  After = a b \n\n;c\n[Service]\nUser=x\nA==b=c");

    (void)state;
    assert_settings(&unit, "3 Unit.After=a b\n7 Service.User=x\n8 Service.A==b=c\n");
}

static void a_backslash_goes_on_past_comments_and_counts_from_its_first_line(void **state)
{
    ES_CLEANUP(es_unit_done)
    struct es_unit unit =
        UNIT("[Service]\nA=1\\\n# no\n; no\n  2 \\\n3\nB=x\\\\\nC=\\\\\\\nD=1\nE=\\");

    (void)state;
    assert_settings(&unit, "2 Service.A=1   2  3\n7 Service.B=x\\\\\n8 Service.C=\\\\ D=1\n"
                           "10 Service.E=\n");
}

static void every_kind_of_line_end_ends_a_line_once(void **state)
{
    static const char text[] = "[Service]\r\nA=1\n\rB=2\rC=3\0D=4\n\nE=5";
    ES_CLEANUP(es_unit_done) struct es_unit unit = UNIT(text);

    (void)state;
    assert_settings(&unit, "2 Service.A=1\n3 Service.B=2\n4 Service.C=3\n5 Service.D=4\n"
                           "7 Service.E=5\n");
}

static void what_systemd_ignores_is_kept_as_ignored(void **state)
{
    ES_CLEANUP(es_unit_done)
    struct es_unit unit = UNIT("Unit]\nUser=a\n[Servcie]\nUser=b\n[X-Mine]\nUser=c\n[Service]\n"
                               "word\n=v\nA=\xff\nUser=d\n");

    (void)state;
    assert_settings(&unit, "1 !\n2 !User\n3 !\n8 !\n9 !\n10 !\n11 Service.User=d\n");
}

static void a_byte_order_mark_is_passed_over(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = UNIT("\xef\xbb\xbf[Service]\nA=1\n");

    (void)state;
    assert_settings(&unit, "2 Service.A=1\n");
}

static void a_header_that_is_not_closed_refuses_the_unit(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    struct es_err err;

    (void)state;
    assert_true(es_unit_parse(&unit, "F", "\n[Service\n", 10, &err) < 0);
    assert_int_equal(err.class, ES_CONFIG);
    assert_memory_equal(err.msg, "F:2: ", 5);
}

static void more_settings_than_the_limit_are_refused(void **state)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_buf_puts(&text, "[Service]\n"), 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(es_buf_puts(&text, "A=1\n"), 0);
    assert_true(es_unit_parse(&unit, "F", text.data, text.len, &err) < 0);
    assert_int_equal(err.class, ES_CONFIG);
}

/* ---- values ---- */

/* In a time that grows with the square of the length each would take minutes. */
static void a_file_at_the_limit_is_read_in_linear_time(void **state)
{
    static const char *const tails[] = {"\\\n", "\n"};
    const int64_t start = es_clock_ms();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        struct es_err err = {.msg = "nothing"};

        assert_int_equal(es_buf_puts(&text, "[Service]\nA="), 0);
        while (text.len < ES_MAX_UNIT / 2)
            assert_int_equal(es_buf_putc(&text, 'a'), 0);
        assert_int_equal(es_buf_puts(&text, "\\\n\n"), 0);
        while (text.len < ES_MAX_UNIT)
            assert_int_equal(es_buf_puts(&text, tails[i]), 0);
        if (es_unit_parse(&unit, "F", text.data, ES_MAX_UNIT, &err) < 0)
            fail_msg("refused: %s", err.msg);
    }
    assert_true(es_clock_ms() - start < 10000);
}

static void the_last_value_that_can_be_read_counts(void **state)
{
    static const char *const words[] = {"no", "full", "strict", NULL};
    const struct es_unit_setting *at = NULL;
    ES_CLEANUP(es_unit_done)
    struct es_unit unit =
        UNIT("[Service]\nP=strict\nP=full\nP=fully\nB=on\nB=maybe\nB=\nU=a\nU=\n");
    ES_CLEANUP(es_buf_done) struct es_buf user = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_unit_choice(&unit, "Service", "P", words, &at), 1);
    assert_int_equal(at->line, 3);
    assert_true(es_unit_bool(&unit, "Service", "B", false, &at));
    assert_int_equal(at->line, 5);
    assert_true(es_unit_bool(&unit, "Service", "absent", true, &at));
    assert_null(at);
    assert_int_equal(es_unit_text(&unit, "Service", "U", &user, &at, &err), 0);
    assert_int_equal(user.len, 0);
    assert_null(at);
}

static void assert_list(const char *text, size_t len, const char *key, unsigned how,
                        const char *joined)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = unit_of("foo@bar.service", text, len);
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    struct es_err err;

    assert_int_equal(es_unit_list(&unit, "Service", key, how, &items, &err), 0);
    for (size_t i = 0; i < items.n; i++)
        es_buf_printf(&is, "<%s>", es_buf_str(&items.items[i].text));
    assert_string_equal(es_buf_str(&is), joined);
}
#define LIST(text, key, how, joined) assert_list(text, sizeof text - 1, key, how, joined)

static void a_list_is_all_since_it_was_emptied(void **state)
{
    (void)state;
    LIST("[Service]\nL=a b\nL=\nL=c\nM=d\nL=\"e f\" %i\n", "L", 0, "<c><e f><bar>");
    LIST("[Service]\nL=a b\nL=\nL=c\n", "L", ES_UNIT_NO_RESET, "<a><b><c>");
    LIST("[Service]\nL=a b\nL=-c d\n", "L", ES_UNIT_WHOLE, "<a b><-c d>");
    LIST("[Service]\nL=a 'b\nL=c\n", "L", 0, "<a><c>");
    LIST("[Service]\nL=a\nM=b\nLL=c\n", "L|M", 0, "<a><b>");
}

static void specifiers_stand_for_the_name_and_the_usual_places(void **state)
{
    ES_CLEANUP(es_unit_done)
    struct es_unit unit = unit_of("a-b\\x2d@c-d\\x2de.service", "", 0);
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    static const struct {
        const char *from, *to;
    } cases[] = {{"%n|%N|%p", "a-b\\x2d@c-d\\x2de.service|a-b\\x2d@c-d\\x2de|a-b\\x2d"},
                 {"%P|%j|%J", "a/b-|b\\x2d|b-"},
                 {"%i|%I|%f", "c-d\\x2de|c/d-e|/c/d-e"},
                 {"%t%S%C%L%E%T%V", "/run/var/lib/var/cache/var/log/etc/tmp/var/tmp"},
                 {"%%p %u %U %h", "%p root 0 /root"},
                 {"%H %m %", "%H %m %"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(es_unit_expand(&unit, cases[i].from, &out), 0);
        assert_string_equal(es_buf_str(&out), cases[i].to);
    }
}

static void time_spans_are_systemds(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"90", 90000},
                {"1min 30s", 90000},
                {"1m30s", 90000},
                {"2h", 7200000},
                {"500ms", 500},
                {"1.5s", 1500},
                {" 5 min  20s ", 320000},
                {"1M", 2629800000},
                {"infinity", INT64_MAX},
                {"0", 0},
                {"1us", 0},
                {"1d 2hr 3minutes", 93780000},
                {".5", 500},
                {"3y", 94672800000},
                {"1s2", 3000}};
    static const char *const bad[] = {
        "", " ", "s", "-1", "1x", "5 parsecs", "infinity 1", "99999999999999y", "."};
    int64_t ms = -1;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!es_unit_span(good[i].text, &ms) || ms != good[i].ms)
            fail_msg("\"%s\" is %lld", good[i].text, (long long)ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (es_unit_span(bad[i], &ms))
            fail_msg("\"%s\" is %lld", bad[i], (long long)ms);
}

/* ---- commands ---- */

static void assert_commands(const char *text, size_t len, const char *shown)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = unit_of("foo@bar.service", text, len);
    ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    struct es_err err;

    assert_int_equal(es_unit_commands(&unit, "ExecStartPre", &commands, &err), 0);
    for (size_t i = 0; i < commands.n; i++) {
        const struct es_unit_command *c = &commands.items[i];

        es_buf_printf(&is, "%s%s%s%s", c->ignores_failure ? "-" : "", c->privileged ? "+" : "",
                      c->keeps_root ? "!" : "", c->ambient ? "!!" : "");
        for (size_t j = 0; j < c->argc; j++)
            es_buf_printf(&is, "<%s>", c->argv[j]);
        es_buf_puts(&is, "\n");
    }
    assert_string_equal(es_buf_str(&is), shown);
}
#define COMMANDS(text, shown)                                                                      \
    assert_commands("[Service]\nExecStartPre=" text "\n", sizeof text - 1 + 24, shown)

static void prefixes_and_words_of_a_command(void **state)
{
    (void)state;
    COMMANDS("!/usr/bin/envsync -c /etc/envsync/%p.toml",
             "!</usr/bin/envsync><-c></etc/envsync/foo.toml>\n");
    COMMANDS("-+/a", "-+</a>\n");
    COMMANDS("+-/a b", "-+</a><b>\n");
    COMMANDS("!!/a", "!!</a>\n");
    COMMANDS("@/a name b", "</a><b>\n");
    COMMANDS(":-/a $X", "-</a><$X>\n");
    COMMANDS("!!!/a", "!!<!/a>\n");
    COMMANDS("/a 'b c' d\\x20e \"f\\\"g\" %i %%", "</a><b c><d e><f\"g><bar><%>\n");
    COMMANDS("/a b ; !/c d", "</a><b>\n!</c><d>\n");
    COMMANDS("/a \\; ';' b;c", "</a><;><;><b;c>\n");
    COMMANDS("/a \"b", "");
    COMMANDS("-", "");
}

static void an_empty_assignment_takes_the_commands_before_it_away(void **state)
{
    (void)state;
    COMMANDS("/a\nExecStartPre=\nExecStartPre=/b", "</b>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_settings_with_section_and_line),
        cmocka_unit_test(a_backslash_goes_on_past_comments_and_counts_from_its_first_line),
        cmocka_unit_test(every_kind_of_line_end_ends_a_line_once),
        cmocka_unit_test(what_systemd_ignores_is_kept_as_ignored),
        cmocka_unit_test(a_byte_order_mark_is_passed_over),
        cmocka_unit_test(a_header_that_is_not_closed_refuses_the_unit),
        cmocka_unit_test(more_settings_than_the_limit_are_refused),
        cmocka_unit_test(a_file_at_the_limit_is_read_in_linear_time),
        cmocka_unit_test(the_last_value_that_can_be_read_counts),
        cmocka_unit_test(a_list_is_all_since_it_was_emptied),
        cmocka_unit_test(specifiers_stand_for_the_name_and_the_usual_places),
        cmocka_unit_test(time_spans_are_systemds),
        cmocka_unit_test(prefixes_and_words_of_a_command),
        cmocka_unit_test(an_empty_assignment_takes_the_commands_before_it_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
