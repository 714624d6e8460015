/* The sink: where providers put what they found, on its way to the privileged side. */
#ifndef ENVSYNC_WORKER_SINK_H
#define ENVSYNC_WORKER_SINK_H

#include "envsync/provider.h"

/* The pipe that the sinks of all sources share, with what has gone through it. */
struct es_pipe {
    int fd;
    struct es_buf out; /* frames not yet written */
    size_t records;
    size_t bytes;     /* of records */
    size_t documents; /* bytes of them */
    size_t objects;
    size_t notes, details;
};

struct es_sink {
    struct es_pipe *pipe;
    uint32_t source; /* whose it is */
    bool ended;      /* it has said so: nothing more comes from it */
};

/* The source's options as they are after all variables and facts: what its data counts for. */
int es_sink_address(struct es_sink *sink, const struct es_value *options, struct es_err *err);

/* Says that the source is done, or how it failed. */
int es_sink_finish(struct es_sink *sink, const struct es_err *failure, struct es_err *err);

/* A detail about the worker itself. */
int es_pipe_remark(struct es_pipe *pipe, const struct es_buf *text, struct es_err *err);
/* The answer to a text, see ES_FRAME_TEXT. */
int es_pipe_text(struct es_pipe *pipe, const struct es_buf *payload, struct es_err *err);
int es_pipe_end(struct es_pipe *pipe, struct es_err *err);
int es_pipe_fatal(struct es_pipe *pipe, const struct es_err *failure, struct es_err *err);
int es_pipe_flush(struct es_pipe *pipe, struct es_err *err); /* writes what waits */
void es_pipe_done(struct es_pipe *pipe);

#endif
