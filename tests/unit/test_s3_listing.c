/* providers/s3: listings, what is taken of them, and what is none */
#include "s3_case.h"

static void all_pages_are_listed(void **state)
{
    FILL({.key = "prod/a", .body = "1"}, {.key = "prod/b", .body = "2"},
         {.key = "prod/c", .body = "3"}, {.key = "prod/d", .body = "4"},
         {.key = "prod/e", .body = "5"});
    WORLD(w, NULL, "**");

    (void)state;
    bucket.page = 2;
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_aws_count("ListObjectsV2"), 3);
    assert_non_null(strstr(fake_calls[1].query, "continuation-token=t2+/=&"));
    assert_file(&w, "e", "5");
}

static void pages_that_go_in_a_circle_are_no_listing(void **state)
{
    FILL({.key = "prod/a", .body = "1"});
    WORLD(w, NULL, "x");

    (void)state;
    bucket.loop = 1;
    assert_says(&w, run(&w), ES_INVALID, "circle");
    assert_true(fake_n_calls < 4);
}

static void a_prefix_without_objects_is_absent_also_before_a_prune(void **state)
{
    FILL({.key = "prod/", .body = ""}, {.key = "prod/sub/", .body = ""});
    WORLD(w, NULL, "**");

    (void)state;
    w.options.files.prune = true;
    assert_says(&w, run(&w), ES_ABSENT, "nothing is pruned");
}

static void directory_markers_are_skipped_and_no_files(void **state)
{
    FILL({.key = "prod/", .body = ""}, {.key = "prod/d/", .body = ""},
         {.key = "prod/d/x", .body = "1"}, {.key = "prod/../", .body = ""});
    WORLD(w, NULL, "**");

    (void)state;
    assert_int_equal(run(&w), 0);
    assert_int_equal(w.sink.n_objects, 1);
    assert_file(&w, "d/x", "1");
}

static void a_key_that_could_leave_dir_is_refused_before_anything_is_asked_for(void **state)
{
    static const char *const keys[] = {"../x", "a/../../x", "/x", "a//x",
                                       "./x",  "a/.",       "x/", ".a.envsync-123456"};

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char key[64];
        struct thing things[] = {{.key = "prod/a.pem", .body = "1"}, {.key = key, .body = "evil"}};
        WORLD(w, NULL, "**");

        snprintf(key, sizeof key, "prod/%s", keys[i]);
        fill(things, 2);
        assert_says(&w, run(&w), ES_INVALID, "can be no file name");
        assert_int_equal(fake_aws_count("GetObject"), 0);
        assert_int_equal(w.sink.n_objects, 0);
    }
}

static void the_same_key_is_passed_over_where_no_pattern_takes_it(void **state)
{
    FILL({.key = "prod/../x", .body = "evil"}, {.key = "prod/a.pem", .body = "1"});
    WORLD(w, NULL, "*.pem");

    (void)state;
    assert_int_equal(run(&w), 0);
    assert_int_equal(w.sink.n_objects, 1);
    assert_true(fake_sink_noted(&w.sink, "../x"));
}

static void long_and_foreign_keys_are_taken_to_the_byte(void **state)
{
    char longest[5 + 1025], component[5 + 257];
    struct thing things[] = {{.key = longest, .body = "1"},
                             {.key = "prod/\xc3\xa9 \xe2\x82\xac", .body = "2"}};
    WORLD(w, NULL, "**");

    (void)state;
    memset(longest, 'k', sizeof longest);
    memcpy(longest, "prod/", 5);
    for (size_t i = 5 + 200; i < sizeof longest - 2; i += 200)
        longest[i] = '/';
    longest[5 + 1024] = '\0';
    fill(things, 2);
    assert_int_equal(run(&w), 0);
    assert_file(&w, longest + 5, "1");
    assert_file(&w, "\xc3\xa9 \xe2\x82\xac", "2");
    done(&w);
    w = (struct world){.options = source(NULL, "**")};
    memset(component, 'c', sizeof component);
    memcpy(component, "prod/", 5);
    component[5 + 256] = '\0';
    things[0].key = component;
    assert_says(&w, run(&w), ES_INVALID, "255");
}

static void a_file_cannot_be_a_directory_too(void **state)
{
    FILL({.key = "prod/a", .body = "1"}, {.key = "prod/a.b", .body = "2"},
         {.key = "prod/a/b", .body = "3"});
    WORLD(w, NULL, "**");

    (void)state;
    assert_says(&w, run(&w), ES_INVALID, "prod/a and prod/a/b");
    assert_int_equal(fake_aws_count("GetObject"), 0);
    done(&w);
    w = (struct world){.options = source(NULL, "a/*")};
    assert_int_equal(run(&w), 0);
}

