/* aws_call: makes calls of one AWS service through the real client and loop, for end to end tests.
 *
 *   aws_call [NAME=VALUE]... SERVICE OPERATION [PATH]
 *
 * SERVICE is s3, ssm or secrets-manager. NAME is an option of every AWS source (region, endpoint,
 * profile, role_arn, ca_file, proxy) or one of: deadline (ms), count (calls at once), waves (so
 * many times), body, bucket, query (a=b), max (bytes), stream (1: on_data), home, describe (1),
 * pause (ms between waves), quiet (1). Files are opened as core would. Prints one line of JSON;
 * details and notes go to stderr. */
#include "providers/aws/client.h"
#include "worker/http.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILES = 16 };

static void fail(const char *what)
{
    fprintf(stderr, "aws_call: %s\n", what);
    exit(2);
}

__attribute__((format(printf, 2, 0))) static void say(const char *kind, const char *fmt,
                                                      va_list args)
{
    fprintf(stderr, "%s: ", kind);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int es_sink_note(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;

    (void)sink;
    (void)err;
    va_start(args, fmt);
    say("note", fmt, args);
    va_end(args);
    return 0;
}

int es_sink_detail(struct es_sink *sink, struct es_err *err, const char *fmt, ...)
{
    va_list args;

    (void)sink;
    (void)err;
    va_start(args, fmt);
    say("detail", fmt, args);
    va_end(args);
    return 0;
}

struct run {
    struct es_aws_options options;
    const char *values[16]; /* of names[] */
    struct es_aws *aws;
    struct es_http *http;
    struct es_aws_call call;
    struct es_aws_pair query;
    size_t pending, ok, restarts, bytes;
    int waves, count, pause;
    int status, r;
    struct es_err err;
    struct es_aws_error error;
};

static const char *const names[] = {"deadline", "count", "waves",  "body", "bucket",
                                    "query",    "max",   "stream", "home", "describe",
                                    "pause",    "quiet", NULL};
enum { DEADLINE, COUNT, WAVES, BODY, BUCKET, QUERY, MAX, STREAM, HOME, DESCRIBE, PAUSE, QUIET };

static void set(struct run *run, const char *argument)
{
    static const struct es_option rows[] = {ES_AWS_OPTION_ROWS, {0}};
    const char *value = strchr(argument, '=') + 1;
    size_t len = (size_t)(value - 1 - argument);

    for (const struct es_option *row = rows; row->key; row++)
        if (strlen(row->key) == len && memcmp(row->key, argument, len) == 0) {
            *(char **)(void *)((char *)&run->options + row->offset) = strdup(value);
            return;
        }
    for (size_t i = 0; names[i]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], argument, len) == 0) {
            run->values[i] = value;
            return;
        }
    fail("no such name");
}

static long number(const struct run *run, int which, long def)
{
    return run->values[which] ? atol(run->values[which]) : def;
}

static void launch(void *data);

static int on_data(void *data, const struct es_http_answer *answer, const void *bytes, size_t len)
{
    struct run *run = data;

    (void)answer;
    (void)bytes;
    run->bytes += len;
    return 0;
}

static void on_restart(void *data)
{
    struct run *run = data;

    run->restarts++;
    run->bytes = 0;
}

static void on_done(void *data, const struct es_aws_reply *reply)
{
    struct run *run = data;

    run->pending--;
    if (reply->answer)
        run->status = reply->answer->status;
    if (reply->r == 0) {
        run->ok++;
        run->bytes += run->call.on_data ? 0 : reply->answer->body.len;
    } else if (run->r == 0) {
        run->r = reply->r;
        run->err = reply->err;
        run->error = reply->error;
    }
    if (run->pending == 1 && run->waves > 0 && run->r == 0 &&
        es_http_after(run->http, run->pause, launch, run, &run->err) < 0)
        fail("no timer");
    else if (run->pending == 1 && (run->waves == 0 || run->r < 0))
        run->pending = 0;
}

/* One count stays for the next wave. */
static void launch(void *data)
{
    struct run *run = data;

    run->waves--;
    for (int i = 0; i < run->count; i++) {
        run->pending++;
        run->r = es_aws_send(run->aws, &run->call, &run->err);
        if (run->r < 0) {
            run->pending = 0;
            return;
        }
    }
}

static void gather(struct es_surroundings *s, const char *home)
{
    es_value_set_table(&s->environment);
    for (size_t i = 0; es_aws_environment[i]; i++) {
        const char *value = getenv(es_aws_environment[i]);
        struct es_entry *entry;

        if (!value || !*value)
            continue;
        if (es_table_add(&s->environment, es_aws_environment[i], strlen(es_aws_environment[i]),
                         &entry) < 0 ||
            es_value_set_string(&entry->value, value, strlen(value)) < 0)
            fail("no memory");
    }
    s->home = home ? strdup(home) : NULL;
}

