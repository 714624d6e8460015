/* core/commit/replace.c: every state of a target, and every call that can fail in between. */
#include "core_case.h"
#include "failing.h"

#include "core/commit/replace.h"

/* ---- one run of envsync on one target ---- */

static struct es_wanted want(const char *text)
{
    return (struct es_wanted){
        .path = "/out", .data = text, .len = strlen(text), .owner = {geteuid(), getegid(), 0640}};
}

static int open_target(struct dir *dir, const struct es_wanted *wanted, struct es_target *ret,
                       struct es_err *err)
{
    static const uid_t app[] = {THE_APP, (uid_t)-1};
    const struct es_walk walk = {
        .root = dir->path, .check = true, .app = app, .dry = wanted->look, .missing = ES_OUTPUT};

    *err = (struct es_err){.msg = "nothing"};
    return es_target_open(&walk, wanted, ret, err);
}

static enum es_target_state state_of(struct dir *dir, const struct es_wanted *wanted)
{
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    struct es_err err;

    if (open_target(dir, wanted, &target, &err) < 0)
        fail_msg("%s", err.msg);
    return target.state;
}

static int run(struct dir *dir, const struct es_wanted *wanted, struct es_err *err)
{
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    int r = open_target(dir, wanted, &target, err);

    if (r == 0)
        r = es_target_stage(&target, err);
    return r < 0 ? r : es_target_publish(&target, err);
}

static size_t descriptors(void)
{
    struct dir self = {.path = "/proc/self/fd"};

    return entries(&self, "");
}

