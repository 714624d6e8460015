"""envsync in the unit of an app, as the README shows it, under a real systemd as PID 1."""
import json
import time

import pytest

from conftest import SLOW, TEMP_MARK
from guide import follow

pytestmark = pytest.mark.boot

PRE = """
[Service]
ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml
EnvironmentFile=-/run/%p/environment
UnsetEnvironment=LD_PRELOAD
"""

# What a test looks at: the environment that the app got.
APP = """
[Service]
Type=oneshot
User=app
Group=app
ExecStart=/bin/cat /proc/self/environ
StandardOutput=truncate:/run/dump/%p
StandardError=journal
"""


class Unit:
    """An app of the machine with its configuration, unit and drop-in."""

    def __init__(self, machine, name, config, app=APP, pre=PRE, more=""):
        self.machine, self.name, self.service = machine, name, f"{name}.service"
        self.files = {
            f"/etc/envsync/{name}.toml": f'app = "{name}"\nuser = "app"\ngroup = "app"\n{config}',
            f"/etc/systemd/system/{name}.service.d/envsync.conf": pre,
            f"/etc/systemd/system/{name}.service": f"{app}\n{more}",
        }

    def start(self, check=True):
        self.machine.write_all(self.files)
        self.machine.run("systemctl", "daemon-reload")
        return self.machine.start(self.service, check=check)

    @property
    def got(self):
        """The variables that the app saw; None where it was not started."""
        dump = self.machine.run("cat", f"/run/dump/{self.name}", check=False)
        entries = dump.stdout.decode().split("\0")[:-1]
        return dict(entry.split("=", 1) for entry in entries) if entries else None

    def said(self, least=7):
        """[(priority, line)] of envsync's in the journal, of this priority or a more urgent one."""
        lines = self.machine.entries(self.service)
        return [(priority, text) for who, priority, text in lines if who == "envsync" and priority <= least]

    def show(self, name):
        return self.machine.run("systemctl", "show", "--value", "-p", name, self.service).stdout.decode().strip()


def file_source(path):
    return f'[[source]]\ntype = "file"\npath = "{path}"\n'


def env_output(name):
    return f'[[output]]\npath = "/run/{name}/environment"\nformat = "env"\n'


# ---- what a unit may be locked down with ----

