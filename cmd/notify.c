/* See notify.h. The variable is the service manager's, or at worst somebody else's: a socket that
 * it names gets words that hold no value, one datagram each, and nothing is read from it. */
#include "notify.h"

#include "envsync/buf.h"
#include "log.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WORDS = 4096, MAX_TEXT = 512 };

void es_notify_open(struct es_notify *notify, const char *path)
{
    size_t len = path ? strlen(path) : 0;

    *notify = (struct es_notify)ES_NOTIFY_INIT;
    /* A path, or with "@" a name in the abstract namespace. */
    if (len < 2 || (path[0] != '/' && path[0] != '@') || len >= sizeof notify->address.sun_path)
        return;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, len);
    if (path[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/' ? 1 : 0));
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void es_notify_done(struct es_notify *notify)
{
    es_close(&notify->fd);
}

static void say(const struct es_notify *notify, const char *words, size_t len)
{
    if (notify->fd >= 0 && len <= MAX_WORDS)
        (void)!sendto(notify->fd, words, len, MSG_NOSIGNAL | MSG_DONTWAIT,
                      (const struct sockaddr *)&notify->address, notify->len);
}

void es_notify_status(const struct es_notify *notify, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf words = {0};
    char bounded[MAX_TEXT];

    /* Escaped, since the manager takes nothing but UTF-8; no byte then takes more than six. */
    snprintf(bounded, sizeof bounded, "%s", text);
    if (es_buf_puts(&words, *text ? "STATUS=envsync: " : "STATUS=") == 0 &&
        es_print_safe(&words, bounded) == 0)
        say(notify, es_buf_str(&words), words.len);
}

void es_notify_extend(const struct es_notify *notify, int64_t ms)
{
    char words[64];
    int n = snprintf(words, sizeof words, "EXTEND_TIMEOUT_USEC=%lld", (long long)ms * 1000);

    say(notify, words, (size_t)n);
}
