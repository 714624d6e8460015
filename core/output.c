/* Compiles [[output]] tables (see config.h) and checks that no two of them are in each other's way.
 */
#include "commit/temp.h"
#include "compile.h"
#include "walk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define OPT(field) offsetof(struct es_output, field)

#define CASTS "string|integer|float|boolean|list|json"

const struct es_option es_output_options[] = {
    {"path", ES_OPT_PATH, ES_OPT_REQUIRED, NULL, NULL, OPT(path), "the file to write"},
    {"format", ES_OPT_ENUM, ES_OPT_REQUIRED, NULL, "env|toml|json|ssm-json|shell|dotenv|value",
     OPT(format_name), "how it is written"},
    {"from", ES_OPT_STRINGS, 0, NULL, NULL, OPT(from), "names of sources (default: all)"},
    {"include", ES_OPT_STRINGS, 0, NULL, NULL, OPT(include),
     "globs of keys to take (default: all)"},
    {"exclude", ES_OPT_STRINGS, 0, NULL, NULL, OPT(exclude), "globs of keys to leave out"},
    {"require", ES_OPT_STRINGS, 0, NULL, NULL, OPT(require),
     "names that must be in the output, and not be empty"},
    {"types", ES_OPT_MAP, 0, NULL, NULL, OPT(types),
     "'key' = \"string\", integer, float, boolean, list or json"},
    {"case", ES_OPT_ENUM, 0, "upper", "upper|keep", OPT(naming),
     "case of the variables that keys of several segments become"},
    {"allow", ES_OPT_STRINGS, 0, NULL, NULL, OPT(allow),
     "refused names that this output may carry after all"},
    {"key", ES_OPT_STRING, 0, NULL, NULL, OPT(key_text), "the one key of a `value` output"},
    {"owner", ES_OPT_STRING, 0, NULL, NULL, OPT(owner), "owner of the file (default: root)"},
    {"group", ES_OPT_STRING, 0, NULL, NULL, OPT(group), "group of the file (default: as above)"},
    {"mode", ES_OPT_MODE, 0, "0640", NULL, OPT(mode), "mode of the file"},
    {0},
};

static const struct es_pos *pos_of(const struct es_value *table, const char *key)
{
    const struct es_value *value = es_table_get(table, key);

    return value ? &value->pos : &table->pos;
}

static int source_by_name(const struct es_config *config, const char *name,
                          const struct es_pos *pos, size_t *ret, struct es_err *err)
{
    const char *names[257], *near;
    size_t n = 0;

    for (; n < config->n_sources; n++) {
        if (strcmp(config->sources[n].name, name) == 0) {
            *ret = n;
            return 0;
        }
        names[n] = config->sources[n].name;
    }
    names[n] = NULL;
    near = es_suggest(name, names);
    return es_config_fail(config, pos, err, "from: there is no source \"%.60s\"%s%s%s", name,
                          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int compile_from(const struct es_config *config, struct es_output *output,
                        struct es_err *err)
{
    output->sources = calloc(config->n_sources + 1, sizeof *output->sources);
    if (!output->sources)
        return es_nomem(err);
    for (size_t i = 0; output->from.n == 0 && i < config->n_sources; i++)
        output->sources[i] = true;
    for (size_t i = 0; i < output->from.n; i++) {
        size_t number = 0;
        int r = source_by_name(config, output->from.items[i], &output->from.pos[i], &number, err);

        if (r != 0)
            return r;
        output->sources[number] = true;
    }
    return 0;
}

static bool read_cast(const char *word, enum es_cast *ret)
{
    static const char *const words[] = {
        [ES_CAST_STRING] = "string",   [ES_CAST_INTEGER] = "integer", [ES_CAST_FLOAT] = "float",
        [ES_CAST_BOOLEAN] = "boolean", [ES_CAST_LIST] = "list",       [ES_CAST_JSON] = "json",
    };

    for (size_t i = ES_CAST_STRING; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], word) == 0) {
            *ret = (enum es_cast)i;
            return true;
        }
    return false;
}

