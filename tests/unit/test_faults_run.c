/* A whole run, from the lock to the last rename: whichever call fails, each output is the old one
 * or the new one, and the next run completes it. The worker is played by this file:
 * es_worker_next() and the others come by here, and what they say is made of a version number. */
#include "core_case.h"
#include "failing.h"

#include "core/clock.h"
#include "core/commit/temp.h"
#include "core/creds.h"
#include "core/lock.h"
#include "core/run.h"

#define CONFIG                                                                                     \
    TOP "[[source]]\ntype = \"ssm\"\npath = \"/demo/\"\nrename = { \"old\" = \"new\" }\n"          \
        "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmerge = [\"*.env\"]\n"                    \
        "mirror = [\"*.pem\"]\ndir = \"/etc/demo/m\"\nprune = true\n"                              \
        "[[output]]\npath = \"/run/demo/environment\"\nformat = \"env\"\n"                         \
        "require = [\"DB_PASSWORD\"]\ninclude = [\"db.*\", \"list\", \"a_segment*.*\"]\n"          \
        "[output.types]\nlist = \"list\"\n"                                                        \
        "[[output]]\npath = \"/etc/demo/config.toml\"\nformat = \"toml\"\n"                        \
        "require = [\"db\"]\nexclude = [\"a_segment*.*\"]\n[output.types]\n"                       \
        "json = \"json\"\ntext = \"string\"\n"                                                     \
        "[[output]]\npath = \"/etc/demo/parameters.json\"\nformat = \"ssm-json\"\n"                \
        "from = [\"ssm\"]\ninclude = [\"db.*\"]\n"                                                 \
        "[[output]]\npath = \"/etc/demo/password\"\nformat = \"value\"\nkey = \"db.password\"\n"   \
        "[on_change]\ntouch = [\"/etc/demo/flag\"]\nrestart = [\"demo.service\"]\n"
#define SEALED CONFIG "[last_good]\nat_rest = \"encrypted\"\n"

struct world {
    struct dir *dir;
    struct es_config config;
    bool release;
    unsigned version;   /* that the sources have */
    unsigned published; /* that is in place */
    char pointer[34];   /* to the present and the previous set */
};

/* ---- the worker ---- */

static struct {
    struct {
        enum es_frame type;
        struct es_buf payload;
    } frames[40];
    size_t n, next;
    unsigned version;
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
    say_parameters(version);
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

static int sync_once(struct world *w, struct es_report *report, struct es_err *err)
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
    r = es_run(&run, &options, report, err);
    es_fetched_done(&run.fetched); /* removes what is staged, by the configuration */
    run.config = (struct es_config){0};
    es_run_done(&run);
    return r;
}

static int sync_under_fault(void *data, struct es_err *err)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};

    return sync_once(data, &report, err);
}

static void sync_now(struct world *w)
{
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err = {.msg = "nothing"};

    if (sync_once(w, &report, &err) < 0)
        fail_msg("%s", err.msg);
}

/* "CURRENT PREVIOUS" of the pointer. */
static void read_pointer(const struct world *w, char text[34])
{
    ES_CLEANUP(es_close)
    int fd = open(in(w->dir, "var/lib/envsync/demo/current"), O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, text, 33), 33);
    text[33] = '\0';
}

/* ---- what is there ---- */

static bool is_version(const struct world *w, const char *name, const char *before,
                       const char *after, unsigned version)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    ES_CLEANUP(es_close) int fd = open(in(w->dir, name), O_RDONLY | O_CLOEXEC);
    char text[64];

    if (fd < 0)
        return version == 0;
    snprintf(text, sizeof text, "%sv%u%s", before, version, after);
    assert_int_equal(es_buf_read_fd(&is, fd, 1 << 20), 0);
    return strstr(es_buf_str(&is), text) != NULL;
}

/* Every place in which a version stands. */
static unsigned at_version(const struct world *w, unsigned version)
{
    return (unsigned)is_version(w, "run/demo/environment", "DB_PASSWORD=", "\n", version) +
           (unsigned)is_version(w, "etc/demo/config.toml", "LEVEL = \"", "\"", version) +
           (unsigned)is_version(w, "etc/demo/parameters.json", "\"", "\"", version) +
           (unsigned)is_version(w, "etc/demo/password", "", "", version) +
           (unsigned)is_version(w, "etc/demo/m/a.pem", "", "", version);
}

static size_t found; /* by count_one() */

static int count_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    found += es_temp_name(path + ftw->base) || es_walk_is_new(path + ftw->base);
    return 0;
}

static size_t leftovers(const struct world *w)
{
    found = 0;
    assert_int_equal(nftw(w->dir->path, count_one, 16, FTW_PHYS), 0);
    return found;
}

static void assert_whole(struct world *w)
{
    assert_int_equal(at_version(w, w->version), 5);
    assert_file(in(w->dir, "etc/demo/m/sub/b.pem"), "the same");
    assert_file(in(w->dir, "etc/demo/m/c.pem"), "constant");
    assert_true(exists(in(w->dir, "etc/demo/m/odd.pem")) == (w->version % 2 == 1));
}

/* ---- trials ---- */

/* What a failed run leaves is looked for where the lock says that there may be something. */
static void forgive(const struct world *w)
{
    ES_CLEANUP(es_close) int lock = open(in(w->dir, "run/envsync/demo/lock"), O_RDWR | O_CLOEXEC);

    if (lock >= 0)
        es_lock_set_clean(lock);
}

static void one_more_version(void *data)
{
    struct world *w = data;

    w->version = w->published + 1;
}

