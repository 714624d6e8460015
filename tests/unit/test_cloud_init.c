/* providers/cloud-init. The address of a local interface is what these tests say it is. */
#include "../../providers/cloud-init/cloud-init.h"
#include "../../providers/cloud-init/facts.h"
#include "envsync/format.h"
#include "envsync/limits.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char *local_v4, *local_v6;

bool es_local_address(int family, struct es_address *ret)
{
    const char *text = family == AF_INET ? local_v4 : local_v6;

    if (text)
        snprintf(ret->text, sizeof ret->text, "%s", text);
    return text;
}

static int no_interface(void **state)
{
    (void)state;
    local_v4 = local_v6 = NULL;
    return 0;
}

/* ---- facts ---- */

static struct es_facts *load(const char *vector)
{
    struct es_facts *facts = NULL;
    struct es_err err = {0};
    char name[100];
    int fd;

    snprintf(name, sizeof name, "instance-data/%s.json", vector);
    fd = fake_vector(name);
    if (es_facts_read(fd, "data.json", &facts, &err) < 0)
        fail_msg("%s: %s", vector, err.msg);
    close(fd);
    return facts;
}

static void check(const struct es_facts *facts, const char *name, const char *expected)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err = {0};
    int r = es_facts_get(facts, name, &text, &err);

    if (!expected) {
        if (r != -ENOENT)
            fail_msg("%s is not absent: %d %s", name, r, r < 0 ? err.msg : "");
        assert_int_equal(err.class, ES_INVALID);
        assert_non_null(strstr(err.msg, name));
        assert_non_null(strstr(err.msg, "data.json"));
        assert_int_equal(text.len, 0);
        return;
    }
    if (r < 0)
        fail_msg("%s: %s", name, err.msg);
    assert_string_equal(es_buf_str(&text), expected);
}

/* What a cloud says: NULL where it does not. */
struct cloud {
    const char *vector;
    const char *primary_ipv4, *primary_ipv6, *public_ipv4, *region, *zone, *instance_id, *hostname,
        *cloud;
};

static void check_cloud(const struct cloud *cloud)
{
    struct es_facts *facts = load(cloud->vector);

    check(facts, "primary_ipv4", cloud->primary_ipv4);
    check(facts, "primary_ipv6", cloud->primary_ipv6);
    check(facts, "public_ipv4", cloud->public_ipv4);
    check(facts, "region", cloud->region);
    check(facts, "zone", cloud->zone);
    check(facts, "instance_id", cloud->instance_id);
    check(facts, "hostname", cloud->hostname);
    check(facts, "cloud", cloud->cloud);
    es_facts_free(facts);
}

static void check_tag(const char *vector, const char *name, const char *expected)
{
    struct es_facts *facts = load(vector);

    check(facts, name, expected);
    es_facts_free(facts);
}

static void facts_of_aws(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"aws", "172.3.3.15", "2600:1f16:aeb:b20b:9d87:a4af:5cc9:73dc",
                                "13.59.77.202", "us-east-2", "us-east-2b", "i-0a33f80f09c96477f",
                                "ip-172-3-3-15", "aws"});
    check_tag("aws", "tags.Environment", "production");
    check_tag("aws", "tags.TagWithoutValue", "");
    check_tag("aws", "tags.aws:autoscaling:groupName", "web.blue");
    check_tag("aws", "tags.\"aws:autoscaling:groupName\"", "web.blue");
    check_tag("aws", "tags.Absent", NULL);
}

static void the_name_of_a_tag_is_taken_exactly(void **state)
{
    (void)state;
    check_tag("aws", "tags.Team-Name", "core");
    check_tag("aws", "tags.Team_Name", NULL);
    check_tag("aws", "tags.environment", NULL);
}

static void facts_of_aws_where_leaves_are_lists_and_v1_is_empty(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"aws-lists", "172.31.44.13", "2600:1f16:292:100:c187:593c:4349:136",
                                "18.218.219.181", "us-east-2", "us-east-2b", "i-0a33f80f09c96477f",
                                "ip-172-3-3-15", "aws"});
    check_tag("aws-lists", "tags.Environment", NULL);
}

static void facts_of_aws_with_underscores(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"aws-2020", "172.31.81.43", NULL, "3.89.187.177", "us-east-1",
                                "us-east-1b", "i-0929128ff2f73a2f1", "ip-172-31-81-43", "aws"});
}

