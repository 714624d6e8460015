/* The manifest of a set: what was accepted, from where, and where it belongs.
 *
 * It holds names, versions, sizes and times, never a value. It lies in the state directory, which
 * only root may enter, and is read with every length checked all the same.
 */
#ifndef ENVSYNC_CORE_COMMIT_MANIFEST_H
#define ENVSYNC_CORE_COMMIT_MANIFEST_H

#include "envsync/record.h"
#include "temp.h"

/* An object that a source gave (see es_object). */
struct es_kept_object {
    struct es_buf name;
    struct es_buf version;
    int64_t size;
    int64_t modified_ms;
    uint32_t rank;
};

struct es_kept_source {
    struct es_buf name;
    struct es_buf configured; /* those of its options that say where its data is, as configured */
    struct es_buf
        address;  /* and with the facts of this machine: the records count for nothing else */
    bool on_disk; /* may its records rest on disk? */
    bool given;   /* false: it was optional and absent, or skipped */
    bool stale;   /* its records are those of an earlier run */
    struct es_kept_object *objects; /* merged ones, sorted by name */
    size_t n_objects;
};

struct es_kept_output {
    struct es_buf path;
    bool on_disk; /* its rendering lies in the disk half, else in the /run half */
    struct es_owner owner;
};

/* A mirrored file. Until it is published, `temp` names it beside its target. */
struct es_kept_file {
    uint32_t source;
    struct es_buf path; /* absolute, without --root */
    struct es_kept_object object;
    struct es_owner owner;
    bool gone;          /* the source has it no more; kept for a later prune */
    struct es_buf temp; /* "" for one that an earlier set has published */
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t modified_ns;
    bool streamed; /* in this run, under the worker's id; neither is kept */
    uint32_t id;
};

struct es_manifest {
    struct es_buf config_file; /* that owns this state */
    struct es_buf configured;  /* the whole configuration, as expanded */
    struct es_buf machine_id;
    struct es_buf boot_id; /* in which the /run half was written; empty where there is none */
    bool complete;         /* every source was fetched: nothing skipped, nothing stale */
    struct es_kept_source *sources;
    size_t n_sources;
    struct es_kept_output *outputs;
    size_t n_outputs;
    struct es_kept_file *files;
    size_t n_files;
};

void es_manifest_done(struct es_manifest *manifest);
int es_manifest_encode(const struct es_manifest *manifest, struct es_buf *out);
/* -EBADMSG for what is no manifest of this version; -ENOMEM. */
int es_manifest_decode(const char *data, size_t len, struct es_manifest *ret);

bool es_manifest_has_run_half(const struct es_manifest *set);

/* Grow by one zeroed element, or NULL. */
struct es_kept_object *es_kept_source_add(struct es_kept_source *source);
struct es_kept_file *es_manifest_add_file(struct es_manifest *manifest);

void es_kept_object_done(struct es_kept_object *object);
void es_kept_source_clear(struct es_kept_source *source); /* forgets the objects */
void es_kept_source_done(struct es_kept_source *source);

#endif
