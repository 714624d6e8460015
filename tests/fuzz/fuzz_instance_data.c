/* Whatever is called instance data: no template may make the provider crash, read past an end, or
 * put a value into a message. */
#include "../../providers/cloud-init/facts.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No system calls here, and the same answer on every machine. */
bool es_local_address(int family, struct es_address *ret)
{
    (void)family;
    (void)ret;
    return false;
}

static const char *const names[] = {
    "primary_ipv4",
    "primary_ipv6",
    "public_ipv4",
    "region:-",
    "zone",
    "instance_id",
    "hostname",
    "cloud",
    "tags.Environment",
    "tags.a.b:c",
    "ds.meta_data.local_ipv4",
    "ds.meta-data.\"local-ipv4\"[0]:-none",
    "ds.a-b_c[1][0].k",
    "v1.region",
    "region.x",
    "userdata",
    "a",
    "a.a[0]",
};

/* Secrets of the input start so: none may come back in a message. */
static const char canary[] = "CANARY";

static void check_message(const struct es_err *err)
{
    if (memchr(err->msg, '\0', sizeof err->msg) == NULL || strstr(err->msg, canary)) {
        fprintf(stderr, "message: %s\n", err->msg);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ES_CLEANUP(es_facts_freep) struct es_facts *facts = NULL;
    struct es_err err = {0};

    if (es_facts_load((const char *)data, size, "data.json", &facts, &err) < 0) {
        check_message(&err);
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ES_CLEANUP(es_buf_done) struct es_buf out = {0};

        err = (struct es_err){0};
        if (es_facts_get(facts, names[i], &out, &err) < 0) {
            check_message(&err);
            if (out.len != 0)
                abort();
        }
    }
    return 0;
}
