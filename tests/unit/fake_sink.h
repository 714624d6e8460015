/* What core and worker would be for a provider: keeps what it puts and notes. */
#ifndef ENVSYNC_FAKE_SINK_H
#define ENVSYNC_FAKE_SINK_H

#include "envsync/provider.h"

enum { FAKE_MAX = 64 };

/* A mirrored file, or an object that was said to be the same or to be known. */
struct fake_object {
    enum { FAKE_FILE, FAKE_FILE_SAME, FAKE_SAME, FAKE_OBJECT } kind;
    uint32_t id;
    char path[1100]; /* of a file, else empty */
    char name[1100];
    char version[100];
    int64_t size, modified_ms;
    uint32_t rank;
    struct es_buf data;
    bool ended, dropped;
};

struct es_sink {
    struct es_record records[FAKE_MAX];
    size_t n;
    char notes[FAKE_MAX][300];
    size_t n_notes;
    char details[FAKE_MAX][300]; /* the last ones */
    size_t n_details;
    struct fake_object *objects;
    size_t n_objects;
    size_t largest; /* piece of a file that was handed over */
    bool refuse;    /* the next record is ES_INVALID */
    bool broken;    /* no more data of files is taken */
};

void fake_sink_done(struct es_sink *sink);

/* The record of a key as text, fails the test where there is none. */
const struct es_record *fake_sink_get(const struct es_sink *sink, const char *key);

/* It is a string, and this one. */
void fake_sink_assert(const struct es_sink *sink, const char *key, const char *value);

/* What the sink has of a path or, without one, of an object's name, dropped files left out; NULL
 * where there is nothing. */
const struct fake_object *fake_sink_file(const struct es_sink *sink, const char *path);
const struct fake_object *fake_sink_object(const struct es_sink *sink, const char *name);

/* Whether a note (or detail) has this text in it. */
bool fake_sink_noted(const struct es_sink *sink, const char *text);
bool fake_sink_detailed(const struct es_sink *sink, const char *text);

/* A descriptor on text, or on tests/vectors/NAME; fails the test where it cannot. */
int fake_file(const void *text, size_t len);
int fake_vector(const char *name);

#endif
