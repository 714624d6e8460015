"""One system call fails, in envsync, in the worker or in a program: the exit code says what it was,
in one line; before the commit nothing is changed, after it each file is old or new and whole; no
temporary file stays, and the next run completes or fetches."""
import re

import pytest

from torture import ERRORS, PHASES, SHARE, evenly, from_main

pytest_plugins = ("aws",)
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

TEMP = r"envsync-\w{11}"
# Calls that work on what is written, by where they do. Their failure is 73.
WRITING = {
    "close": (TEMP, ""), "fchmod": ("", ""), "fchown": ("", ""), "fsync": ("", ""),
    "mkdirat": ("", ""), "openat": ("", TEMP), "renameat": ("", ""), "renameat2": ("", ""),
    "write": (TEMP, ""),
}  # fmt: skip
# How the privileges are given away; none of it may be passed over.
DROPPING = "setgroups", "setresgid", "setresuid"
# Here a leftover may stay until the next run: what should have removed or found it has failed.
CLEANING = "unlinkat", "openat", "getdents64", "newfstatat", "fcntl", "fstat"


def writes(call):
    place, text = WRITING.get(call.name, (None, None))
    return call.task == 0 and place is not None and re.search(place, call.place) and re.search(text, call.text)


def commit_of(calls):
    return next(i for i, call in enumerate(calls) if call.name == "renameat" and call.text.startswith(".current."))


def staged_and_committed(path, calls, call):
    return "/etc/foo/certs/" in str(path) and calls.index(call) >= commit_of(calls) and call.name == "renameat"


def fail(torture, phase, calls, call, error):
    start, arguments, ends = PHASES[phase]
    root = torture.fresh(start)
    before = torture.read(root)
    done = torture.trip(root, call, error, *arguments)
    what = phase, error, str(torture.hit), done
    if not torture.hit:
        return None
    torture.check_error(done, what)
    torture.check_whole(root, what, start, *ends)
    if done.returncode == 0:
        assert torture.is_one(torture.read(root), ends[-1]), what
    elif calls.index(call) < commit_of(calls) and start != "killed" and phase != "release":
        assert torture.read(root) == before, what
    if call.name not in CLEANING and start != "killed":
        # What is committed and could not be put in its place waits for the next run to do so.
        left = [path for path in torture.temps_of(root) if not staged_and_committed(path, calls, call)]
        assert left == [], what
    torture.check_recovery(root, what, *ends)
    return done.returncode


@pytest.mark.parametrize("phase", ["first run", "update"])
def test_what_cannot_be_written_is_73(torture, phase):
    start, arguments, _ = PHASES[phase]
    calls = torture.calls(torture.fresh(start), *arguments)
    hit = [call for call in from_main(calls) if writes(call)]
    assert len(hit) > 20
    for i, call in enumerate(hit[::SHARE] if SHARE else evenly(hit, 8)):
        for error in ERRORS if SHARE == 1 else [ERRORS[i % len(ERRORS)]]:
            retried = error == "EINTR" and call.name == "write"
            code = fail(torture, phase, calls, call, error)
            if torture.hit and writes(torture.hit):
                assert code == (0 if retried else 73), (torture.hit, error)


@pytest.mark.parametrize("phase", PHASES)
def test_any_call_may_fail(torture, phase):
    start, arguments, _ = PHASES[phase]
    calls = torture.calls(torture.fresh(start), *arguments)
    rest = [call for call in from_main(calls) if not writes(call)]
    chosen = rest[::SHARE] if SHARE else evenly(rest, 4)
    for i, call in enumerate(chosen):
        for error in ERRORS if SHARE == 1 else [ERRORS[i % len(ERRORS)]]:
            fail(torture, phase, calls, call, error)


@pytest.mark.parametrize("phase", ["update", "rollback"])
def test_what_cannot_be_read_in_this_moment_counts_neither_as_damaged_nor_as_gone(mirroring, phase):
    """Or a rollback would publish nothing, and what prune should remove would be forgotten."""
    start, arguments, _ = PHASES[phase]
    calls = mirroring.calls(mirroring.fresh(start), *arguments)
    names = "/manifest", "machine-id", "/boot_id", "/current", "gone.pem", "/output-0"
    hit = [call for call in calls if call.task == 0 and call.name in ("openat", "newfstatat")
           and ("/" + call.text).endswith(names)]  # fmt: skip
    assert len(hit) > 4
    for call in hit if SHARE else evenly(hit, 6):
        # One look at a file that is to be pruned may fail: what it was for is then done without.
        assert fail(mirroring, phase, calls, call, "EMFILE") in (70, 73, 0 if call.text == "gone.pem" else 70), call


def test_a_staged_file_that_could_not_be_removed_is_swept_by_the_next_run(mirroring):
    start, arguments, _ = PHASES["release"]  # after which all files come again, and some are the same
    calls = mirroring.calls(mirroring.fresh(start), *arguments)
    hit = [call for call in calls if call.name == "unlinkat" and re.search(TEMP, call.text)]
    assert hit
    for call in hit:
        assert fail(mirroring, "release", calls, call, "EIO") == 0, call


def test_privileges_that_cannot_be_dropped_end_the_run(plain):
    calls = plain.calls(plain.fresh("old"))
    for name in DROPPING:
        first = {c.task: c for c in reversed(calls) if c.name == name}
        assert len(first) >= 2, (name, first)
        for call in first.values():
            assert fail(plain, "update", calls, call, "EINTR") not in (0, None), call


@pytest.mark.parametrize("phase", ["first run", "update"])
def test_a_write_that_takes_half_of_it_goes_on(torture, phase):
    start, arguments, ends = PHASES[phase]
    calls = [call for call in torture.calls(torture.fresh(start), *arguments)
             if call.name in ("write", "read", "pread64") and call.number > 2]  # fmt: skip
    for call in calls[::SHARE] if SHARE else evenly(calls, 4):
        root = torture.fresh(start)
        done = torture.trip(root, call, "short", *arguments)
        if torture.hit:
            assert done.returncode == 0 and torture.is_one(torture.read(root), "new"), (str(call), done)
        torture.check_recovery(root, (str(call), done), *ends)
