/* Documents as records: what every provider does with a file or text that holds many keys.
 *
 * The text is untrusted; the format's reader bounds its depth and its shape. Each leaf becomes one
 * record, in the order of the document. A list is a leaf, and so is an empty table (or it could
 * not survive); an empty document has none. Messages name the object and the place, never a value.
 */
#include "envsync/format.h"
#include "envsync/key.h"
#include "envsync/limits.h"
#include "envsync/provider.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* One walk over a parsed document. The record is built once; key, value and line change. */
struct walk {
    const struct es_document *document;
    struct es_sink *sink;
    struct es_record record;
};

static void done(struct walk *walk)
{
    es_record_done(&walk->record);
}

static int put_leaf(struct walk *walk, struct es_entry *entry, struct es_err *err)
{
    int r;

    walk->record.line = entry->pos.line;
    es_value_move(&walk->record.value, &entry->value);
    r = es_sink_put(walk->sink, &walk->record, err);
    if (r < 0 && err->class != ES_INTERNAL && entry->pos.line)
        es_context(err, "%s:%u", walk->document->object, entry->pos.line);
    else if (r < 0 && err->class != ES_INTERNAL)
        es_context(err, "%s", walk->document->object);
    return r;
}

/* Puts what lies below a table; the record's key is that of the table. Takes the values away. */
static int put_below(struct walk *walk, struct es_value *table, struct es_err *err)
{
    struct es_buf *key = &walk->record.key;
    size_t above = key->len;

    for (size_t i = 0; i < table->table.n; i++) {
        struct es_entry *entry = &table->table.entries[i];
        int r = es_key_push(key, es_buf_str(&entry->key), entry->key.len);

        if (r == -EINVAL)
            return es_fail(err, ES_INVALID, EINVAL, "%s:%u:%u: a key has a NUL byte in it",
                           walk->document->object, entry->pos.line, entry->pos.column);
        if (r < 0)
            return es_nomem(err);
        if (entry->value.type == ES_TABLE && entry->value.table.n > 0)
            r = put_below(walk, &entry->value, err);
        else
            r = put_leaf(walk, entry, err);
        if (r < 0)
            return r;
        key->len = above;
        key->data[above] = '\0';
    }
    return 0;
}

/* Messages of a reader start "LINE:COLUMN: ", so that the object's name goes right before them. */
static int name_object(const char *object, int r, struct es_err *err)
{
    struct es_err why = *err;

    if (why.class == ES_INTERNAL)
        return r;
    return es_fail(err, why.class, -r, "%s:%s", object, why.msg);
}

int es_document_put(const struct es_document *document, const char *text, size_t len,
                    struct es_sink *sink, struct es_err *err)
{
    ES_CLEANUP(done) struct walk walk = {.document = document, .sink = sink};
    ES_CLEANUP(es_value_done) struct es_value root = {0};
    int r;

    if (len > ES_MAX_DOCUMENT)
        return es_fail(err, ES_INVALID, EFBIG, "%s is larger than %d MiB", document->object,
                       ES_MAX_DOCUMENT >> 20);
    r = es_sink_count(sink, len, err);
    if (r < 0)
        return r;
    r = document->format->read(text, len, &root, err);
    if (r < 0)
        return name_object(document->object, r, err);
    if (root.type != ES_TABLE)
        return es_fail(err, ES_INVALID, EINVAL, "%s holds a %s where keys are expected",
                       document->object, es_type_name(root.type));
    walk.record.rank = document->rank;
    walk.record.verbatim = document->format == &es_format_env;
    if (es_buf_puts(&walk.record.object, document->object) < 0 ||
        es_buf_puts(&walk.record.version, document->version) < 0)
        return es_nomem(err);
    return put_below(&walk, &root, err);
}

int es_file_read(const struct es_file *file, struct es_buf *text, struct es_err *err)
{
    int r = es_buf_read_fd(text, file->fd, ES_MAX_DOCUMENT);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r == -EFBIG)
        return es_fail(err, ES_INVALID, EFBIG, "%s is larger than %d MiB", file->path,
                       ES_MAX_DOCUMENT >> 20);
    if (r < 0)
        return es_fail_errno(err, r == -EACCES || r == -EPERM ? ES_DENIED : ES_UNAVAILABLE, -r,
                             "%s cannot be read", file->path);
    return 0;
}

struct es_file_version es_file_version(int fd)
{
    struct es_file_version version = {{0}};
    struct stat st;
    struct tm tm;

    if (fstat(fd, &st) < 0 || !gmtime_r(&st.st_mtime, &tm) ||
        strftime(version.text, sizeof version.text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        version.text[0] = '\0';
    return version;
}
