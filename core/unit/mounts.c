/* See mounts.h: the mounts. systemd lets the longest path decide, and of two settings for one path
 * the stricter; but what is below an inaccessible path it drops. */
#include "mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool es_path_simplify(char *path)
{
    char *to = path;

    if (path[0] != '/')
        return false;
    for (const char *from = path; *from;) {
        size_t n;

        from += strspn(from, "/");
        n = strcspn(from, "/");
        if (n == 0)
            break;
        if ((n == 1 && from[0] == '.') || (n == 2 && from[0] == '.' && from[1] == '.'))
            return false;
        *to++ = '/';
        memmove(to, from, n);
        to += n;
        from += n;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
    if (strcmp(path, "/var/run") == 0 || strncmp(path, "/var/run/", 9) == 0)
        memmove(path, path + 4, strlen(path + 4) + 1);
    return true;
}

bool es_path_below(const char *path, const char *dir)
{
    size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

const char *es_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void es_unit_mounts_done(struct es_unit_mounts *mounts)
{
    for (size_t i = 0; i < mounts->n; i++)
        free(mounts->items[i].path);
    free(mounts->items);
    *mounts = (struct es_unit_mounts){0};
}

static int add(struct es_unit_mounts *mounts, const char *path, enum es_access access,
               bool must_exist, const struct es_unit_setting *at, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *own = strdup(path);
    struct es_unit_mount *items;

    if (!own)
        return es_nomem(err);
    if (!es_path_simplify(own))
        return 0; /* systemd does not take it either */
    items = reallocarray(mounts->items, mounts->n + 1, sizeof *items);
    if (!items)
        return es_nomem(err);
    mounts->items = items;
    items[mounts->n++] =
        (struct es_unit_mount){.path = own, .access = access, .must_exist = must_exist, .at = at};
    own = NULL;
    return 0;
}

static int add_all(struct es_unit_mounts *mounts, const char *const *paths, enum es_access access,
                   const struct es_unit_setting *at, struct es_err *err)
{
    int r = 0;

    for (; r == 0 && *paths; paths++)
        r = add(mounts, *paths, access, false, at, err);
    return r;
}

/* ReadWritePaths= and its like: "-" before a path that may be absent, "+" for one that counts from
 * RootDirectory=. */
static int add_paths(struct es_unit_mounts *mounts, const struct es_unit *unit, const char *key,
                     enum es_access access, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    int r = es_unit_list(unit, "Service", key, ES_UNIT_WORDS, &items, err);

    for (size_t i = 0; r == 0 && i < items.n; i++) {
        const char *path = es_buf_str(&items.items[i].text);
        size_t before = mounts->n;
        bool soft = *path == '-';

        path += soft;
        path += *path == '+';
        r = add(mounts, path, access, !soft, items.items[i].at, err);
        if (r == 0 && mounts->n > before) {
            mounts->items[before].is_final = access == ES_ACCESS_NONE;
            mounts->items[before].is_remount = access != ES_ACCESS_NONE;
        }
    }
    return r;
}

static bool has_word(const char *options, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = options; *p;) {
        size_t n = strcspn(p, ",");

        if (n == len && memcmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* "PATH:OPTIONS" */
static int add_temporary(struct es_unit_mounts *mounts, const struct es_unit *unit,
                         struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    int r = es_unit_list(unit, "Service", "TemporaryFileSystem", ES_UNIT_WORDS, &items, err);

    for (size_t i = 0; r == 0 && i < items.n; i++) {
        ES_CLEANUP(es_freep) char *path = strdup(es_buf_str(&items.items[i].text));
        char *colon;

        if (!path)
            return es_nomem(err);
        colon = strchr(path, ':');
        if (colon)
            *colon = '\0';
        r = add(mounts, path, colon && has_word(colon + 1, "ro") ? ES_ACCESS_NONE : ES_ACCESS_EMPTY,
                false, items.items[i].at, err);
    }
    return r;
}

/* "[-]SOURCE[:TARGET[:OPTIONS]]" */
static int add_binds(struct es_unit_mounts *mounts, const struct es_unit *unit, const char *key,
                     struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};
    int r = es_unit_list(unit, "Service", key, ES_UNIT_WORDS, &items, err);

    for (size_t i = 0; r == 0 && i < items.n; i++) {
        ES_CLEANUP(es_freep) char *text = strdup(es_buf_str(&items.items[i].text));
        char *path, *colon;

        if (!text)
            return es_nomem(err);
        path = text + (*text == '-');
        colon = strchr(path, ':');
        if (colon)
            path = colon + 1;
        path[strcspn(path, ":")] = '\0';
        r = add(mounts, path, ES_ACCESS_BOUND, false, items.items[i].at, err);
    }
    return r;
}

static int add_protect_system(struct es_unit_mounts *mounts, const struct es_unit *unit,
                              const struct es_unit_setting *dynamic, struct es_err *err)
{
    static const char *const words[] = {"strict", "full", "yes", "true",  "on", "1",
                                        "no",     "off",  "0",   "false", NULL};
    static const char *const usr[] = {"/usr", "/boot", "/efi", NULL}, *const etc[] = {"/etc", NULL};
    static const char *const all[] = {"/", NULL};
    static const char *const rest[] = {"/proc", "/sys",      "/dev", "/home",
                                       "/root", "/run/user", NULL};
    const struct es_unit_setting *at;
    int word = es_unit_choice(unit, "Service", "ProtectSystem", words, &at), r = 0;

    if (dynamic && word != 0) {
        word = 0;
        at = dynamic;
    }
    if (word == 0) {
        r = add_all(mounts, all, ES_ACCESS_READ, at, err);
        return r == 0 ? add_all(mounts, rest, ES_ACCESS_DEFAULT, at, err) : r;
    }
    if (word >= 1 && word <= 5)
        r = add_all(mounts, usr, ES_ACCESS_READ, at, err);
    return r == 0 && word == 1 ? add_all(mounts, etc, ES_ACCESS_READ, at, err) : r;
}

static int add_protect_home(struct es_unit_mounts *mounts, const struct es_unit *unit,
                            const struct es_unit_setting *dynamic, struct es_err *err)
{
    static const char *const words[] = {"read-only", "tmpfs", "yes", "true",  "on", "1",
                                        "no",        "off",   "0",   "false", NULL};
    static const char *const homes[] = {"/home", "/root", "/run/user", NULL};
    const struct es_unit_setting *at;
    int word = es_unit_choice(unit, "Service", "ProtectHome", words, &at), r;
    size_t before = mounts->n;

    if (dynamic && (word < 0 || word > 5)) {
        word = 0;
        at = dynamic;
    }
    if (word < 0 || word > 5)
        return 0;
    r = add_all(mounts, homes,
                word == 0   ? ES_ACCESS_READ
                : word == 1 ? ES_ACCESS_EMPTY
                            : ES_ACCESS_NONE,
                at, err);
    for (size_t i = before; word > 1 && i < mounts->n; i++)
        mounts->items[i].is_final = true;
    return r;
}

static int add_private_tmp(struct es_unit_mounts *mounts, const struct es_unit *unit,
                           const struct es_unit_setting *dynamic, struct es_err *err)
{
    static const char *const tmp[] = {"/tmp", "/var/tmp", NULL};
    static const char *const disconnected[] = {"disconnected", NULL};
    const struct es_unit_setting *at;
    bool is = es_unit_bool(unit, "Service", "PrivateTmp", false, &at);

    if (!is && es_unit_choice(unit, "Service", "PrivateTmp", disconnected, &at) == 0)
        is = true;
    if (!is && dynamic) {
        is = true;
        at = dynamic;
    }
    return is ? add_all(mounts, tmp, ES_ACCESS_SHARED, at, err) : 0;
}

/* What systemd makes for the unit may be written, whatever ProtectSystem= says. */
static int add_dirs(struct es_unit_mounts *mounts, const struct es_unit *unit, struct es_err *err)
{
    ES_CLEANUP(es_unit_dirs_done) struct es_unit_dirs dirs = {0};
    int r = es_unit_dirs_read(unit, &dirs, err);

    for (size_t i = 0; r == 0 && i < dirs.n; i++)
        r = add(mounts, dirs.items[i].path, ES_ACCESS_FULL, false, dirs.items[i].at, err);
    return r;
}

int es_unit_mounts_read(const struct es_unit *unit, struct es_unit_mounts *ret, struct es_err *err)
{
    ES_CLEANUP(es_unit_mounts_done) struct es_unit_mounts mounts = {0};
    const struct es_unit_setting *dynamic = NULL;
    int r;

    if (!es_unit_bool(unit, "Service", "DynamicUser", false, &dynamic))
        dynamic = NULL;
    r = add_protect_system(&mounts, unit, dynamic, err);
    if (r == 0)
        r = add_protect_home(&mounts, unit, dynamic, err);
    if (r == 0)
        r = add_private_tmp(&mounts, unit, dynamic, err);
    if (r == 0)
        r = add_paths(&mounts, unit, "ReadWritePaths|ReadWriteDirectories", ES_ACCESS_FULL, err);
    if (r == 0)
        r = add_paths(&mounts, unit, "ReadOnlyPaths|ReadOnlyDirectories", ES_ACCESS_READ, err);
    if (r == 0)
        r = add_paths(&mounts, unit, "InaccessiblePaths|InaccessibleDirectories", ES_ACCESS_NONE,
                      err);
    if (r == 0)
        r = add_temporary(&mounts, unit, err);
    if (r == 0)
        r = add_binds(&mounts, unit, "BindPaths", err);
    if (r == 0)
        r = add_binds(&mounts, unit, "BindReadOnlyPaths", err);
    if (r == 0)
        r = add_dirs(&mounts, unit, err);
    if (r != 0)
        return r;
    *ret = mounts;
    mounts = (struct es_unit_mounts){0};
    return 0;
}

static size_t length(const struct es_unit_mount *mount)
{
    return strcmp(mount->path, "/") == 0 ? 0 : strlen(mount->path);
}

/* The next one on the way down to a path, behind `above`. */
static const struct es_unit_mount *find_below(const struct es_unit_mounts *mounts, const char *path,
                                              const struct es_unit_mount *above)
{
    const struct es_unit_mount *best = NULL;

    for (size_t i = 0; i < mounts->n; i++) {
        const struct es_unit_mount *mount = &mounts->items[i];

        if (!es_path_below(path, mount->path) || (above && length(mount) <= length(above)))
            continue;
        if (!best || length(mount) < length(best) ||
            (length(mount) == length(best) && mount->access < best->access))
            best = mount;
    }
    return best;
}

const struct es_unit_mount *es_unit_mounts_find(const struct es_unit_mounts *mounts,
                                                const char *path)
{
    const struct es_unit_mount *found = NULL, *next = NULL;

    while (!(found && found->is_final) && (next = find_below(mounts, path, next)))
        if (!found || !next->is_remount ||
            (found->access != ES_ACCESS_NONE && found->access != ES_ACCESS_EMPTY))
            found = next;
    return found;
}

/* ---- directories ---- */

void es_unit_dirs_done(struct es_unit_dirs *dirs)
{
    for (size_t i = 0; i < dirs->n; i++)
        free(dirs->items[i].path);
    free(dirs->items);
    *dirs = (struct es_unit_dirs){0};
}

static int add_dir(struct es_unit_dirs *dirs, const char *base, const char *key, const char *name,
                   size_t len, const struct es_unit_setting *at, struct es_err *err)
{
    ES_CLEANUP(es_freep) char *path = NULL;
    struct es_unit_dir *items;

    if (asprintf(&path, "%s/%.*s", base, (int)len, name) < 0) {
        path = NULL;
        return es_nomem(err);
    }
    if (!es_path_simplify(path))
        return 0;
    items = reallocarray(dirs->items, dirs->n + 1, sizeof *items);
    if (!items)
        return es_nomem(err);
    dirs->items = items;
    items[dirs->n++] = (struct es_unit_dir){.path = path, .key = key, .at = at};
    path = NULL;
    return 0;
}

/* "NAME[:LINK[:FLAGS]]": who has the directory has what the link leads to. */
static int add_item(struct es_unit_dirs *dirs, const char *base, const char *key,
                    const struct es_unit_item *item, struct es_err *err)
{
    const char *name = es_buf_str(&item->text), *link;
    size_t len = strcspn(name, ":"), link_len;
    int r = add_dir(dirs, base, key, name, len, item->at, err);

    if (r != 0 || name[len] == '\0')
        return r;
    link = name + len + 1;
    link_len = strcspn(link, ":");
    return link_len > 0 ? add_dir(dirs, base, key, link, link_len, item->at, err) : 0;
}

int es_unit_dirs_read(const struct es_unit *unit, struct es_unit_dirs *ret, struct es_err *err)
{
    static const struct {
        const char *key, *base;
    } kinds[] = {{"RuntimeDirectory", "/run"},
                 {"StateDirectory", "/var/lib"},
                 {"CacheDirectory", "/var/cache"},
                 {"LogsDirectory", "/var/log"},
                 {"ConfigurationDirectory", "/etc"}};
    ES_CLEANUP(es_unit_dirs_done) struct es_unit_dirs dirs = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};

        r = es_unit_list(unit, "Service", kinds[i].key, ES_UNIT_WORDS, &items, err);
        for (size_t j = 0; r == 0 && j < items.n; j++)
            r = add_item(&dirs, kinds[i].base, kinds[i].key, &items.items[j], err);
    }
    if (r != 0)
        return r;
    *ret = dirs;
    dirs = (struct es_unit_dirs){0};
    return 0;
}
