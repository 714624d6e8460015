/* A line per host: who waits, who goes, and how many at once.
 *
 * HOW MANY
 *     n requests in k waves need n / k connections and k times the time to the first byte; and
 *     every new connection costs some time of this machine (and the other one) beyond its round
 *     trips, which all make together. Of all k the cheapest is taken. So 20 objects over a link of
 *     1 ms go over a few connections, over 20 ms all at once, and 2,000 with 20 ms of service over
 *     96. Times are measured as they come, a round trip with the first connection; and an answer
 *     that has not come yet, in the handshake too, has taken so long already.
 *
 * Handles are kept with all options set that the line's requests have in common. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a connection costs this machine, or about: between a full handshake and a resumed one, and a
 * full one where it is only guessed that it will be needed. */
static const double SETUP_MS = 1, GUESSED_MS = 1.5;

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

void seat_free(struct seat *seat)
{
    if (!seat)
        return;
    curl_easy_cleanup(seat->easy);
    free(seat);
}

/* Called when the connection stands: never without a request. */
static int on_ready(void *data, char *ip, char *local_ip, int port, int local_port)
{
    struct seat *seat = data;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    seat->asked_us = http_now_us();
    return seat->transfer ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static int on_new_socket(void *data, curl_socket_t fd, curlsocktype purpose)
{
    struct seat *seat = data;

    (void)purpose;
    seat->fd = fd;
    seat->began_us = http_now_us();
    return CURL_SOCKOPT_OK;
}

/* What no request may change. */
static bool set_rules(const struct line *line, struct seat *seat)
{
    CURL *easy = seat->easy;
    bool ok = true;

#define SET(option, value) (ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK)
    SET(CURLOPT_ERRORBUFFER, seat->error);
    SET(CURLOPT_URL, line->origin);
    SET(CURLOPT_PRIVATE, seat);
    SET(CURLOPT_PREREQFUNCTION, on_ready);
    SET(CURLOPT_PREREQDATA, seat);
    SET(CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    SET(CURLOPT_SOCKOPTDATA, seat);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, line->tls ? "https" : "http");
#else
    SET(CURLOPT_PROTOCOLS, line->tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP);
#endif
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)STALL_RATE);
    SET(CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    SET(CURLOPT_SHARE, line->http->share);
    SET(CURLOPT_PROXY, line->proxy ? line->proxy : "");
    SET(CURLOPT_NOPROXY, line->proxy ? "" : "*");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver that was given up */
#endif
    if (line->tls) {
        SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        SET(CURLOPT_SSL_VERIFYPEER, 1L);
        SET(CURLOPT_SSL_VERIFYHOST, 2L);
        SET(CURLOPT_CAINFO, NULL); /* trust.c's store takes the place of these two */
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_SSL_CTX_FUNCTION, trust_apply);
        SET(CURLOPT_SSL_CTX_DATA, (void *)(uintptr_t)line->ca);
    }
#undef SET
    return ok;
}

struct seat *seat_take(struct line *line)
{
    struct seat *seat = line->free;

    if (seat) {
        line->free = seat->next;
        seat->error[0] = '\0';
        seat->fd = CURL_SOCKET_BAD;
        seat->began_us = seat->asked_us = 0;
        seat->held = seat->ahead = false;
        return seat;
    }
    seat = calloc(1, sizeof *seat);
    if (!seat)
        return NULL;
    seat->line = line;
    seat->fd = CURL_SOCKET_BAD;
    seat->easy = curl_easy_init();
    if (seat->easy && set_rules(line, seat))
        return seat;
    seat_free(seat);
    return NULL;
}

void line_free(struct line *line)
{
    struct transfer *t;

    while ((t = line->active)) {
        line->active = t->next;
        curl_multi_remove_handle(line->http->multi, t->seat->easy);
        seat_free(t->seat);
        transfer_free(t);
    }
    while ((t = line->queue)) {
        line->queue = t->next;
        transfer_free(t);
    }
    ahead_free(line);
    while (line->free) {
        struct seat *seat = line->free;

        line->free = seat->next;
        seat_free(seat);
    }
    free(line->origin);
    free(line->proxy);
    free(line);
}

