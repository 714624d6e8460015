/* See envsync/jansson.h. jansson has one set of allocation functions per process, so whether one
 * failed is kept here, for the time of one parse. */
#include "envsync/jansson.h"

#include "envsync/buf.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

static bool failed;

static void *allocate(size_t size)
{
    void *p = malloc(size);

    failed |= !p;
    return p;
}

static void release(void *p)
{
    es_secret_free(p, p ? malloc_usable_size(p) : 0);
}

/* Before main(), so that no block that jansson ever gives back goes uncleansed. */
__attribute__((constructor)) static void prepare_jansson(void)
{
    json_set_alloc_funcs(allocate, release);
}

int es_jansson_load(const char *text, size_t len, size_t flags, json_t **ret, json_error_t *why)
{
    json_t *root;

    failed = false;
    *why = (json_error_t){0};
    root = json_loadb(text, len, flags, why);
    if (failed) {
        json_decref(root);
        return -ENOMEM;
    }
    if (!root)
        return -EINVAL;
    *ret = root;
    return 0;
}
