/* `envsync exec`: runs a command with the merged environment, in place. Writes no file. */
#include "../core/memory.h"
#include "../core/select.h"
#include "../core/texts.h"
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An array of NAME=VALUE; the strings are cleansed when exec() fails. */
struct environment {
    struct es_buf *items;
    size_t n;
    char **array;
};

static void environment_done(struct environment *environment)
{
    for (size_t i = 0; i < environment->n; i++)
        es_buf_done(&environment->items[i]);
    free(environment->items);
    free(environment->array);
}

static bool overridden(const char *variable, const struct es_selection *selection)
{
    for (size_t i = 0; i < selection->n; i++) {
        const struct es_buf *name = &selection->items[i].name;

        if (strncmp(variable, name->data, name->len) == 0 && variable[name->len] == '=')
            return true;
    }
    return false;
}

/* What was inherited is kept, and the merged wins. */
static int merge(const struct es_process *process, const struct es_selection *selection,
                 struct environment *ret, struct es_err *err)
{
    size_t inherited = 0, n = 0;

    while (process->environ && process->environ[inherited])
        inherited++;
    ret->items = calloc(selection->n + 1, sizeof *ret->items);
    ret->array = calloc(inherited + selection->n + 1, sizeof *ret->array);
    if (!ret->items || !ret->array)
        return es_nomem(err);
    for (size_t i = 0; i < inherited; i++)
        if (!overridden(process->environ[i], selection))
            ret->array[n++] = process->environ[i];
    for (; ret->n < selection->n; ret->n++) {
        const struct es_item *item = &selection->items[ret->n];
        struct es_buf *variable = &ret->items[ret->n];

        if (es_buf_append(variable, item->name.data, item->name.len) < 0 ||
            es_buf_putc(variable, '=') < 0 ||
            es_buf_append(variable, es_buf_str(&item->value.text), item->value.text.len) < 0) {
            es_buf_done(variable);
            return es_nomem(err);
        }
        ret->array[n++] = variable->data;
    }
    return 0;
}

static const struct es_output *env_output(const struct es_config *config)
{
    static const struct es_output all = {.format = &es_format_env};

    for (size_t i = 0; i < config->n_outputs; i++)
        if (config->outputs[i].format == &es_format_env)
            return &config->outputs[i];
    return &all;
}

static bool is_fed_by_skipped(const struct es_config *config, const struct es_output *output,
                              const struct es_fetched *fetched)
{
    for (size_t i = 0; output->path && i < config->n_sources; i++)
        if (output->sources[i] && fetched->states[i] == ES_SOURCE_SKIPPED)
            return true;
    return false;
}

/* The variables of an env file, as if they had been selected. */
static int select_text(const struct es_buf *text, struct es_selection *ret, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value document = {0};
    int r = es_format_env.read(es_buf_str(text), text->len, &document, err);

    if (r < 0)
        return r;
    ret->items = calloc(document.table.n + 1, sizeof *ret->items);
    if (!ret->items)
        return es_nomem(err);
    for (; ret->n < document.table.n; ret->n++) {
        struct es_item *item = &ret->items[ret->n];
        struct es_entry *entry = &document.table.entries[ret->n];

        es_buf_move(&item->name, &entry->key);
        item->value = entry->value;
        entry->value = (struct es_value){0};
    }
    return 0;
}

/* What the last set has of an output, where a run would leave that as it is. -ENOENT where it has
 * nothing. */
static int select_kept(const struct es_store *store, const struct es_output *output,
                       struct es_selection *ret, struct es_err *err)
{
    for (size_t i = 0; output->path && store->usable && i < store->set.n_outputs; i++) {
        const struct es_kept_output *kept = &store->set.outputs[i];
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        int r;

        if (!es_buf_is(&kept->path, output->path))
            continue;
        r = es_store_read(store, store->current, es_half_of(kept->on_disk), es_output_file(i).text,
                          &text, NULL, err);
        return r == 0 ? select_text(&text, ret, err) : r;
    }
    return -ENOENT;
}

/* Where somebody went back on purpose, a task by hand must not get what the app has not. -ENOENT
 * where nothing is held, or nothing for the command. */
static int select_held(const struct es_config *config, const struct es_store *store,
                       struct es_selection *ret, struct es_report *report, struct es_err *err)
{
    const struct es_output *output = env_output(config);
    int r = store->held ? es_store_check_hold(store, config->name, err) : -ENOENT;

