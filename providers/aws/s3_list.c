/* See s3_list.h. Everything read here is hostile. Texts are collected in an arena that moves as
 * it grows, so entries hold offsets until the end, when they become pointers at once. */
#include "s3_list.h"

#include "date.h"
#include "xml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum seen {
    SEEN_KEY = 1 << 0,
    SEEN_SIZE = 1 << 1,
    SEEN_ETAG = 1 << 2,
    SEEN_MODIFIED = 1 << 3,
    SEEN_CLASS = 1 << 4,
    SEEN_TRUNCATED = 1 << 5,
    SEEN_TOKEN = 1 << 6,
    SEEN_ENCODING = 1 << 7,
    SEEN_PREFIX = 1 << 8,
};

/* Offsets into the arena; each text ends with a NUL there. */
struct raw {
    size_t key, key_len, etag, class;
    int64_t size, modified_ms;
};

struct es_s3_list {
    struct es_xml *xml;
    struct es_s3_page page;
    struct raw *raw;
    size_t n, cap;
    unsigned seen;       /* in the document */
    unsigned seen_entry; /* in the object that is being read */
    bool in_contents;
    bool url;
};

void es_s3_page_done(struct es_s3_page *page)
{
    free(page->entries);
    es_buf_done(&page->token);
    es_buf_done(&page->prefix);
    es_buf_done(&page->arena);
    *page = (struct es_s3_page){0};
}

static int refuse(struct es_err *err, const char *why)
{
    return es_fail(err, ES_INVALID, EBADMSG, "the answer is not S3's: %s", why);
}

/* Notes that an element is there; a second one is an error. */
static int once(unsigned *seen, enum seen what, const char *name, struct es_err *err)
{
    if (*seen & what)
        return es_fail(err, ES_INVALID, EBADMSG, "the answer is not S3's: two %s in one place",
                       name);
    *seen |= what;
    return 0;
}

static int add_text(struct es_s3_list *list, const char *text, size_t len, size_t *ret,
                    struct es_err *err)
{
    size_t at = list->page.arena.len;

    if (es_buf_append(&list->page.arena, text, len + 1) < 0)
        return es_nomem(err);
    *ret = at;
    return 0;
}

static int add_entry(struct es_s3_list *list, struct es_err *err)
{
    if (list->n >= ES_S3_MAX_ENTRIES)
        return refuse(err, "too many objects in one page");
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct raw *raw = realloc(list->raw, cap * sizeof *raw);

        if (!raw)
            return es_nomem(err);
        list->raw = raw;
        list->cap = cap;
    }
    list->raw[list->n++] = (struct raw){.modified_ms = -1, .etag = SIZE_MAX, .class = SIZE_MAX};
    list->seen_entry = 0;
    return 0;
}

static int read_size(const char *text, int64_t *ret, struct es_err *err)
{
    int64_t size = 0;

    if (!*text)
        return refuse(err, "an object without a size");
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || size > (INT64_MAX - 9) / 10)
            return refuse(err, "an object's size is no number");
        size = size * 10 + (*text - '0');
    }
    *ret = size;
    return 0;
}

/* An element of <Contents>. */
static int read_member(struct es_s3_list *list, const char *name, const char *text, size_t len,
                       struct es_err *err)
{
    struct raw *raw = &list->raw[list->n - 1];
    static const struct {
        const char *name;
        enum seen seen;
    } members[] = {
        {"Key", SEEN_KEY},
        {"Size", SEEN_SIZE},
        {"ETag", SEEN_ETAG},
        {"LastModified", SEEN_MODIFIED},
        {"StorageClass", SEEN_CLASS},
    };
    enum seen which = 0;

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0)
            which = members[i].seen;
    if (!which)
        return 0;
    if (once(&list->seen_entry, which, name, err) < 0)
        return -EBADMSG;
    switch (which) {
    case SEEN_KEY:
        raw->key_len = len;
        return add_text(list, text, len, &raw->key, err);
    case SEEN_SIZE:
        return read_size(text, &raw->size, err);
    case SEEN_ETAG:
        return add_text(list, text, len, &raw->etag, err);
    case SEEN_MODIFIED:
        return es_aws_date_iso(text, &raw->modified_ms)
                   ? 0
                   : refuse(err, "an object's LastModified is no date");
    default:
        return add_text(list, text, len, &raw->class, err);
    }
}

static int set_buf(struct es_buf *buf, const char *text, size_t len, struct es_err *err)
{
    return es_buf_set(buf, text, len) < 0 ? es_nomem(err) : 0;
}

