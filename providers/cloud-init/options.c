/* The cloud-init provider's options. Local configuration, which root wrote: every template is
 * parsed here, so that `check` finds a mistake before a boot does. Nothing is opened here. */
#include "cloud-init.h"
#include "envsync/key.h"
#include "template.h"

#include <errno.h>
#include <string.h>

static const struct es_option options[] = {
    {
        .key = "path",
        .type = ES_OPT_PATH,
        .def = "/run/cloud-init/instance-data.json",
        .offset = offsetof(struct es_cloud_init_options, path),
        .help = "cloud-init's instance data; a sensitive twin beside it is used where it may be "
                "read",
    },
    {
        .key = "keys",
        .type = ES_OPT_MAP,
        .flags = ES_OPT_REQUIRED | ES_OPT_RAW,
        .offset = offsetof(struct es_cloud_init_options, keys),
        .help = "NAME = \"text with ${FACT}, ${tags.NAME} or ${path.into.the.data:-default}\"",
    },
    {0},
};

/* cloud-init writes its status when it begins, and its result when it is through. */
static const char *const begun[] = {"status.json", "enabled", NULL};
static const struct es_wait wait = {
    .what = "cloud-init",
    .begun = begun,
    .over = "result.json",
};

/* In its own place cloud-init writes it anew at every boot. */
#define OWN_DIR "/run/cloud-init/"
static const char *const stages[] = {"cloud-config.target",        "cloud-init.service",
                                     "cloud-init-network.service", "cloud-init-main.service",
                                     "cloud-config.service",       "cloud-final.service",
                                     "cloud-init.target",          NULL};
/* Its last stage, and what waits for that. */
static const char *const last_stage[] = {"cloud-final.service", "cloud-init.target", NULL};
static const struct es_wait own_wait = {
    .what = "cloud-init",
    .begun = begun,
    .over = "result.json",
    .after = stages,
    .too_late = last_stage,
};

static int validate_pair(const struct es_pair *pair, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    ES_CLEANUP(es_template_done) struct es_template template = {0};
    int r = es_key_parse(pair->key, &key, err);

    if (r < 0) {
        es_context(err, "keys");
        return r;
    }
    r = es_template_parse(pair->value, &template, err);
    if (r < 0)
        es_context(err, "keys.%s", es_key_text(&key).text);
    return r;
}

static int validate(const void *state, struct es_err *err)
{
    const struct es_cloud_init_options *cloud = state;

    for (size_t i = 0; i < cloud->keys.n; i++) {
        int r = validate_pair(&cloud->keys.items[i], err);

        if (r < 0)
            return r;
    }
    return 0;
}

static bool ends(const char *text, const char *with)
{
    size_t len = strlen(text), n = strlen(with);

    return len >= n && strcmp(text + len - n, with) == 0;
}

/* X-sensitive.json beside X.json: complete, and readable for root only. */
static int need_sensitive(const char *path, struct es_needs *needs, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf twin = {0};
    struct es_need need = {.role = "sensitive", .flags = ES_NEED_OPTIONAL};

    if (!ends(path, ".json") || ends(path, "-sensitive.json"))
        return 0;
    if (es_buf_append(&twin, path, strlen(path) - strlen(".json")) < 0 ||
        es_buf_puts(&twin, "-sensitive.json") < 0)
        return es_nomem(err);
    need.path = twin.data;
    return es_needs_add(needs, &need, err);
}

static int list_needs(const void *state, const struct es_surroundings *surroundings,
                      struct es_needs *needs, struct es_err *err)
{
    const struct es_cloud_init_options *cloud = state;
    bool own = strncmp(cloud->path, OWN_DIR, strlen(OWN_DIR)) == 0;
    struct es_need need = {.role = "data", .path = cloud->path, .wait = own ? &own_wait : &wait};
    int r = es_needs_add(needs, &need, err);

    (void)surroundings;
    return r < 0 ? r : need_sensitive(cloud->path, needs, err);
}

static int facts(struct es_needs *needs, struct es_err *err)
{
    const struct es_cloud_init_options usual = {.path =
                                                    (char *)"/run/cloud-init/instance-data.json"};

    return list_needs(&usual, NULL, needs, err);
}

const struct es_provider es_provider_cloud_init = {
    .type = "cloud-init",
    .summary = "facts about this machine out of cloud-init's instance data",
    .options = options,
    .size = sizeof(struct es_cloud_init_options),
    .validate = validate,
    .needs = list_needs,
    .facts = facts,
};