static void assert_old_or_new(void *data, const char *call, int r)
{
    struct world *w = data;

    if (r == 0)
        assert_whole(w);
    else
        assert_int_equal(at_version(w, w->published) + at_version(w, w->version), 5);
    /* Nobody would tidy up after a run that ended well and told nothing. */
    if (r == 0 && (!call || strcmp(call, "unlinkat") != 0))
        assert_int_equal(leftovers(w), 0);
    if (r < 0 && at_version(w, w->published) == 5 && leftovers(w) == 0) {
        forgive(w); /* nothing has happened */
        return;
    }
    w->version++;
    sync_now(w);
    assert_whole(w);
    assert_int_equal(leftovers(w), 0);
    w->published = w->version;
}

static void setup(struct world *w, void **state, const char *text)
{
    *w = (struct world){.dir = *state};
    load_config(*state, text, &w->config);
}

static void teardown(struct world *w)
{
    es_config_done(&w->config);
    for (size_t i = 0; i < sizeof worker.frames / sizeof *worker.frames; i++)
        es_buf_done(&worker.frames[i].payload);
}

static const unsigned any_class =
    1U << ES_OUTPUT | 1U << ES_DENIED | 1U << ES_INTERNAL | 1U << ES_UNAVAILABLE;

static void whichever_call_fails_the_next_run_completes_it(void **state)
{
    static const struct ordeal o = {.before = one_more_version,
                                    .run = sync_under_fault,
                                    .after = assert_old_or_new,
                                    .classes = any_class};
    struct world w;

    setup(&w, state, CONFIG);
    w.version = w.published = 1;
    sync_now(&w);
    assert_whole(&w);
    ordeal(&o, &w, EIO);
    teardown(&w);
}

/* Where the disk does not say that a mirrored file is known, it is fetched again, and that makes a
 * new set: but it goes back to where the old one did. */
static void assert_unchanged(void *data, const char *call, int r)
{
    struct world *w = data;
    char text[34];

    read_pointer(w, text);
    assert_whole(w);
    if (strcmp(text, w->pointer) == 0 && leftovers(w) == 0) {
        forgive(w);
        return;
    }
    if (strcmp(text, w->pointer) == 0)
        assert_string_equal(call, "unlinkat");
    else if (r < 0 || strcmp(text + ES_SET_ID, w->pointer + ES_SET_ID) != 0)
        fail_msg("%s: was %s, is %s", call ? call : "none", w->pointer, text);
    sync_now(w);
    sync_now(w);
    assert_int_equal(leftovers(w), 0);
    read_pointer(w, w->pointer);
}

static void whichever_call_fails_an_unchanged_set_stays_the_present_one(void **state)
{
    static const struct ordeal o = {
        .run = sync_under_fault, .after = assert_unchanged, .classes = any_class};
    struct world w;

    setup(&w, state, CONFIG);
    w.version = 1;
    sync_now(&w);
    w.version = 2;
    sync_now(&w);
    sync_now(&w); /* and another one says all that is the same */
    read_pointer(&w, w.pointer);
    ordeal(&o, &w, EIO);
    teardown(&w);
}

/* What is below /run is sealed, and comes back from there. */
static void lose_run_half_and_one_more_version(void *data)
{
    struct world *w = data;

    if (exists(in(w->dir, "run/envsync")))
        assert_int_equal(nftw(in(w->dir, "run/envsync"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    one_more_version(w);
}

static void whichever_call_fails_a_sealed_set_is_the_old_one_or_the_new_one(void **state)
{
    static const struct ordeal o = {.before = lose_run_half_and_one_more_version,
                                    .run = sync_under_fault,
                                    .after = assert_old_or_new,
                                    .classes = any_class};
    struct world w;

    NEEDS_ROOT();
    setup(&w, state, SEALED);
    w.version = w.published = 1;
    sync_now(&w);
    ordeal(&o, &w, EIO);
    teardown(&w);
}

/* ---- a hold ends with a run that changes nothing ---- */

static void hold(void *data)
{
    struct world *w = data;
    ES_CLEANUP(es_store_done) struct es_store store = ES_STORE_INIT;
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_err err;

    assert_int_equal(es_store_open(&w->config, w->dir->path, true, true, &store, &report, &err), 0);
    assert_int_equal(es_store_point(&store, store.current, store.previous, true, &err), 0);
}

static bool is_held(const struct world *w)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close)
    int fd = open(in(w->dir, "var/lib/envsync/demo/current"), O_RDONLY | O_CLOEXEC);

    assert_int_equal(es_buf_read_fd(&text, fd, 1000), 0);
    return strstr(es_buf_str(&text), " held ") != NULL;
}

static void assert_released_or_held(void *data, const char *call, int r)
{
    struct world *w = data;

    assert_true(is_held(w) == (r < 0) || strcmp(call, "fsync") == 0);
    assert_whole(w);
    forgive(w);
}

static void a_hold_ends_with_success_only(void **state)
{
    static const char *const names[] = {"renameat", "fsync", "getrandom"};
    struct ordeal o = {.before = hold,
                       .run = sync_under_fault,
                       .after = assert_released_or_held,
                       .classes = any_class};
    struct world w;

    setup(&w, state, CONFIG);
    w.version = 1;
    sync_now(&w);
    sync_now(&w);
    w.release = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        o.name = names[i];
        ordeal(&o, &w, EIO);
    }
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_memory(whichever_call_fails_the_next_run_completes_it),
        test_in_memory(whichever_call_fails_an_unchanged_set_stays_the_present_one),
        test_in_memory(whichever_call_fails_a_sealed_set_is_the_old_one_or_the_new_one),
        test_in_memory(a_hold_ends_with_success_only),
    };

    return cmocka_run_group_tests_name("faults of a run", tests, NULL, NULL);
}
