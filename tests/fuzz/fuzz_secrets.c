/* Whatever comes as an answer of Secrets Manager, and whatever a secret may hold: it is read or
 * refused, and what is said of an answer that is refused has nothing of it. */
#include "../../providers/secrets-manager/answer.h"
#include "envsync/provider.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Much of the corpus is this. Names may be shown once an answer is accepted. */
static const char canary[] = "CANARY";

int es_sink_put(struct es_sink *sink, const struct es_record *record, struct es_err *err)
{
    (void)sink;
    return es_record_check(record, err);
}

int es_sink_count(struct es_sink *sink, size_t len, struct es_err *err)
{
    (void)sink;
    (void)len;
    (void)err;
    return 0;
}

static void check(int r, const struct es_err *err)
{
    if (r < 0 && err->class != ES_INVALID)
        abort();
}

static void check_refusal(int r, const struct es_err *err)
{
    check(r, err);
    if (r < 0 && strstr(err->msg, canary)) {
        fprintf(stderr, "message: %s\n", err->msg);
        abort();
    }
}

static void check_secret(const struct es_secret *secret)
{
    struct es_err err = {0};

    es_secret_is(secret, "foo");
    es_secret_is(secret, "arn:aws:secretsmanager:eu-west-1:1:secret:foo");
    check(es_secret_put(secret, "foo", NULL, 0, NULL, &err), &err);
    check(es_secret_put(secret, "foo", "k", 0, NULL, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_secret_done) struct es_secret secret = {0};
    ES_CLEANUP(es_secret_page_done) struct es_secret_page page = {0};
    struct es_err err = {0};
    int r = es_secret_read((const char *)data, size, &secret, &err);

    check_refusal(r, &err);
    if (r == 0)
        check_secret(&secret);
    r = es_secret_page_read((const char *)data, size, &page, &err);
    check_refusal(r, &err);
    for (size_t i = 0; r == 0 && i < page.n; i++)
        check_secret(&page.secrets[i]);
    return 0;
}
