/* See judge.h: what the unit's sandbox takes away from envsync: its state, rights, the network. A
 * line with "+" is outside of it, but not of the unit's network. */
#include "../rest.h"
#include "owner.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The directory among those of the app that holds envsync's state, or lies in it. */
static const struct es_unit_dir *dir_at_state(const struct es_judge *judge, const char *state)
{
    for (size_t i = 0; judge->user.len > 0 && i < judge->dirs.n; i++)
        if (es_path_below(judge->dirs.items[i].path, state) ||
            es_path_below(state, judge->dirs.items[i].path))
            return &judge->dirs.items[i];
    return NULL;
}

/* envsync takes no state from a directory that another user owns. */
static void judge_state(struct es_judge *judge)
{
    static const char *const dirs[] = {ES_STATE_RUN, ES_STATE_DISK};

    for (size_t i = 0; i < (es_config_has_disk(judge->config) ? 2 : 1); i++) {
        const struct es_unit_dir *own = dir_at_state(judge, dirs[i]);

        if (own)
            es_judge_error(judge, own->at,
                           "%s= gives %s, where envsync keeps its state, to %s; take it out: "
                           "envsync makes it itself",
                           own->key, own->path, es_buf_str(&judge->user));
    }
}

/* A oneshot's RuntimeDirectory= goes when it ends, and what envsync wrote with it. */
static int judge_preserve(struct es_judge *judge, struct es_err *err)
{
    static const char *const words[] = {"no", "restart", "yes", "true", "on", "1", NULL};
    int preserve = es_unit_choice(judge->unit, "Service", "RuntimeDirectoryPreserve", words, NULL);

    if (!es_judge_oneshot(judge) || preserve >= 2 ||
        es_unit_bool(judge->unit, "Service", "RemainAfterExit", false, NULL))
        return 0;
    for (size_t i = 0; i < judge->dirs.n; i++) {
        const struct es_unit_dir *dir = &judge->dirs.items[i];
        const char *lost = NULL;

        if (strcmp(dir->key, "RuntimeDirectory") != 0)
            continue;
        for (size_t j = 0; !lost && j < judge->config->n_outputs; j++) {
            ES_CLEANUP(es_freep) char *path = NULL;
            int r = es_judge_path(judge->config->outputs[j].path, &path, err);

            if (r != 0)
                return r;
            if (es_path_below(path, dir->path))
                lost = judge->config->outputs[j].path;
        }
        if (!lost && es_path_below(ES_STATE_RUN, dir->path))
            lost = ES_STATE_RUN;
        if (lost)
            es_judge_error(
                judge, dir->at,
                "RuntimeDirectory= is removed when the oneshot ends, and %s with it; add "
                "RuntimeDirectoryPreserve=yes",
                lost);
    }
    return 0;
}

/* A source that declares the variable reads what systemd hands over. */
static bool reads_credentials(const struct es_source *source)
{
    const char *const *name = source->provider->environment;

    for (; !source->optional && name && *name; name++)
        if (strcmp(*name, "CREDENTIALS_DIRECTORY") == 0)
            return true;
    return false;
}

/* May the unit have a credential of this name, or glob? "NAME:PATH", where a directory gives
 * NAME_FILE for each of its files, or "NAME:VALUE". */
static int may_have(const struct es_unit_items *has, const char *wanted, bool *ret,
                    struct es_err *err)
{
    *ret = false;
    for (size_t i = 0; !*ret && i < has->n; i++) {
        const char *text = es_buf_str(&has->items[i].text);
        size_t len = strcspn(text, ":");
        ES_CLEANUP(es_freep) char *name = strndup(text, len);

        if (!name)
            return es_nomem(err);
        *ret = fnmatch(wanted, name, 0) == 0 ||
               (strncmp(wanted, name, len) == 0 && wanted[len] == '_');
    }
    return 0;
}

static int judge_source_credentials(struct es_judge *judge, const struct es_source *source,
                                    const struct es_unit_items *has, struct es_err *err)
{
    const struct es_strings *names =
        source->provider->credentials ? source->provider->credentials(source->state) : NULL;

    if (has->n == 0)
        es_judge_error(judge, es_judge_section(judge, "Service"),
                       "source %s reads credentials, and the unit has none; add LoadCredential=",
                       source->name);
    for (size_t i = 0; has->n > 0 && names && i < names->n; i++) {
        bool found;
        int r = may_have(has, names->items[i], &found, err);

        if (r != 0)
            return r;
        if (!found)
            es_judge_error(judge, has->items[has->n - 1].at,
                           "the unit has no credential %s, which source %s reads; add "
                           "LoadCredential=%s:PATH",
                           names->items[i], source->name, names->items[i]);
    }
    return 0;
}

static int judge_credentials(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items has = {0};
    int r =
        es_unit_list(judge->unit, "Service",
                     "LoadCredential|LoadCredentialEncrypted|SetCredential|SetCredentialEncrypted",
                     ES_UNIT_WHOLE, &has, err);

    /* What is imported, by a glob, nobody can tell from here. */
    if (r != 0 || es_unit_next(judge->unit, "Service", "ImportCredential", NULL))
        return r;
    for (size_t i = 0; r == 0 && i < judge->config->n_sources; i++)
        if (reads_credentials(&judge->config->sources[i]))
            r = judge_source_credentials(judge, &judge->config->sources[i], &has, err);
    return r;
}

/* ---- what it may do ---- */