static size_t open_files(const struct es_needs *needs, struct es_file *files)
{
    size_t n = 0;

    for (size_t i = 0; i < needs->n && n < MAX_FILES; i++) {
        int fd = open(needs->items[i].path, O_RDONLY | O_CLOEXEC);

        if (fd >= 0)
            files[n++] = (struct es_file){
                .role = needs->items[i].role, .path = needs->items[i].path, .fd = fd};
    }
    return n;
}

static void put_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text >= ' ')
            putchar(*text);
    }
    putchar('"');
}

static void report(const struct run *run, int64_t ms)
{
    printf("{\"class\": \"%s\", \"status\": %d, \"ok\": %zu, \"bytes\": %zu, \"restarts\": %zu, "
           "\"ms\": %lld, \"code\": \"%s\", \"message\": ",
           run->r < 0 ? es_class_name(run->err.class) : "ok", run->status, run->ok, run->bytes,
           run->restarts, (long long)ms, run->error.code);
    put_string(run->r < 0 ? run->err.msg : "");
    printf(", \"region\": \"%s\"}\n", run->aws ? es_aws_region(run->aws) : "");
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum es_aws_service service_of(const char *name)
{
    if (strcmp(name, "s3") == 0)
        return ES_AWS_S3;
    if (strcmp(name, "ssm") == 0)
        return ES_AWS_SSM;
    if (strcmp(name, "secrets-manager") != 0)
        fail("no such service");
    return ES_AWS_SECRETS_MANAGER;
}

static void prepare(struct run *run, char **rest, int n)
{
    static char name[256];

    run->count = (int)number(run, COUNT, 1);
    run->waves = (int)number(run, WAVES, 1);
    run->pause = (int)number(run, PAUSE, 0);
    run->call = (struct es_aws_call){
        .operation = rest[1],
        .method = service_of(rest[0]) == ES_AWS_S3 ? "GET" : "POST",
        .bucket = run->values[BUCKET],
        .path = n > 2 ? rest[2] : "/",
        .body = run->values[BODY],
        .body_len = run->values[BODY] ? strlen(run->values[BODY]) : 0,
        .max_body = (size_t)number(run, MAX, 1 << 20),
        .allow = "test:Action",
        .allow_resource = "arn:aws:test",
        .on_done = on_done,
        .data = run,
    };
    if (number(run, STREAM, 0)) {
        run->call.on_data = on_data;
        run->call.on_restart = on_restart;
    }
    if (run->values[QUERY]) {
        snprintf(name, sizeof name, "%s", run->values[QUERY]);
        name[strcspn(name, "=")] = '\0';
        run->query.name = name;
        run->query.value = run->values[QUERY][strlen(name)] ? name + strlen(name) + 1 : "";
        run->call.query = &run->query;
        run->call.n_query = 1;
    }
}

int main(int argc, char **argv)
{
    struct run run = {.r = 0};
    struct es_surroundings surroundings = {0};
    struct es_needs needs = {0};
    struct es_file files[MAX_FILES];
    struct es_fetch fetch = {.surroundings = &surroundings, .files = files};
    int64_t start = now_ms();
    int i = 1;

    for (; i < argc && strchr(argv[i], '=') && argv[i][0] != '/'; i++)
        set(&run, argv[i]);
    if (argc - i < 2)
        fail("SERVICE and OPERATION are missing");
    gather(&surroundings, run.values[HOME]);
    run.r = es_http_new(NULL, number(&run, DEADLINE, 10000), &run.http, &run.err);
    if (run.r == 0)
        run.r = es_aws_validate(&run.options, &run.err);
    if (run.r == 0)
        run.r = es_aws_needs(&run.options, &surroundings, &needs, &run.err);
    fetch.n_files = open_files(&needs, files);
    fetch.http = run.http;
    fetch.verbose = !number(&run, QUIET, 0);
    fetch.sink = (struct es_sink *)(void *)&run; /* only passed on */
    if (run.r == 0 && number(&run, DESCRIBE, 0))
        run.r = es_aws_describe(&fetch, &run.options, service_of(argv[i]), &run.err);
    else if (run.r == 0)
        run.r = es_aws_new(&fetch, &run.options, service_of(argv[i]), ES_AWS_ADDRESS_AUTO, &run.aws,
                           &run.err);
    if (run.r == 0 && run.aws) {
        prepare(&run, argv + i, argc - i);
        run.pending = 1;
        launch(&run);
        if (run.r == 0 && es_http_run(run.http, &run.pending, &run.err) < 0)
            run.r = -1;
    }
    report(&run, now_ms() - start);
    es_aws_free(run.aws);
    es_http_free(run.http);
    for (size_t n = 0; n < fetch.n_files; n++)
        close(files[n].fd);
    es_needs_done(&needs);
    es_surroundings_done(&surroundings);
    for (char **p = &run.options.region; p <= &run.options.proxy; p++)
        free(*p);
    return run.r < 0;
}
