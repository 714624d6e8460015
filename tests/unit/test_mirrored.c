/* core/mirrored.c: files that a set names, put in their places, known again, swept and pruned. */
#include "failing.h"
#include "mirror_case.h"

static void a_file_is_published_whole_and_only_then(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    struct stat st;

    begin_run(&f, false);
    give_file(&f, "sub/a.pem", "text");
    take_set(&f);
    assert_false(exists(in(*state, HELD "sub/a.pem")));
    assert_int_equal(entries(*state, HELD "sub"), 1);
    publish(&f);
    assert_file(in(*state, HELD "sub/a.pem"), "text");
    assert_int_equal(entries(*state, HELD "sub"), 1);
    st = stat_of(&f, HELD "sub/a.pem");
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_mtim.tv_sec, 1600000000);
    assert_int_equal(st.st_mtim.tv_nsec, 123000000);
    assert_int_equal(stat_of(&f, HELD "sub").st_mode & 07777, 0750);
    publish(&f); /* a second time is fine */
    assert_file(in(*state, HELD "sub/a.pem"), "text");
}

static void a_wrong_mode_is_repaired_in_place(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    ino_t inode;

    mirror_one(&f, "a", "text");
    inode = stat_of(&f, HELD "a").st_ino;
    assert_int_equal(chmod(in(*state, HELD "a"), 0666), 0);
    assert_int_equal(mirror_one(&f, "a", "text"), ES_FILE_REPAIR);
    assert_int_equal(stat_of(&f, HELD "a").st_mode & 07777, 0640);
    assert_int_equal(stat_of(&f, HELD "a").st_ino, inode);
    assert_int_equal(f.report.n, 1);
}

/* The app could write into a directory of its own: what lies under the staged name must be ours. */
static void a_planted_file_of_another_inode_is_not_published(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    char temp[200], aside[200];

    mirror_one(&f, "a", "old");
    begin_run(&f, false);
    give_file(&f, "a", "new");
    take_set(&f);
    snprintf(temp, sizeof temp, HELD "%s", es_buf_str(&f.set.files[0].temp));
    snprintf(aside, sizeof aside, "%s/aside", f.dir->path);
    assert_int_equal(rename(in(*state, temp), aside), 0);
    put_bytes(in(*state, temp), "bad", 3, 0640);
    publish(&f);
    assert_ptr_equal(f.publishing.missing, &f.set.files[0]);
    assert_file(in(*state, HELD "a"), "old");
    assert_int_equal(unlink(in(*state, temp)), 0);
    assert_int_equal(symlink(aside, in(*state, temp)), 0);
    publish(&f);
    assert_file(in(*state, HELD "a"), "old");
}

static void a_staged_file_that_was_changed_is_not_published(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    char temp[200];

    begin_run(&f, false);
    give_file(&f, "a", "new");
    take_set(&f);
    snprintf(temp, sizeof temp, HELD "%s", es_buf_str(&f.set.files[0].temp));
    put_bytes(in(*state, temp), "bad", 3, 0640);
    publish(&f);
    assert_false(exists(in(*state, HELD "a")));
}

/* What is staged must not get lost in silence: neither here nor where it was put in its place. */
static void a_file_that_is_neither_staged_nor_in_its_place_is_missing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    char temp[200];

    begin_run(&f, false);
    give_file(&f, "a", "one");
    give_file(&f, "b", "two");
    take_set(&f);
    snprintf(temp, sizeof temp, HELD "%s", es_buf_str(&f.set.files[1].temp));
    assert_int_equal(unlink(in(*state, temp)), 0);
    publish(&f);
    assert_ptr_equal(f.publishing.missing, &f.set.files[1]);
    assert_file(in(*state, HELD "a"), "one");
    put_bytes(in(*state, HELD "b"), "two", 3, 0640);
    publish(&f);
    assert_non_null(f.publishing.missing); /* the same bytes, but who knows */
    mirror_one(&f, "b", "two");
    assert_null(f.publishing.missing);
}

static void the_commit_is_durable_before_anything_is_put_in_its_place(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    struct es_publishing publishing = {.state = open("/dev/null", O_RDONLY)};

    begin_run(&f, false);
    give_file(&f, "a", "one");
    take_set(&f);
    assert_true(
        es_mirrored_publish(&f.config, f.dir->path, &f.set, &publishing, &f.report, &f.err) < 0);
    assert_false(exists(in(*state, HELD "a")));
    close(publishing.state);
    publish(&f);
    publishing = (struct es_publishing){.state = open("/dev/null", O_RDONLY)};
    assert_int_equal(
        es_mirrored_publish(&f.config, f.dir->path, &f.set, &publishing, &f.report, &f.err),
        0); /* nothing to put there: nothing to sync */
    close(publishing.state);
}

