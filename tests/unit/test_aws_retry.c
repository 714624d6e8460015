/* Retries: the tables, the delays, the end, and a fleet that boots together. */
#include "../../providers/aws/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct es_aws_answer answer(int status, const char *code)
{
    return (struct es_aws_answer){
        .status = status, .code = code, .retry_after_ms = -1, .retry_after = -1};
}

static enum es_aws_verdict verdict(int status, const char *code)
{
    struct es_aws_answer a = answer(status, code);

    return es_aws_classify(&a);
}

static void answers_are_classified_by_code_then_status(void **state)
{
    (void)state;
    assert_int_equal(verdict(200, NULL), ES_AWS_OK);
    assert_int_equal(verdict(206, ""), ES_AWS_OK);
    assert_int_equal(verdict(200, "InternalError"), ES_AWS_TRANSIENT);
    assert_int_equal(verdict(200, "SlowDown"), ES_AWS_THROTTLED);
    assert_int_equal(verdict(400, "ThrottlingException"), ES_AWS_THROTTLED);
    assert_int_equal(verdict(503, "SlowDown"), ES_AWS_THROTTLED);
    assert_int_equal(verdict(429, NULL), ES_AWS_THROTTLED);
    assert_int_equal(verdict(503, NULL), ES_AWS_TRANSIENT);
    assert_int_equal(verdict(500, "InternalServerError"), ES_AWS_TRANSIENT);
    assert_int_equal(verdict(400, "RequestTimeout"), ES_AWS_TRANSIENT);
    assert_int_equal(verdict(400, "IDPCommunicationError"), ES_AWS_TRANSIENT);
    assert_int_equal(verdict(400, "ExpiredTokenException"), ES_AWS_EXPIRED);
    assert_int_equal(verdict(403, "ExpiredToken"), ES_AWS_EXPIRED);
    assert_int_equal(verdict(501, NULL), ES_AWS_FATAL);
    assert_int_equal(verdict(403, "AccessDenied"), ES_AWS_FATAL);
    assert_int_equal(verdict(404, "NoSuchKey"), ES_AWS_FATAL);
    assert_int_equal(verdict(412, "PreconditionFailed"), ES_AWS_FATAL);
    assert_int_equal(verdict(400, "ValidationException"), ES_AWS_FATAL);
    assert_int_equal(verdict(301, NULL), ES_AWS_FATAL);
}

static void broken_transports_are_tried_again_but_no_bad_certificate(void **state)
{
    struct es_aws_answer a = answer(0, NULL);

    (void)state;
    for (a.transport = ES_AWS_NO_DNS; a.transport <= ES_AWS_BODY_BROKEN; a.transport++)
        assert_int_equal(es_aws_classify(&a), ES_AWS_TRANSIENT);
    a.transport = ES_AWS_CERTIFICATE;
    assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
    a.transport = ES_AWS_REFUSED;
    assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
    a = answer(200, NULL);
    a.transport = ES_AWS_BODY_BROKEN;
    assert_int_equal(es_aws_classify(&a), ES_AWS_TRANSIENT);
}

static void a_wrong_clock_is_believed_only_with_a_date_that_is_off(void **state)
{
    static const char *const codes[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                        "AuthFailure", "RequestTimeTooSkewed",
                                        "AccessDeniedException"};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct es_aws_answer a = answer(403, codes[i]);

        assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
        a.skew = -241;
        assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
        a.dated = true;
        assert_int_equal(es_aws_classify(&a), ES_AWS_CLOCK);
        a.skew = 240;
        assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
        a.skew = 241;
        assert_int_equal(es_aws_classify(&a), ES_AWS_CLOCK);
    }
}

static void another_region_is_looked_for_only_by_s3(void **state)
{
    struct es_aws_answer a = answer(301, "PermanentRedirect");

    (void)state;
    assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
    a.s3 = true;
    assert_int_equal(es_aws_classify(&a), ES_AWS_WRONG_REGION);
    a = answer(307, NULL);
    a.s3 = a.head = true;
    assert_int_equal(es_aws_classify(&a), ES_AWS_WRONG_REGION);
    a.status = 400;
    assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
    a.region = true;
    assert_int_equal(es_aws_classify(&a), ES_AWS_WRONG_REGION);
    a = answer(400, "AuthorizationHeaderMalformed");
    a.s3 = true;
    assert_int_equal(es_aws_classify(&a), ES_AWS_FATAL);
    a.region = true;
    assert_int_equal(es_aws_classify(&a), ES_AWS_WRONG_REGION);
}