    if (r < 0)
        return r;
    r = select_kept(store, output, ret, err);
    if (r == 0)
        es_report_add(report, ES_LEVEL_WARNING,
                      "%s is held since a rollback: the command gets what the held set has of %s",
                      config->name, output->path);
    else if (r == -ENOENT && store->usable)
        es_report_add(report, ES_LEVEL_WARNING,
                      "%s is held since a rollback, and the held set has no such env output: the "
                      "command gets what the sources give now",
                      config->name);
    return r;
}

static int select_fetched(struct es_session *session, const struct es_fetch_plan *plan,
                          const struct es_store *store, struct es_selection *ret,
                          struct es_err *err)
{
    ES_CLEANUP(es_fetched_done) struct es_fetched fetched = {0};
    ES_CLEANUP(es_tree_done) struct es_tree tree = {0};
    const struct es_output *output = env_output(plan->config);
    int r;

    es_session_on_phase(session, ES_PHASE_FETCH, plan->config->n_sources);
    r = es_fetch_all(plan, &fetched, &session->report, err);
    if (r != 0)
        return r;
    r = es_tree_build(plan->config, &fetched, &tree, err);
    if (r == 0)
        r = es_texts_read(&tree, err);
    if (r < 0)
        return r;
    r = is_fed_by_skipped(plan->config, output, &fetched) ? select_kept(store, output, ret, err)
                                                          : -ENOENT;
    if (r == 0)
        es_report_add(&session->report, ES_LEVEL_WARNING,
                      "a source is skipped: the command gets what the last set has of %s",
                      output->path);
    return r == -ENOENT ? es_select(&tree, output, ret, &session->report, err) : r;
}

static int build(struct es_session *session, struct environment *ret, struct es_err *err)
{
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    ES_CLEANUP(es_selection_done) struct es_selection selection = {0};
    ES_CLEANUP(es_memory_done) struct es_memory memory = ES_MEMORY_INIT;
    ES_CLEANUP(es_value_done) struct es_value own_names = {0};
    struct es_fetch_plan plan = {.config = &config,
                                 .process = &session->process,
                                 .previous = &memory.previous,
                                 .own_names = &own_names,
                                 .look = true,
                                 .on_wait = es_session_on_wait,
                                 .data = session};
    int r = es_session_load(session, &config, err);

    plan.deadline = es_session_deadline(session, &config);
    if (r == 0)
        r = es_memory_look(&config, session->args.root, plan.deadline, &memory, &session->report,
                           err);
    if (r == 0) {
        r = es_memory_names(&config, &memory.store, &own_names, err);
        if (r < 0)
            es_store_locate(&config, session->args.root, err);
    }
    if (r != 0)
        return r;
    r = select_held(&config, &memory.store, &selection, &session->report, err);
    if (r == -ENOENT)
        r = select_fetched(session, &plan, &memory.store, &selection, err);
    return r == 0 ? merge(&session->process, &selection, ret, err) : r;
}

/* PATH as the command will have it decides where it is found, as in env(1). */
static void set_path(char **array)
{
    for (char **p = array; *p; p++)
        if (strncmp(*p, "PATH=", 5) == 0) {
            setenv("PATH", *p + 5, 1);
            return;
        }
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(environment_done) struct environment environment = {0};
    char **argv = session->args.rest;
    int r;

    /* Without the dashes, options of the command would have been taken for our own. */
    if (session->args.n_rest == 0 || !session->args.dashes)
        return es_fail(err, ES_USAGE, EINVAL,
                       "exec needs a command behind two dashes: envsync exec -- COMMAND");
    es_process_catch();
    r = build(session, &environment, err);
    es_session_flush(session);
    if (r != 0)
        return r;
    set_path(environment.array);
    es_notify_status(&session->notify, "");
    es_process_restore(&session->process);
    execvpe(argv[0], argv, environment.array);
    r = errno;
    es_log_line(&session->log, ES_LEVEL_ERROR, "exec: %s: %s", argv[0], strerror(r));
    return r == ENOENT ? 127 : 126;
}

const struct es_command es_command_exec = {
    .name = "exec",
    .usage = "[-c FILE] -- COMMAND [ARG ...]",
    .summary = "run a command with the merged environment",
    .help = "The command gets what the first env output would hold (or every key, where there is\n"
            "none) besides the inherited environment, in the same process: PID, descriptors,\n"
            "socket activation and signals are its own. While a rollback holds that output, it\n"
            "gets what is held. No file is written. Exits as the command does; 126 and 127 where\n"
            "it cannot be run or is not found.",
    .options = ES_ARG_CONFIG | ES_ARG_DEADLINE,
    .max_rest = -1,
    .run = run,
};
