/* core/commit/store.c: sets of a configuration, and the pointer to the present one. */
#include "failing.h"
#include "store_case.h"

static void both_halves_are_made_for_root_alone(void **state)
{
    static const char *const dirs[] = {"run/envsync", RUN, "var/lib/envsync", DISK};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    struct stat st;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stat(in(*state, dirs[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    assert_string_equal(f.store.current, "");
    assert_false(f.store.usable);
    assert_int_equal(f.report.n, 0);
}

static void who_only_looks_makes_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    assert_int_equal(try_open(&f, false, false), 0);
    assert_int_equal(f.store.halves[ES_HALF_RUN].dir, -1);
    assert_int_equal(f.store.halves[ES_HALF_DISK].dir, -1);
    assert_false(exists(in(*state, "run")) || exists(in(*state, "var")));
}

static void without_need_of_the_disk_its_half_is_not_made(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    assert_int_equal(try_open(&f, true, false), 0);
    assert_false(exists(in(*state, "var")));
    commit(&f, "secret", false);
    assert_int_equal(try_open(&f, true, false), 0);
    assert_true(f.store.usable);
    assert_holds(&f, f.store.current, ES_HALF_RUN, "secret");
    assert_false(exists(in(*state, "var")));
}

static void a_committed_set_is_the_present_one_for_the_next_run(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    struct stat st;
    char id[ES_SET_ID + 1], path[100];

    begin(&f, "half-way", true);
    reopen(&f);
    assert_string_equal(f.store.current, "");
    commit(&f, "text", true);
    memcpy(id, f.store.current, sizeof id);
    assert_true(f.store.usable && f.store.set.complete);
    reopen(&f);
    assert_string_equal(f.store.current, id);
    assert_string_equal(f.store.previous, "");
    assert_true(f.store.usable && !f.store.held && !f.store.run_lost);
    assert_int_equal(f.store.set.n_sources, 1);
    assert_holds(&f, id, ES_HALF_DISK, "text");
    snprintf(path, sizeof path, DISK "/%s", id);
    assert_int_equal(stat(in(*state, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    snprintf(path, sizeof path, DISK "/%s/source-0", id);
    assert_int_equal(stat(in(*state, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(f.report.n, 0);
}

static void the_names_of_sets_are_random(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char id[ES_SET_ID + 1];

    commit(&f, "same", true);
    memcpy(id, f.store.current, sizeof id);
    commit(&f, "same", true);
    assert_string_not_equal(f.store.current, id);
    assert_string_equal(f.store.previous, id);
}

static void what_was_written_in_one_half_is_not_in_the_other(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    commit(&f, "secret", false);
    assert_holds(&f, f.store.current, ES_HALF_RUN, "secret");
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, NULL, &f.err),
        -ENOENT);
}

static void a_file_has_the_time_that_it_is_given(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int64_t ms = 0, before = 1600000000123;

    begin(&f, "x", true);
    assert_int_equal(es_store_write(&f.store, ES_HALF_DISK, "source-0", "y", 1, before, &f.err), 0);
    fill(&f, &m, true);
    assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), 0);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, &ms, &f.err), 0);
    assert_int_equal(ms, before);
    es_store_touch_file(&f.store, ES_HALF_DISK, "source-0");
    es_buf_clear(&text);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, &ms, &f.err), 0);
    assert_true(ms > before && es_buf_is(&text, "y"));
}

static void touching_moves_the_last_success_and_no_byte(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "x", true);
    assert_int_equal(utimensat(AT_FDCWD, in(*state, DISK "/current"), old, 0), 0);
    reopen(&f);
    assert_int_equal(f.store.succeeded_ms, 1600000000000);
    es_store_touch(&f.store);
    reopen(&f);
    assert_true(f.store.succeeded_ms > 1600000000000);
    assert_true(f.store.usable);
}

static void pointing_back_and_holding_is_kept(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char first[ES_SET_ID + 1], second[ES_SET_ID + 1];

    commit(&f, "one", true);
    memcpy(first, f.store.current, sizeof first);
    commit(&f, "two", true);
    memcpy(second, f.store.current, sizeof second);
    assert_int_equal(es_store_point(&f.store, first, second, true, &f.err), 0);
    reopen(&f);
    assert_string_equal(f.store.current, first);
    assert_string_equal(f.store.previous, second);
    assert_true(f.store.held && f.store.usable);
    assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
    assert_int_equal(es_store_point(&f.store, f.store.current, f.store.previous, false, &f.err), 0);
    reopen(&f);
    assert_false(f.store.held);
    assert_string_equal(f.store.previous, second);
}

