"""The words and the program say the same: manual pages, README and docs against tables and --help."""
import functools
import os
import re
import subprocess

import pytest

from conftest import SRCDIR

PAGES = {page: SRCDIR / "man" / page for page in ("envsync.8", "envsync.toml.5")}
MARKDOWN = sorted([*SRCDIR.glob("*.md"), *(SRCDIR / "docs").glob("*.md")])

TYPES = {
    "STRING": "string", "PATH": "path", "ENUM": "word", "BOOL": "boolean", "INTEGER": "integer",
    "DURATION": "duration", "MODE": "mode", "STRINGS": "list of strings", "PATHS": "list of paths",
    "MAP": "table of strings",
}  # fmt: skip


def rendered(page):
    """A manual page as plain text in one line: what a reader sees, wherever lines break."""
    command = ["mandoc", "-Tascii", "-Owidth=1000", PAGES[page]]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return " ".join(re.sub(r".\x08", "", text).split())


page = functools.lru_cache(rendered)


def entry(key, type_, help_, choices=None, required=False, default=None):
    """How an option is to stand in envsync.toml(5): key, what it takes, and its line of help."""
    takes = type_
    if choices:
        takes += ": " + " ".join(choices)
    if required:
        takes += ", required"
    elif default is not None:
        takes += f", default: {default}"
    return f"{key} ({takes}) {help_}"


def providers(envsync):
    lines = envsync.ok("providers").out.splitlines()
    return [tuple(line.split(None, 1)) for line in lines]


def options_told(text):
    """Options as `envsync providers NAME` prints them, as entries of the page."""
    options = []
    for line in text.splitlines():
        option = re.fullmatch(r"  (\w+) +(%s) +(\S.*)" % "|".join(TYPES.values()), line)
        detail = line.strip()
        if option:
            options.append(
                {"key": option[1], "type_": option[2].strip(), "help_": option[3], "choices": None}
            )
        elif detail.startswith("one of: "):
            options[-1]["choices"] = detail.split()[2:]
        elif detail == "required":
            options[-1]["required"] = True
        elif detail.startswith("default: "):
            options[-1]["default"] = detail[len("default: ") :]
    return [entry(**option) for option in options]


def options_of_table(source, table):
    """The same of an array in a source file of core/, which nothing prints."""
    code = (SRCDIR / source).read_text()
    body = re.search(r"struct es_option %s\[\] = \{(.*?)\n\s*\{0\}," % table, code, re.DOTALL)[1]
    string = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
    pattern = (
        r'\{"(\w+)",\s*ES_OPT_(\w+),\s*([\w |]+),\s*(NULL|%s),\s*(NULL|%s),\s*[A-Z_]+\(\w+\),\s*(%s)\}'
        % (string, string, string)
    )
    options = []
    for key, type_, flags, default, choices, help_ in re.findall(pattern, body):
        choices = None if choices == "NULL" else unquote(choices).split("|")
        options.append(
            entry(
                key,
                TYPES[type_],
                unquote(help_),
                choices,
                "ES_OPT_REQUIRED" in flags,
                None if default == "NULL" else unquote(default),
            )
        )
    assert len(options) == len(re.findall(r"ES_OPT_(?:%s)\b" % "|".join(TYPES), body))
    return options


