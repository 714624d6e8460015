/* See worker.h. Between fork() and exec() the child is still privileged code: it only drops. */
#include "worker.h"

#include "build.h"
#include "clock.h"
#include "drop.h"
#include "envsync/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LAST_WORDS = 2000,  /* milliseconds that a worker has to exit after its last frame */
    FILES_AT_ONCE = 64, /* in one message; the kernel takes 253 */
};

/* The worker is trusted as far as the running program itself is: it belongs to root or to the same
 * owner, and is writable for nobody who could not write this program. */
static int open_worker(const char *path, const struct stat *self)
{
    ES_CLEANUP(es_close) int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    int ret;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -ENOENT;
    if ((st.st_uid != 0 && st.st_uid != self->st_uid) || (st.st_mode & 022 & ~self->st_mode))
        return -EPERM;
    ret = fd;
    fd = -1;
    return ret;
}

/* Beside the program, so that an image, a staged install and a build tree work as they lie; else
 * where it was configured to be. */
static int find_worker(struct es_err *err)
{
    static const char *const relative[] = {"/../libexec/envsync/worker", "/worker/worker"};
    char self[PATH_MAX], path[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct stat st = {0};
    int fd = -ENOENT;

    if (n > 0 && stat("/proc/self/exe", &st) == 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; fd == -ENOENT && i < sizeof relative / sizeof *relative; i++) {
            snprintf(path, sizeof path, "%s%s", self, relative[i]);
            fd = open_worker(path, &st);
        }
    }
    if (fd == -ENOENT) {
        snprintf(path, sizeof path, "%s", WORKER_PATH);
        fd = open_worker(path, &st);
    }
    if (fd == -EPERM)
        return es_fail(err, ES_DENIED, EPERM,
                       "worker %s: others than the owner of envsync may change it; reinstall",
                       path);
    if (fd < 0)
        return es_fail(err, ES_INTERNAL, ENOENT, "the worker is not installed: %s is missing",
                       WORKER_PATH);
    return fd;
}

static int become_worker(int exe, int job, int records, const struct es_identity *id,
                         struct es_err *err)
{
    /* libcurl brings GnuTLS along for what is never used here; it needs no start. */
    static char path[] = "PATH=/usr/bin:/bin", lang[] = "LC_ALL=C.UTF-8";
    static char gnutls[] = "GNUTLS_NO_IMPLICIT_INIT=1";
    char *environment[] = {path, lang, gnutls, NULL};
    char job_fd[16], records_fd[16], parent[16];
    char *argv[] = {(char *)"envsync-worker", job_fd, records_fd, parent, NULL};
    int r = es_plain_stdio(true, err);

    snprintf(job_fd, sizeof job_fd, "%d", job);
    snprintf(records_fd, sizeof records_fd, "%d", records);
    snprintf(parent, sizeof parent, "%d", (int)getppid());
    if (r < 0)
        return r;
    es_close_on_exec();
    fcntl(job, F_SETFD, 0);
    fcntl(records, F_SETFD, 0);
    r = es_drop(id, err);
    if (r < 0)
        return r;
    syscall(SYS_execveat, exe, "", argv, environment, AT_EMPTY_PATH);
    return es_fail_errno(err, ES_INTERNAL, errno, "the worker cannot be executed");
}

/* The child's only way to say why it did not become the worker. */
static void tell_fatal(int fd, const struct es_err *why)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0}, frame = {0};
    ssize_t n;

    if (es_put_u8(&payload, (uint8_t)why->class) < 0 ||
        es_put_bytes(&payload, why->msg, strlen(why->msg)) < 0 ||
        es_put_frame(&frame, ES_FRAME_FATAL, &payload) < 0)
        return;
    n = write(fd, frame.data, frame.len);
    (void)n;
}

int es_worker_start(struct es_worker *worker, struct es_err *err)
{
    ES_CLEANUP(es_close) int exe = find_worker(err);
    struct es_identity id = es_worker_identity();
    int job[2], records[2];

    if (exe < 0)
        return exe;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, job) < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "socketpair");
    worker->job = job[1];
    shutdown(job[0], SHUT_WR); /* only down: the way up are the records */
    if (pipe2(records, O_CLOEXEC) < 0) {
        es_close(&job[0]);
        return es_fail_errno(err, ES_INTERNAL, errno, "pipe");
    }
    worker->records = records[0];
    worker->pid = fork();
    if (worker->pid == 0) {
        struct es_err why = {0};

        become_worker(exe, job[0], records[1], &id, &why);
        tell_fatal(records[1], &why);
        _exit(70);
    }
    es_close(&job[0]);
    es_close(&records[1]);
    if (worker->pid < 0) {
        worker->pid = 0;
        return es_fail_errno(err, ES_INTERNAL, errno, "fork");
    }
    return 0;
}

static int add_text(struct es_value *table, const char *key, const char *text)
{
    struct es_entry *entry;
    int r = es_table_add(table, key, strlen(key), &entry);

    return r < 0 ? r : es_value_set_string(&entry->value, text, strlen(text));
}

