/* The whole stream of frames, as a worker that was taken over could send it: whatever comes is
 * taken or ends the run, and of what was taken nothing is outside of what was asked. Files are only
 * looked at, as in a dry run, so nothing is written. */
#include "core/clock.h"
#include "core/collect.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SOURCES = 3 };

static const char text[] =
    "app = \"demo\"\ngroup = \"root\"\n"
    "[[source]]\ntype = \"file\"\npath = \"/nowhere/a.env\"\n"
    "[[source]]\ntype = \"file\"\nname = \"b\"\npath = \"/nowhere/b\"\non_unavailable = \"skip\"\n"
    "[[source]]\ntype = \"s3\"\nbucket = \"config\"\nmirror = [\"**\"]\nmerge = [\"*.json\"]\n"
    "dir = \"/etc/demo/m\"\noptional = true\n"
    "[[output]]\npath = \"/run/demo/out\"\nformat = \"json\"\n";

static const struct es_config *config(void)
{
    static struct es_config loaded;
    static bool done;
    const struct es_process process = {.environ = NULL};
    char path[] = "/tmp/fuzz-frames-XXXXXX";
    struct es_err err;
    int fd;

    if (done)
        return &loaded;
    fd = mkstemp(path);
    if (fd < 0 || write(fd, text, sizeof text - 1) != sizeof text - 1)
        abort();
    close(fd);
    if (es_config_load(path, &process, &loaded, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    unlink(path);
    done = true;
    return &loaded;
}

static void check(const struct es_fetched *fetched)
{
    struct es_err err;

    for (size_t i = 0; i < fetched->n; i++)
        if (fetched->records[i].source >= SOURCES ||
            es_record_check(&fetched->records[i], &err) < 0)
            abort();
    for (size_t i = 0; i < fetched->mirror.n_files; i++) {
        const struct es_kept_file *file = &fetched->mirror.files[i];

        if (file->source != 2 || strncmp(es_buf_str(&file->path), "/etc/demo/m/", 12) != 0 ||
            strstr(es_buf_str(&file->path), "/../"))
            abort();
    }
}

/* u32 length, u8 type, the payload; as es_worker_next() takes them apart. */
static int next(struct es_cursor *in, uint8_t *ret_type, struct es_cursor *ret)
{
    uint32_t len;

    if (es_get_u32(in, &len) < 0 || len == 0 || len > ES_MAX_FRAME || in->left < len)
        return -EBADMSG;
    *ret = (struct es_cursor){.p = in->p, .left = len};
    in->p += len;
    in->left -= len;
    return es_get_u8(ret, ret_type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_fetched_done) struct es_fetched fetched = {.n_sources = SOURCES};
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_cursor in = {.p = (const char *)data, .left = size}, payload;
    struct es_files files = {0};
    bool pending[SOURCES] = {true, true, true};
    struct es_fetch_plan plan = {
        .config = config(), .deadline = es_clock_ms() + 10000, .look = true};
    struct es_collecting c = {.plan = &plan,
                              .config = plan.config,
                              .fetched = &fetched,
                              .report = &report,
                              .files = &files,
                              .pending = pending};
    struct es_err err;
    uint8_t type;

    fetched.states = calloc(SOURCES, sizeof *fetched.states);
    fetched.sources = calloc(SOURCES, sizeof *fetched.sources);
    fetched.fetched_ms = calloc(SOURCES, sizeof *fetched.fetched_ms);
    fetched.mirror = (struct es_mirror){.config = plan.config, .root = "/nowhere", .look = true};
    if (!fetched.states || !fetched.sources || !fetched.fetched_ms)
        return 0;
    while (next(&in, &type, &payload) == 0)
        if (es_collect(&c, (enum es_frame)type, &payload, &err) != 0)
            break;
    check(&fetched);
    return 0;
}
