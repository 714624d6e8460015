/* What the tests of the store share: a configuration with its state below the directory of the
 * test, and sets of one source and one output. */
#ifndef ENVSYNC_TESTS_STORE_CASE_H
#define ENVSYNC_TESTS_STORE_CASE_H

#include "core_case.h"

#include "core/commit/store.h"

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

static inline void fixture_done(struct fixture *f)
{
    es_store_done(&f->store);
    es_config_done(&f->config);
    es_report_done(&f->report);
}

static inline int try_open(struct fixture *f, bool make, bool disk)
{
    es_store_done(&f->store);
    f->store = (struct es_store)ES_STORE_INIT;
    f->err = (struct es_err){.msg = "nothing"};
    return es_store_open(&f->config, f->dir->path, make, disk, &f->store, &f->report, &f->err);
}

static inline void reopen(struct fixture *f)
{
    if (try_open(f, true, true) < 0)
        fail_msg("%s", f->err.msg);
}

static inline struct fixture fixture(void **state)
{
    struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    reopen(&f);
    return f;
}

/* A manifest of one source and one output, in the half that is asked for. */
static inline void fill(struct fixture *f, struct es_manifest *m, bool on_disk)
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

static inline void begin(struct fixture *f, const char *text, bool on_disk)
{
    enum es_half half = on_disk ? ES_HALF_DISK : ES_HALF_RUN;

    assert_int_equal(es_store_begin(&f->store, &f->err), 0);
    assert_int_equal(es_store_write(&f->store, half, "source-0", text, strlen(text), 0, &f->err),
                     0);
    assert_int_equal(es_store_write(&f->store, half, "output-0", text, strlen(text), 0, &f->err),
                     0);
}

static inline void commit_with(struct fixture *f, const char *text, bool on_disk,
                               const char *machine, const char *boot)
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

static inline void commit(struct fixture *f, const char *text, bool on_disk)
{
    commit_with(f, text, on_disk, NULL, NULL);
}

static inline void assert_holds(struct fixture *f, const char *id, enum es_half half,
                                const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};

    assert_int_equal(es_store_read(&f->store, id, half, "source-0", &is, NULL, &f->err), 0);
    assert_true(es_buf_is(&is, text));
}

static inline void lose_run_half(struct fixture *f)
{
    const char *path = in(f->dir, RUN);

    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
