/* Facts about this machine that mean the same on every cloud, out of cloud-init's instance data.
 *
 * For every provider that wants them (worker only): load once, get by name, free.
 *
 *   primary_ipv4 primary_ipv6 public_ipv4 region zone instance_id hostname cloud tags.NAME
 *
 * A name may also be a path into the data and may carry a default ("region:-eu-west-1"); see
 * template.h. Results are what the metadata says, nothing more: who puts one into a host name or a
 * path checks it first.
 */
#ifndef ENVSYNC_FACTS_H
#define ENVSYNC_FACTS_H

#include "template.h"

struct es_facts;

/* Reads instance data: from text, or from a descriptor up to ES_MAX_INSTANCE_DATA. path is for
 * messages. ES_INVALID where it is no instance data. */
int es_facts_load(const char *text, size_t len, const char *path, struct es_facts **ret,
                  struct es_err *err);
int es_facts_read(int fd, const char *path, struct es_facts **ret, struct es_err *err);
void es_facts_free(struct es_facts *facts); /* NULL is fine */
void es_facts_freep(struct es_facts **facts);

/* Appends a fact's text to out. -ENOENT and ES_INVALID where the cloud does not say it and there
 * is no default; -EACCES and ES_DENIED where it is redacted, which no default hides; ES_CONFIG
 * where the name is none. out is untouched on failure. */
int es_facts_get(const struct es_facts *facts, const char *name, struct es_buf *out,
                 struct es_err *err);

/* The same for what was parsed before. */
int es_facts_resolve(const struct es_facts *facts, const struct es_ref *ref, struct es_buf *out,
                     struct es_err *err);
int es_facts_expand(const struct es_facts *facts, const struct es_template *template,
                    struct es_buf *out, struct es_err *err);

/* The address of the interface that holds the default route (local.c), as text; false where there
 * is none of that family. Sends nothing. */
struct es_address {
    char text[46];
};
bool es_local_address(int family, struct es_address *ret);

#endif
