/* Where a reader stands in a text: what the readers of env, shell, dotenv and JSON share.
 *
 * The text is untrusted and counted; nothing past len is read. Lines end with LF, CR LF or a lone
 * CR; columns count bytes from 1. Messages made here never quote the text: what a reader does not
 * understand may be a piece of a secret. */
#ifndef ENVSYNC_FORMAT_SCAN_H
#define ENVSYNC_FORMAT_SCAN_H

#include "envsync/err.h"
#include "envsync/value.h"

struct es_scan {
    const char *text;
    size_t len;
    size_t at;
    uint32_t line;    /* of at, from 0 */
    size_t line_from; /* offset where that line begins */
};

/* The byte at the scanner, or -1 at the end. */
static inline int es_scan_peek(const struct es_scan *scan)
{
    return scan->at < scan->len ? (unsigned char)scan->text[scan->at] : -1;
}

/* Takes one byte, or gives -1 at the end. */
int es_scan_next(struct es_scan *scan);

/* Takes the text where it stands next. */
bool es_scan_skip(struct es_scan *scan, const char *text);

struct es_pos es_scan_pos(const struct es_scan *scan);

/* Moves to an offset of the text, to name its position. */
void es_scan_to(struct es_scan *scan, size_t at);

/* ES_INVALID and "LINE:COLUMN: message"; returns -EINVAL. */
int es_scan_fail(struct es_pos pos, struct es_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts NAME = value into a table, the last of a name winning with its position. The name is
 * checked; value is taken over. */
int es_scan_put(struct es_value *table, struct es_pos pos, const char *name, size_t name_len,
                struct es_buf *value, struct es_err *err);

#endif
