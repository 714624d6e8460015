/* core/walk.c */
#include "core_case.h"
#include "failing.h"

#include "core/walk.h"

static const uid_t the_app[] = {THE_APP, (uid_t)-1};

static int walk(const struct es_walk *walk, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};

    *err = (struct es_err){.msg = "nothing"};
    return es_walk_to(walk, path, &place, err);
}

/* The walk comes to the directory that `where` (below dir) names, and to this base. */
static void assert_comes_to(const struct es_walk *walk, const char *path, const char *where,
                            const char *base)
{
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    struct es_err err = {.msg = "nothing"};
    struct stat is, wanted;

    if (es_walk_to(walk, path, &place, &err) != 0)
        fail_msg("%s: %s", path, err.msg);
    assert_string_equal(place.base, base);
    assert_int_equal(fstat(place.dir, &is), 0);
    assert_int_equal(stat(where, &wanted), 0);
    assert_true(is.st_ino == wanted.st_ino && is.st_dev == wanted.st_dev);
}

static void make_dirs(struct dir *dir, const char *const *names)
{
    for (; *names; names++)
        assert_int_equal(mkdir(in(dir, *names), 0755), 0);
}

static void a_path_is_resolved_below_the_root_that_was_given(void **state)
{
    struct dir *dir = *state;
    const struct es_walk rooted = {.root = dir->path, .check = true, .missing = ES_OUTPUT};
    const struct es_walk plain = {.missing = ES_OUTPUT};

    make_dirs(dir, (const char *const[]){"a", "a/b", NULL});
    assert_comes_to(&rooted, "/a/b/file", in(dir, "a/b"), "file");
    assert_comes_to(&rooted, "//a///b//file", in(dir, "a/b"), "file");
    assert_comes_to(&rooted, "/file", dir->path, "file");
    assert_comes_to(&plain, in(dir, "a/b/file"), in(dir, "a/b"), "file");
}

static void links_of_root_are_followed_and_never_lead_above_the_root(void **state)
{
    struct dir *dir = *state;
    const struct es_walk rooted = {.root = dir->path, .check = true, .missing = ES_OUTPUT};

    make_dirs(dir, (const char *const[]){"a", "a/b", "etc", NULL});
    assert_int_equal(symlink("a/b", in(dir, "rel")), 0);
    assert_int_equal(symlink("/a", in(dir, "abs")), 0);
    assert_int_equal(symlink("../../../../etc", in(dir, "a/up")), 0);
    assert_int_equal(symlink("rel/..", in(dir, "chain")), 0);
    assert_comes_to(&rooted, "/rel/f", in(dir, "a/b"), "f");
    assert_comes_to(&rooted, "/abs/b/f", in(dir, "a/b"), "f");
    assert_comes_to(&rooted, "/a/up/f", in(dir, "etc"), "f");
    assert_comes_to(&rooted, "/chain/f", in(dir, "a"), "f");
}

static void the_last_component_is_never_resolved(void **state)
{
    struct dir *dir = *state;
    const struct es_walk rooted = {.root = dir->path, .missing = ES_OUTPUT};

    assert_int_equal(symlink("/nowhere", in(dir, "link")), 0);
    assert_comes_to(&rooted, "/link", dir->path, "link");
}

static void links_in_a_circle_end(void **state)
{
    struct dir *dir = *state;
    const struct es_walk rooted = {.root = dir->path, .missing = ES_OUTPUT};
    struct es_err err;

    assert_int_equal(symlink("b", in(dir, "a")), 0);
    assert_int_equal(symlink("a", in(dir, "b")), 0);
    assert_int_equal(walk(&rooted, "/a/f", &err), -ELOOP);
}

