/* See collect.h. The worker may have been taken over by what it parsed: every number is checked
 * before it is used, and nothing here trusts a name or a length. */
#include "collect.h"

#include "clock.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOMENT_MS = 500 };

static int bad_frame(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, EBADMSG, "the worker sent what is no record");
}

/* A frame that does not decode. */
static int unreadable(int r, struct es_err *err)
{
    return r == -ENOMEM ? es_nomem(err) : bad_frame(err);
}

/* An honest worker keeps far below it: what it tells of 100000 objects ends up in the manifest. */
enum { MAX_TOLD = 64 << 20 };

static int count_told(struct es_collecting *c, size_t len, struct es_err *err)
{
    c->told += len;
    if (c->told <= MAX_TOLD)
        return 0;
    return es_fail(err, ES_INVALID, EMSGSIZE, "the names of the sources' objects are over %d MiB",
                   MAX_TOLD >> 20);
}

static int count_object(struct es_collecting *c, struct es_err *err)
{
    if (++c->announced <= ES_MAX_OBJECTS)
        return 0;
    return es_fail(err, ES_INVALID, EMSGSIZE, "more than %d objects in one run", ES_MAX_OBJECTS);
}

int es_collect_count(struct es_collecting *c, size_t len, struct es_err *err)
{
    c->bytes += len;
    if (c->bytes <= 4 * (size_t)ES_MAX_TOTAL)
        return 0;
    return es_fail(err, ES_INVALID, EMSGSIZE, "the sources give more than %d MiB",
                   4 * ES_MAX_TOTAL >> 20);
}

int es_collect_add(struct es_fetched *f, struct es_record *record, struct es_err *err)
{
    if (f->n == ES_MAX_RECORDS)
        return es_fail(err, ES_INVALID, EMSGSIZE, "the sources give more than %d keys",
                       ES_MAX_RECORDS);
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        struct es_record *records = reallocarray(f->records, cap, sizeof *records);

        if (!records)
            return es_nomem(err);
        f->records = records;
        f->cap = cap;
    }
    f->records[f->n++] = *record;
    *record = (struct es_record){0};
    return 0;
}

static int take_record(struct es_collecting *c, uint32_t source, struct es_cursor *in,
                       struct es_err *err)
{
    ES_CLEANUP(es_record_done) struct es_record record = {0};
    int r = es_collect_count(c, in->left, err);

    if (r < 0)
        return r;
    r = es_get_record(in, &record);
    if (r < 0 || in->left > 0 || record.source != source)
        return unreadable(r, err);
    r = es_record_check(&record, err);
    return r < 0 ? r : es_collect_add(c->fetched, &record, err);
}

static int take_note(struct es_collecting *c, uint32_t source, struct es_cursor *in,
                     struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    uint8_t level;
    int r = es_get_u8(in, &level);

    if (r == 0)
        r = es_get_bytes(in, &text);
    if (r < 0 || in->left > 0)
        return unreadable(r, err);
    es_report_add(c->report, level <= ES_LEVEL_NOTICE ? ES_LEVEL_NOTICE : ES_LEVEL_INFO,
                  "source %s: %.*s", c->config->sources[source].name, ES_ERR_MAX,
                  es_buf_str(&text));
    return 0;
}

static int take_address(struct es_collecting *c, uint32_t source, struct es_cursor *in)
{
    struct es_buf *address = &c->fetched->sources[source].address;

    return es_buf_set(address, in->p, in->left);
}

static int take_object(struct es_cursor *in, struct es_kept_object *ret)
{
    uint64_t size = 0, modified = 0;
    int r = es_get_bytes(in, &ret->name);

    if (r == 0)
        r = es_get_bytes(in, &ret->version);
    if (r == 0)
        r = es_get_u64(in, &size);
    if (r == 0)
        r = es_get_u64(in, &modified);
    if (r == 0)
        r = es_get_u32(in, &ret->rank);
    ret->size = (int64_t)size;
    ret->modified_ms = (int64_t)modified;
    return r;
}

