/* `envsync init`: a configuration to begin with, and the drop-in by which a unit runs envsync. Asks
 * nothing, overwrites nothing. What it knows comes from the unit, which root wrote. */
#include "init.h"

#include "../core/commit/replace.h"
#include "../core/unit/check.h"
#include "../core/unit/mounts.h"
#include "../core/unit/rights.h"
#include "cmd.h"
#include "envsync/utf8.h"
#include "show.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void init_done(struct es_init *init)
{
    free(init->file);
    free(init->dropin);
    free(init->local);
    free(init->output);
    free(init->app);
    free(init->instance);
    es_buf_done(&init->user);
    es_buf_done(&init->group);
    es_unit_done(&init->unit);
}

/* ---- names ---- */

static bool is_plain(const char *name)
{
    return *name && *name != '.' && strlen(name) <= 64 && !strchr(name, '/');
}

/* "foo" of "/etc/envsync/foo.toml"; of the default file, which is nobody's, "app". */
static char *app_of_file(const char *file)
{
    const char *slash = file ? strrchr(file, '/') : NULL, *base = slash ? slash + 1 : file;
    size_t len;

    if (!file || strcmp(file, ES_DEFAULT_CONFIG) == 0)
        return strdup("app");
    len = strlen(base);
    if (len > 5 && strcmp(base + len - 5, ".toml") == 0)
        len -= 5;
    return strndup(base, len);
}

