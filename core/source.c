/* Compiles [[source]] tables (see config.h): what every source takes is read here, the rest by the
 * provider's own table. */
#include "compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT(field) offsetof(struct es_source, field)

const struct es_option es_source_options[] = {
    {"type", ES_OPT_STRING, ES_OPT_REQUIRED, NULL, NULL, OPT(type), "the provider"},
    {"name", ES_OPT_STRING, 0, NULL, NULL, OPT(name),
     "name for `from` and messages (default: type)"},
    {"optional", ES_OPT_BOOL, 0, "false", NULL, OPT(optional),
     "absent is fine (denied or unreadable is not)"},
    {"on_unavailable", ES_OPT_ENUM, 0, "fail", "fail|last-good|skip", OPT(on_unavailable),
     "what to do where the source cannot be reached until the deadline"},
    {"include", ES_OPT_STRINGS, 0, NULL, NULL, OPT(include),
     "globs of keys to take (default: all)"},
    {"exclude", ES_OPT_STRINGS, 0, NULL, NULL, OPT(exclude), "globs of keys to leave out"},
    {"rename", ES_OPT_MAP, 0, NULL, NULL, OPT(rename),
     "\"old.key\" = \"new.key\"; of a table, moves what lies below it"},
    {"prefix_key", ES_OPT_STRING, 0, NULL, NULL, OPT(prefix_key), "puts the keys below this one"},
    {0},
};

int es_config_place(const struct es_config *config, const struct es_pos *pos, int r,
                    struct es_err *err)
{
    if (r < 0 && r != -ENOMEM) {
        char what[ES_ERR_MAX];

        memcpy(what, err->msg, sizeof what);
        es_config_fail(config, pos, err, "%s", what);
    }
    return r;
}

int es_globs_compile(const struct es_config *config, const struct es_strings *texts,
                     struct es_globs *ret, struct es_err *err)
{
    ret->items = calloc(texts->n + 1, sizeof *ret->items);
    if (!ret->items)
        return es_nomem(err);
    for (size_t i = 0; i < texts->n; i++) {
        int r = es_glob_parse(texts->items[i], &ret->items[i], err);

        if (r < 0)
            return es_config_place(config, &texts->pos[i], r, err);
        ret->n++;
    }
    return 0;
}

void es_globs_done(struct es_globs *globs)
{
    for (size_t i = 0; i < globs->n; i++)
        es_glob_free(globs->items[i]);
    free(globs->items);
    *globs = (struct es_globs){0};
}

static int find_provider(const struct es_config *config, struct es_source *source,
                         const struct es_value *table, struct es_err *err)
{
    const char *types[64];
    const char *near;
    size_t n = 0;

    source->provider = es_provider_by_type(source->type);
    if (source->provider)
        return 0;
    for (; n < 63 && es_providers[n]; n++)
        types[n] = es_providers[n]->type;
    types[n] = NULL;
    near = es_suggest(source->type, types);
    return es_config_fail(config, &es_table_get(table, "type")->pos, err,
                          "there is no provider \"%.60s\"%s%s%s; `envsync providers` lists them",
                          source->type, near ? "; did you mean \"" : "", near ? near : "",
                          near ? "\"?" : "");
}

static int compile_renames(const struct es_config *config, struct es_source *source,
                           struct es_err *err)
{
    const struct es_map *map = &source->rename;

    source->renames = calloc(map->n + 1, sizeof *source->renames);
    if (!source->renames)
        return es_nomem(err);
    for (size_t i = 0; i < map->n; i++) {
        int r = es_key_parse(map->items[i].key, &source->renames[i].from, err);

        if (r == 0)
            r = es_key_parse(map->items[i].value, &source->renames[i].to, err);
        if (r < 0)
            return es_config_place(config, &map->items[i].pos, r, err);
    }
    return 0;
}