static int keep_object(struct es_collecting *c, uint32_t source, struct es_kept_object *object,
                       struct es_err *err)
{
    struct es_kept_object *kept = es_kept_source_add(&c->fetched->sources[source]);

    if (!kept)
        return es_nomem(err);
    *kept = *object;
    *object = (struct es_kept_object){0};
    return 0;
}

static int take_merged(struct es_collecting *c, uint32_t source, bool same, struct es_cursor *in,
                       struct es_err *err)
{
    ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {0};
    int r = count_object(c, err);

    if (r < 0)
        return r;
    r = take_object(in, &object);
    if (r < 0)
        return unreadable(r, err);
    if (same) {
        r = es_collect_same(c, source, &object, err);
        if (r <= 0)
            return r < 0 ? r : bad_frame(err);
    }
    return keep_object(c, source, &object, err);
}

static int take_file_same(struct es_collecting *c, uint32_t source, struct es_cursor *in,
                          struct es_err *err)
{
    ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {0};
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    const struct es_before *before = es_collect_known(c, source);
    int r = count_object(c, err);

    if (r < 0)
        return r;
    r = es_get_bytes(in, &path);
    if (r == 0)
        r = take_object(in, &object);
    if (r < 0 || !before)
        return unreadable(r, err);
    /* They come in the order in which they are kept: the search ends where it begins. */
    for (size_t i = 0; i < before->n_files; i++) {
        size_t at = (c->next_same + i) % before->n_files;
        const struct es_kept_file *file = before->files[at].kept;

        if (before->files[at].sure && es_buf_equal(&file->object.name, &object.name) &&
            es_buf_equal(&file->object.version, &object.version)) {
            c->next_same = at + 1;
            return es_mirror_same(&c->fetched->mirror, file, source, &object, err);
        }
    }
    return bad_frame(err);
}

static int take_file(struct es_collecting *c, enum es_frame type, uint32_t source,
                     struct es_cursor *in, struct es_err *err)
{
    ES_CLEANUP(es_kept_object_done) struct es_kept_object object = {0};
    ES_CLEANUP(es_buf_done) struct es_buf path = {0};
    struct es_mirror *mirror = &c->fetched->mirror;
    uint32_t id;
    int r;

    if (es_get_u32(in, &id) < 0)
        return bad_frame(err);
    switch (type) {
    case ES_FRAME_FILE_BEGIN:
        r = count_object(c, err);
        if (r < 0)
            return r;
        r = es_get_bytes(in, &path);
        if (r == 0)
            r = take_object(in, &object);
        return r < 0 ? unreadable(r, err)
                     : es_mirror_begin(mirror, source, id, &path, &object, err);
    case ES_FRAME_FILE_DATA:
        return es_mirror_data(mirror, source, id, in->p, in->left, err);
    case ES_FRAME_FILE_END:
        c->objects++;
        return es_mirror_end(mirror, source, id, err);
    default:
        return es_mirror_drop(mirror, source, id, err);
    }
}

/* What a source may fail with; an exit code of another kind is not the worker's to choose. */
static enum es_class class_of(uint8_t class)
{
    switch (class) {
    case ES_CONFIG:
    case ES_INVALID:
    case ES_ABSENT:
    case ES_UNAVAILABLE:
    case ES_INSECURE:
    case ES_DENIED:
        return (enum es_class) class;
    default:
        return ES_INTERNAL;
    }
}

static int take_message(struct es_cursor *in, struct es_err *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    uint8_t class;
    int r = es_get_u8(in, &class);

    if (r == 0 && class < ES_CLASSES)
        r = es_get_bytes(in, &text);
    if (r < 0 || class >= ES_CLASSES || in->left > 0)
        return r < 0 ? r : -EBADMSG;
    es_fail(ret, class_of(class), EIO, "%s", es_buf_str(&text));
    return 0;
}

/* One whose output is refused may still be printing, into a pipe that nobody reads any more: it
 * gets a moment to tell its exit status, and is then killed with the others (see es_files_done()).
 */
