/* core/keep.c: what becomes the present set, and where one could go back to from there. */
#include "failing.h"
#include "run_case.h"

#define ONE(path, more)                                                                            \
    TOP PARAMETERS "[[output]]\npath = \"" path                                                    \
                   "\"\nformat = \"value\"\nkey = \"db.password\"\n" more

static void open_store(const struct world *w, struct es_store *ret)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err = {.msg = "nothing"};

    if (es_store_open(&w->config, w->dir->path, false, false, ret, &report, &err) < 0)
        fail_msg("%s", err.msg);
}

static void sync_version(struct world *w, unsigned version)
{
    w->version = version;
    world_sync_now(w);
}

/* The previous set is the one that was the present one then, or that one's own. */
static void assert_way_back(const struct world *w, const char *then, bool to_itself)
{
    char now[34];

    world_pointer(w, now);
    assert_memory_not_equal(now, then, ES_SET_ID);
    assert_memory_equal(now + ES_SET_ID + 1, to_itself ? then : then + ES_SET_ID + 1, ES_SET_ID);
}

static void what_a_skipped_source_feeds_is_kept_with_its_text(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;

    world_begin(&w, state, TOP PARAMETERS "on_unavailable = \"skip\"\n" OBJECTS OUTPUTS);
    sync_version(&w, 1);
    w.away = true;
    sync_version(&w, 2);
    assert_true(world_is_version(&w, ENVIRONMENT, 1) && world_is_version(&w, MIRRORED, 2));
    open_store(&w, &store);
    assert_true(store.usable && !store.set.complete);
    /* So it comes back when it is lost. */
    assert_int_equal(unlink(in(*state, ENVIRONMENT)), 0);
    sync_version(&w, 2);
    assert_true(world_is_version(&w, ENVIRONMENT, 1));
}

