"""The power fails at any moment. Whatever the disk may hold then (tests/e2e/disk.py), the next start
without sources has one whole set, the old or the new one, and can have it; and nothing is ever put in
its place, nor named by `current`, before it is durable."""
import copy
import shutil

import pytest

from conftest import TEMP_MARK
from disk import Disk, put, trace, unhex
from torture import PHASES, PROGRAM, OLD, SHARE, Torture, evenly

pytest_plugins = ("aws",)
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

ON_DISK = [phase for phase in PHASES if phase != "after a reboot"]
HOME = "/var/lib/envsync/foo"
CURRENT = f"{HOME}/current"


class Powered(Torture):
    """All on disk: what lies below /run goes with the power."""

    def configure(self):
        self.source(OLD)
        program = self.write("program.json", PROGRAM % "old")
        self.source(type="exec", command=["/bin/cat", str(program)])
        self.source(type="s3", bucket="config", prefix="prod", merge=["*.env"], mirror=["**/*.pem"],
                    dir="/etc/foo/certs", prune=True)  # fmt: skip
        self.output("env", "/etc/foo/environment")
        self.output("json", "/etc/foo/deep/all.json")

    def traced(self, phase):
        """The disk before a run, and the lines of its trace."""
        start, arguments, _ = PHASES[phase]
        root = self.fresh(start)
        disk = Disk(root)
        done, lines = trace(self.command(root, *arguments), self.path("trace"), env=self.environment(),
                            capture_output=True)  # fmt: skip
        assert done.returncode == 0, done
        disk.learn(lines)
        return disk, lines

    def check_start(self, tree, ends, what):
        """A start without sources, on a disk that holds this."""
        root = self.new_root()
        put({path: node for path, node in tree.items() if path != "/run" and not path.startswith("/run/")}, root)
        self.offline(True)
        done = self.start(root, "sync")
        self.offline(False)
        what = what, done, sorted(tree)
        # Of a released set the mirrored files are gone for good, so it is none to start with.
        if tree.get(CURRENT) and "held" not in ends[:1]:
            assert done.returncode == 0, what
        assert done.returncode in (0, 66), what
        if done.returncode == 0:
            assert self.is_one(self.read(root), *ends), (what, self.describe(self.read(root)))
        assert self.temps_of(root) == [], what
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def powered(as_root, open_folder, gateway_process):
    folder = open_folder / "powered"
    folder.mkdir(mode=0o755)
    return Powered(folder, gateway_process)


def is_target(path):
    return path.startswith("/etc/foo/") and TEMP_MARK not in path


def broken_promise(disk, event):
    """What a step has put in its place, or named, too early; or None."""
    what, path = event[0], event[1][len(disk.root) :]
    durable, now = disk.durable(), dict(disk.files())
    if what == "rename" and path == CURRENT:
        set_id = now[path].data.split()[0].decode()
        named = {p: n for p, n in now.items() if f"/{set_id}/" in p and p.startswith(HOME)}
        # The manifest names staged files, too.
        named |= {p: n for p, n in now.items() if p.startswith("/etc/foo/certs/") and TEMP_MARK in p}
        for name, node in {**named, path: now[path]}.items():
            if name != path and (name not in durable or durable[name][3] != node.data):
                return f"current names {name}, which is not durable"
        if now[path].durable != now[path].data:
            return "current is not durable itself"
    if what in ("rename", "unlink") and is_target(path) and (what == "unlink" or path in now):
        if CURRENT not in durable or durable[CURRENT][3] != now[CURRENT].data:
            return f"{path} is published before the commit is durable"
        if what == "rename" and now[path].durable != now[path].data:
            return f"{path} is published before its bytes are durable"
    return None


def first_broken(disk, lines):
    for line in lines:
        event = disk.replay(line)
        broken = broken_promise(disk, event) if event else None
        if broken:
            return broken
    durable = disk.durable()
    for path, node in disk.files():
        if (is_target(path) or path.startswith(HOME)) and (path not in durable or durable[path][3] != node.data):
            return f"at the end {path} is not durable"
    gone = [path for path in durable if is_target(path) and durable[path][3] is not None and path not in dict(disk.files())]
    return f"at the end {gone[0]} may come back" if gone else None


@pytest.mark.parametrize("phase", ON_DISK)
def test_nothing_is_published_or_named_before_it_is_durable(powered, phase):
    assert first_broken(*powered.traced(phase)) is None


@pytest.mark.parametrize("phase", ON_DISK)
def test_whatever_the_disk_holds_after_a_power_failure_is_one_set(powered, phase):
    disk, lines = powered.traced(phase)
    ends = PHASES[phase].ends
    trees = {}
    for i, line in enumerate(["", *lines]):
        event = disk.replay(line)
        if event or i == 0:
            for tree in disk.states():
                trees.setdefault(repr(sorted(tree.items())), (f"{i}: {event}", tree))
    assert len(trees) > 10
    found = list(trees.values())
    for what, tree in found[::SHARE] if SHARE else evenly(found, 12):
        powered.check_start(tree, ends, (phase, what))


def test_a_run_that_was_killed_before_its_commit_was_durable_is_completed_durably(powered):
    """`current` is renamed, and nobody knows on which side of a power failure it would be."""
    disk, lines = powered.traced("update")
    syncs = 0
    for line in lines:
        event = disk.replay(line)
        syncs += event is not None and event[0] == "fsync"
        if event == ("rename", disk.root + CURRENT):
            break
    root = powered.fresh("old")
    disk = Disk(root)
    lines = []
    for options in ["-e", f"inject=fsync:signal=KILL:when={syncs + 1}"], []:
        _, more = trace([*options, *powered.command(root)], powered.path("trace"),
                        env=powered.environment(), capture_output=True)  # fmt: skip
        lines += more
    disk.learn(lines)
    renames = [line for line in lines if line.startswith("renameat(")]
    assert len(renames) > 8 and powered.is_one(powered.read(root), "new")
    assert first_broken(copy.deepcopy(disk), lines) is None
    # Teeth: without the fsync that the second run begins with.
    at = next(i for i, line in enumerate(lines) if i > len(lines) - len(more) and line.startswith("fsync("))
    assert "before the commit is durable" in first_broken(disk, lines[:at] + lines[at + 1 :])


def place_of(line):
    return unhex(line) if line.startswith("fsync(") else None


def test_a_missing_fsync_is_found(powered):
    """The teeth of the two above: a trace without one of its fsyncs on the disk breaks a promise."""
    disk, lines = powered.traced("update")
    assert first_broken(copy.deepcopy(disk), lines) is None
    syncs = [i for i, line in enumerate(lines) if line.startswith("fsync(") and f"{disk.root}/run/" not in unhex(line)]
    assert len(syncs) > 15
    unseen = [i for i in syncs if first_broken(copy.deepcopy(disk), lines[:i] + lines[i + 1 :]) is None]
    # One directory is synced for each file in it; then only the last time counts.
    assert [lines[i] for i in unseen if place_of(lines[i]) not in map(place_of, lines[i + 1 :])] == []
    assert len(unseen) < len(syncs) / 4