/* What cannot be synced, removed or walked to in one directory is no other's fault. */
static void a_directory_that_does_not_sync_is_named_and_the_next_one_gets_its_files(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    for (unsigned i = 1; i <= 2; i++) {
        begin_run(&f, false);
        give_file(&f, "one/a", i == 1 ? "one" : "two");
        give_file(&f, "other/b", i == 1 ? "one" : "two");
        take_set(&f);
        f.publishing = (struct es_publishing){.state = -1};
        failing_begin("fsync", i, EIO);
        assert_int_equal(
            es_mirrored_publish(&f.config, f.dir->path, &f.set, &f.publishing, &f.report, &f.err),
            -EIO);
        assert_non_null(failing_end());
        assert_non_null(strstr(f.err.msg, i == 1 ? "/etc/demo/m/one/a: fsync of its directory"
                                                 : "/etc/demo/m/other/b: fsync of its directory"));
        assert_file(in(*state, HELD "one/a"), i == 1 ? "one" : "two");
        assert_file(in(*state, HELD "other/b"), i == 1 ? "one" : "two");
    }
}

/* The present set must be the one that has not got the file any more. */
static void the_commit_is_durable_before_anything_is_pruned(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR "prune = true\n");
    struct es_publishing publishing = {.state = open("/dev/null", O_RDONLY)};

    mirror_one(&f, "a", "one");
    f.set.files[0].gone = true;
    assert_int_equal(es_put_value(&f.set.sources[0].configured, &f.config.sources[0].where), 0);
    assert_int_equal(
        es_mirrored_publish(&f.config, f.dir->path, &f.set, &publishing, &f.report, &f.err),
        -ENOTDIR);
    close(publishing.state);
    assert_file(in(*state, HELD "a"), "one");
    publish(&f);
    assert_false(exists(in(*state, HELD "a")));
}

static void what_a_killed_run_has_staged_is_swept_wherever_it_lies(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    const struct es_temp_tag tag = es_temp_tag("demo"), other = es_temp_tag("demo-2");
    char left[4][100];

    mirror_one(&f, "deep/er/a", "one");
    snprintf(left[0], sizeof left[0], HELD ".x.envsync-%sabcdefg", tag.text);
    snprintf(left[1], sizeof left[1], HELD "deep/er/.y.envsync-%sabcdefg", tag.text);
    snprintf(left[2], sizeof left[2], HELD "deep/.y.envsync-%sabcdefg", other.text);
    snprintf(left[3], sizeof left[3], HELD "deep/.new.envsync-new");
    for (size_t i = 0; i < 3; i++)
        put_bytes(in(*state, left[i]), "left", 4, 0600);
    assert_int_equal(mkdir(in(*state, left[3]), 0700), 0);
    es_mirrored_sweep(&f.config, &f.set, f.dir->path);
    assert_false(exists(in(*state, left[0])) || exists(in(*state, left[1])));
    assert_true(exists(in(*state, left[2]))); /* another configuration's */
    assert_false(exists(in(*state, left[3])));
    assert_file(in(*state, HELD "deep/er/a"), "one");
}

static void what_a_killed_run_has_staged_is_swept_where_only_the_last_set_has_files(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    const struct es_temp_tag tag = es_temp_tag("demo");
    char dir[] = "/etc/demo/elsewhere", left[100];

    mirror_one(&f, "deep/a", "one");
    snprintf(left, sizeof left, HELD "deep/.a.envsync-%sabcdefg", tag.text);
    put_bytes(in(*state, left), "left", 4, 0600);
    f.config.sources[0].mirror.dir = dir;
    es_mirrored_sweep(&f.config, &f.set, f.dir->path);
    assert_false(exists(in(*state, left)));
    assert_file(in(*state, HELD "deep/a"), "one");
}

static void a_directory_that_a_killed_run_was_about_to_make_is_swept(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "one");
    assert_int_equal(unlink(in(*state, HELD "a")), 0);
    assert_int_equal(rmdir(in(*state, "etc/demo/m")), 0);
    assert_int_equal(mkdir(in(*state, "etc/demo/.m.envsync-new"), 0700), 0);
    es_mirrored_sweep(&f.config, &f.set, f.dir->path);
    assert_int_equal(entries(*state, "etc/demo"), 0);
}

/* As the next run marks what the bucket no longer has. */
static void prune_run(struct fixture *f)
{
    f->set.files[0].gone = true;
    es_buf_done(&f->set.sources[0].configured);
    assert_int_equal(es_put_value(&f->set.sources[0].configured, &f->config.sources[0].where), 0);
    publish(f);
}

