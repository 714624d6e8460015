/* base/needs.c and core/needs.c: what is opened for the worker. */
#include "core_case.h"

#include "core/clock.h"
#include "core/needs.h"

/* A provider that needs what the test says. */
static struct es_need needed[2];
static size_t n_needed;

static int say_needs(const void *options, const struct es_surroundings *surroundings,
                     struct es_needs *needs, struct es_err *err)
{
    (void)options;
    (void)surroundings;
    for (size_t i = 0; i < n_needed; i++)
        if (es_needs_add(needs, &needed[i], err) < 0)
            return -ENOMEM;
    return 0;
}

static void need(const char *path, unsigned flags, const struct es_wait *wait)
{
    needed[0] = (struct es_need){.role = "role", .path = path, .flags = flags, .wait = wait};
    n_needed = 1;
}

static int open_files(struct es_files *files, int ms, es_wait_fn *on_wait, void *data,
                      struct es_report *report, struct es_err *err)
{
    static const struct es_option none[] = {{0}};
    const struct es_provider own = {.type = "fake", .options = none, .needs = say_needs};
    const struct es_process process = {0};
    const struct es_surroundings nothing = {0};
    struct es_source sources[8] = {[7] = {.provider = &own, .name = (char *)"fake"}};
    const struct es_config config = {.sources = sources, .n_sources = 8};
    const struct es_opening opening = {.config = &config,
                                       .process = &process,
                                       .surroundings = &nothing,
                                       .deadline = es_clock_ms() + ms,
                                       .on_wait = on_wait,
                                       .data = data,
                                       .report = report};

    *err = (struct es_err){.msg = "nothing"};
    return es_files_open(files, &opening, 7, err);
}

/* Opens, and names what was opened by the last components: "a.env b.env". */
static void assert_opens(const char *names)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    ES_CLEANUP(es_files_done) struct es_files files = {0};
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    struct es_err err;

    if (open_files(&files, 0, NULL, NULL, &report, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < files.n; i++) {
        assert_int_equal(files.items[i].source, 7);
        assert_string_equal(files.items[i].role, "role");
        assert_int_equal(fcntl(files.items[i].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(files.items[i].fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(
            es_buf_printf(&is, "%s%s", i ? " " : "", strrchr(files.items[i].path, '/') + 1), 0);
    }
    assert_string_equal(es_buf_str(&is), names);
}

static void assert_fails(int errnum, enum es_class class)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    ES_CLEANUP(es_files_done) struct es_files files = {0};
    struct es_err err;

    assert_int_equal(open_files(&files, 0, NULL, NULL, &report, &err), -errnum);
    assert_int_equal(err.class, class);
}

static void a_file_is_opened_for_reading(void **state)
{
    put_file(in(*state, "a.env"), "A=1\n");
    need(in(*state, "a.env"), 0, NULL);
    assert_opens("a.env");
}

static void an_absent_file_is_absent_unless_it_is_optional(void **state)
{
    need(in(*state, "a.env"), 0, NULL);
    assert_fails(ENOENT, ES_ABSENT);
    need(in(*state, "a.env"), ES_NEED_OPTIONAL, NULL);
    assert_opens("");
}

static void a_directory_or_glob_gives_its_files_in_bytewise_order(void **state)
{
    static const char *const names[] = {"b.env", "B.env", "a.env", "10.env", "9.env", "c.toml"};
    struct dir *dir = *state;
    char *path;

    assert_int_equal(mkdir(in(dir, "d"), 0755), 0);
    assert_int_equal(mkdir(in(dir, "d/sub.env"), 0755), 0);
    for (size_t i = 0; i < 6; i++) {
        char name[32];

        snprintf(name, sizeof name, "d/%s", names[i]);
        put_file(in(dir, name), "");
    }
    need(path = strdup(in(dir, "d")), ES_NEED_EXPAND, NULL);
    assert_opens("10.env 9.env B.env a.env b.env c.toml");
    free(path);
    need(path = strdup(in(dir, "d/")), ES_NEED_EXPAND, NULL);
    assert_opens("10.env 9.env B.env a.env b.env c.toml");
    free(path);
    need(path = strdup(in(dir, "d/[ab]*.env")), ES_NEED_EXPAND, NULL);
    assert_opens("a.env b.env");
    free(path);
    need(path = strdup(in(dir, "d")), 0, NULL);
    assert_fails(EISDIR, ES_INVALID);
    free(path);
    need(path = strdup(in(dir, "d/*.env")), 0, NULL);
    assert_fails(ENOENT, ES_ABSENT);
    free(path);
}

static void a_file_whose_name_has_a_star_is_that_file(void **state)
{
    put_file(in(*state, "*.env"), "");
    put_file(in(*state, "a.env"), "");
    need(in(*state, "*.env"), ES_NEED_EXPAND, NULL);
    assert_opens("*.env");
}

static void a_glob_without_a_match_is_absent_and_an_empty_directory_is_not(void **state)
{
    struct dir *dir = *state;

    need(in(dir, "x*.env"), ES_NEED_EXPAND, NULL);
    assert_fails(ENOENT, ES_ABSENT);
    need(dir->path, ES_NEED_EXPAND, NULL);
    assert_opens("");
}

static void what_is_no_file_in_a_directory_is_passed_over_with_a_note(void **state)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    ES_CLEANUP(es_files_done) struct es_files files = {0};
    struct dir *dir = *state;
    struct es_err err;

    put_file(in(dir, "a.env"), "");
    assert_int_equal(mkfifo(in(dir, "b.env"), 0600), 0);
    need(dir->path, ES_NEED_EXPAND, NULL);
    assert_int_equal(open_files(&files, 0, NULL, NULL, &report, &err), 0);
    assert_int_equal(files.n, 1);
    assert_int_equal(report.n, 1);
    assert_non_null(strstr(report.items[0].text, "b.env: passed over"));
}

static void links_of_strangers_are_denied_also_when_optional_is_not_set(void **state)
{
    struct dir *dir = *state;

    NEEDS_ROOT();
    put_file(in(dir, "secret"), "");
    assert_int_equal(symlink("secret", in(dir, "a.env")), 0);
    assert_int_equal(lchown(in(dir, "a.env"), STRANGER, STRANGER), 0);
    need(in(dir, "a.env"), 0, NULL);
    assert_fails(ELOOP, ES_DENIED);
    need(dir->path, ES_NEED_EXPAND, NULL);
    assert_fails(ELOOP, ES_DENIED);
}

/* ---- waiting ---- */

static const char *const begun[] = {"begun-1", "begun-2", NULL};
static const struct es_wait writer = {.what = "writer", .begun = begun, .over = "over"};

struct waiting {
    struct dir *dir;
    int told;
    const char *make; /* made when the wait is told */
};

static void told(void *data, const char *what, const char *path)
{
    struct waiting *w = data;

    assert_string_equal(what, "writer");
    assert_non_null(strstr(path, "/data"));
    w->told++;
    if (w->make)
        put_file(in(w->dir, w->make), "");
}

static int open_waiting(struct waiting *w, int ms, struct es_err *err)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    ES_CLEANUP(es_files_done) struct es_files files = {0};

    need(in(w->dir, "data"), 0, &writer);
    return open_files(&files, ms, told, w, &report, err);
}

