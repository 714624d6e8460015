"""envsync as a process: what surrounds it when systemd, a script or a terminal starts it, and the
unprivileged worker that parses for it."""
import os
import pty
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BUILDDIR

LIBRARIES = ["libcurl", "libcrypto", "libssl", "libexpat"]
ENVIRONMENT = b"PATH=/usr/bin:/bin\0LC_ALL=C.UTF-8\0GNUTLS_NO_IMPLICIT_INIT=1\0"


@pytest.fixture
def plain(host):
    host.source("A=1\n")
    host.place = host.output()
    return host


@pytest.fixture
def waiting(host):
    """A host whose run waits for cloud-init until the test lets it go on."""
    host.source("A=1\n")
    host.data = host.path("cloud/instance-data.json")
    host.data.with_name("status.json").write_text("{}")
    host.source(type="cloud-init", path=host.data, keys={"B": "${region:-none}"})
    host.place = host.output()
    return host


def start(host, *args, **keywords):
    command = [*host.envsync.command, "sync", "-c", str(host.file), "--root", str(host.root), *args]
    keywords.setdefault("env", host.envsync.environment())
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **keywords)


def needed(program):
    listed = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True)
    return re.findall(r"\(NEEDED\).*\[(.*)\]", listed.stdout)


def test_the_privileged_program_needs_no_library_of_the_network_or_of_parsing():
    assert not [lib for lib in needed(BUILDDIR / "envsync") for no in LIBRARIES if lib.startswith(no)]


def test_a_run_maps_none_of_them_either(waiting):
    run = start(waiting)
    run.stderr.readline()
    maps = Path(f"/proc/{run.pid}/maps").read_text()
    run.kill()
    run.communicate()
    assert "envsync" in maps and not [no for no in LIBRARIES if no in maps]


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "/nonexistent", "USER": "app"}])
def test_neither_home_nor_path_is_needed(plain, env):
    run = start(plain, env=env)
    run.communicate(timeout=30)
    assert run.returncode == 0 and plain.place.read_text() == "A=1\n"


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_closed_standard_descriptors_are_no_matter(plain, closed):
    """None of the files that are written gets one of these numbers."""
    shut = " ".join(f"{fd}>&-" for fd in closed)
    for _ in range(2):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {shut}', "sh", *plain.envsync.command, "-c", plain.file,
             "--root", plain.root, "-v"], capture_output=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done
        assert plain.place.read_text() == "A=1\n"
    assert plain.temps() == []


def test_the_working_directory_may_be_gone(plain, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", gone, *plain.envsync.command, "-c", plain.file,
                           "--root", plain.root], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done


def test_ignored_and_blocked_signals_are_no_matter(plain):
    def prepare():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())

    run = start(plain, preexec_fn=prepare)
    run.communicate(timeout=30)
    assert run.returncode == 0


def test_a_low_limit_of_descriptors_is_an_error_of_envsync_not_of_the_data(plain):
    plain.envsync.command = ["prlimit", "--nofile=7", *plain.envsync.command]
    result = plain.sync()
    assert result.rc in (70, 73), str(result)
    assert "Too many open files" in result.err and not plain.place.exists()


def with_journal(host, *args, match=True):
    """Runs with stderr to a file that JOURNAL_STREAM says is the journal's."""
    log = host.path("journal")
    with open(log, "wb") as stderr:
        st = os.fstat(stderr.fileno())
        stream = f"{st.st_dev}:{st.st_ino if match else st.st_ino + 1}"
        command = [*host.envsync.command, "sync", "-c", host.file, "--root", host.root, *args]
        done = subprocess.run(command, env=host.envsync.environment({"JOURNAL_STREAM": stream}),
                              stderr=stderr, stdout=subprocess.PIPE)  # fmt: skip
    return done.returncode, log.read_text()


