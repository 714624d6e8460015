/* Which certificates are trusted: the caller's PEM, else the system's.
 *
 * One X509_STORE per choice serves every connection: a bundle is parsed once a run, and what a
 * hashed directory was asked for stays in memory. The directory is preferred because it reads the
 * one certificate that is needed; the bundle costs 22 ms of CPU. PEM texts are the configuration's;
 * a damaged one is an error, never a smaller set in silence. */
#include "engine.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const directories[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

int es_http_ready(struct es_err *err)
{
    return OSSL_LIB_CTX_get0_global_default() ? 0 : es_nomem(err);
}

void trust_free(struct es_http_ca *ca)
{
    if (!ca)
        return;
    X509_STORE_free(ca->store);
    es_buf_done(&ca->pem);
    free(ca);
}

static struct es_http_ca *trust_new(void)
{
    struct es_http_ca *ca = calloc(1, sizeof *ca);

    if (!ca)
        return NULL;
    ca->store = X509_STORE_new();
    if (!ca->store) {
        free(ca);
        return NULL;
    }
    /* As libcurl sets them: an intermediate that was given is an anchor. */
    X509_STORE_set_flags(ca->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    return ca;
}

/* "0a1b2c3d.0" */
static bool is_hashed(const char *name)
{
    for (int i = 0; i < 8; i++)
        if (!isxdigit((unsigned char)name[i]))
            return false;
    return name[8] == '.' && isdigit((unsigned char)name[9]);
}

static bool has_hashed(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool found = false;

    if (!dir)
        return false;
    while (!found && (entry = readdir(dir)))
        found = is_hashed(entry->d_name);
    closedir(dir);
    return found;
}

/* 0, or negative and where the certificates are that cannot be read, NULL where there are none. */
static int load_system(X509_STORE *store, const char **ret_place)
{
    *ret_place = NULL;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (has_hashed(directories[i])) {
            *ret_place = directories[i];
            return X509_STORE_load_path(store, directories[i]) == 1 ? 0 : -EBADMSG;
        }
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++)
        if (access(bundles[i], R_OK) == 0) {
            *ret_place = bundles[i];
            return X509_STORE_load_file(store, bundles[i]) == 1 ? 0 : -EBADMSG;
        }
    return -ENOENT;
}

int trust_system(struct es_http *http, const struct es_http_ca **ret, struct es_err *err)
{
    struct es_http_ca *ca = http->system ? http->system : trust_new();
    const char *place = NULL;
    int r = !ca ? -ENOMEM : http->system ? 0 : load_system(ca->store, &place);

    if (r == 0) {
        *ret = http->system = ca;
        return 0;
    }
    trust_free(ca);
    ERR_clear_error();
    if (r == -ENOMEM)
        return es_nomem(err);
    if (place)
        return es_fail(err, ES_CONFIG, EBADMSG,
                       "the certificates of authorities in %s cannot be read; run "
                       "update-ca-certificates or set ca_file",
                       place);
    return es_fail(err, ES_CONFIG, ENOENT,
                   "no certificates of authorities are found on this system; install "
                   "ca-certificates or set ca_file");
}

/* Why a certificate could not be read: 0 where there was no further one. */
static int take_error(void)
{
    unsigned long error;
    int r = -EBADMSG;

    while ((error = ERR_get_error())) {
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            r = -ENOMEM;
        else if (r != -ENOMEM)
            r = ERR_GET_REASON(error) == PEM_R_NO_START_LINE ? 0 : -EBADMSG;
    }
    return r;
}

/* All certificates of the text; 0 where there is none, negative where one cannot be read. */
static int add_all(X509_STORE *store, BIO *bio)
{
    int n = 0;

    for (;;) {
        X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);

        if (!cert) {
            int r = take_error();

            return r < 0 ? r : n;
        }
        if (X509_STORE_add_cert(store, cert) != 1) {
            X509_free(cert);
            return -ENOMEM;
        }
        X509_free(cert);
        n++;
    }
}

static int load_pem(struct es_http_ca *ca, const char *pem, size_t len, struct es_err *err)
{
    BIO *bio;
    int n;

    if (len > 4 << 20)
        return es_fail(err, ES_CONFIG, EFBIG, "is larger than 4 MiB");
    if (es_buf_append(&ca->pem, pem, len) < 0)
        return es_nomem(err);
    bio = BIO_new_mem_buf(es_buf_str(&ca->pem), (int)ca->pem.len);
    if (!bio)
        return es_nomem(err);
    n = add_all(ca->store, bio);
    BIO_free(bio);
    if (n == 0)
        return es_fail(err, ES_CONFIG, EINVAL, "holds no certificate in PEM");
    if (n == -ENOMEM)
        return es_nomem(err);
    if (n < 0)
        return es_fail(err, ES_CONFIG, EINVAL, "holds a certificate that is damaged");
    return 0;
}

int es_http_trust(struct es_http *http, const char *pem, size_t len, const struct es_http_ca **ret,
                  struct es_err *err)
{
    struct es_http_ca *ca;
    int r;

    for (ca = http->trusted; ca; ca = ca->next)
        if (ca->pem.len == len && memcmp(es_buf_str(&ca->pem), pem, len) == 0)
            break;
    if (!ca) {
        ca = trust_new();
        if (!ca)
            return es_nomem(err);
        r = load_pem(ca, pem, len, err);
        if (r < 0) {
            trust_free(ca);
            return r;
        }
        ca->next = http->trusted;
        http->trusted = ca;
    }
    *ret = ca;
    return 0;
}

CURLcode trust_apply(CURL *easy, void *ssl_ctx, void *ca)
{
    const struct es_http_ca *trusted = ca;

    (void)easy;
    SSL_CTX_set1_cert_store(ssl_ctx, trusted->store);
    return CURLE_OK;
}
