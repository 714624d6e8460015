/* Fills the templates of `keys` from cloud-init's instance data, which root opened: the sensitive
 * file where it was handed over, since it is complete, else the redacted one. What the data is
 * trusted for is said in data.c. Every key becomes one record, all from that one file. */
#include "cloud-init.h"
#include "envsync/key.h"
#include "facts.h"

#include <errno.h>
#include <string.h>

static const struct es_file *find_file(const struct es_fetch *fetch, const char *role)
{
    for (size_t i = 0; i < fetch->n_files; i++)
        if (strcmp(fetch->files[i].role, role) == 0)
            return &fetch->files[i];
    return NULL;
}

static int put_pair(const struct es_fetch *fetch, const struct es_facts *facts,
                    const struct es_pair *pair, struct es_record *record, struct es_err *err)
{
    ES_CLEANUP(es_template_done) struct es_template template = {0};
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    int r = es_key_parse(pair->key, &record->key, err);

    if (r == 0)
        r = es_template_parse(pair->value, &template, err);
    if (r == 0)
        r = es_facts_expand(facts, &template, &value.text, err);
    if (r < 0) {
        if (err->class != ES_INTERNAL)
            es_context(err, "%s", pair->key);
        return r;
    }
    es_value_move(&record->value, &value);
    return es_sink_put(fetch->sink, record, err);
}

int es_fetch_cloud_init(struct es_fetch *fetch, struct es_err *err)
{
    const struct es_cloud_init_options *options = fetch->state;
    ES_CLEANUP(es_facts_freep) struct es_facts *facts = NULL;
    ES_CLEANUP(es_record_done) struct es_record record = {.verbatim = true};
    const struct es_file *file = find_file(fetch, "sensitive");
    int r;

    if (!file)
        file = find_file(fetch, "data");
    if (!file)
        return es_fail(err, ES_ABSENT, ENOENT, "%s is not there", options->path);
    if (es_buf_puts(&record.object, file->path) < 0 ||
        es_buf_puts(&record.version, es_file_version(file->fd).text) < 0)
        return es_nomem(err);
    r = es_facts_read(file->fd, file->path, &facts, err);
    for (size_t i = 0; r == 0 && i < options->keys.n; i++)
        r = put_pair(fetch, facts, &options->keys.items[i], &record, err);
    return r;
}