/* It stands in messages and in `from`. */
static int check_name(const struct es_config *config, const struct es_source *source,
                      const struct es_value *table, struct es_err *err)
{
    const char *wrong = NULL;

    if (source->name && source->name[0] == '\0')
        wrong = "name is empty";
    for (const char *p = source->name; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            wrong = "name has a control character in it";
    return wrong ? es_config_fail(config, &es_table_get(table, "name")->pos, err, "%s", wrong) : 0;
}

static int compile_common(const struct es_config *config, struct es_source *source,
                          const struct es_value *table, struct es_err *err)
{
    int r = es_globs_compile(config, &source->include, &source->includes, err);

    if (r == 0)
        r = es_globs_compile(config, &source->exclude, &source->excludes, err);
    if (r == 0)
        r = compile_renames(config, source, err);
    if (r == 0 && source->prefix_key)
        r = es_config_place(config, &es_table_get(table, "prefix_key")->pos,
                            es_key_parse(source->prefix_key, &source->prefix, err), err);
    return r < 0 ? r : check_name(config, source, table, err);
}

/* A table such as [aws] gives defaults for the sources of a kind: what a source does not say itself
 * is taken from there. */
static int take_defaults(const struct es_config *config, const struct es_provider *provider,
                         struct es_value *table, struct es_err *err)
{
    const struct es_value *defaults =
        provider->defaults ? es_table_get(&config->root, provider->defaults) : NULL;

    for (size_t i = 0; defaults && i < defaults->table.n; i++) {
        const struct es_entry *entry = &defaults->table.entries[i];
        struct es_entry *added;
        int r = es_table_add(table, entry->key.data, entry->key.len, &added);

        if (r == -EEXIST)
            continue;
        if (r == 0)
            r = es_value_copy(&added->value, &entry->value);
        if (r < 0)
            return es_nomem(err);
        added->pos = entry->pos;
    }
    return 0;
}

static int compile_mirror(const struct es_config *config, struct es_source *source,
                          const struct es_value *table, struct es_err *err)
{
    const struct es_mirror_want *want = &source->mirror;
    const struct es_value *owner = es_table_get(table, "owner");
    const struct es_value *group = es_table_get(table, "group");
    int r = 0;

    if (source->provider->mirror && source->provider->mirror(source->state)) {
        source->mirror = *source->provider->mirror(source->state);
        source->mirrors = true;
    }
    source->mirror_gid = config->gid;
    if (!source->mirrors)
        return 0;
    r = es_config_check_own(
        config, es_table_get(table, "dir") ? &es_table_get(table, "dir")->pos : &table->pos,
        want->dir, err);
    if (r == 0 && want->owner)
        r = es_config_user(config, want->owner, owner ? &owner->pos : &table->pos,
                           &source->mirror_uid, err);
    if (r == 0 && want->group)
        r = es_config_group(config, want->group, group ? &group->pos : &table->pos,
                            &source->mirror_gid, err);
    return r;
}

/* Without its type no other key can be judged, so a misspelt `type` is looked for first. */
static int misspelt_type(const struct es_config *config, const struct es_value *table,
                         struct es_err *err)
{
    static const char *const type[] = {"type", NULL};

    for (size_t i = 0; !es_table_get(table, "type") && i < table->table.n; i++) {
        const struct es_entry *entry = &table->table.entries[i];

        if (es_suggest(es_buf_str(&entry->key), type))
            return es_config_fail(config, &entry->pos, err,
                                  "unknown key \"%.60s\"; did you mean \"type\"?",
                                  es_buf_str(&entry->key));
    }
    return 0;
}

/* A provider that complains of one option begins with its name; the place is then that option's,
 * else the source's. */
static int place_validation(const struct es_config *config, const struct es_value *table, int r,
                            struct es_err *err)
{
    const struct es_pos *pos = &table->pos;
    size_t len = r < 0 ? strcspn(err->msg, ": ") : 0;

    for (size_t i = 0; i < table->table.n && len > 0; i++)
        if (table->table.entries[i].key.len == len &&
            memcmp(table->table.entries[i].key.data, err->msg, len) == 0)
            pos = &table->table.entries[i].value.pos;
    return es_config_place(config, pos, r, err);
}

/* What is done with the data once it is there, or where it is not, says nothing of where it is. */
static int find_where(struct es_source *source, struct es_err *err)
{
    static const char *const later[] = {"name",   "on_unavailable", "include", "exclude",
                                        "rename", "prefix_key",     NULL};

    es_value_set_table(&source->where);
    for (size_t i = 0; i < source->table->table.n; i++) {
        const struct es_entry *from = &source->table->table.entries[i];
        struct es_entry *to;
        size_t j = 0;

        while (later[j] && !es_buf_is(&from->key, later[j]))
            j++;
        if (!later[j] && (es_table_add(&source->where, from->key.data, from->key.len, &to) < 0 ||
                          es_value_copy(&to->value, &from->value) < 0))
            return es_nomem(err);
    }
    return 0;
}

int es_source_compile(struct es_config *config, struct es_value *table,
                      const struct es_variables *variables, struct es_source *source,
                      struct es_err *err)
{
    const struct es_option *sets[2] = {es_source_options};
    int r = es_expand_table(variables, es_source_options, table, config->file, err);

    source->pos = table->pos;
    source->table = table;
    if (r == 0)
        r = misspelt_type(config, table, err);
    if (r == 0)
        r = es_options_parse(es_source_options, table, config->file, source, err);
    if (r == 0)
        r = find_provider(config, source, table, err);
    if (r < 0)
        return r;
    sets[1] = source->provider->options;
    source->state = calloc(1, source->provider->size + 1);
    if (!source->state)
        return es_nomem(err);
    r = es_options_unknown(sets, 2, NULL, table, config->file, err);
    if (r == 0)
        r = take_defaults(config, source->provider, table, err);
    if (r == 0)
        r = es_expand_table(variables, source->provider->options, table, config->file, err);
    if (r == 0)
        r = es_options_parse(source->provider->options, table, config->file, source->state, err);
    if (r == 0 && source->provider->validate)
        r = place_validation(config, table, source->provider->validate(source->state, err), err);
    if (r == 0)
        r = compile_mirror(config, source, table, err);
    if (r == 0)
        r = compile_common(config, source, table, err);
    return r == 0 ? find_where(source, err) : r;
}

static bool name_taken(const struct es_config *config, const char *name, size_t before)
{
    for (size_t i = 0; i < before; i++)
        if (strcmp(config->sources[i].name, name) == 0)
            return true;
    return false;
}

/* Sources without a name are called by their type; the second one of a type TYPE-2, and so on. */
int es_sources_name(struct es_config *config, struct es_err *err)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        struct es_source *source = &config->sources[i];

        if (source->name && name_taken(config, source->name, i))
            return es_config_fail(config, &source->pos, err,
                                  "two sources are called \"%s\"; give one another name",
                                  source->name);
        if (!source->name) {
            source->name = strdup(source->type);
            for (unsigned n = 2; source->name && name_taken(config, source->name, i); n++) {
                free(source->name);
                if (asprintf(&source->name, "%s-%u", source->type, n) < 0)
                    source->name = NULL;
            }
        }
        if (!source->name)
            return es_nomem(err);
    }
    return 0;
}

void es_source_done(struct es_source *source)
{
    for (size_t i = 0; source->renames && i < source->rename.n; i++) {
        es_buf_done(&source->renames[i].from);
        es_buf_done(&source->renames[i].to);
    }
    free(source->renames);
    if (source->state)
        es_options_clear(source->provider->options, source->state);
    free(source->state);
    es_globs_done(&source->includes);
    es_globs_done(&source->excludes);
    es_buf_done(&source->prefix);
    es_value_done(&source->where);
    es_options_clear(es_source_options, source);
    *source = (struct es_source){0};
}
