/* `envsync sync`: fetch, merge, render, write; or with --dry-run compare and tell. */
#include "../core/lock.h"
#include "../core/set.h"
#include "cmd.h"
#include "show.h"

#include <stdio.h>
#include <unistd.h>

/* All that a run makes, ended together. */
struct work {
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_set set;
    int lock;
};

static void work_done(struct work *work)
{
    es_set_done(&work->set);
    es_tree_done(&work->tree);
    es_fetched_done(&work->fetched);
    es_config_done(&work->config);
    es_close(&work->lock);
}

static int prepare(struct es_session *session, struct work *work, struct es_err *err)
{
    const struct es_args *args = &session->args;
    const struct es_fetch_hooks hooks = {.on_wait = es_session_on_wait, .data = session};
    int64_t deadline = es_session_deadline(session, &work->config);
    int r = 0;

    if (!args->dry_run) {
        work->lock = es_lock(&work->config, args->root, deadline, es_session_on_wait, session, err);
        if (work->lock < 0)
            return work->lock;
    }
    r = es_fetch_all(&work->config, &session->process, deadline, &hooks, &work->fetched,
                     &session->report, err);
    if (r == 0)
        r = es_tree_build(&work->config, &work->fetched, &work->tree, err);
    if (r == 0)
        r = es_set_prepare(&work->config, &work->tree, &work->fetched, args->root, args->dry_run,
                           &work->set, &session->report, err);
    return r == 0 ? es_set_diff(&work->set, &work->config, err) : r;
}

/* Repairs are said even where everything else is quiet business. */
static void tell(const struct es_session *session, const struct es_set *set)
{
    size_t changed = 0;

    for (size_t i = 0; i < set->n; i++) {
        const struct es_piece *piece = &set->pieces[i];
        enum es_target_state state = piece->target.state;
        bool same = state == ES_TARGET_SAME;

        changed += !same && !piece->kept;
        if (state == ES_TARGET_CREATE || state == ES_TARGET_UPDATE)
            es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: %s (%zu %s)", piece->output->path,
                        es_show_state(piece, false), piece->n_changes,
                        piece->n_changes == 1 ? "key" : "keys");
        else if (state == ES_TARGET_REPAIR)
            es_log_line(&session->log, ES_LEVEL_NOTICE, "%s: owner or mode was wrong: repaired",
                        piece->output->path);
        else
            es_log_line(&session->log, ES_LEVEL_INFO, "%s: %s", piece->output->path,
                        es_show_state(piece, false));
    }
    es_log_line(&session->log, changed ? ES_LEVEL_NOTICE : ES_LEVEL_INFO,
                "%zu of %zu outputs changed", changed, set->n);
}

static int finish(struct es_session *session, struct work *work, struct es_err *err)
{
    const struct es_args *args = &session->args;
    int r = 0;

    if (!args->dry_run && geteuid() != 0 && es_set_differs(&work->set))
        es_report_add(&session->report, ES_LEVEL_WARNING,
                      "without root, owner and group of what is written stay yours");
    if (!args->dry_run)
        r = es_set_write(&work->set, err);
    if (r < 0)
        return r;
    if (args->json)
        r = es_show_json(session, &work->config, &work->fetched, &work->set, NULL, err);
    else if (args->dry_run)
        es_show_dry_run(&work->set);
    es_session_flush(session);
    if (r < 0)
        return r;
    if (!args->dry_run)
        tell(session, &work->set);
    return args->exit_code && es_set_differs(&work->set) ? ES_EXIT_CHANGES : ES_EXIT_OK;
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(work_done) struct work work = {.lock = -1};
    struct es_err why;
    int r;

    es_process_catch();
    r = es_session_load(session, &work.config, err);
    if (r == 0)
        r = prepare(session, &work, err);
    if (r == 0)
        r = finish(session, &work, err);
    if (r < 0 && session->args.json)
        es_show_json(session, &work.config, &work.fetched, &work.set, err, &why);
    return r;
}

const struct es_command es_command_sync = {
    .name = "sync",
    .usage = "[-c FILE] [--dry-run [--exit-code]] [--fresh] [--json] [--root DIR] "
             "[--deadline DUR] [-q | -v]",
    .summary = "fetch, merge and write (the default command)",
    .help =
        "Fetches every source, merges by precedence, renders and checks every output, and only\n"
        "then writes what differs. --dry-run tells what would change, key by key and without\n"
        "values, and writes nothing; with --exit-code it exits 1 where something would change.\n"
        "--fresh fetches in any case; --root DIR puts DIR before every path that is written.",
    .options =
        ES_ARG_CONFIG | ES_ARG_DRY_RUN | ES_ARG_FRESH | ES_ARG_JSON | ES_ARG_ROOT | ES_ARG_DEADLINE,
    .max_rest = 0,
    .run = run,
};
