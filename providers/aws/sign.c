/* See sign.h. Keys, tokens and signing keys are secrets: they live in es_buf and in OpenSSL's
 * contexts, which cleanse themselves. Paths, queries and header values may come from anywhere.
 * Invariant: what is signed is what out->target and the headers hold. */
#include "sign.h"

#include "date.h"
#include "hmac.h"
#include "uri.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

const char es_aws_empty_hash[ES_AWS_HASH_HEX + 1] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

enum {
    CACHED = 8, /* signing keys: one run talks to a few services in a few regions */
    SIGNED_MAX = ES_AWS_MAX_HEADERS + ES_AWS_SIGNED_HEADERS,
    NAME_MAX_LEN = 128, /* of a header */
};

struct cached {
    struct es_buf id; /* date, region, service, secret, each with its NUL */
    struct es_hmac key;
};

/* A header on its way into the canonical request; value is borrowed and still raw. */
struct header {
    char name[NAME_MAX_LEN]; /* lower case */
    size_t len;
    const char *value;
};

struct es_aws_signer {
    struct es_sha256 sha;
    struct cached cache[CACHED];
    size_t next;      /* the slot to give up next */
    struct es_buf id; /* scratch: of the key wanted */
    struct es_buf canonical, string, names, scope;
    struct header headers[SIGNED_MAX];
    size_t order[SIGNED_MAX];
    size_t n_headers;
};

void es_aws_keys_done(struct es_aws_keys *keys)
{
    es_buf_done(&keys->id);
    es_buf_done(&keys->secret);
    es_buf_done(&keys->token);
}

void es_aws_signed_done(struct es_aws_signed *out)
{
    es_buf_done(&out->target);
    for (size_t i = 0; i < ES_AWS_SIGNED_HEADERS; i++)
        es_buf_done(&out->headers[i]);
}

int es_aws_signer_new(struct es_aws_signer **ret, struct es_err *err)
{
    ES_CLEANUP(es_aws_signer_freep) struct es_aws_signer *signer = calloc(1, sizeof *signer);

    if (!signer || es_sha256_init(&signer->sha) < 0)
        return es_nomem(err);
    *ret = signer;
    signer = NULL;
    return 0;
}

void es_aws_signer_free(struct es_aws_signer *signer)
{
    if (!signer)
        return;
    for (size_t i = 0; i < CACHED; i++) {
        es_buf_done(&signer->cache[i].id);
        es_hmac_done(&signer->cache[i].key);
    }
    es_buf_done(&signer->id);
    es_buf_done(&signer->canonical);
    es_buf_done(&signer->string);
    es_buf_done(&signer->names);
    es_buf_done(&signer->scope);
    es_sha256_done(&signer->sha);
    free(signer);
}

void es_aws_signer_freep(struct es_aws_signer **signer)
{
    es_aws_signer_free(*signer);
}

const struct es_buf *es_aws_signer_canonical(const struct es_aws_signer *signer)
{
    return &signer->canonical;
}

const struct es_buf *es_aws_signer_string(const struct es_aws_signer *signer)
{
    return &signer->string;
}

static void to_hex(const unsigned char *from, char *to)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < ES_SHA256; i++) {
        to[i * 2] = digits[from[i] >> 4];
        to[i * 2 + 1] = digits[from[i] & 15];
    }
    to[ES_AWS_HASH_HEX] = '\0';
}

int es_aws_signer_hash(struct es_aws_signer *signer, const void *data, size_t len, char *ret,
                       struct es_err *err)
{
    unsigned char digest[ES_SHA256];

    if (es_sha256(&signer->sha, data, len, digest) < 0)
        return es_nomem(err);
    to_hex(digest, ret);
    return 0;
}

