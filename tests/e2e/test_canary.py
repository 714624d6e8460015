"""No value leaves through anything but an output: a canary in every kind of source and of credential is
searched for in what is printed, in arguments and environments, in names, in core files and in memory."""
import base64
import contextlib
import json
import os
import re
import resource
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from aws import one_of_each
from conftest import GROUP, SLOW

pytest_plugins = ("aws",)
pytestmark = pytest.mark.usefixtures("as_root")

CANARY = "c4n4ry-f1nch"
SESSION = "c4n4ry-t0ken"
SOURCES = """
app = "foo"
group = "{group}"
deadline = "20s"

[[source]]
name = "env"
type = "file"
path = "{dir}/source.env"

[[source]]
name = "toml"
type = "file"
path = "{dir}/source.toml"

[[source]]
name = "cloud"
type = "cloud-init"
path = "{dir}/run/instance-data.json"
[source.keys]
CLOUD = "${ds.meta_data.word}"

""" + one_of_each("foo/one") + """
[[source]]
name = "plain"
type = "secrets-manager"
ids = ["foo/plain"]
key = "plain"

[[source]]
name = "vault"
type = "exec"
command = ["/bin/sh", "-c", "printf '{\\"vault\\": \\"%s\\"}' \\"$VAULT\\""]
environment = ["VAULT"]

[[source]]
name = "credentials"
type = "credentials"
"""
OUTPUTS = """
[[output]]
path = "/run/foo/all.json"
format = "json"

[[output]]
path = "/etc/foo/all.toml"
format = "toml"

[[output]]
path = "/etc/foo/environment"
format = "env"
"""


def needles():
    """The canaries, and the core of their base64 at each of its three alignments."""
    found = []
    for text in CANARY.encode(), SESSION.encode():
        found.append(text)
        found += [base64.b64encode(b"\0" * shift + text)[4:-4] for shift in range(3)]
    return found


NEEDLES = needles()


def silent(what, where):
    what = what if isinstance(what, bytes) else what.encode(errors="surrogateescape")
    assert not [needle for needle in NEEDLES if needle in what], f"a value is in {where}"


class Cage:
    """A host whose every value has a canary in it."""

    def __init__(self, host, gateway):
        self.host, self.gateway, self.write = host, gateway, host.write
        folder = host.scratch.folder
        self.sources = SOURCES.replace("{group}", GROUP).replace("{dir}", str(folder))
        self.turn(0)
        host.write("run/status.json", '{"v1": {"stage": null}}')
        host.write("run/result.json", "{}")
        self.env = gateway.environment(
            VAULT=f"{CANARY}-vault", CREDENTIALS_DIRECTORY=str(folder / "given"))
        self.configure(OUTPUTS)

    def turn(self, n):
        value = f"{CANARY}-{n}"
        self.write("source.env", f"WORD='{value} env'\nNUMBER=1{n}\n")
        self.write("source.toml", f'[toml]\nvalue = "{value}"\nlist = ["{value}", "{value}"]\n')
        self.write("run/instance-data.json", json.dumps({"ds": {"meta_data": {"word": value}}}))
        self.write("given/password", f"{value}\n", 0o400)
        self.gateway.fixtures(
            buckets={"config": {"objects": {"a.json": json.dumps({"object": {"deep": value}}), "b.pem": value}}},
            parameters={"/foo/p": {"value": value, "type": "SecureString"}},
            secrets={"foo/one": json.dumps({"secret": value}), "foo/plain": value},
        )

    def configure(self, outputs, sources=""):
        self.file = self.host.scratch.write("envsync.toml", self.sources + sources + outputs)

    def run(self, verb, *arguments, root=True, env=None):
        root = ["--root", self.host.root] if root else []
        result = self.host.envsync(verb, "-c", self.file, *root, *arguments, env=self.env | (env or {}))
        silent(result.out, f"stdout of {verb}")
        silent(result.err, f"stderr of {verb}")
        names = [str(path) for path in self.host.root.rglob("*")]
        silent("\n".join(names), "the name of a file")
        return result

    def ok(self, *arguments, **keywords):
        result = self.run(*arguments, **keywords)
        assert result.rc == 0, str(result)
        return result


@pytest.fixture
def cage(host, gateway):
    return Cage(host, gateway)


def test_the_needles_are_found_where_they_are(cage):
    """What searches finds: in an output, and as base64."""
    cage.ok("sync")
    for place in "run/foo/all.json", "etc/foo/all.toml", "etc/foo/environment", "etc/foo/tls/b.pem":
        with pytest.raises(AssertionError):
            silent((cage.host.root / place).read_bytes(), place)
    for shift in range(3):
        with pytest.raises(AssertionError):
            silent(base64.b64encode(b"x" * shift + CANARY.encode()), "base64")


