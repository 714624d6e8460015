/* See clouds.h. Where each cloud keeps its facts is a table of paths; what no path can say (a list
 * to search, a key named by another value) is a function beside it. The data is half trusted (see
 * data.c); who takes an address out of it checks it. */
#include "clouds.h"

#include <errno.h>
#include <string.h>

/* Where a path of ours leads. A list stands for its first item: EC2's leaves are one or many. */
int es_cloud_walk(const struct es_data *data, const char *path, struct es_spot *ret,
                  struct es_err *err)
{
    ES_CLEANUP(es_ref_done) struct es_ref ref = {0};
    int r = es_ref_parse(path, &ref, err);

    if (r < 0)
        return r;
    if (!es_data_walk(data, ref.steps, ref.n_steps, ret))
        return 0;
    /* Also where something else could be taken instead: what root may not see is not absent. */
    return es_spot_redacted(ret) ? es_data_redacted(data, path, err) : 1;
}

/* Text at a spot; what is empty is as good as absent for a fact. */
static int take(const struct es_data *data, struct es_spot *spot, const char *what,
                struct es_buf *out, struct es_err *err)
{
    size_t before = out->len;
    int r;

    while (json_is_array(spot->value) && json_array_size(spot->value) > 0) {
        spot->value = json_array_get(spot->value, 0);
        spot->in_list = true;
    }
    if (json_is_null(spot->value) || json_is_array(spot->value))
        return 0;
    r = es_data_text(data, spot, what, out, err);
    return r < 0 ? r : out->len > before;
}

int es_cloud_take(const struct es_data *data, const char *const *paths, const char *what,
                  struct es_buf *out, struct es_err *err)
{
    for (; paths && *paths; paths++) {
        struct es_spot spot;
        int r = es_cloud_walk(data, *paths, &spot, err);

        if (r > 0)
            r = take(data, &spot, what, out, err);
        if (r != 0)
            return r;
    }
    return 0;
}

/* The first interface's addresses: interfaces are named by MAC, the first one's is in `mac`. */
static int ask_ec2(const struct es_data *data, const struct es_ref *ref, struct es_buf *out,
                   struct es_err *err)
{
    static const char *const leaves[ES_FACTS] = {
        [ES_FACT_PRIMARY_IPV4] = "local-ipv4s",
        [ES_FACT_PRIMARY_IPV6] = "ipv6s",
        [ES_FACT_PUBLIC_IPV4] = "public-ipv4s",
    };
    ES_CLEANUP(es_buf_done) struct es_buf mac = {0};
    struct es_spot spot;
    int r;

    if (!leaves[ref->fact])
        return 0;
    r = es_cloud_take(data, PATHS("ds.meta-data.mac"), "mac", &mac, err);
    if (r > 0)
        r = es_cloud_walk(data, "ds.meta-data.network.interfaces.macs", &spot, err);
    if (r > 0)
        r = es_spot_enter(&spot, mac.data, true, &spot) &&
            es_spot_enter(&spot, leaves[ref->fact], false, &spot);
    return r > 0 ? take(data, &spot, es_fact_names[ref->fact], out, err) : r;
}

/* The first network of the family that has an address of its own (with DHCP it has none). */
static int ask_networks(const struct es_data *data, const struct es_ref *ref, struct es_buf *out,
                        struct es_err *err)
{
    const char *what = es_fact_names[ref->fact];
    bool v4 = ref->fact == ES_FACT_PRIMARY_IPV4;
    struct es_spot networks;
    const json_t *network;
    size_t i;
    int r;