static void assert_is(struct dir *dir, const char *text, mode_t mode)
{
    struct stat st;

    assert_file(in(dir, "out"), text);
    assert_int_equal(lstat(in(dir, "out"), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void a_missing_file_is_created_with_its_mode_whatever_the_umask(void **state)
{
    const struct es_wanted wanted = want("new\n");
    mode_t old = umask(0777);
    struct es_err err;

    assert_int_equal(state_of(*state, &wanted), ES_TARGET_CREATE);
    assert_int_equal(run(*state, &wanted, &err), 0);
    umask(old);
    assert_is(*state, "new\n", 0640);
    assert_int_equal(entries(*state, ""), 1);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_SAME);
}

static void a_file_with_other_bytes_is_replaced_by_a_new_one(void **state)
{
    const struct es_wanted wanted = want("new");
    struct es_err err;
    struct stat before, after;

    put_bytes(in(*state, "out"), "old", 3, 0640);
    assert_int_equal(stat(in(*state, "out"), &before), 0);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UPDATE);
    assert_int_equal(run(*state, &wanted, &err), 0);
    assert_is(*state, "new", 0640);
    assert_int_equal(stat(in(*state, "out"), &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_int_equal(entries(*state, ""), 1);
}

static void the_same_bytes_keep_inode_and_time(void **state)
{
    const struct es_wanted wanted = want("same");
    struct es_err err;
    struct stat before, after;

    put_bytes(in(*state, "out"), "same", 4, 0640);
    assert_int_equal(stat(in(*state, "out"), &before), 0);
    assert_int_equal(run(*state, &wanted, &err), 0);
    assert_int_equal(stat(in(*state, "out"), &after), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
}

static void bytes_that_only_begin_alike_differ(void **state)
{
    static const char *const others[] = {"", "sam", "same!", "sane"};
    const struct es_wanted wanted = want("same");

    for (size_t i = 0; i < 4; i++) {
        put_bytes(in(*state, "out"), others[i], strlen(others[i]), 0640);
        assert_int_equal(state_of(*state, &wanted), ES_TARGET_UPDATE);
    }
}

static void a_document_larger_than_a_block_is_compared_to_its_end(void **state)
{
    char *text = malloc(100001);
    struct es_wanted wanted;
    struct es_err err;

    assert_non_null(text);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    wanted = want(text);
    assert_int_equal(run(*state, &wanted, &err), 0);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_SAME);
    text[99999] = 'y';
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UPDATE);
    free(text);
}

static void an_empty_document_is_written_and_recognised(void **state)
{
    const struct es_wanted wanted = want("");
    struct es_err err;

    assert_int_equal(run(*state, &wanted, &err), 0);
    assert_is(*state, "", 0640);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_SAME);
}

static void a_wrong_mode_is_repaired_in_place(void **state)
{
    static const mode_t modes[] = {0644, 0600, 04640, 0666};
    const struct es_wanted wanted = want("same");
    struct es_err err;
    struct stat before, after;

    for (size_t i = 0; i < 4; i++) {
        put_bytes(in(*state, "out"), "same", 4, modes[i]);
        assert_int_equal(stat(in(*state, "out"), &before), 0);
        assert_int_equal(state_of(*state, &wanted), ES_TARGET_REPAIR);
        assert_int_equal(run(*state, &wanted, &err), 0);
        assert_is(*state, "same", 0640);
        assert_int_equal(stat(in(*state, "out"), &after), 0);
        assert_true(before.st_ino == after.st_ino);
    }
}

static void a_wrong_owner_or_group_is_repaired_in_place(void **state)
{
    struct es_wanted wanted = want("same");
    struct es_err err;
    struct stat st;

    NEEDS_ROOT();
    wanted.owner.gid = THE_APP;
    for (int i = 0; i < 2; i++) {
        put_bytes(in(*state, "out"), "same", 4, 0640);
        assert_int_equal(chown(in(*state, "out"), i ? STRANGER : 0, i ? THE_APP : 0), 0);
        assert_int_equal(state_of(*state, &wanted), ES_TARGET_REPAIR);
        assert_int_equal(run(*state, &wanted, &err), 0);
        assert_int_equal(stat(in(*state, "out"), &st), 0);
        assert_int_equal(st.st_uid, 0);
        assert_int_equal(st.st_gid, THE_APP);
        assert_int_equal(st.st_mode & 07777, 0640);
    }
}

static void a_new_file_has_its_owner_and_group(void **state)
{
    struct es_wanted wanted = want("new");
    struct es_err err;
    struct stat st;

    NEEDS_ROOT();
    wanted.owner.uid = THE_APP;
    wanted.owner.gid = STRANGER;
    assert_int_equal(run(*state, &wanted, &err), 0);
    assert_int_equal(stat(in(*state, "out"), &st), 0);
    assert_int_equal(st.st_uid, THE_APP);
    assert_int_equal(st.st_gid, STRANGER);
}

/* The other name could be anywhere: it must not change with this one. */
static void a_file_with_a_second_name_is_replaced_and_the_other_stays(void **state)
{
    const struct es_wanted wanted = want("same");
    struct es_err err;
    struct stat st;

    put_bytes(in(*state, "other"), "same", 4, 0604);
    assert_int_equal(link(in(*state, "other"), in(*state, "out")), 0);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UPDATE);
    assert_int_equal(run(*state, &wanted, &err), 0);
    assert_int_equal(stat(in(*state, "other"), &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_mode & 07777, 0604);
}

static void what_is_no_regular_file_is_refused_and_left(void **state)
{
    struct dir *dir = *state;
    const struct es_wanted wanted = want("new");
    struct es_err err;

    for (int i = 0; i < 3; i++) {
        if (i == 0)
            assert_int_equal(mkfifo(in(dir, "out"), 0600), 0);
        else if (i == 1)
            assert_int_equal(symlink("victim", in(dir, "out")), 0);
        else
            assert_int_equal(mkdir(in(dir, "out"), 0700), 0);
        assert_int_equal(run(dir, &wanted, &err), -EEXIST);
        assert_int_equal(err.class, ES_OUTPUT);
        assert_int_equal(entries(dir, ""), 1);
        assert_int_equal(remove(in(dir, "out")), 0);
    }
    assert_false(exists(in(dir, "victim")));
}

/* Between staging and publishing somebody puts a directory there, or a link. */
static void what_is_planted_meanwhile_is_refused_or_replaced_never_followed(void **state)
{
    struct dir *dir = *state;
    const struct es_wanted wanted = want("new");

    for (int i = 0; i < 2; i++) {
        struct es_target target = ES_TARGET_INIT;
        struct es_err err;
        int r;

        assert_int_equal(open_target(dir, &wanted, &target, &err), 0);
        assert_int_equal(es_target_stage(&target, &err), 0);
        if (i == 0)
            assert_int_equal(mkdir(in(dir, "out"), 0700), 0);
        else
            assert_int_equal(symlink("victim", in(dir, "out")), 0);
        r = es_target_publish(&target, &err);
        es_target_done(&target);
        assert_int_equal(r, i == 0 ? -EEXIST : 0);
        assert_int_equal(entries(dir, ""), 1);
        assert_int_equal(remove(in(dir, "out")), 0);
    }
    assert_false(exists(in(dir, "victim")));
}

static void a_target_that_is_not_published_leaves_nothing(void **state)
{
    struct es_target target = ES_TARGET_INIT;
    const struct es_wanted wanted = want("new");
    struct es_err err;
    size_t before = descriptors();

    assert_int_equal(open_target(*state, &wanted, &target, &err), 0);
    assert_int_equal(es_target_stage(&target, &err), 0);
    assert_int_equal(entries(*state, ""), 1);
    es_target_done(&target);
    assert_int_equal(entries(*state, ""), 0);
    assert_int_equal(descriptors(), before);
}

static void a_staged_file_is_readable_for_nobody_who_shall_not(void **state)
{
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    struct es_wanted wanted = want("new");
    struct es_err err;
    struct stat st;

    wanted.owner.mode = 0400;
    assert_int_equal(open_target(*state, &wanted, &target, &err), 0);
    assert_int_equal(es_target_stage(&target, &err), 0);
    assert_int_equal(stat(in(*state, target.temp.name), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
}

static void what_a_kill_left_is_removed_and_nothing_else(void **state)
{
    static const char *const kept[] = {".out.envsync-tooshort", ".other.envsync-abcdefghijk",
                                       "out.envsync-abcdefghijk", ".out.envsync-abcdefghijkl",
                                       ".out"};
    struct dir *dir = *state;
    const struct es_wanted wanted = want("new");
    struct es_err err;

    for (size_t i = 0; i < 5; i++)
        put_file(in(dir, kept[i]), "");
    put_file(in(dir, ".out.envsync-abcdefghijk"), "half");
    assert_int_equal(mkdir(in(dir, ".out.envsync-directory-0"), 0700), 0);
    assert_int_equal(symlink("x", in(dir, ".out.envsync-abcdefghij0")), 0);
    assert_int_equal(run(dir, &wanted, &err), 0);
    assert_false(exists(in(dir, ".out.envsync-abcdefghijk")));
    for (size_t i = 0; i < 5; i++)
        assert_true(exists(in(dir, kept[i])));
    assert_true(exists(in(dir, ".out.envsync-directory-0")));
    assert_true(exists(in(dir, ".out.envsync-abcdefghij0")));
}

static void a_look_writes_nothing(void **state)
{
    struct dir *dir = *state;
    struct es_wanted wanted = want("new");

    wanted.look = true;
    put_file(in(dir, ".out.envsync-abcdefghijk"), "left");
    assert_int_equal(state_of(dir, &wanted), ES_TARGET_CREATE);
    put_bytes(in(dir, "out"), "old", 3, 0640);
    assert_int_equal(state_of(dir, &wanted), ES_TARGET_UPDATE);
    assert_int_equal(entries(dir, ""), 2);
    assert_true(exists(in(dir, ".out.envsync-abcdefghijk")));
}

/* An operator without root: a file, or a directory, that only the app's group may read. */
static int look_as_stranger(void *data)
{
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    struct es_wanted wanted = want("new");
    struct es_err err;

    wanted.look = true;
    wanted.owner.uid = wanted.owner.gid = 0;
    return open_target(data, &wanted, &target, &err) < 0 ? 98 : (int)target.state;
}

static void what_may_not_be_read_is_not_comparable_for_who_only_looks(void **state)
{
    struct dir *dir = *state;

    NEEDS_ROOT();
    put_bytes(in(dir, "out"), "old", 3, 0640);
    assert_int_equal(as_user(STRANGER, look_as_stranger, dir), ES_TARGET_UNKNOWN);
    assert_int_equal(chmod(dir->path, 0750), 0);
    assert_int_equal(as_user(STRANGER, look_as_stranger, dir), ES_TARGET_UNKNOWN);
    assert_int_equal(chmod(dir->path, 0755), 0);
    assert_int_equal(chmod(in(dir, "out"), 0644), 0);
    assert_int_equal(as_user(STRANGER, look_as_stranger, dir), ES_TARGET_UPDATE);
}

/* ---- faults ---- */

static void assert_fault(struct dir *dir, const char *call, unsigned at, int errnum,
                         enum es_class class)
{
    const struct es_wanted wanted = want("new");
    size_t before = descriptors();
    struct es_err err;
    int r;

    put_bytes(in(dir, "out"), "old", 3, 0640);
    failing_begin(call, at, errnum);
    r = run(dir, &wanted, &err);
    assert_non_null(failing_end());
    assert_int_equal(r, -errnum);
    assert_int_equal(err.class, class);
    assert_non_null(strstr(err.msg, "/out"));
    assert_int_equal(entries(dir, ""), 1);
    assert_int_equal(descriptors(), before);
    /* Only behind the rename may the new file be there, and then wholly. */
    assert_is(dir, strcmp(call, "fsync") == 0 && at == 2 ? "new" : "old", 0640);
}

static void any_call_that_fails_leaves_the_old_file_or_the_new_and_no_other(void **state)
{
    assert_fault(*state, "write", 1, ENOSPC, ES_OUTPUT);
    assert_fault(*state, "write", 1, EIO, ES_OUTPUT);
    assert_fault(*state, "write", 1, EDQUOT, ES_OUTPUT);
    assert_fault(*state, "fsync", 1, EIO, ES_OUTPUT);
    assert_fault(*state, "fsync", 2, EIO, ES_OUTPUT);
    assert_fault(*state, "fchmod", 1, EPERM, ES_DENIED);
    assert_fault(*state, "renameat", 1, EIO, ES_OUTPUT);
    assert_fault(*state, "renameat", 1, EACCES, ES_DENIED);
    assert_fault(*state, "getrandom", 1, EIO, ES_OUTPUT);
}

/* What close() says comes from the disk: the file may not be whole. */
static void an_error_of_close_is_an_error(void **state)
{
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    const struct es_wanted wanted = want("new");
    struct es_err err;

    assert_int_equal(open_target(*state, &wanted, &target, &err), 0);
    failing_begin("close", 1, EIO);
    assert_int_equal(es_target_stage(&target, &err), -EIO);
    failing_end();
    assert_int_equal(err.class, ES_OUTPUT);
    es_target_done(&target);
    assert_int_equal(entries(*state, ""), 0);
}

static void a_missing_capability_is_denied_and_named(void **state)
{
    NEEDS_ROOT();
    for (int i = 0; i < 2; i++) {
        struct es_wanted wanted = want("new");
        struct es_err err;

        wanted.owner.gid = THE_APP;
        put_bytes(in(*state, "out"), i ? "new" : "old", 3, 0640);
        failing_begin("fchown", 1, EPERM);
        assert_int_equal(run(*state, &wanted, &err), -EPERM);
        failing_end();
        assert_int_equal(err.class, ES_DENIED);
        assert_non_null(strstr(err.msg, "CAP_CHOWN"));
        assert_is(*state, i ? "new" : "old", 0640);
        assert_int_equal(entries(*state, ""), 1);
    }
}

static void short_writes_are_gone_on_with(void **state)
{
    const struct es_wanted wanted = want("a text of some length");
    struct es_err err;

    failing_write_shortly(true);
    assert_int_equal(run(*state, &wanted, &err), 0);
    failing_write_shortly(false);
    assert_is(*state, wanted.data, 0640);
}

static void a_failing_repair_says_so(void **state)
{
    static const char *const calls[] = {"fchmod", "fsync"};

    for (size_t i = 0; i < 2; i++) {
        const struct es_wanted wanted = want("same");
        struct es_err err;

        put_bytes(in(*state, "out"), "same", 4, 0644);
        failing_begin(calls[i], 1, EROFS);
        assert_int_equal(run(*state, &wanted, &err), -EROFS);
        failing_end();
        assert_int_equal(err.class, ES_OUTPUT);
    }
}

/* ---- every call ---- */

/* What is there before, and the owner that is wanted. */
struct trial {
    struct dir *dir;
    const char *old; /* NULL: nothing */
    mode_t mode;
    struct es_wanted wanted;
};

static void put_old(void *data)
{
    const struct trial *t = data;

    unlink(in(t->dir, "out"));
    if (t->old)
        put_bytes(in(t->dir, "out"), t->old, strlen(t->old), t->mode);
    /* What a killed run has left is swept. */
    put_file(in(t->dir, ".out.envsync-aaaaaaaaaaa"), "left");
}

static int replace(void *data, struct es_err *err)
{
    struct trial *t = data;

    return run(t->dir, &t->wanted, err);
}

static void assert_old_or_new(void *data, const char *call, int r)
{
    const struct trial *t = data;
    struct es_err err;
    bool new = file_is(in(t->dir, "out"), t->wanted.data);

    if (r == 0)
        assert_is(t->dir, t->wanted.data, t->wanted.owner.mode);
    else if (t->old && strcmp(t->old, t->wanted.data) == 0)
        assert_file(in(t->dir, "out"), t->old); /* with the old owner and mode, or the new */
    else if (new && (strcmp(call, "fsync") == 0 || strcmp(call, "openat") == 0))
        assert_is(t->dir, t->wanted.data, t->wanted.owner.mode);
    else if (t->old)
        assert_is(t->dir, t->old, t->mode);
    else
        assert_false(exists(in(t->dir, "out")));
    /* And the next run mends it all. */
    assert_int_equal(run(t->dir, &t->wanted, &err), 0);
    assert_is(t->dir, t->wanted.data, t->wanted.owner.mode);
    assert_int_equal(entries(t->dir, ""), 1);
}

static void whichever_call_fails_there_is_the_old_file_or_the_new_one(void **state)
{
    static const char *const olds[] = {NULL, "old", "new"};
    static const struct ordeal o = {.before = put_old,
                                    .run = replace,
                                    .after = assert_old_or_new,
                                    .classes = 1U << ES_OUTPUT | 1U << ES_DENIED};

    for (size_t i = 0; i < 3; i++) {
        struct trial t = {.dir = *state, .old = olds[i], .mode = 0600, .wanted = want("new")};

        if (geteuid() == 0)
            t.wanted.owner.gid = THE_APP;
        ordeal(&o, &t, EIO);
        ordeal(&o, &t, EROFS);
        ordeal(&o, &t, EPERM);
    }
}

static void ending_a_target_that_was_never_opened_is_fine(void **state)
{
    struct es_target target = ES_TARGET_INIT;
    size_t before = descriptors();

    (void)state;
    es_target_done(&target);
    es_target_done(&target);
    assert_int_equal(descriptors(), before);
}

static void vanish(void *data)
{
    assert_int_equal(unlink(in(data, "out")), 0);
}

static void become_a_fifo(void *data)
{
    vanish(data);
    assert_int_equal(mkfifo(in(data, "out"), 0600), 0);
}

/* Between the look at what is there and its being opened. */
static void what_is_swapped_in_between_is_seen(void **state)
{
    const struct es_wanted wanted = want("new");
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    struct es_err err;

    put_bytes(in(*state, "out"), "old", 3, 0640);
    failing_begin("openat", 0, 0);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UPDATE);
    failing_hook("openat", failing_counted(), vanish, *state);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_CREATE);
    assert_non_null(failing_end());
    put_bytes(in(*state, "out"), "old", 3, 0640);
    failing_begin("openat", 0, 0);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UPDATE);
    failing_hook("openat", failing_counted(), become_a_fifo, *state);
    assert_int_equal(open_target(*state, &wanted, &target, &err), -EEXIST);
    assert_non_null(failing_end());
    assert_non_null(strstr(err.msg, "a FIFO is in its place"));
}

