/* See unit.h. Where systemd would find a unit and its drop-ins. Directories and files are opened by
 * walk.h, so that no stranger's link is followed; what they hold is only ever parsed. */
#include "../walk.h"
#include "envsync/limits.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In systemd's order: an earlier one wins. */
static const char *const system_dirs[] = {
    "/etc/systemd/system.control",   "/run/systemd/system.control",  "/run/systemd/transient",
    "/run/systemd/generator.early",  "/etc/systemd/system",          "/etc/systemd/system.attached",
    "/run/systemd/system",           "/run/systemd/system.attached", "/run/systemd/generator",
    "/usr/local/lib/systemd/system", "/lib/systemd/system",          "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
};

enum {
    DIRS = sizeof system_dirs / sizeof *system_dirs + 1,
    NAMES = 64, /* under which drop-ins are looked for */
    ENTRIES = 10000,
};

/* Where to look: `beside` first. */
struct search {
    const char *dirs[DIRS];
    size_t n;
};

static bool is_system_dir(const char *dir)
{
    for (size_t i = 0; i < sizeof system_dirs / sizeof *system_dirs; i++)
        if (strcmp(system_dirs[i], dir) == 0)
            return true;
    return false;
}

/* A folder of its own is all there is to search, unless it is one of systemd's. */
static struct search search_in(const char *beside, bool only)
{
    struct search search = {0};

    if (beside && is_system_dir(beside))
        beside = NULL;
    if (beside)
        search.dirs[search.n++] = beside;
    for (size_t i = 0; (!beside || !only) && i < DIRS - 1; i++)
        search.dirs[search.n++] = system_dirs[i];
    return search;
}

static int join(const char *dir, const char *name, char **ret, struct es_err *err)
{
    if (asprintf(ret, "%s/%s", dir, name) < 0) {
        *ret = NULL;
        return es_nomem(err);
    }
    return 0;
}

/* ---- one file ---- */

/* A link to /dev/null: how systemd masks a unit or a drop-in. */
static bool is_masked(const char *path)
{
    char target[16];
    ssize_t n = readlink(path, target, sizeof target);

    return n == 9 && memcmp(target, "/dev/null", 9) == 0;
}

static int read_file(struct es_unit *unit, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ES_CLEANUP(es_close) int fd = -1;
    int r;

    if (unit->n_files == ES_MAX_UNIT_FILES)
        return es_fail(err, ES_CONFIG, EFBIG, "%s: more than %d files of one unit", path,
                       ES_MAX_UNIT_FILES);
    fd = es_open_source(path, err);
    if (fd < 0) {
        if (err->class != ES_DENIED && err->class != ES_INTERNAL)
            err->class = ES_CONFIG;
        return fd;
    }
    r = es_buf_read_fd(&text, fd, ES_MAX_UNIT);
    if (r == -ENOMEM)
        return es_nomem(err);
    if (r == -EFBIG)
        return es_fail(err, ES_CONFIG, EFBIG, "%s: is larger than 1 MiB", path);
    if (r < 0)
        return es_fail_errno(err, ES_CONFIG, -r, "%s", path);
    return es_unit_parse(unit, path, es_buf_str(&text), text.len, err);
}

/* ---- drop-ins ---- */

struct dropin {
    char *path;
    const char *base; /* in path */
};

struct dropins {
    struct dropin *items;
    size_t n;
};

static void dropins_done(struct dropins *dropins)
{
    for (size_t i = 0; i < dropins->n; i++)
        free(dropins->items[i].path);
    free(dropins->items);
}

static bool is_dropin(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

/* Of two with one name, that of the earlier directory wins. */
static bool is_known(const struct dropins *dropins, const char *base)
{
    for (size_t i = 0; i < dropins->n; i++)
        if (strcmp(dropins->items[i].base, base) == 0)
            return true;
    return false;
}

static int add_dropin(struct dropins *dropins, const char *dir, const char *name,
                      struct es_err *err)
{
    ES_CLEANUP(es_freep) char *path = NULL;
    struct dropin *items;
    int r = join(dir, name, &path, err);

    if (r != 0)
        return r;
    if (dropins->n == ES_MAX_UNIT_FILES)
        return es_fail(err, ES_CONFIG, EFBIG, "%s: more than %d drop-ins of one unit", dir,
                       ES_MAX_UNIT_FILES);
    items = reallocarray(dropins->items, dropins->n + 1, sizeof *items);
    if (!items)
        return es_nomem(err);
    dropins->items = items;
    items[dropins->n++] = (struct dropin){.path = path, .base = strrchr(path, '/') + 1};
    path = NULL;
    return 0;
}

static int list_dropins(struct dropins *dropins, const char *path, struct es_err *err)
{
    ES_CLEANUP(es_dir_close) DIR *dir = NULL;
    const struct dirent *entry;
    int fd = es_open_directory(path, err), r = 0;

    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir) {
        es_close(&fd);
        return es_nomem(err);
    }
    for (size_t seen = 0; errno = 0, r == 0 && (entry = readdir(dir)); seen++) {
        if (seen == ENTRIES)
            return es_fail(err, ES_CONFIG, EFBIG, "%s: more than %d files", path, ENTRIES);
        if (is_dropin(entry->d_name) && !is_known(dropins, entry->d_name))
            r = add_dropin(dropins, path, entry->d_name, err);
    }
    return r == 0 && errno != 0 ? es_fail_errno(err, ES_CONFIG, errno, "%s", path) : r;
}