static int add_number(struct es_value *table, const char *key, int64_t number)
{
    struct es_entry *entry;
    int r = es_table_add(table, key, strlen(key), &entry);

    if (r == 0)
        entry->value = (struct es_value){.type = ES_INTEGER, .integer = number};
    return r;
}

static int add_files(struct es_value *table, const struct es_files *files, uint32_t source)
{
    struct es_entry *entry;
    int r = es_table_add(table, "files", 5, &entry);

    if (r < 0)
        return r;
    es_value_set_list(&entry->value);
    for (size_t i = 0; r == 0 && i < files->n; i++) {
        struct es_value *item;

        if (files->items[i].source != source)
            continue;
        r = es_list_add(&entry->value, &item);
        if (r < 0)
            return r;
        es_value_set_table(item);
        r = add_text(item, "role", files->items[i].role);
        if (r == 0)
            r = add_text(item, "path", files->items[i].path);
        if (r == 0)
            r = add_number(item, "number", (int64_t)i);
    }
    return r;
}

static int add_known(struct es_value *list, const struct es_kept_object *object, bool mirrored)
{
    struct es_value *item;
    int r = es_list_add(list, &item);

    if (r < 0)
        return r;
    es_value_set_table(item);
    r = add_text(item, "name", es_buf_str(&object->name));
    if (r == 0)
        r = add_text(item, "version", es_buf_str(&object->version));
    if (r == 0)
        r = add_number(item, "size", object->size);
    if (r == 0)
        r = add_number(item, "modified", object->modified_ms);
    return r < 0 ? r : add_number(item, "mirrored", mirrored);
}

/* Names, versions and times, never values: what the worker may say "same" of. */
static int add_before(struct es_value *table, const struct es_before *before)
{
    struct es_entry *entry;
    int r = es_table_add(table, "known_address", 13, &entry);

    if (r == 0)
        r = es_value_set_string(&entry->value, before->kept->address.data,
                                before->kept->address.len);
    if (r == 0)
        r = es_table_add(table, "known", 5, &entry);
    if (r < 0)
        return r;
    es_value_set_list(&entry->value);
    for (size_t i = 0; r == 0 && i < before->kept->n_objects; i++)
        r = add_known(&entry->value, &before->kept->objects[i], false);
    for (size_t i = 0; r == 0 && i < before->n_files; i++)
        if (before->files[i].sure)
            r = add_known(&entry->value, &before->files[i].kept->object, true);
    return r;
}

static int add_source(struct es_value *list, const struct es_asked *asked, uint32_t number)
{
    const struct es_source *source = &asked->config->sources[number];
    const struct es_before *before =
        asked->previous && asked->previous->sources && asked->previous->sources[number].kept
            ? &asked->previous->sources[number]
            : NULL;
    struct es_value *table;
    struct es_entry *options;
    int r = es_list_add(list, &table);

    if (r < 0)
        return r;
    es_value_set_table(table);
    r = add_number(table, "number", number);
    if (r == 0)
        r = add_text(table, "type", source->type);
    if (r == 0)
        r = add_number(table, "optional", source->optional);
    if (r == 0)
        r = es_table_add(table, "options", 7, &options);
    if (r == 0)
        r = es_value_copy(&options->value, &source->where);
    if (r == 0 && before)
        r = add_before(table, before);
    return r < 0 ? r : add_files(table, asked->files, number);
}

static int fill_job(struct es_value *job, const struct es_asked *asked, int64_t deadline)
{
    struct es_entry *sources, *environment;
    int r = add_number(job, "milliseconds", es_clock_left(deadline));

    if (r == 0)
        r = add_number(job, "describe", asked->describe);
    if (r == 0)
        r = add_number(job, "verbose", asked->verbose);
    if (r == 0 && asked->surroundings->home)
        r = add_text(job, "home", asked->surroundings->home);
    if (r == 0)
        r = es_table_add(job, "environment", 11, &environment);
    if (r == 0)
        r = es_value_copy(&environment->value, &asked->surroundings->environment);
    if (r == 0)
        r = es_table_add(job, "sources", 7, &sources);
    if (r != 0)
        return r;
    es_value_set_list(&sources->value);
    for (size_t i = 0; r == 0 && i < asked->config->n_sources; i++)
        if (asked->wanted[i])
            r = add_source(&sources->value, asked, (uint32_t)i);
    return r;
}

static int encode_job(const struct es_value *job, struct es_buf *out)
{
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    int r = es_put_value(&payload, job);

    return r < 0 ? r : es_put_frame(out, ES_FRAME_JOB, &payload);
}

/* Waits until the descriptor is ready. 0, -ETIMEDOUT, -EINTR, or what poll() says. */
static int wait_for(int fd, short events, int64_t deadline, struct es_err *err)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int left = es_clock_left(deadline);
        int n;

        if (es_process_caught())
            return es_fail(err, ES_INTERNAL, EINTR, "interrupted");
        /* A signal may come between the look and the poll: never sleep for long. */
        n = poll(&p, 1, left < 1000 ? left : 1000);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return es_fail_errno(err, ES_INTERNAL, errno, "waiting for the worker");
        if (left == 0)
            return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT, "no answer until the deadline");
    }
}

