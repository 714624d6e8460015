/* See rest.h. */
#include "rest.h"

#include "commit/store.h"
#include "compile.h"
#include "creds.h"

#include <errno.h>
#include <string.h>

/* From the strictest on, as the option table has them. */
static const char *const degrees[] = {"no", "encrypted", "plain"};

static size_t degree_of(const char *at_rest)
{
    size_t i = 0;

    while (i < 2 && strcmp(at_rest, degrees[i]) != 0)
        i++;
    return i;
}

/* A secret never outlives its target's medium: what feeds a target below /run stays in /run,
 * unless the configuration allows it to rest on disk. */
bool es_source_rests(const struct es_config *config, size_t source)
{
    bool feeds_disk =
        config->sources[source].mirrors && !es_path_is_volatile(config->sources[source].mirror.dir);

    if (strcmp(config->last_good.at_rest, "plain") == 0)
        return true;
    for (size_t i = 0; i < config->n_outputs; i++) {
        if (!config->outputs[i].sources[source])
            continue;
        if (es_path_is_volatile(config->outputs[i].path))
            return false;
        feeds_disk = true;
    }
    return feeds_disk;
}

bool es_output_rests(const struct es_config *config, const struct es_output *output)
{
    return strcmp(config->last_good.at_rest, "plain") == 0 || !es_path_is_volatile(output->path);
}

bool es_config_seals(const struct es_config *config)
{
    return strcmp(config->last_good.at_rest, "encrypted") == 0;
}

static const struct es_value *at_rest_of(const struct es_value *root)
{
    const struct es_value *table = es_table_get(root, "last_good");

    return table && table->type == ES_TABLE ? es_table_get(table, "at_rest") : NULL;
}

int es_config_is_stricter(const struct es_config *config, const struct es_buf *configured,
                          struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    struct es_cursor in = {.p = es_buf_str(configured), .left = configured->len};
    const struct es_value *before;
    int r = es_get_value(&in, &root);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r < 0 || root.type != ES_TABLE)
        return 1;
    before = at_rest_of(&root);
    return before && before->type == ES_STRING &&
           degree_of(config->last_good.at_rest) < degree_of(es_buf_str(&before->text));
}

int es_config_check_rest(const struct es_config *config, struct es_err *err)
{
    const struct es_value *at_rest = at_rest_of(&config->root);
    struct es_err why;

    if (!es_config_seals(config) || es_creds_find(&why))
        return 0;
    if (why.class != ES_CONFIG || !at_rest) {
        *err = why;
        return -EPERM;
    }
    return es_config_fail(config, &at_rest->pos, err,
                          "at_rest = \"encrypted\" needs systemd-creds: %s, or set another at_rest",
                          why.msg);
}

bool es_config_has_disk(const struct es_config *config)
{
    if (es_config_seals(config))
        return true;
    for (size_t i = 0; i < config->n_outputs; i++)
        if (es_output_rests(config, &config->outputs[i]))
            return true;
    for (size_t i = 0; i < config->n_sources; i++)
        if (es_source_rests(config, i))
            return true;
    return false;
}
