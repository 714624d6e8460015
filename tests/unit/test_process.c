/* core/process.c: each test in a process of its own, because it changes all of it. */
#include "core_case.h"

#include "core/process.h"

#include <sys/prctl.h>

static int in_child(int (*fn)(void *data))
{
    return as_user(geteuid(), fn, NULL);
}

static int start_and_look(void *data)
{
    struct es_process process = {0};
    struct rlimit core;
    struct es_err err;
    sigset_t none;

    (void)data;
    setenv("SECRET", "x", 1);
    umask(027);
    close(0);
    close(2);
    if (es_process_start(&process, &err) < 0)
        return 1;
    if (getenv("SECRET") || !getenv("PATH") || getenv("HOME"))
        return 2;
    if (!es_process_getenv(&process, "SECRET") || es_process_getenv(&process, "SECRE") ||
        es_process_getenv(&process, ""))
        return 3;
    if (umask(077) != 077 || process.umask != 027)
        return 4;
    if (fcntl(0, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0)
        return 5;
    if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0)
        return 6;
    sigprocmask(SIG_SETMASK, NULL, &none);
    return sigismember(&none, SIGTERM) ? 7 : 0;
}

static void nothing_inherited_is_trusted_and_all_is_kept(void **state)
{
    (void)state;
    assert_int_equal(in_child(start_and_look), 0);
}

static int start_and_restore(void *data)
{
    struct es_process process = {0};
    struct sigaction ignored = {.sa_handler = SIG_IGN}, is;
    struct rlimit before, after;
    struct es_err err;
    sigset_t mask;

    (void)data;
    umask(027);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGCHLD, &ignored, NULL);
    getrlimit(RLIMIT_CORE, &before);
    if (es_process_start(&process, &err) < 0)
        return 1;
    if (sigaction(SIGPIPE, NULL, &is) < 0 || is.sa_handler != SIG_IGN)
        return 2;
    es_process_catch();
    es_process_restore(&process);
    if (sigaction(SIGPIPE, NULL, &is) < 0 || is.sa_handler != SIG_DFL)
        return 3;
    if (sigaction(SIGCHLD, NULL, &is) < 0 || is.sa_handler != SIG_IGN)
        return 4;
    if (sigaction(SIGTERM, NULL, &is) < 0 || is.sa_handler != SIG_DFL)
        return 5;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGUSR1) || sigismember(&mask, SIGTERM))
        return 6;
    if (getrlimit(RLIMIT_CORE, &after) < 0 || after.rlim_cur != before.rlim_cur)
        return 7;
    return umask(0) == 027 ? 0 : 8;
}

static void a_command_gets_everything_back(void **state)
{
    (void)state;
    assert_int_equal(in_child(start_and_restore), 0);
}

static int catch_signals(void *data)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN}, is;

    (void)data;
    sigaction(SIGHUP, &ignored, NULL);
    es_process_catch();
    if (es_process_caught())
        return 1;
    raise(SIGHUP);
    if (es_process_caught())
        return 2;
    raise(SIGTERM);
    if (es_process_caught() != SIGTERM)
        return 3;
    return sigaction(SIGHUP, NULL, &is) == 0 && is.sa_handler == SIG_IGN ? 0 : 4;
}

static void a_caught_signal_is_remembered_and_an_ignored_one_stays_ignored(void **state)
{
    (void)state;
    assert_int_equal(in_child(catch_signals), 0);
}

static void dying_of_a_signal_is_dying_of_that_signal(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGINT, SIG_DFL); /* a shell's background job inherits it ignored */
        es_process_catch();
        raise(SIGINT);
        es_process_die(es_process_caught());
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_inherited_is_trusted_and_all_is_kept),
        cmocka_unit_test(a_command_gets_everything_back),
        cmocka_unit_test(a_caught_signal_is_remembered_and_an_ignored_one_stays_ignored),
        cmocka_unit_test(dying_of_a_signal_is_dying_of_that_signal),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
