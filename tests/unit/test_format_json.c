/* The format json, JSON as the text of a value, and ssm-json. */
#include "format_case.h"

#include "envsync/limits.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define JSON &es_format_json

static void parse(const char *text, size_t len, struct es_value *ret)
{
    struct es_err err = {.msg = "nothing"};

    if (es_json_parse(text, len, ret, &err) < 0)
        fail_msg("refused: %s", err.msg);
}

static void reads_every_type(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};

    (void)state;
    read_ok(JSON,
            TEXT("{\"s\":\"x\",\"i\":-5,\"f\":1.5,\"t\":true,\"n\":false,\"l\":[1,\"a\",[]],"
                 "\"o\":{\"\":{}}}"),
            &root);
    assert_int_equal(root.table.n, 7);
    assert_int_equal(es_table_get(&root, "s")->type, ES_STRING);
    assert_int_equal(es_table_get(&root, "i")->integer, -5);
    assert_int_equal(es_table_get(&root, "f")->type, ES_FLOAT);
    assert_true(es_table_get(&root, "f")->number == 1.5);
    assert_int_equal(es_table_get(&root, "t")->type, ES_BOOLEAN);
    assert_true(es_table_get(&root, "t")->boolean);
    assert_false(es_table_get(&root, "n")->boolean);
    assert_int_equal(es_table_get(&root, "l")->list.n, 3);
    assert_int_equal(es_table_get(es_table_get(&root, "o"), "")->type, ES_TABLE);
}

static void knows_where_keys_and_values_stand(void **state)
{
    static const char text[] = "\xef\xbb\xbf{\"\\\"\\\\\" : \"\xc3\xa9,]}\\\"\" , \"b\":[ "
                               "1,\n{},\"x\"],\r\n  \"c\" :\n 2}";
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    struct es_value *list;

    (void)state;
    read_ok(JSON, TEXT(text), &root);
    assert_int_equal(root.table.entries[0].pos.column, 2);
    assert_int_equal(root.table.entries[0].value.pos.column, 11);
    assert_int_equal(root.table.entries[1].pos.line, 1);
    assert_int_equal(root.table.entries[1].pos.column, 23);
    list = &root.table.entries[1].value;
    assert_int_equal(list->list.items[0].pos.column, 29);
    assert_int_equal(list->list.items[1].pos.line, 2);
    assert_int_equal(list->list.items[1].pos.column, 1);
    assert_int_equal(list->list.items[2].pos.column, 4);
    assert_int_equal(root.table.entries[2].pos.line, 3);
    assert_int_equal(root.table.entries[2].pos.column, 3);
    assert_int_equal(root.table.entries[2].value.pos.line, 4);
    assert_int_equal(root.table.entries[2].value.pos.column, 2);
}

static void an_empty_document_is_an_empty_table(void **state)
{
    (void)state;
    assert_reads(JSON, "", NULL);
    assert_reads(JSON, " \t\r\n", NULL);
    assert_reads(JSON, "\xef\xbb\xbf\n", NULL);
    assert_reads(JSON, "\xef\xbb\xbf{}", NULL);
    assert_refused(JSON, TEXT("{}\n\0"), "2:1: a NUL byte");
    assert_refused(JSON, TEXT("{\"a\":\"x\0\"}"), "1:8: a NUL byte");
    assert_refused(JSON, TEXT(" \0"), "1:2: a NUL byte");
}

static void integers_keep_64_bits(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value list = {0};

    (void)state;
    parse(TEXT("[9223372036854775807, -9223372036854775808, 9007199254740993, -0]"), &list);
    assert_true(list.list.items[0].integer == INT64_MAX);
    assert_true(list.list.items[1].integer == INT64_MIN);
    assert_true(list.list.items[2].integer == 9007199254740993);
    assert_int_equal(list.list.items[3].type, ES_INTEGER);
    assert_refused(JSON, TEXT("{\"a\":9223372036854775808}"),
                   "1:24: a number too large for a 64-bit integer or a double");
    assert_refused(JSON, TEXT("{\"a\":-9223372036854775809}"),
                   "1:25: a number too large for a 64-bit integer or a double");
}

