/* Programs that a source needs: started as an ordinary user, their stdout handed to the worker. */
#ifndef ENVSYNC_CORE_PROGRAM_H
#define ENVSYNC_CORE_PROGRAM_H

#include "process.h"

#include "envsync/provider.h"

struct es_program {
    uint32_t source;
    char *path;
    pid_t pid; /* 0: ended */
    int64_t timeout_ms;
    int64_t kill_at; /* on the clock of es_clock_ms() */
    bool killed;     /* because its time was over */
};

/* Returns the reading end of its stdout, or a negative errno. */
int es_program_start(const struct es_need *need, const struct es_process *process, int64_t deadline,
                     struct es_program *ret, struct es_err *err);

/* Its stdout has ended: waits for it, and fails by its exit status. */
int es_program_judge(struct es_program *program, int64_t deadline, struct es_err *err);

/* Kills it, with all that it started, where its time is over. */
void es_program_expire(struct es_program *program);

void es_program_done(struct es_program *program); /* kills what still runs */

#endif
