/* HTTP for providers: one event loop for all requests of all sources.
 *
 * Nothing blocks: a request is sent, and its on_done is called from the loop once the answer is
 * whole, has failed, or the run's deadline has come. Requests wait in line where a host has enough
 * connections already. Limits, TLS, proxy and redirect rules are enforced here, once for all (the
 * engine of worker/http.c is the only user of libcurl):
 *   - the URL goes out byte for byte; redirects are answers, never followed; https only unless
 *     the request says ES_HTTP_PLAIN_OK; TLS >= 1.2, verified always;
 *   - no netrc, cookies, accept-encoding, credentials in URLs; no proxy but the request's own;
 *   - every body has a cap, counted as it comes; headers 64 KiB; a stall of 10 s is a failure.
 */
#ifndef ENVSYNC_HTTP_H
#define ENVSYNC_HTTP_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <stdint.h>

struct es_http;
struct es_http_ca;

enum es_http_flags {
    ES_HTTP_PLAIN_OK = 1 << 0, /* http:// may be used: metadata, loopback, a configured endpoint */
    ES_HTTP_NO_PROXY = 1 << 1, /* never through the proxy: metadata and container endpoints */
    ES_HTTP_FIRST = 1 << 2,    /* before those in line: one page, and more come after it */
};

/* How far it got. */
enum es_http_outcome {
    ES_HTTP_ANSWERED,      /* a whole answer */
    ES_HTTP_NO_DNS,        /* the name did not resolve */
    ES_HTTP_NO_CONNECTION, /* refused, unreachable, reset, closed early */
    ES_HTTP_TIMEOUT,       /* its own timeout, or stalled */
    ES_HTTP_DEADLINE,      /* the run's deadline */
    ES_HTTP_TLS_BROKEN,    /* a peer that speaks no TLS, or another, or sends an alert */
    ES_HTTP_CERTIFICATE,   /* does not verify */
    ES_HTTP_BODY_BROKEN,   /* shorter than announced, bad chunks */
    ES_HTTP_TOO_LARGE,     /* over max_body, or headers over their cap */
    ES_HTTP_STOPPED,       /* on_data has said no */
    ES_HTTP_FAULT,         /* a fault of our own: no memory */
};

struct es_http_answer {
    enum es_http_outcome outcome;
    int status;          /* 0 without one */
    struct es_buf body;  /* where there was no on_data, or for any status but 2xx */
    bool verified;       /* came over verified TLS */
    bool reused;         /* over a connection that was open already */
    const char *detail;  /* curl's words for a failure; names no secret; borrowed */
    const void *headers; /* for es_http_header() */
};

/* The value of a header (any case), borrowed until on_done returns, or NULL. */
const char *es_http_header(const struct es_http_answer *answer, const char *name);

/* All is copied by es_http_send(), but `data`. */
struct es_http_request {
    const char *method; /* "GET", "PUT", "POST", "HEAD" */
    const char *url;
    const char *const
        *headers; /* "Name: value" each, all that is sent besides Host, Content-Length */
    size_t n_headers;
    const void *body;
    size_t body_len;
    size_t max_body;
    unsigned flags;
    int timeout_ms;              /* of this try, from its start; 0: until the deadline */
    const struct es_http_ca *ca; /* NULL: the system's */
    const char *proxy;           /* or NULL */

    /* Bytes of a 2xx body as they come, with status and headers of the answer that is not over yet;
     * a negative return stops with ES_HTTP_STOPPED. NULL: the body is collected. Called for no
     * other status. */
    int (*on_data)(void *data, const struct es_http_answer *answer, const void *bytes, size_t len);
    /* Exactly once. May send further requests. */
    void (*on_done)(void *data, const struct es_http_answer *answer);
    void *data;
};

/* Fails only for lack of memory or a request that breaks the rules (http:// without the flag): then
 * on_done is not called. */
int es_http_send(struct es_http *http, const struct es_http_request *request, struct es_err *err);

/* A hint: so many more requests are about to follow to where this one would go, with its method and
 * a body as long (body_len; body, headers and callbacks do not count). Connections are opened ahead
 * as far as that saves waiting. Nothing is sent over one before its request is there, and where one
 * cannot be had nobody hears of it. soon: they come for certain and in a moment, and may take a
 * connection that is not there yet. */
void es_http_ahead(struct es_http *http, const struct es_http_request *like, size_t n, bool soon);
/* None is expected any more from that host. */
void es_http_no_more(struct es_http *http, const struct es_http_request *like);

/* Certificates to trust in place of the system's, as PEM; ret lives as long as the loop, and equal
 * texts give the same. ES_CONFIG where there is none in it. */
int es_http_trust(struct es_http *http, const char *pem, size_t len, const struct es_http_ca **ret,
                  struct es_err *err);

/* Forgets all requests and timers with this `data`, without a call. Not from on_data. */
void es_http_forget(struct es_http *http, const void *data);

/* A place for what the sources of one worker share (credentials, budgets): NULL at first, ended by
 * `clear` with the loop. It belongs to providers/aws. */
struct es_http_room {
    void *own;
    void (*clear)(void *own);
};
struct es_http_room *es_http_room(struct es_http *http);

/* Calls fn once after ms milliseconds (or at once, from the loop, at the deadline). */
int es_http_after(struct es_http *http, int ms, void (*fn)(void *data), void *data,
                  struct es_err *err);

/* The clocks of the run, which tests own. */
int64_t es_http_now_ms(const struct es_http *http);      /* monotonic */
int64_t es_http_deadline_ms(const struct es_http *http); /* on the same clock */
int64_t es_http_time(const struct es_http *http);        /* seconds since 1970 */
uint32_t es_http_random(struct es_http *http);

#endif
