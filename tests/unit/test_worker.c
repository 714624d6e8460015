/* core/worker.c: what the privileged side makes of what comes up the pipe. The worker here is a
 * child that writes what the test gives it, and then does as the test says. */
#include "core_case.h"

#include "core/clock.h"
#include "core/worker.h"
#include "envsync/limits.h"

#include <sys/socket.h>

enum ending { EXIT_0, EXIT_3, KILLED, HANG };

static void end(enum ending ending)
{
    if (ending == KILLED)
        raise(SIGKILL);
    if (ending == HANG)
        for (;;)
            pause();
    _exit(ending == EXIT_0 ? 0 : 3);
}

/* Bytes go up in pieces of `piece` bytes. */
static void start(struct es_worker *worker, const void *bytes, size_t len, size_t piece,
                  enum ending ending)
{
    int records[2], job[2];

    assert_int_equal(pipe2(records, O_CLOEXEC), 0);
    assert_int_equal(pipe2(job, O_CLOEXEC), 0);
    *worker = (struct es_worker){.pid = fork(), .job = job[1], .records = records[0]};
    assert_true(worker->pid >= 0);
    if (worker->pid == 0) {
        close(records[0]);
        for (size_t at = 0; at < len; at += piece)
            if (write(records[1], (const char *)bytes + at, len - at < piece ? len - at : piece) <
                0)
                _exit(4);
        end(ending);
    }
    close(records[1]);
    close(job[0]);
}

static int next(struct es_worker *worker, int ms, enum es_frame *type, struct es_cursor *payload,
                struct es_err *err)
{
    *err = (struct es_err){.msg = "nothing"};
    return es_worker_next(worker, es_clock_ms() + ms, type, payload, err);
}

static void put(struct es_buf *wire, enum es_frame type, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};

    assert_int_equal(es_buf_puts(&payload, text), 0);
    assert_int_equal(es_put_frame(wire, type, &payload), 0);
}

static void frames_are_taken_apart_however_they_come(void **state)
{
    static const size_t pieces[] = {1, 3, 5, 7, 64};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        ES_CLEANUP(es_worker_done) struct es_worker worker;
        ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
        struct es_cursor payload;
        enum es_frame type;
        struct es_err err;

        put(&wire, ES_FRAME_NOTE, "first");
        put(&wire, ES_FRAME_END, "");
        put(&wire, ES_FRAME_DONE, "third");
        start(&worker, wire.data, wire.len, pieces[i], EXIT_0);
        assert_int_equal(next(&worker, 10000, &type, &payload, &err), 0);
        assert_int_equal(type, ES_FRAME_NOTE);
        assert_int_equal(payload.left, 5);
        assert_memory_equal(payload.p, "first", 5);
        assert_int_equal(next(&worker, 10000, &type, &payload, &err), 0);
        assert_int_equal(type, ES_FRAME_END);
        assert_int_equal(payload.left, 0);
        assert_int_equal(next(&worker, 10000, &type, &payload, &err), 0);
        assert_int_equal(payload.left, 5);
        assert_memory_equal(payload.p, "third", 5);
        assert_int_equal(next(&worker, 10000, &type, &payload, &err), -EPIPE);
        assert_int_equal(es_worker_finish(&worker, &err), 0);
    }
}

static void the_largest_frame_is_taken(void **state)
{
    ES_CLEANUP(es_worker_done) struct es_worker worker;
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0}, payload = {0};
    struct es_cursor in;
    enum es_frame type;
    struct es_err err;

    (void)state;
    assert_int_equal(es_buf_reserve(&payload, ES_MAX_FRAME), 0);
    memset(payload.data, 'x', ES_MAX_FRAME - 1);
    payload.len = ES_MAX_FRAME - 1;
    assert_int_equal(es_put_frame(&wire, ES_FRAME_RECORD, &payload), 0);
    start(&worker, wire.data, wire.len, 50000, EXIT_0);
    assert_int_equal(next(&worker, 20000, &type, &in, &err), 0);
    assert_int_equal(in.left, ES_MAX_FRAME - 1);
}

/* A length alone must not make the privileged side wait for it, or allocate it. */
static void a_frame_that_cannot_be_is_refused_by_its_length(void **state)
{
    static const uint32_t lengths[] = {0, ES_MAX_FRAME + 1, UINT32_MAX, 1U << 31};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        ES_CLEANUP(es_worker_done) struct es_worker worker;
        ES_CLEANUP(es_buf_done) struct es_buf wire = {0};
        struct es_cursor in;
        enum es_frame type;
        struct es_err err;

        assert_int_equal(es_put_u32(&wire, lengths[i]), 0);
        start(&worker, wire.data, wire.len, 4, HANG);
        assert_int_equal(next(&worker, 10000, &type, &in, &err), -EBADMSG);
        assert_int_equal(err.class, ES_INTERNAL);
        assert_true(worker.in.cap <= 1 << 17);
    }
}

