/* core/commit/store.c and load.c: what of a set counts on this machine and in this boot, and what
 * becomes of one that is damaged, lost or another's. */
#include "store_case.h"

static void assert_forgotten(struct fixture *f)
{
    es_report_done(&f->report);
    f->report = (struct es_report){0};
    reopen(f);
    assert_string_equal(f->store.current, "");
    assert_string_equal(f->store.previous, "");
    assert_false(f->store.usable || f->store.held);
    assert_int_equal(f->report.n, 1);
    assert_int_equal(f->report.items[0].level, ES_LEVEL_WARNING);
}

static void a_broken_pointer_counts_as_none_and_is_told(void **state)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "x",
                                        "0123456789abcdef",
                                        "0123456789abcdef -",
                                        "../../../../etc - -",
                                        "0123456789abcdeg - -",
                                        "0123456789ABCDEF - -",
                                        "0123456789abcde - -",
                                        "0123456789abcdef0 - -",
                                        "0123456789abcdef - -" /* a set that is not there */};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "x", true);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_file(in(*state, DISK "/current"), texts[i]);
        assert_forgotten(&f);
    }
    commit(&f, "y", true);
    reopen(&f);
    assert_true(f.store.usable);
}

static void a_broken_manifest_counts_as_none_and_is_told(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char path[100];

    commit(&f, "x", true);
    snprintf(path, sizeof path, DISK "/%s/manifest", f.store.current);
    put_file(in(*state, path), "envsync manifest 1\n");
    assert_forgotten(&f);
    assert_int_equal(unlink(in(*state, path)), 0);
    assert_forgotten(&f);
}

/* Flips one bit in a file of the store, or takes its last byte. */
static void damage(struct fixture *f, const char *name, size_t at, bool cut)
{
    char path[100], text[4096];
    size_t len;
    FILE *file;

    snprintf(path, sizeof path, DISK "/%s%s%s", name[0] == '/' ? "" : f->store.current,
             name[0] == '/' ? "" : "/", name);
    file = fopen(in(f->dir, path), "r");
    assert_non_null(file);
    len = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_in_range(len, 1, sizeof text - 1);
    text[at % len] ^= (char)(1 << at % 8);
    file = fopen(in(f->dir, path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, cut ? len - 1 : len, file), len - cut);
    assert_int_equal(fclose(file), 0);
}

static void assert_not_used(struct fixture *f, const char *why)
{
    es_report_done(&f->report);
    f->report = (struct es_report){0};
    reopen(f);
    assert_false(f->store.usable);
    assert_true(f->store.damaged);
    assert_int_equal(f->report.n, 1);
    assert_non_null(strstr(f->report.items[0].text, why));
}

static void a_set_with_a_damaged_output_is_not_used_and_that_is_told(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (size_t at = 0; at < 11; at++) { /* three bytes and the sum */
        commit(&f, "abc", true);
        damage(&f, "output-0", at, false);
        assert_not_used(&f, "output-0 is damaged");
        commit(&f, "abc", true);
        damage(&f, "output-0", at, true);
        assert_not_used(&f, "output-0 is damaged");
    }
    commit(&f, "abc", true);
    reopen(&f);
    assert_true(f.store.usable && !f.store.damaged);
}

static void a_set_without_one_of_its_outputs_is_not_used(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char path[100];

    commit(&f, "abc", true);
    snprintf(path, sizeof path, DISK "/%s/output-0", f.store.current);
    assert_int_equal(unlink(in(*state, path)), 0);
    assert_not_used(&f, "output-0 is missing");
}

static void what_was_never_written_so_large_is_damaged(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char path[100];

    commit(&f, "abc", true);
    snprintf(path, sizeof path, DISK "/%s/output-0", f.store.current);
    assert_int_equal(truncate(in(*state, path), 1 << 30), 0);
    assert_not_used(&f, "output-0 is damaged");
}

static void any_bit_of_the_manifest_and_of_the_pointer_counts(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (size_t at = 0; at < 200; at++) {
        commit(&f, "abc", true);
        damage(&f, at % 2 ? "manifest" : "/current", at / 2, false);
        assert_not_used(&f, "cannot be read");
    }
}

static void damaged_records_are_told_from_whole_ones_and_the_outputs_still_count(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    commit(&f, "abc", true);
    damage(&f, "source-0", 1, false);
    reopen(&f);
    assert_true(f.store.usable);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, NULL, &f.err),
        -EBADMSG);
    assert_int_equal(text.len, 0);
}

static void a_file_of_another_set_or_name_is_damage(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char from[100], to[100], path[PATH_MAX];

    commit(&f, "abc", true);
    snprintf(from, sizeof from, DISK "/%s/source-0", f.store.current);
    snprintf(to, sizeof to, DISK "/%s/output-0", f.store.current);
    snprintf(path, sizeof path, "%s", in(*state, from));
    assert_int_equal(rename(path, in(*state, to)), 0);
    assert_not_used(&f, "output-0 is damaged");
}

static void a_damaged_set_that_is_held_stays_held(void **state)
{
    static const char *const names[] = {"output-0", "manifest"};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (size_t i = 0; i < 2; i++) {
        char held[ES_SET_ID + 1];

        commit(&f, "one", true);
        memcpy(held, f.store.current, sizeof held);
        commit(&f, "two", true);
        assert_int_equal(es_store_point(&f.store, held, f.store.current, true, &f.err), 0);
        damage(&f, names[i], 0, false);
        assert_not_used(&f, "not used");
        assert_true(f.store.held);
        assert_string_equal(f.store.current, held);
    }
}

