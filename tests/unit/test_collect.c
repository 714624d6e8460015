/* core/collect.c: what the privileged side makes of the worker's frames. The stream is the test's
 * own: a worker that was taken over may say anything. */
#include "core_case.h"

#include "core/clock.h"
#include "core/collect.h"
#include "envsync/limits.h"

#define THREE                                                                                      \
    TOP SOURCE "on_unavailable = \"last-good\"\n" SECOND "on_unavailable = \"skip\"\n"             \
               "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmirror = [\"**\"]\n"               \
               "dir = \"/etc/demo/m\"\noptional = true\n"

struct fixture {
    struct dir *dir;
    struct es_config config;
    struct es_fetched fetched;
    struct es_report report;
    struct es_files files;
    struct es_fetch_plan plan;
    bool pending[3];
    struct es_collecting c;
    struct es_buf payload;
    struct es_err err;
    /* What the last set has of the first source. */
    struct es_kept_source kept;
    struct es_record record;
    struct es_before before[3];
    struct es_previous previous;
};

static void setup(struct fixture *f, void **state)
{
    *f = (struct fixture){.dir = *state, .pending = {true, true, true}};
    load_config(*state, THREE, &f->config);
    f->fetched.n_sources = 3;
    f->fetched.states = calloc(3, sizeof *f->fetched.states);
    f->fetched.sources = calloc(3, sizeof *f->fetched.sources);
    f->fetched.fetched_ms = calloc(3, sizeof *f->fetched.fetched_ms);
    assert_true(f->fetched.states && f->fetched.sources && f->fetched.fetched_ms);
    f->fetched.mirror = (struct es_mirror){.config = &f->config, .root = f->dir->path};
    f->plan = (struct es_fetch_plan){.config = &f->config, .deadline = es_clock_ms() + 10000};
    f->c = (struct es_collecting){.plan = &f->plan,
                                  .config = &f->config,
                                  .fetched = &f->fetched,
                                  .report = &f->report,
                                  .files = &f->files,
                                  .pending = f->pending};
}

static void teardown(struct fixture *f)
{
    es_fetched_done(&f->fetched);
    es_config_done(&f->config);
    es_report_done(&f->report);
    es_buf_done(&f->payload);
    es_kept_source_done(&f->kept);
    es_record_done(&f->record);
}

static void u8(struct fixture *f, uint8_t v)
{
    assert_int_equal(es_put_u8(&f->payload, v), 0);
}

static void u32(struct fixture *f, uint32_t v)
{
    assert_int_equal(es_put_u32(&f->payload, v), 0);
}

static void text(struct fixture *f, const char *v)
{
    assert_int_equal(es_put_bytes(&f->payload, v, strlen(v)), 0);
}

static void object(struct fixture *f, const char *name, const char *version)
{
    text(f, name);
    text(f, version);
    assert_int_equal(es_put_u64(&f->payload, 7), 0);
    assert_int_equal(es_put_u64(&f->payload, 8), 0);
    u32(f, 9);
}

/* Hands over what was put, and starts anew. */
static int take(struct fixture *f, enum es_frame type)
{
    struct es_cursor in = {.p = f->payload.data, .left = f->payload.len};
    int r;

    f->err = (struct es_err){.msg = "nothing"};
    r = es_collect(&f->c, type, &in, &f->err);
    es_buf_clear(&f->payload);
    return r;
}

static void refused(struct fixture *f, enum es_frame type)
{
    assert_int_equal(take(f, type), -EBADMSG);
    assert_int_equal(f->err.class, ES_INTERNAL);
}

static void put_record(struct fixture *f, uint32_t source, const char *key, const char *value)
{
    ES_CLEANUP(es_record_done) struct es_record record = {.source = source};
    struct es_err err;

    assert_int_equal(es_key_parse(key, &record.key, &err), 0);
    assert_int_equal(es_value_set_string(&record.value, value, strlen(value)), 0);
    assert_int_equal(es_buf_puts(&record.object, "object"), 0);
    assert_int_equal(es_put_record(&f->payload, &record), 0);
}

static void done(struct fixture *f, uint32_t source, int class)
{
    u32(f, source);
    u8(f, class >= 0);
    if (class >= 0) {
        u8(f, (uint8_t) class);
        text(f, "why");
    }
    assert_int_equal(take(f, ES_FRAME_DONE), 0);
}

