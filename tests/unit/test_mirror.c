/* core/mirror.c: mirrored files, from the worker's frames to their places. */
#include "core_case.h"

#include "core/lock.h"
#include "core/mirror.h"
#include "core/mirrored.h"
#include "envsync/limits.h"

#include <dirent.h>

#define MIRROR                                                                                     \
    "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmirror = [\"**\"]\ndir = \"/etc/demo/m\"\n"
#define HELD "etc/demo/m/" /* below --root */

/* A run that mirrors, and the set that came of it. */
struct fixture {
    struct dir *dir;
    struct es_config config;
    struct es_mirror mirror;
    struct es_manifest set;
    struct es_report report;
    struct es_publishing publishing;
    struct es_err err;
};

static void begin_run(struct fixture *f, bool look)
{
    es_mirror_done(&f->mirror);
    f->mirror = (struct es_mirror){.config = &f->config, .root = f->dir->path, .look = look};
}

static struct fixture fixture(void **state, const char *text)
{
    struct fixture f = {.dir = *state};

    load_config(*state, text, &f.config);
    return f;
}

static void fixture_done(struct fixture *f)
{
    es_mirror_done(&f->mirror);
    es_manifest_done(&f->set);
    es_config_done(&f->config);
    es_report_done(&f->report);
}

static int begin_bytes(struct fixture *f, uint32_t id, const char *path, size_t len)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_kept_object_done)
    struct es_kept_object object = {.size = 1 << 20, .modified_ms = 1600000000123};

    f->err = (struct es_err){.msg = "nothing"};
    assert_int_equal(es_buf_set(&text, path, len), 0);
    assert_int_equal(es_buf_set(&object.name, path, len), 0);
    return es_mirror_begin(&f->mirror, 0, id, &text, &object, &f->err);
}

static int begin(struct fixture *f, uint32_t id, const char *path)
{
    return begin_bytes(f, id, path, strlen(path));
}

static int data(struct fixture *f, uint32_t id, const char *text)
{
    return es_mirror_data(&f->mirror, 0, id, text, strlen(text), &f->err);
}

static int end(struct fixture *f, uint32_t id)
{
    return es_mirror_end(&f->mirror, 0, id, &f->err);
}

/* One whole file, in two pieces. */
static void give_file(struct fixture *f, const char *path, const char *text)
{
    char first[2] = {text[0], '\0'};

    if (begin(f, 1, path) < 0 || data(f, 1, first) < 0 || data(f, 1, text + strlen(first)) < 0 ||
        end(f, 1) < 0)
        fail_msg("%s", f->err.msg);
}

/* What the run has staged becomes the set. */
static void take_set(struct fixture *f)
{
    es_manifest_done(&f->set);
    f->set.sources = calloc(2, sizeof *f->set.sources);
    assert_non_null(f->set.sources);
    f->set.n_sources = 1;
    assert_int_equal(es_buf_puts(&f->set.sources[0].name, "s3"), 0);
    f->set.files = f->mirror.files;
    f->set.n_files = f->mirror.n_files;
    f->mirror.files = NULL;
    f->mirror.n_files = f->mirror.cap_files = 0;
}

static void publish(struct fixture *f)
{
    f->publishing = (struct es_publishing){.state = -1};
    if (es_mirrored_publish(&f->config, f->dir->path, &f->set, &f->publishing, &f->report,
                            &f->err) < 0)
        fail_msg("%s", f->err.msg);
}

/* A run that gives one file, from the first frame to the last rename. */
static enum es_file_state mirror_one(struct fixture *f, const char *path, const char *text)
{
    enum es_file_state is;

    begin_run(f, false);
    give_file(f, path, text);
    assert_int_equal(f->mirror.n_results, 1);
    is = f->mirror.results[0].state;
    take_set(f);
    publish(f);
    return is;
}

static size_t entries(struct dir *dir, const char *name)
{
    DIR *stream = opendir(in(dir, name));
    size_t n = 0;

    if (!stream)
        return 0;
    while (readdir(stream))
        n++;
    closedir(stream);
    return n - 2;
}

static struct stat stat_of(struct fixture *f, const char *name)
{
    struct stat st;

    assert_int_equal(lstat(in(f->dir, name), &st), 0);
    return st;
}

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
    es_mirrored_sweep(&f.config, f.dir->path);
    assert_false(exists(in(*state, left[0])) || exists(in(*state, left[1])));
    assert_true(exists(in(*state, left[2]))); /* another configuration's */
    assert_false(exists(in(*state, left[3])));
    assert_file(in(*state, HELD "deep/er/a"), "one");
}

static void a_directory_that_a_killed_run_was_about_to_make_is_swept(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state, TOP MIRROR);

    mirror_one(&f, "a", "one");
    assert_int_equal(unlink(in(*state, HELD "a")), 0);
    assert_int_equal(rmdir(in(*state, "etc/demo/m")), 0);
    assert_int_equal(mkdir(in(*state, "etc/demo/.m.envsync-new"), 0700), 0);
    es_mirrored_sweep(&f.config, f.dir->path);
    assert_int_equal(entries(*state, "etc/demo"), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_file_is_published_whole_and_only_then),
        test_in_dir(an_empty_file_is_a_file),
        test_in_dir(more_than_the_listing_announced_is_refused),
        test_in_dir(the_same_bytes_keep_the_inode),
        test_in_dir(other_bytes_replace_the_file),
        test_in_dir(a_wrong_mode_is_repaired_in_place),
        test_in_dir(a_file_with_a_second_name_is_replaced),
        test_in_dir(what_is_not_handed_over_is_removed),
        test_in_dir(what_a_source_gave_can_be_forgotten),
        test_in_dir(a_dropped_file_may_be_begun_again),
        test_in_dir(a_planted_file_of_another_inode_is_not_published),
        test_in_dir(a_staged_file_that_was_changed_is_not_published),
        test_in_dir(a_file_that_is_neither_staged_nor_in_its_place_is_missing),
        test_in_dir(the_commit_is_durable_before_anything_is_put_in_its_place),
        test_in_dir(what_a_killed_run_has_staged_is_swept_wherever_it_lies),
        test_in_dir(the_lock_is_marked_before_anything_is_made),
        test_in_dir(staged_names_tell_whose_they_are),
        test_in_dir(a_directory_that_a_killed_run_was_about_to_make_is_swept),
        test_in_dir(the_place_of_an_output_is_refused),
        test_in_dir(a_path_that_could_lead_elsewhere_is_refused),
        test_in_dir(frames_that_cannot_be_are_refused),
        test_in_dir(only_so_many_files_are_under_way_at_once),
        test_in_dir(what_is_no_file_in_the_place_is_told_and_stays),
        test_in_dir(pruning_removes_only_what_is_still_as_it_was_written),
        test_in_dir(without_prune_nothing_is_removed),
        test_in_dir(what_the_configuration_no_longer_names_is_left_alone),
        test_in_dir(a_file_is_held_while_nobody_has_changed_it),
        test_in_dir(one_that_is_known_is_taken_over_as_it_is),
        test_in_dir(a_dry_run_compares_and_writes_nothing),
    };

    return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
