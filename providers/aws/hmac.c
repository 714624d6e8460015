/* See hmac.h. Keys are secrets; data is ours. */
#include "hmac.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

enum { BLOCK = 64 };

int es_sha256_init(struct es_sha256 *sha)
{
    sha->md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    sha->work = EVP_MD_CTX_new();
    return sha->md && sha->work && EVP_DigestInit_ex2(sha->work, sha->md, NULL) ? 0 : -ENOMEM;
}

void es_sha256_done(struct es_sha256 *sha)
{
    EVP_MD_CTX_free(sha->work);
    EVP_MD_free(sha->md);
    *sha = (struct es_sha256){0};
}

int es_sha256(struct es_sha256 *sha, const void *data, size_t len, unsigned char out[ES_SHA256])
{
    return EVP_DigestInit_ex2(sha->work, sha->md, NULL) && EVP_DigestUpdate(sha->work, data, len) &&
                   EVP_DigestFinal_ex(sha->work, out, NULL)
               ? 0
               : -ENOMEM;
}

/* A context that has taken the key, each byte xored with `pad`. */
static int load(EVP_MD_CTX **ctx, struct es_sha256 *sha, const unsigned char key[BLOCK],
                unsigned char pad)
{
    unsigned char block[BLOCK];
    int ok;

    if (!*ctx)
        *ctx = EVP_MD_CTX_new();
    if (!*ctx)
        return -ENOMEM;
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    ok = EVP_DigestInit_ex2(*ctx, sha->md, NULL) && EVP_DigestUpdate(*ctx, block, BLOCK);
    OPENSSL_cleanse(block, sizeof block);
    return ok ? 0 : -ENOMEM;
}

int es_hmac_key(struct es_hmac *mac, struct es_sha256 *sha, const void *key, size_t len)
{
    unsigned char block[BLOCK] = {0};
    int r = 0;

    if (len > BLOCK)
        r = es_sha256(sha, key, len, block);
    else if (len)
        memcpy(block, key, len);
    if (r == 0)
        r = load(&mac->inner, sha, block, 0x36);
    if (r == 0)
        r = load(&mac->outer, sha, block, 0x5c);
    OPENSSL_cleanse(block, sizeof block);
    return r;
}

int es_hmac(const struct es_hmac *mac, struct es_sha256 *sha, const void *data, size_t len,
            unsigned char out[ES_SHA256])
{
    unsigned char inner[ES_SHA256];
    EVP_MD_CTX *work = sha->work;
    int ok = EVP_MD_CTX_copy_ex(work, mac->inner) && EVP_DigestUpdate(work, data, len) &&
             EVP_DigestFinal_ex(work, inner, NULL) && EVP_MD_CTX_copy_ex(work, mac->outer) &&
             EVP_DigestUpdate(work, inner, sizeof inner) && EVP_DigestFinal_ex(work, out, NULL);

    OPENSSL_cleanse(inner, sizeof inner);
    return ok ? 0 : -ENOMEM;
}

void es_hmac_done(struct es_hmac *mac)
{
    EVP_MD_CTX_free(mac->inner);
    EVP_MD_CTX_free(mac->outer);
    *mac = (struct es_hmac){0};
}