static void delays_double_to_the_cap(void **state)
{
    static const int64_t throttled[] = {999, 1999, 3999, 7999, 15999, 19999, 19999};
    static const int64_t transient[] = {49, 99, 199, 399, 799, 1599, 3199, 6399, 12799, 19999};
    struct es_aws_answer slow = answer(400, "ThrottlingException"), broken = answer(500, NULL);
    struct es_aws_budget budget;
    struct es_aws_retry retry = {0};
    int64_t delay;

    (void)state;
    es_aws_budget_init(&budget);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(es_aws_retry(&retry, &budget, &slow, 0, 1 << 30, UINT32_MAX, &delay),
                         ES_AWS_THROTTLED);
        assert_int_equal(delay, throttled[i]);
    }
    retry = (struct es_aws_retry){0};
    for (size_t i = 0; i < 10; i++) {
        es_aws_retry(&retry, &budget, &broken, 0, 1 << 30, UINT32_MAX, &delay);
        assert_int_equal(delay, transient[i]);
    }
    es_aws_retry(&retry, &budget, &broken, 0, 1 << 30, 0, &delay);
    assert_int_equal(delay, 0);
    assert_int_equal(budget.tokens, 500 - 7 * 5 - 11 * 14);
}

static void hints_of_the_server_are_followed_within_bounds(void **state)
{
    static const struct {
        int64_t ms, seconds, delay; /* with a backoff of 500 ms */
    } rows[] = {
        {-1, -1, 500},          {0, -1, 500},   {700, -1, 700}, {99999, -1, 5500},
        {INT64_MAX, -1, 5500},  {-1, 0, 500},   {-1, 3, 3000},  {-1, 100, 20000},
        {-1, INT64_MAX, 20000}, {700, 10, 700},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct es_aws_answer a = answer(503, "SlowDown");
        struct es_aws_budget budget;
        struct es_aws_retry retry = {0};
        int64_t delay;

        a.retry_after_ms = rows[i].ms;
        a.retry_after = rows[i].seconds;
        es_aws_budget_init(&budget);
        es_aws_retry(&retry, &budget, &a, 0, 1 << 30, 1u << 31, &delay);
        assert_int_equal(delay, rows[i].delay);
    }
}

static void repairs_are_tried_once_each_and_at_once(void **state)
{
    struct es_aws_answer expired = answer(403, "ExpiredToken");
    struct es_aws_answer skewed = answer(403, "RequestTimeTooSkewed");
    struct es_aws_budget budget;
    struct es_aws_retry retry = {0};
    int64_t delay = -1;

    (void)state;
    skewed.dated = true;
    skewed.skew = 9999;
    es_aws_budget_init(&budget);
    assert_int_equal(es_aws_retry(&retry, &budget, &expired, 0, 9999, 7, &delay), ES_AWS_EXPIRED);
    assert_int_equal(delay, 0);
    assert_int_equal(es_aws_retry(&retry, &budget, &skewed, 0, 9999, 7, &delay), ES_AWS_CLOCK);
    assert_int_equal(es_aws_retry(&retry, &budget, &expired, 0, 9999, 7, &delay), ES_AWS_FATAL);
    assert_int_equal(es_aws_retry(&retry, &budget, &skewed, 0, 9999, 7, &delay), ES_AWS_FATAL);
    assert_int_equal(budget.tokens, 500);
}

static void the_deadline_ends_it_after_one_last_try(void **state)
{
    struct es_aws_answer slow = answer(503, "SlowDown");
    struct es_aws_budget budget;
    struct es_aws_retry retry = {.retries = 20};
    int64_t delay;

    (void)state;
    es_aws_budget_init(&budget);
    assert_int_equal(es_aws_retry(&retry, &budget, &slow, 50000, 61000, UINT32_MAX, &delay),
                     ES_AWS_THROTTLED);
    assert_in_range(delay, 5000, 10000);
    assert_int_equal(es_aws_retry(&retry, &budget, &slow, 58000, 61000, 0, &delay), ES_AWS_OVER);
    retry = (struct es_aws_retry){0};
    assert_int_equal(es_aws_retry(&retry, &budget, &slow, 60000, 61000, 0, &delay), ES_AWS_OVER);
    assert_int_equal(es_aws_retry(&retry, &budget, &slow, 70000, 61000, 0, &delay), ES_AWS_OVER);
}

static void what_is_repaired_at_once_is_so_at_the_deadline_too(void **state)
{
    struct es_aws_answer expired = answer(400, "ExpiredTokenException");
    struct es_aws_budget budget;
    struct es_aws_retry retry = {0};
    int64_t delay = -1;

    (void)state;
    es_aws_budget_init(&budget);
    assert_int_equal(es_aws_retry(&retry, &budget, &expired, 60900, 61000, 7, &delay),
                     ES_AWS_EXPIRED);
    assert_int_equal(delay, 0);
    assert_int_equal(es_aws_retry(&retry, &budget, &expired, 60950, 61000, 7, &delay),
                     ES_AWS_FATAL);
}

