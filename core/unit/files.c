/* See judge.h: EnvironmentFile=, which systemd reads as root for every command, the line that runs
 * envsync included; and who reads what envsync writes. */
#include "owner.h"

#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One EnvironmentFile=. */
struct env_file {
    const struct es_unit_setting *at;
    bool optional; /* with a "-" */
    char *path;    /* or a glob; simplified */
};

static void env_file_done(struct env_file *file)
{
    free(file->path);
}

static int read_item(const struct es_unit_item *item, struct env_file *ret, bool *ret_valid,
                     struct es_err *err)
{
    const char *text = es_buf_str(&item->text);

    ret->at = item->at;
    ret->optional = *text == '-';
    ret->path = strdup(text + ret->optional);
    if (!ret->path)
        return es_nomem(err);
    *ret_valid = es_path_simplify(ret->path);
    return 0;
}

static bool matches(const char *pattern, const char *path)
{
    return strcmp(pattern, path) == 0 || fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
}

/* Paths of the configuration may have doubled slashes. False for one that no file can have. */
static bool simplified(const char *path, char ret[PATH_MAX])
{
    size_t len = strlen(path);

    if (len >= PATH_MAX)
        return false;
    memcpy(ret, path, len + 1);
    return es_path_simplify(ret);
}

static bool reads_output(const struct env_file *file, const struct es_output *output)
{
    char path[PATH_MAX];

    return simplified(output->path, path) && matches(file->path, path);
}

static const struct es_output *output_of(const struct es_judge *judge, const struct env_file *file)
{
    for (size_t i = 0; i < judge->config->n_outputs; i++)
        if (reads_output(file, &judge->config->outputs[i]))
            return &judge->config->outputs[i];
    return NULL;
}

/* Could the source bring the file? A glob of systemd's own could be anything below. */
static bool may_mirror(const struct es_source *source, const struct env_file *file)
{
    char dir[PATH_MAX];
    const char *below;

    if (!source->mirrors || !simplified(source->mirror.dir, dir) || !es_path_below(file->path, dir))
        return false;
    below = file->path + strlen(dir);
    below += *below == '/';
    return !source->provider->mirrors || strpbrk(below, "*?[") ||
           source->provider->mirrors(source->state, below);
}

static const struct es_source *mirror_of(const struct es_judge *judge, const struct env_file *file)
{
    for (size_t i = 0; i < judge->config->n_sources; i++)
        if (may_mirror(&judge->config->sources[i], file))
            return &judge->config->sources[i];
    return NULL;
}

/* A line of the unit that runs as root, with the environment of these files. */
struct root_line {
    const char *key; /* NULL: there is none */
    const struct es_unit_setting *at;
};

static int find_root_line(const struct es_judge *judge, struct root_line *ret, struct es_err *err)
{
    static const char *const keys[] = {
        "ExecStartPre", "ExecCondition", "ExecStart",    "ExecStartPost",
        "ExecReload",   "ExecStop",      "ExecStopPost", NULL};
    bool all = judge->user.len == 0 ||
               es_unit_bool(judge->unit, "Service", "PermissionsStartOnly", false, NULL);

    *ret = (struct root_line){0};
    for (size_t i = 0; !ret->key && keys[i]; i++) {
        ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
        int r = es_unit_commands(judge->unit, keys[i], &commands, err);

        if (r != 0)
            return r;
        for (size_t j = 0; !ret->key && j < commands.n; j++)
            if (all || commands.items[j].privileged || commands.items[j].keeps_root)
                *ret = (struct root_line){keys[i], commands.items[j].at};
    }
    /* The line that is missing yet will be one. */
    if (!ret->key && !judge->line && !judge->runner)
        *ret = (struct root_line){keys[0], es_judge_section(judge, "Service")};
    return 0;
}

/* Without a "-" a file must be there before any line of the unit runs. */
static void judge_presence(struct es_judge *judge, const struct env_file *file,
                           const struct es_output *output, const struct es_source *mirror)
{
    if (file->optional || judge->runner || (!output && !mirror))
        return;
    es_judge_error(judge, file->at,
                   "EnvironmentFile=%s: envsync writes it, and at the first boot it is not there "
                   "yet: systemd fails the unit before envsync runs; write EnvironmentFile=-%s",
                   file->path, file->path);
}

