/* See envsync/format.h: the list of formats, and the rule that what is written reads back. */
#include "envsync/format.h"

#include <errno.h>
#include <string.h>

const struct es_format *const es_formats[] = {
    &es_format_env,   &es_format_toml,   &es_format_json,  &es_format_ssm_json,
    &es_format_shell, &es_format_dotenv, &es_format_value, NULL,
};

const struct es_format *es_format_by_name(const char *name)
{
    for (size_t i = 0; es_formats[i]; i++)
        if (strcmp(es_formats[i]->name, name) == 0)
            return es_formats[i];
    return NULL;
}

const struct es_format *es_format_by_path(const char *path)
{
    const char *base = strrchr(path, '/');
    const char *dot;

    base = base ? base + 1 : path;
    if (strcmp(base, "environment") == 0)
        return &es_format_env;
    dot = strrchr(base, '.');
    for (size_t i = 0; dot && es_formats[i]; i++)
        if (es_formats[i]->extension && strcmp(es_formats[i]->extension, dot) == 0)
            return es_formats[i];
    return NULL;
}

int es_format_render(const struct es_format *format, const struct es_value *root,
                     struct es_buf *out, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_value_done) struct es_value back = {0};
    struct es_err why;

    if (format->write(root, &text) < 0)
        return es_nomem(err);
    if (format->read) {
        int r = format->read(es_buf_str(&text), text.len, &back, &why);

        if (r == -ENOMEM)
            return es_nomem(err);
        if (r < 0 || !es_value_equal(root, &back, true))
            return es_fail(err, ES_INTERNAL, EBADMSG,
                           "the rendered %s does not read back to the same values; nothing was "
                           "written, please report this",
                           format->name);
    }
    if (es_buf_append(out, text.data, text.len) < 0)
        return es_nomem(err);
    return 0;
}

bool es_env_name_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return len > 0;
}
