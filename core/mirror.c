/* See mirror.h. Paths come from object keys: they are checked again here, and every directory on
 * the way is walked by descriptor. Contents are never looked at, only compared. */
#include "mirror.h"

#include "commit/temp.h"
#include "envsync/limits.h"
#include "lock.h"
#include "mirrored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct es_stream {
    uint32_t source, id;
    char *path;          /* absolute, without root */
    struct es_temp temp; /* none in a dry run */
    int old;             /* the file that is there, or -1 */
    struct stat st;      /* of old */
    bool differs;        /* its bytes, as far as they were compared */
    bool unknown;        /* may not be read */
    int64_t at;
    struct es_kept_object object;
};

static void stream_done(struct es_stream *s)
{
    es_temp_done(&s->temp);
    es_close(&s->old);
    es_kept_object_done(&s->object);
    free(s->path);
    *s = (struct es_stream){.temp = ES_TEMP_INIT, .old = -1};
}

/* Before the run ends: what cannot be removed is left to the next one. */
static void drop_stream(struct es_mirror *m, struct es_stream *s)
{
    if (!es_temp_remove(&s->temp))
        m->left = true;
    stream_done(s);
}

static struct es_stream *find(struct es_mirror *m, uint32_t source, uint32_t id)
{
    for (size_t i = 0; i < m->n_streams; i++)
        if (m->streams[i].path && m->streams[i].source == source && m->streams[i].id == id)
            return &m->streams[i];
    return NULL;
}

static int bad_frame(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, EBADMSG, "the worker sent a file that cannot be");
}

static int free_stream(struct es_mirror *m, struct es_stream **ret, struct es_err *err)
{
    struct es_stream *streams;

    for (size_t i = 0; i < m->n_streams; i++)
        if (!m->streams[i].path) {
            *ret = &m->streams[i];
            return 0;
        }
    if (m->n_streams == ES_MAX_OPEN_FILES)
        return bad_frame(err);
    streams = reallocarray(m->streams, m->n_streams + 1, sizeof *streams);
    if (!streams)
        return es_nomem(err);
    m->streams = streams;
    *ret = &streams[m->n_streams++];
    **ret = (struct es_stream){.temp = ES_TEMP_INIT, .old = -1};
    return 0;
}

static int check_place(const struct es_mirror *m, const char *path, struct es_err *err)
{
    const char *output = es_config_output_at(m->config, path);
    const char *taken = es_config_taken(m->config, path);

    if (output)
        return es_fail(
            err, ES_INVALID, EEXIST, "%s: a mirrored file would lie in the place of an output%s%s",
            path, strcmp(output, path) == 0 ? "" : ", ", strcmp(output, path) == 0 ? "" : output);
    if (taken)
        return es_fail(err, ES_INVALID, EEXIST, "%s: a mirrored file would lie in the place of %s",
                       path, taken);
    return 0;
}

