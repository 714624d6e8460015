/* The bound: how fast libcurl alone does the same requests.
 *
 *   bound [-u] [-n CONNECTIONS] IMDS AWS OBJECTS SIZE PARAMETERS CA_DIRECTORY
 *
 * Asks the metadata service at the URL IMDS for a token, a role and keys; then, from the URL AWS,
 * for the listing of the bucket nOBJECTS-sSIZE, its objects over CONNECTIONS (32) connections, and
 * for the parameters below /bench/pPARAMETERS. TLS sessions are shared, certificates come from a
 * hashed directory, every request is signed. It parses nothing: what the canned AWS will say is
 * known. Nothing is kept; bytes are counted, and another number than there must be is a failure.
 * -u: what an unchanged run needs, the listing and the parameters. */
#include "providers/aws/sign.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_S3 = 1000, PAGE_SSM = 10, MAX_HEADERS = 12, TEXT = 1024 };

enum kind { TOKEN, ROLE, KEYS, LIST, PARAMETERS, OBJECT };

struct handle {
    struct handle *next; /* among the free ones */
    CURL *easy;
    enum kind kind;
    long number;
    char url[TEXT], body[TEXT];
    char lines[MAX_HEADERS][TEXT];
    struct curl_slist headers[MAX_HEADERS];
};

static struct {
    const char *imds, *aws, *host, *ca;
    char bucket[64], path[64];
    long objects, parameters, next, bytes, connections;
    size_t size;
    bool unchanged;
    CURLM *multi;
    CURLSH *share;
    struct handle *free;
    struct es_aws_signer *signer;
    struct es_aws_keys keys;
    long pending, in_flight;
} bound;

static void die(const char *what)
{
    fprintf(stderr, "bound: %s\n", what);
    exit(1);
}

static size_t count(const char *bytes, size_t size, size_t n, void *data)
{
    const struct handle *h = data;

    (void)bytes;
    if (h->kind == OBJECT)
        bound.bytes += (long)(size * n);
    return size * n;
}

static struct handle *take(enum kind kind, long number)
{
    struct handle *h = bound.free;

    if (h) {
        bound.free = h->next;
    } else {
        h = calloc(1, sizeof *h);
        if (!h || !(h->easy = curl_easy_init()))
            die("no memory");
        curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, count);
        curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
        curl_easy_setopt(h->easy, CURLOPT_PRIVATE, h);
        curl_easy_setopt(h->easy, CURLOPT_SHARE, bound.share);
        curl_easy_setopt(h->easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(h->easy, CURLOPT_CAPATH, bound.ca);
        curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    }
    h->kind = kind;
    h->number = number;
    return h;
}

static void go(struct handle *h, const char *method, int n_headers)
{
    for (int i = 0; i < n_headers; i++)
        h->headers[i] = (struct curl_slist){.data = h->lines[i],
                                            .next = i + 1 < n_headers ? &h->headers[i + 1] : NULL};
    curl_easy_setopt(h->easy, CURLOPT_URL, h->url);
    curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, n_headers ? h->headers : NULL);
    curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(h->easy, CURLOPT_HTTPGET, 1L);
    if (method[0] == 'P') {
        curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, h->body);
        curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, method);
    }
    if (curl_multi_add_handle(bound.multi, h->easy) != CURLM_OK)
        die("curl_multi_add_handle");
    bound.pending++;
}

static void send_imds(enum kind kind)
{
    static const char *const paths[] = {
        [TOKEN] = "/latest/api/token",
        [ROLE] = "/latest/meta-data/iam/security-credentials/",
        [KEYS] = "/latest/meta-data/iam/security-credentials/bench",
    };
    struct handle *h = take(kind, 0);

    snprintf(h->url, TEXT, "%s%s", bound.imds, paths[kind]);
    snprintf(h->lines[0], TEXT, "%s",
             kind == TOKEN ? "x-aws-ec2-metadata-token-ttl-seconds: 21600"
                           : "x-aws-ec2-metadata-token: AQAEAbenchmarktoken==");
    h->body[0] = '\0';
    go(h, kind == TOKEN ? "PUT" : "GET", 1);
}

static void sign_and_go(struct handle *h, const char *service, struct es_aws_request *request)
{
    static struct es_aws_signed out;
    struct es_err err;
    char hash[ES_AWS_HASH_HEX + 1];
    int n = 0;
    const struct es_aws_scope scope = {
        .keys = &bound.keys,
        .region = "us-east-1",
        .service = service,
        .flags = service[1] == '3' ? ES_AWS_SIGN_S3 : ES_AWS_SIGN_OTHER,
        .now = time(NULL),
    };

    if (request->method[0] == 'P') {
        if (es_aws_signer_hash(bound.signer, h->body, strlen(h->body), hash, &err) < 0)
            die(err.msg);
        request->payload_hash = hash;
    }
    request->host = bound.host;
    if (es_aws_sign(bound.signer, &scope, request, &out, &err) < 0)
        die(err.msg);
    for (size_t i = 0; i < request->n_headers; i++)
        snprintf(h->lines[n++], TEXT, "%s: %s", request->headers[i].name,
                 request->headers[i].value);
    for (size_t i = 0; i < ES_AWS_SIGNED_HEADERS; i++)
        if (out.headers[i].len)
            snprintf(h->lines[n++], TEXT, "%s", out.headers[i].data);
    snprintf(h->url, TEXT, "%s%s", bound.aws, out.target.data);
    go(h, request->method, n);
}

