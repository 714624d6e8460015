/* See act.h. The actions are the administrator's own; units and paths come from the configuration
 * alone. The lock of the run is let go first: a unit that is restarted runs envsync itself, which
 * must not wait. Another lock keeps two runs from doing the same twice. */
#include "act.h"

#include "child.h"
#include "clock.h"
#include "lock.h"
#include "own_unit.h"
#include "pending.h"
#include "touch.h"

#include <errno.h>
#include <string.h>

/* Time for all actions where the deadline is near or over; check --unit counts with it. */
enum { GRACE = 5000 /* milliseconds */ };

struct acting {
    struct es_run *run;
    const struct es_run_options *options;
    struct es_report *report;
    int64_t until;
    struct es_own_unit own;
    bool due[ES_MAX_ACTIONS];
};

const char *es_action_word(const struct es_action *action)
{
    static const char *const words[] = {[ES_ACTION_TOUCH] = "touch",
                                        [ES_ACTION_RESTART] = "restart",
                                        [ES_ACTION_RELOAD] = "reload",
                                        [ES_ACTION_RUN] = "run"};

    return words[action->kind];
}

const char *es_acts_word(const struct es_run *run)
{
    static const char *const words[] = {"none", "skipped", "done", "pending", "failed"};
    static const size_t weights[] = {[ES_ACT_NONE] = 0,
                                     [ES_ACT_SKIPPED] = 1,
                                     [ES_ACT_DONE] = 2,
                                     [ES_ACT_PENDING] = 3,
                                     [ES_ACT_FAILED] = 4};
    size_t most = 0;

    for (size_t i = 0; i < run->config.on_change.n; i++)
        if (weights[run->acts[i]] > most)
            most = weights[run->acts[i]];
    return words[most];
}

/* Queued, not waited for: this run may belong to the start of something that the unit waits for. */
static int ask_systemd(const struct acting *a, const char *verb, const char *unit,
                       struct es_err *err)
{
    const char *const argv[] = {"systemctl", "--no-block", "--no-ask-password", verb, "--",
                                unit,        NULL};
    ES_CLEANUP(es_buf_done) struct es_buf said = {0};

    return es_child_run(argv, a->options->process, a->until, &said, err);
}

static int perform(const struct acting *a, const struct es_action *action, struct es_err *err)
{
    if (es_process_caught())
        return es_fail(err, ES_UNAVAILABLE, EINTR, "interrupted");
    switch (action->kind) {
    case ES_ACTION_TOUCH:
        return es_touch(a->options->root, action->words[0], err);
    case ES_ACTION_RESTART:
        return ask_systemd(a, "try-restart", action->words[0], err);
    case ES_ACTION_RELOAD:
        return ask_systemd(a, "reload", action->words[0], err);
    default:
        return es_child_run((const char *const *)action->words, a->options->process, a->until, NULL,
                            err);
    }
}

static bool is_own(const struct acting *a, const struct es_action *action)
{
    return (action->kind == ES_ACTION_RESTART || action->kind == ES_ACTION_RELOAD) &&
           es_own_unit_is(&a->own, action->words[0]);
}

/* May this be done here? What is due since this run's own change and is not needed in the start of
 * a unit is done with; what an earlier run has left waits for another. */
static enum es_act decide(const struct acting *a, const struct es_action *action,
                          struct es_err *why)
{
    bool indirect = action->kind == ES_ACTION_TOUCH || action->kind == ES_ACTION_RUN;

    if (is_own(a, action))
        return ES_ACT_SKIPPED;
    if (indirect && a->own.starting)
        return a->run->changes ? ES_ACT_SKIPPED : ES_ACT_PENDING;
    /* Without even a name, any unit may be the own one. */
    if (a->own.unsure && (indirect || a->own.name[0] == '\0')) {
        *why = a->own.why;
        es_context(why, "%s: it is not known whether this run starts %s", action->words[0],
                   a->own.name[0] ? a->own.name : "a unit");
        return ES_ACT_FAILED;
    }
    return ES_ACT_DONE;
}

static void tell(const struct acting *a, const struct es_action *action, enum es_act act,
                 struct es_err *why)
{
    const char *word = es_action_word(action), *what = action->words[0];

