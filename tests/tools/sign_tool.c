/* A check program: signs the requests it reads as JSON lines and prints, per line, what went into
 * the signature. For comparing the signer with another one; with a count as its argument it signs
 * the first request that often instead and prints nothing, for measuring.
 *
 *   {"s3": true, "region": "...", "service": "...", "now": 0, "id": "...", "secret": "...",
 *    "token": "...", "method": "GET", "host": "...", "path": "/raw", "query": [["n", "v"]],
 *    "headers": [["n", "v"]], "body": "..."}
 */
#include "../../providers/aws/sign.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static size_t pairs_of(const json_t *list, struct es_aws_pair *pairs)
{
    size_t n = json_array_size(list);

    if (n > ES_AWS_MAX_QUERY)
        n = ES_AWS_MAX_QUERY;
    for (size_t i = 0; i < n; i++) {
        pairs[i].name = json_string_value(json_array_get(json_array_get(list, i), 0));
        pairs[i].value = json_string_value(json_array_get(json_array_get(list, i), 1));
    }
    return n;
}

static int set_keys(struct es_aws_keys *keys, const json_t *line)
{
    const char *id = text_of(line, "id"), *secret = text_of(line, "secret");
    const char *token = text_of(line, "token");

    return es_buf_set(&keys->id, id, strlen(id)) ||
           es_buf_set(&keys->secret, secret, strlen(secret)) ||
           es_buf_set(&keys->token, token, strlen(token));
}

static void print_result(const struct es_aws_signer *signer, const struct es_aws_signed *out)
{
    json_t *result = json_pack("{ss, ss, ss}", "target", es_buf_str(&out->target), "canonical",
                               es_buf_str(es_aws_signer_canonical(signer)), "authorization",
                               es_buf_str(&out->headers[ES_AWS_HEADER_AUTHORIZATION]));

    if (!result || json_dumpf(result, stdout, JSON_COMPACT) < 0)
        exit(70);
    putchar('\n');
    json_decref(result);
}

static void sign_line(struct es_aws_signer *signer, const json_t *line, long times)
{
    struct es_aws_keys keys = {0};
    struct es_aws_signed out = {0};
    struct es_aws_pair query[ES_AWS_MAX_QUERY], headers[ES_AWS_MAX_QUERY];
    struct es_aws_scope scope = {&keys, text_of(line, "region"), text_of(line, "service"),
                                 json_is_true(json_object_get(line, "s3")) ? ES_AWS_SIGN_S3
                                                                           : ES_AWS_SIGN_OTHER,
                                 json_integer_value(json_object_get(line, "now"))};
    struct es_aws_request request = {text_of(line, "method"),
                                     text_of(line, "host"),
                                     text_of(line, "path"),
                                     query,
                                     pairs_of(json_object_get(line, "query"), query),
                                     headers,
                                     pairs_of(json_object_get(line, "headers"), headers),
                                     NULL};
    const char *body = text_of(line, "body");
    char hash[ES_AWS_HASH_HEX + 1];
    struct es_err err;
    int r = set_keys(&keys, line) ? -1 : 0;

    if (r == 0)
        r = es_aws_signer_hash(signer, body, strlen(body), hash, &err);
    request.payload_hash = hash;
    for (long i = 0; r == 0 && i < (times ? times : 1); i++)
        r = es_aws_sign(signer, &scope, &request, &out, &err);
    if (r < 0) {
        fprintf(stderr, "sign_tool: %s\n", err.msg);
        exit(65);
    }
    if (!times)
        print_result(signer, &out);
    es_aws_signed_done(&out);
    es_aws_keys_done(&keys);
}

int main(int argc, char **argv)
{
    long times = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    struct es_aws_signer *signer;
    struct es_err err;
    char *text = NULL;
    size_t size = 0;

    if (es_aws_signer_new(&signer, &err) < 0)
        return 70;
    while (getline(&text, &size, stdin) > 0) {
        json_t *line = json_loads(text, 0, NULL);

        if (!line)
            return 64;
        sign_line(signer, line, times);
        json_decref(line);
        if (times)
            break;
    }
    free(text);
    es_aws_signer_free(signer);
    return 0;
}
