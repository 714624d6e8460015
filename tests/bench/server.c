/* A canned AWS for measuring: one thread, epoll, HTTP/1.1 with keep-alive, plain and over TLS 1.3.
 *
 *   server [-b ADDRESS] [-p PORT] [-s PORT -c CERT -k KEY] [-d MS] [-D MS] [-q MS]
 *
 *   -p, -s    ports without and with TLS; 0: any free one. Both are printed, one line each.
 *   -d, -D    milliseconds that S3, and SSM, take for every answer
 *   -q        lock step: nothing is answered before nobody has had anything to say for so long;
 *             then all is answered at once, and that is one round. A client's rounds are its round
 *             trips in sequence, however fast or slow the machine is. Accepting connections is a
 *             round, too. (GET /__stats and POST /__reset are answered at once on the plain port.)
 *
 * What is answered is in answers.c. Requests are the measured programs' own, and yet bounded. */
#include "answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_AT_ONCE = 16384, MAX_REQUEST = 1 << 20, EVENTS = 256, WRITE_AT_ONCE = 256 << 10 };

struct connection {
    struct connection *next; /* among the delayed of its service, or those of the round */
    int fd;
    SSL *ssl;
    BIO *heard; /* in lock step: what had come when the round began; the SSL's own */
    bool handshaking, writing, delayed, queued, dead, last;
    struct es_buf in, out;
    size_t out_at;
    const unsigned char *body;
    size_t body_len;
    int64_t due_us;
};

struct queue {
    struct connection *first, **end;
};

static struct {
    int epoll, plain, tls;
    SSL_CTX *ctx;
    int64_t delay_us[SERVICE_IMDS + 1];
    struct queue delayed[SERVICE_IMDS + 1]; /* each in the order of time: one delay per service */
    int64_t quiet_us;                       /* lock step; 0: none */
    struct queue round;
    bool accepting; /* connections wait to be accepted, in lock step */
    int64_t heard_us;
} server;

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void queue_add(struct queue *queue, struct connection *c)
{
    if (!queue->first)
        queue->end = &queue->first;
    c->next = NULL;
    *queue->end = c;
    queue->end = &c->next;
}

static struct connection *queue_take(struct queue *queue)
{
    struct connection *c = queue->first;

    queue->first = c->next;
    return c;
}

static void watch(struct connection *c, bool writing)
{
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};

    if (writing != c->writing)
        epoll_ctl(server.epoll, EPOLL_CTL_MOD, c->fd, &event);
    c->writing = writing;
}

/* Freed at once, or by the queue that still holds it. */
static void end(struct connection *c)
{
    if (!c->dead) {
        SSL_free(c->ssl);
        close(c->fd);
        c->dead = true;
    }
    if (c->delayed || c->queued)
        return;
    es_buf_done(&c->in);
    es_buf_done(&c->out);
    free(c);
}

/* ---- bytes: more than 0, 0 for not now, -1 for the end ---- */

