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

int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    (void)sink;
    (void)err;
    (void)fmt;
    return 0;
}

void fake_sink_done(struct es_sink *sink)
{
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