static void a_whole_stream_is_taken(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    u32(&f, 0);
    assert_int_equal(es_buf_puts(&f.payload, "address"), 0);
    assert_int_equal(take(&f, ES_FRAME_ADDRESS), 0);
    u32(&f, 0);
    object(&f, "object", "v1");
    assert_int_equal(take(&f, ES_FRAME_OBJECT), 0);
    put_record(&f, 0, "A", "1");
    assert_int_equal(take(&f, ES_FRAME_RECORD), 0);
    put_record(&f, 1, "B", "2");
    assert_int_equal(take(&f, ES_FRAME_RECORD), 0);
    for (uint32_t i = 0; i < 3; i++)
        done(&f, i, -1);
    assert_int_equal(take(&f, ES_FRAME_END), 1);
    assert_int_equal(f.fetched.n, 2);
    assert_int_equal(f.fetched.records[1].source, 1);
    assert_true(es_buf_is(&f.fetched.sources[0].address, "address"));
    assert_int_equal(f.fetched.sources[0].n_objects, 1);
    assert_int_equal(f.fetched.sources[0].objects[0].rank, 9);
    assert_true(f.fetched.sources[0].given && f.fetched.sources[2].given);
    assert_int_equal(f.c.failed, 0);
}

static void a_number_of_no_source_is_refused(void **state)
{
    static const uint32_t numbers[] = {3, 4, 0x80000000, UINT32_MAX};
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    for (size_t i = 0; i < 4; i++)
        for (enum es_frame type = ES_FRAME_ADDRESS; type <= ES_FRAME_DONE; type++) {
            u32(&f, numbers[i]);
            u32(&f, 0);
            refused(&f, type);
        }
}

static void a_source_that_was_not_asked_or_is_done_has_nothing_to_say(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    done(&f, 0, -1);
    f.pending[1] = false;
    for (uint32_t source = 0; source < 2; source++) {
        put_record(&f, source, "A", "1");
        refused(&f, ES_FRAME_RECORD);
        u32(&f, source);
        u8(&f, 0);
        refused(&f, ES_FRAME_DONE);
    }
    assert_int_equal(f.fetched.n, 0);
}

static void frames_that_are_too_short_are_refused(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    for (size_t len = 0; len < 7; len++)
        for (enum es_frame type = ES_FRAME_RECORD; type <= ES_FRAME_FATAL; type++) {
            static const char zero[8];

            if (type == ES_FRAME_END || (type == ES_FRAME_DONE && len >= 5) ||
                (type == ES_FRAME_FATAL && len >= 5))
                continue;
            assert_int_equal(es_buf_append(&f.payload, zero, len), 0);
            refused(&f, type);
        }
}

static void frames_of_no_known_kind_are_refused(void **state)
{
    static const int types[] = {0, ES_FRAME_JOB, ES_FRAME_TEXT, 255};
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    for (size_t i = 0; i < 4; i++) {
        u32(&f, 0);
        refused(&f, (enum es_frame)types[i]);
    }
}

static void the_end_before_every_source_is_done_is_refused(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    refused(&f, ES_FRAME_END);
    done(&f, 0, -1);
    done(&f, 2, -1);
    refused(&f, ES_FRAME_END);
}

static void a_record_must_be_whole_and_of_a_good_shape(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;
    ES_CLEANUP(es_record_done) struct es_record bad = {0};
    size_t whole;

    setup(&f, state);
    put_record(&f, 0, "A", "1");
    u8(&f, 0);
    refused(&f, ES_FRAME_RECORD); /* something behind it */
    put_record(&f, 0, "A", "1");
    whole = f.payload.len;
    for (size_t len = 4; len < whole; len++) {
        es_buf_clear(&f.payload);
        put_record(&f, 0, "A", "1");
        f.payload.len = len;
        refused(&f, ES_FRAME_RECORD);
    }
    assert_int_equal(es_put_record(&f.payload, &bad), 0); /* without a key */
    assert_true(take(&f, ES_FRAME_RECORD) < 0);
    assert_int_equal(f.fetched.n, 0);
}

static void sources_that_give_too_much_are_refused(void **state)
{
    ES_CLEANUP(es_freep) char *big = malloc(1 << 20);
    ES_CLEANUP(teardown) struct fixture f;
    int r = 0;

    setup(&f, state);
    assert_non_null(big);
    memset(big, 'x', (1 << 20) - 1);
    big[(1 << 20) - 1] = '\0';
    for (unsigned i = 0; r == 0 && i < 100; i++) {
        put_record(&f, 0, "A", big);
        r = take(&f, ES_FRAME_RECORD);
    }
    assert_int_equal(r, -EMSGSIZE);
    assert_int_equal(f.err.class, ES_INVALID);
    assert_true(f.fetched.n <= 32);
}

