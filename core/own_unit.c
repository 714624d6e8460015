/* See own_unit.h. The cgroup is the kernel's word and cannot be inherited by mistake, as variables
 * can. In which step of its life the unit is, only systemd knows: the cgroup of an ExecStartPre=
 * and of an ExecStart= is the same one, and so are their variables. */
#include "own_unit.h"

#include "child.h"
#include "clock.h"
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CGROUPS = 64 << 10, PATIENCE = 3000 /* milliseconds for systemctl */ };

static bool ends_in(const char *p, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);

    return len > n && memcmp(p + len - n, suffix, n) == 0;
}

/* Units that processes run in. Slices only hold other units. */
static bool is_unit(const char *p, size_t len)
{
    return ends_in(p, len, ".service") || ends_in(p, len, ".scope") || ends_in(p, len, ".socket") ||
           ends_in(p, len, ".mount") || ends_in(p, len, ".swap");
}

/* The first part of a path that is a unit: below it lie cgroups of the unit's own making. */
static bool unit_of_path(const char *path, size_t len, char ret[ES_UNIT_MAX])
{
    for (const char *p = path, *end = path + len; p < end;) {
        size_t n = strcspn(p, "/\n");

        if (is_unit(p, n) && n < ES_UNIT_MAX) {
            /* systemd puts a "_" before what could be taken for a file of the kernel's. */
            snprintf(ret, ES_UNIT_MAX, "%.*s", (int)(n - (*p == '_')), p + (*p == '_'));
            return true;
        }
        p += n + 1;
    }
    return false;
}

void es_own_unit_parse(const char *cgroups, char ret[ES_UNIT_MAX])
{
    ret[0] = '\0';
    for (const char *line = cgroups; *line;) {
        size_t len = strcspn(line, "\n");
        const char *path = memchr(line, ':', len);

        /* "0::PATH", or with cgroups of version 1 "N:name=systemd:PATH". Both may be there. */
        if (path && (strncmp(path, "::", 2) == 0 || strncmp(path, ":name=systemd:", 14) == 0)) {
            path = (const char *)memchr(path + 1, ':', len - (size_t)(path + 1 - line)) + 1;
            if (unit_of_path(path, len - (size_t)(path - line), ret))
                return;
        }
        line += len + (line[len] == '\n');
    }
}

static int read_cgroups(struct es_buf *ret)
{
    ES_CLEANUP(es_close) int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? 0 : es_buf_read_fd(ret, fd, MAX_CGROUPS);
}

/* Within a cgroup namespace of the unit's own (ProtectControlGroups=private) its cgroup is "/". But
 * systemd links "invocation:UNIT" to the number of each start, for the journal. */
static void find_invocation(const char *invocation, struct es_own_unit *own)
{
    static const char place[] = "/run/systemd/units", mark[] = "invocation:";
    ES_CLEANUP(es_dir_close) DIR *dir = opendir(place);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *unit = entry->d_name + strlen(mark);
        char target[64];
        ssize_t n;

        if (strncmp(entry->d_name, mark, strlen(mark)) != 0 || !is_unit(unit, strlen(unit)))
            continue;
        n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target);
        if (n > 0 && (size_t)n == strlen(invocation) &&
            memcmp(target, invocation, (size_t)n) == 0) {
            snprintf(own->name, sizeof own->name, "%s", unit);
            return;
        }
    }
    own->unsure = true;
    es_fail(&own->why, ES_UNAVAILABLE, ENOENT,
            "its cgroup does not tell, and %s knows no such INVOCATION_ID", place);
}

/* The value of a line "KEY=VALUE". */
static const char *value_of(const struct es_buf *text, const char *key, size_t *ret_len)
{
    size_t len = strlen(key);

    for (const char *line = es_buf_str(text); *line;) {
        size_t n = strcspn(line, "\n");

        if (n > len && strncmp(line, key, len) == 0) {
            *ret_len = n - len;
            return line + len;
        }
        line += n + (line[n] == '\n');
    }
    return NULL;
}

static int ask_about(const struct es_process *process, int64_t until, struct es_own_unit *own,
                     struct es_err *err)
{
    const char *const argv[] = {"systemctl",           "--no-pager", "show",    "--property=Names",
                                "--property=SubState", "--",         own->name, NULL};
    ES_CLEANUP(es_buf_done) struct es_buf said = {0};
    const char *state, *names;
    size_t len, n = 0;

    if (es_child_run(argv, process, until, &said, &own->why) < 0) {
        own->unsure = true;
        return 0;
    }
    state = value_of(&said, "SubState=", &len);
    own->starting = state && ((len == 9 && memcmp(state, "start-pre", 9) == 0) ||
                              (len == 9 && memcmp(state, "condition", 9) == 0));
    names = value_of(&said, "Names=", &n);
    if (names && (es_buf_append(&own->names, names, n) < 0 || es_buf_putc(&own->names, ' ') < 0))
        return es_nomem(err);
    return 0;
}

int es_own_unit_find(const struct es_process *process, int64_t until, struct es_own_unit *ret,
                     struct es_err *err)
{
    ES_CLEANUP(es_own_unit_done) struct es_own_unit own = {0};
    ES_CLEANUP(es_buf_done) struct es_buf cgroups = {0};
    int64_t patience = es_clock_ms() + PATIENCE;
    const char *invocation = es_process_getenv(process, "INVOCATION_ID");
    int r = 0;

    if (patience < until)
        until = patience;
    /* In a container the cgroup may be that of a unit of the host, which is none of ours. */
    if ((invocation || access("/run/systemd/system", F_OK) == 0) &&
        read_cgroups(&cgroups) == -ENOMEM)
        return es_nomem(err);
    es_own_unit_parse(es_buf_str(&cgroups), own.name);
    if (invocation && own.name[0] == '\0' && strstr(es_buf_str(&cgroups), "0::/\n"))
        find_invocation(invocation, &own);
    if (es_buf_puts(&own.names, " ") < 0 || es_buf_puts(&own.names, own.name) < 0 ||
        es_buf_putc(&own.names, ' ') < 0)
        return es_nomem(err);
    /* Only these have commands that come before their start. */
    if (ends_in(own.name, strlen(own.name), ".service") ||
        ends_in(own.name, strlen(own.name), ".socket"))
        r = ask_about(process, until, &own, err);
    if (r < 0)
        return r;
    *ret = own;
    own = (struct es_own_unit){0};
    return 0;
}

bool es_own_unit_is(const struct es_own_unit *own, const char *unit)
{
    const char *p = es_buf_str(&own->names);
    size_t len = strlen(unit);

    while ((p = strstr(p, unit)) != NULL) {
        if (p[-1] == ' ' && p[len] == ' ')
            return true;
        p += len;
    }
    return false;
}

void es_own_unit_done(struct es_own_unit *own)
{
    es_buf_done(&own->names);
}