static long judge(const struct connection *c, long r)
{
    int error;

    if (r > 0)
        return r;
    if (!c->ssl)
        return r < 0 && errno == EAGAIN ? 0 : -1;
    error = SSL_get_error(c->ssl, (int)r);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static long get_bytes(struct connection *c, void *to, size_t len)
{
    ERR_clear_error();
    return judge(c, c->ssl ? SSL_read(c->ssl, to, (int)len) : read(c->fd, to, len));
}

static long put_bytes(struct connection *c, const void *from, size_t len)
{
    ERR_clear_error();
    return judge(c,
                 c->ssl ? SSL_write(c->ssl, from, (int)len) : send(c->fd, from, len, MSG_NOSIGNAL));
}

/* 1 where all is written. */
static int flush(struct connection *c)
{
    while (c->out_at < c->out.len || c->body_len > 0) {
        bool head = c->out_at < c->out.len;
        const void *from = head ? (const void *)(c->out.data + c->out_at) : c->body;
        size_t len = head ? c->out.len - c->out_at : c->body_len;
        long n = put_bytes(c, from, len < WRITE_AT_ONCE ? len : WRITE_AT_ONCE);

        if (n <= 0) {
            watch(c, n == 0);
            return (int)n;
        }
        stats.sent += n;
        if (head) {
            c->out_at += (size_t)n;
        } else {
            c->body += n;
            c->body_len -= (size_t)n;
        }
    }
    c->out.len = c->out_at = 0;
    watch(c, false);
    return c->last ? -1 : 1;
}

/* ---- requests ---- */

static bool answering(const struct connection *c)
{
    return c->delayed || c->out.len > 0 || c->body_len > 0;
}

/* A small object goes out with its headers, in one record. */
static void take_reply(struct connection *c, struct reply *reply)
{
    c->last = reply->last;
    c->body = reply->body;
    c->body_len = reply->body_len;
    if (c->body_len > 0 && c->body_len <= READ_AT_ONCE &&
        es_buf_append(&c->out, c->body, c->body_len) == 0)
        c->body_len = 0;
}

static void delay(struct connection *c, enum service service)
{
    c->due_us = now_us() + server.delay_us[service];
    c->delayed = true;
    queue_add(&server.delayed[service], c);
}

/* Answers what is whole, one after the other. -1: the connection is to be ended. */
static int work(struct connection *c)
{
    while (!answering(c) && c->in.len > 0) {
        char *tail = memmem(c->in.data, c->in.len, "\r\n\r\n", 4), *body;
        struct request request = {.head = c->in.data};
        struct reply reply = {.text = &c->out};
        size_t head_len, len = 0;
        const char *length;
        int r;

        if (!tail)
            return 0;
        head_len = (size_t)(tail + 4 - c->in.data);
        tail[2] = '\0';
        length = header_of(c->in.data, "content-length", &len);
        request.body_len = length ? strtoul(length, NULL, 10) : 0;
        tail[2] = '\r';
        if (c->in.len < head_len + request.body_len)
            return 0;
        body = strndup(c->in.data + head_len, request.body_len);
        if (!body)
            die("memory");
        tail[2] = '\0';
        request.body = body;
        answer(&request, &reply);
        free(body);
        c->in.len -= head_len + request.body_len;
        memmove(c->in.data, c->in.data + head_len + request.body_len, c->in.len);
        take_reply(c, &reply);
        if (server.delay_us[reply.service] > 0) {
            delay(c, reply.service);
            return 0;
        }
        r = flush(c);
        if (r <= 0)
            return r;
    }
    return 0;
}

static int shake_hands(struct connection *c)
{
    long r;

    ERR_clear_error();
    r = judge(c, SSL_accept(c->ssl));
    if (r <= 0)
        return (int)r;
    c->handshaking = false;
    stats.handshakes++;
    stats.resumed += SSL_session_reused(c->ssl);
    return 1;
}

static int take_in(struct connection *c)
{
    long n;

    do {
        if (es_buf_reserve(&c->in, READ_AT_ONCE) < 0 || c->in.len > MAX_REQUEST)
            return -1;
        n = get_bytes(c, c->in.data + c->in.len, READ_AT_ONCE);
        if (n > 0) {
            c->in.len += (size_t)n;
            stats.received += n;
        }
    } while (n > 0 && (c->ssl || n == READ_AT_ONCE));
    return (int)n;
}

/* In lock step what comes while a round goes on belongs to the next one. */
static int hear(const struct connection *c)
{
    char bytes[READ_AT_ONCE];
    ssize_t n;

    while ((n = read(c->fd, bytes, sizeof bytes)) > 0)
        if (BIO_write(c->heard, bytes, (int)n) != n)
            die("memory");
    return n < 0 && errno == EAGAIN ? 1 : -1;
}

/* False where the connection has ended. */
static bool act(struct connection *c)
{
    int r = c->heard ? hear(c) : 1;

    if (r > 0 && c->handshaking)
        r = shake_hands(c);
    if (r > 0 && c->writing && !c->delayed)
        r = flush(c);
    if (r > 0 || (r == 0 && !c->handshaking))
        r = take_in(c);
    if (r >= 0 && !c->handshaking)
        r = work(c);
    if (r < 0)
        end(c);
    return r >= 0;
}

/* ---- connections ---- */

static void accept_all(int listener)
{
    int one = 1, fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

        if (!c)
            die("memory");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        stats.connections++;
        c->fd = fd;
        if (listener == server.tls) {
            c->ssl = SSL_new(server.ctx);
            if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1)
                die("TLS");
            if (server.quiet_us) {
                c->heard = BIO_new(BIO_s_mem());
                if (!c->heard)
                    die("memory");
                BIO_set_mem_eof_return(c->heard, -1);
                SSL_set0_rbio(c->ssl, c->heard);
            }
            SSL_set_accept_state(c->ssl);
            c->handshaking = true;
        }
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void listen_on(const char *address, int port, int *ret)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = ret};
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&to, sizeof to) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&to, &len) < 0)
        die("listen");
    if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll");
    printf("%d\n", ntohs(to.sin_port));
    *ret = fd;
}