/* Root's process is of the app's group besides its own, so that it may give files to either without
 * a capability: with "!" by the groups of User= alone, else by SupplementaryGroups=; with Group= it
 * is no more of its own. So systemd 252 does it. */
static int has_group(const struct es_judge *judge, bool *ret, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items groups = {0};
    int r =
        es_unit_list(judge->unit, "Service", "SupplementaryGroups", ES_UNIT_WORDS, &groups, err);

    if (r != 0)
        return r;
    if (!judge->line || judge->line->keeps_root)
        *ret = es_buf_is(&judge->user, judge->config->group);
    else
        *ret = es_unit_find(&groups, judge->config->group) &&
               !es_unit_next(judge->unit, "Service", "Group", NULL);
    return 0;
}

static bool needs_right(const struct es_judge *judge, enum es_right right, bool own_group)
{
    bool gives_away = false, in_apps = false;

    for (size_t i = 0; i < judge->config->n_outputs; i++) {
        gives_away |= judge->config->outputs[i].uid != 0;
        in_apps |= es_unit_dir_of(judge, judge->config->outputs[i].path) != NULL;
    }
    switch (right) {
    case ES_RIGHT_SETUID:
    case ES_RIGHT_SETGID:
        return true;
    case ES_RIGHT_CHOWN:
        return gives_away || !own_group;
    case ES_RIGHT_FOWNER:
        return gives_away;
    case ES_RIGHT_DAC_OVERRIDE:
        return in_apps;
    default:
        return false;
    }
}

static int judge_rights(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf missing = {0};
    const struct es_unit_setting *by = NULL;
    bool own_group = false;
    int r = has_group(judge, &own_group, err);

    if (r != 0)
        return r;
    for (int right = 0; right < ES_RIGHTS; right++) {
        const struct es_unit_setting *at = es_unit_lacks_right(judge->unit, (enum es_right)right);

        if (!at || !needs_right(judge, (enum es_right)right, own_group))
            continue;
        by = at;
        if (es_buf_printf(&missing, "%s%s", missing.len ? " " : "", es_right_names[right]) < 0)
            return es_nomem(err);
    }
    if (by)
        es_judge_error(judge, by,
                       "CapabilityBoundingSet= takes from envsync what it needs to give files away "
                       "and to run its worker without privileges; add %s, or start envsync with "
                       "\"+\"",
                       es_buf_str(&missing));
    return 0;
}

static int judge_process(struct es_judge *judge, struct es_err *err)
{
    const struct es_unit_setting *at = NULL;

    if (es_unit_filters_calls(judge->unit, &at) < 0)
        return es_nomem(err);
    if (at)
        es_judge_error(judge, at,
                       "SystemCallFilter= refuses calls by which envsync gives files their group "
                       "and its worker gives up root; add SystemCallFilter=@chown @setuid capset "
                       "behind it, or start envsync with \"+\"");
    if (es_unit_bool(judge->unit, "Service", "PrivateUsers", false, &at))
        es_judge_error(judge, at,
                       "PrivateUsers= knows no user that envsync's worker could become; remove it, "
                       "or start envsync with \"+\"");
    return judge_rights(judge, err);
}

static int judge_reach(struct es_judge *judge, struct es_err *err)
{
    const struct es_unit_setting *at;
    int r = es_unit_lacks_network(judge->unit, judge->sandboxed, &at, err);

    if (r != 0 || !at)
        return r;
    for (size_t i = 0; i < judge->config->n_sources; i++)
        if (judge->config->sources[i].provider->network) {
            es_judge_error(judge, at,
                           "%s= keeps envsync from the network, which source %s asks; run envsync "
                           "in a unit of its own, which this one requires and comes after",
                           at->key, judge->config->sources[i].name);
            break;
        }
    return 0;
}

/* systemctl asks systemd at a socket. */
static int judge_actions(struct es_judge *judge, struct es_err *err)
{
    const struct es_on_change *wanted = &judge->config->on_change;
    const struct es_unit_setting *at;
    int r = es_unit_lacks_unix(judge->unit, &at, err);

    if (r == 0 && at && wanted->restart.n + wanted->reload.n > 0)
        es_judge_warning(judge, at,
                         "RestrictAddressFamilies= keeps systemctl from systemd, which on_change "
                         "has restart or reload %s; add AF_UNIX",
                         wanted->restart.n > 0 ? wanted->restart.items[0]
                                               : wanted->reload.items[0]);
    return r;
}

int es_judge_confinement(struct es_judge *judge, struct es_err *err)
{
    const struct es_unit_setting *root =
        es_unit_next(judge->unit, "Service", "RootDirectory|RootImage", NULL);
    bool writes = judge->call.task != ES_UNIT_EXEC;
    int r = judge_reach(judge, err);

    if (r == 0)
        r = judge_credentials(judge, err);
    if (writes)
        judge_state(judge);
    if (r == 0 && writes)
        r = judge_preserve(judge, err);
    if (r != 0 || !judge->sandboxed)
        return r;
    if (root && root->value.len > 0) {
        es_judge_warning(judge, root,
                         "%s=: envsync reads and writes inside of it, and what is there cannot be "
                         "judged from here",
                         root->key);
        return 0;
    }
    r = es_judge_places(judge, err);
    if (r == 0 && judge->call.task == ES_UNIT_SYNC)
        r = judge_actions(judge, err);
    return r == 0 && writes && judge->as_root ? judge_process(judge, err) : r;
}
