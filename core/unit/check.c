/* See check.h. Which line of the unit runs envsync, or which unit does it before; then the rules.
 */
#include "check.h"

#include "judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* ---- which line ---- */

/* Programs that run what their arguments say. */
static bool is_wrapper(const char *program)
{
    static const char *const wrappers[] = {
        "ash",     "bash",    "busybox",     "chpst",       "chroot",  "chrt",   "dash",
        "env",     "flock",   "ionice",      "ksh",         "nice",    "nohup",  "nsenter",
        "prlimit", "runuser", "setpriv",     "setsid",      "sh",      "stdbuf", "strace",
        "su",      "sudo",    "systemd-cat", "systemd-run", "taskset", "time",   "timeout",
        "unshare", "zsh",     NULL};

    for (size_t i = 0; wrappers[i]; i++)
        if (strcmp(wrappers[i], program) == 0)
            return true;
    return false;
}

/* Does a text name envsync as a command would: as a word, or as the last part of a path that is one
 * of a program, ".../bin/envsync"? "/run/envsync" is a place, "envsync-cache" something else. */
static bool names_envsync(const char *text)
{
    static const char name[] = "envsync", around[] = " \t\n\"'`;&|()";

    for (const char *at = text; (at = strstr(at, name)); at++) {
        char behind = at[sizeof name - 1];

        if (behind != '\0' && !strchr(around, behind))
            continue;
        if (at == text || strchr(around, at[-1]) ||
            (at - text >= 4 && memcmp(at - 4, "bin/", 4) == 0))
            return true;
    }
    return false;
}

/* envsync itself; or a shell or the like that is told to run it. */
static bool is_envsync(const struct es_unit_command *command, bool *ret_wrapped)
{
    const char *program = es_path_base(command->argv[0]);

    *ret_wrapped = is_wrapper(program);
    if (!*ret_wrapped)
        return strcmp(program, "envsync") == 0;
    for (size_t i = 1; i < command->argc; i++)
        if (names_envsync(command->argv[i]))
            return true;
    return false;
}

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;

    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* How well a line fits the configuration. What a shell is told is a guess, but a better one than a
 * line that names another configuration. */
enum rank { NOT_RUN, ELSEWHERE, WRAPPED, SAME_NAME, FITS };

static enum rank rank(const struct es_unit_call *call, bool wrapped, const char *config)
{
    if (call->task == ES_UNIT_OTHER)
        return NOT_RUN;
    if (wrapped)
        return WRAPPED;
    if (!config || !call->config || same_file(call->config, config))
        return FITS;
    return strcmp(es_path_base(call->config), es_path_base(config)) == 0 ? SAME_NAME : ELSEWHERE;
}

/* The line of all those of a key that fits best, among those so far. */
struct choice {
    const char *key;
    size_t number; /* in the list of its key */
    struct es_unit_call call;
    enum rank rank;
};

static int choose(const struct es_unit_commands *commands, const char *key, const char *config,
                  es_unit_call_fn *read_call, struct es_judge *judge, struct choice *choice)
{
    struct es_err why;

    for (size_t i = 0; i < commands->n; i++) {
        struct es_unit_command *command = &commands->items[i];
        struct es_unit_call call = {.task = ES_UNIT_SYNC};
        enum rank is;
        bool wrapped;
        int r = 0;

        if (!is_envsync(command, &wrapped))
            continue;
        if (!wrapped)
            r = read_call(command, &call, &why);
        if (r == -ENOMEM)
            return r;
        if (r != 0 && judge)
            es_judge_error(judge, command->at, "%s=: %s", key, why.msg);
        /* A variable of the environment: nobody can tell from here. */
        if (call.config && strchr(call.config, '$'))
            call.config = NULL;
        is = rank(&call, wrapped, config);
        if (is > choice->rank)
            *choice = (struct choice){.key = key, .number = i, .call = call, .rank = is};
    }
    return 0;
}

/* All lines of a unit that run before its app does. */
struct lines {
    struct es_unit_commands pre, start;
};

static void lines_done(struct lines *lines)
{
    es_unit_commands_done(&lines->pre);
    es_unit_commands_done(&lines->start);
}

static int find_line(const struct es_unit *unit, const char *config, es_unit_call_fn *read_call,
                     struct es_judge *judge, struct lines *lines, struct choice *choice,
                     struct es_err *err)
{
    int r = es_unit_commands(unit, "ExecStartPre", &lines->pre, err);

