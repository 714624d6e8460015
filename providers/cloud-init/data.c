/* See data.h. Instance data is half trusted: cloud-init wrote the file as root, but most of what is
 * in it came from the cloud's metadata service or from who started the machine. Its size is bounded
 * by the caller, its depth here. Messages never quote it: jansson's own do, so they are not used.
 */
#include "data.h"

#include "envsync/jansson.h"
#include "envsync/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What cloud-init writes for users other than root. */
static const char redacted[] = "redacted for non-root user";
static const char base64_mark[] = "ci-b64:";

void es_data_done(struct es_data *data)
{
    json_decref(data->root);
    free(data->path);
    *data = (struct es_data){0};
}

static bool too_deep(const json_t *value, int left)
{
    const char *key;
    json_t *below;
    size_t i;

    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (left == 0)
        return true;
    json_array_foreach(value, i, below) if (too_deep(below, left - 1)) return true;
    json_object_foreach((json_t *)value, key, below) if (too_deep(below, left - 1)) return true;
    return false;
}

static int fail_json(const json_error_t *why, const char *path, struct es_err *err)
{
    const char *what;

    switch (json_error_code(why)) {
    case json_error_stack_overflow:
        what = "nested too deep";
        break;
    case json_error_premature_end_of_input:
        what = "ends too early: the file is cut off";
        break;
    case json_error_end_of_input_expected:
        what = "something stands behind the end of the data";
        break;
    case json_error_duplicate_key:
        what = "a key stands twice in one table";
        break;
    case json_error_numeric_overflow:
        what = "a number is too large";
        break;
    case json_error_invalid_utf8:
        what = "not valid UTF-8";
        break;
    default:
        what = "not valid JSON";
        break;
    }
    return es_fail(err, ES_INVALID, EINVAL, "%s:%d:%d: %s", path, why->line,
                   why->column < 0 ? 0 : why->column, what);
}

int es_data_parse(const char *text, size_t len, const char *path, struct es_data *ret,
                  struct es_err *err)
{
    ES_CLEANUP(es_data_done) struct es_data data = {0};
    json_error_t why;
    int r = es_jansson_load(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &data.root, &why);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0)
        return fail_json(&why, path, err);
    if (!json_is_object(data.root))
        return es_fail(err, ES_INVALID, EINVAL, "%s is no instance data: not a JSON object", path);
    if (too_deep(data.root, ES_DATA_DEPTH))
        return es_fail(err, ES_INVALID, EMSGSIZE, "%s: nested deeper than %d", path, ES_DATA_DEPTH);
    data.path = strdup(path);
    if (!data.path)
        return es_nomem(err);
    es_data_done(ret);
    *ret = data;
    data = (struct es_data){0};
    return 0;
}

static char folded(char c)
{
    return c == '-' ? '_' : c;
}

static bool equal_folded(const char *a, const char *b)
{
    for (; *a && folded(*a) == folded(*b); a++, b++)
        ;
    return folded(*a) == folded(*b);
}

/* The name with every '-' and '_' being `c`. */
static bool equal_with(const char *key, const char *name, char c)
{
    for (; *key && *name; key++, name++)
        if (*key != (folded(*name) == '_' ? c : *name))
            return false;
    return *key == *name;
}

/* Keys on disk have hyphens, documentation and `cloud-init query` show underscores: the name as
 * written, else with hyphens, else with underscores, else the first that is mixed. */
static json_t *find(const json_t *table, const char *name, const char **ret_key)
{
    const char *key, *best = NULL;
    int score = 0;
    json_t *value;

    json_object_foreach((json_t *)table, key, value)
    {
        int s = strcmp(key, name) == 0       ? 4
                : !equal_folded(key, name)   ? 0
                : equal_with(key, name, '-') ? 3
                : equal_with(key, name, '_') ? 2
                                             : 1;

        if (s > score) {
            score = s;
            best = key;
        }
    }
    *ret_key = best;
    return best ? json_object_get(table, best) : NULL;
}

static void enter(struct es_spot *spot, const char *key, const json_t *value)
{
    if (spot->n < sizeof spot->names / sizeof *spot->names)
        spot->names[spot->n++] = key;
    spot->value = value;
}

static bool is_redacted(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) == strlen(redacted) &&
           memcmp(json_string_value(value), redacted, strlen(redacted)) == 0;
}

/* By name. What `cloud-init query` shows at the top, as in "availability_zone", is below v1. */
static bool step_name(const struct es_data *data, const char *name, struct es_spot *spot)
{
    const char *key;
    json_t *value = find(spot->value, name, &key);

    if (!value && spot->value == data->root) {
        json_t *v1 = json_object_get(data->root, "v1");

        value = v1 ? find(v1, name, &key) : NULL;
        if (value)
            enter(spot, "v1", v1);
    }
    if (value)
        enter(spot, key, value);
    return value;
}

/* By number. EC2 gives a string where a list would have one item: [0] takes both. */
static bool step_index(size_t index, struct es_spot *spot)
{
    if (json_is_array(spot->value)) {
        spot->value = json_array_get(spot->value, index);
        spot->in_list = true;
        return spot->value;
    }
    return index == 0 && !json_is_object(spot->value) && !json_is_null(spot->value);
}

