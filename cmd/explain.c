/* `envsync explain`: which source gives a key, in which version, and what it shadows. No values. */
#include "../core/names.h"
#include "../core/run.h"
#include "../core/texts.h"
#include "cmd.h"
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
    struct es_config config;
    struct es_fetched fetched;
    struct es_tree tree;
    struct es_selection *selections; /* by output */
    const struct es_item **shown;    /* by output, then by leaf: what it shows of it, or NULL */
    bool deployed;                   /* there is a last set of this configuration */
    bool from_set;                   /* and it answers */
    struct es_memory memory;
    struct es_fetched there; /* with --fetch: what the last set has, to compare */
    struct es_tree there_tree;
};

static void work_done(struct work *work)
{
    for (size_t i = 0; work->selections && i < work->config.n_outputs; i++)
        es_selection_done(&work->selections[i]);
    free(work->selections);
    free(work->shown);
    es_tree_done(&work->there_tree);
    es_fetched_done(&work->there);
    es_memory_done(&work->memory);
    es_tree_done(&work->tree);
    es_fetched_done(&work->fetched);
    es_config_done(&work->config);
}

/* The last set, where it is of this very configuration and the caller may read it. */
static int from_set(struct work *work, struct es_fetched *ret, struct es_tree *ret_tree,
                    struct es_err *err)
{
    const struct es_fetch_plan plan = {.config = &work->config, .previous = &work->memory.previous};
    int r = es_fetched_from(&plan, ret, err);

    return r == 0 ? es_tree_build(&work->config, ret, ret_tree, err) : r;
}

static int from_sources(struct es_session *session, struct work *work, struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value own_names = {0};
    const struct es_fetch_plan plan = {.config = &work->config,
                                       .process = &session->process,
                                       .previous = &work->memory.previous,
                                       .own_names = &own_names,
                                       .deadline = es_session_deadline(session, &work->config),
                                       .look = true,
                                       .on_wait = es_session_on_wait,
                                       .data = session};
    int r = es_memory_names(&work->config, &work->memory.store, &own_names, err);

    if (r < 0)
        es_store_locate(&work->config, session->args.root, err);
    if (r == 0)
        r = es_fetch_all(&plan, &work->fetched, &session->report, err);
    return r == 0 ? es_tree_build(&work->config, &work->fetched, &work->tree, err) : r;
}

/* What each output would hold. One that cannot be made is no reason not to explain the keys, on the
 * contrary. */
static int select_all(struct es_session *session, struct work *work, struct es_err *err)
{
    const struct es_config *config = &work->config;

    work->selections = calloc(config->n_outputs + 1, sizeof *work->selections);
    work->shown = calloc(config->n_outputs * work->tree.n + 1, sizeof *work->shown);
    if (!work->selections || !work->shown)
        return es_nomem(err);
    for (size_t i = 0; i < config->n_outputs; i++) {
        struct es_selection *selection = &work->selections[i];
        int r = es_select(&work->tree, &config->outputs[i], selection, &session->report, err);

        if (r == -ENOMEM)
            return r;
        if (r < 0)
            es_report_add(&session->report, ES_LEVEL_WARNING, "%s", err->msg);
        for (size_t j = 0; j < selection->n; j++)
            work->shown[i * work->tree.n + (size_t)(selection->items[j].leaf - work->tree.leaves)] =
                &selection->items[j];
    }
    return 0;
}

static int load(struct es_session *session, struct work *work, struct es_err *err)
{
    int r = es_session_load(session, &work->config, err);

    if (r == 0)
        r = es_memory_look(&work->config, session->args.root,
                           es_session_deadline(session, &work->config), &work->memory,
                           &session->report, err);
    if (r < 0)
        return r;
    /* From what is damaged the answer would be that nobody gives the key. */
    work->deployed = es_set_is_of(&work->config, &work->memory.store) &&
                     es_previous_is_whole(&work->memory.previous);
    if (work->deployed && session->args.fetch)
        r = from_set(work, &work->there, &work->there_tree, err);
    work->from_set = work->deployed && !session->args.fetch;
    if (r == 0 && work->from_set)
        r = from_set(work, &work->fetched, &work->tree, err);
    else if (r == 0)
        r = from_sources(session, work, err);
    if (r == 0)
        r = es_texts_read(&work->tree, err);
    return r == 0 ? select_all(session, work, err) : r;
}

