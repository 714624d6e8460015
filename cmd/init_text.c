/* The two files that `envsync init` writes. Names come from a unit that root wrote; they are quoted
 * all the same. The examples are tested: without their comment signs they are a configuration. */
#include "init.h"

#include "envsync/format.h"

#include <string.h>

static int put_line(struct es_buf *out, const char *before, const char *text, const char *behind)
{
    int r = es_buf_puts(out, before);

    if (r == 0)
        r = es_toml_quote(out, text, strlen(text));
    return r == 0 ? es_buf_puts(out, behind) : r;
}

static int put_ids(const struct es_init *init, struct es_buf *out)
{
    int r = put_line(out, "app = ", init->app, "  # names /run/APP, /etc/APP and the state\n");

    if (r == 0 && init->instance)
        r = put_line(out, "name = ", init->instance, "  # of the state\n");
    if (r == 0 && init->user.len > 0)
        r = put_line(out, init->user_exists ? "user = " : "#user = ", es_buf_str(&init->user),
                     init->user_exists ? "\n" : "  # there is no such user yet\n");
    if (r < 0 || init->group.len == 0)
        return r;
    if (init->group_exists)
        return put_line(out, "group = ", es_buf_str(&init->group),
                        "  # may read what is written\n");
    r = es_buf_puts(out, "# There is no group of the app yet: till then only root may read what is "
                         "written.\ngroup = \"root\"\n");
    return r == 0 ? put_line(out, "#group = ", es_buf_str(&init->group), "\n") : r;
}

static const char examples[] =
    "#[[source]]\n"
    "#type = \"s3\"\n"
    "#bucket = \"my-bucket\"\n"
    "#prefix = \"prod/\"\n"
    "#merge = [\"*.env\", \"*.toml\", \"*.json\"]\n"
    "\n"
    "#[[source]]\n"
    "#type = \"ssm\"\n"
    "#path = \"/my-app/prod/\"\n"
    "\n"
    "#[[source]]\n"
    "#type = \"secrets-manager\"\n"
    "#ids = [\"my-app/prod\"]\n"
    "\n"
    "#[[source]]\n"
    "#type = \"cloud-init\"\n"
    "#keys = { AWS_REGION = \"${region}\", PRIMARY_IPV4 = \"${primary_ipv4}\" }\n"
    "\n";

int es_init_write_config(const struct es_init *init, struct es_buf *out)
{
    const char *unit = init->dropin ? init->unit.name : NULL;
    int r = es_buf_printf(out,
                          "# What %s reads, and where it comes from: envsync.toml(5).\n"
                          "# Made by `envsync init`; from here on it is yours.\n\n",
                          unit ? unit : "the app");

    if (r == 0)
        r = put_ids(init, out);
    if (r == 0)
        r = es_buf_puts(out, "deadline = \"45s\"\n\n"
                             "# Sources. Of two that give the same key, the later one wins.\n"
                             "[[source]]\nname = \"local\"\ntype = \"file\"\n");
    if (r == 0)
        r = put_line(out, "path = ", init->local, "  # lines of NAME=value\n");
    if (r == 0)
        r = es_buf_puts(out, "optional = true\n\n");
    if (r == 0)
        r = es_buf_puts(out, examples);
    if (r == 0)
        r = es_buf_puts(out, "# Outputs, of all sources unless from = [...] says which.\n"
                             "[[output]]\n");
    if (r == 0)
        r = put_line(out, "path = ", init->output, "\n");
    return r == 0 ? es_buf_puts(out, "format = \"env\"\n"
                                     "#require = [\"SECRET_KEY_BASE\", \"DATABASE_URL\"]\n")
                  : r;
}

/* "%" starts a specifier, and a blank ends a word. */
static int put_escaped(struct es_buf *out, const char *text)
{
    int r = 0;

    for (; r == 0 && *text; text++) {
        if (*text == '%' || *text == '$')
            r = es_buf_putc(out, *text);
        else if (strchr(" \t\"'\\", *text))
            r = es_buf_putc(out, '\\');
        if (r == 0)
            r = es_buf_putc(out, *text == ' ' ? 's' : *text == '\t' ? 't' : *text);
    }
    return r;
}

/* Lines of the unit itself, to be repeated behind envsync's: they may need what it writes. Those of
 * a drop-in that systemd reads later come behind it as they are. */
static int put_own_lines(const struct es_init *init, struct es_buf *out)
{
    const struct es_unit_setting *s = init->reset;
    int r = es_buf_puts(out, "# Repeated from the unit, so that envsync comes first.\n");

    while (r == 0 && (s = es_unit_next(&init->unit, "Service", "ExecStartPre", s)))
        if (!es_init_reads_later(init, s->file))
            r = es_buf_printf(out, "ExecStartPre=%s\n", es_buf_str(&s->value));
    return r;
}

static int put_commands(const struct es_init *init, struct es_buf *out)
{
    int r = 0;

    if (init->has_lines)
        r = es_buf_puts(out, "ExecStartPre=\n");
    if (r == 0 && init->confined)
        r = es_buf_puts(out, "# With \"+\" and not \"!\": the unit's sandbox leaves envsync too "
                             "little.\n");
    if (r == 0)
        r = es_buf_printf(out, "ExecStartPre=%s" BINDIR "/envsync -c ", init->confined ? "+" : "!");
    if (r == 0)
        r = put_escaped(out, init->file);
    if (r == 0)
        r = es_buf_putc(out, '\n');
    return r == 0 && init->has_lines ? put_own_lines(init, out) : r;
}

static int put_path(struct es_buf *out, const char *path)
{
    int r = 0;

    for (; r == 0 && *path; path++) {
        if (*path == '%')
            r = es_buf_putc(out, '%');
        if (r == 0)
            r = es_buf_putc(out, *path);
    }
    return r;
}

int es_init_write_dropin(const struct es_init *init, struct es_buf *out)
{
    int r = es_buf_printf(out,
                          "# envsync writes what %s reads, before it starts: envsync(8).\n"
                          "# Made by `envsync init`; from here on it is yours.\n"
                          "[Unit]\n"
                          "After=network-online.target cloud-config.target\n"
                          "Wants=network-online.target\n\n"
                          "[Service]\n",
                          init->unit.name);

    if (r == 0)
        r = put_commands(init, out);
    if (r == 0)
        r = es_buf_puts(out, "EnvironmentFile=-");
    if (r == 0)
        r = put_path(out, init->output);
    if (r == 0)
        r = es_buf_puts(out, init->preloads ? "\n" : "\nUnsetEnvironment=LD_PRELOAD\n");
    if (r == 0 && init->timeout_ms > 0)
        r = es_buf_printf(out, "TimeoutStartSec=%llds\n", (long long)(init->timeout_ms / 1000));
    return r;
}
