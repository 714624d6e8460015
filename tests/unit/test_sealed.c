/* core/commit/sealed.c: bundles, chunks, and what of a copy is believed. systemd-creds is played by
 * functions of this file; that the real one does its part is for the end to end tests. */
#include "failing.h"
#include "store_case.h"

#include "core/commit/sealed.h"
#include "core/creds.h"

enum { FAR = 1000000000 /* a deadline that does not come */ };

static unsigned calls;
static int failing; /* what the next call returns, once */
static size_t longest;

/* Take the place of those of core/creds.c: sealed text is the name, a line break, and every byte
 * with its bits turned round. */
const char *es_creds_find(struct es_err *err)
{
    (void)err;
    return "/usr/bin/systemd-creds";
}

int es_creds_run(enum es_creds_verb verb, const char *name, const void *data, size_t len,
                 int64_t deadline, struct es_buf *ret, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const char *from = data;
    int r = failing;

    assert_true(deadline > 0);
    calls++;
    failing = 0;
    if (r < 0)
        return es_fail(err, r == -EINTR ? ES_INTERNAL : ES_OUTPUT, -r, "played");
    if (verb == ES_CREDS_ENCRYPT) {
        longest = len > longest ? len : longest;
        if (es_buf_printf(&text, "%s\n", name) < 0)
            return es_nomem(err);
    } else {
        size_t head = strlen(name) + 1;

        if (len < head || strncmp(from, name, head - 1) != 0)
            return es_fail(err, ES_OUTPUT, EIO, "another name");
        from += head;
        len -= head;
    }
    for (size_t i = 0; i < len; i++)
        if (es_buf_putc(&text, (char)~from[i]) < 0)
            return es_nomem(err);
    es_buf_move(ret, &text);
    return 0;
}

static void look_again(struct fixture *f)
{
    es_report_done(&f->report);
    reopen(f);
}

static struct fixture new_fixture(void **state)
{
    calls = 0;
    failing = 0;
    longest = 0;
    return fixture(state);
}

/* Seals one source of these bytes, and one output, in a set of an earlier boot, and loses the /run
 * half. `named`: the configuration that the bundle says it is of. */
static void seal_and_lose(struct fixture *f, const char *text, size_t len,
                          const struct es_config *named)
{
    ES_CLEANUP(es_buf_done) struct es_buf bundle = {0}, source = {0}, output = {0};
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

    assert_int_equal(es_buf_append(&source, text, len), 0);
    assert_int_equal(es_buf_puts(&output, "A=1\n"), 0);
    assert_int_equal(es_bundle_begin(&bundle, named), 0);
    assert_int_equal(es_bundle_add(&bundle, "source-0", 5000, &source), 0);
    assert_int_equal(es_bundle_add(&bundle, "output-0", 0, &output), 0);
    assert_int_equal(es_store_begin(&f->store, &f->err), 0);
    assert_int_equal(es_sealed_write(&f->store, &bundle, FAR, &f->err), 0);
    assert_int_equal(es_sealed_time(&f->store, "source-0", 7000, &f->err), 0);
    assert_int_equal(es_manifest_bind(&m, &f->config, &f->err), 0);
    assert_int_equal(es_buf_set(&m.boot_id, "earlier", 7), 0);
    m.n_sources = m.n_outputs = 1;
    m.sources = calloc(2, sizeof *m.sources);
    m.outputs = calloc(2, sizeof *m.outputs);
    assert_true(m.sources && m.outputs);
    assert_int_equal(es_store_commit(&f->store, &m, ES_BACK_TO_CURRENT, &f->err), 0);
    assert_int_equal(es_sealed_is_there(&f->store, &f->err), 1);
    lose_run_half(f);
    look_again(f);
    assert_true(f->store.usable && f->store.run_lost);
    calls = 0;
}

static void assert_source(struct fixture *f, const char *text, size_t len, int64_t ms)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0}, want = {0};
    int64_t is_ms = 0;

    assert_int_equal(es_buf_append(&want, text, len), 0);
    assert_int_equal(
        es_store_read(&f->store, f->store.current, ES_HALF_RUN, "source-0", &is, &is_ms, &f->err),
        0);
    assert_true(es_buf_equal(&is, &want));
    assert_int_equal(is_ms, ms);
}

static int restore(struct fixture *f, const char *id)
{
    return es_sealed_restore(&f->store, &f->config, id, FAR, &f->report, &f->err);
}

static int look(struct fixture *f, const char *id)
{
    return es_sealed_open(&f->store, &f->config, id, FAR, &f->report, &f->err);
}