static void a_new_set_ends_the_hold(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "one", true);
    assert_int_equal(es_store_point(&f.store, f.store.current, "", true, &f.err), 0);
    commit(&f, "two", true);
    reopen(&f);
    assert_false(f.store.held);
}

static void an_abandoned_set_leaves_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "one", true);
    begin(&f, "two", false);
    assert_int_equal(es_store_write(&f.store, ES_HALF_DISK, "output-0", "x", 1, 0, &f.err), 0);
    es_store_abandon(&f.store);
    assert_int_equal(entries(*state, DISK), 2);
    assert_int_equal(entries(*state, RUN), 1);
    es_store_abandon(&f.store); /* nothing is begun: nothing happens */
    assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
}

static void a_set_that_current_names_is_not_removed_because_its_fsync_failed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    unsigned last;

    failing_begin("fsync", 0, 0);
    commit(&f, "one", true);
    last = failing_counted();
    begin(&f, "two", true);
    fill(&f, &m, true);
    failing_begin("fsync", last, EIO);
    assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), -EIO);
    failing_end();
    assert_false(es_store_abandon(&f.store));
    reopen(&f);
    assert_true(f.store.usable);
    assert_holds(&f, f.store.current, ES_HALF_DISK, "two");
    assert_holds(&f, f.store.previous, ES_HALF_DISK, "one");
}

static void a_set_that_current_does_not_name_yet_goes_whichever_fsync_failed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    unsigned last;

    failing_begin("fsync", 0, 0);
    commit(&f, "one", true);
    last = failing_counted();
    for (unsigned i = 1; i < last; i++) {
        ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

        begin(&f, "two", true);
        fill(&f, &m, true);
        failing_begin("fsync", i, EIO);
        assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), -EIO);
        failing_end();
        assert_true(es_store_abandon(&f.store));
        reopen(&f);
        assert_true(f.store.usable);
        assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
    }
}

static void sweeping_leaves_the_present_and_the_previous_set_alone(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (int i = 0; i < 4; i++)
        commit(&f, "x", true);
    begin(&f, "killed", false);
    put_file(in(*state, DISK "/.current.envsync-abcdefghijk"), "left");
    put_file(in(*state, RUN "/lock"), "");
    reopen(&f);
    es_store_sweep(&f.store);
    assert_int_equal(entries(*state, DISK), 3); /* two sets and the pointer */
    assert_int_equal(entries(*state, RUN), 3);  /* and the lock */
    assert_true(exists(in(*state, RUN "/lock")));
    assert_holds(&f, f.store.current, ES_HALF_DISK, "x");
    assert_holds(&f, f.store.previous, ES_HALF_DISK, "x");
}

static void a_set_may_leave_the_way_back_as_it_is_or_cut_it(void **state)
{
    static const enum es_way_back ways[] = {ES_BACK_TO_PREVIOUS, ES_BACK_NOWHERE};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char first[ES_SET_ID + 1];

    commit(&f, "one", true);
    strcpy(first, f.store.current);
    commit(&f, "two", true);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

        begin(&f, "two", true);
        fill(&f, &m, true);
        assert_int_equal(es_store_commit(&f.store, &m, ways[i], &f.err), 0);
        reopen(&f);
        assert_string_equal(f.store.previous, i == 0 ? first : "");
    }
}

static void only_a_previous_set_that_is_whole_can_be_gone_back_to(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char half[128];

    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
    commit(&f, "one", false);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
    commit(&f, "two", false);
    reopen(&f);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 1);
    snprintf(half, sizeof half, RUN "/%s", f.store.previous);
    assert_int_equal(rename(in(*state, half), in(*state, "gone")), 0);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
}

static void what_goes_with_the_boot_is_known_by_its_path(void **state)
{
    (void)state;
    assert_true(es_path_is_volatile("/run/demo/x"));
    assert_true(es_path_is_volatile("//run/x"));
    assert_true(es_path_is_volatile("/var/run/x"));
    assert_false(es_path_is_volatile("/runner/x"));
    assert_false(es_path_is_volatile("/run"));
    assert_false(es_path_is_volatile("/etc/run/x"));
    assert_false(es_path_is_volatile("/var/lib/x"));
}

