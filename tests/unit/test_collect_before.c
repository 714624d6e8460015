/* core/collect.c: what is taken over from the last set, because a source cannot be reached or says
 * that nothing has changed. */
#include "core_case.h"
#include "failing.h"

#include "core/clock.h"
#include "core/collect.h"
#include "envsync/limits.h"

#define MIRROR                                                                                     \
    TOP "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmerge = [\"*.env\"]\n"                    \
        "mirror = [\"**\"]\ndir = \"/etc/demo/m\"\non_unavailable = \"last-good\"\n"

/* A source whose last set had two objects, a record of each, and two mirrored files. */
struct fixture {
    struct es_config config;
    struct es_fetched fetched;
    struct es_kept_source kept;
    struct es_record records[2];
    struct es_manifest files;
    struct es_known_file known[2];
    struct es_before before;
    struct es_previous previous;
    struct es_fetch_plan plan;
    struct es_report report;
    struct es_files opened;
    struct es_collecting c;
    struct es_buf payload;
    bool pending[1];
    struct es_err err;
};

static void set(struct es_buf *buf, const char *text)
{
    assert_int_equal(es_buf_set(buf, text, strlen(text)), 0);
}

static void know(struct fixture *f)
{
    static const char *const names[] = {"a.env", "b.env"}, *const paths[] = {"x.pem", "y.pem"};
    struct es_err err;

    for (uint32_t i = 0; i < 2; i++) {
        struct es_kept_object *object = es_kept_source_add(&f->kept);
        struct es_kept_file *file = es_manifest_add_file(&f->files);

        assert_true(object && file);
        set(&object->name, names[i]);
        set(&object->version, "1");
        object->rank = f->records[i].rank = i;
        set(&f->records[i].object, names[i]);
        assert_int_equal(es_key_parse(i ? "b" : "a", &f->records[i].key, &err), 0);
        assert_int_equal(es_json_parse("[1, {\"b\": \"text\"}]", 18, &f->records[i].value, &err),
                         0);
        set(&file->path, paths[i]);
        set(&file->object.name, paths[i]);
        set(&file->object.version, "1");
    }
    for (size_t i = 0; i < 2; i++)
        f->known[i] = (struct es_known_file){.kept = &f->files.files[i], .sure = true};
    f->before = (struct es_before){.kept = &f->kept,
                                   .records = f->records,
                                   .n = 2,
                                   .fetched_ms = es_now_ms() - 5000,
                                   .files = f->known,
                                   .n_files = 2};
}

/* A run that has got nothing yet. */
static void begin(void *data)
{
    struct fixture *f = data;

    es_fetched_done(&f->fetched);
    f->fetched.n_sources = 1;
    f->fetched.states = calloc(1, sizeof *f->fetched.states);
    f->fetched.sources = calloc(1, sizeof *f->fetched.sources);
    f->fetched.fetched_ms = calloc(1, sizeof *f->fetched.fetched_ms);
    assert_true(f->fetched.states && f->fetched.sources && f->fetched.fetched_ms);
    f->fetched.mirror = (struct es_mirror){.config = &f->config, .look = true};
    f->pending[0] = true;
    f->c = (struct es_collecting){.plan = &f->plan,
                                  .config = &f->config,
                                  .fetched = &f->fetched,
                                  .report = &f->report,
                                  .files = &f->opened,
                                  .pending = f->pending};
}

static void set_up(struct fixture *f, void **state)
{
    *f = (struct fixture){0};
    load_config(*state, MIRROR, &f->config);
    know(f);
    f->previous = (struct es_previous){.sources = &f->before, .n = 1};
    f->plan = (struct es_fetch_plan){
        .config = &f->config, .previous = &f->previous, .deadline = es_clock_ms() + 10000};
    begin(f);
}

static void tear_down(struct fixture *f)
{
    es_fetched_done(&f->fetched);
    es_kept_source_done(&f->kept);
    for (size_t i = 0; i < 2; i++)
        es_record_done(&f->records[i]);
    es_manifest_done(&f->files);
    es_config_done(&f->config);
    es_report_done(&f->report);
    es_buf_done(&f->payload);
}

static void put_text(struct fixture *f, const char *text)
{
    assert_int_equal(es_put_bytes(&f->payload, text, strlen(text)), 0);
}

