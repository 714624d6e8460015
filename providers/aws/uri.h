/* Between uri.c and sign.c: the canonical form of a path that is already as on the wire. */
#ifndef ENVSYNC_AWS_URI_H
#define ENVSYNC_AWS_URI_H

#include "envsync/buf.h"

/* Appends it, as the es_aws_sign_flags ask. 0 or -ENOMEM. */
int es_aws_canonical_path(struct es_buf *out, const char *wire, size_t len, unsigned flags);

#endif
