"""exec: the merged environment, in place, and everything else as envsync itself was given it."""
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = [sys.executable, "-I", "-S", "-c"]


@pytest.fixture
def plain(host):
    host.source("A=1\nB='two words\n'\n")
    return host


def command(host, *args):
    return [*host.envsync.command, "exec", "-c", str(host.file), "--", *args]


def start(host, *args, env=None, **keywords):
    """A Popen of its own where Envsync cannot say what is wanted. Gives rc, stdout, stderr."""
    run = subprocess.Popen(command(host, *args), env=host.envsync.environment(env),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords)
    out, err = run.communicate(timeout=30)
    return run.returncode, out, err, run.pid


def test_the_command_gets_every_key_where_there_is_no_env_output(plain):
    plain.source("[db]\nx = true\n", "b.toml", name="b")
    result = plain.run("exec", "--", "sh", "-c", 'printf "%s|%s|%s" "$A" "$B" "$DB_X"')
    assert (result.rc, result.out) == (0, "1|two words\n|true"), str(result)


def test_the_first_env_output_says_what_the_command_gets(plain):
    plain.output("json", "/etc/foo/all.json")
    plain.output("env", "/etc/foo/one", include=["A"])
    plain.output("env", "/etc/foo/two")
    result = plain.run("exec", "--", "sh", "-c", 'echo "$A|${B-unset}"')
    assert result.out == "1|unset\n"


def test_what_an_env_output_refuses_exec_refuses(plain):
    plain.source("LD_PRELOAD=x\n", "b.env", name="b")
    ran = plain.path("ran")
    plain.fails(65, "LD_PRELOAD", run=["exec", "--", "touch", ran])
    assert not ran.exists()
    plain.output("env", "/etc/foo/x", allow=["LD_PRELOAD"], exclude=["A", "B"])
    assert "LD_PRELOAD=x" in plain.run("exec", "--", "env").out


def test_a_required_name_that_is_missing_is_65_and_nothing_runs(plain):
    plain.output(require=["NOWHERE"])
    ran = plain.path("ran")
    plain.fails(65, "NOWHERE", run=["exec", "--", "touch", ran])
    assert not ran.exists()


def test_the_inherited_environment_is_kept_and_the_merged_wins(plain):
    inherited = {"HOME": "/h", "LANG": "C", "A": "inherited", "LD_BIND_NOW": "1", "EMPTY": "",
                 "LC_ALL": "POSIX", "AA": "x"}  # fmt: skip
    result = plain.run("exec", "--", "env", "-0", env=inherited)
    found = sorted(result.out.rstrip("\0").split("\0"))
    wanted = plain.envsync.environment(inherited) | {"A": "1", "B": "two words\n"}
    assert found == sorted(f"{k}={v}" for k, v in wanted.items())


def test_no_file_is_written(plain):
    plain.output()
    before = set(plain.scratch.folder.rglob("*")) | {plain.file}
    plain.run("exec", "--", "true")
    assert set(plain.scratch.folder.rglob("*")) == before


def test_the_command_has_the_pid_of_envsync_and_is_no_child(plain):
    rc, out, err, pid = start(plain, "sh", "-c", "echo $$ $PPID")
    assert out.split() == [str(pid), str(os.getpid())], err


def test_the_command_ends_as_it_ends(plain):
    assert plain.run("exec", "--", "sh", "-c", "exit 42").rc == 42
    assert plain.run("exec", "--", "sh", "-c", "kill -KILL $$").rc == -signal.SIGKILL


def test_stdin_stdout_and_stderr_are_the_commands(plain):
    result = plain.run("exec", "--", "sh", "-c", "cat; echo e >&2", input="text\n")
    assert (result.rc, result.out, result.err) == (0, "text\n", "e\n")


def test_other_descriptors_and_socket_activation_are_kept(plain):
    with socket.socket(socket.AF_UNIX) as sock, open(os.devnull) as other:
        sock.bind(b"")
        sock.listen()
        try:
            before = os.dup(3)  # pytest's own
        except OSError:
            before = None
        os.dup2(sock.fileno(), 3, inheritable=True)
        extra = os.dup2(other.fileno(), 77, inheritable=True)
        code = ("import os, socket; s = socket.socket(fileno=3); "
                "print(s.getsockname(), os.environ['LISTEN_FDS'], os.fstat(77).st_rdev, "
                "sorted(map(int, os.listdir('/proc/self/fd'))))")  # fmt: skip
        rc, out, err, _ = start(plain, *SHOW, code, env={"LISTEN_FDS": "1"}, pass_fds=[3, extra])
        os.close(3)
        os.close(77)
        if before is not None:
            os.dup2(before, 3, inheritable=False)
            os.close(before)
        assert rc == 0, err
        # The one descriptor more is that of the listing itself.
        assert out.startswith(str(sock.getsockname()))
        fds = eval(out[out.index("[") :])
        assert {0, 1, 2, 3, 77} <= set(fds) and len(fds) == 6, out


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_descriptor_that_was_closed_is_closed_for_the_command(plain, closed):
    report = plain.path("report")
    script = f'exec "$@" {closed}>&-'
    look = f"exec 9>{report}; [ -e /proc/$$/fd/{closed} ]; echo $? >&9"
    subprocess.run(["sh", "-c", script, "sh", *command(plain, "sh", "-c", look)],
                   env=plain.envsync.environment(), timeout=30)  # fmt: skip
    assert report.read_text() == "1\n"


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
def test_the_umask_is_as_it_was(plain, umask):
    assert int(plain.run("exec", "--", "sh", "-c", "umask", umask=umask).out, 8) == umask


