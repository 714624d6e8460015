/* core/commit/manifest.c: what is written is read again; what is damaged is never taken for it. */
#include "core_case.h"

#include "core/commit/manifest.h"

static void set(struct es_buf *buf, const char *text)
{
    assert_int_equal(es_buf_set(buf, text, strlen(text)), 0);
}

static void fill_file(struct es_manifest *m, const char *path)
{
    struct es_kept_file *file = es_manifest_add_file(m);

    assert_non_null(file);
    file->source = 1;
    set(&file->path, path);
    set(&file->object.name, "conf/key.pem");
    set(&file->object.version, "\"etag\"");
    file->object.size = -1;
    file->object.modified_ms = INT64_MIN;
    file->object.rank = UINT32_MAX;
    file->owner = (struct es_owner){.uid = 0, .gid = 65534, .mode = 0640};
    file->gone = true;
    set(&file->temp, ".key.pem.envsync-abcdefghijk");
    file->device = UINT64_MAX;
    file->inode = 1;
    file->size = INT64_MAX;
    file->modified_ns = 1700000000123456789;
}

/* Two sources, an output, two files, every field with a value of its own. */
static void fill(struct es_manifest *m)
{
    struct es_kept_object *object;

    set(&m->config_file, "/etc/envsync/demo.toml");
    set(&m->machine_id, "0123456789abcdef0123456789abcdef");
    set(&m->boot_id, "boot");
    m->complete = true;
    m->n_sources = 2;
    m->sources = calloc(3, sizeof *m->sources);
    m->n_outputs = 1;
    m->outputs = calloc(2, sizeof *m->outputs);
    assert_true(m->sources && m->outputs);
    set(&m->sources[0].name, "one");
    assert_int_equal(es_buf_append(&m->sources[0].configured, "a\0b", 3), 0);
    set(&m->sources[0].address, "address");
    m->sources[0].on_disk = m->sources[0].stale = true;
    set(&m->sources[1].name, "two");
    m->sources[1].given = true;
    object = es_kept_source_add(&m->sources[1]);
    assert_non_null(object);
    set(&object->name, "app.env");
    set(&object->version, "v1");
    object->size = 7;
    object->modified_ms = 8;
    object->rank = 9;
    set(&m->outputs[0].path, "/run/demo/out");
    m->outputs[0].on_disk = true;
    m->outputs[0].owner = (struct es_owner){.uid = 1, .gid = 2, .mode = 0400};
    fill_file(m, "/etc/demo/key.pem");
    fill_file(m, "/etc/demo/other.pem");
}

static void encode(const struct es_manifest *m, struct es_buf *out)
{
    assert_int_equal(es_manifest_encode(m, out), 0);
}

static void every_field_comes_back(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0}, back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    fill(&m);
    encode(&m, &text);
    assert_int_equal(es_manifest_decode(text.data, text.len, &back), 0);
    assert_true(es_buf_is(&back.config_file, "/etc/envsync/demo.toml"));
    assert_true(es_buf_is(&back.machine_id, "0123456789abcdef0123456789abcdef"));
    assert_true(es_buf_is(&back.boot_id, "boot") && back.complete);
    assert_int_equal(back.n_sources, 2);
    assert_true(es_buf_equal(&back.sources[0].configured, &m.sources[0].configured));
    assert_true(es_buf_is(&back.sources[0].address, "address"));
    assert_true(back.sources[0].on_disk && !back.sources[0].given && back.sources[0].stale);
    assert_true(!back.sources[1].on_disk && back.sources[1].given && !back.sources[1].stale);
    assert_int_equal(back.sources[0].n_objects, 0);
    assert_int_equal(back.sources[1].n_objects, 1);
    assert_true(es_buf_is(&back.sources[1].objects[0].version, "v1"));
    assert_int_equal(back.sources[1].objects[0].rank, 9);
    assert_int_equal(back.n_outputs, 1);
    assert_true(es_buf_is(&back.outputs[0].path, "/run/demo/out"));
    assert_int_equal(back.outputs[0].owner.mode, 0400);
    assert_int_equal(back.n_files, 2);
    assert_true(es_buf_is(&back.files[1].path, "/etc/demo/other.pem"));
    assert_true(back.files[1].gone);
    assert_int_equal(back.files[1].object.modified_ms, INT64_MIN);
    assert_true(back.files[1].device == UINT64_MAX && back.files[1].size == INT64_MAX);
}

static void an_empty_one_comes_back(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0}, back = {.complete = true};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    encode(&m, &text);
    assert_int_equal(es_manifest_decode(text.data, text.len, &back), 0);
    assert_false(back.complete);
    assert_int_equal(back.n_sources + back.n_outputs + back.n_files, 0);
}

static void writing_twice_gives_the_same_bytes(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0}, back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf a = {0}, b = {0};

    (void)state;
    fill(&m);
    encode(&m, &a);
    assert_int_equal(es_manifest_decode(a.data, a.len, &back), 0);
    encode(&back, &b);
    assert_true(es_buf_equal(&a, &b));
}

/* In memory of its own, so that a read behind the end is seen by AddressSanitizer. */
static int decode_copy(const char *data, size_t len, struct es_manifest *ret)
{
    char *copy = malloc(len + 1);
    char *at = copy;
    int r;

    assert_non_null(copy);
    if (len > 0)
        memcpy(++at, data, len);
    r = es_manifest_decode(at, len, ret);
    free(copy);
    return r;
}