static void what_was_there_before_the_first_set_is_kept_as_it_is(void **state)
{
    ES_CLEANUP(world_end) struct world w;

    world_begin(&w, state, TOP PARAMETERS "on_unavailable = \"skip\"\n" OBJECTS OUTPUTS);
    sync_version(&w, 1);
    assert_int_equal(nftw(in(*state, "run/envsync"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_int_equal(nftw(in(*state, "var"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    w.away = true;
    sync_version(&w, 2);
    assert_true(world_is_version(&w, ENVIRONMENT, 1) && world_is_version(&w, MIRRORED, 2));
}

static void a_set_that_is_all_on_disk_belongs_to_no_boot(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;

    world_begin(&w, state, ONE("/etc/demo/password", ""));
    sync_version(&w, 1);
    open_store(&w, &store);
    assert_true(store.usable && store.set.boot_id.len == 0);
}

static void a_new_owner_mode_or_place_is_another_set(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    char before[34];

    world_begin(&w, state, ONE("/etc/demo/password", ""));
    sync_version(&w, 1);
    world_pointer(&w, before);
    world_configure(&w, ONE("/etc/demo/password", "mode = \"0600\"\n"));
    sync_version(&w, 1);
    assert_way_back(&w, before, true);
    world_pointer(&w, before);
    world_configure(&w, ONE("/etc/demo/other", "mode = \"0600\"\n"));
    sync_version(&w, 1);
    assert_way_back(&w, before, true);
    world_pointer(&w, before);
    /* The same text from another configuration is none that somebody would want back. */
    world_configure(&w, ONE("/etc/demo/other", "mode = \"0600\"\nrequire = []\n"));
    sync_version(&w, 1);
    assert_way_back(&w, before, false);
}

static void where_nothing_may_rest_on_disk_nothing_stays_there(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;

    world_begin(&w, state, ONE("/etc/demo/password", ""));
    sync_version(&w, 1);
    world_configure(&w, ONE("/run/demo/password", ""));
    sync_version(&w, 2);
    assert_false(exists(in(*state, "var/lib/envsync/demo")));
    open_store(&w, &store);
    assert_true(store.usable && store.previous[0] == '\0');
}

/* Somebody has emptied /run: the set of before cannot be gone back to, the one before may. */
static void a_set_that_is_lost_is_not_where_one_goes_back_to(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    char before[34];

    world_begin(&w, state, CONFIG);
    sync_version(&w, 1);
    sync_version(&w, 2);
    world_pointer(&w, before);
    assert_int_equal(nftw(in(*state, "run/envsync"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    sync_version(&w, 3);
    assert_way_back(&w, before, false);
}

static void an_unchanged_run_moves_the_times_beside_the_sealed_copy(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};
    ES_CLEANUP(world_end) struct world w;
    char before[34], after[34], path[100];
    struct stat st;

    NEEDS_ROOT();
    world_begin(&w, state, SEALED);
    sync_version(&w, 2);
    sync_version(&w, 2);
    world_pointer(&w, before);
    snprintf(path, sizeof path, "var/lib/envsync/demo/%.16s/source-0.time", before);
    assert_int_equal(utimensat(AT_FDCWD, in(*state, path), old, 0), 0);
    sync_version(&w, 2);
    world_pointer(&w, after);
    assert_string_equal(after, before);
    assert_int_equal(lstat(in(*state, path), &st), 0);
    assert_true(st.st_mtim.tv_sec > 1600000000);
}

static int remove_staged(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    return strncmp(path + ftw->base, ".a.pem.", 7) == 0 ? unlink(path) : 0;
}

static void remove_all_staged(void *data)
{
    assert_int_equal(nftw(in(data, "etc/demo/m"), remove_staged, 16, FTW_PHYS), 0);
}

/* Between the commit and its being put in its place. */
static void a_staged_file_that_somebody_removes_is_an_error_and_comes_back(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err = {.msg = "nothing"};

    world_begin(&w, state, CONFIG);
    sync_version(&w, 2);
    sync_version(&w, 4);
    failing_begin("renameat", 0, 0);
    sync_version(&w, 6);
    failing_end();
    /* The last one puts the mirrored file in its place; it is looked for before. */
    w.version = 8;
    failing_hook("renameat", failing_counted() - 1, remove_all_staged, *state);
    assert_int_equal(world_sync(&w, &report, &err), -ENOENT);
    assert_non_null(failing_end());
    assert_int_equal(err.class, ES_OUTPUT);
    assert_non_null(strstr(err.msg, "/etc/demo/m/a.pem: was removed or replaced by somebody else"));
    assert_true(world_is_version(&w, ENVIRONMENT, 8));
    world_sync_now(&w);
    world_assert_whole(&w);
}

static void records_that_cannot_be_read_are_written_anew(void **state)
{
    ES_CLEANUP(world_end) struct world w;
    char before[34], after[34], path[100];

    world_begin(&w, state, ONE("/etc/demo/password", ""));
    sync_version(&w, 1);
    world_pointer(&w, before);
    snprintf(path, sizeof path, "var/lib/envsync/demo/%.16s/source-0", before);
    assert_int_equal(unlink(in(*state, path)), 0);
    assert_int_equal(mkdir(in(*state, path), 0700), 0);
    sync_version(&w, 1);
    world_pointer(&w, after);
    assert_memory_not_equal(before, after, ES_SET_ID);
    sync_version(&w, 1);
    world_pointer(&w, before);
    assert_string_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(what_a_skipped_source_feeds_is_kept_with_its_text),
        test_in_dir(what_was_there_before_the_first_set_is_kept_as_it_is),
        test_in_dir(a_set_that_is_all_on_disk_belongs_to_no_boot),
        test_in_dir(a_new_owner_mode_or_place_is_another_set),
        test_in_dir(where_nothing_may_rest_on_disk_nothing_stays_there),
        test_in_dir(a_set_that_is_lost_is_not_where_one_goes_back_to),
        test_in_dir(an_unchanged_run_moves_the_times_beside_the_sealed_copy),
        test_in_dir(a_staged_file_that_somebody_removes_is_an_error_and_comes_back),
        test_in_dir(records_that_cannot_be_read_are_written_anew),
    };

    return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
