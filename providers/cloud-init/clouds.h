/* Where each cloud keeps its facts in the instance data. Internal to facts.c and clouds.c. */
#ifndef ENVSYNC_CLOUD_INIT_CLOUDS_H
#define ENVSYNC_CLOUD_INIT_CLOUDS_H

#include "data.h"

/* Looks for what ref names: 1 where it was found and appended, 0 where it is not there. */
typedef int es_ask_fn(const struct es_data *data, const struct es_ref *ref, struct es_buf *out,
                      struct es_err *err);

struct es_cloud {
    const char *name;                   /* as in v1.cloud_name, or else in v1.platform */
    const char *const *paths[ES_FACTS]; /* tried in order, end with NULL */
    const char *const *tags;            /* tables that hold them, or NULL */
    es_ask_fn *ask;                     /* a fact that no path gave, or NULL */
    es_ask_fn *ask_tag;                 /* a tag that is in no such table, or NULL */
    bool urls; /* region and zone may be a path, of which the last part counts */
};

/* Never NULL: what holds for every cloud, where the name is none of ours. */
const struct es_cloud *es_cloud_find(const char *name, const char *platform);

/* Where one of our own paths leads: 1, or 0 for nowhere, or an error where it is redacted. */
int es_cloud_walk(const struct es_data *data, const char *path, struct es_spot *ret,
                  struct es_err *err);

/* The first of some paths that leads to a text that is not empty, as es_ask_fn. `what` is for
 * messages. A list stands for its first item. */
int es_cloud_take(const struct es_data *data, const char *const *paths, const char *what,
                  struct es_buf *out, struct es_err *err);

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
