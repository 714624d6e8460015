/* worker/cloud.c: ${cloud.FACT} in the options of a source. */
#include "core_case.h"

#include "worker/cloud.h"

#include <sys/mman.h>

static const struct es_option options[] = {
    {.key = "bucket", .type = ES_OPT_STRING, .flags = ES_OPT_CLOUD},
    {.key = "names", .type = ES_OPT_STRINGS, .flags = ES_OPT_CLOUD},
    {.key = "endpoint", .type = ES_OPT_STRING},
    {0},
};

/* The key "x" of the data stands for any path into it. */
static int expand_with(const char *data, const char *bucket, struct es_value *table,
                       struct es_err *err)
{
    ES_CLEANUP(es_close) int fd = memfd_create("data", MFD_CLOEXEC);
    const struct es_file file = {.role = "data", .path = "data.json", .fd = fd};
    struct es_entry *entry;

    *err = (struct es_err){.msg = "nothing"};
    es_value_set_table(table);
    assert_int_equal(es_table_add(table, "bucket", 6, &entry), 0);
    assert_int_equal(es_value_set_string(&entry->value, bucket, strlen(bucket)), 0);
    if (!data)
        return es_cloud_expand(table, options, NULL, 0, err);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, strlen(data)), strlen(data));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return es_cloud_expand(table, options, &file, 1, err);
}

static const char aws[] = "{\"v1\": {\"region\": \"eu-west-1\", \"cloud_name\": \"aws\","
                          " \"instance_id\": \"i-1\"}, \"x\": \"a b\", \"up\": \"..\","
                          " \"slash\": \"a/b\", \"empty\": \"\", \"dot\": \".\","
                          "  \"at\": \"a@evil\", \"nl\": \"a\\n\"}";

static void assert_becomes(const char *data, const char *text, const char *expected)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err;

    if (expand_with(data, text, &table, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(es_buf_str(&es_table_get(&table, "bucket")->text), expected);
}

static void assert_fails(const char *data, const char *text, enum es_class class, const char *words)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_err err;

    if (expand_with(data, text, &table, &err) == 0)
        fail_msg("taken: %s", text);
    assert_int_equal(err.class, class);
    if (!strstr(err.msg, words) || strncmp(err.msg, "bucket: ", 8) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(es_buf_str(&es_table_get(&table, "bucket")->text), text);
}

static void facts_are_put_in(void **state)
{
    (void)state;
    assert_becomes(aws, "plain", "plain");
    assert_becomes(aws, "", "");
    assert_becomes(aws, "${cloud.region}", "eu-west-1");
    assert_becomes(aws, "conf-${cloud.region}-${cloud.instance_id}.x", "conf-eu-west-1-i-1.x");
    assert_becomes(aws, "${cloud.region}${cloud.region}", "eu-west-1eu-west-1");
    assert_becomes(aws, "$region ${region} $${x}", "$region ${region} $${x}");
}

static void a_default_stands_where_the_cloud_says_nothing(void **state)
{
    (void)state;
    assert_becomes(aws, "${cloud.tags.Environment:-prod}", "prod");
    assert_becomes(aws, "${cloud.region:-none}", "eu-west-1");
    assert_fails(aws, "${cloud.tags.Environment}", ES_INVALID, "tags.Environment");
}

static void without_instance_data_only_defaults_are_left(void **state)
{
    (void)state;
    assert_becomes(NULL, "no fact", "no fact");
    assert_becomes(NULL, "x-${cloud.region:-eu-west-1}", "x-eu-west-1");
    assert_fails(NULL, "${cloud.region}", ES_ABSENT, "there is no instance data");
}

static void what_is_no_plain_segment_is_refused(void **state)
{
    static const char *const names[] = {"x", "up", "slash", "empty", "dot", "at", "nl"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[64];

        snprintf(text, sizeof text, "p/${cloud.%s}/q", names[i]);
        assert_fails(aws, text, ES_INVALID, "no plain segment");
    }
    assert_fails(aws, "${cloud.nowhere:-..}", ES_INVALID, "no plain segment");
    assert_fails(aws, "${cloud.nowhere:-a/b}", ES_INVALID, "no plain segment");
}

static void data_with_a_nul_is_refused_as_a_whole(void **state)
{
    (void)state;
    assert_fails("{\"v1\": {\"region\": \"a\\u0000b\"}}", "${cloud.region}", ES_INVALID, "");
}

static void a_redacted_fact_is_denied_and_no_default_hides_it(void **state)
{
    static const char data[] =
        "{\"v1\": {}, \"secret\": \"redacted for non-root user\", \"sensitive_keys\": []}";

    (void)state;
    assert_fails(data, "${cloud.secret}", ES_DENIED, "secret");
    assert_fails(data, "${cloud.secret:-x}", ES_DENIED, "secret");
}

static void an_unclosed_one_is_refused(void **state)
{
    (void)state;
    assert_fails(aws, "${cloud.region", ES_INVALID, "not closed");
    assert_fails(aws, "${cloud.}", ES_CONFIG, "");
}

static void broken_data_is_refused_where_a_fact_is_wanted_and_only_there(void **state)
{
    (void)state;
    assert_becomes("{", "no fact", "no fact");
    assert_fails("{", "${cloud.region:-x}", ES_INVALID, "data.json");
}

/* Metadata never chooses a host. */
static void options_that_may_hold_none_are_left_as_they_are(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_entry *entry;
    struct es_err err;

    (void)state;
    es_value_set_table(&table);
    assert_int_equal(es_table_add(&table, "endpoint", 8, &entry), 0);
    assert_int_equal(es_value_set_string(&entry->value, "${cloud.region:-x}", 18), 0);
    assert_int_equal(es_cloud_expand(&table, options, NULL, 0, &err), 0);
    assert_string_equal(es_buf_str(&es_table_get(&table, "endpoint")->text), "${cloud.region:-x}");
}

static void every_element_of_a_list_is_expanded(void **state)
{
    ES_CLEANUP(es_value_done) struct es_value table = {0};
    struct es_entry *entry;
    struct es_value *item;
    struct es_err err;

    (void)state;
    es_value_set_table(&table);
    assert_int_equal(es_table_add(&table, "names", 5, &entry), 0);
    es_value_set_list(&entry->value);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(es_list_add(&entry->value, &item), 0);
        assert_int_equal(es_value_set_string(item, "/${cloud.region:-x}/a", 21), 0);
    }
    assert_int_equal(es_cloud_expand(&table, options, NULL, 0, &err), 0);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(es_buf_str(&es_table_get(&table, "names")->list.items[i].text), "/x/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_put_in),
        cmocka_unit_test(a_default_stands_where_the_cloud_says_nothing),
        cmocka_unit_test(without_instance_data_only_defaults_are_left),
        cmocka_unit_test(what_is_no_plain_segment_is_refused),
        cmocka_unit_test(data_with_a_nul_is_refused_as_a_whole),
        cmocka_unit_test(a_redacted_fact_is_denied_and_no_default_hides_it),
        cmocka_unit_test(an_unclosed_one_is_refused),
        cmocka_unit_test(broken_data_is_refused_where_a_fact_is_wanted_and_only_there),
        cmocka_unit_test(options_that_may_hold_none_are_left_as_they_are),
        cmocka_unit_test(every_element_of_a_list_is_expanded),
    };

    return cmocka_run_group_tests_name("cloud", tests, NULL, NULL);
}
