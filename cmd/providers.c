/* `envsync providers`: lists them; with a name its options, from the table that parses them. */
#include "cmd.h"
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void show_option(const struct es_option *option)
{
    char type[80];

    snprintf(type, sizeof type, "%s", es_option_type_name(option->type));
    printf("  %-16s %-18s %s\n", option->key, type, option->help);
    if (option->choices) {
        printf("  %-16s %-18s one of:", "", "");
        for (const char *p = option->choices; *p;) {
            size_t n = strcspn(p, "|");

            printf(" %.*s", (int)n, p);
            p += n + (p[n] == '|');
        }
        printf("\n");
    }
    if (option->flags & ES_OPT_REQUIRED)
        printf("  %-16s %-18s required\n", "", "");
    else if (option->def)
        printf("  %-16s %-18s default: %s\n", "", "", option->def);
}

static void show_options(const struct es_option *options)
{
    for (; options->key; options++)
        show_option(options);
}

static int unknown(const char *type, struct es_err *err)
{
    const char *types[64], *near;
    size_t n = 0;

    for (; n < 63 && es_providers[n]; n++)
        types[n] = es_providers[n]->type;
    types[n] = NULL;
    near = es_suggest(type, types);
    return es_fail(err, ES_USAGE, ENOENT, "there is no provider \"%.60s\"%s%s%s", type,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int run(struct es_session *session, struct es_err *err)
{
    const struct es_provider *provider;

    if (session->args.n_rest == 0) {
        for (size_t i = 0; es_providers[i]; i++)
            printf("%-18s %s\n", es_providers[i]->type, es_providers[i]->summary);
        return ES_EXIT_OK;
    }
    provider = es_provider_by_type(session->args.rest[0]);
    if (!provider)
        return unknown(session->args.rest[0], err);
    printf("%s: %s\n\nOptions:\n", provider->type, provider->summary);
    show_options(provider->options);
    printf("\nOptions of every source:\n");
    show_options(es_source_options);
    return ES_EXIT_OK;
}

const struct es_command es_command_providers = {
    .name = "providers",
    .usage = "[NAME]",
    .summary = "list the providers, or the options of one",
    .options = 0,
    .max_rest = 1,
    .run = run,
};
