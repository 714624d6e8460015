/* Compiles [on_change] (see config.h). Local configuration: who writes it decides what is run. */
#include "compile.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT(field) offsetof(struct es_on_change, field)

const struct es_option es_on_change_options[] = {
    {"touch", ES_OPT_PATHS, 0, NULL, NULL, OPT(touch), "files or directories that get a new time"},
    {"restart", ES_OPT_STRINGS, 0, NULL, NULL, OPT(restart),
     "units that are restarted where they are running"},
    {"reload", ES_OPT_STRINGS, 0, NULL, NULL, OPT(reload),
     "units that are reloaded where they are running"},
    {"run", ES_OPT_STRINGS, 0, NULL, NULL, OPT(run), "one program and its arguments"},
    {0},
};

enum { MAX_UNIT = 255 };

static bool has_suffix(const char *unit)
{
    static const char *const suffixes[] = {".service", ".socket", ".target",    ".timer",
                                           ".path",    ".mount",  ".automount", ".swap",
                                           ".slice",   ".scope",  ".device"};
    const char *dot = strrchr(unit, '.');

    for (size_t i = 0; dot && i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcmp(dot, suffixes[i]) == 0)
            return true;
    return false;
}

/* No pattern: it could match the very unit that envsync is started by, and what it matches changes
 * with what is loaded. */
static int complete_unit(const struct es_config *config, const char *key, char **unit,
                         const struct es_pos *pos, struct es_err *err)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.\\@-";
    const char *at = strchr(*unit, '@');
    char *whole;

    if (**unit == '\0' || **unit == '-' || **unit == '.' || **unit == '@' ||
        (*unit)[strspn(*unit, letters)] != '\0' || strlen(*unit) > MAX_UNIT - strlen(".service"))
        return es_config_fail(config, pos, err,
                              "%s: \"%.60s\" is no name of a unit; write it as in \"foo.service\"",
                              key, *unit);
    if (at && (at[1] == '\0' || (at[1] == '.' && has_suffix(*unit) && strrchr(at, '.') == at + 1)))
        return es_config_fail(config, pos, err,
                              "%s: \"%.60s\" is a template; name an instance, as in "
                              "\"foo@1.service\"",
                              key, *unit);
    if (has_suffix(*unit))
        return 0;
    if (asprintf(&whole, "%s.service", *unit) < 0)
        return es_nomem(err);
    free(*unit);
    *unit = whole;
    return 0;
}

static int check_touch(const struct es_config *config, const char *path, const struct es_pos *pos,
                       struct es_err *err)
{
    if (path[1] == '\0')
        return es_config_fail(config, pos, err, "touch: / is none that can be watched");
    return es_config_check_own(config, pos, path, err);
}

/* Found by the PATH of envsync itself, or by its absolute path. */
static int check_run(const struct es_config *config, const struct es_strings *run,
                     struct es_err *err)
{
    const char *program = run->n > 0 ? run->items[0] : "";

    if (run->n > 0 && (*program == '\0' || (*program != '/' && strchr(program, '/')) ||
                       program[strlen(program) - 1] == '/'))
        return es_config_fail(config, &run->pos[0], err,
                              "run must start with a program: its absolute path, or a plain name");
    return 0;
}

static void add(struct es_on_change *on_change, enum es_action_kind kind, char *const *words,
                size_t n)
{
    /* Once is enough. */
    for (size_t i = 0; i < on_change->n; i++)
        if (on_change->actions[i].kind == kind &&
            strcmp(on_change->actions[i].words[0], words[0]) == 0)
            return;
    on_change->actions[on_change->n++] = (struct es_action){.kind = kind, .words = words, .n = n};
}

static int compile_list(const struct es_config *config, struct es_on_change *on_change,
                        enum es_action_kind kind, struct es_strings *list, struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && list->items && i < list->n; i++) {
        r = kind == ES_ACTION_TOUCH ? check_touch(config, list->items[i], &list->pos[i], err)
                                    : complete_unit(config, es_on_change_options[kind].key,
                                                    &list->items[i], &list->pos[i], err);
        if (r == 0)
            add(on_change, kind, &list->items[i], 1);
    }
    return r;
}

int es_on_change_compile(const struct es_config *config, struct es_on_change *on_change,
                         struct es_err *err)
{
    size_t n = on_change->touch.n + on_change->restart.n + on_change->reload.n;
    int r = check_run(config, &on_change->run, err);

    if (r < 0)
        return r;
    if (n >= ES_MAX_ACTIONS)
        return es_config_fail(config, &es_table_get(&config->root, "on_change")->pos, err,
                              "[on_change] names more than %d things", ES_MAX_ACTIONS - 1);
    on_change->actions = calloc(n + 1, sizeof *on_change->actions);
    if (!on_change->actions)
        return es_nomem(err);
    on_change->n = 0;
    r = compile_list(config, on_change, ES_ACTION_TOUCH, &on_change->touch, err);
    if (r == 0)
        r = compile_list(config, on_change, ES_ACTION_RESTART, &on_change->restart, err);
    if (r == 0)
        r = compile_list(config, on_change, ES_ACTION_RELOAD, &on_change->reload, err);
    if (r == 0 && on_change->run.items)
        add(on_change, ES_ACTION_RUN, on_change->run.items, on_change->run.n);
    return r;
}

void es_on_change_done(struct es_on_change *on_change)
{
    free(on_change->actions);
    es_options_clear(es_on_change_options, on_change);
    *on_change = (struct es_on_change){0};
}
