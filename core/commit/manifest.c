/* See manifest.h. One description of the layout serves both directions. */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Changes with the layout: a manifest of another version counts as none. */
static const char magic[] = "envsync manifest 3\n";

enum { MAX_ITEMS = 1000000 };

/* Writes to `out`, or where that is NULL reads from `in`. The first failure stays in r. */
struct coder {
    struct es_buf *out;
    struct es_cursor in;
    int r;
};

static void code_u64(struct coder *c, uint64_t *v)
{
    if (c->r == 0)
        c->r = c->out ? es_put_u64(c->out, *v) : es_get_u64(&c->in, v);
}

static void code_i64(struct coder *c, int64_t *v)
{
    uint64_t bits = (uint64_t)*v;

    code_u64(c, &bits);
    *v = (int64_t)bits;
}

static void code_u32(struct coder *c, uint32_t *v)
{
    if (c->r == 0)
        c->r = c->out ? es_put_u32(c->out, *v) : es_get_u32(&c->in, v);
}

static void code_bool(struct coder *c, bool *v)
{
    uint8_t byte = *v;

    if (c->r == 0)
        c->r = c->out ? es_put_u8(c->out, byte) : es_get_u8(&c->in, &byte);
    if (byte > 1)
        c->r = -EBADMSG;
    *v = byte == 1;
}

static void code_text(struct coder *c, struct es_buf *v)
{
    if (c->r == 0)
        c->r = c->out ? es_put_bytes(c->out, v->data, v->len) : es_get_bytes(&c->in, v);
}

/* The length of an array, which is allocated when reading. Each element takes at least one byte. */
static void code_array(struct coder *c, void *items, size_t size, size_t *n)
{
    uint32_t count = (uint32_t)*n;

    code_u32(c, &count);
    if (c->r < 0 || c->out)
        return;
    if (count > MAX_ITEMS || count > c->in.left) {
        c->r = -EBADMSG;
        return;
    }
    *(void **)items = calloc((size_t)count + 1, size);
    if (!*(void **)items)
        c->r = -ENOMEM;
    else
        *n = count;
}

static void code_owner(struct coder *c, struct es_owner *owner)
{
    uint32_t uid = owner->uid, gid = owner->gid, mode = owner->mode;

    code_u32(c, &uid);
    code_u32(c, &gid);
    code_u32(c, &mode);
    *owner = (struct es_owner){.uid = uid, .gid = gid, .mode = (mode_t)mode};
}

static void code_object(struct coder *c, struct es_kept_object *object)
{
    code_text(c, &object->name);
    code_text(c, &object->version);
    code_i64(c, &object->size);
    code_i64(c, &object->modified_ms);
    code_u32(c, &object->rank);
}

static void code_source(struct coder *c, struct es_kept_source *source)
{
    code_text(c, &source->name);
    code_text(c, &source->configured);
    code_text(c, &source->address);
    code_bool(c, &source->on_disk);
    code_bool(c, &source->given);
    code_bool(c, &source->stale);
    code_array(c, &source->objects, sizeof *source->objects, &source->n_objects);
    for (size_t i = 0; c->r == 0 && i < source->n_objects; i++)
        code_object(c, &source->objects[i]);
}

static void code_output(struct coder *c, struct es_kept_output *output)
{
    code_text(c, &output->path);
    code_bool(c, &output->on_disk);
    code_owner(c, &output->owner);
}

static void code_file(struct coder *c, struct es_kept_file *file)
{
    code_u32(c, &file->source);
    code_text(c, &file->path);
    code_object(c, &file->object);
    code_owner(c, &file->owner);
    code_bool(c, &file->gone);
    code_text(c, &file->temp);
    code_u64(c, &file->device);
    code_u64(c, &file->inode);
    code_i64(c, &file->size);
    code_i64(c, &file->modified_ns);
}