static void a_file_is_waited_for_only_while_its_writer_runs(void **state)
{
    struct waiting w = {.dir = *state};
    struct es_err err;

    assert_int_equal(open_waiting(&w, 10000, &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
    assert_non_null(strstr(err.msg, "writer is not running"));
    put_file(in(w.dir, "begun-2"), "");
    put_file(in(w.dir, "over"), "");
    assert_int_equal(open_waiting(&w, 10000, &err), -ENOENT);
    assert_int_equal(w.told, 0);
}

static void a_file_that_comes_in_time_is_opened(void **state)
{
    struct waiting w = {.dir = *state, .make = "data"};
    struct es_err err;

    put_file(in(w.dir, "begun-1"), "");
    assert_int_equal(open_waiting(&w, 10000, &err), 0);
    assert_int_equal(w.told, 1);
}

static void a_writer_that_ends_without_it_ends_the_wait(void **state)
{
    struct waiting w = {.dir = *state, .make = "over"};
    struct es_err err;

    put_file(in(w.dir, "begun-1"), "");
    assert_int_equal(open_waiting(&w, 10000, &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
}

static void a_file_that_does_not_come_is_unavailable_at_the_deadline(void **state)
{
    struct waiting w = {.dir = *state};
    struct es_err err;

    put_file(in(w.dir, "begun-1"), "");
    assert_int_equal(open_waiting(&w, 120, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_UNAVAILABLE);
    assert_int_equal(w.told, 1);
}

static void the_list_has_copies_of_its_own(void **state)
{
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    char path[] = "/a";
    const struct es_need one = {.role = "r", .path = path, .flags = ES_NEED_OPTIONAL};
    struct es_err err;

    (void)state;
    assert_int_equal(es_needs_add(&needs, &one, &err), 0);
    assert_int_equal(es_needs_add(&needs, &one, &err), 0);
    path[1] = 'b';
    assert_int_equal(needs.n, 2);
    assert_string_equal(needs.items[0].path, "/a");
    assert_int_equal(needs.items[1].flags, ES_NEED_OPTIONAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_file_is_opened_for_reading),
        test_in_dir(an_absent_file_is_absent_unless_it_is_optional),
        test_in_dir(a_directory_or_glob_gives_its_files_in_bytewise_order),
        test_in_dir(a_file_whose_name_has_a_star_is_that_file),
        test_in_dir(a_glob_without_a_match_is_absent_and_an_empty_directory_is_not),
        test_in_dir(what_is_no_file_in_a_directory_is_passed_over_with_a_note),
        test_in_dir(links_of_strangers_are_denied_also_when_optional_is_not_set),
        test_in_dir(a_file_is_waited_for_only_while_its_writer_runs),
        test_in_dir(a_file_that_comes_in_time_is_opened),
        test_in_dir(a_writer_that_ends_without_it_ends_the_wait),
        test_in_dir(a_file_that_does_not_come_is_unavailable_at_the_deadline),
        cmocka_unit_test(the_list_has_copies_of_its_own),
    };

    return cmocka_run_group_tests_name("needs", tests, NULL, NULL);
}