    if (act == ES_ACT_FAILED) {
        /* What was touched or run, its message begins with. */
        if (action->kind == ES_ACTION_RESTART || action->kind == ES_ACTION_RELOAD)
            es_context(why, "%s", what);
        es_context(why, "on_change: %s", word);
        es_advise(why, "the next run tries again");
        es_report_error(a->report, why);
    } else if (act == ES_ACT_SKIPPED) {
        es_report_add(a->report, ES_LEVEL_NOTICE,
                      "on_change: %s %s: not needed, this run belongs to the start of %s", word,
                      what, a->own.name);
    } else {
        es_report_add(a->report, ES_LEVEL_NOTICE, "on_change: %s %s: %s", word, what,
                      act == ES_ACT_DONE ? "done" : "left to a run that starts no unit");
    }
}

static enum es_act act(struct acting *a, const struct es_action *action)
{
    struct es_err why;
    enum es_act act = decide(a, action, &why);

    if (act == ES_ACT_DONE && perform(a, action, &why) < 0)
        act = ES_ACT_FAILED;
    tell(a, action, act, &why);
    return act;
}

/* Each is noted at once, so that a kill does not have it done again. */
static void act_on_all(struct acting *a)
{
    const struct es_on_change *on_change = &a->run->config.on_change;
    struct es_err err;
    int r = 0;

    es_run_tell(a->options, ES_PHASE_ACT, on_change->n);
    for (size_t i = 0; i < on_change->n; i++) {
        if (!a->due[i])
            continue;
        a->run->acts[i] = act(a, &on_change->actions[i]);
        a->due[i] = a->run->acts[i] == ES_ACT_PENDING || a->run->acts[i] == ES_ACT_FAILED;
        if (!a->due[i] && r == 0)
            r = es_pending_write(&a->run->config, &a->run->memory.store, a->due, &err);
    }
    if (r < 0) {
        es_context(&err, "on_change: what was done could not be noted, and is done again");
        es_report_error(a->report, &err);
    }
}

static bool any_due(const struct acting *a)
{
    for (size_t i = 0; i < a->run->config.on_change.n; i++)
        if (a->due[i])
            return true;
    return false;
}

static void leave(struct acting *a, enum es_act act)
{
    for (size_t i = 0; i < a->run->config.on_change.n; i++)
        if (a->due[i])
            a->run->acts[i] = act;
}

static int find_due(struct acting *a, struct es_err *err)
{
    struct es_run *run = a->run;
    int r = es_pending_read(&run->config, &run->memory.store, a->due, err);

    for (size_t i = 0; a->options->dry && run->changes && i < run->config.on_change.n; i++)
        a->due[i] = true;
    return r;
}

/* Whoever has the lock does what was due when it began; only for what has come since, by this very
 * run, is it waited for, and not where somebody waits for this run in turn. */
static int take_turn(const struct acting *a, struct es_err *err)
{
    bool wait = a->run->changes && !a->own.starting;

    return es_lock_acting(&a->run->config, a->options->root, wait ? a->until : 0, err);
}

static int prepare(struct acting *a, int *ret_lock, struct es_err *err)
{
    int r = find_due(a, err);

    if (r < 0 || !any_due(a) || a->options->dry)
        return r;
    r = es_own_unit_find(a->options->process, a->until, &a->own, err);
    if (r < 0)
        return r;
    r = take_turn(a, err);
    if (r < 0)
        return r;
    *ret_lock = r;
    return find_due(a, err);
}

void es_act(struct es_run *run, const struct es_run_options *options, struct es_report *report)
{
    struct acting a = {.run = run, .options = options, .report = report};
    ES_CLEANUP(es_close) int lock = -1;
    int64_t grace = es_clock_ms() + GRACE;
    struct es_err err;
    int r;

    es_close(&run->lock);
    if (run->config.on_change.n == 0)
        return;
    a.until = options->deadline > grace ? options->deadline : grace;
    r = prepare(&a, &lock, &err);
    if (r < 0 && err.class == ES_LOCKED) {
        es_report_add(report, ES_LEVEL_NOTICE, "on_change: another run is at it");
        leave(&a, ES_ACT_PENDING);
    } else if (r < 0) {
        es_context(&err, "on_change");
        es_report_error(report, &err);
        for (size_t i = 0; i < run->config.on_change.n; i++)
            a.due[i] = true;
        leave(&a, ES_ACT_FAILED);
    } else if (options->dry) {
        leave(&a, ES_ACT_PENDING);
    } else if (any_due(&a)) {
        act_on_all(&a);
    }
    es_own_unit_done(&a.own);
}
