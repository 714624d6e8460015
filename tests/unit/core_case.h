/* What the tests of the core share: a directory of their own, files in it, a configuration out of
 * text, records out of words. Everything asserts, so that a case is one line. */
#ifndef ENVSYNC_TESTS_CORE_CASE_H
#define ENVSYNC_TESTS_CORE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/commit/temp.h"
#include "core/config.h"
#include "core/fetch.h"
#include "core/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A directory that is removed with all in it: the state of tests that are run by test_in_dir() or
 * test_in_memory(). */
struct dir {
    char path[64];
};

static inline int make_dir_in(const char *where, void **state)
{
    struct dir *dir = calloc(1, sizeof *dir);

    if (!dir)
        return -1;
    snprintf(dir->path, sizeof dir->path, "%s/envsync-test-XXXXXX", where);
    *state = dir;
    return mkdtemp(dir->path) && chmod(dir->path, 0755) == 0 ? 0 : -1;
}

static inline int make_dir(void **state)
{
    return make_dir_in("/tmp", state);
}

/* For tests that write the same files again and again. */
static inline int make_dir_in_memory(void **state)
{
    return make_dir_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", state);
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline int remove_dir(void **state)
{
    struct dir *dir = *state;
    int r = nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);

    free(dir);
    return r;
}

#define test_in_dir(f)    cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
#define test_in_memory(f) cmocka_unit_test_setup_teardown(f, make_dir_in_memory, remove_dir)

/* The path of a name in the directory; good for the next seven calls. */
static inline const char *in(struct dir *dir, const char *name)
{
    static char texts[8][256];
    static unsigned turn;
    char *text = texts[turn++ % 8];

    assert_true(snprintf(text, sizeof *texts, "%s/%s", dir->path, name) < (int)sizeof *texts);
    return text;
}

static inline void put_bytes(const char *path, const void *data, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline void put_file(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text), 0644);
}

static inline void assert_file(const char *path, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    ES_CLEANUP(es_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(es_buf_read_fd(&is, fd, 1 << 20), 0);
    assert_string_equal(es_buf_str(&is), text);
}

static inline bool file_is(const char *path, const char *text)
{
    ES_CLEANUP(es_buf_done) struct es_buf is = {0};
    ES_CLEANUP(es_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && es_buf_read_fd(&is, fd, 1 << 20) == 0 && es_buf_is(&is, text);
}

static inline bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* How many names there are in a directory of the directory; 0 where it is not there. */
static inline size_t entries(struct dir *dir, const char *name)
{
    DIR *stream = opendir(in(dir, name));
    size_t n = 0;

    if (!stream)
        return 0;
    while (readdir(stream))
        n++;
    closedir(stream);
    return n - 2;
}

/* How many files and directories below it have names of envsync's that are to be renamed. */
static size_t staged_found;

static inline int count_staged(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    staged_found += es_temp_name(path + ftw->base) || es_walk_is_new(path + ftw->base);
    return 0;
}

static inline size_t staged_below(struct dir *dir, const char *name)
{
    staged_found = 0;
    if (exists(in(dir, name)))
        assert_int_equal(nftw(in(dir, name), count_staged, 16, FTW_PHYS), 0);
    return staged_found;
}

/* What only root can arrange is said to be missing, never passed over in silence. */
#define NEEDS_ROOT()                                                                               \
    do {                                                                                           \
        if (geteuid() != 0) {                                                                      \
            print_message("# %s: SKIPPED, this test must run as root\n", __func__);                \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

enum { STRANGER = 65534, THE_APP = 54321 };

/* Runs fn as another user, in a process of its own; its result is the exit status. */
static inline int as_user(uid_t uid, int (*fn)(void *data), void *data)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
            _exit(99);
        _exit(fn(data));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- configurations ---- */

/* The group exists on every host; `app` names nothing that is there. */
#define TOP    "app = \"demo\"\ngroup = \"root\"\n"
#define SOURCE "[[source]]\ntype = \"file\"\npath = \"/nowhere/a.env\"\n"
#define SECOND "[[source]]\ntype = \"file\"\nname = \"second\"\npath = \"/nowhere/b.env\"\n"
#define OUTPUT "[[output]]\npath = \"/run/demo/out\"\nformat = \"env\"\n"

static inline int try_config(struct dir *dir, const char *text, char **environment,
                             struct es_config *ret, struct es_err *err)
{
    const struct es_process process = {.environ = environment};
    const char *path = in(dir, "c.toml");

    put_file(path, text);
    return es_config_load(path, &process, ret, err);
}

static inline void load_config(struct dir *dir, const char *text, struct es_config *ret)
{
    struct es_err err = {.msg = "nothing"};

    if (try_config(dir, text, NULL, ret, &err) < 0)
        fail_msg("refused: %s", err.msg);
}

/* Milliseconds that this process has had of a processor. */
static inline double cpu_ms(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- records ---- */

static inline struct es_record *give_value(struct es_fetched *fetched, uint32_t source,
                                           const char *key, struct es_value *value)
{
    struct es_record *record;
    struct es_err err;

    fetched->records = reallocarray(fetched->records, fetched->n + 1, sizeof *record);
    assert_non_null(fetched->records);
    record = &fetched->records[fetched->n++];
    *record = (struct es_record){.source = source};
    assert_int_equal(es_key_parse(key, &record->key, &err), 0);
    es_value_move(&record->value, value);
    assert_int_equal(es_buf_puts(&record->object, "object"), 0);
    return record;
}

static inline struct es_record *give(struct es_fetched *fetched, uint32_t source, const char *key,
                                     const char *text)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};

    assert_int_equal(es_value_set_string(&value, text, strlen(text)), 0);
    return give_value(fetched, source, key, &value);
}

static inline struct es_record *give_json(struct es_fetched *fetched, uint32_t source,
                                          const char *key, const char *json)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    struct es_err err;

    assert_int_equal(es_json_parse(json, strlen(json), &value, &err), 0);
    return give_value(fetched, source, key, &value);
}

#endif
