"""[last_good] at_rest = "encrypted": what lies below /run comes back after a reboot, and nothing on
the disk can be read without the keys of the host."""
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from boot import Machine
from conftest import ORDINARY
from sealing import CANARY, CREDS

pytest_plugins = ("aws", "sealing")
pytestmark = pytest.mark.usefixtures("as_root")


def test_after_a_reboot_with_the_backend_down_the_outputs_below_run_are_back(sealing):
    sealing.ok()
    owner = sealing.place.stat()
    sealing.reboot()
    assert not sealing.place.exists()
    sealing.down()
    result = sealing.ok("--json")
    (stale,) = json.loads(result.out)["stale"]
    assert stale["source"] == "params" and 0 <= stale["age"] < 60
    assert sealing.value() == {"a": f"{CANARY}-1"}
    now = sealing.place.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (owner.st_mode, owner.st_uid, owner.st_gid)


def test_a_source_that_may_not_be_stale_still_finds_its_outputs_in_place(sealing):
    """The run fails, as the configuration wants, but an app that is started all the same has files."""
    sealing.host.sources.clear()
    sealing.host.source(type="ssm", name="params", path="/foo/")
    sealing.ok()
    sealing.reboot()
    sealing.down()
    sealing.fails(69, "params")
    assert sealing.value() == {"a": f"{CANARY}-1"}


def test_the_set_is_the_same_one_before_and_after_the_reboot(sealing):
    """Nothing is sealed anew, and the way back does not lead to a copy of the present set."""
    sealing.ok()
    sealing.give(a=f"{CANARY}-2")
    sealing.ok()
    pointer = (sealing.root / "var/lib/envsync/foo/current").read_bytes()
    sealing.reboot()
    disk = {name: data for name, data in sealing.host.kept().items() if name.startswith("/var")}
    sealing.ok()
    assert (sealing.root / "var/lib/envsync/foo/current").read_bytes() == pointer
    kept = sealing.host.kept()
    assert {name: kept[name] for name in kept if name.startswith("/var")} == disk
    assert sealing.run("rollback").rc == 0
    assert sealing.value() == {"a": f"{CANARY}-1"}


def test_a_rollback_after_a_reboot_opens_the_earlier_set(sealing):
    sealing.ok()
    sealing.give(a=f"{CANARY}-2")
    sealing.ok()
    for expected in f"{CANARY}-1", f"{CANARY}-2":
        sealing.reboot()
        sealing.down()
        assert sealing.run("rollback").rc == 0
        assert sealing.value() == {"a": expected}
        held = sealing.ok()
        assert "held" in held.err
    sealing.reboot()
    sealing.ok()
    assert sealing.value() == {"a": f"{CANARY}-2"}, "the hold outlasts the reboot, with its files"


def test_only_a_change_and_a_reboot_start_systemd_creds(sealing, tmp_path):
    log = sealing.host.write("log", "", 0o666)
    sealing.wrapper(f'echo "$1" >>{log}; exec "$real" "$@"')
    sealing.ok()
    assert log.read_text() == "encrypt\n"
    sealing.ok()
    sealing.place.unlink()
    sealing.ok()
    assert sealing.run("status").rc == 0 and sealing.run("explain").rc == 0
    sealing.ok("--dry-run")
    assert log.read_text() == "encrypt\n"
    sealing.reboot()
    assert sealing.run("status").rc == 0
    assert log.read_text() == "encrypt\n", "status asks for no key"
    sealing.ok()
    sealing.ok()
    assert log.read_text() == "encrypt\ndecrypt\n"


def test_an_unchanged_run_keeps_the_age_of_what_is_sealed(sealing):
    """The age counts from the last time that a source was asked, not from when it was sealed."""
    sealing.top["last_good"]["max_age"] = "10m"
    sealing.ok()
    before = sealing.host.kept()
    for path in sealing.host.stored().values():
        os.utime(path, times=(time.time() - 3600,) * 2)
    sealing.ok()
    assert sealing.host.kept() == before, "no byte was written"
    sealing.reboot()
    sealing.down()
    (stale,) = json.loads(sealing.ok("--json").out)["stale"]
    assert stale["age"] < 60
    for path in sealing.host.stored().values():
        os.utime(path, times=(time.time() - 3600,) * 2)
    sealing.reboot()
    sealing.fails(69, "params")


