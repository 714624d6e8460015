/* A line per host: who waits, who goes, and how many at once.
 *
 * HOW MANY
 *     One more connection costs a handshake; waiting in line costs (those who wait) x (time to the
 *     first byte) / (connections). The width is where the two meet: n * wait / handshake, from 4 to
 *     64. So 20 objects over a link of 1 ms go over a few connections, and 2,000 with 20 ms of
 *     service over 64. Both times are measured as answers come; before the first it is 6.
 *
 * Handles are kept with all options set that the line's requests have in common. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void seat_free(struct seat *seat)
{
    if (!seat)
        return;
    curl_easy_cleanup(seat->easy);
    free(seat);
}

/* What no request may change. */
static bool set_rules(const struct line *line, struct seat *seat)
{
    CURL *easy = seat->easy;
    bool ok = true;

#define SET(option, value) (ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK)
    SET(CURLOPT_ERRORBUFFER, seat->error);
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

static struct seat *seat_take(struct line *line)
{
    struct seat *seat = line->free;

    if (seat) {
        line->free = seat->next;
        seat->error[0] = '\0';
        return seat;
    }
    seat = calloc(1, sizeof *seat);
    if (!seat)
        return NULL;
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
    t->line = line;
    t->next = NULL;
    *line->queue_end = t;
    line->queue_end = &t->next;
    line->n_queue++;
}

size_t line_width(const struct line *line)
{
    double width = FIRST_CONNECTIONS;

    if (line->handshake_ms > 0 && line->wait_ms > 0) {
        width = (double)(line->n_queue + line->n_active) * line->wait_ms / line->handshake_ms;
        if (width < MIN_CONNECTIONS)
            width = MIN_CONNECTIONS;
    }
    return width > MAX_CONNECTIONS ? MAX_CONNECTIONS : (size_t)width;
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

void line_start(struct line *line)
{
    while (line->n_queue && line->n_active < line_width(line)) {
        struct transfer *t = line_take(line);
        struct seat *seat = seat_take(line);

        if (!seat || !transfer_seat(t, seat) ||
            curl_multi_add_handle(line->http->multi, seat->easy) != CURLM_OK) {
            seat_free(seat);
            t->seat = NULL;
            transfer_done(t, ES_HTTP_FAULT, CURLE_OUT_OF_MEMORY);
            transfer_free(t);
            continue;
        }
        t->next = line->active;
        line->active = t;
        line->n_active++;
    }
}

static void smooth(double *value, curl_off_t from_us, curl_off_t to_us)
{
    double ms = (double)(to_us - from_us) / 1000;

    if (ms < 0.05)
        ms = 0.05;
    *value = *value > 0 ? (3 * *value + ms) / 4 : ms;
}

static void measure(struct line *line, CURL *easy)
{
    curl_off_t name = 0, connect = 0, app = 0, ready = 0, first = 0;
    long connects = 0;

    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &name);
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connect);
    curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &app);
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    if (connects > 0)
        smooth(&line->handshake_ms, name, app ? app : connect);
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
    if (learn)
        measure(line, t->seat->easy);
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