static void floats_keep_every_bit(void **state)
{
    static const double numbers[] = {0.1,     -0.0,   1e16,    5e-324,
                                     DBL_MAX, 2.5e-7, 1.0 / 3, 4503599627370497.5};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct es_value number = {.type = ES_FLOAT, .number = numbers[i]};
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        struct es_value back = {0};

        assert_int_equal(es_value_text(&number, &text), 0);
        parse(text.data, text.len, &back);
        assert_true(es_value_equal(&number, &back, false));
    }
    assert_refused(JSON, TEXT("{\"a\":1e309}"),
                   "1:10: a number too large for a 64-bit integer or a double");
}

static void refuses_null_and_names_its_key(void **state)
{
    (void)state;
    assert_refused(JSON, TEXT("{\"db\":{\"Foo.x\":\n [1, null]}}"),
                   "2:6: db.\"Foo.x\": null is not a value: remove the key or give it one");
    assert_refused(JSON, TEXT("{\"a\":{\"b\":1},\"c\":null}"),
                   "1:18: c: null is not a value: remove the key or give it one");
    assert_refused(JSON, TEXT("null"), "1:1: null is not a value: remove the key or give it one");
}

static void refuses_what_is_no_object(void **state)
{
    (void)state;
    assert_refused(JSON, TEXT(" []"),
                   "1:2: the document has to be a JSON object; its type is list");
    assert_refused(JSON, TEXT("\"x\""),
                   "1:1: the document has to be a JSON object; its type is string");
    assert_refused(JSON, TEXT("1"),
                   "1:1: the document has to be a JSON object; its type is integer");
}

static void refuses_what_is_no_json(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"a\":1,\n \"b\":2,\n \"a\":3}", "3:4: a key that this object has already"},
        {"{\"a\":{\"b\":1,\"\\u0062\":2}}", "1:20: a key that this object has already"},
        {"{} x", "1:4: something follows after the end of the JSON"},
        {"{}{}", "1:3: something follows after the end of the JSON"},
        {"{", "1:1: the JSON ends too early"},
        {"{\"a\":\"x", "1:7: the JSON ends too early"},
        {"{\"a\":NaN}", "1:8: not valid JSON"},
        {"{\"a\":Infinity}", "1:13: not valid JSON"},
        {"{\"a\":01}", "1:6: not valid JSON"},
        {"{\"a\":1,}", "1:8: not valid JSON"},
        {"{'a':1}", "1:2: not valid JSON"},
        {"{\"a\":\"\n\"}", "1:6: not valid JSON"},
        {"{\"a\":\"\\x\"}", "1:8: not valid JSON"},
        {"// x\n{}", "1:1: not valid JSON"},
        {"{\"a\":\"\xff\"}", "1:6: not valid UTF-8"},
        {"{\"a\":\"\xed\xa0\x80\"}", "1:6: not valid UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(JSON, cases[i].text, strlen(cases[i].text), cases[i].message);
}

static void refuses_lone_surrogates(void **state)
{
    struct es_value ret = {0};
    struct es_err err;

    (void)state;
    for (const char *const *p =
             (const char *const[]){"{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}",
                                   "{\"a\":\"\\ud800x\"}", "{\"a\":\"\\ud800\\u0041\"}", NULL};
         *p; p++)
        assert_int_equal(es_format_json.read(*p, strlen(*p), &ret, &err), -EINVAL);
}

static void nul_is_for_values_only(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};

    (void)state;
    read_ok(JSON, TEXT("{\"a\":\"x\\u0000y\"}"), &root);
    assert_int_equal(es_table_get(&root, "a")->text.len, 3);
    assert_memory_equal(es_table_get(&root, "a")->text.data, "x\0y", 3);
    assert_refused(JSON, TEXT("{\"x\\u0000y\":1}"), "1:11: a key with a NUL character");
}

