/* Templates: text with ${...} in it, parsed before anything is known of the data.
 *
 *   ${region}                     a fact: one of a fixed list, the same on every cloud
 *   ${tags.NAME}                  a tag; NAME is the rest, may hold dots and colons, may be quoted
 *   ${ds.meta_data.a[0]."b.c"}    a path into the data, a dot may lead (".region" is a path)
 *   ${...:-text}                  a default: literal text up to the closing brace, may be empty
 *   $${                           a literal ${
 *
 * Pure, and linked into both programs: parsing is what `check` does, filling in is facts.h.
 */
#ifndef ENVSYNC_TEMPLATE_H
#define ENVSYNC_TEMPLATE_H

#include "envsync/buf.h"
#include "envsync/err.h"

enum es_fact {
    ES_FACT_PRIMARY_IPV4,
    ES_FACT_PRIMARY_IPV6,
    ES_FACT_PUBLIC_IPV4,
    ES_FACT_REGION,
    ES_FACT_ZONE,
    ES_FACT_INSTANCE_ID,
    ES_FACT_HOSTNAME,
    ES_FACT_CLOUD,
    ES_FACTS
};

extern const char *const es_fact_names[ES_FACTS];

enum es_ref_kind {
    ES_REF_PATH = 0,
    ES_REF_FACT,
    ES_REF_TAG,
};

/* A step of a path: into a table by name, or into a list by number. */
struct es_step {
    struct es_buf name; /* data == NULL: by number */
    size_t index;
};

/* What stands between ${ and }. */
struct es_ref {
    enum es_ref_kind kind;
    enum es_fact fact;
    struct es_buf text; /* as it was written, without the default: for messages */
    struct es_buf tag;
    struct es_step *steps;
    size_t n_steps;
    bool has_default;
    struct es_buf def;
};

/* Literal text, and what follows it. */
struct es_part {
    struct es_buf literal;
    bool has_ref;
    struct es_ref ref;
};

struct es_template {
    struct es_part *parts;
    size_t n;
};

/* Errors are ES_CONFIG, without position; ret is untouched on failure. */
int es_template_parse(const char *text, struct es_template *ret, struct es_err *err);
void es_template_done(struct es_template *template);

/* The inside of one ${...} alone, as in "tags.Environment". */
int es_ref_parse(const char *text, struct es_ref *ret, struct es_err *err);
void es_ref_done(struct es_ref *ref);

#endif
