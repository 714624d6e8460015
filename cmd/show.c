/* See show.h. */
#include "show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void es_show_line(const char *fmt, ...)
{
    ES_CLEANUP(es_buf_done) struct es_buf line = {0};
    ES_CLEANUP(es_freep) char *text = NULL;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) {
        text = NULL;
        return;
    }
    if (es_print_safe(&line, text) == 0)
        puts(es_buf_str(&line));
}

static const char *owner_of(const struct es_target *t, char out[64])
{
    snprintf(out, 64, "%u:%u %04o", (unsigned)t->st.st_uid, (unsigned)t->st.st_gid,
             (unsigned)(t->st.st_mode & 07777));
    return out;
}

static const char *owner_wanted(const struct es_target *t, char out[64])
{
    snprintf(out, 64, "%u:%u %04o", (unsigned)t->wanted->owner.uid, (unsigned)t->wanted->owner.gid,
             (unsigned)t->wanted->owner.mode);
    return out;
}

static const char *restored_word(enum es_target_state state)
{
    return state == ES_TARGET_SAME     ? "unchanged"
           : state == ES_TARGET_REPAIR ? "repaired"
                                       : "restored";
}

const char *es_show_file_state(enum es_file_state state, bool dry_run)
{
    static const char *const words[][2] = {
        [ES_FILE_SAME] = {"unchanged", "unchanged"},
        [ES_FILE_CREATE] = {"created", "would be created"},
        [ES_FILE_UPDATE] = {"updated", "would be updated"},
        [ES_FILE_REPAIR] = {"repaired", "would be repaired"},
        [ES_FILE_REMOVE] = {"removed", "would be removed"},
        [ES_FILE_UNKNOWN] = {"not comparable", "not comparable"},
    };

    return words[state][dry_run];
}

const char *es_show_state(const struct es_piece *piece, bool dry_run)
{
    static const enum es_file_state as_file[] = {
        [ES_TARGET_CREATE] = ES_FILE_CREATE,
        [ES_TARGET_UPDATE] = ES_FILE_UPDATE,
        [ES_TARGET_REPAIR] = ES_FILE_REPAIR,
        [ES_TARGET_UNKNOWN] = ES_FILE_UNKNOWN,
    };

    if (piece->kept)
        return "kept";
    return piece->target.state == ES_TARGET_SAME
               ? restored_word(piece->restored)
               : es_show_file_state(as_file[piece->target.state], dry_run);
}

static char file_marker(enum es_file_state state)
{
    return state == ES_FILE_CREATE ? '+' : state == ES_FILE_REMOVE ? '-' : '~';
}

static void dry_run_files(const struct es_run *run)
{
    const struct es_mirror *mirror = &run->fetched.mirror;

    for (size_t i = 0; i < mirror->n_results; i++) {
        const struct es_file_result *result = &mirror->results[i];
        const char *source = run->config.sources[result->source].name;

        if (result->state == ES_FILE_UNKNOWN)
            es_show_line("%s: not comparable (you may not read it)", result->path);
        else if (result->state != ES_FILE_SAME)
            es_show_line("%c %s  (%s)", file_marker(result->state), result->path, source);
    }
}

static void dry_run_actions(const struct es_run *run)
{
    const struct es_on_change *on_change = &run->config.on_change;

    if (on_change->n > 0 && run->memory.unreadable)
        es_show_line("on_change: not comparable (you may not read the state)");
    for (size_t i = 0; i < on_change->n; i++)
        if (run->acts[i] == ES_ACT_PENDING)
            es_show_line("on_change: would %s %s", es_action_word(&on_change->actions[i]),
                         on_change->actions[i].words[0]);
}

void es_show_dry_run(const struct es_run *run)
{
    const struct es_set *set = &run->set;

    for (size_t i = 0; i < set->n; i++) {
        const struct es_piece *piece = &set->pieces[i];
        char is[64], will[64];

        es_show_line("%s: %s%s", piece->output->path, es_show_state(piece, true),
                     piece->kept                                   ? " (a source is skipped)"
                     : piece->target.state == ES_TARGET_UNKNOWN    ? " (you may not read it)"
                     : piece->unreadable && piece->target.old >= 0 ? " (what is there is not "
                                                                     "envsync's own)"
                                                                   : "");
        for (size_t j = 0; j < piece->n_changes; j++) {
            const struct es_change *change = &piece->changes[j];

            if (change->source)
                es_show_line("  %c %s  (%s)", change->marker, change->name, change->source);
            else
                es_show_line("  %c %s", change->marker, change->name);
        }
        if (es_target_owner_differs(&piece->target))
            es_show_line("  ~ owner and mode %s -> %s", owner_of(&piece->target, is),
                         owner_wanted(&piece->target, will));
    }
    dry_run_files(run);
    dry_run_actions(run);
}