/* n lists in an object, which counts too. */
static void nest(struct es_buf *out, int n)
{
    assert_int_equal(es_buf_puts(out, "{\"a\":"), 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(es_buf_putc(out, '['), 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(es_buf_putc(out, ']'), 0);
    assert_int_equal(es_buf_putc(out, '}'), 0);
}

static void nests_as_deeply_as_the_limit(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf most = {0}, over = {0}, far = {0};
    ES_CLEANUP(es_value_done) struct es_value root = {0};

    (void)state;
    nest(&most, ES_MAX_DEPTH - 1);
    read_ok(JSON, most.data, most.len, &root);
    nest(&over, ES_MAX_DEPTH);
    assert_refused(JSON, over.data, over.len, "1:37: nested deeper than 32");
    nest(&far, ES_MAX_DOCUMENT / 2 - 4);
    assert_refused(JSON, far.data, far.len, "1:2053: nested far too deeply");
}

static void no_message_quotes_the_document(void **state)
{
    static const char *const documents[] = {
        "hunter2",
        "{\"a\":\"hunter2",
        "{\"a\":hunter2}",
        "{\"a\":\"x\" \"hunter2\"}",
        "{\"a\":\"hunter2\\q\"}",
        "{\"a\":1}hunter2",
        "{\"a\":\"hunter2\xff\"}",
        "\"hunter2\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct es_value ret = {0};
        struct es_err err;

        assert_int_equal(es_format_json.read(documents[i], strlen(documents[i]), &ret, &err),
                         -EINVAL);
        assert_null(strstr(err.msg, "unter"));
    }
}

static void what_jansson_frees_is_cleansed_first(void **state)
{
    json_malloc_t get;
    json_free_t give;

    (void)state;
    json_get_alloc_funcs(&get, &give);
    assert_true(give != free);
    give(NULL);
}

/* With a sanitizer too, asking for too much gives NULL. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static json_malloc_t real_malloc;
static int blocks_left;

static void *scarce_malloc(size_t size)
{
    return real_malloc(blocks_left-- > 0 ? size : PTRDIFF_MAX);
}

static void says_so_where_jansson_has_no_memory(void **state)
{
    static const char text[] = "{\"a\":[1,2.5,\"\xc3\xa9\"],\"b\":{\"c\":\"d\"}}";
    json_free_t give;
    int n = 0, r = -1;

    (void)state;
    json_get_alloc_funcs(&real_malloc, &give);
    for (; r < 0; n++) {
        ES_CLEANUP(es_value_done) struct es_value root = {0};
        struct es_err err = {.msg = "nothing"};

        blocks_left = n;
        json_set_alloc_funcs(scarce_malloc, give);
        r = es_format_json.read(TEXT(text), &root, &err);
        json_set_alloc_funcs(real_malloc, give);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(r == 0 || err.class == ES_INTERNAL);
    }
    assert_true(n > 10);
}

static void writes_indented_objects(void **state)
{
    static const char text[] = "{\n"
                               "  \"a\": {},\n"
                               "  \"b\": [],\n"
                               "  \"c\": {\n"
                               "    \"d\": [\n"
                               "      1,\n"
                               "      -2.5,\n"
                               "      true,\n"
                               "      \"x\"\n"
                               "    ]\n"
                               "  }\n"
                               "}\n";
    ES_CLEANUP(es_value_done) struct es_value root = {0}, none = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0}, empty = {0};
    struct es_err err;

    (void)state;
    read_ok(JSON, TEXT(text), &root);
    assert_int_equal(es_format_render(JSON, &root, &out, &err), 0);
    assert_string_equal(out.data, text);
    assert_int_equal(es_format_render(JSON, &none, &empty, &err), 0);
    assert_string_equal(empty.data, "{}\n");
}

static void escapes_what_it_must_and_what_moves_terminals(void **state)
{
    (void)state;
    assert_writes(JSON, TEXT("\"\\/\b\f\n\r\t"),
                  "{\n  \"NAME\": \"\\\"\\\\/\\b\\f\\n\\r\\t\"\n}\n");
    assert_writes(JSON, TEXT("\x01\x1b\x7f"), "{\n  \"NAME\": \"\\u0001\\u001b\\u007f\"\n}\n");
    assert_writes(JSON, TEXT("a\0b"), "{\n  \"NAME\": \"a\\u0000b\"\n}\n");
    assert_writes(JSON, TEXT("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xa7"),
                  "{\n  \"NAME\": \"\\u2028\\u2029\xe2\x80\xa7\"\n}\n");
    assert_writes(JSON, TEXT("\xf0\x9f\x98\x80\xef\xbf\xbf"),
                  "{\n  \"NAME\": \"\xf0\x9f\x98\x80\xef\xbf\xbf\"\n}\n");
}

static void date_times_are_written_as_strings(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value root = {.type = ES_TABLE};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err;

    (void)state;
    put_text(&root, "at", TEXT("2024-02-29T00:00:00Z"));
    root.table.entries[0].value.type = ES_DATETIME;
    assert_int_equal(es_format_render(JSON, &root, &out, &err), 0);
    assert_string_equal(out.data, "{\n  \"at\": \"2024-02-29T00:00:00Z\"\n}\n");
}

/* A list [ table { key = leaf } ], so that what is refused is found deep below. */
static void bury(struct es_value *list, const char *key, size_t key_len,
                 const struct es_value *leaf)
{
    struct es_value *item;
    struct es_entry *entry;

    es_value_set_list(list);
    assert_int_equal(es_list_add(list, &item), 0);
    es_value_set_table(item);
    assert_int_equal(es_table_add(item, key, key_len, &entry), 0);
    assert_int_equal(es_value_copy(&entry->value, leaf), 0);
}

static void assert_buried_is_refused(const char *key, size_t key_len, const struct es_value *leaf,
                                     const char *reason)
{
    ES_CLEANUP(es_value_done) struct es_value list = {0};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    bury(&list, key, key_len, leaf);
    assert_non_null(es_format_json.accepts(NULL, &list));
    assert_string_equal(es_format_json.accepts(NULL, &list), reason);
    assert_int_equal(es_value_text(&list, &out), -EDOM);
    assert_int_equal(out.len, 0);
}

static void refuses_what_json_has_no_form_for_however_deep(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value bytes = {0}, fine = {0};

    (void)state;
    assert_int_equal(es_value_set_string(&bytes, "\xff", 1), 0);
    assert_int_equal(es_value_set_string(&fine, "x", 1), 0);
    assert_buried_is_refused(TEXT("a"), &(struct es_value){.type = ES_FLOAT, .number = NAN},
                             "JSON has no NaN or infinity");
    assert_buried_is_refused(TEXT("a"), &(struct es_value){.type = ES_FLOAT, .number = -INFINITY},
                             "JSON has no NaN or infinity");
    assert_buried_is_refused(TEXT("a"), &bytes, "is not valid UTF-8");
    assert_buried_is_refused(TEXT("\xff"), &fine, "has a key that is not valid UTF-8");
    assert_buried_is_refused(TEXT("a\0b"), &fine,
                             "has a key with a NUL character, which few JSON readers take");
}

static void the_text_of_a_value_is_its_shortest_exact_form(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"a \\\" b\"", "a \" b"},
        {"12", "12"},
        {"0.10", "0.1"},
        {"3.0", "3.0"},
        {"true", "true"},
        {"false", "false"},
        {"[]", "[]"},
        {"{}", "{}"},
        {"{\"b\" : [1, 2.0, \"x\"],\n\"a\" : {\"d\":false, \"c\":\"\\u2028\"}}",
         "{\"a\":{\"c\":\"\\u2028\",\"d\":false},\"b\":[1,2.0,\"x\"]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};

        parse(cases[i].json, strlen(cases[i].json), &value);
        assert_int_equal(es_value_text(&value, &out), 0);
        assert_string_equal(out.data, cases[i].text);
    }
}

static void the_text_of_a_lone_nan_is_nan(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};

    (void)state;
    assert_int_equal(es_value_text(&(struct es_value){.type = ES_FLOAT, .number = NAN}, &out), 0);
    assert_string_equal(out.data, "nan");
}

