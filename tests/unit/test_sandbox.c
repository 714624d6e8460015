/* worker/sandbox.c: each case is a process of its own, because a sandbox is for good. */
#include "core_case.h"

#include "worker/sandbox.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Steps of a case that went wrong are told by their number, as the exit status. */
#define STEP(n, condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return (n);                                                                            \
    } while (0)

#define NEEDS_LANDLOCK()                                                                           \
    do {                                                                                           \
        if (syscall(444, NULL, 0, 1) < 3) {                                                        \
            print_message("# %s: SKIPPED, this kernel has no Landlock of version 3\n", __func__);  \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static int in_child(int (*fn)(void *data), void *data)
{
    return as_user(geteuid() == 0 ? STRANGER : geteuid(), fn, data);
}

static void enter(struct es_sandbox *sandbox, bool network, const char *allowed)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* as the parent does */
    es_sandbox_init(sandbox, network);
    if (allowed)
        es_sandbox_allow(sandbox, allowed);
    es_sandbox_close(sandbox);
    if (sandbox->fault)
        _exit(98);
}

static bool can_open(const char *path, int flags)
{
    ES_CLEANUP(es_close) int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd >= 0;
}

static bool denied(int r)
{
    return r < 0 && (errno == EACCES || errno == EPERM || errno == EXDEV);
}

static int try_to_read(void *data)
{
    struct es_sandbox sandbox;

    enter(&sandbox, false, in(data, "allowed"));
    STEP(1, can_open(in(data, "allowed/file"), O_RDONLY));
    STEP(2, can_open(in(data, "allowed"), O_RDONLY | O_DIRECTORY));
    STEP(3, !can_open(in(data, "file"), O_RDONLY) && errno == EACCES);
    STEP(4, !can_open(in(data, "link"), O_RDONLY));
    STEP(5, !can_open(data, O_RDONLY | O_DIRECTORY));
    STEP(6, !can_open("/etc/resolv.conf", O_RDONLY));
    STEP(7, !can_open("/etc/passwd", O_RDONLY));
    STEP(8, !can_open("/etc", O_RDONLY | O_DIRECTORY));
    STEP(9, execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
#ifndef ES_SANITIZED
    STEP(10, !can_open("/proc/self/environ", O_RDONLY));
#endif
    return 0;
}

static void prepare_files(struct dir *dir)
{
    assert_int_equal(mkdir(in(dir, "allowed"), 0755), 0);
    put_file(in(dir, "allowed/file"), "x");
    put_file(in(dir, "file"), "x");
    assert_int_equal(symlink("../file", in(dir, "allowed/link")), 0);
    assert_int_equal(symlink("allowed/link", in(dir, "link")), 0);
    assert_int_equal(chmod(in(dir, "file"), 0666), 0);
    assert_int_equal(chmod(in(dir, "allowed/file"), 0666), 0);
    assert_int_equal(chmod(in(dir, "allowed"), 0777), 0);
    assert_int_equal(chmod(dir->path, 0777), 0);
}

static void nothing_is_read_or_executed_but_what_was_allowed(void **state)
{
    NEEDS_LANDLOCK();
    prepare_files(*state);
    assert_int_equal(in_child(try_to_read, *state), 0);
}

/* Everything here is writable for everybody. */
static int try_to_write(void *data)
{
    struct es_sandbox sandbox;

    enter(&sandbox, true, in(data, "allowed"));
    STEP(1, !can_open(in(data, "allowed/file"), O_WRONLY));
    STEP(2, !can_open(in(data, "allowed/file"), O_RDWR));
    STEP(3, !can_open(in(data, "allowed/new"), O_WRONLY | O_CREAT));
    STEP(4, !can_open(in(data, "new"), O_WRONLY | O_CREAT));
    STEP(5, !can_open("/dev/null", O_WRONLY));
    STEP(6, denied(mkdir(in(data, "allowed/dir"), 0700)));
    STEP(7, denied(unlink(in(data, "allowed/file"))));
    STEP(8, denied(rename(in(data, "allowed/file"), in(data, "allowed/other"))));
    STEP(9, denied(link(in(data, "allowed/file"), in(data, "other"))));
    STEP(10, denied(symlink("x", in(data, "allowed/symlink"))));
    STEP(11, denied(mkfifo(in(data, "fifo"), 0600)));
    STEP(12, denied(truncate(in(data, "file"), 0)));
    STEP(13, !can_open(data, O_WRONLY | O_TMPFILE));
    return 0;
}

static void nothing_is_written_made_or_removed(void **state)
{
    NEEDS_LANDLOCK();
    prepare_files(*state);
    assert_int_equal(in_child(try_to_write, *state), 0);
    assert_file(in(*state, "file"), "x");
    assert_file(in(*state, "allowed/file"), "x");
}

static int read_for_network(void *data)
{
    static const char *const wanted[] = {"/etc/resolv.conf",     "/etc/hosts",
                                         "/etc/nsswitch.conf",   "/etc/passwd",
                                         "/etc/ssl/openssl.cnf", "/dev/urandom"};
    struct es_sandbox sandbox;
    bool there[6];

    for (size_t i = 0; i < 6; i++)
        there[i] = can_open(wanted[i], O_RDONLY);
    enter(&sandbox, true, NULL);
    for (size_t i = 0; i < 6; i++)
        STEP(1 + (int)i, can_open(wanted[i], O_RDONLY) == there[i]);
    STEP(10, !can_open("/etc/group", O_RDONLY));
    STEP(11, !can_open("/etc", O_RDONLY | O_DIRECTORY));
    STEP(12, !can_open("/usr/bin/env", O_RDONLY));
    STEP(13, !can_open(in(data, "file"), O_RDONLY));
    STEP(14, execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
    return 0;
}

static void one_that_asks_the_network_reads_what_names_and_trust_need(void **state)
{
    NEEDS_LANDLOCK();
    prepare_files(*state);
    assert_int_equal(in_child(read_for_network, *state), 0);
}

/* A listener on loopback to connect to. */
static int listener(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof *address) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) < 0)
        return -1;
    return fd;
}

