/* core/commit/store.c, load.c, manifest.c and sweep.c: whichever call fails while a set is
 * accepted, loaded or gone back to, what is there afterwards is one whole set, the old one or the
 * new one. */
#include "core_case.h"
#include "failing.h"

#include "core/commit/store.h"

#include <dirent.h>

#define RUN  "run/envsync/demo"
#define DISK "var/lib/envsync/demo"

/* Two sources and two outputs, of which the second may rest on disk. */
struct world {
    struct dir *dir;
    struct es_config config;
    bool disk;                   /* it does */
    char current[ES_SET_ID + 1]; /* before the trial */
};

static const unsigned any_class = 1U << ES_OUTPUT | 1U << ES_DENIED | 1U << ES_INTERNAL;

static int fill(const struct world *w, struct es_manifest *m, struct es_err *err)
{
    int r = es_manifest_bind(m, &w->config, err);

    if (r < 0)
        return r;
    m->sources = calloc(3, sizeof *m->sources);
    m->outputs = calloc(3, sizeof *m->outputs);
    if (!m->sources || !m->outputs)
        return es_nomem(err);
    m->n_sources = m->n_outputs = 2;
    m->sources[1].on_disk = m->outputs[1].on_disk = w->disk;
    m->complete = true;
    return 0;
}

static int write_files(struct es_store *store, const char *id, const struct world *w,
                       const char *text, bool run_half, struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < 2; i++) {
        enum es_half half = es_half_of(i == 1 && w->disk);

        if (run_half && half != ES_HALF_RUN)
            continue;
        r = es_store_write_for(store, id, half, es_source_file(i).text, text, strlen(text), 5000,
                               err);
        if (r == 0)
            r = es_store_write_for(store, id, half, es_output_file(i).text, text, strlen(text), 0,
                                   err);
    }
    return r;
}

static int stage(struct es_store *store, const struct world *w, const char *text,
                 struct es_manifest *m, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf note = {0};
    int r = es_store_begin(store, err);

    if (r == 0)
        r = write_files(store, store->begun, w, text, false, err);
    if (r == 0 && es_buf_puts(&note, text) < 0)
        return es_nomem(err);
    if (r == 0)
        r = es_store_note(store, store->begun, "pending", &note, err);
    return r == 0 ? fill(w, m, err) : r;
}

/* A run that accepts a new set, from the first look to the sweep. */
static int accept_set(const struct world *w, const char *text, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r = es_store_open(&w->config, w->dir->path, true, w->disk, &store, &report, err);

    if (r < 0)
        return r;
    if (!w->disk) {
        ES_CLEANUP(es_buf_done) struct es_buf note = {0};

        es_store_leave_disk(&store, &w->config);
        /* What is still to be done is handed on from there. */
        r = store.current[0] ? es_store_read_note(&store, store.current, "pending", &note, err) : 0;
        assert_true(r < 0 || !store.current[0] || es_buf_is(&note, "one"));
    }
    if (r == 0)
        r = stage(&store, w, text, &m, err);
    if (r == 0)
        r = es_store_commit(&store, &m, ES_BACK_TO_CURRENT, err);
    if (r < 0) {
        es_store_abandon(&store);
        return r;
    }
    es_store_published(&store);
    es_store_touch(&store);
    es_store_sweep(&store);
    return 0;
}

static int accept_two(void *data, struct es_err *err)
{
    return accept_set(data, "two", err);
}

/* ---- before ---- */

