/* The worker process: started, given its job, listened to until a deadline, and ended.
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
    int job;     /* written */
    int records; /* read */
    struct es_buf in;
    size_t taken; /* bytes of `in` that were handed out */
};

/* Forks, drops privileges, executes. The files become the child's. */
int es_worker_start(struct es_worker *worker, const struct es_files *files, struct es_err *err);

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
int es_worker_post(struct es_worker *worker, const struct es_value *job, int64_t deadline,
                   struct es_err *err);

/* The next frame; payload is borrowed until the next call. -ETIMEDOUT at the deadline, -EPIPE where
 * the worker ended too early, -EBADMSG, -EINTR. */
int es_worker_next(struct es_worker *worker, int64_t deadline, enum es_frame *ret_type,
                   struct es_cursor *ret_payload, struct es_err *err);

/* Waits for a worker that has said its last, and fails if it did not end well. */
int es_worker_finish(struct es_worker *worker, struct es_err *err);

/* Kills what still runs. */
void es_worker_done(struct es_worker *worker);

#endif
