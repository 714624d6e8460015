/* `envsync status`: what the state says of the last run, offline. */
#include "../core/commit/sealed.h"
#include "../core/pending.h"
#include "cmd.h"
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct work {
    struct es_config config;
    struct es_store store;
    struct es_previous previous;
    bool due[ES_MAX_ACTIONS]; /* by action of [on_change] */
};

static void work_done(struct work *work)
{
    es_previous_done(&work->previous);
    es_store_done(&work->store);
    es_config_done(&work->config);
}

static void format_time(int64_t ms, char out[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* A time in the future says that a clock was or is wrong. */
static void format_age(int64_t ms, const char *behind, char out[64])
{
    int64_t age = es_now_ms() - ms;

    if (age < 0)
        snprintf(out, 64, "of a time in the future");
    else
        snprintf(out, 64, "%lld s %s", (long long)(age / 1000), behind);
}

static void json_age(struct es_json *json, struct es_value *table, int64_t ms)
{
    int64_t age = es_now_ms() - ms;

    if (age >= 0)
        es_json_number(json, table, "age", age / 1000);
}

/* Is it for a source that may go on with its last good values, and they are too old or young? */
static bool is_no_last_good(const struct work *work, size_t source)
{
    return strcmp(work->config.sources[source].on_unavailable, "last-good") == 0 &&
           es_before_ripeness(&work->config, &work->previous.sources[source]) != ES_AGE_COUNTS;
}

static const char *state_of(const struct work *work, size_t source)
{
    const struct es_manifest *set = &work->store.set;

    if (work->previous.sources[source].damaged)
        return "damaged";
    for (size_t i = 0; i < set->n_sources; i++)
        if (es_buf_is(&set->sources[i].name, work->config.sources[source].name))
            return set->sources[i].stale   ? "stale"
                   : set->sources[i].given ? "given"
                                           : "absent or skipped";
    return "nothing known";
}

enum { VERSION_MAX = 512 };

static size_t count_objects(const struct es_before *before)
{
    size_t objects = 0;

    for (size_t i = 0; i < before->n; i++)
        objects +=
            i == 0 || !es_buf_equal(&before->records[i - 1].object, &before->records[i].object);
    return objects;
}

/* What a source's records are of: one version, or how many objects. */
static void format_version(const struct es_before *before, char out[VERSION_MAX])
{
    size_t objects = count_objects(before);
    const struct es_record *last = before->n ? &before->records[before->n - 1] : NULL;

    if (last && objects == 1)
        snprintf(out, VERSION_MAX, "%.350s%s%.100s", es_buf_str(&last->object),
                 last->version.len ? " " : "", es_buf_str(&last->version));
    else
        snprintf(out, VERSION_MAX, "%zu objects, %zu keys", objects, before->n);
}

static void show_text(const struct work *work)
{
    const struct es_store *store = &work->store;
    char text[VERSION_MAX], when[32], old[64];
    struct es_err ignored;

    format_time(store->succeeded_ms, when);
    format_age(store->succeeded_ms, "ago", old);
    es_show_line("%s: set %s, last success %s (%s)%s%s", work->config.name, store->current, when,
                 old, store->set.complete ? "" : ", not complete", store->held ? ", HELD" : "");
    if (store->run_lost && store->usable)
        es_show_line(
            "  what lay below /run is gone from there%s",
            es_sealed_is_there(store, &ignored) > 0 ? "; the next run opens its sealed copy" : "");
    for (size_t i = 0; i < work->config.n_sources; i++) {
        const struct es_before *before = &work->previous.sources[i];

        if (!before->kept) {
            es_show_line("  source %s: %s", work->config.sources[i].name, state_of(work, i));
            continue;
        }
        format_version(before, text);
        format_age(before->fetched_ms, "old", old);
        es_show_line("  source %s: %s, %s%s, %s", work->config.sources[i].name, state_of(work, i),
                     old, is_no_last_good(work, i) ? " (no last good: see max_age)" : "", text);
    }
    es_show_line("  hold: %s", store->held ? "yes, since a rollback" : "no");
    for (size_t i = 0; i < work->config.on_change.n; i++)
        if (work->due[i])
            es_show_line("  pending: %s %s", es_action_word(&work->config.on_change.actions[i]),
                         work->config.on_change.actions[i].words[0]);
}

static void json_sources(struct es_json *json, const struct work *work)
{
    struct es_value *list = es_json_list(json, &json->root, "sources");
    char text[VERSION_MAX];

    for (size_t i = 0; i < work->config.n_sources; i++) {
        const struct es_before *before = &work->previous.sources[i];
        struct es_value *item = es_json_item(json, list);

        es_json_text(json, item, "name", work->config.sources[i].name);
        es_json_text(json, item, "state", state_of(work, i));
        if (!before->kept)
            continue;
        json_age(json, item, before->fetched_ms);
        es_json_number(json, item, "objects", (int64_t)count_objects(before));
        es_json_number(json, item, "keys", (int64_t)before->n);
        if (count_objects(before) == 1) {
            format_version(before, text);
            es_json_text(json, item, "version", text);
        }
        es_json_bool(json, item, "stale", before->kept->stale);
        if (strcmp(work->config.sources[i].on_unavailable, "last-good") == 0)
            es_json_bool(json, item, "last_good", !is_no_last_good(work, i));
    }
}

static void json_pending(struct es_json *json, const struct work *work)
{
    struct es_value *list = es_json_list(json, &json->root, "pending");

    for (size_t i = 0; i < work->config.on_change.n; i++)
        if (work->due[i])
            es_json_action(json, es_json_item(json, list), &work->config.on_change.actions[i]);
}

static int show_json(const struct work *work, struct es_err *err)
{
    ES_CLEANUP(es_json_done) struct es_json json;
    const struct es_store *store = &work->store;
    char when[32];

    es_json_init(&json);
    es_json_text(&json, &json.root, "name", work->config.name);
    es_json_text(&json, &json.root, "set", store->current);
    format_time(store->succeeded_ms, when);
    es_json_text(&json, &json.root, "last_success", when);
    json_age(&json, &json.root, store->succeeded_ms);
    es_json_bool(&json, &json.root, "complete", store->set.complete);
    es_json_bool(&json, &json.root, "held", store->held);
    json_sources(&json, work);
    json_pending(&json, work);
    return es_json_print(&json, err);
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(work_done) struct work work = {.store = ES_STORE_INIT};
    const struct es_args *args = &session->args;
    int r = es_session_load(session, &work.config, err);

    if (r == 0)
        r = es_store_open(&work.config, args->root, false, false, &work.store, &session->report,
                          err);
    if (r == 0 && work.store.current[0] == '\0')
        r = es_fail(err, ES_ABSENT, ENOENT, "%s has no set yet: envsync has not succeeded here",
                    work.config.name);
    if (r == 0 && work.store.foreign)
        r = es_fail(err, ES_ABSENT, ENOENT,
                    "%s has no set of this machine yet: what is kept here is another's, as in an "
                    "image, and counts for nothing",
                    work.config.name);
    if (r == 0)
        r = es_previous_load(&work.config, args->root, &work.store, &work.previous,
                             &session->report, err);
    if (r == 0)
        r = es_pending_read(&work.config, &work.store, work.due, err);
    if (r == 0 && args->json)
        r = show_json(&work, err);
    else if (r == 0)
        show_text(&work);
    if (r < 0 && args->json)
        es_show_failure(session, err);
    es_session_flush(session);
    return r;
}

const struct es_command es_command_status = {
    .name = "status",
    .usage = "[-c FILE] [--json] [--root DIR]",
    .summary = "tell about the last set: age, sources, stale or held",
    .help = "Asks no source: reads the state that root's runs keep. Exits 66 where there is none.",
    .options = ES_ARG_CONFIG | ES_ARG_JSON | ES_ARG_ROOT,
    .max_rest = 0,
    .run = run,
};