/* Empties without the cleansing of es_buf_clear(): the next content lies over the old. */
static void rewind_buf(struct es_buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

/* ---- the signing key ---- */

static int derive(struct es_aws_signer *signer, struct cached *slot, const char *const parts[3],
                  const struct es_buf *secret)
{
    ES_CLEANUP(es_buf_done) struct es_buf first = {0};
    unsigned char key[ES_SHA256];
    int r = es_buf_puts(&first, "AWS4");

    if (r == 0)
        r = es_buf_append(&first, secret->data, secret->len);
    if (r == 0)
        r = es_hmac_key(&slot->key, &signer->sha, first.data, first.len);
    for (size_t i = 0; r == 0 && i < 4; i++) {
        const char *part = i < 3 ? parts[i] : "aws4_request";

        r = es_hmac(&slot->key, &signer->sha, part, strlen(part), key);
        if (r == 0)
            r = es_hmac_key(&slot->key, &signer->sha, key, sizeof key);
    }
    OPENSSL_cleanse(key, sizeof key);
    return r;
}

/* A key from the cache, derived first where it is not there. -ENOMEM. */
static int find_key(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                    const char *date, const struct es_hmac **ret)
{
    const char *const parts[3] = {date, scope->region, scope->service};
    struct cached *slot;
    int r = 0;

    rewind_buf(&signer->id);
    for (size_t i = 0; r == 0 && i < 3; i++)
        r = es_buf_append(&signer->id, parts[i], strlen(parts[i]) + 1);
    if (r == 0)
        r = es_buf_append(&signer->id, scope->keys->secret.data, scope->keys->secret.len);
    if (r < 0)
        return r;
    for (size_t i = 0; i < CACHED; i++) {
        if (es_buf_equal(&signer->cache[i].id, &signer->id)) {
            *ret = &signer->cache[i].key;
            return 0;
        }
    }
    slot = &signer->cache[signer->next];
    signer->next = (signer->next + 1) % CACHED;
    es_buf_clear(&slot->id); /* first: a half-derived key must match nothing */
    r = derive(signer, slot, parts, &scope->keys->secret);
    if (r < 0)
        return r;
    es_buf_move(&slot->id, &signer->id);
    *ret = &slot->key;
    return 0;
}

/* ---- headers ---- */

/* RFC 9110's characters of a token. */
static bool is_token(unsigned char c)
{
    static const uint32_t token[8] = {
        [1] = 0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
        [2] = 0xc7fffffe, /* A-Z ^ _ */
        [3] = 0x57ffffff, /* ` a-z | ~ */
    };

    return token[c >> 5] >> (c & 31) & 1;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (**list == *name && strcmp(name, *list) == 0)
            return true;
    return false;
}

static int add_header(struct es_aws_signer *signer, const char *name, const char *value,
                      struct es_err *err)
{
    struct header *header = &signer->headers[signer->n_headers];
    size_t len = strlen(name), at = signer->n_headers;

    if (len == 0 || len >= NAME_MAX_LEN)
        return es_fail(err, ES_INVALID, EINVAL, "a header without a name, or with too long a one");
    for (size_t i = 0; i <= len; i++) {
        char c = name[i];

        if (i < len && !is_token((unsigned char)c))
            return es_fail(err, ES_INVALID, EINVAL, "a header whose name is no HTTP token");
        header->name[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    if (!is_printable(value))
        return es_fail(err, ES_INVALID, EINVAL, "header %s holds a control character",
                       header->name);
    header->len = len;
    header->value = value;
    for (; at > 0; at--) { /* stable: duplicates stay in the order they were given */
        if (strcmp(signer->headers[signer->order[at - 1]].name, header->name) <= 0)
            break;
        signer->order[at] = signer->order[at - 1];
    }
    signer->order[at] = signer->n_headers++;
    return 0;
}

static int take_headers(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                        const struct es_aws_request *request, struct es_err *err)
{
    static const char *const skipped[] = {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
        NULL,
    };
    static const char *const ours[] = {
        "authorization", "host", "x-amz-date", "x-amz-security-token", NULL,
    };

    if (request->n_headers > ES_AWS_MAX_HEADERS)
        return es_fail(err, ES_INVALID, E2BIG, "a request with more than %d headers",
                       ES_AWS_MAX_HEADERS);
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct es_aws_pair *pair = &request->headers[i];
        size_t at = signer->n_headers;
        const char *name = signer->headers[at].name;
        int r = add_header(signer, pair->name, pair->value ? pair->value : "", err);

        if (r < 0)
            return r;
        if (is_one_of(name, ours) ||
            ((scope->flags & ES_AWS_SIGN_HASH) && strcmp(name, "x-amz-content-sha256") == 0))
            return es_fail(err, ES_INVALID, EINVAL, "header %s is the signer's to set", name);
        if (is_one_of(name, skipped)) {
            /* Taken out again: it is the newest, so only the order has to close up. */
            size_t kept = 0;

            for (size_t j = 0; j < signer->n_headers; j++)
                if (signer->order[j] != at)
                    signer->order[kept++] = signer->order[j];
            signer->n_headers = kept;
        }
    }
    return 0;
}

/* Appends value with outer spaces gone and inner runs made one. */
static int put_trimmed(struct es_buf *out, const char *value)
{
    size_t len = strlen(value);
    char *to;
    int r = es_buf_reserve(out, len);

    if (r < 0)
        return r;
    to = out->data + out->len;
    for (size_t i = 0; i < len; i++)
        if (value[i] != ' ' || (to > out->data + out->len && to[-1] != ' '))
            *to++ = value[i];
    if (to > out->data + out->len && to[-1] == ' ')
        to--;
    *to = '\0';
    out->len = (size_t)(to - out->data);
    return 0;
}

/* The header lines into canonical, their names into names. */
static int put_headers(struct es_aws_signer *signer)
{
    struct es_buf *out = &signer->canonical;
    const struct header *last = NULL;
    int r = 0;

    rewind_buf(&signer->names);
    for (size_t i = 0; r == 0 && i < signer->n_headers; i++) {
        const struct header *header = &signer->headers[signer->order[i]];

        if (last && strcmp(last->name, header->name) == 0) {
            r = es_buf_putc(out, ',');
        } else {
            if (last)
                r = es_buf_putc(out, '\n') < 0 ? -ENOMEM : es_buf_putc(&signer->names, ';');
            if (r == 0)
                r = es_buf_append(&signer->names, header->name, header->len);
            if (r == 0)
                r = es_buf_append(out, header->name, header->len);
            if (r == 0)
                r = es_buf_putc(out, ':');
        }
        if (r == 0)
            r = put_trimmed(out, header->value);
        last = header;
    }
    return r ? r : es_buf_append(out, "\n\n", 2);
}

/* ---- the three texts ---- */

static int put_all(struct es_buf *out, const char *const *texts)
{
    int r = 0;

    for (; r == 0 && *texts; texts++)
        r = es_buf_puts(out, *texts);
    return r;
}

static int put_canonical(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                         const struct es_aws_request *request, const struct es_buf *target,
                         const char *hash)
{
    struct es_buf *out = &signer->canonical;
    const char *mark = memchr(target->data, '?', target->len); /* '?' of a path is encoded */
    const char *end = target->data + target->len;
    const char *query = mark ? mark + 1 : end;
    int r;

    rewind_buf(out);
    r = put_all(out, (const char *const[]){request->method, "\n", NULL});
    if (r == 0)
        r = es_aws_canonical_path(out, target->data, (size_t)((mark ? mark : end) - target->data),
                                  scope->flags);
    if (r == 0)
        r = es_buf_putc(out, '\n');
    if (r == 0)
        r = es_buf_append(out, query, (size_t)(end - query));
    if (r == 0)
        r = es_buf_putc(out, '\n');
    if (r == 0)
        r = put_headers(signer);
    if (r == 0)
        r = es_buf_append(out, signer->names.data, signer->names.len);
    return r ? r : put_all(out, (const char *const[]){"\n", hash, NULL});
}

static int put_string(struct es_aws_signer *signer, const char *date)
{
    unsigned char digest[ES_SHA256];
    char hex[ES_AWS_HASH_HEX + 1];
    int r = es_sha256(&signer->sha, signer->canonical.data, signer->canonical.len, digest);

    if (r < 0)
        return r;
    to_hex(digest, hex);
    rewind_buf(&signer->string);
    return put_all(&signer->string, (const char *const[]){"AWS4-HMAC-SHA256\n", date, "\n",
                                                          signer->scope.data, "\n", hex, NULL});
}

static int put_authorization(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                             const struct es_hmac *key, struct es_buf *out)
{
    unsigned char digest[ES_SHA256];
    char hex[ES_AWS_HASH_HEX + 1];
    int r = es_hmac(key, &signer->sha, signer->string.data, signer->string.len, digest);

    if (r < 0)
        return r;
    to_hex(digest, hex);
    rewind_buf(out);
    return put_all(out, (const char *const[]){
                            "Authorization: AWS4-HMAC-SHA256 Credential=", scope->keys->id.data,
                            "/", signer->scope.data, ", SignedHeaders=", signer->names.data,
                            ", Signature=", hex, NULL});
}

/* ---- all of it ---- */

static bool is_hash(const char *text)
{
    return strlen(text) == ES_AWS_HASH_HEX && strspn(text, "0123456789abcdef") == ES_AWS_HASH_HEX;
}

/* What becomes part of a header or of the scope must not be able to end it. */
static int check(const struct es_aws_scope *scope, const struct es_aws_request *request,
                 const char *hash, struct es_err *err)
{
    const struct es_aws_keys *keys = scope->keys;

    if (keys->id.len == 0 || keys->secret.len == 0)
        return es_fail(err, ES_INVALID, EINVAL, "credentials without an access key or a secret");
    if (!is_printable(keys->id.data) || strpbrk(keys->id.data, "/, ") ||
        strlen(keys->id.data) != keys->id.len)
        return es_fail(err, ES_INVALID, EINVAL, "an access key id that is none");
    if (keys->token.len && (strlen(keys->token.data) != keys->token.len))
        return es_fail(err, ES_INVALID, EINVAL, "a session token with a NUL byte");
    if (!*scope->region || !is_printable(scope->region) || strpbrk(scope->region, "/, ") ||
        !*scope->service || !is_printable(scope->service) || strpbrk(scope->service, "/, "))
        return es_fail(err, ES_INVALID, EINVAL, "a signature without a valid region and service");
    if (!*request->method ||
        strspn(request->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(request->method))
        return es_fail(err, ES_INVALID, EINVAL, "a request method that is none");
    if (!is_hash(hash))
        return es_fail(err, ES_INVALID, EINVAL, "a payload hash that is none");
    return 0;
}

static int put_line(struct es_buf *out, const char *name, const char *value)
{
    rewind_buf(out);
    return put_all(out, (const char *const[]){name, ": ", value, NULL});
}

/* The signer's own headers: into out, and among those to be signed. */
static int put_own(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                   const struct es_aws_request *request, const char *hash, const char *date,
                   struct es_aws_signed *out, struct es_err *err)
{
    const struct {
        const char *name, *value;
        bool wanted;
    } own[ES_AWS_SIGNED_HEADERS] = {
        [ES_AWS_HEADER_AUTHORIZATION] = {"host", request->host, true},
        [ES_AWS_HEADER_DATE] = {"x-amz-date", date, true},
        [ES_AWS_HEADER_TOKEN] = {"x-amz-security-token", es_buf_str(&scope->keys->token),
                                 scope->keys->token.len > 0},
        [ES_AWS_HEADER_HASH] = {"x-amz-content-sha256", hash, scope->flags & ES_AWS_SIGN_HASH},
    };

    for (size_t i = 0; i < ES_AWS_SIGNED_HEADERS; i++) {
        int r;

        rewind_buf(&out->headers[i]);
        if (!own[i].wanted)
            continue;
        r = add_header(signer, own[i].name, own[i].value, err);
        if (r < 0)
            return r;
        if (i != ES_AWS_HEADER_AUTHORIZATION &&
            put_line(&out->headers[i], own[i].name, own[i].value) < 0)
            return es_nomem(err);
    }
    return 0;
}

int es_aws_sign(struct es_aws_signer *signer, const struct es_aws_scope *scope,
                const struct es_aws_request *request, struct es_aws_signed *out, struct es_err *err)
{
    const char *hash = request->payload_hash ? request->payload_hash : es_aws_empty_hash;
    struct es_aws_date date = es_aws_date_format(scope->now);
    const struct es_hmac *key;
    char day[9] = {0};
    int r = check(scope, request, hash, err);

    memcpy(day, date.text, 8);
    signer->n_headers = 0;
    rewind_buf(&out->target);
    if (r == 0)
        r = take_headers(signer, scope, request, err);
    if (r == 0)
        r = put_own(signer, scope, request, hash, date.text, out, err);
    if (r == 0)
        r = es_aws_target(&out->target, request->path, request->query, request->n_query, err);
    if (r < 0)
        return r;
    rewind_buf(&signer->scope);
    r = put_all(&signer->scope, (const char *const[]){day, "/", scope->region, "/", scope->service,
                                                      "/aws4_request", NULL});
    if (r == 0)
        r = find_key(signer, scope, day, &key);
    if (r == 0)
        r = put_canonical(signer, scope, request, &out->target, hash);
    if (r == 0)
        r = put_string(signer, date.text);
    if (r == 0)
        r = put_authorization(signer, scope, key, &out->headers[ES_AWS_HEADER_AUTHORIZATION]);
    return r < 0 ? es_nomem(err) : 0;
}
