/* What the core has to say: warnings, notes and further errors, in order. Only cmd/ prints them. */
#ifndef ENVSYNC_CORE_REPORT_H
#define ENVSYNC_CORE_REPORT_H

#include "envsync/err.h"

#include <stddef.h>

enum es_level {
    ES_LEVEL_ERROR = 3, /* the numbers of syslog(3) */
    ES_LEVEL_WARNING = 4,
    ES_LEVEL_NOTICE = 5, /* shown unless -q */
    ES_LEVEL_INFO = 6,   /* shown with -v */
    ES_LEVEL_HIDDEN = 8, /* said elsewhere already */
};

struct es_message {
    enum es_level level;
    enum es_class class; /* of an error */
    char *text;
};

struct es_report {
    struct es_message *items;
    size_t n;
    size_t dropped; /* said in place of messages over the cap, or without memory */
};

/* Never fails: a message that cannot be kept is counted. */
void es_report_add(struct es_report *report, enum es_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void es_report_error(struct es_report *report, const struct es_err *err);
void es_report_done(struct es_report *report);

#endif
