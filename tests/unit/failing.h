/* Calls of libc that fail on demand, and what drives a piece of code through all of them.
 *
 * A program that includes this has failing.c among its sources and is linked with $(failing_flags),
 * so that the calls of the code under test, and of the test, come by here. Those by which memory is
 * asked for fail with ENOMEM, all others with an errno of choice; close() closes all the same. A
 * call fails once. fsync() is only played, successfully or not: no test pulls a plug.
 */
#ifndef ENVSYNC_TESTS_FAILING_H
#define ENVSYNC_TESTS_FAILING_H

#include <stdbool.h>
#include <sys/types.h>

struct es_err;

/* From here on the call of this number fails, counted from 1, of those of a name or (NULL) of all.
 * 0: they are only counted. */
void failing_begin(const char *name, unsigned number, int errnum);
/* Nothing fails, but before that call fn() does what somebody else could do in this moment. */
void failing_hook(const char *name, unsigned number, void (*fn)(void *data), void *data);
/* That is over; the call that has failed, or NULL. */
const char *failing_end(void);
/* The test's own calls in between do not count. */
void failing_pause(bool pause);
/* How many calls there were. */
unsigned failing_counted(void);
/* write() takes three bytes at most. */
void failing_write_shortly(bool shortly);
/* geteuid() says so; (uid_t)-1: what is so. */
void failing_be(uid_t uid);

/* A scenario: the first call of run() fails, in the next round the second, and so on, until a round
 * goes through without a failure. What must hold after each:
 *
 * - A failure has a message, the errno of the call, and its class: ES_INTERNAL for memory, of other
 *   calls one of `classes`.
 * - No descriptor is left open.
 * - after() says what else.
 */
struct ordeal {
    void (*before)(void *data); /* puts everything as it was, or NULL */
    int (*run)(void *data, struct es_err *err);
    void (*after)(void *data, const char *call, int r); /* call: what has failed, or NULL */
    unsigned classes;                                   /* 1 << ES_OUTPUT | ...; 0: ES_OUTPUT */
    const char *name;                                   /* only calls of this name, or NULL */
};

/* With this errno for calls that are not for memory. Where every call would take too long,
 * ENVSYNC_ORDEAL=N lets every Nth fail. */
void ordeal(const struct ordeal *o, void *data, int errnum);

#endif
