/* providers/s3, before a bucket that is a table */
#include "../../providers/s3/glob.h"
#include "../../providers/s3/listing.h"
#include "../../providers/s3/run.h"
#include "envsync/format.h"
#include "envsync/key.h"
#include "envsync/limits.h"
#include "fake_aws.h"
#include "fake_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the bucket ---- */

struct thing {
    const char *key;
    const char *body;
    const char *etag;     /* default: "e1" */
    const char *sum;      /* header of a checksum */
    const char *archived; /* storage class */
    size_t size;          /* of a body that is made up, where body is NULL */
    int64_t lie;          /* what the listing says more than there is */
};

static struct {
    struct thing *things;
    size_t n;
    size_t page;        /* objects of one page; 0: all */
    bool raw;           /* no url encoding */
    const char *listed; /* in the place of every listing */
    size_t loop;        /* the token never changes */
    /* Just before the nth GetObject (from 1), things[at] becomes `then`. */
    size_t when, at;
    struct thing then;
    size_t gets;
    bool restless; /* a new ETag after each listing */
    unsigned lists;
    size_t break_after; /* the first try of each object breaks after so many bytes */
} bucket;

static const char *etag_of(const struct thing *thing)
{
    static char text[32];

    if (!bucket.restless)
        return thing->etag ? thing->etag : "e1";
    snprintf(text, sizeof text, "r%u", bucket.lists);
    return text;
}

static size_t size_of(const struct thing *thing)
{
    return thing->body ? strlen(thing->body) : thing->size;
}

static void put_key(struct es_buf *out, const char *key)
{
    for (; *key; key++)
        if (*key == '<' || *key == '&' || (unsigned char)*key <= ' ' || *key == '%' || *key == '+')
            es_buf_printf(out, "%%%02X", (unsigned char)*key);
        else
            es_buf_putc(out, *key);
}

static void put_entry(struct es_buf *out, const struct thing *thing)
{
    es_buf_puts(out, "<Contents><Key>");
    put_key(out, thing->key);
    es_buf_printf(out,
                  "</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
                  "<ETag>&quot;%s&quot;</ETag><Size>%lld</Size><StorageClass>%s</StorageClass>"
                  "</Contents>",
                  etag_of(thing), (long long)size_of(thing) + (long long)thing->lie,
                  thing->archived ? thing->archived : "STANDARD");
}

static void answer_list(const struct fake_call *call, struct fake_answer *answer)
{
    const char *token = strstr(call->query, "continuation-token=");
    size_t from = token && !bucket.loop ? (size_t)atoi(token + strlen("continuation-token=t")) : 0;
    size_t to = bucket.page && from + bucket.page < bucket.n ? from + bucket.page : bucket.n;
    struct es_buf out = {0};

    if (bucket.listed) {
        answer->body = bucket.listed;
        return;
    }
    if (from == 0)
        bucket.lists++;
    es_buf_printf(&out,
                  "<ListBucketResult><IsTruncated>%s</IsTruncated><EncodingType>url"
                  "</EncodingType>",
                  to < bucket.n || bucket.loop ? "true" : "false");
    if (to < bucket.n || bucket.loop)
        es_buf_printf(&out, "<NextContinuationToken>t%zu+/=</NextContinuationToken>", to);
    for (size_t i = from; i < to; i++)
        put_entry(&out, &bucket.things[i]);
    es_buf_puts(&out, "</ListBucketResult>");
    answer->body = out.data;
    answer->made = true;
}

static char *make_up(size_t size)
{
    char *body = malloc(size + 1);

    assert_non_null(body);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 26);
    body[size] = '\0';
    return body;
}

static const struct thing *find_thing(const char *key)
{
    for (size_t i = 0; i < bucket.n; i++)
        if (bucket.things[i].key && strcmp(bucket.things[i].key, key) == 0)
            return &bucket.things[i];
    return NULL;
}

static void answer_get(const struct fake_call *call, struct fake_answer *answer)
{
    static char header[64];
    const struct thing *thing;
    char want[64];

    if (++bucket.gets == bucket.when)
        bucket.things[bucket.at] = bucket.then;
    thing = find_thing(call->path + 1);
    if (!thing) {
        *answer = (struct fake_answer){.status = 404, .class = ES_ABSENT, .code = "NoSuchKey"};
        return;
    }
    if (bucket.restless)
        bucket.lists += 100;
    snprintf(want, sizeof want, "If-Match: \"%s\"\n", etag_of(thing));
    if (!strstr(call->headers, want)) {
        *answer =
            (struct fake_answer){.status = 412, .class = ES_INVALID, .code = "PreconditionFailed"};
        return;
    }
    if (thing->archived) {
        *answer =
            (struct fake_answer){.status = 403, .class = ES_DENIED, .code = "InvalidObjectState"};
        return;
    }
    snprintf(header, sizeof header, "ETag: \"%s\"", etag_of(thing));
    answer->headers[0] = header;
    answer->headers[1] = thing->sum;
    answer->body = thing->body ? thing->body : make_up(thing->size);
    answer->made = !thing->body;
    answer->broken = call->tries == 1 ? bucket.break_after : 0;
}