/* An element of <ListBucketResult> itself. */
static int read_head(struct es_s3_list *list, const char *name, const char *text, size_t len,
                     struct es_err *err)
{
    if (strcmp(name, "IsTruncated") == 0) {
        list->page.truncated = strcmp(text, "true") == 0;
        if (!list->page.truncated && strcmp(text, "false") != 0)
            return refuse(err, "IsTruncated is neither true nor false");
        return once(&list->seen, SEEN_TRUNCATED, name, err);
    }
    if (strcmp(name, "NextContinuationToken") == 0) {
        int r = once(&list->seen, SEEN_TOKEN, name, err);

        return r ? r : set_buf(&list->page.token, text, len, err);
    }
    if (strcmp(name, "EncodingType") == 0) {
        list->url = strcmp(text, "url") == 0;
        if (!list->url && len > 0)
            return refuse(err, "an EncodingType other than url");
        return once(&list->seen, SEEN_ENCODING, name, err);
    }
    if (strcmp(name, "Prefix") == 0) {
        int r = once(&list->seen, SEEN_PREFIX, name, err);

        return r ? r : set_buf(&list->page.prefix, text, len, err);
    }
    return 0;
}

static int on_open(void *data, unsigned depth, const char *name, struct es_err *err)
{
    struct es_s3_list *list = data;

    if (depth == 0) {
        list->page.failed = strcmp(name, "Error") == 0;
        return list->page.failed || strcmp(name, "ListBucketResult") == 0
                   ? 0
                   : refuse(err, "it is another document");
    }
    if (depth == 1 && !list->page.failed && strcmp(name, "Contents") == 0) {
        list->in_contents = true;
        return add_entry(list, err);
    }
    return 0;
}

static int on_close(void *data, unsigned depth, const char *name, const char *text, size_t len,
                    struct es_err *err)
{
    struct es_s3_list *list = data;
    const unsigned needed = SEEN_KEY | SEEN_SIZE;

    if (list->page.failed) {
        if (depth == 1)
            es_aws_error_element(&list->page.error, name, text);
        return 0;
    }
    if (depth == 2 && list->in_contents)
        return read_member(list, name, text, len, err);
    if (depth != 1)
        return 0;
    if (!list->in_contents)
        return read_head(list, name, text, len, err);
    list->in_contents = false;
    return (list->seen_entry & needed) == needed ? 0 : refuse(err, "an object without key or size");
}

int es_s3_list_new(struct es_s3_list **ret, struct es_err *err)
{
    static const struct es_xml_handler handler = {on_open, on_close};
    ES_CLEANUP(es_s3_list_freep) struct es_s3_list *list = calloc(1, sizeof *list);
    int r;

    if (!list)
        return es_nomem(err);
    r = es_xml_new(&handler, list, ES_S3_MAX_PAGE, &list->xml, err);
    if (r < 0)
        return r;
    *ret = list;
    list = NULL;
    return 0;
}

int es_s3_list_feed(struct es_s3_list *list, const char *data, size_t len, struct es_err *err)
{
    return es_xml_feed(list->xml, data, len, err);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* In place: what is decoded is never longer. */
static int decode(char *text, size_t *len, struct es_err *err)
{
    size_t to = 0;

    for (size_t i = 0; i < *len; i++) {
        char c = text[i];

        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < *len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < *len ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return refuse(err, "a key with a broken escape");
            c = (char)(high << 4 | low);
            i += 2;
        }
        text[to++] = c;
    }
    text[to] = '\0';
    *len = to;
    return 0;
}

static int resolve(struct es_s3_list *list, struct es_err *err)
{
    struct es_s3_page *page = &list->page;
    char *arena = page->arena.data;

    page->entries = calloc(list->n ? list->n : 1, sizeof *page->entries);
    if (!page->entries)
        return es_nomem(err);
    if (list->url && page->prefix.len && decode(page->prefix.data, &page->prefix.len, err) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < list->n; i++) {
        const struct raw *raw = &list->raw[i];
        size_t len = raw->key_len;

        if (list->url && decode(arena + raw->key, &len, err) < 0)
            return -EBADMSG;
        if (len == 0)
            return refuse(err, "an object with an empty key");
        page->entries[i] = (struct es_s3_entry){
            .key = arena + raw->key,
            .key_len = len,
            .etag = raw->etag == SIZE_MAX ? "" : arena + raw->etag,
            .storage_class = raw->class == SIZE_MAX ? "" : arena + raw->class,
            .size = raw->size,
            .modified_ms = raw->modified_ms,
        };
    }
    page->n = list->n;
    return 0;
}

int es_s3_list_finish(struct es_s3_list *list, struct es_s3_page *ret, struct es_err *err)
{
    int r = es_xml_finish(list->xml, err);

    if (r < 0)
        return r;
    if (!list->page.failed) {
        if (!(list->seen & SEEN_TRUNCATED))
            return refuse(err, "it does not say whether it is truncated");
        if (list->page.truncated && list->page.token.len == 0)
            return refuse(err, "it is truncated, but has no NextContinuationToken");
        r = resolve(list, err);
        if (r < 0)
            return r;
    }
    *ret = list->page;
    list->page = (struct es_s3_page){0};
    return 0;
}

void es_s3_list_free(struct es_s3_list *list)
{
    if (!list)
        return;
    es_xml_free(list->xml);
    es_s3_page_done(&list->page);
    free(list->raw);
    free(list);
}

void es_s3_list_freep(struct es_s3_list **list)
{
    es_s3_list_free(*list);
}
