/* core/commit/store.c: sets of a configuration, the pointer to the present one, and what of it
 * counts on this machine and in this boot. */
#include "core_case.h"
#include "failing.h"

#include "core/commit/store.h"

#include <dirent.h>
#include <time.h>

#define RUN  "run/envsync/demo"
#define DISK "var/lib/envsync/demo"

/* A configuration with its state below the directory of the test. */
struct fixture {
    struct dir *dir;
    struct es_config config;
    struct es_store store;
    struct es_report report;
    struct es_err err;
};

static void fixture_done(struct fixture *f)
{
    es_store_done(&f->store);
    es_config_done(&f->config);
    es_report_done(&f->report);
}

static int try_open(struct fixture *f, bool make, bool disk)
{
    es_store_done(&f->store);
    f->store = (struct es_store)ES_STORE_INIT;
    f->err = (struct es_err){.msg = "nothing"};
    return es_store_open(&f->config, f->dir->path, make, disk, &f->store, &f->report, &f->err);
}

static void reopen(struct fixture *f)
{
    if (try_open(f, true, true) < 0)
        fail_msg("%s", f->err.msg);
}

static struct fixture fixture(void **state)
{
    struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    reopen(&f);
    return f;
}

/* A manifest of one source and one output, in the half that is asked for. */
static void fill(struct fixture *f, struct es_manifest *m, bool on_disk)
{
    assert_int_equal(es_manifest_bind(m, &f->config, &f->err), 0);
    m->complete = true;
    m->n_sources = m->n_outputs = 1;
    m->sources = calloc(2, sizeof *m->sources);
    m->outputs = calloc(2, sizeof *m->outputs);
    assert_true(m->sources && m->outputs);
    assert_int_equal(es_buf_puts(&m->sources[0].name, "file"), 0);
    m->sources[0].on_disk = m->outputs[0].on_disk = on_disk;
}

static void begin(struct fixture *f, const char *text, bool on_disk)
{
    enum es_half half = on_disk ? ES_HALF_DISK : ES_HALF_RUN;

    assert_int_equal(es_store_begin(&f->store, &f->err), 0);
    assert_int_equal(es_store_write(&f->store, half, "source-0", text, strlen(text), 0, &f->err),
                     0);
    assert_int_equal(es_store_write(&f->store, half, "output-0", text, strlen(text), 0, &f->err),
                     0);
}

static void commit_with(struct fixture *f, const char *text, bool on_disk, const char *machine,
                        const char *boot)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

    begin(f, text, on_disk);
    fill(f, &m, on_disk);
    if (machine)
        assert_int_equal(es_buf_set(&m.machine_id, machine, strlen(machine)), 0);
    if (boot)
        assert_int_equal(es_buf_set(&m.boot_id, boot, strlen(boot)), 0);
    if (es_store_commit(&f->store, &m, ES_BACK_TO_CURRENT, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    assert_int_equal(m.n_sources, 0); /* taken over */
}

static void commit(struct fixture *f, const char *text, bool on_disk)
{
    commit_with(f, text, on_disk, NULL, NULL);
}

static void assert_holds(struct fixture *f, const char *id, enum es_half half, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};

    assert_int_equal(es_store_read(&f->store, id, half, "source-0", &is, NULL, &f->err), 0);
    assert_true(es_buf_is(&is, text));
}

static size_t entries(const char *path)
{
    DIR *stream = opendir(path);
    size_t n = 0;

    assert_non_null(stream);
    while (readdir(stream))
        n++;
    closedir(stream);
    return n - 2;
}