def test_under_the_journal_lines_have_priorities(plain):
    rc, told = with_journal(plain)
    assert rc == 0 and told.startswith("<5>/etc/foo/environment: created")
    rc, told = with_journal(plain, "-v")
    assert "<6>/etc/foo/environment: unchanged" in told
    plain.outputs[0] += "types = { NOWHERE = 'string' }\n"
    plain.outputs[0] = plain.outputs[0].replace('"env"', '"json"')
    rc, told = with_journal(plain, "-q")
    assert re.fullmatch(r"<4>warning: .*NOWHERE.*\n", told)
    plain.source(path="/nowhere.env", name="bad")
    rc, told = with_journal(plain)
    assert rc == 66 and re.fullmatch(r"<3>error: source bad.*\n", told)


def test_where_stderr_is_not_the_journals_there_are_no_priorities(plain):
    assert with_journal(plain, match=False)[1].startswith("envsync: /etc/foo/environment")


def on_terminal(host, *args, **env):
    """What a terminal as stderr gets."""
    master, slave = pty.openpty()
    run = subprocess.Popen([*host.envsync.command, "sync", "-c", host.file, "--root", host.root,
                            *args], env=host.envsync.environment(env), stderr=slave,
                           stdin=slave, stdout=slave)  # fmt: skip
    os.close(slave)
    told = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:
            break
        told += block
    os.close(master)
    return run.wait(), told.decode()


def test_colour_is_on_a_terminal_only_and_never_with_no_color(plain):
    plain.source(path="/nowhere.env", name="bad")
    assert "\x1b[31merror: \x1b[0m" in on_terminal(plain, TERM="xterm")[1]
    assert "\x1b" not in on_terminal(plain, TERM="xterm", NO_COLOR="1")[1]
    assert "\x1b[31m" in on_terminal(plain, TERM="xterm", NO_COLOR="")[1]
    assert "\x1b" not in on_terminal(plain, TERM="dumb")[1]
    assert "\x1b" not in on_terminal(plain)[1]
    assert "\x1b" not in plain.sync(env={"TERM": "xterm"}).err


def test_long_work_is_told_on_a_terminal(waiting):
    rc, told = on_terminal(waiting, "--deadline", "200ms", TERM="xterm")
    assert rc == 69 and "waiting for cloud-init" in told


def test_without_a_controlling_terminal(plain):
    run = start(plain, start_new_session=True, stdin=subprocess.DEVNULL)
    run.communicate(timeout=30)
    assert run.returncode == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_run_that_waits_and_leaves_nothing(waiting, sig):
    run = start(waiting)
    assert "waiting for cloud-init" in run.stderr.readline()
    run.send_signal(sig)
    told = run.communicate(timeout=5)[1]
    assert run.returncode == -sig and "interrupted" in told
    assert not waiting.place.exists() and waiting.temps() == []
    waiting.data.write_text("{}")
    waiting.ok()


def test_a_signal_to_the_whole_group_is_no_fault_of_the_worker(plain):
    """As systemd stops a unit, and a terminal what runs on it."""
    plain.source(type="exec", command=["/bin/sh", "-c", "echo begun >&2; sleep 60"])
    run = start(plain, start_new_session=True)
    assert run.stderr.readline() == "begun\n"
    os.killpg(run.pid, signal.SIGTERM)
    told = run.communicate(timeout=20)[1]
    assert run.returncode == -signal.SIGTERM
    assert "interrupted" in told and "error" not in told


def test_a_signal_ends_a_run_that_waits_for_the_lock(waiting):
    first = start(waiting)
    first.stderr.readline()
    second = start(waiting)
    assert "another run" in second.stderr.readline()
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=5)
    assert second.returncode == -signal.SIGTERM
    first.kill()
    first.communicate()