/* Whoever can write the file has LD_PRELOAD in the line that runs as root. */
static int judge_writers(struct es_judge *judge, const struct env_file *file,
                         const struct es_source *mirror, const struct root_line *root_line,
                         struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf writer = {0};

    if (!root_line->key)
        return 0;
    if (mirror) {
        es_judge_error(judge, file->at,
                       "EnvironmentFile=%s is among the files that source %s mirrors: who can "
                       "write there sets LD_PRELOAD for %s=, which runs as root; merge it into an "
                       "env output, which refuses such names",
                       file->path, mirror->name, root_line->key);
        return 0;
    }
    if (es_unit_writer(judge, file->path, &writer) < 0)
        return es_nomem(err);
    if (writer.len > 0)
        es_judge_error(
            judge, file->at,
            "EnvironmentFile=%s: %s, and who can write there sets LD_PRELOAD for %s=, "
            "which runs as root; use a directory of root's: /run/%s made by envsync, and "
            "for the app RuntimeDirectory=%s/tmp",
            file->path, es_buf_str(&writer), root_line->key, judge->config->app,
            judge->config->app);
    return 0;
}

/* A second lock: the names are refused in an env output, too. */
static int judge_preload(struct es_judge *judge, const struct root_line *root_line,
                         struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items unset = {0}, set = {0};
    int r;

    if (!root_line->key || judge->environment_files.n == 0)
        return 0;
    r = es_unit_list(judge->unit, "Service", "UnsetEnvironment", ES_UNIT_WORDS, &unset, err);
    if (r == 0)
        r = es_unit_list(judge->unit, "Service", "Environment", ES_UNIT_WORDS, &set, err);
    if (r != 0 || es_unit_find(&unset, "LD_PRELOAD"))
        return r;
    /* The app wants one, an allocator say: then it cannot be unset. */
    for (size_t i = 0; i < set.n; i++)
        if (strncmp(es_buf_str(&set.items[i].text), "LD_PRELOAD=", 11) == 0)
            return 0;
    es_judge_warning(judge, root_line->at,
                     "runs as root with the environment of EnvironmentFile=; add "
                     "UnsetEnvironment=LD_PRELOAD as a second lock");
    return 0;
}

/* Is the file one that a unit waits for in vain, as nothing else of it runs before? "!" asks for
 * the opposite, and "|" for this or another one. */
static int judge_condition(struct es_judge *judge, const char *key, const struct es_unit_item *item,
                           struct es_err *err)
{
    ES_CLEANUP(env_file_done) struct env_file file = {.at = item->at};
    const char *path = es_buf_str(&item->text);

    if (*path != '/')
        return 0;
    file.path = strdup(path);
    if (!file.path)
        return es_nomem(err);
    if (es_path_simplify(file.path) && (output_of(judge, &file) || mirror_of(judge, &file)))
        es_judge_error(judge, item->at,
                       "%s=%s: envsync writes it, and at the first boot it is not there yet: "
                       "systemd %s the unit before envsync runs; remove it, since the app is not "
                       "started where envsync fails",
                       key, file.path, *key == 'A' ? "fails" : "skips");
    return 0;
}

static int judge_conditions(struct es_judge *judge, struct es_err *err)
{
    static const char *const keys[] = {"ConditionPathExists",       "ConditionPathExistsGlob",
                                       "ConditionPathIsReadWrite",  "ConditionFileNotEmpty",
                                       "ConditionFileIsExecutable", "AssertPathExists",
                                       "AssertPathExistsGlob",      "AssertPathIsReadWrite",
                                       "AssertFileNotEmpty",        "AssertFileIsExecutable"};
    int r = 0;

    /* A unit that comes before has written it by then. */
    for (size_t i = 0; r == 0 && !judge->runner && i < sizeof keys / sizeof *keys; i++) {
        ES_CLEANUP(es_unit_items_done) struct es_unit_items items = {0};

        r = es_unit_list(judge->unit, "Unit", keys[i], ES_UNIT_WHOLE, &items, err);
        for (size_t j = 0; r == 0 && j < items.n; j++)
            r = judge_condition(judge, keys[i], &items.items[j], err);
    }
    return r;
}

