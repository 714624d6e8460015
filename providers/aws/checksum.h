/* The checksums that S3 sends with an object (x-amz-checksum-*), computed as the bytes pass.
 *
 * A checksum of the whole object is base64 of its big-endian bytes. "...-N" behind one marks a
 * checksum of checksums (multipart), which says nothing about the bytes here: passed over, as are
 * algorithms that are not known. One that is known but malformed is kept: it will not match, so a
 * damaged header cannot switch the check off.
 */
#ifndef ENVSYNC_AWS_CHECKSUM_H
#define ENVSYNC_AWS_CHECKSUM_H

#include "envsync/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum es_checksum_kind {
    ES_CHECKSUM_NONE = 0,
    ES_CHECKSUM_SHA1, /* from here on: a later one is preferred where an answer has several */
    ES_CHECKSUM_CRC32,
    ES_CHECKSUM_CRC32C,
    ES_CHECKSUM_CRC64NVME,
    ES_CHECKSUM_SHA256,
};

enum { ES_CHECKSUM_TEXT = 48 }; /* the longest, in base64, with its NUL */

/* Zero-initialise; es_checksum_done() ends it. The object must not move between init and done. */
struct es_checksum {
    enum es_checksum_kind kind;
    uint64_t crc;
    void *md; /* EVP_MD_CTX */
};

/* -ENOMEM (ES_INTERNAL) also where OpenSSL does not have the digest (SHA-1 may be switched off). */
int es_checksum_init(struct es_checksum *sum, enum es_checksum_kind kind, struct es_err *err);
int es_checksum_update(struct es_checksum *sum, const void *data, size_t len, struct es_err *err);
/* Base64 into text; the checksum is over then. */
int es_checksum_final(struct es_checksum *sum, char text[ES_CHECKSUM_TEXT], struct es_err *err);
void es_checksum_done(struct es_checksum *sum);

/* What an answer's headers promise. Zero-initialise, show it every header. */
struct es_checksum_want {
    enum es_checksum_kind kind;
    char text[ES_CHECKSUM_TEXT]; /* what es_checksum_final() must give */
};
void es_checksum_pick(struct es_checksum_want *want, const char *header, const char *value);

const char *es_checksum_name(enum es_checksum_kind kind); /* "crc32", ..., "none" */

#endif