static void facts_of_digitalocean(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"digitalocean", "10.132.6.205",
                                "2604:A880:0800:0000:1000:0000:0000:0000", "192.0.0.20", NULL,
                                "nyc3", "22532410", "utl-96268", "digitalocean"});
    check_tag("digitalocean", "tags.any", NULL);
    check_tag("digitalocean", "ds.meta_data.interfaces.public[0].anchor_ipv4.ip_address",
              "10.0.0.5");
}

static void facts_of_digitalocean_without_a_private_network(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"digitalocean-public", "45.55.249.133", NULL, "45.55.249.133", NULL,
                                "nyc3", "27223699", "smtest1", "digitalocean"});
}

static void facts_of_configdrive(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"configdrive", "2.2.2.10", "fdb8:52d0:9d14:0:f816:3eff:fe9f:70d",
                                NULL, NULL, "nova", "b0fa911b-69d4-4476-bbe2-1c92bff6535c",
                                "sm-foo-test", "configdrive"});
}

static void facts_of_openstack(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"openstack", "2.2.2.10", "fdb8:52d0:9d14:0:f816:3eff:fe9f:70d",
                                "203.0.113.9", NULL, "nova", "b0fa911b-69d4-4476-bbe2-1c92bff6535c",
                                "sm-foo-test", "openstack"});
    check_tag("openstack", "tags.my-meta", "my-value");
}

static void facts_of_openstack_with_dhcp_come_from_its_ec2_metadata(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"openstack-dhcp", "10.20.0.7", NULL, "203.0.113.9", NULL, "nova",
                                "b0fa911b-69d4-4476-bbe2-1c92bff6535c", "sm-foo-test",
                                "openstack"});
}

static void facts_of_gce(void **state)
{
    (void)state;
    local_v4 = "10.128.0.2";
    check_cloud(&(struct cloud){"gce", "10.128.0.2", NULL, NULL, "us-central1", "us-central1-a",
                                "1234567890", "web-1", "gce"});
    check_tag("gce", "tags.role", "web");
    check_tag("gce", "tags.team", "blue");
}

static void facts_of_gce_where_zone_and_region_are_paths(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"gce-urls", NULL, NULL, NULL, "us-central1", "us-central1-a",
                                "1234567890", "web-1", "gce"});
}

static void facts_of_azure(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"azure", "10.0.0.4", NULL, "104.46.124.81", "eastus2", "2",
                                "50109936-ef07-47fe-ac82-890c853f60d5", "hostname1", "azure"});
    check_tag("azure", "tags.Environment", "prod");
    check_tag("azure", "tags.cost.center", "42");
    check_tag("azure", "tags.cost", NULL);
}

static void facts_of_azure_without_zone_and_v1(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"azure-no-zone", "10.0.0.4", "2001:db8:0:8d3:0:8d3::4",
                                "104.46.124.81", "eastus2", NULL,
                                "ff702a6b-cb6a-4fcd-ad68-b4ce38227642", "hostname1", "azure"});
}

static void facts_of_nocloud(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"nocloud", "192.0.2.17", NULL, NULL, "cellar", NULL, "nocloud",
                                "me", "nocloud"});
    check_tag("nocloud", "tags.role", "lab");
}

static void facts_where_there_is_next_to_nothing(void **state)
{
    (void)state;
    check_cloud(
        &(struct cloud){"nocloud-bare", NULL, NULL, NULL, NULL, NULL, "iid-local01", "me", "lxd"});
    check_cloud(&(struct cloud){"lxd", NULL, NULL, NULL, NULL, NULL, "my-lxc", "my-lxc", "lxd"});
}

static void facts_of_oracle(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"oracle", NULL, NULL, NULL, "us-phoenix-1", "phx-ad-3",
                                "ocid1.instance.oc1.phx.truncated", "instance-20200320-1400",
                                "oracle"});
}

static void facts_of_hetzner(void **state)
{
    (void)state;
    check_cloud(&(struct cloud){"hetzner", "10.1.0.2", NULL, NULL, NULL, NULL, "123456",
                                "cloudinit-test", "hetzner"});
    local_v4 = "203.0.113.80";
    check_cloud(&(struct cloud){"hetzner-public", "203.0.113.80", NULL, NULL, NULL, NULL, "123456",
                                "cloudinit-test", "hetzner"});
}

