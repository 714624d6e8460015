"""Killed at any system call, whichever process it is: what is there is old or new, each file whole
and never wider than it shall be; the next start without sources has one set or none, and no
temporary file stays."""
import pytest

from torture import KILLED, PHASES, points

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
        elif torture.hit:
            # Without its child the run has come to an end of its own.
            assert done.returncode in (65, 70), what
            torture.check_error(done, what)
            assert torture.temps_of(root) == [], what
            assert torture.is_one(torture.read(root), ends[0] if start == "killed" else start), what
        torture.check_recovery(root, what, *ends)
    assert hit > 0.9 * len(chosen)


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
