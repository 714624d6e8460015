/* See set.h. */
#include "set.h"

#include "compile.h"
#include "envsync/limits.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Where envsync may write for this configuration. Pointers into it go to the walks. */
struct ground {
    struct es_make make[5];
    uid_t owners[3];
    struct es_walk walk;
};

/* Below --root the directories that every host has are made as well. */
static void survey(struct ground *g, const struct es_config *config, const struct es_output *output,
                   const char *root, bool look)
{
    size_t n = 0;

    g->make[n++] =
        (struct es_make){.path = config->etc_dir, .below = true, .mode = 0750, .gid = config->gid};
    g->make[n++] =
        (struct es_make){.path = config->run_dir, .below = true, .mode = 0750, .gid = config->gid};
    if (root) {
        g->make[n++] = (struct es_make){.path = "/etc", .mode = 0755};
        g->make[n++] = (struct es_make){.path = "/run", .mode = 0755};
    }
    g->make[n] = (struct es_make){0};
    g->owners[0] = output && output->owner ? output->uid : config->uid;
    g->owners[1] = config->uid; /* may be (uid_t)-1, so that it has to come last */
    g->owners[2] = (uid_t)-1;
    g->walk = (struct es_walk){.root = root,
                               .check = true,
                               .app = g->owners,
                               .make = g->make,
                               .dry = look,
                               .missing = ES_OUTPUT};
}

static bool fed_by_skipped(const struct es_output *output, const struct es_config *config,
                           const struct es_fetched *fetched)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (output->sources[i] && fetched->states[i] == ES_SOURCE_SKIPPED)
            return true;
    return false;
}

/* An outage never deletes a live key: such an output stays as it is, where it is. */
static int look_if_kept(struct es_piece *piece, const struct es_walk *walk, struct es_err *err)
{
    const struct es_wanted nothing = {.path = piece->output->path, .look = true};
    struct es_walk dry = *walk;
    ES_CLEANUP(es_target_done) struct es_target target = ES_TARGET_INIT;
    int r;

    dry.dry = true;
    r = es_target_open(&dry, &nothing, &target, err);
    piece->kept = r == 0 && target.state != ES_TARGET_CREATE;
    return r;
}

static int render(struct es_piece *piece, const struct es_tree *tree, struct es_report *report,
                  bool look, struct es_err *err)
{
    const struct es_output *output = piece->output;
    int r = es_select(tree, output, &piece->selection, report, err);

    if (r == 0)
        r = es_selection_render(&piece->selection, output, &piece->text, err);
    piece->wanted = (struct es_wanted){
        .path = output->path,
        .data = es_buf_str(&piece->text),
        .len = piece->text.len,
        .owner = {.uid = output->uid, .gid = output->gid, .mode = (mode_t)output->mode},
        .look = look};
    return r;
}

static void warn_app_owned(const struct es_piece *piece, struct es_report *report)
{
    if (piece->target.place.app_owned)
        es_report_add(report, ES_LEVEL_WARNING,
                      "%s: its directory belongs to the app, which can replace the file; safer: a "
                      "directory of root's with the app's group, such as /run/APP with "
                      "RuntimeDirectory=APP/tmp for the app itself",
                      piece->output->path);
}

int es_set_open_target(const struct es_config *config, const struct es_output *output,
                       const char *root, const struct es_wanted *wanted, struct es_target *ret,
                       struct es_err *err)
{
    struct ground g;

    survey(&g, config, output, root, wanted->look);
    return es_target_open(&g.walk, wanted, ret, err);
}

static void sweep(const struct ground *g, const char *path)
{
    ES_CLEANUP(es_place_done) struct es_place place = {.dir = -1};
    struct es_walk walk = g->walk;
    struct es_err ignored;

    walk.sweep = true;
    if (es_walk_to(&walk, path, &place, &ignored) == 0)
        es_temp_sweep(&place, NULL);
}

void es_set_sweep(const struct es_config *config, const struct es_manifest *last, const char *root)
{
    struct ground g;

    for (size_t i = 0; i < config->n_outputs; i++) {
        survey(&g, config, &config->outputs[i], root, true);
        sweep(&g, config->outputs[i].path);
    }
    for (size_t i = 0; i < last->n_outputs; i++) {
        const struct es_kept_output *kept = &last->outputs[i];

        survey(&g, config, NULL, root, true);
        if (kept->owner.uid != 0)
            g.owners[0] = kept->owner.uid;
        sweep(&g, es_buf_str(&kept->path));
    }
}

