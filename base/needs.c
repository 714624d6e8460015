/* The list that a provider's needs() fills (see envsync/provider.h). Linked into both programs,
 * because the provider's pure half is; only the privileged one opens what it names. */
#include "envsync/provider.h"

#include <stdlib.h>
#include <string.h>

int es_needs_add(struct es_needs *needs, const struct es_need *need, struct es_err *err)
{
    struct es_need *items = reallocarray(needs->items, needs->n + 1, sizeof *items);
    char *path;

    if (!items)
        return es_nomem(err);
    needs->items = items;
    path = strdup(need->path);
    if (!path)
        return es_nomem(err);
    items[needs->n] = *need;
    items[needs->n++].path = path;
    return 0;
}

void es_needs_done(struct es_needs *needs)
{
    for (size_t i = 0; i < needs->n; i++)
        free((char *)needs->items[i].path);
    free(needs->items);
    *needs = (struct es_needs){0};
}
