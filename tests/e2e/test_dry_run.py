"""--dry-run: what would change, key by key with its source, never a value; nothing is written."""
import os
import re

import pytest

from conftest import GROUP, ORDINARY

CANARIES = ["CANARY-old", "CANARY-new", "CANARY-env", "CANARY-toml"]


def everything(folder):
    """All that is below a folder, state and directories included."""
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns, p.lstat().st_ino)
            for p in sorted(folder.rglob("*"))}  # fmt: skip


@pytest.fixture
def two(host):
    host.source("SAME=CANARY-env\nCHANGED=CANARY-old\nGONE=CANARY-old\n", name="one")
    host.source("[db]\npassword = 'CANARY-toml'\n", "two.toml", name="two")
    host.place = host.output()
    host.output("toml", "/run/foo/all.toml")
    return host


def test_on_a_new_host_every_key_is_added_and_nothing_is_written(two):
    before = everything(two.root)
    result = two.ok("--dry-run")
    assert everything(two.root) == before == {}
    assert "/etc/foo/environment: would be created" in result.out
    assert re.search(r"^  \+ DB_PASSWORD  \(two\)$", result.out, re.M), result.out
    assert re.search(r"^  \+ db.password  \(two\)$", result.out, re.M), result.out
    assert result.out.count("+ SAME  (one)") == 2


def test_added_changed_and_removed_keys_are_marked_with_their_source(two):
    two.ok()
    two.write("source.env", "SAME=CANARY-env\nCHANGED=CANARY-new\nNEW=CANARY-new\n")
    before = everything(two.root)
    lines = two.ok("--dry-run").out.splitlines()
    assert everything(two.root) == before
    wanted = ["  ~ CHANGED  (one)", "  + NEW  (one)", "  - GONE"]
    for path in "/etc/foo/environment", "/run/foo/all.toml":
        at = lines.index(f"{path}: would be updated")
        assert sorted(lines[at + 1 : at + 4]) == sorted(wanted)


def test_an_unchanged_host_says_so(two):
    two.ok()
    result = two.ok("--dry-run")
    assert result.out.splitlines() == ["/etc/foo/environment: unchanged",
                                       "/run/foo/all.toml: unchanged"]  # fmt: skip


@pytest.mark.parametrize("change, code", [
    (None, 0), ("bytes", 1), ("mode", 1), ("gone", 1), ("order", 1),
])  # fmt: skip
def test_exit_code_is_1_where_something_would_change(two, change, code):
    assert two.sync("--dry-run", "--exit-code").rc == 1
    two.ok()
    if change == "bytes":
        two.write("source.env", "SAME=x\n")
    elif change == "mode":
        two.place.chmod(0o644)
    elif change == "gone":
        two.place.unlink()
    elif change == "order":
        two.place.write_text("".join(reversed(two.place.read_text().splitlines(True))))
    result = two.sync("--dry-run", "--exit-code")
    assert result.rc == code, str(result)
    assert two.sync("--dry-run").rc == 0


def test_a_wrong_mode_is_told(two):
    two.ok()
    two.place.chmod(0o604)
    assert re.search(r"would be repaired\n  ~ owner and mode .*0604 -> .*0640",
                     two.ok("--dry-run").out)  # fmt: skip


def test_errors_are_the_same_as_in_a_run(two):
    two.outputs.append("require = ['NOWHERE']\n")
    assert two.sync("--dry-run", "--exit-code").rc == 65
    two.outputs.clear()
    two.source(path="/nowhere.env", name="three")
    two.output()
    assert two.sync("--dry-run", "--exit-code").rc == 66


def test_what_stands_in_an_outputs_place_is_told_in_the_dry_run_too(two):
    two.place.mkdir(parents=True)
    two.fails(73, "directory", run=["sync", "--dry-run", "--root", two.root])


