"""A run that is killed, or whose system calls fail, at any point: old or new whole files, never
readable for more than asked, and the right exit code. The run after it, which reaches no source,
leaves one set in all places, the old or the new one, and no temporary file.

The points are sampled evenly, a different share of them in each phase of the run; with
ENVSYNC_TORTURE=1 every system call is hit.
"""
import os
import re
import signal
import shutil
import subprocess

import pytest

from conftest import SLOW, STATE, TEMP_MARK

FULL = os.environ.get("ENVSYNC_TORTURE") == "1"
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

PLACES = "etc/foo/environment", "run/foo/deep/all.json"
OLD, NEW = "A=old\nB=1\n", "A=new\nC=" + "x" * 50_000 + "\n"
CODES = {0, 65, 66, 69, 70, 73, 75, 77, 78}


class Torture:
    """A host with two outputs in two directories of envsync's making."""

    def __init__(self, host):
        self.host = host
        self.host.source(NEW)
        host.output("env", "/etc/foo/environment")
        host.output("json", "/run/foo/deep/all.json")
        self.folder = host.scratch.folder
        self.file = host.file
        self.number = 0
        self.texts = {"none": dict.fromkeys(PLACES)}
        for name, text in ("old", OLD), ("new", NEW):
            self.texts[name] = self.make(text, f"sample-{name}")[1]

    def make_killed(self):
        """A root whose update was killed between its first and its second rename."""
        root = self.folder / "sample-killed"
        subprocess.run(["cp", "-a", self.folder / "sample-old", root], check=True)
        self.host.write("source.env", NEW)
        calls = self.calls("update", "-e", "trace=renameat")
        n = 1 + next(i for i, line in enumerate(calls) if '"all.json"' in line)
        self.run(root, "strace", "-o", "/dev/null", "-e", f"inject=renameat:error=EIO:signal=KILL:when={n}")
        found = self.read(root)
        assert found["etc/foo/environment"] == self.texts["new"]["etc/foo/environment"]
        assert found["run/foo/deep/all.json"] == self.texts["old"]["run/foo/deep/all.json"]

    def make(self, text, name):
        """A root that has been written once with this text."""
        root = self.folder / name
        root.mkdir(mode=0o755)
        self.host.write("source.env", text)
        assert self.run(root).returncode == 0
        return root, self.read(root)

    def command(self, root):
        return [*self.host.envsync.command, "-c", str(self.file), "--root", str(root),
                "--deadline", "5s"]  # fmt: skip

    def run(self, root, *strace):
        command = [*strace, *self.command(root)]
        return subprocess.run(command, env=self.host.envsync.environment(), capture_output=True,
                              text=True, timeout=60 * SLOW)  # fmt: skip

    def read(self, root):
        found = {}
        for name in PLACES:
            path = root / name
            found[name] = path.read_text() if path.exists() else None
        return found

    def fresh(self, phase):
        """A new root: empty, with the old files, or half-way; the source has the new text."""
        self.number += 1
        root = self.folder / f"root-{self.number}"
        if phase == "first run":
            root.mkdir(mode=0o755)
        else:
            sample = "sample-old" if phase == "update" else "sample-killed"
            if not (self.folder / sample).exists():
                self.make_killed()
            subprocess.run(["cp", "-a", self.folder / sample, root], check=True)
        self.host.write("source.env", NEW)
        return root

    def calls(self, phase, *options):
        """The system calls of an undisturbed run, one line each, as strace tells them."""
        log = self.folder / "trace"
        done = self.run(self.fresh(phase), "strace", "-o", str(log), "-y", "-s", "0", *options)
        assert done.returncode == 0, done
        return [line for line in log.read_text().splitlines() if re.match(r"[\d ]*\w+\(", line)]

    def check_whole(self, root, phase, done):
        found = self.read(root)
        for name, text in found.items():
            allowed = [self.texts["new"][name],
                       self.texts["none" if phase == "first run" else "old"][name]]  # fmt: skip
            assert text in allowed, f"{name} is neither old nor new: {done}"
        for path in root.rglob("*"):
            mode = path.lstat().st_mode & 0o777
            name = "/" + str(path.relative_to(root))
            if path.is_file():
                assert mode & ~(0o600 if name.startswith(STATE) else 0o640) == 0, f"{name}: {mode:o}"
            if path.is_dir() and path.name in ("foo", "deep"):
                assert mode & ~0o750 == 0, f"{name}: {mode:o}"
        return found

    def check_recovery(self, root, phase, what):
        """The run after it finds no source. It leaves one set in all places and no temporary file;
        which one it is must not change any more. The run after that one completes everything."""
        (self.folder / "source.env").rename(self.folder / "away")
        found = []
        for _ in range(2):
            done = self.run(root)
            assert done.returncode == 66, (what, done)
            found.append(self.read(root))
            left = [p for p in root.rglob("*") if p.is_file() and TEMP_MARK in p.name]
            assert left == [], (what, done)
        allowed = {"first run": ["none", "new"], "update": ["old", "new"], "recovery": ["new"]}
        assert found[0] in [self.texts[name] for name in allowed[phase]], (what, "a mixed set", found[0])
        assert found[0] == found[1], what
        (self.folder / "away").rename(self.folder / "source.env")
        done = self.run(root)
        assert done.returncode == 0, (what, done)
        assert self.read(root) == self.texts["new"], what
        assert self.listing(root) == self.listing(self.folder / "sample-new"), what
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
                assert ".envsync-" not in path.name
                continue
            found[str(path.relative_to(root))] = (oct(st.st_mode), st.st_uid, st.st_gid)
        return found


