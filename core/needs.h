/* Opens what the providers need, with the caller's rights, for the worker to read. */
#ifndef ENVSYNC_CORE_NEEDS_H
#define ENVSYNC_CORE_NEEDS_H

#include "config.h"
#include "program.h"

/* One file, opened read-only. */
struct es_opened {
    uint32_t source;
    const char *role; /* static, the provider's */
    char *path;
    int fd;
};

struct es_files {
    struct es_opened *items;
    size_t n, cap;
    struct es_program *programs; /* started for a source, to be judged when it is done */
    size_t n_programs;
};

/* Called once before a wait begins, so that it can be told. */
typedef void es_wait_fn(void *data, const char *what, const char *path);

/* What all openings of one run share. */
struct es_opening {
    const struct es_config *config;
    const struct es_process *process;
    const struct es_surroundings *surroundings;
    int64_t deadline;
    es_wait_fn *on_wait;
    void *data;
    struct es_report *report;
};

/* Opens what one source needs, and starts what it wants started. -ENOENT and ES_ABSENT where it is
 * not there; ES_UNAVAILABLE where it was waited for until the deadline; ES_DENIED. Files that were
 * opened before a failure stay in `files` and are ended with it. */
int es_files_open(struct es_files *files, const struct es_opening *opening, uint32_t number,
                  struct es_err *err);

/* Does any option of the source hold ${cloud.FACT}? */
bool es_source_wants_facts(const struct es_source *source);

void es_files_done(struct es_files *files);

#endif