    if (!v4 && ref->fact != ES_FACT_PRIMARY_IPV6)
        return 0;
    r = es_cloud_walk(data, "ds.network-json.networks", &networks, err);
    if (r < 0)
        return r;
    json_array_foreach(r > 0 ? networks.value : NULL, i, network)
    {
        const char *type = json_string_value(json_object_get(network, "type"));
        struct es_spot spot = {.in_list = true, .value = json_object_get(network, "ip_address")};

        if (!spot.value || !type || strncmp(type, v4 ? "ipv4" : "ipv6", 4) != 0)
            continue;
        r = take(data, &spot, what, out, err);
        if (r != 0)
            return r;
    }
    return v4 ? es_cloud_take(data, PATHS("ds.ec2-metadata.local-ipv4"), what, out, err) : 0;
}

/* A list of {name, value}. */
static int ask_azure_tag(const struct es_data *data, const struct es_ref *ref, struct es_buf *out,
                         struct es_err *err)
{
    struct es_spot list;
    const json_t *tag;
    size_t i;
    int r = es_cloud_walk(data, "ds.meta-data.imds.compute.tagsList", &list, err);

    if (r <= 0)
        return r;
    json_array_foreach(list.value, i, tag)
    {
        const char *name = json_string_value(json_object_get(tag, "name"));
        struct es_spot spot = {.in_list = true, .value = json_object_get(tag, "value")};

        if (!name || !es_buf_is(&ref->tag, name) || !spot.value || json_is_null(spot.value))
            continue;
        r = es_data_text(data, &spot, es_buf_str(&ref->text), out, err);
        return r < 0 ? r : 1;
    }
    return 0;
}

