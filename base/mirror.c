/* Which object keys may become files below a mirror's directory. Keys are hostile: they come from
 * whoever can write the bucket. Used on both sides of the wall. */
#include "envsync/limits.h"
#include "envsync/provider.h"

#include <errno.h>
#include <string.h>

enum { MAX_COMPONENT = 255 };

/* ".NAME.envsync-XXXXXX": what a killed run left is removed by this name. */
static bool is_temporary(const char *name, size_t len)
{
    static const char mark[] = ".envsync-";

    return name[0] == '.' && memmem(name + 1, len - 1, mark, sizeof mark - 1);
}

static const char *component_fault(const char *name, size_t len)
{
    if (len == 0)
        return "has an empty component";
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return "has a component \".\" or \"..\"";
    if (len > MAX_COMPONENT)
        return "has a component of more than 255 bytes";
    return is_temporary(name, len) ? "has the name of a temporary file of envsync" : NULL;
}

static const char *path_fault(const char *path, size_t len)
{
    const char *fault = NULL;
    size_t depth = 0;

    if (len > ES_MAX_MIRROR_PATH)
        return "has more than 1024 bytes";
    if (memchr(path, '\0', len))
        return "has a NUL byte";
    for (size_t at = 0; !fault && at <= len;) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - path) - at : len - at;

        fault = component_fault(path + at, n);
        if (!fault && slash && ++depth > ES_MAX_MIRROR_DEPTH)
            fault = "is more than 50 directories deep";
        at += n + 1;
    }
    return fault;
}

int es_mirror_path_check(const char *path, size_t len, struct es_err *err)
{
    const char *fault = path_fault(path, len);

    if (!fault)
        return 0;
    return es_fail(err, ES_INVALID, EINVAL, "\"%.*s\" can be no file name here: it %s",
                   len > 300 ? 300 : (int)len, path, fault);
}
