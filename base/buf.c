/* See envsync/buf.h: the one place where memory that may hold a secret is grown and given back. */
#include "envsync/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void es_secret_free(void *p, size_t len)
{
    if (p)
        explicit_bzero(p, len);
    free(p);
}

void es_buf_done(struct es_buf *buf)
{
    es_secret_free(buf->data, buf->cap);
    *buf = (struct es_buf){0};
}

void es_buf_clear(struct es_buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->cap);
    buf->len = 0;
}

int es_buf_reserve(struct es_buf *buf, size_t more)
{
    size_t cap = buf->cap ? buf->cap : 32;
    char *data;

    if (more > SIZE_MAX / 4 - buf->len)
        return -ENOMEM;
    if (buf->data && buf->len + more < buf->cap)
        return 0;
    while (cap <= buf->len + more)
        cap *= 2;
    /* Never realloc: it would leave a copy of a secret behind. */
    data = malloc(cap);
    if (!data)
        return -ENOMEM;
    if (buf->data)
        memcpy(data, buf->data, buf->len);
    data[buf->len] = '\0';
    es_secret_free(buf->data, buf->cap);
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int es_buf_append(struct es_buf *buf, const void *data, size_t len)
{
    int r = es_buf_reserve(buf, len);

    if (r < 0)
        return r;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int es_buf_puts(struct es_buf *buf, const char *text)
{
    return es_buf_append(buf, text, strlen(text));
}

int es_buf_putc(struct es_buf *buf, char c)
{
    return es_buf_append(buf, &c, 1);
}

int es_buf_printf(struct es_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    int n, r;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    r = n < 0 ? -ENOMEM : es_buf_reserve(buf, (size_t)n);
    if (r == 0) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    return r;
}

int es_buf_set(struct es_buf *buf, const void *data, size_t len)
{
    struct es_buf copy = {0};
    int r = es_buf_append(&copy, data, len);

    if (r < 0)
        return r;
    es_buf_move(buf, &copy);
    return 0;
}

void es_buf_move(struct es_buf *to, struct es_buf *from)
{
    es_buf_done(to);
    *to = *from;
    *from = (struct es_buf){0};
}

bool es_buf_equal(const struct es_buf *a, const struct es_buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool es_buf_is(const struct es_buf *buf, const char *text)
{
    size_t len = strlen(text);

    return buf->len == len && (len == 0 || memcmp(buf->data, text, len) == 0);
}

const char *es_buf_str(const struct es_buf *buf)
{
    return buf->data ? buf->data : "";
}

int es_buf_read_fd(struct es_buf *buf, int fd, size_t max)
{
    size_t total = 0;

    for (;;) {
        size_t room = max - total < 16384 ? max - total + 1 : 16384;
        int r = es_buf_reserve(buf, room);
        ssize_t n;

        if (r < 0)
            return r;
        n = read(fd, buf->data + buf->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            buf->data[buf->len] = '\0';
            return 0;
        }
        total += (size_t)n;
        buf->len += (size_t)n;
        buf->data[buf->len] = '\0';
        if (total > max)
            return -EFBIG;
    }
}

void es_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

void es_freep(void *p)
{
    free(*(void **)p);
}
