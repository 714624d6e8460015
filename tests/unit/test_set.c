/* core/set.c: all outputs of a run, rendered before the first is written. */
#include "core_case.h"
#include "failing.h"

#include "core/commit/temp.h"
#include "core/set.h"

#define TWO                                                                                        \
    TOP SOURCE SECOND "[[output]]\npath = \"/run/demo/a\"\nformat = \"env\"\nfrom = [\"file\"]\n"  \
                      "[[output]]\npath = \"/etc/demo/b\"\nformat = \"env\"\n"

/* Two outputs, of which the second takes from both sources. */
struct fixture {
    struct dir *dir;
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_set set;
    struct es_report report;
    struct es_err err;
};

static void set_up(struct fixture *f, void **state)
{
    *f = (struct fixture){.dir = *state};
    load_config(*state, TWO, &f->config);
    f->fetched.n_sources = 2;
    f->fetched.states = calloc(2, sizeof *f->fetched.states);
    assert_non_null(f->fetched.states);
    give(&f->fetched, 0, "A", "1");
    give(&f->fetched, 1, "B", "2");
    assert_int_equal(es_tree_build(&f->config, &f->fetched, &f->tree, &f->err), 0);
}

static void tear_down(struct fixture *f)
{
    es_set_done(&f->set);
    es_tree_done(&f->tree);
    es_fetched_done(&f->fetched);
    es_config_done(&f->config);
    es_report_done(&f->report);
}

static int prepare(struct fixture *f, bool look)
{
    es_set_done(&f->set);
    return es_set_prepare(&f->config, &f->tree, &f->fetched, f->dir->path, look, &f->set,
                          &f->report, &f->err);
}

static void write_now(struct fixture *f)
{
    if (prepare(f, false) < 0 || es_set_write(&f->set, &f->err) < 0)
        fail_msg("%s", f->err.msg);
}

static void an_output_of_a_skipped_source_stays_where_there_is_one(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    f.fetched.states[1] = ES_SOURCE_SKIPPED;
    write_now(&f);
    assert_false(f.set.pieces[0].kept || f.set.pieces[1].kept);
    assert_file(in(*state, "etc/demo/b"), "A=1\nB=2\n");
    put_file(in(*state, "run/demo/a"), "A=old\n");
    put_bytes(in(*state, "etc/demo/b"), "A=old\n", 6, 0640);
    write_now(&f);
    assert_true(!f.set.pieces[0].kept && f.set.pieces[1].kept);
    assert_file(in(*state, "run/demo/a"), "A=1\n");
    assert_file(in(*state, "etc/demo/b"), "A=old\n");
}

static void a_directory_of_the_apps_is_told(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;

    NEEDS_ROOT();
    set_up(&f, state);
    f.config.uid = THE_APP;
    write_now(&f);
    assert_int_equal(f.report.n, 0);
    assert_int_equal(chown(in(*state, "etc/demo"), THE_APP, 0), 0);
    write_now(&f);
    assert_int_equal(f.report.n, 1);
    assert_non_null(
        strstr(f.report.items[0].text, "/etc/demo/b: its directory belongs to the app"));
}

/* ---- every call ---- */

static void old_ones(void *data)
{
    struct fixture *f = data;

    put_bytes(in(f->dir, "run/demo/a"), "A=old\n", 6, 0640);
    put_bytes(in(f->dir, "etc/demo/b"), "A=old\n", 6, 0640);
}

static int prepare_and_write(void *data, struct es_err *err)
{
    const struct fixture *f = data;
    ES_CLEANUP(es_set_done) struct es_set set = {0};
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r =
        es_set_prepare(&f->config, &f->tree, &f->fetched, f->dir->path, false, &set, &report, err);

    return r == 0 ? es_set_write(&set, err) : r;
}

static void assert_old_or_new(void *data, const char *call, int r)
{
    struct fixture *f = data;
    bool a = file_is(in(f->dir, "run/demo/a"), "A=1\n");
    bool b = file_is(in(f->dir, "etc/demo/b"), "A=1\nB=2\n");

    assert_true(a || (r < 0 && file_is(in(f->dir, "run/demo/a"), "A=old\n")));
    assert_true(b || (r < 0 && file_is(in(f->dir, "etc/demo/b"), "A=old\n")));
    /* One that cannot be put in its place keeps the other from nothing. */
    if (r < 0 && strcmp(call, "renameat") == 0)
        assert_true(a != b);
    assert_int_equal(entries(f->dir, "run/demo"), 1);
    assert_int_equal(entries(f->dir, "etc/demo"), 1);
}

static void whichever_call_fails_each_output_is_the_old_one_or_the_new_one(void **state)
{
    static const struct ordeal o = {.before = old_ones,
                                    .run = prepare_and_write,
                                    .after = assert_old_or_new,
                                    .classes = 1U << ES_OUTPUT | 1U << ES_DENIED};
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    write_now(&f);
    ordeal(&o, &f, EIO);
    ordeal(&o, &f, EACCES);
}

/* The last set may have given a file to somebody whom the configuration does not name any more. */
static void what_a_kill_left_beside_an_output_of_the_last_set_is_removed(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;
    ES_CLEANUP(es_manifest_done) struct es_manifest last = {0};

    NEEDS_ROOT();
    set_up(&f, state);
    write_now(&f);
    last.outputs = calloc(1, sizeof *last.outputs);
    assert_non_null(last.outputs);
    last.n_outputs = 1;
    last.outputs[0].owner.uid = THE_APP;
    assert_int_equal(es_buf_puts(&last.outputs[0].path, "/etc/demo/other"), 0);
    assert_int_equal(chown(in(*state, "etc/demo"), THE_APP, 0), 0);
    put_file(in(*state, "etc/demo/.other.envsync-aaaaaaaaaaa"), "left");
    es_set_sweep(&f.config, &last, f.dir->path);
    assert_false(exists(in(*state, "etc/demo/.other.envsync-aaaaaaaaaaa")));
    assert_true(exists(in(*state, "etc/demo/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(an_output_of_a_skipped_source_stays_where_there_is_one),
        test_in_dir(a_directory_of_the_apps_is_told),
        test_in_memory(whichever_call_fails_each_output_is_the_old_one_or_the_new_one),
        test_in_dir(what_a_kill_left_beside_an_output_of_the_last_set_is_removed),
    };

    return cmocka_run_group_tests_name("set", tests, NULL, NULL);
}
