/* See unit.h. The command lines of ExecStartPre= and the like: prefixes, words, specifiers, and
 * ";" between two commands. A line that systemd refuses as a whole counts as none. */
#include "envsync/limits.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void command_done(struct es_unit_command *command)
{
    for (size_t i = 0; i < command->argc; i++)
        free(command->argv[i]);
    free(command->argv);
    *command = (struct es_unit_command){0};
}

void es_unit_commands_done(struct es_unit_commands *commands)
{
    for (size_t i = 0; i < commands->n; i++)
        command_done(&commands->items[i]);
    free(commands->items);
    *commands = (struct es_unit_commands){0};
}

static int add_argument(const struct es_unit *unit, struct es_unit_command *command,
                        const char *text, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf word = {0};
    char **argv;
    int r = es_unit_expand(unit, text, &word);

    if (r == -EFBIG || command->argc == ES_MAX_UNIT_SETTINGS)
        return es_fail(err, ES_CONFIG, EFBIG, "%s:%u: the command line is too long",
                       command->at->file, command->at->line);
    if (r < 0)
        return es_nomem(err);
    argv = reallocarray(command->argv, command->argc + 2, sizeof *argv);
    if (!argv)
        return es_nomem(err);
    command->argv = argv;
    argv[command->argc] = strdup(es_buf_str(&word));
    if (!argv[command->argc])
        return es_nomem(err);
    argv[++command->argc] = NULL;
    return 0;
}

/* Each prefix once; of + ! !! one only, as in systemd. */
static const char *take_prefixes(struct es_unit_command *command, const char *word, bool *argv0)
{
    bool no_expansion = false;

    for (;; word++) {
        bool ranked = command->privileged || command->keeps_root || command->ambient;

        if (*word == '-' && !command->ignores_failure) {
            command->ignores_failure = true;
        } else if (*word == '@' && !*argv0) {
            *argv0 = true;
        } else if (*word == ':' && !no_expansion) {
            no_expansion = true;
        } else if (*word == '+' && !ranked) {
            command->privileged = true;
        } else if (*word == '!' && !ranked) {
            command->keeps_root = true;
        } else if (*word == '!' && command->keeps_root) {
            command->keeps_root = false;
            command->ambient = true;
        } else {
            return word;
        }
    }
}

/* Is the word that begins here the separator of two commands? */
static bool is_word(const char *p, const char *word)
{
    size_t n = strlen(word);

    return strncmp(p, word, n) == 0 && (p[n] == '\0' || strchr(ES_UNIT_BLANKS, p[n]));
}

/* The arguments up to the end or a ";". 1: another command follows. -EINVAL: an open quote. */
static int take_arguments(const struct es_unit *unit, struct es_unit_command *command,
                          const char **p, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf word = {0};

    while (**p) {
        int r;

        if (is_word(*p, ";")) {
            *p += 1 + strspn(*p + 1, ES_UNIT_BLANKS);
            return 1;
        }
        if (is_word(*p, "\\;")) {
            *p += 2 + strspn(*p + 2, ES_UNIT_BLANKS);
            r = add_argument(unit, command, ";", err);
        } else {
            r = es_unit_word(p, &word);
            if (r == -ENOMEM)
                return es_nomem(err);
            if (r <= 0)
                return r;
            r = add_argument(unit, command, es_buf_str(&word), err);
        }
        if (r != 0)
            return r;
    }
    return 0;
}

static int keep(struct es_unit_commands *commands, struct es_unit_command *command,
                struct es_err *err)
{
    struct es_unit_command *items;

    if (commands->n == ES_MAX_UNIT_SETTINGS)
        return es_fail(err, ES_CONFIG, EFBIG, "%s:%u: more than %d commands", command->at->file,
                       command->at->line, ES_MAX_UNIT_SETTINGS);
    items = reallocarray(commands->items, commands->n + 1, sizeof *items);
    if (!items)
        return es_nomem(err);
    commands->items = items;
    items[commands->n++] = *command;
    *command = (struct es_unit_command){0};
    return 0;
}

/* One command of a line; 1 where another one follows. */
static int take_command(const struct es_unit *unit, const struct es_unit_setting *at,
                        const char **p, struct es_unit_commands *commands, struct es_err *err)
{
    ES_CLEANUP(command_done) struct es_unit_command command = {.at = at};
    ES_CLEANUP(es_buf_done) struct es_buf word = {0};
    const char *program;
    bool argv0 = false;
    int more = 0, r = es_unit_word(p, &word);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r <= 0)
        return 0;
    program = take_prefixes(&command, es_buf_str(&word), &argv0);
    if (*program == '\0')
        return 0;
    r = add_argument(unit, &command, program, err);
    if (r == 0) {
        more = take_arguments(unit, &command, p, err);
        if (more == -EINVAL)
            return 0;
        r = more < 0 ? more : 0;
    }
    /* "@": the second word is what the program is told to be called; it is no argument. */
    if (r == 0 && argv0 && command.argc > 1) {
        free(command.argv[1]);
        memmove(&command.argv[1], &command.argv[2], (command.argc - 1) * sizeof *command.argv);
        command.argc--;
    }
    if (r == 0)
        r = keep(commands, &command, err);
    return r == 0 ? more : r;
}

int es_unit_commands(const struct es_unit *unit, const char *key, struct es_unit_commands *ret,
                     struct es_err *err)
{
    ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
    const struct es_unit_setting *s = NULL;

    while ((s = es_unit_next(unit, "Service", key, s))) {
        const char *p = es_buf_str(&s->value);
        int r = 1;

        if (s->value.len == 0)
            es_unit_commands_done(&commands);
        while (r > 0)
            r = take_command(unit, s, &p, &commands, err);
        if (r < 0)
            return r;
    }
    *ret = commands;
    commands = (struct es_unit_commands){0};
    return 0;
}
