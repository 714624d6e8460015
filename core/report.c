/* See report.h. Texts may carry names that came from outside; whoever prints them escapes. */
#include "report.h"

#include "envsync/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void keep(struct es_report *report, enum es_level level, enum es_class class, char *text)
{
    struct es_message *items = NULL;

    if (text && report->n < ES_MAX_NOTES)
        items = reallocarray(report->items, report->n + 1, sizeof *items);
    if (!items) {
        free(text);
        report->dropped++;
        return;
    }
    report->items = items;
    items[report->n++] = (struct es_message){.level = level, .class = class, .text = text};
}

void es_report_add(struct es_report *report, enum es_level level, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    keep(report, level, ES_INTERNAL, text);
}

void es_report_error(struct es_report *report, const struct es_err *err)
{
    char *text = NULL;

    if (asprintf(&text, "%s", err->msg) < 0)
        text = NULL;
    keep(report, ES_LEVEL_ERROR, err->class, text);
}

void es_report_done(struct es_report *report)
{
    for (size_t i = 0; i < report->n; i++)
        free(report->items[i].text);
    free(report->items);
    *report = (struct es_report){0};
}
