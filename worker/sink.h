/* The sink: where providers put what they found, on its way to the privileged side. */
#ifndef ENVSYNC_WORKER_SINK_H
#define ENVSYNC_WORKER_SINK_H

#include "envsync/provider.h"

/* The pipe, which all sources share: their frames may come in any order. */
struct es_pipe {
    int fd;
    struct es_buf out; /* frames not yet written */
    size_t records;
    size_t bytes;
    size_t notes, details;
};

struct es_sink {
    struct es_pipe *pipe;
    uint32_t source; /* whose it is */
};

/* Says that the source is done, or (err) how it failed. */
int es_sink_finish(struct es_sink *sink, const struct es_err *failure, struct es_err *err);
int es_pipe_end(struct es_pipe *pipe, struct es_err *err);
int es_pipe_fatal(struct es_pipe *pipe, const struct es_err *failure, struct es_err *err);
void es_pipe_done(struct es_pipe *pipe);

#endif