static void code_manifest(struct coder *c, struct es_manifest *m)
{
    code_text(c, &m->config_file);
    code_text(c, &m->configured);
    code_text(c, &m->machine_id);
    code_text(c, &m->boot_id);
    code_bool(c, &m->complete);
    code_array(c, &m->sources, sizeof *m->sources, &m->n_sources);
    for (size_t i = 0; c->r == 0 && i < m->n_sources; i++)
        code_source(c, &m->sources[i]);
    code_array(c, &m->outputs, sizeof *m->outputs, &m->n_outputs);
    for (size_t i = 0; c->r == 0 && i < m->n_outputs; i++)
        code_output(c, &m->outputs[i]);
    code_array(c, &m->files, sizeof *m->files, &m->n_files);
    for (size_t i = 0; c->r == 0 && i < m->n_files; i++) {
        code_file(c, &m->files[i]);
        if (c->r == 0 && m->files[i].source >= m->n_sources)
            c->r = -EBADMSG;
    }
}

int es_manifest_encode(const struct es_manifest *manifest, struct es_buf *out)
{
    struct coder c = {.out = out, .r = es_buf_puts(out, magic)};

    /* Writing changes nothing. */
    code_manifest(&c, (struct es_manifest *)manifest);
    return c.r;
}

int es_manifest_decode(const char *data, size_t len, struct es_manifest *ret)
{
    ES_CLEANUP(es_manifest_done) struct es_manifest m = {0};
    size_t head = strlen(magic);
    struct coder c = {0};

    if (len < head || memcmp(data, magic, head) != 0)
        return -EBADMSG;
    c.in = (struct es_cursor){.p = data + head, .left = len - head};
    code_manifest(&c, &m);
    if (c.r == 0 && c.in.left > 0)
        c.r = -EBADMSG;
    if (c.r < 0)
        return c.r;
    *ret = m;
    m = (struct es_manifest){0};
    return 0;
}

bool es_manifest_has_run_half(const struct es_manifest *set)
{
    for (size_t i = 0; i < set->n_sources; i++)
        if (!set->sources[i].on_disk)
            return true;
    for (size_t i = 0; i < set->n_outputs; i++)
        if (!set->outputs[i].on_disk)
            return true;
    return false;
}

void es_kept_object_done(struct es_kept_object *object)
{
    es_buf_done(&object->name);
    es_buf_done(&object->version);
}

void es_kept_source_clear(struct es_kept_source *source)
{
    for (size_t i = 0; i < source->n_objects; i++)
        es_kept_object_done(&source->objects[i]);
    free(source->objects);
    source->objects = NULL;
    source->n_objects = 0;
}

void es_kept_source_done(struct es_kept_source *source)
{
    es_kept_source_clear(source);
    es_buf_done(&source->name);
    es_buf_done(&source->configured);
    es_buf_done(&source->address);
}

void es_manifest_done(struct es_manifest *m)
{
    es_buf_done(&m->config_file);
    es_buf_done(&m->configured);
    es_buf_done(&m->machine_id);
    es_buf_done(&m->boot_id);
    for (size_t i = 0; i < m->n_sources; i++)
        es_kept_source_done(&m->sources[i]);
    free(m->sources);
    for (size_t i = 0; i < m->n_outputs; i++)
        es_buf_done(&m->outputs[i].path);
    free(m->outputs);
    for (size_t i = 0; i < m->n_files; i++) {
        es_buf_done(&m->files[i].path);
        es_kept_object_done(&m->files[i].object);
        es_buf_done(&m->files[i].temp);
    }
    free(m->files);
    *m = (struct es_manifest){0};
}

/* Arrays double; the room is known from the number alone. */
static void *grow(void *items, size_t *n, size_t size)
{
    char *fresh = *(void **)items;

    if ((*n & (*n - 1)) == 0) { /* 0, 1, 2, 4, 8: full */
        fresh = reallocarray(*(void **)items, *n ? 2 * *n : 1, size);
        if (!fresh)
            return NULL;
        *(void **)items = fresh;
    }
    fresh += *n * size;
    memset(fresh, 0, size);
    (*n)++;
    return fresh;
}

struct es_kept_object *es_kept_source_add(struct es_kept_source *source)
{
    return grow(&source->objects, &source->n_objects, sizeof *source->objects);
}

struct es_kept_file *es_manifest_add_file(struct es_manifest *manifest)
{
    return grow(&manifest->files, &manifest->n_files, sizeof *manifest->files);
}