static int compile_casts(const struct es_config *config, struct es_output *output,
                         struct es_err *err)
{
    output->casts = calloc(output->types.n + 1, sizeof *output->casts);
    if (!output->casts)
        return es_nomem(err);
    for (size_t i = 0; i < output->types.n; i++) {
        const struct es_pair *pair = &output->types.items[i];
        int r = es_config_place(config, &pair->pos,
                                es_key_parse(pair->key, &output->casts[i].key, err), err);

        if (r < 0)
            return r;
        if (!read_cast(pair->value, &output->casts[i].cast))
            return es_config_fail(config, &pair->pos, err,
                                  "types: \"%.60s\" is no type; take string, integer, float, "
                                  "boolean, list or json",
                                  pair->value);
    }
    return 0;
}

static int compile_owner(const struct es_config *config, const struct es_value *table,
                         struct es_output *output, struct es_err *err)
{
    int r = 0;

    output->uid = 0;
    output->gid = config->gid;
    if (output->owner)
        r = es_config_user(config, output->owner, pos_of(table, "owner"), &output->uid, err);
    if (r == 0 && output->group)
        r = es_config_group(config, output->group, pos_of(table, "group"), &output->gid, err);
    return r;
}

/* What only makes sense with some formats. */
static int check_shape(const struct es_config *config, const struct es_value *table,
                       struct es_output *output, struct es_err *err)
{
    bool flat = output->format->shape == ES_SHAPE_FLAT;
    bool single = output->format->shape == ES_SHAPE_SINGLE;

    if (single && !output->key_text)
        return es_config_fail(config, &table->pos, err, "a value output needs key = \"...\"");
    if (!single && output->key_text)
        return es_config_fail(config, pos_of(table, "key"), err,
                              "key is for value outputs; include = [...] selects keys");
    if (single && (output->include.n || output->exclude.n || output->require.n))
        return es_config_fail(config, &table->pos, err,
                              "include, exclude and require have no meaning in a value output: "
                              "it holds its key, or the run fails");
    if (!flat && output->allow.n)
        return es_config_fail(config, pos_of(table, "allow"), err,
                              "allow is for env, shell and dotenv outputs");
    if (!flat && es_table_get(table, "case"))
        return es_config_fail(config, pos_of(table, "case"), err,
                              "case is for env, shell and dotenv outputs");
    for (size_t i = 0; output->format->shape == ES_SHAPE_NAMED && i < config->n_sources; i++)
        if (output->sources[i] && !config->sources[i].provider->named)
            return es_config_fail(config, pos_of(table, "from"), err,
                                  "ssm-json holds SSM parameters only, and source \"%s\" is of "
                                  "type %s; list the ssm sources in from",
                                  config->sources[i].name, config->sources[i].type);
    return 0;
}

int es_output_compile(struct es_config *config, struct es_value *table,
                      const struct es_variables *variables, struct es_output *output,
                      struct es_err *err)
{
    static const struct es_option *const sets[] = {es_output_options};
    const struct es_value *path;
    int r = es_options_unknown(sets, 1, NULL, table, config->file, err);

    output->pos = table->pos;
    if (r == 0)
        r = es_expand_table(variables, es_output_options, table, config->file, err);
    if (r == 0)
        r = es_options_parse(es_output_options, table, config->file, output, err);
    if (r < 0)
        return r;
    path = es_table_get(table, "path");
    if (path && path->text.len > 1 && path->text.data[path->text.len - 1] == '/')
        return es_config_fail(config, &output->pos, err, "%s: an output needs a file name",
                              es_buf_str(&path->text));
    output->format = es_format_by_name(output->format_name);
    output->keep_case = strcmp(output->naming, "keep") == 0;
    r = compile_from(config, output, err);
    if (r == 0)
        r = es_globs_compile(config, &output->include, &output->includes, err);
    if (r == 0)
        r = es_globs_compile(config, &output->exclude, &output->excludes, err);
    if (r == 0)
        r = compile_casts(config, output, err);
    if (r == 0 && output->key_text)
        r = es_config_place(config, pos_of(table, "key"),
                            es_key_parse(output->key_text, &output->key, err), err);
    if (r == 0)
        r = compile_owner(config, table, output, err);
    return r == 0 ? check_shape(config, table, output, err) : r;
}

