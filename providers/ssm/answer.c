/* See answer.h. Answers are hostile; their memory is cleansed with the tree. SourceResult, which
 * repeats a secret, is never looked at. */
#include "answer.h"

#include "providers/aws/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 1000 }; /* of one page: AWS gives 10 */

void es_ssm_parameter_done(struct es_ssm_parameter *parameter)
{
    es_buf_done(&parameter->name);
    es_buf_done(&parameter->selector);
    es_buf_done(&parameter->value);
}

void es_ssm_answer_done(struct es_ssm_answer *answer)
{
    for (size_t i = 0; i < answer->n; i++)
        es_ssm_parameter_done(&answer->parameters[i]);
    for (size_t i = 0; i < answer->n_invalid; i++)
        es_buf_done(&answer->invalid[i]);
    free(answer->parameters);
    free(answer->invalid);
    es_buf_done(&answer->token);
    *answer = (struct es_ssm_answer){0};
}

static int read_parameter(const json_t *object, struct es_ssm_parameter *ret, struct es_err *err)
{
    const char *name = NULL, *selector = NULL;
    struct es_answer_text value = {0};
    int r = json_is_object(object) ? 0 : es_answer_refuse(err, "a parameter is no object");

    if (r == 0)
        r = es_answer_name(object, "Name", &name, err);
    if (r == 0)
        r = es_answer_name(object, "Selector", &selector, err);
    if (r == 0)
        r = es_answer_text(object, "Value", &value, err);
    if (r == 0)
        r = es_answer_integer(object, "Version", &ret->version, err);
    if (r < 0)
        return r;
    if (!name || !*name || !value.data)
        return es_answer_refuse(err, "a parameter has no name or no value");
    if (es_buf_puts(&ret->name, name) < 0 ||
        es_buf_puts(&ret->selector, selector ? selector : "") ||
        es_buf_append(&ret->value, value.data, value.len) < 0)
        return es_nomem(err);
    return 0;
}

static int read_list(const json_t *list, struct es_ssm_answer *answer, struct es_err *err)
{
    int r = 0;

    if (json_array_size(list) > MAX_ITEMS)
        return es_answer_refuse(err, "a page has too many parameters");
    answer->parameters = calloc(json_array_size(list) + 1, sizeof *answer->parameters);
    if (!answer->parameters)
        return es_nomem(err);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
        r = read_parameter(json_array_get(list, i), &answer->parameters[answer->n++], err);
    return r;
}

static int read_one(const json_t *root, struct es_ssm_answer *answer, struct es_err *err)
{
    answer->parameters = calloc(1, sizeof *answer->parameters);
    if (!answer->parameters)
        return es_nomem(err);
    answer->n = 1;
    return read_parameter(json_object_get(root, "Parameter"), answer->parameters, err);
}

static int read_invalid(const json_t *list, struct es_ssm_answer *answer, struct es_err *err)
{
    if (json_array_size(list) > MAX_ITEMS)
        return es_answer_refuse(err, "it has too many invalid names");
    answer->invalid = calloc(json_array_size(list) + 1, sizeof *answer->invalid);
    if (!answer->invalid)
        return es_nomem(err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (!name)
            return es_answer_refuse(err, "an invalid name is no string");
        if (es_buf_puts(&answer->invalid[answer->n_invalid++], name) < 0)
            return es_nomem(err);
    }
    return 0;
}

static int read_members(const json_t *root, struct es_ssm_answer *answer, struct es_err *err)
{
    const json_t *parameters = NULL, *invalid = NULL;
    int r = es_answer_list(root, "Parameters", &parameters, err);

    if (r == 0)
        r = es_answer_list(root, "InvalidParameters", &invalid, err);
    if (r == 0)
        r = es_answer_token(root, &answer->token, err);
    if (r < 0)
        return r;
    if (parameters)
        r = read_list(parameters, answer, err);
    else if (json_object_get(root, "Parameter"))
        r = read_one(root, answer, err);
    else
        return es_answer_refuse(err, "it has no parameters");
    return r == 0 && invalid ? read_invalid(invalid, answer, err) : r;
}

int es_ssm_answer_read(const char *text, size_t len, struct es_ssm_answer *ret, struct es_err *err)
{
    ES_CLEANUP(es_ssm_answer_done) struct es_ssm_answer answer = {0};
    ES_CLEANUP(es_answer_drop) json_t *root = NULL;
    int r = es_answer_load(text, len, &root, err);

    if (r == 0)
        r = read_members(root, &answer, err);
    if (r < 0)
        return r;
    *ret = answer;
    answer = (struct es_ssm_answer){0};
    return 0;
}