def test_no_command_prints_a_value(cage):
    for arguments in (["sync", "--dry-run"], ["sync", "-v"], ["sync", "-v"], ["sync", "--json"]):
        cage.ok(*arguments)
    cage.turn(1)
    cage.ok("sync", "--dry-run", "--json")
    cage.ok("sync", "--dry-run", "-v")
    cage.ok("sync", "-v")
    for arguments in (["check"], ["check", "--credentials"], ["explain", "--fetch"], ["explain", "--fetch", "--json"]):
        cage.ok(*arguments, root=False)
    for arguments in (["providers"], ["providers", "ssm"]):
        result = cage.host.envsync(*arguments, env=cage.env)
        silent(result.out + result.err, arguments)


def test_the_state_is_for_root_alone(cage):
    cage.ok("sync")
    for half in "run/envsync", "var/lib/envsync":
        for path in (cage.host.root / half / "foo").rglob("*"):
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
        assert stat.S_IMODE((cage.host.root / half / "foo").stat().st_mode) == 0o700


BAD = {
    "a type that does not fit": ('[[output]]\npath = "/run/foo/x"\nformat = "json"\n'
                                 '[output.types]\nWORD = "integer"\n"toml.value" = "float"\n', ""),
    "text that is no JSON": ('[[output]]\npath = "/run/foo/x"\nformat = "json"\n[output.types]\nWORD = "json"\n', ""),
    "a name that is refused": (OUTPUTS, 'rename = { "WORD" = "LD_PRELOAD" }'),
    "a name that is none": (OUTPUTS, 'rename = { "WORD" = "9 bad" }'),
    "a required name that is missing": (OUTPUTS + 'require = ["MISSING"]\n', ""),
    "a key that is not there": ('[[output]]\npath = "/run/foo/x"\nformat = "value"\nkey = "missing"\n', ""),
    "a scalar against a table": (OUTPUTS, 'rename = { "WORD" = "toml" }'),
}


@pytest.mark.parametrize("name", BAD)
def test_no_error_about_a_key_prints_its_value(cage, name):
    outputs, option = BAD[name]
    cage.sources = cage.sources.replace("source.env\"\n", f"source.env\"\n{option}\n")
    cage.configure(outputs)
    assert cage.run("sync").rc == 65


TEXTS = {
    "source.env": [f"ENV='{CANARY}", f"{CANARY}\n", f"export A={CANARY}\n", f"A-{CANARY}-B=1\n", f"A={CANARY}\0\n",
                   f"A={CANARY}\r1\n"],
    "source.toml": [f'a = "{CANARY}', f"a = {CANARY}\n", f'a = "{CANARY}" "{CANARY}"\n', f'a = "{CANARY}"\na = 1\n',
                    f'"{CANARY}" = \n', f"a = [ '{CANARY}'\n", f'a = "\\q{CANARY}"\n'],
    "run/instance-data.json": [f'{{"ds": {CANARY}}}', f'{{"ds": "{CANARY}", }}', f'"{CANARY}'],
}  # fmt: skip


@pytest.mark.parametrize("file, text", [(f, t) for f, texts in TEXTS.items() for t in texts])
def test_no_error_of_a_parser_prints_what_it_read(cage, file, text):
    cage.write(file, text)
    assert cage.run("sync").rc == 65


REMOTE = [
    {"buckets": {"config": {"objects": {"a.json": f'{{"a": "{CANARY}'}}}},
    {"buckets": {"config": {"objects": {"a.json": f'{{"a": "{CANARY}", "a": 1}}'}}}},
    {"parameters": {"/foo/p": f"{CANARY}\u0001", "/foo/p/q": CANARY}},
    {"secrets": {"foo/one": f'{{"a": {CANARY}', "foo/plain": CANARY}},
    {"secrets": {"foo/one": CANARY, "foo/plain": CANARY}},
]


@pytest.mark.parametrize("fixtures", REMOTE)
def test_no_error_about_an_answer_prints_it(cage, fixtures):
    cage.gateway.fixtures(**fixtures)
    assert cage.run("sync").rc == 65


SIGNED = {"bad_signature": 77, "expired_token": 77, "access_denied": 77, "captive_portal": 65, "malformed": 65}


