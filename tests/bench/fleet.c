/* A fleet that boots at once against one quota, with the retries of the program itself.
 *
 *   fleet [-h HOSTS] [-c CALLS] [-q PER_SECOND] [-b BOOT_S] [-d DEADLINE_S] [-s SEED]
 *
 * Each host begins at some time within BOOT_S and makes CALLS calls, one after the other. The
 * account takes PER_SECOND of them (a bucket that holds as many) and answers all others with
 * ThrottlingException. What a host does then says providers/aws/retry.c. Time is simulated, to the
 * millisecond. Prints one line of JSON; the floor is how long the quota takes for all calls. */
#include "providers/aws/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWER_MS = 12 /* a link of 1 ms, and the service */ };

struct host {
    struct es_aws_budget budget;
    struct es_aws_retry retry;
    long calls_left, tries;
    int64_t booted;
};

struct event {
    int64_t at;
    long host;
};

static struct {
    struct host *hosts;
    struct event *heap;
    size_t n;
    long n_hosts, calls, quota, served, given_up;
    int64_t boot_ms, deadline_ms, refilled, last_ms, longest_ms;
    double tokens;
    uint64_t seed;
} fleet = {
    .n_hosts = 10000, .calls = 1, .quota = 40, .boot_ms = 5000, .deadline_ms = 900000, .seed = 1};

/* xorshift64* */
static uint32_t random32(void)
{
    fleet.seed ^= fleet.seed >> 12;
    fleet.seed ^= fleet.seed << 25;
    fleet.seed ^= fleet.seed >> 27;
    return (uint32_t)((fleet.seed * 2685821657736338717u) >> 32);
}

static void push(int64_t at, long host)
{
    size_t i = fleet.n++;

    for (; i > 0 && fleet.heap[(i - 1) / 2].at > at; i = (i - 1) / 2)
        fleet.heap[i] = fleet.heap[(i - 1) / 2];
    fleet.heap[i] = (struct event){at, host};
}

static struct event pop(void)
{
    struct event first = fleet.heap[0], last = fleet.heap[--fleet.n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < fleet.n && fleet.heap[child + 1].at < fleet.heap[child].at)
            child++;
        if (child >= fleet.n || fleet.heap[child].at >= last.at)
            break;
        fleet.heap[i] = fleet.heap[child];
        i = child;
    }
    fleet.heap[i] = last;
    return first;
}

static int admitted(int64_t now)
{
    fleet.tokens += (double)(now - fleet.refilled) * (double)fleet.quota / 1000;
    fleet.refilled = now;
    if (fleet.tokens > (double)fleet.quota)
        fleet.tokens = (double)fleet.quota;
    if (fleet.tokens < 1)
        return 0;
    fleet.tokens -= 1;
    return 1;
}

static void call(struct host *host, long number, int64_t now)
{
    int ok = admitted(now);
    const struct es_aws_answer answer = {.transport = ES_AWS_ANSWERED,
                                         .status = ok ? 200 : 400,
                                         .code = ok ? NULL : "ThrottlingException",
                                         .retry_after_ms = -1,
                                         .retry_after = -1};
    int64_t delay = 0, answered = now + ANSWER_MS;

    host->tries++;
    switch (es_aws_retry(&host->retry, &host->budget, &answer, answered,
                         host->booted + fleet.deadline_ms, random32(), &delay)) {
    case ES_AWS_OK:
        host->retry = (struct es_aws_retry){0};
        if (--host->calls_left > 0) {
            push(answered, number);
            return;
        }
        fleet.served++;
        fleet.last_ms = answered;
        if (answered - host->booted > fleet.longest_ms)
            fleet.longest_ms = answered - host->booted;
        return;
    case ES_AWS_THROTTLED:
        push(answered + delay, number);
        return;
    default:
        fleet.given_up++;
    }
}

static void run(void)
{
    for (long i = 0; i < fleet.n_hosts; i++) {
        struct host *host = &fleet.hosts[i];

        es_aws_budget_init(&host->budget);
        host->calls_left = fleet.calls;
        host->booted = (int64_t)((uint64_t)fleet.boot_ms * random32() >> 32);
        push(host->booted, i);
    }
    while (fleet.n) {
        struct event event = pop();

        call(&fleet.hosts[event.host], event.host, event.at);
    }
}

int main(int argc, char **argv)
{
    double floor_s;
    long tries = 0;
    int option;

    while ((option = getopt(argc, argv, "h:c:q:b:d:s:")) != -1) {
        long n = option == '?' ? 0 : atol(optarg);

        if (n <= 0)
            return 64;
        switch (option) {
        case 'h':
            fleet.n_hosts = n;
            break;
        case 'c':
            fleet.calls = n;
            break;
        case 'q':
            fleet.quota = n;
            break;
        case 'b':
            fleet.boot_ms = n * 1000;
            break;
        case 'd':
            fleet.deadline_ms = n * 1000;
            break;
        default:
            fleet.seed = (uint64_t)n;
        }
    }
    fleet.tokens = (double)fleet.quota;
    fleet.hosts = calloc((size_t)fleet.n_hosts, sizeof *fleet.hosts);
    fleet.heap = calloc((size_t)fleet.n_hosts, sizeof *fleet.heap);
    if (!fleet.hosts || !fleet.heap)
        return 1;
    run();
    for (long i = 0; i < fleet.n_hosts; i++)
        tries += fleet.hosts[i].tries;
    floor_s = (double)(fleet.n_hosts * fleet.calls) / (double)fleet.quota;
    printf("{\"hosts\": %ld, \"served\": %ld, \"given_up\": %ld, \"floor_s\": %.1f, \"last_s\": "
           "%.1f, \"ratio\": %.3f, \"longest_s\": %.1f, \"calls_per_host\": %.2f}\n",
           fleet.n_hosts, fleet.served, fleet.given_up, floor_s, (double)fleet.last_ms / 1000,
           (double)fleet.last_ms / 1000 / floor_s, (double)fleet.longest_ms / 1000,
           (double)tries / (double)fleet.n_hosts);
    return fleet.served == fleet.n_hosts ? 0 : 1;
}
