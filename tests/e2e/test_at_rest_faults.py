"""[last_good] at_rest = "encrypted" where a sealed copy does not open, or systemd-creds is not there or
fails."""
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import STATE, resum
from sealing import CANARY, CREDS

pytest_plugins = ("aws", "sealing")
pytestmark = pytest.mark.usefixtures("as_root")


# ---- what does not open counts as not there ----


def spoil_bit(sealing):
    path = sealing.sealed()
    data = bytearray(path.read_bytes()[:-8])
    data[-40] ^= 1
    resum(path, bytes(data))


def spoil_end(sealing):
    path = sealing.sealed()
    resum(path, path.read_bytes()[:-18])


def spoil_count(sealing):
    path = sealing.sealed()
    data = bytearray(path.read_bytes()[:-8])
    data[data.index(b"\n") + 1] = 0
    resum(path, bytes(data))


def spoil_sum(sealing):
    path = sealing.sealed()
    path.write_bytes(path.read_bytes()[:-1])


def spoil_all(sealing):
    sealing.sealed().write_bytes(b"")


def spoil_key(sealing):
    """Another machine, or this one with a new system."""
    (sealing.keys / "credential.secret").unlink()


def spoil_swap(sealing):
    """The earlier set's copy in the place of the present one's: it opens nowhere but in its own."""
    present = sealing.sealed()
    (other,) = [path for path in (sealing.root / "var").rglob("sealed") if path != present]
    resum(present, other.read_bytes()[:-8])


def spoil_null(sealing, change=bytes):
    """Made with no key, which systemd-creds opens where there is no TPM: anybody can make that."""
    path = sealing.sealed()
    command = [CREDS, "encrypt", "--with-key=tpm2-absent", f"--name=envsync-{path.parent.name}-0-1", "-", "-"]
    text = change(subprocess.run(command, input=b"x" * 100, capture_output=True, check=True).stdout)
    number = lambda n: n.to_bytes(4, "little")  # noqa: E731
    resum(path, b"envsync sealed 1\n" + number(1) + number(len(text)) + text)


def spoil_null_spaced(sealing):
    """systemd-creds passes over white space."""
    spoil_null(sealing, lambda text: b"\n " + text[:5] + b" \t" + text[5:])


@pytest.mark.parametrize(
    "spoil, why",
    [(spoil_bit, "decrypt failed"), (spoil_end, "damaged"), (spoil_count, "damaged"), (spoil_sum, "damaged"),
     (spoil_all, "damaged"), (spoil_key, "decrypt failed"), (spoil_swap, "decrypt failed"), (spoil_null, "no key"),
     (spoil_null_spaced, "no key")],
)  # fmt: skip
def test_a_copy_that_does_not_open_is_told_and_counts_as_none(sealing, spoil, why):
    sealing.give(a=f"{CANARY}-0")
    sealing.ok()
    sealing.give(a=f"{CANARY}-1")
    sealing.ok()
    spoil(sealing)
    sealing.reboot()
    sealing.down()
    failed = sealing.fails(69, "params")
    (line,) = [line for line in failed.err.splitlines() if "the sealed copy of what foo had below /run does not open" in line]
    assert "warning: state: " in line and why in line
    assert not sealing.place.exists()
    sealing.up()
    assert "does not open" in sealing.ok().err
    assert sealing.value() == {"a": f"{CANARY}-1"}
    sealing.reboot()
    sealing.down()
    assert "does not open" not in sealing.ok().err, "the run before has sealed anew"


def test_a_copy_under_another_configuration_does_not_open(sealing):
    """Somebody moved the state; the file that owns it is in the copy as well."""
    sealing.ok()
    for path in (sealing.root / "var").rglob("manifest"):
        resum(path, path.read_bytes()[:-8].replace(b"envsync.toml", b"renamed.toml"))
    sealing.reboot()
    sealing.down()
    renamed = sealing.host.scratch.write("renamed.toml", sealing.host.text)
    sealing.host.envsync.command = sealing.inside()
    result = sealing.host.envsync("sync", "-c", renamed, "--root", sealing.root, "--deadline", "1s", env=sealing.env)
    assert result.rc == 69 and "does not open" in result.err, str(result)


def test_a_copy_that_does_not_open_in_the_same_boot_counts_as_none(sealing):
    sealing.ok()
    spoil_key(sealing)
    shutil.rmtree(sealing.root / "run")
    sealing.down()
    assert "does not open" in sealing.fails(69, "params").err
    assert not sealing.place.exists()


