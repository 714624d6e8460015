/* Answers of GetParametersByPath, GetParameters and GetParameter, read. */
#ifndef ENVSYNC_SSM_ANSWER_H
#define ENVSYNC_SSM_ANSWER_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <stdint.h>

struct es_ssm_parameter {
    struct es_buf name;     /* holds no NUL or control character; not empty */
    struct es_buf selector; /* ":3", or empty where not told */
    struct es_buf value;
    int64_t version; /* -1 where not told */
};

struct es_ssm_answer {
    struct es_ssm_parameter *parameters;
    size_t n;
    struct es_buf *invalid; /* names that do not exist, as they were asked for */
    size_t n_invalid;
    struct es_buf token; /* of the next page; empty: this was the last */
};

/* Reads either shape, a list of parameters or the one of GetParameter. ret must be empty and is
 * untouched on failure. ES_INVALID: the answer is not AWS's. */
int es_ssm_answer_read(const char *text, size_t len, struct es_ssm_answer *ret, struct es_err *err);
void es_ssm_answer_done(struct es_ssm_answer *answer);

void es_ssm_parameter_done(struct es_ssm_parameter *parameter);

#endif