@pytest.mark.bare
def test_neither_argument_nor_environment_nor_stderr_carries_a_value(sealing):
    """And systemd-creds gets an environment of constants."""
    trace = sealing.host.path("trace")
    before = ["strace", "-f", "-v", "-s", "100000", "-e", "trace=execve", "-o", trace]
    assert sealing.run("sync", before=map(str, before)).rc == 0
    (line,) = [line for line in trace.read_text().splitlines() if f'execve("{CREDS}"' in line]
    assert re.search(r'\["systemd-creds", "encrypt", "--with-key=auto", "--name=envsync-[0-9a-f]{16}-0-1", '
                     r'"-", "-"\], \["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"\]', line), line  # fmt: skip
    assert CANARY not in trace.read_text()


def test_names_that_a_sealed_set_wrote_are_no_input_after_a_reboot(sealing):
    sealing.host.output("env", "/run/foo/environment")
    sealing.give(AWS_REGION="us-west-2")
    sealing.ok()
    sealing.reboot()
    sealing.env |= {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}
    sealing.gateway.forget()
    for args in ["--dry-run"], []:
        sealing.ok(*args)
    assert {request["region"] for request in sealing.gateway.requests()} == {"eu-west-1"}


def test_a_run_that_was_emptied_in_the_same_boot_is_brought_back(sealing):
    """In a container /run may be new and the boot the same one. Only this host's keys open the copy."""
    sealing.ok()
    sealing.give(a=f"{CANARY}-2")
    sealing.ok()
    shutil.rmtree(sealing.root / "run")
    sealing.down()
    told = sealing.run("status")
    assert "the next run opens its sealed copy" in told.out and "not used" not in told.out + told.err
    (stale,) = json.loads(sealing.ok("--json").out)["stale"]
    assert stale["source"] == "params" and sealing.value() == {"a": f"{CANARY}-2"}
    shutil.rmtree(sealing.root / "run")
    assert sealing.run("rollback").rc == 0 and sealing.value() == {"a": f"{CANARY}-1"}
    shutil.rmtree(sealing.root / "run")
    assert "held" in sealing.ok().err and sealing.value() == {"a": f"{CANARY}-1"}


# ---- size, other settings, who ----


def test_a_set_of_many_mebibytes_is_sealed_in_chunks(sealing):
    """systemd-creds takes 1 MiB at once and opens less. Eight sources of 1 MiB, the most there is."""
    host = sealing.host
    host.sources.clear()
    noise = {f"K{n}": CANARY + os.urandom(500_000).hex() for n in range(8)}
    for name, value in noise.items():
        host.source(f"{name}={value}\n", f"{name}.env", name=name)
    log = host.write("log", "", 0o666)
    sealing.wrapper(f'echo "$1" >>{log}; exec "$real" "$@"')
    sealing.ok()
    assert len(log.read_text().splitlines()) > 16 * 1_000_000 // (768 << 10)
    log.write_text("")
    sealing.reboot()
    for name in noise:
        host.path(f"{name}.env").unlink()
    assert sealing.run("sync").rc == 66
    assert set(log.read_text().split()) == {"decrypt"}
    assert sealing.value() == noise


def test_a_stricter_setting_forgets_what_the_looser_one_left(sealing):
    sealing.top["last_good"]["at_rest"] = "plain"
    sealing.no_canary_on_disk = lambda: None
    sealing.ok()
    sealing.give(a=f"{CANARY}-2")
    sealing.ok()
    sealing.top["last_good"]["at_rest"] = "encrypted"
    del sealing.no_canary_on_disk
    sealing.ok()
    sealing.fails(66, "earlier set", run=["rollback"])
    sealing.top["last_good"]["at_rest"] = "no"
    sealing.ok()
    assert list((sealing.root / "var/lib/envsync").iterdir()) == []


def test_where_outputs_are_on_disk_too_only_the_others_are_sealed(sealing):
    sealing.host.output("env", "/etc/foo/public", from_=["plain"])
    sealing.host.source("P=public\n", "plain.env", name="plain")
    sealing.host.outputs[0] = sealing.host.outputs[0].replace("[[output]]", '[[output]]\nfrom = ["params"]')
    sealing.ok()
    stored = sealing.host.stored()
    assert b"public" in stored["source-1"].read_bytes() and "/var/" in str(stored["source-1"])
    assert "/run/" in str(stored["source-0"]) and not (stored["sealed"].parent / "source-0").exists()
    sealing.reboot()
    sealing.down()
    sealing.ok()
    assert sealing.value() == {"a": f"{CANARY}-1"}


