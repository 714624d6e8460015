/* See profile.h. Two passes in one: lines make values with their line breaks, and the end of a
 * value makes entries of it. Lookups are linear: files are small, and read once per run. */
#include "profile.h"

#include "envsync/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 10000 }; /* sections, and entries: they are searched one by one */

enum kind { KIND_OTHER, KIND_PROFILE, KIND_SERVICES };

struct section {
    struct es_buf header; /* as it stands in [ ] */
    struct es_buf name;
    enum kind kind;
    enum es_aws_profile_file file;
};

struct entry {
    size_t section;
    struct es_buf key;
    struct es_buf sub; /* empty: the key itself */
    bool nested;       /* the key holds sub-keys, or this is one */
    struct es_buf value;
};

struct es_aws_profiles {
    struct section *sections;
    size_t n_sections, cap_sections;
    struct entry *entries;
    size_t n_entries, cap_entries;
};

/* A piece of the text, borrowed. */
struct span {
    const char *at;
    size_t len;
};

struct reader {
    struct es_aws_profiles *profiles;
    enum es_aws_profile_file file;
    unsigned line;
    size_t first;    /* section of this file */
    bool section;    /* one has begun */
    bool open;       /* a value may still be continued */
    size_t indent;   /* of the last header or name */
    unsigned blanks; /* empty lines that belong to the value if it goes on */
};

int es_aws_profiles_new(struct es_aws_profiles **ret, struct es_err *err)
{
    struct es_aws_profiles *profiles = calloc(1, sizeof *profiles);

    if (!profiles)
        return es_nomem(err);
    *ret = profiles;
    return 0;
}

void es_aws_profiles_free(struct es_aws_profiles *profiles)
{
    if (!profiles)
        return;
    for (size_t i = 0; i < profiles->n_sections; i++) {
        es_buf_done(&profiles->sections[i].header);
        es_buf_done(&profiles->sections[i].name);
    }
    for (size_t i = 0; i < profiles->n_entries; i++) {
        es_buf_done(&profiles->entries[i].key);
        es_buf_done(&profiles->entries[i].sub);
        es_buf_done(&profiles->entries[i].value);
    }
    free(profiles->sections);
    free(profiles->entries);
    free(profiles);
}

void es_aws_profiles_freep(struct es_aws_profiles **profiles)
{
    es_aws_profiles_free(*profiles);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_space(*s.at)) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

static bool span_is(const struct es_buf *buf, struct span s)
{
    return buf->len == s.len && (s.len == 0 || memcmp(buf->data, s.at, s.len) == 0);
}

/* Room for one more element; the arrays hold no secrets themselves, only pointers to them. */
static int grow(void *array, size_t n, size_t *cap, size_t size)
{
    void **items = array, *more;
    size_t wanted = *cap ? *cap * 2 : 16;

    if (n < *cap)
        return 0;
    more = reallocarray(*items, wanted, size);
    if (!more)
        return -ENOMEM;
    *items = more;
    *cap = wanted;
    return 0;
}

static int bad(const struct reader *reader, struct es_err *err, const char *why)
{
    return es_fail(err, ES_CONFIG, EINVAL, "%u: %s", reader->line, why);
}

/* ---- sections ---- */

/* `profile NAME` or `profile "NAME"`: the name behind the word, or false. */
static bool named(struct span header, const char *word, struct span *ret)
{
    size_t n = strlen(word);
    struct span name;

    if (header.len <= n || memcmp(header.at, word, n) != 0 || !is_space(header.at[n]))
        return false;
    name = trim((struct span){header.at + n, header.len - n});
    if (name.len >= 2 && (*name.at == '"' || *name.at == '\'') &&
        name.at[name.len - 1] == *name.at) {
        name.at++;
        name.len -= 2;
        *ret = name;
        return true;
    }
    for (size_t i = 0; i < name.len; i++)
        if (is_space(name.at[i]) || strchr("\"'\\", name.at[i]))
            return false;
    *ret = name;
    return name.len > 0;
}

static enum kind classify(enum es_aws_profile_file file, struct span header, struct span *name)
{
    struct span bare = trim(header);

    *name = header;
    if (file == ES_AWS_CREDENTIALS_FILE)
        return KIND_PROFILE;
    if (header.len == 7 && memcmp(header.at, "default", 7) == 0)
        return KIND_PROFILE;
    if (named(bare, "profile", name))
        return KIND_PROFILE;
    return named(bare, "services", name) ? KIND_SERVICES : KIND_OTHER;
}

