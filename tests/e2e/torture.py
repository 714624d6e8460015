"""What the torture tests share: a host with every kind of file, the states that a run may meet, and
what must hold after a run that was killed or failed.

Sources are an env file, a program and a bucket; outputs lie on disk and below /run, mirrored files
beside them, with prune. The set is `fresh` for an hour, so that a run without its sources can end
well: that is the offline start, and it may do so with one whole set only.

The points of a run are sampled; with ENVSYNC_TORTURE=1 (`make torture`) every one is hit, with N
every Nth.
"""
import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import BUILDDIR, SLOW, STATE, TEMP_MARK, Envsync, Host, Scratch

SHARE = int(os.environ.get("ENVSYNC_TORTURE", "0"))  # 0: a few points only
CODES = {0, 65, 66, 69, 70, 73, 75, 77, 78}
KILLED = 128 + signal.SIGKILL
TRIP = BUILDDIR / "tests/tools/trip"

OLD, NEW = "A=old\nB=1\n", "A=new\nC=" + "x" * 9_000 + "\n"
PROGRAM = '{"P": "%s"}'
OBJECTS = {
    "old": {"a.pem": "a-old", "deep/same.pem": "same", "gone.pem": "gone", "m.env": "M=old\n"},
    "new": {"a.pem": "a-new" * 1000, "deep/same.pem": "same", "deep/more.pem": "more", "m.env": "M=new\n"},
}  # fmt: skip
# What fails where it is written, and how the table of exit codes calls it.
ERRORS = ["EIO", "ENOSPC", "EDQUOT", "EINTR", "EROFS", "EMFILE"]


@cache
def call_names():
    """{number: name} of the kernel's table."""
    done = subprocess.run(["gcc", "-E", "-dM", "-xc", "-"], input="#include <asm/unistd.h>\n",
                          capture_output=True, text=True, check=True)  # fmt: skip
    return {int(n): name for name, n in re.findall(r"#define __NR_(\w+) (\d+)\n", done.stdout)}


class Call(NamedTuple):
    """A system call of an undisturbed run: the `number`th of its name in its task."""

    task: int
    nr: int
    number: int
    name: str
    place: str
    text: str

    def __str__(self):
        return f"{self.number}th {self.name}({self.place}, {self.text}) of task {self.task}"