@pytest.mark.parametrize("fault", SIGNED)
def test_no_credential_is_printed_whatever_aws_says(cage, fault):
    cage.gateway.faults({"action": fault, "service": "ssm"})
    assert cage.run("sync", "-v", env={"AWS_SESSION_TOKEN": ""}).rc == SIGNED[fault]
    wrong = {"AWS_SECRET_ACCESS_KEY": f"{CANARY}-key", "AWS_SESSION_TOKEN": SESSION}
    assert cage.run("sync", "-v", env=wrong).rc == 77
    assert cage.run("explain", "--fetch", root=False, env=wrong).rc == 77


# ---- while it runs ----


def descendants(pid):
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        with contextlib.suppress(FileNotFoundError):
            todo += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


@contextlib.contextmanager
def held(cage, **keywords):
    """A run whose parameters do not come, with everything else at work: all its processes."""
    cage.ok("sync")
    cage.turn(1)
    cage.gateway.forget()
    cage.gateway.faults({"action": "stall", "service": "ssm", "seconds": 20})
    command = [*cage.host.envsync.command, "sync", "-c", cage.file, "--root", cage.host.root]
    run = subprocess.Popen(list(map(str, command)), env=cage.env, stderr=subprocess.PIPE, cwd=cage.host.scratch.folder,
                           **keywords)  # fmt: skip
    end = time.monotonic() + 15 * SLOW
    while not cage.gateway.requests(service="ssm") or len(descendants(run.pid)) < 2:
        assert time.monotonic() < end and run.poll() is None
        time.sleep(0.02)
    time.sleep(0.2)
    # Without those that have ended and not been waited for yet.
    alive = [pid for pid in descendants(run.pid) if "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()]
    try:
        yield run, alive
    finally:
        run.kill()
        run.communicate()


@pytest.mark.bare
def test_no_argument_environment_or_core_file_has_a_value(cage):
    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    with held(cage, preexec_fn=prepare) as (run, processes):
        for pid in processes:
            silent(Path(f"/proc/{pid}/cmdline").read_bytes(), "arguments")
            silent(Path(f"/proc/{pid}/comm").read_bytes(), "the name of a process")
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max core file size +0 ", limits), limits
        worker = processes[1]
        silent(Path(f"/proc/{worker}/environ").read_bytes(), "the worker's environment")
        uid = int(re.search(r"Uid:\s+(\d+)", Path(f"/proc/{worker}/status").read_text())[1])
        assert uid != 0
        for pid in processes:
            # Not dumpable: also whoever has its uid may not look into it.
            assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
            done = subprocess.run(
                ["setpriv", f"--reuid={uid}", "--clear-groups", "cat", f"/proc/{pid}/environ", f"/proc/{pid}/mem"],
                capture_output=True, text=True)  # fmt: skip
            assert done.stderr.count("Permission denied") == 2 and not done.stdout, done
        os.kill(worker, signal.SIGSEGV)
        time.sleep(0.2)
        os.kill(run.pid, signal.SIGABRT)
        run.wait(10)
    left = [p for p in cage.host.scratch.folder.rglob("core*") if p.is_file()]
    assert not left, "a core file was left"


def memory(pid):
    """What is mapped and writable of a stopped process."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if "w" in mode and "[vvar" not in line:
                start, end = (int(x, 16) for x in span.split("-"))
                mem.seek(start)
                with contextlib.suppress(OSError):
                    found.append((line.split()[-1], mem.read(end - start)))
    return found


@pytest.mark.bare
def test_a_run_leaves_no_value_in_memory_at_its_end(cage):
    """envsync, stopped on its way out: every buffer that held a value was overwritten."""
    command = [*cage.host.envsync.command, "sync", "-c", cage.file, "--root", cage.host.root]
    env = {name: value for name, value in cage.env.items() if CANARY not in value}
    cage.sources = re.sub(r'\[\[source\]\]\nname = "vault".*?(?=\[\[)', "", cage.sources, flags=re.S)
    cage.configure(OUTPUTS)
    log = cage.host.scratch.folder / "trace"
    run = subprocess.Popen(
        ["strace", "-o", log, "-e", "trace=exit_group", "-e", "inject=exit_group:delay_enter=3000000",
         *map(str, command)], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    end = time.monotonic() + 20
    while not (log.exists() and "exit_group" in log.read_text()):
        assert time.monotonic() < end and run.poll() is None
        time.sleep(0.05)
    pid = descendants(run.pid)[1]
    regions = memory(pid)
    assert any(str(cage.file).encode() in data for _, data in regions), "this is not its memory"
    assert any(name == "[heap]" for name, _ in regions)
    for name, data in regions:
        silent(data, f"{name} of envsync")
    run.kill()
    run.communicate()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert CANARY in (cage.host.root / "etc/foo/environment").read_text()
