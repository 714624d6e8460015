/* HMAC-SHA256 over digest contexts that are made once.
 *
 * A key is two SHA-256 contexts that have already taken the padded key; a MAC copies them and
 * goes on. That spares the two compressions and all of OpenSSL's fetching per MAC. OpenSSL
 * cleanses a context's state when it frees it.
 */
#ifndef ENVSYNC_AWS_HMAC_H
#define ENVSYNC_AWS_HMAC_H

#include <openssl/evp.h>
#include <stddef.h>

enum { ES_SHA256 = 32 };

/* The digest, fetched once, and a context to work in. All functions give 0 or -ENOMEM: the only
 * way that a fetched SHA-256 fails. */
struct es_sha256 {
    EVP_MD *md;
    EVP_MD_CTX *work;
};
int es_sha256_init(struct es_sha256 *sha);
void es_sha256_done(struct es_sha256 *sha);
int es_sha256(struct es_sha256 *sha, const void *data, size_t len, unsigned char out[ES_SHA256]);

/* Zero-initialise; es_hmac_key() may be called again to change the key. */
struct es_hmac {
    EVP_MD_CTX *inner, *outer;
};
int es_hmac_key(struct es_hmac *mac, struct es_sha256 *sha, const void *key, size_t len);
int es_hmac(const struct es_hmac *mac, struct es_sha256 *sha, const void *data, size_t len,
            unsigned char out[ES_SHA256]);
void es_hmac_done(struct es_hmac *mac);

#endif
