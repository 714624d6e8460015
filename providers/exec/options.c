/* The exec provider's options. Local configuration, which root wrote. Nothing is started here: one
 * need describes the program, core starts it and hands its stdout over. */
#include "exec.h"

#include "envsync/format.h"

#include <errno.h>
#include <string.h>

#define AT(field) offsetof(struct es_exec_options, field)

static const struct es_option options[] = {
    {
        .key = "command",
        .type = ES_OPT_STRINGS,
        .flags = ES_OPT_REQUIRED,
        .offset = AT(command),
        .help = "program, by its absolute path, and its arguments; it prints a JSON object",
    },
    {
        .key = "run_as",
        .type = ES_OPT_STRING,
        .offset = AT(run_as),
        .help = "user it runs as, never root (default: the worker's)",
    },
    {
        .key = "timeout",
        .type = ES_OPT_DURATION,
        .def = "30s",
        .offset = AT(timeout_ms),
        .help = "time it has; the deadline of the run bounds it too",
    },
    {
        .key = "environment",
        .type = ES_OPT_STRINGS,
        .offset = AT(environment),
        .help = "variables of envsync's own environment that it gets; it gets no others",
    },
    {0},
};

static int validate_command(const struct es_strings *command, struct es_err *err)
{
    const char *program = command->n > 0 ? command->items[0] : "";
    size_t len = strlen(program);

    if (program[0] != '/' || program[len - 1] == '/')
        return es_fail(err, ES_CONFIG, EINVAL,
                       "command must start with the absolute path of a program");
    return 0;
}

static int validate(const void *state, struct es_err *err)
{
    const struct es_exec_options *exec = state;
    int r = validate_command(&exec->command, err);

    if (r < 0)
        return r;
    if (exec->run_as &&
        (!*exec->run_as || strcmp(exec->run_as, "root") == 0 || strcmp(exec->run_as, "0") == 0))
        return es_fail(err, ES_CONFIG, EINVAL, "run_as must name a user, and not root");
    if (exec->timeout_ms <= 0)
        return es_fail(err, ES_CONFIG, EINVAL, "timeout must be more than 0");
    for (size_t i = 0; i < exec->environment.n; i++)
        if (!es_env_name_valid(exec->environment.items[i], strlen(exec->environment.items[i])))
            return es_fail(err, ES_CONFIG, EINVAL, "environment: \"%.100s\" is no variable's name",
                           exec->environment.items[i]);
    return 0;
}

static int needs(const void *state, const struct es_surroundings *surroundings,
                 struct es_needs *needs, struct es_err *err)
{
    const struct es_exec_options *exec = state;
    struct es_need need = {
        .role = "stdout",
        .path = exec->command.items[0],
        .flags = ES_NEED_EXEC,
        .argv = (const char *const *)exec->command.items,
        .run_as = exec->run_as,
        .environment = (const char *const *)exec->environment.items,
        .timeout_ms = exec->timeout_ms,
    };

    (void)surroundings;
    return es_needs_add(needs, &need, err);
}

const struct es_provider es_provider_exec = {
    .type = "exec",
    .summary = "a program that prints a JSON object of keys",
    .options = options,
    .size = sizeof(struct es_exec_options),
    .validate = validate,
    .needs = needs,
};
