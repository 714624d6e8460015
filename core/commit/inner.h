/* What the files of the store share. */
#ifndef ENVSYNC_CORE_COMMIT_INNER_H
#define ENVSYNC_CORE_COMMIT_INNER_H

#include "store.h"

enum {
    ES_MAX_STORED = 64 << 20, /* bytes of one file of the store */
    ES_POINTER = 96,          /* of `current` */
};

/* The half that has `current`. */
enum es_half es_store_pointer_half(const struct es_store *store);

/* The text of `current`, and its length. */
int es_pointer_format(const char *id, const char *previous, bool held, char text[ES_POINTER]);

/* Finds the present set, and whether a run may build on it: fills current, previous, held, the
 * times, set, and what is true of it. One that is not whole is told in the report. */
int es_store_load(struct es_store *store, const struct es_config *config, struct es_report *report,
                  struct es_err *err);

/* errno says why: ES_DENIED for what the system forbids, ES_OUTPUT for the rest. */
int es_store_broken(const char *what, struct es_err *err);

#endif