static void both_halves_are_made_for_root_alone(void **state)
{
    static const char *const dirs[] = {"run/envsync", RUN, "var/lib/envsync", DISK};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    struct stat st;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stat(in(*state, dirs[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    assert_string_equal(f.store.current, "");
    assert_false(f.store.usable);
    assert_int_equal(f.report.n, 0);
}

static void who_only_looks_makes_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    assert_int_equal(try_open(&f, false, false), 0);
    assert_int_equal(f.store.halves[ES_HALF_RUN].dir, -1);
    assert_int_equal(f.store.halves[ES_HALF_DISK].dir, -1);
    assert_false(exists(in(*state, "run")) || exists(in(*state, "var")));
}

static void without_need_of_the_disk_its_half_is_not_made(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    assert_int_equal(try_open(&f, true, false), 0);
    assert_false(exists(in(*state, "var")));
    commit(&f, "secret", false);
    assert_int_equal(try_open(&f, true, false), 0);
    assert_true(f.store.usable);
    assert_holds(&f, f.store.current, ES_HALF_RUN, "secret");
    assert_false(exists(in(*state, "var")));
}

static void a_committed_set_is_the_present_one_for_the_next_run(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    struct stat st;
    char id[ES_SET_ID + 1], path[100];

    begin(&f, "half-way", true);
    reopen(&f);
    assert_string_equal(f.store.current, "");
    commit(&f, "text", true);
    memcpy(id, f.store.current, sizeof id);
    assert_true(f.store.usable && f.store.set.complete);
    reopen(&f);
    assert_string_equal(f.store.current, id);
    assert_string_equal(f.store.previous, "");
    assert_true(f.store.usable && !f.store.held && !f.store.run_lost);
    assert_int_equal(f.store.set.n_sources, 1);
    assert_holds(&f, id, ES_HALF_DISK, "text");
    snprintf(path, sizeof path, DISK "/%s", id);
    assert_int_equal(stat(in(*state, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    snprintf(path, sizeof path, DISK "/%s/source-0", id);
    assert_int_equal(stat(in(*state, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(f.report.n, 0);
}

static void the_names_of_sets_are_random(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char id[ES_SET_ID + 1];

    commit(&f, "same", true);
    memcpy(id, f.store.current, sizeof id);
    commit(&f, "same", true);
    assert_string_not_equal(f.store.current, id);
    assert_string_equal(f.store.previous, id);
}

static void what_was_written_in_one_half_is_not_in_the_other(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    commit(&f, "secret", false);
    assert_holds(&f, f.store.current, ES_HALF_RUN, "secret");
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, NULL, &f.err),
        -ENOENT);
}

static void a_file_has_the_time_that_it_is_given(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int64_t ms = 0, before = 1600000000123;

    begin(&f, "x", true);
    assert_int_equal(es_store_write(&f.store, ES_HALF_DISK, "source-0", "y", 1, before, &f.err), 0);
    fill(&f, &m, true);
    assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), 0);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, &ms, &f.err), 0);
    assert_int_equal(ms, before);
    es_store_touch_file(&f.store, ES_HALF_DISK, "source-0");
    es_buf_clear(&text);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0", &text, &ms, &f.err), 0);
    assert_true(ms > before && es_buf_is(&text, "y"));
}

static void touching_moves_the_last_success_and_no_byte(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "x", true);
    assert_int_equal(utimensat(AT_FDCWD, in(*state, DISK "/current"), old, 0), 0);
    reopen(&f);
    assert_int_equal(f.store.succeeded_ms, 1600000000000);
    es_store_touch(&f.store);
    reopen(&f);
    assert_true(f.store.succeeded_ms > 1600000000000);
    assert_true(f.store.usable);
}

static void pointing_back_and_holding_is_kept(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char first[ES_SET_ID + 1], second[ES_SET_ID + 1];

    commit(&f, "one", true);
    memcpy(first, f.store.current, sizeof first);
    commit(&f, "two", true);
    memcpy(second, f.store.current, sizeof second);
    assert_int_equal(es_store_point(&f.store, first, second, true, &f.err), 0);
    reopen(&f);
    assert_string_equal(f.store.current, first);
    assert_string_equal(f.store.previous, second);
    assert_true(f.store.held && f.store.usable);
    assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
    assert_int_equal(es_store_point(&f.store, f.store.current, f.store.previous, false, &f.err), 0);
    reopen(&f);
    assert_false(f.store.held);
    assert_string_equal(f.store.previous, second);
}

static void a_new_set_ends_the_hold(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "one", true);
    assert_int_equal(es_store_point(&f.store, f.store.current, "", true, &f.err), 0);
    commit(&f, "two", true);
    reopen(&f);
    assert_false(f.store.held);
}

static void an_abandoned_set_leaves_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, "one", true);
    begin(&f, "two", false);
    assert_int_equal(es_store_write(&f.store, ES_HALF_DISK, "output-0", "x", 1, 0, &f.err), 0);
    es_store_abandon(&f.store);
    assert_int_equal(entries(in(*state, DISK)), 2);
    assert_int_equal(entries(in(*state, RUN)), 1);
    es_store_abandon(&f.store); /* nothing is begun: nothing happens */
    assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
}

static void a_set_that_current_names_is_not_removed_because_its_fsync_failed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    unsigned last;

    failing_begin("fsync", 0, 0);
    commit(&f, "one", true);
    last = failing_counted();
    begin(&f, "two", true);
    fill(&f, &m, true);
    failing_begin("fsync", last, EIO);
    assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), -EIO);
    failing_end();
    assert_false(es_store_abandon(&f.store));
    reopen(&f);
    assert_true(f.store.usable);
    assert_holds(&f, f.store.current, ES_HALF_DISK, "two");
    assert_holds(&f, f.store.previous, ES_HALF_DISK, "one");
}

static void a_set_that_current_does_not_name_yet_goes_whichever_fsync_failed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    unsigned last;

    failing_begin("fsync", 0, 0);
    commit(&f, "one", true);
    last = failing_counted();
    for (unsigned i = 1; i < last; i++) {
        ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

        begin(&f, "two", true);
        fill(&f, &m, true);
        failing_begin("fsync", i, EIO);
        assert_int_equal(es_store_commit(&f.store, &m, ES_BACK_TO_CURRENT, &f.err), -EIO);
        failing_end();
        assert_true(es_store_abandon(&f.store));
        reopen(&f);
        assert_true(f.store.usable);
        assert_holds(&f, f.store.current, ES_HALF_DISK, "one");
    }
}