STRICT = "ProtectSystem=strict\nReadWritePaths=/run/%p /run/envsync /var/lib/envsync\n"
LOCKED = """ProtectHome=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectProc=invisible
ProcSubset=pid
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictNamespaces=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0777
"""
WORKS = {
    "plain": "",
    "strict": STRICT,
    "no-new-privileges": STRICT + "NoNewPrivileges=yes",
    "restrict-suid-sgid": STRICT + "RestrictSUIDSGID=yes",
    "private-tmp": STRICT + "PrivateTmp=yes",
    "everything": STRICT + LOCKED + "NoNewPrivileges=yes\nRestrictSUIDSGID=yes",
    "three-capabilities": STRICT + "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN",
    "runtime-directory": "RuntimeDirectory=%p/tmp\nRuntimeDirectoryMode=0750",
    "dynamic-user": STRICT + "DynamicUser=yes\nUser=made-up\nGroup=app",
    "dynamic-user-plus": "DynamicUser=yes\nUser=made-up-2\nGroup=app",
    "private-users-plus": "PrivateUsers=yes",
    "paranoia-of-mix-systemd-plus": "NoNewPrivileges=yes\nPrivateDevices=yes\nPrivateTmp=yes\nProtectSystem=full\n"
                                    "ProtectHome=yes\nPrivateUsers=yes\nProtectKernelModules=yes\n"
                                    "ProtectKernelTunables=yes\nProtectControlGroups=yes\nMountAPIVFS=yes",
}  # fmt: skip
CANNOT = {
    "read-only": ("ProtectSystem=strict", "CANTCREAT", ["Read-only file system", "ReadWritePaths="]),
    "dynamic-user-bare": ("DynamicUser=yes\nUser=made-up-3\nGroup=app", "CANTCREAT", ["ReadWritePaths=", "ExecStartPre=+"]),
    "no-capabilities": (STRICT + "CapabilityBoundingSet=", "NOPERM", ["CAP_SETGID", "CapabilityBoundingSet="]),
    "no-capset": ("SystemCallFilter=~capset\nSystemCallErrorNumber=EPERM", "NOPERM",
                  ["call capset is refused", "SystemCallFilter=@chown @setuid capset"]),
    "no-setuid": ("SystemCallFilter=~@setuid\nSystemCallErrorNumber=EPERM", "NOPERM",
                  ["is refused", "SystemCallFilter=@chown @setuid capset"]),
    "private-users": ("PrivateUsers=yes", "NOPERM", ["PrivateUsers=", "ExecStartPre=+"]),
    "not-root": ("", "NOPERM", ["/run/envsync/not-root", "ExecStartPre=!"]),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def ground(machine):
    """What all units of this module use."""
    machine.run("install", "-d", "-m", "1777", "/run/dump")
    machine.write("/etc/envsync/a.env", "A=1\n")
    machine.write("/srv/secret", "two words\n", mode="0400")
    machine.write("/srv/aws", AWS_KEYS, mode="0400")


@pytest.fixture(scope="module")
def sandboxes(machine):
    """All of them, started at once."""
    machine.run("sh", "-c", "install -d -m 700 /run/envsync /var/lib/envsync; for n; do "
                "install -d -o root -g app -m 750 /run/$n; done", "sh", *WORKS, *CANNOT)  # fmt: skip
    units = {}
    for name, more in [*WORKS.items(), *((name, found[0]) for name, found in CANNOT.items())]:
        sign = "+" if name.endswith("-plus") else "" if name == "not-root" else "!"
        config = file_source("/etc/envsync/a.env") + env_output(name)
        units[name] = Unit(machine, name, config, pre=PRE.replace("!", sign), more=f"[Service]\n{more}\n")
    machine.write_all({path: text for unit in units.values() for path, text in unit.files.items()})
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", *(unit.service for unit in units.values()), check=False)
    return units


@pytest.mark.parametrize("name", WORKS)
def test_it_works_in_a_unit_that_is_locked_down(machine, sandboxes, name):
    unit = sandboxes[name]
    assert unit.got is not None, machine.journal(unit.service)
    assert unit.got["A"] == "1"
    assert machine.run("stat", "-c%a %U:%G", f"/run/{name}/environment").stdout == b"640 root:app\n"
    assert unit.said(least=4) == []


@pytest.mark.parametrize("name", CANNOT)
def test_where_it_cannot_work_one_line_says_what_to_write(machine, sandboxes, name):
    _, status, words = CANNOT[name]
    unit = sandboxes[name]
    lines = unit.said(least=4)
    assert len(lines) == 1 and lines[0][0] == 3, machine.journal(unit.service)
    assert all(word in lines[0][1] for word in words), lines[0]
    assert f"status={'73/' if status == 'CANTCREAT' else '77/'}{status}" in machine.journal(unit.service)
    assert unit.got is None


# ---- the life of a unit ----


def test_first_boot_without_any_file(machine):
    """Neither outputs nor their directories nor state: only the configuration is there."""
    machine.write("/etc/envsync/first.env", "A='first boot'\n")
    more = env_output("first") + '[[output]]\npath = "/etc/first/config.json"\nformat = "json"\n'
    unit = Unit(machine, "first", file_source("/etc/envsync/first.env") + more)
    unit.start()
    assert unit.got["A"] == "first boot"
    for path in "/run/first", "/etc/first":
        assert machine.run("stat", "-c%a %U:%G", path).stdout == b"750 root:app\n"
    assert unit.said() == [(5, "/run/first/environment: created (1 key)"),
                           (5, "/etc/first/config.json: created (1 key)"),
                           (5, "changed: 2 of 2 outputs")]  # fmt: skip


def test_a_failing_source_keeps_the_app_from_starting_until_it_is_mended(machine):
    machine.write("/srv/life/a.env", "A=1\n")
    unit = Unit(machine, "life", file_source("/srv/life/a.env") + env_output("life"))
    unit.start()
    machine.run("rm", "/run/dump/life")
    machine.write("/srv/life/a.env", "A=2\nexport B=3\n")
    assert unit.start(check=False).returncode != 0
    assert unit.got is None and unit.show("Result") == "exit-code"
    errors = unit.said(least=3)
    assert len(errors) == 1 and "/srv/life/a.env:2" in errors[0][1]
    # What was there is as it was; and who mends the source needs nothing but a restart.
    assert machine.read("/run/life/environment") == b"A=1\n"
    machine.write("/srv/life/a.env", "A=2\n")
    machine.run("systemctl", "restart", unit.service)
    assert unit.got["A"] == "2"
    assert (5, "/run/life/environment: updated (1 key)") in unit.said()


def test_without_the_dash_systemd_itself_refuses_the_first_start(machine):
    unit = Unit(machine, "dash", file_source("/etc/envsync/a.env") + env_output("dash"), pre=PRE.replace("=-", "="))
    assert unit.start(check=False).returncode != 0
    assert "Failed to load environment files" in machine.journal(unit.service)
    assert unit.said() == []


SLOWLY = """[[source]]
type = "exec"
command = ["/bin/sh", "-c", "sleep 60 & wait"]
timeout = "50s"
"""


def test_a_timeout_of_the_unit_leaves_nothing_behind(machine):
    unit = Unit(machine, "slow", file_source("/etc/envsync/a.env") + env_output("slow"))
    unit.start()
    before = machine.run("sh", "-c", "cd /run/slow; ls -la; stat -c %y%i *").stdout
    config = file_source("/etc/envsync/a.env") + SLOWLY + env_output("slow")
    unit = Unit(machine, "slow", config, more="[Service]\nTimeoutStartSec=1\n")
    began = time.monotonic()
    assert unit.start(check=False).returncode != 0
    # At SIGTERM, and not only at the SIGKILL that follows after TimeoutStopSec=.
    assert time.monotonic() - began < 20 * SLOW
    assert unit.show("Result") == "timeout"
    assert [(4, "warning: interrupted; no new set was published")] == unit.said(least=4)
    assert machine.run("sh", "-c", "cd /run/slow; ls -la; stat -c %y%i *").stdout == before
    left = machine.run("sh", "-c", f"find /run/slow /run/envsync -name '*{TEMP_MARK}*'; pgrep -x sleep; true")
    assert left.stdout == b""


# The app of the README: its unit is there before, and has nothing of envsync's.
FOO = """
[Service]
Type=oneshot
User=foo
ExecStart=/bin/sh -c 'cat /proc/self/environ; touch $RELEASE_TMP/here'
StandardOutput=truncate:/run/dump/%p
StandardError=journal
"""


def test_the_tour_of_the_readme_ends_in_a_unit_that_has_its_environment(machine):
    machine.write_all({"/etc/systemd/system/foo.service": FOO})
    follow(machine, "README.md", heading="Five minutes with a Phoenix app")
    machine.run("sh", "-ec", "rm -r /run/foo; systemctl daemon-reload; systemctl restart foo")
    got = dict(entry.split("=", 1) for entry in machine.read("/run/dump/foo").decode().split("\0")[:-1])
    assert got["PHX_HOST"] == "www.example.com" and got["SECRET_KEY_BASE"] == "change-me-too"
    # The app could make its file, and the directory above it is not the app's.
    assert machine.run("stat", "-c%U", "/run/foo").stdout == b"root\n"


# ---- credentials ----

AWS_KEYS = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = CANARY\n"
CREDENTIALS = """
[Service]
LoadCredential=db-password:/srv/secret
SetCredential=more.env:PORT=4000
LoadCredentialEncrypted=aws:/etc/credstore.encrypted/foo.aws
Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws
"""


@pytest.fixture(scope="module")
def creds(machine):
    """As docs/aws.md makes an encrypted one."""
    version = int(machine.run("systemctl", "--version").stdout.split()[1])
    if version < 252:
        pytest.skip(f"NOT TESTED: systemd {version} gives ExecStartPre= no credentials")
    # It keeps no key where it believes to be in memory; this is, but does not look like it.
    machine.run("sh", "-ec", "mkdir -p /etc/credstore.encrypted /var/lib/systemd /srv/1 /srv/2 /srv/3; mount -t overlay "
                "overlay -o lowerdir=/srv/1,upperdir=/srv/2,workdir=/srv/3 /var/lib/systemd")  # fmt: skip
    machine.run("systemd-creds", "encrypt", "--name=aws", "/srv/aws", "/etc/credstore.encrypted/foo.aws")


def test_credentials_of_the_unit_are_a_source(machine, creds):
    config = '[[source]]\ntype = "credentials"\nexclude = ["aws"]\n' + env_output("cred")
    unit = Unit(machine, "cred", config, more=CREDENTIALS)
    unit.start()
    assert (unit.got["DB_PASSWORD"], unit.got["PORT"]) == ("two words", "4000")
    assert "AWS" not in unit.got


def test_a_credential_is_the_file_with_awss_keys(machine, creds):
    config = '[[source]]\ntype = "ssm"\npath = "/foo/"\nregion = "eu-west-1"\n' + env_output("keys")
    pre = PRE.replace("envsync -c", "envsync check --credentials -c")
    unit = Unit(machine, "keys", config, pre=pre, more=CREDENTIALS + "StandardOutput=journal\n")
    unit.start()
    journal = machine.journal(unit.service)
    assert 'source ssm: credentials: profile "default": keys' in journal
    assert "CANARY" not in journal


# ---- exec ----

# Answers one connection on the socket that systemd has opened, with what it was started with.
SERVER = """
import json, os, signal, socket, sys
names = []
signal.signal(signal.SIGUSR1, lambda *_: names.append("USR1"))
signal.signal(signal.SIGTERM, lambda *_: (open("/run/dump/term", "w").close(), sys.exit(0)))
listen = socket.socket(fileno=3)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    peer, _ = listen.accept()
    fds = [n for n in range(3, 100) if os.path.exists(f"/proc/self/fd/{n}")]
    found = {"pid": os.getpid(), "uid": os.getuid(), "environment": dict(os.environ), "signals": names, "fds": fds}
    peer.sendall(json.dumps(found).encode())
    peer.close()
"""
SOCKET = "[Socket]\nListenStream=/run/direct.sock\nFileDescriptorName=web\n"
DIRECT = """
[Service]
Type=notify
User=app
ExecStart=/usr/bin/envsync exec -c /etc/envsync/%p.toml -- /usr/bin/python3 /srv/server.py
"""


def test_exec_keeps_pid_sockets_readiness_and_signals(machine):
    machine.write("/srv/server.py", SERVER)
    unit = Unit(machine, "direct", file_source("/etc/envsync/a.env"), app=DIRECT, pre="")
    machine.write_all(unit.files)
    machine.unit("direct.socket", SOCKET)
    machine.run("systemctl", "start", "direct.socket")

    def ask():
        text = machine.run("/usr/bin/python3", "-c", "import socket; s = socket.socket(socket.AF_UNIX); "
                           "s.connect('/run/direct.sock'); print(s.makefile().read())").stdout  # fmt: skip
        return json.loads(text)

    seen = ask()  # starts it
    pid = unit.show("MainPID")
    assert unit.show("ActiveState") == "active"  # Type=notify: its own word counts
    assert str(seen["pid"]) == pid and seen["uid"] == 900
    environment = seen["environment"]
    assert environment["A"] == "1"
    assert (environment["LISTEN_FDS"], environment["LISTEN_PID"]) == ("1", pid)
    assert environment["LISTEN_FDNAMES"] == "web"
    # The socket, its own datagram socket, and the connection.
    assert seen["fds"][0] == 3 and len(seen["fds"]) == 3
    machine.run("systemctl", "kill", "-s", "USR1", unit.service)
    assert ask()["signals"] == ["USR1"]
    machine.run("systemctl", "stop", unit.service)
    machine.run("test", "-e", "/run/dump/term")
    assert unit.show("Result") == "success"
