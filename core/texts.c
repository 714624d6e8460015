/* See texts.h. The texts are not looked at here; what the worker makes of them is decoded with
 * every length checked, like its records, for it may have been taken over by one of them. */
#include "texts.h"

#include "clock.h"
#include "collect.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_MS = 10000 /* for a parser; the run's deadline is for the sources */ };

/* The record whose text becomes JSON in an output, or NULL. */
static const struct es_record *wanted(const struct es_tree *tree, const struct es_output *output,
                                      const struct es_typed *typed)
{
    const struct es_leaf *leaf =
        typed->cast == ES_CAST_JSON ? es_tree_find(tree, &typed->key) : NULL;
    const struct es_record *record = leaf ? es_leaf_winner(leaf, output->sources) : NULL;

    return record && (record->value.type == ES_STRING || record->value.type == ES_DATETIME) ? record
                                                                                            : NULL;
}

static int compare_texts(const void *a, const void *b)
{
    const struct es_record *x = ((const struct es_text *)a)->record;
    const struct es_record *y = ((const struct es_text *)b)->record;

    return (x > y) - (x < y);
}

int es_texts_gather(struct es_tree *tree, struct es_err *err)
{
    const struct es_config *config = tree->config;
    size_t most = 0, n = 0, kept = 0;

    for (size_t i = 0; i < config->n_outputs; i++)
        most += config->outputs[i].types.n;
    tree->texts = calloc(most + 1, sizeof *tree->texts);
    if (!tree->texts)
        return es_nomem(err);
    for (size_t i = 0; i < config->n_outputs; i++)
        for (size_t j = 0; j < config->outputs[i].types.n; j++) {
            const struct es_record *record =
                wanted(tree, &config->outputs[i], &config->outputs[i].casts[j]);

            if (record)
                tree->texts[n++].record = record;
        }
    if (n > 1)
        qsort(tree->texts, n, sizeof *tree->texts, compare_texts);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || tree->texts[kept - 1].record != tree->texts[i].record)
            tree->texts[kept++].record = tree->texts[i].record;
    tree->n_texts = kept;
    return 0;
}

const struct es_text *es_texts_find(const struct es_tree *tree, const struct es_record *record)
{
    const struct es_text text = {.record = record};

    return tree->n_texts ? bsearch(&text, tree->texts, tree->n_texts, sizeof text, compare_texts)
                         : NULL;
}

static int bad_frame(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, EBADMSG, "the worker sent what is no value");
}

static int take_text(struct es_tree *tree, struct es_cursor *in, struct es_err *err)
{
    struct es_text *text;
    uint32_t number;
    uint8_t refused;
    int r;

    if (es_get_u32(in, &number) < 0 || es_get_u8(in, &refused) < 0 || number >= tree->n_texts ||
        refused > 1 || tree->texts[number].state != ES_TEXT_UNREAD)
        return bad_frame(err);
    text = &tree->texts[number];
    r = refused ? 0 : es_get_value(in, &text->value);
    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0 || in->left > 0)
        return bad_frame(err);
    text->state = refused ? ES_TEXT_REFUSED : ES_TEXT_READ;
    return 0;
}

int es_texts_take(struct es_tree *tree, enum es_frame type, struct es_cursor *in,
                  struct es_err *err)
{
    if (type == ES_FRAME_TEXT)
        return take_text(tree, in, err);
    if (type != ES_FRAME_END)
        return bad_frame(err);
    for (size_t i = 0; i < tree->n_texts; i++)
        if (tree->texts[i].state == ES_TEXT_UNREAD)
            return bad_frame(err);
    return 1;
}

static int make_job(const struct es_tree *tree, struct es_value *job)
{
    struct es_entry *entry;
    int r;

    es_value_set_table(job);
    r = es_table_add(job, "texts", 5, &entry);
    if (r < 0)
        return r;
    es_value_set_list(&entry->value);
    for (size_t i = 0; r == 0 && i < tree->n_texts; i++) {
        const struct es_buf *text = &tree->texts[i].record->value.text;
        struct es_value *item;

        r = es_list_add(&entry->value, &item);
        if (r == 0)
            r = es_value_set_string(item, es_buf_str(text), text->len);
    }
    return r;
}

static int listen_to(struct es_worker *worker, struct es_tree *tree, int64_t deadline,
                     struct es_err *err)
{
    for (;;) {
        struct es_cursor in;
        enum es_frame type;
        int r = es_worker_next(worker, deadline, &type, &in, err);

        if (r == -EPIPE && es_worker_finish(worker, err) == 0)
            return es_fail(err, ES_INTERNAL, EPIPE, "the worker ended too early");
        if (r == 0 && type == ES_FRAME_FATAL)
            return es_collect_fatal(&in, err);
        if (r == 0)
            r = es_texts_take(tree, type, &in, err);
        if (r == 1)
            return es_worker_finish(worker, err);
        if (r < 0)
            return r;
    }
}

int es_texts_read(struct es_tree *tree, struct es_err *err)
{
    ES_CLEANUP(es_worker_done) struct es_worker worker = ES_WORKER_INIT;
    ES_CLEANUP(es_value_done) struct es_value job = {0};
    const struct es_files none = {0};
    int64_t deadline = es_clock_ms() + TIME_MS;
    int r = es_texts_gather(tree, err);

    if (r < 0 || tree->n_texts == 0)
        return r;
    if (make_job(tree, &job) < 0)
        return es_nomem(err);
    r = es_worker_start(&worker, err);
    if (r == 0)
        r = es_worker_post(&worker, &job, &none, deadline, err);
    if (r == 0)
        r = listen_to(&worker, tree, deadline, err);
    if (r == -ETIMEDOUT)
        return es_fail(err, ES_INTERNAL, ETIMEDOUT, "the worker does not parse in time");
    return r;
}