/* Names of the directories of drop-ins. */
struct names {
    char *items[NAMES];
    size_t n;
};

static void names_done(struct names *names)
{
    while (names->n > 0)
        free(names->items[--names->n]);
}

/* The first `len` bytes of a name, and what is to follow them. */
static int add_name(struct names *names, const char *name, size_t len, const char *middle,
                    const char *rest, struct es_err *err)
{
    if (names->n == NAMES)
        return es_fail(err, ES_CONFIG, ENAMETOOLONG, "%s: more than %d directories of drop-ins",
                       name, NAMES);
    if (asprintf(&names->items[names->n], "%.*s%s%s.d", (int)len, name, middle, rest) < 0)
        return es_nomem(err);
    names->n++;
    return 0;
}

/* "a-b@c.service": itself and "a-b@.service", then "a-@c.service", "a-@.service", "a-.service". */
static int add_names(struct names *names, const char *name, struct es_err *err)
{
    size_t whole = es_unit_prefix_length(name), len = whole;
    const char *rest = name + whole, *type = strrchr(rest, '.');
    bool instance = *rest == '@' && type;

    for (;;) {
        int r = add_name(names, name, len, "", rest, err);
        const char *dash = len > 1 ? memrchr(name, '-', len - 1) : NULL;

        if (r == 0 && instance)
            r = add_name(names, name, len, "@", type, err);
        if (r == 0 && instance && len < whole)
            r = add_name(names, name, len, "", type, err);
        if (r != 0 || !dash)
            return r;
        len = (size_t)(dash + 1 - name);
    }
}

static int compare_dropins(const void *a, const void *b)
{
    const struct dropin *one = a, *other = b;

    return strcmp(one->base, other->base);
}

static int read_dropins(struct es_unit *unit, const struct search *search, const char *alias,
                        struct es_err *err)
{
    ES_CLEANUP(dropins_done) struct dropins dropins = {0};
    ES_CLEANUP(names_done) struct names names = {.n = 0};
    int r = add_names(&names, unit->name, err);

    if (r == 0 && alias)
        r = add_names(&names, alias, err);
    /* For every service, and the weakest. */
    if (r == 0)
        r = add_name(&names, "service", strlen("service"), "", "", err);
    for (size_t i = 0; r == 0 && i < names.n; i++)
        for (size_t j = 0; r == 0 && j < search->n; j++) {
            ES_CLEANUP(es_freep) char *path = NULL;

            r = join(search->dirs[j], names.items[i], &path, err);
            if (r == 0)
                r = list_dropins(&dropins, path, err);
        }
    if (r == 0 && dropins.n > 1)
        qsort(dropins.items, dropins.n, sizeof *dropins.items, compare_dropins);
    for (size_t i = 0; r == 0 && i < dropins.n; i++)
        if (!is_masked(dropins.items[i].path))
            r = read_file(unit, dropins.items[i].path, err);
    return r;
}

/* ---- names ---- */

static bool ends(const char *text, const char *with)
{
    size_t len = strlen(text), n = strlen(with);

    return len >= n && strcmp(text + len - n, with) == 0;
}

static int check_type(const char *name, struct es_err *err)
{
    static const char *const others[] = {".socket", ".timer",     ".path",  ".target",
                                         ".mount",  ".automount", ".slice", ".scope",
                                         ".swap",   ".device",    NULL};

    if (ends(name, ".conf"))
        return es_fail(err, ES_USAGE, EINVAL,
                       "%s: is a drop-in; name the unit, and its drop-ins are read with it", name);
    for (size_t i = 0; others[i]; i++)
        if (ends(name, others[i]))
            return es_fail(err, ES_USAGE, EINVAL,
                           "%s: is no service; name the service that it belongs to", name);
    return 0;
}

/* Sets name and instance; a template becomes an instance where one is given. */
static int set_name(struct es_unit *unit, const char *name, const char *instance,
                    struct es_err *err)
{
    const char *at = strchr(name, '@'), *dot = strrchr(name, '.');
    int r = check_type(name, err);