/* Opens what is there, for comparing. */
static int open_old(struct es_stream *s, const struct es_place *place, struct es_err *err)
{
    if (place->dir < 0)
        return 0;
    if (fstatat(place->dir, place->base, &s->st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : es_write_failed(s->path, errno, "stat", err);
    if (!S_ISREG(s->st.st_mode))
        return es_not_a_file(s->path, s->st.st_mode, err);
    s->old = openat(place->dir, place->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (s->old < 0 && errno == ENOENT)
        return 0;
    if (s->old < 0 && (errno == EACCES || errno == EPERM)) {
        s->unknown = true;
        return 0;
    }
    if (s->old < 0 || fstat(s->old, &s->st) < 0)
        return es_write_failed(s->path, errno, "open", err);
    return S_ISREG(s->st.st_mode) ? 0 : es_not_a_file(s->path, s->st.st_mode, err);
}

static struct es_mirrored_way *way_of(struct es_mirror *m)
{
    m->way.config = m->config;
    m->way.root = m->root;
    return &m->way;
}

/* For the next run, should this one be killed. One that stages nothing writes nothing. */
static int mark_staged(struct es_mirror *m, struct es_err *err)
{
    if (m->staged || !m->lock)
        return 0;
    m->staged = true;
    return es_lock_set_dirty(*m->lock, err);
}

static int open_stream(struct es_mirror *m, struct es_stream *s, struct es_err *err)
{
    const struct es_owner owner = es_mirrored_owner(&m->config->sources[s->source]);
    const struct es_temp_tag tag = es_temp_tag(m->config->name);
    const struct es_place *place = &m->way.place;
    int r = m->look ? 0 : mark_staged(m, err); /* directories may be made on the way */

    if (r == 0)
        r = es_mirrored_go(way_of(m), s->source, m->look, s->path, err);
    if (r == -EACCES && m->look) {
        s->unknown = true;
        return 0;
    }
    if (r < 0)
        return r;
    r = open_old(s, place, err);
    if (r == 0 && !m->look)
        r = es_temp_create(place, &owner, s->old, tag.text, s->path, &s->temp, err);
    return r;
}

int es_mirror_begin(struct es_mirror *m, uint32_t source, uint32_t id, const struct es_buf *path,
                    struct es_kept_object *object, struct es_err *err)
{
    const struct es_source *from = &m->config->sources[source];
    struct es_stream *s;
    int r = es_mirror_path_check(es_buf_str(path), path->len, err);

    if (r < 0)
        return r;
    if (!from->mirrors || find(m, source, id))
        return bad_frame(err);
    r = free_stream(m, &s, err);
    if (r != 0)
        return r;
    s->source = source;
    s->id = id;
    if (asprintf(&s->path, "%s/%s", from->mirror.dir, es_buf_str(path)) < 0) {
        s->path = NULL;
        return es_nomem(err);
    }
    es_buf_move(&s->object.name, &object->name);
    es_buf_move(&s->object.version, &object->version);
    s->object.size = object->size;
    s->object.modified_ms = object->modified_ms;
    s->object.rank = object->rank;
    r = check_place(m, s->path, err);
    return r == 0 ? open_stream(m, s, err) : r;
}

/* Reads as much of the old file as came of the new one. */
static void compare(struct es_stream *s, const void *data, size_t len)
{
    const char *p = data;
    char block[16384];

    while (len > 0 && !s->differs) {
        size_t want = len < sizeof block ? len : sizeof block;
        ssize_t n = pread(s->old, block, want, (off_t)s->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || memcmp(block, p, (size_t)n) != 0) {
            s->differs = true;
            break;
        }
        s->at += n;
        p += n;
        len -= (size_t)n;
    }
    s->at += (int64_t)len;
    explicit_bzero(block, sizeof block);
}

int es_mirror_data(struct es_mirror *m, uint32_t source, uint32_t id, const void *data, size_t len,
                   struct es_err *err)
{
    struct es_stream *s = find(m, source, id);

    /* No more than the listing announced: a worker that was taken over could fill the disk. */
    if (!s || len > ES_MAX_FILE_DATA || s->object.size < s->at ||
        (int64_t)len > s->object.size - s->at)
        return bad_frame(err);
    if (s->old >= 0)
        compare(s, data, len);
    else
        s->at += (int64_t)len;
    return m->look ? 0 : es_temp_write(&s->temp, data, len, s->path, err);
}

int es_mirror_tell(struct es_mirror *m, uint32_t source, const char *path, enum es_file_state state)
{
    char *copy = strdup(path);

    if (copy && m->n_results == m->cap_results) {
        size_t cap = m->cap_results ? 2 * m->cap_results : 16;
        struct es_file_result *results = reallocarray(m->results, cap, sizeof *results);

        if (results) {
            m->results = results;
            m->cap_results = cap;
        } else {
            free(copy);
            copy = NULL;
        }
    }
    if (!copy)
        return -ENOMEM;
    m->results[m->n_results++] =
        (struct es_file_result){.source = source, .path = copy, .state = state};
    return 0;
}

static int compare_path(const void *path, const void *file)
{
    return es_key_compare(path, &((const struct es_kept_file *)file)->path);
}

bool es_mirror_has(const struct es_mirror *m, const struct es_buf *path)
{
    return m->n_files &&
           bsearch(path, m->files, m->n_files, sizeof *m->files, compare_path) != NULL;
}

static struct es_kept_file *add_file(struct es_mirror *m)
{
    if (m->n_files == m->cap_files) {
        size_t cap = m->cap_files ? 2 * m->cap_files : 16;
        struct es_kept_file *files = reallocarray(m->files, cap, sizeof *files);

        if (!files)
            return NULL;
        m->files = files;
        m->cap_files = cap;
    }
    m->files[m->n_files] = (struct es_kept_file){0};
    return &m->files[m->n_files++];
}

static void describe(struct es_kept_file *file, const struct stat *st)
{
    file->device = st->st_dev;
    file->inode = st->st_ino;
    file->size = st->st_size;
    file->modified_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int set_time(int fd, int64_t ms, const char *path, struct es_err *err)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
    };

    return futimens(fd, times) < 0 ? es_write_failed(path, errno, "time", err) : 0;
}

/* The whole file is there. Same bytes: the old inode stays. */
static int settle(struct es_mirror *m, struct es_stream *s, enum es_file_state *ret_state,
                  struct es_kept_file *file, struct es_err *err)
{
    const struct es_source *from = &m->config->sources[s->source];
    const struct es_owner owner = es_mirrored_owner(from);
    bool same = s->old >= 0 && !s->differs && s->st.st_size == s->at && s->st.st_nlink == 1;
    int64_t ms = s->object.modified_ms;
    int r = 0;

    *ret_state = s->unknown ? ES_FILE_UNKNOWN
                 : same ? (es_mirrored_right_owner(&s->st, &owner) ? ES_FILE_SAME : ES_FILE_REPAIR)
                        : (s->old < 0 ? ES_FILE_CREATE : ES_FILE_UPDATE);
    file->owner = owner;
    if (m->look)
        return 0;
    if (*ret_state == ES_FILE_UNKNOWN)
        *ret_state = ES_FILE_UPDATE;
    if (same && ms >= 0)
        r = set_time(s->old, ms, s->path, err);
    if (r == 0 && same && ms >= 0 && fsync(s->old) < 0)
        r = es_write_failed(s->path, errno, "fsync", err);
    if (same) {
        if (r == 0 && fstat(s->old, &s->st) < 0)
            return es_write_failed(s->path, errno, "stat", err);
        describe(file, &s->st);
        return r;
    }
    if (ms >= 0)
        r = set_time(s->temp.fd, ms, s->path, err);
    if (r == 0)
        r = es_temp_close(&s->temp, owner.mode, s->path, err);
    if (r < 0)
        return r;
    describe(file, &s->temp.st);
    if (es_buf_puts(&file->temp, s->temp.name) < 0)
        return es_nomem(err);
    es_temp_keep(&s->temp);
    return 0;
}

int es_mirror_end(struct es_mirror *m, uint32_t source, uint32_t id, struct es_err *err)
{
    struct es_stream *s = find(m, source, id);
    struct es_kept_file *file;
    enum es_file_state state = ES_FILE_SAME;
    int r;

    if (!s)
        return bad_frame(err);
    file = add_file(m);
    if (!file)
        return es_nomem(err);
    file->source = source;
    file->id = id;
    file->streamed = true;
    if (es_buf_puts(&file->path, s->path) < 0)
        return es_nomem(err);
    r = settle(m, s, &state, file, err);
    if (r == 0 && es_mirror_tell(m, source, s->path, state) < 0)
        r = es_nomem(err);
    file->object = s->object;
    s->object = (struct es_kept_object){0};
    drop_stream(m, s);
    return r;
}

static void abandon(struct es_mirror *m, const struct es_kept_file *file)
{
    struct es_err ignored;

    if (file->temp.len == 0)
        return;
    if (es_mirrored_go(way_of(m), file->source, true, es_buf_str(&file->path), &ignored) != 0 ||
        (unlinkat(m->way.place.dir, es_buf_str(&file->temp), 0) < 0 && errno != ENOENT))
        m->left = true;
}

static void file_done(struct es_mirror *m, struct es_kept_file *file)
{
    abandon(m, file);
    es_buf_done(&file->path);
    es_kept_object_done(&file->object);
    es_buf_done(&file->temp);
}

static void forget_result(struct es_mirror *m, const char *path)
{
    for (size_t i = 0; i < m->n_results; i++)
        if (strcmp(m->results[i].path, path) == 0) {
            free(m->results[i].path);
            m->results[i] = m->results[--m->n_results];
            return;
        }
}

/* One that was whole already: the listing that it came from counts no more. */
static bool drop_whole(struct es_mirror *m, uint32_t source, uint32_t id)
{
    for (size_t i = 0; i < m->n_files; i++) {
        struct es_kept_file *file = &m->files[i];

        if (!file->streamed || file->source != source || file->id != id)
            continue;
        forget_result(m, es_buf_str(&file->path));
        file_done(m, file);
        *file = m->files[--m->n_files];
        return true;
    }
    return false;
}

int es_mirror_drop(struct es_mirror *m, uint32_t source, uint32_t id, struct es_err *err)
{
    struct es_stream *s = find(m, source, id);

    if (!s)
        return drop_whole(m, source, id) ? 0 : bad_frame(err);
    drop_stream(m, s);
    return 0;
}

int es_mirror_same(struct es_mirror *m, const struct es_kept_file *known, uint32_t source,
                   struct es_kept_object *object, struct es_err *err)
{
    struct es_kept_file *file = add_file(m);

    if (!file)
        return es_nomem(err);
    file->source = source;
    file->owner = es_mirrored_owner(&m->config->sources[source]);
    file->device = known->device;
    file->inode = known->inode;
    file->size = known->size;
    file->modified_ns = known->modified_ns;
    /* The name that it was staged under stays in the manifest, so that an unchanged set is equal to
     * the last one byte for byte. */
    if (es_buf_append(&file->path, known->path.data, known->path.len) < 0 ||
        es_buf_append(&file->temp, known->temp.data, known->temp.len) < 0)
        return es_nomem(err);
    file->object = *object;
    *object = (struct es_kept_object){0};
    return es_mirror_tell(m, source, es_buf_str(&file->path), ES_FILE_SAME) < 0 ? es_nomem(err) : 0;
}

void es_mirror_forget(struct es_mirror *m, uint32_t source)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_streams; i++)
        if (m->streams[i].path && m->streams[i].source == source)
            drop_stream(m, &m->streams[i]);
    for (size_t i = 0; i < m->n_files; i++) {
        if (m->files[i].source == source)
            file_done(m, &m->files[i]);
        else
            m->files[kept++] = m->files[i];
    }
    m->n_files = kept;
    kept = 0;
    for (size_t i = 0; i < m->n_results; i++) {
        if (m->results[i].source == source)
            free(m->results[i].path);
        else
            m->results[kept++] = m->results[i];
    }
    m->n_results = kept;
}

void es_mirror_done(struct es_mirror *m)
{
    for (size_t i = 0; i < m->n_streams; i++)
        stream_done(&m->streams[i]);
    for (size_t i = 0; i < m->n_files; i++)
        file_done(m, &m->files[i]);
    for (size_t i = 0; i < m->n_results; i++)
        free(m->results[i].path);
    es_mirrored_way_done(&m->way);
    free(m->streams);
    free(m->files);
    free(m->results);
    *m = (struct es_mirror){0};
}
