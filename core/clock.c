/* See clock.h. */
#include "clock.h"

#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

int64_t es_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int es_clock_left(int64_t deadline)
{
    int64_t left = deadline - es_clock_ms();

    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void es_clock_nap(int ms, int64_t deadline)
{
    int left = es_clock_left(deadline);

    poll(NULL, 0, ms < left ? ms : left);
}
