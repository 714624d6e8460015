/* See answers.h. Requests come from the programs that are measured: what cannot be understood is
 * refused or ends the program with a word, so that no figure comes of it. */
#include "answers.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    MAX_OBJECTS = 1000000,
    MAX_SIZE = 1 << 30,
    SLICES = 4096, /* objects begin at so many places of the pool */
    SLICE = 8,
    PAGE_S3 = 1000,
    PAGE_SSM = 10,
    PAGE_NAMES = 50, /* of DescribeParameters */
};

struct stats stats;

struct bucket {
    struct bucket *next;
    char name[64];
    long n;
    size_t size;
    char (*etag)[33];
    char (*crc)[9]; /* base64 of the CRC-32 */
};
static struct bucket *buckets;
static unsigned char *pool; /* what all objects are cut from */
static size_t pool_len;

static void die(const char *what)
{
    fprintf(stderr, "server: %s\n", what);
    exit(1);
}

__attribute__((format(printf, 2, 3))) static void put(struct es_buf *out, const char *fmt, ...)
{
    char line[2048];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line || es_buf_append(out, line, (size_t)n) < 0)
        die("an answer that is too long");
}

/* ---- what the buckets hold ---- */

static void fill_pool(size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
    static uint32_t seed = 20241017;

    if (len <= pool_len)
        return;
    if (buckets)
        die("the largest objects must be asked for first");
    pool = malloc(len);
    if (!pool)
        die("no memory");
    for (pool_len = 0; pool_len < len; pool_len++) {
        seed = seed * 1103515245u + 12345u;
        pool[pool_len] = pool_len % 64 == 63 ? '\n' : (unsigned char)letters[seed >> 16 & 31];
    }
}

static const unsigned char *object(long number)
{
    return pool + number % SLICES * SLICE;
}

/* Reflected, init and xorout all ones. */
static uint32_t crc32_of(const unsigned char *data, size_t len)
{
    static uint32_t table[256];
    uint32_t crc = 0xffffffff;

    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
    }
    for (size_t i = 0; i < len; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 255];
    return ~crc;
}

static void describe(struct bucket *bucket, long i)
{
    unsigned char digest[EVP_MAX_MD_SIZE], crc[4];
    uint32_t sum = crc32_of(object(i), bucket->size);
    unsigned len = 0;

    EVP_Digest(object(i), bucket->size, digest, &len, EVP_md5(), NULL);
    for (unsigned k = 0; k < 16; k++)
        snprintf(bucket->etag[i] + (size_t)2 * k, 3, "%02x", digest[k]);
    for (int k = 0; k < 4; k++)
        crc[k] = (unsigned char)(sum >> (24 - 8 * k));
    EVP_EncodeBlock((unsigned char *)bucket->crc[i], crc, 4);
}

static struct bucket *find_bucket(const char *name, size_t len)
{
    struct bucket *b;
    long n;
    size_t size;

    for (b = buckets; b; b = b->next)
        if (strlen(b->name) == len && memcmp(b->name, name, len) == 0)
            return b;
    b = calloc(1, sizeof *b);
    if (!b)
        die("no memory");
    snprintf(b->name, sizeof b->name, "%.*s", (int)len, name);
    if (len >= sizeof b->name || sscanf(b->name, "n%ld-s%zu", &n, &size) != 2 || n < 0 ||
        n > MAX_OBJECTS || size > MAX_SIZE) {
        free(b);
        return NULL;
    }
    fill_pool(size + (size_t)SLICES * SLICE < 1 << 20 ? 1 << 20 : size + (size_t)SLICES * SLICE);
    b->n = n;
    b->size = size;
    b->etag = calloc((size_t)n + 1, sizeof *b->etag);
    b->crc = calloc((size_t)n + 1, sizeof *b->crc);
    if (!b->etag || !b->crc)
        die("no memory");
    for (long i = 0; i < n; i++)
        describe(b, i);
    b->next = buckets;
    buckets = b;
    return b;
}

/* ---- HTTP ---- */

