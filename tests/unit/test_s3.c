/* providers/s3: objects, merged and mirrored */
#include "envsync/format.h"
#include "envsync/key.h"
#include "envsync/limits.h"
#include "s3_case.h"

static void merged_objects_become_records_in_key_order(void **state)
{
    FILL({.key = "prod/b.env", .body = "X=2\n"}, {.key = "prod/a.toml", .body = "x.y = 1\n"},
         {.key = "prod/c.json", .body = "{\"z\": true}"});
    WORLD(w, "*", NULL);
    const struct es_record *record;

    (void)state;
    fake_aws_backwards = true;
    assert_int_equal(run(&w), 0);
    assert_int_equal(w.sink.n, 3);
    record = fake_sink_get(&w.sink, "x.y");
    assert_int_equal(record->rank, 0);
    assert_string_equal(record->object.data, "prod/a.toml");
    assert_string_equal(record->version.data, "e1");
    assert_false(record->verbatim);
    record = fake_sink_get(&w.sink, "X");
    assert_int_equal(record->rank, 1);
    assert_true(record->verbatim);
    assert_int_equal(fake_sink_get(&w.sink, "z")->rank, 2);
    assert_non_null(fake_sink_object(&w.sink, "prod/b.env"));
    assert_null(fake_sink_file(&w.sink, "b.env"));
}

static void each_object_is_asked_for_as_it_was_listed(void **state)
{
    FILL({.key = "prod/a b+%2F", .body = "x"});
    WORLD(w, NULL, "**");

    (void)state;
    w.options.expected_bucket_owner = (char *)"123456789012";
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_n_calls, 2);
    assert_string_equal(fake_calls[0].path, "/");
    assert_string_equal(fake_calls[0].query, "list-type=2&encoding-type=url&prefix=prod/&");
    assert_string_equal(fake_calls[0].headers, "x-amz-expected-bucket-owner: 123456789012\n");
    assert_string_equal(fake_calls[0].allow, "s3:ListBucket on arn:aws:s3:::b");
    assert_string_equal(fake_calls[1].path, "/prod/a b+%2F");
    assert_string_equal(fake_calls[1].headers, "x-amz-checksum-mode: ENABLED\nIf-Match: \"e1\"\n"
                                               "x-amz-expected-bucket-owner: 123456789012\n");
    assert_string_equal(fake_calls[1].allow, "s3:GetObject on arn:aws:s3:::b/prod/a b+%2F");
    assert_file(&w, "a b+%2F", "x");
}

static void an_object_that_both_lists_take_is_merged_and_mirrored(void **state)
{
    FILL({.key = "prod/a.env", .body = "A=1\n"}, {.key = "prod/k.pem", .body = "key"},
         {.key = "prod/other", .body = "o"});
    WORLD(w, "*.env", "*.*");

    (void)state;
    assert_int_equal(run(&w), 0);
    assert_int_equal(w.sink.n, 1);
    assert_file(&w, "a.env", "A=1\n");
    assert_file(&w, "k.pem", "key");
    assert_null(fake_sink_file(&w.sink, "other"));
    assert_true(fake_sink_detailed(&w.sink, "passed over other"));
    assert_int_equal(w.sink.n_notes, 0);
    assert_int_equal(fake_aws_count("GetObject"), 2);
}

static void too_large_objects_are_not_merged_but_mirrored(void **state)
{
    FILL({.key = "prod/a.env", .size = ES_MAX_DOCUMENT + 1});
    WORLD(w, "*", NULL);

    (void)state;
    assert_says(&w, run(&w), ES_INVALID, "1 MiB");
    assert_int_equal(fake_aws_count("GetObject"), 0);
    done(&w);
    w = (struct world){.options = source(NULL, "*")};
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_sink_file(&w.sink, "a.env")->data.len, ES_MAX_DOCUMENT + 1);
    assert_true(w.sink.largest <= ES_S3_MAX_DATA);
}

static void errors_in_a_merged_object_name_it_and_no_value(void **state)
{
    FILL({.key = "prod/a.env", .body = "A=1\nno equals sign CANARY\n"});
    WORLD(w, "*", NULL);

    (void)state;
    assert_says(&w, run(&w), ES_INVALID, "prod/a.env:2");
    assert_null(strstr(w.err.msg, "CANARY"));
}

/* ---- what is known ---- */

