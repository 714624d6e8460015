/* See fetch.h. What the worker says is validated here by the same function that its own sink uses.
 */
#include "fetch.h"

#include "envsync/limits.h"
#include "surroundings.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct collecting {
    const struct es_config *config;
    struct es_fetched *fetched;
    struct es_report *report;
    struct es_surroundings surroundings;
    bool *pending; /* by source: asked of the worker, not yet done */
    size_t bytes;
    struct es_err first; /* the failure that is returned */
    int failed;          /* its negative errno, 0 where there is none */
};

/* A source has failed. Decides what that means; never itself a failure. */
static void source_failed(struct collecting *c, uint32_t number, int r, struct es_err *why)
{
    const struct es_source *source = &c->config->sources[number];

    es_context(why, "source %s", source->name);
    if (why->class == ES_ABSENT && source->optional) {
        c->fetched->states[number] = ES_SOURCE_ABSENT;
        es_report_add(c->report, ES_LEVEL_INFO, "%s; it is optional", why->msg);
        return;
    }
    if (why->class == ES_UNAVAILABLE && strcmp(source->on_unavailable, "skip") == 0) {
        c->fetched->states[number] = ES_SOURCE_SKIPPED;
        es_report_add(c->report, ES_LEVEL_WARNING, "%s; skipped", why->msg);
        return;
    }
    if (c->failed)
        es_report_error(c->report, why);
    else {
        c->first = *why;
        c->failed = r;
    }
}

static int bad_frame(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, EBADMSG, "the worker sent what is no record");
}

static int take_record(struct collecting *c, struct es_cursor *in, struct es_err *err)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    struct es_fetched *f = c->fetched;
    int r;

    c->bytes += in->left;
    if (f->n == ES_MAX_RECORDS || c->bytes > 4 * (size_t)ES_MAX_TOTAL)
        return es_fail(err, ES_INVALID, EMSGSIZE,
                       "the sources give too much: more than %d keys or "
                       "%d MiB",
                       ES_MAX_RECORDS, 4 * ES_MAX_TOTAL >> 20);
    r = es_get_record(in, &record);
    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0 || in->left > 0 || record.source >= c->config->n_sources ||
        !c->pending[record.source])
        return bad_frame(err);
    r = es_record_check(&record, err);
    if (r < 0)
        return r;
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        struct es_record *records = reallocarray(f->records, cap, sizeof *records);

        if (!records)
            return es_nomem(err);
        f->records = records;
        f->cap = cap;
    }
    f->records[f->n++] = record;
    record = (struct es_record){0};
    return 0;
}

static int take_note(struct collecting *c, struct es_cursor *in, enum es_level level,
                     struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    uint32_t source;

    if (es_get_u32(in, &source) < 0 || es_get_bytes(in, &text) < 0 ||
        source >= c->config->n_sources)
        return bad_frame(err);
    es_report_add(c->report, level, "source %s: %.*s", c->config->sources[source].name, ES_ERR_MAX,
                  es_buf_str(&text));
    return 0;
}

static int take_message(struct es_cursor *in, struct es_err *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    uint8_t class;

    if (es_get_u8(in, &class) < 0 || class >= ES_CLASSES || es_get_bytes(in, &text) < 0)
        return -EBADMSG;
    es_fail(ret, (enum es_class) class, EIO, "%s", es_buf_str(&text));
    return 0;
}

static int take_done(struct collecting *c, struct es_cursor *in, struct es_err *err)
{
    struct es_err why;
    uint32_t source;
    uint8_t failed;

    if (es_get_u32(in, &source) < 0 || es_get_u8(in, &failed) < 0 ||
        source >= c->config->n_sources || !c->pending[source])
        return bad_frame(err);
    c->pending[source] = false;
    if (!failed)
        return 0;
    if (take_message(in, &why) < 0)
        return bad_frame(err);
    source_failed(c, source, -EIO, &why);
    return 0;
}