static void pruning_removes_only_what_is_still_as_it_was_written(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR "prune = true\n");

    mirror_one(&f, "a", "text");
    put_file(in(*state, HELD "b"), "another's");
    prune_run(&f);
    assert_false(exists(in(*state, HELD "a")));
    mirror_one(&f, "a", "text");
    put_bytes(in(*state, HELD "a"), "edited", 6, 0640);
    prune_run(&f);
    assert_file(in(*state, HELD "a"), "edited");
    assert_file(in(*state, HELD "b"), "another's");
}

static void without_prune_nothing_is_removed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "text");
    prune_run(&f);
    assert_file(in(*state, HELD "a"), "text");
}

static void what_the_configuration_no_longer_names_is_left_alone(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR "prune = true\n");

    mirror_one(&f, "a", "text");
    assert_int_equal(es_buf_set(&f.set.sources[0].name, "old", 3), 0);
    assert_int_equal(chmod(in(*state, HELD "a"), 0600), 0);
    prune_run(&f);
    assert_file(in(*state, HELD "a"), "text");
    assert_int_equal(stat_of(&f, HELD "a").st_mode & 07777, 0600);
}

static bool holds(struct fixture *f, int64_t published_ms)
{
    ES_CLEANUP(es_mirrored_way_done)
    struct es_mirrored_way way = ES_MIRRORED_WAY(&f->config, f->dir->path);
    int64_t changed_ms;

    return es_mirrored_holds(&way, 0, &f->set.files[0], &changed_ms, &f->err) > 0 &&
           changed_ms <= published_ms;
}

static void a_file_is_held_while_nobody_has_changed_it(void **state)
{
    static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                             {.tv_sec = 1600000000, .tv_nsec = 123000000}};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "text");
    assert_true(holds(&f, INT64_MAX));
    assert_false(holds(&f, 1000)); /* published long before its inode was last changed */
    put_bytes(in(*state, HELD "a"), "TEXT", 4, 0640);
    assert_false(holds(&f, INT64_MAX));
    assert_int_equal(utimensat(AT_FDCWD, in(*state, HELD "a"), times, 0), 0);
    assert_true(holds(&f, INT64_MAX)); /* forged: only the inode's own time tells */
    assert_int_equal(unlink(in(*state, HELD "a")), 0);
    assert_false(holds(&f, INT64_MAX));
}

static void one_that_is_known_is_taken_over_as_it_is(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {.size = 4};
    struct stat before;

    mirror_one(&f, "a", "text");
    before = stat_of(&f, HELD "a");
    begin_run(&f, false);
    assert_int_equal(es_mirror_same(&f.mirror, &f.set.files[0], 0, &object, &f.err), 0);
    assert_int_equal(f.mirror.results[0].state, ES_FILE_SAME);
    take_set(&f);
    publish(&f);
    assert_int_equal(stat_of(&f, HELD "a").st_ino, before.st_ino);
    assert_int_equal(stat_of(&f, HELD "a").st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

static void what_is_no_file_in_the_place_is_not_replaced(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    begin_run(&f, false);
    give_file(&f, "a", "one");
    take_set(&f);
    assert_int_equal(mkdir(in(*state, HELD "a"), 0755), 0);
    f.publishing = (struct es_publishing){.state = -1};
    assert_int_equal(
        es_mirrored_publish(&f.config, f.dir->path, &f.set, &f.publishing, &f.report, &f.err),
        -EEXIST);
    assert_non_null(strstr(f.err.msg, "/etc/demo/m/a: a directory is in its place"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_file_is_published_whole_and_only_then),
        test_in_dir(a_wrong_mode_is_repaired_in_place),
        test_in_dir(a_planted_file_of_another_inode_is_not_published),
        test_in_dir(a_staged_file_that_was_changed_is_not_published),
        test_in_dir(a_file_that_is_neither_staged_nor_in_its_place_is_missing),
        test_in_dir(the_commit_is_durable_before_anything_is_put_in_its_place),
        test_in_dir(a_directory_that_does_not_sync_is_named_and_the_next_one_gets_its_files),
        test_in_dir(the_commit_is_durable_before_anything_is_pruned),
        test_in_dir(what_a_killed_run_has_staged_is_swept_wherever_it_lies),
        test_in_dir(what_a_killed_run_has_staged_is_swept_where_only_the_last_set_has_files),
        test_in_dir(a_directory_that_a_killed_run_was_about_to_make_is_swept),
        test_in_dir(pruning_removes_only_what_is_still_as_it_was_written),
        test_in_dir(without_prune_nothing_is_removed),
        test_in_dir(what_the_configuration_no_longer_names_is_left_alone),
        test_in_dir(a_file_is_held_while_nobody_has_changed_it),
        test_in_dir(one_that_is_known_is_taken_over_as_it_is),
        test_in_dir(what_is_no_file_in_the_place_is_not_replaced),
    };

    return cmocka_run_group_tests_name("mirrored", tests, NULL, NULL);
}
