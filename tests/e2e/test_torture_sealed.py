"""Sets that are sealed with a real systemd-creds: killed at any system call of any process, it among
them, and any call fails, while a set is sealed and while the first run after a reboot opens it. What
comes back is one whole set, and the disk never holds what can be read."""
import tempfile
from pathlib import Path

import pytest

from conftest import BUILDDIR, reboot
from torture import CODES, FETCH, KILLED, SHARE, Torture, evenly, from_main, points

pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

# The machine with a host key of the test's own.
ENTER = ["unshare", "--mount", "--propagation", "private", "sh", "-euc",
         'mount --bind "$1" /var/lib/systemd; shift; exec "$@"', "sh"]  # fmt: skip
PHASES = {"update": ("old", ("old", "new")), "after a reboot": ("lost", ("old", "new"))}
ERRORS = ["EIO", "ENOSPC", "EMFILE"]


class Sealing(Torture):
    """All is below /run, and the values are those that nobody may find on the disk."""

    def __init__(self, folder, keys):
        self.enter = [*ENTER, str(keys)]
        super().__init__(folder)

    def configure(self):
        self.top["last_good"] = {"at_rest": "encrypted"}
        super().configure()
        self.outputs[0] = self.outputs[0].replace("/etc/foo", "/run/foo")

    def start(self, root, *arguments, wrap=()):
        done = super().start(root, *arguments, wrap=[*self.enter, *wrap])
        for path in (root / "var").rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            assert not any(word in data for word in (b"A=old", b"A=new", b'"P"', b"x" * 12)), path
        return done

    def make_samples(self):
        for name in "old", "new", "lost":
            self.keep(name)

    def fresh(self, name):
        if name != "lost" or name in self.samples:
            return super().fresh(name)
        root = super().fresh("old")
        reboot(root)
        return root


@pytest.fixture(scope="module")
def sealing(as_root, open_folder):
    if not Path("/usr/bin/systemd-creds").exists():
        pytest.skip("systemd before 250 has no systemd-creds")
    folder = open_folder / "sealing"
    folder.mkdir(mode=0o755)
    with tempfile.TemporaryDirectory(dir=BUILDDIR) as keys:
        yield Sealing(folder, keys)


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_any_call_of_any_process(sealing, phase):
    start, ends = PHASES[phase]
    calls = sealing.calls(sealing.fresh(start), *FETCH)
    creds = max(call.task for call in calls)
    assert creds >= 2
    chosen = points(calls, 6) if SHARE else points(calls, 6) + evenly([c for c in calls if c.task > 1], 6)
    for call in chosen:
        root = sealing.fresh(start)
        done = sealing.trip(root, call, "kill", *FETCH)
        what = phase, str(sealing.hit), done
        sealing.check_whole(root, what, start, *ends)
        assert done.returncode in ({KILLED, 125} if call.task == 0 else CODES), what
        if call.task != 0:
            assert sealing.temps_of(root) == [], what
        sealing.check_recovery(root, what, *ends)


@pytest.mark.parametrize("phase", PHASES)
def test_any_call_of_envsync_may_fail(sealing, phase):
    start, ends = PHASES[phase]
    calls = from_main(sealing.calls(sealing.fresh(start), *FETCH))
    chosen = [call for call in calls if call.task == 0]
    for i, call in enumerate(chosen[::SHARE] if SHARE else evenly(chosen, 8)):
        for error in ERRORS if SHARE == 1 else [ERRORS[i % len(ERRORS)]]:
            root = sealing.fresh(start)
            done = sealing.trip(root, call, error, *FETCH)
            what = phase, error, str(sealing.hit), done
            if sealing.hit:
                sealing.check_error(done, what)
            else:
                assert done.returncode == 125, what
            sealing.check_whole(root, what, start, *ends)
            if done.returncode == 0:
                assert sealing.is_one(sealing.read(root), "new"), what
            sealing.check_recovery(root, what, *ends)
