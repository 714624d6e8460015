/* argv: options, the subcommand, and what belongs to it. */
#include "cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
    OPT_DRY_RUN = 256,
    OPT_EXIT_CODE,
    OPT_FRESH,
    OPT_RELEASE,
    OPT_JSON,
    OPT_ROOT,
    OPT_DEADLINE,
    OPT_FETCH,
    OPT_CREDENTIALS,
    OPT_UNIT,
    OPT_HELP,
    OPT_VERSION,
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"exit-code", no_argument, NULL, OPT_EXIT_CODE},
    {"fresh", no_argument, NULL, OPT_FRESH},
    {"release", no_argument, NULL, OPT_RELEASE},
    {"json", no_argument, NULL, OPT_JSON},
    {"root", required_argument, NULL, OPT_ROOT},
    {"deadline", required_argument, NULL, OPT_DEADLINE},
    {"fetch", no_argument, NULL, OPT_FETCH},
    {"credentials", no_argument, NULL, OPT_CREDENTIALS},
    {"unit", required_argument, NULL, OPT_UNIT},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};
enum { OPTIONS = sizeof options / sizeof *options };

/* Which bit a subcommand must have for an option; 0: all take it. */
static unsigned bit_of(int option)
{
    switch (option) {
    case 'c':
        return ES_ARG_CONFIG;
    case OPT_DRY_RUN:
    case OPT_EXIT_CODE:
        return ES_ARG_DRY_RUN;
    case OPT_FRESH:
        return ES_ARG_FRESH;
    case OPT_RELEASE:
        return ES_ARG_RELEASE;
    case OPT_JSON:
        return ES_ARG_JSON;
    case OPT_ROOT:
        return ES_ARG_ROOT;
    case OPT_DEADLINE:
        return ES_ARG_DEADLINE;
    case OPT_FETCH:
        return ES_ARG_FETCH;
    case OPT_CREDENTIALS:
        return ES_ARG_CREDENTIALS;
    case OPT_UNIT:
        return ES_ARG_UNIT;
    default:
        return 0;
    }
}

static int bad_option(const char *word, bool missing, struct es_err *err)
{
    const char *names[OPTIONS];
    const char *near;
    size_t n = 0;

    if (missing)
        return es_fail(err, ES_USAGE, EINVAL, "%s needs an argument; see envsync --help", word);
    for (; options[n].name; n++)
        names[n] = options[n].name;
    names[n] = NULL;
    near = strncmp(word, "--", 2) == 0 ? es_suggest(word + 2, names) : NULL;
    return es_fail(err, ES_USAGE, EINVAL, "unknown option %.60s%s%s%s", word,
                   near ? "; did you mean --" : "; see envsync --help", near ? near : "",
                   near ? "?" : "");
}

/* The parsed options, and which were given, to be held against the subcommand. */
struct parsing {
    struct es_args args;
    bool given[OPTIONS];
    bool help, version;
};

static int take(struct parsing *p, int option, const char *word, struct es_err *err)
{
    switch (option) {
    case 'c':
        p->args.config = optarg;
        break;
    case 'q':
        p->args.quiet = true;
        break;
    case 'v':
        p->args.verbose = true;
        break;
    case OPT_DRY_RUN:
        p->args.dry_run = true;
        break;
    case OPT_EXIT_CODE:
        p->args.exit_code = true;
        break;
    case OPT_FRESH:
        p->args.fresh = true;
        break;
    case OPT_RELEASE:
        p->args.release = true;
        break;
    case OPT_JSON:
        p->args.json = true;
        break;
    case OPT_ROOT:
        p->args.root = optarg;
        break;
    case OPT_DEADLINE:
        if (!es_duration_parse(optarg, &p->args.deadline) || p->args.deadline == 0)
            return es_fail(err, ES_USAGE, EINVAL,
                           "--deadline takes a duration such as 45s or 2m, not \"%.40s\"", optarg);
        break;
    case OPT_CREDENTIALS:
        p->args.credentials = true;
        break;
    case OPT_UNIT:
        p->args.unit = optarg;
        break;
    case OPT_FETCH:
        p->args.fetch = true;
        break;
    case OPT_HELP:
        p->help = true;
        break;
    case OPT_VERSION:
        p->version = true;
        break;
    default:
        return bad_option(word, option == ':', err);
    }
    for (size_t i = 0; options[i].name; i++)
        p->given[i] |= options[i].val == option;
    return 0;
}