def test_a_signal_that_was_ignored_stays_ignored(waiting):
    """As below nohup."""
    run = start(waiting, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    run.stderr.readline()
    run.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    waiting.data.write_text("{}")
    run.communicate(timeout=5)
    assert run.returncode == 0


# ---- the worker ----


def traced(host, tmp_path, *args):
    """strace of a whole run: the lines of the worker, from its exec on."""
    program = host.envsync.command
    # A log for each process: no line is cut by another's.
    host.envsync.command = ["strace", "-ff", "-y", "-s", "200", "-o", str(tmp_path / "trace"), *program]
    result = host.sync(*args)
    host.envsync.command = program
    texts = [log.read_text() for log in tmp_path.glob("trace.*")]
    lines = next(text for text in texts if "execveat(" in text).splitlines()
    return result, lines[next(i for i, line in enumerate(lines) if "execveat(" in line):]


def children_of(pid):
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"\nPPid:\t{pid}\n" in text:
            found.append(int(status.parent.name))
    return found


@pytest.mark.bare
def test_the_worker_is_nobody_without_privileges_groups_or_environment(as_root, plain, tmp_path):
    """Looked at while it is alive: strace delays its end by a second."""
    try:
        user = pwd.getpwnam("envsync")
    except KeyError:
        user = pwd.getpwnam("nobody")
    command = ["strace", "-f", "-o", "/dev/null", "-e", "trace=exit_group", "-e",
               "inject=exit_group:delay_enter=1500000", *plain.envsync.command]  # fmt: skip
    env = plain.envsync.environment({"SECRET": "CANARY", "HOME": "/root", "LD_LIBRARY_PATH": "/x"})
    with open("/etc/hostname") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        run = subprocess.Popen([*command, "-c", plain.file, "--root", plain.root], env=env,
                               close_fds=False, stdin=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        worker = find_worker(run.pid)
        limit = time.monotonic() + 5
        while time.monotonic() < limit:  # until it has come to its end
            limits = Path(f"/proc/{worker}/limits").read_text()
            if re.search(r"Max core file size\s+0\s+0", limits):
                break
        time.sleep(0.1)
        status = dict(re.findall(r"^(\w+):\t(.*)$", Path(f"/proc/{worker}/status").read_text(), re.M))
        environ = Path(f"/proc/{worker}/environ").read_bytes()
        words = Path(f"/proc/{worker}/cmdline").read_bytes()
        limits = Path(f"/proc/{worker}/limits").read_text()
        fds = {int(p.name): os.readlink(p) for p in Path(f"/proc/{worker}/fd").iterdir()}
        flags = {fd: Path(f"/proc/{worker}/fdinfo/{fd}").read_text() for fd in fds}
        run.communicate(timeout=30)
    assert run.returncode == 0
    assert status["Uid"].split() == 4 * [str(user.pw_uid)]
    assert status["Gid"].split() == 4 * [str(user.pw_gid)]
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    for caps in "CapInh", "CapPrm", "CapEff", "CapAmb":
        assert int(status[caps], 16) == 0
    assert environ == ENVIRONMENT and b"CANARY" not in words
    assert re.search(r"Max core file size\s+0\s+0", limits)
    # It has nothing to print on; then the pipe and the socket, and its source.
    assert fds.pop(0) == fds.pop(1) == fds.pop(2) == "/dev/null"
    files = {fd: path for fd, path in fds.items() if not path.startswith(("pipe:", "socket:"))}
    assert set(files.values()) <= {str(plain.path("source.env"))}, fds
    for fd in [0, 1, 2, *files]:
        assert int(re.search(r"flags:\t(\d+)", flags[fd])[1], 8) & os.O_ACCMODE == os.O_RDONLY


def find_worker(pid):
    """The process below strace below `pid` that is the worker, once it has executed."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        below = [pid]
        while below:
            children = [child for parent in below for child in children_of(parent)]
            for child in children:
                try:
                    if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"envsync-worker"):
                        return child
                except OSError:
                    pass
            below = children
        time.sleep(0.005)
    raise AssertionError("no worker was seen")


@pytest.mark.bare
def test_the_worker_opens_no_path_of_a_source_and_writes_no_file(as_root, plain, tmp_path):
    result, lines = traced(plain, tmp_path)
    assert result.rc == 0
    assert [line for line in lines if re.search(r"read\w*\(.*source\.env", line)]
    assert not [line for line in lines if re.search(r"open\w*\(.*source\.env", line)]
    assert not [line for line in lines if re.search(r"O_(WRONLY|RDWR|CREAT)", line)]


@pytest.mark.bare
def test_the_privileged_program_reads_no_byte_of_a_source(as_root, plain, tmp_path):
    plain.write("source.env", "A=CANARY\n")
    log = tmp_path / "trace"
    program = plain.envsync.command
    plain.envsync.command = ["strace", "-y", "-s", "999", "-o", str(log), *program]
    assert plain.sync().rc == 0
    told = log.read_text()
    assert re.search(r"openat.*source\.env", told)
    assert not re.search(r"(read|pread64|mmap)\(\d+<[^>]*source\.env>", told)


def gone(pid):
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.bare
def test_the_worker_dies_with_its_parent(as_root, plain):
    """It is stopped as soon as it has asked for that, so it cannot end by itself."""
    command = ["strace", "-f", "-o", "/dev/null", "-e", "trace=getppid", "-e",
               "inject=getppid:signal=STOP:when=2", *plain.envsync.command]  # fmt: skip
    run = subprocess.Popen([*command, "-c", plain.file, "--root", plain.root],
                           stderr=subprocess.PIPE)  # fmt: skip
    worker = find_worker(run.pid)
    parent = int(re.search(r"PPid:\t(\d+)", Path(f"/proc/{worker}/status").read_text())[1])
    time.sleep(0.2)
    assert not gone(worker)
    os.kill(parent, signal.SIGKILL)
    limit = time.monotonic() + 5
    while not gone(worker) and time.monotonic() < limit:
        time.sleep(0.01)
    assert gone(worker)
    run.communicate(timeout=30)


@pytest.mark.parametrize("break_it, code", [("missing", 70), ("writable", 77), ("wrong", 70)])
def test_a_worker_that_is_missing_unsafe_or_wrong_is_told(as_root, plain, public, break_it, code):
    worker = public / "worker/worker"
    if break_it == "missing":
        worker.unlink()
    elif break_it == "writable":
        worker.chmod(0o777)
    else:
        worker.write_text("#!/bin/true\n")
    if break_it == "missing" and Path("/usr/libexec/envsync/worker").exists():
        code = 0
    plain.envsync.command = [str(public / "envsync")]
    result = plain.sync()
    assert result.rc == code, str(result)
    if code:
        assert "worker" in result.err and not plain.place.exists()


@pytest.mark.bare
def test_a_worker_that_dies_is_70_and_changes_nothing(as_root, plain):
    plain.ok()
    plain.write("source.env", "A=2\n")
    before = plain.state()
    command = ["strace", "-f", "-o", "/dev/null", "-e", "trace=getppid", "-e",
               "inject=getppid:signal=KILL:when=2", *plain.envsync.command]  # fmt: skip
    plain.envsync.command = command
    plain.fails(70, "worker", "signal 9")
    assert plain.state() == before


def test_the_worker_alone_is_of_no_use():
    done = subprocess.run([BUILDDIR / "worker/worker"], capture_output=True, text=True)
    assert done.returncode == 64 and "envsync" in done.stderr


def test_no_core_is_written_and_nobody_may_attach(waiting):
    run = start(waiting)
    run.stderr.readline()
    limits = Path(f"/proc/{run.pid}/limits").read_text()
    owner = Path(f"/proc/{run.pid}/environ").stat().st_uid
    run.kill()
    run.communicate()
    assert re.search(r"Max core file size\s+0 ", limits)
    assert owner == 0
