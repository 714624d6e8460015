/* See http.h and envsync/http.h. The loop: epoll beneath curl_multi's socket interface, so that an
 * event costs the same whether one request is under way or a thousand. One thread; callbacks of
 * requests and timers are called from here and from nowhere else, never from within es_http_send().
 *
 * The deadline is checked before everything else, and it needs no one's cooperation: what libcurl
 * has then is taken away from it, and a resolver that hangs is left to die with the process. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 64,      /* taken from epoll at once */
    GROW_MS = 2,      /* between two looks at lines that may grow */
    ENDING_MS = 2000, /* what is still going on so long after the deadline is a fault */
    MAX_IDLE = 2 * MAX_CONNECTIONS, /* open connections that are kept */
};

static int64_t machine_ms(void *data)
{
    struct timespec t;

    (void)data;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t machine_time(void *data)
{
    (void)data;
    return (int64_t)time(NULL);
}

static uint32_t machine_random(void *data)
{
    uint32_t random = 0;

    (void)data;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint32_t)machine_ms(NULL) * 2654435761u;
    return random;
}

int64_t http_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t es_http_now_ms(const struct es_http *http)
{
    return http->clock.now_ms(http->clock.data);
}

int64_t es_http_deadline_ms(const struct es_http *http)
{
    return http->deadline_ms;
}

int64_t es_http_time(const struct es_http *http)
{
    return http->clock.time(http->clock.data);
}

uint32_t es_http_random(struct es_http *http)
{
    return http->clock.random(http->clock.data);
}

struct es_http_room *es_http_room(struct es_http *http)
{
    return &http->room;
}

int es_http_new(const struct es_http_clock *clock, int64_t milliseconds, struct es_http **ret,
                struct es_err *err)
{
    static const struct es_http_clock machine = {machine_ms, machine_time, machine_random, NULL};
    struct es_http *http = calloc(1, sizeof *http);

    if (!http)
        return es_nomem(err);
    http->clock = clock ? *clock : machine;
    http->deadline_ms = es_http_now_ms(http) + milliseconds;
    http->epoll = -1;
    http->curl_due = -1;
    *ret = http;
    return 0;
}

/* ---- libcurl's side of the loop ---- */

static struct seat *seat_of(CURL *easy)
{
    char *seat = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &seat);
    return (struct seat *)(void *)seat;
}

int http_watch(struct es_http *http, curl_socket_t fd, int what)
{
    struct epoll_event event = {.data.fd = fd};

    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    if (epoll_ctl(http->epoll, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return epoll_ctl(http->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
    struct es_http *http = data;
    struct seat *seat = seat_of(easy);

    (void)known;
    if (what != CURL_POLL_REMOVE)
        return http_watch(http, fd, seat ? ahead_hold(seat, fd, what) : what);
    epoll_ctl(http->epoll, EPOLL_CTL_DEL, fd, NULL);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *data)
{
    struct es_http *http = data;

    (void)multi;
    http->curl_due = ms < 0 ? -1 : machine_ms(NULL) + ms;
    return 0;
}

static bool set_up_multi(CURLM *multi, struct es_http *http)
{
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE) == CURLM_OK;
}

/* What failed may be tried again, so nothing stays of it. */
static void end_multi(struct es_http *http)
{
    curl_multi_cleanup(http->multi);
    curl_share_cleanup(http->share);
    curl_global_cleanup();
    es_close(&http->epoll);
    http->multi = NULL;
    http->share = NULL;
}

int http_begin(struct es_http *http, struct es_err *err)
{
    if (http->multi)
        return 0;
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (http->epoll < 0)
        return es_fail_errno(err, ES_INTERNAL, errno, "epoll_create1");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        es_close(&http->epoll);
        return es_fail(err, ES_INTERNAL, ENOMEM, "libcurl cannot be initialised");
    }
    http->share = curl_share_init();
    http->multi = http->share ? curl_multi_init() : NULL;
    if (!http->multi ||
        curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK ||
        !set_up_multi(http->multi, http)) {
        end_multi(http);
        return es_nomem(err);
    }
    return 0;
}

static void free_trusted(struct es_http *http)
{
    while (http->trusted) {
        struct es_http_ca *ca = http->trusted;

        http->trusted = ca->next;
        trust_free(ca);
    }
    trust_free(http->system);
}

void es_http_free(struct es_http *http)
{
    if (!http)
        return;
    if (http->room.clear)
        http->room.clear(http->room.own);
    while (http->lines) {
        struct line *line = http->lines;

        http->lines = line->next;
        line_free(line);
    }
    if (http->multi) {
        curl_multi_cleanup(http->multi);
        curl_share_cleanup(http->share);
        curl_global_cleanup();
    }
    free_trusted(http);
    es_timers_done(&http->timers);
    es_close(&http->epoll);
    free(http);
}

void es_http_freep(struct es_http **http)
{
    es_http_free(*http);
}

/* ---- what sources ask for ---- */

int es_http_send(struct es_http *http, const struct es_http_request *request, struct es_err *err)
{
    struct transfer *t = NULL;
    struct line *line;
    int r = line_find(http, request, &line, err);

    if (r == 0)
        r = http_begin(http, err);
    if (r == 0)
        r = transfer_new(request, &t, err);
    if (r < 0)
        return r;
    line_join(line, t);
    return 0;
}

int es_http_after(struct es_http *http, int ms, void (*fn)(void *data), void *data,
                  struct es_err *err)
{
    return es_timers_add(&http->timers, es_http_now_ms(http) + ms, fn, data) < 0 ? es_nomem(err)
                                                                                 : 0;
}

void es_http_forget(struct es_http *http, const void *data)
{
    es_timers_forget(&http->timers, data);
    for (struct line *line = http->lines; line; line = line->next)
        line_forget(line, data);
}

/* ---- the loop ---- */

/* Ends a transfer that libcurl had. */
static void settle(struct transfer *t, enum es_http_outcome outcome, CURLcode code)
{
    struct line *line = t->line;
    struct seat *seat = t->seat;

    line_leave(line, t, outcome == ES_HTTP_ANSWERED && code == CURLE_OK);
    transfer_done(t, outcome, code);
    transfer_free(t);
    seat->transfer = NULL;
    seat->next = line->free;
    line->free = seat;
}

static void collect(struct es_http *http)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(http->multi, &left))) {
        CURLcode code = msg->data.result;
        struct seat *seat = seat_of(msg->easy_handle);

        if (msg->msg != CURLMSG_DONE)
            continue;
        if (seat->transfer)
            settle(seat->transfer, ES_HTTP_ANSWERED, code);
        else
            ahead_failed(seat);
    }
}

