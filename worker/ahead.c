/* Connections before their requests: while a listing or credentials are still under way, name, TCP
 * and TLS of what will be asked for next cost no time any more.
 *
 * HOW
 *     A handle is given to libcurl without its request and connects. Before its last step, which
 *     would send the request, its socket is no longer watched, so libcurl sleeps: over TLS the
 *     server's half of the handshake waits in the socket, without TLS the connection stands. When
 *     the request is there it is put on the handle, and the socket is watched again.
 *     A timer of libcurl's would wake it all the same. That for the second address family is put
 *     off until long after, but where the request is about to come; should one wake it,
 *     CURLOPT_PREREQFUNCTION (line.c) stops it before anything is sent.
 *
 * A request fits where its method and the length of its body are as announced: libcurl fixes these
 * two at the beginning. Nothing here is an error: who finds no connection ahead opens one. Not by a
 * proxy, whose own answers come in between. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static char kind_of(const char *method)
{
    return strcmp(method, "GET") == 0 ? 'G' : strcmp(method, "POST") == 0 ? 'P' : '\0';
}

void ahead_free(struct line *line)
{
    while (line->ahead) {
        struct seat *seat = line->ahead;

        line->ahead = seat->next;
        curl_multi_remove_handle(line->http->multi, seat->easy);
        seat_free(seat);
    }
    line->n_ahead = 0;
    while (line->wishes) {
        struct wish *wish = line->wishes;

        line->wishes = wish->next;
        free(wish);
    }
}

static struct wish *find(struct line *line, char method, size_t body_len, bool soon)
{
    struct wish *wish = line->wishes;

    while (wish && (wish->method != method || wish->body_len != body_len || wish->soon != soon))
        wish = wish->next;
    return wish;
}

void es_http_ahead(struct es_http *http, const struct es_http_request *like, size_t n, bool soon)
{
    struct line *line;
    struct wish *wish;
    struct es_err ignored;
    char method = kind_of(like->method);

    if (!method || line_find(http, like, &line, &ignored) < 0 || line->proxy ||
        http_begin(http, &ignored) < 0)
        return;
    wish = find(line, method, like->body_len, soon);
    if (!wish) {
        wish = calloc(1, sizeof *wish);
        if (!wish)
            return;
        *wish = (struct wish){
            .next = line->wishes, .method = method, .soon = soon, .body_len = like->body_len};
        line->wishes = wish;
    }
    wish->n += n;
}

void es_http_no_more(struct es_http *http, const struct es_http_request *like)
{
    struct line *line;
    struct es_err ignored;

    if (line_find(http, like, &line, &ignored) < 0)
        return;
    for (struct wish *wish = line->wishes; wish; wish = wish->next)
        if (wish->method == kind_of(like->method))
            wish->n = 0;
}

void ahead_arrived(struct line *line, const struct transfer *t)
{
    struct wish *wish = find(line, kind_of(t->method), t->body.len, true);

    if (!wish || wish->n == 0)
        wish = find(line, kind_of(t->method), t->body.len, false);
    if (wish && wish->n > 0)
        wish->n--;
}

size_t ahead_expected(const struct line *line)
{
    size_t n = 0;

    for (const struct wish *wish = line->wishes; wish; wish = wish->next)
        n += wish->n;
    return n;
}

bool ahead_guessed(const struct line *line)
{
    for (const struct wish *wish = line->wishes; wish; wish = wish->next)
        if (wish->n > 0 && !wish->soon)
            return true;
    return false;
}

static void unlink_seat(struct seat *seat)
{
    struct seat **p = &seat->line->ahead;

    while (*p != seat)
        p = &(*p)->next;
    *p = seat->next;
    seat->line->n_ahead--;
}

struct seat *ahead_take(struct line *line, const struct transfer *t)
{
    char method = kind_of(t->method);
    struct seat *best = NULL;

    for (struct seat *seat = line->ahead; seat && t->timeout_ms == 0; seat = seat->next)
        /* One that has not come through yet may be on a way that leads nowhere. */
        if (seat->method == method && seat->body_len == t->body.len &&
            (seat->held || (seat->soon && !best)))
            best = seat;
    if (best)
        unlink_seat(best);
    return best;
}

void ahead_let_go(struct seat *seat)
{
    if (seat->held)
        http_watch(seat->line->http, seat->fd, seat->waits_for);
    seat->held = false;
}

void ahead_failed(struct seat *seat)
{
    struct wish *wish = find(seat->line, seat->method, seat->body_len, seat->soon);

    /* Not once more: the next would fare no better. */
    if (wish && wish->n > 0)
        wish->n--;
    unlink_seat(seat);
    curl_multi_remove_handle(seat->line->http->multi, seat->easy);
    seat_free(seat);
}

int ahead_hold(struct seat *seat, curl_socket_t fd, int what)
{
    bool last = what == (seat->line->tls ? CURL_POLL_IN : CURL_POLL_OUT);

    if (fd != seat->fd || !seat->began_us)
        return what;
    /* TCP stands once libcurl has gone on to TLS. */
    if (seat->line->tls && what == CURL_POLL_IN && !seat->asked_us) {
        seat->asked_us = http_now_us();
        line_learn_rtt(seat->line, seat->asked_us - seat->began_us);
    }
    if (seat->transfer || !last)
        return what;
    seat->held = true;
    seat->waits_for = what;
    return 0;
}

/* ---- opening ---- */

static bool set_up(struct seat *seat, const struct wish *wish)
{
    CURL *easy = seat->easy;
    bool ok;

    seat->ahead = true;
    seat->soon = wish->soon;
    seat->method = wish->method;
    seat->body_len = wish->body_len;
    ok = curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS,
                          wish->soon ? CURL_HET_DEFAULT : 2L * AHEAD_MS) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 0L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    if (ok && wish->method == 'P')
        ok = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "") == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)wish->body_len) ==
                 CURLE_OK;
    return ok;
}

static bool open_one(struct line *line, const struct wish *wish)
{
    struct seat *seat = seat_take(line);

    if (!seat)
        return false;
    if (!set_up(seat, wish) || curl_multi_add_handle(line->http->multi, seat->easy) != CURLM_OK) {
        seat_free(seat);
        return false;
    }
    seat->next = line->ahead;
    line->ahead = seat;
    line->n_ahead++;
    return true;
}

static size_t have(const struct line *line, const struct wish *wish)
{
    size_t n = 0;

    for (const struct seat *seat = line->ahead; seat; seat = seat->next)
        n += seat->method == wish->method && seat->body_len == wish->body_len &&
             seat->soon == wish->soon;
    return n;
}

/* No server waits for ever for the other half of a handshake. */
static void give_up_old(struct line *line, int64_t now_us)
{
    struct seat *next;

    for (struct seat *seat = line->ahead; seat; seat = next) {
        next = seat->next;
        if (seat->began_us && now_us - seat->began_us > AHEAD_MS * INT64_C(1000))
            ahead_failed(seat);
    }
}

void ahead_start(struct line *line, int64_t now_us)
{
    size_t width;

    give_up_old(line, now_us);
    if (!line->wishes || line->n_queue > 0)
        return;
    width = line_width(line, now_us);
    for (const struct wish *wish = line->wishes; wish; wish = wish->next)
        for (size_t n = have(line, wish) + line->n_idle;
             n < wish->n && line->n_active + line->n_ahead + line->n_idle < width; n++)
            if (!open_one(line, wish))
                return;
}