/* "https://host:port" of the URL, without which there is no request. Credentials in it are refused:
 * they would be shown. */
static int origin_of(const struct es_http_request *request, char **ret, bool *ret_tls,
                     struct es_err *err)
{
    bool tls = strncmp(request->url, "https://", 8) == 0;
    const char *host = request->url + (tls ? 8 : 7);
    size_t len;

    if (!tls && (strncmp(request->url, "http://", 7) != 0 || !(request->flags & ES_HTTP_PLAIN_OK)))
        return es_fail(err, ES_CONFIG, EINVAL, "only https is spoken here");
    len = strcspn(host, "/?#");
    if (len == 0 || memchr(host, '@', len))
        return es_fail(err, ES_CONFIG, EINVAL, "a URL without a host, or with credentials");
    *ret = strndup(request->url, (size_t)(host - request->url) + len);
    *ret_tls = tls;
    return *ret ? 0 : es_nomem(err);
}

static int line_new(struct es_http *http, char **origin, bool tls, const char *proxy,
                    const struct es_http_ca *ca, struct line **ret, struct es_err *err)
{
    struct line *line = calloc(1, sizeof *line);

    if (!line)
        return es_nomem(err);
    if (proxy) {
        line->proxy = strdup(proxy);
        if (!line->proxy) {
            free(line);
            return es_nomem(err);
        }
    }
    line->http = http;
    line->origin = *origin;
    *origin = NULL;
    line->tls = tls;
    line->ca = ca;
    line->queue_end = &line->queue;
    line->next = http->lines;
    http->lines = line;
    *ret = line;
    return 0;
}

int line_find(struct es_http *http, const struct es_http_request *request, struct line **ret,
              struct es_err *err)
{
    ES_CLEANUP(es_freep) char *origin = NULL;
    const char *proxy = request->flags & ES_HTTP_NO_PROXY ? NULL : request->proxy;
    const struct es_http_ca *ca = request->ca;
    bool tls = true;
    int r = origin_of(request, &origin, &tls, err);

    if (r == 0 && tls && !ca)
        r = trust_system(http, &ca, err);
    if (r < 0)
        return r;
    if (!tls)
        ca = NULL;
    for (struct line *line = http->lines; line; line = line->next)
        if (line->ca == ca && strcmp(line->origin, origin) == 0 && same(line->proxy, proxy)) {
            *ret = line;
            return 0;
        }
    return line_new(http, &origin, tls, proxy, ca, ret, err);
}

void line_join(struct line *line, struct transfer *t)
{
    ahead_arrived(line, t);
    t->line = line;
    t->next = NULL;
    line->n_queue++;
    if (t->first && line->queue) {
        t->next = line->queue;
        line->queue = t;
    } else {
        *line->queue_end = t;
        line->queue_end = &t->next;
    }
}

/* The time to the first byte: as it was seen, or as long as the oldest open request has waited. */
static double wait_of(const struct line *line, int64_t now_us)
{
    double wait = line->wait_ms > line->rtt_ms ? line->wait_ms : line->rtt_ms;

    if (line->wait_ms > 0)
        return wait;
    for (const struct transfer *t = line->active; t; t = t->next) {
        double spent = t->seat->asked_us ? (double)(now_us - t->seat->asked_us) / 1000 : 0;

        if (spent > wait)
            wait = spent;
    }
    return wait;
}

size_t line_width(const struct line *line, int64_t now_us)
{
    size_t n = line->n_queue + line->n_active + ahead_expected(line);
    double setup = line->n_queue == 0 && ahead_guessed(line) ? GUESSED_MS : SETUP_MS;
    double wait, least = 0;
    size_t best = MIN_CONNECTIONS, have = line->n_active + line->n_idle + line->n_ahead;

    if (line->rtt_ms <= 0)
        return FIRST_CONNECTIONS;
    wait = wait_of(line, now_us);
    for (size_t waves = n / MAX_CONNECTIONS + 1; waves <= n; waves++) {
        size_t width = (n + waves - 1) / waves;
        double cost = (double)waves * wait + (width > have ? (double)(width - have) * setup : 0);

        if (width < MIN_CONNECTIONS)
            break;
        if (least <= 0 || cost < least) {
            least = cost;
            best = width;
        }
        if (width <= have)
            break; /* more waves would only cost more */
    }
    return best < MAX_CONNECTIONS ? best : MAX_CONNECTIONS;
}