void es_json_init(struct es_json *json)
{
    *json = (struct es_json){0};
    es_value_set_table(&json->root);
}

/* A place for a value; after a failure, one that is thrown away. */
static struct es_value *slot(struct es_json *json, struct es_value *table, const char *key)
{
    static struct es_value nowhere;
    struct es_entry *entry;

    if (json->failed == 0)
        json->failed = es_table_add(table, key, strlen(key), &entry);
    if (json->failed == 0)
        return &entry->value;
    es_value_done(&nowhere);
    return &nowhere;
}

struct es_value *es_json_list(struct es_json *json, struct es_value *table, const char *key)
{
    struct es_value *list = slot(json, table, key);

    es_value_set_list(list);
    return list;
}

struct es_value *es_json_item(struct es_json *json, struct es_value *list)
{
    static struct es_value nowhere;
    struct es_value *item = &nowhere;

    if (json->failed == 0)
        json->failed = es_list_add(list, &item);
    es_value_set_table(item);
    return item;
}

void es_json_text(struct es_json *json, struct es_value *table, const char *key, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf safe = {0};
    struct es_value *value = slot(json, table, key);

    if (json->failed == 0)
        json->failed = es_print_safe(&safe, text);
    if (json->failed == 0)
        json->failed = es_value_set_string(value, es_buf_str(&safe), safe.len);
}

void es_json_bool(struct es_json *json, struct es_value *table, const char *key, bool flag)
{
    *slot(json, table, key) = (struct es_value){.type = ES_BOOLEAN, .boolean = flag};
}

void es_json_number(struct es_json *json, struct es_value *table, const char *key, int64_t n)
{
    *slot(json, table, key) = (struct es_value){.type = ES_INTEGER, .integer = n};
}

int es_json_print(struct es_json *json, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    if (json->failed == 0)
        json->failed = es_value_text(&json->root, &text);
    if (json->failed < 0)
        return es_nomem(err);
    puts(es_buf_str(&text));
    return 0;
}

void es_json_done(struct es_json *json)
{
    es_value_done(&json->root);
}

/* A run that fetched nothing has rendered nothing, but may have put outputs back. */
static void add_restored(struct es_json *json, struct es_value *list, const struct es_run *run)
{
    for (size_t i = 0; run->restored && i < run->config.n_outputs; i++) {
        struct es_value *item = es_json_item(json, list);

        es_json_text(json, item, "path", run->config.outputs[i].path);
        es_json_text(json, item, "format", run->config.outputs[i].format->name);
        es_json_text(json, item, "state", restored_word(run->restored[i]));
        es_json_list(json, item, "changes");
    }
}

static void add_outputs(struct es_json *json, const struct es_run *run)
{
    struct es_value *list = es_json_list(json, &json->root, "outputs");
    const struct es_set *set = &run->set;

    if (set->n == 0)
        add_restored(json, list, run);
    for (size_t i = 0; i < set->n; i++) {
        const struct es_piece *piece = &set->pieces[i];
        struct es_value *item = es_json_item(json, list);
        struct es_value *changes;

        es_json_text(json, item, "path", piece->output->path);
        es_json_text(json, item, "format", piece->output->format->name);
        es_json_text(json, item, "state", es_show_state(piece, false));
        changes = es_json_list(json, item, "changes");
        for (size_t j = 0; j < piece->n_changes; j++) {
            const char marker[] = {piece->changes[j].marker, '\0'};
            struct es_value *change = es_json_item(json, changes);

            es_json_text(json, change, "change", marker);
            es_json_text(json, change, "key", piece->changes[j].name);
            if (piece->changes[j].source)
                es_json_text(json, change, "source", piece->changes[j].source);
        }
    }
}

static void add_kept(struct es_json *json, const struct es_set *set)
{
    struct es_value *list = es_json_list(json, &json->root, "kept");

    for (size_t i = 0; json->failed == 0 && i < set->n; i++) {
        const char *path = set->pieces[i].output->path;
        struct es_value *item;

        if (!set->pieces[i].kept)
            continue;
        json->failed = es_list_add(list, &item);
        if (json->failed == 0)
            json->failed = es_value_set_string(item, path, strlen(path));
    }
}

static void add_sources(struct es_json *json, const struct es_config *config,
                        const struct es_fetched *fetched)
{
    static const char *const words[] = {[ES_SOURCE_GIVEN] = "given",
                                        [ES_SOURCE_ABSENT] = "absent",
                                        [ES_SOURCE_SKIPPED] = "skipped",
                                        [ES_SOURCE_STALE] = "stale"};
    struct es_value *list = es_json_list(json, &json->root, "sources");

    for (size_t i = 0; fetched->states && i < config->n_sources; i++) {
        struct es_value *item = es_json_item(json, list);

        es_json_text(json, item, "name", config->sources[i].name);
        es_json_text(json, item, "type", config->sources[i].type);
        es_json_text(json, item, "state", words[fetched->states[i]]);
    }
}

