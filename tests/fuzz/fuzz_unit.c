/* One text as a systemd unit: no crash, errors are the configuration's and say the line, and
 * whatever can be asked of a unit has an answer. */
#include "core/unit/check.h"
#include "core/unit/mounts.h"
#include "core/unit/rights.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_told(int r, const struct es_err *err)
{
    if (r < 0 && r != -ENOMEM && (err->class != ES_CONFIG || strncmp(err->msg, "F:", 2) != 0))
        abort();
}

static void ask_commands(const struct es_unit *unit)
{
    ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
    struct es_err err = {0};

    must_be_told(es_unit_commands(unit, "ExecStartPre", &commands, &err), &err);
    for (size_t i = 0; i < commands.n; i++)
        if (commands.items[i].argc == 0 || commands.items[i].argv[0][0] == '\0' ||
            commands.items[i].argv[commands.items[i].argc])
            abort();
}

static void ask_sandbox(const struct es_unit *unit)
{
    ES_CLEANUP(es_unit_mounts_done) struct es_unit_mounts mounts = {0};
    const struct es_unit_setting *at = NULL;
    struct es_err err = {0};
    int r = es_unit_mounts_read(unit, &mounts, &err);

    must_be_told(r, &err);
    for (size_t i = 0; i < mounts.n; i++)
        if (!es_unit_mounts_find(&mounts, mounts.items[i].path))
            abort();
    for (int right = 0; right < ES_RIGHTS; right++)
        es_unit_lacks_right(unit, (enum es_right)right);
    es_unit_filters_calls(unit, &at);
    must_be_told(es_unit_lacks_network(unit, true, &at, &err), &err);
}

/* The lines of one file come in order, and each kind has what belongs to it. */
static void look(const struct es_unit *unit)
{
    int64_t ms;

    for (size_t i = 0; i < unit->n; i++) {
        const struct es_unit_setting *s = &unit->settings[i];

        if (s->line == 0 || (i > 0 && s->line < unit->settings[i - 1].line) ||
            (s->kind == ES_UNIT_SETTING && (!s->section || !s->key || !*s->key)))
            abort();
        if (es_unit_span(es_buf_str(&s->value), &ms) && ms < 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_unit_environment_done) struct es_unit_environment environment = {0};
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    char *nothing[] = {NULL};
    struct es_err err = {0};

    unit.name = strdup("a-b@c-d\\x2de.service");
    unit.instance = strdup("c-d\\x2de");
    if (!unit.name || !unit.instance || size > ES_MAX_UNIT)
        return 0;
    must_be_told(es_unit_parse(&unit, "F", (const char *)data, size, &err), &err);
    look(&unit);
    ask_commands(&unit);
    ask_sandbox(&unit);
    es_unit_bool(&unit, "Service", "PrivateTmp", false, NULL);
    must_be_told(es_unit_environment(&unit, nothing, &environment, &err), &err);
    return 0;
}
