/* Every bound on what comes from outside, in one place.
 *
 * A document or value at its limit is accepted, one byte over is refused (ES_INVALID). */
#ifndef ENVSYNC_LIMITS_H
#define ENVSYNC_LIMITS_H

enum {
    ES_MAX_DOCUMENT = 1 << 20,      /* one document that is parsed and merged */
    ES_MAX_TOTAL = 8 << 20,         /* all that is merged in a run */
    ES_MAX_CONFIG = 1 << 20,        /* the configuration file, the bootstrap file */
    ES_MAX_INSTANCE_DATA = 8 << 20, /* cloud-init's instance data */
    ES_MAX_DEPTH = 32,              /* nesting of tables and lists, segments of a key */
    ES_MAX_KEY = 2048,              /* bytes of a key, with its dots */
    ES_MAX_RECORDS = 100000,        /* leaves of a run */
    ES_MAX_FRAME = (2 << 20),       /* one frame between the processes */
    ES_MAX_SOURCES = 256,           /* [[source]] tables */
    ES_MAX_OUTPUTS = 256,           /* [[output]] tables */
    ES_MAX_ACTIONS = 64,            /* things to do of one [on_change] */
    ES_MAX_FILES = 512,             /* files that root opens for the worker in a run */
    ES_MAX_ENV_VARIABLE = 131072,   /* NAME=VALUE and its NUL, the kernel's own limit */
    ES_MAX_ENV_TOTAL = 2 << 20,     /* all variables of one output */
    ES_MAX_OBJECTS = 100000,        /* objects of a run, merged and mirrored */
    ES_MAX_FILE_DATA = 128 << 10,   /* bytes of a mirrored file in one frame */
    ES_MAX_OPEN_FILES = 300,        /* mirrored files under way at once */
    ES_MAX_MIRROR_PATH = 1024,      /* bytes of a mirrored file's path below its dir */
    ES_MAX_MIRROR_DEPTH = 50,       /* directories in it */
    ES_MAX_NOTES = 1000,            /* notes that one run may print */
    ES_MAX_UNIT = 1 << 20,          /* one file of a systemd unit; systemd's own limit of a line */
    ES_MAX_UNIT_FILES = 256,        /* a unit and its drop-ins */
    ES_MAX_UNIT_SETTINGS = 10000,   /* lines of a unit, and words in one setting */
};

#endif
