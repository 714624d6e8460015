/* See check.h: the environment that a unit's commands get. Files are read only where they may be,
 * and passed over where they cannot be parsed; values are kept where they are cleansed. */
#include "../walk.h"
#include "check.h"
#include "envsync/format.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void es_unit_environment_done(struct es_unit_environment *environment)
{
    for (char **entry = environment->list; entry && *entry; entry++)
        es_secret_free(*entry, strlen(*entry));
    free(environment->list);
    environment->list = NULL;
}

/* A later assignment of a name replaces an earlier one. */
static int set(struct es_value *table, const char *name, size_t len, const char *value,
               size_t value_len)
{
    struct es_entry *entry = NULL;
    int r = es_table_add(table, name, len, &entry);

    return r < 0 && r != -EEXIST ? r : es_value_set_string(&entry->value, value, value_len);
}

/* "NAME=VALUE"; what is none is passed over, as systemd does. */
static int set_text(struct es_value *table, const char *text)
{
    const char *equals = strchr(text, '=');

    if (!equals || !es_env_name_valid(text, (size_t)(equals - text)))
        return 0;
    return set(table, text, (size_t)(equals - text), equals + 1, strlen(equals + 1));
}

static int set_file(struct es_value *table, const char *path)
{
    ES_CLEANUP(es_value_done) struct es_value read = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close) int fd = -1;
    struct es_err ignored;
    int r;

    path += *path == '-';
    if (*path != '/')
        return 0;
    fd = es_open_source(path, &ignored);
    r = fd < 0 ? fd : es_buf_read_fd(&text, fd, ES_MAX_DOCUMENT);
    if (r == 0)
        r = es_format_env.read(es_buf_str(&text), text.len, &read, &ignored);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    for (size_t i = 0; i < read.table.n; i++) {
        const struct es_entry *entry = &read.table.entries[i];

        r = set(table, es_buf_str(&entry->key), entry->key.len, es_buf_str(&entry->value.text),
                entry->value.text.len);
        if (r < 0)
            return r;
    }
    return 0;
}

/* UnsetEnvironment=: "NAME", or "NAME=VALUE" for that value alone. */
static bool is_unset(const struct es_unit_items *unset, const struct es_entry *entry)
{
    const char *name = es_buf_str(&entry->key), *value = es_buf_str(&entry->value.text);

    for (size_t i = 0; i < unset->n; i++) {
        const char *text = es_buf_str(&unset->items[i].text);
        size_t n = strcspn(text, "=");

        if (n == entry->key.len && memcmp(text, name, n) == 0 &&
            (text[n] == '\0' || strcmp(text + n + 1, value) == 0))
            return true;
    }
    return false;
}

static int to_list(const struct es_value *table, const struct es_unit_items *unset, char ***ret)
{
    ES_CLEANUP(es_unit_environment_done) struct es_unit_environment made = {0};
    size_t n = 0;

    made.list = calloc(table->table.n + 1, sizeof *made.list);
    if (!made.list)
        return -ENOMEM;
    for (size_t i = 0; i < table->table.n; i++) {
        const struct es_entry *entry = &table->table.entries[i];

        if (is_unset(unset, entry))
            continue;
        if (asprintf(&made.list[n], "%s=%s", es_buf_str(&entry->key),
                     es_buf_str(&entry->value.text)) < 0) {
            made.list[n] = NULL;
            return -ENOMEM;
        }
        n++;
    }
    *ret = made.list;
    made.list = NULL;
    return 0;
}

int es_unit_environment(const struct es_unit *unit, char *const *inherited,
                        struct es_unit_environment *ret, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items own = {0}, files = {0}, unset = {0};
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    int r = es_unit_list(unit, "Service", "Environment", ES_UNIT_WORDS, &own, err);

    if (r == 0)
        r = es_unit_list(unit, "Service", "EnvironmentFile", ES_UNIT_WHOLE, &files, err);
    if (r == 0)
        r = es_unit_list(unit, "Service", "UnsetEnvironment", ES_UNIT_WORDS, &unset, err);
    if (r != 0)
        return r;
    es_value_set_table(&table);
    for (; r == 0 && *inherited; inherited++)
        r = set_text(&table, *inherited);
    for (size_t i = 0; r == 0 && i < own.n; i++)
        r = set_text(&table, es_buf_str(&own.items[i].text));
    for (size_t i = 0; r == 0 && i < files.n; i++)
        r = set_file(&table, es_buf_str(&files.items[i].text));
    if (r == 0)
        r = to_list(&table, &unset, &ret->list);
    return r < 0 ? es_nomem(err) : 0;
}
