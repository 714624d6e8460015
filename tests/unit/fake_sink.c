/* See fake_sink.h. */
#include "fake_sink.h"

#include "envsync/key.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

int es_sink_put(struct es_sink *sink, const struct es_record *record, struct es_err *err)
{
    struct es_record *copy = &sink->records[sink->n];
    int r = es_record_check(record, err);

    if (r < 0)
        return r;
    if (sink->refuse)
        return es_fail(err, ES_INVALID, EINVAL, "%s: refused", es_key_text(&record->key).text);
    assert_true(sink->n < FAKE_MAX);
    *copy = (struct es_record){.source = record->source,
                               .rank = record->rank,
                               .line = record->line,
                               .verbatim = record->verbatim};
    sink->n++;
    assert_int_equal(es_buf_append(&copy->key, record->key.data, record->key.len), 0);
    assert_int_equal(es_buf_append(&copy->object, record->object.data, record->object.len), 0);
    assert_int_equal(es_buf_append(&copy->version, record->version.data, record->version.len), 0);
    assert_int_equal(es_value_copy(&copy->value, &record->value), 0);
    return 0;
}

int es_sink_note(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;

    (void)err;
    assert_true(sink->n_notes < FAKE_MAX);
    va_start(args, fmt);
    vsnprintf(sink->notes[sink->n_notes++], sizeof sink->notes[0], fmt, args);
    va_end(args);
    return 0;
}

int es_sink_count(struct es_sink *sink, size_t len, struct es_err *err)
{
    (void)sink;
    (void)len;
    (void)err;
    return 0;
}

int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;

    (void)err;
    va_start(args, fmt);
    vsnprintf(sink->details[sink->n_details++ % FAKE_MAX], sizeof sink->details[0], fmt, args);
    va_end(args);
    return 0;
}

static void add_object(struct es_sink *sink, int kind, uint32_t id, const char *path,
                       const struct es_object *object)
{
    struct fake_object *added;

    sink->objects = realloc(sink->objects, (sink->n_objects + 1) * sizeof *sink->objects);
    assert_non_null(sink->objects);
    added = &sink->objects[sink->n_objects++];
    *added = (struct fake_object){.kind = kind,
                                  .id = id,
                                  .size = object->size,
                                  .modified_ms = object->modified_ms,
                                  .rank = object->rank};
    snprintf(added->path, sizeof added->path, "%s", path);
    snprintf(added->name, sizeof added->name, "%s", object->name);
    snprintf(added->version, sizeof added->version, "%s", object->version);
}

int es_sink_same(struct es_sink *sink, const struct es_object *object, struct es_err *err)
{
    (void)err;
    add_object(sink, FAKE_SAME, 0, "", object);
    return 0;
}

int es_sink_object(struct es_sink *sink, const struct es_object *object, struct es_err *err)
{
    (void)err;
    add_object(sink, FAKE_OBJECT, 0, "", object);
    return 0;
}

int es_sink_file_same(struct es_sink *sink, const char *path, const struct es_object *object,
                      struct es_err *err)
{
    assert_int_equal(es_mirror_path_check(path, strlen(path), err), 0);
    add_object(sink, FAKE_FILE_SAME, 0, path, object);
    return 0;
}

/* A path is begun once, unless what was begun is dropped. */
int es_sink_file_begin(struct es_sink *sink, uint32_t id, const char *path,
                       const struct es_object *object, struct es_err *err)
{
    assert_int_equal(es_mirror_path_check(path, strlen(path), err), 0);
    assert_null(fake_sink_file(sink, path));
    add_object(sink, FAKE_FILE, id, path, object);
    return 0;
}

static struct fake_object *begun(struct es_sink *sink, uint32_t id)
{
    for (size_t i = 0; i < sink->n_objects; i++)
        if (sink->objects[i].kind == FAKE_FILE && sink->objects[i].id == id)
            return &sink->objects[i];
    fail_msg("no file %u", id);
    return NULL;
}

int es_sink_file_data(struct es_sink *sink, uint32_t id, const void *data, size_t len,
                      struct es_err *err)
{
    struct fake_object *file = begun(sink, id);

    assert_false(file->ended || file->dropped);
    if (sink->broken)
        return es_fail(err, ES_INTERNAL, EPIPE, "the sink is broken");
    if (len > sink->largest)
        sink->largest = len;
    assert_int_equal(es_buf_append(&file->data, data, len), 0);
    return 0;
}

int es_sink_file_end(struct es_sink *sink, uint32_t id, struct es_err *err)
{
    struct fake_object *file = begun(sink, id);

    (void)err;
    assert_false(file->ended || file->dropped);
    file->ended = true;
    return 0;
}

int es_sink_file_drop(struct es_sink *sink, uint32_t id, struct es_err *err)
{
    struct fake_object *file = begun(sink, id);

    (void)err;
    assert_false(file->dropped);
    file->dropped = true;
    return 0;
}

const struct fake_object *fake_sink_file(const struct es_sink *sink, const char *path)
{
    for (size_t i = 0; i < sink->n_objects; i++)
        if (sink->objects[i].path[0] && strcmp(sink->objects[i].path, path) == 0 &&
            !sink->objects[i].dropped)
            return &sink->objects[i];
    return NULL;
}

const struct fake_object *fake_sink_object(const struct es_sink *sink, const char *name)
{
    for (size_t i = 0; i < sink->n_objects; i++)
        if (!sink->objects[i].path[0] && strcmp(sink->objects[i].name, name) == 0)
            return &sink->objects[i];
    return NULL;
}

bool fake_sink_noted(const struct es_sink *sink, const char *text)
{
    for (size_t i = 0; i < sink->n_notes; i++)
        if (strstr(sink->notes[i], text))
            return true;
    return false;
}

bool fake_sink_detailed(const struct es_sink *sink, const char *text)
{
    for (size_t i = 0; i < FAKE_MAX; i++)
        if (strstr(sink->details[i], text))
            return true;
    return false;
}

void fake_sink_done(struct es_sink *sink)
{
    for (size_t i = 0; i < sink->n_objects; i++)
        es_buf_done(&sink->objects[i].data);
    free(sink->objects);
    for (size_t i = 0; i < sink->n; i++)
        es_record_done(&sink->records[i]);
    *sink = (struct es_sink){0};
}

const struct es_record *fake_sink_get(const struct es_sink *sink, const char *key)
{
    for (size_t i = 0; i < sink->n; i++)
        if (strcmp(es_key_text(&sink->records[i].key).text, key) == 0)
            return &sink->records[i];
    fail_msg("no record %s", key);
    return NULL;
}

void fake_sink_assert(const struct es_sink *sink, const char *key, const char *value)
{
    const struct es_record *record = fake_sink_get(sink, key);

    assert_int_equal(record->value.type, ES_STRING);
    assert_string_equal(es_buf_str(&record->value.text), value);
}

int fake_file(const void *text, size_t len)
{
    int fd = memfd_create("fake", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, len, 0), len);
    return fd;
}

int fake_vector(const char *name)
{
    const char *top = getenv("ENVSYNC_SRCDIR");
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/tests/vectors/%s", top ? top : ".", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return fd;
}
