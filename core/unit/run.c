/* See judge.h: the line that runs envsync, what its failure does, and how long it may take. */
#include "judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that a check is about, to be missed where they stand in another section. */
static bool is_ours(const char *key)
{
    static const char *const service[] = {"User",
                                          "Group",
                                          "EnvironmentFile",
                                          "Environment",
                                          "ExecStartPre",
                                          "ExecStart",
                                          "TimeoutStartSec",
                                          "ProtectSystem",
                                          "ReadWritePaths",
                                          "RuntimeDirectory",
                                          "UnsetEnvironment",
                                          "Type",
                                          NULL};

    for (size_t i = 0; service[i]; i++)
        if (strcmp(service[i], key) == 0)
            return true;
    return false;
}

static bool is_order(const char *key)
{
    static const char *const unit[] = {"After", "Before", "Wants", "Requires", "BindsTo", NULL};

    for (size_t i = 0; unit[i]; i++)
        if (strcmp(unit[i], key) == 0)
            return true;
    return false;
}

/* Lines one below the other that are ignored for one reason are one finding. */
static size_t judge_ignored(struct es_judge *judge, size_t first)
{
    const struct es_unit *unit = judge->unit;
    const struct es_unit_setting *s = &unit->settings[first];
    size_t i = first + 1;

    for (; i < unit->n && unit->settings[i].kind == ES_UNIT_IGNORED &&
           unit->settings[i].file == s->file &&
           strcmp(es_buf_str(&unit->settings[i].value), es_buf_str(&s->value)) == 0;)
        i++;
    if (i == first + 1)
        es_judge_warning(judge, s, "systemd ignores this line: %s", es_buf_str(&s->value));
    else
        es_judge_warning(judge, s, "systemd ignores this line and those down to line %u: %s",
                         unit->settings[i - 1].line, es_buf_str(&s->value));
    return i - 1;
}

void es_judge_lines(struct es_judge *judge)
{
    for (size_t i = 0; i < judge->unit->n; i++) {
        const struct es_unit_setting *s = &judge->unit->settings[i];
        const char *right = NULL;

        if (s->kind == ES_UNIT_IGNORED)
            i = judge_ignored(judge, i);
        else if (s->kind == ES_UNIT_SETTING)
            right = is_ours(s->key) ? "Service" : is_order(s->key) ? "Unit" : NULL;
        if (right && strcmp(s->section, right) != 0)
            es_judge_warning(judge, s, "systemd ignores %s= in [%s]; move it to [%s]", s->key,
                             s->section, right);
    }
}

/* An exit code as systemd reads it, by number or by the name that sysexits.h gives it; else -1. */
static int exit_of(const char *word)
{
    enum { FIRST = 64 };
    static const char *const names[] = {"USAGE",    "DATAERR",     "NOINPUT",  "NOUSER",
                                        "NOHOST",   "UNAVAILABLE", "SOFTWARE", "OSERR",
                                        "OSFILE",   "CANTCREAT",   "IOERR",    "TEMPFAIL",
                                        "PROTOCOL", "NOPERM",      "CONFIG",   NULL};
    int code = 0;

    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], word) == 0)
            return FIRST + i;
    for (const char *p = word; *p; p++) {
        if (*p < '0' || *p > '9' || code > 255)
            return -1;
        code = 10 * code + (*p - '0');
    }
    return *word ? code : -1;
}

static bool is_our_exit(const struct es_judge *judge, const char *word)
{
    int code = exit_of(word);

    for (int class = 0; class < ES_CLASSES; class ++)
        if (judge->exit_code((enum es_class) class) == code)
            return true;
    return false;
}

static int judge_failure(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items codes = {0};
    int r = es_unit_list(judge->unit, "Service", "SuccessExitStatus", ES_UNIT_WORDS, &codes, err);

    if (r != 0)
        return r;
    if (judge->line && judge->line->ignores_failure)
        es_judge_error(judge, judge->line->at,
                       "\"-\" before envsync: the app starts also where envsync has failed, with "
                       "old files or none; remove the \"-\"");
    for (size_t i = 0; i < codes.n; i++)
        if (is_our_exit(judge, es_buf_str(&codes.items[i].text)))
            es_judge_error(judge, codes.items[i].at,
                           "SuccessExitStatus=%s: is an exit code of envsync, too: its failure "
                           "would count as success; remove it",
                           es_buf_str(&codes.items[i].text));
    return 0;
}

/* Does a line of this task get by without root? */
static void judge_user(struct es_judge *judge)
{
    const struct es_unit_command *line = judge->line;

    if (!line || judge->as_root || judge->call.task != ES_UNIT_SYNC)
        return;
    es_judge_error(judge, line->at,
                   "envsync runs as %s here%s and can write neither its state nor root's files; "
                   "write %s=!" BINDIR "/envsync ...",
                   es_buf_str(&judge->user),
                   line->ambient ? " (\"!!\" means nothing where the kernel has ambient "
                                   "capabilities)"
                                 : "",
                   line->at->key);
}

