/* The credentials provider: what systemd hands a unit by LoadCredential= and its kin. */
#ifndef ENVSYNC_CREDENTIALS_H
#define ENVSYNC_CREDENTIALS_H

#include "envsync/provider.h"

struct es_credentials_options {
    struct es_strings names; /* names and globs; none: all */
    char *format;            /* NULL: by each name */
    bool keep_newline;
};

extern const struct es_provider es_provider_credentials;

es_fetch_fn es_fetch_credentials;

#endif
