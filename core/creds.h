/* systemd-creds(1): seals bytes with the keys of this host, a TPM's or the one in
 * /var/lib/systemd/credential.secret, and opens them again.
 *
 * It runs as root, as a child with pipes: no byte of what is sealed is in an argument, the
 * environment or a file. It is looked for in fixed places only, gets an environment of constants,
 * and is killed at the deadline. What it prints of itself goes nowhere.
 */
#ifndef ENVSYNC_CORE_CREDS_H
#define ENVSYNC_CORE_CREDS_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <stdint.h>

enum es_creds_verb { ES_CREDS_ENCRYPT, ES_CREDS_DECRYPT };

/* What is sealed at once. systemd-creds takes 1 MiB, but 252 opens only what it made of some 873500
 * bytes or less; with a TPM the rest of a credential is larger. */
enum { ES_CREDS_CHUNK = 768 << 10 };

/* Where it is, as a constant, or NULL. ES_CONFIG where there is none, ES_DENIED where others than
 * root may change it. */
const char *es_creds_find(struct es_err *err);

/* Seals at most ES_CREDS_CHUNK bytes, or opens what was sealed under the very same name, which is
 * no secret: letters, digits, "-". Every failure is of class ES_OUTPUT but an interruption
 * (-EINTR), no memory, and what es_creds_find() says. */
int es_creds_run(enum es_creds_verb verb, const char *name, const void *data, size_t len,
                 int64_t deadline, struct es_buf *ret, struct es_err *err);

#endif