static int use_network(void *data)
{
    struct sockaddr_in address, other = {.sin_family = AF_INET};
    bool network = data != NULL;
    ES_CLEANUP(es_close) int server = listener(&address);
    ES_CLEANUP(es_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ES_CLEANUP(es_close) int second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct es_sandbox sandbox;
    int r;

    STEP(1, server >= 0 && fd >= 0 && second >= 0);
    enter(&sandbox, network, NULL);
    r = connect(fd, (struct sockaddr *)&address, sizeof address);
    STEP(2, !network || r == 0);
    STEP(3, network || sandbox.version < 4 || denied(r));
    STEP(4, sandbox.version < 4 || denied(bind(second, (struct sockaddr *)&other, sizeof other)));
    return 0;
}

static void it_connects_only_where_a_source_asks_and_serves_nobody(void **state)
{
    (void)state;
    assert_int_equal(in_child(use_network, NULL), 0);
    assert_int_equal(in_child(use_network, (void *)1), 0);
}

static int signal_a_sibling(void *data)
{
    pid_t sibling = *(pid_t *)data;
    struct es_sandbox sandbox;

    STEP(1, kill(sibling, 0) == 0);
    enter(&sandbox, true, NULL);
    STEP(2, sandbox.version < 6 || denied(kill(sibling, SIGKILL)));
    return sandbox.version < 6 ? 7 : 0;
}

/* Others of the same user, and `nobody` has many. */
static void other_processes_are_out_of_reach(void **state)
{
    int status, r;
    pid_t sibling = fork();

    (void)state;
    while (sibling == 0)
        pause();
    assert_true(sibling > 0);
    r = as_user(geteuid(), signal_a_sibling, &sibling);
    kill(sibling, SIGKILL);
    waitpid(sibling, &status, 0);
    assert_true(r == 0 || r == 7);
}

static int has_limits(void *data)
{
    struct es_sandbox sandbox;
    struct rlimit core, size, files, memory;
    ES_CLEANUP(es_close) int fd = open(in(data, "file"), O_WRONLY | O_CLOEXEC);

    signal(SIGXFSZ, SIG_IGN);
    STEP(1, fd >= 0);
    STEP(2, es_sandbox_settle(getppid()) == 0);
    enter(&sandbox, true, NULL);
    STEP(3, getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
    STEP(4, getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur == files.rlim_max);
#ifndef ES_SANITIZED
    STEP(5, getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur == 0 && size.rlim_max == 0);
    STEP(6, write(fd, "long", 4) < 0 && errno == EFBIG);
    STEP(7, getrlimit(RLIMIT_DATA, &memory) == 0 && memory.rlim_max <= (rlim_t)4 << 30);
#else
    (void)size;
    (void)memory;
#endif
    return 0;
}

static void memory_files_and_cores_are_bounded_for_good(void **state)
{
    prepare_files(*state);
    assert_int_equal(in_child(has_limits, *state), 0);
}

static int settles(void *data)
{
    int death = 0;

    (void)data;
    STEP(1, es_sandbox_settle(getppid()) == 0);
    STEP(2, prctl(PR_GET_PDEATHSIG, &death) == 0 && death == SIGKILL);
#ifndef ES_SANITIZED
    STEP(3, prctl(PR_GET_DUMPABLE) == 0);
    STEP(4, (fcntl(2, F_GETFL) & O_ACCMODE) == (fcntl(0, F_GETFL) & O_ACCMODE));
#endif
    STEP(5, es_sandbox_settle(getppid() + 1) == -ESRCH);
    return 0;
}

static void it_ends_with_its_parent_and_nobody_may_look_at_it(void **state)
{
    (void)state;
    assert_int_equal(in_child(settles, NULL), 0);
}

static void what_the_kernel_lacks_is_told(void **state)
{
    static const struct {
        struct es_sandbox sandbox;
        const char *words;
    } cases[] = {
        {{.version = 0}, "no Landlock"},
        {{.version = 2}, "version 2"},
        {{.version = 5, .fault = "landlock_restrict_self"}, "landlock_restrict_self fails"},
        {{.version = 3}, NULL},
        {{.version = 99}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};

        assert_int_equal(es_sandbox_lacks(&cases[i].sandbox, &text), 0);
        if (cases[i].words)
            assert_non_null(strstr(es_buf_str(&text), cases[i].words));
        else
            assert_int_equal(text.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_dir(nothing_is_read_or_executed_but_what_was_allowed),
        test_in_dir(nothing_is_written_made_or_removed),
        test_in_dir(one_that_asks_the_network_reads_what_names_and_trust_need),
        cmocka_unit_test(it_connects_only_where_a_source_asks_and_serves_nobody),
        cmocka_unit_test(other_processes_are_out_of_reach),
        test_in_dir(memory_files_and_cores_are_bounded_for_good),
        cmocka_unit_test(it_ends_with_its_parent_and_nobody_may_look_at_it),
        cmocka_unit_test(what_the_kernel_lacks_is_told),
    };

    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