static void what_is_sealed_comes_back_with_its_time(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    seal_and_lose(&f, "secret", 6, &f.config);
    assert_int_equal(restore(&f, f.store.current), 0);
    assert_false(f.store.run_lost);
    assert_source(&f, "secret", 6, 7000);
    assert_int_equal(f.report.n, 0);
    look_again(&f);
    assert_false(f.store.run_lost);
    assert_source(&f, "secret", 6, 7000);
    assert_int_equal(calls, 1);
    assert_int_equal(restore(&f, f.store.current), 0);
    assert_int_equal(calls, 1); /* what is there is not opened again */
}

static void who_looks_reads_it_and_writes_nothing(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};

    seal_and_lose(&f, "secret", 6, &f.config);
    assert_int_equal(look(&f, f.store.current), 1);
    assert_source(&f, "secret", 6, 7000);
    assert_int_equal(
        es_store_read(&f.store, f.store.current, ES_HALF_RUN, "source-9", &is, NULL, &f.err),
        -ENOENT);
    assert_false(f.store.run_lost);
    look_again(&f);
    assert_true(f.store.run_lost);
}

static void without_its_time_outside_the_one_inside_counts(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);
    char path[128];

    seal_and_lose(&f, "secret", 6, &f.config);
    snprintf(path, sizeof path, DISK "/%s/source-0.time", f.store.current);
    assert_int_equal(unlink(in(*state, path)), 0);
    assert_int_equal(restore(&f, f.store.current), 0);
    assert_source(&f, "secret", 6, 5000);
}

static void a_run_that_changes_nothing_touches_the_time_outside(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf empty = {0};
    int64_t ms = 0;

    seal_and_lose(&f, "secret", 6, &f.config);
    es_sealed_touch(&f.store, "source-0");
    assert_int_equal(es_store_read(&f.store, f.store.current, ES_HALF_DISK, "source-0.time", &empty,
                                   &ms, &f.err),
                     0);
    assert_true(ms > 1000000000000 && empty.len == 0 && calls == 0);
}

static void chunks_are_as_large_as_they_may_be_and_not_larger(void **state)
{
    static char text[2 * ES_CREDS_CHUNK + 1];

    memset(text, 'x', sizeof text);
    for (size_t len = sizeof text - 120; len <= sizeof text; len += 30) {
        ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

        seal_and_lose(&f, text, len, &f.config);
        assert_int_equal(longest, ES_CREDS_CHUNK);
        assert_int_equal(restore(&f, f.store.current), 0);
        assert_source(&f, text, len, 7000);
        assert_true(calls == 2 || calls == 3);
    }
}

static void more_than_can_be_read_again_is_refused_before_anything_is_sealed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf bundle = {0};

    assert_int_equal(es_buf_reserve(&bundle, (size_t)61 * ES_CREDS_CHUNK), 0);
    bundle.len = (size_t)60 * ES_CREDS_CHUNK + 1;
    memset(bundle.data, 'x', bundle.len);
    assert_int_equal(es_store_begin(&f.store, &f.err), 0);
    assert_int_equal(es_sealed_write(&f.store, &bundle, FAR, &f.err), -EFBIG);
    assert_int_equal(f.err.class, ES_INVALID);
    assert_non_null(strstr(f.err.msg, "45 MiB"));
    assert_int_equal(calls, 0);
}

static void what_cannot_be_sealed_is_told_with_what_to_do(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);
    ES_CLEANUP(es_buf_done) struct es_buf bundle = {0};

    assert_int_equal(es_bundle_begin(&bundle, &f.config), 0);
    assert_int_equal(es_store_begin(&f.store, &f.err), 0);
    failing = -EIO;
    assert_int_equal(es_sealed_write(&f.store, &bundle, FAR, &f.err), -EIO);
    assert_non_null(strstr(f.err.msg, "the set cannot be sealed: played; `systemd-creds encrypt "
                                      "--name=test - - </dev/null` tells more; "));
}

/* Replaces the sealed copy of the present set by these bytes; the sum is right. */
static void forge(struct fixture *f, const void *data, size_t len)
{
    strcpy(f->store.begun, f->store.current);
    assert_int_equal(es_store_write(&f->store, ES_HALF_DISK, "sealed", data, len, 0, &f->err), 0);
    f->store.begun[0] = '\0';
}

static void assert_counts_as_none(struct fixture *f, const char *why)
{
    es_report_done(&f->report);
    assert_int_equal(restore(f, f->store.current), 0);
    assert_true(f->store.run_lost);
    assert_int_equal(f->report.n, 1);
    assert_int_equal(f->report.items[0].level, ES_LEVEL_WARNING);
    if (!strstr(f->report.items[0].text, why))
        fail_msg("%s", f->report.items[0].text);
}

#define MAGIC "envsync sealed 1\n"