static void a_note_is_never_an_error_and_never_long(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;
    char words[5000];

    setup(&f, state);
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    for (int level = 0; level < 256; level += 51) {
        u32(&f, 0);
        u8(&f, (uint8_t)level);
        text(&f, words);
        assert_int_equal(take(&f, ES_FRAME_NOTE), 0);
    }
    for (size_t i = 0; i < f.report.n; i++) {
        assert_true(f.report.items[i].level >= ES_LEVEL_NOTICE);
        assert_true(strlen(f.report.items[i].text) < ES_ERR_MAX + 100);
    }
}

static void a_remark_about_the_worker_is_a_detail_and_never_long(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;
    char words[5000];

    setup(&f, state);
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    text(&f, words);
    assert_int_equal(take(&f, ES_FRAME_REMARK), 0);
    assert_int_equal(f.report.n, 1);
    assert_int_equal(f.report.items[0].level, ES_LEVEL_INFO);
    assert_int_equal(strncmp(f.report.items[0].text, "worker: xxx", 11), 0);
    assert_true(strlen(f.report.items[0].text) < ES_ERR_MAX + 100);
    text(&f, "x");
    u8(&f, 0);
    refused(&f, ES_FRAME_REMARK);
}

static void the_same_as_nothing_known_is_refused(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    u32(&f, 0);
    object(&f, "object", "v1");
    refused(&f, ES_FRAME_SAME);
    u32(&f, 2);
    text(&f, "a");
    object(&f, "a", "v1");
    refused(&f, ES_FRAME_FILE_SAME);
}

/* The last set has one record of one object of the first source. */
static void know(struct fixture *f)
{
    struct es_kept_object *kept = es_kept_source_add(&f->kept);
    struct es_err err;

    assert_non_null(kept);
    assert_int_equal(es_buf_puts(&kept->name, "object"), 0);
    assert_int_equal(es_buf_puts(&kept->version, "v1"), 0);
    assert_int_equal(es_key_parse("OLD", &f->record.key, &err), 0);
    assert_int_equal(es_value_set_string(&f->record.value, "1", 1), 0);
    assert_int_equal(es_buf_puts(&f->record.object, "object"), 0);
    f->before[0] = (struct es_before){
        .kept = &f->kept, .records = &f->record, .n = 1, .fetched_ms = es_now_ms() - 5000};
    f->previous = (struct es_previous){.sources = f->before, .n = 3};
    f->plan.previous = &f->previous;
}

static void what_is_the_same_comes_from_the_last_set(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    know(&f);
    u32(&f, 0);
    object(&f, "object", "v1");
    assert_int_equal(take(&f, ES_FRAME_SAME), 0);
    assert_int_equal(f.fetched.n, 1);
    assert_true(es_buf_equal(&f.fetched.records[0].key, &f.record.key));
    assert_int_equal(f.fetched.records[0].rank, 9);
    assert_int_equal(f.fetched.sources[0].n_objects, 1);
}

/* So many objects of a record each, in the order of their names. */
static void know_many(struct fixture *f, size_t n)
{
    struct es_record *records = calloc(n, sizeof *records);

    assert_non_null(records);
    know(f);
    es_kept_source_clear(&f->kept);
    for (size_t i = 0; i < n; i++) {
        struct es_kept_object *kept = es_kept_source_add(&f->kept);
        char name[32];

        assert_non_null(kept);
        snprintf(name, sizeof name, "o%06zu", i);
        kept->rank = records[i].rank = (uint32_t)i;
        assert_int_equal(es_buf_puts(&kept->name, name), 0);
        assert_int_equal(es_buf_puts(&kept->version, "v1"), 0);
        assert_int_equal(es_key_parse(name, &records[i].key, &f->err), 0);
        assert_int_equal(es_value_set_string(&records[i].value, "1", 1), 0);
        assert_int_equal(es_buf_puts(&records[i].object, name), 0);
    }
    f->before[0].records = records;
    f->before[0].n = n;
}

/* Milliseconds of this processor to take so many objects from the last set. */
static double cost_of(void **state, size_t n)
{
    ES_CLEANUP(teardown) struct fixture f;
    double from, took;
    char name[32];

    setup(&f, state);
    know_many(&f, n);
    from = cpu_ms();
    for (size_t i = 0; i < n; i++) {
        u32(&f, 0);
        snprintf(name, sizeof name, "o%06zu", i);
        object(&f, name, "v1");
        assert_int_equal(take(&f, ES_FRAME_SAME), 0);
    }
    took = cpu_ms() - from;
    assert_int_equal(f.fetched.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(es_buf_equal(&f.fetched.records[i].key, &f.before[0].records[i].key));
        es_record_done(&f.before[0].records[i]);
    }
    free(f.before[0].records);
    return took;
}

