/* Errors: 0 or a negative errno, and one struct that says what to tell the user.
 *
 * A function that can fail takes `struct es_err *err` as its last argument, never NULL. Where it
 * returns a negative errno it has called es_fail() exactly once; where it returns 0 or more it has
 * left err alone. Callers may put context before the message with es_context(), and pass the
 * return value on. The message is one line, names the source or output, the key or file, and what
 * to do; it never holds a value. It lives in the struct, so that running out of memory can be told.
 */
#ifndef ENVSYNC_ERR_H
#define ENVSYNC_ERR_H

#include <stddef.h>

/* What kind of failure it is: decides the exit code and whether waiting could help. */
enum es_class {
    ES_INTERNAL = 0, /* a fault of envsync itself, or no memory */
    ES_USAGE,        /* wrong command line */
    ES_CONFIG,       /* wrong configuration */
    ES_INVALID,      /* data that is not acceptable */
    ES_ABSENT,       /* a source that is not there */
    ES_UNAVAILABLE,  /* a source that cannot be reached in time */
    ES_INSECURE, /* the same, because whoever is there speaks no TLS: nothing stands in for it */
    ES_DENIED,   /* denied by the system or the service, or an unsafe directory */
    ES_OUTPUT,   /* an output that cannot be written */
    ES_LOCKED,   /* another run holds the lock */
    ES_CLASSES
};

enum { ES_ERR_MAX = 1024 };

struct es_err {
    enum es_class class;
    char msg[ES_ERR_MAX];
};

/* Sets class and message and returns -errnum (errnum > 0). */
int es_fail(struct es_err *err, enum es_class class, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a system call: ": " and strerror(errnum) are put behind the message. */
int es_fail_errno(struct es_err *err, enum es_class class, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* No memory: a message that needs none. */
int es_nomem(struct es_err *err);

/* Puts "context: " before the message that is there. */
void es_context(struct es_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Tells compilers and analyzers, which do not look into err.c, that a failure is negative. */
#ifdef __clang_analyzer__ /* it does not look into a function either where its budget is spent */
#define es_negative(r) ((void)(r), -1)
#else
static inline int es_negative(int r)
{
    return r < 0 ? r : -1;
}
#endif
#define es_fail(...)       es_negative(es_fail(__VA_ARGS__))
#define es_fail_errno(...) es_negative(es_fail_errno(__VA_ARGS__))
#define es_nomem(err)      es_negative(es_nomem(err))

/* Puts "; advice" behind it: what to do. */
void es_advise(struct es_err *err, const char *advice);

/* Stable lower-case word for a class ("invalid", "denied", ...), as seen in --json. */
const char *es_class_name(enum es_class class);

#endif
