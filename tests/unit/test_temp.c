/* core/commit/temp.c: temporary files beside their targets. test_replace.c lets the calls fail. */
#include "core_case.h"

#include "core/commit/temp.h"

/* SELinux's label, which few hosts have: one file has it, another is given it. */
static int labelled = -1, given = -1;

ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    assert_string_equal(name, "security.selinux");
    assert_true(size >= 5);
    if (fd != labelled)
        return -1;
    memcpy(value, "label", 5);
    return 5;
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    (void)flags;
    assert_string_equal(name, "security.selinux");
    assert_int_equal(size, 5);
    assert_memory_equal(value, "label", 5);
    given = fd;
    return 0;
}

/* The place "NAME" in the directory of the test. */
static void place_in(struct dir *dir, const char *name, struct es_place *ret)
{
    ret->dir = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(ret->dir >= 0);
    snprintf(ret->base, sizeof ret->base, "%s", name);
}

static void create(struct dir *dir, mode_t mode, struct es_temp *ret)
{
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    const struct es_owner owner = {.uid = geteuid(), .gid = getegid(), .mode = mode};
    struct es_err err = {.msg = "nothing"};

    place_in(dir, "file", &place);
    if (es_temp_create(&place, &owner, -1, NULL, "/file", ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void it_is_closed_to_others_until_it_is_sealed(void **state)
{
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    struct es_err err;

    create(*state, 0644, &temp);
    assert_true(es_temp_name(temp.name));
    assert_int_equal(strncmp(temp.name, ".file.envsync-", 14), 0);
    assert_int_equal(mode_of(in(*state, temp.name)), 0600);
    assert_int_equal(es_temp_write(&temp, "ab", 2, "/file", &err), 0);
    assert_int_equal(es_temp_write(&temp, "", 0, "/file", &err), 0);
    assert_int_equal(es_temp_write(&temp, "c", 1, "/file", &err), 0);
    assert_int_equal(mode_of(in(*state, temp.name)), 0600);
    assert_int_equal(es_temp_seal(&temp, 0644, "/file", &err), 0);
    assert_int_equal(temp.fd, -1);
    assert_int_equal(mode_of(in(*state, temp.name)), 0644);
    assert_int_equal(temp.st.st_size, 3);
    assert_false(exists(in(*state, "file")));
}

static void the_rename_puts_it_in_its_place(void **state)
{
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    struct es_err err;

    put_file(in(*state, "file"), "old");
    create(*state, 0640, &temp);
    assert_int_equal(es_temp_write(&temp, "new", 3, "/file", &err), 0);
    assert_int_equal(es_temp_seal(&temp, 0640, "/file", &err), 0);
    assert_file(in(*state, "file"), "old");
    assert_int_equal(es_temp_rename(&temp, "/file", &err), 0);
    assert_file(in(*state, "file"), "new");
    assert_int_equal(entries(*state, ""), 1);
    es_temp_done(&temp);
    assert_file(in(*state, "file"), "new");
}

static void ending_it_in_any_state_before_removes_it(void **state)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        struct es_temp temp = ES_TEMP_INIT;
        struct es_err err;

        create(*state, 0640, &temp);
        if (sealed)
            assert_int_equal(es_temp_seal(&temp, 0640, "/file", &err), 0);
        assert_int_equal(entries(*state, ""), 1);
        es_temp_done(&temp);
        assert_int_equal(entries(*state, ""), 0);
        es_temp_done(&temp); /* again is fine */
    }
}

static void one_that_is_kept_stays_for_who_knows_its_name(void **state)
{
    struct es_temp temp = ES_TEMP_INIT;

    create(*state, 0640, &temp);
    es_temp_keep(&temp);
    es_temp_done(&temp);
    assert_int_equal(entries(*state, ""), 1);
}

static void two_of_one_target_have_two_names(void **state)
{
    ES_CLEANUP(es_temp_done) struct es_temp a = ES_TEMP_INIT, b = ES_TEMP_INIT;

    create(*state, 0640, &a);
    create(*state, 0640, &b);
    assert_string_not_equal(a.name, b.name);
    assert_int_equal(entries(*state, ""), 2);
}

static void a_directory_in_the_place_is_told_and_stays(void **state)
{
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    struct es_err err;

    assert_int_equal(mkdir(in(*state, "file"), 0755), 0);
    create(*state, 0640, &temp);
    assert_int_equal(es_temp_seal(&temp, 0640, "/file", &err), 0);
    assert_int_equal(es_temp_rename(&temp, "/file", &err), -EEXIST);
    assert_int_equal(err.class, ES_OUTPUT);
    assert_non_null(strstr(err.msg, "/file: a directory is in its place"));
    es_temp_done(&temp);
    assert_int_equal(entries(*state, ""), 1);
}

static void two_long_names_that_differ_at_their_end_do_not_sweep_each_other(void **state)
{
    ES_CLEANUP(es_place_done) struct es_place one = {.dir = -1}, other = {.dir = -1};
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    const struct es_owner owner = {.uid = geteuid(), .gid = getegid(), .mode = 0640};
    struct es_err err;

    place_in(*state, "x", &one);
    place_in(*state, "x", &other);
    memset(one.base, 'x', NAME_MAX);
    one.base[NAME_MAX] = '\0';
    memcpy(other.base, one.base, sizeof one.base);
    other.base[NAME_MAX - 1] = 'y';
    assert_int_equal(es_temp_create(&one, &owner, -1, NULL, "/file", &temp, &err), 0);
    assert_int_equal(strlen(temp.name), NAME_MAX);
    es_temp_sweep(&other, NULL);
    assert_int_equal(entries(*state, ""), 1);
    es_temp_sweep(&one, NULL);
    assert_int_equal(entries(*state, ""), 0);
}

static void the_names_are_known_again(void **state)
{
    (void)state;
    assert_true(es_temp_name(".a.envsync-abcdefghijk"));
    assert_true(es_temp_name(".environment.envsync-01234567890"));
    assert_false(es_temp_name(".envsync-abcdefghijk")); /* of nothing */
    assert_false(es_temp_name("a.envsync-abcdefghijk"));
    assert_false(es_temp_name(".a.envsync-abcdefghij"));
    assert_false(es_temp_name(".a.envsync-abcdefghijkl"));
    assert_false(es_temp_name(".a.envsync_abcdefghijk"));
    assert_false(es_temp_name(""));
    assert_false(es_temp_name("."));
    assert_false(es_temp_name(".."));
}

static void sweeping_removes_what_is_the_targets_own_and_nothing_else(void **state)
{
    static const char *const stay[] = {".other.envsync-abcdefghijk",
                                       ".file.envsync-short",
                                       "file.envsync-abcdefghijk",
                                       "file",
                                       ".file.swp",
                                       ".file.envsync-kkkkkkkkkkk"};
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};

    place_in(*state, "file", &place);
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        put_file(in(*state, stay[i]), "stays");
    put_file(in(*state, ".file.envsync-aaaaaaaaaaa"), "goes");
    put_file(in(*state, ".file.envsync-bbbbbbbbbbb"), "goes");
    assert_int_equal(symlink("file", in(*state, ".file.envsync-ccccccccccc")), 0);
    assert_int_equal(mkdir(in(*state, ".file.envsync-ddddddddddd"), 0755), 0);
    es_temp_sweep(&place, ".file.envsync-kkkkkkkkkkk");
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        assert_file(in(*state, stay[i]), "stays");
    assert_int_equal(entries(*state, ""), sizeof stay / sizeof *stay + 2);
    es_temp_sweep(&place, NULL);
    assert_false(exists(in(*state, ".file.envsync-kkkkkkkkkkk")));
}

