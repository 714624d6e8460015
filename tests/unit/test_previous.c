/* core/previous.c: what the last accepted set still has to give. */
#include "core_case.h"
#include "failing.h"

#include "core/previous.h"

struct fixture {
    struct dir *dir;
    struct es_config config;
    struct es_store store;
    struct es_previous previous;
    struct es_report report;
    struct es_err err;
};

static void fixture_done(struct fixture *f)
{
    es_previous_done(&f->previous);
    es_store_done(&f->store);
    es_config_done(&f->config);
    es_report_done(&f->report);
}

static struct fixture fixture(void **state)
{
    struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE SECOND OUTPUT, &f.config);
    if (es_store_open(&f.config, f.dir->path, true, true, &f.store, &f.report, &f.err) < 0)
        fail_msg("%s", f.err.msg);
    return f;
}

/* The text of a source's file: its records, all with the number 9. */
static void records(struct es_buf *out, const char *const *keys, uint32_t n)
{
    assert_int_equal(es_put_u32(out, n), 0);
    for (uint32_t i = 0; i < n; i++) {
        ES_CLEANUP(es_record_done) struct es_record record = {.source = 9, .rank = i};
        struct es_err err;

        assert_int_equal(es_key_parse(keys[i], &record.key, &err), 0);
        assert_int_equal(es_value_set_string(&record.value, "v", 1), 0);
        assert_int_equal(es_put_record(out, &record), 0);
    }
}

/* A set as the configuration's: "file" with A and B, "second" with C. `texts` for those instead. */
static void commit(struct fixture *f, const struct es_buf *const texts[2])
{
    static const char *const keys[] = {"A", "B", "C"};
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

    assert_int_equal(es_store_begin(&f->store, &f->err), 0);
    assert_int_equal(es_manifest_bind(&m, &f->config, &f->err), 0);
    assert_int_equal(es_put_value(&m.configured, &f->config.root), 0);
    m.sources = calloc(3, sizeof *m.sources);
    m.outputs = calloc(2, sizeof *m.outputs);
    assert_true(m.sources && m.outputs);
    m.n_outputs = 1;
    assert_int_equal(es_buf_puts(&m.outputs[0].path, "/run/demo/out"), 0);
    for (; m.n_sources < 2; m.n_sources++) {
        struct es_kept_source *source = &m.sources[m.n_sources];
        ES_CLEANUP(es_buf_done) struct es_buf own = {0};
        const struct es_buf *text = texts ? texts[m.n_sources] : NULL;

        assert_int_equal(es_buf_puts(&source->name, f->config.sources[m.n_sources].name), 0);
        assert_int_equal(es_put_value(&source->configured, &f->config.sources[m.n_sources].where),
                         0);
        source->given = true;
        records(&own, m.n_sources ? keys + 2 : keys, m.n_sources ? 1 : 2);
        text = text ? text : &own;
        assert_int_equal(es_store_write(&f->store, ES_HALF_RUN, es_source_file(m.n_sources).text,
                                        es_buf_str(text), text->len, 1600000000000, &f->err),
                         0);
    }
    assert_int_equal(es_store_commit(&f->store, &m, ES_BACK_TO_CURRENT, &f->err), 0);
}

static void load(struct fixture *f)
{
    es_previous_done(&f->previous);
    assert_int_equal(
        es_previous_load(&f->config, f->dir->path, &f->store, &f->previous, &f->report, &f->err),
        0);
    assert_int_equal(f->previous.n, f->config.n_sources);
}

static void the_records_of_each_source_come_back_with_their_age(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, NULL);
    load(&f);
    assert_non_null(f.previous.sources[0].kept);
    assert_int_equal(f.previous.sources[0].n, 2);
    assert_int_equal(f.previous.sources[0].records[1].rank, 1);
    assert_int_equal(f.previous.sources[0].fetched_ms, 1600000000000);
    assert_int_equal(f.previous.sources[1].n, 1);
    assert_int_equal(f.previous.sources[1].records[0].source, 1); /* its number now */
}

static void sources_are_known_by_name_not_by_number(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    struct es_source first;

    commit(&f, NULL);
    first = f.config.sources[0];
    f.config.sources[0] = f.config.sources[1];
    f.config.sources[1] = first;
    load(&f);
    assert_int_equal(f.previous.sources[0].n, 1);
    assert_int_equal(f.previous.sources[1].n, 2);
    assert_int_equal(f.previous.sources[1].records[0].source, 1);
}

static void without_a_set_nothing_is_known(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    load(&f);
    assert_null(f.previous.sources[0].kept);
    commit(&f, NULL);
    f.store.usable = false;
    load(&f);
    assert_null(f.previous.sources[0].kept);
    assert_int_equal(f.previous.sources[0].n, 0);
}

static void a_source_that_gave_nothing_is_not_known(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, NULL);
    f.store.set.sources[0].given = false;
    load(&f);
    assert_null(f.previous.sources[0].kept);
    assert_non_null(f.previous.sources[1].kept);
}