/* Returns 1 at the last frame. */
static int take(struct collecting *c, enum es_frame type, struct es_cursor *in, struct es_err *err)
{
    switch (type) {
    case ES_FRAME_RECORD:
        return take_record(c, in, err);
    case ES_FRAME_NOTE:
        return take_note(c, in, ES_LEVEL_NOTICE, err);
    case ES_FRAME_DETAIL:
        return take_note(c, in, ES_LEVEL_INFO, err);
    case ES_FRAME_DONE:
        return take_done(c, in, err);
    case ES_FRAME_END:
        for (size_t i = 0; i < c->config->n_sources; i++)
            if (c->pending[i])
                return bad_frame(err);
        return 1;
    case ES_FRAME_FATAL:
        return take_message(in, err) < 0 ? bad_frame(err) : -EIO;
    default:
        return bad_frame(err);
    }
}

static int listen_to(struct collecting *c, struct es_worker *worker, int64_t deadline,
                     struct es_err *err)
{
    for (;;) {
        struct es_cursor in;
        enum es_frame type;
        int r = es_worker_next(worker, deadline, &type, &in, err);

        if (r == -EPIPE && es_worker_finish(worker, err) == 0)
            return es_fail(err, ES_INTERNAL, EPIPE, "the worker ended too early");
        if (r == 0)
            r = take(c, type, &in, err);
        if (r == 1)
            return es_worker_finish(worker, err);
        if (r < 0)
            return r;
    }
}

static int run_worker(struct collecting *c, const struct es_files *files, int64_t deadline,
                      struct es_err *err)
{
    ES_CLEANUP(es_worker_done) struct es_worker worker = {.job = -1, .records = -1};
    const struct es_asked job = {.config = c->config,
                                 .wanted = c->pending,
                                 .files = files,
                                 .surroundings = &c->surroundings};
    int r = es_worker_start(&worker, files, err);

    if (r == 0)
        r = es_worker_send(&worker, &job, deadline, err);
    if (r == 0)
        r = listen_to(c, &worker, deadline, err);
    if (r != -ETIMEDOUT)
        return r;
    for (uint32_t i = 0; i < c->config->n_sources; i++) {
        struct es_err why = *err;

        if (c->pending[i])
            source_failed(c, i, r, &why);
    }
    return 0;
}

/* A source that was skipped or failed half-way gives nothing. */
static void drop_incomplete(struct es_fetched *f)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (f->states[f->records[i].source] != ES_SOURCE_GIVEN)
            es_record_done(&f->records[i]);
        else
            f->records[kept++] = f->records[i];
    }
    f->n = kept;
}

static int fetch(struct collecting *c, int64_t deadline, const struct es_fetch_hooks *hooks,
                 struct es_err *err)
{
    ES_CLEANUP(es_files_done) struct es_files files = {0};
    bool any = false;
    int r = 0;

    for (uint32_t i = 0; i < c->config->n_sources; i++) {
        r = es_files_open(&files, &c->config->sources[i], i, &c->surroundings, deadline,
                          hooks->on_wait, hooks->data, c->report, err);
        c->pending[i] = r == 0;
        any = any || r == 0;
        if (r == -ENOMEM || r == -EINTR)
            return r;
        if (r < 0)
            source_failed(c, i, r, err);
    }
    /* Where a source is missing already, the rest need not be read. */
    if (any && !c->failed) {
        r = run_worker(c, &files, deadline, err);
        if (r < 0)
            return r;
    }
    if (c->failed) {
        *err = c->first;
        return c->failed;
    }
    return 0;
}

int es_fetch_all(const struct es_config *config, const struct es_process *process, int64_t deadline,
                 const struct es_fetch_hooks *hooks, struct es_fetched *ret,
                 struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_freep) bool *pending = calloc(config->n_sources, sizeof *pending);
    ES_CLEANUP(es_fetched_done) struct es_fetched fetched = {0};
    struct collecting c = {
        .config = config, .fetched = &fetched, .report = report, .pending = pending};
    int r;

    fetched.states = calloc(config->n_sources, sizeof *fetched.states);
    if (!pending || !fetched.states)
        return es_nomem(err);
    r = es_surroundings_gather(config, process, &c.surroundings, err);
    if (r == 0)
        r = fetch(&c, deadline, hooks, err);
    es_surroundings_done(&c.surroundings);
    if (r < 0)
        return r;
    drop_incomplete(&fetched);
    *ret = fetched;
    fetched = (struct es_fetched){0};
    return 0;
}

void es_fetched_done(struct es_fetched *fetched)
{
    for (size_t i = 0; i < fetched->n; i++)
        es_record_done(&fetched->records[i]);
    free(fetched->records);
    free(fetched->states);
    *fetched = (struct es_fetched){0};
}
