/* `envsync check`: the configuration, offline; with --credentials how the AWS sources would
 * authenticate; with --unit the unit that runs envsync. */
#include "../core/unit/check.h"
#include "../core/fetch.h"
#include "../core/rest.h"
#include "build.h"
#include "cmd.h"
#include "show.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the sources say of themselves is the result here, not a log. */
static void show_notes(struct es_session *session)
{
    for (size_t i = 0; i < session->report.n; i++)
        if (session->report.items[i].level == ES_LEVEL_NOTICE) {
            es_show_line("%s", session->report.items[i].text);
            session->report.items[i].level = ES_LEVEL_HIDDEN;
        }
}

static int show_credentials(struct es_session *session, const struct es_config *config,
                            struct es_err *err)
{
    ES_CLEANUP(es_fetched_done) struct es_fetched fetched = {0};
    const struct es_fetch_plan plan = {.config = config,
                                       .process = &session->process,
                                       .deadline = es_session_deadline(session, config),
                                       .look = true,
                                       .describe = true};
    int r;

    es_process_catch();
    r = es_fetch_all(&plan, &fetched, &session->report, err);
    show_notes(session);
    return r;
}

static void warn_last_good(struct es_session *session, const struct es_config *config)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].on_unavailable, "last-good") == 0 &&
            !es_source_rests(config, i) && !es_config_seals(config))
            es_report_add(&session->report, ES_LEVEL_WARNING,
                          "source %s: its last good values lie in /run and end with the boot; "
                          "[last_good] at_rest decides that",
                          config->sources[i].name);
}

static bool is_there(const char *path, int mode)
{
    return access(path, mode) == 0 || errno != ENOENT;
}

/* What is to be done one day is better tried today. */
static void warn_on_change(struct es_session *session, const struct es_config *config)
{
    const struct es_strings *run = &config->on_change.run;

    for (size_t i = 0; i < config->on_change.touch.n; i++) {
        const char *path = config->on_change.touch.items[i];
        ES_CLEANUP(es_freep) char *dir = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);

        if (dir && !is_there(dir, F_OK))
            es_report_add(&session->report, ES_LEVEL_WARNING,
                          "on_change: touch %s: there is no directory %s", path, dir);
    }
    if (run->n > 0 && run->items[0][0] == '/' && !is_there(run->items[0], X_OK))
        es_report_add(&session->report, ES_LEVEL_WARNING, "on_change: there is no program %s",
                      run->items[0]);
}

/* ---- --unit ---- */

/* envsync's arguments in a line of a unit, by the table that reads our own. */
static int read_call(struct es_unit_command *command, struct es_unit_call *ret, struct es_err *err)
{
    const struct es_command *of = NULL;
    struct es_args args = {0};
    int r;

    optind = 0; /* getopt starts anew */
    r = es_args_parse((int)command->argc, command->argv, &args, &of, err);
    if (r < 0)
        return r;
    *ret = (struct es_unit_call){.task = of == &es_command_sync   ? ES_UNIT_SYNC
                                         : of == &es_command_exec ? ES_UNIT_EXEC
                                                                  : ES_UNIT_OTHER,
                                 .config = args.config ? args.config : ES_DEFAULT_CONFIG,
                                 .deadline = args.deadline,
                                 .dry_run = args.dry_run};
    return 0;
}

/* A template is read as the instance that the configuration is named after. */
static int instance_of(const char *config, char **ret, struct es_err *err)
{
    const char *base = config ? strrchr(config, '/') : NULL;
    size_t len;

    *ret = NULL;
    if (!config)
        return 0;
    base = base ? base + 1 : config;
    len = strlen(base);
    if (len > 5 && strcmp(base + len - 5, ".toml") == 0)
        len -= 5;
    *ret = strndup(base, len);
    return *ret ? 0 : es_nomem(err);
}

/* What --unit brings: the unit, and what runs envsync for it, which names the configuration where
 * -c does not. */