static void ssm_writes_names_and_values(void **state)
{
    static const char text[] = "[\n"
                               "  {\n"
                               "    \"Name\": \"/foo/prod/a\",\n"
                               "    \"Value\": \"x \\\" y\"\n"
                               "  },\n"
                               "  {\n"
                               "    \"Name\": \"/foo/prod/b\",\n"
                               "    \"Value\": \"\"\n"
                               "  }\n"
                               "]\n";
    ES_CLEANUP(es_value_done) struct es_value list = {0}, none = {.type = ES_LIST};
    ES_CLEANUP(es_buf_done) struct es_buf out = {0}, empty = {0};
    struct es_err err;

    (void)state;
    parse(TEXT(text), &list);
    assert_null(es_format_ssm_json.accepts(NULL, &list));
    assert_int_equal(es_format_render(&es_format_ssm_json, &list, &out, &err), 0);
    assert_string_equal(out.data, text);
    assert_int_equal(es_format_render(&es_format_ssm_json, &none, &empty, &err), 0);
    assert_string_equal(empty.data, "[]\n");
}

static void ssm_refuses_other_shapes(void **state)
{
    static const char shape[] = "1:2: not an object of the strings Name and Value";

    (void)state;
    assert_refused(&es_format_ssm_json, TEXT("{}"),
                   "1:1: the document has to be a JSON list; its type is table");
    assert_refused(&es_format_ssm_json, TEXT("[1]"), shape);
    assert_refused(&es_format_ssm_json, TEXT("[{\"Name\":\"a\"}]"), shape);
    assert_refused(&es_format_ssm_json, TEXT("[{\"Name\":\"a\",\"Value\":1}]"), shape);
    assert_refused(&es_format_ssm_json, TEXT("[{\"Name\":\"a\",\"value\":\"\"}]"), shape);
    assert_refused(&es_format_ssm_json, TEXT("[{\"Name\":\"\",\"Value\":\"\",\"x\":1}]"), shape);
    assert_refused(&es_format_ssm_json, TEXT("["), "1:1: the JSON ends too early");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(knows_where_keys_and_values_stand),
        cmocka_unit_test(an_empty_document_is_an_empty_table),
        cmocka_unit_test(integers_keep_64_bits),
        cmocka_unit_test(floats_keep_every_bit),
        cmocka_unit_test(refuses_null_and_names_its_key),
        cmocka_unit_test(refuses_what_is_no_object),
        cmocka_unit_test(refuses_what_is_no_json),
        cmocka_unit_test(refuses_lone_surrogates),
        cmocka_unit_test(nul_is_for_values_only),
        cmocka_unit_test(nests_as_deeply_as_the_limit),
        cmocka_unit_test(no_message_quotes_the_document),
        cmocka_unit_test(what_jansson_frees_is_cleansed_first),
        cmocka_unit_test(says_so_where_jansson_has_no_memory),
        cmocka_unit_test(writes_indented_objects),
        cmocka_unit_test(escapes_what_it_must_and_what_moves_terminals),
        cmocka_unit_test(date_times_are_written_as_strings),
        cmocka_unit_test(refuses_what_json_has_no_form_for_however_deep),
        cmocka_unit_test(the_text_of_a_value_is_its_shortest_exact_form),
        cmocka_unit_test(the_text_of_a_lone_nan_is_nan),
        cmocka_unit_test(ssm_writes_names_and_values),
        cmocka_unit_test(ssm_refuses_other_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
