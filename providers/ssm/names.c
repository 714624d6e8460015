/* Parameters by their names: GetParameters for ten at a time, GetParameter for an ARN. Each name
 * must be answered once, with a parameter or as one that does not exist; anything else is no
 * answer. All that do not exist are told of in one message. */
#include "run.h"

#include "envsync/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum state { ASKED, GIVEN, MISSING };

struct es_ssm_wanted {
    struct es_ssm_name name;
    enum state state;
    bool sent;
};

struct es_ssm_call {
    struct es_ssm_call *next;
    struct es_ssm_run *run;
    struct es_ssm_wanted *wanted[ES_SSM_BATCH];
    size_t n;
};

void es_ssm_names_done(struct es_ssm_run *run)
{
    while (run->calls) {
        struct es_ssm_call *call = run->calls;

        run->calls = call->next;
        free(call);
    }
    free(run->wanted);
}

static bool is_base(const struct es_ssm_name *name, const char *base, size_t len)
{
    return name->len == len && memcmp(name->base, base, len) == 0;
}

/* Which of the call's names a parameter answers. A shared parameter may be called by its ARN. */
static struct es_ssm_wanted *find(const struct es_ssm_call *call,
                                  const struct es_ssm_parameter *parameter)
{
    const char *name = parameter->name.data, *selector = es_buf_str(&parameter->selector);
    size_t len = strcspn(name, ":");

    if (call->n == 1 && call->wanted[0]->name.arn)
        return call->wanted[0];
    for (size_t i = 0; i < call->n; i++) {
        struct es_ssm_wanted *wanted = call->wanted[i];

        if (is_base(&wanted->name, name, len) &&
            (!*selector || strcmp(selector, wanted->name.selector) == 0))
            return wanted;
    }
    return NULL;
}

static int take_parameter(struct es_ssm_call *call, struct es_ssm_parameter *parameter,
                          struct es_err *err)
{
    struct es_ssm_wanted *wanted = find(call, parameter);

    if (!wanted)
        return es_fail(err, ES_INVALID, EBADMSG,
                       "the answer is not AWS's: it has %s, which was not asked for",
                       parameter->name.data);
    if (wanted->state != ASKED)
        return es_fail(err, ES_INVALID, EBADMSG, "the answer is not AWS's: it has %s twice",
                       parameter->name.data);
    wanted->state = GIVEN;
    return es_ssm_keep(call->run, parameter, wanted->name.base, wanted->name.len,
                       call->run->options->strip, err);
}

static void take_invalid(struct es_ssm_call *call, const struct es_buf *text)
{
    for (size_t i = 0; i < call->n; i++)
        if (call->wanted[i]->state == ASKED && es_buf_is(text, call->wanted[i]->name.text))
            call->wanted[i]->state = MISSING;
}

static int take_answer(struct es_ssm_call *call, const struct es_buf *body, struct es_err *err)
{
    ES_CLEANUP(es_ssm_answer_done) struct es_ssm_answer answer = {0};
    int r = es_ssm_answer_read(es_buf_str(body), body->len, &answer, err);

    for (size_t i = 0; r == 0 && i < answer.n; i++)
        r = take_parameter(call, &answer.parameters[i], err);
    for (size_t i = 0; r == 0 && i < answer.n_invalid; i++)
        take_invalid(call, &answer.invalid[i]);
    for (size_t i = 0; r == 0 && i < call->n; i++)
        if (call->wanted[i]->state == ASKED)
            r = es_fail(err, ES_INVALID, EBADMSG,
                        "the answer is not AWS's: it says nothing about %s",
                        call->wanted[i]->name.text);
    return r;
}

/* All calls are done: what is missing? */
static int judge(struct es_ssm_run *run, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf missing = {0};

    for (size_t i = 0; i < run->options->names.n; i++)
        if (run->wanted[i].state == MISSING &&
            es_buf_printf(&missing, "%s%s", missing.len > 0 ? ", " : "", run->wanted[i].name.text) <
                0)
            return es_nomem(err);
    if (missing.len == 0)
        return 0;
    if (run->fetch->optional && run->n > 0)
        return es_sink_note(run->fetch->sink, err, "not there: %s", missing.data);
    return es_fail(err, ES_ABSENT, ENOENT, "not there: %s", missing.data);
}

static int take_reply(struct es_ssm_call *call, const struct es_aws_reply *reply,
                      struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf what = {0};
    int r;

    if (reply->r == 0)
        return take_answer(call, &reply->answer->body, err);
    for (size_t i = 0; i < call->n; i++)
        if (es_buf_printf(&what, "%s%s", i > 0 ? ", " : "", call->wanted[i]->name.text) < 0)
            return es_nomem(err);
    r = es_ssm_explain(reply, what.data, err);
    if (err->class != ES_ABSENT || call->n > 1)
        return r;
    call->wanted[0]->state = MISSING;
    return 0;
}

