/* Timers: a heap, soonest first; equal times in the order they were set. */
#ifndef ENVSYNC_WORKER_TIMERS_H
#define ENVSYNC_WORKER_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct es_timer {
    int64_t due;
    uint64_t number;
    void (*fn)(void *data);
    void *data;
};

struct es_timers {
    struct es_timer *heap;
    size_t n, cap;
    uint64_t numbers;
};

int es_timers_add(struct es_timers *timers, int64_t due, void (*fn)(void *data), void *data);
const struct es_timer *es_timers_first(const struct es_timers *timers); /* or NULL */
void es_timers_drop(struct es_timers *timers);                          /* the first one */
void es_timers_forget(struct es_timers *timers, const void *data);
void es_timers_done(struct es_timers *timers);

#endif
