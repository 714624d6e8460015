"""[on_change] without a systemd: what counts as a change, and what becomes of what is due. The units
are in test_boot_on_change.py."""
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import ORDINARY, SLOW, TEMP_MARK, toml

pytest_plugins = ("aws",)

FLAG = "/srv/foo/flags/restart.flag"


class Watched:
    """A host with a flag to touch and a program that counts how often it was run."""

    def __init__(self, host):
        self.host = host
        self.root, self.ok, self.run = host.root, host.ok, host.run
        host.source("A=1\n")
        self.place = host.output()
        self.flag = self.root / FLAG.lstrip("/")
        self.flag.parent.mkdir(parents=True)
        self.count = host.path("count")
        self.status = host.write("status", "0")
        self.script = host.write(
            "act.sh", f'#!/bin/sh\necho "$@" >>"{self.count}"\nexit "$(cat "{self.status}")"\n', 0o755
        )
        self.asks(touch=[FLAG], run=[str(self.script), "it is", "done"])

    def asks(self, **actions):
        """What [on_change] of the configuration says from now on."""
        self.host.outputs = [text for text in self.host.outputs if "[on_change]" not in text]
        lines = [f"{key} = {toml(value)}\n" for key, value in actions.items()]
        self.host.outputs.append("".join(["[on_change]\n", *lines]))

    def change(self, text="A=2\n"):
        self.host.write("source.env", text)

    def acted(self):
        return self.count.read_text().splitlines() if self.count.exists() else []

    def sync(self, *args, word, **keywords):
        """A run that succeeds, and what it says of on_change."""
        result = self.ok("--json", *args, **keywords)
        told = json.loads(result.out)
        assert told["on_change"] == word and told["exit"] == 0, str(result)
        return told

    def set_id(self):
        return self.host.stored()["manifest"].parent.name

    def pending(self):
        found = json.loads(self.run("status", "--root", self.root, "--json").out)["pending"]
        return [(item["action"], item["what"]) for item in found]

    @property
    def both(self):
        return [("touch", FLAG), ("run", str(self.script))]


@pytest.fixture
def watched(host):
    return Watched(host)


def states(told):
    return [(item["action"], item["state"]) for item in told["actions"]]


# ---- what is a change ----


def test_the_first_set_is_no_change(watched):
    told = watched.sync(word="none")
    assert told["result"] == "changed" and told["actions"] == []
    assert not watched.flag.exists() and not watched.acted()


def test_a_change_is_acted_upon_once(watched):
    watched.sync(word="none")
    watched.change()
    assert states(watched.sync(word="done")) == [("touch", "done"), ("run", "done")]
    assert watched.flag.exists() and watched.acted() == ["it is done"]
    watched.flag.unlink()
    watched.sync(word="none")
    watched.sync("--fresh", word="none")
    assert not watched.flag.exists() and watched.acted() == ["it is done"]
    assert watched.pending() == []


def test_what_is_missing_repaired_or_only_newer_is_no_change(watched):
    watched.sync(word="none")
    watched.place.unlink()
    assert watched.sync(word="none")["result"] == "changed"
    watched.place.chmod(0o600)
    assert watched.sync(word="none")["result"] == "changed"
    watched.place.write_text("A=tampered\n")
    watched.sync(word="none")
    assert watched.place.read_text() == "A=1\n"
    # The same values from a newer file are another set, but nobody has to be told.
    before = watched.set_id()
    watched.change("# new\nA=1\n")
    watched.sync(word="none")
    assert watched.set_id() != before
    assert not watched.flag.exists() and not watched.acted()


def test_a_new_output_is_a_change_and_one_that_is_gone_is_none(watched):
    watched.sync(word="none")
    watched.host.output("json", "/etc/foo/more.json")
    watched.sync(word="done")
    watched.host.outputs.pop()
    watched.sync(word="none")
    assert watched.acted() == ["it is done"]


def test_a_table_that_is_new_says_nothing_about_what_was_before(watched):
    asked = watched.host.outputs.pop()
    watched.sync(word="none")
    watched.change()
    watched.sync(word="none")
    watched.host.outputs.append(asked)
    watched.sync(word="none")
    assert not watched.acted()