def test_an_ordinary_user_may_try_and_what_he_may_not_read_is_not_comparable(guest):
    guest.source("A=CANARY-env\n")
    place = guest.output()
    secret = guest.output("toml", "/run/foo/all.toml")
    public = guest.output("json", "/etc/foo/public.json")
    guest.output("value", "/etc/foo/new", key="A")
    for path, text in (place, "A=1\n"), (secret, "x"), (public, '{"A": "old", "B": 1}'):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    place.chmod(0o640)
    secret.parent.chmod(0o750)
    before = everything(guest.root)
    result = guest.sync("--dry-run", "--exit-code")
    assert everything(guest.root) == before
    assert result.rc == 1, str(result)
    lines = result.out.splitlines()
    assert "/etc/foo/environment: not comparable (you may not read it)" in lines
    assert "/run/foo/all.toml: not comparable (you may not read it)" in lines
    at = lines.index("/etc/foo/public.json: would be updated")
    assert lines[at + 1 : at + 3] == ["  ~ A  (file)", "  - B"]
    assert "/etc/foo/new: would be created" in lines
    assert "error" not in result.err


def test_not_comparable_alone_is_no_change(guest):
    guest.source("A=1\n")
    place = guest.output()
    place.parent.mkdir(parents=True)
    place.write_text("A=0\n")
    place.chmod(0o600)
    assert guest.sync("--dry-run", "--exit-code").rc == 0


def test_an_ordinary_user_is_shown_what_roots_run_would_repair(guest):
    import grp

    guest.source("A=1\n")
    place = guest.output(mode="0644")
    place.parent.mkdir(parents=True)
    place.write_text("A=1\n")
    place.chmod(0o644)
    os.chown(place, 0, 0)
    assert guest.sync("--dry-run", "--exit-code").rc == 1
    os.chown(place, 0, grp.getgrnam(GROUP).gr_gid)
    assert guest.sync("--dry-run", "--exit-code").rc == 0


def test_a_file_that_the_app_or_a_stranger_wrote_is_not_parsed(as_root, two):
    """Its keys might be anything; only that it differs is told."""
    two.ok()
    two.place.write_text("FORGED_KEY=1\n")
    os.chown(two.place, ORDINARY, ORDINARY)
    result = two.ok("--dry-run")
    assert "FORGED_KEY" not in result.out and "would be updated" in result.out


@pytest.fixture
def secretive(host):
    """Values everywhere that must never be told, in sources, outputs, environment, bootstrap."""
    host.top |= {"bootstrap": str(host.write("boot", "X=CANARY-boot\n")), "env": ["Y"]}
    host.source("A=CANARY-a\nB='CANARY-b\n'\n", name="one")
    host.source('{"A": "CANARY-c", "db": {"x": ["CANARY-d"], "y": "CANARY-e"}}', "two.json")
    host.output()
    host.output("json", "/etc/foo/all.json", types={"A": "string"})
    host.output("value", "/etc/foo/value", key="A", mode="0400")
    return host


COMMANDS = [
    ["sync"], ["sync", "-v"], ["sync", "--dry-run"], ["sync", "--dry-run", "-v"], ["sync", "--json"],
    ["sync", "--dry-run", "--json"], ["explain"], ["explain", "A"], ["explain", "--json"],
    ["explain", "CANARY"], ["check"], ["exec", "--", "true"], ["exec", "--", "/nowhere"],
]  # fmt: skip
BREAKAGES = {
    "nothing": lambda h: None,
    "a type that does not fit": lambda h: h.output("toml", "/etc/foo/t", types={"A": "integer"}),
    "a value that env cannot carry": lambda h: h.source('{"C": "CANARY-\\u0001"}', "c.json", name="c"),
    "a collision": lambda h: h.source('{"db": "CANARY-f"}', "c.json", name="c"),
    "a broken document": lambda h: h.source("A='CANARY-g", "c.env", name="c"),
    "a refused name": lambda h: h.source("LD_PRELOAD=CANARY-h\n", "c.env", name="c"),
    "a missing name": lambda h: h.output("env", "/etc/foo/r", require=["NOWHERE"]),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_no_command_ever_tells_a_value(secretive, breakage):
    BREAKAGES[breakage](secretive)
    env = {"Y": "CANARY-y", "A": "CANARY-z"}
    for before in "", "A=CANARY-old\nOLD=CANARY-old\n":
        if before:
            place = secretive.root / "etc/foo/environment"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(before)
        for command in COMMANDS:
            args = command + (["--root", secretive.root] if command[0] == "sync" else [])
            result = secretive.run(*args[:1], *args[1:], env=env)
            told = result.out + result.err
            if command[-1] == "CANARY":
                told = told.replace("the key CANARY", "")
            assert "CANARY" not in told, f"{command}: {result}"
