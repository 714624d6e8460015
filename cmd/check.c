/* `envsync check`: the configuration, offline. */
#include "cmd.h"

#include <stdio.h>

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    int r = es_session_load(session, &config, err);

    if (r < 0)
        return r;
    es_session_warn_idle(session, &config);
    es_session_flush(session);
    es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: fine (%zu %s, %zu %s)", config.file,
                config.n_sources, config.n_sources == 1 ? "source" : "sources", config.n_outputs,
                config.n_outputs == 1 ? "output" : "outputs");
    return ES_EXIT_OK;
}

const struct es_command es_command_check = {
    .name = "check",
    .usage = "[-c FILE]",
    .summary = "validate the configuration, offline",
    .help = "Reads the configuration and says, with file, line and column, what is wrong in it:\n"
            "unknown keys, wrong types, sources and groups that do not exist, outputs that are in\n"
            "each other's way. Asks no source. Exits 0 or 78.",
    .options = ES_ARG_CONFIG,
    .max_rest = 0,
    .run = run,
};