static void remove_below(const struct world *w, const char *name)
{
    if (exists(in(w->dir, name)))
        assert_int_equal(nftw(in(w->dir, name), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void nothing(void *data)
{
    struct world *w = data;

    remove_below(w, "run");
    remove_below(w, "var");
    w->current[0] = '\0';
}

static void open_store(const struct world *w, struct es_store *ret)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err = {.msg = "nothing"};

    if (es_store_open(&w->config, w->dir->path, true, w->disk, ret, &report, &err) < 0)
        fail_msg("%s", err.msg);
    if (report.n > 0)
        fail_msg("told: %s", report.items[0].text);
}

static void accept_now(struct world *w, const char *text)
{
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    struct es_err err;

    if (accept_set(w, text, &err) < 0)
        fail_msg("%s", err.msg);
    open_store(w, &store);
    memcpy(w->current, store.current, sizeof w->current);
}

static void one_set(void *data)
{
    nothing(data);
    accept_now(data, "one");
}

/* A set that may rest on disk, where now nothing may. */
static void one_on_disk(void *data)
{
    struct world *w = data;

    nothing(w);
    w->disk = true;
    accept_now(w, "one");
    w->disk = false;
}

static void two_sets(void *data)
{
    nothing(data);
    accept_now(data, "one");
    accept_now(data, "two");
}

/* ---- after ---- */

static void assert_holds(const struct es_store *store, const char *id, const char *text)
{
    struct es_err err = {.msg = "nothing"};

    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++) {
            ES_CLEANUP(es_buf_done) struct es_buf is = {0};
            enum es_half half = es_half_of(store->set.sources[i].on_disk);
            int64_t ms = 0;

            if (es_store_read(store, id, half, j ? es_source_file(i).text : es_output_file(i).text,
                              &is, &ms, &err) < 0)
                fail_msg("%s", err.msg);
            assert_true(es_buf_is(&is, text));
            assert_true(j == 0 || ms == 5000);
        }
}

/* What lies in a half besides the sets that count and the pointer. */
static size_t leftovers(const struct world *w, const char *half, const struct es_store *store)
{
    ES_CLEANUP(es_dir_close) DIR *dir = opendir(in(w->dir, half));
    const struct dirent *entry;
    size_t n = 0;

    while (dir && (entry = readdir(dir)))
        n += entry->d_name[0] != '\0' && strcmp(entry->d_name, ".") != 0 &&
             strcmp(entry->d_name, "..") != 0 && strcmp(entry->d_name, "current") != 0 &&
             strcmp(entry->d_name, store->current) != 0 &&
             strcmp(entry->d_name, store->previous) != 0;
    return n;
}

static void assert_clean(const struct world *w, const struct es_store *store)
{
    assert_int_equal(leftovers(w, RUN, store) + leftovers(w, DISK, store), 0);
}

/* The commit was done, and then the one call failed that makes it last. */
static bool is_late(const char *call)
{
    return strcmp(call, "fsync") == 0 || strcmp(call, "openat") == 0 ||
           strcmp(call, "unlinkat") == 0;
}

static void assert_old_or_new(void *data, const char *call, int r)
{
    struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    bool new;

    open_store(w, &store);
    new = strcmp(store.current, w->current) != 0;
    assert_true(r == 0 ? new : !new || is_late(call));
    assert_true(store.usable == (store.current[0] != '\0'));
    assert_false(store.damaged || store.run_lost || store.held);
    if (new)
        assert_string_equal(store.previous, w->current);
    if (store.usable)
        assert_holds(&store, store.current, new ? "two" : "one");
    /* Sweeping is tried once: what it leaves then is the next run's. */
    if (r < 0)
        assert_clean(w, &store);
    es_store_sweep(&store);
    assert_clean(w, &store);
}

static void setup(struct world *w, void **state)
{
    *w = (struct world){.dir = *state, .disk = true};
    load_config(*state, TOP SOURCE OUTPUT, &w->config);
}

static void whichever_call_fails_the_first_set_is_there_or_none(void **state)
{
    static const struct ordeal o = {
        .before = nothing, .run = accept_two, .after = assert_old_or_new, .classes = any_class};
    struct world w;

    setup(&w, state);
    ordeal(&o, &w, EIO);
    es_config_done(&w.config);
}

static void whichever_call_fails_the_set_is_the_old_one_or_the_new_one(void **state)
{
    static const struct ordeal o = {
        .before = one_set, .run = accept_two, .after = assert_old_or_new, .classes = any_class};
    struct world w;

    setup(&w, state);
    ordeal(&o, &w, EIO);
    ordeal(&o, &w, EACCES);
    w.disk = false;
    ordeal(&o, &w, ENOSPC);
    es_config_done(&w.config);
}

static void assert_left_or_not(void *data, const char *call, int r)
{
    struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    bool new;

    open_store(w, &store);
    new = strcmp(store.current, w->current) != 0;
    assert_true(r == 0 ? new : !new || is_late(call));
    assert_true(store.usable && !store.damaged && !store.run_lost);
    assert_holds(&store, store.current, new ? "two" : "one");
    es_store_sweep(&store);
    assert_true(new == !exists(in(w->dir, DISK)));
}

static void whichever_call_fails_when_the_disk_is_left_one_pointer_counts(void **state)
{
    static const struct ordeal o = {.before = one_on_disk,
                                    .run = accept_two,
                                    .after = assert_left_or_not,
                                    .classes = any_class};
    struct world w;

    setup(&w, state);
    ordeal(&o, &w, EIO);
    es_config_done(&w.config);
}

/* ---- looking, and going back ---- */

static int look(void *data, struct es_err *err)
{
    const struct world *w = data;
    ES_CLEANUP(es_manifest_done) struct es_manifest before = {0};
    ES_CLEANUP(es_buf_done) struct es_buf note = {0};
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r = es_store_open(&w->config, w->dir->path, false, w->disk, &store, &report, err);

    if (r < 0)
        return r;
    /* A fault of the moment must not make a memory count as none. */
    assert_true(store.usable && !store.damaged && !store.run_lost && report.n == 0);
    assert_string_equal(store.current, w->current);
    r = es_store_can_go_back(&store, err);
    assert_true(r != 0);
    if (r > 0)
        r = es_store_manifest(&store, store.previous, &before, err);
    if (r == 0)
        r = es_store_read_note(&store, store.current, "pending", &note, err);
    assert_true(r < 0 || es_buf_is(&note, "two"));
    return r;
}

static void who_looks_sees_the_set_or_why_not(void **state)
{
    static const struct ordeal o = {.before = NULL, .run = look, .classes = any_class};
    struct world w;

    setup(&w, state);
    for (int disk = 0; disk < 2; disk++) {
        w.disk = disk;
        two_sets(&w);
        ordeal(&o, &w, EIO);
        ordeal(&o, &w, EACCES);
    }
    es_config_done(&w.config);
}

static int go_back(void *data, struct es_err *err)
{
    const struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    char current[ES_SET_ID + 1], previous[ES_SET_ID + 1];
    int r = es_store_open(&w->config, w->dir->path, true, w->disk, &store, &report, err);

    if (r == 0)
        r = es_store_can_go_back(&store, err);
    if (r < 0)
        return r;
    memcpy(current, store.current, sizeof current);
    memcpy(previous, store.previous, sizeof previous);
    return es_store_point(&store, previous, current, true, err);
}

static void assert_went_back_or_not(void *data, const char *call, int r)
{
    const struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    bool back;

    open_store(w, &store);
    back = strcmp(store.current, w->current) != 0;
    assert_true(r == 0 ? back : !back || is_late(call));
    assert_true(store.usable && store.held == back);
    if (back)
        assert_string_equal(store.previous, w->current);
    assert_holds(&store, store.current, back ? "one" : "two");
    assert_clean(w, &store);
}

static void whichever_call_fails_a_rollback_is_done_or_it_is_not(void **state)
{
    static const struct ordeal o = {
        .before = two_sets, .run = go_back, .after = assert_went_back_or_not, .classes = any_class};
    struct world w;

    setup(&w, state);
    ordeal(&o, &w, EIO);
    es_config_done(&w.config);
}

/* ---- notes ---- */

static int note(const struct world *w, const struct es_buf *text, struct es_err *err)
{
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r = es_store_open(&w->config, w->dir->path, true, w->disk, &store, &report, err);

    return r == 0 ? es_store_note(&store, store.current, "pending", text, err) : r;
}

static int put_note(void *data, struct es_err *err)
{
    const struct es_buf text = {.data = (char *)"three", .len = 5};

    return note(data, &text, err);
}

static int remove_note(void *data, struct es_err *err)
{
    return note(data, NULL, err);
}

/* 1: "one", as before; 3: "three"; 0: there is none. */
static int note_of(const struct world *w)
{
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_buf_done) struct es_buf note = {0};
    struct es_err err;
    int r;

    open_store(w, &store);
    r = es_store_read_note(&store, store.current, "pending", &note, &err);
    if (r == -ENOENT)
        return 0;
    assert_int_equal(r, 0);
    assert_true(es_buf_is(&note, "one") || es_buf_is(&note, "three"));
    return es_buf_is(&note, "one") ? 1 : 3;
}

