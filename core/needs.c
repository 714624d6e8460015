/* See needs.h. Paths come from the configuration; what lies there may be anybody's, so it is opened
 * by walk.h and never read here. */
#include "needs.h"

#include "clock.h"
#include "envsync/limits.h"
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_STEP = 50 /* milliseconds between two looks */ };

/* Takes over fd. */
static int keep(struct es_files *files, uint32_t source, const struct es_need *need,
                const char *path, int fd, struct es_err *err)
{
    struct es_opened *items;
    ES_CLEANUP(es_close) int owned = fd;

    if (files->n == ES_MAX_FILES)
        return es_fail(err, ES_INVALID, EMFILE, "%s: more than %d files in one run", path,
                       ES_MAX_FILES);
    items = reallocarray(files->items, files->n + 1, sizeof *items);
    if (!items)
        return es_nomem(err);
    files->items = items;
    items[files->n] =
        (struct es_opened){.source = source, .role = need->role, .path = strdup(path)};
    if (!items[files->n].path)
        return es_nomem(err);
    items[files->n++].fd = owned;
    owned = -1;
    return 0;
}

static bool beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    char full[PATH_MAX];
    struct stat st;

    if ((size_t)snprintf(full, sizeof full, "%.*s/%s", (int)(slash - path), path, name) >=
        sizeof full)
        return false;
    return stat(full, &st) == 0;
}

static bool still_coming(const char *path, const struct es_wait *wait)
{
    if (beside(path, wait->over))
        return false;
    for (const char *const *name = wait->begun; *name; name++)
        if (beside(path, *name))
            return true;
    return false;
}

/* Everything that one es_files_open() hands down. */
struct opening {
    const struct es_config *config;
    struct es_files *files;
    uint32_t source;
    int64_t deadline;
    es_wait_fn *on_wait;
    void *data;
    struct es_report *report;
};

/* Opens, and where that may help waits for the file to appear. */
static int open_waiting(const struct opening *o, const struct es_need *need, struct es_err *err)
{
    bool told = false;

    for (;;) {
        int fd = es_open_source(need->path, err);

        if (fd != -ENOENT || !need->wait || !still_coming(need->path, need->wait))
            return fd;
        if (!told && o->on_wait)
            o->on_wait(o->data, need->wait->what, need->path);
        told = true;
        if (es_process_caught())
            return es_fail(err, ES_INTERNAL, EINTR, "interrupted");
        if (es_clock_left(o->deadline) == 0)
            return es_fail(err, ES_UNAVAILABLE, ETIMEDOUT,
                           "%s: %s is still running and has not written it before the deadline; "
                           "order the unit after it, or give more time with deadline",
                           need->path, need->wait->what);
        es_clock_nap(WAIT_STEP, o->deadline);
    }
}

