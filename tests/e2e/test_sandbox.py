"""The unprivileged worker in its sandbox: what it cannot do even where it was taken over, and what
works in it all the same: every way to AWS's credentials, to names and to trust."""
import ctypes
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import in_namespace

pytest_plugins = ("aws",)
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

JSON = '{"a": [1, true], "b": {"c": "CANARY"}}'
ROLE = "arn:aws:iam::123456789012:role/x"
try:
    WORKER = pwd.getpwnam("envsync")
except KeyError:
    WORKER = pwd.getpwnam("nobody")


@pytest.fixture(scope="session")
def landlock():
    if ctypes.CDLL(None).syscall(444, None, 0, 1) < 3:
        pytest.skip("this kernel has no Landlock of version 3")


# ---- a worker that was taken over ----


@pytest.fixture
def rogue(host, public, tool):
    """Runs with a worker that tries what it must not be able to; gives {what: how it went}."""
    (public / "worker/worker").write_bytes(tool("rogue_worker").read_bytes())
    host.envsync.command = [str(public / "envsync")]

    def run(*tries, network=False):
        host.source("".join(f"{line}\n" for line in tries), name="rogue")
        if network:
            host.source(type="ssm", path="/foo/", region="eu-west-1")
        host.output()
        host.result = host.ok(env={"AWS_EC2_METADATA_DISABLED": "true"})
        return dict(re.findall(r"^envsync: source rogue: (.*): (.*)$", host.result.err, re.M))

    return run


@pytest.mark.parametrize("network", [False, True])
def test_it_reads_and_writes_nothing_and_runs_nothing(landlock, rogue, public, host, network):
    """Not even what its user might: all of this is there for everybody."""
    (public / "open").write_text("x")
    (public / "open").chmod(0o666)
    public.chmod(0o777)
    paths = ["read /etc/group", "read /etc/hostname", f"read {public}/open", f"write {public}/open",
             f"write {public}/new", "write /tmp/rogue", "write /dev/null", "write /dev/shm/rogue",
             f"read {host.file}", "read /etc/shadow", "read /proc/self/mem", "write /proc/self/mem",
             "run /bin/true", f"run {public}/envsync", "read /usr/bin/env"]  # fmt: skip
    found = rogue(*paths, network=network)
    assert {path: found[path] for path in paths} == dict.fromkeys(paths, "Permission denied")
    assert (public / "open").read_text() == "x" and not (public / "new").exists()


@pytest.mark.parametrize("network", [False, True])
def test_it_reads_by_name_what_names_and_trust_need_where_a_source_asks(landlock, rogue, network):
    paths = ["read /etc/resolv.conf", "read /etc/nsswitch.conf", "read /etc/ssl/openssl.cnf"]
    found = rogue(*paths, network=network)
    assert {found[path] for path in paths} == {"ok" if network else "Permission denied"}


def test_it_stays_who_it_is_and_reaches_nobody(rogue, public):
    found = rogue()
    for what in ("setuid", "setresuid", "setresuid -1 0 -1", "setgid", "chroot", "ptrace parent",
                 "signal parent", "core"):  # fmt: skip
        assert found[what] == "Operation not permitted", found
    assert found["dumpable"] != "ok" and found["capabilities"] != "ok", found


