/* See answer.h. Answers are hostile and hold secrets: no message quotes them, and their memory is
 * cleansed with the tree. */
#include "answer.h"

#include "envsync/provider.h"
#include "providers/aws/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 1000 }; /* of one page: AWS gives 20 */

void es_secret_done(struct es_secret *secret)
{
    es_buf_done(&secret->arn);
    es_buf_done(&secret->name);
    es_buf_done(&secret->version);
    es_buf_done(&secret->value);
}

void es_secret_page_done(struct es_secret_page *page)
{
    for (size_t i = 0; i < page->n; i++)
        es_secret_done(&page->secrets[i]);
    free(page->secrets);
    es_buf_done(&page->token);
    *page = (struct es_secret_page){0};
}

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Strict: whole groups of four, '=' only at the end, unused bits zero. -EINVAL. */
static int decode(const char *text, size_t len, struct es_buf *ret)
{
    size_t pad = 0;

    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    if (len % 4 != 0 || es_buf_reserve(ret, len / 4 * 3) < 0)
        return len % 4 ? -EINVAL : -ENOMEM;
    for (size_t at = 0; at < len; at += 4) {
        size_t n = at + 4 == len ? 4 - pad : 4;
        unsigned bits = 0;

        for (size_t i = 0; i < 4; i++) {
            int d = i < n ? digit(text[at + i]) : 0;

            if (d < 0)
                return -EINVAL;
            bits = bits << 6 | (unsigned)d;
        }
        if (bits & ((1u << 8 * (4 - n)) - 1))
            return -EINVAL;
        for (size_t i = 0; i + 1 < n; i++)
            es_buf_putc(ret, (char)(bits >> (16 - 8 * i) & 0xff));
    }
    return 0;
}

static int read_value(const json_t *object, struct es_secret *secret, struct es_err *err)
{
    struct es_answer_text string = {0}, binary = {0};
    int r = es_answer_text(object, "SecretString", &string, err);

    if (r == 0)
        r = es_answer_text(object, "SecretBinary", &binary, err);
    if (r < 0)
        return r;
    if (!string.data == !binary.data)
        return es_answer_refuse(err, "a secret has not just one of SecretString and SecretBinary");
    secret->binary = binary.data != NULL;
    r = string.data ? es_buf_append(&secret->value, string.data, string.len)
                    : decode(binary.data, binary.len, &secret->value);
    if (r == -EINVAL)
        return es_answer_refuse(err, "a SecretBinary is not base64");
    return r < 0 ? es_nomem(err) : 0;
}

static int set_name(const json_t *object, const char *member, struct es_buf *ret,
                    struct es_err *err)
{
    const char *text = NULL;
    int r = es_answer_name(object, member, &text, err);

    if (r < 0)
        return r;
    return es_buf_puts(ret, text ? text : "") < 0 ? es_nomem(err) : 0;
}

static int read_secret(const json_t *object, struct es_secret *secret, struct es_err *err)
{
    int r = json_is_object(object) ? 0 : es_answer_refuse(err, "a secret is no object");

    if (r == 0)
        r = set_name(object, "ARN", &secret->arn, err);
    if (r == 0)
        r = set_name(object, "Name", &secret->name, err);
    if (r == 0)
        r = set_name(object, "VersionId", &secret->version, err);
    return r == 0 ? read_value(object, secret, err) : r;
}

int es_secret_read(const char *text, size_t len, struct es_secret *ret, struct es_err *err)
{
    ES_CLEANUP(es_secret_done) struct es_secret secret = {0};
    ES_CLEANUP(es_answer_drop) json_t *root = NULL;
    int r = es_answer_load(text, len, &root, err);

    if (r == 0)
        r = read_secret(root, &secret, err);
    if (r < 0)
        return r;
    *ret = secret;
    secret = (struct es_secret){0};
    return 0;
}

static int read_page(const json_t *root, struct es_secret_page *page, struct es_err *err)
{
    const json_t *list = NULL;
    int r = es_answer_list(root, "SecretValues", &list, err);

    if (r == 0)
        r = es_answer_token(root, &page->token, err);
    if (r < 0)
        return r;
    if (!list && !json_object_get(root, "Errors") && page->token.len == 0)
        return es_answer_refuse(err, "it has no secrets");
    if (json_array_size(list) > MAX_ITEMS)
        return es_answer_refuse(err, "a page has too many secrets");
    page->secrets = calloc(json_array_size(list) + 1, sizeof *page->secrets);
    if (!page->secrets)
        return es_nomem(err);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
        r = read_secret(json_array_get(list, i), &page->secrets[page->n++], err);
    return r;
}

int es_secret_page_read(const char *text, size_t len, struct es_secret_page *ret,
                        struct es_err *err)
{
    ES_CLEANUP(es_secret_page_done) struct es_secret_page page = {0};
    ES_CLEANUP(es_answer_drop) json_t *root = NULL;
    int r = es_answer_load(text, len, &root, err);

    if (r == 0)
        r = read_page(root, &page, err);
    if (r < 0)
        return r;
    *ret = page;
    page = (struct es_secret_page){0};
    return 0;
}

bool es_secret_is(const struct es_secret *secret, const char *id)
{
    enum { RANDOM_END = 7 }; /* "-AbCdEf", which AWS puts behind the name in an ARN */
    size_t len = strlen(id);

    if (es_buf_is(&secret->name, id) || es_buf_is(&secret->arn, id))
        return true;
    return strncmp(id, "arn:", 4) == 0 && secret->arn.len == len + RANDOM_END &&
           memcmp(secret->arn.data, id, len) == 0 && secret->arn.data[len] == '-';
}
