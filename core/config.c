/* See config.h. This file reads the document and its top level; source.c and output.c compile the
 * two kinds of tables. Input is local and written by the administrator. */
#include "config.h"

#include "compile.h"
#include "drop.h"
#include "envsync/limits.h"
#include "expand.h"
#include "walk.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPT(field) offsetof(struct es_config, field)

const struct es_option es_config_options[] = {
    {"app", ES_OPT_STRING, ES_OPT_REQUIRED, NULL, NULL, OPT(app),
     "names /etc/APP, /run/APP, the group and the state"},
    {"user", ES_OPT_STRING, 0, NULL, NULL, OPT(user), "the app's user (default: app)"},
    {"group", ES_OPT_STRING, 0, NULL, NULL, OPT(group),
     "group that may read what is written (default: app)"},
    {"name", ES_OPT_STRING, 0, NULL, NULL, OPT(name),
     "names the state (default: app); two configurations of one app need two"},
    {"bootstrap", ES_OPT_PATH, ES_OPT_RAW, NULL, NULL, OPT(bootstrap),
     "env file whose variables ${NAME} may be used; may be absent"},
    {"env", ES_OPT_STRINGS, ES_OPT_RAW, NULL, NULL, OPT(env),
     "names that ${NAME} may take from the process environment"},
    {"deadline", ES_OPT_DURATION, 0, "60s", NULL, OPT(deadline), "bounds the whole run"},
    {"fresh_for", ES_OPT_DURATION, 0, "0s", NULL, OPT(fresh_for),
     "a complete set younger than this is published without fetching"},
    {0},
};

#define LAST_GOOD(field) offsetof(struct es_last_good, field)

const struct es_option es_last_good_options[] = {
    {"max_age", ES_OPT_DURATION, 0, "72h", NULL, LAST_GOOD(max_age),
     "how old the values of a source that cannot be reached may be"},
    {"at_rest", ES_OPT_ENUM, 0, "no", "no|encrypted|plain", LAST_GOOD(at_rest),
     "what targets below /run may leave on disk for the time after a reboot"},
    {0},
};

int es_config_fail(const struct es_config *config, const struct es_pos *pos, struct es_err *err,
                   const char *fmt, ...)
{
    char what[ES_ERR_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return es_fail(err, ES_CONFIG, EINVAL, "%s:%u:%u: %s", config->file, pos->line, pos->column,
                   what);
}

/* Whoever writes the configuration decides what root does. */
static int check_owner(int fd, const char *file, struct es_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return es_fail_errno(err, ES_DENIED, errno, "%s", file);
    if (geteuid() != 0)
        return 0;
    if (st.st_uid != 0)
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: belongs to uid %u, who would decide what root does; chown it to root",
                       file, (unsigned)st.st_uid);
    if (st.st_mode & S_IWOTH || (st.st_mode & S_IWGRP && st.st_gid != 0))
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: others than root may write it (mode %04o); chmod go-w it", file,
                       (unsigned)(st.st_mode & 07777));
    return 0;
}

static int read_document(struct es_config *config, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close) int fd = es_open_source(config->file, err);
    struct es_err why;
    int r;

    if (fd < 0) {
        if (err->class != ES_DENIED && err->class != ES_INTERNAL)
            err->class = ES_CONFIG;
        return fd;
    }
    r = check_owner(fd, config->file, err);
    if (r < 0)
        return r;
    r = es_buf_read_fd(&text, fd, ES_MAX_CONFIG);
    if (r == -EFBIG)
        return es_fail(err, ES_CONFIG, EFBIG, "%s: is larger than 1 MiB", config->file);
    if (r < 0)
        return es_fail_errno(err, r == -ENOMEM ? ES_INTERNAL : ES_CONFIG, -r, "%s", config->file);
    r = es_format_toml.read(es_buf_str(&text), text.len, &config->root, &why);
    if (r < 0)
        return es_fail(err, why.class == ES_INVALID ? ES_CONFIG : why.class, -r, "%s:%s",
                       config->file, why.msg);
    return 0;
}

static const struct es_pos *pos_of(const struct es_config *config, const char *key)
{
    const struct es_value *value = es_table_get(&config->root, key);

    return value ? &value->pos : &config->root.pos;
}