static void a_copy_that_is_damaged_counts_as_none(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } table[] = {
        {"", 0},
        {"garbage", 7},
        {MAGIC, sizeof MAGIC - 1},
        {MAGIC "\0\0\0", sizeof MAGIC + 2},
        {MAGIC "\0\0\0\0", sizeof MAGIC + 3},             /* no chunk, so no bundle */
        {MAGIC "\0\0\0\0x", sizeof MAGIC + 4},            /* and one byte more */
        {MAGIC "\1\0\0\0", sizeof MAGIC + 3},             /* a chunk that is not there */
        {MAGIC "\1\0\0\0\5\0\0\0abc", sizeof MAGIC + 10}, /* and one that is cut */
        {MAGIC "\x3d\0\0\0\1\0\0\0a", sizeof MAGIC + 8},  /* 61 */
        {MAGIC "\1\0\0\0\xff\xff\xff\xff", sizeof MAGIC + 7},
    };
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    seal_and_lose(&f, "secret", 6, &f.config);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        forge(&f, table[i].data, table[i].len);
        assert_counts_as_none(&f, "damaged");
    }
    assert_int_equal(calls, 0);
}

static void a_copy_that_another_key_or_no_key_has_sealed_counts_as_none(void **state)
{
    static const char no_key[] = MAGIC "\1\0\0\0\x18\0\0\0BYRp2vb1QySABUnaD46i+wAA";
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    seal_and_lose(&f, "secret", 6, &f.config);
    failing = -EIO;
    assert_counts_as_none(&f, "played");
    forge(&f, no_key, sizeof no_key - 1);
    calls = 0;
    assert_counts_as_none(&f, "no key");
    assert_int_equal(calls, 0);
}

static void a_bundle_that_is_none_or_anothers_counts_as_none(void **state)
{
    struct es_config other = {.file = (char *)"/etc/other.toml"};
    char name[64];
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    seal_and_lose(&f, "secret", 6, &other);
    assert_counts_as_none(&f, "damaged");
    /* Its own file, and then an entry that is cut. */
    for (unsigned cut = 0; cut < 3; cut++) {
        ES_CLEANUP(es_buf_done) struct es_buf bundle = {0}, chunk = {0}, copy = {0};
        struct es_err err;

        assert_int_equal(es_bundle_begin(&bundle, &f.config), 0);
        assert_int_equal(es_put_bytes(&bundle, "source-0", 8), 0);
        if (cut > 0)
            assert_int_equal(es_put_u64(&bundle, 1), 0);
        if (cut > 1)
            assert_int_equal(es_put_u32(&bundle, 100), 0);
        snprintf(name, sizeof name, "envsync-%s-0-1", f.store.current);
        assert_int_equal(
            es_creds_run(ES_CREDS_ENCRYPT, name, bundle.data, bundle.len, FAR, &chunk, &err), 0);
        assert_int_equal(es_buf_puts(&copy, MAGIC), 0);
        assert_int_equal(es_put_u32(&copy, 1), 0);
        assert_int_equal(es_put_bytes(&copy, chunk.data, chunk.len), 0);
        forge(&f, copy.data, copy.len);
        assert_counts_as_none(&f, "damaged");
    }
}

static void an_interruption_is_no_verdict_on_the_copy(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    seal_and_lose(&f, "secret", 6, &f.config);
    failing = -EINTR;
    assert_int_equal(restore(&f, f.store.current), -EINTR);
    assert_int_equal(f.report.n, 0);
    failing = -ENOMEM;
    assert_int_equal(look(&f, f.store.current), -ENOMEM);
    assert_int_equal(restore(&f, f.store.current), 0);
    assert_source(&f, "secret", 6, 7000);
}

