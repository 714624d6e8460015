"""What envsync keeps between runs: status, rollback and hold, fresh_for, last-good, skip, and where
it may lie on disk."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import STATE, in_namespace

HOUR = 3600


@pytest.fixture
def plain(host):
    host.source("A=1\n")
    host.place = host.output()
    return host


def program(host, name="vault"):
    """An exec source whose answer and exit status the test writes to files."""
    answer, status = host.write(f"{name}.json", '{"V": "1"}'), host.write(f"{name}.status", "0")
    script = host.write(f"{name}.sh", f'#!/bin/sh\ncat "{answer}"\nexit "$(cat "{status}")"\n', 0o755)
    open_to_all(host.scratch.folder)
    return script, answer, status


def open_to_all(folder):
    """The program runs as an ordinary user: pytest's folders are root's alone."""
    for path in [folder, *folder.parents]:
        if path.stat().st_uid == os.geteuid() and path.name.startswith(("pytest", "popen", "test_")):
            path.chmod(path.stat().st_mode | 0o055)


@pytest.fixture
def vault(plain):
    """The file source, then a program; what it gives goes to an output of its own as well."""
    plain.script, plain.answer, plain.status = program(plain)
    plain.exec = {"name": "vault", "type": "exec", "command": [str(plain.script)]}
    plain.other = plain.root / "run/foo/vault.json"
    plain.output("json", "/run/foo/vault.json", from_=["vault"])
    return plain


def add(vault, **options):
    vault.source(**vault.exec, **options)
    vault.ok()
    assert vault.place.read_text() == "A=1\nV=1\n"
    return vault


def down(vault, status=69):
    vault.status.write_text(str(status))
    vault.answer.write_text("")


def changed(host, text="A=2\n"):
    host.write("source.env", text)


def age(path, seconds):
    """Moves a file's time back, or into the future."""
    os.utime(path, times=(time.time() - seconds,) * 2)


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


# ---- rollback ----


def rollback(host):
    return host.run("rollback", "--root", host.root)


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


# ---- fresh_for ----


def test_a_fresh_set_is_published_without_fetching_and_fresh_fetches(plain):
    plain.top["fresh_for"] = "1h"
    plain.ok()
    plain.path("source.env").unlink()
    plain.place.unlink()
    result = plain.ok("--json")
    assert json.loads(result.out)["result"] == "fresh"
    assert [output["state"] for output in json.loads(result.out)["outputs"]] == ["restored"]
    assert plain.place.read_text() == "A=1\n"
    assert plain.sync("--fresh").rc == 66
    changed(plain)
    plain.ok()
    assert plain.place.read_text() == "A=1\n"
    plain.ok("--fresh")
    assert plain.place.read_text() == "A=2\n"


@pytest.mark.parametrize("why", ["old", "future", "source", "output", "removed"])
def test_a_set_that_is_old_of_the_future_or_of_another_configuration_is_not_fresh(plain, why):
    plain.top["fresh_for"] = "1h"
    other = plain.output("json", "/etc/foo/all.json")
    plain.ok()
    changed(plain)
    if why in ("old", "future"):
        age(plain.root / "var/lib/envsync/foo/current", 2 * HOUR if why == "old" else -HOUR)
    elif why == "source":
        plain.source("B=1\n", "b.env", name="b")
    elif why == "output":
        plain.output("toml", "/etc/foo/all.toml")
    else:
        plain.outputs.pop()
        other.unlink()
    plain.ok()
    assert "A=2\n" in plain.place.read_text()


def test_a_set_with_a_skipped_source_is_not_fresh(vault):
    vault.top["fresh_for"] = "1h"
    down(vault)
    vault.source(**vault.exec, on_unavailable="skip")
    vault.ok()
    changed(vault)
    vault.status.write_text("0")
    vault.answer.write_text('{"V": "2"}')
    vault.ok()
    assert json.loads(vault.other.read_text()) == {"V": "2"}


# ---- last-good ----


def stale(result):
    found = json.loads(result.out)
    assert len(found["warnings"]) >= 1
    return found["stale"], {source["name"]: source["state"] for source in found["sources"]}


