/* Programs that envsync runs for itself, with its caller's rights, and waits for: systemctl, and
 * what the administrator has on_change run. No shell, no inherited environment, nothing on stdin;
 * the umask, limits and signals are as envsync was given them. */
#ifndef ENVSYNC_CORE_CHILD_H
#define ENVSYNC_CORE_CHILD_H

#include "envsync/buf.h"
#include "process.h"

#include <stdint.h>

/* `said` gets what it prints, as far as that is of use, and its last line is in the message where
 * it fails; without it, all goes to stderr. Fails where it cannot be run, where it does not exit
 * with 0, and where it has not ended by `until`: then it is killed with all that it started and
 * that did not leave its group. A signal that was caught ends it as well (-EINTR). */
int es_child_run(const char *const *argv, const struct es_process *process, int64_t until,
                 struct es_buf *said, struct es_err *err);

#endif
