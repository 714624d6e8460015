/* The exec provider: a program that prints a JSON object of keys. See docs/exec.md. */
#ifndef ENVSYNC_EXEC_H
#define ENVSYNC_EXEC_H

#include "envsync/option.h"
#include "envsync/provider.h"

struct es_exec_options {
    struct es_strings command;
    char *run_as;
    int64_t timeout_ms;
    struct es_strings environment;
};

extern const struct es_provider es_provider_exec;

es_fetch_fn es_fetch_exec;

#endif