static void a_half_that_cannot_be_written_back_is_an_error(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    NEEDS_ROOT();
    seal_and_lose(&f, "secret", 6, &f.config);
    assert_int_equal(nftw(in(*state, RUN), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    assert_true(restore(&f, f.store.current) < 0);
    assert_int_equal(f.err.class, ES_OUTPUT);
}

static void nothing_is_opened_for_a_set_that_is_not_there(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    assert_int_equal(look(&f, ""), 0);
    assert_int_equal(look(&f, "0123456789abcdef"), 0);
    seal_and_lose(&f, "secret", 6, &f.config);
    assert_int_equal(look(&f, ""), 0);
    assert_int_equal(look(&f, "0123456789abcdef"), 0);
    f.store.usable = false;
    assert_int_equal(look(&f, f.store.current), 0);
    assert_int_equal(calls, 0);
}

/* ---- every call ---- */

static const unsigned any_class = 1U << ES_OUTPUT | 1U << ES_INTERNAL;

static int bundle_and_seal(struct es_store *store, const struct es_config *config,
                           struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf bundle = {0}, text = {0};
    int r;

    if (es_buf_puts(&text, "secret") < 0 || es_bundle_begin(&bundle, config) < 0 ||
        es_bundle_add(&bundle, "source-0", 5000, &text) < 0)
        return es_nomem(err);
    r = es_sealed_time(store, "source-0", 7000, err);
    return r == 0 ? es_sealed_write(store, &bundle, FAR, err) : r;
}

static int seal_once(void *data, struct es_err *err)
{
    struct fixture *f = data;
    int r = es_store_begin(&f->store, err);

    if (r == 0)
        r = bundle_and_seal(&f->store, &f->config, err);
    es_store_abandon(&f->store);
    return r;
}

static void whichever_call_fails_sealing_says_so(void **state)
{
    static const struct ordeal o = {.run = seal_once, .classes = any_class};
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    ordeal(&o, &f, EIO);
    es_store_sweep(&f.store);
}

static void sealed_and_lost(void *data)
{
    struct fixture *f = data;

    assert_int_equal(nftw(in(f->dir, "var"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    look_again(f);
    seal_and_lose(f, "secret", 6, &f->config);
    es_store_done(&f->store);
    f->store = (struct es_store)ES_STORE_INIT;
}

static int open_and_restore(void *data, struct es_err *err)
{
    const struct fixture *f = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    int r = es_store_open(&f->config, f->dir->path, true, true, &store, &report, err);

    if (r == 0)
        r = es_sealed_open(&store, &f->config, store.current, FAR, &report, err);
    if (r >= 0)
        r = es_sealed_restore(&store, &f->config, store.current, FAR, &report, err);
    return r;
}

static void assert_restored_or_not(void *data, const char *call, int r)
{
    struct fixture *f = data;

    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    int64_t ms = 0;

    look_again(f);
    assert_true(f->store.usable && f->report.n == 0);
    assert_true(call || (r == 0 && !f->store.run_lost));
    /* The next run brings back what this one has not. */
    assert_int_equal(restore(f, f->store.current), 0);
    assert_int_equal(f->report.n, 0);
    assert_int_equal(
        es_store_read(&f->store, f->store.current, ES_HALF_RUN, "source-0", &is, &ms, &f->err), 0);
    assert_true(es_buf_is(&is, "secret"));
    /* Where the disk does not give the time outside, the one inside counts, which is earlier. */
    assert_true(ms == 7000 || (r == 0 && ms == 5000));
    es_store_done(&f->store);
    f->store = (struct es_store)ES_STORE_INIT;
}

static void whichever_call_fails_the_copy_is_still_there_for_the_next_run(void **state)
{
    static const struct ordeal o = {.before = sealed_and_lost,
                                    .run = open_and_restore,
                                    .after = assert_restored_or_not,
                                    .classes = any_class};
    ES_CLEANUP(fixture_done) struct fixture f = new_fixture(state);

    ordeal(&o, &f, EIO);
}

static void without_a_disk_half_nothing_is_sealed(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {.dir = *state, .store = ES_STORE_INIT};

    load_config(*state, TOP SOURCE OUTPUT, &f.config);
    assert_int_equal(try_open(&f, true, false), 0);
    assert_int_equal(es_sealed_is_there(&f.store, &f.err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(what_is_sealed_comes_back_with_its_time),
        test_in_dir(who_looks_reads_it_and_writes_nothing),
        test_in_dir(without_its_time_outside_the_one_inside_counts),
        test_in_dir(a_run_that_changes_nothing_touches_the_time_outside),
        test_in_dir(chunks_are_as_large_as_they_may_be_and_not_larger),
        test_in_dir(more_than_can_be_read_again_is_refused_before_anything_is_sealed),
        test_in_dir(what_cannot_be_sealed_is_told_with_what_to_do),
        test_in_dir(a_copy_that_is_damaged_counts_as_none),
        test_in_dir(a_copy_that_another_key_or_no_key_has_sealed_counts_as_none),
        test_in_dir(a_bundle_that_is_none_or_anothers_counts_as_none),
        test_in_dir(an_interruption_is_no_verdict_on_the_copy),
        test_in_dir(a_half_that_cannot_be_written_back_is_an_error),
        test_in_dir(nothing_is_opened_for_a_set_that_is_not_there),
        test_in_memory(whichever_call_fails_sealing_says_so),
        test_in_memory(whichever_call_fails_the_copy_is_still_there_for_the_next_run),
        test_in_dir(without_a_disk_half_nothing_is_sealed),
    };

    return cmocka_run_group_tests_name("sealed", tests, NULL, NULL);
}