def test_status_explain_and_a_dry_run_after_a_reboot_write_nothing(sealing):
    sealing.ok()
    sealing.reboot()
    sealing.down()
    before = sealing.host.look(True), sealing.host.state(), sealing.host.scratch.tree()
    status = sealing.run("status")
    assert status.rc == 0 and "the next run opens its sealed copy" in status.out
    assert json.loads(sealing.run("status", "--json").out)["sources"][0]["state"] == "given"
    told = sealing.run("explain", "a")
    assert told.rc == 0 and "from    params: /foo/a" in told.out and not sealing.gateway.requests()[1:]
    dry = sealing.ok("--dry-run", "--deadline", "1s")
    assert "+ a  (params)" in dry.out and "last good" in dry.err
    assert (sealing.host.look(True), sealing.host.state(), sealing.host.scratch.tree()) == before


def test_without_root_it_is_77_before_anything_is_asked(guest):
    guest.source("A=1\n")
    guest.output("env", "/run/foo/environment")
    guest.top["last_good"] = {"at_rest": "encrypted"}
    os.chown(guest.root, ORDINARY, ORDINARY)
    guest.fails(77, "at_rest", "root")
    assert not list(guest.root.iterdir())
    assert guest.ok("--dry-run").rc == 0
    assert guest.run("check").rc == 0


def test_check_warns_only_where_last_good_ends_with_the_boot(sealing):
    assert "boot" not in sealing.host.run("check").err
    sealing.top["last_good"]["at_rest"] = "no"
    assert "end with the boot" in sealing.host.run("check").err


# ---- with a real systemd ----

UNIT = """[Service]
Type=oneshot
User=app
ProtectSystem=strict
ReadWritePaths=/run /var/lib/envsync
EnvironmentFile=-/run/foo/environment
ExecStartPre=!/usr/bin/envsync -c /etc/envsync/foo.toml
ExecStart=/bin/sh -c 'printf %%s "$SECRET"'
StandardOutput=truncate:/run/given
StandardError=journal
"""
SERVED = """app = "foo"
group = "app"
[last_good]
at_rest = "encrypted"
[[source]]
type = "exec"
command = ["/etc/vault"]
on_unavailable = "last-good"
[[output]]
path = "/run/foo/environment"
format = "env"
"""


@pytest.mark.boot
def test_a_unit_starts_after_a_reboot_without_its_backend(installed, disk, tmp_path):
    """Two boots of one machine: a disk, a machine id, and nothing else that they share."""
    if not os.path.exists(CREDS):
        pytest.skip("systemd before 250 has no systemd-creds")
    identity = tmp_path / "machine-id"
    identity.write_text(f"{os.urandom(16).hex()}\n")
    kept = Path(tempfile.mkdtemp(dir=disk))
    for boot, backend in enumerate([f"echo '{{\"SECRET\": \"{CANARY}\"}}'", "exit 69"]):
        machine = Machine(tmp_path / f"boot-{boot}", "--install", installed, "--copy", f"{identity}:/etc/machine-id",
                          "--disk", f"{kept}:/var/lib")  # fmt: skip
        try:
            machine.write("/etc/envsync/foo.toml", SERVED)
            machine.write("/etc/vault", f"#!/bin/sh\n{backend}\n", "0755")
            # The oneshot that is shipped makes the host's key by itself, and what it has sealed opens. That
            # is tried outside of it: it has a /proc of its own, where the boot id is this host's in both.
            machine.write("/etc/envsync/bar.toml", SERVED.replace("foo", "bar"))
            machine.run("mkdir", "-p", "/var/lib/systemd")
            if boot == 0:
                machine.start("envsync@bar.service")
                machine.run("test", "-s", "/var/lib/systemd/credential.secret")
            else:
                machine.run("envsync", "-c", "/etc/envsync/bar.toml")
            assert CANARY.encode() in machine.read("/run/bar/environment")
            machine.run("mkdir", "-p", "/run/foo", "/var/lib/envsync")
            machine.unit("foo.service", UNIT)
            machine.start("foo.service")
            assert machine.read("/run/given") == CANARY.encode()
            journal = machine.journal("foo.service")
            assert CANARY not in journal and ("last good values" in journal) == (boot == 1)
        finally:
            machine.stop()
        for path in kept.rglob("*"):
            assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