@pytest.mark.bare
def test_limits_are_as_they_were(plain):
    def limit():
        resource.setrlimit(resource.RLIMIT_CORE, (12288, 16384))
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))

    code = "import resource as r; print(r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_NOFILE))"
    rc, out, err, _ = start(plain, *SHOW, code, preexec_fn=limit)
    assert out.strip() == "(12288, 16384) (200, 300)", err


def status(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def signals(*names):
    return {signal.Signals[name] for name in names}


@pytest.mark.parametrize("ignored", [[], ["SIGPIPE", "SIGXFSZ"], ["SIGTERM", "SIGHUP", "SIGCHLD"]])
@pytest.mark.parametrize("blocked", [[], ["SIGUSR1", "SIGTERM"]])
def test_signals_are_blocked_and_ignored_as_they_were(plain, ignored, blocked):
    def prepare():
        for name in "SIGPIPE", "SIGXFSZ":
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        for name in ignored:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals(*blocked))

    rc, out, err, _ = start(plain, "cat", "/proc/self/status", preexec_fn=prepare,
                            restore_signals=False)  # fmt: skip
    found = status(out)
    mask = lambda names: sum(1 << (n - 1) for n in signals(*names))  # noqa: E731
    assert int(found["SigBlk"], 16) == mask(blocked), err
    assert int(found["SigIgn"], 16) == mask(ignored), err


def test_no_new_privs_and_dumpable_are_as_they_were(plain):
    found = status(plain.run("exec", "--", "cat", "/proc/self/status").out)
    assert found["NoNewPrivs"] == "0"
    plain.envsync.command = ["setpriv", "--no-new-privs", *plain.envsync.command]
    found = status(plain.run("exec", "--", "cat", "/proc/self/status").out)
    assert found["NoNewPrivs"] == "1"


def test_user_groups_and_capabilities_are_as_they_were(as_root, plain):
    groups = ["setpriv", "--reuid=0", "--regid=0", "--groups=1,5"]
    wanted = status(subprocess.run([*groups, "cat", "/proc/self/status"], capture_output=True,
                                   text=True, check=True).stdout)  # fmt: skip
    plain.envsync.command = [*groups, *plain.envsync.command]
    found = status(plain.run("exec", "--", "cat", "/proc/self/status").out)
    for what in "Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb", "Seccomp":
        assert found[what] == wanted[what]


def test_the_working_directory_is_as_it_was(plain, tmp_path):
    assert plain.run("exec", "--", "pwd", cwd=tmp_path).out.strip() == str(tmp_path)


def test_no_child_is_left_to_the_command(plain):
    code = "import os; print(os.waitpid(-1, os.WNOHANG))"
    rc, out, err, _ = start(plain, *SHOW, code)
    assert "ChildProcessError" in err, out


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_run_126(plain):
    text = plain.write("text", "x", mode=0o644)
    for words, code in {("no-such-command",): 127, ("/no/such",): 127, (text,): 126,
                        (plain.scratch.folder,): 126, (text / "x",): 126}.items():  # fmt: skip
        result = plain.run("exec", "--", *words)
        assert result.rc == code and str(words[0]) in result.err, str(result)
        assert len(result.err.splitlines()) == 1


def test_the_command_is_found_in_the_path_that_it_will_have(plain):
    plain.write("bin/tool", "#!/bin/sh\necho mine\n", mode=0o755)
    folder = plain.path("bin/tool").parent
    plain.source(f"PATH={folder}:/usr/bin:/bin\n", "path.env", name="path")
    assert plain.run("exec", "--", "tool").out == "mine\n"
    plain.sources.pop()
    assert plain.run("exec", "--", "tool", env={"PATH": f"{folder}:/bin"}).out == "mine\n"
    assert plain.run("exec", "--", "tool", env={"PATH": "/usr/bin:/bin"}).rc == 127


def test_options_of_the_command_are_the_commands(plain):
    assert plain.run("exec", "--", "echo", "-c", "--json", "--", "-q").out == "-c --json -- -q\n"


def test_a_failing_source_ends_the_run_before_the_command(plain):
    plain.source(path="/nowhere.env", name="b")
    ran = plain.path("ran")
    plain.fails(66, "source b", run=["exec", "--", "touch", ran])
    assert not Path(ran).exists()


def test_an_ordinary_user_may_exec(guest):
    guest.source("A=1\n")
    result = guest.run("exec", "--", "sh", "-c", "echo $A; id -u")
    assert result.out == "1\n12345\n", str(result)
