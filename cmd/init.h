/* Between init.c, which finds out and writes, and init_text.c, which says it. */
#ifndef ENVSYNC_CMD_INIT_H
#define ENVSYNC_CMD_INIT_H

#include "../core/unit/unit.h"

struct es_init {
    char *file;         /* of the configuration */
    char *dropin;       /* or NULL: no unit was named */
    char *local;        /* the env file that the configuration reads */
    char *output;       /* the env file that it writes */
    char *app;          /* also the prefix of the unit's name */
    char *instance;     /* "APP@INSTANCE", or NULL: the unit has none */
    struct es_buf user; /* that the unit names; empty: none, or root */
    bool user_exists;
    bool as_root;        /* the unit runs as root */
    struct es_buf group; /* that may read; empty: the app's, which exists */
    bool group_exists;   /* the one that it should be */

    struct es_unit unit; /* no settings where it is not on this host */
    bool has_unit;
    bool has_lines; /* its ExecStartPre= is not empty where systemd comes to the drop-in */
    const struct es_unit_setting *reset; /* the empty one above them, or NULL */
    bool confined;                       /* its sandbox leaves envsync too little */
    bool preloads;                       /* it sets LD_PRELOAD itself */
    int64_t timeout_ms;                  /* for TimeoutStartSec=, or 0: leave it */
};

/* Does systemd read this file of the unit after the drop-in that is written? */
bool es_init_reads_later(const struct es_init *init, const char *file);

int es_init_write_config(const struct es_init *init, struct es_buf *out);
int es_init_write_dropin(const struct es_init *init, struct es_buf *out);

#endif
