/* What the tests of mirrored files share: a run that mirrors, from the worker's frames to the last
 * rename. */
#ifndef ENVSYNC_TESTS_MIRROR_CASE_H
#define ENVSYNC_TESTS_MIRROR_CASE_H

#include "core_case.h"

#include "core/mirror.h"
#include "core/mirrored.h"

#define MIRROR                                                                                     \
    "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmirror = [\"**\"]\ndir = \"/etc/demo/m\"\n"
#define HELD "etc/demo/m/" /* below --root */

/* A run that mirrors, and the set that came of it. */
struct fixture {
    struct dir *dir;
    struct es_config config;
    struct es_mirror mirror;
    struct es_manifest set;
    struct es_report report;
    struct es_publishing publishing;
    struct es_err err;
};

static inline void begin_run(struct fixture *f, bool look)
{
    es_mirror_done(&f->mirror);
    f->mirror = (struct es_mirror){.config = &f->config, .root = f->dir->path, .look = look};
}

static inline struct fixture fixture(void **state, const char *text)
{
    struct fixture f = {.dir = *state};

    load_config(*state, text, &f.config);
    return f;
}

static inline void fixture_done(struct fixture *f)
{
    es_mirror_done(&f->mirror);
    es_manifest_done(&f->set);
    es_config_done(&f->config);
    es_report_done(&f->report);
}

static inline int begin_bytes(struct fixture *f, uint32_t id, const char *path, size_t len)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_kept_object_done)
    struct es_kept_object object = {.size = 1 << 20, .modified_ms = 1600000000123};

    f->err = (struct es_err){.msg = "nothing"};
    assert_int_equal(es_buf_set(&text, path, len), 0);
    assert_int_equal(es_buf_set(&object.name, path, len), 0);
    return es_mirror_begin(&f->mirror, 0, id, &text, &object, &f->err);
}

static inline int begin(struct fixture *f, uint32_t id, const char *path)
{
    return begin_bytes(f, id, path, strlen(path));
}

static inline int data(struct fixture *f, uint32_t id, const char *text)
{
    return es_mirror_data(&f->mirror, 0, id, text, strlen(text), &f->err);
}

static inline int end(struct fixture *f, uint32_t id)
{
    return es_mirror_end(&f->mirror, 0, id, &f->err);
}

/* One whole file, in two pieces. */
static inline void give_file(struct fixture *f, const char *path, const char *text)
{
    char first[2] = {text[0], '\0'};

    if (begin(f, 1, path) < 0 || data(f, 1, first) < 0 || data(f, 1, text + strlen(first)) < 0 ||
        end(f, 1) < 0)
        fail_msg("%s", f->err.msg);
}

/* What the run has staged becomes the set. */
static inline void take_set(struct fixture *f)
{
    es_manifest_done(&f->set);
    f->set.sources = calloc(2, sizeof *f->set.sources);
    assert_non_null(f->set.sources);
    f->set.n_sources = 1;
    assert_int_equal(es_buf_puts(&f->set.sources[0].name, "s3"), 0);
    f->set.files = f->mirror.files;
    f->set.n_files = f->mirror.n_files;
    f->mirror.files = NULL;
    f->mirror.n_files = f->mirror.cap_files = 0;
}

static inline void publish(struct fixture *f)
{
    f->publishing = (struct es_publishing){.state = -1};
    if (es_mirrored_publish(&f->config, f->dir->path, &f->set, &f->publishing, &f->report,
                            &f->err) < 0)
        fail_msg("%s", f->err.msg);
}

/* A run that gives one file, from the first frame to the last rename. */
static inline enum es_file_state mirror_one(struct fixture *f, const char *path, const char *text)
{
    enum es_file_state is;

    begin_run(f, false);
    give_file(f, path, text);
    assert_int_equal(f->mirror.n_results, 1);
    is = f->mirror.results[0].state;
    take_set(f);
    publish(f);
    return is;
}

static inline struct stat stat_of(struct fixture *f, const char *name)
{
    struct stat st;

    assert_int_equal(lstat(in(f->dir, name), &st), 0);
    return st;
}

#endif