static void aws(struct fake_call *call, struct fake_answer *answer)
{
    if (strcmp(call->operation, "ListObjectsV2") == 0)
        answer_list(call, answer);
    else
        answer_get(call, answer);
}

/* ---- one source ---- */

static char *words[16];

static struct es_strings strings(const char *first, const char *second)
{
    static size_t used;
    struct es_strings ret = {.items = &words[used % 14]};

    if (first)
        ret.items[ret.n++] = (char *)first;
    if (second)
        ret.items[ret.n++] = (char *)second;
    used += 2;
    return ret;
}

static struct es_s3_options source(const char *merge, const char *mirror)
{
    return (struct es_s3_options){
        .bucket = (char *)"b",
        .prefix = (char *)"prod",
        .merge = strings(merge, NULL),
        .mirror = strings(mirror, NULL),
        .files = {.dir = (char *)"/etc/foo", .mode = 0640, .dir_mode = 0750},
    };
}

struct world {
    struct es_s3_options options;
    struct es_sink sink;
    struct es_fetch fetch;
    struct es_err err;
};

static void fill(struct thing *things, size_t n)
{
    memset(&bucket, 0, sizeof bucket);
    bucket.things = things;
    bucket.n = n;
}

static int run_with(struct world *w, fake_answer_fn *answer)
{
    w->fetch.state = &w->options;
    w->fetch.sink = &w->sink;
    return fake_aws_fetch(es_fetch_s3, &w->fetch, answer, &w->err);
}

static int run(struct world *w)
{
    return run_with(w, aws);
}

static void done(struct world *w)
{
    fake_aws_reset(&w->fetch);
    fake_sink_done(&w->sink);
}
#define WORLD(name, merge, mirror)                                                                 \
    ES_CLEANUP(done) struct world name = {.options = source(merge, mirror)}
#define FILL(...)                                                                                  \
    struct thing things[] = {__VA_ARGS__};                                                         \
    fill(things, sizeof things / sizeof *things)

static void assert_says(const struct world *w, int r, enum es_class class, const char *text)
{
    assert_true(r < 0);
    if (w->err.class != class || !strstr(w->err.msg, text))
        fail_msg("class %d: %s", w->err.class, w->err.msg);
}

static void assert_file(const struct world *w, const char *path, const char *body)
{
    const struct fake_object *file = fake_sink_file(&w->sink, path);

    assert_non_null(file);
    assert_int_equal(file->kind, FAKE_FILE);
    assert_true(file->ended);
    assert_string_equal(es_buf_str(&file->data), body);
}

/* ---- patterns ---- */

static bool matches(const char *pattern, const char *key)
{
    return es_s3_glob_match(pattern, key, strlen(key));
}

static void a_star_stays_in_its_segment_and_two_cross_any_number(void **state)
{
    (void)state;
    assert_true(matches("*.pem", "a.pem"));
    assert_true(matches("*.pem", ".pem"));
    assert_false(matches("*.pem", "d/a.pem"));
    assert_true(matches("**", "a"));
    assert_true(matches("**", "a/b/c"));
    assert_true(matches("**/*.pem", "a.pem"));
    assert_true(matches("**/*.pem", "x/y/a.pem"));
    assert_false(matches("**/*.pem", "x/y/a.pen"));
    assert_true(matches("x/**/y", "x/y"));
    assert_true(matches("x/**/y", "x/a/b/y"));
    assert_false(matches("x/**/y", "a/x/y"));
    assert_true(matches("**/a/**/b", "a/c/a/b"));
    assert_true(matches("a*b*c", "aXbXbc"));
    assert_false(matches("a*b*c", "aXbX"));
    assert_false(matches("vm.args", "vmXargs"));
    assert_false(matches("*", "a/b"));
    assert_true(matches("[a]?", "[a]?"));
    assert_true(matches("**", "../x"));
    assert_true(matches("**", "a//b"));
    assert_false(matches("*/*", "a//b"));
}

