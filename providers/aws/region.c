/* Which region: option, environment, profile, cloud-init's instance data, metadata service. Every
 * one is checked before it becomes part of a host name, wherever it comes from. */
#include "inner.h"

#include "../cloud-init/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct es_aws_region {
    struct es_aws_imds *imds;
    es_aws_region_fn *fn;
    void *data;
};

static int check(const char *region, const char *origin, struct es_err *err)
{
    if (es_aws_region_valid(region))
        return 0;
    /* One that the network gave is nobody's typing error, but it is no region either. */
    return es_fail(err, ES_CONFIG, EINVAL, "what %s says is no region; write one like eu-west-1",
                   origin);
}

/* What the instance data says; *out stays empty where it says nothing. */
static int of_cloud(const struct es_aws_settings *settings, struct es_buf *out, struct es_err *err)
{
    const struct es_file *file = es_aws_file(settings, ES_AWS_ROLE_CLOUD);
    ES_CLEANUP(es_facts_freep) struct es_facts *facts = NULL;
    struct es_err why;
    int r;

    if (settings->fetch->cloud_region)
        return es_buf_puts(out, settings->fetch->cloud_region) < 0 ? es_nomem(err) : 0;
    if (!file || lseek(file->fd, 0, SEEK_SET) < 0)
        return 0;
    /* It was not asked for: where it is damaged, or says nothing, there are other places. */
    r = es_facts_read(file->fd, file->path, &facts, &why);
    if (r == 0)
        r = es_facts_get(facts, "region", out, &why);
    return r == -ENOMEM ? es_nomem(err) : 0;
}

static void on_answer(void *data, int r, const struct es_buf *body, const struct es_err *err)
{
    struct es_aws_region *region = data;
    char text[64] = "";
    struct es_err why;

    if (r == 0) {
        size_t len = strcspn(es_buf_str(body), "\r\n");

        if (len < sizeof text)
            memcpy(text, es_buf_str(body), len);
        r = check(text, "the metadata service", &why);
        err = &why;
    } else {
        r = es_fail(&why, err->class == ES_ABSENT ? ES_CONFIG : err->class, -r,
                    "no region: none in configuration, environment, profile and instance data, "
                    "and %s; set region",
                    err->msg);
        err = &why;
    }
    region->fn(region->data, r, text, err);
    free(region);
}

static int ask_imds(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                    es_aws_region_fn *fn, void *data, struct es_aws_region **ret,
                    struct es_err *err)
{
    struct es_aws_imds *imds;
    struct es_aws_region *region;
    int r = es_aws_imds_find(shared, settings, &imds, err);

    if (r < 0)
        return r;
    if (!imds)
        return es_fail(err, ES_CONFIG, ENOENT,
                       "no region: none in configuration, environment, profile and instance data; "
                       "set region");
    if (!fn)
        return 0;
    region = calloc(1, sizeof *region);
    if (!region)
        return es_nomem(err);
    *region = (struct es_aws_region){.imds = imds, .fn = fn, .data = data};
    r = es_aws_imds_get(imds, "/latest/meta-data/placement/region", on_answer, region, err);
    if (r < 0) {
        free(region);
        return r;
    }
    *ret = region;
    return 0;
}

int es_aws_region_find(struct es_aws_shared *shared, const struct es_aws_settings *settings,
                       bool with_endpoint, char region[64], const char **ret_origin,
                       es_aws_region_fn *fn, void *data, struct es_aws_region **ret,
                       struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf cloud = {0};
    const char *found = es_aws_local_region(settings, ret_origin);
    int r = 0;

    if (!found) {
        *ret_origin = "cloud-init's instance data";
        r = of_cloud(settings, &cloud, err);
        if (r < 0)
            return r;
        found = cloud.len ? es_buf_str(&cloud) : NULL;
    }
    if (!found && with_endpoint) {
        *ret_origin = "the endpoint, which needs none";
        found = "us-east-1";
    }
    if (!found) {
        *ret_origin = "the metadata service";
        return ask_imds(shared, settings, fn, data, ret, err);
    }
    r = check(found, *ret_origin, err);
    if (r < 0)
        return r;
    memcpy(region, found, strlen(found) + 1);
    return 1;
}

void es_aws_region_free(struct es_aws_region *region)
{
    if (!region)
        return;
    es_aws_imds_forget(region->imds, region);
    free(region);
}