/* Every damage costs the source its memory, never the run. */
static void damaged_records_count_as_not_known(void **state)
{
    static const char *const keys[] = {"A", "B"};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf whole = {0};

    records(&whole, keys, 2);
    for (size_t len = 0; len < whole.len; len++) {
        struct es_buf cut = {.data = whole.data, .len = len, .cap = whole.cap};
        const struct es_buf *const texts[] = {&cut, NULL};

        commit(&f, texts);
        load(&f);
        assert_null(f.previous.sources[0].kept);
        assert_int_equal(f.previous.sources[0].n, 0);
        assert_int_equal(f.previous.sources[1].n, 1);
        es_store_sweep(&f.store);
    }
}

static void a_hostile_count_of_records_is_refused(void **state)
{
    static const uint32_t counts[] = {3, 1000000, 0x80000000, UINT32_MAX};
    static const char *const keys[] = {"A", "B"};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (size_t i = 0; i < 4; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0}, rest = {0};
        const struct es_buf *const texts[] = {&text, NULL};

        records(&rest, keys, 2);
        assert_int_equal(es_put_u32(&text, counts[i]), 0);
        assert_int_equal(es_buf_append(&text, rest.data + 4, rest.len - 4), 0);
        commit(&f, texts);
        load(&f);
        assert_null(f.previous.sources[0].kept);
    }
}

/* Those of an object are looked for by their rank. */
static void records_that_are_not_in_order_count_as_not_known(void **state)
{
    static const char *const keys[] = {"A", "B"};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    for (size_t first = 0; first < 2; first++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0}, one = {0}, both = {0};
        const struct es_buf *const texts[] = {&text, NULL};
        size_t half;

        records(&one, keys, 1);
        records(&both, keys, 2);
        half = one.len - 4;
        assert_int_equal(es_put_u32(&text, 2), 0);
        assert_int_equal(es_buf_append(&text, both.data + 4 + (1 - first) * half, half), 0);
        assert_int_equal(es_buf_append(&text, both.data + 4 + first * half, half), 0);
        commit(&f, texts);
        load(&f);
        assert_int_equal(f.previous.sources[0].kept != NULL, first);
    }
}

static void a_lost_file_counts_as_not_known(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    char path[100];

    commit(&f, NULL);
    snprintf(path, sizeof path, "run/envsync/demo/%s/source-1", f.store.current);
    assert_int_equal(unlink(in(*state, path)), 0);
    load(&f);
    assert_int_equal(f.previous.sources[0].n, 2);
    assert_null(f.previous.sources[1].kept);
}

static void a_set_answers_only_for_the_very_same_configuration(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);
    ES_CLEANUP(es_config_done) struct es_config other = {0}, fewer = {0}, moved = {0}, wider = {0};

    assert_false(es_set_is_of(&f.config, &f.store));
    commit(&f, NULL);
    assert_true(es_set_is_of(&f.config, &f.store));
    load_config(*state, TOP SOURCE SECOND "optional = true\n" OUTPUT, &other);
    load_config(*state, TOP SOURCE OUTPUT, &fewer);
    load_config(*state, TOP SOURCE SECOND "[[output]]\npath='/run/demo/x'\nformat='env'\n", &moved);
    load_config(*state, TOP SOURCE SECOND OUTPUT "mode = '0600'\n", &wider);
    assert_false(es_set_is_of(&wider, &f.store));
    assert_false(es_set_is_of(&other, &f.store));
    assert_false(es_set_is_of(&fewer, &f.store));
    assert_false(es_set_is_of(&moved, &f.store));
    f.store.run_lost = true;
    assert_false(es_set_is_of(&f.config, &f.store));
    f.store.run_lost = f.store.usable = false;
    assert_false(es_set_is_of(&f.config, &f.store));
}

static int compare_source(void *data, struct es_err *err)
{
    const struct fixture *f = data;
    int r = es_source_is_as(&f->config.sources[0], &f->store.set.sources[0]);

    assert_true(r != 0);
    return r < 0 ? es_nomem(err) : 0;
}

/* Else what is gone would never be pruned. */
static void want_of_memory_makes_no_other_source_of_one(void **state)
{
    static const struct ordeal o = {.run = compare_source};
    ES_CLEANUP(fixture_done) struct fixture f = fixture(state);

    commit(&f, NULL);
    assert_int_equal(es_source_is_as(&f.config.sources[1], &f.store.set.sources[0]), 0);
    ordeal(&o, &f, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(the_records_of_each_source_come_back_with_their_age),
        test_in_dir(sources_are_known_by_name_not_by_number),
        test_in_dir(without_a_set_nothing_is_known),
        test_in_dir(a_source_that_gave_nothing_is_not_known),
        test_in_dir(damaged_records_count_as_not_known),
        test_in_dir(a_hostile_count_of_records_is_refused),
        test_in_dir(records_that_are_not_in_order_count_as_not_known),
        test_in_dir(a_lost_file_counts_as_not_known),
        test_in_dir(a_set_answers_only_for_the_very_same_configuration),
        test_in_dir(want_of_memory_makes_no_other_source_of_one),
    };

    return cmocka_run_group_tests_name("previous", tests, NULL, NULL);
}
