/* Reads the files that root opened for a file source. Their content is untrusted: each is read up
 * to ES_MAX_DOCUMENT and parsed as a whole. They come sorted bytewise by path, a later one wins.
 * A file that no format knows is passed over with a note, unless it is the one that was named. */
#include "envsync/format.h"
#include "file.h"

#include <string.h>

static bool is_source(const struct es_format *format)
{
    return format && format->source && format->read;
}

/* NULL: not a file for us. */
static const struct es_format *choose(const struct es_fetch *fetch, const struct es_file *file)
{
    const struct es_file_options *options = fetch->state;
    const struct es_format *format;

    if (options->format)
        return es_format_by_name(options->format);
    format = es_format_by_path(file->path);
    if (is_source(format))
        return format;
    /* Nothing was expanded: the user named this very file. */
    if (fetch->n_files == 1 && strcmp(file->path, options->path) == 0)
        return &es_format_env;
    return NULL;
}

static int put_file(const struct es_fetch *fetch, uint32_t rank, struct es_err *err)
{
    const struct es_file *file = &fetch->files[rank];
    const struct es_format *format = choose(fetch, file);
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_file_version version = es_file_version(file->fd);
    struct es_document document = {
        .format = format,
        .object = file->path,
        .version = version.text,
        .rank = rank,
    };
    int r;

    if (!format)
        return es_sink_note(fetch->sink, err,
                            "passed over %s: its name ends in none of .env, .toml and .json, and "
                            "is not \"environment\"; set format to have it read",
                            file->path);
    r = es_file_read(file, &text, err);
    if (r < 0)
        return r;
    return es_document_put(&document, es_buf_str(&text), text.len, fetch->sink, err);
}

int es_fetch_file(struct es_fetch *fetch, struct es_err *err)
{
    for (size_t i = 0; i < fetch->n_files; i++) {
        int r = put_file(fetch, (uint32_t)i, err);

        if (r < 0)
            return r;
    }
    return 0;
}
