/* Time: one deadline for the whole run, on the clock that does not jump. */
#ifndef ENVSYNC_CORE_CLOCK_H
#define ENVSYNC_CORE_CLOCK_H

#include <stdint.h>

int64_t es_clock_ms(void); /* CLOCK_MONOTONIC */

/* Milliseconds from now to the deadline, 0 where it has passed; fits poll(). */
int es_clock_left(int64_t deadline);

/* Sleeps for ms or until the deadline or a signal, whatever is first. */
void es_clock_nap(int ms, int64_t deadline);

#endif
