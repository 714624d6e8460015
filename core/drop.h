/* Giving up privileges, between fork() and exec(). */
#ifndef ENVSYNC_CORE_DROP_H
#define ENVSYNC_CORE_DROP_H

#include "envsync/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct es_identity {
    uid_t uid;
    gid_t gid;
};

/* Whom the worker runs as. Looked up once, before the first fork, because NSS may want anything. */
struct es_identity es_worker_identity(void);

/* ES_CONFIG where there is no such user, or it is root. */
int es_identity_of(const char *name, struct es_identity *ret, struct es_err *err);

/* Does this errno of getpwnam() and its like say that nobody knows, instead of that there is none?
 */
bool es_lookup_failed(int errnum);

/* In the child: becomes the user for good, without groups and capabilities, under no_new_privs.
 * Without root it stays who it is. ES_DENIED names a missing capability. */
int es_drop(const struct es_identity *id, struct es_err *err);

/* In the child: every descriptor from 3 up is closed on exec. */
void es_close_on_exec(void);

/* In the child: stdin and, with `out`, stdout at /dev/null, open for reading only; working
 * directory "/". */
int es_plain_stdio(bool out, struct es_err *err);

#endif