static void put_object(struct fixture *f, const char *name, const char *version)
{
    put_text(f, name);
    put_text(f, version);
    assert_int_equal(es_put_u64(&f->payload, 7), 0);
    assert_int_equal(es_put_u64(&f->payload, 8), 0);
    assert_int_equal(es_put_u32(&f->payload, 5), 0);
}

static void put_u32(struct fixture *f, uint32_t v)
{
    assert_int_equal(es_put_u32(&f->payload, v), 0);
}

static int take_frame(struct fixture *f, enum es_frame type, struct es_err *err)
{
    struct es_cursor in = {.p = es_buf_str(&f->payload), .left = f->payload.len};

    return es_collect(&f->c, type, &in, err);
}

static int take(struct fixture *f, enum es_frame type)
{
    int r = take_frame(f, type, &f->err);

    es_buf_clear(&f->payload);
    return r;
}

static void an_object_that_is_the_same_brings_its_records(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    put_u32(&f, 0);
    put_object(&f, "b.env", "1");
    assert_int_equal(take(&f, ES_FRAME_SAME), 0);
    assert_int_equal(f.fetched.n, 1);
    assert_int_equal(f.fetched.records[0].rank, 5);
    assert_true(es_value_equal(&f.fetched.records[0].value, &f.records[1].value, false));
    assert_true(f.c.bytes >= 10); /* lists and tables count */
}

static void a_file_that_is_the_same_must_be_known_in_this_version(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    put_u32(&f, 0);
    put_text(&f, "y.pem");
    put_object(&f, "y.pem", "2");
    assert_int_equal(take(&f, ES_FRAME_FILE_SAME), -EBADMSG);
    put_u32(&f, 0);
    put_text(&f, "y.pem");
    put_object(&f, "y.pem", "1");
    assert_int_equal(take(&f, ES_FRAME_FILE_SAME), 0);
    assert_int_equal(f.fetched.mirror.n_files, 1);
}

static void what_is_told_of_objects_ends_at_its_bounds(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    f.c.announced = ES_MAX_OBJECTS;
    put_u32(&f, 0);
    put_text(&f, "y.pem");
    put_object(&f, "y.pem", "1");
    assert_int_equal(take(&f, ES_FRAME_FILE_SAME), -EMSGSIZE);
    put_u32(&f, 0);
    put_u32(&f, 1);
    put_text(&f, "z.pem");
    put_object(&f, "z.pem", "1");
    assert_int_equal(take(&f, ES_FRAME_FILE_BEGIN), -EMSGSIZE);
    f.c.told = SIZE_MAX / 2;
    put_text(&f, "a remark");
    assert_int_equal(take(&f, ES_FRAME_REMARK), -EMSGSIZE);
    assert_int_equal(f.err.class, ES_INVALID);
}

static void keys_end_at_their_number(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    f.fetched.n = ES_MAX_RECORDS;
    assert_int_equal(es_collect_before(&f.c, 0, &f.before, &f.err), -EMSGSIZE);
    f.fetched.n = 0;
    assert_int_equal(f.err.class, ES_INVALID);
    assert_non_null(strstr(f.err.msg, "the sources give more than"));
}

static void why_there_is_no_last_good_is_told(void **state)
{
    static const struct es_err why = {.class = ES_UNAVAILABLE, .msg = "away"};
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    f.before.lost = &f.files.files[0];
    f.err = why;
    assert_int_equal(es_collect_last_good(&f.c, 0, &f.err), 0);
    assert_string_equal(f.err.msg, "away; its last good values are not used: x.pem is not as it "
                                   "was mirrored");
    f.before.kept = NULL;
    f.before.damaged = true;
    f.err = why;
    assert_int_equal(es_collect_last_good(&f.c, 0, &f.err), 0);
    assert_string_equal(f.err.msg, "away; its last good values are damaged");
}

static void a_program_of_another_source_has_no_say(void **state)
{
    ES_CLEANUP(tear_down) struct fixture f;
    struct es_program programs[2] = {{.source = 1, .pid = 1}, {.source = 0, .pid = 0}};

    set_up(&f, state);
    f.opened.programs = programs;
    f.opened.n_programs = 2;
    put_u32(&f, 0);
    assert_int_equal(es_put_u8(&f.payload, 0), 0);
    assert_int_equal(take(&f, ES_FRAME_DONE), 0);
    assert_true(f.fetched.sources[0].given && f.c.failed == 0);
}