static void matching_never_takes_exponential_time(void **state)
{
    char key[1025];

    (void)state;
    for (size_t i = 0; i < sizeof key - 1; i++)
        key[i] = i % 2 ? '/' : 'a';
    key[sizeof key - 1] = '\0';
    assert_false(matches("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b", key));
    memset(key, 'a', sizeof key - 1);
    assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", key));
}

static void a_pattern_that_no_good_key_can_match_is_refused(void **state)
{
    const char *const bad[] = {"", "/a", "a/", "a//b", "../a", "a/.", "a**", "**b/c"};
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(es_s3_glob_check(bad[i], &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
    }
    assert_int_equal(es_s3_glob_check("**/a*.b", &err), 0);
}

/* ---- options ---- */

static int validate(const char *toml, struct es_err *err)
{
    return fake_aws_validate(&es_provider_s3, toml, err);
}

static void combinations_that_cannot_be_meant_are_wrong_configuration(void **state)
{
    static const struct {
        const char *toml, *says;
    } cases[] = {
        {"bucket = 'bucket'", "merge"},
        {"bucket = 'bucket'\nmirror = ['**']", "dir"},
        {"bucket = 'bucket'\nmerge = ['*']\ndir = '/etc/foo'", "dir"},
        {"bucket = 'bucket'\nmerge = ['*']\nprune = true", "prune"},
        {"bucket = 'bucket'\nmerge = ['/x']", "merge"},
        {"bucket = 'no bucket'\nmerge = ['*']", "bucket"},
        {"bucket = 'x--use1-az4--x-s3'\nmerge = ['*']", "bucket"},
        {"bucket = 'bucket'\nmerge = ['*']\nexpected_bucket_owner = '12'", "12 digits"},
        {"bucket = 'bucket'\nmerge = ['*']\naddressing = 'host'", "addressing"},
        {"bucket = 'bucket'\nmerge = ['*']\nregion = '-'", "region"},
        {"merge = ['*']", "bucket"},
    };
    struct es_err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(validate(cases[i].toml, &err) < 0);
        assert_int_equal(err.class, ES_CONFIG);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s", err.msg);
    }
    assert_int_equal(validate("bucket = 'b-${cloud.region}'\nmirror = ['**']\ndir = '/etc/foo'\n"
                              "prune = true\nmode = '0600'",
                              &err),
                     0);
}

static void core_is_told_where_mirrored_files_go(void **state)
{
    struct es_s3_options options = source(NULL, "**");

    (void)state;
    assert_ptr_equal(es_provider_s3.mirror(&options), &options.files);
    options.files.dir = NULL;
    assert_null(es_provider_s3.mirror(&options));
}

/* ---- taking ---- */

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
        cmocka_unit_test(a_star_stays_in_its_segment_and_two_cross_any_number),
        cmocka_unit_test(matching_never_takes_exponential_time),
        cmocka_unit_test(a_pattern_that_no_good_key_can_match_is_refused),
        cmocka_unit_test(combinations_that_cannot_be_meant_are_wrong_configuration),
        cmocka_unit_test(core_is_told_where_mirrored_files_go),
        cmocka_unit_test(merged_objects_become_records_in_key_order),
        cmocka_unit_test(each_object_is_asked_for_as_it_was_listed),
        cmocka_unit_test(an_object_that_both_lists_take_is_merged_and_mirrored),
        cmocka_unit_test(all_pages_are_listed),
        cmocka_unit_test(pages_that_go_in_a_circle_are_no_listing),
        cmocka_unit_test(a_prefix_without_objects_is_absent_also_before_a_prune),
        cmocka_unit_test(directory_markers_are_skipped_and_no_files),
        cmocka_unit_test(a_key_that_could_leave_dir_is_refused_before_anything_is_asked_for),
        cmocka_unit_test(the_same_key_is_passed_over_where_no_pattern_takes_it),
        cmocka_unit_test(long_and_foreign_keys_are_taken_to_the_byte),
        cmocka_unit_test(a_file_cannot_be_a_directory_too),
        cmocka_unit_test(what_no_format_knows_cannot_be_merged),
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
        cmocka_unit_test(what_is_no_listing_is_invalid),
        cmocka_unit_test(refusals_name_bucket_prefix_or_object),
        cmocka_unit_test(an_error_in_a_200_is_tried_again),
        cmocka_unit_test(keys_from_outside_the_prefix_or_twice_are_no_listing),
        cmocka_unit_test(check_with_credentials_asks_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
