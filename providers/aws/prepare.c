/* What the profiles name that the worker has to get at by itself: files, and commands. Profiles are
 * the caller's own configuration, handed over open; nothing from outside was read yet.
 *
 * Only profiles can do that. What options and variables name, root has opened (es_aws_needs()). */
#include "inner.h"

#include <string.h>

/* A token is replaced while it is in use, mostly by a link in its directory. */
static void allow_token(struct es_sandbox *sandbox, const char *path)
{
    ES_CLEANUP(es_buf_done) struct es_buf directory = {0};
    const char *slash = strrchr(path, '/');

    es_sandbox_allow(sandbox, path);
    if (slash && slash > path && es_buf_append(&directory, path, (size_t)(slash - path)) == 0)
        es_sandbox_allow(sandbox, es_buf_str(&directory));
}

static void prepare_links(const struct es_aws_settings *settings, const struct es_aws_link *link,
                          struct es_sandbox *sandbox)
{
    struct es_aws_shared *shared;
    struct es_aws_helper *helper;
    struct es_err ignored;

    for (; link; link = link->base) {
        if (link->token_path)
            allow_token(sandbox, link->token_path);
        if (link->kind == ES_AWS_LINK_PROCESS && !settings->fetch->describe &&
            es_aws_shared(settings->fetch->http, &shared, &ignored) == 0)
            es_aws_helper_find(shared, link->command, settings->surroundings->home, &helper,
                               &ignored);
    }
}

void es_aws_prepare(const struct es_fetch *fetch, struct es_sandbox *sandbox)
{
    const struct es_aws_options *options = fetch->state;
    ES_CLEANUP(es_aws_settings_done) struct es_aws_settings settings = {0};
    ES_CLEANUP(es_aws_link_freep) struct es_aws_link *link = NULL;
    struct es_err ignored;
    const char *ca;

    settings.fetch = fetch;
    if (!es_aws_file(&settings, ES_AWS_ROLE_CONFIG) &&
        !es_aws_file(&settings, ES_AWS_ROLE_CREDENTIALS))
        return;
    if (es_aws_settings_init(&settings, fetch, options, &ignored) < 0)
        return;
    ca = es_aws_of_profile(&settings, settings.profile, "ca_bundle");
    if (ca)
        es_sandbox_allow(sandbox, ca);
    if (es_aws_chain_find(&settings, &link, &ignored) == 0)
        prepare_links(&settings, link, sandbox);
}