static void whatever_may_not_be_looked_at_is_not_comparable(void **state)
{
    struct es_wanted wanted = want("new");

    wanted.look = true;
    put_bytes(in(*state, "out"), "old", 3, 0640);
    failing_begin("fstatat", 1, EACCES);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UNKNOWN);
    failing_begin("openat", 1, EPERM);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UNKNOWN);
    assert_int_equal(mkdir(in(*state, "sub"), 0755), 0);
    wanted.path = "/sub/out";
    failing_begin("openat", 1, EACCES);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_UNKNOWN);
    assert_non_null(failing_end());
}

static void who_only_looks_makes_no_directory(void **state)
{
    const struct es_make makes[] = {{.path = "/sub", .below = true, .mode = 0750}, {0}};
    const struct es_walk walk = {
        .root = ((struct dir *)*state)->path, .make = makes, .dry = true, .missing = ES_OUTPUT};
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    struct es_wanted wanted = want("new");
    struct es_err err;

    wanted.look = true;
    wanted.path = "/sub/out";
    assert_int_equal(es_target_open(&walk, &wanted, &target, &err), 0);
    assert_int_equal(target.state, ES_TARGET_CREATE);
    assert_false(exists(in(*state, "sub")));
}

/* The caller cannot give a file away, so nobody else's is asked for. */
static void without_root_owners_stay_the_callers(void **state)
{
    struct es_wanted wanted = want("same");

    NEEDS_ROOT();
    put_bytes(in(*state, "out"), "same", 4, 0640);
    wanted.owner.uid = wanted.owner.gid = THE_APP;
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_REPAIR);
    failing_be(STRANGER);
    assert_int_equal(state_of(*state, &wanted), ES_TARGET_SAME);
    failing_be((uid_t)-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_missing_file_is_created_with_its_mode_whatever_the_umask),
        test_in_dir(a_file_with_other_bytes_is_replaced_by_a_new_one),
        test_in_dir(the_same_bytes_keep_inode_and_time),
        test_in_dir(bytes_that_only_begin_alike_differ),
        test_in_dir(a_document_larger_than_a_block_is_compared_to_its_end),
        test_in_dir(an_empty_document_is_written_and_recognised),
        test_in_dir(a_wrong_mode_is_repaired_in_place),
        test_in_dir(a_wrong_owner_or_group_is_repaired_in_place),
        test_in_dir(a_new_file_has_its_owner_and_group),
        test_in_dir(a_file_with_a_second_name_is_replaced_and_the_other_stays),
        test_in_dir(what_is_no_regular_file_is_refused_and_left),
        test_in_dir(what_is_planted_meanwhile_is_refused_or_replaced_never_followed),
        test_in_dir(a_target_that_is_not_published_leaves_nothing),
        test_in_dir(a_staged_file_is_readable_for_nobody_who_shall_not),
        test_in_dir(what_a_kill_left_is_removed_and_nothing_else),
        test_in_dir(a_look_writes_nothing),
        test_in_dir(what_may_not_be_read_is_not_comparable_for_who_only_looks),
        test_in_dir(any_call_that_fails_leaves_the_old_file_or_the_new_and_no_other),
        test_in_dir(an_error_of_close_is_an_error),
        test_in_dir(a_missing_capability_is_denied_and_named),
        test_in_dir(short_writes_are_gone_on_with),
        test_in_dir(a_failing_repair_says_so),
        test_in_dir(whichever_call_fails_there_is_the_old_file_or_the_new_one),
        cmocka_unit_test(ending_a_target_that_was_never_opened_is_fine),
        test_in_dir(what_is_swapped_in_between_is_seen),
        test_in_dir(whatever_may_not_be_looked_at_is_not_comparable),
        test_in_dir(who_only_looks_makes_no_directory),
        test_in_dir(without_root_owners_stay_the_callers),
    };

    return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