# ---- systemd-creds is not there, or fails ----


@pytest.mark.parametrize("run", [["sync"], ["check"], ["sync", "--dry-run"]])
def test_without_systemd_creds_it_is_78_and_nothing_is_asked_or_written(sealing, run):
    sealing.creds = "absent"
    sealing.host.envsync.command = sealing.inside()
    root = [] if run == ["check"] else ["--root", sealing.root]
    result = sealing.host.run(*run, *root, env=sealing.env)
    assert result.rc == 78, str(result)
    assert re.search(r"envsync\.toml:\d+:\d+: .*at_rest.*systemd-creds.*install systemd 250", result.err), str(result)
    assert not sealing.gateway.requests() and sealing.host.scratch.tree() == {}


@pytest.mark.parametrize("how", ["exit 1", "kill -9 $$", "exec sleep 60", "cat", "exec 1>&-; cat >/dev/null", "yes"])
def test_a_set_that_cannot_be_sealed_is_73_and_the_one_before_stays(sealing, how):
    sealing.ok()
    before, outputs = sealing.host.kept(), sealing.host.state()
    sealing.give(a=f"{CANARY}-2")
    sealing.wrapper(how)
    if "sleep" in how:
        sealing.top["deadline"] = "1s"
    start = time.monotonic()
    sealing.fails(73, "state of foo", "sealed", "systemd-creds")
    assert time.monotonic() - start < 15
    assert (sealing.host.kept(), sealing.host.state()) == (before, outputs)
    assert sealing.host.temps() == []
    sealing.creds = ""
    sealing.ok()
    assert sealing.value() == {"a": f"{CANARY}-2"}


def test_a_systemd_creds_that_others_may_change_gets_nothing(sealing):
    sealing.wrapper('exec "$real" "$@"')
    Path(sealing.creds).chmod(0o775)
    sealing.fails(77, CREDS)
    assert not sealing.gateway.requests()


def test_a_kill_while_it_is_sealed_leaves_the_set_before(sealing):
    sealing.ok()
    sealing.give(a=f"{CANARY}-2")
    sealing.wrapper('kill -9 $PPID; exec sleep 1')
    assert sealing.run("sync").rc == -9
    sealing.creds = ""
    assert sealing.value() == {"a": f"{CANARY}-1"}
    sealing.reboot()
    sealing.down()
    sealing.ok()
    assert sealing.value() == {"a": f"{CANARY}-1"}
    names = [path.name for half in STATE for path in (sealing.root / half.lstrip("/") / "foo").iterdir()]
    assert len(set(names) - {"current", "lock"}) <= 2, "what the kill left is swept"


@pytest.mark.parametrize("when", ["sealed", "opened"])
def test_a_signal_meanwhile_ends_the_run_and_changes_nothing(sealing, when):
    sealing.ok()
    if when == "sealed":
        sealing.give(a=f"{CANARY}-2")
    else:
        sealing.reboot()
    before, outputs = sealing.host.kept(), sealing.host.state()
    pid = sealing.host.path("pid")
    sealing.wrapper(f'echo $$ >{pid}; kill -TERM $PPID; exec sleep 30')
    result = sealing.run("sync")
    assert result.rc == -15 and "no new set was published" in result.err, str(result)
    kept = {name: data for name, data in sealing.host.kept().items() if not name.endswith("/lock")}
    before = {name: data for name, data in before.items() if not name.endswith("/lock")}
    assert (kept, sealing.host.state()) == (before, outputs)
    assert not Path(f"/proc/{pid.read_text().strip()}").exists(), "its child is gone"


def test_a_kill_while_it_is_opened_leaves_it_for_the_next_run(sealing):
    sealing.ok()
    sealing.reboot()
    sealing.down()
    sealing.wrapper('kill -9 $PPID; exec sleep 1')
    assert sealing.run("sync").rc == -9
    assert not sealing.place.exists()
    sealing.creds = ""
    sealing.ok()
    assert sealing.value() == {"a": f"{CANARY}-1"}


def test_a_key_that_takes_too_long_does_not_take_the_time_of_the_sources(sealing):
    sealing.ok()
    sealing.reboot()
    sealing.wrapper('[ "$1" = encrypt ] || exec sleep 60; exec "$real" "$@"')
    sealing.top["deadline"] = "4s"
    result = sealing.ok()
    assert "does not open" in result.err and "did not end in time" in result.err
    assert sealing.value() == {"a": f"{CANARY}-1"}
