/* Reads the credentials that root opened for a unit. Their content is untrusted: each is read up to
 * ES_MAX_DOCUMENT. One whose name says what it is (.env, .toml, .json) is parsed and gives many
 * keys; any other is one value, and its name is the key.
 *
 * Records have no version: the files are made anew at every start of the unit, so their time says
 * nothing, and a set must not differ from the last one by it. */
#include "credentials.h"
#include "envsync/format.h"
#include "envsync/key.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

static const char *name_of(const struct es_file *file)
{
    const char *slash = strrchr(file->path, '/');

    return slash ? slash + 1 : file->path;
}

static bool is_wanted(const struct es_strings *names, const struct es_file *file)
{
    for (size_t i = 0; i < names->n; i++)
        if (fnmatch(names->items[i], name_of(file), 0) == 0)
            return true;
    return names->n == 0;
}

/* What was asked for and is not there is told of all at once. */
static int check_all_there(const struct es_fetch *fetch, struct es_err *err)
{
    const struct es_credentials_options *options = fetch->state;
    ES_CLEANUP(es_buf_done) struct es_buf missing = {0};

    for (size_t i = 0; i < options->names.n; i++) {
        const char *name = options->names.items[i];
        size_t at = 0;

        while (at < fetch->n_files && fnmatch(name, name_of(&fetch->files[at]), 0) != 0)
            at++;
        if (at == fetch->n_files &&
            es_buf_printf(&missing, "%s%s", missing.len ? ", " : "", name) < 0)
            return es_nomem(err);
    }
    if (missing.len == 0)
        return 0;
    if (fetch->optional)
        return es_sink_note(fetch->sink, err, "the unit has no credential %s; left out",
                            missing.data);
    return es_fail(err, ES_ABSENT, ENOENT,
                   "the unit has no credential %s; give it with LoadCredential=", missing.data);
}

/* NULL: a value as it is. */
static const struct es_format *choose(const struct es_credentials_options *options,
                                      const struct es_file *file)
{
    const struct es_format *format =
        options->format ? es_format_by_name(options->format) : es_format_by_path(file->path);

    return format && format->source ? format : NULL;
}

static int put_value(const struct es_file *file, const struct es_buf *text, size_t len,
                     struct es_sink *sink, struct es_err *err)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    const char *name = name_of(file);
    int r;

    if (es_key_push(&record.key, name, strlen(name)) < 0 || es_buf_puts(&record.object, name) < 0 ||
        es_value_set_string(&record.value, es_buf_str(text), len) < 0)
        return es_nomem(err);
    r = es_sink_put(sink, &record, err);
    if (r < 0 && err->class != ES_INTERNAL)
        es_context(err, "%s", name);
    return r;
}

static int put_credential(const struct es_fetch *fetch, uint32_t rank, struct es_err *err)
{
    const struct es_credentials_options *options = fetch->state;
    const struct es_file *file = &fetch->files[rank];
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_document document = {
        .format = choose(options, file), .object = name_of(file), .version = "", .rank = rank};
    size_t len;
    int r = es_file_read(file, &text, err);

    if (r < 0)
        return r;
    if (document.format)
        return es_document_put(&document, es_buf_str(&text), text.len, fetch->sink, err);
    len = text.len;
    if (!options->keep_newline && len > 0 && text.data[len - 1] == '\n')
        len--;
    return put_value(file, &text, len, fetch->sink, err);
}

int es_fetch_credentials(struct es_fetch *fetch, struct es_err *err)
{
    const struct es_credentials_options *options = fetch->state;
    int r = check_all_there(fetch, err);

    for (size_t i = 0; r == 0 && i < fetch->n_files; i++)
        if (is_wanted(&options->names, &fetch->files[i]))
            r = put_credential(fetch, (uint32_t)i, err);
    return r;
}