static void many_unchanged_objects_do_not_cost_the_square_of_their_number(void **state)
{
    double few = cost_of(state, 1000), many = cost_of(state, 8000);

    if (many > 30 * few)
        fail_msg("1000: %.1f ms, 8000: %.1f ms", few, many);
}

static void the_same_counts_only_for_name_version_and_address(void **state)
{
    static const char *const objects[][2] = {{"object", "v2"}, {"other", "v1"}, {"object", ""}};
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    know(&f);
    for (size_t i = 0; i < 3; i++) {
        u32(&f, 0);
        object(&f, objects[i][0], objects[i][1]);
        refused(&f, ES_FRAME_SAME);
    }
    assert_int_equal(es_buf_puts(&f.fetched.sources[0].address, "another"), 0);
    u32(&f, 0);
    object(&f, "object", "v1");
    refused(&f, ES_FRAME_SAME);
    assert_int_equal(f.fetched.n, 0);
}

static void file(struct fixture *f, uint32_t source, uint32_t id)
{
    u32(f, source);
    u32(f, id);
}

static void files_come_only_from_a_source_that_mirrors_and_in_order(void **state)
{
    static const enum es_frame later[] = {ES_FRAME_FILE_DATA, ES_FRAME_FILE_END,
                                          ES_FRAME_FILE_DROP};
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    file(&f, 0, 1);
    text(&f, "a");
    object(&f, "a", "v1");
    refused(&f, ES_FRAME_FILE_BEGIN);
    for (size_t i = 0; i < 3; i++) {
        file(&f, 2, 1);
        refused(&f, later[i]); /* nothing was begun */
    }
    file(&f, 2, 1);
    text(&f, "a");
    object(&f, "a", "v1");
    assert_int_equal(take(&f, ES_FRAME_FILE_BEGIN), 0);
    for (size_t i = 0; i < 3; i++) {
        file(&f, 1, 1);
        refused(&f, later[i]); /* of another source */
        file(&f, 2, UINT32_MAX);
        refused(&f, later[i]);
    }
    file(&f, 2, 1);
    assert_int_equal(es_buf_puts(&f.payload, "data"), 0);
    assert_int_equal(take(&f, ES_FRAME_FILE_DATA), 0);
    file(&f, 2, 1);
    assert_int_equal(take(&f, ES_FRAME_FILE_END), 0);
    assert_int_equal(f.fetched.mirror.n_files, 1);
    file(&f, 2, 1);
    refused(&f, ES_FRAME_FILE_END);
}

static void too_much_data_in_one_frame_is_refused(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    file(&f, 2, 1);
    text(&f, "a");
    object(&f, "a", "v1");
    assert_int_equal(take(&f, ES_FRAME_FILE_BEGIN), 0);
    file(&f, 2, 1);
    assert_int_equal(es_buf_reserve(&f.payload, ES_MAX_FILE_DATA + 100), 0);
    memset(f.payload.data + f.payload.len, 0, ES_MAX_FILE_DATA + 1);
    f.payload.len += ES_MAX_FILE_DATA + 1;
    refused(&f, ES_FRAME_FILE_DATA);
}

static void a_path_of_a_file_is_checked_on_this_side_too(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    file(&f, 2, 1);
    text(&f, "../../etc/shadow");
    object(&f, "a", "v1");
    assert_int_equal(take(&f, ES_FRAME_FILE_BEGIN), -EINVAL);
    assert_int_equal(f.err.class, ES_INVALID);
}

static void a_failure_of_no_known_class_is_refused(void **state)
{
    static const uint8_t classes[] = {ES_CLASSES, 100, 255};
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    for (size_t i = 0; i < 3; i++) {
        u8(&f, classes[i]);
        text(&f, "why");
        refused(&f, ES_FRAME_FATAL);
    }
    u8(&f, ES_DENIED);
    text(&f, "why");
    assert_int_equal(take(&f, ES_FRAME_FATAL), -EIO);
    assert_int_equal(f.err.class, ES_DENIED);
    assert_string_equal(f.err.msg, "why");
}

static void a_failed_source_takes_back_what_it_gave(void **state)
{
    ES_CLEANUP(teardown) struct fixture f;

    setup(&f, state);
    put_record(&f, 1, "B", "2");
    assert_int_equal(take(&f, ES_FRAME_RECORD), 0);
    put_record(&f, 0, "A", "1");
    assert_int_equal(take(&f, ES_FRAME_RECORD), 0);
    done(&f, 0, ES_INVALID);
    assert_int_equal(f.fetched.n, 1);
    assert_int_equal(f.fetched.records[0].source, 1);
    assert_true(f.c.failed < 0);
    assert_string_equal(f.c.first.msg, "source file: why");
    done(&f, 1, ES_DENIED); /* a second failure is told, the first decides */
    assert_int_equal(f.c.first.class, ES_INVALID);
    assert_int_equal(f.report.n, 1);
}

