/* See run_case.h. */
#include "run_case.h"

#include "core/clock.h"
#include "core/commit/temp.h"
#include "core/creds.h"
#include "failing.h"

/* ---- the worker ---- */

static struct {
    struct {
        enum es_frame type;
        struct es_buf payload;
    } frames[40];
    size_t n, next;
    unsigned version;
    bool away;
} worker;

static struct es_buf *say(enum es_frame type)
{
    assert_true(worker.n < sizeof worker.frames / sizeof *worker.frames);
    worker.frames[worker.n].type = type;
    es_buf_clear(&worker.frames[worker.n].payload);
    return &worker.frames[worker.n++].payload;
}

static struct es_buf *say_of(enum es_frame type, uint32_t source)
{
    struct es_buf *frame = say(type);

    assert_int_equal(es_put_u32(frame, source), 0);
    return frame;
}

static void put_text(struct es_buf *frame, const char *text)
{
    assert_int_equal(es_put_bytes(frame, text, strlen(text)), 0);
}

static void put_object(struct es_buf *frame, const char *name, const char *version)
{
    put_text(frame, name);
    put_text(frame, version);
    assert_int_equal(es_put_u64(frame, 100), 0);
    assert_int_equal(es_put_u64(frame, 1600000000123), 0);
    assert_int_equal(es_put_u32(frame, 1), 0);
}

static void say_record(uint32_t source, const char *object, const char *key, const char *text)
{
    ES_CLEANUP(es_record_done) struct es_record record = {.source = source, .rank = 1, .line = 1};
    struct es_err err;

    assert_int_equal(es_key_parse(key, &record.key, &err), 0);
    assert_int_equal(es_value_set_string(&record.value, text, strlen(text)), 0);
    assert_int_equal(es_buf_puts(&record.object, object), 0);
    assert_int_equal(es_buf_puts(&record.version, "1"), 0);
    assert_int_equal(es_put_record(say(ES_FRAME_RECORD), &record), 0);
}

static void say_file(uint32_t id, const char *path, const char *text, const char *version)
{
    struct es_buf *frame = say_of(ES_FRAME_FILE_BEGIN, 1);

    assert_int_equal(es_put_u32(frame, id), 0);
    put_text(frame, path);
    put_object(frame, path, version);
    frame = say_of(ES_FRAME_FILE_DATA, 1);
    assert_int_equal(es_put_u32(frame, id), 0);
    assert_int_equal(es_buf_puts(frame, text), 0);
    assert_int_equal(es_put_u32(say_of(ES_FRAME_FILE_END, 1), id), 0);
}

/* What the first source has. Every second version has a record more. */
static void say_parameters(const char *version)
{
    struct es_buf *frame = say_of(ES_FRAME_NOTE, 0);

    assert_int_equal(es_put_u8(frame, ES_LEVEL_INFO), 0);
    put_text(frame, "a note");
    say_record(0, "/demo/db/password", "db.password", version);
    say_record(0, "/demo/old", "old", "renamed");
    say_record(0, "/demo/long", "a_segment_of_thirty_one_bytes__.b", "long");
    say_record(0, "/demo/json", "json", "{\"a\": [1]}");
    say_record(0, "/demo/list", "list", "a,b");
    say_record(0, "/demo/text", "text", "text");
    if (worker.version % 2)
        say_record(0, "/demo/odd", "odd", "odd");
    assert_int_equal(es_put_u8(say_of(ES_FRAME_DONE, 0), 0), 0);
}

static void say_away(void)
{
    struct es_buf *frame = say_of(ES_FRAME_DONE, 0);

    assert_int_equal(es_put_u8(frame, 1), 0);
    assert_int_equal(es_put_u8(frame, ES_UNAVAILABLE), 0);
    put_text(frame, "away");
}

static bool is_sure(const struct es_before *before, const char *name)
{
    for (size_t i = 0; i < before->n_files; i++)
        if (before->files[i].sure && es_buf_is(&before->files[i].kept->object.name, name))
            return true;
    return false;
}

/* And the second: a merged object that changes and one that does not, mirrored files likewise, and
 * one that comes and goes. */