@pytest.mark.parametrize("status", [69, 75])
def test_last_good_serves_an_unavailable_source_and_the_others_are_fetched(vault, status):
    add(vault, on_unavailable="last-good")
    age(vault.stored()["source-1"], HOUR)
    changed(vault)
    down(vault, status)
    result = vault.ok("--json")
    (entry,), states = stale(result)
    assert entry["source"] == "vault" and HOUR <= entry["age"] < HOUR + 60
    assert states == {"file": "given", "vault": "stale"}
    assert "vault" in result.err and "60 min old" in result.err
    assert vault.place.read_text() == "A=2\nV=1\n"
    found = json.loads(vault.run("status", "--root", vault.root, "--json").out)
    assert not found["complete"] and found["sources"][1]["stale"]
    assert found["sources"][1]["age"] >= HOUR


def test_a_stale_source_does_not_grow_young(vault):
    """However many runs are served, its age counts from the last time that it was fetched."""
    vault.top["last_good"] = {"max_age": "2h"}
    add(vault, on_unavailable="last-good")
    age(vault.stored()["source-1"], HOUR)
    down(vault)
    for i in range(3):
        changed(vault, f"A={i}\n")
        (entry,), _ = stale(vault.ok("--json"))
        assert entry["age"] >= HOUR
    age(vault.stored()["source-1"], 3 * HOUR)
    vault.fails(69, "vault", "69")


@pytest.mark.parametrize("status, code", [(66, 66), (77, 77), (1, 65), (65, 65)])
def test_last_good_never_follows_another_failure(vault, status, code):
    add(vault, on_unavailable="last-good")
    before = vault.state()
    changed(vault)
    down(vault, status)
    vault.fails(code, "source vault")
    assert vault.state() == before


def test_last_good_without_a_set_is_69(vault):
    down(vault)
    vault.source(**vault.exec, on_unavailable="last-good")
    vault.fails(69, "source vault", "no last good values of it are kept")


def test_a_last_success_in_the_future_has_no_negative_age(plain):
    plain.ok()
    age(plain.root / "var/lib/envsync/foo/current", -HOUR)
    assert "(of a time in the future)" in plain.run("status", "--root", plain.root).out
    assert "age" not in json.loads(plain.run("status", "--root", plain.root, "--json").out)


@pytest.mark.parametrize("seconds", [73 * HOUR, -HOUR])
def test_last_good_that_is_too_old_or_of_the_future_does_not_count(vault, seconds):
    """A time in the future says that a clock was wrong: nobody knows how old it is."""
    add(vault, on_unavailable="last-good")
    age(vault.stored()["source-1"], seconds)
    down(vault)
    vault.fails(69, "source vault", "3 days old, over max_age" if seconds > 0 else "a time in the future")
    told = vault.run("status", "--root", vault.root).out
    (line,) = [line for line in told.splitlines() if "source vault" in line]
    assert "no last good" in line and (" s old" if seconds > 0 else "time in the future") in line, line
    assert " -" not in line.split(", ")[1]
    (source,) = json.loads(vault.run("status", "--root", vault.root, "--json").out)["sources"][1:]
    assert source["last_good"] is False and source.get("age", 0) >= 0
    age(vault.stored()["source-1"], 71 * HOUR)
    vault.ok()


def test_max_age_is_what_the_configuration_says(vault):
    vault.top["last_good"] = {"max_age": "10m"}
    add(vault, on_unavailable="last-good")
    down(vault)
    age(vault.stored()["source-1"], 9 * 60)
    vault.ok()
    age(vault.stored()["source-1"], 11 * 60)
    vault.fails(69, "source vault")


def test_last_good_of_other_options_does_not_count(vault):
    add(vault, on_unavailable="last-good")
    down(vault)
    vault.sources.pop()
    vault.exec["command"].append("another secret")
    vault.source(**vault.exec, on_unavailable="last-good")
    vault.fails(69, "source vault", "of another address")