static void expire(struct es_http *http)
{
    for (struct line *line = http->lines; line; line = line->next) {
        while (line->active)
            settle(line->active, ES_HTTP_DEADLINE, CURLE_OPERATION_TIMEDOUT);
        for (size_t n = line->n_queue; n > 0 && line->queue; n--) {
            struct transfer *t = line_take(line);

            transfer_done(t, ES_HTTP_DEADLINE, CURLE_OPERATION_TIMEDOUT);
            transfer_free(t);
        }
    }
}

/* Those that are set meanwhile wait for the next round. */
static void run_timers(struct es_http *http)
{
    uint64_t before = http->timers.numbers;
    int64_t now = es_http_now_ms(http);
    const struct es_timer *first;

    while ((first = es_timers_first(&http->timers)) && first->number < before &&
           (http->over || first->due <= now)) {
        struct es_timer timer = *first;

        es_timers_drop(&http->timers);
        timer.fn(timer.data);
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int until_next(const struct es_http *http)
{
    const struct es_timer *first = es_timers_first(&http->timers);
    int64_t now = es_http_now_ms(http), ms = http->deadline_ms - now;

    if (first)
        ms = sooner(ms, first->due - now);
    if (http->curl_due >= 0)
        ms = sooner(ms, http->curl_due - machine_ms(NULL));
    for (const struct line *line = http->lines; line; line = line->next)
        if (line_grows(line))
            ms = sooner(ms, GROW_MS);
    return ms < 0 ? 0 : (int)sooner(ms, 60000);
}

static void tell(struct es_http *http, const struct epoll_event *event)
{
    int running, what = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                        (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                        (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

    curl_multi_socket_action(http->multi, event->data.fd, what, &running);
}

static bool is_ahead(const struct es_http *http, curl_socket_t fd)
{
    for (const struct line *line = http->lines; line; line = line->next)
        for (const struct seat *seat = line->ahead; seat; seat = seat->next)
            if (seat->fd == fd)
                return true;
    return false;
}

static void wait_and_act(struct es_http *http)
{
    struct epoll_event events[EVENTS];
    int running, n = epoll_wait(http->epoll, events, EVENTS, until_next(http));
    const struct epoll_event *ahead = NULL;
    bool idle = true;

    for (int i = 0; i < n; i++) {
        if (is_ahead(http, events[i].data.fd)) {
            ahead = &events[i];
            continue;
        }
        tell(http, &events[i]);
        idle = false;
    }
    if (http->curl_due >= 0 && http->curl_due <= machine_ms(NULL)) {
        http->curl_due = -1;
        curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        idle = false;
    }
    collect(http);
    /* A handshake takes a while: one, where nothing is there that matters more. */
    if (idle && ahead && is_ahead(http, ahead->data.fd)) {
        tell(http, ahead);
        collect(http);
    }
}

static bool busy(const struct es_http *http)
{
    for (const struct line *line = http->lines; line; line = line->next)
        if (line->n_active || line->n_queue)
            return true;
    return http->timers.n > 0;
}

/* Timers alone: no request was ever sent. */
static void nap(const struct es_http *http)
{
    int ms = until_next(http);
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

int es_http_run(struct es_http *http, const size_t *pending, struct es_err *err)
{
    while (*pending) {
        int64_t now = es_http_now_ms(http);

        if (!busy(http))
            return es_fail(err, ES_INTERNAL, EDEADLK, "a source waits for nothing");
        if (now >= http->deadline_ms + ENDING_MS)
            return es_fail(err, ES_INTERNAL, ETIMEDOUT, "a source does not end");
        http->over = now >= http->deadline_ms;
        if (http->over)
            expire(http);
        run_timers(http);
        for (struct line *line = http->lines; line && !http->over; line = line->next)
            line_start(line);
        if (*pending == 0 || http->over)
            continue;
        if (http->multi)
            wait_and_act(http);
        else
            nap(http);
    }
    return 0;
}
