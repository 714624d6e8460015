/* Parameters below a path: one GetParametersByPath after the other, as each gives the token of the
 * next. A page may be empty and yet not be the last. A path without parameters looks to AWS like
 * one with a typo in it, so it is an error; `optional` is the way to say that it may be so. */
#include "run.h"

#include <errno.h>
#include <string.h>

static int ask(struct es_ssm_run *run, const struct es_buf *token, struct es_err *err);

static int take(struct es_ssm_run *run, const struct es_aws_reply *reply, struct es_err *err)
{
    ES_CLEANUP(es_ssm_answer_done) struct es_ssm_answer answer = {0};
    const struct es_buf *body = &reply->answer->body;
    int r = es_ssm_answer_read(es_buf_str(body), body->len, &answer, err);

    for (size_t i = 0; r == 0 && i < answer.n; i++) {
        const struct es_buf *name = &answer.parameters[i].name;

        r = es_ssm_keep(run, &answer.parameters[i], name->data, name->len, run->path.data, err);
    }
    if (r == 0 && answer.token.len > 0)
        r = es_answer_pages_next(&run->pages, answer.token.data, answer.token.len, err);
    if (r < 0) {
        if (err->class != ES_INTERNAL)
            es_context(err, "%s", run->path.data);
        return r;
    }
    if (answer.token.len > 0)
        return ask(run, &answer.token, err);
    if (run->n == 0)
        return es_fail(err, ES_ABSENT, ENOENT, "there is no parameter below %s%s%s", run->path.data,
                       run->options->label ? " with the label " : "",
                       run->options->label ? run->options->label : "");
    es_ssm_finish(run, 0, NULL);
    return 0;
}

static void on_done(void *data, const struct es_aws_reply *reply)
{
    struct es_ssm_run *run = data;
    struct es_err err;
    int r;

    if (run->over)
        return;
    r = reply->r < 0 ? es_ssm_explain(reply, run->path.data, &err) : take(run, reply, &err);
    if (r < 0)
        es_ssm_finish(run, r, &err);
}

static int make_body(const struct es_ssm_run *run, const struct es_buf *token, struct es_buf *ret,
                     struct es_err *err)
{
    json_t *request =
        json_pack("{s:s, s:b, s:b, s:i}", "Path", run->path.data, "Recursive",
                  run->options->recursive, "WithDecryption", 1, "MaxResults", ES_SSM_BATCH);
    int r = request ? 0 : -1;

    if (r == 0 && run->options->label)
        r = json_object_set_new(request, "ParameterFilters",
                                json_pack("[{s:s, s:s, s:[s]}]", "Key", "Label", "Option", "Equals",
                                          "Values", run->options->label));
    if (r == 0 && token)
        r = json_object_set_new(request, "NextToken", json_stringn(token->data, token->len));
    if (r < 0) {
        json_decref(request);
        return es_nomem(err);
    }
    return es_answer_request(request, ret, err);
}

static int ask(struct es_ssm_run *run, const struct es_buf *token, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf body = {0}, resource = {0};
    int r = make_body(run, token, &body, err);

    if (r < 0)
        return r;
    if (es_ssm_resource(run, run->path.data, run->path.len, &resource) < 0)
        return es_nomem(err);
    return es_aws_send(run->aws,
                       &(struct es_aws_call){
                           .operation = "GetParametersByPath",
                           .method = "POST",
                           .path = "/",
                           .body = body.data,
                           .body_len = body.len,
                           .max_body = ES_SSM_MAX_BODY,
                           .first = true,
                           .allow = "ssm:GetParametersByPath",
                           .allow_resource = resource.data,
                           .on_done = on_done,
                           .data = run,
                       },
                       err);
}

int es_ssm_by_path(struct es_ssm_run *run, struct es_err *err)
{
    const char *path = run->options->path;
    size_t len = strlen(path);
    int r = es_ssm_path_check(path, err);

    if (r < 0) {
        es_context(err, "path");
        return r;
    }
    /* Policies name it without the final slash. */
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (es_buf_set(&run->path, path, len) < 0)
        return es_nomem(err);
    return ask(run, NULL, err);
}