const char *header_of(const char *head, const char *name, size_t *len)
{
    size_t n = strlen(name);

    for (const char *p = strstr(head, "\r\n"); p; p = strstr(p + 2, "\r\n")) {
        if (strncasecmp(p + 2, name, n) != 0 || p[2 + n] != ':')
            continue;
        p += 3 + n;
        p += strspn(p, " ");
        *len = strcspn(p, "\r\n");
        return p;
    }
    return NULL;
}

/* A header as a string, empty where there is none. */
static const char *get_header(const struct request *request, const char *name, char *out,
                              size_t size)
{
    size_t len = 0;
    const char *value = header_of(request->head, name, &len);

    snprintf(out, size, "%.*s", value ? (int)len : 0, value ? value : "");
    return out;
}

static void decode(char *text)
{
    char *to = text;

    for (; *text; text++) {
        char hex[3] = {text[0], text[1], '\0'};

        if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
            hex[0] = text[1];
            hex[1] = text[2];
            *to++ = (char)strtol(hex, NULL, 16);
            text += 2;
        } else {
            *to++ = *text == '+' ? ' ' : *text;
        }
    }
    *to = '\0';
}

/* The value of a name in the query, decoded; false where it is not there. */
static int query_of(const char *query, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);

    out[0] = '\0';
    for (const char *p = query; p && *p; p = strchr(p, '&'), p = p ? p + 1 : p) {
        if (strncmp(p, name, n) != 0 || !strchr("=&", p[n]))
            continue;
        snprintf(out, size, "%.*s", p[n] == '=' ? (int)strcspn(p + n + 1, "&") : 0, p + n + 1);
        decode(out);
        return 1;
    }
    return 0;
}

static const char *http_date(void)
{
    static char text[64];
    static time_t at;
    time_t now = time(NULL);
    struct tm tm;

    if (now != at && gmtime_r(&now, &tm))
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    at = now;
    return text;
}

/* The head of an answer; a body of `len` bytes is to follow unless it answers a HEAD. */
static void begin(struct reply *reply, const char *status, const char *type, const char *more,
                  size_t len)
{
    static unsigned long number;

    put(reply->text,
        "HTTP/1.1 %s\r\nDate: %s\r\nx-amz-request-id: %016lX\r\nContent-Type: %s\r\n"
        "%sContent-Length: %zu\r\n%s\r\n",
        status, http_date(), ++number, type, more, len, reply->last ? "Connection: close\r\n" : "");
}

static void say(struct reply *reply, const char *status, const char *type, const char *text)
{
    begin(reply, status, type, "", strlen(text));
    if (es_buf_puts(reply->text, text) < 0)
        die("no memory");
}

static void refuse(struct reply *reply, const char *status, const char *code)
{
    char text[256];

    stats.refused++;
    snprintf(text, sizeof text, "<Error><Code>%s</Code></Error>", code);
    say(reply, status, "application/xml", text);
}

/* ---- S3 ---- */

