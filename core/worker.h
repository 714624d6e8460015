/* The worker process: started, given its job and its files, listened to until a deadline, and
 * ended.
 *
 * It may be started long before its job is known: it has 30 libraries to load meanwhile.
 *
 * It runs without privileges and may have been taken over by what it parses: whatever it says is
 * decoded with every length checked, and nothing it says can name a path or a descriptor.
 */
#ifndef ENVSYNC_CORE_WORKER_H
#define ENVSYNC_CORE_WORKER_H

#include "config.h"
#include "needs.h"
#include "previous.h"

struct es_worker {
    pid_t pid;   /* 0: none */
    int job;     /* a socket, written: files can go by it */
    int records; /* read */
    struct es_buf in;
    size_t taken; /* bytes of `in` that were handed out */
};

#define ES_WORKER_INIT                                                                             \
    {                                                                                              \
        .job = -1, .records = -1                                                                   \
    }

/* Forks, drops privileges, executes. */
int es_worker_start(struct es_worker *worker, struct es_err *err);

/* What the worker is asked. */
struct es_asked {
    const struct es_config *config;
    const bool *wanted; /* by source */
    const struct es_files *files;
    const struct es_surroundings *surroundings;
    const struct es_previous *previous; /* or NULL */
    bool describe;
    bool verbose;
};
int es_worker_send(struct es_worker *worker, const struct es_asked *asked, int64_t deadline,
                   struct es_err *err);

/* The same for a job that is made already. Nothing more can be sent after it. */
int es_worker_post(struct es_worker *worker, const struct es_value *job,
                   const struct es_files *files, int64_t deadline, struct es_err *err);

/* The next frame; payload is borrowed until the next call. -ETIMEDOUT at the deadline, -EPIPE where
 * the worker ended too early, -EBADMSG, -EINTR. */
int es_worker_next(struct es_worker *worker, int64_t deadline, enum es_frame *ret_type,
                   struct es_cursor *ret_payload, struct es_err *err);

/* Waits for a worker whose pipe has ended, and fails if it did not end well. */
int es_worker_finish(struct es_worker *worker, struct es_err *err);
/* For one that has said its last: that is all that counts, and nobody waits for it. */
int es_worker_dismiss(struct es_worker *worker, struct es_err *err);

/* Kills what still runs. */
void es_worker_done(struct es_worker *worker);

#endif