def test_it_has_no_capabilities_where_a_caller_without_root_has_some(guest, public, tool):
    """As of a unit with User= and AmbientCapabilities=. Its programs have none either."""
    (public / "worker/worker").write_bytes(tool("rogue_worker").read_bytes())
    given = ["--inh-caps=+dac_override,+chown", "--ambient-caps=+dac_override,+chown"]
    guest.envsync.command[1:1] = given
    seen = subprocess.run([*guest.envsync.command[:-1], "grep", "CapPrm", "/proc/self/status"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert int(seen.split()[1], 16) != 0
    guest.top["group"] = "root"
    guest.source("read /etc/shadow\n", name="rogue")
    guest.output()
    os.chown(guest.root, 12345, 12345)
    result = guest.ok()
    found = dict(re.findall(r"^envsync: source rogue: (.*): (.*)$", result.err, re.M))
    assert found["capabilities"] != "ok" and found["read /etc/shadow"] == "Permission denied", found


def test_it_can_write_to_the_pipe_of_its_records_and_to_nothing_else(rogue, host):
    found = rogue(network=True)
    writable = [what for what in found if what.startswith("descriptor ")]
    assert len(writable) == 1 and writable[0].endswith("of type 10000"), found
    assert found["stderr"] == "Bad file descriptor" and "rogue\n" not in host.result.err


# ---- its start ----


def workers(host, tmp_path, *options, env=None):
    """The system calls of each worker of a run, from its exec on, as strace tells them. Each process has a
    log of its own, so no line is cut by another's."""
    folder = tmp_path / "traces"
    folder.mkdir()
    command = ["strace", "-ff", "-y", *options, "-o", str(folder / "trace"), *host.envsync.command]
    host.envsync.command, plain = command, host.envsync.command
    host.ok(env=env)
    host.envsync.command = plain
    found = []
    for log in sorted(folder.iterdir(), key=lambda path: int(path.suffix[1:])):
        lines = log.read_text().splitlines()
        if (begin := at(lines, r"execveat\(")) is not None:
            found.append(lines[begin:])
    return found


def at(lines, pattern):
    return next((i for i, line in enumerate(lines) if re.search(pattern, line)), None)


def test_it_closes_its_sandbox_before_it_reads_a_source_or_opens_a_socket(landlock, gateway, host, tmp_path):
    gateway.fixtures(parameters={"/foo/prod/a": "1"})
    host.source("A=1\n")
    host.source(type="ssm", path="/foo/prod/")
    host.output()
    (lines,) = workers(host, tmp_path, env=gateway.environment())
    order = [at(lines, pattern) for pattern in (
        r"prctl\(PR_SET_PDEATHSIG, SIGKILL\)", r"prctl\(PR_SET_DUMPABLE, ", r"getppid\(\)",
        r"recvmsg\(\d+<", r"landlock_create_ruleset\(", r"RLIMIT_FSIZE, \{rlim_cur=0, rlim_max=0",
        r"landlock_restrict_self\(.*= 0", r"read\(\d+<.*source\.env",
    )]  # fmt: skip
    assert None not in order and order == sorted(order), order
    assert at(lines, r"RLIMIT_CORE, \{rlim_cur=0, rlim_max=0") < order[3]
    assert order[6] < at(lines, r"connect\(.*AF_INET")
    assert not [line for line in lines[order[6]:] if re.search(r"execve|= \d+<[^>]*source\.env", line)]


@pytest.mark.parametrize("inject, words", [
    ("landlock_create_ruleset:error=ENOSYS", "no Landlock"),
    ("landlock_create_ruleset:error=EOPNOTSUPP", "no Landlock"),
    ("landlock_create_ruleset:error=EPERM", "no Landlock"),
    ("landlock_create_ruleset:retval=1:when=1", "version 1"),
    ("landlock_create_ruleset:retval=2:when=1", "version 2"),
    ("landlock_create_ruleset:retval=3:when=1", None),
    ("landlock_create_ruleset:retval=4:when=1", None),
    ("landlock_create_ruleset:retval=5:when=1", None),
    ("landlock_restrict_self:error=E2BIG", "landlock_restrict_self fails"),
])  # fmt: skip
def test_an_older_kernel_is_no_obstacle_and_v_tells_what_it_lacks(landlock, host, inject, words):
    """As long as this kernel itself has more: strace makes it look older."""
    host.source("A=1\n")
    place = host.output()
    name = inject.partition(":")[0]
    host.envsync.command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                            f"inject={inject}", *host.envsync.command]  # fmt: skip
    result = host.ok("-v")
    assert place.read_text() == "A=1\n"
    told = [line for line in result.err.splitlines() if "worker: " in line]
    if words:
        assert len(told) == 1 and words in told[0], told
    else:
        assert not told
    place.unlink()
    assert "Landlock" not in host.ok().err


def kill_on_landlock():
    """A filter of system calls like that of a unit whose systemd does not know Landlock."""
    load, jump, give = 0x20, 0x35, 0x06  # BPF: a word, "if at least", return
    code = b"".join(struct.pack("HBBI", *line) for line in (
        (load, 0, 0, 0), (jump, 0, 2, 444), (jump, 1, 0, 447), (give, 0, 0, 0x80000000), (give, 0, 0, 0x7FFF0000)))  # fmt: skip
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", 5, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def test_a_units_filter_that_kills_who_asks_for_landlock_is_no_obstacle(host):
    host.source(f"J='{JSON}'\n")
    host.output(types={"J": "json"})
    with pytest.raises(subprocess.CalledProcessError, match="SIGSYS"):
        code = "import ctypes; ctypes.CDLL(None).syscall(444, None, 0, 1)"
        subprocess.run([sys.executable, "-c", code], check=True, preexec_fn=kill_on_landlock)
    result = host.ok("-v", preexec_fn=kill_on_landlock)
    assert "no Landlock" in result.err


# ---- what works in it all the same ----


@pytest.fixture
def ssm(gateway, host, public):
    """A source of AWS, fetched over TLS as root; `public` is where the worker's user may look."""
    gateway.fixtures(parameters={"/foo/prod/a": "1"})

    def run(env, **options):
        host.sources, host.outputs = [], []
        host.source(type="ssm", path="/foo/prod/", **options)
        place = host.output()
        result = host.sync("--fresh", env=env)
        assert result.rc == 0, str(result)
        assert place.read_text() == "A=1\n"
        return result

    return run


def without(env, *names):
    return {name: value for name, value in env.items() if name not in names}


KEYS = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


def root_only(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def keys(gateway):
    return f"aws_access_key_id = {gateway.access_key}\naws_secret_access_key = {gateway.secret_key}\n"


def test_trust_by_option_and_variable_from_a_file_of_roots_alone(ssm, gateway, tmp_path):
    ca = root_only(tmp_path / "ca.pem", Path(gateway.ca).read_text())
    env = gateway.environment()
    ssm(env | {"AWS_CA_BUNDLE": ca})
    ssm(without(env, "AWS_CA_BUNDLE"), ca_file=ca)


def test_trust_by_a_profile_from_a_file_that_the_worker_may_read(ssm, gateway, public, tmp_path):
    (public / "ca.pem").write_text(Path(gateway.ca).read_text())
    config = root_only(tmp_path / "config", f"[default]\nca_bundle = {public}/ca.pem\n")
    ssm(without(gateway.environment(AWS_CONFIG_FILE=config), "AWS_CA_BUNDLE"))


@pytest.mark.parametrize("link", [False, True])
def test_trust_by_the_systems_directory_and_an_administrators_link_out_of_it(gateway, host, public, link):
    """The directory of certificates is one of the test's; its hashed name is that of the CA."""
    gateway.fixtures(parameters={"/foo/prod/a": "1"})
    host.source(type="ssm", path="/foo/prod/", endpoint=gateway.url("https", "localhost"))
    place = host.output()
    hashed = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", gateway.ca], text=True,
                            capture_output=True, check=True).stdout.strip()  # fmt: skip
    certs, elsewhere = public / "certs", public / "elsewhere.pem"
    certs.mkdir(mode=0o755)
    (elsewhere if link else certs / "ca.pem").write_text(Path(gateway.ca).read_text())
    if link:
        (certs / "ca.pem").symlink_to(elsewhere)
    (certs / f"{hashed}.0").symlink_to("ca.pem")
    env = without(gateway.environment(), "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL")
    done = in_namespace('mount --bind "$1" /etc/ssl/certs; shift; exec "$@"', certs,
                        *host.envsync.command, "sync", "-c", host.file, "--root", host.root, env=env)  # fmt: skip
    assert done.returncode == 0, done
    assert place.read_text() == "A=1\n"


@pytest.mark.parametrize("bundle, said", [(None, "no certificates"), ("damaged", "cannot be read")])
def test_a_system_without_certificates_that_can_be_used_is_78(gateway, host, public, bundle, said):
    host.source(type="ssm", path="/foo/prod/", endpoint=gateway.url("https", "localhost"))
    host.output()
    certs = public / "certs"
    certs.mkdir(mode=0o755)
    if bundle:
        (certs / "ca-certificates.crt").write_text(bundle)
    env = without(gateway.environment(), "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL")
    done = in_namespace('mount --bind "$1" /etc/ssl/certs; shift; exec "$@"', certs,
                        *host.envsync.command, "sync", "-c", host.file, "--root", host.root, env=env)  # fmt: skip
    assert done.returncode == 78, done
    assert said in done.stderr and "ca_file" in done.stderr and done.stderr.count("\n") == 1, done


def test_profiles_in_files_of_roots_alone(ssm, gateway, tmp_path):
    env = without(gateway.environment(), *KEYS)
    env["AWS_CONFIG_FILE"] = root_only(tmp_path / "config", f"[profile app]\nrole_arn = {ROLE}\nsource_profile = base\n")
    env["AWS_SHARED_CREDENTIALS_FILE"] = root_only(tmp_path / "credentials", "[base]\n" + keys(gateway))
    ssm(env, profile="app")
    assert [request["operation"] for request in gateway.requests()] == ["AssumeRole", "GetParametersByPath"]


def test_a_role_by_option_and_names_by_the_resolver(ssm, gateway):
    ssm(gateway.environment(AWS_ENDPOINT_URL=gateway.url(host="localhost")), role_arn=ROLE)


def test_the_token_of_a_web_identity(ssm, gateway, public, tmp_path):
    """By variable root opens it. One that a profile names is the worker's to read, and may be a
    link that leads through its directory, as those of Kubernetes do."""
    env = without(gateway.environment(), *KEYS)
    token = root_only(tmp_path / "token", "header.body.signature\n")
    ssm(env | {"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": ROLE})
    (public / "secrets/..now").mkdir(parents=True, mode=0o755)
    (public / "secrets/..now/token").write_text("header.body.signature\n")
    (public / "secrets/token").symlink_to("..now/token")
    env["AWS_CONFIG_FILE"] = root_only(
        tmp_path / "config", f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = {public}/secrets/token\n")
    ssm(env)


def test_the_token_of_a_container(ssm, gateway, tmp_path):
    env = gateway.environment_without_keys("eks")
    token = root_only(tmp_path / "token", env.pop("AWS_CONTAINER_AUTHORIZATION_TOKEN"))
    ssm(env | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token})


@pytest.fixture
def process(gateway, public, tmp_path):
    """The environment for a credential_process of this text, which may write below public/own."""
    (public / "own").mkdir()
    os.chown(public / "own", WORKER.pw_uid, WORKER.pw_gid)

    def environment(script):
        program = public / "credentials"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        config = root_only(tmp_path / "config", f"[default]\ncredential_process = {program}\n")
        return without(gateway.environment(AWS_CONFIG_FILE=config), *KEYS)

    return environment


def document(gateway, **more):
    return json.dumps({"Version": 1, "AccessKeyId": gateway.access_key,
                       "SecretAccessKey": gateway.secret_key, **more})  # fmt: skip


def test_a_credential_process_reads_and_writes_what_its_user_may_and_is_never_root(ssm, gateway, process, public):
    """It stands outside of the sandbox, but has no privileges, as the worker has none."""
    env = process(f"""cat /etc/hostname >/dev/null || exit 1
cat /proc/self/status > {public}/own/status
ls -l /proc/self/fd > {public}/own/fds
ulimit -f > {public}/own/limit
echo '{document(gateway)}'
""")
    ssm(env)
    status = dict(re.findall(r"^(\w+):\t(.*)$", (public / "own/status").read_text(), re.M))
    assert status["Uid"].split() == 4 * [str(WORKER.pw_uid)]
    assert status["Gid"].split() == 4 * [str(WORKER.pw_gid)]
    assert status["Groups"].split() == [] and status["NoNewPrivs"] == "1"
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 0
    assert (public / "own/limit").read_text() == "unlimited\n"
    fds = re.findall(r" (\d+) -> (\S+)", (public / "own/fds").read_text())
    assert {int(fd) for fd, path in fds if not path.startswith("/proc/")} == {0, 1, 2}, fds


def test_a_credential_process_runs_again_in_the_middle_of_a_run(ssm, gateway, process, public):
    """The first keys are refused as expired when the sandbox has long been closed."""
    role = {"RoleArn": ROLE, "RoleSessionName": "first"}
    keys = gateway.client("sts").assume_role(**role)["Credentials"]
    del keys["Expiration"]
    first = json.dumps({"Version": 1, **keys})
    gateway.expire()
    env = process(f"""echo run >> {public}/own/runs
if [ $(wc -l < {public}/own/runs) = 1 ]; then echo '{first}'; else echo '{document(gateway)}'; fi
""")
    ssm(env)
    assert (public / "own/runs").read_text() == "run\nrun\n"


def test_two_sources_with_one_credential_process_each_get_its_keys(gateway, host, process, public):
    gateway.fixtures(parameters={"/foo/prod/a": "1"}, secrets={"foo/prod": '{"B": "2"}'})
    env = process(f"echo run >> {public}/own/runs; sleep 0.2; echo '{document(gateway)}'\n")
    ca = env["AWS_CA_BUNDLE"]
    host.source(type="ssm", path="/foo/prod/")
    host.source(type="secrets-manager", ids=["foo/prod"], ca_file=ca)  # with its own settings
    place = host.output()
    host.ok(env=env)
    assert place.read_text() == "A=1\nB=2\n"
    assert (public / "own/runs").read_text() == "run\nrun\n"


def test_a_credential_process_does_not_outlive_the_run(gateway, host, process, public):
    gateway.fixtures(parameters={"/foo/prod/a": "1"})
    env = process(f"echo $$ > {public}/own/pid; exec sleep 300\n")
    host.source(type="ssm", path="/foo/prod/")
    host.output()
    result = host.sync("--deadline", "700ms", env=env)
    assert result.rc == 69 and "credential_process" in result.err, str(result)
    pid = int((public / "own/pid").read_text())
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_checking_credentials_starts_no_process(gateway, host, process, public):
    env = process(f"touch {public}/own/ran\n")
    host.source(type="ssm", path="/foo/prod/")
    host.output()
    result = host.run("check", "--credentials", env=env)
    assert result.rc == 0 and "credential_process" in result.out + result.err, str(result)
    assert not (public / "own/ran").exists()


# ---- texts that `types` calls json ----


@pytest.fixture(scope="session")
def no_json(tmp_path_factory):
    """A library that ends whatever process parses JSON with jansson."""
    folder = tmp_path_factory.mktemp("no-json")
    (folder / "no.c").write_text("void *json_loadb(void) { __builtin_trap(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "no.so", folder / "no.c"], check=True)
    return {"LD_PRELOAD": str(folder / "no.so")}


def test_the_text_of_a_source_is_never_parsed_as_root(host, no_json):
    """The worker inherits no environment, so only envsync itself has that library. It does parse a
    JSON output that it has rendered, and ends."""
    host.source(f"J='{JSON}'\nK=[1]\n")
    place = host.output(types={"J": "json", "K": "json"})
    host.ok(env=no_json)
    assert json.loads(re.search("J='(.*)'", place.read_text())[1]) == json.loads(JSON)
    explained = host.run("explain", "--root", host.root, "J", env=no_json)
    assert explained.rc == 0 and "J" in explained.out, str(explained)
    host.output("json", "/etc/foo/out.json")
    assert host.sync(env=no_json).rc == -signal.SIGILL


def test_a_worker_without_network_or_sources_parses_it(host, tmp_path):
    """The text goes through a socket, never by argument, environment or file."""
    host.source(f"J='{JSON}'\n")
    host.output("json", types={"J": "json"})
    fetching, parser = workers(host, tmp_path, "-s", "9999")
    assert at(parser, r"setresuid\(|getppid") and not [line for line in parser if "socket(" in line]
    taken, closed = at(parser, r"recvmsg\(\d+<.*CANARY"), at(parser, r"landlock_restrict_self\(.*= 0")
    assert taken < closed < at(parser, r"write\(\d+<pipe:.*CANARY")
    assert "CANARY" not in "".join(line for line in fetching + parser if "execve" in line)


def test_values_of_a_source_that_is_away_are_parsed_too(gateway, host):
    """They come from the last set, of whose values the worker that fetches is told nothing."""
    gateway.fixtures(parameters={"/foo/prod/j": JSON})
    host.source(type="ssm", path="/foo/prod/", on_unavailable="last-good")
    host.output()
    host.ok(env=gateway.environment())
    place = host.output("json", "/etc/foo/out.json", types={"j": "json"})
    gateway.faults({"action": "reset", "where": "before"})
    result = host.ok("--deadline", "700ms", env=gateway.environment())
    assert "last good values" in result.err
    assert json.loads(place.read_text()) == {"j": json.loads(JSON)}


def test_exec_and_a_dry_run_have_it_parsed_as_well(host):
    host.source(f"J='{JSON}'\n")
    host.output(types={"J": "json"})
    done = host.run("exec", "--", "printenv", "J")
    assert done.rc == 0 and json.loads(done.out) == json.loads(JSON), str(done)
    assert host.sync("--dry-run", "--exit-code").rc == 1
    host.source("J='{CANARY'\n", file="later.env", name="later")
    result = host.run("exec", "--", "true")
    assert result.rc == 65 and "J, from source later" in result.err and "CANARY" not in result.err


# ---- the metadata service, closed to the worker's user ----


@pytest.fixture
def silent():
    """A port that drops what comes, as a packet filter does: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(address)
        yield address[1]
        for client in clients:
            client.close()


def unused_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("filtered", ["refused", "dropped"])
def test_a_metadata_service_closed_to_it_is_an_error_that_names_its_user(host, gateway, silent, filtered):
    port = silent if filtered == "dropped" else unused_port()
    env = without(gateway.environment(), *KEYS)
    env |= {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"}
    host.source(type="ssm", path="/foo/prod/")
    host.output()
    result = host.sync("--deadline", "700ms", env=env)
    assert result.rc == 69, str(result)
    errors = [line for line in result.err.splitlines() if "error: " in line]
    assert len(errors) == 1 and f"let the user {WORKER.pw_name} through" in errors[0], str(result)


# ---- no byte from a socket is read as root ----

READS = "read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg", "splice", "tee", "sendfile"
SOCKET = re.compile(r"<(?:TCP|UDP|UNIX|RAW|NETLINK|socket|\w+v6|PACKET)[^>]*[:\[]")
FORKS = re.compile(r"(?:clone3?|v?fork)\(.*= (\d+)$")
CHANGE = re.compile(r"set(?:res|re|fs)?uid\((\d+)")


def readers(log):
    """{uid: number of reads from sockets} of all processes in a trace by strace -f -yy."""
    started, lines = {}, []
    for line in log.read_text(errors="replace").splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            started[pid] = text.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        lines.append((pid, started.pop(pid, "") + resumed[1] if resumed else text))
    parents = {}
    for pid, text in lines:
        if found := FORKS.match(text):
            parents[found[1]] = pid
    uids, found = {}, {}

    def uid_of(pid):
        if pid not in uids:
            uids[pid] = uid_of(parents[pid]) if pid in parents else 0
        return uids[pid]

    for pid, text in lines:
        name = text.partition("(")[0]
        uid = uid_of(pid)
        if (change := CHANGE.match(text)) and text.endswith("= 0"):
            uids[pid] = int(change[1])
        elif name in READS and SOCKET.search(text.partition(",")[0]):
            found[uid] = found.get(uid, 0) + 1
    return found


def trace(log, *command, env):
    calls = ",".join([*READS, "%process", "setuid", "setresuid", "setreuid", "setfsuid"])
    return subprocess.run(["strace", "-f", "-yy", "-o", log, "-e", f"trace={calls}", *map(str, command)],
                          env=env, capture_output=True, text=True, timeout=120)  # fmt: skip


def test_no_byte_from_a_socket_is_read_by_uid_0(gateway, host, process, tmp_path):
    """A run with a source of each kind, over TLS, with keys by a program: every read of every
    process, and as whom it was done."""
    pem = "".join(f"line {i}\n" for i in range(20000))
    gateway.fixtures(
        parameters={"/foo/prod/a": "1"}, secrets={"foo/prod": '{"B": "2"}'},
        buckets={"config": {"objects": {"prod/c.env": "C=3\n", "prod/d.pem": pem}}},
    )  # fmt: skip
    program = host.write("program", "#!/bin/sh\necho '{\"E\": \"5\"}'\n", 0o755)
    for folder in [program.parent, *program.parent.parents][:4]:
        folder.chmod(folder.stat().st_mode | 0o055)
    host.source("F=6\n")
    host.source(type="ssm", path="/foo/prod/")
    host.source(type="secrets-manager", ids=["foo/prod"])
    host.source(type="s3", bucket="config", prefix="prod/", merge=["*.env"], mirror=["*.pem"], dir="/etc/foo")
    host.source(type="exec", command=[str(program)])
    place = host.output()
    log = tmp_path / "trace"
    done = trace(log, *host.envsync.command, "sync", "-c", host.file, "--root", host.root,
                 env=host.envsync.environment(process(f"echo '{document(gateway)}'\n")))  # fmt: skip
    assert done.returncode == 0, done
    assert place.read_text() == "A=1\nB=2\nC=3\nE=5\nF=6\n"
    assert (host.root / "etc/foo/d.pem").read_text() == pem
    found = readers(log)
    assert set(found) == {WORKER.pw_uid} and found[WORKER.pw_uid] > 10, found


def test_the_proof_would_see_root_read_from_a_socket(gateway, tmp_path):
    """Else it would prove nothing: here root does, in a child of a child."""
    log = tmp_path / "trace"
    reader = f"import socket; s = socket.create_connection(('127.0.0.1', {gateway.told['http']})); s.send(b'GET / HTTP/1.0\\r\\n\\r\\n'); s.recv(9)"
    done = trace(log, "sh", "-c", 'sh -c "$@"; true', "sh", 'python3 -c "$1"; true', "sh", reader, env=dict(os.environ))
    assert done.returncode == 0, done
    assert set(readers(log)) == {0}
