/* See checksum.h. Data and headers come from the network. The CRCs run eight bytes at a time over
 * tables that are made at the first use; crc32c uses the processor where it can. */
#include "checksum.h"

#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    const char *digest;  /* OpenSSL's name, or NULL: a CRC */
    uint64_t polynomial; /* reflected */
    size_t bytes;
} kinds[] = {
    [ES_CHECKSUM_NONE] = {"none", NULL, 0, 0},
    [ES_CHECKSUM_SHA1] = {"sha1", "SHA1", 0, 20},
    [ES_CHECKSUM_CRC32] = {"crc32", NULL, 0xedb88320, 4},
    [ES_CHECKSUM_CRC32C] = {"crc32c", NULL, 0x82f63b78, 4},
    [ES_CHECKSUM_CRC64NVME] = {"crc64nvme", NULL, UINT64_C(0x9a6c9329ac4bc9b5), 8},
    [ES_CHECKSUM_SHA256] = {"sha256", "SHA2-256", 0, 32},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const char *es_checksum_name(enum es_checksum_kind kind)
{
    return kinds[kind].name;
}

/* tables[kind][n][byte]: the CRC of a byte with n zero bytes behind it. Constant once made. */
static uint64_t tables[3][8][256];
static CRYPTO_ONCE tables_once = CRYPTO_ONCE_STATIC_INIT;

static void make_tables(void)
{
    for (int t = 0; t < 3; t++) {
        uint64_t polynomial = kinds[ES_CHECKSUM_CRC32 + t].polynomial;

        for (int i = 0; i < 256; i++) {
            uint64_t crc = (uint64_t)i;

            for (int bit = 0; bit < 8; bit++)
                crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
            tables[t][0][i] = crc;
        }
        for (int n = 1; n < 8; n++)
            for (int i = 0; i < 256; i++)
                tables[t][n][i] =
                    tables[t][n - 1][i] >> 8 ^ tables[t][0][tables[t][n - 1][i] & 0xff];
    }
}

static uint64_t crc_sliced(uint64_t (*const t)[256], uint64_t crc, const unsigned char *p,
                           size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
        word = le64toh(word) ^ crc;
        crc = t[7][word & 0xff] ^ t[6][word >> 8 & 0xff] ^ t[5][word >> 16 & 0xff] ^
              t[4][word >> 24 & 0xff] ^ t[3][word >> 32 & 0xff] ^ t[2][word >> 40 & 0xff] ^
              t[1][word >> 48 & 0xff] ^ t[0][word >> 56];
    }
    for (; len > 0; p++, len--)
        crc = crc >> 8 ^ t[0][(crc ^ *p) & 0xff];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint64_t
crc32c_hardware(uint64_t crc, const unsigned char *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; len > 0; p++, len--)
        crc = __builtin_ia32_crc32qi((uint32_t)crc, *p);
    return crc;
}

static bool has_crc32c(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint64_t crc32c_hardware(uint64_t crc, const unsigned char *p, size_t len)
{
    return crc_sliced(tables[ES_CHECKSUM_CRC32C - ES_CHECKSUM_CRC32], crc, p, len);
}

static bool has_crc32c(void)
{
    return false;
}
#endif

static uint64_t crc_mask(enum es_checksum_kind kind)
{
    return kinds[kind].bytes == 8 ? UINT64_MAX : UINT32_MAX;
}

static int fail_digest(struct es_err *err)
{
    return es_fail(err, ES_INTERNAL, ENOMEM, "OpenSSL cannot compute a checksum");
}

int es_checksum_init(struct es_checksum *sum, enum es_checksum_kind kind, struct es_err *err)
{
    es_checksum_done(sum);
    if (kinds[kind].digest) {
        EVP_MD *md = EVP_MD_fetch(NULL, kinds[kind].digest, NULL);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        int ok = md && ctx && EVP_DigestInit_ex2(ctx, md, NULL);

        EVP_MD_free(md); /* the context has its own reference */
        if (!ok) {
            EVP_MD_CTX_free(ctx);
            return fail_digest(err);
        }
        sum->md = ctx;
    } else {
        if (!CRYPTO_THREAD_run_once(&tables_once, make_tables))
            return fail_digest(err);
        sum->crc = crc_mask(kind);
    }
    sum->kind = kind;
    return 0;
}

int es_checksum_update(struct es_checksum *sum, const void *data, size_t len, struct es_err *err)
{
    if (sum->md)
        return EVP_DigestUpdate(sum->md, data, len) ? 0 : fail_digest(err);
    if (sum->kind == ES_CHECKSUM_CRC32C && has_crc32c())
        sum->crc = crc32c_hardware(sum->crc, data, len);
    else if (sum->kind != ES_CHECKSUM_NONE)
        sum->crc = crc_sliced(tables[sum->kind - ES_CHECKSUM_CRC32], sum->crc, data, len);
    return 0;
}

int es_checksum_final(struct es_checksum *sum, char text[ES_CHECKSUM_TEXT], struct es_err *err)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    size_t n = kinds[sum->kind].bytes;

    if (sum->md) {
        if (!EVP_DigestFinal_ex(sum->md, bytes, NULL))
            return fail_digest(err);
    } else {
        uint64_t crc = ~sum->crc;

        for (size_t i = n; i-- > 0; crc >>= 8)
            bytes[i] = (unsigned char)crc;
    }
    text[0] = '\0';
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
    es_checksum_done(sum);
    return 0;
}

void es_checksum_done(struct es_checksum *sum)
{
    EVP_MD_CTX_free(sum->md);
    *sum = (struct es_checksum){0};
}

void es_checksum_pick(struct es_checksum_want *want, const char *header, const char *value)
{
    static const char prefix[] = "x-amz-checksum-";
    size_t n = strlen(value);

    if (strncasecmp(header, prefix, sizeof prefix - 1) != 0 || strchr(value, '-'))
        return;
    for (int kind = KINDS - 1; kind > (int)want->kind; kind--) {
        if (strcasecmp(header + sizeof prefix - 1, kinds[kind].name) != 0)
            continue;
        want->kind = (enum es_checksum_kind)kind;
        if (n >= sizeof want->text)
            n = sizeof want->text - 1;
        memcpy(want->text, value, n);
        want->text[n] = '\0';
    }
}
