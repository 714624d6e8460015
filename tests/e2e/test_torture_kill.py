"""Killed at any system call, whichever process it is: what is there is old or new, each file whole
and never wider than it shall be; the next start without sources has one set or none, and no
temporary file stays."""
import shutil

import pytest

from torture import FETCH, KILLED, PHASES, Torture, points

pytest_plugins = ("aws",)
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_any_call_of_any_process(torture, phase):
    start, arguments, ends = PHASES[phase]
    calls = torture.calls(torture.fresh(start), *arguments)
    hit = 0
    chosen = points(calls, 3 if torture.gateway else 6)
    for call in chosen:
        root = torture.fresh(start)
        done = torture.trip(root, call, "kill", *arguments)
        what = phase, str(torture.hit), done
        hit += torture.hit is not None
        torture.check_whole(root, what, start, *ends)
        if call.task == 0:
            assert done.returncode == (KILLED if torture.hit else 125), what
        elif done.returncode == 0:
            # It had said all before, and nobody waits for how it ends.
            assert torture.is_one(torture.read(root), ends[-1]), what
        elif torture.hit:
            # Without its child the run has come to an end of its own.
            assert done.returncode in (65, 70), what
            torture.check_error(done, what)
            assert torture.temps_of(root) == [], what
            assert torture.is_one(torture.read(root), ends[0] if start == "killed" else start), what
        torture.check_recovery(root, what, *ends)
    assert hit >= 0.9 * len(chosen) - 1


@pytest.mark.parametrize("phase", ["first run", "update"])
def test_killed_at_any_rename(plain, phase):
    """Where one step makes a set the present one, and one after the other puts its files in place."""
    start, arguments, ends = PHASES[phase]
    renames = [call for call in plain.calls(plain.fresh(start)) if call.name == "renameat"]
    assert len(renames) > 6
    for call in renames:
        root = plain.fresh(start)
        done = plain.trip(root, call, "kill")
        plain.check_whole(root, (call, done), start, *ends)
        plain.check_recovery(root, (call, done), *ends)


class Telling(Torture):
    """Somebody waits for a change."""

    def configure(self):
        super().configure()
        self.top["on_change"] = {"touch": ["/srv/changed"]}

    def new_root(self):
        root = super().new_root()
        (root / "srv").mkdir(mode=0o755)
        return root


def test_who_waits_for_a_change_is_told_whenever_the_run_is_killed(as_root, open_folder):
    folder = open_folder / "telling"
    folder.mkdir(mode=0o755)
    telling = Telling(folder)
    calls = telling.calls(telling.fresh("old"))
    for call in points(calls, 10):
        root = telling.fresh("old")
        assert not (root / "srv/changed").exists()
        done = telling.trip(root, call, "kill")
        telling.good(root, *FETCH)
        assert (root / "srv/changed").exists(), (telling.hit, done)
        shutil.rmtree(root)