static void links_of_others_or_in_directories_of_others_are_not_followed(void **state)
{
    struct dir *dir = *state;
    const struct es_walk plain = {.root = dir->path, .missing = ES_OUTPUT};
    struct es_err err;

    NEEDS_ROOT();
    make_dirs(dir, (const char *const[]){"a", "mine", NULL});
    assert_int_equal(symlink("a", in(dir, "theirs")), 0);
    assert_int_equal(lchown(in(dir, "theirs"), STRANGER, STRANGER), 0);
    assert_int_equal(walk(&plain, "/theirs/f", &err), -ELOOP);
    assert_int_equal(err.class, ES_DENIED);
    assert_int_equal(chown(in(dir, "mine"), STRANGER, STRANGER), 0);
    assert_int_equal(symlink("../a", in(dir, "mine/link")), 0);
    assert_int_equal(walk(&plain, "/mine/link/f", &err), -ELOOP);
    assert_int_equal(err.class, ES_DENIED);
}

static void a_directory_that_others_may_write_is_denied(void **state)
{
    struct dir *dir = *state;
    const struct es_walk checked = {.root = dir->path, .check = true, .missing = ES_OUTPUT};
    const struct es_walk unchecked = {.root = dir->path, .missing = ES_OUTPUT};
    static const mode_t modes[] = {0775, 0757, 01777};

    make_dirs(dir, (const char *const[]){"a", "a/b", NULL});
    for (size_t i = 0; i < 3; i++) {
        struct es_err err;

        assert_int_equal(chmod(in(dir, "a"), modes[i]), 0);
        assert_int_equal(walk(&checked, "/a/f", &err), -EPERM);
        assert_int_equal(err.class, ES_DENIED);
        assert_int_equal(walk(&checked, "/a/b/f", &err), -EPERM);
        assert_int_equal(walk(&unchecked, "/a/b/f", &err), 0);
    }
}

static void a_directory_of_a_stranger_is_denied(void **state)
{
    struct dir *dir = *state;
    const struct es_walk checked = {
        .root = dir->path, .check = true, .app = the_app, .missing = ES_OUTPUT};
    struct es_err err;

    NEEDS_ROOT();
    make_dirs(dir, (const char *const[]){"a", NULL});
    assert_int_equal(chown(in(dir, "a"), STRANGER, 0), 0);
    assert_int_equal(walk(&checked, "/a/f", &err), -EPERM);
    assert_int_equal(err.class, ES_DENIED);
    assert_non_null(strstr(err.msg, "65534"));
}

static void only_the_last_directory_may_be_the_apps(void **state)
{
    struct dir *dir = *state;
    const struct es_walk checked = {
        .root = dir->path, .check = true, .app = the_app, .missing = ES_OUTPUT};
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    struct es_err err;

    NEEDS_ROOT();
    make_dirs(dir, (const char *const[]){"a", "a/b", NULL});
    assert_int_equal(chown(in(dir, "a"), THE_APP, 0), 0);
    assert_int_equal(es_walk_to(&checked, "/a/f", &place, &err), 0);
    assert_true(place.app_owned);
    assert_int_equal(walk(&checked, "/a/b/f", &err), -EPERM);
    assert_int_equal(err.class, ES_DENIED);
}

/* Nothing is made on the way to that refusal, and a dry walk comes to the same end. */
static void nothing_is_made_below_a_directory_of_the_apps(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/run/demo", .below = true, .mode = 0750}, {0}};
    struct es_walk how = {
        .root = dir->path, .check = true, .app = the_app, .make = makes, .missing = ES_OUTPUT};
    struct es_err err;

    NEEDS_ROOT();
    make_dirs(dir, (const char *const[]){"run", "run/demo", NULL});
    assert_int_equal(chown(in(dir, "run/demo"), THE_APP, 0), 0);
    for (int dry = 0; dry < 2; dry++) {
        how.dry = dry;
        assert_int_equal(walk(&how, "/run/demo/new/f", &err), -EPERM);
        assert_int_equal(err.class, ES_DENIED);
        assert_false(exists(in(dir, "run/demo/new")));
    }
}

