/* Fuzzes what reads the configuration: the option tables over whatever TOML gives, keys and globs.
 * It is root's own file, so this is about mistakes: each must end in a message with its place. */
#include "core/config.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_have_place(int r, const struct es_err *err)
{
    if (r < 0 && r != -ENOMEM && (err->class != ES_CONFIG || strncmp(err->msg, "F:", 2) != 0))
        abort();
}

static void read_table(const struct es_option *options, const struct es_value *table, size_t size)
{
    const struct es_option *const sets[] = {options};
    void *state = calloc(1, size);
    struct es_err err;

    if (!state)
        return;
    must_have_place(es_options_unknown(sets, 1, NULL, table, "F", &err), &err);
    must_have_place(es_options_parse(options, table, "F", state, &err), &err);
    es_options_clear(options, state);
    free(state);
}

/* A text that is a key is the same key when it is written and read again. */
static void read_key(const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0}, again = {0}, written = {0};
    ES_CLEANUP(es_glob_freep) struct es_glob *glob = NULL;
    struct es_err err;

    if (es_key_parse(text, &key, &err) < 0)
        return;
    if (es_glob_parse(text, &glob, &err) == 0 && !strchr(text, '*') && !es_glob_match(glob, &key))
        abort();
    if (es_key_format(&key, &written) < 0 || strstr(es_buf_str(&written), "\\u") ||
        strstr(es_buf_str(&written), "\\x"))
        return; /* escapes are for people: they are not read back */
    if (es_key_parse(es_buf_str(&written), &again, &err) < 0 || !es_buf_equal(&key, &again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err;

    if (size > ES_MAX_CONFIG || es_buf_append(&text, data, size) < 0)
        return 0;
    if (!memchr(es_buf_str(&text), '\0', size))
        read_key(es_buf_str(&text));
    if (es_format_toml.read(es_buf_str(&text), text.len, &root, &err) < 0)
        return 0;
    read_table(es_config_options, &root, sizeof(struct es_config));
    read_table(es_source_options, &root, sizeof(struct es_source));
    read_table(es_output_options, &root, sizeof(struct es_output));
    for (size_t i = 0; es_providers[i]; i++)
        read_table(es_providers[i]->options, &root, es_providers[i]->size + 1);
    return 0;
}
