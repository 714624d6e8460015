/* core/lock.c */
#include "core_case.h"

#include "core/clock.h"
#include "core/lock.h"

static int lock(struct dir *dir, const char *name, int ms, es_wait_fn *on_wait, void *data,
                struct es_err *err)
{
    struct es_config config = {.name = (char *)name};

    *err = (struct es_err){.msg = "nothing"};
    return es_lock(&config, dir->path, es_clock_ms() + ms, on_wait, data, err);
}

static void count(void *data, const char *what, const char *name)
{
    assert_string_equal(what, "another run");
    assert_string_equal(name, "demo");
    ++*(int *)data;
}

static void the_lock_is_a_file_in_a_directory_of_ones_own(void **state)
{
    ES_CLEANUP(es_close) int fd = -1;
    struct dir *dir = *state;
    struct es_err err;
    struct stat st;

    fd = lock(dir, "demo", 1000, NULL, NULL, &err);
    assert_true(fd >= 0);
    assert_int_equal(stat(in(dir, "run/envsync/demo"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in(dir, "run/envsync"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in(dir, "run/envsync/demo/lock"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void a_lock_that_is_held_is_waited_for_until_the_deadline_and_told_once(void **state)
{
    ES_CLEANUP(es_close) int held = -1;
    struct dir *dir = *state;
    struct es_err err;
    int64_t begun;
    int told = 0;

    held = lock(dir, "demo", 1000, count, &told, &err);
    assert_true(held >= 0);
    assert_int_equal(told, 0);
    begun = es_clock_ms();
    assert_int_equal(lock(dir, "demo", 100, count, &told, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_LOCKED);
    assert_int_equal(told, 1);
    assert_in_range(es_clock_ms() - begun, 95, 5000);
}

static void who_acts_has_a_lock_of_its_own(void **state)
{
    const struct es_config config = {.name = (char *)"demo"};
    ES_CLEANUP(es_close) int run = -1, acts = -1;
    struct dir *dir = *state;
    struct es_err err;

    run = lock(dir, "demo", 1000, NULL, NULL, &err);
    acts = es_lock_acting(&config, dir->path, 0, &err);
    assert_true(run >= 0 && acts >= 0);
    assert_int_equal(es_lock_acting(&config, dir->path, 0, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_LOCKED);
}

static void another_name_is_another_lock(void **state)
{
    ES_CLEANUP(es_close) int a = -1, b = -1;
    struct es_err err;

    a = lock(*state, "demo", 1000, NULL, NULL, &err);
    b = lock(*state, "demo-2", 0, NULL, NULL, &err);
    assert_true(a >= 0 && b >= 0);
}

static void let_go(void *data, const char *what, const char *name)
{
    (void)what;
    (void)name;
    es_close(data);
}

static void it_is_taken_as_soon_as_it_is_free(void **state)
{
    ES_CLEANUP(es_close) int held = -1, fd = -1;
    struct es_err err;

    held = lock(*state, "demo", 1000, NULL, NULL, &err);
    fd = lock(*state, "demo", 10000, let_go, &held, &err);
    assert_true(fd >= 0);
}

static void a_planted_link_is_not_followed(void **state)
{
    struct dir *dir = *state;
    struct es_err err;

    close(lock(dir, "demo", 1000, NULL, NULL, &err));
    assert_int_equal(unlink(in(dir, "run/envsync/demo/lock")), 0);
    assert_int_equal(symlink(in(dir, "victim"), in(dir, "run/envsync/demo/lock")), 0);
    assert_int_equal(lock(dir, "demo", 1000, NULL, NULL, &err), -ELOOP);
    assert_false(exists(in(dir, "victim")));
}

static void a_state_directory_that_others_may_write_is_denied(void **state)
{
    struct dir *dir = *state;
    struct es_err err;

    close(lock(dir, "demo", 1000, NULL, NULL, &err));
    assert_int_equal(chmod(in(dir, "run/envsync"), 0777), 0);
    assert_int_equal(lock(dir, "demo", 1000, NULL, NULL, &err), -EPERM);
    assert_int_equal(err.class, ES_DENIED);
}

static void it_remembers_whether_a_run_has_ended_clean(void **state)
{
    struct dir *dir = *state;
    struct es_err err;
    int fd = lock(dir, "demo", 1000, NULL, NULL, &err);

    assert_false(es_lock_is_clean(fd)); /* nobody knows */
    es_lock_set_clean(fd);
    assert_true(es_lock_is_clean(fd));
    es_lock_set_clean(fd);
    close(fd);
    fd = lock(dir, "demo", 1000, NULL, NULL, &err);
    assert_true(es_lock_is_clean(fd));
    assert_int_equal(es_lock_set_dirty(fd, &err), 0);
    assert_false(es_lock_is_clean(fd));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(the_lock_is_a_file_in_a_directory_of_ones_own),
        test_in_dir(a_lock_that_is_held_is_waited_for_until_the_deadline_and_told_once),
        test_in_dir(who_acts_has_a_lock_of_its_own),
        test_in_dir(another_name_is_another_lock),
        test_in_dir(it_is_taken_as_soon_as_it_is_free),
        test_in_dir(a_planted_link_is_not_followed),
        test_in_dir(it_remembers_whether_a_run_has_ended_clean),
        test_in_dir(a_state_directory_that_others_may_write_is_denied),
    };

    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