/* In ExecStart= envsync is the unit's main process. */
static void judge_main(struct es_judge *judge)
{
    const struct es_unit_setting *at = NULL;
    const struct es_unit_command *line = judge->line;

    if (!line || judge->call.task != ES_UNIT_SYNC || strcmp(line->at->key, "ExecStart") != 0)
        return;
    if (!es_judge_oneshot(judge))
        es_judge_error(judge, line->at,
                       "what comes after this unit does not wait for envsync to be done; add "
                       "Type=oneshot");
    else if (es_unit_bool(judge->unit, "Service", "RemainAfterExit", false, &at))
        es_judge_warning(judge, at,
                         "RemainAfterExit=yes: a restart of the app does not run envsync again; "
                         "remove it");
}

/* "90s", for messages. */
static void show_seconds(int64_t ms, char ret[32])
{
    if (ms % 1000 == 0)
        snprintf(ret, 32, "%llds", (long long)(ms / 1000));
    else
        snprintf(ret, 32, "%lldms", (long long)ms);
}

enum { MARGIN_MS = 10000, SYSTEMD_DEFAULT_MS = 90000 };

static void judge_timeout(struct es_judge *judge)
{
    int64_t deadline = judge->call.deadline ? judge->call.deadline : judge->config->deadline;
    int64_t timeout = es_judge_oneshot(judge) ? INT64_MAX : SYSTEMD_DEFAULT_MS, ms;
    const struct es_unit_setting *s = NULL, *at = NULL;
    char is[32], needs[32], than[32];

    if (judge->call.task == ES_UNIT_EXEC)
        return;
    while ((s = es_unit_next(judge->unit, "Service", "TimeoutStartSec|TimeoutSec", s)))
        if (es_unit_span(es_buf_str(&s->value), &ms)) {
            timeout = ms == 0 ? INT64_MAX : ms;
            at = s;
        }
    if (timeout == INT64_MAX || timeout - deadline >= MARGIN_MS)
        return;
    show_seconds(timeout, is);
    show_seconds(deadline, than);
    show_seconds(deadline + 3 * (int64_t)MARGIN_MS, needs);
    if (timeout <= deadline)
        es_judge_error(judge, at ? at : es_judge_section(judge, "Service"),
                       "%s is %s%s, and envsync's deadline %s: systemd would kill it before it can "
                       "say what it waits for; set TimeoutStartSec=%s, or a shorter deadline",
                       at ? at->key : "TimeoutStartSec", is, at ? "" : " (systemd's default)", than,
                       needs);
    else
        es_judge_warning(judge, at ? at : es_judge_section(judge, "Service"),
                         "%s is %s%s, little more than envsync's deadline %s; leave 10 seconds at "
                         "least: TimeoutStartSec=%s",
                         at ? at->key : "TimeoutStartSec", is, at ? "" : " (systemd's default)",
                         than, needs);
}

/* A copy under the same name, before it is installed, is no other configuration. */
static void judge_config(struct es_judge *judge)
{
    const char *is = judge->call.config, *checked = judge->config->file;
    size_t dir;

    if (!judge->line || !is || strcmp(es_path_base(is), es_path_base(checked)) == 0)
        return;
    dir = (size_t)(es_path_base(checked) - checked);
    if ((size_t)(es_path_base(is) - is) == dir && strncmp(is, checked, dir) == 0)
        es_judge_error(judge, judge->line->at, "runs envsync with %s, not with %s; mend -c", is,
                       checked);
    else
        es_judge_warning(judge, judge->line->at, "runs envsync with %s; what is checked here is %s",
                         is, checked);
}

/* Variables that only the shell had in which `check` runs. */
static int judge_variables(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_unit_environment_done) struct es_unit_environment own = {0};
    ES_CLEANUP(es_unit_items_done) struct es_unit_items passed = {0};
    char *nothing[] = {NULL};
    struct es_process unit_process;
    int r = es_unit_environment(judge->unit, nothing, &own, err);

    if (r == 0)
        r = es_unit_list(judge->unit, "Service", "PassEnvironment", ES_UNIT_WORDS, &passed, err);
    if (r != 0)
        return r;
    unit_process = (struct es_process){.environ = own.list};
    for (size_t i = 0; !judge->config->bootstrap && i < judge->config->env.n; i++) {
        const char *name = judge->config->env.items[i];

        if (es_process_getenv(judge->process, name) && !es_process_getenv(&unit_process, name) &&
            !es_unit_find(&passed, name))
            es_judge_warning(judge, es_judge_section(judge, "Service"),
                             "the unit does not set %s, which the configuration lists in env; here "
                             "it came from your own environment; add Environment=%s=..., or a "
                             "bootstrap file",
                             name, name);
    }
    return 0;
}

int es_judge_run(struct es_judge *judge, struct es_err *err)
{
    int r = judge_failure(judge, err);

    if (r != 0)
        return r;
    judge_config(judge);
    judge_user(judge);
    judge_main(judge);
    judge_timeout(judge);
    if (judge->line && judge->call.dry_run)
        es_judge_error(judge, judge->line->at, "--dry-run writes nothing; remove it");
    return judge_variables(judge, err);
}