static int add_section(struct reader *reader, struct span header, struct es_err *err)
{
    struct es_aws_profiles *p = reader->profiles;
    struct section *section;
    struct span name;
    enum kind kind = classify(reader->file, header, &name);

    for (size_t i = reader->first; i < p->n_sections; i++) {
        section = &p->sections[i];
        if (span_is(&section->header, header))
            return bad(reader, err, "this section is already there above");
        /* [default] and [profile default]: the later one is it, as a whole. */
        if (section->kind == kind && span_is(&section->name, name))
            section->kind = KIND_OTHER;
    }
    if (p->n_sections >= ITEMS)
        return bad(reader, err, "too many sections");
    if (grow(&p->sections, p->n_sections, &p->cap_sections, sizeof *p->sections) < 0)
        return es_nomem(err);
    section = &p->sections[p->n_sections++];
    *section = (struct section){.kind = kind, .file = reader->file};
    if (es_buf_set(&section->header, header.at, header.len) < 0 ||
        es_buf_set(&section->name, name.at, name.len) < 0)
        return es_nomem(err);
    return 0;
}

/* ---- entries ---- */

static int add_entry(struct reader *reader, struct span key, struct span value, struct es_err *err)
{
    struct es_aws_profiles *p = reader->profiles;
    struct entry *entry;

    if (p->n_entries >= ITEMS)
        return bad(reader, err, "too many names");
    if (grow(&p->entries, p->n_entries, &p->cap_entries, sizeof *p->entries) < 0)
        return es_nomem(err);
    entry = &p->entries[p->n_entries++];
    *entry = (struct entry){.section = p->n_sections - 1};
    if (es_buf_set(&entry->key, key.at, key.len) < 0 ||
        es_buf_set(&entry->value, value.at, value.len) < 0)
        return es_nomem(err);
    return 0;
}

static int set_name(struct reader *reader, struct span key, struct span value, struct es_err *err)
{
    struct es_aws_profiles *p = reader->profiles;
    struct entry *entry;
    int r = add_entry(reader, key, value, err);

    if (r < 0)
        return r;
    entry = &p->entries[p->n_entries - 1];
    for (size_t i = 0; i < entry->key.len; i++)
        if (entry->key.data[i] >= 'A' && entry->key.data[i] <= 'Z')
            entry->key.data[i] |= 0x20;
    for (size_t i = p->n_entries - 1; i-- > 0 && p->entries[i].section == entry->section;)
        if (!p->entries[i].sub.len && es_buf_equal(&p->entries[i].key, &entry->key))
            return bad(reader, err, "this name is already there above in its section");
    return 0;
}

static struct span next_line(struct span *rest)
{
    const char *end = rest->at;
    struct span line = *rest;

    while (end < rest->at + rest->len && *end != '\n' && *end != '\r')
        end++;
    line.len = (size_t)(end - line.at);
    if (end < rest->at + rest->len)
        end += *end == '\r' && end + 1 < rest->at + rest->len && end[1] == '\n' ? 2 : 1;
    rest->len -= (size_t)(end - rest->at);
    rest->at = end;
    return line;
}

/* A sub-key becomes an entry of its own; a second one of the same name takes its place. */
static int set_sub(struct reader *reader, size_t parent, struct span sub, struct span value,
                   struct es_err *err)
{
    struct es_aws_profiles *p = reader->profiles;
    struct span key;
    struct entry *entry;
    int r;

    for (size_t i = parent + 1; i < p->n_entries; i++)
        if (span_is(&p->entries[i].sub, sub))
            return es_buf_set(&p->entries[i].value, value.at, value.len) < 0 ? es_nomem(err) : 0;
    key = (struct span){p->entries[parent].key.data, p->entries[parent].key.len};
    r = add_entry(reader, key, value, err);
    if (r < 0)
        return r;
    entry = &p->entries[p->n_entries - 1];
    entry->nested = true;
    return es_buf_set(&entry->sub, sub.at, sub.len) < 0 ? es_nomem(err) : 0;
}