/* Two names of one place, by way of a link such as /var/run: the last one would win. */
static int check_places(const struct es_set *set, const struct es_config *config,
                        struct es_err *err)
{
    struct {
        dev_t dev;
        ino_t ino;
    } dirs[ES_MAX_OUTPUTS];
    struct stat st;

    for (size_t i = 0; i < set->n; i++) {
        const struct es_place *place = &set->pieces[i].target.place;

        if (place->dir < 0)
            continue;
        if (fstat(place->dir, &st) < 0)
            return es_fail_errno(err, ES_OUTPUT, errno, "output: %s", set->pieces[i].output->path);
        dirs[i].dev = st.st_dev;
        dirs[i].ino = st.st_ino;
        for (size_t j = 0; j < i; j++) {
            const struct es_place *other = &set->pieces[j].target.place;

            if (other->dir >= 0 && dirs[i].ino == dirs[j].ino && dirs[i].dev == dirs[j].dev &&
                strcmp(place->base, other->base) == 0)
                return es_config_fail(config, &set->pieces[i].output->pos, err,
                                      "two outputs are in one place, by way of a link: %s, %s",
                                      set->pieces[j].output->path, set->pieces[i].output->path);
        }
    }
    return 0;
}

static int prepare(struct es_set *set, const struct es_config *config, const struct es_tree *tree,
                   const struct es_fetched *fetched, bool look, struct es_report *report,
                   struct es_err *err)
{
    struct ground g;
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n; i++) {
        struct es_piece *piece = &set->pieces[i];

        survey(&g, config, piece->output, set->root, look);
        if (fed_by_skipped(piece->output, config, fetched))
            r = look_if_kept(piece, &g.walk, err);
        if (r == 0 && !piece->kept)
            r = render(piece, tree, report, look, err);
    }
    for (size_t i = 0; r == 0 && i < set->n; i++) {
        struct es_piece *piece = &set->pieces[i];

        if (piece->kept)
            continue;
        r = es_set_open_target(config, piece->output, set->root, &piece->wanted, &piece->target,
                               err);
        if (r < 0)
            es_context(err, "output");
        else
            warn_app_owned(piece, report);
    }
    return r == 0 ? check_places(set, config, err) : r;
}

int es_set_prepare(const struct es_config *config, const struct es_tree *tree,
                   const struct es_fetched *fetched, const char *root, bool look,
                   struct es_set *ret, struct es_report *report, struct es_err *err)
{
    ES_CLEANUP(es_set_done) struct es_set set = {.n = config->n_outputs, .root = root};
    int r;

    set.pieces = calloc(set.n + 1, sizeof *set.pieces);
    if (!set.pieces)
        return es_nomem(err);
    for (size_t i = 0; i < set.n; i++) {
        set.pieces[i].output = &config->outputs[i];
        set.pieces[i].target = (struct es_target)ES_TARGET_INIT;
    }
    r = prepare(&set, config, tree, fetched, look, report, err);
    if (r < 0)
        return r;
    *ret = set;
    set = (struct es_set){0};
    return 0;
}

int es_set_stage(struct es_set *set, struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n; i++)
        if (!set->pieces[i].kept)
            r = es_target_stage(&set->pieces[i].target, err);
    if (r < 0)
        es_context(err, "output");
    return r;
}

/* Where one cannot be put in its place, the others are: the set is the accepted one. */
static int write_all(struct es_set *set, struct es_err *err)
{
    struct es_err further;
    int r = es_set_stage(set, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < set->n; i++) {
        int s = set->pieces[i].kept
                    ? 0
                    : es_target_publish(&set->pieces[i].target, r < 0 ? &further : err);

        r = r < 0 ? r : s;
    }
    if (r < 0)
        es_context(err, "output");
    return r;
}

int es_set_write(struct es_set *set, struct es_err *err)
{
    sigset_t all, old;
    int r;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    r = write_all(set, err);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return r;
}

bool es_set_differs(const struct es_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        enum es_target_state state = set->pieces[i].target.state;

        if (set->pieces[i].restored != ES_TARGET_SAME)
            return true;
        if (!set->pieces[i].kept && state != ES_TARGET_SAME && state != ES_TARGET_UNKNOWN)
            return true;
    }
    return false;
}

void es_set_done(struct es_set *set)
{
    for (size_t i = 0; set->pieces && i < set->n; i++) {
        struct es_piece *piece = &set->pieces[i];

        es_target_done(&piece->target);
        es_selection_done(&piece->selection);
        es_buf_done(&piece->text);
        for (size_t j = 0; j < piece->n_changes; j++)
            free(piece->changes[j].name);
        free(piece->changes);
    }
    free(set->pieces);
    *set = (struct es_set){0};
}