static void assert_noted_or_not(void *data, const char *call, int r)
{
    int note = note_of(data);

    assert_true(r == 0 ? note == 3 : note == 1 || (note == 3 && is_late(call)));
}

static void assert_removed_or_not(void *data, const char *call, int r)
{
    int note = note_of(data);

    assert_true(r == 0 ? note == 0 : note == 1 || (note == 0 && is_late(call)));
}

static void whichever_call_fails_a_note_is_the_old_one_or_the_new_one(void **state)
{
    static const struct ordeal put = {
        .before = one_set, .run = put_note, .after = assert_noted_or_not, .classes = any_class};
    static const struct ordeal removal = {.before = one_set,
                                          .run = remove_note,
                                          .after = assert_removed_or_not,
                                          .classes = any_class};
    struct world w;

    setup(&w, state);
    ordeal(&put, &w, EIO);
    ordeal(&removal, &w, EIO);
    es_config_done(&w.config);
}

/* ---- a /run half that comes back ---- */

/* With another boot the /run half went. */
static void run_half_is_lost(void *data)
{
    struct world *w = data;
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    struct es_err err;

    nothing(w);
    open_store(w, &store);
    assert_int_equal(stage(&store, w, "one", &m, &err), 0);
    assert_int_equal(es_buf_set(&m.boot_id, "earlier", 7), 0);
    assert_int_equal(es_store_commit(&store, &m, ES_BACK_TO_CURRENT, &err), 0);
    memcpy(w->current, store.current, sizeof w->current);
    remove_below(w, "run");
}