static int find_command(struct es_args *args, const struct es_command **ret, struct es_err *err)
{
    const char *names[32], *near;
    size_t n = 0;

    *ret = &es_command_sync;
    if (args->n_rest == 0)
        return 0;
    *ret = es_command_by_name(args->rest[0]);
    if (*ret) {
        args->rest++;
        args->n_rest--;
        return 0;
    }
    for (; n < 31 && es_commands[n]; n++)
        names[n] = es_commands[n]->name;
    names[n] = NULL;
    near = es_suggest(args->rest[0], names);
    return es_fail(err, ES_USAGE, EINVAL, "there is no command \"%.60s\"%s%s%s", args->rest[0],
                   near ? "; did you mean \"" : "; see envsync --help", near ? near : "",
                   near ? "\"?" : "");
}

static int check(const struct parsing *p, const struct es_command *command, struct es_err *err)
{
    const struct es_args *args = &p->args;

    for (size_t i = 0; options[i].name; i++)
        if (p->given[i] && bit_of(options[i].val) & ~command->options)
            return es_fail(err, ES_USAGE, EINVAL, "envsync %s takes no --%s", command->name,
                           options[i].name);
    if (args->quiet && args->verbose)
        return es_fail(err, ES_USAGE, EINVAL, "-q and -v contradict each other");
    if (args->exit_code && !args->dry_run)
        return es_fail(err, ES_USAGE, EINVAL, "--exit-code goes with --dry-run");
    if (args->release && args->dry_run)
        return es_fail(err, ES_USAGE, EINVAL, "--release changes state, a dry run does not");
    if (args->root && args->root[0] != '/')
        return es_fail(err, ES_USAGE, EINVAL, "--root takes an absolute path");
    if (command->max_rest >= 0 && args->n_rest > command->max_rest)
        return es_fail(err, ES_USAGE, EINVAL, "envsync %s: unexpected argument \"%.60s\"",
                       command->name, args->rest[command->max_rest]);
    return 0;
}

int es_args_parse(int argc, char **argv, struct es_args *ret, const struct es_command **ret_command,
                  struct es_err *err)
{
    struct parsing p = {0};
    int option, r;

    if (argc < 1) /* which kernels before 5.18 let somebody do; getopt() would read on */
        return es_fail(err, ES_USAGE, EINVAL, "started without a name; see envsync --help");
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:qv", options, NULL)) >= 0) {
        const char flag[] = {'-', (char)optopt, '\0'};
        bool is_short = option == '?' && optopt > 0 && optopt < 256;

        r = take(&p, option, is_short ? flag : argv[optind - 1], err);
        if (r < 0)
            return r;
    }
    p.args.rest = argv + optind;
    p.args.n_rest = argc - optind;
    p.args.dashes = strcmp(argv[optind - 1], "--") == 0;
    if (p.version) {
        *ret_command = NULL;
        return 0;
    }
    r = find_command(&p.args, ret_command, err);
    if (r < 0)
        return r;
    if (p.help) {
        if (p.args.rest == argv + optind) {
            p.args.n_rest = 0;
        } else {
            /* `envsync sync --help` is `envsync help sync`. */
            p.args.rest--;
            p.args.n_rest = 1;
        }
        *ret_command = &es_command_help;
        *ret = p.args;
        return 0;
    }
    r = check(&p, *ret_command, err);
    if (r == 0)
        *ret = p.args;
    return r;
}