static void an_unknown_cloud_has_what_v1_says_and_no_more(void **state)
{
    (void)state;
    check_cloud(
        &(struct cloud){"elsewhere", NULL, NULL, NULL, "ewr", NULL, "id-1", "box", "vultr"});
}

static void where_the_data_has_no_address_the_local_interface_is_asked(void **state)
{
    (void)state;
    local_v4 = "198.51.100.4";
    local_v6 = "2001:db8::4";
    check_cloud(&(struct cloud){"oracle", "198.51.100.4", "2001:db8::4", NULL, "us-phoenix-1",
                                "phx-ad-3", "ocid1.instance.oc1.phx.truncated",
                                "instance-20200320-1400", "oracle"});
    check_tag("aws", "primary_ipv4", "172.3.3.15");
}

/* ---- data that is made for the test ---- */

static int get(const char *json, const char *name, struct es_buf *out, struct es_err *err)
{
    struct es_facts *facts = NULL;
    int r = es_facts_load(json, strlen(json), "/run/x/data.json", &facts, err);

    if (r == 0)
        r = es_facts_get(facts, name, out, err);
    es_facts_free(facts);
    return r;
}

static void check_error(const char *json, const char *name, enum es_class class, const char *part)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err = {0};

    if (get(json, name, &text, &err) >= 0)
        fail_msg("%s is not refused: %s", name, es_buf_str(&text));
    assert_int_equal(err.class, class);
    if (!strstr(err.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
    assert_null(strstr(err.msg, "hunter2"));
    assert_int_equal(text.len, 0);
}

static void an_address_that_is_none_is_refused(void **state)
{
    (void)state;
    check_error("{\"v1\": {\"cloud_name\": \"aws\"}, \"ds\": {\"meta-data\": {\"local-ipv4\": "
                "\"hunter2\"}}}",
                "primary_ipv4", ES_INVALID, "primary_ipv4 is no IPv4 address");
    check_error("{\"v1\": {\"cloud_name\": \"aws\"}, \"ds\": {\"meta-data\": {\"ipv6\": "
                "\"10.0.0.1\"}}}",
                "primary_ipv6", ES_INVALID, "primary_ipv6 is no IPv6 address");
    check_error("{\"v1\": {\"cloud_name\": \"aws\"}, \"ds\": {\"meta-data\": {\"public-ipv4\": "
                "\"10.0.0.1\\u0000hunter2\"}}}",
                "public_ipv4:-x", ES_INVALID, "public_ipv4 is no IPv4 address");
}

static void a_redacted_fact_is_denied_even_where_another_place_has_it(void **state)
{
    (void)state;
    check_error("{\"v1\": {\"cloud_name\": \"aws\", \"region\": \"redacted for non-root user\"}, "
                "\"ds\": {\"dynamic\": {\"instance-identity\": {\"document\": {\"region\": "
                "\"x\"}}}}}",
                "region:-y", ES_DENIED, "v1.region is redacted");
}

static void what_is_no_instance_data_is_refused_with_its_place(void **state)
{
    char deep[400] = "{\"a\": ";

    (void)state;
    check_error("", "cloud", ES_INVALID, "/run/x/data.json:1:0: ");
    check_error("[1]", "cloud", ES_INVALID, "not a JSON object");
    check_error("{\"a\": 1,\n\"a\": \"hunter2\"}", "cloud", ES_INVALID, "data.json:2:");
    check_error("{\"a\": 1,\n\"a\": \"hunter2\"}", "cloud", ES_INVALID, "twice in one table");
    check_error("{\"a\": \"hunter2", "cloud", ES_INVALID, "data.json:1:");
    check_error("{\"a\": 1} hunter2", "cloud", ES_INVALID, "behind the end");
    check_error("{\"a\": \"\xff hunter2\"}", "cloud", ES_INVALID, "UTF-8");
    check_error("{\"v1\": {\"cloud_name\": [[{}]]}}", "cloud", ES_INVALID, "is a table");
    memset(deep + 6, '[', 64);
    memset(deep + 70, ']', 64);
    memcpy(deep + 134, "}", 2);
    check_error(deep, "cloud", ES_INVALID, "nested deeper than 64");
}

static void data_at_the_limit_of_depth_is_read(void **state)
{
    char deep[400] = "{\"a\": ";
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_err err = {0};

    (void)state;
    memset(deep + 6, '[', 63);
    memset(deep + 69, ']', 63);
    memcpy(deep + 132, "}", 2);
    assert_int_equal(get(deep, "cloud:-none", &text, &err), 0);
    assert_string_equal(es_buf_str(&text), "none");
}

static void data_over_the_limit_is_refused(void **state)
{
    char *text = malloc(ES_MAX_INSTANCE_DATA + 1);
    struct es_facts *facts = NULL;
    struct es_err err = {0};
    int fd;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', ES_MAX_INSTANCE_DATA + 1);
    memcpy(text, "{}", 2);
    fd = fake_file(text, ES_MAX_INSTANCE_DATA + 1);
    assert_int_equal(es_facts_read(fd, "data.json", &facts, &err), -EFBIG);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg, "data.json is larger than 8 MiB");
    assert_int_equal(ftruncate(fd, ES_MAX_INSTANCE_DATA), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(es_facts_read(fd, "data.json", &facts, &err), 0);
    es_facts_free(facts);
    close(fd);
    free(text);
}

/* ---- templates ---- */

static int expand(const char *vector, const char *text, struct es_buf *out, struct es_err *err)
{
    ES_CLEANUP(es_template_done) struct es_template template = {0};
    struct es_facts *facts = load(vector);
    int r = es_template_parse(text, &template, err);

    if (r == 0)
        r = es_facts_expand(facts, &template, out, err);
    es_facts_free(facts);
    return r;
}

static void check_text(const char *vector, const char *text, const char *expected)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err = {0};

    if (expand(vector, text, &out, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(es_buf_str(&out), expected);
}

static void check_refused(const char *vector, const char *text, enum es_class class,
                          const char *part)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err = {0};

    if (expand(vector, text, &out, &err) >= 0)
        fail_msg("%s is not refused", text);
    assert_int_equal(err.class, class);
    if (!strstr(err.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
    assert_int_equal(out.len, 0);
}

static void text_around_references_is_kept(void **state)
{
    (void)state;
    check_text("aws", "", "");
    check_text("aws", "name", "name");
    check_text("aws", "foo@${primary_ipv4}", "foo@172.3.3.15");
    check_text("aws", "${region}/${zone}!", "us-east-2/us-east-2b!");
    check_text("aws", "$${region}", "${region}");
    check_text("aws", "$$${region}", "$${region}");
    check_text("aws", "a$b$$c}$", "a$b$$c}$");
}

static void paths_are_written_as_in_jq_or_as_in_the_documentation(void **state)
{
    (void)state;
    check_text("aws", "${ds.meta-data.local-ipv4}", "172.3.3.15");
    check_text("aws", "${.ds.\"meta-data\".\"local-ipv4\"}", "172.3.3.15");
    check_text("aws", "${ds.'meta-data'.'local-ipv4'}", "172.3.3.15");
    check_text("aws", "${ds.meta_data.local_ipv4}", "172.3.3.15");
    check_text("aws-2020", "${ds.meta-data.local-ipv4}", "172.31.81.43");
    check_text("aws", "${ds.meta_data.network.interfaces.macs.06:17:04:d7:26:09.local_ipv4s}",
               "172.3.3.15");
    check_text("aws", "${availability_zone}", "us-east-2b");
    check_text("aws", "${.region}", "us-east-2");
    check_text("aws", "${v1.availability-zone}", "us-east-2b");
}

static void an_index_takes_a_list_or_the_one_that_stands_for_it(void **state)
{
    (void)state;
    check_text("aws-lists",
               "${ds.meta_data.network.interfaces.macs.\"0a:07:84:3d:6e:38\".local_ipv4s[1]}",
               "172.31.45.70");
    check_text("aws",
               "${ds.meta_data.network.interfaces.macs.\"06:17:04:d7:26:09\".local_ipv4s[0]}",
               "172.3.3.15");
    check_text("forms", "${ds.meta_data.list[1][0]}", "2");
    check_text("forms", "${ds.meta_data.list[2].k}", "v");
    check_refused("forms", "${ds.meta_data.list[3]}", ES_INVALID, "is not in data.json");
    check_refused("forms", "${ds.meta_data.table[0]}", ES_INVALID, "is not in data.json");
    check_refused("forms", "${ds.meta_data.table.x[1]}", ES_INVALID, "is not in data.json");
}

static void a_name_as_written_comes_before_its_other_forms(void **state)
{
    (void)state;
    check_text("forms", "${ds.meta_data.a-b}", "hyphen");
    check_text("forms", "${ds.meta_data.a_b}", "underscore");
    check_text("forms", "${ds.meta_data.a-b-c}", "mixed");
    check_text("forms", "${ds.meta_data.a_b_c}", "mixed");
    check_text("forms", "${ds.meta_data.only_hyphen}", "h");
    check_text("forms", "${ds.meta-data.only-under}", "u");
    check_refused("forms", "${ds.meta-data.only}", ES_INVALID, "is not in");
}

static void quotes_carry_any_name(void **state)
{
    (void)state;
    check_text("forms", "${ds.meta_data.\"dots.in it\"}", "dotted");
    check_text("forms", "${ds.meta_data.\"quote\\\"d\"}", "q");
    check_text("forms", "${ds.meta_data.'quote\"d'}", "q");
    check_text("forms", "${ds.meta_data.\"brace}\"}", "b");
    check_text("forms", "${ds.meta_data.ünï}", "utf8");
}

static void scalars_are_written_in_their_shortest_exact_form(void **state)
{
    (void)state;
    check_text("forms", "${ds.meta_data.integer}", "-42");
    check_text("forms", "${ds.meta_data.big}", "9007199254740993");
    check_text("forms", "${ds.meta_data.float}", "0.1");
    check_text("forms", "${ds.meta_data.whole}", "2.0");
    check_text("forms", "${ds.meta_data.tiny}", "1e-07");
    check_text("forms", "${ds.meta_data.yes} ${ds.meta_data.no}", "true false");
    check_text("forms", "${ds.meta_data.empty}", "");
    check_text("forms", "${ds.meta_data.newline}", "a\nb");
}

static void a_nul_byte_of_the_data_is_not_lost(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(expand("forms", "${ds.meta_data.nul}", &out, &err), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 3);
}

static void a_default_stands_for_what_is_missing_or_null(void **state)
{
    (void)state;
    check_text("forms", "${ds.meta_data.absent:-none}", "none");
    check_text("forms", "${ds.meta_data.nothing:-none}", "none");
    check_text("forms", "${ds.meta_data.absent:-}", "");
    check_text("forms", "${ds.meta_data.absent:-a:-b.\"c\"[0]}", "a:-b.\"c\"[0]");
    check_text("forms", "${ds.meta_data.integer.x:-none}", "none");
    check_text("forms", "${ds.meta_data.empty:-none}", "");
    check_text("forms", "${region:-nowhere}", "nowhere");
    check_text("forms", "${tags.A:-b}", "b");
    check_text("forms", "${tags.\"A:-b\":-c}", "c");
    check_text("aws", "${tags.Environment:-none}", "production");
    check_refused("forms", "${ds.meta_data.nothing}", ES_INVALID,
                  "ds.meta_data.nothing is not in data.json; give a default with :-");
}

static void lists_and_tables_are_no_text(void **state)
{
    (void)state;
    check_refused("forms", "${ds.meta_data.list}", ES_INVALID, "meets a list of 3");
    check_refused("forms", "${ds.meta_data.list}", ES_INVALID, "add [0]");
    check_refused("forms", "${ds.meta_data.list.k}", ES_INVALID, "add [0]");
    check_refused("forms", "${ds.meta_data.table:-x}", ES_INVALID, "is a table");
}

static void a_template_that_is_wrong_is_found_without_data(void **state)
{
    static const char *const wrong[][2] = {
        {"${region", "closing brace"},
        {"a ${ds.x:-y", "closing brace"},
        {"${", "missing"},
        {"${}", "missing"},
        {"${:-x}", "missing"},
        {"${.}", "empty"},
        {"${ds..x}", "empty"},
        {"${ds.}", "empty"},
        {"${..ds}", "empty"},
        {"${[0]}", "empty"},
        {"${ds[]}", "number from 0"},
        {"${ds[-1]}", "number from 0"},
        {"${ds[x]}", "number from 0"},
        {"${ds[1}", "number from 0"},
        {"${ds[123456]}", "number from 0"},
        {"${ds[0]x}", "a dot is missing"},
        {"${ds.\"x\"y}", "a dot is missing"},
        {"${ds.\"x}", "quote is not closed"},
        {"${ds.'x}", "quote is not closed"},
        {"${ds.x y}", "must stand in quotes"},
        {"${ds.${x}}", "must stand in quotes"},
        {"${tags}", "tags needs a name"},
        {"${tags.}", "tags needs a name"},
        {"${tags.:-x}", "tags needs a name"},
        {"${tags.\"\"}", "tags needs a name"},
        {"${tags.\"x\".y}", "only a default"},
        {"${ds.a\nb}", "control character"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ES_CLEANUP(es_template_done) struct es_template template = {0};
        struct es_err err = {0};

        if (es_template_parse(wrong[i][0], &template, &err) >= 0)
            fail_msg("%s is not refused", wrong[i][0]);
        assert_int_equal(err.class, ES_CONFIG);
        if (!strstr(err.msg, wrong[i][1]) || strchr(err.msg, '\n'))
            fail_msg("%s: \"%s\" does not say \"%s\"", wrong[i][0], err.msg, wrong[i][1]);
        assert_int_equal(template.n, 0);
    }
}

static void a_path_of_64_parts_is_the_longest(void **state)
{
    ES_CLEANUP(es_ref_done) struct es_ref ref = {0};
    char text[2 * 65 + 1];
    struct es_err err = {0};

    (void)state;
    for (size_t i = 0; i < 65; i++)
        memcpy(text + 2 * i, "a.", 2);
    text[2 * 64 - 1] = '\0';
    assert_int_equal(es_ref_parse(text, &ref, &err), 0);
    assert_int_equal(ref.n_steps, 64);
    text[2 * 64 - 1] = '.';
    text[2 * 65 - 1] = '\0';
    assert_true(es_ref_parse(text, &ref, &err) < 0);
    assert_int_equal(err.class, ES_CONFIG);
}

static void base64_is_decoded_where_the_data_says_so(void **state)
{
    ES_CLEANUP(es_buf_done) struct es_buf out = {0};
    struct es_err err = {0};

    (void)state;
    check_text("base64", "${ds.meta_data.key}", "hello world");
    check_text("base64", "${ds.meta-data.key}", "hello world");
    check_text("base64", "${ds.meta_data.plain}", "aGVsbG8=");
    check_text("base64", "${ds.meta_data.list[0]}", "aGVsbG8=");
    check_text("base64", "${ds.meta_data.empty}", "");
    assert_int_equal(expand("base64", "${ds.meta_data.marked}", &out, &err), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "\xff\0\xfe", 3);
    check_refused("base64", "${ds.meta_data.bad}", ES_INVALID, "is not valid base64");
    check_refused("base64", "${ds.meta_data.loose}", ES_INVALID, "is not valid base64");
}

static void a_redacted_value_is_denied_and_no_default_hides_it(void **state)
{
    (void)state;
    check_refused("redacted", "${userdata:-x}", ES_DENIED, "userdata is redacted in data.json");
    check_refused("redacted", "${userdata}", ES_DENIED, "data-sensitive.json");
    check_refused("redacted", "${ds.meta-data.iam.security-credentials.role-one.Code:-x}",
                  ES_DENIED, "is redacted");
    check_refused("redacted", "${merged_cfg.list[0]:-x}", ES_DENIED, "is redacted");
    check_text("redacted", "${primary_ipv4}", "172.3.3.15");
}

/* ---- the provider ---- */

static void instance_data_is_needed_and_its_sensitive_twin_welcome(void **state)
{
    struct es_cloud_init_options options = {.path = (char *)"/run/x/data.json"};
    struct es_needs needs = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_provider_cloud_init.needs(&options, &needs, &err), 0);
    assert_int_equal(needs.n, 2);
    assert_string_equal(needs.items[0].role, "data");
    assert_string_equal(needs.items[0].path, "/run/x/data.json");
    assert_int_equal(needs.items[0].flags, 0);
    assert_string_equal(needs.items[0].wait->what, "cloud-init");
    assert_string_equal(needs.items[0].wait->begun[0], "status.json");
    assert_string_equal(needs.items[0].wait->begun[1], "enabled");
    assert_null(needs.items[0].wait->begun[2]);
    assert_string_equal(needs.items[0].wait->over, "result.json");
    assert_string_equal(needs.items[1].role, "sensitive");
    assert_string_equal(needs.items[1].path, "/run/x/data-sensitive.json");
    assert_int_equal(needs.items[1].flags, ES_NEED_OPTIONAL);
    assert_null(needs.items[1].wait);
}

static void the_sensitive_file_itself_has_no_twin(void **state)
{
    static const char *const paths[] = {"/run/x/data-sensitive.json", "/run/x/data"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct es_cloud_init_options options = {.path = (char *)paths[i]};
        struct es_needs needs = {0};
        struct es_err err;

        assert_int_equal(es_provider_cloud_init.needs(&options, &needs, &err), 0);
        assert_int_equal(needs.n, 1);
    }
}

/* Options as a user would type them. */
static void parse_options(const char *text, struct es_cloud_init_options *options)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err = {0};

    if (es_format_toml.read(text, strlen(text), &table, &err) < 0 ||
        es_options_parse(es_provider_cloud_init.options, &table, "c.toml", options, &err) < 0)
        fail_msg("%s", err.msg);
}

static void clear_options(struct es_cloud_init_options *options)
{
    es_options_clear(es_provider_cloud_init.options, options);
}

static void the_options_have_cloud_inits_own_path_as_default(void **state)
{
    ES_CLEANUP(clear_options) struct es_cloud_init_options options = {0};
    struct es_err err;

    (void)state;
    parse_options("[keys]\nA = 'x'\n'b.c' = '${region}'\n", &options);
    assert_string_equal(options.path, "/run/cloud-init/instance-data.json");
    assert_int_equal(options.keys.n, 2);
    assert_int_equal(es_provider_cloud_init.validate(&options, &err), 0);
}

static void a_wrong_key_or_template_is_told_by_its_name(void **state)
{
    static const char *const wrong[][2] = {
        {"[keys]\nGOOD = ''\nBAD = '${region'\n", "keys.BAD: \"${region\": "},
        {"[keys]\n'a..b' = 'x'\n", "keys: "},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        ES_CLEANUP(clear_options) struct es_cloud_init_options options = {0};
        struct es_err err = {0};

        parse_options(wrong[i][0], &options);
        assert_true(es_provider_cloud_init.validate(&options, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
        assert_ptr_equal(strstr(err.msg, wrong[i][1]), err.msg);
    }
}

static int fetch(const char *text, bool twin, struct es_sink *sink, struct es_err *err)
{
    ES_CLEANUP(clear_options) struct es_cloud_init_options options = {0};
    struct es_file files[] = {
        {"data", "/run/x/data.json", fake_vector("instance-data/redacted.json")},
        {"sensitive", "/run/x/data-sensitive.json",
         fake_vector("instance-data/redacted-sensitive.json")},
    };
    struct es_fetch job = {
        .state = &options, .files = files, .n_files = twin ? 2 : 1, .sink = sink};
    int r;

    parse_options(text, &options);
    r = es_fetch_cloud_init(&job, err);
    close(files[0].fd);
    close(files[1].fd);
    return r;
}

static void every_key_becomes_a_record_of_the_file_that_was_read(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    const struct es_record *record;
    struct es_err err;

    (void)state;
    assert_int_equal(
        fetch("[keys]\nNODE = 'foo@${primary_ipv4}'\n'a.b' = 'x'\n", false, &sink, &err), 0);
    assert_int_equal(sink.n, 2);
    record = fake_sink_get(&sink, "NODE");
    assert_true(es_buf_is(&record->value.text, "foo@172.3.3.15"));
    assert_int_equal(record->value.type, ES_STRING);
    assert_true(record->verbatim);
    assert_true(es_buf_is(&record->object, "/run/x/data.json"));
    assert_int_equal(record->version.len, strlen("2026-01-02T03:04:05Z"));
    assert_true(es_buf_is(&fake_sink_get(&sink, "a.b")->value.text, "x"));
}

static void the_sensitive_file_is_read_where_it_was_handed_over(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};
    const char *keys = "[keys]\nCODE = '${ds.meta-data.iam.security-credentials.role-one.Code}'\n";

    (void)state;
    assert_int_equal(fetch(keys, true, &sink, &err), 0);
    assert_true(es_buf_is(&fake_sink_get(&sink, "CODE")->value.text, "Success"));
    assert_true(es_buf_is(&fake_sink_get(&sink, "CODE")->object, "/run/x/data-sensitive.json"));
    assert_int_equal(fetch(keys, false, &sink, &err), -EACCES);
    assert_int_equal(err.class, ES_DENIED);
    assert_ptr_equal(strstr(err.msg, "CODE: ds.meta-data.iam"), err.msg);
    assert_non_null(strstr(err.msg, "/run/x/data-sensitive.json"));
}

static void what_is_missing_names_key_path_and_file(void **state)
{
    ES_CLEANUP(fake_sink_done) struct es_sink sink = {0};
    struct es_err err = {0};

    (void)state;
    assert_true(fetch("[keys]\nA = 'x'\nB = '${ds.nowhere}'\n", false, &sink, &err) < 0);
    assert_int_equal(err.class, ES_INVALID);
    assert_string_equal(err.msg,
                        "B: ds.nowhere is not in /run/x/data.json; give a default with :-");
}

static void without_a_file_the_source_is_absent(void **state)
{
    struct es_cloud_init_options options = {.path = (char *)"/run/x/data.json"};
    struct es_fetch job = {.state = &options};
    struct es_err err = {0};

    (void)state;
    assert_int_equal(es_fetch_cloud_init(&job, &err), -ENOENT);
    assert_int_equal(err.class, ES_ABSENT);
}

#define TEST(f) cmocka_unit_test_setup(f, no_interface)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(facts_of_aws),
        TEST(the_name_of_a_tag_is_taken_exactly),
        TEST(facts_of_aws_where_leaves_are_lists_and_v1_is_empty),
        TEST(facts_of_aws_with_underscores),
        TEST(facts_of_digitalocean),
        TEST(facts_of_digitalocean_without_a_private_network),
        TEST(facts_of_configdrive),
        TEST(facts_of_openstack),
        TEST(facts_of_openstack_with_dhcp_come_from_its_ec2_metadata),
        TEST(facts_of_gce),
        TEST(facts_of_gce_where_zone_and_region_are_paths),
        TEST(facts_of_azure),
        TEST(facts_of_azure_without_zone_and_v1),
        TEST(facts_of_nocloud),
        TEST(facts_where_there_is_next_to_nothing),
        TEST(facts_of_oracle),
        TEST(facts_of_hetzner),
        TEST(an_unknown_cloud_has_what_v1_says_and_no_more),
        TEST(where_the_data_has_no_address_the_local_interface_is_asked),
        TEST(an_address_that_is_none_is_refused),
        TEST(a_redacted_fact_is_denied_even_where_another_place_has_it),
        TEST(what_is_no_instance_data_is_refused_with_its_place),
        TEST(data_at_the_limit_of_depth_is_read),
        TEST(data_over_the_limit_is_refused),
        TEST(text_around_references_is_kept),
        TEST(paths_are_written_as_in_jq_or_as_in_the_documentation),
        TEST(an_index_takes_a_list_or_the_one_that_stands_for_it),
        TEST(a_name_as_written_comes_before_its_other_forms),
        TEST(quotes_carry_any_name),
        TEST(scalars_are_written_in_their_shortest_exact_form),
        TEST(a_nul_byte_of_the_data_is_not_lost),
        TEST(a_default_stands_for_what_is_missing_or_null),
        TEST(lists_and_tables_are_no_text),
        TEST(a_template_that_is_wrong_is_found_without_data),
        TEST(a_path_of_64_parts_is_the_longest),
        TEST(base64_is_decoded_where_the_data_says_so),
        TEST(a_redacted_value_is_denied_and_no_default_hides_it),
        TEST(instance_data_is_needed_and_its_sensitive_twin_welcome),
        TEST(the_sensitive_file_itself_has_no_twin),
        TEST(the_options_have_cloud_inits_own_path_as_default),
        TEST(a_wrong_key_or_template_is_told_by_its_name),
        TEST(every_key_becomes_a_record_of_the_file_that_was_read),
        TEST(the_sensitive_file_is_read_where_it_was_handed_over),
        TEST(what_is_missing_names_key_path_and_file),
        TEST(without_a_file_the_source_is_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
