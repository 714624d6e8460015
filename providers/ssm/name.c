/* See name.h. Names come from the configuration and, in answers, from the network. */
#include "name.h"

#include "envsync/key.h"

#include <errno.h>
#include <string.h>

enum { MAX_NAME = 2048 };

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_.-/", c));
}

/* A reference to a secret may have what a secret's name may have. */
static bool is_reference(const char *base, size_t len)
{
    static const char start[] = "/aws/reference/secretsmanager/";

    return len >= sizeof start && memcmp(base, start, sizeof start - 1) == 0;
}

static const char *base_fault(const char *base, size_t len)
{
    bool reference = is_reference(base, len);

    if (len == 0 || base[len - 1] == '/')
        return "does not end in a name";
    if (memmem(base, len, "//", 2))
        return "has an empty part between slashes";
    for (size_t i = 0; i < len; i++)
        if (!is_plain(base[i]) && !(reference && strchr("+=@", base[i])))
            return "has a character that no parameter has";
    return NULL;
}

int es_ssm_name_parse(const char *text, struct es_ssm_name *ret, struct es_err *err)
{
    struct es_ssm_name name = {.text = text, .base = text};
    const char *fault;

    if (strncmp(text, "arn:", 4) == 0) {
        const char *parameter = strstr(text, ":parameter/");

        if (!parameter)
            return es_fail(err, ES_CONFIG, EINVAL, "\"%.100s\" is no ARN of a parameter", text);
        name.arn = true;
        name.base = parameter + strlen(":parameter");
    }
    name.len = strcspn(name.base, ":");
    name.selector = name.base + name.len;
    fault = strlen(text) > MAX_NAME ? "is too long" : base_fault(name.base, name.len);
    if (!fault &&
        (strcmp(name.selector, ":") == 0 || (*name.selector && strpbrk(name.selector + 1, ":/ "))))
        fault = "has no version or label behind its \":\"";
    if (fault)
        return es_fail(err, ES_CONFIG, EINVAL, "\"%.100s\" %s", text, fault);
    *ret = name;
    return 0;
}

int es_ssm_path_check(const char *path, struct es_err *err)
{
    const char *fault = NULL;
    size_t len = strlen(path);

    if (path[0] != '/')
        fault = "must start with /";
    else if (len > MAX_NAME)
        fault = "is too long";
    else if (strstr(path, "//"))
        fault = "has an empty part between slashes";
    for (size_t i = 0; !fault && i < len; i++)
        if (!is_plain(path[i]))
            fault = "has a character that no parameter has";
    return fault ? es_fail(err, ES_CONFIG, EINVAL, "\"%.100s\" %s", path, fault) : 0;
}

/* Length of what the name shares with `above` and the slash between; 0: not below it. */
static size_t shared(const char *name, size_t len, const char *above)
{
    size_t n = strlen(above);

    while (n > 0 && above[n - 1] == '/')
        n--;
    if (len <= n + 1 || memcmp(name, above, n) != 0 || name[n] != '/')
        return 0;
    return n + 1;
}

int es_ssm_key(const char *name, size_t len, const char *above, struct es_buf *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf key = {0};
    const char *last = memrchr(name, '/', len), *p = last ? last + 1 : name;

    if (above) {
        bool root = strcmp(above, "/") == 0 && len > 0 && name[0] != '/';
        size_t n = root ? 0 : shared(name, len, above);

        if (n == 0 && !root)
            return -ENOENT;
        p = name + n;
    }
    for (const char *end = name + len; p <= end;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        size_t n = (size_t)((slash ? slash : end) - p);

        if (n == 0)
            return -ENOENT;
        if (es_key_push(&key, p, n) < 0)
            return -ENOMEM;
        p += n + 1;
    }
    es_buf_move(ret, &key);
    return 0;
}
