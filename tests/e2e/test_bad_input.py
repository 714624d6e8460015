"""What bad input gets: one clear line, the exit code of the table, every output as it was."""
import os

import pytest

from conftest import ORDINARY, TEMP_MARK

MIB = 1 << 20


@pytest.fixture
def old(host):
    """A host that has been set up once: two outputs are there, and must stay as they are."""
    host.source("A=1\nB=2\n")
    host.output("env", "/etc/foo/environment")
    host.output("json", "/run/foo/all.json")
    host.ok()
    before = host.state()
    assert len(before) == 2
    yield host
    assert host.state() == before
    assert host.temps() == [] and TEMP_MARK not in str(host.scratch.tree())


def bad(host, content, file="bad.env", **options):
    return host.source(content, file, name="bad", **options)


def nested(depth, opening='{"a":', closing="}"):
    return opening * depth + "1" + closing * depth


DOCUMENTS = {
    # file, content, words of the message
    "json: truncated": ("a.json", '{"a": "CANARY', ""),
    "json: something behind": ("a.json", '{"a": 1} CANARY', ""),
    "json: binary": ("a.json", b"\x7fELF\0\1\2CANARY", ""),
    "json: not UTF-8": ("a.json", b'{"a": "CANARY\xff"}', "UTF-8"),
    "json: a lone surrogate": ("a.json", '{"a": "CANARY\\ud800"}', ""),
    "json: deep": ("a.json", nested(33), "32"),
    "json: very deep": ("a.json", nested(100_000), ""),
    "json: deep lists": ("a.json", '{"a":' + nested(100_000, "[", "]") + "}", ""),
    "json: a key twice": ("a.json", '{"CANARY_": 1, "a": "CANARY", "a": 2}', ""),
    "json: a key twice, escaped": ("a.json", '{"a": "CANARY", "\\u0061": 2}', ""),
    "json: null": ("a.json", '{"a": null}', "null"),
    "json: a list at the top": ("a.json", '["CANARY"]', "list"),
    "json: a string at the top": ("a.json", '"CANARY"', ""),
    "json: 2^64": ("a.json", '{"a": 18446744073709551616}', ""),
    "json: NaN": ("a.json", '{"a": NaN}', ""),
    "json: 1e999": ("a.json", '{"a": 1e999}', ""),
    "json: an empty key": ("a.json", '{"": "CANARY"}', ""),
    "json: NUL in a key": ("a.json", '{"a\\u0000b": "CANARY"}', "NUL"),
    "json: NUL in a value": ("a.json", '{"a": "CANARY\\u0000"}', "NUL"),
    "json: a key that is no name": ("a.json", '{"a b": "CANARY"}', ""),
    "json: a key that is too long": ("a.json", '{"%s": "CANARY"}' % ("k" * 4000), ""),
    "toml: truncated": ("a.toml", 'a = "CANARY', "a.toml:1"),
    "toml: binary": ("a.toml", b"\x7fELF\0\1CANARY", ""),
    "toml: not UTF-8": ("a.toml", b'a = "CANARY\xff"\n', "UTF-8"),
    "toml: a key twice": ("a.toml", "a = 1\na = 'CANARY'\n", "a.toml:2"),
    "toml: a table twice": ("a.toml", "[a]\nb = 1\n[a]\nc = 'CANARY'\n", "a.toml:3"),
    "toml: deep": ("a.toml", "a = " + nested(33, "[", "]") + "\n", ""),
    "toml: very deep": ("a.toml", "a = " + nested(100_000, "[", "]") + "\n", ""),
    "toml: deep keys": ("a.toml", ".".join("a" * 40) + " = 1\n", ""),
    "toml: 2^63": ("a.toml", "a = 9223372036854775808\n", ""),
    "toml: NUL": ("a.toml", 'a = "CANARY\\u0000"\n', "NUL"),
    "env: no equals sign": ("a.env", "A=1\nCANARY\n", "a.env:2"),
    "env: export": ("a.env", "export A=CANARY\n", "export"),
    "env: bad name": ("a.env", "1A=CANARY\n", "a.env:1"),
    "env: bad name with a dash": ("a.env", "A-B=CANARY\n", "a.env:1"),
    "env: open quote": ("a.env", 'OK=1\nA="CANARY\n', "a.env:2"),
    "env: binary": ("a.env", b"\x7fELF\0\1\2=CANARY", ""),
    "env: NUL": ("a.env", b"A=CANARY\0\n", "NUL"),
    "env: not UTF-8": ("a.env", b"A=CANARY\xff\n", "UTF-8"),
    "env: overlong UTF-8": ("a.env", b"A=CANARY\xc0\x80\n", "UTF-8"),
    "env: a surrogate": ("a.env", b"A=CANARY\xed\xa0\x80\n", "UTF-8"),
    "env: a noncharacter": ("a.env", "A=CANARY\ufdd0\n", ""),
    "env: a byte order mark": ("a.env", "\ufeffA=CANARY\n", "byte order mark"),
    "env: a carriage return in a value": ("a.env", b"A='CANARY\rx'\n", "carriage return"),
    "env: a refused name": ("a.env", "LD_PRELOAD=CANARY\n", "LD_PRELOAD"),
    "env: huge": ("a.env", b"A=1\n#" + b"CANARY" * (MIB // 6) + b"\n", "1 MiB"),
    "toml: huge": ("a.toml", b"a = 1\n#" + b"x" * MIB + b"\n", "1 MiB"),
    "json: huge": ("a.json", b'{"a": 1}' + b" " * MIB, "1 MiB"),
    "json: a list of too many": ("a.json", b'{"k": [' + b"1," * 300_000 + b"1]}", "k: its items"),
}  # fmt: skip


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_bad_document_is_65_and_names_source_and_file_but_no_value(old, what):
    file, content, words = DOCUMENTS[what]
    bad(old, content, file)
    result = old.fails(65, "bad", file, words)
    assert "CANARY" not in result.err.replace("CANARY_", "") + result.out
    assert len(result.err.splitlines()) == 1
    assert result.err.isprintable() or result.err.strip().isprintable()


def test_a_document_at_the_cap_is_taken(host):
    host.source(b"A=1\n#" + b"x" * (MIB - 6) + b"\n")
    assert host.path("source.env").stat().st_size == MIB
    place = host.output()
    host.ok()
    assert place.read_text() == "A=1\n"


def test_a_document_of_32_levels_is_taken(host):
    host.source(nested(32), "a.json")
    host.output("json")
    host.ok()


def test_more_than_all_documents_together_may_have_is_65(old):
    for i in range(20):
        old.source(f"A{i}=" + "x" * (MIB - 100) + "\n", f"big{i}.env", name=f"big{i}")
    result = old.sync()
    assert result.rc == 65 and "MiB" in result.err, str(result)


def test_a_missing_source_is_66(old):
    old.source(path=old.path("nowhere.env"), name="bad")
    old.fails(66, "source bad", "nowhere.env")


def test_a_source_that_may_not_be_read_is_77_also_when_optional(guest):
    path = guest.source("A=1\n", "secret.env", name="bad", optional=True)
    path.chmod(0o600)
    guest.output()
    os.chown(guest.root, ORDINARY, ORDINARY)
    for mode in [], ["--dry-run"]:
        guest.fails(77, "source bad", "secret.env", run=["sync", "--root", guest.root, *mode])


def test_a_source_in_a_directory_that_may_not_be_entered_is_77(guest):
    path = guest.write("closed/a.env", "A=1\n")
    path.parent.chmod(0o700)
    os.chown(guest.root, ORDINARY, ORDINARY)
    guest.source(path=path, name="bad")
    guest.output()
    guest.fails(77, "source bad", "closed")
    guest.sources.clear()
    guest.source(path=path.parent / "*.env", name="bad")
    guest.fails(77, "source bad")


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_a_source_that_is_no_regular_file_is_65_and_nobody_hangs(old, kind, as_root):
    path = old.path("special.env")
    os.mkfifo(path) if kind == "FIFO" else os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    old.source(path=path, name="bad")
    old.fails(65, "source bad", "special.env", timeout=10)


def test_an_optional_source_below_what_is_no_directory_is_absent(old):
    path = old.write("file", "x") / "a.env"
    old.source(path=path, name="bad")
    old.fails(66, "source bad")


def test_a_link_of_somebody_else_is_not_followed_to_a_source(old, as_root):
    target = old.write("secret.env", "A=1\nB=2\n", mode=0o600)
    folder = old.path("theirs/x").parent
    (folder / "a.env").symlink_to(target)
    os.chown(folder, 4321, 4321)
    os.chown(folder / "a.env", 4321, 4321, follow_symlinks=False)
    old.source(path=folder / "a.env", name="bad")
    old.fails(77, "source bad", "symbolic link")


def test_a_source_may_be_a_link_of_roots(host):
    host.write("real.env", "A=1\n")
    host.path("link.env").symlink_to("real.env")
    host.source(path=host.path("link.env"))
    place = host.output()
    host.ok()
    assert place.read_text() == "A=1\n"


def test_an_empty_source_is_no_error_but_an_empty_required_name_is(old):
    bad(old, "")
    old.outputs.clear()
    old.output("env", "/etc/foo/environment", from_=["bad"], require=["A"])
    old.fails(65, "A", "/etc/foo/environment")


def test_a_group_that_does_not_exist_is_78(old):
    old.top["group"] = "nosuchgroup"
    old.fails(78, "nosuchgroup", "envsync.toml:2:9")


def test_an_unknown_option_is_64(old):
    result = old.sync("--dry-rnu")
    assert result.rc == 64 and len(result.err.splitlines()) == 1


def test_a_scalar_against_a_table_is_65(old):
    bad(old, '{"A": {"b": 1}}', "a.json")
    old.fails(65, "A", "bad", "source file")


def test_every_failing_source_is_told_and_the_first_decides(old):
    old.source(path=old.path("nowhere.env"), name="one")
    old.source(path=old.path("neither.env"), name="two")
    result = old.sync()
    assert result.rc == 66 and "source one" in result.err and "source two" in result.err


def test_names_from_outside_cannot_move_the_terminal_or_forge_a_line(old):
    bad(old, '{"a\\u001b[2J\\nerror: forged\\u202e": 1}', "a.json")
    result = old.fails(65, "bad")
    assert "\x1b" not in result.err and "\u202e" not in result.err
    assert len(result.err.splitlines()) == 1


def test_a_value_with_line_breaks_cannot_add_a_variable(host):
    host.source('{"A": "1\\nLD_PRELOAD=x\\n\'B\'=2\\\\"}', "a.json")
    place = host.output()
    host.ok()
    read = host.run("exec", "--", "env")
    assert "LD_PRELOAD" in read.out and "A=1" in read.out
    assert place.read_text().startswith('A="1\nLD_PRELOAD=x\n')
