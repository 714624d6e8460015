/* See surroundings.h. The process environment may be the last output of envsync itself, and the app
 * may have chosen what is in it: only variables that a configured provider declares are taken. */
#include "surroundings.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int take(const struct es_process *process, const char *name, struct es_value *table)
{
    const char *value = es_process_getenv(process, name);
    struct es_entry *entry;
    int r;

    if (!value || *value == '\0')
        return 0;
    r = es_table_add(table, name, strlen(name), &entry);
    if (r == -EEXIST)
        return 0;
    return r < 0 ? r : es_value_set_string(&entry->value, value, strlen(value));
}

static bool listed(const struct es_config *config, const char *name)
{
    for (size_t i = 0; i < config->env.n; i++)
        if (strcmp(config->env.items[i], name) == 0)
            return true;
    return false;
}

/* What AWS's own tools take, and where systemd has put the unit's credentials. */
static bool has_its_meaning(const char *name)
{
    return strncmp(name, "AWS_", 4) == 0 || strcmp(name, "CREDENTIALS_DIRECTORY") == 0;
}

/* These count, unless envsync itself has written them; any other variable has to be listed. */
static bool may_count(const struct es_config *config, const char *name, const struct es_value *own)
{
    return listed(config, name) || (has_its_meaning(name) && !(own && es_table_get(own, name)));
}

int es_surroundings_gather(const struct es_config *config, const struct es_process *process,
                           const struct es_value *own, struct es_surroundings *ret,
                           struct es_err *err)
{
    ES_CLEANUP(es_surroundings_done) struct es_surroundings s = {0};
    const struct passwd *user;

    es_value_set_table(&s.environment);
    for (size_t i = 0; i < config->n_sources; i++) {
        const char *const *name = config->sources[i].provider->environment;

        for (; name && *name; name++)
            if (may_count(config, *name, own) && take(process, *name, &s.environment) < 0)
                return es_nomem(err);
    }
    /* Never $HOME: on an ExecStartPre=! line it is the app's. */
    user = getpwuid(geteuid());
    if (user && user->pw_dir && user->pw_dir[0] == '/') {
        s.home = strdup(user->pw_dir);
        if (!s.home)
            return es_nomem(err);
    }
    *ret = s;
    s = (struct es_surroundings){0};
    return 0;
}
