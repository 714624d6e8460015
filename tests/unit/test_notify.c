/* cmd/notify.c against a socket as the service manager has it. Under a real one it is tested in
 * tests/e2e/test_boot_notify.py. */
#include "core_case.h"

#include "cmd/notify.h"

/* A socket of a path or, with "@", of a name. */
static int listen_at(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    assert_true(fd >= 0);
    strcpy(address.sun_path, path);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'))),
        0);
    return fd;
}

static void assert_said(int fd, const char *words)
{
    char said[8192];
    ssize_t n = recv(fd, said, sizeof said - 1, 0);

    assert_true(n > 0);
    said[n] = '\0';
    assert_string_equal(said, words);
}

static void assert_silence(int fd)
{
    char said[16];

    assert_true(recv(fd, said, sizeof said, 0) < 0);
}

static void words_arrive_by_path_and_by_name(void **state)
{
    struct dir *dir = *state;
    char name[100];
    const char *const paths[] = {in(dir, "socket"), name};

    snprintf(name, sizeof name, "@%s", dir->path);
    for (size_t i = 0; i < 2; i++) {
        ES_CLEANUP(es_notify_done) struct es_notify notify = ES_NOTIFY_INIT;
        ES_CLEANUP(es_close) int fd = listen_at(paths[i]);

        es_notify_open(&notify, paths[i]);
        es_notify_status(&notify, "fetching 3 sources");
        es_notify_extend(&notify, 70000);
        es_notify_status(&notify, "");
        assert_said(fd, "STATUS=envsync: fetching 3 sources");
        assert_said(fd, "EXTEND_TIMEOUT_USEC=70000000");
        assert_said(fd, "STATUS=");
        assert_silence(fd);
        assert_int_equal(fcntl(notify.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
}

static void a_text_is_one_line_of_utf_8_and_bounded(void **state)
{
    ES_CLEANUP(es_notify_done) struct es_notify notify = ES_NOTIFY_INIT;
    struct dir *dir = *state;
    ES_CLEANUP(es_close) int fd = listen_at(in(dir, "socket"));
    char text[10000], said[8192];

    es_notify_open(&notify, in(dir, "socket"));
    es_notify_status(&notify, "a\nREADY=1\xff\xc3\xa9");
    assert_said(fd, "STATUS=envsync: a\\u000AREADY=1\\xFF\xc3\xa9");
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    es_notify_status(&notify, text);
    assert_in_range(recv(fd, said, sizeof said, 0), 500, 4096);
}

static void where_nobody_listens_nothing_happens(void **state)
{
    struct dir *dir = *state;
    char endless[300];
    const char *const paths[] = {NULL,           "",         "/",     "@",
                                 "vsock:2:1234", "relative", endless, in(dir, "nowhere")};

    memset(endless, '/', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ES_CLEANUP(es_notify_done) struct es_notify notify = ES_NOTIFY_INIT;

        es_notify_open(&notify, paths[i]);
        es_notify_status(&notify, "text");
        es_notify_extend(&notify, 1);
    }
}

/* Its queue is full: words are lost, and nobody waits. */
static void a_manager_that_does_not_read_holds_nobody_up(void **state)
{
    ES_CLEANUP(es_notify_done) struct es_notify notify = ES_NOTIFY_INIT;
    struct dir *dir = *state;
    ES_CLEANUP(es_close) int fd = listen_at(in(dir, "socket"));

    es_notify_open(&notify, in(dir, "socket"));
    for (int i = 0; i < 100000; i++)
        es_notify_status(&notify, "text");
    assert_said(fd, "STATUS=envsync: text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(words_arrive_by_path_and_by_name),
        test_in_dir(a_text_is_one_line_of_utf_8_and_bounded),
        test_in_dir(where_nobody_listens_nothing_happens),
        test_in_dir(a_manager_that_does_not_read_holds_nobody_up),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
