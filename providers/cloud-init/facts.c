/* See facts.h. What a fact is on each cloud says clouds.c; here is what all of them share: the
 * shape of a fact, the fallback to a local interface, defaults, templates. The data is half trusted
 * (see data.c): an address must look like one, everything else is text. */
#include "facts.h"

#include "clouds.h"
#include "envsync/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct es_facts {
    struct es_data data;
    const struct es_cloud *cloud;
};

typedef int ask_fn(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                   struct es_err *err);

/* A tag may be empty and still be there; its name is taken exactly. */
static int ask_tag(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                   struct es_err *err)
{
    const struct es_cloud *cloud = facts->cloud;
    int r = 0;

    for (size_t i = 0; cloud->tags && cloud->tags[i]; i++) {
        struct es_spot spot;

        r = es_cloud_walk(&facts->data, cloud->tags[i], &spot, err);
        if (r > 0 && es_spot_enter(&spot, es_buf_str(&ref->tag), true, &spot)) {
            r = es_data_text(&facts->data, &spot, es_buf_str(&ref->text), out, err);
            return r < 0 ? r : 1;
        }
        if (r < 0)
            return r;
    }
    return cloud->ask_tag ? cloud->ask_tag(&facts->data, ref, out, err) : 0;
}

/* v1.cloud_name, or the platform where cloud-init has no name for the cloud. */
static int ask_cloud(const struct es_facts *facts, struct es_buf *out, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};
    int r = es_cloud_take(&facts->data, PATHS("v1.cloud-name"), "cloud", &name, err);

    if (r < 0)
        return r;
    if (r == 0 || es_buf_is(&name, "unknown"))
        return es_cloud_take(&facts->data, PATHS("v1.platform"), "cloud", out, err);
    return es_buf_append(out, name.data, name.len) < 0 ? es_nomem(err) : 1;
}

static int check_address(const struct es_facts *facts, enum es_fact fact, const struct es_buf *text,
                         struct es_err *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool v6 = fact == ES_FACT_PRIMARY_IPV6;

    if (strlen(es_buf_str(text)) == text->len &&
        inet_pton(v6 ? AF_INET6 : AF_INET, es_buf_str(text), address) == 1)
        return 1;
    return es_fail(err, ES_INVALID, EINVAL, "%s is no IPv%d address in %s", es_fact_names[fact],
                   v6 ? 6 : 4, facts->data.path);
}

static int ask_address(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                       struct es_err *err)
{
    const char *what = es_fact_names[ref->fact];
    struct es_address local;
    int r = es_cloud_take(&facts->data, facts->cloud->paths[ref->fact], what, out, err);

    if (r == 0 && facts->cloud->ask)
        r = facts->cloud->ask(&facts->data, ref, out, err);
    if (r != 0)
        return r < 0 ? r : check_address(facts, ref->fact, out, err);
    if (ref->fact == ES_FACT_PUBLIC_IPV4 ||
        !es_local_address(ref->fact == ES_FACT_PRIMARY_IPV6 ? AF_INET6 : AF_INET, &local))
        return 0;
    return es_buf_puts(out, local.text) < 0 ? es_nomem(err) : 1;
}

/* Only what stands behind the last `c`, or before the first. */
static int cut(struct es_buf *text, char c, bool behind)
{
    const char *at = behind ? strrchr(es_buf_str(text), c) : strchr(es_buf_str(text), c);
    const char *from = behind && at ? at + 1 : es_buf_str(text);
    size_t len = !at ? text->len : behind ? strlen(from) : (size_t)(at - from);
    ES_CLEANUP(es_buf_done) struct es_buf part = {0};
    int r = es_buf_append(&part, from, len);

    if (r == 0)
        es_buf_move(text, &part);
    return r;
}

static int ask_fact(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                    struct es_err *err)
{
    const char *const *paths = facts->cloud->paths[ref->fact];
    int r;

    switch (ref->fact) {
    case ES_FACT_PRIMARY_IPV4:
    case ES_FACT_PRIMARY_IPV6:
    case ES_FACT_PUBLIC_IPV4:
        return ask_address(facts, ref, out, err);
    case ES_FACT_CLOUD:
        return ask_cloud(facts, out, err);
    default:
        break;
    }
    r = es_cloud_take(&facts->data, paths, es_fact_names[ref->fact], out, err);
    if (r > 0 && ref->fact == ES_FACT_HOSTNAME && cut(out, '.', false) < 0)
        return es_nomem(err);
    if (r > 0 && facts->cloud->urls && cut(out, '/', true) < 0)
        return es_nomem(err);
    return r > 0 ? out->len > 0 : r;
}