bool line_grows(const struct line *line)
{
    return line->n_active > 0 && line->wait_ms <= 0 && line->rtt_ms > 0 &&
           line->n_active + line->n_ahead < MAX_CONNECTIONS &&
           line->n_queue + ahead_expected(line) > line->n_ahead;
}

void line_learn_rtt(struct line *line, int64_t us)
{
    double ms = (double)us / 1000;

    if (ms < 0.05)
        ms = 0.05;
    if (line->rtt_ms <= 0 || ms < line->rtt_ms)
        line->rtt_ms = ms;
}

struct transfer *line_take(struct line *line)
{
    struct transfer *t = line->queue;

    line->queue = t->next;
    if (!line->queue)
        line->queue_end = &line->queue;
    line->n_queue--;
    return t;
}

/* A connection that has nothing to do goes before one that was opened ahead, and that before a new
 * one. */
static struct seat *seat_for(struct line *line, const struct transfer *t)
{
    struct seat *seat = line->n_idle ? NULL : ahead_take(line, t);

    if (line->n_idle)
        line->n_idle--;
    return seat ? seat : seat_take(line);
}

static void start(struct line *line, struct transfer *t)
{
    struct seat *seat = seat_for(line, t);

    if (!seat || !transfer_seat(t, seat) ||
        (!seat->ahead && curl_multi_add_handle(line->http->multi, seat->easy) != CURLM_OK)) {
        if (seat && seat->ahead)
            curl_multi_remove_handle(line->http->multi, seat->easy);
        seat_free(seat);
        t->seat = NULL;
        transfer_done(t, ES_HTTP_FAULT, CURLE_OUT_OF_MEMORY);
        transfer_free(t);
        return;
    }
    t->next = line->active;
    line->active = t;
    line->n_active++;
    if (seat->ahead)
        ahead_let_go(seat);
}

void line_start(struct line *line)
{
    int64_t now_us = http_now_us();

    while (line->n_queue && line->n_active < line_width(line, now_us))
        start(line, line_take(line));
    ahead_start(line, now_us);
}

/* Falls fast and rises slowly: many connections at once make each other wait, and must not be taken
 * for a reason to open more. */
static void smooth(double *value, curl_off_t from_us, curl_off_t to_us)
{
    double ms = (double)(to_us - from_us) / 1000;

    if (ms < 0.05)
        ms = 0.05;
    if (*value <= 0)
        *value = ms;
    else
        *value += (ms - *value) / (ms < *value ? 2 : 8);
}

static void measure(struct line *line, CURL *easy)
{
    curl_off_t name = 0, connect = 0, ready = 0, first = 0;
    long connects = 0;

    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &name);
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connect);
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    if (connects > 0)
        line_learn_rtt(line, connect - name);
    smooth(&line->wait_ms, ready, first);
}

void line_leave(struct line *line, struct transfer *t, bool learn)
{
    struct transfer **p = &line->active;

    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    line->n_active--;
    curl_multi_remove_handle(line->http->multi, t->seat->easy);
    if (learn) {
        measure(line, t->seat->easy);
        line->n_idle++;
    }
}

void line_forget(struct line *line, const void *data)
{
    for (struct transfer *t = line->active, *next; t; t = next) {
        next = t->next;
        if (t->data != data)
            continue;
        line_leave(line, t, false);
        seat_free(t->seat);
        transfer_free(t);
    }
    for (struct transfer **p = &line->queue; *p;) {
        struct transfer *t = *p;

        if (t->data != data) {
            p = &t->next;
            continue;
        }
        *p = t->next;
        line->n_queue--;
        transfer_free(t);
    }
    line->queue_end = &line->queue;
    while (*line->queue_end)
        line->queue_end = &(*line->queue_end)->next;
}
