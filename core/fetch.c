/* See fetch.h. Runs the worker over all sources and decides what the failure of one means. */
#include "fetch.h"

#include "clock.h"
#include "collect.h"
#include "envsync/limits.h"
#include "surroundings.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t es_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What came of a source before it failed does not count. */
static void forget(struct es_fetched *f, uint32_t number)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (f->records[i].source == number)
            es_record_done(&f->records[i]);
        else
            f->records[kept++] = f->records[i];
    }
    f->n = kept;
    es_kept_source_clear(&f->sources[number]);
    es_mirror_forget(&f->mirror, number);
}

struct es_age es_age_of(int64_t then_ms)
{
    int64_t s = (es_now_ms() - then_ms) / 1000;
    struct es_age age;

    if (s >= 2 * 86400)
        snprintf(age.text, sizeof age.text, "%lld days", (long long)(s / 86400));
    else if (s >= 2 * 3600)
        snprintf(age.text, sizeof age.text, "%lld h", (long long)(s / 3600));
    else if (s >= 120)
        snprintf(age.text, sizeof age.text, "%lld min", (long long)(s / 60));
    else
        snprintf(age.text, sizeof age.text, "%lld s", (long long)s);
    return age;
}

void es_collect_failure(struct es_collecting *c, uint32_t number, int r, struct es_err *why)
{
    const struct es_source *source = &c->config->sources[number];
    int last_good;

    es_context(why, "source %s", source->name);
    forget(c->fetched, number);
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
    last_good = why->class == ES_UNAVAILABLE && strcmp(source->on_unavailable, "last-good") == 0
                    ? es_collect_last_good(c, number, why)
                    : 0;
    if (last_good > 0) {
        c->fetched->states[number] = ES_SOURCE_STALE;
        es_report_add(c->report, ES_LEVEL_WARNING, "%s; its last good values are used, %s old",
                      why->msg, es_age_of(c->fetched->fetched_ms[number]).text);
        return;
    }
    if (why->class == ES_ABSENT)
        es_advise(why, "optional = true on the source makes that no error");
    if (c->failed) {
        es_report_error(c->report, why);
    } else {
        c->first = *why;
        c->failed = last_good < 0 ? last_good : r;
    }
}

enum { PROGRESS_STEP = 100 /* milliseconds between two words of progress */ };

static void tell_progress(const struct es_collecting *c, int64_t *next)
{
    int64_t now = c->plan->on_progress ? es_clock_ms() : 0;

    if (!c->plan->on_progress || now < *next)
        return;
    *next = now + PROGRESS_STEP;
    c->plan->on_progress(c->plan->data, c->fetched->n, c->objects);
}

/* Ends programs whose time is over; returns when to look again. */
static int64_t expire_programs(const struct es_collecting *c, int64_t deadline)
{
    int64_t until = deadline;

    for (size_t i = 0; i < c->files->n_programs; i++) {
        struct es_program *program = &c->files->programs[i];

        es_program_expire(program);
        if (program->pid > 0 && !program->killed && program->kill_at < until)
            until = program->kill_at;
    }
    return until;
}

static int listen_to(struct es_collecting *c, struct es_worker *worker, int64_t deadline,
                     struct es_err *err)
{
    int64_t next = es_clock_ms() + PROGRESS_STEP;

    for (;;) {
        struct es_cursor in;
        enum es_frame type;
        int64_t until = expire_programs(c, deadline);
        int r = es_worker_next(worker, until, &type, &in, err);

        if (r == -ETIMEDOUT && until < deadline)
            continue;
        if (r == -EPIPE && es_worker_finish(worker, err) == 0)
            return es_fail(err, ES_INTERNAL, EPIPE, "the worker ended too early");
        if (r == 0)
            r = es_collect(c, type, &in, err);
        tell_progress(c, &next);
        if (r == 1)
            return es_worker_dismiss(worker, err);
        if (r < 0)
            return r;
    }
}

enum { LAST_WORD = 500 /* milliseconds for the worker to say why nothing came in time */ };

