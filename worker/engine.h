/* What the rooms of the HTTP engine share: http.c (the loop), line.c (how many at once), transfer.c
 * (one request in libcurl's hands), trust.c (certificates). Nobody else includes this. */
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
    FIRST_CONNECTIONS = 6,     /* to a host of which nothing is known yet */
    MIN_CONNECTIONS = 4,
    MAX_CONNECTIONS = 64,
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
    int (*on_data)(void *data, const void *bytes, size_t len);
    void (*on_done)(void *data, const struct es_http_answer *answer);
    void *data;

    struct es_buf got_headers; /* "name\0value\0" each, of the final answer */
    size_t header_bytes;       /* of all answers, 1xx and trailers too */
    struct es_buf got;
    size_t got_bytes;
    int status;
    bool in_body;
    enum es_http_outcome verdict; /* why a callback has stopped it; ES_HTTP_ANSWERED: none has */
};

int transfer_new(const struct es_http_request *request, struct transfer **ret, struct es_err *err);
void transfer_free(struct transfer *transfer);
/* Puts it on the seat's handle. False for lack of memory. */
bool transfer_seat(struct transfer *transfer, struct seat *seat);
/* Calls on_done. outcome: ES_HTTP_ANSWERED where libcurl's result decides. */
void transfer_done(struct transfer *transfer, enum es_http_outcome outcome, CURLcode code);

/* ---- line.c ---- */

/* A handle of libcurl with all that a line's requests have in common already set. */
struct seat {
    struct seat *next; /* while it is free */
    CURL *easy;
    char error[CURL_ERROR_SIZE];
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
    size_t n_queue, n_active;
    double handshake_ms, wait_ms; /* seen so far, smoothed; 0: not yet */
};

/* The line for a request, made where it is new. */
int line_find(struct es_http *http, const struct es_http_request *request, struct line **ret,
              struct es_err *err);
void line_free(struct line *line);
void line_join(struct line *line, struct transfer *transfer);
struct transfer *line_take(struct line *line); /* out of the queue, which is not empty */
/* How many requests may be under way at once. */
size_t line_width(const struct line *line);
/* Starts what may start. */
void line_start(struct line *line);
/* Takes a transfer back from libcurl and learns from it. */
void line_leave(struct line *line, struct transfer *transfer, bool learn);
void line_forget(struct line *line, const void *data);

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

#endif