static void nobody_goes_back_to_a_damaged_set(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "one", true);
    damage(&f, "output-0", 0, false);
    commit(&f, "two", true);
    reopen(&f);
    assert_true(f.store.usable);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
    commit(&f, "three", true);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 1);
}

static void a_pointer_that_is_no_file_is_an_error(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    assert_int_equal(symlink("/etc/passwd", in(*state, DISK "/current")), 0);
    assert_int_equal(try_open(&f, true, true), -EINVAL);
    assert_int_equal(f.err.class, ES_OUTPUT);
    assert_int_equal(unlink(in(*state, DISK "/current")), 0);
    assert_int_equal(mkfifo(in(*state, DISK "/current"), 0600), 0);
    assert_int_equal(try_open(&f, true, true), -EINVAL);
}

static void the_state_of_another_configuration_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "x", true);
    free(f.config.file);
    f.config.file = strdup("/etc/envsync/other.toml");
    assert_int_equal(try_open(&f, true, true), -EEXIST);
    assert_int_equal(f.err.class, ES_CONFIG);
    assert_non_null(strstr(f.err.msg, "/c.toml"));
    assert_non_null(strstr(f.err.msg, "other.toml"));
}

static void a_set_of_another_machine_is_not_built_upon(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit_with(&f, "x", true, "ffffffffffffffffffffffffffffffff", NULL);
    reopen(&f);
    assert_false(f.store.usable);
    assert_true(f.store.foreign);
    assert_int_equal(f.report.n, 0);
    /* Nor does the hold of whoever went back there. */
    assert_int_equal(es_store_point(&f.store, f.store.current, "", true, &f.err), 0);
    reopen(&f);
    assert_true(f.store.foreign);
    assert_false(f.store.held);
}

static void a_run_half_that_went_with_another_boot_is_no_surprise(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit_with(&f, "x", false, NULL, "an earlier boot");
    lose_run_half(&f);
    reopen(&f);
    assert_true(f.store.usable && f.store.run_lost);
    assert_int_equal(f.report.n, 0);
}

static void outputs_that_went_with_a_boot_are_known_from_those_on_disk(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (int on_disk = 0; on_disk < 2; on_disk++) {
        commit_with(&f, "x", on_disk, NULL, "an earlier boot");
        f.store.run_lost = true;
        assert_int_equal(es_store_outputs_lost(&f.store), !on_disk);
    }
    f.store.run_lost = false;
    assert_false(es_store_outputs_lost(&f.store));
}

static void a_run_half_that_went_in_this_boot_makes_the_set_useless_and_is_told(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "x", false);
    lose_run_half(&f);
    reopen(&f);
    assert_true(!f.store.usable && f.store.run_lost);
    assert_int_equal(f.report.n, 1);
    assert_int_equal(f.report.items[0].level, ES_LEVEL_WARNING);
}

static void a_set_that_is_all_on_disk_misses_no_run_half(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "x", true);
    lose_run_half(&f);
    reopen(&f);
    assert_true(f.store.usable && !f.store.run_lost);
}

static void a_state_directory_that_others_can_write_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    assert_int_equal(chmod(in(*state, DISK), 0777), 0);
    assert_true(try_open(&f, true, true) < 0);
    assert_int_equal(f.err.class, ES_DENIED);
    assert_int_equal(strncmp(f.err.msg, "state: ", 7), 0);
}

static void a_manifest_of_another_version_counts_as_none(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "one", true);
    strcpy(f.store.begun, f.store.current);
    assert_int_equal(es_store_write(&f.store, ES_HALF_DISK, "manifest", "x", 1, 0, &f.err), 0);
    reopen(&f);
    assert_forgotten(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(outputs_that_went_with_a_boot_are_known_from_those_on_disk),
        test_in_dir(a_broken_pointer_counts_as_none_and_is_told),
        test_in_dir(a_broken_manifest_counts_as_none_and_is_told),
        test_in_dir(a_set_with_a_damaged_output_is_not_used_and_that_is_told),
        test_in_dir(a_set_without_one_of_its_outputs_is_not_used),
        test_in_dir(what_was_never_written_so_large_is_damaged),
        test_in_dir(any_bit_of_the_manifest_and_of_the_pointer_counts),
        test_in_dir(damaged_records_are_told_from_whole_ones_and_the_outputs_still_count),
        test_in_dir(a_file_of_another_set_or_name_is_damage),
        test_in_dir(a_damaged_set_that_is_held_stays_held),
        test_in_dir(nobody_goes_back_to_a_damaged_set),
        test_in_dir(a_pointer_that_is_no_file_is_an_error),
        test_in_dir(the_state_of_another_configuration_is_refused),
        test_in_dir(a_set_of_another_machine_is_not_built_upon),
        test_in_dir(a_run_half_that_went_with_another_boot_is_no_surprise),
        test_in_dir(a_run_half_that_went_in_this_boot_makes_the_set_useless_and_is_told),
        test_in_dir(a_set_that_is_all_on_disk_misses_no_run_half),
        test_in_dir(a_state_directory_that_others_can_write_is_refused),
        test_in_dir(a_manifest_of_another_version_counts_as_none),
    };

    return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