static const struct es_cloud anywhere = {
    .paths =
        {
            [ES_FACT_REGION] = PATHS("v1.region"),
            [ES_FACT_ZONE] = PATHS("v1.availability-zone"),
            [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id"),
            [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname"),
        },
};

/* Found by cloud name first, then by platform: the EC2 datasource runs on clouds of other names. */
static const struct es_cloud clouds[] = {
    {
        .name = "aws",
        .paths =
            {
                [ES_FACT_PRIMARY_IPV4] = PATHS("ds.meta-data.local-ipv4"),
                [ES_FACT_PRIMARY_IPV6] = PATHS("ds.meta-data.ipv6"),
                [ES_FACT_PUBLIC_IPV4] = PATHS("ds.meta-data.public-ipv4"),
                [ES_FACT_REGION] =
                    PATHS("v1.region", "ds.dynamic.instance-identity.document.region"),
                [ES_FACT_ZONE] =
                    PATHS("v1.availability-zone", "ds.meta-data.placement.availability-zone"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.instance-id"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.local-hostname"),
            },
        .tags = PATHS("ds.meta-data.tags.instance"),
        .ask = ask_ec2,
    },
    {
        .name = "digitalocean",
        .paths =
            {
                /* A droplet without a private network is known by its public address. */
                [ES_FACT_PRIMARY_IPV4] = PATHS("ds.meta-data.interfaces.private[0].ipv4.ip_address",
                                               "ds.meta-data.interfaces.public[0].ipv4.ip_address"),
                [ES_FACT_PRIMARY_IPV6] = PATHS("ds.meta-data.interfaces.public[0].ipv6.ip_address"),
                [ES_FACT_PUBLIC_IPV4] = PATHS("ds.meta-data.interfaces.public[0].ipv4.ip_address"),
                [ES_FACT_ZONE] = PATHS("v1.availability-zone", "ds.meta-data.availability-zone"),
                [ES_FACT_REGION] = PATHS("v1.region"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.instance-id"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.local-hostname"),
            },
    },
    {
        .name = "configdrive",
        .paths =
            {
                [ES_FACT_ZONE] = PATHS("v1.availability-zone", "ds.meta-data.availability-zone"),
                [ES_FACT_REGION] = PATHS("v1.region"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.uuid"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.hostname"),
            },
        .tags = PATHS("ds.meta-data.meta"),
        .ask = ask_networks,
    },
    {
        .name = "gce",
        .paths =
            {
                [ES_FACT_ZONE] = PATHS("v1.availability-zone", "ds.meta-data.availability-zone"),
                [ES_FACT_REGION] = PATHS("v1.region"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.instance-id"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.local-hostname"),
            },
        .tags = PATHS("ds.meta-data.instance-data", "ds.meta-data.project-data"),
        .urls = true,
    },
    {
        .name = "azure",
        .paths =
            {
                [ES_FACT_PRIMARY_IPV4] = PATHS(
                    "ds.meta-data.imds.network.interface[0].ipv4.ipAddress[0].privateIpAddress"),
                [ES_FACT_PRIMARY_IPV6] = PATHS(
                    "ds.meta-data.imds.network.interface[0].ipv6.ipAddress[0].privateIpAddress"),
                [ES_FACT_PUBLIC_IPV4] = PATHS(
                    "ds.meta-data.imds.network.interface[0].ipv4.ipAddress[0].publicIpAddress"),
                [ES_FACT_REGION] = PATHS("v1.region", "ds.meta-data.imds.compute.location"),
                /* v1 has the fault domain there. */
                [ES_FACT_ZONE] = PATHS("ds.meta-data.imds.compute.zone"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.imds.compute.vmId"),
                [ES_FACT_HOSTNAME] =
                    PATHS("v1.local-hostname", "ds.meta-data.imds.compute.osProfile.computerName"),
            },
        .ask_tag = ask_azure_tag,
    },
    {
        .name = "openstack",
        .paths =
            {
                [ES_FACT_PUBLIC_IPV4] = PATHS("ds.ec2-metadata.public-ipv4"),
                [ES_FACT_ZONE] = PATHS("v1.availability-zone", "ds.meta-data.availability-zone"),
                [ES_FACT_REGION] = PATHS("v1.region"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.uuid"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.hostname"),
            },
        .tags = PATHS("ds.meta-data.meta"),
        .ask = ask_networks,
    },
    {
        .name = "oracle",
        .paths =
            {
                [ES_FACT_REGION] = PATHS("ds.canonicalRegionName", "v1.region"),
                [ES_FACT_ZONE] = PATHS("v1.availability-zone"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.id"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.hostname"),
            },
    },
    {
        .name = "hetzner",
        .paths =
            {
                [ES_FACT_PRIMARY_IPV4] = PATHS("ds.meta-data.private-networks[0].ip"),
                [ES_FACT_REGION] = PATHS("v1.region"),
                [ES_FACT_ZONE] = PATHS("v1.availability-zone"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.instance-id"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.local-hostname"),
            },
    },
    {
        /* Whatever the author of the seed wrote. */
        .name = "nocloud",
        .tags = PATHS("ds.meta-data.tags"), /* not last: gcc 11 would miss what follows it */
        .paths =
            {
                [ES_FACT_PRIMARY_IPV4] = PATHS("ds.meta-data.local-ipv4"),
                [ES_FACT_PUBLIC_IPV4] = PATHS("ds.meta-data.public-ipv4"),
                [ES_FACT_REGION] = PATHS("v1.region", "ds.meta-data.region"),
                [ES_FACT_ZONE] = PATHS("v1.availability-zone", "ds.meta-data.availability-zone"),
                [ES_FACT_INSTANCE_ID] = PATHS("v1.instance-id", "ds.meta-data.instance-id"),
                [ES_FACT_HOSTNAME] = PATHS("v1.local-hostname", "ds.meta-data.local-hostname"),
            },
    },
};

const struct es_cloud *es_cloud_find(const char *name, const char *platform)
{
    const char *names[] = {name, platform};

    for (size_t i = 0; i < 2; i++) {
        const char *known = strcmp(names[i], "ec2") == 0   ? "aws"
                            : strcmp(names[i], "lxd") == 0 ? "nocloud"
                                                           : names[i];

        for (size_t j = 0; j < sizeof clouds / sizeof *clouds; j++)
            if (strcmp(known, clouds[j].name) == 0)
                return &clouds[j];
    }
    return &anywhere;
}