static int bring_back(void *data, struct es_err *err)
{
    const struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r = es_store_open(&w->config, w->dir->path, true, true, &store, &report, err);

    if (r == 0)
        r = es_store_begin(&store, err);
    if (r == 0)
        r = write_files(&store, store.current, w, "one", true, err);
    if (r == 0)
        r = es_store_adopt(&store, store.current, err);
    es_store_abandon(&store);
    return r;
}

static void assert_back_or_lost(void *data, const char *call, int r)
{
    const struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;

    open_store(w, &store);
    assert_true(store.usable && strcmp(store.current, w->current) == 0);
    assert_true(r == 0 ? !store.run_lost : store.run_lost || is_late(call));
    assert_true(store.run_lost == es_store_outputs_lost(&store));
    if (!store.run_lost)
        assert_holds(&store, store.current, "one");
    es_store_sweep(&store);
    assert_clean(w, &store);
}

static void whichever_call_fails_a_run_half_comes_back_whole_or_not_at_all(void **state)
{
    static const struct ordeal o = {.before = run_half_is_lost,
                                    .run = bring_back,
                                    .after = assert_back_or_lost,
                                    .classes = any_class};
    struct world w;

    setup(&w, state);
    ordeal(&o, &w, EIO);
    es_config_done(&w.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_memory(whichever_call_fails_the_first_set_is_there_or_none),
        test_in_memory(whichever_call_fails_the_set_is_the_old_one_or_the_new_one),
        test_in_memory(whichever_call_fails_when_the_disk_is_left_one_pointer_counts),
        test_in_memory(who_looks_sees_the_set_or_why_not),
        test_in_memory(whichever_call_fails_a_rollback_is_done_or_it_is_not),
        test_in_memory(whichever_call_fails_a_note_is_the_old_one_or_the_new_one),
        test_in_memory(whichever_call_fails_a_run_half_comes_back_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("faults of the store", tests, NULL, NULL);
}
