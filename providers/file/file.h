/* The file provider: env, toml and json files of this host. */
#ifndef ENVSYNC_FILE_H
#define ENVSYNC_FILE_H

#include "envsync/provider.h"

struct es_file_options {
    char *path;   /* a file, a directory or a glob */
    char *format; /* NULL: by each file's name */
};

extern const struct es_provider es_provider_file;

es_fetch_fn es_fetch_file;

#endif
