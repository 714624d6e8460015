/* unit_tool: what envsync reads in a systemd unit, for tests against the real systemd.
 *
 *   unit_tool UNIT list SECTION KEY [whole|keep]...   the items of a setting
 *   unit_tool UNIT commands KEY                       [prefixes, program, argument, ...] each
 *   unit_tool UNIT access PATH...                     what the sandbox leaves of each
 *   unit_tool UNIT files                              what was read
 *
 * Prints one JSON object, {"result": [...]}. */
#include "core/unit/mounts.h"
#include "envsync/format.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_WRONG_USE = 64 };

static int add_text(struct es_value *list, const char *text)
{
    struct es_value *item;
    int r = es_list_add(list, &item);

    return r < 0 ? r : es_value_set_string(item, text, strlen(text));
}

static int list(const struct es_unit *unit, char **argv, struct es_value *out, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    unsigned how = ES_UNIT_WORDS;
    int r;

    for (char **word = argv + 2; *word; word++)
        how |= strcmp(*word, "whole") == 0 ? ES_UNIT_WHOLE : ES_UNIT_NO_RESET;
    r = es_unit_list(unit, argv[0], argv[1], how, &items, err);
    for (size_t i = 0; r == 0 && i < items.n; i++)
        r = add_text(out, es_buf_str(&items.items[i].text));
    return r;
}

static int add_command(const struct es_unit_command *command, struct es_value *out)
{
    struct es_value *item;
    char prefixes[8];
    int r = es_list_add(out, &item);

    if (r < 0)
        return r;
    snprintf(prefixes, sizeof prefixes, "%s%s%s", command->ignores_failure ? "-" : "",
             command->privileged ? "+" : "",
             command->ambient      ? "!!"
             : command->keeps_root ? "!"
                                   : "");
    es_value_set_list(item);
    r = add_text(item, prefixes);
    for (size_t i = 0; r == 0 && i < command->argc; i++)
        r = add_text(item, command->argv[i]);
    return r;
}

static int commands(const struct es_unit *unit, const char *key, struct es_value *out,
                    struct es_err *err)
{
    ES_CLEANUP(es_unit_commands_done) struct es_unit_commands found = {0};
    int r = es_unit_commands(unit, key, &found, err);

    for (size_t i = 0; r == 0 && i < found.n; i++)
        r = add_command(&found.items[i], out);
    return r;
}

static int access_of(const struct es_unit *unit, char **paths, struct es_value *out,
                     struct es_err *err)
{
    static const char *const words[] = {
        [ES_ACCESS_NONE] = "none",   [ES_ACCESS_BOUND] = "bound", [ES_ACCESS_SHARED] = "shared",
        [ES_ACCESS_EMPTY] = "empty", [ES_ACCESS_READ] = "read",   [ES_ACCESS_FULL] = "full",
        [ES_ACCESS_DEFAULT] = "full"};
    ES_CLEANUP(es_unit_mounts_done) struct es_unit_mounts mounts = {0};
    int r = es_unit_mounts_read(unit, &mounts, err);

    for (; r == 0 && *paths; paths++) {
        const struct es_unit_mount *mount = es_unit_mounts_find(&mounts, *paths);

        r = add_text(out, words[mount ? mount->access : ES_ACCESS_FULL]);
    }
    return r;
}

static int answer(const struct es_unit *unit, int argc, char **argv, struct es_value *out,
                  struct es_err *err)
{
    int r = 0;

    if (strcmp(argv[0], "list") == 0 && argc > 2)
        return list(unit, argv + 1, out, err);
    if (strcmp(argv[0], "commands") == 0 && argc > 1)
        return commands(unit, argv[1], out, err);
    if (strcmp(argv[0], "access") == 0)
        return access_of(unit, argv + 1, out, err);
    for (size_t i = 0; r == 0 && i < unit->n_files; i++)
        r = add_text(out, unit->files[i]);
    return r;
}

int main(int argc, char **argv)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err = {.msg = "no memory"};
    struct es_entry *entry;
    int r;

    if (argc < 3)
        return EXIT_WRONG_USE;
    r = es_unit_load(argv[1], NULL, NULL, &unit, &err);
    es_value_set_table(&root);
    if (r == 0)
        r = es_table_add(&root, "result", 6, &entry);
    if (r == 0) {
        es_value_set_list(&entry->value);
        r = answer(&unit, argc - 2, argv + 2, &entry->value, &err);
    }
    if (r == 0)
        r = es_format_json.write(&root, &text);
    if (r < 0) {
        fprintf(stderr, "unit_tool: %s\n", err.msg);
        return EXIT_FAILED;
    }
    return fwrite(text.data, 1, text.len, stdout) == text.len ? 0 : EXIT_FAILED;
}
