/* `envsync sync`: fetch, merge, render, write; or with --dry-run compare and tell. */
#include "../core/act.h"
#include "cmd.h"
#include "show.h"

#include <stdio.h>
#include <unistd.h>

/* So many of the mirrored files that a run brought are named without -v. */
enum { FILES_TOLD = 20 };

/* Repairs are said even where everything else is quiet business. */
static size_t tell_outputs(const struct es_session *session, const struct es_set *set)
{
    size_t changed = 0;

    for (size_t i = 0; i < set->n; i++) {
        const struct es_piece *piece = &set->pieces[i];
        enum es_target_state state = piece->target.state;

        changed += piece->restored != ES_TARGET_SAME || (!piece->kept && state != ES_TARGET_SAME);
        if (!piece->kept && (state == ES_TARGET_CREATE || state == ES_TARGET_UPDATE))
            es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: %s (%zu %s)", piece->output->path,
                        es_show_state(piece, false), piece->n_changes,
                        piece->n_changes == 1 ? "key" : "keys");
        else if (!piece->kept && state == ES_TARGET_REPAIR)
            es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: owner or mode was wrong: repaired",
                        piece->output->path);
        else
            es_log_line(&session->log, piece->kept ? ES_LEVEL_NOTICE : ES_LEVEL_INFO, "%s: %s",
                        piece->output->path, es_show_state(piece, false));
    }
    return changed;
}

/* A first run may bring thousands of files, and each would be a line of the boot's journal. What
 * was repaired or removed is always told: that happens to files that were there. */
static size_t tell_files(const struct es_session *session, const struct es_mirror *mirror)
{
    size_t changed = 0, brought = 0;

    for (size_t i = 0; i < mirror->n_results; i++) {
        const struct es_file_result *result = &mirror->results[i];
        bool is_brought = result->state == ES_FILE_CREATE || result->state == ES_FILE_UPDATE;
        bool detail = result->state == ES_FILE_SAME || (is_brought && brought >= FILES_TOLD);

        brought += is_brought;
        changed += result->state != ES_FILE_SAME;
        es_log_line(&session->log, detail ? ES_LEVEL_INFO : ES_LEVEL_NOTICE, "%s: %s", result->path,
                    es_show_file_state(result->state, false));
    }
    if (brought > FILES_TOLD && !session->args.verbose)
        es_log_line(&session->log, ES_LEVEL_NOTICE,
                    "and %zu more mirrored files created or updated; -v names each",
                    brought - FILES_TOLD);
    return changed;
}

/* The last line: what changed, and what of it is not of today. */
static void tell(const struct es_session *session, const struct es_run *run)
{
    size_t changed = tell_outputs(session, &run->set);
    size_t files = tell_files(session, &run->fetched.mirror);
    ES_CLEANUP(es_buf_done) struct es_buf line = {0};
    const char *mark = "; stale: ";
    bool loud = changed || files;
    int r = es_buf_printf(&line, "changed: %zu of %zu %s", changed, run->set.n,
                          run->set.n == 1 ? "output" : "outputs");

    if (r == 0 && run->fetched.mirror.n_results > 0)
        r = es_buf_printf(&line, ", %zu of %zu mirrored files", files,
                          run->fetched.mirror.n_results);
    for (size_t i = 0; r == 0 && i < run->config.n_sources; i++) {
        if (run->fetched.states[i] != ES_SOURCE_STALE)
            continue;
        r = es_buf_printf(&line, "%s%s (%s old)", mark, run->config.sources[i].name,
                          es_age_of(run->fetched.fetched_ms[i]).text);
        mark = ", ";
        loud = true;
    }
    es_log_line(&session->log, loud ? ES_LEVEL_NOTICE : ES_LEVEL_INFO, "%s", es_buf_str(&line));
}

/* Why nothing was fetched. */
static void tell_end(struct es_session *session, const struct es_run *run)
{
    if (run->end == ES_RUN_HELD)
        es_report_add(&session->report, ES_LEVEL_WARNING,
                      "%s is held at an earlier set since a rollback: nothing is fetched; "
                      "`envsync sync --release` ends that",
                      run->config.name);
    else if (run->end == ES_RUN_FRESH)
        es_report_add(&session->report, ES_LEVEL_NOTICE,
                      "the last set is younger than fresh_for: nothing is fetched");
}

/* What was written is told before what is done about it, which may take its time. */
static int finish(struct es_session *session, struct es_run *run,
                  const struct es_run_options *options, struct es_err *err)
{
    const struct es_args *args = &session->args;
    int r = 0;

    if (!args->dry_run && geteuid() != 0 && run->differs)
        es_report_add(&session->report, ES_LEVEL_WARNING,
                      "without root, owner and group of what is written stay yours");
    tell_end(session, run);
    es_session_flush(session);
    if (!args->dry_run && run->end == ES_RUN_DONE)
        tell(session, run);
    es_act(run, options, &session->report);
    if (args->json)
        r = es_show_json(session, run, NULL, err);
    else if (args->dry_run)
        es_show_dry_run(run);
    es_session_flush(session);
    if (r < 0)
        return r;
    return args->exit_code && run->differs ? ES_EXIT_CHANGES : ES_EXIT_OK;
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(es_run_done) struct es_run run = ES_RUN_INIT;
    const struct es_args *args = &session->args;
    struct es_run_options options = {.process = &session->process,
                                     .root = args->root,
                                     .dry = args->dry_run,
                                     .fresh = args->fresh,
                                     .release = args->release,
                                     .verbose = args->verbose,
                                     .on_wait = es_session_on_wait,
                                     .on_progress = es_session_on_progress,
                                     .on_phase = es_session_on_phase,
                                     .data = session};
    struct es_err why;
    int r;

    es_process_catch();
    r = es_session_load(session, &run.config, err);
    options.deadline = es_session_deadline(session, &run.config);
    if (r == 0)
        es_session_warn_idle(session, &run.config);
    if (r == 0)
        r = es_run(&run, &options, &session->report, err);
    es_log_progress_end(&session->log);
    if (r == 0)
        r = finish(session, &run, &options, err);
    if (r < 0 && args->json)
        es_show_json(session, &run, err, &why);
    return r;
}

const struct es_command es_command_sync = {
    .name = "sync",
    .usage = "[-c FILE] [--dry-run [--exit-code]] [--fresh] [--release] [--json] "
             "[--root DIR] [--deadline DUR] [-q | -v]",
    .summary = "fetch, merge and write (the default command)",
    .help =
        "Fetches every source, merges by precedence, renders and checks every output, and only\n"
        "then writes what differs. --dry-run tells what would change, key by key and without\n"
        "values, and writes nothing; with --exit-code it exits 1 where something would change.\n"
        "--fresh fetches also where fresh_for would not; --release ends the hold of a rollback,\n"
        "and fetches; --root DIR puts DIR before every path that is written.",
    .options = ES_ARG_CONFIG | ES_ARG_DRY_RUN | ES_ARG_FRESH | ES_ARG_RELEASE | ES_ARG_JSON |
               ES_ARG_ROOT | ES_ARG_DEADLINE,
    .max_rest = 0,
    .run = run,
};
