/* The loop behind envsync/http.h: made, run and ended by the worker.
 *
 * Nothing of libcurl or OpenSSL is initialised before the first request: a run with files only
 * does not pay for them. */
#ifndef ENVSYNC_WORKER_HTTP_H
#define ENVSYNC_WORKER_HTTP_H

#include "envsync/http.h"

/* What time it is, and randomness. Tests have their own; libcurl's own timeouts always go by the
 * machine's. */
struct es_http_clock {
    int64_t (*now_ms)(void *data);
    int64_t (*time)(void *data);
    uint32_t (*random)(void *data);
    void *data;
};

/* The deadline is `milliseconds` from now. clock: copied, or NULL for the machine's. */
int es_http_new(const struct es_http_clock *clock, int64_t milliseconds, struct es_http **ret,
                struct es_err *err);

/* Before anything asks OpenSSL: 3.0 goes on with a default context that could not be set up for
 * want of memory, and falls over it. */
int es_http_ready(struct es_err *err);

/* What is still under way is forgotten. Never waits, not for a resolver either. */
void es_http_free(struct es_http *http); /* NULL is fine */
void es_http_freep(struct es_http **http);

/* Runs until *pending is 0. ES_INTERNAL where it is not, and nothing is left that could change it.
 * From the deadline on every request fails and every timer is due. */
int es_http_run(struct es_http *http, const size_t *pending, struct es_err *err);

#endif