static void on_done(void *data, const struct es_aws_reply *reply)
{
    struct es_ssm_call *call = data;
    struct es_ssm_run *run = call->run;
    struct es_err err;
    int r;

    run->in_flight--;
    if (run->over)
        return;
    r = take_reply(call, reply, &err);
    if (r == 0 && run->in_flight > 0)
        return;
    if (r == 0)
        r = judge(run, &err);
    es_ssm_finish(run, r, &err);
}

static int make_body(const struct es_ssm_call *call, struct es_buf *ret, struct es_err *err)
{
    json_t *request, *names;

    if (call->wanted[0]->name.arn)
        return es_answer_request(
            json_pack("{s:s, s:b}", "Name", call->wanted[0]->name.text, "WithDecryption", 1), ret,
            err);
    request = json_pack("{s:[], s:b}", "Names", "WithDecryption", 1);
    names = json_object_get(request, "Names");
    for (size_t i = 0; i < call->n; i++)
        if (json_array_append_new(names, json_string(call->wanted[i]->name.text)) < 0) {
            json_decref(request);
            return es_nomem(err);
        }
    return es_answer_request(request, ret, err);
}

static int send(struct es_ssm_run *run, struct es_ssm_call *call, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf body = {0}, resource = {0};
    const struct es_ssm_name *first = &call->wanted[0]->name;
    bool one = first->arn;
    int r = make_body(call, &body, err);

    if (r < 0)
        return r;
    r = first->arn ? es_buf_append(&resource, first->text, (size_t)(first->selector - first->text))
                   : es_ssm_resource(run, first->base, first->len, &resource);
    if (r < 0)
        return es_nomem(err);
    r = es_aws_send(run->aws,
                    &(struct es_aws_call){
                        .operation = one ? "GetParameter" : "GetParameters",
                        .method = "POST",
                        .path = "/",
                        .body = body.data,
                        .body_len = body.len,
                        .max_body = ES_SSM_MAX_BODY,
                        .allow = one ? "ssm:GetParameter" : "ssm:GetParameters",
                        .allow_resource = resource.data,
                        .on_done = on_done,
                        .data = call,
                    },
                    err);
    if (r == 0)
        run->in_flight++;
    return r;
}

/* A call for the next names that are not sent yet: an ARN alone, others together. */
static int next_call(struct es_ssm_run *run, size_t from, struct es_err *err)
{
    struct es_ssm_call *call = calloc(1, sizeof *call);

    if (!call)
        return es_nomem(err);
    call->run = run;
    call->next = run->calls;
    run->calls = call;
    for (size_t i = from; i < run->options->names.n && call->n < ES_SSM_BATCH; i++) {
        struct es_ssm_wanted *wanted = &run->wanted[i];

        if (wanted->sent || (call->n > 0 && wanted->name.arn))
            continue;
        wanted->sent = true;
        call->wanted[call->n++] = wanted;
        if (wanted->name.arn)
            break;
    }
    return send(run, call, err);
}

static int compare_wanted(const void *a, const void *b)
{
    const struct es_ssm_name *x = &(*(struct es_ssm_wanted *const *)a)->name;
    const struct es_ssm_name *y = &(*(struct es_ssm_wanted *const *)b)->name;
    size_t len = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->base, y->base, len);

    return c ? c : (x->len > y->len) - (x->len < y->len);
}

/* Two versions of one parameter have one key: nothing could tell which is meant. */
static int check_twice(const struct es_ssm_run *run, struct es_err *err)
{
    size_t n = run->options->names.n;
    ES_CLEANUP(es_freep) struct es_ssm_wanted **sorted = calloc(n, sizeof *sorted);

    if (!sorted)
        return es_nomem(err);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &run->wanted[i];
    qsort(sorted, n, sizeof *sorted, compare_wanted);
    for (size_t i = 1; i < n; i++)
        if (compare_wanted(&sorted[i - 1], &sorted[i]) == 0)
            return es_fail(err, ES_INVALID, EEXIST,
                           "names has %s and %s, which are one parameter and one key",
                           sorted[i - 1]->name.text, sorted[i]->name.text);
    return 0;
}

static int parse_names(struct es_ssm_run *run, struct es_err *err)
{
    const struct es_strings *names = &run->options->names;
    int r = 0;

    run->wanted = calloc(names->n + 1, sizeof *run->wanted);
    if (!run->wanted)
        return es_nomem(err);
    for (size_t i = 0; r == 0 && i < names->n; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf key = {0};
        struct es_ssm_name *name = &run->wanted[i].name;

        r = es_ssm_name_parse(names->items[i], name, err);
        if (r == 0)
            r = es_ssm_key(name->base, name->len, run->options->strip, &key);
        if (r == -ENOMEM)
            return es_nomem(err);
        if (r == -ENOENT)
            r = es_fail(err, ES_CONFIG, EINVAL, "names: \"%.100s\" is not below strip",
                        names->items[i]);
    }
    return r < 0 ? r : check_twice(run, err);
}

int es_ssm_by_names(struct es_ssm_run *run, struct es_err *err)
{
    int r = parse_names(run, err);

    for (size_t i = 0; r == 0 && i < run->options->names.n; i++)
        if (!run->wanted[i].sent)
            r = next_call(run, i, err);
    return r;
}