@pytest.fixture
def torture(host):
    return Torture(host)


def ordinal(calls, n):
    """strace counts each system call by itself: the n-th line as "NAME:...:when=K"."""
    name = lambda line: re.match(r"[\d ]*(\w+)\(", line)[1]  # noqa: E731
    return name(calls[n - 1]), sum(1 for line in calls[:n] if name(line) == name(calls[n - 1]))


def points(n, dense, share):
    """Numbers from 1 to n: all of `dense`, of the rest every `share`-th."""
    if FULL:
        return range(1, n + 1)
    return [i for i in range(1, n + 1) if i in dense or i % share == 0]


def writing(calls):
    """Numbers of the calls that change something on disk, and of those right behind them."""
    words = r"^(mkdirat|write|fchown|fchmod|fsync|renameat2?|unlinkat)\(|O_EXCL|O_CREAT"
    found = {i for i, line in enumerate(calls, 1) if re.search(words, line)}
    return found | {i + 1 for i in found if i < len(calls)}


PHASES = ["first run", "update", "recovery"]


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_any_system_call(torture, phase):
    calls = torture.calls(phase)
    killed = 0
    dense = {n for n in writing(calls) if n % 6 < 1}
    for n in points(len(calls), dense, 41):
        root = torture.fresh(phase)
        name, k = ordinal(calls, n)
        done = torture.run(root, "strace", "-o", "/dev/null", "-e",
                           f"inject={name}:signal=KILL:when={k}")  # fmt: skip
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        what = calls[n - 1], done
        torture.check_whole(root, phase, what)
        torture.check_recovery(root, phase, what)
    assert killed > 10


@pytest.mark.parametrize("phase", ["first run", "update"])
def test_killed_at_any_rename(torture, phase):
    """Where one step makes a set the present one, and one after the other puts its files in place."""
    calls = torture.calls(phase, "-e", "trace=renameat")
    assert len(calls) > 4
    for n in range(1, len(calls) + 1):
        root = torture.fresh(phase)
        done = torture.run(root, "strace", "-o", "/dev/null", "-e",
                           f"inject=renameat:signal=KILL:when={n}")  # fmt: skip
        torture.check_whole(root, phase, (calls[n - 1], done))
        torture.check_recovery(root, phase, (calls[n - 1], done))


def test_the_worker_killed_at_any_system_call(torture):
    """Or its parent, where that one comes first to the same call the same number of times."""
    log = torture.folder / "trace"
    torture.run(torture.fresh("update"), "strace", "-f", "-o", str(log))
    calls = [line for line in log.read_text().splitlines() if re.match(r"\d+ +\w+\(", line)]
    calls = [line for line in calls if line.split()[0] != calls[0].split()[0]]
    hit = 0
    for n in points(len(calls), set(), 23):
        root = torture.fresh("update")
        name, k = ordinal(calls, n)
        done = torture.run(root, "strace", "-f", "-o", "/dev/null", "-e",
                           f"inject={name}:signal=KILL:when={k}")  # fmt: skip
        assert done.returncode in (0, 70, -signal.SIGKILL, 128 + signal.SIGKILL), done
        hit += done.returncode == 70
        torture.check_whole(root, "update", done)
        torture.check_recovery(root, "update", (calls[n - 1], done))
    assert hit > 2