static void say_objects(const char *version, const struct es_before *before)
{
    bool known = before && before->kept && before->n > 0;

    put_object(say_of(ES_FRAME_OBJECT, 1), "app.env", version);
    say_record(1, "app.env", "LEVEL", version);
    put_object(say_of(known ? ES_FRAME_SAME : ES_FRAME_OBJECT, 1), "base.env", "1");
    if (!known)
        say_record(1, "base.env", "BASE", "base");
    say_file(1, "a.pem", version, version);
    say_file(2, "sub/b.pem", "the same", version);
    say_file(5, "d.pem", "the same", version);
    if (worker.version % 2)
        say_file(3, "odd.pem", "odd", "1");
    if (before && is_sure(before, "c.pem")) {
        struct es_buf *frame = say_of(ES_FRAME_FILE_SAME, 1);

        put_text(frame, "c.pem");
        put_object(frame, "c.pem", "1");
    } else {
        say_file(4, "c.pem", "constant", "1");
    }
    assert_int_equal(es_put_u8(say_of(ES_FRAME_DONE, 1), 0), 0);
}

int __wrap_es_worker_start(struct es_worker *w, struct es_err *err);
int __wrap_es_worker_start(struct es_worker *w, struct es_err *err)
{
    (void)w;
    (void)err;
    return 0;
}

int __wrap_es_worker_send(struct es_worker *w, const struct es_asked *asked, int64_t deadline,
                          struct es_err *err);
int __wrap_es_worker_send(struct es_worker *w, const struct es_asked *asked, int64_t deadline,
                          struct es_err *err)
{
    char version[16];

    (void)w;
    (void)deadline;
    (void)err;
    failing_pause(true);
    snprintf(version, sizeof version, "v%u", worker.version);
    worker.n = worker.next = 0;
    put_text(say(ES_FRAME_REMARK), "a remark");
    if (worker.away)
        say_away();
    else
        say_parameters(version);
    if (asked->config->n_sources > 1)
        say_objects(version, asked->previous->sources ? &asked->previous->sources[1] : NULL);
    say(ES_FRAME_END);
    failing_pause(false);
    return 0;
}

/* The texts that are called JSON. */
int __wrap_es_worker_post(struct es_worker *w, const struct es_value *job,
                          const struct es_files *files, int64_t deadline, struct es_err *err);
int __wrap_es_worker_post(struct es_worker *w, const struct es_value *job,
                          const struct es_files *files, int64_t deadline, struct es_err *err)
{
    const struct es_value *texts = es_table_get(job, "texts");

    (void)w;
    (void)files;
    (void)deadline;
    failing_pause(true);
    worker.n = worker.next = 0;
    for (size_t i = 0; i < texts->list.n; i++) {
        ES_CLEANUP(es_value_done) struct es_value value = {0};
        const struct es_buf *text = &texts->list.items[i].text;
        struct es_buf *frame = say_of(ES_FRAME_TEXT, (uint32_t)i);

        assert_int_equal(es_json_parse(text->data, text->len, &value, err), 0);
        assert_int_equal(es_put_u8(frame, 0), 0);
        assert_int_equal(es_put_value(frame, &value), 0);
    }
    say(ES_FRAME_END);
    failing_pause(false);
    return 0;
}

int __wrap_es_worker_next(struct es_worker *w, int64_t deadline, enum es_frame *ret_type,
                          struct es_cursor *ret_payload, struct es_err *err);
int __wrap_es_worker_next(struct es_worker *w, int64_t deadline, enum es_frame *ret_type,
                          struct es_cursor *ret_payload, struct es_err *err)
{
    const struct es_buf *payload = &worker.frames[worker.next].payload;

    (void)w;
    (void)deadline;
    (void)err;
    assert_true(worker.next < worker.n);
    *ret_type = worker.frames[worker.next++].type;
    *ret_payload = (struct es_cursor){.p = es_buf_str(payload), .left = payload->len};
    return 0;
}

int __wrap_es_worker_dismiss(struct es_worker *w, struct es_err *err);
int __wrap_es_worker_dismiss(struct es_worker *w, struct es_err *err)
{
    (void)w;
    (void)err;
    return 0;
}

int __wrap_es_worker_finish(struct es_worker *w, struct es_err *err);
int __wrap_es_worker_finish(struct es_worker *w, struct es_err *err)
{
    (void)w;
    (void)err;
    return 0;
}

/* ---- systemd-creds ---- */