static int run_worker(struct es_collecting *c, int64_t deadline, struct es_err *err)
{
    ES_CLEANUP(es_worker_done) struct es_worker own = ES_WORKER_INIT;
    struct es_worker *worker = c->plan->worker ? c->plan->worker : &own;
    const struct es_asked job = {.config = c->config,
                                 .wanted = c->pending,
                                 .files = c->files,
                                 .surroundings = &c->surroundings,
                                 .previous = c->plan->previous,
                                 .describe = c->plan->describe,
                                 .verbose = c->plan->verbose};
    int r = worker->pid > 0 ? 0 : es_worker_start(worker, err);

    if (r == 0)
        r = es_worker_send(worker, &job, deadline, err);
    if (r == 0)
        r = listen_to(c, worker, deadline + LAST_WORD, err);
    if (r != -ETIMEDOUT)
        return r;
    for (uint32_t i = 0; i < c->config->n_sources; i++) {
        struct es_err why = *err;

        if (c->pending[i])
            es_collect_failure(c, i, r, &why);
    }
    return 0;
}

static int fetch(struct es_collecting *c, struct es_err *err)
{
    /* One that may do without its data must not wait until no time is left for the others. */
    int64_t early = c->plan->deadline - es_clock_left(c->plan->deadline) / 4;
    struct es_opening opening = {.config = c->config,
                                 .process = c->plan->process,
                                 .surroundings = &c->surroundings,
                                 .on_wait = c->plan->on_wait,
                                 .data = c->plan->data,
                                 .report = c->report};
    bool any = false;
    int r = 0;

    for (uint32_t i = 0; i < c->config->n_sources; i++) {
        const struct es_source *source = &c->config->sources[i];
        bool must = strcmp(source->on_unavailable, "fail") == 0;

        if (c->plan->describe && !source->provider->describes)
            continue;
        opening.deadline = must ? c->plan->deadline : early;
        r = es_files_open(c->files, &opening, i, err);
        c->pending[i] = r == 0;
        any = any || r == 0;
        if (r == -ENOMEM || r == -EINTR)
            return r;
        if (r < 0)
            es_collect_failure(c, i, r, err);
    }
    /* Where a source is missing already, the rest need not be read. */
    if (any && !c->failed) {
        r = run_worker(c, c->plan->deadline, err);
        if (r < 0)
            return r;
    }
    if (c->failed) {
        *err = c->first;
        return c->failed;
    }
    return 0;
}

/* The address of a source as it is configured; the worker corrects one that facts complete. */
static int prepare(struct es_fetched *f, const struct es_fetch_plan *plan, struct es_err *err)
{
    const struct es_config *config = plan->config;

    f->n_sources = config->n_sources;
    f->states = calloc(config->n_sources, sizeof *f->states);
    f->sources = calloc(config->n_sources, sizeof *f->sources);
    f->fetched_ms = calloc(config->n_sources, sizeof *f->fetched_ms);
    if (!f->states || !f->sources || !f->fetched_ms)
        return es_nomem(err);
    f->mirror = (struct es_mirror){
        .config = config, .root = plan->root, .lock = plan->lock, .look = plan->look};
    for (size_t i = 0; i < config->n_sources; i++) {
        f->fetched_ms[i] = es_now_ms();
        if (es_put_value(&f->sources[i].configured, &config->sources[i].where) < 0 ||
            es_buf_append(&f->sources[i].address, f->sources[i].configured.data,
                          f->sources[i].configured.len) < 0)
            return es_nomem(err);
    }
    return 0;
}

static int compare_arrival(const void *a, const void *b)
{
    const struct es_record *x = *(const struct es_record *const *)a;
    const struct es_record *y = *(const struct es_record *const *)b;

    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x > y) - (x < y);
}

static int compare_objects(const void *a, const void *b)
{
    return es_key_compare(&((const struct es_kept_object *)a)->name,
                          &((const struct es_kept_object *)b)->name);
}

static int compare_files(const void *a, const void *b)
{
    return es_key_compare(&((const struct es_kept_file *)a)->path,
                          &((const struct es_kept_file *)b)->path);
}

static int compare_results(const void *a, const void *b)
{
    return strcmp(((const struct es_file_result *)a)->path,
                  ((const struct es_file_result *)b)->path);
}

/* Of two sources that mirror to one path the last one would win, and which that is the network
 * would decide. The files are sorted. */
static int check_paths(const struct es_fetched *f, const struct es_config *config,
                       struct es_err *err)
{
    for (size_t i = 1; i < f->mirror.n_files; i++) {
        const struct es_kept_file *a = &f->mirror.files[i - 1], *b = &f->mirror.files[i];

        if (es_buf_equal(&a->path, &b->path))
            return es_fail(err, ES_INVALID, EEXIST,
                           "%s: sources %s and %s both mirror a file to it; give one another dir",
                           es_buf_str(&a->path), config->sources[a->source].name,
                           config->sources[b->source].name);
    }
    return 0;
}