/* Compares paths by components, so that doubled slashes do not hide that two are one. Returns 0
 * where they are the same, 1 where `b` lies below `a`, else -1. */
static int relate(const char *a, const char *b)
{
    for (;;) {
        size_t la, lb;

        a += strspn(a, "/");
        b += strspn(b, "/");
        la = strcspn(a, "/");
        lb = strcspn(b, "/");
        if (la == 0)
            return lb == 0 ? 0 : 1;
        if (la != lb || memcmp(a, b, la) != 0)
            return -1;
        a += la;
        b += lb;
    }
}

int es_config_check_own(const struct es_config *config, const struct es_pos *pos, const char *path,
                        struct es_err *err)
{
    static const char *const own[] = {"/run/envsync", "/var/run/envsync", "/var/lib/envsync"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (relate(own[i], path) >= 0)
            return es_config_fail(config, pos, err,
                                  "%s: %s is where envsync keeps its own state; write elsewhere",
                                  path, own[i]);
    return 0;
}

const char *es_config_taken(const struct es_config *config, const char *path)
{
    if (relate(config->file, path) == 0)
        return "the configuration";
    /* Its variables would be what the last run wrote. */
    if (config->bootstrap && relate(config->bootstrap, path) == 0)
        return "the bootstrap file";
    return NULL;
}

bool es_config_is_output(const struct es_config *config, const char *path)
{
    for (size_t i = 0; i < config->n_outputs; i++)
        if (relate(config->outputs[i].path, path) == 0)
            return true;
    return false;
}

const char *es_config_output_at(const struct es_config *config, const char *path)
{
    for (size_t i = 0; i < config->n_outputs; i++)
        if (relate(config->outputs[i].path, path) >= 0 || relate(path, config->outputs[i].path) > 0)
            return config->outputs[i].path;
    return NULL;
}

static int check_place(const struct es_config *config, const struct es_output *output,
                       struct es_err *err)
{
    const char *base = strrchr(output->path, '/') + 1;
    const char *taken = es_config_taken(config, output->path);
    int r = es_config_check_own(config, &output->pos, output->path, err);

    if (r < 0)
        return r;
    if (strlen(output->path) >= PATH_MAX)
        return es_config_fail(config, &output->pos, err,
                              "the path of an output has more than %d bytes", PATH_MAX - 1);
    if (*base == '\0' || strlen(base) > NAME_MAX - 24)
        return es_config_fail(config, &output->pos, err,
                              "%s: an output needs a file name of at most %d bytes", output->path,
                              NAME_MAX - 24);
    if (es_temp_name(base) || es_walk_is_new(base))
        return es_config_fail(config, &output->pos, err,
                              "%s: has the name of a temporary file of envsync, which it removes",
                              output->path);
    return taken ? es_config_fail(config, &output->pos, err,
                                  "%s: an output would lie in the place of %s", output->path, taken)
                 : 0;
}

int es_outputs_check(const struct es_config *config, struct es_err *err)
{
    for (size_t i = 0; i < config->n_outputs; i++) {
        const struct es_output *output = &config->outputs[i];
        int r = check_place(config, output, err);

        if (r < 0)
            return r;
        for (size_t j = 0; j < config->n_outputs; j++) {
            int relation = relate(config->outputs[j].path, output->path);

            if (j < i && relation == 0)
                return es_config_fail(config, &output->pos, err, "two outputs are in one place: %s",
                                      output->path);
            if (j != i && relation == 1)
                return es_config_fail(config, &output->pos, err,
                                      "%s would lie below %s, which is a file", output->path,
                                      config->outputs[j].path);
        }
    }
    return 0;
}

void es_output_done(struct es_output *output)
{
    for (size_t i = 0; output->casts && i < output->types.n; i++)
        es_buf_done(&output->casts[i].key);
    free(output->casts);
    free(output->sources);
    es_buf_done(&output->key);
    es_globs_done(&output->includes);
    es_globs_done(&output->excludes);
    es_options_clear(es_output_options, output);
    *output = (struct es_output){0};
}