/* The item of an output that shows this leaf, or NULL. */
static const struct es_item *item_of(const struct work *work, size_t output,
                                     const struct es_leaf *leaf)
{
    return work->shown[output * work->tree.n + (size_t)(leaf - work->tree.leaves)];
}

/* The item of a later source that has the variable which this leaf would have, or NULL. */
static const struct es_item *displaced_by(const struct work *work, size_t number,
                                          const struct es_leaf *leaf)
{
    const struct es_output *output = &work->config.outputs[number];
    const struct es_record *record = es_leaf_winner(leaf, output->sources);
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};

    if (output->format->shape != ES_SHAPE_FLAT || !record || item_of(work, number, leaf) ||
        es_name_of_key(leaf->key, record->verbatim, output->keep_case, &name) < 0)
        return NULL;
    return es_selection_find(&work->selections[number], es_buf_str(&name), name.len);
}

static int origin(const struct work *work, const struct es_record *record, struct es_buf *out)
{
    return es_origin_format(&work->config, record, out);
}

/* With --fetch, what is deployed where it is another thing; NULL where it is the same. */
static const char *compare(const struct work *work, const struct es_leaf *leaf,
                           const struct es_record **ret_there)
{
    const struct es_leaf *there = es_tree_find(&work->there_tree, leaf->key);
    const struct es_record *now = es_leaf_winner(leaf, NULL);
    const struct es_record *then = there ? es_leaf_winner(there, NULL) : NULL;

    *ret_there = then;
    if (!then)
        return "not deployed yet";
    if (!es_value_equal(&now->value, &then->value, false))
        return "deployed with another value";
    return now->source == then->source && es_buf_equal(&now->object, &then->object) &&
                   es_buf_equal(&now->version, &then->version)
               ? NULL
               : "deployed with the same value";
}

static int show_comparison(const struct work *work, const struct es_leaf *leaf, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    const struct es_record *there;
    const char *what = work->there_tree.config ? compare(work, leaf, &there) : NULL;

    if (!what)
        return 0;
    if (there && origin(work, there, &text) < 0)
        return es_nomem(err);
    es_show_line(there ? "  %s, from %s" : "  %s", what, es_buf_str(&text));
    return 0;
}

static int show_text(const struct work *work, const struct es_leaf *leaf, struct es_err *err)
{
    const struct es_record *winner = es_leaf_winner(leaf, NULL);
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};

    if (es_key_format(leaf->key, &key) < 0)
        return es_nomem(err);
    es_show_line("%s", es_buf_str(&key));
    for (size_t i = leaf->n; i-- > 0;) {
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};

        if (origin(work, leaf->records[i], &text) < 0)
            return es_nomem(err);
        es_show_line("  %s %s", leaf->records[i] == winner ? "from   " : "shadows",
                     es_buf_str(&text));
    }
    for (size_t i = 0; i < work->config.n_outputs; i++) {
        const struct es_output *output = &work->config.outputs[i];
        const struct es_item *item = item_of(work, i, leaf);
        const struct es_item *instead = displaced_by(work, i, leaf);

        if (item && item->record != winner)
            es_show_line("  in      %s as %s, there from %s", output->path, es_buf_str(&item->name),
                         work->config.sources[item->record->source].name);
        else if (item)
            es_show_line("  in      %s as %s", output->path, es_buf_str(&item->name));
        else if (instead)
            es_show_line("  not in  %s: %s of the later source %s has its name %s", output->path,
                         es_key_text(instead->leaf->key).text,
                         work->config.sources[instead->record->source].name,
                         es_buf_str(&instead->name));
    }
    return show_comparison(work, leaf, err);
}