def test_a_mirrored_file_changes_where_its_object_does(watched, gateway):
    watched.host.source(type="s3", bucket="config", prefix="prod", mirror=["**"], dir="/etc/foo/tls",
                        prune=True)  # fmt: skip
    keywords = {"env": gateway.environment()}

    def bucket(**objects):
        objects = {f"prod/{name}": given for name, given in objects.items()}
        gateway.fixtures(buckets={"config": {"objects": objects}})

    bucket(a="1", b="1")
    watched.sync(word="none", **keywords)
    (watched.root / "etc/foo/tls/a").unlink()
    told = watched.sync(word="none", **keywords)
    assert ["created", "unchanged"] == sorted(item["state"] for item in told["files"])
    (watched.root / "etc/foo/tls/a").write_text("2")
    (watched.root / "etc/foo/tls/b").chmod(0o600)
    watched.sync(word="none", **keywords)
    for count, objects in enumerate([{"a": "2"}, {"c": "1"}, {"b": None}], 1):
        bucket(**objects)
        watched.sync("--dry-run", word="pending", **keywords)
        watched.sync(word="done", **keywords)
        watched.sync(word="none", **keywords)
        assert len(watched.acted()) == count
    assert {path.name for path in (watched.root / "etc/foo/tls").iterdir()} == {"a", "c"}


def test_a_rollback_is_a_change_and_so_is_what_comes_after_it(watched):
    watched.sync(word="none")
    watched.change()
    watched.sync(word="done")
    told = watched.run("rollback", "--root", watched.root)
    assert told.rc == 0 and len(watched.acted()) == 2, str(told)
    watched.sync(word="none")
    watched.sync("--release", word="done")
    assert len(watched.acted()) == 3


def test_a_failed_run_does_nothing(watched):
    watched.sync(word="none")
    watched.change("A=2\nno assignment\n")
    result = watched.host.sync("--json")
    assert result.rc == 65 and json.loads(result.out)["on_change"] == "none"
    assert not watched.flag.exists() and not watched.acted()


# ---- what is due stays due ----


def test_what_fails_is_an_error_and_tried_again_until_it_succeeds(watched):
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("3")
    told = watched.sync(word="failed")
    assert states(told) == [("touch", "done"), ("run", "failed")] and told["result"] == "changed"
    (error,) = told["errors"]
    assert str(watched.script) in error["message"] and "exit status 3" in error["message"]
    assert watched.pending() == [("run", str(watched.script))]
    told = watched.run("status", "--root", watched.root)
    assert f"  pending: run {watched.script}\n" in told.out and "it is" not in told.out
    watched.flag.unlink()
    result = watched.ok()
    assert result.err.count("error: ") == 1, str(result)
    watched.status.write_text("0")
    assert states(watched.sync(word="done")) == [("run", "done")]
    assert watched.pending() == [] and not watched.flag.exists() and len(watched.acted()) == 3
    assert "pending" not in watched.run("status", "--root", watched.root).out


def test_what_is_due_goes_on_where_the_state_leaves_the_disk(watched):
    """The configuration has nothing any more that may rest there."""
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("3")
    watched.sync(word="failed")
    watched.host.outputs[0] = watched.host.outputs[0].replace("/etc/foo", "/run/foo")
    watched.sync(word="failed")
    assert not list((watched.root / "var/lib/envsync").iterdir())
    assert watched.pending() == [("run", str(watched.script))]
    watched.status.write_text("0")
    assert states(watched.sync(word="done")) == [("run", "done")]


def test_what_is_due_goes_on_to_a_set_that_changes_nothing(watched):
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("1")
    watched.sync(word="failed")
    watched.change("# newer\nA=2\n")
    watched.sync(word="failed")
    assert watched.pending() == [("run", str(watched.script))]
    watched.status.write_text("0")
    watched.sync(word="done")
    assert watched.pending() == []


def test_what_the_configuration_no_longer_asks_for_is_forgotten(watched):
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("1")
    watched.sync(word="failed")
    watched.asks(touch=[FLAG], run=[str(watched.script), "something else"])
    assert watched.pending() == []
    watched.sync(word="none")
    assert watched.acted() == ["it is done"]


