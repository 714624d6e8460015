/* Which unit of systemd's envsync runs in, and whether that unit is only being started.
 *
 * A unit that envsync belongs to must not be restarted by it: a restart out of one's own
 * ExecStartPre= is a loop.
 */
#ifndef ENVSYNC_CORE_OWN_UNIT_H
#define ENVSYNC_CORE_OWN_UNIT_H

#include "envsync/buf.h"
#include "process.h"

#include <stdint.h>

enum { ES_UNIT_MAX = 256 };

struct es_own_unit {
    char name[ES_UNIT_MAX]; /* "" where envsync runs in none */
    struct es_buf names;    /* all of its names, with a blank before and behind each */
    bool starting;          /* this is its ExecStartPre= or ExecCondition= */
    bool unsure;            /* it may be: systemd could not be asked, and `why` says so */
    struct es_err why;
};

/* Asks systemctl, where there is a unit to be asked about, until `until`. -ENOMEM. */
int es_own_unit_find(const struct es_process *process, int64_t until, struct es_own_unit *ret,
                     struct es_err *err);
bool es_own_unit_is(const struct es_own_unit *own, const char *unit);
void es_own_unit_done(struct es_own_unit *own);

/* The unit that a process is in, by what is in its /proc/PID/cgroup; "" where that names none. */
void es_own_unit_parse(const char *cgroups, char ret[ES_UNIT_MAX]);

#endif