static void json_origin(struct es_json *json, struct es_value *table, const struct work *work,
                        const struct es_record *record)
{
    es_json_text(json, table, "source", work->config.sources[record->source].name);
    es_json_text(json, table, "type", work->config.sources[record->source].type);
    es_json_text(json, table, "object", es_buf_str(&record->object));
    es_json_text(json, table, "version", es_buf_str(&record->version));
    if (record->line)
        es_json_number(json, table, "line", record->line);
}

static int show_json(struct es_json *json, struct es_value *list, const struct work *work,
                     const struct es_leaf *leaf, struct es_err *err)
{
    const struct es_record *winner = es_leaf_winner(leaf, NULL);
    struct es_value *item = es_json_item(json, list), *shadows, *outputs;
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};

    if (es_key_format(leaf->key, &key) < 0)
        return es_nomem(err);
    es_json_text(json, item, "key", es_buf_str(&key));
    json_origin(json, item, work, winner);
    shadows = es_json_list(json, item, "shadows");
    for (size_t i = leaf->n - 1; i-- > 0;)
        json_origin(json, es_json_item(json, shadows), work, leaf->records[i]);
    if (work->there_tree.config) {
        const struct es_record *there;
        const char *what = compare(work, leaf, &there);

        es_json_text(json, item, "deployed", what ? what : "deployed as it is");
    }
    outputs = es_json_list(json, item, "outputs");
    for (size_t i = 0; i < work->config.n_outputs; i++) {
        const struct es_item *in = item_of(work, i, leaf);
        struct es_value *output;

        if (!in)
            continue;
        output = es_json_item(json, outputs);
        es_json_text(json, output, "path", work->config.outputs[i].path);
        es_json_text(json, output, "name", es_buf_str(&in->name));
        es_json_text(json, output, "source", work->config.sources[in->record->source].name);
    }
    return 0;
}

/* Is that the key, or a table above it? */
static bool is_at_or_above(const char *word, const struct es_buf *key)
{
    ES_CLEANUP(es_buf_done) struct es_buf above = {0};
    struct es_err ignored;

    return es_key_parse(word, &above, &ignored) == 0 && es_key_below(key, &above);
}

/* Is the leaf what was asked for: a key, a table above it, or a variable of an output? */
static bool asked(const struct work *work, const struct es_leaf *leaf, const char *word)
{
    if (is_at_or_above(word, leaf->key))
        return true;
    for (size_t i = 0; i < work->config.n_outputs; i++) {
        const struct es_item *item = item_of(work, i, leaf);
        const struct es_item *instead = displaced_by(work, i, leaf);

        if ((item && es_buf_is(&item->name, word)) || (instead && es_buf_is(&instead->name, word)))
            return true;
    }
    return false;
}

/* With --fetch, does the last set have this leaf and no source gives it any more? */
static bool is_gone(const struct work *work, size_t leaf)
{
    return !es_tree_find(&work->tree, work->there_tree.leaves[leaf].key);
}

static int show_gone(const struct es_session *session, const struct work *work,
                     struct es_json *json, struct es_err *err)
{
    const struct es_args *args = &session->args;
    struct es_value *list =
        work->there_tree.config ? es_json_list(json, &json->root, "gone") : NULL;

    for (size_t i = 0; i < work->there_tree.n; i++) {
        const struct es_buf *key = work->there_tree.leaves[i].key;
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};
        bool wanted = args->n_rest == 0;

        for (int j = 0; !wanted && j < args->n_rest; j++)
            wanted = is_at_or_above(args->rest[j], key);
        if (!wanted || !is_gone(work, i))
            continue;
        if (es_key_format(key, &text) < 0)
            return es_nomem(err);
        if (args->json) {
            es_json_text(json, es_json_item(json, list), "key", es_buf_str(&text));
        } else {
            es_show_line("%s", es_buf_str(&text));
            es_show_line("  deployed, but no source gives it any more");
        }
    }
    return 0;
}