def test_last_good_while_cloud_init_is_still_running(plain):
    data = plain.write("cloud/instance-data.json", '{"v1": {"region": "eu-west-1"}}')
    plain.source(type="cloud-init", path=data, keys={"R": "${region}"}, on_unavailable="last-good")
    plain.ok()
    data.unlink()
    data.with_name("status.json").write_text("{}")
    changed(plain)
    (entry,), _ = stale(plain.ok("--json", "--deadline", "1s"))
    assert entry["source"] == "cloud-init"
    assert plain.place.read_text() == "A=2\nR=eu-west-1\n"


def test_last_good_of_another_machine_does_not_count(as_root, vault):
    """An image that was baked with a set in it."""
    add(vault, on_unavailable="last-good")
    down(vault)
    script = """mkdir -p "$1"; printf '%032d\\n' 7 >"$1/machine-id"
        touch /etc/machine-id; mount --bind "$1/machine-id" /etc/machine-id; shift; exec "$@" """
    done = in_namespace(script, vault.path("machine/x").parent, *vault.envsync.command, "-c",
                        vault.file, "--root", vault.root)  # fmt: skip
    assert done.returncode == 69 and "vault" in done.stderr, done


# ---- skip ----


def test_skip_keeps_an_output_that_is_there_and_makes_one_that_is_not(vault):
    add(vault, on_unavailable="skip")
    lone = vault.output("toml", "/etc/foo/new.toml")
    mine = vault.output("env", "/etc/foo/mine", from_=["file"])
    before = {path: path.read_bytes() for path in (vault.place, vault.other)}
    changed(vault)
    down(vault)
    result = vault.ok("--json")
    found = json.loads(result.out)
    assert sorted(found["kept"]) == ["/etc/foo/environment", "/run/foo/vault.json"]
    assert {path: path.read_bytes() for path in before} == before
    assert lone.read_text().strip() == 'A = "2"' and mine.read_text() == "A=2\n"
    assert {o["path"]: o["state"] for o in found["outputs"]}["/etc/foo/environment"] == "kept"
    assert {s["name"]: s["state"] for s in found["sources"]}["vault"] == "skipped"
    assert "skipped" in result.err
    vault.place.chmod(0o600)
    vault.place.write_text("edited")
    vault.ok()
    assert vault.place.read_bytes() == before[vault.place], "the last set is put back all the same"
    vault.status.write_text("0")
    vault.answer.write_text('{"V": "3"}')
    vault.ok()
    assert vault.place.read_text() == "A=2\nV=3\n"


def test_explain_says_that_a_skipped_source_left_an_output_as_it_was(vault):
    add(vault, on_unavailable="skip")
    down(vault)
    vault.ok()
    for options in [], ["--fetch"]:
        vault.fails(66, "no source gives the key V; source vault was skipped", "kept as it was",
                    run=["explain", "--root", vault.root, *options, "V"])  # fmt: skip
    assert vault.run("explain", "--root", vault.root, "A").rc == 0


def test_exec_gives_what_a_skipped_source_left_in_the_output(as_root, plain):
    script, answer, status = program(plain)
    plain.outputs.clear()
    plain.output("env", "/run/foo/environment")
    plain.source(type="exec", name="vault", command=[str(script)], on_unavailable="skip")
    show = """envsync=$1 file=$2 answer=$3 status=$4
        gives() { "$envsync" exec -c "$file" -- sh -c 'echo "$A ${V-unset}"'; }
        "$envsync" -c "$file"
        echo 69 >"$status"; : >"$answer"
        gives
        "$envsync" -c "$file"
        gives
        rm -r /run/envsync
        gives"""
    done = in_namespace(show, *plain.envsync.command[-1:], plain.file, answer, status)
    assert done.returncode == 0 and done.stdout == "1 1\n1 1\n1 unset\n", done
    assert "the command gets what the last set has of /run/foo/environment" in done.stderr


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
    import shutil

    add(vault)
    shutil.rmtree(vault.root / "run/envsync")
    told = vault.run("status", "--root", vault.root)
    assert "not used" in told.err and "what lay below" not in told.out
    assert "not used" in vault.ok().err
    assert vault.ok().err == ""


@pytest.mark.parametrize("lost", ["reboot", "by hand"])
def test_a_held_set_that_is_lost_is_66_until_the_release(plain, lost):
    import shutil

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


def flip(path):
    """One bit of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


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