static int open_one(const struct opening *o, const struct es_need *need, struct es_err *err)
{
    int fd;

    if (es_config_is_output(o->config, need->path))
        return es_fail(err, ES_CONFIG, EINVAL,
                       "%s: is an output, too: what one run writes would be what the next one "
                       "reads; give one of the two another path",
                       need->path);
    fd = open_waiting(o, need, err);
    if (fd >= 0)
        return keep(o->files, o->source, need, need->path, fd, err);
    if (fd == -ENOENT && need->wait && err->class == ES_ABSENT)
        return es_fail(err, ES_ABSENT, ENOENT, "%s: does not exist, and %s is not running",
                       need->path, need->wait->what);
    return fd;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Opens many paths in bytewise order. Directories among them are passed over in silence, what is
 * no regular file with a note: a socket in /etc/app.d is no reason not to boot. */
static int open_all(const struct opening *o, const struct es_need *need, char **paths, size_t n,
                    struct es_err *err)
{
    if (n > 1)
        qsort(paths, n, sizeof *paths, compare_paths);
    for (size_t i = 0; i < n; i++) {
        int fd, r;

        if (es_config_is_output(o->config, paths[i])) {
            es_report_add(o->report, ES_LEVEL_NOTICE,
                          "%s: passed over, it is an output of this configuration", paths[i]);
            continue;
        }
        fd = es_open_source(paths[i], err);
        if (fd == -EISDIR)
            continue;
        if (fd == -EINVAL || (fd == -ENOENT && err->class == ES_ABSENT)) {
            es_report_add(o->report, ES_LEVEL_NOTICE, "%s: passed over, %s", paths[i],
                          fd == -EINVAL ? "no regular file" : "a link to nothing");
            continue;
        }
        r = fd < 0 ? fd : keep(o->files, o->source, need, paths[i], fd, err);
        if (r < 0)
            return r;
    }
    return 0;
}

struct paths {
    char **items;
    size_t n;
};

static void paths_done(struct paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        free(paths->items[i]);
    free(paths->items);
}

static int list_directory(const char *path, struct paths *ret, struct es_err *err)
{
    ES_CLEANUP(es_dir_close) DIR *dir = NULL;
    int fd = es_open_directory(path, err);
    const struct dirent *entry;

    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir) {
        es_close(&fd);
        return es_nomem(err);
    }
    while (errno = 0, (entry = readdir(dir))) {
        char **items;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (ret->n == 16 * ES_MAX_FILES)
            return es_fail(err, ES_INVALID, EMFILE, "%s: more than %d entries", path,
                           16 * ES_MAX_FILES);
        items = reallocarray(ret->items, ret->n + 1, sizeof *items);
        if (!items)
            return es_nomem(err);
        ret->items = items;
        if (asprintf(&items[ret->n], "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                     entry->d_name) < 0)
            return es_nomem(err);
        ret->n++;
    }
    if (errno)
        return es_fail_errno(err, ES_DENIED, errno, "%s", path);
    return 0;
}

/* glob(3) stops where a directory may not be listed: that is no "nothing matches". */
static int glob_error(const char *path, int errnum)
{
    (void)path;
    return errnum == EACCES || errnum == EPERM || errnum == EIO;
}

static int open_glob(const struct opening *o, const struct es_need *need, struct es_err *err)
{
    glob_t found;
    int r = glob(need->path, GLOB_NOSORT, glob_error, &found);

    if (r == 0)
        r = open_all(o, need, found.gl_pathv, found.gl_pathc, err);
    else if (r == GLOB_NOMATCH)
        r = es_fail(err, ES_ABSENT, ENOENT, "%s: no file matches", need->path);
    else if (r == GLOB_ABORTED)
        r = es_fail(err, ES_DENIED, EACCES, "%s: a directory may not be listed", need->path);
    else
        r = es_nomem(err);
    globfree(&found);
    return r;
}

static int open_expanded(const struct opening *o, const struct es_need *need, struct es_err *err)
{
    ES_CLEANUP(paths_done) struct paths paths = {0};
    int r = open_one(o, need, err);

    if (r == -EISDIR) {
        r = list_directory(need->path, &paths, err);
        return r < 0 ? r : open_all(o, need, paths.items, paths.n, err);
    }
    if (r == -ENOENT && strpbrk(need->path, "*?["))
        return open_glob(o, need, err);
    return r;
}

/* Takes over a program, its stdout among the files. */
static int start(const struct opening *o, const struct es_process *process,
                 const struct es_need *need, struct es_err *err)
{
    struct es_files *files = o->files;
    struct es_program *programs =
        reallocarray(files->programs, files->n_programs + 1, sizeof *programs);
    int fd;

    if (!programs)
        return es_nomem(err);
    files->programs = programs;
    fd = es_program_start(need, process, o->deadline, &programs[files->n_programs], err);
    if (fd < 0)
        return fd;
    programs[files->n_programs++].source = o->source;
    return keep(files, o->source, need, need->path, fd, err);
}

static int open_need(const struct opening *o, const struct es_process *process,
                     const struct es_need *need, struct es_err *err)
{
    int r = need->flags & ES_NEED_EXEC     ? start(o, process, need, err)
            : need->flags & ES_NEED_EXPAND ? open_expanded(o, need, err)
                                           : open_one(o, need, err);

    if (r < 0 && need->flags & ES_NEED_OPTIONAL &&
        (err->class == ES_ABSENT || err->class == ES_DENIED))
        r = 0;
    return r;
}

static bool holds_fact(const struct es_value *value)
{
    bool found = value->type == ES_STRING &&
                 memmem(es_buf_str(&value->text), value->text.len, "${cloud.", 8) != NULL;

    for (size_t i = 0; !found && value->type == ES_LIST && i < value->list.n; i++)
        found = holds_fact(&value->list.items[i]);
    return found;
}

bool es_source_wants_facts(const struct es_source *source)
{
    for (const struct es_option *option = source->provider->options; option->key; option++) {
        const struct es_value *value = es_table_get(source->table, option->key);

        if (value && option->flags & ES_OPT_CLOUD && holds_fact(value))
            return true;
    }
    return false;
}

/* The instance data, from where a source of its own reads it, else from where it usually lies.
 * Absent data is the worker's to judge: a fact may have a default. */
static int need_facts(const struct es_opening *opening, struct es_needs *needs, struct es_err *err)
{
    const struct es_config *config = opening->config;
    size_t before = needs->n;
    int r = 0;

    for (size_t i = 0; i < config->n_sources && needs->n == before && r == 0; i++)
        if (config->sources[i].provider->facts)
            r = config->sources[i].provider->needs(config->sources[i].state, opening->surroundings,
                                                   needs, err);
    for (size_t i = 0; es_providers[i] && needs->n == before && r == 0; i++)
        if (es_providers[i]->facts)
            r = es_providers[i]->facts(needs, err);
    for (size_t i = before; i < needs->n; i++)
        needs->items[i].flags |= ES_NEED_OPTIONAL;
    return r;
}

int es_files_open(struct es_files *files, const struct es_opening *opening, uint32_t number,
                  struct es_err *err)
{
    ES_CLEANUP(es_needs_done) struct es_needs needs = {0};
    const struct es_source *source = &opening->config->sources[number];
    struct opening o = {.config = opening->config,
                        .files = files,
                        .source = number,
                        .deadline = opening->deadline,
                        .on_wait = opening->on_wait,
                        .data = opening->data,
                        .report = opening->report};
    int r = source->provider->needs
                ? source->provider->needs(source->state, opening->surroundings, &needs, err)
                : 0;

    if (r == 0 && es_source_wants_facts(source))
        r = need_facts(opening, &needs, err);
    for (size_t i = 0; r == 0 && i < needs.n; i++)
        r = open_need(&o, opening->process, &needs.items[i], err);
    return r;
}

void es_files_done(struct es_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        es_close(&files->items[i].fd);
        free(files->items[i].path);
    }
    for (size_t i = 0; i < files->n_programs; i++)
        es_program_done(&files->programs[i]);
    free(files->programs);
    free(files->items);
    *files = (struct es_files){0};
}
