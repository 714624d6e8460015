/* Which line runs envsync before the app starts, or which other unit does it: see check.h and
 * runner.h. Units are anybody's; other units are loaded as the first one was. */
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static enum es_rank rank(const struct es_unit_call *call, bool wrapped, const char *config)
{
    if (call->task == ES_UNIT_OTHER)
        return ES_RANK_NONE;
    if (wrapped)
        return ES_RANK_WRAPPED;
    if (!config || !call->config || same_file(call->config, config))
        return ES_RANK_FITS;
    return strcmp(es_path_base(call->config), es_path_base(config)) == 0 ? ES_RANK_SAME_NAME
                                                                         : ES_RANK_ELSEWHERE;
}

int es_choice_make(const struct es_unit_commands *commands, const char *key, const char *config,
                   es_unit_call_fn *read_call, struct es_judge *judge, struct es_choice *choice)
{
    struct es_err why;

    for (size_t i = 0; i < commands->n; i++) {
        struct es_unit_command *command = &commands->items[i];
        struct es_unit_call call = {.task = ES_UNIT_SYNC};
        enum es_rank is;
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
            *choice = (struct es_choice){.key = key, .number = i, .call = call, .rank = is};
    }
    return 0;
}

void es_lines_done(struct es_lines *lines)
{
    es_unit_commands_done(&lines->pre);
    es_unit_commands_done(&lines->start);
}

int es_lines_read(const struct es_unit *unit, const char *config, es_unit_call_fn *read_call,
                  struct es_judge *judge, struct es_lines *lines, struct es_choice *choice,
                  struct es_err *err)
{
    int r = es_unit_commands(unit, "ExecStartPre", &lines->pre, err);

    if (r == 0)
        r = es_unit_commands(unit, "ExecStart", &lines->start, err);
    if (r != 0)
        return r;
    if (es_choice_make(&lines->pre, "ExecStartPre", config, read_call, judge, choice) < 0 ||
        es_choice_make(&lines->start, "ExecStart", config, read_call, judge, choice) < 0)
        return es_nomem(err);
    return 0;
}

/* Loads a unit that this one depends on, where it runs envsync with the configuration; without one
 * (NULL), where that is what the unit is there for. It has to fit better than this one's own line,
 * `own`. ret_config: the one that it names, or NULL. */
static int load_runner(const struct es_unit *unit, const char *name, const char *config,
                       enum es_rank own, es_unit_call_fn *read_call, struct es_runner *ret,
                       struct es_err *err)
{
    ES_CLEANUP(es_unit_done) struct es_unit other = {0};
    ES_CLEANUP(es_lines_done) struct es_lines lines = {0};
    struct es_choice choice = {0};
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
    r = es_lines_read(&other, config, read_call, NULL, &lines, &choice, err);
    if (r != 0 || choice.rank <= ES_RANK_ELSEWHERE || choice.rank <= own)
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

void es_ties_done(struct es_ties *ties)
{
    es_unit_items_done(&ties->needs);
    es_unit_items_done(&ties->wants);
    es_unit_items_done(&ties->after);
}

int es_ties_search(const struct es_unit *unit, const char *config, enum es_rank own,
                   es_unit_call_fn *read_call, struct es_ties *ties, struct es_runner *ret,
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

const char *const es_late_keys[] = {"ExecCondition", "ExecStartPost", "ExecReload",
                                    "ExecStop",      "ExecStopPost",  NULL};

static int find_late(const struct es_unit *unit, es_unit_call_fn *read_call, struct es_runner *ret,
                     struct es_err *err)
{
    for (size_t i = 0; !ret->config && es_late_keys[i]; i++) {
        ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
        struct es_choice choice = {0};
        int r = es_unit_commands(unit, es_late_keys[i], &commands, err);

        if (r != 0)
            return r;
        if (es_choice_make(&commands, es_late_keys[i], NULL, read_call, NULL, &choice) < 0)
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
    ES_CLEANUP(es_lines_done) struct es_lines lines = {0};
    ES_CLEANUP(es_runner_done) struct es_runner runner = {0};
    ES_CLEANUP(es_ties_done) struct es_ties ties = {0};
    const struct es_unit_item *at;
    struct es_choice choice = {0};
    int r = es_lines_read(unit, config, read_call, NULL, &lines, &choice, err);

    if (r == 0 && choice.rank > ES_RANK_ELSEWHERE && choice.call.config &&
        !(runner.config = strdup(choice.call.config)))
        r = es_nomem(err);
    if (r == 0 && choice.rank <= ES_RANK_WRAPPED)
        r = es_ties_search(unit, config, choice.rank, read_call, &ties, &runner, &at, err);
    if (r == 0 && choice.rank == ES_RANK_NONE && !runner.found && !config)
        r = find_late(unit, read_call, &runner, err);
    if (r != 0)
        return r;
    if (!config && !runner.config)
        return choice.rank == ES_RANK_NONE && !runner.found
                   ? tell_nothing_runs(unit, err)
                   : es_fail(err, ES_USAGE, EINVAL,
                             "%s: which configuration envsync runs with cannot be told from the "
                             "unit; name it with -c",
                             unit->name);
    *ret = runner;
    runner = (struct es_runner){0};
    return 0;
}