/* A source that was left out of what is explained, while outputs that it feeds stayed as they
 * were; or NULL. */
static const char *skipped_source(const struct work *work)
{
    const struct es_manifest *set = &work->memory.store.set;

    for (size_t i = 0; i < work->config.n_sources; i++) {
        const struct es_source *source = &work->config.sources[i];

        if (strcmp(source->on_unavailable, "skip") != 0)
            continue;
        if (work->fetched.states[i] == ES_SOURCE_SKIPPED)
            return source->name;
        for (size_t j = 0; work->from_set && !set->complete && j < set->n_sources; j++)
            if (es_buf_is(&set->sources[j].name, source->name) && !set->sources[j].given)
                return source->name;
    }
    return NULL;
}

static int not_found(const struct work *work, const char *word, struct es_err *err)
{
    const char *skipped = skipped_source(work);
    int r = es_fail(err, ES_ABSENT, ENOENT, "no source gives the key %.200s", word);
    char advice[ES_ERR_MAX];

    if (skipped) {
        snprintf(advice, sizeof advice,
                 "source %s was skipped, and an output that it feeds is kept as it was", skipped);
        es_advise(err, advice);
    }
    for (size_t i = 0; i < work->there_tree.n; i++)
        if (is_at_or_above(word, work->there_tree.leaves[i].key) && is_gone(work, i)) {
            es_advise(err, "the set that is deployed has it still");
            break;
        }
    return r;
}

static int explain(struct es_session *session, const struct work *work, struct es_json *json,
                   struct es_err *err)
{
    const struct es_args *args = &session->args;
    struct es_value *list = es_json_list(json, &json->root, "keys");
    int r = 0;

    for (int i = 0; i < args->n_rest; i++) {
        bool found = false;

        for (size_t j = 0; !found && j < work->tree.n; j++)
            found = asked(work, &work->tree.leaves[j], args->rest[i]);
        if (!found)
            return not_found(work, args->rest[i], err);
    }
    for (size_t j = 0; r == 0 && j < work->tree.n; j++) {
        bool show = args->n_rest == 0;

        for (int i = 0; !show && i < args->n_rest; i++)
            show = asked(work, &work->tree.leaves[j], args->rest[i]);
        if (show && args->json)
            r = show_json(json, list, work, &work->tree.leaves[j], err);
        else if (show)
            r = show_text(work, &work->tree.leaves[j], err);
    }
    return r;
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(work_done) struct work work = {.memory = ES_MEMORY_INIT};
    ES_CLEANUP(es_json_done) struct es_json json;
    int r;

    es_json_init(&json);
    es_process_catch();
    r = load(session, &work, err);
    if (r == 0)
        r = explain(session, &work, &json, err);
    if (r == 0)
        r = show_gone(session, &work, &json, err);
    if (r < 0 && session->args.json)
        es_show_failure(session, err);
    es_session_flush(session);
    if (r < 0)
        return r;
    es_log_line(&session->log, ES_LEVEL_INFO, "answered from %s",
                work.from_set ? "the last set" : "the sources");
    es_json_text(&json, &json.root, "from", work.from_set ? "set" : "sources");
    r = session->args.json ? es_json_print(&json, err) : 0;
    return r < 0 ? r : ES_EXIT_OK;
}

const struct es_command es_command_explain = {
    .name = "explain",
    .usage = "[-c FILE] [--fetch] [--json] [--root DIR] [--deadline DUR] [KEY ...]",
    .summary = "tell which source gives a key, and what it shadows",
    .help =
        "KEY is a key (db.password), a table (db), or the name of a variable in an output\n"
        "(DB_PASSWORD); without one, all are told. Answers from the last set where there is one\n"
        "of this configuration; --fetch asks the sources, and compares. Exits 66 where no source\n"
        "gives a KEY.",
    .options = ES_ARG_CONFIG | ES_ARG_FETCH | ES_ARG_JSON | ES_ARG_ROOT | ES_ARG_DEADLINE,
    .max_rest = -1,
    .run = run,
};
