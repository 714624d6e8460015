/* See envsync/jansson.h. jansson has one set of allocation functions per process, so whether one
 * failed is kept here, for the time of one parse. */
#include "envsync/jansson.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool failed;

static void *allocate(size_t size)
{
    void *p = malloc(size);

    failed |= !p;
    return p;
}

/* Also right for what was allocated before these functions were set. */
static void release(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

int es_jansson_load(const char *text, size_t len, size_t flags, json_t **ret, json_error_t *why)
{
    json_t *root;

    json_set_alloc_funcs(allocate, release);
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
