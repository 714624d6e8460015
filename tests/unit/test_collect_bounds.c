/* core/collect.c: a worker that was taken over says what it likes; what it may cost is bounded. */
#include "core_case.h"

#include "core/collect.h"
#include "envsync/limits.h"

struct fixture {
    struct es_config config;
    struct es_fetched fetched;
    struct es_previous previous;
    struct es_fetch_plan plan;
    struct es_collecting c;
    struct es_report report;
    struct es_files files;
    bool pending[1];
    struct es_err err;
};

static void fixture_done(struct fixture *f)
{
    es_fetched_done(&f->fetched);
    es_report_done(&f->report);
    es_config_done(&f->config);
}

/* One source whose last set had the object "o" of version "1", with a record of `len` bytes. */
static void begin(void **state, struct fixture *f, struct es_before *before, size_t len)
{
    static struct es_kept_source kept;
    static struct es_kept_object object;
    char *text = calloc(1, len + 1);

    assert_non_null(text);
    load_config(*state, TOP SOURCE OUTPUT, &f->config);
    f->fetched.n_sources = 1;
    f->fetched.states = calloc(1, sizeof *f->fetched.states);
    f->fetched.sources = calloc(1, sizeof *f->fetched.sources);
    f->fetched.fetched_ms = calloc(1, sizeof *f->fetched.fetched_ms);
    f->fetched.mirror = (struct es_mirror){.config = &f->config};
    object = (struct es_kept_object){0};
    kept = (struct es_kept_source){.objects = &object, .n_objects = 1};
    assert_int_equal(es_buf_puts(&object.name, "o"), 0);
    assert_int_equal(es_buf_puts(&object.version, "1"), 0);
    before->kept = &kept;
    before->n = 1;
    before->records = calloc(1, sizeof *before->records);
    assert_non_null(before->records);
    memset(text, 'x', len);
    assert_int_equal(es_buf_puts(&before->records[0].object, "o"), 0);
    assert_int_equal(es_value_set_string(&before->records[0].value, text, len), 0);
    free(text);
    f->previous = (struct es_previous){.sources = before, .n = 1};
    f->plan = (struct es_fetch_plan){.config = &f->config, .previous = &f->previous};
    f->pending[0] = true;
    f->c = (struct es_collecting){.plan = &f->plan,
                                  .config = &f->config,
                                  .fetched = &f->fetched,
                                  .report = &f->report,
                                  .files = &f->files,
                                  .pending = f->pending};
}

static void before_done(struct es_before *before)
{
    es_buf_done(&before->kept->objects[0].name);
    es_buf_done(&before->kept->objects[0].version);
    es_record_done(&before->records[0]);
    free(before->records);
}

static int say(struct fixture *f, enum es_frame type, const struct es_buf *payload)
{
    struct es_cursor in = {.p = payload->data, .left = payload->len};

    return es_collect(&f->c, type, &in, &f->err);
}

static void put_object(struct es_buf *to, const char *name, size_t len)
{
    assert_int_equal(es_put_u32(to, 0), 0);
    assert_int_equal(es_put_bytes(to, name, len), 0);
    assert_int_equal(es_put_bytes(to, "1", 1), 0);
    assert_int_equal(es_put_u64(to, 1), 0);
    assert_int_equal(es_put_u64(to, 1), 0);
    assert_int_equal(es_put_u32(to, 0), 0);
}

/* How often a frame is taken until it is refused, and that it then is for its size. */
static size_t times_taken(struct fixture *f, enum es_frame type, const struct es_buf *payload,
                          size_t max)
{
    size_t n = 0;
    int r;

    while ((r = say(f, type, payload)) == 0 && n <= max)
        n++;
    assert_int_equal(r, -EMSGSIZE);
    assert_int_equal(f->err.class, ES_INVALID);
    return n;
}

static void the_same_object_again_and_again_ends_at_the_bytes_of_a_run(void **state)
{
    ES_CLEANUP(before_done) struct es_before before = {0};
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf frame = {0};

    begin(state, &f, &before, 1 << 20);
    put_object(&frame, "o", 1);
    assert_in_range(times_taken(&f, ES_FRAME_SAME, &frame, 32), 8, 32);
}

static void objects_end_at_their_number(void **state)
{
    ES_CLEANUP(before_done) struct es_before before = {0};
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf frame = {0};

    begin(state, &f, &before, 1);
    put_object(&frame, "new", 3);
    assert_int_equal(times_taken(&f, ES_FRAME_OBJECT, &frame, ES_MAX_OBJECTS), ES_MAX_OBJECTS);
}

static void objects_end_at_the_bytes_of_their_names(void **state)
{
    ES_CLEANUP(before_done) struct es_before before = {0};
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf frame = {0};
    char *name = calloc(1, 1 << 20);

    assert_non_null(name);
    memset(name, 'n', 1 << 20);
    begin(state, &f, &before, 1);
    put_object(&frame, name, 1 << 20);
    free(name);
    assert_in_range(times_taken(&f, ES_FRAME_OBJECT, &frame, 64), 32, 64);
}

static void a_source_is_done_only_once(void **state)
{
    ES_CLEANUP(before_done) struct es_before before = {0};
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf frame = {0};

    begin(state, &f, &before, 1);
    assert_int_equal(es_put_u32(&frame, 0), 0);
    assert_int_equal(es_put_u8(&frame, 0), 0);
    assert_int_equal(say(&f, ES_FRAME_DONE, &frame), 0);
    assert_int_equal(say(&f, ES_FRAME_DONE, &frame), -EBADMSG);
}

static void a_file_of_a_source_that_mirrors_nothing_is_refused(void **state)
{
    ES_CLEANUP(before_done) struct es_before before = {0};
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_buf_done) struct es_buf frame = {0}, object = {0};

    begin(state, &f, &before, 1);
    assert_int_equal(es_put_u32(&frame, 0), 0);
    assert_int_equal(es_put_u32(&frame, 7), 0);
    assert_int_equal(es_put_bytes(&frame, "a", 1), 0);
    put_object(&object, "o", 1);
    assert_int_equal(es_buf_append(&frame, object.data + 4, object.len - 4), 0);
    assert_int_equal(say(&f, ES_FRAME_FILE_BEGIN, &frame), -EBADMSG);
    assert_int_equal(f.err.class, ES_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(the_same_object_again_and_again_ends_at_the_bytes_of_a_run),
        test_in_dir(objects_end_at_their_number),
        test_in_dir(objects_end_at_the_bytes_of_their_names),
        test_in_dir(a_source_is_done_only_once),
        test_in_dir(a_file_of_a_source_that_mirrors_nothing_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
