/* What the tests of the formats share: one call per case, so that a case is one line. */
#ifndef ENVSYNC_TESTS_FORMAT_CASE_H
#define ENVSYNC_TESTS_FORMAT_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "envsync/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A literal and its length, NUL bytes included. */
#define TEXT(literal) (literal), sizeof(literal) - 1

static inline void read_ok(const struct es_format *format, const char *text, size_t len,
                           struct es_value *ret)
{
    struct es_err err = {.msg = "nothing"};
    int r = format->read(text, len, ret, &err);

    if (r < 0)
        fail_msg("refused: %s", err.msg);
    assert_int_equal(r, 0);
}

/* The document is refused with this message, and ret is left alone. */
static inline void assert_refused(const struct es_format *format, const char *text, size_t len,
                                  const char *message)
{
    struct es_value ret = {.type = ES_INTEGER, .integer = 4711};
    struct es_err err = {.msg = "nothing"};

    assert_int_equal(format->read(text, len, &ret, &err), -EINVAL);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, message);
    assert_int_equal(ret.type, ES_INTEGER);
    assert_int_equal(ret.integer, 4711);
}

/* The document has these names and values, and no others: name, value, ..., NULL. */
static inline void assert_reads(const struct es_format *format, const char *text, ...)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    const char *name;
    va_list args;
    size_t n = 0;

    read_ok(format, text, strlen(text), &table);
    assert_int_equal(table.type, ES_TABLE);
    va_start(args, text);
    for (; (name = va_arg(args, const char *)); n++) {
        struct es_value *value = es_table_get(&table, name);

        assert_non_null(value);
        assert_int_equal(value->type, ES_STRING);
        assert_string_equal(es_buf_str(&value->text), va_arg(args, const char *));
    }
    va_end(args);
    assert_int_equal(table.table.n, n);
}

static inline void put_text(struct es_value *table, const char *name, const void *value, size_t len)
{
    struct es_entry *entry;

    assert_int_equal(es_table_add(table, name, strlen(name), &entry), 0);
    assert_int_equal(es_value_set_string(&entry->value, value, len), 0);
}

static inline const char *accepts_text(const struct es_format *format, const char *name,
                                       const void *value, size_t len)
{
    ES_CLEANUP(es_value_done) struct es_value leaf = {0};

    assert_int_equal(es_value_set_string(&leaf, value, len), 0);
    return format->accepts(name, &leaf);
}

/* NAME with this value is accepted, becomes this document, and reads back. */
static inline void assert_writes(const struct es_format *format, const void *value, size_t len,
                                 const char *document)
{
    ES_CLEANUP(es_value_done) struct es_value table = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    assert_null(accepts_text(format, "NAME", value, len));
    put_text(&table, "NAME", value, len);
    assert_int_equal(es_format_render(format, &table, &out, &err), 0);
    assert_string_equal(es_buf_str(&out), document);
}

static inline void assert_not_carried(const struct es_format *format, const void *value, size_t len,
                                      const char *reason)
{
    const char *why = accepts_text(format, "NAME", value, len);

    assert_non_null(why);
    assert_string_equal(why, reason);
}

#endif