static int ask_path(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                    struct es_err *err)
{
    struct es_spot spot;
    int r;

    if (!es_data_walk(&facts->data, ref->steps, ref->n_steps, &spot))
        return 0;
    r = es_data_text(&facts->data, &spot, es_buf_str(&ref->text), out, err);
    return r < 0 ? r : 1;
}

int es_facts_resolve(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                     struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    ask_fn *ask = ref->kind == ES_REF_FACT  ? ask_fact
                  : ref->kind == ES_REF_TAG ? ask_tag
                                            : ask_path;
    int r = ask(facts, ref, &text, err);
    const struct es_buf *found = r > 0 ? &text : &ref->def;

    if (r < 0)
        return r;
    if (r == 0 && !ref->has_default)
        return es_fail(err, ES_INVALID, ENOENT, "%s is not in %s; give a default with :-",
                       es_buf_str(&ref->text), facts->data.path);
    return es_buf_append(out, found->data, found->len) < 0 ? es_nomem(err) : 0;
}

int es_facts_get(const struct es_facts *facts, const char *name, struct es_buf *out,
                 struct es_err *err)
{
    ES_CLEANUP(es_ref_done) struct es_ref ref = {0};
    int r = es_ref_parse(name, &ref, err);

    return r < 0 ? r : es_facts_resolve(facts, &ref, out, err);
}

int es_facts_expand(const struct es_facts *facts, const struct es_template *template,
                    struct es_buf *out, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};

    for (size_t i = 0; i < template->n; i++) {
        const struct es_part *part = &template->parts[i];
        int r = es_buf_append(&text, part->literal.data, part->literal.len);

        if (r < 0)
            return es_nomem(err);
        if (part->has_ref)
            r = es_facts_resolve(facts, &part->ref, &text, err);
        if (r < 0)
            return r;
    }
    return es_buf_append(out, text.data, text.len) < 0 ? es_nomem(err) : 0;
}

void es_facts_free(struct es_facts *facts)
{
    if (facts)
        es_data_done(&facts->data);
    free(facts);
}

void es_facts_freep(struct es_facts **facts)
{
    es_facts_free(*facts);
}

/* By its name, or else by what it is built on. */
static int choose_cloud(struct es_facts *facts, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0}, platform = {0};
    int r = ask_cloud(facts, &name, err);

    if (r >= 0)
        r = es_cloud_take(&facts->data, PATHS("v1.platform"), "v1.platform", &platform, err);
    if (r < 0)
        return r;
    facts->cloud = es_cloud_find(es_buf_str(&name), es_buf_str(&platform));
    return 0;
}

int es_facts_load(const char *text, size_t len, const char *path, struct es_facts **ret,
                  struct es_err *err)
{
    ES_CLEANUP(es_facts_freep) struct es_facts *facts = calloc(1, sizeof *facts);
    int r;

    if (!facts)
        return es_nomem(err);
    r = es_data_parse(text, len, path, &facts->data, err);
    if (r == 0)
        r = choose_cloud(facts, err);
    if (r < 0)
        return r;
    *ret = facts;
    facts = NULL;
    return 0;
}

int es_facts_read(int fd, const char *path, struct es_facts **ret, struct es_err *err)
{
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    int r = es_buf_read_fd(&text, fd, ES_MAX_INSTANCE_DATA);

    if (r == -ENOMEM)
        return es_nomem(err);
    if (r == -EFBIG)
        return es_fail(err, ES_INVALID, EFBIG, "%s is larger than %d MiB", path,
                       ES_MAX_INSTANCE_DATA >> 20);
    if (r < 0)
        return es_fail_errno(err, r == -EACCES || r == -EPERM ? ES_DENIED : ES_UNAVAILABLE, -r,
                             "%s cannot be read", path);
    return es_facts_load(es_buf_str(&text), text.len, path, ret, err);
}