/* What goes into a line of a drop-in. */
static bool is_printable(const char *text)
{
    if (!es_utf8_valid(text, strlen(text)))
        return false;
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* The characters of a unit's name. */
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@"

/* The unit where it is on this host, else its name alone. */
static int find_unit(const char *which, struct es_init *init, struct es_err *err)
{
    const char *type = strchr(which, '.');
    int r;

    if (strchr(which, '/') || strchr("-.", *which) || strlen(which) > 200 ||
        which[strspn(which, NAME_CHARS)] != '\0' ||
        (type && strcmp(strrchr(which, '.'), ".service") != 0))
        return es_fail(err, ES_USAGE, EINVAL,
                       "--unit takes the name of a service, such as foo or foo.service");
    r = es_unit_load(which, NULL, NULL, &init->unit, err);
    init->has_unit = r == 0 && !init->unit.folder;
    if (r != -ENOENT && (r != 0 || init->has_unit))
        return r;
    es_unit_done(&init->unit); /* a file of that name, here: no unit of this host */
    if (asprintf(&init->unit.name, "%s%s", which, type ? "" : ".service") < 0) {
        init->unit.name = NULL;
        return es_nomem(err);
    }
    return 0;
}

static int set_names(const struct es_session *session, struct es_init *init, struct es_err *err)
{
    const char *file = session->args.config, *name = init->unit.name;
    size_t dot = name ? (size_t)(strrchr(name, '.') - name) : 0;
    int r;

    init->app = name ? strndup(name, es_unit_prefix_length(name)) : app_of_file(file);
    if (!init->app)
        return es_nomem(err);
    if (!is_plain(init->app))
        return es_fail(err, ES_USAGE, EINVAL,
                       "\"%.80s\" cannot be the name of an app; name a unit with --unit, or a file "
                       "with -c",
                       init->app);
    if (file) {
        r = es_walk_absolute(file, ES_OUTPUT, &init->file, err);
        if (r != 0)
            return r;
    } else if (asprintf(&init->file, SYSCONFDIR "/envsync/%.*s.toml", name ? (int)dot : 7,
                        name ? name : "envsync") < 0) {
        init->file = NULL;
    }
    if (init->file && !is_printable(init->file))
        return es_fail(err, ES_USAGE, EINVAL,
                       "-c: a path with control characters, or that is no UTF-8, cannot stand in a "
                       "unit; name another file");
    if (init->unit.instance && *init->unit.instance &&
        asprintf(&init->instance, "%s@%s", init->app, init->unit.instance) < 0) {
        init->instance = NULL;
        return es_nomem(err);
    }
    if (name && asprintf(&init->dropin, "/etc/systemd/system/%s.d/envsync.conf", name) < 0)
        init->dropin = NULL;
    if (asprintf(&init->local, SYSCONFDIR "/envsync/%s.env", init->app) < 0)
        init->local = NULL;
    return init->file && init->local && (!name || init->dropin) ? 0 : es_nomem(err);
}

/* ---- what the unit says ---- */

static int read_user(struct es_init *init, struct es_err *err)
{
    const struct passwd *user;
    int r = es_unit_text(&init->unit, "Service", "User", &init->user, NULL, err);

    if (r != 0)
        return r;
    init->as_root =
        init->has_unit && !es_unit_bool(&init->unit, "Service", "DynamicUser", false, NULL) &&
        (init->user.len == 0 || es_buf_is(&init->user, "root") || es_buf_is(&init->user, "0"));
    if (init->as_root || es_buf_is(&init->user, init->app))
        es_buf_clear(&init->user);
    user = init->user.len > 0 ? getpwnam(es_buf_str(&init->user)) : NULL;
    init->user_exists = user != NULL;
    return 0;
}

/* Group=, else that of User=, else the app's own. What is not there becomes root's, with a note. */
static int read_group(struct es_init *init, struct es_err *err)
{
    const struct passwd *user;
    const struct group *group = NULL;
    int r = es_unit_text(&init->unit, "Service", "Group", &init->group, NULL, err);

    if (r != 0)
        return r;
    if (init->group.len == 0 && init->as_root && es_buf_puts(&init->group, "root") < 0)
        return es_nomem(err);
    if (init->group.len == 0) {
        user = getpwnam(init->user.len ? es_buf_str(&init->user) : init->app);
        if (user)
            group = getgrgid(user->pw_gid);
        if (es_buf_puts(&init->group, group            ? group->gr_name
                                      : init->user.len ? es_buf_str(&init->user)
                                                       : init->app) < 0)
            return es_nomem(err);
    }
    init->group_exists = getgrnam(es_buf_str(&init->group)) != NULL;
    if (init->group_exists && es_buf_is(&init->group, init->app))
        es_buf_clear(&init->group);
    return 0;
}

static bool is_given_away(const struct es_unit_dirs *dirs, const char *path)
{
    for (size_t i = 0; i < dirs->n; i++)
        if (es_path_below(path, dirs->items[i].path))
            return true;
    return false;
}

/* /run/APP, which envsync makes, unless the unit has systemd give that to the app: what the app can
 * write must never become root's environment. /run itself is always there, and root's. */
static int set_output(struct es_init *init, struct es_err *err)
{
    ES_CLEANUP(es_unit_dirs_done) struct es_unit_dirs dirs = {0};
    char dir[128];
    int r = es_unit_dirs_read(&init->unit, &dirs, err);

    if (r != 0)
        return r;
    snprintf(dir, sizeof dir, "/run/%s", init->app);
    if (asprintf(&init->output, "%s%s", dir,
                 is_given_away(&dirs, dir) ? ".environment" : "/environment") < 0) {
        init->output = NULL;
        return es_nomem(err);
    }
    return 0;
}

static bool may_write(const struct es_unit_mounts *mounts, const char *path)
{
    const struct es_unit_mount *mount = es_unit_mounts_find(mounts, path);

    return !mount || mount->access == ES_ACCESS_FULL || mount->access == ES_ACCESS_DEFAULT;
}

static int read_sandbox(struct es_init *init, struct es_err *err)
{
    ES_CLEANUP(es_unit_mounts_done) struct es_unit_mounts mounts = {0};
    const struct es_unit *unit = &init->unit;
    const struct es_unit_setting *at = NULL;
    const struct es_unit_mount *mount;
    int r = es_unit_mounts_read(unit, &mounts, err);

    if (r != 0)
        return r;
    if (es_unit_filters_calls(unit, &at) < 0)
        return es_nomem(err);
    mount = es_unit_mounts_find(&mounts, init->file);
    init->confined = at || (mount && mount->access < ES_ACCESS_READ) ||
                     !may_write(&mounts, "/run/envsync") || !may_write(&mounts, init->output) ||
                     es_unit_bool(unit, "Service", "PrivateUsers", false, NULL) ||
                     es_unit_next(unit, "Service", "RootDirectory|RootImage", NULL);
    for (int right = 0; right < ES_RIGHTS; right++)
        init->confined |= es_unit_lacks_right(unit, (enum es_right)right) != NULL;
    return 0;
}

static int read_environment(struct es_init *init, struct es_err *err)
{
    ES_CLEANUP(es_unit_items_done) struct es_unit_items set = {0};
    int r = es_unit_list(&init->unit, "Service", "Environment", ES_UNIT_WORDS, &set, err);

    for (size_t i = 0; r == 0 && i < set.n; i++)
        if (strncmp(es_buf_str(&set.items[i].text), "LD_PRELOAD=", 11) == 0)
            init->preloads = true;
    return r;
}

/* systemd reads the unit first, and drop-ins by their names, wherever they lie. */
bool es_init_reads_later(const struct es_init *init, const char *file)
{
    return file != init->unit.files[0] &&
           strcmp(es_path_base(file), es_path_base(init->dropin)) > 0;
}

/* A drop-in of the same name elsewhere would be hidden by the new one. */
static int read_dropins(const struct es_init *init, struct es_err *err)
{
    for (size_t i = 1; i < init->unit.n_files; i++) {
        const char *file = init->unit.files[i];

        if (strcmp(file, init->dropin) != 0 &&
            strcmp(es_path_base(file), es_path_base(init->dropin)) == 0)
            return es_fail(err, ES_OUTPUT, EEXIST,
                           "%s: has the name of the drop-in that init writes, and would not be "
                           "read any more; give it another name",
                           file);
    }
    return 0;
}

/* What the unit runs already, where systemd comes to envsync's line; a list that is emptied behind
 * it would take that line away. */
static int read_lines(struct es_init *init, struct es_err *err)
{
    const struct es_unit_setting *s = NULL;
    int r = read_dropins(init, err);

    while (r == 0 && (s = es_unit_next(&init->unit, "Service", "ExecStartPre", s))) {
        bool later = es_init_reads_later(init, s->file);

        if (later && s->value.len == 0)
            return es_fail(err, ES_OUTPUT, EEXIST,
                           "%s:%u: empties ExecStartPre=, and systemd reads it after envsync.conf, "
                           "whose line would be lost; rename it to what sorts before, such as "
                           "10-%s, and run systemctl daemon-reload",
                           s->file, s->line, es_path_base(s->file));
        if (s->value.len == 0)
            init->reset = s;
        if (!later)
            init->has_lines = s->value.len > 0;
    }
    return r;
}

enum { TIMEOUT_MS = 90000 };

/* A longer one, and a oneshot's infinity, stay as they are. */
static void read_timeout(struct es_init *init)
{
    static const char *const types[] = {"oneshot", NULL};
    const struct es_unit_setting *s = NULL;
    int64_t ms;

    if (es_unit_choice(&init->unit, "Service", "Type", types, NULL) < 0)
        init->timeout_ms = TIMEOUT_MS;
    while ((s = es_unit_next(&init->unit, "Service", "TimeoutStartSec|TimeoutSec", s)))
        if (es_unit_span(es_buf_str(&s->value), &ms))
            init->timeout_ms = ms == 0 || ms >= TIMEOUT_MS ? 0 : TIMEOUT_MS;
}

static int study(const struct es_session *session, struct es_init *init, struct es_err *err)
{
    int r = set_names(session, init, err);

    if (r == 0)
        r = read_user(init, err);
    if (r == 0)
        r = read_group(init, err);
    if (r == 0)
        r = set_output(init, err);
    if (r == 0)
        r = read_sandbox(init, err);
    if (r == 0)
        r = read_environment(init, err);
    if (r == 0)
        r = read_lines(init, err);
    if (r == 0)
        read_timeout(init);
    return r;
}

/* ---- writing ---- */

/* Where init writes: directories of its own kind are made. -c may name any place. */
static int open_new(const struct es_wanted *wanted, bool check, struct es_target *ret,
                    struct es_err *err)
{
    const struct es_make make[] = {{.path = SYSCONFDIR "/envsync", .mode = 0755},
                                   {.path = "/etc/systemd", .below = true, .mode = 0755},
                                   {0}};
    const struct es_walk walk = {.check = check, .make = make, .missing = ES_OUTPUT};
    int r = es_target_open(&walk, wanted, ret, err);

    if (r < 0)
        return r;
    if (ret->state != ES_TARGET_CREATE)
        return es_fail(err, ES_OUTPUT, EEXIST,
                       "%s: is there already, and init overwrites nothing; move it away, or name "
                       "another file with -c",
                       wanted->path);
    return 0;
}

static int write_files(const struct es_init *init, struct es_err *err)
{
    ES_CLEANUP(es_target_done) struct es_target config = ES_TARGET_INIT, dropin = ES_TARGET_INIT;
    ES_CLEANUP(es_buf_done) struct es_buf config_text = {0}, dropin_text = {0};
    const struct es_owner owner = {.uid = geteuid(), .gid = getegid(), .mode = 0644};
    struct es_wanted texts[2];
    int r;

    if (es_init_write_config(init, &config_text) < 0 ||
        (init->dropin && es_init_write_dropin(init, &dropin_text) < 0))
        return es_nomem(err);
    texts[0] = (struct es_wanted){
        .path = init->file, .data = config_text.data, .len = config_text.len, .owner = owner};
    texts[1] = (struct es_wanted){
        .path = init->dropin, .data = dropin_text.data, .len = dropin_text.len, .owner = owner};
    r = open_new(&texts[0], false, &config, err);
    if (r == 0 && init->dropin)
        r = open_new(&texts[1], true, &dropin, err);
    if (r == 0)
        r = es_target_stage(&config, err);
    if (r == 0 && init->dropin)
        r = es_target_stage(&dropin, err);
    if (r == 0)
        r = es_target_publish(&config, err);
    return r == 0 && init->dropin ? es_target_publish(&dropin, err) : r;
}

static void tell(const struct es_init *init)
{
    es_show_line("wrote %s", init->file);
    if (!init->dropin) {
        es_show_line("next: say in it where the values come from, then");
        es_show_line("  envsync check -c %s", init->file);
        es_show_line("  envsync -c %s --dry-run", init->file);
        return;
    }
    es_show_line("wrote %s", init->dropin);
    if (!init->has_unit)
        es_show_line("there is no %s on this host yet", init->unit.name);
    es_show_line("next: say in %s where the values come from, then", init->file);
    es_show_line("  envsync check -c %s --unit %s", init->file, init->unit.name);
    es_show_line("  envsync -c %s --dry-run", init->file);
    es_show_line("  systemctl daemon-reload");
    es_show_line("  systemctl restart %s", init->unit.name);
}

/* A unit that runs envsync already needs no other line. */
static int runs_already(const struct es_init *init, struct es_err *err)
{
    static const char *const keys[] = {"ExecStartPre", "ExecStart"};

    for (size_t i = 0; i < 2; i++) {
        ES_CLEANUP(es_unit_commands_done) struct es_unit_commands commands = {0};
        int r = es_unit_commands(&init->unit, keys[i], &commands, err);

        if (r != 0)
            return r;
        for (size_t j = 0; j < commands.n; j++) {
            if (strcmp(es_path_base(commands.items[j].argv[0]), "envsync") == 0)
                return es_fail(
                    err, ES_OUTPUT, EEXIST,
                    "%s:%u: %s runs envsync already; `envsync check --unit %s` judges it",
                    commands.items[j].at->file, commands.items[j].at->line, init->unit.name,
                    init->unit.name);
        }
    }
    return 0;
}

static int run(struct es_session *session, struct es_err *err)
{
    ES_CLEANUP(init_done) struct es_init init = {0};
    int r = 0;

    if (session->args.unit)
        r = find_unit(session->args.unit, &init, err);
    if (r == 0)
        r = runs_already(&init, err);
    if (r == 0)
        r = study(session, &init, err);
    if (r == 0)
        r = write_files(&init, err);
    if (r != 0)
        return r;
    tell(&init);
    return ES_EXIT_OK;
}

const struct es_command es_command_init = {
    .name = "init",
    .usage = "[-c FILE] [--unit NAME]",
    .summary = "write a first configuration and the unit's drop-in",
    .help =
        "Asks nothing and overwrites nothing. With --unit it writes /etc/envsync/NAME.toml, with\n"
        "comments, for the user, group and directories that the unit has, and the drop-in\n"
        "/etc/systemd/system/NAME.service.d/envsync.conf, by which the unit runs envsync before "
        "it\n"
        "starts. Without it, a configuration alone. -c FILE writes the configuration there.",
    .options = ES_ARG_CONFIG | ES_ARG_UNIT,
    .max_rest = 0,
    .run = run,
};