static void add_messages(struct es_json *json, const struct es_report *report, const char *key,
                         enum es_level level, const struct es_err *failure)
{
    struct es_value *list = es_json_list(json, &json->root, key), *item;

    if (failure) {
        item = es_json_item(json, list);
        es_json_text(json, item, "class", es_class_name(failure->class));
        es_json_text(json, item, "message", failure->msg);
    }
    for (size_t i = 0; i < report->n; i++) {
        if (report->items[i].level != level)
            continue;
        item = es_json_item(json, list);
        if (level == ES_LEVEL_ERROR)
            es_json_text(json, item, "class", es_class_name(report->items[i].class));
        es_json_text(json, item, "message", report->items[i].text);
    }
}

static void add_files(struct es_json *json, const struct es_run *run)
{
    struct es_value *list = es_json_list(json, &json->root, "files");
    const struct es_mirror *mirror = &run->fetched.mirror;

    for (size_t i = 0; i < mirror->n_results; i++) {
        struct es_value *item = es_json_item(json, list);

        es_json_text(json, item, "path", mirror->results[i].path);
        es_json_text(json, item, "state", es_show_file_state(mirror->results[i].state, false));
        es_json_text(json, item, "source", run->config.sources[mirror->results[i].source].name);
    }
}

static void add_stale(struct es_json *json, const struct es_run *run)
{
    struct es_value *list = es_json_list(json, &json->root, "stale");

    for (size_t i = 0; run->fetched.states && i < run->config.n_sources; i++) {
        struct es_value *item;

        if (run->fetched.states[i] != ES_SOURCE_STALE)
            continue;
        item = es_json_item(json, list);
        es_json_text(json, item, "source", run->config.sources[i].name);
        es_json_number(json, item, "age", (es_now_ms() - run->fetched.fetched_ms[i]) / 1000);
    }
}

/* Of `run` only the program: its arguments may be anything. */
void es_json_action(struct es_json *json, struct es_value *item, const struct es_action *action)
{
    es_json_text(json, item, "action", es_action_word(action));
    es_json_text(json, item, "what", action->words[0]);
}

static void add_actions(struct es_json *json, const struct es_run *run)
{
    static const char *const words[] = {[ES_ACT_DONE] = "done",
                                        [ES_ACT_SKIPPED] = "skipped",
                                        [ES_ACT_PENDING] = "pending",
                                        [ES_ACT_FAILED] = "failed"};
    struct es_value *list;

    es_json_text(json, &json->root, "on_change", es_acts_word(run));
    list = es_json_list(json, &json->root, "actions");
    for (size_t i = 0; i < run->config.on_change.n; i++) {
        struct es_value *item;

        if (run->acts[i] == ES_ACT_NONE)
            continue;
        item = es_json_item(json, list);
        es_json_action(json, item, &run->config.on_change.actions[i]);
        es_json_text(json, item, "state", words[run->acts[i]]);
    }
}

void es_show_failure(const struct es_session *session, const struct es_err *failure)
{
    ES_CLEANUP(es_json_done) struct es_json json;
    struct es_err ignored;

    es_json_init(&json);
    es_json_text(&json, &json.root, "result", "failed");
    es_json_number(&json, &json.root, "exit", es_exit_code(failure->class));
    add_messages(&json, &session->report, "errors", ES_LEVEL_ERROR, failure);
    es_json_print(&json, &ignored);
}

static const char *result_word(const struct es_run *run, const struct es_err *failure)
{
    return failure                    ? "failed"
           : run->end == ES_RUN_HELD  ? "held"
           : run->end == ES_RUN_FRESH ? "fresh"
           : run->differs             ? "changed"
                                      : "unchanged";
}

int es_show_json(const struct es_session *session, const struct es_run *run,
                 const struct es_err *failure, struct es_err *err)
{
    ES_CLEANUP(es_json_done) struct es_json json;
    bool dry_run = session->args.dry_run;
    int exit = failure                                   ? es_exit_code(failure->class)
               : session->args.exit_code && run->differs ? ES_EXIT_CHANGES
                                                         : ES_EXIT_OK;

    es_json_init(&json);
    es_json_text(&json, &json.root, "result", result_word(run, failure));
    es_json_bool(&json, &json.root, "dry_run", dry_run);
    if (run->config.app)
        es_json_text(&json, &json.root, "app", run->config.app);
    es_json_number(&json, &json.root, "exit", exit);
    add_sources(&json, &run->config, &run->fetched);
    add_outputs(&json, run);
    add_files(&json, run);
    add_kept(&json, &run->set);
    add_stale(&json, run);
    add_actions(&json, run);
    add_messages(&json, &session->report, "errors", ES_LEVEL_ERROR, failure);
    add_messages(&json, &session->report, "warnings", ES_LEVEL_WARNING, NULL);
    return es_json_print(&json, err);
}
