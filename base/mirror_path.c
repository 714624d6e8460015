/* Relative paths that come from outside and become files (see envsync/provider.h). The same check
 * runs where an object key is read and, again, where the file is made. */
#include "envsync/limits.h"
#include "envsync/provider.h"

#include <errno.h>
#include <string.h>

static bool component_fits(const char *p, size_t n)
{
    static const char mark[] = ".envsync-";

    if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && memcmp(p, "..", 2) == 0))
        return false;
    /* Temporary files are known by their names: an object may not look like one. */
    return p[0] != '.' || !memmem(p, n, mark, sizeof mark - 1);
}

int es_mirror_path_check(const char *path, size_t len, struct es_err *err)
{
    size_t at = 0;

    if (len == 0 || len > ES_MAX_MIRROR_PATH || memchr(path, '\0', len))
        return es_fail(err, ES_INVALID, EINVAL,
                       "an object's key is empty, has a NUL or more than %d bytes",
                       ES_MAX_MIRROR_PATH);
    while (at <= len) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - path) - at : len - at;

        if (!component_fits(path + at, n))
            return es_fail(err, ES_INVALID, EINVAL,
                           "an object's key could leave its directory: it has an empty, \".\" or "
                           "\"..\" part, or one that no file can have");
        at += n + 1;
    }
    return 0;
}
