/* The file provider's options. Local configuration, which root wrote. Nothing is opened here: one
 * need names the path, and core opens it, a directory's files or the matches of a glob. */
#include "file.h"

static const struct es_option options[] = {
    {
        .key = "path",
        .type = ES_OPT_PATH,
        .flags = ES_OPT_REQUIRED,
        .offset = offsetof(struct es_file_options, path),
        .help = "a file, a directory (its files, not recursively) or a glob",
    },
    {
        .key = "format",
        .type = ES_OPT_ENUM,
        .choices = "env|toml|json",
        .offset = offsetof(struct es_file_options, format),
        .help = "how the files are read; without it, by their extension",
    },
    {0},
};

static int needs(const void *state, const struct es_surroundings *surroundings,
                 struct es_needs *needs, struct es_err *err)
{
    const struct es_file_options *file = state;
    struct es_need need = {.role = "file", .path = file->path, .flags = ES_NEED_EXPAND};

    (void)surroundings;
    return es_needs_add(needs, &need, err);
}

const struct es_provider es_provider_file = {
    .type = "file",
    .summary = "env, toml and json files of this host",
    .options = options,
    .size = sizeof(struct es_file_options),
    .needs = needs,
};