/* The exit status, played: what became of programs is program.c's to find out. */
static int verdict;

int __wrap_es_program_judge(struct es_program *program, int64_t deadline, struct es_err *err);
int __wrap_es_program_judge(struct es_program *program, int64_t deadline, struct es_err *err)
{
    (void)deadline;
    program->pid = 0;
    return verdict < 0 ? es_fail(err, ES_INVALID, -verdict, "its program failed") : 0;
}

static void a_source_fails_with_its_program(void **state)
{
    for (int failed = 0; failed < 2; failed++) {
        ES_CLEANUP(tear_down) struct fixture f;
        struct es_program program = {.source = 0, .pid = 1};

        set_up(&f, state);
        f.opened.programs = &program;
        f.opened.n_programs = 1;
        verdict = failed ? -EIO : 0;
        put_u32(&f, 0);
        assert_int_equal(es_put_u8(&f.payload, 0), 0);
        assert_int_equal(take(&f, ES_FRAME_DONE), 0);
        assert_int_equal(f.c.failed, verdict);
        assert_true(f.fetched.sources[0].given == !failed);
        if (failed)
            assert_string_equal(f.c.first.msg, "source s3: its program failed");
    }
}

/* ---- every call ---- */

static int take_last_good(void *data, struct es_err *err)
{
    struct fixture *f = data;
    int r = es_collect_last_good(&f->c, 0, err);

    assert_true(r != 0);
    return r < 0 ? r : 0;
}

static int fail_unavailable(void *data, struct es_err *err)
{
    struct fixture *f = data;
    struct es_err why = {.class = ES_UNAVAILABLE, .msg = "away"};

    es_collect_failure(&f->c, 0, -EIO, &why);
    *err = f->c.first;
    return f->c.failed;
}

static void assert_all_or_a_failure(void *data, const char *call, int r)
{
    const struct fixture *f = data;

    (void)call;
    assert_true(r < 0 || (f->fetched.n == 2 && f->fetched.mirror.n_files == 2 &&
                          f->fetched.sources[0].n_objects == 2 && f->fetched.sources[0].given));
}

static void want_of_memory_leaves_no_half_of_the_last_good_values(void **state)
{
    static const struct ordeal o = {
        .before = begin, .run = take_last_good, .after = assert_all_or_a_failure};
    static const struct ordeal failure = {
        .before = begin, .run = fail_unavailable, .after = assert_all_or_a_failure};
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    ordeal(&o, &f, EIO);
    ordeal(&failure, &f, EIO);
}

static int take_failure(void *data, struct es_err *err)
{
    struct fixture *f = data;
    int r = take_frame(f, ES_FRAME_DONE, err);

    assert_true(r < 0 || f->c.failed < 0);
    return r;
}

static int take_last_words(void *data, struct es_err *err)
{
    const struct fixture *f = data;
    struct es_cursor in = {.p = f->payload.data + 5, .left = f->payload.len - 5};
    int r = es_collect_fatal(&in, err);

    assert_true(r < 0);
    return r == -EIO ? 0 : r;
}

static void want_of_memory_is_no_fault_of_the_worker(void **state)
{
    static const struct ordeal o = {.before = begin, .run = take_failure};
    static const struct ordeal words = {.run = take_last_words};
    ES_CLEANUP(tear_down) struct fixture f;

    set_up(&f, state);
    put_u32(&f, 0);
    assert_int_equal(es_put_u8(&f.payload, 1), 0);
    assert_int_equal(es_put_u8(&f.payload, ES_DENIED), 0);
    put_text(&f, "no");
    ordeal(&o, &f, EIO);
    ordeal(&words, &f, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(an_object_that_is_the_same_brings_its_records),
        test_in_dir(a_file_that_is_the_same_must_be_known_in_this_version),
        test_in_dir(what_is_told_of_objects_ends_at_its_bounds),
        test_in_dir(keys_end_at_their_number),
        test_in_dir(why_there_is_no_last_good_is_told),
        test_in_dir(a_program_of_another_source_has_no_say),
        test_in_dir(a_source_fails_with_its_program),
        test_in_dir(want_of_memory_leaves_no_half_of_the_last_good_values),
        test_in_dir(want_of_memory_is_no_fault_of_the_worker),
    };

    return cmocka_run_group_tests_name("what is taken over", tests, NULL, NULL);
}