/* The value above is whole: where it began empty and went on, it holds sub-keys. */
static int close_value(struct reader *reader, struct es_err *err)
{
    struct es_aws_profiles *p = reader->profiles;
    ES_CLEANUP(es_buf_done) struct es_buf text = {0};
    size_t parent = p->n_entries - 1;
    struct span rest;

    if (!reader->open)
        return 0;
    reader->open = false;
    reader->blanks = 0;
    if (p->entries[parent].value.len == 0 || p->entries[parent].value.data[0] != '\n')
        return 0;
    es_buf_move(&text, &p->entries[parent].value);
    p->entries[parent].nested = true;
    for (rest = (struct span){text.data, text.len}; rest.len > 0;) {
        struct span line = trim(next_line(&rest));
        const char *equals = line.len ? memchr(line.at, '=', line.len) : NULL;
        struct span sub, value;
        int r;

        if (line.len == 0)
            continue;
        if (!equals)
            return bad(reader, err, "a sub-key without '=' stands above this line");
        sub = trim((struct span){line.at, (size_t)(equals - line.at)});
        value = trim((struct span){equals + 1, line.len - (size_t)(equals + 1 - line.at)});
        if (sub.len == 0)
            return bad(reader, err, "a sub-key without a name stands above this line");
        r = set_sub(reader, parent, sub, value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int continue_value(struct reader *reader, struct span text, struct es_err *err)
{
    struct es_buf *value = &reader->profiles->entries[reader->profiles->n_entries - 1].value;

    for (; reader->blanks > 0; reader->blanks--)
        if (es_buf_putc(value, '\n') < 0)
            return es_nomem(err);
    if (es_buf_putc(value, '\n') < 0 || es_buf_append(value, text.at, text.len) < 0)
        return es_nomem(err);
    return 0;
}

static int read_line(struct reader *reader, struct span line, struct es_err *err)
{
    struct span text = trim(line), value;
    size_t indent = (size_t)(text.at - line.at), name = 0;
    size_t end = text.len;
    int r;

    if (text.len == 0) {
        reader->blanks += reader->open;
        return 0;
    }
    if (*text.at == '#' || *text.at == ';')
        return 0;
    if (reader->open && indent > reader->indent)
        return continue_value(reader, text, err);
    r = close_value(reader, err);
    if (r < 0)
        return r;
    reader->indent = indent;
    while (end > 0 && text.at[end - 1] != ']')
        end--;
    if (*text.at == '[' && end > 2) {
        reader->section = true;
        return add_section(reader, (struct span){text.at + 1, end - 2}, err);
    }
    if (!reader->section)
        return bad(reader, err, "this stands before the first [section]");
    while (name < text.len && text.at[name] != '=' && text.at[name] != ':')
        name++;
    if (name == text.len || name == 0)
        return bad(reader, err, "neither a [section] nor NAME = VALUE");
    value = trim((struct span){text.at + name + 1, text.len - name - 1});
    reader->open = true;
    return set_name(reader, trim((struct span){text.at, name}), value, err);
}

int es_aws_profiles_read(struct es_aws_profiles *profiles, enum es_aws_profile_file which,
                         const char *text, size_t len, struct es_err *err)
{
    struct reader reader = {.profiles = profiles, .file = which, .first = profiles->n_sections};
    struct span rest = {text, len};
    int r = 0;

    if (len > ES_AWS_MAX_PROFILE_FILE)
        return es_fail(err, ES_CONFIG, EFBIG, "1: the file is larger than 1 MiB");
    while (r == 0 && rest.len > 0) {
        struct span line = next_line(&rest);

        reader.line++;
        if (!es_utf8_valid(line.at, line.len) || (line.len && memchr(line.at, '\0', line.len)))
            return bad(&reader, err, "this is no text in UTF-8");
        r = read_line(&reader, line, err);
    }
    return r ? r : close_value(&reader, err);
}

/* ---- looking up ---- */

static bool is_section(const struct section *section, enum kind kind, enum es_aws_profile_file file,
                       const char *name)
{
    return section->kind == kind && section->file == file && es_buf_is(&section->name, name);
}

static const struct entry *find(const struct es_aws_profiles *p, enum kind kind,
                                enum es_aws_profile_file file, const char *name, const char *key,
                                const char *sub)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct entry *entry = &p->entries[i];

        if (es_buf_is(&entry->key, key) && es_buf_is(&entry->sub, sub) &&
            is_section(&p->sections[entry->section], kind, file, name))
            return entry;
    }
    return NULL;
}

bool es_aws_profile_exists(const struct es_aws_profiles *profiles, const char *profile)
{
    for (size_t i = 0; i < profiles->n_sections; i++)
        if (profiles->sections[i].kind == KIND_PROFILE &&
            es_buf_is(&profiles->sections[i].name, profile))
            return true;
    return false;
}

/* The file whose word on a profile's key counts. */
static const struct entry *find_key(const struct es_aws_profiles *profiles, const char *profile,
                                    const char *key)
{
    const struct entry *entry =
        find(profiles, KIND_PROFILE, ES_AWS_CREDENTIALS_FILE, profile, key, "");

    return entry ? entry : find(profiles, KIND_PROFILE, ES_AWS_CONFIG_FILE, profile, key, "");
}

const struct es_buf *es_aws_profile_get(const struct es_aws_profiles *profiles, const char *profile,
                                        const char *key)
{
    const struct entry *entry = find_key(profiles, profile, key);

    return entry && !entry->nested ? &entry->value : NULL;
}

const struct es_buf *es_aws_profile_sub(const struct es_aws_profiles *profiles, const char *profile,
                                        const char *key, const char *sub)
{
    const struct entry *entry = find_key(profiles, profile, key);

    if (!entry || !entry->nested || !*sub)
        return NULL;
    entry =
        find(profiles, KIND_PROFILE, profiles->sections[entry->section].file, profile, key, sub);
    return entry ? &entry->value : NULL;
}

const struct es_buf *es_aws_profile_service(const struct es_aws_profiles *profiles,
                                            const char *profile, const char *service,
                                            const char *key)
{
    const struct es_buf *services = es_aws_profile_get(profiles, profile, "services");
    const struct entry *entry;

    if (!services || !*key)
        return NULL;
    entry = find(profiles, KIND_SERVICES, ES_AWS_CONFIG_FILE, es_buf_str(services), service, key);
    return entry ? &entry->value : NULL;
}
