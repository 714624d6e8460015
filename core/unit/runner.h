/* Between runner.c (which line or unit runs envsync) and check.c (what is to be said of it). */
#ifndef ENVSYNC_CORE_UNIT_RUNNER_H
#define ENVSYNC_CORE_UNIT_RUNNER_H

#include "judge.h"

/* How well a line fits the configuration. What a shell is told is a guess, but a better one than a
 * line that names another configuration. */
enum es_rank { ES_RANK_NONE, ES_RANK_ELSEWHERE, ES_RANK_WRAPPED, ES_RANK_SAME_NAME, ES_RANK_FITS };

/* Of all lines so far the one that fits best. */
struct es_choice {
    const char *key;
    size_t number; /* in the list of its key */
    struct es_unit_call call;
    enum es_rank rank;
};
/* Takes the lines of one more key in. judge: is told of lines that envsync would refuse, or NULL.
 * Only -ENOMEM, without a message. */
int es_choice_make(const struct es_unit_commands *commands, const char *key, const char *config,
                   es_unit_call_fn *read_call, struct es_judge *judge, struct es_choice *choice);

/* All lines of a unit that run before its app does. */
struct es_lines {
    struct es_unit_commands pre, start;
};
void es_lines_done(struct es_lines *lines);
/* Reads them, and chooses. */
int es_lines_read(const struct es_unit *unit, const char *config, es_unit_call_fn *read_call,
                  struct es_judge *judge, struct es_lines *lines, struct es_choice *choice,
                  struct es_err *err);

/* What a unit depends on, and what it comes after. */
struct es_ties {
    struct es_unit_items needs, wants, after;
};
void es_ties_done(struct es_ties *ties);
/* Finds the unit that runs envsync for this one, where that fits better than its own line, `own`.
 * ret_at: the item that ties them. */
int es_ties_search(const struct es_unit *unit, const char *config, enum es_rank own,
                   es_unit_call_fn *read_call, struct es_ties *ties, struct es_runner *ret,
                   const struct es_unit_item **ret_at, struct es_err *err);

/* Lines that do not run before the app does: envsync among them is in a wrong place. Ends with
 * NULL, the first is the one whose failure passes the app over. */
extern const char *const es_late_keys[];

#endif
