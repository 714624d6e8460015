/* core/program.c: what a program that a source wants started gets, and what its end means. */
#include "core_case.h"

#include "core/clock.h"
#include "core/program.h"

/* A shell script as a need. argv[1] and on are the words. */
struct script {
    const char *argv[5];
    struct es_need need;
};

static void script(struct script *s, const char *text, int64_t timeout_ms)
{
    *s = (struct script){.argv = {"/bin/sh", "-c", text}};
    s->need = (struct es_need){
        .role = "stdout", .path = s->argv[0], .argv = s->argv, .timeout_ms = timeout_ms};
}

/* Runs to the end of its output, judges; what it printed is in `out`. */
static int run_in(const struct es_need *need, char **environment, int64_t deadline,
                  struct es_buf *out, struct es_err *err)
{
    struct es_process process = {.environ = environment};
    ES_CLEANUP(es_program_done) struct es_program program = {0};
    ES_CLEANUP(es_close) int fd = -1;

    *err = (struct es_err){.msg = "nothing"};
    sigprocmask(SIG_BLOCK, NULL, &process.mask);
    fd = es_program_start(need, &process, deadline, &program, err);
    if (fd < 0)
        return fd;
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(es_buf_read_fd(out, fd, 1 << 20), 0);
    return es_program_judge(&program, deadline, err);
}

static int run(const char *text, struct es_buf *out, struct es_err *err)
{
    struct script s;

    script(&s, text, 10000);
    return run_in(&s.need, NULL, es_clock_ms() + 20000, out, err);
}

static void the_exit_status_is_the_class_of_the_failure(void **state)
{
    static const struct {
        const char *text;
        int r;
        enum es_class class;
        const char *words;
    } table[] = {
        {"exit 66", -ENOENT, ES_ABSENT, "66"},
        {"exit 69", -EAGAIN, ES_UNAVAILABLE, "69"},
        {"exit 75", -EAGAIN, ES_UNAVAILABLE, "75"},
        {"exit 77", -EACCES, ES_DENIED, "77"},
        {"exit 1", -EIO, ES_INVALID, "exit status 1"},
        {"exit 65", -EIO, ES_INVALID, "65"},
        {"exit 70", -EIO, ES_INVALID, "70"},
        {"exit 255", -EIO, ES_INVALID, "255"},
        {"kill -TERM $$", -EIO, ES_INVALID, "signal 15"},
        {"kill -KILL $$", -EIO, ES_INVALID, "signal 9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};
        struct es_err err;

        assert_int_equal(run(table[i].text, &out, &err), table[i].r);
        assert_int_equal(err.class, table[i].class);
        assert_non_null(strstr(err.msg, "/bin/sh"));
        assert_non_null(strstr(err.msg, table[i].words));
    }
}

static void success_hands_its_output_over(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(run("echo one; echo two", &out, &err), 0);
    assert_string_equal(es_buf_str(&out), "one\ntwo\n");
}

static void what_cannot_be_run_is_told(void **state)
{
    static const char *const names[] = {"absent", "plain"};

    put_file(in(*state, "plain"), "#!/bin/sh\n");
    for (size_t i = 0; i < 2; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};
        struct script s;
        struct es_err err;

        script(&s, "", 10000);
        s.need.path = in(*state, names[i]);
        assert_int_equal(run_in(&s.need, NULL, es_clock_ms() + 10000, &out, &err), -ENOEXEC);
        assert_int_equal(err.class, ES_INVALID);
        assert_non_null(strstr(err.msg, s.need.path));
    }
}

static void only_the_named_variables_are_in_its_environment(void **state)
{
    static char *environment[] = {(char *)"SECRET=CANARY", (char *)"VAULT_ADDR=https://x",
                                  (char *)"EMPTY=", (char *)"PATH=/evil", NULL};
    static const char *const names[] = {"VAULT_ADDR", "EMPTY", "NOWHERE", NULL};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct script s;
    struct es_err err;

    (void)state;
    script(&s, "", 10000);
    s.need.path = s.argv[0] = "/usr/bin/env";
    s.argv[1] = NULL;
    s.need.environment = names;
    assert_int_equal(run_in(&s.need, environment, es_clock_ms() + 10000, &out, &err), 0);
    assert_string_equal(es_buf_str(&out), "PATH=/usr/bin:/bin\nVAULT_ADDR=https://x\nEMPTY=\n");
}

static void its_words_reach_it_as_they_are(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct script s;
    struct es_err err;

    (void)state;
    script(&s, "", 10000);
    s.need.path = s.argv[0] = "/bin/echo";
    s.argv[1] = "$HOME  *";
    s.argv[2] = "; exit 1";
    assert_int_equal(run_in(&s.need, NULL, es_clock_ms() + 10000, &out, &err), 0);
    assert_string_equal(es_buf_str(&out), "$HOME  * ; exit 1\n");
}

