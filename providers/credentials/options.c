/* The credentials provider's options. Local configuration, and one variable that systemd sets for
 * the unit: the directory of its credentials. Core opens all that is in it; a unit is given no more
 * than it needs. */
#include "credentials.h"

#include <errno.h>
#include <string.h>

static const struct es_option options[] = {
    {
        .key = "names",
        .type = ES_OPT_STRINGS,
        .offset = offsetof(struct es_credentials_options, names),
        .help = "credentials to take, by name or glob (default: all)",
    },
    {
        .key = "format",
        .type = ES_OPT_ENUM,
        .choices = "value|env|toml|json",
        .offset = offsetof(struct es_credentials_options, format),
        .help = "how they are read; without it, by their extension, all others as values",
    },
    {
        .key = "keep_newline",
        .type = ES_OPT_BOOL,
        .def = "false",
        .offset = offsetof(struct es_credentials_options, keep_newline),
        .help = "a value keeps the line break at its end",
    },
    {0},
};

static const char *const environment[] = {"CREDENTIALS_DIRECTORY", NULL};

static int validate(const void *state, struct es_err *err)
{
    const struct es_credentials_options *credentials = state;

    for (size_t i = 0; i < credentials->names.n; i++) {
        const char *name = credentials->names.items[i];

        if (*name == '\0' || strchr(name, '/'))
            return es_fail(err, ES_CONFIG, EINVAL,
                           "names: \"%s\" is no name of a credential; write what stands before "
                           "the colon in LoadCredential=NAME:PATH",
                           name);
    }
    return 0;
}

static int needs(const void *state, const struct es_surroundings *surroundings,
                 struct es_needs *needs, struct es_err *err)
{
    struct es_need need = {.role = "credential", .flags = ES_NEED_EXPAND};

    (void)state;
    need.path = es_surroundings_get(surroundings, environment[0]);
    if (!need.path || need.path[0] != '/')
        return es_fail(err, ES_ABSENT, ENOENT,
                       "CREDENTIALS_DIRECTORY is not set: the unit needs LoadCredential= or "
                       "SetCredential=, and ExecStartPre= systemd 252");
    return es_needs_add(needs, &need, err);
}

static const struct es_strings *wanted(const void *state)
{
    const struct es_credentials_options *credentials = state;

    return &credentials->names;
}

const struct es_provider es_provider_credentials = {
    .type = "credentials",
    .summary = "systemd's credentials of the unit",
    .options = options,
    .size = sizeof(struct es_credentials_options),
    .validate = validate,
    .needs = needs,
    .credentials = wanted,
    .environment = environment,
};