/* Some of the job, and with its first byte some of the files from *file on. What send() says. */
static ssize_t send_some(int socket, const char *bytes, size_t len, const struct es_files *files,
                         size_t *file)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(FILES_AT_ONCE * sizeof(int))];
    } control = {.room = {0}};
    int fds[FILES_AT_ONCE];
    struct iovec iov = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *head;
    size_t n = 0;
    ssize_t r;

    while (n < FILES_AT_ONCE && *file + n < files->n) {
        fds[n] = files->items[*file + n].fd;
        n++;
    }
    if (n > 0) {
        iov.iov_len = 1;
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n * sizeof(int));
    }
    r = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r > 0)
        *file += n;
    return r;
}

int es_worker_send(struct es_worker *worker, const struct es_asked *asked, int64_t deadline,
                   struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value job = {0};

    es_value_set_table(&job);
    if (fill_job(&job, asked, deadline) < 0)
        return es_nomem(err);
    return es_worker_post(worker, &job, asked->files, deadline, err);
}

int es_worker_post(struct es_worker *worker, const struct es_value *job,
                   const struct es_files *files, int64_t deadline, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    size_t sent = 0, file = 0;

    if (encode_job(job, &text) < 0)
        return es_nomem(err);
    while (sent < text.len) {
        ssize_t n = send_some(worker->job, text.data + sent, text.len - sent, files, &file);

        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            int r = wait_for(worker->job, POLLOUT, deadline, err);

            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            break; /* it has ended; why, its last frame may say */
        }
    }
    es_close(&worker->job);
    return 0;
}

/* 1 and a whole frame of what was read, 0 where more must come, -EBADMSG for one that cannot be. */
static int take_frame(struct es_worker *worker, enum es_frame *ret_type,
                      struct es_cursor *ret_payload, struct es_err *err)
{
    struct es_cursor in;
    uint32_t len;
    uint8_t type;

    if (worker->in.len == worker->taken)
        return 0;
    in = (struct es_cursor){.p = worker->in.data + worker->taken,
                            .left = worker->in.len - worker->taken};
    if (es_get_u32(&in, &len) < 0)
        return 0;
    if (len == 0 || len > ES_MAX_FRAME)
        return es_fail(err, ES_INTERNAL, EBADMSG, "the worker sent a frame of %u bytes", len);
    if (in.left < len)
        return 0;
    in.left = len;
    es_get_u8(&in, &type);
    worker->taken += len + 4;
    *ret_type = (enum es_frame)type;
    *ret_payload = in;
    return 1;
}

int es_worker_next(struct es_worker *worker, int64_t deadline, enum es_frame *ret_type,
                   struct es_cursor *ret_payload, struct es_err *err)
{
    for (;;) {
        int r = take_frame(worker, ret_type, ret_payload, err);
        size_t rest;
        ssize_t n;

        if (r != 0)
            return r < 0 ? r : 0;
        rest = worker->in.len - worker->taken;
        if (worker->taken) {
            memmove(worker->in.data, worker->in.data + worker->taken, rest);
            worker->in.len = rest;
            worker->taken = 0;
        }
        if (es_buf_reserve(&worker->in, 65536) < 0)
            return es_nomem(err);
        r = wait_for(worker->records, POLLIN, deadline, err);
        if (r < 0)
            return r;
        n = read(worker->records, worker->in.data + worker->in.len, 65536);
        if (n == 0)
            return es_fail(err, ES_INTERNAL, EPIPE, "the worker ended too early");
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return es_fail_errno(err, ES_INTERNAL, errno, "reading from the worker");
        if (n > 0)
            worker->in.len += (size_t)n;
    }
}

static int judge(int status, struct es_err *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return es_fail(err, ES_INTERNAL, EPIPE, "the worker was ended by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    return es_fail(err, ES_INTERNAL, EPIPE, "the worker ended with status %d", WEXITSTATUS(status));
}

int es_worker_finish(struct es_worker *worker, struct es_err *err)
{
    int64_t deadline = es_clock_ms() + LAST_WORDS;
    int status = 0;
    pid_t ended;

    while ((ended = waitpid(worker->pid, &status, WNOHANG)) == 0) {
        if (es_clock_left(deadline) == 0) {
            kill(worker->pid, SIGKILL);
            ended = waitpid(worker->pid, &status, 0);
            break;
        }
        es_clock_nap(1, deadline);
    }
    worker->pid = 0;
    if (ended < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "waiting for the worker");
    return judge(status, err);
}

int es_worker_dismiss(struct es_worker *worker, struct es_err *err)
{
#ifdef ES_SANITIZED /* which speaks by the exit status */
    return es_worker_finish(worker, err);
#else
    (void)worker;
    (void)err;
    return 0;
#endif
}

void es_worker_done(struct es_worker *worker)
{
    if (worker->pid > 0) {
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
    }
    es_close(&worker->job);
    es_close(&worker->records);
    es_buf_done(&worker->in);
    *worker = (struct es_worker)ES_WORKER_INIT;
}
