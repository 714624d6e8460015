/* The one type for bytes: growable, counted, and cleansed.
 *
 * Anything may be a secret here, so every es_buf overwrites its memory before giving it back, also
 * when it grows. data is NULL while nothing was ever put in; otherwise data[len] is NUL.
 * Zero-initialise ({0}), and end with es_buf_done(); a done buffer may be used again.
 * Functions that return int give 0 or -ENOMEM and leave the buffer as it was on failure.
 */
#ifndef ENVSYNC_BUF_H
#define ENVSYNC_BUF_H

#include <stdbool.h>
#include <stddef.h>

#define ES_CLEANUP(f) __attribute__((cleanup(f)))

struct es_buf {
    char *data;
    size_t len;
    size_t cap; /* bytes allocated, 0 or more than len */
};

void es_buf_done(struct es_buf *buf);
void es_buf_clear(struct es_buf *buf); /* cleanses, keeps the memory, len = 0 */
int es_buf_reserve(struct es_buf *buf, size_t more);
int es_buf_append(struct es_buf *buf, const void *data, size_t len);
int es_buf_puts(struct es_buf *buf, const char *text);
int es_buf_putc(struct es_buf *buf, char c);
int es_buf_printf(struct es_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int es_buf_set(struct es_buf *buf, const void *data, size_t len); /* data may not lie in buf */
void es_buf_move(struct es_buf *to, struct es_buf *from); /* to is done first; from emptied */
bool es_buf_equal(const struct es_buf *a, const struct es_buf *b);
bool es_buf_is(const struct es_buf *buf, const char *text);
const char *es_buf_str(const struct es_buf *buf); /* never NULL */

/* Reads from fd (its current offset) to the end; more than max bytes give -EFBIG, else -errno. */
int es_buf_read_fd(struct es_buf *buf, int fd, size_t max);

/* Memory that held a secret outside an es_buf: cleansed and freed. NULL is fine. */
void es_secret_free(void *p, size_t len);

/* For ES_CLEANUP on descriptors and plain allocations; a negative fd is "none". */
void es_close(int *fd);
void es_freep(void *p);

#endif
