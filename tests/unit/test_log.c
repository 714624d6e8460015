/* cmd/log.c */
#include "core_case.h"

#include "cmd/log.h"

static void assert_safe(const char *text, const char *as)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    assert_int_equal(es_print_safe(&out, text), 0);
    assert_string_equal(es_buf_str(&out), as);
}

static void what_would_move_a_terminal_or_forge_a_line_is_escaped(void **state)
{
    (void)state;
    assert_safe("plain \xc3\xa9 \xf0\x9f\x98\x80", "plain \xc3\xa9 \xf0\x9f\x98\x80");
    assert_safe("a\nb\r\tc", "a\\u000Ab\\u000D\\u0009c");
    assert_safe("\x1b[2J\x7f", "\\u001B[2J\\u007F");
    assert_safe("\xc2\x9b"
                "1m",
                "\\u009B1m");
    assert_safe("\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029");
    assert_safe("\xe2\x80\xae\xe2\x81\xa6", "\\u202E\\u2066");
    assert_safe("\xff\xc3", "\\xFF\\xC3");
    assert_safe("", "");
}

/* Runs one line with stderr in a file, and reads it back. */
static void logged(struct dir *dir, const struct es_log *log, enum es_level level, const char *text,
                   struct es_buf *ret)
{
    int kept = dup(2), file = open(in(dir, "log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(kept >= 0 && file >= 0);
    dup2(file, 2);
    es_log_line(log, level, "%s", text);
    dup2(kept, 2);
    close(kept);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    assert_int_equal(es_buf_read_fd(ret, file, 100000), 0);
    close(file);
}

static void assert_logged(struct dir *dir, const struct es_log *log, enum es_level level,
                          const char *text, const char *line)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};

    logged(dir, log, level, text, &is);
    assert_string_equal(es_buf_str(&is), line);
}

static void a_line_has_its_level_and_stays_one_line(void **state)
{
    const struct es_log plain = {.level = ES_LEVEL_NOTICE};
    const struct es_log journal = {.level = ES_LEVEL_NOTICE, .journal = true};
    const struct es_log colour = {.level = ES_LEVEL_NOTICE, .colour = true};

    assert_logged(*state, &plain, ES_LEVEL_ERROR, "a\n<0>b", "envsync: error: a\\u000A<0>b\n");
    assert_logged(*state, &plain, ES_LEVEL_NOTICE, "a", "envsync: a\n");
    assert_logged(*state, &plain, ES_LEVEL_INFO, "a", "");
    assert_logged(*state, &journal, ES_LEVEL_WARNING, "a", "<4>warning: a\n");
    assert_logged(*state, &colour, ES_LEVEL_ERROR, "a", "envsync: \033[31merror: \033[0ma\n");
    assert_logged(*state, &colour, ES_LEVEL_NOTICE, "a", "envsync: a\n");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    const struct es_log plain = {.level = ES_LEVEL_NOTICE};
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    char text[5000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    logged(*state, &plain, ES_LEVEL_NOTICE, text, &is);
    assert_in_range(is.len, 1000, 3000);
    assert_int_equal(is.data[is.len - 1], '\n');
}

static void priorities_are_for_the_journal_alone(void **state)
{
    char stream[80], *environment[] = {stream, NULL};
    const struct es_process process = {.environ = environment};
    int kept = dup(2), file = open(in(*state, "log"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct es_log log;
    struct stat st;

    assert_true(kept >= 0 && file >= 0);
    assert_int_equal(fstat(file, &st), 0);
    dup2(file, 2);
    snprintf(stream, sizeof stream, "JOURNAL_STREAM=%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    es_log_init(&log, &process, false, false);
    dup2(kept, 2);
    assert_true(log.journal);
    assert_false(log.terminal || log.colour);
    es_log_init(&log, &process, false, false);
    assert_false(log.journal);
    strcpy(stream, "JOURNAL_STREAM=x");
    es_log_init(&log, &process, false, false);
    assert_false(log.journal);
    close(kept);
    close(file);
}

static void quiet_and_verbose_set_the_level(void **state)
{
    const struct es_process process = {0};
    struct es_log log;

    (void)state;
    es_log_init(&log, &process, true, false);
    assert_int_equal(log.level, ES_LEVEL_WARNING);
    es_log_init(&log, &process, false, true);
    assert_int_equal(log.level, ES_LEVEL_INFO);
    es_log_init(&log, &process, false, false);
    assert_int_equal(log.level, ES_LEVEL_NOTICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_move_a_terminal_or_forge_a_line_is_escaped),
        test_in_dir(a_line_has_its_level_and_stays_one_line),
        test_in_dir(a_line_that_is_too_long_is_cut),
        test_in_dir(priorities_are_for_the_journal_alone),
        cmocka_unit_test(quiet_and_verbose_set_the_level),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