static void list_items(struct es_buf *out, const struct bucket *b, const char *prefix, long from,
                       long max, long *ret_end, long *ret_n)
{
    char key[64];
    long i, n = 0;

    for (i = from; i < b->n && n < max; i++) {
        snprintf(key, sizeof key, "app-%06ld.env", i);
        if (strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        n++;
        put(out,
            "<Contents><Key>%s</Key><LastModified>2024-10-17T14:00:00.000Z</LastModified>"
            "<ETag>&quot;%s&quot;</ETag><Size>%zu</Size><StorageClass>STANDARD</StorageClass>"
            "</Contents>",
            key, b->etag[i], b->size);
    }
    *ret_end = i;
    *ret_n = n;
}

/* Both versions of the listing: s3cmd still speaks the first. */
static void list(struct reply *reply, const struct bucket *b, const char *query)
{
    ES_CLEANUP(es_buf_done) struct es_buf items = {0}, xml = {0};
    char text[256], prefix[256];
    long from = 0, max = PAGE_S3, end, n;
    int second = query_of(query, "list-type", text, sizeof text);

    stats.list++;
    if (query_of(query, "max-keys", text, sizeof text) && atol(text) < max)
        max = atol(text);
    query_of(query, "prefix", prefix, sizeof prefix);
    if (query_of(query, "continuation-token", text, sizeof text))
        from = atol(text + 1);
    else if (query_of(query, "marker", text, sizeof text) && strlen(text) > 4)
        from = atol(text + 4) + 1;
    list_items(&items, b, prefix, from, max, &end, &n);
    put(&xml,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
        "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name><Prefix>%s</Prefix>"
        "<MaxKeys>%ld</MaxKeys>%s<IsTruncated>%s</IsTruncated>",
        b->name, prefix, max,
        query_of(query, "encoding-type", text, sizeof text) ? "<EncodingType>url</EncodingType>"
                                                            : "",
        end < b->n ? "true" : "false");
    if (second)
        put(&xml, "<KeyCount>%ld</KeyCount>", n);
    if (end < b->n && second)
        put(&xml, "<NextContinuationToken>t%ld</NextContinuationToken>", end);
    else if (end < b->n)
        put(&xml, "<NextMarker>app-%06ld.env</NextMarker>", end - 1);
    if (es_buf_append(&xml, es_buf_str(&items), items.len) < 0 ||
        es_buf_puts(&xml, "</ListBucketResult>") < 0)
        die("no memory");
    say(reply, "200 OK", "application/xml", xml.data);
}

/* Of "bytes=A-B"; the whole object where there is no range. */
static int range_of(const struct request *request, size_t size, size_t *from, size_t *len)
{
    char text[128];
    size_t first = 0, last = 0;
    int n = sscanf(get_header(request, "range", text, sizeof text), "bytes=%zu-%zu", &first, &last);

    *from = 0;
    *len = size;
    if (n < 1 || first >= size)
        return 0;
    *from = first;
    *len = (n == 2 && last < size ? last + 1 : size) - first;
    return 1;
}

static void get(const struct request *request, struct reply *reply, const struct bucket *b, long i,
                int head)
{
    char more[512], text[128];
    size_t from, len;
    int part = range_of(request, b->size, &from, &len), n;

    if (head)
        stats.head++;
    else
        stats.get++;
    n = snprintf(more, sizeof more,
                 "ETag: \"%s\"\r\nLast-Modified: Thu, 17 Oct 2024 14:00:00 GMT\r\n"
                 "Accept-Ranges: bytes\r\n",
                 b->etag[i]);
    if (part)
        n += snprintf(more + n, sizeof more - (size_t)n, "Content-Range: bytes %zu-%zu/%zu\r\n",
                      from, from + len - 1, b->size);
    else if (*get_header(request, "x-amz-checksum-mode", text, sizeof text))
        snprintf(more + n, sizeof more - (size_t)n, "x-amz-checksum-crc32: %s\r\n", b->crc[i]);
    get_header(request, "if-match", text, sizeof text);
    if (*text && !strstr(text, b->etag[i])) {
        refuse(reply, "412 Precondition Failed", "PreconditionFailed");
        return;
    }
    if (strstr(get_header(request, "if-none-match", text, sizeof text), b->etag[i])) {
        begin(reply, "304 Not Modified", "binary/octet-stream", more, 0);
        return;
    }
    begin(reply, part ? "206 Partial Content" : "200 OK", "binary/octet-stream", more, len);
    if (!head) {
        reply->body = object(i) + from;
        reply->body_len = len;
    }
}

static void answer_s3(const struct request *request, struct reply *reply, const char *method,
                      const char *path, const char *query)
{
    size_t len = strcspn(path, "/");
    const char *key = path[len] ? path + len + 1 : path + len;
    const struct bucket *b = find_bucket(path, len);
    int head = strcmp(method, "HEAD") == 0;
    char text[64];
    long i = -1;

    reply->service = SERVICE_S3;
    if (!b) {
        refuse(reply, "404 Not Found", "NoSuchBucket");
    } else if (!*key && head) {
        stats.head++;
        begin(reply, "200 OK", "application/xml", "x-amz-bucket-region: us-east-1\r\n", 0);
    } else if (!*key && query_of(query, "location", text, sizeof text)) {
        stats.other++;
        say(reply, "200 OK", "application/xml",
            "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
    } else if (!*key) {
        list(reply, b, query);
    } else if (sscanf(key, "app-%6ld.env", &i) != 1 || i < 0 || i >= b->n) {
        refuse(reply, "404 Not Found", "NoSuchKey");
    } else {
        get(request, reply, b, i, head);
    }
}

/* ---- SSM ---- */

/* The string behind "name" in a JSON text, or the number, as text. */
static const char *json_get(const char *json, const char *name, char *out, size_t size)
{
    const char *p = strstr(json, name);

    out[0] = '\0';
    if (!p)
        return out;
    p += strlen(name);
    p += strspn(p, "\": [");
    snprintf(out, size, "%.*s", (int)strcspn(p, "\",]}"), p);
    return out;
}

static void put_parameter(struct es_buf *out, const char *name, long i)
{
    put(out,
        "{\"ARN\":\"arn:aws:ssm:us-east-1:123456789012:parameter%s\",\"DataType\":\"text\","
        "\"LastModifiedDate\":1.729173600123E9,\"Name\":\"%s\",\"Type\":\"%s\","
        "\"Value\":\"value-%06ld-%08lx-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF\","
        "\"Version\":%ld}",
        name, name, i % 3 ? "String" : "SecureString", i,
        (unsigned long)i * 2654435761u % 4294967296u, i % 7 + 1);
}

static void put_pages(struct es_buf *out, const char *body, const char *path, int values)
{
    char name[300], text[64];
    long max = values ? PAGE_SSM : PAGE_NAMES, from, i, n;
    const char *p = strrchr(path, '/');
    int len = (int)strlen(path);

    if (*json_get(body, "\"MaxResults\"", text, sizeof text) && atol(text) < max)
        max = atol(text);
    from = *json_get(body, "\"NextToken\"", text, sizeof text) ? atol(text + 4) : 0;
    if (len > 0 && path[len - 1] == '/') { /* a final slash is none */
        len--;
        while (p > path && *--p != '/')
            continue;
    }
    n = p && p[1] == 'p' ? atol(p + 2) : 0;
    put(out, "{\"Parameters\":[");
    for (i = from; i < n && i < from + max; i++) {
        if (i > from)
            put(out, ",");
        snprintf(name, sizeof name, "%.*s/PARAM_%05ld", len, path, i);
        if (values)
            put_parameter(out, name, i);
        else
            put(out,
                "{\"Name\":\"%s\",\"Type\":\"String\",\"Version\":1,"
                "\"LastModifiedDate\":1.729173600123E9,\"LastModifiedUser\":\"x\"}",
                name);
    }
    put(out, "]");
    if (i < n)
        put(out, ",\"NextToken\":\"tok-%ld-AAAAAAAAAAAAAAAAAAAAAAAA\"", i);
    put(out, "}");
}

static void put_names(struct es_buf *out, const char *body)
{
    const char *p = strchr(body, '[');
    char name[300];
    int n = 0;

    put(out, "{\"InvalidParameters\":[],\"Parameters\":[");
    while (p && (p = strpbrk(p, "\"]")) && *p == '"' && n < PAGE_SSM) {
        const char *number;

        snprintf(name, sizeof name, "%.*s", (int)strcspn(p + 1, "\""), p + 1);
        p += strcspn(p + 1, "\"") + 2;
        if (n++)
            put(out, ",");
        number = strrchr(name, '_');
        put_parameter(out, name, number ? atol(number + 1) : 0);
    }
    put(out, "]}");
}

static void answer_ssm(const struct request *request, struct reply *reply, const char *target)
{
    ES_CLEANUP(es_buf_done) struct es_buf json = {0};
    char path[256];

    reply->service = SERVICE_SSM;
    stats.ssm++;
    if (strcmp(target, "AmazonSSM.GetParametersByPath") == 0)
        put_pages(&json, request->body, json_get(request->body, "\"Path\"", path, sizeof path), 1);
    else if (strcmp(target, "AmazonSSM.GetParameters") == 0)
        put_names(&json, request->body);
    else if (strcmp(target, "AmazonSSM.DescribeParameters") == 0)
        put_pages(&json, request->body, json_get(request->body, "\"Values\"", path, sizeof path),
                  0);
    if (json.len == 0) {
        stats.refused++;
        say(reply, "400 Bad Request", "application/x-amz-json-1.1",
            "{\"__type\":\"UnknownOperationException\"}");
        return;
    }
    say(reply, "200 OK", "application/x-amz-json-1.1", json.data);
}

/* ---- the metadata service ---- */

static void answer_imds(const struct request *request, struct reply *reply, const char *method,
                        const char *path)
{
    static const char token[] = "AQAEAbenchmarktoken==";
    char text[128];

    reply->service = SERVICE_IMDS;
    stats.imds++;
    if (strcmp(method, "PUT") == 0 && strcmp(path, "/latest/api/token") == 0)
        say(reply, "200 OK", "text/plain", token);
    else if (strcmp(get_header(request, "x-aws-ec2-metadata-token", text, sizeof text), token) != 0)
        refuse(reply, "401 Unauthorized", "Unauthorized");
    else if (strcmp(path, "/latest/meta-data/iam/security-credentials/") == 0)
        say(reply, "200 OK", "text/plain", "bench");
    else if (strcmp(path, "/latest/meta-data/iam/security-credentials/bench") == 0)
        say(reply, "200 OK", "application/json",
            "{\"Code\":\"Success\",\"LastUpdated\":\"2024-10-17T14:00:00Z\",\"Type\":\"AWS-HMAC\","
            "\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\"SecretAccessKey\":\"secret\","
            "\"Token\":\"sessiontoken\",\"Expiration\":\"2044-10-17T14:00:00Z\"}");
    else if (strcmp(path, "/latest/meta-data/placement/region") == 0)
        say(reply, "200 OK", "text/plain", "us-east-1");
    else
        refuse(reply, "404 Not Found", "NotFound");
}

/* ---- all ---- */

static void answer_control(struct reply *reply, const char *path)
{
    char text[512];

    reply->service = SERVICE_CONTROL;
    stats.requests--;
    if (strcmp(path, "/__reset") == 0)
        stats = (struct stats){0};
    snprintf(text, sizeof text,
             "{\"connections\": %ld, \"handshakes\": %ld, \"resumed\": %ld, \"rounds\": %ld, "
             "\"requests\": %ld, \"list\": %ld, \"get\": %ld, \"head\": %ld, \"ssm\": %ld, "
             "\"imds\": %ld, \"other\": %ld, \"refused\": %ld, \"received\": %ld, \"sent\": %ld}\n",
             stats.connections, stats.handshakes, stats.resumed, stats.rounds, stats.requests,
             stats.list, stats.get, stats.head, stats.ssm, stats.imds, stats.other, stats.refused,
             stats.received, stats.sent);
    say(reply, "200 OK", "application/json", text);
}

static int is_signed(const struct request *request)
{
    char text[64];

    return strncmp(get_header(request, "authorization", text, sizeof text),
                   "AWS4-HMAC-SHA256 Credential=", 28) == 0;
}

void answer(const struct request *request, struct reply *reply)
{
    char method[8] = "", url[2048] = "", target[128], *query;

    stats.requests++;
    if (sscanf(request->head, "%7s /%2046s", method, url + 1) < 1)
        die("a request that is none");
    url[0] = '/';
    reply->last =
        strcasecmp(get_header(request, "connection", target, sizeof target), "close") == 0;
    query = strchr(url, '?');
    if (query)
        *query++ = '\0';
    decode(url);
    if (strncmp(url, "/__", 3) == 0)
        answer_control(reply, url);
    else if (strncmp(url, "/latest/", 8) == 0)
        answer_imds(request, reply, method, url);
    else if (!is_signed(request))
        refuse(reply, "403 Forbidden", "MissingAuthenticationToken");
    else if (*get_header(request, "x-amz-target", target, sizeof target))
        answer_ssm(request, reply, target);
    else
        answer_s3(request, reply, method, url + 1, query);
}
