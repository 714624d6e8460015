/* See check.h. The unit that runs envsync is judged by some rules, the one that reads what was
 * written by others; runner.c has found which is which. */
#include "check.h"

#include "runner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- findings ---- */

const struct es_unit_setting *es_judge_section(const struct es_judge *judge, const char *section)
{
    const struct es_unit *unit = judge->unit;

    for (size_t i = 0; i < unit->n; i++)
        if (unit->settings[i].kind == ES_UNIT_HEADER &&
            strcmp(unit->settings[i].section, section) == 0)
            return &unit->settings[i];
    return NULL;
}

__attribute__((format(printf, 4, 0))) static void find(struct es_judge *judge, enum es_level level,
                                                       const struct es_unit_setting *at,
                                                       const char *fmt, va_list args)
{
    struct es_err finding = {.class = ES_CONFIG};
    int n = snprintf(finding.msg, sizeof finding.msg,
                     "%s:%u: ", at ? at->file : judge->unit->files[0], at ? at->line : 1);

    if (n >= 0 && (size_t)n < sizeof finding.msg)
        vsnprintf(finding.msg + n, sizeof finding.msg - (size_t)n, fmt, args);
    if (level == ES_LEVEL_ERROR) {
        judge->errors++;
        es_report_error(judge->report, &finding);
    } else {
        es_report_add(judge->report, level, "%s", finding.msg);
    }
}

void es_judge_error(struct es_judge *judge, const struct es_unit_setting *at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    find(judge, ES_LEVEL_ERROR, at, fmt, args);
    va_end(args);
}

void es_judge_warning(struct es_judge *judge, const struct es_unit_setting *at, const char *fmt,
                      ...)
{
    va_list args;

    va_start(args, fmt);
    find(judge, ES_LEVEL_WARNING, at, fmt, args);
    va_end(args);
}

/* ---- a unit and what runs envsync for it ---- */

static void judge_done(struct es_judge *judge)
{
    es_buf_done(&judge->user);
    es_unit_dirs_done(&judge->dirs);
    es_unit_items_done(&judge->environment_files);
}

bool es_judge_oneshot(const struct es_judge *judge)
{
    static const char *const types[] = {"oneshot", "simple",        "exec", "forking", "dbus",
                                        "notify",  "notify-reload", "idle", NULL};

    return es_unit_choice(judge->unit, "Service", "Type", types, NULL) == 0;
}

static int read_user(struct es_judge *judge, struct es_err *err)
{
    const struct es_unit_setting *dynamic = NULL;
    int r = es_unit_text(judge->unit, "Service", "User", &judge->user, &judge->user_at, err);

    if (r != 0)
        return r;
    if (es_buf_is(&judge->user, "root") || es_buf_is(&judge->user, "0"))
        es_buf_clear(&judge->user);
    if (judge->user.len == 0 &&
        es_unit_bool(judge->unit, "Service", "DynamicUser", false, &dynamic)) {
        judge->user_at = dynamic;
        return es_buf_append(&judge->user, judge->unit->name,
                             es_unit_prefix_length(judge->unit->name)) < 0
                   ? es_nomem(err)
                   : 0;
    }
    return 0;
}

static int prepare(struct es_judge *judge, struct es_err *err)
{
    int r = read_user(judge, err);

    if (r == 0)
        r = es_unit_dirs_read(judge->unit, &judge->dirs, err);
    return r == 0 ? es_unit_list(judge->unit, "Service", "EnvironmentFile", ES_UNIT_WHOLE,
                                 &judge->environment_files, err)
                  : r;
}

/* The rights of the line that runs envsync; of the one that should, where none does. */
static void take_line(struct es_judge *judge, const struct es_lines *lines,
                      const struct es_choice *choice)
{
    bool only_start = es_unit_bool(judge->unit, "Service", "PermissionsStartOnly", false, NULL);
    bool is_start = choice->rank != ES_RANK_NONE && strcmp(choice->key, "ExecStart") == 0;
    const struct es_unit_command *line = NULL;
    bool privileged = false, keeps_root = true;

    if (choice->rank != ES_RANK_NONE) {
        line = is_start ? &lines->start.items[choice->number] : &lines->pre.items[choice->number];
        privileged = line->privileged || (only_start && !is_start);
        keeps_root = privileged || line->keeps_root;
    }
    judge->line = line;
    judge->call = choice->call;
    judge->as_root = keeps_root || judge->user.len == 0;
    judge->sandboxed = !privileged;
}

/* Judges the unit in which envsync runs. */
static int judge_runner(struct es_judge *judge, struct es_err *err)
{
    int r = es_judge_run(judge, err);

    if (r == 0)
        r = es_judge_order(judge, err);
    return r == 0 ? es_judge_confinement(judge, err) : r;
}

/* Judges the unit that reads what envsync wrote. */
static int judge_reader(struct es_judge *judge, struct es_err *err)
{
    int r = es_judge_files(judge, err);

    return r == 0 ? es_judge_readers(judge, err) : r;
}