static void what_no_format_knows_cannot_be_merged(void **state)
{
    FILL({.key = "prod/vm.args", .body = "-name x"});
    WORLD(w, "*", NULL);

    (void)state;
    assert_says(&w, run(&w), ES_INVALID, "mirror it instead");
    assert_int_equal(fake_aws_count("GetObject"), 0);
}

/* ---- bad answers ---- */

static void what_is_no_listing_is_invalid(void **state)
{
    FILL({.key = "prod/a", .body = "1"});

    (void)state;
    {
        WORLD(w, NULL, "*");
        bucket.listed = "";
        assert_says(&w, run(&w), ES_INVALID, "listing of bucket b");
    }
    {
        WORLD(w, NULL, "*");
        bucket.listed = "<html>captive portal</html>";
        assert_says(&w, run(&w), ES_INVALID, "listing of bucket b");
    }
}

static void no_bucket(struct fake_call *call, struct fake_answer *answer)
{
    (void)call;
    *answer = (struct fake_answer){.status = 404, .class = ES_ABSENT, .code = "NoSuchBucket"};
}

static void denied(struct fake_call *call, struct fake_answer *answer)
{
    (void)call;
    *answer = (struct fake_answer){.status = 403, .class = ES_DENIED, .code = "AccessDenied"};
}

static void denied_objects(struct fake_call *call, struct fake_answer *answer)
{
    if (strcmp(call->operation, "GetObject") == 0)
        denied(call, answer);
    else
        aws(call, answer);
}

static void refusals_name_bucket_prefix_or_object(void **state)
{
    FILL({.key = "prod/a", .body = "1"}, {.key = "prod/b", .body = "2"});

    (void)state;
    {
        WORLD(w, NULL, "*");
        assert_says(&w, run_with(&w, no_bucket), ES_ABSENT, "no bucket b: NoSuchBucket, request 1");
    }
    {
        WORLD(w, NULL, "*");
        assert_says(&w, run_with(&w, denied), ES_DENIED, "bucket b, prefix prod/");
    }
    {
        WORLD(w, NULL, "*");
        assert_says(&w, run_with(&w, denied_objects), ES_DENIED, "prod/a");
    }
}

static void broken_then_whole(struct fake_call *call, struct fake_answer *answer)
{
    if (call->tries < 3 && strcmp(call->operation, "ListObjectsV2") == 0)
        answer->body = "<Error><Code>InternalError</Code></Error>";
    else
        aws(call, answer);
}

static void an_error_in_a_200_is_tried_again(void **state)
{
    FILL({.key = "prod/a", .body = "1"});
    WORLD(w, NULL, "*");

    (void)state;
    assert_int_equal(run_with(&w, broken_then_whole), 0);
    assert_int_equal(fake_calls[0].tries, 3);
    assert_file(&w, "a", "1");
}

static void keys_from_outside_the_prefix_or_twice_are_no_listing(void **state)
{
    (void)state;
    {
        FILL({.key = "other/a", .body = "1"});
        WORLD(w, NULL, "*");
        assert_says(&w, run(&w), ES_INVALID, "not below the prefix");
    }
    {
        FILL({.key = "prod/a", .body = "1"}, {.key = "prod/a", .body = "1"});
        WORLD(w, NULL, "*");
        assert_says(&w, run(&w), ES_INVALID, "twice");
    }
}

static void check_with_credentials_asks_for_nothing(void **state)
{
    WORLD(w, NULL, "*");
    char note[32];

    (void)state;
    snprintf(note, sizeof note, "service %d", (int)ES_AWS_S3);
    w.fetch.describe = true;
    assert_int_equal(run(&w), 0);
    assert_true(fake_sink_noted(&w.sink, note));
    assert_int_equal(fake_n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pages_are_listed),
        cmocka_unit_test(pages_that_go_in_a_circle_are_no_listing),
        cmocka_unit_test(a_prefix_without_objects_is_absent_also_before_a_prune),
        cmocka_unit_test(directory_markers_are_skipped_and_no_files),
        cmocka_unit_test(a_key_that_could_leave_dir_is_refused_before_anything_is_asked_for),
        cmocka_unit_test(the_same_key_is_passed_over_where_no_pattern_takes_it),
        cmocka_unit_test(long_and_foreign_keys_are_taken_to_the_byte),
        cmocka_unit_test(a_file_cannot_be_a_directory_too),
        cmocka_unit_test(what_no_format_knows_cannot_be_merged),
        cmocka_unit_test(what_is_no_listing_is_invalid),
        cmocka_unit_test(refusals_name_bucket_prefix_or_object),
        cmocka_unit_test(an_error_in_a_200_is_tried_again),
        cmocka_unit_test(keys_from_outside_the_prefix_or_twice_are_no_listing),
        cmocka_unit_test(check_with_credentials_asks_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
