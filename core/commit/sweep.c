/* See store.h: removing sets that nobody needs, one level deep. Only what has the name of a set or
 * of a temporary file is removed; a failure here is none, the next run tries again. */
#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Removes the files of a directory, one level deep: sets have no more. */
static void remove_set(int parent, const char *id)
{
    ES_CLEANUP(es_dir_close) DIR *dir = es_dir_open(parent, id);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    unlinkat(parent, id, AT_REMOVEDIR);
}

bool es_store_abandon(struct es_store *store)
{
    if (store->begun[0] && strcmp(store->begun, store->current) == 0)
        return false;
    for (enum es_half half = 0; store->begun[0] && half < ES_HALVES; half++)
        if (store->halves[half].dir >= 0)
            remove_set(store->halves[half].dir, store->begun);
    store->begun[0] = '\0';
    return true;
}

static void sweep_half(int half, const char *current, const char *previous)
{
    ES_CLEANUP(es_dir_close) DIR *dir = es_dir_open(half, ".");
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (es_temp_name(name))
            unlinkat(half, name, 0);
        else if (es_store_id_valid(name, strlen(name)) && strcmp(name, current) != 0 &&
                 strcmp(name, previous) != 0)
            remove_set(half, name);
    }
}

void es_store_sweep(const struct es_store *store)
{
    char path[NAME_MAX + 8];

    for (enum es_half half = 0; half < ES_HALVES; half++)
        if (store->halves[half].dir >= 0)
            sweep_half(store->halves[half].dir, store->current, store->previous);
    if (store->left.dir < 0)
        return;
    sweep_half(store->left.dir, "", "");
    snprintf(path, sizeof path, "../%s", store->left.base);
    unlinkat(store->left.dir, path, AT_REMOVEDIR);
}
