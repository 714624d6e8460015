/* JSON into values, by jansson.
 *
 * Input is untrusted. jansson checks the syntax, duplicate keys, number ranges and UTF-8 and bounds
 * its own recursion; its messages are never passed on, because they quote the text. It keeps no
 * positions, so the text is walked once more beside the tree: jansson keeps the order of keys, and
 * as the text is known to be valid the walk only has to find where each value begins. What the walk
 * finds goes into positions and messages only, never into a value. */
#include "envsync/format.h"
#include "envsync/jansson.h"
#include "envsync/key.h"
#include "envsync/limits.h"

#include "json.h"
#include "scan.h"

#include <errno.h>
#include <string.h>

static void drop_json(json_t **json)
{
    json_decref(*json);
}

struct walk {
    struct es_scan scan;
    struct es_buf path; /* the key that is being read, for messages */
    int depth;
};

static void walk_done(struct walk *walk)
{
    es_buf_done(&walk->path);
}

/* To the next value, key or closing bracket. */
static void skip_between(struct es_scan *scan)
{
    int c;

    while ((c = es_scan_peek(scan)) >= 0 && strchr(" \t\r\n,:", c))
        es_scan_next(scan);
}

static void skip_scalar(struct es_scan *scan)
{
    int c = es_scan_peek(scan);

    if (c != '"') {
        while ((c = es_scan_peek(scan)) >= 0 && !strchr(" \t\r\n,]}", c))
            es_scan_next(scan);
        return;
    }
    es_scan_next(scan);
    while ((c = es_scan_next(scan)) >= 0 && c != '"')
        if (c == '\\')
            es_scan_next(scan);
}

static int read_value(struct walk *walk, json_t *json, struct es_value *ret, struct es_err *err);

static int read_entry(struct walk *walk, const char *key, json_t *json, struct es_value *table,
                      struct es_err *err)
{
    size_t path_len = walk->path.len;
    struct es_entry *entry;
    int r;

    skip_between(&walk->scan);
    if (es_table_add(table, key, strlen(key), &entry) < 0 ||
        es_key_push(&walk->path, key, strlen(key)) < 0)
        return es_nomem(err);
    entry->pos = es_scan_pos(&walk->scan);
    skip_scalar(&walk->scan);
    r = read_value(walk, json, &entry->value, err);
    walk->path.len = path_len;
    return r;
}

static int read_container(struct walk *walk, json_t *json, struct es_value *ret, struct es_err *err)
{
    int r = 0;

    if (++walk->depth > ES_MAX_DEPTH)
        return es_scan_fail(ret->pos, err, "nested deeper than %d", ES_MAX_DEPTH);
    es_scan_next(&walk->scan);
    if (json_is_array(json)) {
        es_value_set_list(ret);
        for (size_t i = 0; r == 0 && i < json_array_size(json); i++) {
            struct es_value *item;

            r = es_list_add(ret, &item) < 0 ? es_nomem(err) : 0;
            if (r == 0)
                r = read_value(walk, json_array_get(json, i), item, err);
        }
    } else {
        const char *key;
        json_t *below;

        es_value_set_table(ret);
        json_object_foreach(json, key, below)
        {
            r = read_entry(walk, key, below, ret, err);
            if (r < 0)
                break;
        }
    }
    skip_between(&walk->scan);
    es_scan_next(&walk->scan);
    walk->depth--;
    return r;
}

static int refuse_null(const struct walk *walk, struct es_pos pos, struct es_err *err)
{
    if (walk->path.len)
        return es_scan_fail(pos, err, "%s: null is not a value: remove the key or give it one",
                            es_key_text(&walk->path).text);
    return es_scan_fail(pos, err, "null is not a value: remove the key or give it one");
}

static int read_value(struct walk *walk, json_t *json, struct es_value *ret, struct es_err *err)
{
    skip_between(&walk->scan);
    ret->pos = es_scan_pos(&walk->scan);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return read_container(walk, json, ret, err);
    case JSON_STRING:
        if (es_value_set_string(ret, json_string_value(json), json_string_length(json)) < 0)
            return es_nomem(err);
        break;
    case JSON_INTEGER:
        ret->type = ES_INTEGER;
        ret->integer = json_integer_value(json);
        break;
    case JSON_REAL:
        ret->type = ES_FLOAT;
        ret->number = json_real_value(json);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        ret->type = ES_BOOLEAN;
        ret->boolean = json_is_true(json);
        break;
    case JSON_NULL:
        return refuse_null(walk, ret->pos, err);
    }
    skip_scalar(&walk->scan);
    return 0;
}

/* jansson's code in words of our own. */
static const char *explain(enum json_error_code code)
{
    switch (code) {
    case json_error_stack_overflow:
        return "nested far too deeply";
    case json_error_invalid_utf8:
        return "not valid UTF-8";
    case json_error_premature_end_of_input:
        return "the JSON ends too early";
    case json_error_end_of_input_expected:
        return "something follows after the end of the JSON";
    case json_error_duplicate_key:
        return "a key that this object has already";
    case json_error_numeric_overflow:
        return "a number too large for a 64-bit integer or a double";
    case json_error_null_byte_in_key:
        return "a key with a NUL character";
    default:
        return "not valid JSON";
    }
}

static int load(const struct es_scan *scan, json_t **ret, struct es_err *err)
{
    enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY };
    ES_CLEANUP(drop_json) json_t *json = NULL;
    json_error_t why;
    int r = es_jansson_load(scan->text + scan->at, scan->len - scan->at, FLAGS, &json, &why);

    if (r == -ENOMEM) {
        r = es_nomem(err);
    } else if (r < 0) {
        struct es_scan at = *scan;

        /* The position is behind the last byte that was read. */
        es_scan_to(&at, at.at + (why.position > 0 ? (size_t)why.position - 1 : 0));
        r = es_scan_fail(es_scan_pos(&at), err, "%s", explain(json_error_code(&why)));
    }
    explicit_bzero(&why, sizeof why);
    if (r < 0)
        return r;
    *ret = json;
    json = NULL;
    return 0;
}

int es_json_read(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    ES_CLEANUP(walk_done) struct walk walk = {.scan = {.text = text, .len = len}};
    ES_CLEANUP(drop_json) json_t *json = NULL;
    const char *nul = len ? memchr(text, '\0', len) : NULL;
    int r;

    if (es_scan_skip(&walk.scan, "\xef\xbb\xbf"))
        walk.scan.line_from = walk.scan.at;
    /* jansson takes one for the end of the text. */
    if (nul) {
        es_scan_to(&walk.scan, (size_t)(nul - text));
        return es_scan_fail(es_scan_pos(&walk.scan), err, "a NUL byte");
    }
    r = load(&walk.scan, &json, err);
    if (r == 0)
        r = read_value(&walk, json, &value, err);
    if (r < 0)
        return r;
    es_value_move(ret, &value);
    return 0;
}

int es_json_parse(const char *text, size_t len, struct es_value *ret, struct es_err *err)
{
    return es_json_read(text, len, ret, err);
}
