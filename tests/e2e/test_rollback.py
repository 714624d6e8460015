"""Rollback, the hold, and the release that ends it."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import in_namespace
from keeping import HOUR, add, age, changed, down, flip, plain, rollback, vault


def test_rollback_puts_the_earlier_set_back_and_holds_it_until_the_release(plain):
    other = plain.output("json", "/run/foo/all.json")
    plain.ok()
    changed(plain)
    plain.ok()
    result = rollback(plain)
    assert result.rc == 0 and "--release" in result.err, str(result)
    assert plain.place.read_text() == "A=1\n" and json.loads(other.read_text()) == {"A": "1"}
    for path in plain.path("source.env"), plain.place:
        path.unlink()
    held = plain.ok("--json")
    assert json.loads(held.out)["result"] == "held" and "held" in held.err
    assert [(o["path"], o["state"]) for o in json.loads(held.out)["outputs"]] == [
        ("/etc/foo/environment", "restored"), ("/run/foo/all.json", "unchanged")]  # fmt: skip
    assert len(json.loads(held.out)["warnings"]) == 1
    assert plain.place.read_text() == "A=1\n"
    assert "HELD" in plain.run("status", "--root", plain.root).out
    changed(plain, "A=3\n")
    assert plain.ok("--fresh").err.count("held") == 1
    assert plain.place.read_text() == "A=1\n"
    plain.ok("--release")
    assert plain.place.read_text() == "A=3\n"
    changed(plain, "A=4\n")
    plain.ok()
    assert plain.place.read_text() == "A=4\n"


def test_a_second_rollback_goes_back_to_where_the_first_one_came_from(plain):
    plain.ok()
    changed(plain)
    plain.ok()
    for text in "A=1\n", "A=2\n", "A=1\n":
        assert rollback(plain).rc == 0
        assert plain.place.read_text() == text


def test_rollback_without_an_earlier_set_is_66_and_changes_nothing(plain):
    plain.fails(66, "foo", "earlier set", run=["rollback", "--root", plain.root])
    plain.ok()
    before = plain.state()
    plain.fails(66, "earlier set", run=["rollback", "--root", plain.root])
    assert plain.state() == before
    changed(plain)
    plain.ok()
    assert plain.place.read_text() == "A=2\n"


def test_another_machine_has_no_set_and_is_not_held(plain, as_root):
    """An image that was made while somebody had gone back."""
    plain.ok()
    changed(plain)
    plain.ok()
    assert rollback(plain).rc == 0
    other = plain.write("machine-id", "0123456789abcdef0123456789abcdef\n")
    plain.envsync.command = ["unshare", "--mount", "sh", "-euc", 'mount --bind "$0" /etc/machine-id; exec "$@"', other,
                             *plain.envsync.command]  # fmt: skip
    plain.fails(66, "no set of this machine", run=["status", "--root", plain.root])
    assert "held" not in plain.ok("--dry-run").err
    assert plain.place.read_text() == "A=1\n"
    plain.ok()
    assert plain.place.read_text() == "A=2\n"
    assert "hold: no" in plain.run("status", "--root", plain.root).out


def test_release_without_a_hold_is_a_plain_run(plain):
    plain.ok("--release")
    assert plain.place.read_text() == "A=1\n"


def renewed(plain, how):
    """Runs whose set is another one, with the same outputs."""
    if how == "touched":
        for seconds in 10, 20:
            age(plain.path("source.env"), seconds)
            plain.ok()
    elif how == "configured":
        plain.top["deadline"] = "50s"
        plain.ok()
    elif how == "damaged":
        flip(plain.stored()["manifest"])
        assert "not used" in plain.ok().err
    else:
        flip(plain.stored()["output-0"])
        assert "not used" in plain.ok().err


@pytest.mark.parametrize("how", ["touched", "configured", "damaged", "output"])
def test_a_set_with_the_same_outputs_does_not_push_out_the_earlier_one(plain, how):
    plain.ok()
    changed(plain)
    plain.ok()
    before = set(plain.kept())
    renewed(plain, how)
    assert set(plain.kept()) != before, "it is another set"
    result = rollback(plain)
    assert result.rc == 0 and "is in place and held" in result.err, str(result)
    assert plain.place.read_text() == "A=1\n"


def test_a_stale_and_a_skipped_run_do_not_push_out_the_earlier_set(vault):
    add(vault, on_unavailable="last-good")
    vault.answer.write_text('{"V": "bad"}')
    vault.ok()
    down(vault)
    vault.ok()
    vault.sources.pop()
    vault.source(**vault.exec, on_unavailable="skip")
    vault.ok()
    assert vault.place.read_text() == "A=1\nV=bad\n"
    assert rollback(vault).rc == 0
    assert vault.place.read_text() == "A=1\nV=1\n"


def test_a_rollback_that_changes_no_file_says_so(plain):
    plain.ok()
    changed(plain)
    plain.ok()
    plain.place.write_text("A=1\n")
    result = rollback(plain)
    assert result.rc == 0 and "warning: " in result.err and "no file was changed" in result.err
    assert "HELD" in plain.run("status", "--root", plain.root).out


def fetches_nothing(host):
    held = host.ok("--json")
    assert json.loads(held.out)["result"] == "held" and "held" in held.err


@pytest.mark.parametrize("status", [69, 65])
def test_a_release_that_fails_keeps_the_set_in_place_and_held(vault, status):
    add(vault)
    vault.answer.write_text('{"V": "bad"}')
    vault.ok()
    assert rollback(vault).rc == 0
    down(vault, status)
    assert vault.sync("--release").rc == status
    vault.status.write_text("0")
    vault.answer.write_text('{"V": "bad"}')
    fetches_nothing(vault)
    assert vault.place.read_text() == "A=1\nV=1\n"
    vault.ok("--release")
    assert vault.place.read_text() == "A=1\nV=bad\n"
    assert json.loads(vault.ok("--json").out)["result"] == "unchanged"


def test_a_release_that_is_killed_while_it_fetches_keeps_the_hold(vault):
    add(vault)
    vault.answer.write_text('{"V": "bad"}')
    vault.ok()
    assert rollback(vault).rc == 0
    good = vault.script.read_text()
    vault.script.write_text("#!/bin/sh\nsleep 20\n")
    with pytest.raises(subprocess.TimeoutExpired):
        vault.envsync("sync", "-c", vault.file, "--release", "--root", vault.root, timeout=1)
    vault.script.write_text(good)
    fetches_nothing(vault)
    assert vault.place.read_text() == "A=1\nV=1\n"


def test_a_release_that_finds_what_is_held_ends_the_hold(plain):
    plain.ok()
    made = plain.path("source.env").stat().st_mtime_ns
    changed(plain)
    plain.ok()
    assert rollback(plain).rc == 0
    changed(plain, "A=1\n")
    os.utime(plain.path("source.env"), ns=(made, made))
    age(plain.root / "var/lib/envsync/foo/current", HOUR)
    assert json.loads(plain.ok("--release", "--json").out)["result"] == "unchanged"
    found = json.loads(plain.run("status", "--root", plain.root, "--json").out)
    assert not found["held"] and found["age"] < 60
    changed(plain, "A=3\n")
    plain.ok()
    assert plain.place.read_text() == "A=3\n"


@pytest.mark.parametrize("lost", ["reboot", "by hand"])
def test_a_held_set_that_is_lost_is_66_until_the_release(plain, lost):
    other = plain.output("env", "/run/foo/environment")
    plain.ok()
    changed(plain)
    plain.ok()
    assert rollback(plain).rc == 0 and other.read_text() == "A=1\n"
    plain.reboot() if lost == "reboot" else shutil.rmtree(plain.root / "run/envsync")
    plain.fails(66, "--release")
    assert "is held since a rollback" in plain.ok("--dry-run").err
    plain.ok("--release")
    assert other.read_text() == "A=2\n" and plain.place.read_text() == "A=2\n"


@pytest.mark.parametrize("name", ["output-0", "manifest"])
def test_a_damaged_set_that_is_held_is_66_until_the_release(plain, name):
    plain.ok()
    changed(plain)
    plain.ok()
    assert rollback(plain).rc == 0
    flip(plain.stored()[name])
    for _ in range(2):
        assert "is damaged" in plain.fails(66, "--release").err
    plain.ok("--release")
    assert plain.place.read_text() == "A=2\n"


def test_exec_keeps_to_the_set_that_a_rollback_holds(as_root, plain):
    plain.outputs.clear()
    plain.output("env", "/run/foo/environment")
    plain.output("json", "/run/foo/all.json")
    source = plain.path("source.env")
    show = """envsync=$1 file=$2 source=$3
        gives() { "$envsync" exec -c "$file" -- sh -c 'echo "$A"' || echo "exit $?"; }
        "$envsync" -c "$file"
        echo A=2 >"$source"; "$envsync" -c "$file"
        "$envsync" rollback -c "$file"
        gives
        rm "$source"; gives
        sed 's,/run/foo/environment,/run/foo/other,' "$file" >"$file.new"
        echo A=3 >"$source"; cp "$file" "$file.old"; cat "$file.new" >"$file"; gives
        cat "$file.old" >"$file"; gives
        rm -r /run/envsync/foo/????????????????; gives
        "$envsync" sync --release -c "$file"; gives"""
    done = in_namespace(show, *plain.envsync.command[-1:], plain.file, source)
    assert done.returncode == 0 and done.stdout == "1\n1\n3\n1\nexit 66\n3\n", done
    assert "the command gets what the held set has of /run/foo/environment" in done.stderr
    assert "the command gets what the sources give now" in done.stderr
