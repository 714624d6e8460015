/* Which link of the chain gives the credentials: decided by options, environment and profiles
 * alone. Nothing here asks the network, so `check --credentials` can show it offline.
 *
 *   profile of the option -> environment -> profile -> web identity of the environment ->
 *   container -> metadata service of the instance; then the option role_arn on top of it.
 *
 * First hit wins. What is configured and broken is an error that names it, never passed over. */
#ifndef ENVSYNC_AWS_CHAIN_H
#define ENVSYNC_AWS_CHAIN_H

#include "settings.h"
#include "sign.h"

enum es_aws_link_kind {
    ES_AWS_LINK_STATIC,
    ES_AWS_LINK_PROCESS,
    ES_AWS_LINK_WEB_IDENTITY,
    ES_AWS_LINK_CONTAINER,
    ES_AWS_LINK_IMDS,
    ES_AWS_LINK_ROLE, /* what `base` gives assumes role_arn */
};

/* Texts are owned; NULL where they do not apply. */
struct es_aws_link {
    enum es_aws_link_kind kind;
    char *what; /* "profile \"app\": credential_process": for messages */
    struct es_aws_keys keys;
    char *command;
    char *role_arn, *session, *external_id;
    char *token_path; /* web identity: named by a profile; NULL: the handed over file */
    char *url;        /* container */
    int duration;     /* seconds, 0: STS's own */
    struct es_aws_link *base;
};

/* ES_CONFIG for a broken link, ES_DENIED where there is none at all. */
int es_aws_chain_find(const struct es_aws_settings *settings, struct es_aws_link **ret,
                      struct es_err *err);
void es_aws_link_free(struct es_aws_link *link); /* NULL is fine */
void es_aws_link_freep(struct es_aws_link **link);

/* Appends a line for people: what gives the credentials, never they themselves. */
int es_aws_chain_tell(const struct es_aws_link *link, struct es_buf *out);

/* The metadata service's origin, without a final '/'; NULL where it is switched off. ES_CONFIG for
 * what is no such thing. */
int es_aws_imds_origin(const struct es_aws_settings *settings, const char **ret,
                       struct es_err *err);

#endif
