/* Whatever comes as an answer of SSM: it is read or refused, what was read keeps its promises, and
 * no message has a value in it. */
#include "../../providers/ssm/answer.h"
#include "../../providers/ssm/name.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Values of the corpus start so: none may come back in a message. */
static const char canary[] = "CANARY";

static void check_parameter(const struct es_ssm_parameter *parameter)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};

    if (parameter->name.len == 0 || strlen(parameter->name.data) != parameter->name.len)
        abort();
    es_ssm_key(parameter->name.data, parameter->name.len, "/foo", &key);
    es_ssm_key(parameter->name.data, parameter->name.len, "/", &key);
    es_ssm_key(parameter->name.data, parameter->name.len, NULL, &key);
}

static void check_name(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct es_ssm_name name;
    struct es_err err;

    if (!text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (es_ssm_name_parse(text, &name, &err) == 0 &&
        (name.len == 0 || name.selector != name.base + name.len))
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_ssm_answer_done) struct es_ssm_answer answer = {0};
    struct es_err err = {0};

    check_name(data, size);
    if (es_ssm_answer_read((const char *)data, size, &answer, &err) < 0) {
        if (err.class != ES_INVALID || strstr(err.msg, canary) || answer.parameters)
            abort();
        return 0;
    }
    for (size_t i = 0; i < answer.n; i++)
        check_parameter(&answer.parameters[i]);
    return 0;
}
