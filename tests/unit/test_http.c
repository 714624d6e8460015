/* The loop without a network: timers, the deadline, widths, and what is refused before it is sent.
 */
#include "worker/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A clock that goes on by itself whenever somebody looks. */
struct fake {
    int64_t ms, step;
};

static int64_t fake_ms(void *data)
{
    struct fake *fake = data;

    return fake->ms += fake->step;
}

static int64_t fake_time(void *data)
{
    (void)data;
    return 1767323045;
}

static uint32_t fake_random(void *data)
{
    (void)data;
    return 1u << 31;
}

static struct es_http *loop(struct fake *fake, int64_t ms)
{
    struct es_http_clock clock = {fake_ms, fake_time, fake_random, fake};
    struct es_http *http = NULL;
    struct es_err err;

    assert_int_equal(es_http_new(&clock, ms, &http, &err), 0);
    return http;
}

struct seen {
    char order[16];
    size_t n, pending;
    enum es_http_outcome outcome;
};

static void note(struct seen *seen, char c)
{
    seen->order[seen->n++] = c;
    seen->pending--;
}

static void on_a(void *data)
{
    note(data, 'a');
}

static void on_b(void *data)
{
    note(data, 'b');
}

static void on_c(void *data)
{
    note(data, 'c');
}

static void on_done(void *data, const struct es_http_answer *answer)
{
    struct seen *seen = data;

    seen->outcome = answer->outcome;
    note(seen, 'd');
}

static void test_timers_come_by_time_and_then_by_order(void **state)
{
    struct fake fake = {.step = 1};
    struct es_http *http = loop(&fake, 100000);
    struct seen seen = {.pending = 4};
    struct es_err err;

    (void)state;
    assert_int_equal(es_http_after(http, 40, on_c, &seen, &err), 0);
    assert_int_equal(es_http_after(http, 20, on_a, &seen, &err), 0);
    assert_int_equal(es_http_after(http, 19, on_b, &seen, &err), 0); /* 1 ms later by the clock */
    assert_int_equal(es_http_after(http, 0, on_c, &seen, &err), 0);
    assert_int_equal(es_http_run(http, &seen.pending, &err), 0);
    assert_string_equal(seen.order, "cabc");
    es_http_free(http);
}

static void test_at_the_deadline_every_timer_is_due(void **state)
{
    struct fake fake = {.step = 300};
    struct es_http *http = loop(&fake, 1000);
    struct seen seen = {.pending = 2};
    struct es_err err;

    (void)state;
    assert_int_equal(es_http_after(http, 1000000, on_a, &seen, &err), 0);
    assert_int_equal(es_http_after(http, 2000000, on_b, &seen, &err), 0);
    assert_int_equal(es_http_run(http, &seen.pending, &err), 0);
    assert_string_equal(seen.order, "ab");
    es_http_free(http);
}

static void test_what_was_forgotten_is_not_called(void **state)
{
    struct fake fake = {.step = 1};
    struct es_http *http = loop(&fake, 10000);
    struct seen seen = {.pending = 1}, other = {.pending = 1};
    struct es_err err;

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(es_http_after(http, 10 - i, on_b, &other, &err), 0);
    assert_int_equal(es_http_after(http, 5, on_a, &seen, &err), 0);
    es_http_forget(http, &other);
    assert_int_equal(es_http_run(http, &seen.pending, &err), 0);
    assert_string_equal(seen.order, "a");
    assert_int_equal(other.n, 0);
    es_http_free(http);
}

static void test_a_loop_that_waits_for_nothing_says_so(void **state)
{
    struct fake fake = {.step = 1};
    struct es_http *http = loop(&fake, 10000);
    size_t pending = 1;
    struct es_err err = {0};

    (void)state;
    assert_true(es_http_run(http, &pending, &err) < 0);
    assert_int_equal(err.class, ES_INTERNAL);
    es_http_free(http);
}

static struct es_http_request get(const char *url, struct seen *seen)
{
    return (struct es_http_request){.method = "GET",
                                    .url = url,
                                    .max_body = 10,
                                    .flags = ES_HTTP_PLAIN_OK,
                                    .on_done = on_done,
                                    .data = seen};
}

static void test_a_request_that_comes_too_late_ends_with_the_deadline(void **state)
{
    struct fake fake = {.step = 0};
    struct es_http *http = loop(&fake, 0);
    struct seen seen = {.pending = 1};
    struct es_http_request request = get("http://127.0.0.1:1/", &seen);
    struct es_err err;

    (void)state;
    assert_int_equal(es_http_send(http, &request, &err), 0);
    assert_int_equal(es_http_run(http, &seen.pending, &err), 0);
    assert_int_equal(seen.outcome, ES_HTTP_DEADLINE);
    es_http_free(http);
}