def test_what_is_due_is_done_also_where_nothing_is_fetched(watched):
    watched.host.top["fresh_for"] = "1h"
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("1")
    watched.sync("--fresh", word="failed")
    watched.status.write_text("0")
    assert watched.sync(word="done")["result"] == "fresh"


@pytest.mark.bare
def test_a_run_that_is_killed_anywhere_leaves_to_the_next_what_its_commit_made_due(watched, as_root):
    """Killed at each of its renames in turn: of the store's files, of `current`, of the output."""
    command = [*watched.host.envsync.command, "-c", watched.host.file, "--root", watched.root]
    seen = set()
    watched.sync(word="none")
    for when in range(1, 100):
        before, acted = watched.set_id(), len(watched.acted())
        watched.change(f"A={when}{when}\n")
        inject = f"inject=renameat:error=EIO:signal=KILL:when={when}"
        killed = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", inject, *command],
            env=watched.host.envsync.environment(), capture_output=True,
        )  # fmt: skip
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL and len(watched.acted()) == acted
        committed = watched.set_id() != before
        assert watched.pending() == (watched.both if committed else [])
        seen.add(committed)
        assert states(watched.sync(word="done"))[-1] == ("run", "done")
        assert watched.place.read_text() == f"A={when}{when}\n"
        assert len(watched.acted()) == acted + 1 and watched.pending() == []
    assert seen == {False, True} and when > 5


def test_a_note_that_cannot_be_read_means_that_all_is_due(watched):
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("1")
    watched.sync(word="failed")
    watched.host.stored()["pending"].write_bytes(b"envsync pending 1\n\xff\xff")
    watched.status.write_text("0")
    assert states(watched.sync(word="done")) == [("touch", "done"), ("run", "done")]


# ---- how it is done ----


def test_it_runs_after_the_lock_is_released(watched, envsync):
    """What is run may start envsync itself: that one neither waits nor acts a second time."""
    inner = watched.host.write("inner.sh", "#!/bin/sh\n")
    watched.asks(run=[str(inner)])
    command = " ".join(map(str, [*envsync.command, "-c", watched.host.file, "--root", watched.root]))
    inner.write_text(f'#!/bin/sh\n{command} --deadline 2s --json >"{watched.count}"\n')
    inner.chmod(0o755)
    watched.sync(word="none")
    watched.change()
    watched.sync(word="done")
    told = json.loads(watched.count.read_text())
    assert told["result"] == "unchanged" and told["on_change"] == "pending"


def test_a_program_gets_no_secrets_no_stdin_and_no_descriptors(watched):
    script = watched.host.write(
        "look.sh", f'#!/bin/sh\n{{ env; ls -l /proc/self/fd; pwd; umask; }} >"{watched.count}"\n', 0o755
    )
    watched.asks(run=[str(script)])
    watched.sync(word="none")
    watched.change("A=canary\n")
    watched.sync(word="done", env={"CANARY": "canary"}, input="canary", umask=0o027)
    seen = watched.count.read_text()
    assert "canary" not in seen.lower() and " 0 -> /dev/null" in seen and " 4 -> " not in seen, seen
    assert seen.endswith("/\n0027\n"), seen


def test_what_a_program_prints_is_not_in_the_result(watched):
    watched.asks(run=["sh", "-c", "echo out; echo err >&2"])
    watched.sync(word="none")
    watched.change()
    result = watched.ok("--json")
    json.loads(result.out)
    assert "out\n" in result.err and "err\n" in result.err


def test_a_program_that_is_not_there_is_named(watched):
    watched.asks(run=["/nowhere/program"])
    watched.sync(word="none")
    watched.change()
    message = watched.sync(word="failed")["errors"][0]["message"]
    assert "/nowhere/program" in message and "No such file" in message


def test_a_unit_that_cannot_be_restarted_is_named_and_stays_due(watched):
    """There may be no systemd here at all, and if there is, it has no such unit."""
    watched.asks(restart=["no-such-unit"], reload=["no-such.socket"])
    watched.sync(word="none")
    watched.change()
    told = watched.sync(word="failed")
    assert states(told) == [("restart", "failed"), ("reload", "failed")]
    assert "restart: no-such-unit.service: systemctl" in told["errors"][0]["message"]
    assert watched.pending() == [("restart", "no-such-unit.service"), ("reload", "no-such.socket")]


