/* A systemd service unit, read as systemd reads it: for `check --unit` and `init`, offline.
 *
 * Only reading, and only what a check needs. What systemd would ignore is kept as such, so that it
 * can be told. Everything is bounded by limits.h; values may hold secrets (Environment=), so they
 * live in es_buf and are never put into messages.
 */
#ifndef ENVSYNC_CORE_UNIT_H
#define ENVSYNC_CORE_UNIT_H

#include "envsync/buf.h"
#include "envsync/err.h"

#include <stdint.h>

enum es_unit_kind {
    ES_UNIT_SETTING, /* an assignment */
    ES_UNIT_HEADER,  /* a [Section] begins; no key */
    ES_UNIT_IGNORED, /* systemd passes over this line; value says why, key may be NULL */
};

/* One logical line, in the order in which systemd applies them: the unit, then its drop-ins. */
struct es_unit_setting {
    enum es_unit_kind kind;
    const char *file; /* borrowed from the unit */
    unsigned line;    /* where it begins */
    char *section;    /* NULL: none yet */
    char *key;
    struct es_buf value; /* stripped, continuation lines joined; not yet unquoted */
};

struct es_unit {
    char *name;     /* "foo@bar.service" */
    char *instance; /* "bar"; NULL where the name has none */
    char *folder;   /* the unit was read as a file: where it lies; NULL: by its name */
    char **files;   /* that were read */
    size_t n_files;
    struct es_unit_setting *settings;
    size_t n, cap;
};
void es_unit_done(struct es_unit *unit);

/* Appends what one file says (parse.c). Fails, as systemd does, on a section header that is not
 * closed; ES_CONFIG, "FILE:LINE: ...". */
int es_unit_parse(struct es_unit *unit, const char *file, const char *text, size_t len,
                  struct es_err *err);

/* Reads a unit with its drop-ins (load.c). With a slash in it, `which` is a file, with its drop-ins
 * beside it, and in systemd's directories where it lies in one of those; else a name, looked for
 * there, and then in the working directory. `beside` (or NULL) is a directory to look in first.
 * `instance` (or NULL) is what a template is read as. ES_USAGE for what is no service,
 * -ENOENT and ES_CONFIG where there is none. */
int es_unit_load(const char *which, const char *beside, const char *instance, struct es_unit *ret,
                 struct es_err *err);

/* What systemd takes for blanks. */
#define ES_UNIT_BLANKS " \t\n\r"

/* ---- names (words.c) ---- */

/* "foo" of "foo@bar.service" and of "foo.service". */
size_t es_unit_prefix_length(const char *name);
/* "foo@.service" of "foo@bar.service"; NULL in ret where it is no instance. */
int es_unit_template(const char *name, char **ret);

/* ---- values (words.c, values.c) ---- */

/* Takes the next word off *p, unquoted and unescaped as systemd does. 1; 0 at the end; -EINVAL
 * where a quote is not closed; -ENOMEM. */
int es_unit_word(const char **p, struct es_buf *ret);

/* Replaces specifiers that are the same on every host (%p %i %n %t ...); others stay. 0, -ENOMEM,
 * or -EFBIG. */
int es_unit_expand(const struct es_unit *unit, const char *text, struct es_buf *ret);

/* The next assignment of a key; `key` may name several: "ReadWritePaths|ReadWriteDirectories".
 * `after`: NULL, or the one before. */
const struct es_unit_setting *es_unit_next(const struct es_unit *unit, const char *section,
                                           const char *key, const struct es_unit_setting *after);

/* The last one that reads as a boolean, or def. ret_at (may be NULL): it, else NULL. */
bool es_unit_bool(const struct es_unit *unit, const char *section, const char *key, bool def,
                  const struct es_unit_setting **ret_at);

/* The last one that is among `words` (ends with NULL): its number, else -1. */
int es_unit_choice(const struct es_unit *unit, const char *section, const char *key,
                   const char *const *words, const struct es_unit_setting **ret_at);

/* A time span as systemd reads it, in milliseconds; INT64_MAX for "infinity". */
bool es_unit_span(const char *text, int64_t *ret_ms);

enum es_unit_how {
    ES_UNIT_WORDS = 0,
    ES_UNIT_WHOLE = 1 << 0, /* the value is one item */
    ES_UNIT_NO_RESET =
        1 << 1, /* an empty assignment does not empty the list: After= and the like */
};

struct es_unit_item {
    struct es_buf text; /* specifiers replaced */
    const struct es_unit_setting *at;
};
struct es_unit_items {
    struct es_unit_item *items;
    size_t n;
};
/* What all assignments of a key come to. */
int es_unit_list(const struct es_unit *unit, const char *section, const char *key, unsigned how,
                 struct es_unit_items *ret, struct es_err *err);
void es_unit_items_done(struct es_unit_items *items);
const struct es_unit_item *es_unit_find(const struct es_unit_items *items, const char *text);

/* The last assignment of a key, specifiers replaced; empty: none, and ret_at is NULL. */
int es_unit_text(const struct es_unit *unit, const char *section, const char *key,
                 struct es_buf *ret, const struct es_unit_setting **ret_at, struct es_err *err);

/* ---- commands (command.c) ---- */

struct es_unit_command {
    const struct es_unit_setting *at;
    bool ignores_failure; /* - */
    bool privileged;      /* +: neither user nor sandbox */
    bool keeps_root;      /* !: no user, but the sandbox */
    bool ambient;         /* !!: means nothing on kernels of today */
    char **argv;          /* argv[0] is the program; ends with NULL */
    size_t argc;
};
struct es_unit_commands {
    struct es_unit_command *items;
    size_t n;
};
int es_unit_commands(const struct es_unit *unit, const char *key, struct es_unit_commands *ret,
                     struct es_err *err);
void es_unit_commands_done(struct es_unit_commands *commands);

#endif
