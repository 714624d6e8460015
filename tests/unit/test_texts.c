/* core/texts.c and worker/parse.c: texts that `types` calls json, and what comes back for them. */
#include "core_case.h"

#include "core/texts.h"
#include "envsync/limits.h"
#include "worker/parse.h"

struct fixture {
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_buf payload;
    struct es_err err;
};

static void fixture_done(struct fixture *f)
{
    es_buf_done(&f->payload);
    es_tree_done(&f->tree);
    es_fetched_done(&f->fetched);
    es_config_done(&f->config);
}

#define OUT(name, more) "[[output]]\npath = '/run/demo/" name "'\nformat = 'json'\n" more

static void gather(struct fixture *f)
{
    assert_int_equal(es_tree_build(&f->config, &f->fetched, &f->tree, &f->err), 0);
    assert_int_equal(es_texts_gather(&f->tree, &f->err), 0);
}

static bool is_gathered(const struct fixture *f, const char *text)
{
    for (size_t i = 0; i < f->tree.n_texts; i++)
        if (es_buf_is(&f->tree.texts[i].record->value.text, text))
            return true;
    return false;
}

static void what_wins_in_an_output_and_is_text_is_gathered_once(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state,
                TOP SOURCE SECOND OUT(
                    "a", "types = { a = 'json', n = 'json', gone = 'json', s = 'string' }\n")
                    OUT("b", "types = { a = 'json', 'x.y' = 'json' }\n")
                        OUT("c", "from = ['file']\ntypes = { a = 'json' }\n"),
                &f.config);
    give(&f.fetched, 0, "a", "[1]");
    give(&f.fetched, 1, "a", "[2]");
    give(&f.fetched, 0, "x.y", "{}");
    give(&f.fetched, 0, "s", "[3]");
    give(&f.fetched, 0, "other", "[4]");
    give_json(&f.fetched, 0, "n", "5");
    gather(&f);
    assert_int_equal(f.tree.n_texts, 3);
    assert_true(is_gathered(&f, "[1]") && is_gathered(&f, "[2]") && is_gathered(&f, "{}"));
    for (size_t i = 0; i < f.tree.n_texts; i++)
        assert_ptr_equal(es_texts_find(&f.tree, f.tree.texts[i].record), &f.tree.texts[i]);
    assert_null(es_texts_find(&f.tree, &f.fetched.records[3]));
}

/* Without one no worker is started: there is none beside this test. */
static void where_nothing_is_to_be_parsed_nobody_is_asked(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    load_config(*state, TOP SOURCE OUT("a", "types = { a = 'integer', b = 'json' }\n"), &f.config);
    give(&f.fetched, 0, "a", "1");
    assert_int_equal(es_tree_build(&f.config, &f.fetched, &f.tree, &f.err), 0);
    assert_int_equal(es_texts_read(&f.tree, &f.err), 0);
    assert_int_equal(f.tree.n_texts, 0);
}

/* A tree with two texts, and answers as the worker would frame them. */
static void set_up(struct fixture *f, void **state, const char *a, const char *b)
{
    load_config(*state, TOP SOURCE OUT("a", "types = { a = 'json', b = 'json' }\n"), &f->config);
    give(&f->fetched, 0, "a", a);
    give(&f->fetched, 0, "b", b);
    gather(f);
    assert_int_equal(f->tree.n_texts, 2);
}

static int take(struct fixture *f, enum es_frame type)
{
    struct es_cursor in = {.p = f->payload.data, .left = f->payload.len};
    int r = es_texts_take(&f->tree, type, &in, &f->err);

    es_buf_clear(&f->payload);
    return r;
}

static void put(struct fixture *f, uint32_t number, int refused)
{
    assert_int_equal(es_put_u32(&f->payload, number), 0);
    if (refused >= 0)
        assert_int_equal(es_put_u8(&f->payload, (uint8_t)refused), 0);
}

static void put_value(struct fixture *f, const char *json)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};

    assert_int_equal(es_json_parse(json, strlen(json), &value, &f->err), 0);
    assert_int_equal(es_put_value(&f->payload, &value), 0);
}

static void refused(struct fixture *f, enum es_frame type)
{
    assert_int_equal(take(f, type), -EBADMSG);
    assert_int_equal(f->err.class, ES_INTERNAL);
}

static void each_text_gets_one_answer_and_then_it_ends(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, state, "[1]", "no");
    refused(&f, ES_FRAME_END);
    put(&f, 0, 0);
    put_value(&f, "[1]");
    assert_int_equal(take(&f, ES_FRAME_TEXT), 0);
    refused(&f, ES_FRAME_END);
    put(&f, 1, 1);
    assert_int_equal(take(&f, ES_FRAME_TEXT), 0);
    assert_int_equal(take(&f, ES_FRAME_END), 1);
    assert_int_equal(f.tree.texts[0].state, ES_TEXT_READ);
    assert_int_equal(f.tree.texts[0].value.type, ES_LIST);
    assert_int_equal(f.tree.texts[1].state, ES_TEXT_REFUSED);
}