const char *__wrap_es_creds_find(struct es_err *err);
const char *__wrap_es_creds_find(struct es_err *err)
{
    (void)err;
    return "/usr/bin/systemd-creds";
}

/* Sealed text is the text behind a mark. */
int __wrap_es_creds_run(enum es_creds_verb verb, const char *name, const void *data, size_t len,
                        int64_t deadline, struct es_buf *ret, struct es_err *err);
int __wrap_es_creds_run(enum es_creds_verb verb, const char *name, const void *data, size_t len,
                        int64_t deadline, struct es_buf *ret, struct es_err *err)
{
    const char *text = data;
    bool seal = verb == ES_CREDS_ENCRYPT;

    (void)name;
    (void)deadline;
    assert_true(seal || len > 0);
    return (seal && es_buf_puts(ret, "*") < 0) ||
                   es_buf_append(ret, seal ? text : text + 1, seal ? len : len - 1) < 0
               ? es_nomem(err)
               : 0;
}

/* ---- runs ---- */

int world_sync(struct world *w, struct es_report *report, struct es_err *err)
{
    static const struct es_process process = {0};
    const struct es_run_options options = {.process = &process,
                                           .root = w->dir->path,
                                           .deadline = es_clock_ms() + 60000,
                                           .fresh = true,
                                           .release = w->release};
    struct es_run run = ES_RUN_INIT;
    int r;

    run.config = w->config;
    worker.version = w->version;
    worker.away = w->away;
    r = es_run(&run, &options, report, err);
    es_fetched_done(&run.fetched); /* removes what is staged, by the configuration */
    run.config = (struct es_config){0};
    es_run_done(&run);
    return r;
}

void world_sync_now(struct world *w)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err = {.msg = "nothing"};

    if (world_sync(w, &report, &err) < 0)
        fail_msg("%s", err.msg);
}

/* "CURRENT PREVIOUS" of the pointer. */
void world_pointer(const struct world *w, char text[34])
{
    ES_CLEANUP(es_close)
    int fd = open(in(w->dir, "var/lib/envsync/demo/current"), O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, text, 33), 33);
    text[33] = '\0';
}

/* ---- what is there ---- */

/* What stands before a version, and behind it. */
static const struct {
    const char *name, *before, *after;
} places[] = {
    {ENVIRONMENT, "DB_PASSWORD=", "\n"},
    {"etc/demo/config.toml", "LEVEL = \"", "\""},
    {"etc/demo/parameters.json", "\"", "\""},
    {"etc/demo/password", "", ""},
    {MIRRORED, "", ""},
};

bool world_is_version(const struct world *w, const char *name, unsigned version)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    ES_CLEANUP(es_close) int fd = open(in(w->dir, name), O_RDONLY | O_CLOEXEC);
    char text[64] = "";

    if (fd < 0)
        return version == 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(places[i].name, name) == 0)
            snprintf(text, sizeof text, "%sv%u%s", places[i].before, version, places[i].after);
    assert_int_equal(es_buf_read_fd(&is, fd, 1 << 20), 0);
    return strstr(es_buf_str(&is), text) != NULL;
}

unsigned world_at_version(const struct world *w, unsigned version)
{
    unsigned n = 0;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        n += world_is_version(w, places[i].name, version);
    return n;
}

size_t world_leftovers(const struct world *w)
{
    return staged_below(w->dir, "");
}

void world_assert_whole(const struct world *w)
{
    assert_int_equal(world_at_version(w, w->version), 5);
    assert_file(in(w->dir, "etc/demo/m/sub/b.pem"), "the same");
    assert_file(in(w->dir, "etc/demo/m/c.pem"), "constant");
    assert_true(exists(in(w->dir, "etc/demo/m/odd.pem")) == (w->version % 2 == 1));
}

void world_begin(struct world *w, void **state, const char *config)
{
    *w = (struct world){.dir = *state};
    load_config(*state, config, &w->config);
}

void world_end(struct world *w)
{
    es_config_done(&w->config);
    for (size_t i = 0; i < sizeof worker.frames / sizeof *worker.frames; i++)
        es_buf_done(&worker.frames[i].payload);
}

void world_configure(struct world *w, const char *config)
{
    es_config_done(&w->config);
    load_config(w->dir, config, &w->config);
}
