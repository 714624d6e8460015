/* Words to the service manager, where it wants any ($NOTIFY_SOCKET): what envsync is doing, and
 * that it needs its time. Never READY=1: whether the unit is ready, says the app. */
#ifndef ENVSYNC_CMD_NOTIFY_H
#define ENVSYNC_CMD_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct es_notify {
    int fd; /* -1 where nobody listens */
    struct sockaddr_un address;
    socklen_t len;
};
#define ES_NOTIFY_INIT                                                                             \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* `path` as the variable has it, may be NULL. What cannot be reached is left alone: these words are
 * for convenience, and nothing waits for them. */
void es_notify_open(struct es_notify *notify, const char *path);
void es_notify_done(struct es_notify *notify);

/* The line that `systemctl status` shows; without a text, none. */
void es_notify_status(const struct es_notify *notify, const char *text);

/* The unit shall not be timed out in the next ms milliseconds. */
void es_notify_extend(const struct es_notify *notify, int64_t ms);

#endif