def test_an_interrupted_action_stays_due(watched):
    watched.asks(touch=[FLAG], run=["sleep", "30"])
    watched.sync(word="none")
    watched.change()
    process = subprocess.Popen(
        [*watched.host.envsync.command, "-c", watched.host.file, "--root", watched.root],
        env=watched.host.envsync.environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not watched.flag.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.terminate()
    _, told = process.communicate(timeout=15 * SLOW)
    assert process.returncode == 0 and "interrupted" in told, told
    assert watched.pending() == [("run", "sleep")]


# ---- touch ----


def test_a_flag_is_made_for_the_owner_of_its_directory(watched, as_root):
    os.chown(watched.flag.parent, ORDINARY, ORDINARY)
    watched.sync(word="none")
    watched.change()
    watched.sync(word="done")
    st = watched.flag.stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777, st.st_size) == (ORDINARY, ORDINARY, 0o644, 0)


def test_a_flag_that_is_there_gets_a_new_time_and_nothing_else(watched):
    watched.flag.write_text("kept")
    os.utime(watched.flag, (1, 1))
    before = watched.flag.stat()
    watched.sync(word="none")
    watched.change()
    watched.sync(word="done")
    after = watched.flag.stat()
    assert after.st_mtime > time.time() - 60 and watched.flag.read_text() == "kept"
    assert (before.st_ino, before.st_mode, before.st_uid) == (after.st_ino, after.st_mode, after.st_uid)


def test_a_directory_can_be_touched(watched):
    watched.asks(touch=["/srv/foo/flags"])
    os.utime(watched.flag.parent, (1, 1))
    watched.sync(word="none")
    watched.change()
    watched.sync(word="done")
    assert watched.flag.parent.stat().st_mtime > time.time() - 60


@pytest.mark.parametrize("kind", ["link", "fifo", "no directory"])
def test_what_is_no_file_is_not_touched(watched, kind):
    victim = watched.host.write("victim", "")
    os.utime(victim, (1, 1))
    if kind == "link":
        watched.flag.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(watched.flag)
    else:
        watched.flag.parent.rmdir()
    watched.sync(word="none")
    watched.change()
    told = watched.sync(word="failed")
    assert FLAG in told["errors"][0]["message"] and victim.stat().st_mtime == 1
    assert states(told) == [("touch", "failed"), ("run", "done")]


# ---- dry runs ----


def test_a_dry_run_lists_what_would_be_done_and_does_nothing(watched):
    watched.sync(word="none")
    before = watched.host.kept()
    assert "on_change" not in watched.ok("--dry-run").out
    watched.change()
    told = watched.ok("--dry-run").out
    assert f"on_change: would touch {FLAG}\non_change: would run {watched.script}\n" in told
    assert states(watched.sync("--dry-run", word="pending")) == [
        ("touch", "pending"), ("run", "pending")]  # fmt: skip
    assert not watched.flag.exists() and not watched.acted() and watched.host.kept() == before


def test_a_dry_run_before_the_first_set_lists_nothing(watched):
    assert "on_change" not in watched.ok("--dry-run").out


def test_a_dry_run_lists_what_is_still_due(watched):
    watched.sync(word="none")
    watched.change()
    watched.status.write_text("1")
    watched.sync(word="failed")
    told = watched.ok("--dry-run").out
    assert f"would run {watched.script}" in told and "would touch" not in told


def test_who_may_not_read_the_state_is_told_so(guest):
    watched = Watched(guest)
    watched.host.root.chmod(0o755)
    state = watched.root / "run/envsync"
    state.mkdir(parents=True)
    state.chmod(0o700)
    told = watched.ok("--dry-run").out
    assert "on_change: not comparable" in told


def test_no_temporary_file_is_left(watched):
    watched.sync(word="none")
    watched.change()
    watched.sync(word="done")
    assert not [path for path in watched.root.rglob("*") if TEMP_MARK in path.name]


def test_check_warns_of_what_is_not_there(watched):
    told = watched.run("check")
    assert told.rc == 0 and "there is no directory /srv/foo/flags/" in told.err, str(told)
    assert "no program" not in told.err
    watched.asks(run=["/nowhere/program"])
    told = watched.run("check")
    assert told.rc == 0 and "there is no program /nowhere/program" in told.err, str(told)