static void an_answer_that_cannot_be_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};

    set_up(&f, state, "[1]", "[2]");
    refused(&f, ES_FRAME_TEXT);
    put(&f, 0, -1);
    refused(&f, ES_FRAME_TEXT);
    put(&f, 0, 0);
    refused(&f, ES_FRAME_TEXT);
    put(&f, 2, 1);
    refused(&f, ES_FRAME_TEXT);
    put(&f, UINT32_MAX, 0);
    put_value(&f, "1");
    refused(&f, ES_FRAME_TEXT);
    put(&f, 0, 2);
    refused(&f, ES_FRAME_TEXT);
    put(&f, 0, 1);
    put_value(&f, "1");
    refused(&f, ES_FRAME_TEXT);
    put(&f, 0, 0);
    put_value(&f, "1");
    put_value(&f, "1");
    refused(&f, ES_FRAME_TEXT);
    put(&f, 0, 0);
    for (int i = 0; i < ES_MAX_DEPTH + 2; i++) {
        assert_int_equal(es_put_u8(&f.payload, ES_LIST), 0);
        assert_int_equal(es_put_u32(&f.payload, 1), 0);
    }
    assert_int_equal(es_put_u8(&f.payload, ES_BOOLEAN), 0);
    assert_int_equal(es_put_u8(&f.payload, 1), 0);
    refused(&f, ES_FRAME_TEXT);
    refused(&f, ES_FRAME_RECORD);
    refused(&f, ES_FRAME_NOTE);
    refused(&f, ES_FRAME_JOB);
    assert_int_equal(f.tree.texts[0].state, ES_TEXT_UNREAD);
    put(&f, 0, 0);
    put_value(&f, "1");
    assert_int_equal(take(&f, ES_FRAME_TEXT), 0);
    put(&f, 0, 0);
    put_value(&f, "2");
    refused(&f, ES_FRAME_TEXT); /* a second time */
}

/* ---- the worker's side ---- */

static void add(struct es_value *texts, const char *text, size_t len)
{
    struct es_value *item;

    assert_int_equal(es_list_add(texts, &item), 0);
    assert_int_equal(es_value_set_string(item, text, len), 0);
}

/* Lets the frames that were written reach the tree. */
static void hand_over(struct fixture *f, int fd)
{
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
    struct es_cursor in;
    int r = 0;

    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(es_buf_read_fd(&wire, fd, 16 << 20), 0);
    in = (struct es_cursor){.p = wire.data, .left = wire.len};
    while (r == 0) {
        uint32_t len = 0;
        uint8_t type = 0;

        assert_int_equal(es_get_u32(&in, &len), 0);
        assert_true(len <= ES_MAX_FRAME && len <= in.left);
        assert_int_equal(es_get_u8(&in, &type), 0);
        assert_int_equal(es_buf_append(&f->payload, in.p, len - 1), 0);
        in.p += len - 1;
        in.left -= len - 1;
        r = take(f, (enum es_frame)type);
    }
    assert_int_equal(r, 1);
    assert_int_equal(in.left, 0);
}

static void texts_are_parsed_or_refused_one_by_one(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"{\"a\":[1,true]}", true},
        {"\"x\"", true},
        {" 5 ", true},
        {"{", false},
        {"null", false},
        {"{\"a\":1,\"a\":2}", false},
        {"", false},
        {"[1] [2]", false},
        {"\"\xff\"", false},
        {"[NaN]", false},
        {"\"\\u0000\"", true},
        {"1e999", false},
    };

    for (size_t i = 0; i + 1 < sizeof cases / sizeof *cases; i += 2) {
        ES_CLEANUP(fixture_done) struct fixture f = {0};
        ES_CLEANUP(es_value_done) struct es_value texts = {0};
        ES_CLEANUP(es_close) int fd = -1;
        struct es_pipe pipe = {.fd = -1};

        set_up(&f, state, cases[i].text, cases[i + 1].text);
        fd = pipe.fd = open(in(*state, "wire"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        es_value_set_list(&texts);
        add(&texts, cases[i].text, strlen(cases[i].text));
        add(&texts, cases[i + 1].text, strlen(cases[i + 1].text));
        assert_int_equal(es_parse_texts(&texts, &pipe, &f.err), 0);
        es_pipe_done(&pipe);
        hand_over(&f, fd);
        for (size_t j = 0; j < 2; j++)
            if (f.tree.texts[j].state != (cases[i + j].good ? ES_TEXT_READ : ES_TEXT_REFUSED))
                fail_msg("%s", cases[i + j].text);
    }
}

static void one_that_no_frame_holds_is_refused(void **state)
{
    ES_CLEANUP(fixture_done) struct fixture f = {0};
    ES_CLEANUP(es_value_done) struct es_value texts = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close) int fd = -1;
    struct es_pipe pipe = {.fd = -1};

    set_up(&f, state, "[1]", "[2]");
    assert_int_equal(es_buf_puts(&text, "[1"), 0);
    for (int i = 0; i < ES_MAX_FRAME / 8; i++)
        assert_int_equal(es_buf_puts(&text, ",1"), 0);
    assert_int_equal(es_buf_puts(&text, "]"), 0);
    fd = pipe.fd = open(in(*state, "wire"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    es_value_set_list(&texts);
    add(&texts, text.data, text.len);
    add(&texts, "[2]", 3);
    assert_int_equal(es_parse_texts(&texts, &pipe, &f.err), 0);
    es_pipe_done(&pipe);
    hand_over(&f, fd);
    assert_int_equal(f.tree.texts[0].state, ES_TEXT_REFUSED);
    assert_int_equal(f.tree.texts[1].state, ES_TEXT_READ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(what_wins_in_an_output_and_is_text_is_gathered_once),
        test_in_dir(where_nothing_is_to_be_parsed_nobody_is_asked),
        test_in_dir(each_text_gets_one_answer_and_then_it_ends),
        test_in_dir(an_answer_that_cannot_be_is_refused),
        test_in_dir(texts_are_parsed_or_refused_one_by_one),
        test_in_dir(one_that_no_frame_holds_is_refused),
    };

    return cmocka_run_group_tests_name("texts", tests, NULL, NULL);
}