class Torture(Host):
    """`plain`: without the bucket, which needs `gateway` otherwise."""

    def __init__(self, folder, gateway=None):
        super().__init__(Scratch(folder), Envsync(folder))
        self.folder, self.gateway, self.number = folder, gateway, 0
        self.top["fresh_for"] = "1h"
        self.away = False
        self.configure()
        self.config_file = self.file
        self.samples = {"none": {}}
        self.make_samples()

    # ---- sources ----

    def configure(self):
        self.source(OLD)
        program = self.write("program.json", PROGRAM % "old")
        self.source(type="exec", command=["/bin/cat", str(program)])
        if self.gateway:
            self.source(type="s3", bucket="config", prefix="prod", merge=["*.env"], mirror=["**/*.pem"],
                        dir="/etc/foo/certs", prune=True)  # fmt: skip
        self.output("env", "/etc/foo/environment")
        self.output("json", "/run/foo/deep/all.json")

    def give(self, which):
        """What the sources have from now on."""
        self.write("source.env", OLD if which == "old" else NEW)
        self.write("program.json", PROGRAM % which)
        if self.gateway:
            objects = {f"prod/{key}": text for key, text in OBJECTS[which].items()}
            self.gateway.control("/__reset")
            self.gateway.fixtures(buckets={"config": {"objects": objects}})

    def offline(self, offline):
        """Takes the env file away: no run can fetch, and none asks the others."""
        if offline:
            self.path("source.env").rename(self.path("away.env"))
        else:
            self.path("away.env").rename(self.path("source.env"))

    def environment(self):
        aws = self.gateway.environment("http") if self.gateway else {}
        return self.envsync.environment({name: value for name, value in aws.items() if name != "PATH"})

    # ---- runs ----

    def command(self, root, *arguments):
        words = arguments or ("sync", "--fresh")
        options = ["--deadline", "5s"] if words[0] == "sync" else []
        return [*self.envsync.command, words[0], "-c", str(self.config_file), "--root", str(root),
                *options, *words[1:]]  # fmt: skip

    def start(self, root, *arguments, wrap=()):
        command = [*map(str, wrap), *self.command(root, *arguments)]
        return subprocess.run(command, env=self.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60 * SLOW)  # fmt: skip

    def good(self, root, *arguments, **keywords):
        done = self.start(root, *arguments, **keywords)
        assert done.returncode == 0, done

    def read_log(self):
        counts, found = {}, []
        for line in self.path("trace").read_text().splitlines():
            task, nr, place, text = line.split("\t")
            counts[task, nr] = counts.get((task, nr), 0) + 1
            name = call_names().get(int(nr), nr)
            found.append(Call(int(task), int(nr), counts[task, nr], name, place, text))
        return found

    def calls(self, root, *arguments):
        """The system calls of an undisturbed run."""
        self.good(root, *arguments, wrap=[TRIP, "-l", self.path("trace")])
        return self.read_log()

    def trip(self, root, call, action, *arguments):
        """A run in which this call goes wrong. Which it was tells `hit`: where answers come in another
        order it may be a sister; None where the run has come to its end before."""
        number = getattr(errno, action, action)
        wrap = [TRIP, "-l", self.path("trace"), "-t", call.task, "-c", call.nr, "-n", call.number,
                "-a", number]  # fmt: skip
        done = self.start(root, *arguments, wrap=wrap)
        self.hit = next(iter(self.read_log()), None)
        return done

    # ---- states ----

    def read(self, root):
        """{path: text} of all that somebody else reads."""
        places = [root / "etc/foo", root / "run/foo"]
        return {str(path.relative_to(root)): path.read_text() for place in places
                for path in place.rglob("*") if path.is_file() and TEMP_MARK not in path.name}  # fmt: skip

    def is_one(self, found, *samples):
        return any(found == self.samples[name] for name in samples)

    def describe(self, found):
        """{path: names of the samples that have this text}."""
        return {path: [name for name, texts in self.samples.items() if texts.get(path) == text]
                for path, text in found.items()}  # fmt: skip

    def sample(self, name):
        return self.folder / f"sample-{name}"

    def new_root(self):
        self.number += 1
        root = self.folder / f"root-{self.number}"
        root.mkdir(mode=0o755)
        return root

    def fresh(self, name):
        """A new root in this state; the sources have the new texts. A copy, but mirrored files are
        known by inode: with a bucket the whole story is told again."""
        if not self.gateway and name in self.samples and name != "none":
            root = self.new_root()
            subprocess.run(["cp", "-aT", self.sample(name), root], check=True)
            return root
        if name == "none":
            self.give("new")
            return self.new_root()
        if name in ("old", "rebooted"):
            self.give("old")
            root = self.new_root()
            self.good(root, wrap=self.other_boot() if name == "rebooted" else ())
            self.give("new")
            if name == "rebooted":
                shutil.rmtree(root / "run")
            return root
        root = self.fresh("new" if name == "held" else "old")
        if name == "new":
            self.good(root)
        elif name == "held":
            self.good(root, "rollback")
        else:
            assert self.trip(root, self.last_rename, "kill").returncode == KILLED
        return root

    def other_boot(self):
        """What to put before a command that shall see another boot."""
        boot = self.write("boot-id", "01234567-89ab-cdef-0123-456789abcdef\n")
        script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, boot]

    def keep(self, name):
        root = self.fresh(name)
        self.samples[name] = self.read(root)
        root.rename(self.sample(name))

    def make_samples(self):
        """"killed" is an update that ended between its first and its last rename."""
        self.keep("old")
        self.keep("new")
        self.keep("held")
        self.last_rename = [call for call in self.calls(self.fresh("old")) if call.name == "renameat"
                            and ("/etc/foo" in call.place or "/run/foo" in call.place)][-1]  # fmt: skip
        self.keep("killed")
        self.keep("rebooted")
        assert self.samples["killed"] not in (self.samples["old"], self.samples["new"])

    # ---- what must hold ----

    def check_error(self, done, what):
        """A code of the table, and where it is not 0 one line that says why; where several sources fail
        at once, one for each."""
        lines = [line for line in done.stderr.splitlines() if line.startswith("envsync: error: ")]
        assert done.returncode in CODES, (what, done)
        assert bool(lines) == (done.returncode != 0), (what, done)
        assert len(lines) < 2 or len({line.split(":")[2] for line in lines}) == len(lines), (what, done)

    def check_whole(self, root, what, *samples):
        """Every file is that of one of these samples, or where one lacks it, absent. None is wider
        than it shall be."""
        found = self.read(root)
        texts = [self.samples[name] for name in samples]
        for path in set(found).union(*texts):
            assert found.get(path) in [text.get(path) for text in texts], (path, what)
        for path in root.rglob("*"):
            mode, name = path.lstat().st_mode & 0o777, "/" + str(path.relative_to(root))
            if path.is_file():
                assert mode & ~(0o600 if name.startswith(STATE) else 0o640) == 0, (name, oct(mode), what)
            elif name.count("/") > 2:
                assert mode & ~0o750 == 0, (name, oct(mode), what)
        return found

    def temps_of(self, root):
        return [path for path in root.rglob("*") if TEMP_MARK in path.name]

    def check_recovery(self, root, what, *samples):
        """Two starts without sources: 0 only with one of these sets, whole, the same both times. Then
        one with sources, after which all is as after a run that nobody disturbed."""
        self.offline(True)
        found = []
        for _ in range(2):
            done = self.start(root, "sync")
            found.append(self.read(root))
            assert done.returncode in (0, 66), (what, done)
            assert self.temps_of(root) == [], (what, done)
            if done.returncode == 0:
                assert self.is_one(found[-1], *samples), (what, "mixed", self.describe(found[-1]))
        assert found[0] == found[1], what
        self.offline(False)
        done = self.start(root, "sync", "--fresh", "--release")
        assert done.returncode == 0, (what, done)
        assert self.is_one(self.read(root), "new"), (what, self.describe(self.read(root)))
        assert self.listing(root) == self.listing(self.sample("new")), what
        shutil.rmtree(root)

    def listing(self, root):
        """All but the generations of the store, whose names are random: of these there may be the
        present one and the one before."""
        found = {}
        for state in root / "run/envsync/foo", root / "var/lib/envsync/foo":
            ids = [p for p in state.glob("*") if re.fullmatch("[0-9a-f]{16}", p.name)]
            assert len(ids) <= 2, ids
        for path in root.rglob("*"):
            st = path.lstat()
            if re.search("/[0-9a-f]{16}(/|$)", str(path.relative_to(root))):
                assert TEMP_MARK not in path.name
                continue
            found[str(path.relative_to(root))] = (oct(st.st_mode), st.st_uid, st.st_gid)
        return found


