/* See error.h. Documents and headers are hostile; nothing is copied that does not have the shape
 * of what it should be. The first of several codes wins. */
#include "error.h"

#include "endpoint.h"
#include "envsync/jansson.h"
#include "xml.h"

#include <errno.h>
#include <string.h>

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Copies the len bytes where they fit, are letters, digits or of `also`, and nothing is there. */
static void set(char *field, size_t size, const char *text, size_t len, const char *also)
{
    if (*field || len == 0 || len >= size)
        return;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(text[i]) && (!text[i] || !strchr(also, text[i])))
            return;
    memcpy(field, text, len);
    field[len] = '\0';
}

/* "com.amazonaws.x#Code:http://..." -> Code */
static void set_code(struct es_aws_error *error, const char *text)
{
    size_t len = strcspn(text, ":"), from = len;

    while (from > 0 && text[from - 1] != '#')
        from--;
    set(error->code, sizeof error->code, text + from, len - from, "._-");
}

static void set_request(struct es_aws_error *error, const char *text)
{
    set(error->request_id, sizeof error->request_id, text, strlen(text), "-_+/=");
}

static void set_region(struct es_aws_error *error, const char *text)
{
    if (es_aws_region_valid(text))
        set(error->region, sizeof error->region, text, strlen(text), "-");
}

/* "... is not authorized to perform: ACTION on resource: ARN because ..." */
static void set_denial(struct es_aws_error *error, const char *message)
{
    static const char perform[] = "not authorized to perform: ";
    static const char on[] = "on resource: ";
    const char *action = strstr(message, perform);
    const char *resource, *colon;
    size_t len;

    if (!action)
        return;
    action += sizeof perform - 1;
    len = strcspn(action, " ");
    colon = memchr(action, ':', len);
    if (!colon || colon == action || memchr(colon + 1, ':', len - (size_t)(colon + 1 - action)))
        return;
    set(error->action, sizeof error->action, action, len, ":-*");
    resource = strstr(action, on);
    if (!resource)
        return;
    resource += sizeof on - 1;
    resource += *resource == '"'; /* S3 quotes it */
    if (strncmp(resource, "arn:", 4) == 0)
        set(error->resource, sizeof error->resource, resource, strcspn(resource, " \""),
            ":/-_.*+=@,");
}

void es_aws_error_element(struct es_aws_error *error, const char *name, const char *text)
{
    if (strcmp(name, "Code") == 0)
        set_code(error, text);
    else if (strcmp(name, "RequestId") == 0 || strcmp(name, "RequestID") == 0)
        set_request(error, text);
    else if (strcmp(name, "Region") == 0)
        set_region(error, text);
    else if (strcmp(name, "Message") == 0)
        set_denial(error, text);
}

/* ---- XML ---- */

struct xml_state {
    struct es_aws_error *error;
    unsigned in; /* depth of the children of <Error>, 0 outside */
    bool wrapped;
};

static int on_open(void *data, unsigned depth, const char *name, struct es_err *err)
{
    struct xml_state *state = data;

    (void)err;
    if (depth == 0 && strcmp(name, "ErrorResponse") == 0)
        state->wrapped = true;
    else if (strcmp(name, "Error") == 0 && depth == (state->wrapped ? 1 : 0))
        state->in = depth + 1;
    return 0;
}

static int on_close(void *data, unsigned depth, const char *name, const char *text, size_t len,
                    struct es_err *err)
{
    struct xml_state *state = data;

    (void)len, (void)err;
    if (state->in && depth == state->in)
        es_aws_error_element(state->error, name, text);
    else if (state->wrapped && depth == 1 && strcmp(name, "RequestId") == 0)
        set_request(state->error, text);
    if (state->in && depth + 1 == state->in)
        state->in = 0;
    return 0;
}

static int read_xml(struct es_aws_error *error, const char *body, size_t len, struct es_err *err)
{
    static const struct es_xml_handler handler = {on_open, on_close};
    ES_CLEANUP(es_xml_freep) struct es_xml *xml = NULL;
    struct xml_state state = {.error = error};
    struct es_err ignored;
    int r = es_xml_new(&handler, &state, ES_AWS_MAX_ERROR, &xml, err);

    if (r < 0)
        return r;
    /* What was read before a broken end still counts. */
    return es_xml_feed(xml, body, len, &ignored) == -ENOMEM ? es_nomem(err) : 0;
}

/* ---- JSON ---- */

static const char *text_of(const json_t *root, const char *name)
{
    const char *text = json_string_value(json_object_get(root, name));

    return text ? text : "";
}

static void free_json(json_t **root)
{
    json_decref(*root);
}

/* A document that is no JSON says nothing. The header counts before "code", which is how the
 * metadata services name it. */
static int read_json(struct es_aws_error *error, const char *body, size_t len, const char *type,
                     struct es_err *err)
{
    ES_CLEANUP(free_json) json_t *root = NULL;
    json_error_t ignored;

    if (es_jansson_load(body, len, 0, &root, &ignored) == -ENOMEM)
        return es_nomem(err);
    set_code(error, text_of(root, "__type"));
    set_code(error, type ? type : "");
    set_code(error, text_of(root, "code"));
    set_code(error, text_of(root, "Code"));
    set_denial(error, text_of(root, "message"));
    set_denial(error, text_of(root, "Message"));
    return 0;
}

int es_aws_error_read(struct es_aws_error *ret, const char *body, size_t len,
                      const struct es_aws_error_headers *headers, struct es_err *err)
{
    struct es_aws_error error = {0};
    size_t at = 0;
    int r = 0;

    /* S3's header is right where its document may not be. */
    if (headers->bucket_region)
        set_region(&error, headers->bucket_region);
    if (headers->request_id)
        set_request(&error, headers->request_id);
    if (len > ES_AWS_MAX_ERROR)
        len = 0;
    while (at < len && strchr(" \t\r\n", body[at]) && body[at])
        at++;
    if (at < len && body[at] == '<')
        r = read_xml(&error, body + at, len - at, err);
    else if (at < len && body[at] == '{')
        r = read_json(&error, body, len, headers->type, err);
    if (headers->type)
        set_code(&error, headers->type);
    if (r == 0)
        *ret = error;
    return r;
}

int es_aws_error_text(const struct es_aws_error *error, struct es_buf *out)
{
    const char *comma = *error->code && *error->request_id ? ", " : "";
    const char *request = *error->request_id ? "request " : "";

    return es_buf_printf(out, "%s%s%s%s", error->code, comma, request, error->request_id);
}