/* Names that become part of a path. */
static int check_name(const struct es_config *config, const char *key, const char *value,
                      struct es_err *err)
{
    if (value[0] != '\0' && value[0] != '.' && !strchr(value, '/') && strlen(value) <= 64)
        return 0;
    return es_config_fail(config, pos_of(config, key), err,
                          "%s is to be a plain name: 1 to 64 characters, no \"/\", no leading dot",
                          key);
}

static int default_to_app(struct es_config *config, char **field, struct es_err *err)
{
    if (*field)
        return 0;
    *field = strdup(config->app);
    return *field ? 0 : es_nomem(err);
}

int es_config_group(const struct es_config *config, const char *name, const struct es_pos *pos,
                    gid_t *ret, struct es_err *err)
{
    const struct group *group;

    errno = 0;
    group = getgrnam(name);
    if (!group && es_lookup_failed(errno))
        return es_fail_errno(err, ES_INTERNAL, errno, "group %s cannot be looked up", name);
    if (!group)
        return es_config_fail(config, pos, err, "there is no group \"%s\"; create it, or set group",
                              name);
    *ret = group->gr_gid;
    return 0;
}

int es_config_user(const struct es_config *config, const char *name, const struct es_pos *pos,
                   uid_t *ret, struct es_err *err)
{
    const struct passwd *user;

    errno = 0;
    user = getpwnam(name);
    if (!user && es_lookup_failed(errno))
        return es_fail_errno(err, ES_INTERNAL, errno, "user %s cannot be looked up", name);
    if (!user)
        return es_config_fail(config, pos, err, "there is no user \"%s\"; create it first", name);
    *ret = user->pw_uid;
    return 0;
}

/* A user that was not named need not exist: with DynamicUser= it does not yet. */
static int look_up_ids(struct es_config *config, bool user_named, struct es_err *err)
{
    bool group_named = es_table_get(&config->root, "group") != NULL;
    int r = es_config_group(config, config->group, pos_of(config, group_named ? "group" : "app"),
                            &config->gid, err);

    config->uid = (uid_t)-1;
    if (r < 0)
        return r;
    r = es_config_user(config, config->user, pos_of(config, user_named ? "user" : "app"),
                       &config->uid, err);
    return user_named || (r < 0 && err->class != ES_CONFIG) ? r : 0;
}

/* The top-level tables that give defaults to providers, each once. */
static size_t default_tables(const char **names, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; es_providers[i]; i++) {
        const char *name = es_providers[i]->defaults;
        bool known = !name;

        for (size_t j = 0; !known && j < n; j++)
            known = strcmp(names[j], name) == 0;
        if (!known && n < max)
            names[n++] = name;
    }
    return n;
}

static int table_of(const struct es_config *config, const char *key, struct es_value **ret,
                    struct es_err *err)
{
    *ret = es_table_get(&config->root, key);
    if (*ret && (*ret)->type != ES_TABLE)
        return es_config_fail(config, &(*ret)->pos, err, "%s must be a table: [%s]", key, key);
    return 0;
}

/* Every key of a table of defaults must be one that some provider takes defaults for. */
static int check_defaults(const struct es_config *config, const char *name, struct es_err *err)
{
    const struct es_option *sets[32];
    struct es_value *table;
    size_t n = 0;
    int r = table_of(config, name, &table, err);

    for (size_t i = 0; es_providers[i] && n < 32; i++)
        if (es_providers[i]->defaults && strcmp(es_providers[i]->defaults, name) == 0)
            sets[n++] = es_providers[i]->default_options;
    if (r < 0 || !table)
        return r;
    return es_options_unknown(sets, n, NULL, table, config->file, err);
}

/* A table of this kind at the top; without one, everything has its default. */
static int read_table(const struct es_config *config, const struct es_variables *variables,
                      const char *key, const struct es_option *options, void *out,
                      struct es_err *err)
{
    const struct es_option *const sets[] = {options};
    struct es_value empty = {.type = ES_TABLE}, *table;
    int r = table_of(config, key, &table, err);

    if (r == 0 && table)
        r = es_options_unknown(sets, 1, NULL, table, config->file, err);
    if (r == 0 && table)
        r = es_expand_table(variables, options, table, config->file, err);
    if (r == 0)
        r = es_options_parse(options, table ? table : &empty, config->file, out, err);
    return r;
}