static void an_empty_budget_slows_down_and_never_fails(void **state)
{
    struct es_aws_answer broken = answer(500, NULL), fine = answer(200, NULL);
    struct es_aws_budget budget = {.tokens = 13};
    struct es_aws_retry retry = {0}, other = {0};
    int64_t delay;

    (void)state;
    assert_int_equal(es_aws_retry(&retry, &budget, &broken, 0, 1 << 30, 1u << 31, &delay),
                     ES_AWS_TRANSIENT);
    assert_int_equal(delay, 10000);
    assert_int_equal(budget.tokens, 13);
    es_aws_retry(&retry, &budget, &fine, 0, 1 << 30, 0, &delay);
    assert_int_equal(budget.tokens, 14);
    es_aws_retry(&other, &budget, &broken, 0, 1 << 30, 1u << 31, &delay);
    assert_int_equal(delay, 25);
    assert_int_equal(budget.tokens, 0);
    es_aws_retry(&other, &budget, &fine, 0, 1 << 30, 0, &delay);
    assert_int_equal(budget.tokens, 14);
    budget.tokens = 500;
    es_aws_retry(&(struct es_aws_retry){0}, &budget, &fine, 0, 1 << 30, 0, &delay);
    assert_int_equal(budget.tokens, 500);
}

/* ---- a fleet ---- */

enum { HOSTS = 1000, RATE = 40, PAGES = 4, TICK_MS = 25 };

struct host {
    struct es_aws_retry retry;
    struct es_aws_budget budget;
    int64_t at; /* of its next request; -1: over */
    int pages;  /* still to get */
};

static uint32_t rng(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32);
}

/* One request: the service takes RATE per second (one per tick, with a burst of a second). */
static void ask(struct host *host, double *quota, int64_t now, int64_t deadline, uint64_t *seed)
{
    bool served = *quota >= 1;
    struct es_aws_answer a = served ? answer(200, NULL) : answer(400, "ThrottlingException");
    int64_t delay = 0;
    enum es_aws_verdict v =
        es_aws_retry(&host->retry, &host->budget, &a, now, deadline, rng(seed), &delay);

    *quota -= served;
    if (served) {
        host->retry = (struct es_aws_retry){0};
        host->at = --host->pages ? now + TICK_MS : -1;
    } else {
        host->at = v == ES_AWS_THROTTLED ? now + delay : -1;
    }
}

/* Hosts that were served whole before the deadline. */
static int boot_fleet(int tokens, int64_t deadline, uint64_t seed, int64_t *ret_last)
{
    static struct host hosts[HOSTS];
    double quota = RATE;
    int done = 0;

    for (int i = 0; i < HOSTS; i++)
        hosts[i] = (struct host){.budget = {tokens}, .pages = PAGES, .at = rng(&seed) % 2000};
    for (int64_t now = 0; now < deadline; now += TICK_MS) {
        int start = (int)(rng(&seed) % HOSTS); /* nobody is always the first in a tick */

        quota = quota + RATE * TICK_MS / 1000.0 > RATE ? RATE : quota + RATE * TICK_MS / 1000.0;
        for (int i = 0; i < HOSTS; i++) {
            struct host *host = &hosts[(start + i) % HOSTS];

            if (host->at < 0 || host->at > now)
                continue;
            ask(host, &quota, now, deadline, &seed);
            if (host->pages == 0) {
                done++;
                *ret_last = now;
            }
        }
    }
    return done;
}

static void a_fleet_of_1000_hosts_is_served_whole_before_the_deadline(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        int64_t last = 0;
        int full = boot_fleet(500, 15 * 60000, seed * 0x9e3779b97f4a7c15u, &last);

        print_message("  full budget: %d hosts, the last after %d s\n", full, (int)(last / 1000));
        assert_int_equal(full, HOSTS);
        full = boot_fleet(0, 15 * 60000, seed * 0x9e3779b97f4a7c15u, &last);
        print_message("  empty budget: %d hosts, the last after %d s\n", full, (int)(last / 1000));
        assert_int_equal(full, HOSTS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_classified_by_code_then_status),
        cmocka_unit_test(broken_transports_are_tried_again_but_no_bad_certificate),
        cmocka_unit_test(a_wrong_clock_is_believed_only_with_a_date_that_is_off),
        cmocka_unit_test(another_region_is_looked_for_only_by_s3),
        cmocka_unit_test(delays_double_to_the_cap),
        cmocka_unit_test(hints_of_the_server_are_followed_within_bounds),
        cmocka_unit_test(repairs_are_tried_once_each_and_at_once),
        cmocka_unit_test(the_deadline_ends_it_after_one_last_try),
        cmocka_unit_test(what_is_repaired_at_once_is_so_at_the_deadline_too),
        cmocka_unit_test(an_empty_budget_slows_down_and_never_fails),
        cmocka_unit_test(a_fleet_of_1000_hosts_is_served_whole_before_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
