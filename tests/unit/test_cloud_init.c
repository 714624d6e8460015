/* providers/cloud-init: templates, and the provider as a whole. */
#include "../../providers/cloud-init/cloud-init.h"
#include "../../providers/cloud-init/facts.h"
#include "envsync/format.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* No answer of these tests comes from the machine they run on. */
bool es_local_address(int family, struct es_address *ret)
{
    (void)family;
    (void)ret;
    return false;
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
        {"${region:-${zone}}", "no other ${"},
        {"${tags.Name:-a${zone}}", "no other ${"},
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
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    struct es_err err;

    (void)state;
    assert_int_equal(es_provider_cloud_init.needs(&options, NULL, &needs, &err), 0);
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
        ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
        struct es_err err;

        assert_int_equal(es_provider_cloud_init.needs(&options, NULL, &needs, &err), 0);
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

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
