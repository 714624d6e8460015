"""What envsync keeps between runs: what status tells of it, whose it is, where it may lie on disk, and
what becomes of it where it is damaged."""
import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import STATE
from keeping import HOUR, add, age, changed, down, flip, plain, rollback, stale, vault

# ---- status ----


def test_status_before_the_first_run_is_66_and_makes_nothing(plain):
    plain.fails(66, "foo", run=["status", "--root", plain.root])
    assert plain.scratch.tree() == {}


def test_status_tells_set_time_and_sources_and_asks_nobody(plain):
    plain.source(path="/nowhere.env", name="extra", optional=True)
    plain.ok()
    plain.path("source.env").unlink()
    before = plain.look(True)
    told = plain.run("status", "--root", plain.root)
    assert told.rc == 0 and plain.look(True) == before, str(told)
    assert re.match(r"foo: set [0-9a-f]{16}, last success \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told.out)
    assert re.search(r"^  source file: given, \d+ s old, .*source\.env \d{4}-", told.out, re.M), told.out
    assert "  source extra: absent or skipped\n" in told.out and "hold: no" in told.out
    assert "A=1" not in told.out


def test_status_as_json(plain):
    plain.ok()
    found = json.loads(plain.run("status", "--root", plain.root, "--json").out)
    assert found["name"] == "foo" and found["complete"] and not found["held"]
    assert re.fullmatch("[0-9a-f]{16}", found["set"]) and 0 <= found["age"] < 60
    (source,) = found["sources"]
    assert source["name"] == "file" and source["state"] == "given" and not source["stale"]
    assert 0 <= source["age"] < 60 and "source.env" in source["version"]
    assert source["objects"] == 1 and source["keys"] == 1


def test_a_source_of_several_objects_has_no_one_version(plain):
    plain.write("many/b.env", "B=2\n")
    folder = plain.write("many/a.env", "A=2\n").parent
    plain.source(path=folder, name="many")
    plain.ok()
    source = json.loads(plain.run("status", "--root", plain.root, "--json").out)["sources"][1]
    assert source["objects"] == 2 and source["keys"] == 2 and "version" not in source


def test_an_unchanged_run_is_a_success_that_status_knows_and_writes_no_byte(plain):
    plain.ok()
    age(plain.root / "var/lib/envsync/foo/current", HOUR)
    age(plain.stored()["source-0"], HOUR)
    before = plain.kept()
    assert json.loads(plain.run("status", "--root", plain.root, "--json").out)["age"] >= HOUR
    plain.ok()
    assert plain.kept() == before
    found = json.loads(plain.run("status", "--root", plain.root, "--json").out)
    assert found["age"] < 60 and found["sources"][0]["age"] < 60


def test_a_last_success_in_the_future_has_no_negative_age(plain):
    plain.ok()
    age(plain.root / "var/lib/envsync/foo/current", -HOUR)
    assert "(of a time in the future)" in plain.run("status", "--root", plain.root).out
    assert "age" not in json.loads(plain.run("status", "--root", plain.root, "--json").out)

# ---- whose state, and where ----


def test_the_state_of_another_configuration_file_is_78_and_stays(plain):
    plain.ok()
    before = plain.kept(), plain.state()
    other = plain.write("other.toml", plain.text)
    for command in ["sync"], ["status"], ["rollback"]:
        result = plain.envsync(*command, "-c", other, "--root", plain.root)
        assert result.rc == 78 and "other.toml" in result.err and "envsync.toml" in result.err
    assert (plain.kept(), plain.state()) == before
    plain.write("other.toml", 'name = "two"\n' + plain.text)
    assert plain.envsync("sync", "-c", other, "--root", plain.root).rc == 0


def test_nothing_is_kept_on_disk_where_every_target_goes_with_the_boot(plain):
    plain.outputs.clear()
    plain.output("env", "/run/foo/environment")
    plain.output("json", "/run/foo/all.json")
    plain.ok()
    changed(plain)
    plain.ok()
    assert not (plain.root / "var").exists()
    assert rollback(plain).rc == 0 and not (plain.root / "var").exists()


def volatile(host, at_rest):
    host.outputs.clear()
    host.place = host.output("env", "/run/foo/environment")
    host.top["last_good"] = {"at_rest": at_rest}


@pytest.mark.parametrize("before", ["plain", "on disk"])
def test_what_lay_on_disk_is_gone_once_nothing_may_rest_there(plain, before):
    if before == "plain":
        volatile(plain, "plain")
    for text in "A=0\n", "A=1\n":
        changed(plain, text)
        plain.ok()
    assert len(list((plain.root / "var/lib/envsync/foo").iterdir())) == 3
    volatile(plain, "no")
    plain.ok()
    assert plain.place.read_text() == "A=1\n"
    assert list((plain.root / "var/lib/envsync").iterdir()) == []
    kept = plain.kept()
    plain.ok()
    assert plain.kept() == kept and plain.run("status", "--root", plain.root).rc == 0
    assert rollback(plain).rc == 66
    changed(plain)
    plain.ok()
    assert rollback(plain).rc == 0 and plain.place.read_text() == "A=1\n"


def test_a_run_that_leaves_the_disk_and_fails_keeps_all(plain):
    plain.ok()
    before = plain.kept()
    volatile(plain, "no")
    plain.path("source.env").unlink()
    plain.fails(66)
    assert plain.kept() == before


@pytest.mark.bare
@pytest.mark.parametrize("after", [0, 1])
def test_a_kill_while_the_disk_is_left_loses_no_set(as_root, vault, after):
    """Before and behind the call that removes the pointer on disk: that one counts while it is
    there, then the one in /run."""
    add(vault, on_unavailable="last-good")
    volatile(vault, "no")
    down(vault)
    calls, copy = vault.path("trace"), vault.root.with_name("copy")
    subprocess.run(["cp", "-a", vault.root, copy], check=True)
    command = vault.envsync.command

    def traced(*options):
        vault.envsync.command = ["strace", "-o", str(calls), "-e", "trace=unlinkat", *options, *command]
        result = vault.sync()
        vault.envsync.command = command
        return result

    assert traced().rc == 0
    lines = [line for line in calls.read_text().splitlines() if line.startswith("unlinkat(")]
    (number,) = [i for i, line in enumerate(lines, 1) if '"current", 0)' in line]
    shutil.rmtree(vault.root)
    copy.rename(vault.root)
    killed = traced("-e", f"inject=unlinkat:signal=KILL:when={number + after}")
    assert killed.rc == -9, str(killed)
    assert (vault.root / "var/lib/envsync/foo/current").exists() == (after == 0)
    (entry,), _ = stale(vault.ok("--json"))
    assert entry["source"] == "vault" and vault.place.read_text() == "A=1\nV=1\n"
    assert list((vault.root / "var/lib/envsync").iterdir()) == []


def test_what_feeds_a_target_below_run_does_not_rest_on_disk(plain):
    """Also where another output of the same configuration lies on disk."""
    plain.source("SECRET=CANARY\n", "secret.env", name="secret")
    plain.outputs.clear()
    plain.output("env", "/etc/foo/public", from_=["file"])
    plain.output("env", "/run/foo/environment")
    plain.ok()
    for path in (plain.root / "var").rglob("*"):
        assert path.is_dir() or b"CANARY" not in path.read_bytes(), path
    assert any(b"CANARY" in path.read_bytes() for path in (plain.root / "run/envsync").rglob("*")
               if path.is_file())  # fmt: skip


@pytest.mark.parametrize("at_rest", ["plain", "no"])
def test_at_rest_plain_serves_what_lies_below_run_after_a_reboot(vault, at_rest):
    vault.top["last_good"] = {"at_rest": at_rest}
    vault.outputs.clear()
    place = vault.output("env", "/run/foo/environment")
    vault.source(**vault.exec, on_unavailable="last-good")
    vault.ok()
    on_disk = (vault.root / "var/lib/envsync/foo/current").exists()
    assert on_disk == (at_rest == "plain")
    vault.reboot()
    down(vault)
    if at_rest == "plain":
        (entry,), _ = stale(vault.ok("--json"))
        assert entry["source"] == "vault" and place.read_text() == "A=1\nV=1\n"
    else:
        vault.fails(69, "source vault")
        assert not place.exists()


def test_a_reboot_takes_only_what_lay_below_run(vault):
    add(vault)
    before = vault.place.stat().st_ino
    vault.reboot()
    vault.ok()
    assert vault.other.exists() and vault.place.stat().st_ino == before


def test_a_state_half_that_was_removed_by_hand_is_told_and_the_run_goes_on(vault):
    add(vault)
    shutil.rmtree(vault.root / "run/envsync")
    told = vault.run("status", "--root", vault.root)
    assert "not used" in told.err and "what lay below" not in told.out
    assert "not used" in vault.ok().err
    assert vault.ok().err == ""


@pytest.mark.parametrize("text", ["", "garbage", "0000000000000000 - -\n"])
def test_a_broken_state_is_told_and_the_run_goes_on(plain, text):
    plain.ok()
    before = plain.state()
    (plain.root / "var/lib/envsync/foo/current").write_text(text)
    assert "cannot be read" in plain.ok().err
    assert plain.state() == before
    assert plain.ok().err == ""


@pytest.mark.parametrize("name", ["current", "manifest", "output-0"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_in_the_state_is_73_and_told_with_its_place(plain, name, kind):
    plain.ok()
    state = plain.root / "var/lib/envsync/foo"
    path = state / name if name == "current" else plain.stored()[name]
    path.unlink()
    os.mkfifo(path) if kind == "fifo" else path.mkdir() if kind == "folder" else path.symlink_to("/etc/passwd")
    before = plain.state()
    plain.fails(73, f"{name} is no regular file; remove it", str(state))
    assert plain.state() == before


@pytest.mark.parametrize("name", ["output-0", "output-1", "manifest"])
def test_a_damaged_set_is_never_published(plain, name):
    """All or nothing of it: the output that is whole does not come back alone."""
    plain.output("json", "/etc/foo/all.json")
    plain.ok()
    for path in (plain.root / "etc/foo").iterdir():
        path.unlink()
    flip(plain.stored()[name])
    (plain.scratch.folder / "source.env").unlink()
    assert "not used" in plain.fails(66).err
    assert list((plain.root / "etc/foo").iterdir()) == []
    changed(plain)
    assert "not used" in plain.ok().err
    assert plain.place.read_text() == "A=2\n"
    assert plain.ok().err == ""


def test_damaged_records_are_fetched_anew(plain):
    plain.ok()
    flip(plain.stored()["source-0"])
    assert "is damaged; what the last set has of source file is not used" in plain.ok().err
    assert plain.ok().err == ""
    assert plain.place.read_text() == "A=1\n"


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damaged_records_are_told_by_who_looks_and_the_sources_are_asked(vault, how):
    add(vault, on_unavailable="last-good")
    path = vault.stored()["source-1"]
    if how == "flipped":
        flip(path)
    elif how == "cut":
        os.truncate(path, 5)
    else:
        path.unlink()
    explained = vault.run("explain", "--root", vault.root, "V")
    assert explained.rc == 0 and "from    vault" in explained.out, str(explained)
    told = vault.run("status", "--root", vault.root)
    assert "  source vault: damaged\n" in told.out and "source file: given" in told.out
    down(vault)
    for result in explained, told, vault.fails(69, "source vault", "its last good values are damaged"):
        assert "what the last set has of source vault is not used" in result.err


def test_the_state_is_roots_alone(as_root, vault):
    os.umask(0)
    add(vault)
    for half in STATE:
        top = vault.root / half.lstrip("/")
        for path in [top, *top.rglob("*")]:
            st = path.stat()
            assert (st.st_uid, st.st_mode & 0o077) == (0, 0) or path.name == "lock", path
    os.umask(0o022)


def test_no_more_than_two_sets_are_kept(plain):
    for i in range(5):
        changed(plain, f"A={i}\n")
        plain.ok()
    for half in STATE:
        sets = [p for p in (plain.root / half.lstrip("/") / "foo").iterdir() if p.is_dir()]
        assert len(sets) == 2
    kept = b"".join(plain.kept().values())
    assert b"A=4" in kept and b"A=3" in kept and b"A=2" not in kept


def test_a_dry_run_neither_reads_nor_writes_the_state(plain):
    plain.top["fresh_for"] = "1h"
    plain.ok()
    changed(plain)
    before = plain.look(True)
    assert "~ A" in plain.ok("--dry-run").out
    assert plain.look(True) == before


@pytest.mark.parametrize("command", [["sync"], ["explain", "--fetch"]])
def test_what_is_no_file_in_the_set_before_is_named_with_its_place(plain, command):
    """What it wrote is no variable of this run, so it is read."""
    plain.ok()
    changed(plain)
    plain.ok()
    before = (plain.root / "var/lib/envsync/foo/current").read_text().split()[1]
    output = plain.root / f"var/lib/envsync/foo/{before}/output-0"
    output.unlink()
    output.mkdir()
    plain.fails(73, f"{before}/output-0 is no regular file", plain.root / "var/lib/envsync/foo",
                run=[*command, "--root", plain.root])  # fmt: skip
