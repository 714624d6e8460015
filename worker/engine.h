/* What the rooms of the HTTP engine share: http.c (the loop), line.c (how many at once), ahead.c
 * (connections before their requests), transfer.c (one request in libcurl's hands), trust.c
 * (certificates). Nobody else includes this. */
#ifndef ENVSYNC_WORKER_ENGINE_H
#define ENVSYNC_WORKER_ENGINE_H

#include "http.h"
#include "timers.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

enum {
    MAX_HEADERS = 65536,       /* bytes of an answer's headers */
    MAX_URL = 65536,           /* of a request */
    MAX_ERROR_BODY = 65536,    /* kept of a body whose status is not 2xx */
    MAX_ERROR_WASTE = 1 << 20, /* and read of it */
    CONNECT_MS = 10000,        /* name, TCP, TLS: a dead first name server costs 5 s of it */
    STALL_S = 10,              /* so long below STALL_RATE, and it is given up */
    STALL_RATE = 64,           /* bytes per second */
    FIRST_CONNECTIONS = 4,     /* to a host of which nothing is known yet */
    MIN_CONNECTIONS = 4,
    MAX_CONNECTIONS = 96,
    AHEAD_MS = 3000, /* a connection that was opened ahead waits so long for its request */
};

/* ---- transfer.c ---- */

struct transfer {
    struct transfer *next; /* in the queue or among the active of its line */
    struct line *line;
    struct seat *seat; /* while it is with libcurl */
    const char *method;
    struct es_buf url, body;
    struct es_buf lines;        /* the request's headers, NUL after each */
    struct curl_slist *headers; /* an array whose texts lie in lines */
    size_t max_body;
    int timeout_ms;
    bool first; /* goes before those in line */
    int (*on_data)(void *data, const struct es_http_answer *answer, const void *bytes, size_t len);
    void (*on_done)(void *data, const struct es_http_answer *answer);
    void *data;

    struct es_buf got_headers; /* "name\0value\0" each, of the final answer */
    size_t header_bytes;       /* of all answers, 1xx and trailers too */
    struct es_buf got;
    size_t got_bytes;
    int status;
    bool headed; /* the final answer's headers came to their end */
    bool in_body;
    enum es_http_outcome verdict; /* why a callback has stopped it; ES_HTTP_ANSWERED: none has */
};

int transfer_new(const struct es_http_request *request, struct transfer **ret, struct es_err *err);
void transfer_free(struct transfer *transfer);
/* Puts it on the seat's handle, also where that is connecting ahead. False for lack of memory. */
bool transfer_seat(struct transfer *transfer, struct seat *seat);
/* Calls on_done. outcome: ES_HTTP_ANSWERED where libcurl's result decides. */
void transfer_done(struct transfer *transfer, enum es_http_outcome outcome, CURLcode code);

/* ---- line.c ---- */

/* A handle of libcurl with all that a line's requests have in common already set. */
struct seat {
    struct seat *next; /* while it is free or ahead */
    struct line *line;
    CURL *easy;
    struct transfer *transfer; /* whose it is, NULL while it is free or ahead */
    char error[CURL_ERROR_SIZE];
    curl_socket_t fd; /* that it connects by, or CURL_SOCKET_BAD */
    int64_t began_us; /* when it was added, and began to connect; 0: it has not */
    int64_t asked_us; /* when its last words, of TLS or the request, went out */
    int waits_for;    /* CURL_POLL_*: what libcurl wants and is not told of, while held */
    bool held;
    bool ahead;  /* its connection was begun before its request was there */
    bool soon;   /* which is certain to come in a moment */
    char method; /* 'G' or 'P', while it is ahead */
    size_t body_len;
};

/* Requests that were announced and have not come yet. */
struct wish {
    struct wish *next;
    char method;
    bool soon;
    size_t body_len, n;
};

/* One host, by one way, with one trust. */
struct line {
    struct line *next;
    struct es_http *http;
    char *origin; /* "https://host:port" */
    char *proxy;  /* or NULL */
    const struct es_http_ca *ca;
    bool tls;
    struct transfer *queue, **queue_end;
    struct transfer *active;
    struct seat *free;
    struct seat *ahead; /* connecting or connected without a request */
    struct wish *wishes;
    size_t n_queue, n_active, n_ahead;
    size_t n_idle; /* connections that should be there and have nothing to do */
    /* Seen so far, 0: not yet. A round trip; the time to the first byte, smoothed. */
    double rtt_ms, wait_ms;
};

/* The line for a request, made where it is new. */
int line_find(struct es_http *http, const struct es_http_request *request, struct line **ret,
              struct es_err *err);
void line_free(struct line *line);
/* NULL for lack of memory. */
struct seat *seat_take(struct line *line);
void seat_free(struct seat *seat); /* NULL is fine */
void line_join(struct line *line, struct transfer *transfer);
struct transfer *line_take(struct line *line); /* out of the queue, which is not empty */
/* How many connections are worth it. */
size_t line_width(const struct line *line, int64_t now_us);
/* Whether time alone may make it more. */
bool line_grows(const struct line *line);
/* A round trip was seen. */
void line_learn_rtt(struct line *line, int64_t us);
/* Starts what may start. */
void line_start(struct line *line);
/* Takes a transfer back from libcurl and learns from it. */
void line_leave(struct line *line, struct transfer *transfer, bool learn);
void line_forget(struct line *line, const void *data);

/* ---- ahead.c ---- */

void ahead_free(struct line *line);
/* One that was announced is there: there is one less to come. */
void ahead_arrived(struct line *line, const struct transfer *transfer);
/* How many are still to come, and whether some of them may not. */
size_t ahead_expected(const struct line *line);
bool ahead_guessed(const struct line *line);
/* A seat that is connecting ahead and fits, or NULL. It is to be let go once it has its transfer.
 */
struct seat *ahead_take(struct line *line, const struct transfer *transfer);
void ahead_let_go(struct seat *seat);
/* Opens connections up to the width, and gives up those that wait for too long. */
void ahead_start(struct line *line, int64_t now_us);
/* libcurl has ended it. */
void ahead_failed(struct seat *seat);
/* What libcurl wants of a socket, or 0 where it is not to be told of it yet. */
int ahead_hold(struct seat *seat, curl_socket_t fd, int what);

/* ---- trust.c ---- */

struct es_http_ca {
    struct es_http_ca *next;
    struct es_buf pem; /* empty: the system's */
    X509_STORE *store;
};
/* The system's, found at the first call. */
int trust_system(struct es_http *http, const struct es_http_ca **ret, struct es_err *err);
CURLcode trust_apply(CURL *easy, void *ssl_ctx, void *ca);
void trust_free(struct es_http_ca *ca);

/* ---- http.c ---- */

struct es_http {
    struct es_http_clock clock;
    int64_t deadline_ms;
    bool over; /* the deadline has come */
    CURLM *multi;
    CURLSH *share;
    int epoll;
    int64_t curl_due; /* when libcurl wants to be called, on the machine's clock; -1: not at all */
    struct line *lines;
    struct es_http_ca *trusted, *system;
    struct es_timers timers;
    struct es_http_room room;
};
/* Initialises libcurl. */
int http_begin(struct es_http *http, struct es_err *err);
int64_t http_now_us(void); /* on the machine's clock */
/* Tells epoll what libcurl wants of a socket, 0 for nothing now. 0, or -1 where it cannot. */
int http_watch(struct es_http *http, curl_socket_t fd, int what);

#endif
