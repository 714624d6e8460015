/* providers/cloud-init/{data,clouds,facts}.c: facts on every cloud. The address of a local
 * interface is what these tests say it is. */
#include "../../providers/cloud-init/facts.h"
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