struct subject {
    struct es_unit unit;
    struct es_runner runner;
};

static void subject_done(struct subject *subject)
{
    es_unit_done(&subject->unit);
    es_runner_done(&subject->runner);
}

static int load_subject(struct es_session *session, struct subject *ret, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *instance = NULL;
    int r = instance_of(session->args.config, &instance, err);

    if (r == 0)
        r = es_unit_load(session->args.unit, NULL, instance, &ret->unit, err);
    if (r == 0)
        r = es_unit_find_runner(&ret->unit, session->args.config, read_call, &ret->runner, err);
    if (r == 0 && !session->args.config)
        session->args.config = ret->runner.config;
    return r;
}

/* Loads the configuration with the variables that it would find in the unit that runs envsync. */
static int load_as_unit(struct es_session *session, const struct subject *subject,
                        struct es_config *ret, struct es_err *err)
{
    const struct es_unit *unit = subject->runner.found ? &subject->runner.other : &subject->unit;
    ES_CLEANUP(es_unit_environment_done) struct es_unit_environment environment = {0};
    char **own = session->process.environ;
    int r = es_unit_environment(unit, own, &environment, err);

    if (r != 0)
        return r;
    session->process.environ = environment.list;
    r = es_session_load(session, ret, err);
    session->process.environ = own;
    return r;
}

/* ---- */

static int judge(struct es_session *session, const struct es_config *config,
                 const struct subject *subject, struct es_err *err)
{
    static const struct es_unit_program program = {.read_call = read_call,
                                                   .exit_code = es_exit_code};
    size_t errors = 0;
    int r = 0;

    es_session_warn_idle(session, config);
    warn_last_good(session, config);
    warn_on_change(session, config);
    if (session->args.credentials)
        r = show_credentials(session, config, err);
    if (r == 0 && subject)
        r = es_unit_check(&subject->unit, config, &session->process, &program, &session->report,
                          &errors, err);
    es_session_flush(session);
    if (r < 0)
        return r;
    if (errors > 0)
        return es_exit_code(ES_CONFIG);
    es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: fine (%zu %s, %zu %s)", config->file,
                config->n_sources, config->n_sources == 1 ? "source" : "sources", config->n_outputs,
                config->n_outputs == 1 ? "output" : "outputs");
    if (subject)
        es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: fine (%zu %s)", subject->unit.name,
                    subject->unit.n_files, subject->unit.n_files == 1 ? "file" : "files");
    return ES_EXIT_OK;
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(subject_done) struct subject subject = {0};
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    int r = 0;

    if (session->args.unit)
        r = load_subject(session, &subject, err);
    if (r == 0)
        r = session->args.unit ? load_as_unit(session, &subject, &config, err)
                               : es_session_load(session, &config, err);
    if (r == 0)
        r = es_config_check_rest(&config, err);
    return r == 0 ? judge(session, &config, session->args.unit ? &subject : NULL, err) : r;
}

const struct es_command es_command_check = {
    .name = "check",
    .usage = "[-c FILE] [--unit FILE_OR_NAME] [--credentials] [--deadline DUR]",
    .summary = "validate the configuration and the unit, offline",
    .help =
        "Reads the configuration and says, with file, line and column, what is wrong in it:\n"
        "unknown keys, wrong types, sources and groups that do not exist, outputs that are in\n"
        "each other's way. Asks no source. --unit also judges the systemd unit that runs envsync,\n"
        "a file or a name, with its drop-ins: what breaks a boot or opens root is an error, with\n"
        "file and line. Without -c it takes the configuration that the unit names, or the unit\n"
        "that runs envsync for it.\n"
        "--credentials tells, for each AWS source, which link of the chain would give the\n"
        "credentials, and where the region comes from.",
    .options = ES_ARG_CONFIG | ES_ARG_UNIT | ES_ARG_CREDENTIALS | ES_ARG_DEADLINE,
    .max_rest = 0,
    .run = run,
};