static void an_end_in_the_middle_of_a_frame_is_too_early(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf wire = {0};

    (void)state;
    put(&wire, ES_FRAME_NOTE, "text");
    for (size_t len = 0; len < wire.len; len++) {
        ES_CLEANUP(es_worker_done) struct es_worker worker;
        struct es_cursor in;
        enum es_frame type;
        struct es_err err;

        start(&worker, wire.data, len, 100, EXIT_0);
        assert_int_equal(next(&worker, 10000, &type, &in, &err), -EPIPE);
        assert_int_equal(err.class, ES_INTERNAL);
    }
}

static void a_worker_that_says_nothing_is_waited_for_until_the_deadline(void **state)
{
    ES_CLEANUP(es_worker_done) struct es_worker worker;
    int64_t begun = es_clock_ms();
    struct es_cursor in;
    enum es_frame type;
    struct es_err err;

    (void)state;
    start(&worker, "\x05\0", 2, 2, HANG);
    assert_int_equal(next(&worker, 100, &type, &in, &err), -ETIMEDOUT);
    assert_int_equal(err.class, ES_UNAVAILABLE);
    assert_in_range(es_clock_ms() - begun, 95, 5000);
}

static void how_a_worker_ended_is_told(void **state)
{
    static const struct {
        enum ending ending;
        const char *words;
    } cases[] = {{EXIT_3, "with status 3"}, {KILLED, "by signal 9"}, {HANG, "by signal 9"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ES_CLEANUP(es_worker_done) struct es_worker worker;
        struct es_err err = {.msg = "nothing"};
        pid_t pid;

        start(&worker, "", 0, 1, cases[i].ending);
        pid = worker.pid;
        assert_int_equal(es_worker_finish(&worker, &err), -EPIPE);
        assert_int_equal(err.class, ES_INTERNAL);
        assert_non_null(strstr(err.msg, cases[i].words));
        assert_int_equal(worker.pid, 0);
        assert_int_equal(kill(pid, 0), -1);
    }
}

static void a_worker_that_is_let_go_does_not_live_on(void **state)
{
    struct es_worker worker;
    int records, job;
    pid_t pid;

    (void)state;
    start(&worker, "", 0, 1, HANG);
    pid = worker.pid;
    records = worker.records;
    job = worker.job;
    es_worker_done(&worker);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(fcntl(records, F_GETFD), -1);
    assert_int_equal(fcntl(job, F_GETFD), -1);
    es_worker_done(&worker);
}

/* Nobody reads the job: it must not be waited for beyond the deadline, nor kill the sender. */
static void a_job_that_is_not_read_does_not_block(void **state)
{
    ES_CLEANUP(es_worker_done) struct es_worker worker = {.job = -1, .records = -1};
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    ES_CLEANUP(es_close) int unread = -1;
    struct es_surroundings surroundings = {.environment = {.type = ES_TABLE}};
    const struct es_files files = {0};
    static const bool wanted[] = {true};
    const struct es_asked asked = {
        .config = &config, .wanted = wanted, .files = &files, .surroundings = &surroundings};
    char *large = malloc(300001);
    struct es_entry *entry;
    struct es_err err;
    int job[2];

    assert_non_null(large);
    memset(large, 'x', 300000);
    load_config(*state, TOP SOURCE, &config);
    assert_int_equal(es_table_add(&surroundings.environment, "A", 1, &entry), 0);
    assert_int_equal(es_value_set_string(&entry->value, large, 300000), 0);
    free(large);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, job), 0);
    unread = job[0];
    worker.job = job[1];
    assert_int_equal(es_worker_send(&worker, &asked, es_clock_ms() + 50, &err), -ETIMEDOUT);
    signal(SIGPIPE, SIG_IGN);
    es_close(&unread);
    assert_int_equal(es_worker_send(&worker, &asked, es_clock_ms() + 5000, &err), 0);
    assert_int_equal(worker.job, -1);
    es_surroundings_done(&surroundings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_taken_apart_however_they_come),
        cmocka_unit_test(the_largest_frame_is_taken),
        cmocka_unit_test(a_frame_that_cannot_be_is_refused_by_its_length),
        cmocka_unit_test(an_end_in_the_middle_of_a_frame_is_too_early),
        cmocka_unit_test(a_worker_that_says_nothing_is_waited_for_until_the_deadline),
        cmocka_unit_test(how_a_worker_ended_is_told),
        cmocka_unit_test(a_worker_that_is_let_go_does_not_live_on),
        test_in_dir(a_job_that_is_not_read_does_not_block),
    };

    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