# What may come of an error in a system call that works on the outputs: 73, or 77 where it is denied.
WRITING = {
    "openat": "O_EXCL", "write": r"envsync-\w{11}>", "fsync": "", "fchown": "", "fchmod": "",
    "renameat": "", "close": r"envsync-\w{11}>", "renameat2": "", "mkdirat": "",
}  # fmt: skip
ERRORS = ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS", "EINTR"]


@pytest.mark.parametrize("phase", ["first run", "update"])
@pytest.mark.parametrize("call", WRITING)
def test_an_error_of_a_call_that_writes_is_73_and_the_file_is_old_or_new(torture, call, phase):
    first = phase == "first run"
    calls = [line for line in torture.calls(phase, "-e", f"trace={call}")]
    hit = [i for i, line in enumerate(calls, 1) if re.search(WRITING[call], line)]
    assert hit or (not first and call in ("mkdirat", "renameat2"))
    hit = hit if FULL else hit[:: max(1, len(hit) // 4)]
    errors = ERRORS if FULL else [ERRORS[first]] + (["EINTR"] if call in ("write", "fsync") else [])
    for error in errors:
        for n in hit:
            root = torture.fresh(phase)
            done = torture.run(root, "strace", "-o", "/dev/null", "-e",
                               f"inject={call}:error={error}:when={n}")  # fmt: skip
            what = f"{error} of {calls[n - 1]}: {done}"
            retried = error == "EINTR" and call == "write"
            assert done.returncode == (0 if retried else 73), what
            if not retried:
                assert len(done.stderr.splitlines()) == 1, what
                assert done.stderr.startswith("envsync: error: "), what
            torture.check_whole(root, phase, what)
            assert not [p for p in root.rglob("*") if p.is_file() and TEMP_MARK in p.name], what
            torture.check_recovery(root, phase, what)


@pytest.mark.parametrize("call", ["fsync", "write", "fchmod", "fchown"])
def test_an_error_before_the_first_rename_leaves_every_output_as_it_was(torture, call):
    calls = torture.calls("update")
    first = next(i for i, line in enumerate(calls) if re.search('renameat.*"environment"', line))
    temp = r"envsync-\w{11}>"
    n = sum(1 for line in calls[:first] if line.startswith(f"{call}(") and re.search(temp, line))
    before = sum(1 for line in calls[:first] if line.startswith(f"{call}(")) - n
    assert n >= 2
    for i in range(before + 1, before + n + 1, 1 if FULL else max(1, n // 4)):
        root = torture.fresh("update")
        done = torture.run(root, "strace", "-o", "/dev/null", "-e",
                           f"inject={call}:error=EIO:when={i}")  # fmt: skip
        assert done.returncode == 73, done
        assert torture.read(root) == torture.texts["old"], done


@pytest.mark.parametrize("error", ["EIO", "EMFILE", "EINTR", "ENOMEM"] if FULL else ["EIO", "EMFILE"])
@pytest.mark.parametrize("call", ["openat", "read", "newfstatat", "pipe2", "clone", "poll", "close",
                                  "flock", "getdents64", "readlinkat", "wait4", "fcntl"])  # fmt: skip
def test_an_error_of_any_call_is_told_by_a_code_of_the_table(torture, call, error):
    """From main() on: what the loader does before is not ours."""
    log = torture.calls("update")
    main = next(i for i, line in enumerate(log) if line.startswith("umask("))
    mine = [i for i, line in enumerate(log) if line.startswith(f"{call}(")]
    numbers = [n for n, i in enumerate(mine, 1) if i > main]
    share = 1 if FULL else max(1, len(numbers) // 3)
    for n in numbers[::share]:
        root = torture.fresh("update")
        done = torture.run(root, "strace", "-o", "/dev/null", "-e",
                           f"inject={call}:error={error}:when={n}")  # fmt: skip
        what = f"{error} of {log[mine[n - 1]]}: {done}"
        assert done.returncode in CODES, what
        found = torture.check_whole(root, "update", what)
        if done.returncode:
            assert "error: " in done.stderr, what
        else:
            assert found == torture.texts["new"], what
        torture.check_recovery(root, "update", what)
