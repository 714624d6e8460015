/* See names.h. The refused names act on programs that run with privileges before the app does: on
 * the ExecStartPre= line that reads the same file, on systemd's own protocol, on a shell that
 * sources the file. Everything else is the app's business. */
#include "names.h"

#include "envsync/format.h"
#include "envsync/key.h"

#include <errno.h>
#include <string.h>

static const char loader[] = "acts on the dynamic loader or the C library of privileged programs";
static const char systemd[] = "is what systemd itself hands over";
static const char shell[] = "is reserved or run by a shell that reads the file";

/* A name that ends in "*" is a prefix. */
static const struct {
    const char *name;
    const char *why;
} refused[] = {
    {"LD_*", loader},
    {"GLIBC_TUNABLES", loader},
    {"GCONV_PATH", loader},
    {"GETCONF_DIR", loader},
    {"HOSTALIASES", loader},
    {"LOCALDOMAIN", loader},
    {"LOCPATH", loader},
    {"MALLOC_CHECK_", loader},
    {"MALLOC_TRACE", loader},
    {"NIS_PATH", loader},
    {"NLSPATH", loader},
    {"RESOLV_HOST_CONF", loader},
    {"RES_OPTIONS", loader},
    {"TZDIR", loader},
    {"NOTIFY_SOCKET", systemd},
    {"WATCHDOG_*", systemd},
    {"LISTEN_*", systemd},
    {"INVOCATION_ID", systemd},
    {"JOURNAL_STREAM", systemd},
    {"CREDENTIALS_DIRECTORY", systemd},
    {"RUNTIME_DIRECTORY", systemd},
    {"STATE_DIRECTORY", systemd},
    {"CACHE_DIRECTORY", systemd},
    {"LOGS_DIRECTORY", systemd},
    {"CONFIGURATION_DIRECTORY", systemd},
    {"SYSTEMD_*", systemd},
    {"BASH_ENV", shell},
    {"ENV", shell},
    {"IFS", shell},
    {"PS4", shell},
    {"SHELLOPTS", shell},
    {"BASHOPTS", shell},
    {"UID", shell},
    {"EUID", shell},
    {"PPID", shell},
};

const char *es_name_refused(const char *name)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        size_t len = strlen(refused[i].name);

        if (refused[i].name[len - 1] == '*' ? strncmp(name, refused[i].name, len - 1) == 0
                                            : strcmp(name, refused[i].name) == 0)
            return refused[i].why;
    }
    return NULL;
}

static char fold(char c, bool keep_case)
{
    if (c == '-' || c == '.')
        return '_';
    return !keep_case && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

int es_name_of_key(const struct es_buf *key, bool verbatim, bool keep_case, struct es_buf *ret)
{
    ES_CLEANUP(es_buf_done) struct es_buf name = {0};
    struct es_segment segment;
    size_t offset = 0;

    if (verbatim && es_key_depth(key) == 1 && es_env_name_valid(key->data, key->len - 1))
        return es_buf_set(ret, key->data, key->len - 1);
    while (es_key_next(key, &offset, &segment)) {
        if (name.len > 0 && es_buf_putc(&name, '_') < 0)
            return -ENOMEM;
        for (size_t i = 0; i < segment.len; i++)
            if (es_buf_putc(&name, fold(segment.data[i], keep_case)) < 0)
                return -ENOMEM;
    }
    if (!es_env_name_valid(es_buf_str(&name), name.len))
        return -EINVAL;
    es_buf_move(ret, &name);
    return 0;
}