/* Answers of the network come in any order; what is kept and shown has one. */
static int put_in_order(struct es_fetched *f, struct es_err *err)
{
    ES_CLEANUP(es_freep) struct es_record **pointers = calloc(f->n + 1, sizeof *pointers);
    struct es_record *sorted = calloc(f->n + 1, sizeof *sorted);

    if (!pointers || !sorted) {
        free(sorted);
        return es_nomem(err);
    }
    for (size_t i = 0; i < f->n; i++)
        pointers[i] = &f->records[i];
    if (f->n > 1)
        qsort(pointers, f->n, sizeof(struct es_record *), compare_arrival);
    for (size_t i = 0; i < f->n; i++)
        sorted[i] = *pointers[i];
    free(f->records);
    f->records = sorted;
    f->cap = f->n + 1;
    for (size_t i = 0; i < f->n_sources; i++)
        if (f->sources[i].n_objects > 1)
            qsort(f->sources[i].objects, f->sources[i].n_objects, sizeof *f->sources[i].objects,
                  compare_objects);
    if (f->mirror.n_files > 1)
        qsort(f->mirror.files, f->mirror.n_files, sizeof *f->mirror.files, compare_files);
    if (f->mirror.n_results > 1)
        qsort(f->mirror.results, f->mirror.n_results, sizeof *f->mirror.results, compare_results);
    return 0;
}

int es_fetch_all(const struct es_fetch_plan *plan, struct es_fetched *ret, struct es_report *report,
                 struct es_err *err)
{
    ES_CLEANUP(es_freep) bool *pending = calloc(plan->config->n_sources, sizeof *pending);
    ES_CLEANUP(es_fetched_done) struct es_fetched fetched = {0};
    ES_CLEANUP(es_files_done) struct es_files files = {0};
    struct es_collecting c = {.plan = plan,
                              .files = &files,
                              .config = plan->config,
                              .fetched = &fetched,
                              .report = report,
                              .pending = pending};
    int r = pending ? prepare(&fetched, plan, err) : es_nomem(err);

    if (r == 0)
        r = es_surroundings_gather(plan->config, plan->process, plan->own_names, &c.surroundings,
                                   err);
    if (r == 0)
        r = fetch(&c, err);
    /* A unit that is stopped signals all of its processes: what came of that is nobody's fault. */
    if (r < 0 && es_process_caught())
        r = es_fail(err, ES_INTERNAL, EINTR, "interrupted");
    es_surroundings_done(&c.surroundings);
    if (r == 0)
        r = put_in_order(&fetched, err);
    if (r == 0)
        r = check_paths(&fetched, plan->config, err);
    if (r < 0)
        return r;
    *ret = fetched;
    fetched = (struct es_fetched){0};
    return 0;
}

int es_fetched_from(const struct es_fetch_plan *plan, struct es_fetched *ret, struct es_err *err)
{
    ES_CLEANUP(es_fetched_done) struct es_fetched fetched = {0};
    struct es_collecting c = {.plan = plan, .config = plan->config, .fetched = &fetched};
    int r = prepare(&fetched, plan, err);

    for (uint32_t i = 0; r == 0 && i < plan->config->n_sources; i++) {
        const struct es_before *before = &plan->previous->sources[i];

        fetched.states[i] = ES_SOURCE_ABSENT;
        if (!before->kept)
            continue;
        fetched.states[i] = before->kept->stale ? ES_SOURCE_STALE : ES_SOURCE_GIVEN;
        fetched.fetched_ms[i] = before->fetched_ms;
        r = es_collect_before(&c, i, before, err);
    }
    if (r < 0)
        return r;
    *ret = fetched;
    fetched = (struct es_fetched){0};
    return 0;
}

void es_fetched_done(struct es_fetched *fetched)
{
    for (size_t i = 0; i < fetched->n; i++)
        es_record_done(&fetched->records[i]);
    for (size_t i = 0; fetched->sources && i < fetched->n_sources; i++)
        es_kept_source_done(&fetched->sources[i]);
    es_mirror_done(&fetched->mirror);
    free(fetched->records);
    free(fetched->states);
    free(fetched->sources);
    free(fetched->fetched_ms);
    *fetched = (struct es_fetched){0};
}