/* What must be known before anything can be expanded. */
static int read_variables(struct es_config *config, const struct es_process *process,
                          struct es_variables *variables, struct es_err *err)
{
    static const struct es_option first[] = {
        {"bootstrap", ES_OPT_PATH, 0, NULL, NULL, OPT(bootstrap), ""},
        {"env", ES_OPT_STRINGS, 0, NULL, NULL, OPT(env), ""},
        {0},
    };
    int r = es_options_parse(first, &config->root, config->file, config, err);

    *variables = (struct es_variables){.process = process, .allowed = &config->env};
    if (r == 0)
        r = es_variables_load(variables, config->bootstrap, err);
    if (r == 0)
        r = es_expand_table(variables, es_config_options, &config->root, config->file, err);
    es_options_clear(first, config);
    return r;
}

static int read_top(struct es_config *config, const struct es_process *process,
                    struct es_variables *variables, struct es_err *err)
{
    const char *tables[16] = {"source", "output", "last_good", "on_change"};
    static const struct es_option *const sets[] = {es_config_options};
    struct es_value *root = &config->root;
    size_t n = default_tables(tables + 4, 11);
    int r;

    for (size_t i = 4; i < 4 + n; i++) {
        r = check_defaults(config, tables[i], err);
        if (r < 0)
            return r;
    }
    r = es_options_unknown(sets, 1, tables, root, config->file, err);

    root->pos = (struct es_pos){.line = 1, .column = 1};
    if (r == 0)
        r = read_variables(config, process, variables, err);
    if (r == 0)
        r = es_options_parse(es_config_options, root, config->file, config, err);
    variables->allowed = &config->env;
    if (r == 0)
        r = read_table(config, variables, "last_good", es_last_good_options, &config->last_good,
                       err);
    if (r == 0)
        r = read_table(config, variables, "on_change", es_on_change_options, &config->on_change,
                       err);
    return r == 0 ? es_on_change_compile(config, &config->on_change, err) : r;
}

static int finish_top(struct es_config *config, struct es_err *err)
{
    bool user_named = config->user != NULL;
    int r = default_to_app(config, &config->user, err);

    if (r == 0)
        r = default_to_app(config, &config->group, err);
    if (r == 0)
        r = default_to_app(config, &config->name, err);
    if (r == 0)
        r = check_name(config, "app", config->app, err);
    if (r == 0)
        r = check_name(config, "name", config->name, err);
    if (r < 0)
        return r;
    if (config->deadline <= 0)
        return es_config_fail(config, pos_of(config, "deadline"), err,
                              "deadline must be above zero");
    if (asprintf(&config->etc_dir, "/etc/%s", config->app) < 0)
        config->etc_dir = NULL;
    if (asprintf(&config->run_dir, "/run/%s", config->app) < 0)
        config->run_dir = NULL;
    if (!config->etc_dir || !config->run_dir)
        return es_nomem(err);
    return look_up_ids(config, user_named, err);
}

/* The tables of an array of tables, or none. */
static int tables_of(const struct es_config *config, const char *key, size_t max,
                     struct es_value **ret_items, size_t *ret_n, struct es_err *err)
{
    struct es_value *list = es_table_get(&config->root, key);

    *ret_items = NULL;
    *ret_n = 0;
    if (!list)
        return 0;
    for (size_t i = 0; list->type == ES_LIST && i < list->list.n; i++)
        if (list->list.items[i].type != ES_TABLE)
            return es_config_fail(config, &list->pos, err, "%s must be [[%s]] tables", key, key);
    if (list->type != ES_LIST)
        return es_config_fail(config, &list->pos, err, "write [[%s]], with two brackets", key);
    if (list->list.n > max)
        return es_config_fail(config, &list->pos, err, "more than %zu [[%s]] tables", max, key);
    *ret_items = list->list.items;
    *ret_n = list->list.n;
    return 0;
}

static int read_tables(struct es_config *config, const struct es_variables *variables,
                       struct es_err *err)
{
    struct es_value *items;
    size_t n;
    int r = tables_of(config, "source", ES_MAX_SOURCES, &items, &n, err);

