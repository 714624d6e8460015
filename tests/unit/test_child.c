/* core/child.c: what is run, what it says, and that it ends. */
#include "core_case.h"

#include "core/child.h"
#include "core/clock.h"

static int run(const char *script, int ms, struct es_buf *said, struct es_err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct es_process process = {.umask = 022};

    sigemptyset(&process.mask);
    process.pipe.sa_handler = process.xfsz.sa_handler = process.chld.sa_handler = SIG_DFL;
    getrlimit(RLIMIT_CORE, &process.core);
    *err = (struct es_err){.msg = "nothing"};
    return es_child_run(argv, &process, es_clock_ms() + ms, said, err);
}

static void what_it_says_is_kept_in_order(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf said = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(run("echo out; echo err >&2; cat", 10000, &said, &err), 0);
    assert_string_equal(es_buf_str(&said), "out\nerr\n");
}

static void more_than_is_of_use_is_thrown_away(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf said = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(run("yes | head -c 1000000", 10000, &said, &err), 0);
    assert_in_range(said.len, 1000, 32 << 10);
}

static void its_end_is_judged(void **state)
{
    static const struct {
        const char *script, *words;
    } cases[] = {
        {"exit 3", "/bin/sh failed with exit status 3"},
        {"exit 127", "/bin/sh failed with exit status 127"},
        {"kill -9 $$", "/bin/sh was ended by signal 9"},
    };
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(run(cases[i].script, 10000, NULL, &err) < 0);
        assert_string_equal(err.msg, cases[i].words);
    }
}

static void its_last_line_is_the_reason(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf said = {0};
    struct es_err err;

    (void)state;
    assert_true(run("echo one; echo; echo two >&2; echo ' '; exit 1", 10000, &said, &err) < 0);
    assert_string_equal(err.msg, "/bin/sh failed with exit status 1; two");
}

static void what_is_not_there_is_told_so(void **state)
{
    static const char *const argv[] = {"envsync-no-such-program", NULL};
    struct es_process process = {.umask = 022};
    struct es_err err;

    (void)state;
    sigemptyset(&process.mask);
    assert_int_equal(es_child_run(argv, &process, es_clock_ms() + 1000, NULL, &err), -ENOENT);
    assert_string_equal(err.msg,
                        "envsync-no-such-program cannot be run: No such file or directory");
}

static void it_ends_with_its_group_when_its_time_is_over(void **state)
{
    char script[200], text[32] = "";
    int64_t begun = es_clock_ms();
    struct dir *dir = *state;
    struct es_err err;
    ssize_t n;
    int fd;

    snprintf(script, sizeof script, "sleep 1000 & echo $! > %s; wait", in(dir, "pid"));
    assert_int_equal(run(script, 300, NULL, &err), -ETIMEDOUT);
    assert_string_equal(err.msg, "/bin/sh did not end in time");
    assert_in_range(es_clock_ms() - begun, 290, 10000);
    fd = open(in(dir, "pid"), O_RDONLY | O_CLOEXEC);
    n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n > 0);
    /* Nobody may be left to reap it: a zombie is gone as well. */
    for (int i = 0; i < 200 && kill(atoi(text), 0) == 0; i++) {
        char stat[64], state_letter = 0;
        FILE *file;

        snprintf(stat, sizeof stat, "/proc/%d/stat", atoi(text));
        file = fopen(stat, "re");
        if (!file || fscanf(file, "%*d (sleep) %c", &state_letter) != 1 || state_letter == 'Z') {
            if (file)
                fclose(file);
            return;
        }
        fclose(file);
        usleep(10000);
    }
    assert_true(kill(atoi(text), 0) < 0);
}

static void what_it_leaves_behind_lives_on(void **state)
{
    struct dir *dir = *state;
    char script[200];
    struct es_err err;

    snprintf(script, sizeof script, "(sleep 0.2; echo > %s) >/dev/null 2>&1 &", in(dir, "later"));
    assert_int_equal(run(script, 10000, NULL, &err), 0);
    for (int i = 0; i < 300 && !exists(in(dir, "later")); i++)
        usleep(10000);
    assert_true(exists(in(dir, "later")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says_is_kept_in_order),
        cmocka_unit_test(more_than_is_of_use_is_thrown_away),
        cmocka_unit_test(its_end_is_judged),
        cmocka_unit_test(its_last_line_is_the_reason),
        cmocka_unit_test(what_is_not_there_is_told_so),
        test_in_dir(it_ends_with_its_group_when_its_time_is_over),
        test_in_dir(what_it_leaves_behind_lives_on),
    };

    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