CHANGING = {"fchmod", "fchown", "fsync", "ftruncate", "mkdirat", "pwrite64", "renameat", "renameat2",
            "unlinkat", "utimensat", "write"}  # fmt: skip


def evenly(items, n):
    return [items[i * len(items) // n] for i in range(min(n, len(items)))] if items else []


# How often a run does these depends on how fast others are.
WAITING = {"clock_nanosleep", "epoll_wait", "futex", "poll", "restart_syscall", "wait4", "waitid"}


def points(calls, few):
    """The calls to be hit: half of the few change something."""
    if SHARE:
        return calls[::SHARE]
    calls = [call for call in calls if call.name not in WAITING]
    changing = [call for call in calls if call.name in CHANGING]
    return evenly(changing, few // 2) + evenly([c for c in calls if c not in changing], few - few // 2)


# What the kernel never refuses: libraries take it for granted.
UNFAILING = {"brk", "clock_gettime", "exit", "exit_group", "futex", "getegid", "geteuid", "getgid", "getpid",
             "getppid", "gettid", "getuid", "munmap", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "umask"}  # fmt: skip


def from_main(calls):
    """Without what the loader does before main(), which begins with umask()."""
    main = next(i for i, call in enumerate(calls) if call.name == "umask")
    return [call for call in calls[main:] if call.name not in UNFAILING]


class Phase(NamedTuple):
    """A run to be tortured: where it starts, what it is, and which sets may be there after it."""

    start: str
    arguments: tuple
    ends: tuple


FETCH = ("sync", "--fresh")
PHASES = {
    "first run": Phase("none", FETCH, ("new",)),
    "update": Phase("old", FETCH, ("old", "new")),
    "recovery": Phase("killed", FETCH, ("new",)),
    "after a reboot": Phase("rebooted", FETCH, ("new",)),
    "rollback": Phase("new", ("rollback",), ("new", "held")),
    "release": Phase("held", ("sync", "--fresh", "--release"), ("held", "new")),
}


@pytest.fixture(scope="module")
def open_folder():
    """One that the worker and the program, which are somebody else, may enter."""
    folder = Path(tempfile.mkdtemp(prefix="envsync-torture-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def plain(as_root, open_folder):
    """Without a bucket: quick."""
    folder = open_folder / "plain"
    folder.mkdir(mode=0o755)
    return Torture(folder)


@pytest.fixture(scope="module")
def mirroring(as_root, open_folder, gateway_process):
    folder = open_folder / "mirroring"
    folder.mkdir(mode=0o755)
    return Torture(folder, gateway_process)


@pytest.fixture(params=["plain", "mirroring"])
def torture(request):
    return request.getfixturevalue(request.param)