struct question {
    const struct es_config *config;
    const struct es_process *process;
    const struct es_unit_program *program;
    struct es_report *report;
};

static struct es_judge judge_of(const struct question *q, const struct es_unit *unit)
{
    return (struct es_judge){.unit = unit,
                             .config = q->config,
                             .process = q->process,
                             .report = q->report,
                             .exit_code = q->program->exit_code};
}

/* A unit that this one requires and is ordered after, and that runs envsync with this very
 * configuration: the safe layout with a oneshot. */
static int judge_other(const struct question *q, const struct es_unit *unit, size_t *ret_errors,
                       struct es_err *err)
{
    ES_CLEANUP(judge_done) struct es_judge judge = judge_of(q, unit);
    ES_CLEANUP(es_lines_done) struct es_lines lines = {0};
    struct es_choice choice = {0};
    int r = prepare(&judge, err);

    if (r == 0)
        r = es_lines_read(unit, q->config->file, q->program->read_call, &judge, &lines, &choice,
                          err);
    if (r != 0)
        return r;
    take_line(&judge, &lines, &choice);
    r = judge_runner(&judge, err);
    if (r == 0)
        r = es_judge_files(&judge, err);
    *ret_errors = judge.errors;
    return r;
}

/* Finds the unit that runs envsync for this one, and says what is wrong with the way it is tied. */
static int find_runner(const struct question *q, struct es_judge *judge, enum es_rank own,
                       struct es_runner *ret, struct es_err *err)
{
    ES_CLEANUP(es_ties_done) struct es_ties ties = {0};
    const struct es_unit_item *found = NULL;
    int r = es_ties_search(judge->unit, q->config->file, own, q->program->read_call, &ties, ret,
                           &found, err);
    const char *name = ret->other.name;

    if (r != 0 || !ret->found)
        return r;
    if (!es_unit_find(&ties.needs, name))
        es_judge_error(judge, found->at,
                       "%s starts also where %s has failed, with old files or none; say "
                       "Requires=%s, and After=",
                       judge->unit->name, name, name);
    if (!es_unit_find(&ties.after, name))
        es_judge_error(judge, found->at,
                       "%s does not wait for %s, which writes its files; add After=%s",
                       judge->unit->name, name, name);
    return 0;
}

/* Without a line, and without another unit: is it in a wrong place at least? */
static int tell_not_run(const struct question *q, struct es_judge *judge, struct es_err *err)
{
    for (size_t i = 0; es_late_keys[i]; i++) {
        ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
        struct es_choice choice = {0};
        int r = es_unit_commands(judge->unit, es_late_keys[i], &commands, err);

        if (r != 0)
            return r;
        if (es_choice_make(&commands, es_late_keys[i], q->config->file, q->program->read_call, NULL,
                           &choice) < 0)
            return es_nomem(err);
        if (choice.rank == ES_RANK_NONE)
            continue;
        es_judge_error(judge, commands.items[choice.number].at,
                       "%s=: %s; make it ExecStartPre=", es_late_keys[i],
                       i == 0 ? "where envsync fails, the app is passed over in silence"
                              : "it does not run before the app starts");
        return 0;
    }
    es_judge_error(judge, es_judge_section(judge, "Service"),
                   "%s does not run envsync: nothing writes what it reads; add to [Service]: "
                   "ExecStartPre=!" BINDIR "/envsync -c %s",
                   judge->unit->name, q->config->file);
    return 0;
}

static int judge_unit(const struct question *q, struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_lines_done) struct es_lines lines = {0};
    ES_CLEANUP(es_runner_done) struct es_runner runner = {0};
    struct es_choice choice = {0};
    int r = es_lines_read(judge->unit, q->config->file, q->program->read_call, judge, &lines,
                          &choice, err);

    if (r == 0 && choice.rank <= ES_RANK_WRAPPED)
        r = find_runner(q, judge, choice.rank, &runner, err);
    if (r != 0)
        return r;
    take_line(judge, &lines, &choice);
    if (runner.found) {
        size_t errors = 0;

        judge->line = NULL;
        judge->runner = runner.other.name;
        r = judge_other(q, &runner.other, &errors, err);
        judge->errors += errors;
    } else {
        if (!judge->line)
            r = tell_not_run(q, judge, err);
        if (r == 0)
            r = judge_runner(judge, err);
    }
    return r == 0 ? judge_reader(judge, err) : r;
}

int es_unit_check(const struct es_unit *unit, const struct es_config *config,
                  const struct es_process *process, const struct es_unit_program *program,
                  struct es_report *report, size_t *ret_errors, struct es_err *err)
{
    const struct question q = {
        .config = config, .process = process, .program = program, .report = report};
    ES_CLEANUP(judge_done) struct es_judge judge = judge_of(&q, unit);
    int r = prepare(&judge, err);

    if (r != 0)
        return r;
    es_judge_lines(&judge);
    r = judge_unit(&q, &judge, err);
    if (r != 0)
        return r;
    *ret_errors = judge.errors;
    return 0;
}
