/* Mirrored files that a manifest names: whether they are in their places, and putting them there.
 *
 * Everything is done from the manifest alone, so that the next run can complete what a killed one
 * began. A file is known by device, inode, size and time; it is never read.
 */
#ifndef ENVSYNC_CORE_MIRRORED_H
#define ENVSYNC_CORE_MIRRORED_H

#include "commit/manifest.h"
#include "config.h"

/* Walks to the directory of a mirrored file of a source, by its rules. `dry`: nothing is made. */
int es_mirrored_walk(const struct es_config *config, const char *root, uint32_t source, bool dry,
                     const char *path, struct es_place *ret, struct es_err *err);
/* The same for files one after the other, of which those in one directory share a walk. All but
 * config and root may be zero at first. */
struct es_mirrored_way {
    const struct es_config *config;
    const char *root;
    struct es_place place; /* of the last file */
    char path[PATH_MAX];   /* of the last file, or "": publishing must not need memory */
    uint32_t source;
    bool dry;
};
#define ES_MIRRORED_WAY(c, r)                                                                      \
    {                                                                                              \
        .config = (c), .root = (r)                                                                 \
    }
int es_mirrored_go(struct es_mirrored_way *way, uint32_t source, bool dry, const char *path,
                   struct es_err *err);
void es_mirrored_way_done(struct es_mirrored_way *way);

struct es_owner es_mirrored_owner(const struct es_source *source);
bool es_mirrored_right_owner(const struct stat *st, const struct es_owner *owner);

/* Is the file on disk still the one that the manifest means? 1 or 0, which also says that envsync
 * may not get there; or negative where nobody knows. ret_changed_ms: when its inode was last
 * changed, since 1970; or NULL. */
int es_mirrored_holds(struct es_mirrored_way *way, uint32_t source, const struct es_kept_file *file,
                      int64_t *ret_changed_ms, struct es_err *err);

/* Makes staged files durable, and their names, so that a manifest may name them. */
int es_mirrored_settle(const struct es_config *config, const char *root,
                       const struct es_manifest *set, struct es_err *err);

struct es_publishing {
    bool unsynced; /* in the directory that is at work something has changed */
    int state; /* directory of `current`, synced before anything is put in its place or taken from
                  it; or -1 */
    bool lost; /* that has failed: nothing may be published */
    bool repaired;                      /* owners or modes were wrong */
    const struct es_kept_file *missing; /* one that is neither staged nor in its place, or NULL */
};

int es_publishing_settle(struct es_publishing *publishing, struct es_err *err);

/* Puts staged files in their places, repairs owners and modes, and removes those of `gone`; as many
 * as can be, the first failure is returned. One that is missing is no failure here: it is told. */
int es_mirrored_publish(const struct es_config *config, const char *root,
                        const struct es_manifest *set, struct es_publishing *publishing,
                        struct es_report *report, struct es_err *err);

/* Removes what a killed run of this configuration has staged, also where only the last set still
 * has files. Once nothing staged is still to be published. */
void es_mirrored_sweep(const struct es_config *config, const struct es_manifest *last,
                       const char *root);

#endif