def unquote(literal):
    """The text of a C string literal of one or more pieces."""
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literal))
    return re.sub(r"\\(.)", r"\1", text)


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_passes_mandocs_lint(name):
    done = subprocess.run(
        ["mandoc", "-Tlint", "-W", "warning", PAGES[name]], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_option_of_every_provider_is_in_the_manual_word_for_word(envsync):
    for name, summary in providers(envsync):
        options = options_told(envsync.ok("providers", name).out)
        assert len(options) > len(options_of_table("core/source.c", "es_source_options"))
        for option in options:
            assert option in page("envsync.toml.5"), name
        assert summary in page("envsync.toml.5")


@pytest.mark.parametrize(
    "source, table",
    [
        ("core/config.c", "es_config_options"),
        ("core/config.c", "es_last_good_options"),
        ("core/on_change.c", "es_on_change_options"),
        ("core/source.c", "es_source_options"),
        ("core/output.c", "es_output_options"),
    ],
)
def test_every_key_of_the_configuration_is_in_the_manual_word_for_word(source, table):
    options = options_of_table(source, table)
    assert options
    for option in options:
        assert option in page("envsync.toml.5")


def test_the_manual_describes_no_key_that_the_program_does_not_know(envsync):
    known = [
        option.split()[0]
        for source, table in (
            ("core/config.c", "es_config_options"),
            ("core/config.c", "es_last_good_options"),
            ("core/on_change.c", "es_on_change_options"),
        ("core/on_change.c", "es_on_change_options"),
            ("core/source.c", "es_source_options"),
            ("core/output.c", "es_output_options"),
        )
        for option in options_of_table(source, table)
    ]
    for name, _ in providers(envsync):
        known += [option.split()[0] for option in options_told(envsync.ok("providers", name).out)]
    described = re.findall(r"^\.It Cm (\S+) Pq", PAGES["envsync.toml.5"].read_text(), re.MULTILINE)
    assert set(described) == set(known)


def test_every_refused_name_is_in_the_manual():
    code = (SRCDIR / "core/names.c").read_text()
    names = re.findall(r'^    \{"(\S+)", \w+\},$', code, re.MULTILINE)
    assert "LD_*" in names and len(names) > 30
    for name in names:
        assert re.search(r"(^|[ ,])%s([ ,]|$)" % re.escape(name), page("envsync.toml.5")), name


def test_every_command_and_option_of_the_help_is_in_the_manual(envsync):
    text = envsync.ok("--help").out
    commands = re.findall(r"^  (\w+) +\S", text.split("Commands:")[1].split("Options:")[0], re.M)
    assert "sync" in commands
    manual = PAGES["envsync.8"].read_text()
    for command in commands:
        text += envsync.ok("help", command).out
        assert re.search(r"^\.It Cm %s$" % command, manual, re.MULTILINE), command
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))
    assert {"--root", "--fetch", "-q"} <= options
    for option in options:
        assert re.search(r"(^|[ ,])%s([ ,]|$)" % re.escape(option), page("envsync.8")), option


def test_every_exit_code_is_in_the_manual_and_in_the_readme(envsync):
    text = " ".join(envsync.ok("--help").out.split("Exit:")[1].split("\n`")[0].split())
    codes = re.findall(r"(\d+) ", text)
    assert codes[:2] == ["0", "1"] and "78" in codes
    source = (SRCDIR / "cmd/main.c").read_text()
    assert set(re.findall(r"\[ES_\w+\] = (\d+)", source)) <= set(codes)
    status = PAGES["envsync.8"].read_text().split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    readme = (SRCDIR / "README.md").read_text()
    for code in codes:
        assert re.search(r"^\.It %s$" % code, status, re.MULTILINE), code
        assert re.search(r"^\| %s \|" % code, readme, re.MULTILINE), code


def configurations():
    """Every configuration that is shown: TOML blocks of Markdown, literal blocks of the page."""
    for path in MARKDOWN:
        for n, text in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL)):
            yield pytest.param(text, id=f"{path.name}-{n}")
    blocks = re.findall(
        r"\.Bd -literal.*?\n(.*?)\.Ed", PAGES["envsync.toml.5"].read_text(), re.DOTALL
    )
    for n, text in enumerate(blocks):
        yield pytest.param(text.replace(r"\(aq", "'"), id=f"envsync.toml.5-{n}")


@pytest.mark.parametrize("text", list(configurations()))
def test_every_configuration_that_is_shown_passes_check(envsync, scratch, text):
    # Users and groups of the examples need not exist here: those of the test take their places.
    me = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    group = subprocess.run(["id", "-gn"], check=True, capture_output=True, text=True).stdout.strip()
    text = re.sub(r'^(user|owner)(\s*)= ".*"', rf'\1\2= "{me}"', text, flags=re.MULTILINE)
    text = re.sub(r'^group(\s*)= ".*"', rf'group\1= "{group}"', text, flags=re.MULTILINE)
    names = sorted(set(re.findall(r"\$\{([A-Z]\w*)", text)))
    variables = scratch.write("variables", "".join(f"{name}=x\n" for name in names))
    text = re.sub(r'^bootstrap(\s*)= "[^"]*"', f'bootstrap = "{variables}"', text, flags=re.MULTILINE)
    if not re.search(r"^group\s*=", text, re.MULTILINE):
        text = f'group = "{group}"\n' + text
    result = envsync.ok("check", "-c", scratch.write("shown.toml", text))
    assert ": fine (" in result.err


def test_there_are_configurations_to_check():
    assert len(list(configurations())) >= 4


def test_no_line_of_the_documents_is_too_long():
    for path in [*MARKDOWN, SRCDIR / "NEWS"]:
        if path.parent == SRCDIR:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                assert len(line) <= 100, f"{path.name}:{number}"


def test_every_folder_of_the_code_is_on_the_map():
    readme = (SRCDIR / "README.md").read_text().split("## A map of the code")[1].split("\n## ")[0]
    named = {line.split("`")[1].strip("/") for line in readme.splitlines() if line.startswith("| `")}
    folders = {"base", "cmd", "core", "include/envsync", "man", "packaging", "providers", "tests"}
    assert folders <= named
    for name in named:
        assert os.path.isdir(SRCDIR / name), name