bool es_spot_redacted(const struct es_spot *spot)
{
    return is_redacted(spot->value);
}

bool es_data_walk(const struct es_data *data, const struct es_step *steps, size_t n,
                  struct es_spot *ret)
{
    struct es_spot spot = {.value = data->root};

    for (size_t i = 0; i < n; i++) {
        bool by_name = steps[i].name.data;

        if (is_redacted(spot.value) || (by_name && json_is_array(spot.value)))
            break;
        if (by_name ? !step_name(data, steps[i].name.data, &spot)
                    : !step_index(steps[i].index, &spot))
            return false;
    }
    if (json_is_null(spot.value))
        return false;
    *ret = spot;
    return true;
}

bool es_spot_enter(const struct es_spot *spot, const char *name, bool exact, struct es_spot *ret)
{
    struct es_spot below = *spot;
    const char *key;
    json_t *value;

    if (is_redacted(spot->value)) {
        *ret = below;
        return true;
    }
    value = find(spot->value, name, &key);
    if (!value || json_is_null(value) || (exact && strcmp(key, name) != 0))
        return false;
    enter(&below, key, value);
    *ret = below;
    return true;
}

/* Whether a "/"-delimited path names the spot. */
static bool names_spot(const char *path, const struct es_spot *spot)
{
    for (size_t i = 0; i < spot->n; i++) {
        size_t len = strlen(spot->names[i]);

        if (strncmp(path, spot->names[i], len) != 0)
            return false;
        path += len;
        if (*path != (i + 1 < spot->n ? '/' : '\0'))
            return false;
        path++;
    }
    return spot->n > 0;
}

static bool is_base64(const struct es_data *data, const struct es_spot *spot)
{
    const json_t *list = json_object_get(data->root, "base64_encoded_keys"), *item;
    const char *text = json_string_value(spot->value);
    size_t i;

    if (strncmp(text, base64_mark, strlen(base64_mark)) == 0)
        return true;
    if (spot->in_list)
        return false;
    json_array_foreach(list, i, item) if (json_is_string(item) &&
                                          names_spot(json_string_value(item), spot)) return true;
    return false;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Canonical base64 with its padding. -EINVAL for anything else. */
static int decode_base64(const char *text, size_t len, struct es_buf *out)
{
    size_t pad = len && text[len - 1] == '=' ? 1 + (len > 1 && text[len - 2] == '=') : 0;
    unsigned bits = 0;
    int held = 0, r = 0;

    if (len % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; r == 0 && i < len - pad; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            return -EINVAL;
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            r = es_buf_putc(out, (char)(bits >> held));
        }
    }
    return r < 0 ? r : bits & ((1U << held) - 1) ? -EINVAL : 0;
}

static int put_string(const struct es_data *data, const struct es_spot *spot, const char *what,
                      struct es_buf *out, struct es_err *err)
{
    const char *text = json_string_value(spot->value);
    size_t len = json_string_length(spot->value);
    ES_CLEANUP(es_buf_done) struct es_buf plain = {0};
    int r;

    if (!is_base64(data, spot))
        return es_buf_append(out, text, len) < 0 ? es_nomem(err) : 0;
    if (strncmp(text, base64_mark, strlen(base64_mark)) == 0) {
        text += strlen(base64_mark);
        len -= strlen(base64_mark);
    }
    r = decode_base64(text, len, &plain);
    if (r == -EINVAL)
        return es_fail(err, ES_INVALID, EINVAL, "%s is not valid base64 in %s", what, data->path);
    if (r < 0 || es_buf_append(out, plain.data, plain.len) < 0)
        return es_nomem(err);
    return 0;
}

int es_data_redacted(const struct es_data *data, const char *what, struct es_err *err)
{
    size_t len = strlen(data->path);

    if (len > 5 && strcmp(data->path + len - 5, ".json") == 0)
        len -= 5;
    return es_fail(err, ES_DENIED, EACCES,
                   "%s is redacted in %s for users other than root: run as root, so that "
                   "%.*s-sensitive.json is read",
                   what, data->path, (int)len, data->path);
}

int es_data_text(const struct es_data *data, const struct es_spot *spot, const char *what,
                 struct es_buf *out, struct es_err *err)
{
    int r;

    if (is_redacted(spot->value))
        return es_data_redacted(data, what, err);
    switch (json_typeof(spot->value)) {
    case JSON_STRING:
        return put_string(data, spot, what, out, err);
    case JSON_INTEGER:
        r = es_integer_format(out, json_integer_value(spot->value));
        break;
    case JSON_REAL:
        r = es_float_format(out, json_real_value(spot->value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        r = es_buf_puts(out, json_is_true(spot->value) ? "true" : "false");
        break;
    case JSON_ARRAY:
        return es_fail(err, ES_INVALID, EINVAL, "%s meets a list of %zu in %s: add [0]", what,
                       json_array_size(spot->value), data->path);
    default:
        return es_fail(err, ES_INVALID, EINVAL, "%s is a table of %zu in %s: name a value below it",
                       what, json_object_size(spot->value), data->path);
    }
    return r < 0 ? es_nomem(err) : 0;
}
