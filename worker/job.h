/* The job: what the privileged side asks of the worker. One frame, then the pipe is closed. */
#ifndef ENVSYNC_WORKER_JOB_H
#define ENVSYNC_WORKER_JOB_H

#include "sink.h"

/* One source to be fetched. Strings are borrowed from the job's value. */
struct es_task {
    struct es_sink sink;
    const struct es_provider *provider;
    const struct es_value *options; /* as sent, resolved */
    es_fetch_fn *fn;
    void *state;
    struct es_file *files;
    struct es_object *known;
    struct es_fetch fetch; /* what fn works on; completed by the worker */
    struct es_work *work;  /* the worker's own */
    bool finished;
};

struct es_job {
    struct es_value root;
    struct es_surroundings surroundings;
    int64_t milliseconds; /* until the deadline */
    bool describe;
    struct es_task *tasks;
    size_t n;
};

/* Reads the job from a descriptor, to its end. ES_INTERNAL: both programs are of one build. */
int es_job_read(int fd, struct es_job *ret, struct es_err *err);
void es_job_done(struct es_job *job);

/* worker/fetchers.c: the fetch function of a provider, or NULL. */
es_fetch_fn *es_fetcher_of(const struct es_provider *provider);

#endif
