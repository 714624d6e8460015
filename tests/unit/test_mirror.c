/* core/mirror.c: mirrored files as they come, from the worker's frames to what is staged. */
#include "core/lock.h"
#include "envsync/limits.h"
#include "failing.h"
#include "mirror_case.h"

static void an_empty_file_is_a_file(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    assert_int_equal(mirror_one(&f, "empty", ""), ES_FILE_CREATE);
    assert_file(in(*state, HELD "empty"), "");
    assert_int_equal(mirror_one(&f, "empty", ""), ES_FILE_SAME);
}

static void more_than_the_listing_announced_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    static const char block[65536];

    begin_run(&f, false);
    assert_int_equal(begin(&f, 1, "a"), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(es_mirror_data(&f.mirror, 0, 1, block, sizeof block, &f.err), 0);
    assert_int_equal(data(&f, 1, "x"), -EBADMSG);
}

static void the_same_bytes_keep_the_inode(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    ino_t inode;

    assert_int_equal(mirror_one(&f, "a", "text"), ES_FILE_CREATE);
    inode = stat_of(&f, HELD "a").st_ino;
    assert_int_equal(mirror_one(&f, "a", "text"), ES_FILE_SAME);
    assert_int_equal(f.set.files[0].temp.len, 0);
    assert_int_equal(stat_of(&f, HELD "a").st_ino, inode);
    assert_int_equal(entries(*state, HELD), 1);
}

static void other_bytes_replace_the_file(void **state)
{
    static const char *const texts[] = {"longer text", "lon", "lOn", "", "x"};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "text");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(mirror_one(&f, "a", texts[i]), ES_FILE_UPDATE);
        assert_file(in(*state, HELD "a"), texts[i]);
        assert_int_equal(entries(*state, HELD), 1);
    }
}

static void a_file_with_a_second_name_is_replaced(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "text");
    assert_int_equal(link(in(*state, HELD "a"), in(*state, "second")), 0);
    assert_int_equal(mirror_one(&f, "a", "text"), ES_FILE_UPDATE);
    assert_int_equal(stat_of(&f, HELD "a").st_nlink, 1);
}

static void what_is_not_handed_over_is_removed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    begin_run(&f, false);
    give_file(&f, "whole", "text");
    assert_int_equal(begin(&f, 2, "half"), 0);
    assert_int_equal(data(&f, 2, "te"), 0);
    assert_int_equal(entries(*state, HELD), 2);
    es_mirror_done(&f.mirror);
    assert_int_equal(entries(*state, HELD), 0);
}

static void what_a_source_gave_can_be_forgotten(void **state)
{
    ES_CLEANUP(fixture_done)
    struct fixture f = fixture(state, TOP MIRROR MIRROR);

    begin_run(&f, false);
    give_file(&f, "whole", "text");
    assert_int_equal(begin(&f, 2, "half"), 0);
    es_mirror_forget(&f.mirror, 1);
    assert_int_equal(f.mirror.n_files, 1);
    assert_int_equal(entries(*state, HELD), 2);
    es_mirror_forget(&f.mirror, 0);
    assert_int_equal(f.mirror.n_files + f.mirror.n_results, 0);
    assert_int_equal(entries(*state, HELD), 0);
    assert_int_equal(data(&f, 2, "x"), -EBADMSG);
}

static void a_dropped_file_may_be_begun_again(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    begin_run(&f, false);
    assert_int_equal(begin(&f, 1, "a"), 0);
    assert_int_equal(data(&f, 1, "wrong"), 0);
    assert_int_equal(es_mirror_drop(&f.mirror, 0, 1, &f.err), 0);
    assert_int_equal(entries(*state, HELD), 0);
    assert_int_equal(es_mirror_drop(&f.mirror, 0, 1, &f.err), -EBADMSG);
    give_file(&f, "a", "right");
    take_set(&f);
    publish(&f);
    assert_file(in(*state, HELD "a"), "right");
}

/* On the way to the first file directories are made: what a kill leaves of these is looked for only
 * where the lock says so. */
static void the_lock_is_marked_before_anything_is_made(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    ES_CLEANUP(es_close) int lock = -1;

    lock = open(in(*state, "lock"), O_RDWR | O_CREAT, 0600);
    es_lock_set_clean(lock);
    assert_true(es_lock_is_clean(lock));
    begin_run(&f, false);
    f.mirror.lock = &lock;
    assert_int_equal(mkdir(in(*state, "etc"), 0755), 0);
    assert_int_equal(mkdir(in(*state, "etc/demo"), 0755), 0);
    put_bytes(in(*state, "etc/demo/m"), "no directory", 12, 0640);
    assert_int_equal(begin(&f, 1, "deep/a"), -ENOTDIR);
    assert_false(es_lock_is_clean(lock));
}

