/* See memory.h. */
#include "memory.h"

#include "commit/sealed.h"

#include <errno.h>
#include <string.h>

int es_memory_look(const struct es_config *config, const char *root, int64_t deadline,
                   struct es_memory *ret, struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_memory_done) struct es_memory memory = ES_MEMORY_INIT;
    int r = es_store_open(config, root, false, false, &memory.store, report, err);

    /* Somebody else's state is a mistake of the configuration, also for who only looks. */
    if (r == -ENOMEM || (r < 0 && err->class == ES_CONFIG))
        return r;
    memory.unreadable = r < 0;
    r = es_sealed_open(&memory.store, config, memory.store.current, deadline, report, err);
    if (r < 0)
        return r;
    r = es_previous_load(config, root, &memory.store, &memory.previous, report, err);
    if (r < 0)
        return r;
    *ret = memory;
    memory = (struct es_memory)ES_MEMORY_INIT;
    return 0;
}

void es_memory_done(struct es_memory *memory)
{
    es_previous_done(&memory->previous);
    es_store_done(&memory->store);
}

static const struct es_output *env_output_at(const struct es_config *config,
                                             const struct es_buf *path)
{
    for (size_t i = 0; i < config->n_outputs; i++)
        if (config->outputs[i].format == &es_format_env && es_buf_is(path, config->outputs[i].path))
            return &config->outputs[i];
    return NULL;
}

static int add_names(const struct es_buf *text, struct es_value *names)
{
    ES_CLEANUP(es_value_done) struct es_value document = {0};
    struct es_err ignored;
    int r = es_format_env.read(es_buf_str(text), text->len, &document, &ignored);

    for (size_t i = 0; r == 0 && i < document.table.n; i++) {
        const struct es_buf *name = &document.table.entries[i].key;
        struct es_entry *entry;

        r = es_table_add(names, name->data, name->len, &entry);
        if (r == -EEXIST)
            r = 0;
    }
    return r == -ENOMEM ? r : 0;
}

/* What one generation wrote. What is not there, or damaged, has no names; what cannot be read in
 * this moment may have. */
static int names_of(const struct es_config *config, const struct es_store *store, const char *id,
                    const struct es_manifest *set, struct es_value *names, struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n_outputs; i++) {
        const struct es_kept_output *kept = &set->outputs[i];
        ES_CLEANUP(es_buf_done) struct es_buf text = {0};

        if (!env_output_at(config, &kept->path))
            continue;
        r = es_store_read(store, id, es_half_of(kept->on_disk), es_output_file(i).text, &text, NULL,
                          err);
        if (r == 0 && add_names(&text, names) < 0)
            return es_nomem(err);
        if (r == -ENOENT || r == -EBADMSG)
            r = 0;
    }
    return r;
}

/* A unit may have read the file of the set before: a run that was killed between its commit and its
 * publishing left that one in place. */
int es_memory_names(const struct es_config *config, const struct es_store *store,
                    struct es_value *ret, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest before = {0};
    int r;

    es_value_set_table(ret);
    r = names_of(config, store, store->current, &store->set, ret, err);
    if (r < 0 || store->previous[0] == '\0')
        return r;
    r = es_store_manifest(store, store->previous, &before, err);
    if (r == 0)
        return names_of(config, store, store->previous, &before, ret, err);
    return r == -ENOENT ? 0 : r;
}