static void what_is_known_is_not_fetched_again(void **state)
{
    const struct es_object known[] = {
        {"prod/a.env", "e1", 4, -1, 0, ES_OBJECT_MERGED | ES_OBJECT_MIRRORED},
        {"prod/b.pem", "e1", 1, -1, 0, ES_OBJECT_MIRRORED},
        {"prod/c.pem", "e0", 1, -1, 0, ES_OBJECT_MIRRORED},
        {"prod/d.pem", "e1", 2, -1, 0, ES_OBJECT_MIRRORED},
    };
    FILL({.key = "prod/a.env", .body = "A=1\n"}, {.key = "prod/b.pem", .body = "b"},
         {.key = "prod/c.pem", .body = "c"}, {.key = "prod/d.pem", .body = "d"});
    WORLD(w, "*.env", "*");

    (void)state;
    w.fetch.known = known;
    w.fetch.n_known = 4;
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_aws_count("GetObject"), 2);
    assert_int_equal(fake_sink_object(&w.sink, "prod/a.env")->kind, FAKE_SAME);
    assert_int_equal(fake_sink_file(&w.sink, "a.env")->kind, FAKE_FILE_SAME);
    assert_int_equal(fake_sink_file(&w.sink, "b.pem")->kind, FAKE_FILE_SAME);
    assert_file(&w, "c.pem", "c");
    assert_file(&w, "d.pem", "d");
    assert_int_equal(w.sink.n, 0);
}

static void an_object_is_fetched_for_a_use_that_the_last_set_did_not_make_of_it(void **state)
{
    const struct es_object known[] = {{"prod/a.env", "e1", 4, -1, 0, ES_OBJECT_MIRRORED}};
    FILL({.key = "prod/a.env", .body = "A=1\n"});
    WORLD(w, "*.env", "*");

    (void)state;
    w.fetch.known = known;
    w.fetch.n_known = 1;
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_aws_count("GetObject"), 1);
    assert_int_equal(w.sink.n, 1);
}

static void an_exact_mtime_is_compared_and_handed_on(void **state)
{
    const int64_t modified = INT64_C(1767323045000);
    const struct es_object known[] = {
        {"prod/a", "e1", 1, modified, 0, ES_OBJECT_MIRRORED},
        {"prod/b", "e1", 1, modified - 1, 0, ES_OBJECT_MIRRORED},
        {"prod/c", "e1", 1, -1, 0, ES_OBJECT_MIRRORED},
    };
    FILL({.key = "prod/a", .body = "a"}, {.key = "prod/b", .body = "b"},
         {.key = "prod/c", .body = "c"});
    WORLD(w, NULL, "*");

    (void)state;
    w.options.exact_mtime = true;
    w.fetch.known = known;
    w.fetch.n_known = 3;
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_aws_count("GetObject"), 2);
    assert_int_equal(fake_sink_file(&w.sink, "a")->kind, FAKE_FILE_SAME);
    assert_int_equal(fake_sink_file(&w.sink, "b")->modified_ms, modified);
    assert_int_equal(fake_sink_file(&w.sink, "c")->modified_ms, modified);
}

/* ---- on the way ---- */

static void a_broken_try_starts_the_object_again_from_nothing(void **state)
{
    FILL({.key = "prod/a.env", .body = "A=1\n"}, {.key = "prod/k", .body = "0123456789"});
    WORLD(w, "*.env", "*");

    (void)state;
    bucket.break_after = 3;
    assert_int_equal(run(&w), 0);
    assert_file(&w, "k", "0123456789");
    assert_file(&w, "a.env", "A=1\n");
    assert_int_equal(w.sink.n, 1);
    assert_int_equal(w.sink.n_objects, 5); /* two of them dropped, one known */
}

static void a_checksum_is_verified_whichever_it_is(void **state)
{
    static const char *const sums[] = {
        "x-amz-checksum-crc32: y/Q5Jg==",
        "x-amz-checksum-crc32c: 4waSgw==",
        "x-amz-checksum-crc64nvme: rosUhgp5mIg=",
        "x-amz-checksum-sha1: 98O8HYCOBHMq32eZZczDTKeuNEE=",
        "x-amz-checksum-sha256: FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        "x-amz-checksum-sha256: AAAA-3",
        "x-amz-checksum-md6: AAAA"};

    (void)state;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        FILL({.key = "prod/a", .body = "123456789", .sum = sums[i]});
        WORLD(w, NULL, "*");

        assert_int_equal(run(&w), 0);
        assert_file(&w, "a", "123456789");
    }
}