static void every_truncation_is_refused(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    fill(&m);
    encode(&m, &text);
    for (size_t len = 0; len < text.len; len++) {
        struct es_manifest back = {.n_sources = 77};

        assert_int_equal(decode_copy(text.data, len, &back), -EBADMSG);
        assert_int_equal(back.n_sources, 77); /* untouched */
    }
}

static void what_follows_is_refused(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0}, back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    fill(&m);
    encode(&m, &text);
    assert_int_equal(es_buf_append(&text, "", 1), 0);
    assert_int_equal(decode_copy(text.data, text.len, &back), -EBADMSG);
}

/* Nothing is read as something that would be written in other bytes. */
static void every_changed_byte_is_refused_or_read_as_it_is(void **state)
{
    static const unsigned char changes[] = {0x01, 0x02, 0x40, 0x80, 0xff};
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    size_t refused = 0;

    (void)state;
    fill(&m);
    encode(&m, &text);
    for (size_t i = 0; i < text.len * sizeof changes; i++) {
        ES_CLEANUP(es_manifest_done) struct es_manifest back = {0};
        ES_CLEANUP(es_buf_done) struct es_buf again = {0};
        char *byte = &text.data[i / sizeof changes];
        const char was = *byte;
        int r;

        *byte = (char)(was ^ changes[i % sizeof changes]);
        r = decode_copy(text.data, text.len, &back);
        if (r == 0) {
            encode(&back, &again);
            assert_true(es_buf_equal(&text, &again));
        } else {
            assert_int_equal(r, -EBADMSG);
            refused++;
        }
        *byte = was;
    }
    assert_true(refused > 100);
}

/* Up to the first count: the head with three empty texts and a flag. */
static void start(struct es_buf *text)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest empty = {0};

    encode(&empty, text);
    text->len -= 12; /* three counts */
}

static void a_hostile_count_is_refused_before_anything_is_allocated(void **state)
{
    static const uint32_t counts[] = {1, 17, 1000001, 0x7fffffff, 0x80000000, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int before = 0; before < 3; before++) {
            ES_CLEANUP(es_manifest_done) struct es_manifest back = {0};
            ES_CLEANUP(es_buf_done) struct es_buf text = {0};

            start(&text);
            for (int j = 0; j < before; j++)
                assert_int_equal(es_put_u32(&text, 0), 0);
            assert_int_equal(es_put_u32(&text, counts[i]), 0);
            assert_int_equal(decode_copy(text.data, text.len, &back), -EBADMSG);
        }
}

static void more_elements_than_there_may_be_are_refused(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    start(&text);
    assert_int_equal(es_put_u32(&text, 1000001), 0);
    assert_int_equal(es_buf_reserve(&text, text.len + 2000000), 0);
    memset(text.data + text.len, 0, 2000000);
    text.len += 2000000;
    assert_int_equal(es_manifest_decode(text.data, text.len, &back), -EBADMSG);
}

static void a_file_of_a_source_that_is_not_there_is_refused(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0}, back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    char *at;

    (void)state;
    fill(&m);
    encode(&m, &text);
    at = memmem(text.data, text.len, "/etc/demo/other.pem", 19);
    assert_non_null(at);
    at[-8] = 2; /* before the length of the path: the source's number */
    assert_int_equal(decode_copy(text.data, text.len, &back), -EBADMSG);
}

static void another_version_is_none(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0}, back = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    (void)state;
    encode(&m, &text);
    text.data[strlen("envsync manifest ")]++;
    assert_int_equal(decode_copy(text.data, text.len, &back), -EBADMSG);
}

static void growing_keeps_what_is_there(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    struct es_kept_source source = {0};
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct es_kept_object *object = es_kept_source_add(&source);
        struct es_kept_file *file = es_manifest_add_file(&m);

        assert_true(object && file);
        assert_int_equal(object->name.len + file->path.len, 0);
        snprintf(name, sizeof name, "%u", i);
        set(&object->name, name);
        set(&file->path, name);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_true(es_buf_is(&source.objects[i].name, name));
        assert_true(es_buf_is(&m.files[i].path, name));
    }
    es_kept_source_clear(&source);
    assert_int_equal(source.n_objects, 0);
    es_kept_source_done(&source);
}

static void what_is_not_all_on_disk_has_a_run_half(void **state)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};

    (void)state;
    assert_false(es_manifest_has_run_half(&m));
    fill(&m);
    m.sources[0].on_disk = m.sources[1].on_disk = m.outputs[0].on_disk = true;
    assert_false(es_manifest_has_run_half(&m));
    m.outputs[0].on_disk = false;
    assert_true(es_manifest_has_run_half(&m));
    m.outputs[0].on_disk = true;
    m.sources[1].on_disk = false;
    assert_true(es_manifest_has_run_half(&m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(an_empty_one_comes_back),
        cmocka_unit_test(writing_twice_gives_the_same_bytes),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_follows_is_refused),
        cmocka_unit_test(every_changed_byte_is_refused_or_read_as_it_is),
        cmocka_unit_test(a_hostile_count_is_refused_before_anything_is_allocated),
        cmocka_unit_test(more_elements_than_there_may_be_are_refused),
        cmocka_unit_test(a_file_of_a_source_that_is_not_there_is_refused),
        cmocka_unit_test(another_version_is_none),
        cmocka_unit_test(growing_keeps_what_is_there),
        cmocka_unit_test(what_is_not_all_on_disk_has_a_run_half),
    };

    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