static void staged_names_tell_whose_they_are(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    begin_run(&f, false);
    give_file(&f, "a", "one");
    assert_true(es_temp_has_tag(es_buf_str(&f.mirror.files[0].temp), es_temp_tag("demo").text));
    assert_false(es_temp_has_tag(es_buf_str(&f.mirror.files[0].temp), es_temp_tag("demo-2").text));
}

static void the_place_of_an_output_is_refused(void **state)
{
    ES_CLEANUP(fixture_done)
    struct fixture f =
        fixture(state, TOP MIRROR "[[output]]\npath = \"/etc/demo/m/out\"\nformat = \"env\"\n");

    begin_run(&f, false);
    assert_int_equal(begin(&f, 1, "out"), -EEXIST);
    assert_int_equal(f.err.class, ES_INVALID);
    assert_non_null(strstr(f.err.msg, "/etc/demo/m/out"));
}

static void a_path_that_could_lead_elsewhere_is_refused(void **state)
{
    static const char *const paths[] = {"",
                                        ".",
                                        "..",
                                        "/",
                                        "/etc/passwd",
                                        "../x",
                                        "a/../b",
                                        "a/./b",
                                        "a//b",
                                        "a/",
                                        "./a",
                                        ".a.envsync-abcdefghijk",
                                        "a/.b.envsync-x"};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    char longest[2000];

    begin_run(&f, false);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(begin(&f, 1, paths[i]), -EINVAL);
        assert_int_equal(f.err.class, ES_INVALID);
    }
    assert_int_equal(begin_bytes(&f, 1, "a\0b", 3), -EINVAL);
    memset(longest, 'x', sizeof longest);
    assert_int_equal(begin_bytes(&f, 1, longest, 256), -EINVAL);
    for (size_t i = 1; i < sizeof longest; i += 2)
        longest[i] = '/';
    assert_int_equal(begin_bytes(&f, 1, longest, 1025), -EINVAL);
    assert_false(exists(in(*state, "etc")));
}

static void assert_bad_frame(struct fixture *f, int r)
{
    assert_int_equal(r, -EBADMSG);
    assert_int_equal(f->err.class, ES_INTERNAL);
}

static void frames_that_cannot_be_are_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP SOURCE MIRROR);
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    struct es_kept_object object = {.size = 1 << 20};
    static char big[ES_MAX_FILE_DATA + 1];

    begin_run(&f, false);
    assert_int_equal(es_buf_puts(&path, "a"), 0);
    assert_bad_frame(&f, es_mirror_begin(&f.mirror, 0, 1, &path, &object, &f.err));
    assert_int_equal(es_mirror_begin(&f.mirror, 1, 1, &path, &object, &f.err), 0);
    assert_bad_frame(&f, es_mirror_begin(&f.mirror, 1, 1, &path, &object, &f.err));
    assert_bad_frame(&f, es_mirror_data(&f.mirror, 1, 2, "x", 1, &f.err));
    assert_bad_frame(&f, es_mirror_data(&f.mirror, 0, 1, "x", 1, &f.err));
    assert_bad_frame(&f, es_mirror_data(&f.mirror, 1, 1, big, sizeof big, &f.err));
    assert_int_equal(es_mirror_data(&f.mirror, 1, 1, big, sizeof big - 1, &f.err), 0);
    assert_bad_frame(&f, es_mirror_end(&f.mirror, 1, 2, &f.err));
    assert_int_equal(es_mirror_end(&f.mirror, 1, 1, &f.err), 0);
    assert_bad_frame(&f, es_mirror_end(&f.mirror, 1, 1, &f.err));
    assert_bad_frame(&f, es_mirror_data(&f.mirror, 1, 1, "x", 1, &f.err));
}

static void only_so_many_files_are_under_way_at_once(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);
    char path[16];

    begin_run(&f, true);
    for (uint32_t i = 0; i < ES_MAX_OPEN_FILES; i++) {
        snprintf(path, sizeof path, "f%u", i);
        assert_int_equal(begin(&f, i, path), 0);
    }
    assert_bad_frame(&f, begin(&f, ES_MAX_OPEN_FILES, "more"));
    assert_int_equal(end(&f, 7), 0);
    assert_int_equal(begin(&f, ES_MAX_OPEN_FILES, "more"), 0);
}

