"""What `envsync check --unit` says of a sandbox is what happens when a booted systemd starts the unit."""
import pytest

pytestmark = pytest.mark.boot

CONFIG = """app = "{name}"
user = "app"
group = "app"
[[source]]
type = "file"
path = "/srv/source.env"
[[output]]
path = "/run/{name}/environment"
format = "env"
[[output]]
path = "/etc/{name}/environment"
format = "env"
"""
UNIT = """[Service]
Type=oneshot
User=app
UnsetEnvironment=LD_PRELOAD
EnvironmentFile=-/run/{name}/environment
ExecStartPre={mark}/usr/bin/envsync -c /etc/envsync/{name}.toml
ExecStart=/bin/sh -c 'test "$A" = 1'
{settings}
"""
STRICT = "ProtectSystem=strict\nReadWritePaths=/run/{name} /etc/{name} /run/envsync /var/lib/envsync"

# Settings, the mark before envsync, and whether the unit starts.
CASES = {
    "plain": ("", "!", True),
    "plus": ("ProtectSystem=strict\nPrivateUsers=yes\nCapabilityBoundingSet=\nPrivateTmp=yes", "+", True),
    "unmarked": ("", "", False),
    "twice": ("", "!!", False),
    "strict": ("ProtectSystem=strict", "!", False),
    "strictpaths": (STRICT, "!", True),
    "strictless": (STRICT.replace(" /etc/{name}", ""), "!", False),
    "stateless": (STRICT.replace(" /run/envsync", ""), "!", False),
    "full": ("ProtectSystem=full", "!", False),
    "fullpaths": ("ProtectSystem=full\nReadWritePaths=/etc/{name}", "!", True),
    "file": ("ReadWritePaths=/etc/{name}/environment", "!", False),
    "readonly": ("ReadOnlyPaths=/run/{name}", "!", False),
    "hidden": ("InaccessiblePaths=/srv", "!", False),
    "config": ("InaccessiblePaths=/etc/envsync", "!", False),
    "empty": ("TemporaryFileSystem=/srv", "!", False),
    "hiddenwrite": ("InaccessiblePaths=/etc/{name}\nReadWritePaths=/etc/{name}", "!", False),
    "hiddenabove": ("InaccessiblePaths=/srv\nReadOnlyPaths=/srv/source.env", "!", False),
    "hiddenbound": ("InaccessiblePaths=/srv\nBindReadOnlyPaths=/srv/source.env", "!", False),
    "onlyread": ("ReadOnlyPaths=/etc/{name}\nReadWritePaths=/etc/{name}", "!", False),
    "emptyabove": ("TemporaryFileSystem=/srv\nReadOnlyPaths=/srv/source.env", "!", False),
    "emptybound": ("TemporaryFileSystem=/srv\nBindReadOnlyPaths=/srv/source.env", "!", True),
    "emptyro": ("TemporaryFileSystem=/srv:ro\nBindReadOnlyPaths=/srv/source.env", "!", True),
    "emptydir": ("TemporaryFileSystem=/run\nRuntimeDirectory=emptydir/tmp\nBindPaths=/run/{name} /run/envsync", "!", True),
    "users": ("PrivateUsers=yes", "!", False),
    "nocaps": ("CapabilityBoundingSet=", "!", False),
    "somecaps": ("CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN", "!", True),
    "calls": ("SystemCallFilter=@system-service\nSystemCallFilter=~@privileged", "!", False),
    "errno": ("SystemCallFilter=~@setuid\nSystemCallErrorNumber=EPERM", "!", False),
    "callsback": ("SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n"
                  "SystemCallFilter=@chown @setuid capset\nSystemCallErrorNumber=EPERM", "!", True),
    "hardened": ("NoNewPrivileges=yes\nPrivateDevices=yes\nPrivateTmp=yes\nProtectHome=yes\nProtectProc=invisible\n"
                 "MemoryDenyWriteExecute=yes\nRestrictNamespaces=yes\nRestrictSUIDSGID=yes\nLockPersonality=yes\n"
                 "ProtectKernelTunables=yes\nRestrictRealtime=yes\nSystemCallFilter=@system-service", "!", True),
    "twocaps": ("CapabilityBoundingSet=CAP_SETUID CAP_SETGID", "!", True),
    "nochown": ("User=evil\nSupplementaryGroups=app\nCapabilityBoundingSet=~CAP_CHOWN", "!", False),
    "rootsgroup": ("User=root\nGroup=app\nCapabilityBoundingSet=~CAP_CHOWN", "", False),
    "rootsgroups": ("User=root\nSupplementaryGroups=app\nCapabilityBoundingSet=~CAP_CHOWN", "", True),
    "fewcalls": ("SystemCallFilter=@system-service\nSystemCallFilter=\nSystemCallFilter=@basic-io @file-system @io-event "
                 "@ipc @network-io @process @signal @timer\nSystemCallErrorNumber=EPERM", "!", False),
    "substate": ("StateDirectory=envsync/substate", "!", False),
    "assert": ("[Unit]\nAssertPathExists=/run/{name}/environment", "!", False),
    "state": ("RuntimeDirectory=envsync", "!", False),
    "ignored": ("SuccessExitStatus=65", "!", True),
}  # fmt: skip
WRONG_BUT_STARTS = {"ignored"}

SCRIPT = """mkdir -p /etc/envsync /run/envsync /var/lib/envsync
chmod 700 /run/envsync /var/lib/envsync
systemctl daemon-reload
for name in {names}; do
    mkdir -p /run/$name /etc/$name
    case $name in file) echo >/etc/$name/environment ;; esac
    envsync check -c /etc/envsync/$name.toml --unit $name >/run/check-$name 2>&1
    check=$?
    systemctl start $name.service 2>/dev/null
    echo "$name $check $?"
    chown root:root /run/envsync
done"""


def test_what_check_calls_wrong_fails_and_what_it_calls_fine_starts(machine):
    files = {"/srv/source.env": "A=1\n"}
    for name, (settings, mark, _) in CASES.items():
        settings = settings.replace("{name}", name)
        files[f"/etc/envsync/{name}.toml"] = CONFIG.format(name=name)
        files[f"/etc/systemd/system/{name}.service"] = UNIT.format(name=name, mark=mark, settings=settings)
    machine.write_all(files)
    said = machine.run("sh", "-c", SCRIPT.format(names=" ".join(CASES))).stdout.decode().splitlines()
    for line, (name, (_, _, starts)) in zip(said, CASES.items(), strict=True):
        fine = starts and name not in WRONG_BUT_STARTS
        expected = f"{name} {0 if fine else 78} {0 if starts else 1}"
        assert line == expected, machine.read(f"/run/check-{name}").decode() + machine.journal(f"{name}.service")
