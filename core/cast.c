/* See cast.h. Strings from env files, parameters and secrets become what the configuration says; a
 * value that already has the type stays as it is. Nothing is guessed. */
#include "cast.h"

#include <errno.h>
#include <string.h>

/* Integers up to here are floats without loss. */
#define EXACT (INT64_C(1) << 53)

static bool is_text(const struct es_value *value)
{
    return value->type == ES_STRING || value->type == ES_DATETIME;
}

static int to_string(struct es_value *value, const char **ret_why)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = es_value_text(value, &text);

    if (r == -EDOM) {
        *ret_why = "types: this list or table cannot be text";
        return -EINVAL;
    }
    return r < 0 ? r : es_value_set_string(value, es_buf_str(&text), text.len);
}

static int to_integer(struct es_value *value, const char **ret_why)
{
    int64_t number;

    if (value->type == ES_INTEGER)
        return 0;
    if (!is_text(value) || !es_integer_parse(es_buf_str(&value->text), value->text.len, &number)) {
        *ret_why = "types: the value is no integer of 64 bits";
        return -EINVAL;
    }
    es_value_move(value, &(struct es_value){.type = ES_INTEGER, .integer = number});
    return 0;
}

static int to_float(struct es_value *value, const char **ret_why)
{
    double number;

    if (value->type == ES_FLOAT)
        return 0;
    if (value->type == ES_INTEGER && value->integer >= -EXACT && value->integer <= EXACT) {
        *value = (struct es_value){.type = ES_FLOAT, .number = (double)value->integer};
        return 0;
    }
    if (!is_text(value) || !es_float_parse(&value->text, &number)) {
        *ret_why = "types: the value is no number that a float holds";
        return -EINVAL;
    }
    es_value_move(value, &(struct es_value){.type = ES_FLOAT, .number = number});
    return 0;
}

static int to_boolean(struct es_value *value, const char **ret_why)
{
    bool yes = is_text(value) && es_buf_is(&value->text, "true");

    if (value->type == ES_BOOLEAN)
        return 0;
    if (!yes && !(is_text(value) && es_buf_is(&value->text, "false"))) {
        *ret_why = "types: the value is neither true nor false";
        return -EINVAL;
    }
    es_value_move(value, &(struct es_value){.type = ES_BOOLEAN, .boolean = yes});
    return 0;
}

static int to_list(struct es_value *value, const char **ret_why)
{
    ES_CLEANUP(es_value_done) struct es_value list = {0};
    const char *p, *end;

    if (value->type == ES_LIST)
        return 0;
    if (!is_text(value)) {
        *ret_why = "types: only a string is split into a list";
        return -EINVAL;
    }
    es_value_set_list(&list);
    p = es_buf_str(&value->text);
    end = p + value->text.len;
    while (value->text.len > 0 && p <= end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t len = (size_t)((comma ? comma : end) - p);
        struct es_value *item;

        if (es_list_add(&list, &item) < 0 || es_value_set_string(item, p, len) < 0)
            return -ENOMEM;
        p += len + 1;
    }
    es_value_move(value, &list);
    return 0;
}

/* Texts are parsed by a worker (texts.h); one that comes here was refused by it. */
static int to_json(const struct es_value *value, const char **ret_why)
{
    if (!is_text(value))
        return 0;
    *ret_why = "types: the value is no JSON text that envsync takes";
    return -EINVAL;
}

int es_cast(struct es_value *value, enum es_cast cast, const char **ret_why)
{
    switch (cast) {
    case ES_CAST_NONE:
        break;
    case ES_CAST_STRING:
        return to_string(value, ret_why);
    case ES_CAST_INTEGER:
        return to_integer(value, ret_why);
    case ES_CAST_FLOAT:
        return to_float(value, ret_why);
    case ES_CAST_BOOLEAN:
        return to_boolean(value, ret_why);
    case ES_CAST_LIST:
        return to_list(value, ret_why);
    case ES_CAST_JSON:
        return to_json(value, ret_why);
    }
    return 0;
}
