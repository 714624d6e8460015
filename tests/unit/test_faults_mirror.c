/* core/mirror.c and core/mirrored.c: whichever call fails while files are mirrored, each is the old
 * one or the new one, nothing staged is left that nobody knows of, and the next run completes it.
 */
#include "core_case.h"
#include "failing.h"

#include "core/lock.h"
#include "core/mirror.h"
#include "core/mirrored.h"

#define MIRROR                                                                                     \
    "[[source]]\ntype = \"s3\"\nbucket = \"bucket\"\nmirror = [\"**\"]\ndir = \"/etc/demo/m\"\n"   \
    "prune = true\n"
#define HELD "etc/demo/m/" /* below --root */

struct world {
    struct dir *dir;
    struct es_config config;
    struct es_manifest set;   /* what is published */
    struct es_manifest fresh; /* what the trial has staged whole, and is to be published */
    bool left;                /* the mirror has told that something staged is left */
    int lock;
};

/* ---- a run ---- */

static int object_of(const char *path, struct es_buf *ret_path, struct es_kept_object *ret)
{
    ret->size = 1 << 20;
    ret->modified_ms = 1600000000123;
    if (es_buf_puts(ret_path, path) < 0 || es_buf_puts(&ret->name, path) < 0)
        return -ENOMEM;
    return 0;
}

static int stream(struct es_mirror *m, uint32_t id, const char *path, const char *text, bool drop,
                  struct es_err *err)
{
    ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {0};
    ES_CLEANUP(es_buf_done) struct es_buf at = {0};
    int r = object_of(path, &at, &object) < 0 ? es_nomem(err) : 0;

    if (r == 0)
        r = es_mirror_begin(m, 0, id, &at, &object, err);
    if (r == 0)
        r = es_mirror_data(m, 0, id, text, 1, err);
    if (r == 0)
        r = es_mirror_data(m, 0, id, text + 1, strlen(text) - 1, err);
    if (r < 0)
        return r;
    return drop ? es_mirror_drop(m, 0, id, err) : es_mirror_end(m, 0, id, err);
}

static int name_source(struct es_manifest *set, const struct es_config *config, struct es_err *err)
{
    set->sources = calloc(2, sizeof *set->sources);
    if (!set->sources)
        return es_nomem(err);
    set->n_sources = 1;
    return es_buf_puts(&set->sources[0].name, "s3") < 0 ||
                   es_put_value(&set->sources[0].configured, &config->sources[0].where) < 0
               ? es_nomem(err)
               : 0;
}

/* Files as the mirror has them become those of a set, in their order. */
static int compare_files(const void *a, const void *b)
{
    return es_key_compare(&((const struct es_kept_file *)a)->path,
                          &((const struct es_kept_file *)b)->path);
}

static int settle(struct world *w, struct es_mirror *m, struct es_err *err)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest set = {0};
    int r = name_source(&set, &w->config, err);

    if (r < 0)
        return r;
    qsort(m->files, m->n_files, sizeof *m->files, compare_files);
    set.files = m->files;
    set.n_files = m->n_files;
    r = es_mirrored_settle(&w->config, w->dir->path, &set, err);
    if (r < 0) {
        set.files = NULL;
        set.n_files = 0;
        return r;
    }
    m->files = NULL;
    m->n_files = m->cap_files = 0;
    es_manifest_done(&w->fresh);
    w->fresh = set;
    set = (struct es_manifest){0};
    return 0;
}