static void a_checksum_that_stays_wrong_is_invalid_after_three_tries(void **state)
{
    static const char *const sums[] = {"x-amz-checksum-crc32: y/Q5Jw==",
                                       "x-amz-checksum-sha256: nonsense"};

    (void)state;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        FILL({.key = "prod/a", .body = "123456789", .sum = sums[i]});
        WORLD(w, NULL, "*");

        assert_says(&w, run(&w), ES_INVALID, "checksum does not match");
        assert_int_equal(fake_calls[1].tries, 3);
        assert_null(fake_sink_file(&w.sink, "a"));
    }
}

static void an_empty_object_with_a_wrong_checksum_is_invalid_too(void **state)
{
    FILL({.key = "prod/a", .body = "", .sum = "x-amz-checksum-crc32: y/Q5Jg=="});
    WORLD(w, NULL, "*");

    (void)state;
    assert_says(&w, run(&w), ES_INVALID, "checksum does not match");
    assert_int_equal(fake_calls[1].tries, 3);
}

static void a_change_between_list_and_get_is_seen_and_what_came_before_is_kept(void **state)
{
    FILL({.key = "prod/a", .body = "1"}, {.key = "prod/b", .body = "2"},
         {.key = "prod/c", .body = "3"});
    WORLD(w, NULL, "*");

    (void)state;
    bucket.when = 2;
    bucket.at = 1;
    bucket.then = (struct thing){.key = "prod/b", .body = "new", .etag = "e2"};
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_aws_count("ListObjectsV2"), 2);
    assert_int_equal(fake_aws_count("GetObject"), 4);
    assert_file(&w, "a", "1");
    assert_file(&w, "b", "new");
    assert_string_equal(fake_sink_file(&w.sink, "b")->version, "e2");
    assert_file(&w, "c", "3");
}

static void change_all_at_the_second_get(struct fake_call *call, struct fake_answer *answer)
{
    if (bucket.gets == 1 && strcmp(call->operation, "GetObject") == 0) {
        bucket.things[0] = (struct thing){.key = "prod/a", .body = "new a", .etag = "e2"};
        bucket.things[1] = (struct thing){.key = "prod/b", .body = "new b", .etag = "e2"};
        bucket.things[2] = (struct thing){.key = "prod/zz", .body = "z"};
    }
    aws(call, answer);
}

static void a_file_that_came_and_is_another_in_the_second_listing_is_dropped(void **state)
{
    FILL({.key = "prod/a", .body = "1"}, {.key = "prod/b", .body = "2"},
         {.key = "prod/c", .body = "3"}, {.key = "prod/m.env", .body = "M=1\n"});
    WORLD(w, "*.env", "*");

    (void)state;
    assert_int_equal(run_with(&w, change_all_at_the_second_get), 0);
    assert_file(&w, "a", "new a");
    assert_file(&w, "b", "new b");
    assert_null(fake_sink_file(&w.sink, "c"));
    assert_file(&w, "zz", "z");
    assert_true(w.sink.objects[0].dropped);
    assert_int_equal(w.sink.n, 1);
    assert_int_equal(fake_sink_get(&w.sink, "M")->rank, 2);
}

static void objects_that_never_stand_still_are_unavailable(void **state)
{
    FILL({.key = "prod/a", .body = "1"});
    WORLD(w, NULL, "*");

    (void)state;
    bucket.restless = true;
    assert_says(&w, run(&w), ES_UNAVAILABLE, "change faster");
    assert_int_equal(fake_aws_count("ListObjectsV2"), 1 + ES_S3_MAX_RELISTS);
}

static void a_listed_size_that_is_wrong_never_reaches_a_file(void **state)
{
    static const int64_t lies[] = {1, -1};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        FILL({.key = "prod/a", .body = "123", .lie = lies[i]});
        WORLD(w, NULL, "*");

        assert_says(&w, run(&w), ES_INVALID, "another length than was listed");
        assert_null(fake_sink_file(&w.sink, "a"));
    }
}

