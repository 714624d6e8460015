/* See timers.h. */
#include "timers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool sooner(const struct es_timer *a, const struct es_timer *b)
{
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void swap(struct es_timer *a, struct es_timer *b)
{
    struct es_timer t = *a;

    *a = *b;
    *b = t;
}

static void rise(struct es_timers *timers, size_t i)
{
    for (; i > 0 && sooner(&timers->heap[i], &timers->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&timers->heap[i], &timers->heap[(i - 1) / 2]);
}

static void sink(struct es_timers *timers, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < timers->n && sooner(&timers->heap[child + 1], &timers->heap[child]))
            child++;
        if (child >= timers->n || !sooner(&timers->heap[child], &timers->heap[i]))
            return;
        swap(&timers->heap[child], &timers->heap[i]);
        i = child;
    }
}

int es_timers_add(struct es_timers *timers, int64_t due, void (*fn)(void *data), void *data)
{
    if (timers->n == timers->cap) {
        size_t cap = timers->cap ? 2 * timers->cap : 16;
        struct es_timer *heap = reallocarray(timers->heap, cap, sizeof *heap);

        if (!heap)
            return -ENOMEM;
        timers->heap = heap;
        timers->cap = cap;
    }
    timers->heap[timers->n] =
        (struct es_timer){.due = due, .number = timers->numbers++, .fn = fn, .data = data};
    rise(timers, timers->n++);
    return 0;
}

const struct es_timer *es_timers_first(const struct es_timers *timers)
{
    return timers->n ? &timers->heap[0] : NULL;
}

void es_timers_drop(struct es_timers *timers)
{
    timers->heap[0] = timers->heap[--timers->n];
    sink(timers, 0);
}

void es_timers_forget(struct es_timers *timers, const void *data)
{
    size_t kept = 0;

    for (size_t i = 0; i < timers->n; i++)
        if (timers->heap[i].data != data)
            timers->heap[kept++] = timers->heap[i];
    if (kept == timers->n)
        return;
    timers->n = kept;
    for (size_t i = kept / 2; i-- > 0;)
        sink(timers, i);
}

void es_timers_done(struct es_timers *timers)
{
    free(timers->heap);
    *timers = (struct es_timers){0};
}
