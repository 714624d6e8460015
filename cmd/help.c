/* `envsync help`: from the table of subcommands. */
#include "build.h"
#include "cmd.h"

#include <errno.h>
#include <stdio.h>

static int help_all(void)
{
    puts("envsync " PACKAGE_VERSION " - gets an app's configuration and secrets onto a host\n"
         "Usage: envsync [COMMAND] [OPTION ...]\nCommands:");
    for (size_t i = 0; es_commands[i]; i++)
        printf("  %-11s %s\n", es_commands[i]->name, es_commands[i]->summary);
    puts("Options:\n"
         "  -c, --config FILE  configuration (default: " SYSCONFDIR "/envsync/envsync.toml)\n"
         "  --dry-run          tell what would change, write nothing; --exit-code: exit 1 then\n"
         "  --fresh, --release fetch in spite of fresh_for; end the hold of a rollback\n"
         "  --fetch            explain from the sources, not from the last set\n"
         "  --credentials      check: tell how the AWS sources would authenticate\n"
         "  --unit UNIT        check: judge the systemd unit that runs envsync, file or name\n"
         "  --json             one JSON object on stdout\n"
         "  --root DIR         put DIR before every path that is written\n"
         "  --deadline DUR     bound the whole run (45s, 2m)\n"
         "  -q, -v, --version  only warnings; more; the version\n\n"
         "Exit: 0 done, 1 would change, 64 usage, 65 data, 66 no source, 69 unavailable, 70 fault "
         "of\n"
         "envsync, 73 cannot write, 75 locked, 77 denied, 78 configuration. More: envsync(8).");
    return ES_EXIT_OK;
}

static int run(struct es_session *session, struct es_err *err)
{
    const struct es_command *command;

    if (session->args.n_rest == 0)
        return help_all();
    command = es_command_by_name(session->args.rest[0]);
    if (!command)
        return es_fail(err, ES_USAGE, ENOENT, "there is no command \"%.60s\"; see envsync --help",
                       session->args.rest[0]);
    printf("Usage: envsync %s %s\n\n%s%s%s\n", command->name, command->usage, command->summary,
           command->help ? "\n\n" : "", command->help ? command->help : "");
    return ES_EXIT_OK;
}

const struct es_command es_command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .summary = "this help, or that of a command",
    .options = 0,
    .max_rest = 1,
    .run = run,
};