static void sweeping_leaves_the_present_and_the_previous_set_alone(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (int i = 0; i < 4; i++)
        commit(&f, "x", true);
    begin(&f, "killed", false);
    put_file(in(*state, DISK "/.current.envsync-abcdefghijk"), "left");
    put_file(in(*state, RUN "/lock"), "");
    reopen(&f);
    es_store_sweep(&f.store);
    assert_int_equal(entries(in(*state, DISK)), 3); /* two sets and the pointer */
    assert_int_equal(entries(in(*state, RUN)), 3);  /* and the lock */
    assert_true(exists(in(*state, RUN "/lock")));
    assert_holds(&f, f.store.current, ES_HALF_DISK, "x");
    assert_holds(&f, f.store.previous, ES_HALF_DISK, "x");
}

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

static void a_set_may_leave_the_way_back_as_it_is_or_cut_it(void **state)
{
    static const enum es_way_back ways[] = {ES_BACK_TO_PREVIOUS, ES_BACK_NOWHERE};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char first[ES_SET_ID + 1];

    commit(&f, "one", true);
    strcpy(first, f.store.current);
    commit(&f, "two", true);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

        begin(&f, "two", true);
        fill(&f, &m, true);
        assert_int_equal(es_store_commit(&f.store, &m, ways[i], &f.err), 0);
        reopen(&f);
        assert_string_equal(f.store.previous, i == 0 ? first : "");
    }
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
    assert_int_equal(f.report.n, 0);
}

static void lose_run_half(struct fixture *f)
{
    const char *path = in(f->dir, RUN);

    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
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

static void only_a_previous_set_that_is_whole_can_be_gone_back_to(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char half[128];

    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
    commit(&f, "one", false);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
    commit(&f, "two", false);
    reopen(&f);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 1);
    snprintf(half, sizeof half, RUN "/%s", f.store.previous);
    assert_int_equal(rename(in(*state, half), in(*state, "gone")), 0);
    assert_int_equal(es_store_can_go_back(&f.store, &f.err), 0);
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

static void what_goes_with_the_boot_is_known_by_its_path(void **state)
{
    (void)state;
    assert_true(es_path_is_volatile("/run/demo/x"));
    assert_true(es_path_is_volatile("//run/x"));
    assert_true(es_path_is_volatile("/var/run/x"));
    assert_false(es_path_is_volatile("/runner/x"));
    assert_false(es_path_is_volatile("/run"));
    assert_false(es_path_is_volatile("/etc/run/x"));
    assert_false(es_path_is_volatile("/var/lib/x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(only_a_previous_set_that_is_whole_can_be_gone_back_to),
        test_in_dir(outputs_that_went_with_a_boot_are_known_from_those_on_disk),
        test_in_dir(a_set_that_current_names_is_not_removed_because_its_fsync_failed),
        test_in_dir(a_set_that_current_does_not_name_yet_goes_whichever_fsync_failed),
        test_in_dir(both_halves_are_made_for_root_alone),
        test_in_dir(who_only_looks_makes_nothing),
        test_in_dir(without_need_of_the_disk_its_half_is_not_made),
        test_in_dir(a_committed_set_is_the_present_one_for_the_next_run),
        test_in_dir(the_names_of_sets_are_random),
        test_in_dir(what_was_written_in_one_half_is_not_in_the_other),
        test_in_dir(a_file_has_the_time_that_it_is_given),
        test_in_dir(touching_moves_the_last_success_and_no_byte),
        test_in_dir(pointing_back_and_holding_is_kept),
        test_in_dir(a_new_set_ends_the_hold),
        test_in_dir(an_abandoned_set_leaves_nothing),
        test_in_dir(sweeping_leaves_the_present_and_the_previous_set_alone),
        test_in_dir(a_broken_pointer_counts_as_none_and_is_told),
        test_in_dir(a_broken_manifest_counts_as_none_and_is_told),
        test_in_dir(a_set_with_a_damaged_output_is_not_used_and_that_is_told),
        test_in_dir(a_set_without_one_of_its_outputs_is_not_used),
        test_in_dir(any_bit_of_the_manifest_and_of_the_pointer_counts),
        test_in_dir(damaged_records_are_told_from_whole_ones_and_the_outputs_still_count),
        test_in_dir(a_file_of_another_set_or_name_is_damage),
        test_in_dir(a_damaged_set_that_is_held_stays_held),
        test_in_dir(nobody_goes_back_to_a_damaged_set),
        test_in_dir(a_set_may_leave_the_way_back_as_it_is_or_cut_it),
        test_in_dir(a_pointer_that_is_no_file_is_an_error),
        test_in_dir(the_state_of_another_configuration_is_refused),
        test_in_dir(a_set_of_another_machine_is_not_built_upon),
        test_in_dir(a_run_half_that_went_with_another_boot_is_no_surprise),
        test_in_dir(a_run_half_that_went_in_this_boot_makes_the_set_useless_and_is_told),
        test_in_dir(a_set_that_is_all_on_disk_misses_no_run_half),
        test_in_dir(a_state_directory_that_others_can_write_is_refused),
        cmocka_unit_test(what_goes_with_the_boot_is_known_by_its_path),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
