/* What envsync does to itself first, and undoes for the command of `envsync exec`.
 *
 * The environment may be the last output of envsync itself, the descriptors may be closed, limits
 * and masks may be the app's: nothing of it is trusted. It is kept only to be handed on.
 */
#ifndef ENVSYNC_CORE_PROCESS_H
#define ENVSYNC_CORE_PROCESS_H

#include "envsync/err.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

struct es_process {
    char **environ; /* as inherited; borrowed from the kernel's own array */
    mode_t umask;
    sigset_t mask;
    struct rlimit core;
    struct sigaction pipe, xfsz, chld; /* dispositions that are changed */
    bool closed[3];                    /* of descriptors 0-2: there was none */
};

/* Call before anything else. After it: environ holds only constants, umask is 077, descriptors 0-2
 * are open, no core is written, nobody may attach. */
int es_process_start(struct es_process *process, struct es_err *err);

/* A variable of the inherited environment, or NULL. Callers decide who may ask. */
const char *es_process_getenv(const struct es_process *process, const char *name);

/* SIGTERM, SIGINT and SIGHUP set a flag from here on instead of ending the process. */
void es_process_catch(void);
int es_process_caught(void); /* the signal, or 0 */

/* Dies of the signal that was caught, as the caller's shell or systemd expects. */
void es_process_die(int sig);

/* Signals as inherited, for a child. */
void es_process_restore_signals(const struct es_process *process);

/* For a child that leads a process group. Has it ended? Then its whole group goes with it, before
 * its number may belong to somebody else, and *pid is 0. */
bool es_process_reap(pid_t *pid, int *ret_status);
/* Kills a child and its group, whatever they do. */
void es_process_kill(pid_t *pid);

/* Before execve(): mask, umask, limits, dispositions and descriptors 0-2 as inherited. */
void es_process_restore(const struct es_process *process);

#endif