static void what_is_no_file_in_the_place_is_told_and_stays(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "text");
    assert_int_equal(symlink("/etc/passwd", in(*state, HELD "b")), 0);
    begin_run(&f, false);
    assert_int_equal(begin(&f, 1, "b"), -EEXIST);
    assert_int_equal(f.err.class, ES_OUTPUT);
    assert_true(S_ISLNK(stat_of(&f, HELD "b").st_mode));
    assert_int_equal(begin(&f, 2, "a/below"), -ENOTDIR);
    es_mirror_done(&f.mirror);
    assert_int_equal(entries(*state, HELD), 2);
}

static enum es_file_state look(struct fixture *f, const char *path, const char *text)
{
    begin_run(f, true);
    give_file(f, path, text);
    return f->mirror.results[0].state;
}

static void a_dry_run_compares_and_writes_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    assert_int_equal(look(&f, "a", "text"), ES_FILE_CREATE);
    assert_false(exists(in(*state, "etc")));
    mirror_one(&f, "a", "text");
    put_file(in(*state, HELD ".a.envsync-abcdefghijk"), "left");
    assert_int_equal(look(&f, "a", "text"), ES_FILE_SAME);
    assert_int_equal(look(&f, "a", "tex"), ES_FILE_UPDATE);
    assert_int_equal(chmod(in(*state, HELD "a"), 0600), 0);
    assert_int_equal(look(&f, "a", "text"), ES_FILE_REPAIR);
    assert_int_equal(entries(*state, HELD), 2);
    assert_int_equal(stat_of(&f, HELD "a").st_mode & 07777, 0600);
}

static void remove_old(void *data)
{
    assert_int_equal(unlink(in(data, HELD "b")), 0);
}

static void an_old_file_that_goes_in_between_is_a_new_one(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "b", "one");
    begin_run(&f, false);
    give_file(&f, "a", "one"); /* the way is known then, and the next file the first to be opened */
    failing_hook("openat", 1, remove_old, *state);
    give_file(&f, "b", "one");
    assert_non_null(failing_end());
    assert_int_equal(f.mirror.results[1].state, ES_FILE_CREATE);
}

static void an_old_file_that_may_not_be_read_is_not_comparable_and_is_replaced(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "b", "one");
    for (int look = 0; look < 2; look++) {
        begin_run(&f, look);
        give_file(&f, "a", "one");
        failing_begin("openat", 1, EACCES);
        give_file(&f, "b", "one");
        assert_non_null(failing_end());
        assert_int_equal(f.mirror.results[1].state, look ? ES_FILE_UNKNOWN : ES_FILE_UPDATE);
    }
}

static void where_no_directory_may_be_entered_a_look_compares_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "b", "one");
    begin_run(&f, true);
    failing_begin("openat", 1, EACCES);
    give_file(&f, "b", "one");
    assert_non_null(failing_end());
    assert_int_equal(f.mirror.results[0].state, ES_FILE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(an_empty_file_is_a_file),
        test_in_dir(more_than_the_listing_announced_is_refused),
        test_in_dir(the_same_bytes_keep_the_inode),
        test_in_dir(other_bytes_replace_the_file),
        test_in_dir(a_file_with_a_second_name_is_replaced),
        test_in_dir(what_is_not_handed_over_is_removed),
        test_in_dir(what_a_source_gave_can_be_forgotten),
        test_in_dir(a_dropped_file_may_be_begun_again),
        test_in_dir(the_lock_is_marked_before_anything_is_made),
        test_in_dir(staged_names_tell_whose_they_are),
        test_in_dir(the_place_of_an_output_is_refused),
        test_in_dir(a_path_that_could_lead_elsewhere_is_refused),
        test_in_dir(frames_that_cannot_be_are_refused),
        test_in_dir(only_so_many_files_are_under_way_at_once),
        test_in_dir(what_is_no_file_in_the_place_is_told_and_stays),
        test_in_dir(a_dry_run_compares_and_writes_nothing),
        test_in_dir(an_old_file_that_goes_in_between_is_a_new_one),
        test_in_dir(an_old_file_that_may_not_be_read_is_not_comparable_and_is_replaced),
        test_in_dir(where_no_directory_may_be_entered_a_look_compares_nothing),
    };

    return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