static void test_a_forgotten_request_is_not_called(void **state)
{
    struct fake fake = {.step = 0};
    struct es_http *http = loop(&fake, 1000);
    struct seen seen = {.pending = 1};
    struct es_http_request request = get("http://127.0.0.1:1/", &seen);
    struct es_err err;

    (void)state;
    assert_int_equal(es_http_send(http, &request, &err), 0);
    es_http_forget(http, &seen);
    assert_true(es_http_run(http, &seen.pending, &err) < 0);
    assert_int_equal(seen.n, 0);
    es_http_free(http);
}

static void test_nothing_is_initialised_before_the_first_request(void **state)
{
    struct fake fake = {.step = 0};
    struct es_http *http = loop(&fake, 1000);

    (void)state;
    assert_null(http->multi);
    assert_int_equal(http->epoll, -1);
    assert_null(http->system);
    es_http_free(http);
}

static void refused(struct es_http_request request)
{
    struct fake fake = {.step = 0};
    struct es_http *http = loop(&fake, 1000);
    struct es_err err = {0};

    assert_true(es_http_send(http, &request, &err) < 0);
    assert_true(err.msg[0] != '\0');
    es_http_free(http);
}

static void test_requests_against_the_rules_are_refused(void **state)
{
    static const char *const broken[] = {"Name: a\r\nInjected: b"};
    struct es_http_request plain = get("http://127.0.0.1/", NULL);
    struct es_http_request split = get("http://127.0.0.1/", NULL);
    struct es_http_request method = get("http://127.0.0.1/", NULL);

    (void)state;
    plain.flags = 0;
    split.headers = broken;
    split.n_headers = 1;
    method.method = "DELETE";
    refused(plain);
    refused(split);
    refused(method);
    refused(get("http://user:password@127.0.0.1/", NULL));
    refused(get("file:///etc/passwd", NULL));
    refused(get("http:///x", NULL));
    refused(get("http://127.0.0.1/a b", NULL));
    refused(get("http://127.0.0.1/a\nb", NULL));
}

static size_t width(size_t n, double rtt_ms, double wait_ms)
{
    struct line line = {.n_queue = n, .rtt_ms = rtt_ms, .wait_ms = wait_ms};

    return line_width(&line, 0);
}

static void test_connections_are_as_many_as_waiting_is_worth(void **state)
{
    (void)state;
    assert_int_equal(width(1000, 0, 0), FIRST_CONNECTIONS); /* nothing is known yet */
    assert_in_range(width(20, 1, 1.1), 4, 8);               /* a near host */
    assert_in_range(width(20, 1, 21), 20, 32);              /* 20 ms of service: all at once */
    assert_in_range(width(2000, 1, 21), 90, 96);            /* and never more than that */
    assert_in_range(width(50, 20, 0), 25, 50);              /* a far host, before it answered */
    assert_int_equal(width(1, 0.05, 0.05), MIN_CONNECTIONS);
}

static void test_an_answer_that_has_not_come_has_taken_so_long_already(void **state)
{
    struct seat seat = {.asked_us = 1000};
    struct transfer active = {.seat = &seat};
    struct wish wish = {.method = 'G', .n = 24};
    struct line line = {.active = &active, .n_active = 1, .wishes = &wish, .rtt_ms = 1};

    (void)state;
    assert_true(line_grows(&line));
    assert_in_range(line_width(&line, 2000), 4, 8);
    assert_in_range(line_width(&line, 21000), 20, 32);
    line.wait_ms = 1.2; /* it came: no more guessing */
    assert_false(line_grows(&line));
    assert_in_range(line_width(&line, 21000), 4, 9);
}

static void test_texts_without_a_certificate_are_not_trusted(void **state)
{
    struct fake fake = {.step = 0};
    struct es_http *http = loop(&fake, 1000);
    const struct es_http_ca *ca = NULL;
    struct es_err err = {0};

    (void)state;
    assert_true(es_http_trust(http, "", 0, &ca, &err) < 0);
    assert_int_equal(err.class, ES_CONFIG);
    assert_true(es_http_trust(http, "text", 4, &ca, &err) < 0);
    assert_null(ca);
    es_http_free(http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_come_by_time_and_then_by_order),
        cmocka_unit_test(test_at_the_deadline_every_timer_is_due),
        cmocka_unit_test(test_what_was_forgotten_is_not_called),
        cmocka_unit_test(test_a_loop_that_waits_for_nothing_says_so),
        cmocka_unit_test(test_a_request_that_comes_too_late_ends_with_the_deadline),
        cmocka_unit_test(test_a_forgotten_request_is_not_called),
        cmocka_unit_test(test_nothing_is_initialised_before_the_first_request),
        cmocka_unit_test(test_requests_against_the_rules_are_refused),
        cmocka_unit_test(test_connections_are_as_many_as_waiting_is_worth),
        cmocka_unit_test(test_an_answer_that_has_not_come_has_taken_so_long_already),
        cmocka_unit_test(test_texts_without_a_certificate_are_not_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
