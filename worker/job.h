/* The job: what the privileged side asks of the worker. One frame, then the socket is closed. */
#ifndef ENVSYNC_WORKER_JOB_H
#define ENVSYNC_WORKER_JOB_H

#include "envsync/limits.h"
#include "sandbox.h"
#include "sink.h"

/* One source to be fetched. Strings are borrowed from the job's value. */
struct es_task {
    struct es_sink sink;
    const struct es_provider *provider;
    struct es_value *options;             /* as sent; es_task_prepare() completes them */
    const struct es_value *known_address; /* what `known` counts for, or NULL */
    es_fetch_fn *fn;
    es_prepare_fn *prepare; /* or NULL */
    void *state;
    struct es_file *files;
    struct es_object *known;
    struct es_fetch fetch; /* what fn works on; completed by the worker */
    struct es_work *work;  /* the worker's own */
    bool finished;
};

struct es_job {
    int files[ES_MAX_FILES]; /* as they came, by number */
    size_t n_files;
    struct es_value root;
    struct es_surroundings surroundings;
    int64_t milliseconds; /* until the deadline */
    bool verbose;         /* details are wanted */
    bool describe;        /* tell which credentials would be used, fetch nothing */
    struct es_task *tasks;
    size_t n;
    const struct es_value *texts; /* or NULL: a list of strings to parse, instead of sources */
};

/* Reads the job from a socket, to its end, and takes the files that come with it. ES_INTERNAL: both
 * programs are of one build. */
int es_job_read(int fd, struct es_job *ret, struct es_err *err);
void es_job_done(struct es_job *job);

/* Lets the provider say what its fetch() will need by itself. To be called before the sandbox is
 * closed; what goes wrong here goes wrong in fetch() again, and is told then. */
void es_task_announce(struct es_task *task, struct es_sandbox *sandbox);

/* Completes the options with facts, parses them, and tells the resulting address. The failure is
 * the source's own. */
int es_task_prepare(struct es_task *task, struct es_err *err);

/* worker/fetchers.c: the functions of a provider, or NULL. */
es_fetch_fn *es_fetcher_of(const struct es_provider *provider);
es_prepare_fn *es_preparer_of(const struct es_provider *provider);

#endif