static void who_may_not_keep_state_is_told_what_to_do(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    failing_be(geteuid() == 0 ? STRANGER : geteuid());
    failing_begin("openat", 1, EACCES);
    assert_int_equal(try_open(&f, true, true), -EACCES);
    failing_end();
    failing_be((uid_t)-1);
    assert_int_equal(f.err.class, ES_DENIED);
    assert_non_null(strstr(f.err.msg, "only root may keep state there; run as root"));
}

static void what_nobody_could_read_again_is_not_committed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    size_t len = 65U << 20;

    commit(&f, "one", true);
    begin(&f, "two", true);
    fill(&f, &m, true);
    assert_int_equal(es_buf_reserve(&m.configured, len), 0);
    memset(m.configured.data, 'x', len);
    m.configured.len = len;
    assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), -EFBIG);
    assert_int_equal(f.err.class, ES_INVALID);
    reopen(&f);
    assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
}

static void without_a_machine_id_all_machines_are_one(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

    failing_begin("open", 1, ENOENT);
    assert_int_equal(es_manifest_bind(&m, &f.config, &f.err), 0);
    assert_non_null(failing_end());
    assert_int_equal(m.machine_id.len, 0);
    assert_true(m.boot_id.len > 0);
}

static void a_set_of_another_machine_is_not_gone_back_to(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit_with(&f, "one", true, "another", NULL);
    commit(&f, "two", true);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
    commit(&f, "three", true);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 1);
}

static void who_looks_after_a_reboot_finds_no_run_half(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    commit_with(&f, "one", false, NULL, "earlier");
    assert_int_equal(nftw(in(*state, "run"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(try_open(&f, false, false), 0);
    assert_true(f.store.usable && f.store.run_lost);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_RUN, "source-0", &text, NULL, &f.err),
        -ENOENT);
}

static void a_held_set_that_a_boot_took_is_nothing_to_keep_to(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit_with(&f, "one", false, NULL, "earlier");
    assert_int_equal(es_store_point(&f.store, f.store.current, "", true, &f.err), 0);
    reopen(&f);
    assert_int_equal(es_store_check_hold(&f.store, "demo", &f.err), 0);
    lose_run_half(&f);
    reopen(&f);
    assert_int_equal(es_store_check_hold(&f.store, "demo", &f.err), -ENODATA);
    assert_int_equal(f.err.class, ES_ABSENT);
    assert_non_null(strstr(f.err.msg, "gone from /run/envsync; `envsync sync --release`"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(only_a_previous_set_that_is_whole_can_be_gone_back_to),
        test_in_dir(a_set_that_current_names_is_not_removed_because_its_fsync_failed),
        test_in_dir(a_set_that_current_does_not_name_yet_goes_whichever_fsync_failed),
        test_in_dir(both_halves_are_made_for_root_alone),
        test_in_dir(who_only_looks_makes_nothing),
        test_in_dir(without_need_of_the_disk_its_half_is_not_made),
        test_in_dir(a_committed_set_is_the_present_one_for_the_next_run),
        test_in_dir(the_names_of_sets_are_random),
        test_in_dir(what_was_written_in_one_half_is_not_in_the_other),
        test_in_dir(a_file_has_the_time_that_it_is_given),
        test_in_dir(touching_moves_the_last_success_and_no_byte),
        test_in_dir(pointing_back_and_holding_is_kept),
        test_in_dir(a_new_set_ends_the_hold),
        test_in_dir(an_abandoned_set_leaves_nothing),
        test_in_dir(sweeping_leaves_the_present_and_the_previous_set_alone),
        test_in_dir(a_set_may_leave_the_way_back_as_it_is_or_cut_it),
        cmocka_unit_test(what_goes_with_the_boot_is_known_by_its_path),
        test_in_dir(who_may_not_keep_state_is_told_what_to_do),
        test_in_dir(what_nobody_could_read_again_is_not_committed),
        test_in_dir(without_a_machine_id_all_machines_are_one),
        test_in_dir(a_set_of_another_machine_is_not_gone_back_to),
        test_in_dir(who_looks_after_a_reboot_finds_no_run_half),
        test_in_dir(a_held_set_that_a_boot_took_is_nothing_to_keep_to),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