static void it_has_no_input_no_other_descriptor_and_lies_in_the_root_directory(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    ES_CLEANUP(es_close) int inherited = open("/etc/hostname", O_RDONLY);
    struct es_err err;
    char text[200];

    (void)state;
    assert_true(inherited >= 3);
    snprintf(text, sizeof text,
             "readlink /proc/self/fd/0; pwd; [ -e /proc/$$/fd/%d ] || echo none; "
             "grep NoNewPrivs /proc/self/status",
             inherited);
    assert_int_equal(run(text, &out, &err), 0);
    assert_string_equal(es_buf_str(&out), "/dev/null\n/\nnone\nNoNewPrivs:\t1\n");
}

static void it_is_never_root(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    NEEDS_ROOT();
    assert_int_equal(run("id -u; id -G", &out, &err), 0);
    assert_null(strstr(es_buf_str(&out), "0\n0"));
    assert_true(strtol(es_buf_str(&out), NULL, 10) > 0);
}

static void run_as_is_another_user_and_never_root(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct script s;
    struct es_err err;

    (void)state;
    NEEDS_ROOT();
    script(&s, "id -un; id -G", 10000);
    s.need.run_as = "daemon";
    assert_int_equal(run_in(&s.need, NULL, es_clock_ms() + 10000, &out, &err), 0);
    assert_string_equal(es_buf_str(&out), "daemon\n1\n");
    s.need.run_as = "root";
    assert_int_equal(run_in(&s.need, NULL, es_clock_ms() + 10000, &out, &err), -EPERM);
    assert_int_equal(err.class, ES_CONFIG);
    s.need.run_as = "nosuchuser";
    assert_int_equal(run_in(&s.need, NULL, es_clock_ms() + 10000, &out, &err), -ENOENT);
    assert_int_equal(err.class, ES_CONFIG);
    assert_non_null(strstr(err.msg, "nosuchuser"));
}

static void one_that_does_not_end_in_its_time_is_ended(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    int64_t begin = es_clock_ms();
    struct script s;
    struct es_err err;

    (void)state;
    script(&s, "exec sleep 30", 200);
    assert_int_equal(run_in(&s.need, NULL, begin + 20000, &out, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "200 ms"));
    assert_true(es_clock_ms() - begin >= 200 && es_clock_ms() - begin < 5000);
}

/* What envsync was given must not keep the timer from ending it. */
static void a_timer_that_was_blocked_or_ignored_ends_it_all_the_same(void **state)
{
    sigset_t alarm, before;
    struct sigaction was, ignore = {.sa_handler = SIG_IGN};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    int64_t begin = es_clock_ms();
    struct script s;
    struct es_err err;
    int r;

    (void)state;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, &before);
    sigaction(SIGALRM, &ignore, &was);
    script(&s, "exec sleep 30", 200);
    r = run_in(&s.need, NULL, begin + 4000, &out, &err);
    sigaction(SIGALRM, &was, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(r, -ETIMEDOUT);
    assert_non_null(strstr(err.msg, "200 ms"));
}

static void the_deadline_of_the_run_bounds_it_too(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    int64_t begin = es_clock_ms();
    struct script s;
    struct es_err err;

    (void)state;
    script(&s, "exec sleep 30", 20000);
    assert_int_equal(run_in(&s.need, NULL, begin + 200, &out, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_UNAVAILABLE);
    assert_true(es_clock_ms() - begin < 5000);
}

/* It has closed its output and goes on: waited for until the deadline, then killed. */
static void one_that_goes_on_without_output_is_killed(void **state)
{
    const struct es_process process = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    int64_t deadline = es_clock_ms() + 300;
    struct es_program program = {0};
    struct script s;
    struct es_err err;
    pid_t pid;
    int fd;

    (void)state;
    script(&s, "trap '' ALRM; exec >&-; sleep 30", 10000);
    fd = es_program_start(&s.need, &process, deadline, &program, &err);
    assert_true(fd >= 0);
    assert_int_equal(es_buf_read_fd(&out, fd, 10), 0);
    es_close(&fd);
    assert_int_equal(es_program_judge(&program, deadline, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_UNAVAILABLE);
    pid = program.pid;
    assert_true(pid > 0);
    es_program_done(&program);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(program.pid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_the_class_of_the_failure),
        cmocka_unit_test(success_hands_its_output_over),
        test_in_dir(what_cannot_be_run_is_told),
        cmocka_unit_test(only_the_named_variables_are_in_its_environment),
        cmocka_unit_test(its_words_reach_it_as_they_are),
        cmocka_unit_test(it_has_no_input_no_other_descriptor_and_lies_in_the_root_directory),
        cmocka_unit_test(it_is_never_root),
        cmocka_unit_test(run_as_is_another_user_and_never_root),
        cmocka_unit_test(one_that_does_not_end_in_its_time_is_ended),
        cmocka_unit_test(a_timer_that_was_blocked_or_ignored_ends_it_all_the_same),
        cmocka_unit_test(the_deadline_of_the_run_bounds_it_too),
        cmocka_unit_test(one_that_goes_on_without_output_is_killed),
    };

    return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
