/* See job.h. The job comes from the privileged side and is trusted; it is checked for shape all the
 * same, so that a mistake there is an error here and not a crash. */
#include "job.h"

#include "cloud.h"
#include "envsync/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_JOB = 64 << 20 };

static int malformed(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, EBADMSG, "the worker cannot read its job");
}

static const struct es_value *get(const struct es_value *table, const char *key, enum es_type type)
{
    const struct es_value *value = table->type == ES_TABLE ? es_table_get(table, key) : NULL;

    return value && value->type == type ? value : NULL;
}

static int read_files(const struct es_job *job, const struct es_value *list, struct es_task *task,
                      struct es_err *err)
{
    task->files = calloc(list->list.n + 1, sizeof *task->files);
    if (!task->files)
        return es_nomem(err);
    for (size_t i = 0; i < list->list.n; i++) {
        const struct es_value *role = get(&list->list.items[i], "role", ES_STRING);
        const struct es_value *path = get(&list->list.items[i], "path", ES_STRING);
        const struct es_value *number = get(&list->list.items[i], "number", ES_INTEGER);

        if (!role || !path || !number || number->integer < 0 ||
            number->integer >= (int64_t)job->n_files)
            return malformed(err);
        task->files[task->fetch.n_files++] = (struct es_file){.role = es_buf_str(&role->text),
                                                              .path = es_buf_str(&path->text),
                                                              .fd = job->files[number->integer]};
    }
    return 0;
}

/* One entry a name: an object that is both merged and mirrored stands twice in the job. */
static int compare_known(const void *a, const void *b)
{
    return strcmp(((const struct es_object *)a)->name, ((const struct es_object *)b)->name);
}

static int read_object(const struct es_value *table, struct es_object *ret, struct es_err *err)
{
    const struct es_value *name = get(table, "name", ES_STRING);
    const struct es_value *version = get(table, "version", ES_STRING);
    const struct es_value *size = get(table, "size", ES_INTEGER);
    const struct es_value *modified = get(table, "modified", ES_INTEGER);
    const struct es_value *mirrored = get(table, "mirrored", ES_INTEGER);

    if (!name || !version || !size || !modified || !mirrored)
        return malformed(err);
    *ret = (struct es_object){.name = es_buf_str(&name->text),
                              .version = es_buf_str(&version->text),
                              .size = size->integer,
                              .modified_ms = modified->integer,
                              .uses = mirrored->integer ? ES_OBJECT_MIRRORED : ES_OBJECT_MERGED};
    return 0;
}

/* The two halves count as one object only where they are of one version. */
static size_t join_known(struct es_object *known, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct es_object *last = kept ? &known[kept - 1] : NULL;

        if (last && strcmp(last->name, known[i].name) == 0 &&
            strcmp(last->version, known[i].version) == 0) {
            last->uses |= known[i].uses;
        } else {
            known[kept++] = known[i];
        }
    }
    return kept;
}

static int read_known(const struct es_value *table, struct es_task *task, struct es_err *err)
{
    const struct es_value *list = get(table, "known", ES_LIST);
    size_t n = list ? list->list.n : 0;

    if (n == 0)
        return 0;
    task->known = calloc(n, sizeof *task->known);
    if (!task->known)
        return es_nomem(err);
    for (size_t i = 0; i < n; i++) {
        int r = read_object(&list->list.items[i], &task->known[i], err);

        if (r < 0)
            return r;
    }
    qsort(task->known, n, sizeof *task->known, compare_known);
    task->fetch.known = task->known;
    task->fetch.n_known = join_known(task->known, n);
    return 0;
}

static int read_task(const struct es_job *job, const struct es_value *table, struct es_task *task,
                     struct es_err *err)
{
    const struct es_value *number = get(table, "number", ES_INTEGER);
    const struct es_value *type = get(table, "type", ES_STRING);
    const struct es_value *options = get(table, "options", ES_TABLE);
    const struct es_value *files = get(table, "files", ES_LIST);
    const struct es_value *optional = get(table, "optional", ES_INTEGER);
    int r;

    if (!optional || !number || !type || !options || !files)
        return malformed(err);
    task->sink.source = (uint32_t)number->integer;
    task->options = (struct es_value *)options; /* the job's own */
    task->provider = es_provider_by_type(es_buf_str(&type->text));
    task->fn = task->provider ? es_fetcher_of(task->provider) : NULL;
    if (!task->fn)
        return malformed(err);
    task->prepare = es_preparer_of(task->provider);
    task->state = calloc(1, task->provider->size + 1);
    if (!task->state)
        return es_nomem(err);
    task->fetch.optional = optional->integer != 0;
    task->known_address = get(table, "known_address", ES_STRING);
    r = read_known(table, task, err);
    return r < 0 ? r : read_files(job, files, task, err);
}

void es_task_announce(struct es_task *task, struct es_sandbox *sandbox)
{
    struct es_err ignored;

    if (!task->prepare)
        return;
    if (es_options_parse(task->provider->options, task->options, "job", task->state, &ignored) == 0)
        task->prepare(&task->fetch, sandbox);
    es_options_clear(task->provider->options, task->state);
    memset(task->state, 0, task->provider->size);
}

