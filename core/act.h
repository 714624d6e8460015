/* Doing what [on_change] asks for, once everything is in its place. */
#ifndef ENVSYNC_CORE_ACT_H
#define ENVSYNC_CORE_ACT_H

#include "run.h"

/* After a run that succeeded: lets go of its lock, does what is due and notes what is done. Fills
 * run->acts. Nothing here makes a run fail, whose files are right: what fails is an error in the
 * report and stays due. A dry run only finds out what would be done. */
void es_act(struct es_run *run, const struct es_run_options *options, struct es_report *report);

/* What became of all of it, in a word: "none", "done", "skipped", "pending" or "failed". */
const char *es_acts_word(const struct es_run *run);

const char *es_action_word(const struct es_action *action); /* "touch", "restart", ... */

#endif