    if (r < 0)
        return r;
    if (n == 0)
        return es_config_fail(config, &config->root.pos, err, "there is no [[source]]");
    config->sources = calloc(n, sizeof *config->sources);
    if (!config->sources)
        return es_nomem(err);
    for (; r == 0 && config->n_sources < n; config->n_sources++)
        r = es_source_compile(config, &items[config->n_sources], variables,
                              &config->sources[config->n_sources], err);
    if (r == 0)
        r = es_sources_name(config, err);
    if (r == 0)
        r = tables_of(config, "output", ES_MAX_OUTPUTS, &items, &n, err);
    if (r < 0)
        return r;
    config->outputs = calloc(n + 1, sizeof *config->outputs);
    if (!config->outputs)
        return es_nomem(err);
    for (; r == 0 && config->n_outputs < n; config->n_outputs++)
        r = es_output_compile(config, &items[config->n_outputs], variables,
                              &config->outputs[config->n_outputs], err);
    return r == 0 ? es_outputs_check(config, err) : r;
}

static bool is_the_apps(const struct es_config *config, uid_t uid)
{
    bool found = uid == config->uid;

    for (size_t i = 0; !found && i < config->n_outputs; i++)
        found = config->outputs[i].owner && config->outputs[i].uid == uid;
    return found && uid != 0;
}

/* Who may rename in a directory can put another file of root's in the place of this one, such as an
 * output that holds what the app has said. Root's own sticky directories, like /tmp, prevent it. */
static int check_directory(const struct es_config *config, const char *dir, struct es_err *err)
{
    struct stat st;

    if (stat(dir, &st) < 0)
        return es_fail_errno(err, ES_DENIED, errno, "%s: %s", config->file, dir);
    if (is_the_apps(config, st.st_uid))
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: directory %s belongs to the app, which could put another file in its "
                       "place and so decide what root does; chown it to root, or keep the file "
                       "elsewhere",
                       config->file, dir);
    if (!(st.st_mode & S_ISVTX) &&
        (st.st_mode & S_IWOTH ||
         (st.st_mode & S_IWGRP && st.st_gid != 0 && st.st_gid == config->gid)))
        return es_fail(err, ES_DENIED, EPERM,
                       "%s: directory %s is writable for %s (mode %04o), who could put another "
                       "file in its place and so decide what root does; chmod go-w it",
                       config->file, dir, st.st_mode & S_IWOTH ? "everyone" : "the app's group",
                       (unsigned)(st.st_mode & 07777));
    return 0;
}

static int check_way(const struct es_config *config, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *dir = strdup(path);
    int r = 0;

    if (!dir)
        return es_nomem(err);
    for (char *slash; r == 0 && (slash = strrchr(dir, '/')) && slash > dir;) {
        *slash = '\0';
        r = check_directory(config, dir, err);
    }
    return r;
}

/* The way that was named, and where links on it have led. */
static int check_ways(const struct es_config *config, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *real = NULL;
    int r;

    if (geteuid() != 0)
        return 0;
    real = realpath(config->file, NULL);
    if (!real)
        return errno == ENOMEM ? es_nomem(err)
                               : es_fail_errno(err, ES_DENIED, errno, "%s", config->file);
    r = check_way(config, config->file, err);
    return r == 0 && strcmp(real, config->file) != 0 ? check_way(config, real, err) : r;
}

int es_config_load(const char *file, const struct es_process *process, struct es_config *ret,
                   struct es_err *err)
{
    ES_CLEANUP(es_variables_done) struct es_variables variables = {0};
    ES_CLEANUP(es_config_done) struct es_config config = {0};
    int r = es_walk_absolute(file, ES_CONFIG, &config.file, err);

    if (r == 0)
        r = read_document(&config, err);
    if (r == 0)
        r = read_top(&config, process, &variables, err);
    if (r == 0)
        r = finish_top(&config, err);
    if (r == 0)
        r = read_tables(&config, &variables, err);
    if (r == 0)
        r = check_ways(&config, err);
    if (r < 0)
        return r;
    *ret = config;
    config = (struct es_config){0};
    return 0;
}

void es_config_done(struct es_config *config)
{
    for (size_t i = 0; i < config->n_sources; i++)
        es_source_done(&config->sources[i]);
    for (size_t i = 0; i < config->n_outputs; i++)
        es_output_done(&config->outputs[i]);
    free(config->sources);
    free(config->outputs);
    es_options_clear(es_last_good_options, &config->last_good);
    es_on_change_done(&config->on_change);
    es_options_clear(es_config_options, config);
    es_value_done(&config->root);
    free(config->file);
    free(config->etc_dir);
    free(config->run_dir);
    *config = (struct es_config){0};
}
