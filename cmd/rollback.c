/* `envsync rollback`: publishes the previous set and holds it. */
#include "../core/act.h"
#include "cmd.h"

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(es_run_done) struct es_run run = ES_RUN_INIT;
    struct es_run_options options = {.process = &session->process,
                                     .root = session->args.root,
                                     .rollback = true,
                                     .on_wait = es_session_on_wait,
                                     .on_phase = es_session_on_phase,
                                     .data = session};
    int r;

    es_process_catch();
    r = es_session_load(session, &run.config, err);
    options.deadline = es_session_deadline(session, &run.config);
    if (r == 0)
        r = es_run(&run, &options, &session->report, err);
    es_session_flush(session);
    if (r < 0)
        return r;
    es_log_line(&session->log, run.differs ? ES_LEVEL_NOTICE : ES_LEVEL_WARNING,
                "%s: the earlier set %s held; `envsync sync --release` ends that", run.config.name,
                run.differs ? "is in place and"
                            : "has the same outputs: no file was changed; it is");
    es_act(&run, &options, &session->report);
    return ES_EXIT_OK;
}

const struct es_command es_command_rollback = {
    .name = "rollback",
    .usage = "[-c FILE] [--root DIR] [--deadline DUR]",
    .summary = "publish the previous set and hold it",
    .help =
        "Puts the outputs of the earlier set back, the last one that had others. From then on\n"
        "`envsync sync` fetches nothing, warns, and exits 0, until `envsync sync --release` has\n"
        "accepted a set. A second rollback goes back to the set that the first one left. Mirrored\n"
        "files stay as they are.",
    .options = ES_ARG_CONFIG | ES_ARG_ROOT | ES_ARG_DEADLINE,
    .max_rest = 0,
    .run = run,
};