static void optional_forgives_absence_and_skip_unavailability_and_nothing_else(void **state)
{
    static const struct {
        uint32_t source;
        enum es_class class;
        enum es_source_state state;
    } table[] = {{2, ES_ABSENT, ES_SOURCE_ABSENT}, {1, ES_UNAVAILABLE, ES_SOURCE_SKIPPED}};

    for (uint32_t source = 0; source < 3; source++)
        for (enum es_class class = 0; class < ES_CLASSES; class ++) {
            ES_CLEANUP(teardown) struct fixture f;
            bool forgiven = false;

            setup(&f, state);
            done(&f, source, (int)class);
            for (size_t i = 0; i < 2; i++)
                if (table[i].source == source && table[i].class == class) {
                    forgiven = true;
                    assert_int_equal(f.fetched.states[source], table[i].state);
                }
            assert_int_equal(f.c.failed == 0, forgiven);
            assert_false(f.fetched.sources[source].given);
        }
}

static void last_good_serves_an_unavailable_source_and_no_other_failure(void **state)
{
    for (enum es_class class = 0; class < ES_CLASSES; class ++) {
        ES_CLEANUP(teardown) struct fixture f;

        setup(&f, state);
        know(&f);
        done(&f, 0, (int)class);
        assert_int_equal(f.c.failed == 0, class == ES_UNAVAILABLE);
        if (class != ES_UNAVAILABLE)
            continue;
        assert_int_equal(f.fetched.states[0], ES_SOURCE_STALE);
        assert_int_equal(f.fetched.n, 1);
        assert_int_equal(f.fetched.fetched_ms[0], f.before[0].fetched_ms);
        assert_true(f.fetched.sources[0].given);
        assert_int_equal(f.report.items[0].level, ES_LEVEL_WARNING);
    }
}

static void last_good_is_not_too_old_of_the_future_or_of_another_address(void **state)
{
    for (int i = 0; i < 4; i++) {
        ES_CLEANUP(teardown) struct fixture f;
        int64_t age;

        setup(&f, state);
        know(&f);
        age = f.config.last_good.max_age;
        f.before[0].fetched_ms = es_now_ms() + (i == 0   ? 60000
                                                : i == 1 ? -age - 1000
                                                : i == 2 ? -age + 60000
                                                         : -1000);
        if (i == 3)
            assert_int_equal(es_buf_puts(&f.fetched.sources[0].address, "another"), 0);
        done(&f, 0, ES_UNAVAILABLE);
        assert_int_equal(f.c.failed == 0, i == 2);
        assert_int_equal(f.fetched.n, i == 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(a_whole_stream_is_taken),
        test_in_dir(a_number_of_no_source_is_refused),
        test_in_dir(a_source_that_was_not_asked_or_is_done_has_nothing_to_say),
        test_in_dir(frames_that_are_too_short_are_refused),
        test_in_dir(frames_of_no_known_kind_are_refused),
        test_in_dir(the_end_before_every_source_is_done_is_refused),
        test_in_dir(a_record_must_be_whole_and_of_a_good_shape),
        test_in_dir(sources_that_give_too_much_are_refused),
        test_in_dir(a_note_is_never_an_error_and_never_long),
        test_in_dir(a_remark_about_the_worker_is_a_detail_and_never_long),
        test_in_dir(the_same_as_nothing_known_is_refused),
        test_in_dir(what_is_the_same_comes_from_the_last_set),
        test_in_dir(many_unchanged_objects_do_not_cost_the_square_of_their_number),
        test_in_dir(the_same_counts_only_for_name_version_and_address),
        test_in_dir(files_come_only_from_a_source_that_mirrors_and_in_order),
        test_in_dir(too_much_data_in_one_frame_is_refused),
        test_in_dir(a_path_of_a_file_is_checked_on_this_side_too),
        test_in_dir(a_failure_of_no_known_class_is_refused),
        test_in_dir(a_failed_source_takes_back_what_it_gave),
        test_in_dir(optional_forgives_absence_and_skip_unavailability_and_nothing_else),
        test_in_dir(last_good_serves_an_unavailable_source_and_no_other_failure),
        test_in_dir(last_good_is_not_too_old_of_the_future_or_of_another_address),
    };

    return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