static int judge_program(struct es_collecting *c, uint32_t source, bool failed, struct es_err *why)
{
    int64_t deadline = c->plan->deadline, moment = es_clock_ms() + MOMENT_MS;

    if (failed && moment < deadline)
        deadline = moment;
    for (size_t i = 0; i < c->files->n_programs; i++) {
        struct es_program *program = &c->files->programs[i];
        struct es_err verdict;
        int r;

        if (program->source != source || program->pid == 0)
            continue;
        r = es_program_judge(program, deadline, &verdict);
        if (r == 0 || (failed && program->pid != 0))
            return 0;
        *why = verdict;
        return r;
    }
    return 0;
}

static int take_done(struct es_collecting *c, uint32_t source, struct es_cursor *in,
                     struct es_err *err)
{
    struct es_err why;
    uint8_t failed;
    int r;

    if (es_get_u8(in, &failed) < 0)
        return bad_frame(err);
    c->pending[source] = false;
    r = failed ? take_message(in, &why) : 0;
    if (r < 0)
        return unreadable(r, err);
    /* What a program printed counts for nothing where it failed; that it failed says more than
     * what is wrong with its output. */
    r = judge_program(c, source, failed, &why);
    if (!failed && r == 0)
        c->fetched->sources[source].given = true;
    else
        es_collect_failure(c, source, r < 0 ? r : -EIO, &why);
    return 0;
}

static int take_end(const struct es_collecting *c, struct es_err *err)
{
    for (size_t i = 0; i < c->config->n_sources; i++)
        if (c->pending[i])
            return bad_frame(err);
    return 1;
}

static int take_of_source(struct es_collecting *c, enum es_frame type, struct es_cursor *in,
                          struct es_err *err)
{
    struct es_cursor at = *in; /* a record holds the number itself */
    uint32_t source;
    int r =
        type == ES_FRAME_RECORD || type == ES_FRAME_FILE_DATA ? 0 : count_told(c, in->left, err);

    if (r < 0)
        return r;
    if (es_get_u32(in, &source) < 0 || source >= c->config->n_sources || !c->pending[source])
        return bad_frame(err);
    switch (type) {
    case ES_FRAME_ADDRESS:
        return take_address(c, source, in) < 0 ? es_nomem(err) : 0;
    case ES_FRAME_RECORD:
        *in = at;
        return take_record(c, source, in, err);
    case ES_FRAME_NOTE:
        return take_note(c, source, in, err);
    case ES_FRAME_OBJECT:
    case ES_FRAME_SAME:
        c->objects++;
        return take_merged(c, source, type == ES_FRAME_SAME, in, err);
    case ES_FRAME_FILE_SAME:
        c->objects++;
        return take_file_same(c, source, in, err);
    case ES_FRAME_FILE_BEGIN:
    case ES_FRAME_FILE_DATA:
    case ES_FRAME_FILE_END:
    case ES_FRAME_FILE_DROP:
        return take_file(c, type, source, in, err);
    case ES_FRAME_DONE:
        return take_done(c, source, in, err);
    default:
        return bad_frame(err);
    }
}

static int take_remark(struct es_collecting *c, struct es_cursor *in, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = count_told(c, in->left, err);

    if (r < 0)
        return r;
    r = es_get_bytes(in, &text);
    if (r < 0 || in->left > 0)
        return unreadable(r, err);
    es_report_add(c->report, ES_LEVEL_INFO, "worker: %.*s", ES_ERR_MAX, es_buf_str(&text));
    return 0;
}

int es_collect_fatal(struct es_cursor *in, struct es_err *err)
{
    int r = take_message(in, err);

    return r < 0 ? unreadable(r, err) : -EIO;
}

int es_collect(struct es_collecting *c, enum es_frame type, struct es_cursor *in,
               struct es_err *err)
{
    if (type == ES_FRAME_END)
        return take_end(c, err);
    if (type == ES_FRAME_REMARK)
        return take_remark(c, in, err);
    if (type == ES_FRAME_FATAL)
        return es_collect_fatal(in, err);
    return take_of_source(c, type, in, err);
}