static void send_list(long from)
{
    char path[80], token[32];
    const struct es_aws_pair query[] = {{"list-type", "2"},
                                        {"encoding-type", "url"},
                                        {"prefix", ""},
                                        {"continuation-token", token}};
    struct es_aws_request request = {
        .method = "GET", .path = path, .query = query, .n_query = from ? 4 : 3};

    snprintf(path, sizeof path, "/%s/", bound.bucket);
    snprintf(token, sizeof token, "t%ld", from);
    sign_and_go(take(LIST, from), "s3", &request);
}

static void send_object(void)
{
    static const struct es_aws_pair headers[] = {{"x-amz-checksum-mode", "ENABLED"}};
    char path[128];
    struct es_aws_request request = {
        .method = "GET", .path = path, .headers = headers, .n_headers = 1};

    snprintf(path, sizeof path, "/%s/app-%06ld.env", bound.bucket, bound.next);
    bound.in_flight++;
    sign_and_go(take(OBJECT, bound.next++), "s3", &request);
}

static void send_parameters(long from)
{
    static const struct es_aws_pair headers[] = {
        {"content-type", "application/x-amz-json-1.1"},
        {"x-amz-target", "AmazonSSM.GetParametersByPath"},
    };
    struct es_aws_request request = {
        .method = "POST", .path = "/", .headers = headers, .n_headers = 2};
    struct handle *h = take(PARAMETERS, from);
    int n =
        snprintf(h->body, TEXT,
                 "{\"Path\":\"%s\",\"Recursive\":true,\"WithDecryption\":true,\"MaxResults\":10",
                 bound.path);

    if (from)
        n += snprintf(h->body + n, TEXT - (size_t)n,
                      ",\"NextToken\":\"tok-%ld-AAAAAAAAAAAAAAAAAAAAAAAA\"", from);
    snprintf(h->body + n, TEXT - (size_t)n, "}");
    sign_and_go(h, "ssm", &request);
}

static void send_objects(void)
{
    while (!bound.unchanged && bound.next < bound.objects && bound.in_flight < bound.connections)
        send_object();
}

static void done(enum kind kind, long number)
{
    switch (kind) {
    case TOKEN:
        send_imds(ROLE);
        return;
    case ROLE:
        send_imds(KEYS);
        return;
    case KEYS:
        if (bound.objects)
            send_list(0);
        if (bound.parameters)
            send_parameters(0);
        return;
    case LIST:
        if (number + PAGE_S3 < bound.objects)
            send_list(number + PAGE_S3);
        else
            send_objects();
        return;
    case PARAMETERS:
        if (number + PAGE_SSM < bound.parameters)
            send_parameters(number + PAGE_SSM);
        return;
    case OBJECT:
        bound.in_flight--;
        send_objects();
        return;
    }
}

static void collect(void)
{
    const CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(bound.multi, &left))) {
        struct handle *h = NULL;
        enum kind kind;
        long status = 0, number;

        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&h);
        curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (msg->data.result != CURLE_OK || status != 200)
            die(msg->data.result ? curl_easy_strerror(msg->data.result)
                                 : "another status than 200");
        curl_multi_remove_handle(bound.multi, h->easy);
        bound.pending--;
        kind = h->kind;
        number = h->number;
        h->next = bound.free;
        bound.free = h;
        done(kind, number);
    }
}

static void begin(char **argv)
{
    struct es_err err;

    bound.imds = argv[0];
    bound.aws = argv[1];
    bound.host = strstr(argv[1], "//") ? strstr(argv[1], "//") + 2 : "";
    bound.objects = atol(argv[2]);
    bound.size = strtoul(argv[3], NULL, 10);
    bound.parameters = atol(argv[4]);
    bound.ca = argv[5];
    snprintf(bound.bucket, sizeof bound.bucket, "n%ld-s%zu", bound.objects, bound.size);
    snprintf(bound.path, sizeof bound.path, "/bench/p%ld", bound.parameters);
    if (es_buf_puts(&bound.keys.id, "AKIAIOSFODNN7EXAMPLE") < 0 ||
        es_buf_puts(&bound.keys.secret, "secret") < 0 ||
        es_buf_puts(&bound.keys.token, "sessiontoken") < 0 ||
        es_aws_signer_new(&bound.signer, &err) < 0)
        die("no memory");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bound.multi = curl_multi_init();
    bound.share = curl_share_init();
    if (!bound.multi || !bound.share)
        die("no memory");
    curl_share_setopt(bound.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(bound.multi, CURLMOPT_MAXCONNECTS, 2 * bound.connections);
}

int main(int argc, char **argv)
{
    int option, running;

    bound.connections = 32;
    while ((option = getopt(argc, argv, "un:")) != -1) {
        if (option == 'u')
            bound.unchanged = true;
        else if (option == 'n')
            bound.connections = atol(optarg);
        else
            return 64;
    }
    if (argc - optind != 6)
        return 64;
    begin(argv + optind);
    send_imds(TOKEN);
    while (bound.pending) {
        if (curl_multi_perform(bound.multi, &running) != CURLM_OK)
            die("curl_multi_perform");
        collect();
        if (running && curl_multi_poll(bound.multi, NULL, 0, 1000, NULL) != CURLM_OK)
            die("curl_multi_poll");
    }
    if (!bound.unchanged && bound.bytes != bound.objects * (long)bound.size)
        die("another number of bytes than there must be");
    return 0;
}