static void what_is_forbidden_is_denied_and_the_rest_is_the_outputs(void **state)
{
    struct es_err err;

    (void)state;
    assert_int_equal(es_write_failed("/x", EPERM, "chown", &err), -EPERM);
    assert_int_equal(err.class, ES_DENIED);
    assert_int_equal(es_write_failed("/x", EACCES, "open", &err), -EACCES);
    assert_int_equal(err.class, ES_DENIED);
    assert_int_equal(es_write_failed("/x", ENOSPC, "write", &err), -ENOSPC);
    assert_int_equal(err.class, ES_OUTPUT);
    assert_non_null(strstr(err.msg, "/x: write: No space left"));
    es_not_a_file("/x", S_IFLNK, &err);
    assert_non_null(strstr(err.msg, "symbolic link"));
    es_not_a_file("/x", S_IFIFO, &err);
    assert_non_null(strstr(err.msg, "FIFO"));
    es_not_a_file("/x", S_IFSOCK, &err);
    assert_non_null(strstr(err.msg, "special file"));
}

static void it_has_its_owner_before_it_has_content(void **state)
{
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    const struct es_owner owner = {.uid = THE_APP, .gid = STRANGER, .mode = 0400};
    struct es_err err;
    struct stat st;

    NEEDS_ROOT();
    place_in(*state, "file", &place);
    assert_int_equal(es_temp_create(&place, &owner, -1, NULL, "/file", &temp, &err), 0);
    assert_int_equal(fstat(temp.fd, &st), 0);
    assert_int_equal(st.st_uid, THE_APP);
    assert_int_equal(st.st_gid, STRANGER);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 0);
}

static void the_new_file_has_the_label_of_the_old_one(void **state)
{
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    ES_CLEANUP(es_temp_done) struct es_temp temp = ES_TEMP_INIT;
    ES_CLEANUP(es_close) int old = -1;
    const struct es_owner owner = {.uid = geteuid(), .gid = getegid(), .mode = 0640};
    struct es_err err;

    put_file(in(*state, "file"), "old");
    old = open(in(*state, "file"), O_RDONLY | O_CLOEXEC);
    place_in(*state, "file", &place);
    labelled = old;
    assert_int_equal(es_temp_create(&place, &owner, old, NULL, "/file", &temp, &err), 0);
    labelled = -1;
    assert_int_equal(given, temp.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(it_is_closed_to_others_until_it_is_sealed),
        test_in_dir(the_rename_puts_it_in_its_place),
        test_in_dir(ending_it_in_any_state_before_removes_it),
        test_in_dir(one_that_is_kept_stays_for_who_knows_its_name),
        test_in_dir(two_of_one_target_have_two_names),
        test_in_dir(a_directory_in_the_place_is_told_and_stays),
        test_in_dir(two_long_names_that_differ_at_their_end_do_not_sweep_each_other),
        cmocka_unit_test(the_names_are_known_again),
        test_in_dir(sweeping_removes_what_is_the_targets_own_and_nothing_else),
        cmocka_unit_test(what_is_forbidden_is_denied_and_the_rest_is_the_outputs),
        test_in_dir(it_has_its_owner_before_it_has_content),
        test_in_dir(the_new_file_has_the_label_of_the_old_one),
    };

    return cmocka_run_group_tests_name("temp", tests, NULL, NULL);
}