static SSL_CTX *make_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bench", 5) != 1)
        die("TLS");
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

/* ---- the loop ---- */

/* Whoever is behind the delay of a service is let go, and may have said more meanwhile. */
static void release(struct queue *queue)
{
    while (queue->first && queue->first->due_us <= now_us()) {
        struct connection *c = queue_take(queue);
        int r;

        c->delayed = false;
        r = c->dead ? -1 : flush(c);
        if (r > 0)
            r = work(c);
        if (r < 0)
            end(c);
    }
}

/* Goodbyes alone are no round. */
static void run_round(void)
{
    struct queue round = server.round;
    bool counts = server.accepting;

    server.round = (struct queue){0};
    if (server.accepting)
        accept_all(server.tls);
    server.accepting = false;
    while (round.first) {
        struct connection *c = queue_take(&round);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

        c->queued = false;
        if (c->dead) {
            end(c);
            continue;
        }
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, c->fd, &event);
        if (act(c))
            counts = true;
    }
    stats.rounds += counts;
}

/* In lock step a connection is only noted down, and not listened to any more. Plain ones are those
 * of the metadata service and of control, which are near: they do not wait. */
static void on_event(void *from)
{
    struct connection *c = from;
    struct epoll_event event = {0};

    server.heard_us = now_us();
    if (from == &server.plain) {
        accept_all(server.plain);
    } else if (from == &server.tls && server.quiet_us) {
        server.accepting = true;
    } else if (from == &server.tls) {
        accept_all(server.tls);
    } else if (server.quiet_us && c->ssl && !c->queued) {
        c->queued = true;
        queue_add(&server.round, c);
        epoll_ctl(server.epoll, EPOLL_CTL_DEL, c->fd, &event);
    } else if (!c->queued) {
        act(c);
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 || b < a ? b : a;
}

/* Microseconds until something is due, -1: nothing is. */
static int64_t until_next(void)
{
    int64_t next = -1, now = now_us();

    for (int i = 0; i <= SERVICE_IMDS; i++)
        if (server.delayed[i].first)
            next = sooner(next, server.delayed[i].first->due_us);
    if (server.round.first || server.accepting)
        next = sooner(next, server.heard_us + server.quiet_us);
    return next < 0 ? -1 : next > now ? next - now : 0;
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int64_t us = until_next();
        struct timespec wait = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        int n = epoll_pwait2(server.epoll, events, EVENTS, us < 0 ? NULL : &wait, NULL);

        for (int i = 0; i < n; i++)
            on_event(events[i].data.ptr);
        for (int i = 0; i <= SERVICE_IMDS; i++)
            release(&server.delayed[i]);
        if ((server.round.first || server.accepting) &&
            now_us() >= server.heard_us + server.quiet_us)
            run_round();
    }
}

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1", *cert = NULL, *key = NULL;
    int plain = 0, tls = -1, option;

    while ((option = getopt(argc, argv, "b:p:s:c:k:d:D:q:")) != -1) {
        switch (option) {
        case 'b':
            address = optarg;
            break;
        case 'p':
            plain = atoi(optarg);
            break;
        case 's':
            tls = atoi(optarg);
            break;
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        case 'd':
            server.delay_us[SERVICE_S3] = atol(optarg) * 1000;
            break;
        case 'D':
            server.delay_us[SERVICE_SSM] = atol(optarg) * 1000;
            break;
        case 'q':
            server.quiet_us = atol(optarg) * 1000;
            break;
        default:
            return 64;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    listen_on(address, plain, &server.plain);
    if (tls >= 0) {
        server.ctx = make_context(cert, key);
        listen_on(address, tls, &server.tls);
    }
    fflush(stdout);
    run();
}