static void archived_objects_are_passed_over_by_mirror_and_absent_for_merge(void **state)
{
    const struct es_object known[] = {{"prod/b.env", "e0", 9, -1, 0, ES_OBJECT_MIRRORED}};
    FILL({.key = "prod/a", .body = "1"},
         {.key = "prod/b.env", .body = "B=1\n", .archived = "GLACIER"},
         {.key = "prod/c", .body = "3", .archived = "DEEP_ARCHIVE"});
    WORLD(w, NULL, "*");

    (void)state;
    w.fetch.known = known;
    w.fetch.n_known = 1;
    assert_int_equal(run(&w), 0);
    assert_true(fake_sink_noted(&w.sink, "prod/b.env"));
    assert_true(fake_sink_noted(&w.sink, "archived"));
    assert_null(fake_sink_file(&w.sink, "c"));
    /* Still in the bucket, so a prune must not take the old one away. */
    assert_int_equal(fake_sink_file(&w.sink, "b.env")->kind, FAKE_FILE_SAME);
    assert_string_equal(fake_sink_file(&w.sink, "b.env")->version, "e0");
    done(&w);
    w = (struct world){.options = source("*.env", NULL)};
    assert_says(&w, run(&w), ES_ABSENT, "archived");
}

static void empty_objects_are_files(void **state)
{
    FILL({.key = "prod/a", .body = ""}, {.key = "prod/e.env", .body = ""});
    WORLD(w, "*.env", "*");

    (void)state;
    assert_int_equal(run(&w), 0);
    assert_file(&w, "a", "");
    assert_file(&w, "e.env", "");
    assert_int_equal(w.sink.n, 0);
}

static void thousands_of_objects_go_through_a_bounded_window(void **state)
{
    enum { N = 2000 };
    struct thing *things = calloc(N, sizeof *things);
    char(*keys)[16] = calloc(N, sizeof *keys);
    WORLD(w, NULL, "**");

    (void)state;
    assert_non_null(things);
    assert_non_null(keys);
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "prod/%05zu", i);
        things[i] = (struct thing){.key = keys[i], .body = "x"};
    }
    fill(things, N);
    bucket.page = 1000;
    assert_int_equal(run(&w), 0);
    assert_int_equal(fake_aws_count("GetObject"), N);
    assert_true(fake_aws_most <= ES_S3_WINDOW);
    assert_int_equal(w.sink.n_objects, N);
    free(things);
    free(keys);
}

static void a_failing_sink_ends_the_source_with_its_own_error(void **state)
{
    FILL({.key = "prod/a", .body = "1"}, {.key = "prod/b", .body = "2"});
    WORLD(w, NULL, "*");

    (void)state;
    w.sink.broken = true;
    assert_says(&w, run(&w), ES_INTERNAL, "the sink is broken");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_objects_become_records_in_key_order),
        cmocka_unit_test(each_object_is_asked_for_as_it_was_listed),
        cmocka_unit_test(an_object_that_both_lists_take_is_merged_and_mirrored),
        cmocka_unit_test(too_large_objects_are_not_merged_but_mirrored),
        cmocka_unit_test(errors_in_a_merged_object_name_it_and_no_value),
        cmocka_unit_test(what_is_known_is_not_fetched_again),
        cmocka_unit_test(an_object_is_fetched_for_a_use_that_the_last_set_did_not_make_of_it),
        cmocka_unit_test(an_exact_mtime_is_compared_and_handed_on),
        cmocka_unit_test(a_broken_try_starts_the_object_again_from_nothing),
        cmocka_unit_test(a_checksum_is_verified_whichever_it_is),
        cmocka_unit_test(a_checksum_that_stays_wrong_is_invalid_after_three_tries),
        cmocka_unit_test(an_empty_object_with_a_wrong_checksum_is_invalid_too),
        cmocka_unit_test(a_change_between_list_and_get_is_seen_and_what_came_before_is_kept),
        cmocka_unit_test(a_file_that_came_and_is_another_in_the_second_listing_is_dropped),
        cmocka_unit_test(objects_that_never_stand_still_are_unavailable),
        cmocka_unit_test(a_listed_size_that_is_wrong_never_reaches_a_file),
        cmocka_unit_test(archived_objects_are_passed_over_by_mirror_and_absent_for_merge),
        cmocka_unit_test(empty_objects_are_files),
        cmocka_unit_test(thousands_of_objects_go_through_a_bounded_window),
        cmocka_unit_test(a_failing_sink_ends_the_source_with_its_own_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
