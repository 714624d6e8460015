/* Who may add what to which table of a TOML document (see toml.h).
 *
 * Names are untrusted. A table is defined once: how it came to be decides who may still add to it,
 * and a document that breaks this is refused with the line of what was there first.
 */
#include "toml.h"

#include "envsync/key.h"

#include <errno.h>
#include <stdio.h>

/* "an integer (line 3)" and so on: what stands there already. */
struct there {
    char text[80];
};

static struct there what_is(const struct es_entry *entry)
{
    static const char *const made[] = {
        [TOML_LIST] = "a list",
        [TOML_IMPLIED] = "a table",
        [TOML_HEADER] = "a table with a header",
        [TOML_DOTTED] = "a table made by dotted keys",
        [TOML_INLINE] = "a table in braces",
        [TOML_TABLES] = "a list of tables",
    };
    enum es_type type = entry->value.type;
    struct there ret;

    if (type == ES_LIST || type == ES_TABLE)
        snprintf(ret.text, sizeof ret.text, "%s (line %u)", made[entry->value.mark],
                 entry->pos.line);
    else
        snprintf(ret.text, sizeof ret.text, "%s %s (line %u)", type == ES_INTEGER ? "an" : "a",
                 es_type_name(type), entry->pos.line);
    return ret;
}

/* The last name of the path cannot be gone through: say why, and what to do instead. */
static int refuse_below(struct toml *t, struct es_pos pos, const struct es_entry *entry)
{
    const char *what;

    switch ((enum toml_mark)entry->value.mark) {
    case TOML_HEADER:
        what = "put the key below that header";
        break;
    case TOML_INLINE:
        what = "put the key between its braces";
        break;
    case TOML_TABLES:
        what = "put the key below its [[header]]";
        break;
    default:
        what = "nothing can be put below it; rename one of the two";
        break;
    }
    return toml_fail(t, pos, "%s is already %s: %s", es_key_text(&t->path).text,
                     what_is(entry).text, what);
}

static int refuse_key(struct toml *t, struct es_pos pos, const struct es_entry *entry)
{
    if (entry->value.type == ES_TABLE)
        return toml_fail(t, pos, "%s is already %s; remove or rename one of the two",
                         es_key_text(&t->path).text, what_is(entry).text);
    return toml_fail(t, pos, "%s is set twice, first in line %u; remove one of the two",
                     es_key_text(&t->path).text, entry->pos.line);
}

static int refuse_header(struct toml *t, struct es_pos pos, const struct es_entry *entry, bool list)
{
    struct es_key_text name = es_key_text(&t->path);

    if (!list && entry->value.type == ES_TABLE && entry->value.mark == TOML_HEADER)
        return toml_fail(t, pos, "[%s] stands here twice, first in line %u; put its keys together",
                         name.text, entry->pos.line);
    if (!list && entry->value.type == ES_LIST && entry->value.mark == TOML_TABLES)
        return toml_fail(t, pos, "%s is %s: write [[%s]]", name.text, what_is(entry).text,
                         name.text);
    return toml_fail(t, pos, "%s is already %s and cannot get a header; rename one of the two",
                     name.text, what_is(entry).text);
}

/* Adds a name to a table; *ret_new says whether it is new. */
static int add_name(struct toml *t, struct es_value *table, const struct es_buf *name,
                    struct es_pos pos, struct es_entry **ret, bool *ret_new)
{
    int r = es_table_add(table, es_buf_str(name), name->len, ret);

    if (r < 0 && r != -EEXIST)
        return es_nomem(t->err);
    *ret_new = r == 0;
    if (r == 0)
        (*ret)->pos = (*ret)->value.pos = pos;
    return 0;
}

int toml_enter(struct toml *t, struct es_value **table, unsigned *depth, const struct es_buf *name,
               struct es_pos pos, bool header)
{
    struct es_entry *entry = NULL;
    struct es_value *below;
    bool is_new = false;
    int r = add_name(t, *table, name, pos, &entry, &is_new);

    if (r < 0)
        return r;
    below = &entry->value;
    if (is_new) {
        es_value_set_table(below);
        below->mark = header ? TOML_IMPLIED : TOML_DOTTED;
    } else if (header && below->type == ES_LIST && below->mark == TOML_TABLES) {
        below = &below->list.items[below->list.n - 1];
        ++*depth;
    }
    if (below->type != ES_TABLE || below->mark == TOML_INLINE ||
        (!header && below->mark == TOML_HEADER))
        return refuse_below(t, pos, entry);
    if (!header)
        below->mark = TOML_DOTTED;
    *table = below;
    return 0;
}

/* Makes the table, or gives one that was only on the way to another its header. */
int toml_add_table(struct toml *t, struct es_value *in, const struct es_buf *name,
                   struct es_pos pos, struct es_value **ret)
{
    struct es_entry *entry = NULL;
    bool is_new = false;
    int r = add_name(t, in, name, pos, &entry, &is_new);

    if (r < 0)
        return r;
    if (is_new)
        es_value_set_table(&entry->value);
    else if (entry->value.type != ES_TABLE || entry->value.mark != TOML_IMPLIED)
        return refuse_header(t, pos, entry, false);
    entry->pos = entry->value.pos = pos;
    entry->value.mark = TOML_HEADER;
    *ret = &entry->value;
    return 0;
}

int toml_add_item(struct toml *t, struct es_value *in, const struct es_buf *name, struct es_pos pos,
                  struct es_value **ret)
{
    struct es_entry *entry = NULL;
    bool is_new = false;
    int r = add_name(t, in, name, pos, &entry, &is_new);

    if (r < 0)
        return r;
    if (is_new) {
        es_value_set_list(&entry->value);
        entry->value.mark = TOML_TABLES;
    } else if (entry->value.type != ES_LIST || entry->value.mark != TOML_TABLES) {
        return refuse_header(t, pos, entry, true);
    }
    if (es_list_add(&entry->value, ret) < 0)
        return es_nomem(t->err);
    (*ret)->pos = pos;
    es_value_set_table(*ret);
    (*ret)->mark = TOML_HEADER;
    return 0;
}

int toml_add_key(struct toml *t, struct es_value *table, const struct es_buf *name,
                 struct es_pos pos, struct es_value **ret)
{
    struct es_entry *entry = NULL;
    bool is_new = false;
    int r = add_name(t, table, name, pos, &entry, &is_new);

    if (r < 0)
        return r;
    if (!is_new)
        return refuse_key(t, pos, entry);
    *ret = &entry->value;
    return 0;
}