int es_judge_files(struct es_judge *judge, struct es_err *err)
{
    struct root_line root_line;
    int r = find_root_line(judge, &root_line, err);

    if (r == 0)
        r = judge_conditions(judge, err);
    for (size_t i = 0; r == 0 && i < judge->environment_files.n; i++) {
        ES_CLEANUP(env_file_done) struct env_file file = {0};
        const struct es_source *mirror = NULL;
        const struct es_output *output;
        bool valid;

        r = read_item(&judge->environment_files.items[i], &file, &valid, err);
        if (r != 0 || !valid)
            continue;
        output = output_of(judge, &file);
        if (!output)
            mirror = mirror_of(judge, &file);
        judge_presence(judge, &file, output, mirror);
        r = judge_writers(judge, &file, mirror, &root_line, err);
    }
    return r == 0 ? judge_preload(judge, &root_line, err) : r;
}

/* ---- readers ---- */

static int is_read(const struct es_judge *judge, const struct es_output *output, bool *ret,
                   struct es_err *err)
{
    *ret = false;
    for (size_t i = 0; !*ret && i < judge->environment_files.n; i++) {
        ES_CLEANUP(env_file_done) struct env_file file = {0};
        bool valid;
        int r = read_item(&judge->environment_files.items[i], &file, &valid, err);

        if (r != 0)
            return r;
        *ret = valid && reads_output(&file, output);
    }
    return 0;
}

/* Is the app's user of the group? Only what this host knows for certain counts. */
static bool surely_not_of_group(const struct es_judge *judge, const struct es_unit_items *named,
                                gid_t gid)
{
    const struct passwd *user = getpwnam(es_buf_str(&judge->user));
    gid_t groups[256];
    int n = 256;

    if (!user || user->pw_uid == 0 || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
        return false;
    for (int i = 0; i < n; i++)
        if (groups[i] == gid)
            return false;
    for (size_t i = 0; i < named->n; i++) {
        const struct group *group = getgrnam(es_buf_str(&named->items[i].text));

        if (!group || group->gr_gid == gid)
            return false;
    }
    return true;
}

static bool may_read(const struct es_judge *judge, const struct es_unit_items *named,
                     const struct es_output *output)
{
    const struct passwd *user = getpwnam(es_buf_str(&judge->user));

    if (output->mode & S_IROTH || (user && user->pw_uid == output->uid))
        return true;
    return output->mode & S_IRGRP && !surely_not_of_group(judge, named, output->gid);
}

static int list_groups(const struct es_judge *judge, struct es_unit_items *ret, struct es_err *err)
{
    return es_unit_list(judge->unit, "Service", "Group|SupplementaryGroups", ES_UNIT_WORDS, ret,
                        err);
}

/* What lies in a directory that the unit gives to the app: safe to write, but the app can swap it.
 */
static void judge_given_away(struct es_judge *judge, const struct es_output *output)
{
    const struct es_unit_dir *dir = es_unit_dir_of(judge, output->path);

    if (dir && output->uid == 0)
        es_judge_warning(judge, dir->at,
                         "%s= gives %s to %s, who can replace %s in it; take it out, since envsync "
                         "makes /run/%s and /etc/%s itself; a directory below is the app's own: "
                         "RuntimeDirectory=%s/tmp",
                         dir->key, dir->path, es_buf_str(&judge->user), output->path,
                         judge->config->app, judge->config->app, judge->config->app);
}

/* The app gets an env output by EnvironmentFile=, and opens the others itself. */
int es_judge_readers(struct es_judge *judge, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items groups = {0};
    const struct es_output *unread = NULL;
    bool any_read = false;
    int r = list_groups(judge, &groups, err);

    if (r != 0 || (es_judge_oneshot(judge) && !judge->runner) || judge->call.task == ES_UNIT_EXEC)
        return r;
    for (size_t i = 0; i < judge->config->n_outputs; i++) {
        const struct es_output *output = &judge->config->outputs[i];
        bool read = false;

        r = is_read(judge, output, &read, err);
        if (r != 0)
            return r;
        any_read |= read;
        if (!read)
            judge_given_away(judge, output);
        if (strcmp(output->format_name, "env") == 0) {
            if (!read && !unread)
                unread = output;
        } else if (judge->user.len > 0 && !may_read(judge, &groups, output)) {
            es_judge_warning(judge, judge->user_at,
                             "%s may not read %s: it is not of the output's group; set group = in "
                             "the configuration, or SupplementaryGroups= here",
                             es_buf_str(&judge->user), output->path);
        }
    }
    if (unread && !any_read)
        es_judge_warning(judge, es_judge_section(judge, "Service"),
                         "nothing in the unit reads %s; add EnvironmentFile=%s%s", unread->path,
                         judge->runner ? "" : "-", unread->path);
    return 0;
}