    if (r != 0)
        return r;
    if (name[0] == '\0' || strchr("@.", name[0]) || strlen(name) > 255)
        return es_fail(err, ES_USAGE, EINVAL, "\"%.60s\" is no name of a unit", name);
    if (!dot || dot < at)
        dot = name + strlen(name);
    if (at && dot == at + 1 && instance) {
        if (asprintf(&unit->name, "%.*s%s%s", (int)(at + 1 - name), name, instance, dot) < 0)
            unit->name = NULL;
        unit->instance = strdup(instance);
    } else {
        unit->name = strdup(name);
        unit->instance = at ? strndup(at + 1, (size_t)(dot - at - 1)) : NULL;
    }
    return unit->name && (!at || unit->instance) ? 0 : es_nomem(err);
}

/* The first directory that has the file. ret: NULL where none has. */
static int find(const struct search *search, const char *name, char **ret, struct es_err *err)
{
    *ret = NULL;
    for (size_t i = 0; i < search->n; i++) {
        ES_CLEANUP(es_freep) char *path = NULL;
        struct stat st;
        int r = join(search->dirs[i], name, &path, err);

        if (r != 0)
            return r;
        if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
            *ret = path;
            path = NULL;
            return 0;
        }
    }
    return 0;
}

static int find_or_template(const struct search *search, const char *name, char **ret,
                            struct es_err *err)
{
    ES_CLEANUP(es_freep) char *template = NULL;
    int r = find(search, name, ret, err);

    if (r != 0 || *ret)
        return r;
    if (es_unit_template(name, &template) < 0)
        return es_nomem(err);
    return template ? find(search, template, ret, err) : 0;
}

/* The unit's own file, then what is dropped in. */
static int read_unit(struct es_unit *unit, const char *path, const struct search *search,
                     struct es_err *err)
{
    char target[4096];
    const char *alias = NULL;
    ssize_t n = readlink(path, target, sizeof target - 1);
    int r;

    if (is_masked(path))
        return es_fail(err, ES_CONFIG, EPERM, "%s: the unit is masked; systemctl unmask it", path);
    if (n > 0) {
        target[n] = '\0';
        alias = strrchr(target, '/');
        alias = alias ? alias + 1 : target;
        if (strcmp(alias, unit->name) == 0 || !ends(alias, ".service"))
            alias = NULL;
    }
    r = read_file(unit, path, err);
    return r == 0 ? read_dropins(unit, search, alias, err) : r;
}

static int load_file(struct es_unit *unit, const char *path, const char *instance,
                     struct es_err *err)
{
    const char *base = strrchr(path, '/') + 1;
    struct search search;
    int r = set_name(unit, base, instance, err);

    if (r != 0)
        return r;
    unit->folder = base == path + 1 ? strdup("/") : strndup(path, (size_t)(base - 1 - path));
    if (!unit->folder)
        return es_nomem(err);
    search = search_in(unit->folder, true);
    return read_unit(unit, path, &search, err);
}

/* "foo" is "foo.service", as for systemctl. */
static int full_name(const char *name, char **ret, struct es_err *err)
{
    if (asprintf(ret, "%s%s", name, strchr(name, '.') ? "" : ".service") < 0) {
        *ret = NULL;
        return es_nomem(err);
    }
    return 0;
}

static int load_name(struct es_unit *unit, const char *which, const char *beside,
                     const char *instance, struct es_err *err)
{
    const struct search search = search_in(beside, false);
    ES_CLEANUP(es_freep) char *name = NULL, *path = NULL;
    struct stat st;
    int r = full_name(which, &name, err);

    if (r == 0)
        r = set_name(unit, name, instance, err);
    if (r == 0)
        r = find_or_template(&search, unit->name, &path, err);
    if (r != 0)
        return r;
    if (path)
        return read_unit(unit, path, &search, err);
    if (stat(which, &st) == 0 && S_ISREG(st.st_mode)) {
        ES_CLEANUP(es_freep) char *file = NULL;

        es_unit_done(unit);
        r = es_walk_absolute(which, ES_CONFIG, &file, err);
        return r == 0 ? load_file(unit, file, instance, err) : r;
    }
    return es_fail(err, ES_CONFIG, ENOENT,
                   "there is no unit %s on this host; a file is named with its path", unit->name);
}

int es_unit_load(const char *which, const char *beside, const char *instance, struct es_unit *ret,
                 struct es_err *err)
{
    ES_CLEANUP(es_unit_done) struct es_unit unit = {0};
    ES_CLEANUP(es_freep) char *path = NULL;
    int r;

    if (strchr(which, '/')) {
        r = es_walk_absolute(which, ES_CONFIG, &path, err);
        if (r == 0)
            r = load_file(&unit, path, instance, err);
    } else {
        r = load_name(&unit, which, beside, instance, err);
    }

    if (r != 0)
        return r;
    *ret = unit;
    unit = (struct es_unit){0};
    return 0;
}
