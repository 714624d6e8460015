/* What the worker takes from itself before it reads anything from outside.
 *
 * es_sandbox_settle() is its first act; es_sandbox_close() comes before the first byte of a source
 * is read. What lies between, the caller's own configuration says: nothing of it is parsed from
 * outside. */
#ifndef ENVSYNC_WORKER_SANDBOX_H
#define ENVSYNC_WORKER_SANDBOX_H

#include "envsync/provider.h"

#include <sys/types.h>

/* Gathers what may still be read once it is closed. */
struct es_sandbox {
    int ruleset;       /* of Landlock, -1: none */
    int version;       /* of the kernel's Landlock, 0: none, or it is not to be had */
    const char *fault; /* the call that failed, or NULL */
};

/* Dies with its parent, leaves no core, is nobody's to attach to, has nothing to print on: the
 * change of user and exec have reset what the parent had set. -ESRCH: the parent is gone already.
 */
int es_sandbox_settle(pid_t parent);

/* network: whether anybody will ask the network, which needs names, trust and libraries. */
void es_sandbox_init(struct es_sandbox *sandbox, bool network);

/* For good. What the kernel cannot forbid is not forbidden: es_sandbox_lacks() says so. */
void es_sandbox_close(struct es_sandbox *sandbox);

/* What is not forbidden after all, for people; empty where all is. */
int es_sandbox_lacks(const struct es_sandbox *sandbox, struct es_buf *out);

#endif
