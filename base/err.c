/* See envsync/err.h. Nothing here allocates or reads input. */
#include "envsync/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message longer than its room ends in "..." instead of in the middle of nowhere. */
static void mark_cut(char *msg, int wanted)
{
    if (wanted >= ES_ERR_MAX)
        memcpy(msg + ES_ERR_MAX - 4, "...", 4);
}

__attribute__((format(printf, 3, 0))) static void set(struct es_err *err, enum es_class class,
                                                      const char *fmt, va_list args)
{
    err->class = class;
    mark_cut(err->msg, vsnprintf(err->msg, sizeof err->msg, fmt, args));
}

int(es_fail)(struct es_err *err, enum es_class class, int errnum, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set(err, class, fmt, args);
    va_end(args);
    return -errnum;
}

int(es_fail_errno)(struct es_err *err, enum es_class class, int errnum, const char *fmt, ...)
{
    va_list args;
    size_t len;

    va_start(args, fmt);
    set(err, class, fmt, args);
    va_end(args);
    len = strlen(err->msg);
    mark_cut(err->msg,
             (int)len + snprintf(err->msg + len, sizeof err->msg - len, ": %s", strerror(errnum)));
    return -errnum;
}

int(es_nomem)(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, ENOMEM, "out of memory");
}

void es_context(struct es_err *err, const char *fmt, ...)
{
    char old[ES_ERR_MAX];
    va_list args;
    size_t len;

    memcpy(old, err->msg, sizeof old);
    va_start(args, fmt);
    set(err, err->class, fmt, args);
    va_end(args);
    len = strlen(err->msg);
    mark_cut(err->msg, (int)len + snprintf(err->msg + len, sizeof err->msg - len, ": %s", old));
}

void es_advise(struct es_err *err, const char *advice)
{
    size_t len = strlen(err->msg);

    mark_cut(err->msg, (int)len + snprintf(err->msg + len, sizeof err->msg - len, "; %s", advice));
}

const char *es_class_name(enum es_class class)
{
    static const char *const names[ES_CLASSES] = {
        [ES_INTERNAL] = "internal", [ES_USAGE] = "usage",   [ES_CONFIG] = "config",
        [ES_INVALID] = "invalid",   [ES_ABSENT] = "absent", [ES_UNAVAILABLE] = "unavailable",
        [ES_INSECURE] = "insecure", [ES_DENIED] = "denied", [ES_OUTPUT] = "output",
        [ES_LOCKED] = "locked",
    };

    return class < ES_CLASSES ? names[class] : names[ES_INTERNAL];
}
