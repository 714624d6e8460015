/* See scan.h. Input is untrusted; the scanner only ever moves forward within it. */
#include "scan.h"

#include "envsync/format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int es_scan_next(struct es_scan *scan)
{
    int c = es_scan_peek(scan);

    if (c < 0)
        return c;
    scan->at++;
    if (c == '\n' || (c == '\r' && es_scan_peek(scan) != '\n')) {
        scan->line++;
        scan->line_from = scan->at;
    }
    return c;
}

bool es_scan_skip(struct es_scan *scan, const char *text)
{
    size_t len = strlen(text);

    if (scan->len - scan->at < len || memcmp(scan->text + scan->at, text, len) != 0)
        return false;
    es_scan_to(scan, scan->at + len);
    return true;
}

struct es_pos es_scan_pos(const struct es_scan *scan)
{
    return (struct es_pos){scan->line + 1, (uint32_t)(scan->at - scan->line_from) + 1};
}

void es_scan_to(struct es_scan *scan, size_t at)
{
    while (scan->at < at && es_scan_next(scan) >= 0)
        ;
}

int es_scan_fail(struct es_pos pos, struct es_err *err, const char *fmt, ...)
{
    char msg[ES_ERR_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    return es_fail(err, ES_INVALID, EINVAL, "%u:%u: %s", pos.line, pos.column, msg);
}

int es_scan_put(struct es_value *table, struct es_pos pos, const char *name, size_t name_len,
                struct es_buf *value, struct es_err *err)
{
    struct es_value fresh = {.type = ES_STRING, .pos = pos};
    struct es_entry *entry;
    int r;

    if (!es_env_name_valid(name, name_len))
        return es_scan_fail(pos, err,
                            "the name before '=' is no variable name: letters, digits and '_' "
                            "only, and no digit first");
    r = es_table_add(table, name, name_len, &entry);
    if (r < 0 && r != -EEXIST)
        return es_nomem(err);
    entry->pos = pos;
    es_buf_move(&fresh.text, value);
    es_value_move(&entry->value, &fresh);
    return 0;
}