    if (r == 0)
        r = es_unit_commands(unit, "ExecStart", &lines->start, err);
    if (r != 0)
        return r;
    if (choose(&lines->pre, "ExecStartPre", config, read_call, judge, choice) < 0 ||
        choose(&lines->start, "ExecStart", config, read_call, judge, choice) < 0)
        return es_nomem(err);
    return 0;
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
static void take_line(struct es_judge *judge, const struct lines *lines,
                      const struct choice *choice)
{
    bool only_start = es_unit_bool(judge->unit, "Service", "PermissionsStartOnly", false, NULL);
    bool is_start = choice->rank != NOT_RUN && strcmp(choice->key, "ExecStart") == 0;
    const struct es_unit_command *line = NULL;
    bool privileged = false, keeps_root = true;

    if (choice->rank != NOT_RUN) {
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
    ES_CLEANUP(lines_done) struct lines lines = {0};
    struct choice choice = {0};
    int r = prepare(&judge, err);

    if (r == 0)
        r = find_line(unit, q->config->file, q->program->read_call, &judge, &lines, &choice, err);
    if (r != 0)
        return r;
    take_line(&judge, &lines, &choice);
    r = judge_runner(&judge, err);
    if (r == 0)
        r = es_judge_files(&judge, err);
    *ret_errors = judge.errors;
    return r;
}

/* Loads a unit that this one depends on, where it runs envsync with the configuration; without one
 * (NULL), where that is what the unit is there for. It has to fit better than this one's own line,
 * `own`. ret_config: the one that it names, or NULL. */
static int load_runner(const struct es_unit *unit, const char *name, const char *config,
                       enum rank own, es_unit_call_fn *read_call, struct es_runner *ret,
                       struct es_err *err)
{
    ES_CLEANUP(es_unit_done) struct es_unit other = {0};
    ES_CLEANUP(lines_done) struct lines lines = {0};
    struct choice choice = {0};
    size_t len = strlen(name);
    struct es_err ignored;
    int r;

    if (len < 9 || strcmp(name + len - 8, ".service") != 0)
        return 0;
    r = es_unit_load(name, unit->folder, NULL, &other, &ignored);
    if (r == -ENOMEM)
        return es_nomem(err);
    if (r != 0)
        return 0;
    r = find_line(&other, config, read_call, NULL, &lines, &choice, err);
    if (r != 0 || choice.rank <= ELSEWHERE || choice.rank <= own)
        return r;
    if (!config && (choice.call.task != ES_UNIT_SYNC || strcmp(choice.key, "ExecStart") != 0))
        return 0;
    if (choice.call.config && !(ret->config = strdup(choice.call.config)))
        return es_nomem(err);
    ret->other = other;
    other = (struct es_unit){0};
    ret->found = true;
    return 0;
}

/* What a unit depends on, and what it comes after. */
struct ties {
    struct es_unit_items needs, wants, after;
};

static void ties_done(struct ties *ties)
{
    es_unit_items_done(&ties->needs);
    es_unit_items_done(&ties->wants);
    es_unit_items_done(&ties->after);
}

/* Finds the unit that runs envsync for this one. ret_at: the item that ties them. */
static int search_ties(const struct es_unit *unit, const char *config, enum rank own,
                       es_unit_call_fn *read_call, struct ties *ties, struct es_runner *ret,
                       const struct es_unit_item **ret_at, struct es_err *err)
{
    const char *const keys[] = {"Requires|BindsTo|Requisite", "Wants|Upholds", "After"};
    struct es_unit_items *const lists[] = {&ties->needs, &ties->wants, &ties->after};
    int r = 0;

    for (size_t i = 0; r == 0 && i < 3; i++)
        r = es_unit_list(unit, "Unit", keys[i], ES_UNIT_NO_RESET, lists[i], err);
    for (size_t i = 0; r == 0 && i < 3; i++)
        for (size_t j = 0; r == 0 && !ret->found && j < lists[i]->n; j++) {
            *ret_at = &lists[i]->items[j];
            r = load_runner(unit, es_buf_str(&(*ret_at)->text), config, own, read_call, ret, err);
        }
    return r;
}

/* Finds the unit that runs envsync for this one, and says what is wrong with the way it is tied. */
static int find_runner(const struct question *q, struct es_judge *judge, enum rank own,
                       struct es_runner *ret, struct es_err *err)
{
    ES_CLEANUP(ties_done) struct ties ties = {0};
    const struct es_unit_item *found = NULL;
    int r = search_ties(judge->unit, q->config->file, own, q->program->read_call, &ties, ret,
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

/* Lines that do not run before the app does: envsync among them is in a wrong place. */
static const char *const late_keys[] = {"ExecCondition", "ExecStartPost", "ExecReload",
                                        "ExecStop",      "ExecStopPost",  NULL};

static int find_late(const struct es_unit *unit, es_unit_call_fn *read_call, struct es_runner *ret,
                     struct es_err *err)
{
    for (size_t i = 0; !ret->config && late_keys[i]; i++) {
        ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
        struct choice choice = {0};
        int r = es_unit_commands(unit, late_keys[i], &commands, err);

        if (r != 0)
            return r;
        if (choose(&commands, late_keys[i], NULL, read_call, NULL, &choice) < 0)
            return es_nomem(err);
        if (choice.call.config && !(ret->config = strdup(choice.call.config)))
            return es_nomem(err);
    }
    return 0;
}

void es_runner_done(struct es_runner *runner)
{
    es_unit_done(&runner->other);
    free(runner->config);
}

static int tell_nothing_runs(const struct es_unit *unit, struct es_err *err)
{
    int n = (int)es_unit_prefix_length(unit->name);
    const char *name = unit->name;

    return es_fail(err, ES_CONFIG, ENOENT,
                   "%s: nothing in %s runs envsync before the app starts: add to [Service] "
                   "ExecStartPre=!" BINDIR "/envsync -c " SYSCONFDIR "/envsync/%.*s.toml, or to "
                   "[Unit] Requires=envsync@%.*s.service and After=envsync@%.*s.service",
                   unit->files[0], name, n, name, n, name, n, name);
}

int es_unit_find_runner(const struct es_unit *unit, const char *config, es_unit_call_fn *read_call,
                        struct es_runner *ret, struct es_err *err)
{
    ES_CLEANUP(lines_done) struct lines lines = {0};
    ES_CLEANUP(es_runner_done) struct es_runner runner = {0};
    ES_CLEANUP(ties_done) struct ties ties = {0};
    const struct es_unit_item *at;
    struct choice choice = {0};
    int r = find_line(unit, config, read_call, NULL, &lines, &choice, err);

    if (r == 0 && choice.rank > ELSEWHERE && choice.call.config &&
        !(runner.config = strdup(choice.call.config)))
        r = es_nomem(err);
    if (r == 0 && choice.rank <= WRAPPED)
        r = search_ties(unit, config, choice.rank, read_call, &ties, &runner, &at, err);
    if (r == 0 && choice.rank == NOT_RUN && !runner.found && !config)
        r = find_late(unit, read_call, &runner, err);
    if (r != 0)
        return r;
    if (!config && !runner.config)
        return choice.rank == NOT_RUN && !runner.found
                   ? tell_nothing_runs(unit, err)
                   : es_fail(err, ES_USAGE, EINVAL,
                             "%s: which configuration envsync runs with cannot be told from the "
                             "unit; name it with -c",
                             unit->name);
    *ret = runner;
    runner = (struct es_runner){0};
    return 0;
}

/* Without a line, and without another unit: is it in a wrong place at least? */
static int tell_not_run(const struct question *q, struct es_judge *judge, struct es_err *err)
{
    for (size_t i = 0; late_keys[i]; i++) {
        ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
        struct choice choice = {0};
        int r = es_unit_commands(judge->unit, late_keys[i], &commands, err);

        if (r != 0)
            return r;
        if (choose(&commands, late_keys[i], q->config->file, q->program->read_call, NULL, &choice) <
            0)
            return es_nomem(err);
        if (choice.rank == NOT_RUN)
            continue;
        es_judge_error(judge, commands.items[choice.number].at,
                       "%s=: %s; make it ExecStartPre=", late_keys[i],
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
    ES_CLEANUP(lines_done) struct lines lines = {0};
    ES_CLEANUP(es_runner_done) struct es_runner runner = {0};
    struct choice choice = {0};
    int r =
        find_line(judge->unit, q->config->file, q->program->read_call, judge, &lines, &choice, err);

    if (r == 0 && choice.rank <= WRAPPED)
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