int es_task_prepare(struct es_task *task, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf before = {0}, address = {0};
    int r = es_put_value(&before, task->options);

    if (r == 0)
        r = es_cloud_expand(task->options, task->provider->options, task->files,
                            task->fetch.n_files, err);
    else
        r = es_nomem(err);
    if (r == 0 && es_put_value(&address, task->options) < 0)
        r = es_nomem(err);
    if (r == 0 && !es_buf_equal(&before, &address))
        r = es_sink_address(&task->sink, task->options, err);
    if (r == 0)
        r = es_options_parse(task->provider->options, task->options, "job", task->state, err);
    if (r == 0 && task->provider->validate)
        r = task->provider->validate(task->state, err);
    /* What is known of /app/prod says nothing of /app/staging. */
    if (r == 0 && !(task->known_address && es_buf_equal(&task->known_address->text, &address)))
        task->fetch.n_known = 0;
    return r;
}

static int take_files(struct es_job *job, struct msghdr *message)
{
    if (message->msg_flags & MSG_CTRUNC)
        return -EBADMSG;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
            n > ES_MAX_FILES - job->n_files)
            return -EBADMSG;
        memcpy(&job->files[job->n_files], CMSG_DATA(head), n * sizeof(int));
        job->n_files += n;
    }
    return 0;
}

static int read_all(int fd, struct es_job *job, struct es_buf *text)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(64 * sizeof(int))];
    } control;

    for (;;) {
        struct iovec iov = {.iov_len = 65536};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = control.room,
                                 .msg_controllen = sizeof control.room};
        ssize_t n;
        int r;

        if (es_buf_reserve(text, iov.iov_len) < 0)
            return -ENOMEM;
        iov.iov_base = text->data + text->len;
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        text->len += (size_t)n;
        r = text->len > MAX_JOB ? -EFBIG : take_files(job, &message);
        if (r < 0)
            return r;
    }
}

static int read_value(int fd, struct es_job *job, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    struct es_cursor in;
    uint32_t len;
    uint8_t type;
    int r = read_all(fd, job, &text);

    if (r < 0)
        return es_fail_errno(err, ES_INTERNAL, -r, "reading the job");
    in = (struct es_cursor){.p = text.data, .left = text.len};
    if (es_get_u32(&in, &len) < 0 || es_get_u8(&in, &type) < 0 || type != ES_FRAME_JOB ||
        len != in.left + 1 || es_get_value(&in, &job->root) < 0 || in.left > 0)
        return malformed(err);
    return 0;
}

static int read_surroundings(const struct es_value *root, struct es_job *job, struct es_err *err)
{
    const struct es_value *environment = get(root, "environment", ES_TABLE);
    const struct es_value *home = get(root, "home", ES_STRING);
    const struct es_value *milliseconds = get(root, "milliseconds", ES_INTEGER);
    const struct es_value *describe = get(root, "describe", ES_INTEGER);
    const struct es_value *verbose = get(root, "verbose", ES_INTEGER);

    if (!environment || !milliseconds || !describe || !verbose)
        return malformed(err);
    job->milliseconds = milliseconds->integer;
    job->describe = describe->integer != 0;
    job->verbose = verbose->integer != 0;
    if (es_value_copy(&job->surroundings.environment, environment) < 0)
        return es_nomem(err);
    if (!home)
        return 0;
    job->surroundings.home = strdup(es_buf_str(&home->text));
    return job->surroundings.home ? 0 : es_nomem(err);
}

static int read_sources(struct es_job *job, struct es_err *err)
{
    const struct es_value *sources = get(&job->root, "sources", ES_LIST);
    int r = read_surroundings(&job->root, job, err);

    if (r < 0)
        return r;
    if (!sources)
        return malformed(err);
    job->tasks = calloc(sources->list.n + 1, sizeof *job->tasks);
    if (!job->tasks)
        return es_nomem(err);
    for (; r == 0 && job->n < sources->list.n; job->n++)
        r = read_task(job, &sources->list.items[job->n], &job->tasks[job->n], err);
    return r;
}

static int check_texts(const struct es_value *texts, struct es_err *err)
{
    for (size_t i = 0; i < texts->list.n; i++)
        if (texts->list.items[i].type != ES_STRING)
            return malformed(err);
    return 0;
}

int es_job_read(int fd, struct es_job *ret, struct es_err *err)
{
    ES_CLEANUP(es_job_done) struct es_job job = {0};
    int r = read_value(fd, &job, err);

    if (r < 0)
        return r;
    job.texts = get(&job.root, "texts", ES_LIST);
    r = job.texts ? check_texts(job.texts, err) : read_sources(&job, err);
    if (r < 0)
        return r;
    *ret = job;
    job = (struct es_job){0};
    return 0;
}

void es_job_done(struct es_job *job)
{
    for (size_t i = 0; i < job->n; i++) {
        struct es_task *task = &job->tasks[i];

        if (task->fetch.clear)
            task->fetch.clear(task->fetch.own);
        if (task->state)
            es_options_clear(task->provider->options, task->state);
        free(task->state);
        free(task->files);
        free(task->known);
    }
    free(job->tasks);
    es_surroundings_done(&job->surroundings);
    es_value_done(&job->root);
    for (size_t i = 0; i < job->n_files; i++)
        es_close(&job->files[i]);
    *job = (struct es_job){0};
}
