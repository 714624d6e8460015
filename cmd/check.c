/* `envsync check`: the configuration, offline; and with --credentials how the AWS sources would
 * authenticate. */
#include "../core/fetch.h"
#include "../core/rest.h"
#include "cmd.h"
#include "show.h"

#include <errno.h>
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

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    int r = es_session_load(session, &config, err);

    if (r == 0)
        r = es_config_check_rest(&config, err);
    if (r < 0)
        return r;
    es_session_warn_idle(session, &config);
    warn_last_good(session, &config);
    warn_on_change(session, &config);
    if (session->args.credentials)
        r = show_credentials(session, &config, err);
    es_session_flush(session);
    if (r < 0)
        return r;
    es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: fine (%zu %s, %zu %s)", config.file,
                config.n_sources, config.n_sources == 1 ? "source" : "sources", config.n_outputs,
                config.n_outputs == 1 ? "output" : "outputs");
    return ES_EXIT_OK;
}

const struct es_command es_command_check = {
    .name = "check",
    .usage = "[-c FILE] [--credentials] [--deadline DUR]",
    .summary = "validate the configuration, offline",
    .help =
        "Reads the configuration and says, with file, line and column, what is wrong in it:\n"
        "unknown keys, wrong types, sources and groups that do not exist, outputs that are in\n"
        "each other's way. Asks no source. --credentials tells, for each AWS source, which link\n"
        "of the chain would give the credentials, and where the region comes from.",
    .options = ES_ARG_CONFIG | ES_ARG_CREDENTIALS | ES_ARG_DEADLINE,
    .max_rest = 0,
    .run = run,
};