static void a_missing_directory_is_of_the_class_that_was_asked_for(void **state)
{
    struct dir *dir = *state;
    struct es_walk how = {.root = dir->path, .missing = ES_OUTPUT};
    struct es_err err;

    assert_int_equal(walk(&how, "/a/b/f", &err), -ENOENT);
    assert_int_equal(err.class, ES_OUTPUT);
    assert_non_null(strstr(err.msg, "/a does not exist"));
    how.missing = ES_ABSENT;
    assert_int_equal(walk(&how, "/a/b/f", &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    put_file(in(dir, "file"), "");
    assert_int_equal(walk(&how, "/file/f", &err), -ENOTDIR);
}

static void directories_are_made_only_where_they_may_be(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {
        {.path = "/run", .mode = 0755}, {.path = "/run/demo", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {
        .root = dir->path, .check = true, .make = makes, .missing = ES_OUTPUT};
    struct es_err err;
    struct stat st;

    assert_int_equal(walk(&how, "/run/other/f", &err), -ENOENT);
    assert_int_equal(stat(in(dir, "run"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(walk(&how, "/run/demo-2/f", &err), -ENOENT);
    assert_int_equal(walk(&how, "/etc/f", &err), -ENOENT);
    assert_false(exists(in(dir, "etc")));
    assert_int_equal(walk(&how, "/run/demo/a/b/f", &err), 0);
    assert_int_equal(stat(in(dir, "run/demo/a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
}

static void what_is_made_has_the_group_and_the_mode_whatever_the_umask(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/x", .mode = 0750, .gid = THE_APP}, {0}};
    const struct es_walk how = {
        .root = dir->path, .check = true, .make = makes, .missing = ES_OUTPUT};
    mode_t old = umask(0077);
    struct es_err err;
    struct stat st;

    assert_int_equal(walk(&how, "/x/f", &err), 0);
    umask(old);
    assert_int_equal(stat(in(dir, "x"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    NEEDS_ROOT();
    assert_int_equal(st.st_gid, THE_APP);
    assert_int_equal(st.st_uid, 0);
}

static void a_dry_walk_makes_nothing_and_says_where_it_would(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/x", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {
        .root = dir->path, .check = true, .make = makes, .dry = true, .missing = ES_OUTPUT};
    struct es_err err;

    assert_int_equal(walk(&how, "/x/y/f", &err), 1);
    assert_false(exists(in(dir, "x")));
    assert_int_equal(walk(&how, "/y/f", &err), -ENOENT);
}

/* What is left to walk is then longer than the path: nothing before it may be read. */
static void nothing_is_made_behind_a_link_that_leads_nowhere(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/l", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {
        .root = dir->path, .check = true, .make = makes, .missing = ES_OUTPUT};
    char target[200], *path = strdup("/l/f");
    struct es_err err;

    assert_non_null(path);
    memset(target, 'n', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        assert_int_equal(symlink(target, in(dir, "l")), 0);
        assert_int_equal(walk(&how, path, &err), -ENOENT);
        assert_false(exists(in(dir, target)));
        assert_int_equal(unlink(in(dir, "l")), 0);
        target[sizeof target / 2] = '/';
    }
    free(path);
}

/* /etc or /run may be a link in an image; what lies behind it is made as ever. */
static void directories_are_made_behind_a_link_that_leads_somewhere(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/run/demo", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {
        .root = dir->path, .check = true, .make = makes, .missing = ES_OUTPUT};
    struct es_err err;

    make_dirs(dir, (const char *const[]){"a-longer-name", NULL});
    assert_int_equal(symlink("/a-longer-name", in(dir, "run")), 0);
    assert_int_equal(walk(&how, "/run/demo/x/f", &err), 0);
    assert_true(exists(in(dir, "a-longer-name/demo/x")));
}

static void a_path_with_a_part_that_is_too_long_is_refused(void **state)
{
    struct dir *dir = *state;
    const struct es_walk how = {.root = dir->path, .missing = ES_OUTPUT};
    char path[NAME_MAX + 4] = "/", *deep = calloc(1, 3 * ES_WALK_DEPTH + PATH_MAX);
    struct es_err err;

    assert_non_null(deep);
    memset(path + 1, 'a', NAME_MAX + 1);
    assert_int_equal(walk(&how, path, &err), -ENAMETOOLONG);
    memset(deep, '/', PATH_MAX);
    assert_int_equal(walk(&how, deep, &err), -ENAMETOOLONG);
    free(deep);
}

static void a_path_is_not_followed_deeper_than_the_limit(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/a", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {.root = dir->path, .make = makes, .missing = ES_OUTPUT};
    char path[2 * ES_WALK_DEPTH + 8] = "";
    struct es_err err;

    for (size_t i = 0; i < ES_WALK_DEPTH; i++)
        strcat(path, "/a");
    assert_int_equal(walk(&how, path, &err), 0);
    strcat(path, "/a");
    assert_int_equal(walk(&how, path, &err), -ENAMETOOLONG);
}

/* ---- sources ---- */

static int source(const char *path, struct es_err *err)
{
    int fd;

    *err = (struct es_err){.msg = "nothing"};
    fd = es_open_source(path, err);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static void a_source_is_a_regular_file_reached_through_trusted_links(void **state)
{
    struct dir *dir = *state;
    struct es_err err;

    put_file(in(dir, "file"), "x");
    assert_int_equal(symlink("file", in(dir, "link")), 0);
    assert_int_equal(symlink("link", in(dir, "link2")), 0);
    assert_int_equal(symlink("gone", in(dir, "dangling")), 0);
    assert_int_equal(symlink("round", in(dir, "round")), 0);
    assert_int_equal(source(in(dir, "file"), &err), 0);
    assert_int_equal(source(in(dir, "link2"), &err), 0);
    assert_int_equal(source(in(dir, "absent"), &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    assert_int_equal(source(in(dir, "absent/file"), &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    assert_int_equal(source(in(dir, "dangling"), &err), -ENOENT);
    assert_int_equal(source(in(dir, "round"), &err), -ELOOP);
    assert_int_equal(err.class, ES_DENIED);
}

/* A FIFO without a writer would block, a device act, if it were so much as opened. */
static void what_is_no_regular_file_is_not_opened(void **state)
{
    struct dir *dir = *state;
    struct es_err err;

    assert_int_equal(mkfifo(in(dir, "fifo"), 0666), 0);
    assert_int_equal(source(in(dir, "fifo"), &err), -EINVAL);
    assert_int_equal(err.class, ES_INVALID);
    assert_int_equal(source(dir->path, &err), -EISDIR);
    assert_int_equal(source("/dev/null", &err), -EINVAL);
}

static void a_link_of_a_stranger_is_no_source(void **state)
{
    struct dir *dir = *state;
    struct es_err err;

    NEEDS_ROOT();
    put_file(in(dir, "file"), "x");
    assert_int_equal(symlink("file", in(dir, "link")), 0);
    assert_int_equal(lchown(in(dir, "link"), STRANGER, STRANGER), 0);
    assert_int_equal(source(in(dir, "link"), &err), -ELOOP);
    assert_int_equal(err.class, ES_DENIED);
}

static int read_all_as_stranger(void *data)
{
    struct dir *dir = data;
    struct es_err err;

    if (source(in(dir, "secret"), &err) != -EACCES || err.class != ES_DENIED)
        return 1;
    if (source(in(dir, "closed/file"), &err) != -EACCES || err.class != ES_DENIED)
        return 2;
    return 0;
}

static void what_may_not_be_read_is_denied(void **state)
{
    struct dir *dir = *state;

    NEEDS_ROOT();
    put_bytes(in(dir, "secret"), "x", 1, 0600);
    assert_int_equal(mkdir(in(dir, "closed"), 0700), 0);
    put_file(in(dir, "closed/file"), "x");
    assert_int_equal(as_user(STRANGER, read_all_as_stranger, dir), 0);
}

static void no_descriptors_left_is_no_fault_of_a_source_or_output(void **state)
{
    struct dir *dir = *state;
    struct rlimit old, none;
    struct es_err err;

    put_file(in(dir, "file"), "x");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)dup(0);
    close((int)none.rlim_cur);
    none.rlim_cur += 2; /* for the root, and a directory */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(source(in(dir, "file"), &err), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(err.class, ES_INTERNAL);
}

static void a_path_that_was_typed_counts_from_the_working_directory(void **state)
{
    static const struct {
        const char *dir, *typed, *is;
    } cases[] = {{"/", "/a/b", "/a/b"},
                 {"/", "a", "/a"},
                 {"/usr", "a/b", "/usr/a/b"},
                 {"/usr", "./a", "/usr/a"},
                 {"/usr", "../a", "/usr/../a"}};
    ES_CLEANUP(es_close) int before = open(".", O_PATH | O_CLOEXEC);
    struct es_err err;

    (void)state;
    assert_true(before >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_freep) char *path = NULL;

        assert_int_equal(chdir(cases[i].dir), 0);
        assert_int_equal(es_walk_absolute(cases[i].typed, ES_CONFIG, &path, &err), 0);
        assert_string_equal(path, cases[i].is);
    }
    assert_int_equal(fchdir(before), 0);
}

static void a_link_that_makes_a_path_too_long_is_refused(void **state)
{
    struct dir *dir = *state;
    char target[PATH_MAX - 1], name[8];
    struct es_err err;

    memset(target, '/', sizeof target);
    target[sizeof target - 1] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        snprintf(target, 8, "l%u", i + 1);
        target[strlen(target)] = '/';
        snprintf(name, sizeof name, "l%u", i);
        assert_int_equal(symlink(target, in(dir, name)), 0);
    }
    assert_int_equal(source(in(dir, "l0/file"), &err), -ENAMETOOLONG);
}

static void a_link_may_lead_back_to_the_root(void **state)
{
    struct dir *dir = *state;
    const struct es_walk rooted = {.root = dir->path, .check = true, .missing = ES_OUTPUT};
    ES_CLEANUP(es_close) int fd = -1;
    struct stat is, root;
    struct es_err err;

    make_dirs(dir, (const char *const[]){"a", "a/b", "etc", NULL});
    assert_int_equal(symlink("/etc", in(dir, "a/b/up")), 0);
    assert_comes_to(&rooted, "/a/./b/up/file", in(dir, "etc"), "file");
    assert_int_equal(symlink("/", in(dir, "root")), 0);
    fd = es_open_directory(in(dir, "root"), &err);
    assert_int_equal(fstat(fd, &is), 0);
    assert_int_equal(stat("/", &root), 0);
    assert_true(is.st_ino == root.st_ino && is.st_dev == root.st_dev);
}

/* Half-made directories have longer names. */
static void a_directory_whose_name_is_nearly_too_long_is_not_made(void **state)
{
    struct dir *dir = *state;
    const struct es_make makes[] = {{.path = "/a", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {.root = dir->path, .make = makes, .missing = ES_OUTPUT};
    char path[NAME_MAX + 16] = "/a/";
    struct es_err err;

    memset(path + 3, 'b', NAME_MAX);
    strcat(path, "/file");
    assert_int_equal(walk(&how, path, &err), -ENAMETOOLONG);
    assert_false(exists(in(dir, "a/b")));
}

/* ---- every call ---- */

static int walk_and_make(void *data, struct es_err *err)
{
    const struct es_make makes[] = {{.path = "/made", .below = true, .mode = 0750}, {0}};
    const struct es_walk how = {
        .root = ((struct dir *)data)->path, .check = true, .make = makes, .missing = ES_OUTPUT};
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};

    return es_walk_to(&how, "/made/deep/file", &place, err);
}

static void nothing_made(void *data)
{
    rmdir(in(data, "made/deep"));
    rmdir(in(data, "made"));
}

static void assert_made_or_not(void *data, const char *call, int r)
{
    static const char *const names[] = {"made/deep", "made"};
    struct stat st;

    (void)call;
    for (size_t i = 0; i < 2; i++) {
        assert_true(r < 0 || exists(in(data, names[i])));
        /* What has its name has its mode. */
        assert_true(lstat(in(data, names[i]), &st) < 0 || (st.st_mode & 07777) == 0750);
    }
    assert_int_equal(walk_and_make(data, &(struct es_err){0}), 0);
    assert_false(exists(in(data, ".made.envsync-new")));
    assert_false(exists(in(data, "made/.deep.envsync-new")));
}

static void whichever_call_fails_a_directory_is_made_whole_or_not_at_all(void **state)
{
    static const struct ordeal o = {.before = nothing_made,
                                    .run = walk_and_make,
                                    .after = assert_made_or_not,
                                    .classes = 1U << ES_OUTPUT | 1U << ES_DENIED};

    ordeal(&o, *state, EIO);
    ordeal(&o, *state, EPERM);
    ordeal(&o, *state, EINVAL); /* where renameat2() knows no flags */
}

static int read_source(void *data, struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = es_open_source(in(data, "link"), err);

    return fd < 0 ? fd : 0;
}

static int type_path(void *data, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *path = NULL;

    (void)data;
    return es_walk_absolute("file", ES_CONFIG, &path, err);
}

static void whichever_call_fails_a_source_says_why(void **state)
{
    static const struct ordeal o = {
        .run = read_source, .classes = 1U << ES_UNAVAILABLE | 1U << ES_DENIED | 1U << ES_OUTPUT};
    static const struct ordeal typed = {.run = type_path, .classes = 1U << ES_CONFIG};

    put_file(in(*state, "file"), "x");
    assert_int_equal(symlink("file", in(*state, "link")), 0);
    ordeal(&o, *state, EIO);
    ordeal(&typed, *state, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_path_is_resolved_below_the_root_that_was_given),
        test_in_dir(links_of_root_are_followed_and_never_lead_above_the_root),
        test_in_dir(the_last_component_is_never_resolved),
        test_in_dir(links_in_a_circle_end),
        test_in_dir(links_of_others_or_in_directories_of_others_are_not_followed),
        test_in_dir(a_directory_that_others_may_write_is_denied),
        test_in_dir(a_directory_of_a_stranger_is_denied),
        test_in_dir(only_the_last_directory_may_be_the_apps),
        test_in_dir(nothing_is_made_below_a_directory_of_the_apps),
        test_in_dir(a_missing_directory_is_of_the_class_that_was_asked_for),
        test_in_dir(directories_are_made_only_where_they_may_be),
        test_in_dir(what_is_made_has_the_group_and_the_mode_whatever_the_umask),
        test_in_dir(a_dry_walk_makes_nothing_and_says_where_it_would),
        test_in_dir(nothing_is_made_behind_a_link_that_leads_nowhere),
        test_in_dir(directories_are_made_behind_a_link_that_leads_somewhere),
        test_in_dir(a_path_with_a_part_that_is_too_long_is_refused),
        test_in_dir(a_path_is_not_followed_deeper_than_the_limit),
        cmocka_unit_test(a_path_that_was_typed_counts_from_the_working_directory),
        test_in_dir(a_source_is_a_regular_file_reached_through_trusted_links),
        test_in_dir(what_is_no_regular_file_is_not_opened),
        test_in_dir(a_link_of_a_stranger_is_no_source),
        test_in_dir(what_may_not_be_read_is_denied),
        test_in_dir(no_descriptors_left_is_no_fault_of_a_source_or_output),
        test_in_dir(a_link_that_makes_a_path_too_long_is_refused),
        test_in_dir(a_link_may_lead_back_to_the_root),
        test_in_dir(a_directory_whose_name_is_nearly_too_long_is_not_made),
        test_in_dir(whichever_call_fails_a_directory_is_made_whole_or_not_at_all),
        test_in_dir(whichever_call_fails_a_source_says_why),
    };

    return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