static int publish(const struct world *w, const struct es_manifest *set,
                   const struct es_kept_file **ret_missing, struct es_err *err)
{
    ES_CLEANUP(es_close) int state = open(w->dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ES_CLEANUP(es_report_done) struct es_report report = {0};
    struct es_publishing publishing = {.state = state};
    int r;

    if (state < 0)
        return es_fail_errno(err, ES_OUTPUT, errno, "state");
    r = es_mirrored_publish(&w->config, w->dir->path, set, &publishing, &report, err);
    *ret_missing = publishing.missing;
    return r;
}

/* One that changes, one of the same bytes, a new one in a new directory, one that is given up, and
 * one that the source says is unchanged. */
static int give_all(struct es_mirror *m, const struct world *w, struct es_err *err)
{
    ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {0};
    int r = es_buf_puts(&object.name, "c") < 0 ? es_nomem(err) : 0;

    if (r == 0)
        r = es_mirror_same(m, &w->set.files[1], 0, &object, err);
    if (r == 0)
        r = stream(m, 1, "a", "two", false, err);
    if (r == 0)
        r = stream(m, 2, "sub/b", "one", false, err);
    if (r == 0)
        r = stream(m, 3, "new/deep/d", "two", false, err);
    if (r == 0)
        r = stream(m, 4, "x", "two", true, err);
    if (r == 0)
        r = stream(m, 5, "y", "two", false, err);
    return r == 0 ? es_mirror_drop(m, 0, 5, err) : r;
}

static int mirror_anew(void *data, struct es_err *err)
{
    struct world *w = data;
    struct es_mirror m = {.config = &w->config, .root = w->dir->path, .lock = &w->lock};
    const struct es_kept_file *missing;
    int r;

    es_mirrored_sweep(&w->config, &(struct es_manifest){0}, w->dir->path);
    r = give_all(&m, w, err);
    if (r == 0)
        r = settle(w, &m, err);
    if (r == 0)
        r = publish(w, &w->fresh, &missing, err);
    es_mirror_forget(&m, 0);
    w->left = m.left;
    es_mirror_done(&m);
    return r;
}

/* ---- before and after ---- */

static void nothing(struct world *w)
{
    if (exists(in(w->dir, "etc")))
        assert_int_equal(nftw(in(w->dir, "etc"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    es_manifest_done(&w->set);
    es_manifest_done(&w->fresh);
    w->left = false;
    es_lock_set_clean(w->lock);
}

/* What an earlier run has mirrored. */
static void published(void *data)
{
    struct world *w = data;
    struct es_mirror m = {.config = &w->config, .root = w->dir->path};
    const struct es_kept_file *missing = NULL;
    struct es_err err = {.msg = "nothing"};

    nothing(w);
    if (stream(&m, 1, "a", "one", false, &err) < 0 || stream(&m, 2, "c", "one", false, &err) < 0 ||
        stream(&m, 3, "sub/b", "one", false, &err) < 0 || settle(w, &m, &err) < 0 ||
        publish(w, &w->fresh, &missing, &err) < 0)
        fail_msg("%s", err.msg);
    assert_null(missing);
    es_mirror_done(&m);
    w->set = w->fresh;
    w->fresh = (struct es_manifest){0};
    assert_int_equal(chmod(in(w->dir, HELD "c"), 0600), 0); /* to be repaired */
}

static void assert_as_before(const struct world *w)
{
    assert_file(in(w->dir, HELD "a"), "one");
    assert_file(in(w->dir, HELD "c"), "one");
    assert_file(in(w->dir, HELD "sub/b"), "one");
    assert_false(exists(in(w->dir, HELD "new/deep/d")));
}

static void assert_as_after(const struct world *w)
{
    struct stat st;

    assert_int_equal(lstat(in(w->dir, HELD "c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_file(in(w->dir, HELD "a"), "two");
    assert_file(in(w->dir, HELD "c"), "one");
    assert_file(in(w->dir, HELD "sub/b"), "one");
    assert_file(in(w->dir, HELD "new/deep/d"), "two");
    assert_false(exists(in(w->dir, HELD "x")) || exists(in(w->dir, HELD "y")));
}

static void assert_mirrored_or_not(void *data, const char *call, int r)
{
    struct world *w = data;
    const struct es_kept_file *missing = NULL;
    struct es_err err = {.msg = "nothing"};

    assert_true(r == 0 ? w->fresh.n_files == 4 : call != NULL);
    /* Nothing is left without somebody to know: what is swept are directories that the lock says
     * may have something. */
    assert_true(w->fresh.n_files > 0 || staged_below(w->dir, "etc") == 0 ||
                !es_lock_is_clean(w->lock));
    if (w->fresh.n_files == 0) {
        assert_as_before(w);
        assert_true(staged_below(w->dir, "etc") == 0 || w->left || strcmp(call, "unlinkat") == 0);
    } else {
        assert_true(file_is(in(w->dir, HELD "a"), "one") || file_is(in(w->dir, HELD "a"), "two"));
        if (publish(w, &w->fresh, &missing, &err) < 0)
            fail_msg("the next run: %s", err.msg);
        assert_null(missing);
        assert_as_after(w);
    }
    es_mirrored_sweep(&w->config, &(struct es_manifest){0}, w->dir->path);
    assert_int_equal(staged_below(w->dir, "etc"), 0);
}

static void setup(struct world *w, void **state)
{
    *w = (struct world){.dir = *state};
    load_config(*state, TOP MIRROR, &w->config);
    w->lock = open(in(*state, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(w->lock >= 0);
}

static void teardown(struct world *w)
{
    es_manifest_done(&w->set);
    es_manifest_done(&w->fresh);
    es_config_done(&w->config);
    es_close(&w->lock);
}

static void whichever_call_fails_each_file_is_the_old_one_or_the_new_one(void **state)
{
    static const struct ordeal o = {.before = published,
                                    .run = mirror_anew,
                                    .after = assert_mirrored_or_not,
                                    .classes = 1U << ES_OUTPUT | 1U << ES_DENIED};
    struct world w;

    setup(&w, state);
    ordeal(&o, &w, EIO);
    ordeal(&o, &w, EPERM);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_in_memory(whichever_call_fails_each_file_is_the_old_one_or_the_new_one),
    };

    return cmocka_run_group_tests_name("faults of mirroring", tests, NULL, NULL);
}
