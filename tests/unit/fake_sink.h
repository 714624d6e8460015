/* What core and worker would be for a provider: keeps what it puts and notes. */
#ifndef ENVSYNC_FAKE_SINK_H
#define ENVSYNC_FAKE_SINK_H

#include "envsync/provider.h"

enum { FAKE_MAX = 64 };

struct es_sink {
    struct es_record records[FAKE_MAX];
    size_t n;
    char notes[FAKE_MAX][300];
    size_t n_notes;
    bool refuse; /* the next record is ES_INVALID */
};

void fake_sink_done(struct es_sink *sink);

/* The record of a key as text, fails the test where there is none. */
const struct es_record *fake_sink_get(const struct es_sink *sink, const char *key);

/* A descriptor on text, or on tests/vectors/NAME; fails the test where it cannot. */
int fake_file(const void *text, size_t len);
int fake_vector(const char *name);

#endif
