/* The sink: where providers put what they found, on its way to the privileged side. */
#ifndef ENVSYNC_WORKER_SINK_H
#define ENVSYNC_WORKER_SINK_H

#include "envsync/provider.h"

struct es_sink {
    int fd;            /* the pipe */
    uint32_t source;   /* whose records come now */
    struct es_buf out; /* frames not yet written */
    size_t records;
    size_t bytes;
    size_t notes;
};

/* Says that the present source is done, or (err) how it failed. */
int es_sink_finish(struct es_sink *sink, const struct es_err *failure, struct es_err *err);
int es_sink_end(struct es_sink *sink, struct es_err *err);
int es_sink_fatal(struct es_sink *sink, const struct es_err *failure, struct es_err *err);
void es_sink_done(struct es_sink *sink);

#endif
