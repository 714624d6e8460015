/* See parse.h. The texts are a source's; what is no JSON, or too large for a frame once it is
 * parsed, is answered with a refusal and no reason, which could only quote it. */
#include "parse.h"

#include "envsync/format.h"
#include "envsync/limits.h"

#include <errno.h>

static int put_answer(struct es_buf *payload, uint32_t number, const struct es_value *value)
{
    int r;

    es_buf_clear(payload);
    r = es_put_u32(payload, number);
    if (r == 0)
        r = es_put_u8(payload, value == NULL);
    return r < 0 || !value ? r : es_put_value(payload, value);
}

static int parse(uint32_t number, const struct es_buf *text, struct es_pipe *pipe,
                 struct es_err *err)
{
    ES_CLEANUP(es_value_done) struct es_value value = {0};
    ES_CLEANUP(es_buf_done) struct es_buf payload = {0};
    struct es_err ignored;
    int r = es_json_parse(es_buf_str(text), text->len, &value, &ignored);

    if (r == -ENOMEM)
        return es_nomem(err);
    r = put_answer(&payload, number, r == 0 ? &value : NULL);
    if (r == 0 && payload.len + 1 > ES_MAX_FRAME)
        r = put_answer(&payload, number, NULL);
    return r < 0 ? es_nomem(err) : es_pipe_text(pipe, &payload, err);
}

int es_parse_texts(const struct es_value *texts, struct es_pipe *pipe, struct es_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < texts->list.n; i++)
        r = parse((uint32_t)i, &texts->list.items[i].text, pipe, err);
    return r < 0 ? r : es_pipe_end(pipe, err);
}
