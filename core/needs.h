/* Opens what the providers need, with the caller's rights, for the worker to read. */
#ifndef ENVSYNC_CORE_NEEDS_H
#define ENVSYNC_CORE_NEEDS_H

#include "config.h"

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
};

/* Called once before a wait begins, so that it can be told. */
typedef void es_wait_fn(void *data, const char *what, const char *path);

/* Opens what one source needs. -ENOENT and ES_ABSENT where it is not there; ES_UNAVAILABLE where it
 * was waited for until the deadline; ES_DENIED. Files that were opened before a failure stay in
 * `files` and are ended with it. */
int es_files_open(struct es_files *files, const struct es_source *source, uint32_t number,
                  const struct es_surroundings *surroundings, int64_t deadline, es_wait_fn *on_wait,
                  void *data, struct es_report *report, struct es_err *err);
void es_files_done(struct es_files *files);

#endif
