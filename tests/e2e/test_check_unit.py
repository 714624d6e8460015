"""`envsync check --unit`: what it finds in a unit, and what it leaves alone."""
import os
import re

import pytest

from conftest import BUILDDIR, SRCDIR, table
from unit_case import APP, ONESHOT, SAFE, case


def test_both_safe_layouts_are_fine_without_a_word(case):
    case.check()
    assert case.found == []
    case.check(ONESHOT, "envsync@.service")
    assert case.found == []
    case.scratch.write("envsync@.service", ONESHOT)
    case.check(APP)
    assert case.found == []


def test_the_oneshot_that_is_shipped_is_fine(case):
    shipped = BUILDDIR / "packaging" / "systemd" / "envsync@.service"
    case.check(shipped.read_text(), "envsync@.service")
    assert case.found == []


# What is changed in the safe unit, and the one finding that there is then to be: its level, the line
# that it points at, and words of it.
ONE = {
    "no dash": (
        "EnvironmentFile=-/run", "EnvironmentFile=/run",
        "error", "EnvironmentFile=/run/foo/environment", "not there yet", "EnvironmentFile=-/run/foo/environment"),
    "no dash before a glob": (
        "EnvironmentFile=-/run/foo/environment", "EnvironmentFile=-/run/foo/environment\nEnvironmentFile=/run/*/env*",
        "error", "EnvironmentFile=/run/*/env*", "not there yet"),
    "a file in the app's directory": (
        "RuntimeDirectory=foo/tmp", "RuntimeDirectory=foo",
        "error", "EnvironmentFile=-/run/foo/environment", "/run/foo is daemon's", "LD_PRELOAD", "/run/foo made by envsync"),
    "a mirrored file": (
        "UnsetEnv", "EnvironmentFile=-/etc/foo/certs/env\nUnsetEnv",
        "error", "EnvironmentFile=-/etc/foo/certs/env", "source s3 mirrors", "LD_PRELOAD"),
    "a glob of mirrored files": (
        "UnsetEnv", "EnvironmentFile=-/etc/foo/certs/*.x\nUnsetEnv",
        "error", "EnvironmentFile=-/etc/foo/certs/*.x", "source s3 mirrors"),
    "nothing but network.target": (
        "After=network-online.target cloud-config.target\nWants=network-online.target cloud-config.target",
        "After=network.target cloud-config.target",
        "error", "After=network.target cloud-config.target", "network.target is reached before", "source params"),
    "no order": (
        "After=network-online.target cloud-config.target", "After=cloud-config.target",
        "error", "[Unit]", "nothing orders the unit after", "After=network-online.target and Wants="),
    "nothing wants the network": (
        "Wants=network-online.target cloud-config.target", "Wants=cloud-config.target",
        "error", "After=network-online.target cloud-config.target", "add Wants=network-online.target"),
    "no order after cloud-init": (
        "After=network-online.target cloud-config.target", "After=network-online.target",
        "error", "[Unit]", "cloud-init", "After=cloud-config.target"),
    "a cycle": (
        "cloud-config.target\nWants", "cloud-init.target\nWants",
        "error", "After=network-online.target cloud-init.target", "ordering cycle", "After=cloud-config.target"),
    "too short a timeout": (
        "TimeoutStartSec=90", "TimeoutStartSec=45s", "error", "TimeoutStartSec=45s", "deadline 45s", "TimeoutStartSec=75s"),
    "TimeoutSec": ("TimeoutStartSec=90", "TimeoutSec=20", "error", "TimeoutSec=20", "TimeoutSec is 20s"),
    "little time left": ("TimeoutStartSec=90", "TimeoutStartSec=50", "warning", "TimeoutStartSec=50", "10 seconds"),
    "a deadline in the line": (
        "%p.toml\n", "%p.toml --deadline 2m\n", "error", "TimeoutStartSec=90", "deadline 120s"),
    "the line's failure is ignored": (
        "=!/usr", "=-!/usr", "error", "ExecStartPre=-!/usr/bin/envsync -c /etc/envsync/%p.toml", 'remove the "-"'),
    "without root": (
        "=!/usr", "=/usr", "error", "ExecStartPre=/usr/bin/envsync -c /etc/envsync/%p.toml", "runs as daemon", "=!/usr"),
    "two marks": (
        "=!/usr", "=!!/usr", "error", "ExecStartPre=!!/usr/bin/envsync -c /etc/envsync/%p.toml", "ambient"),
    "our codes are success": (
        "Restart=", "SuccessExitStatus=143 69\nRestart=", "error", "SuccessExitStatus=143 69", "SuccessExitStatus=69"),
    "our codes by name": (
        "Restart=", "SuccessExitStatus=TEMPFAIL\nRestart=", "error", "SuccessExitStatus=TEMPFAIL", "success"),
    "it does not run": (
        "ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml\n", "",
        "error", "[Service]", "does not run envsync", "ExecStartPre=!/usr/bin/envsync -c"),
    "a place of that name": (
        "=!/usr/bin/envsync -c /etc/envsync/%p.toml", "=/bin/mkdir -p /srv/envsync-cache /srv/envsync",
        "error", "[Service]", "does not run envsync"),
    "a shell with a place of that name": (
        "=!/usr/bin/envsync -c /etc/envsync/%p.toml", "=/bin/sh -c 'mkdir -p /run/envsync; . /etc/envsync.sh'",
        "error", "[Service]", "does not run envsync"),
    "it runs too late": (
        "ExecStartPre=!", "ExecStartPost=!",
        "error", "ExecStartPost=!/usr/bin/envsync -c /etc/envsync/%p.toml", "make it ExecStartPre="),
    "it is passed over": (
        "ExecStartPre=!", "ExecCondition=!",
        "error", "ExecCondition=!/usr/bin/envsync -c /etc/envsync/%p.toml", "in silence"),
    "a dry run": (
        "%p.toml\n", "%p.toml --dry-run\n",
        "error", "ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml --dry-run", "writes nothing"),
    "another configuration": (
        "%p.toml\n", "bar.toml\n",
        "warning", "ExecStartPre=!/usr/bin/envsync -c /etc/envsync/bar.toml", "runs envsync with /etc/envsync/bar.toml"),
    "read-only": (
        "Restart=", "ProtectSystem=strict\nReadWritePaths=/run/foo /etc/foo\nRestart=",
        "error", "ProtectSystem=strict", "/run/envsync /var/lib/envsync", "ReadWritePaths="),
    "read-only /etc": (
        "Restart=", "ProtectSystem=full\nRestart=", "error", "ProtectSystem=full", "/etc/foo /etc/foo/certs", "+"),
    "a file as a mount": (
        "Restart=", "ReadWritePaths=/run/foo/environment\nRestart=",
        "error", "ReadWritePaths=/run/foo/environment", "cannot replace", "name the directory: /run/foo"),
    "a place of its own": (
        "Restart=", "TemporaryFileSystem=/etc/foo\nRestart=", "error", "TemporaryFileSystem=/etc/foo", "/etc/foo"),
    "hidden configuration": (
        "Restart=", "InaccessiblePaths=/etc/envsync\nRestart=",
        "error", "InaccessiblePaths=/etc/envsync", "/etc/envsync/foo.toml"),
    "hidden source": (
        "Restart=", "InaccessiblePaths=/run/cloud-init\nRestart=",
        "error", "InaccessiblePaths=/run/cloud-init", "source cloud-init"),
    "no capabilities": (
        "Restart=", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nRestart=",
        "error", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "CAP_SETGID CAP_SETUID"),
    "all capabilities but one": (
        "User=daemon", "User=bin\nSupplementaryGroups=daemon\nCapabilityBoundingSet=~CAP_CHOWN",
        "error", "CapabilityBoundingSet=~CAP_CHOWN", "add CAP_CHOWN, or"),
    "capabilities that are not enough": (
        "User=daemon", "User=bin\nSupplementaryGroups=daemon\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID",
        "error", "CapabilityBoundingSet=CAP_SETUID CAP_SETGID", "add CAP_CHOWN, or"),
    "few system calls": (
        "Restart=", "SystemCallFilter=@basic-io @file-system @io-event @network-io @process @signal\nRestart=",
        "error", "SystemCallFilter=@basic-io @file-system @io-event @network-io @process @signal", "@chown @setuid capset"),
    "no system calls": (
        "Restart=", "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged\nRestart=",
        "error", "SystemCallFilter=~@privileged", "@chown @setuid capset"),
    "no users": ("Restart=", "PrivateUsers=yes\nRestart=", "error", "PrivateUsers=yes", "worker"),
    "no network": ("Restart=", "PrivateNetwork=yes\nRestart=", "error", "PrivateNetwork=yes", "source params"),
    "no families": (
        "Restart=", "RestrictAddressFamilies=AF_UNIX\nRestart=",
        "error", "RestrictAddressFamilies=AF_UNIX", "source params"),
    "another root": ("Restart=", "RootDirectory=/srv/root\nRestart=", "warning", "RootDirectory=/srv/root", "cannot be judged"),
    "state that is given away": (
        "RuntimeDirectory=foo/tmp", "RuntimeDirectory=foo/tmp envsync",
        "error", "RuntimeDirectory=foo/tmp envsync", "keeps its state", "daemon"),
    "state below a directory that is given away": (
        "Restart=", "StateDirectory=foo envsync/foo\nRestart=",
        "error", "StateDirectory=foo envsync/foo", "keeps its state", "daemon"),
    "state in memory that is given away": (
        "RuntimeDirectory=foo/tmp", "RuntimeDirectory=foo/tmp envsync/foo",
        "error", "RuntimeDirectory=foo/tmp envsync/foo", "keeps its state", "daemon"),
    "a link into the app's directory": (
        "RuntimeDirectory=foo/tmp", "RuntimeDirectory=bar:foo",
        "error", "EnvironmentFile=-/run/foo/environment", "/run/foo is daemon's", "LD_PRELOAD"),
    "a condition that is not met at first": (
        "[Service]", "ConditionPathExists=/run/foo/environment\n[Service]",
        "error", "ConditionPathExists=/run/foo/environment", "skips the unit before envsync runs"),
    "an assertion about a mirrored file": (
        "[Service]", "AssertFileNotEmpty=/etc/foo/certs/a.pem\n[Service]",
        "error", "AssertFileNotEmpty=/etc/foo/certs/a.pem", "fails the unit before envsync runs"),
    "no second lock": (
        "UnsetEnvironment=LD_PRELOAD\n", "",
        "warning", "ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml", "UnsetEnvironment=LD_PRELOAD"),
    "nobody reads it": (
        "EnvironmentFile=-/run/foo/environment\nUnsetEnvironment=LD_PRELOAD\n", "",
        "warning", "[Service]", "nothing in the unit reads /run/foo/environment"),
    "other outputs in the app's directory": (
        "RuntimeDirectory=foo/tmp", "ConfigurationDirectory=foo",
        "warning", "ConfigurationDirectory=foo", "/etc/foo/config.toml"),
    "a wrong section": (
        "[Unit]\n", "[Unit]\nUser=daemon\n", "warning", "User=daemon", "in [Unit]; move it to [Service]"),
    "a misspelt header": (
        "[Install]\nWantedBy=multi-user.target", "[Instal]\nWantedBy=multi-user.target",
        "warning", "[Instal]", "no such section"),
    "a wrong option": (
        "%p.toml\n", "%p.toml --depth\nExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml\n",
        "error", "ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml --depth", "unknown option --depth"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_one_mistake_is_one_finding_where_it_is(case, name):
    old, new, level, line, *words = ONE[name]
    assert SAFE.count(old) >= 1
    case.check(SAFE.replace(old, new, 1))
    case.only(level, line, *words)


EXIT_CODES = {
    64: "USAGE", 65: "DATAERR", 66: "NOINPUT", 69: "UNAVAILABLE", 70: "SOFTWARE", 73: "CANTCREAT", 75: "TEMPFAIL",
    77: "NOPERM", 78: "CONFIG",
}  # fmt: skip


def test_none_of_the_exit_codes_may_count_as_success(case):
    words = [str(code) for code in EXIT_CODES] + list(EXIT_CODES.values())
    others = "0 1 2 63 67 68 71 72 74 76 79 143 255 164 640 SIGTERM NOUSER NOHOST OSERR OSFILE IOERR PROTOCOL"
    case.check(SAFE.replace("Restart=", f"SuccessExitStatus={' '.join(words)} {others}\nRestart="))
    assert [text.split(":")[0] for _, _, _, text in case.found] == [f"SuccessExitStatus={word}" for word in words]
    manual = (SRCDIR / "man" / "envsync.8").read_text().split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    told = {int(code) for code in re.findall(r"(?m)^\.It (?:Li )?(\d+)", manual)}
    assert {code for code in told if 64 <= code <= 78} == set(EXIT_CODES)


# Changes that look like mistakes and are none.
FINE = {
    "a dash, and another file without": ("EnvironmentFile=-/run", "EnvironmentFile=/etc/default/foo\nEnvironmentFile=-/run"),
    "a file that no glob of the mirror takes": ("UnsetEnv", "EnvironmentFile=-/etc/foo/certs/other\nUnsetEnv"),
    "conditions on other files": (
        "[Service]", "ConditionPathExists=/etc/envsync/foo.toml\nConditionPathExists=!/run/foo/environment\n[Service]"),
    "a condition that is taken back": (
        "[Service]", "ConditionPathExists=/run/foo/environment\nConditionPathExists=\n[Service]"),
    "plus": ("=!/usr", "=+/usr"),
    "plus in a sandbox": (
        "=!/usr", "=+/usr", "Restart=", "ProtectSystem=strict\nPrivateUsers=yes\nCapabilityBoundingSet=\nRestart="),
    "root's own unit": ("User=daemon\n", "", "=!/usr", "=/usr"),
    "the default timeout": ("TimeoutStartSec=90\n", ""),
    "no timeout": ("TimeoutStartSec=90", "TimeoutStartSec=infinity"),
    "none by zero": ("TimeoutStartSec=90", "TimeoutStartSec=0"),
    "a later timeout": ("TimeoutStartSec=90", "TimeoutStartSec=5\nTimeoutStartSec=2min"),
    "networkd": ("network-online.target", "systemd-networkd-wait-online.service"),
    "orders that an empty line leaves": ("Wants=", "After=\nWants="),
    "strict with paths": (
        "Restart=", "ProtectSystem=strict\nReadWritePaths=/run/foo -/etc/foo /run/envsync /var/lib/envsync\nRestart="),
    "full with paths": ("Restart=", "ProtectSystem=full\nReadWritePaths=/etc/foo\nRestart="),
    "hardened": (
        "Restart=", "NoNewPrivileges=yes\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nRestrictSUIDSGID=yes\n"
        "MemoryDenyWriteExecute=yes\nSystemCallFilter=@system-service\nRestart="),
    "system calls that are enough": (
        "Restart=", "SystemCallFilter=@basic-io @file-system @process\nSystemCallFilter=@chown @setuid capset\nRestart="),
    "capabilities that are enough": (
        "Restart=", "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN\nRestart="),
    "a reset": ("ExecStartPre=!", "ExecStartPre=-/usr/bin/envsync\nExecStartPre=\nExecStartPre=!"),
    "an allocator": ("UnsetEnvironment=LD_PRELOAD", "Environment=LD_PRELOAD=/usr/lib/libjemalloc.so.2"),
    "a shell": ("=!/usr/bin/envsync -c /etc/envsync/%p.toml", "=!/bin/sh -c 'exec envsync -c /etc/envsync/foo.toml'"),
    "a shell with a path": (
        "=!/usr/bin/envsync -c /etc/envsync/%p.toml", "=!/bin/sh -c 'umask 077;/usr/bin/envsync||exit'"),
    "a wrapper": ("=!/usr/bin/envsync", "=!/usr/bin/nice -n 5 /usr/bin/envsync"),
    "a shell, and a line of its own": ("ExecStartPre=!", "ExecStartPre=-/bin/sh -c 'envsync status'\nExecStartPre=!"),
    "a variable": ("=!/usr/bin/envsync -c /etc/envsync/%p.toml", "=!/usr/bin/envsync -c ${CONFIG}"),
    "sections of others": ("[Install]", "[X-Tool]\nUser=nobody\n[Install]"),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_what_is_no_mistake_is_no_finding(case, name):
    unit = SAFE
    for old, new in zip(FINE[name][::2], FINE[name][1::2]):
        assert old in unit
        unit = unit.replace(old, new)
    case.check(unit)
    assert case.found == []


def test_a_directory_that_somebody_else_owns_on_this_host_opens_root(case, as_root):
    folder = case.scratch.path("given/x").parent
    folder.chmod(0o755)
    unit = SAFE.replace("UnsetEnv", f"EnvironmentFile=-{folder}/env\nUnsetEnv")
    case.check(unit)
    assert case.found == []
    os.chown(folder, 1, 1)
    case.check(unit)
    case.only("error", f"EnvironmentFile=-{folder}/env", f"{folder} belongs to daemon", "LD_PRELOAD")
    os.chown(folder, 0, 0)
    folder.chmod(0o777)
    case.check(unit)
    case.only("error", f"EnvironmentFile=-{folder}/env", f"everyone may write {folder}")
    # Without a line of root's there is nothing to gain.
    case.tables = case.tables[:1]
    case.scratch.write("envsync@.service", ONESHOT)
    case.check(APP.replace("EnvironmentFile=/run/foo/environment", f"EnvironmentFile=-{folder}/env"))
    assert case.found == []


def test_the_app_must_be_able_to_read_the_other_outputs(case):
    case.top["group"] = "adm"
    case.check()
    case.only("warning", "User=daemon", "daemon may not read /etc/foo/config.toml", "group")
    case.check(SAFE.replace("User=daemon", "User=daemon\nSupplementaryGroups=adm"))
    assert case.found == []


def test_exec_needs_the_network_and_no_root(case):
    unit = re.sub("(?m)^(ExecStart.*|EnvironmentFile.*|Unset.*)\n", "", SAFE).replace(
        "[Install]", "ExecStart=/usr/bin/envsync exec -c /etc/envsync/foo.toml -- /srv/foo/bin/foo\n[Install]")  # fmt: skip
    case.check(unit)
    assert case.found == []
    case.check(unit.replace("After=network-online.target", "After=network.target"))
    case.only("error", "After=network.target cloud-config.target", "source params")


def test_without_sources_of_aws_no_network_is_asked_for(case):
    case.tables = [table("source", type="file", path="/etc/foo/a.env"),
                   table("output", path="/run/foo/environment", format="env")]  # fmt: skip
    case.check(re.sub("(?m)^(After|Wants)=.*\n", "", SAFE))
    assert case.found == []


def test_without_a_source_of_cloud_init_its_units_are_no_business_of_ours(case):
    case.tables = [case.tables[0], case.tables[3]]
    case.check(SAFE.replace("cloud-config.target\nWants", "cloud-init.target\nWants"))
    assert case.found == []


def test_credentials_need_a_unit_that_has_some(case):
    case.tables.insert(0, table("source", type="credentials"))
    case.check()
    case.only("error", "[Service]", "source credentials", "LoadCredential=")
    case.check(SAFE.replace("Restart=", "LoadCredential=a:/etc/a\nRestart="))
    assert case.found == []
    case.tables[0] = table("source", type="credentials", names=["db", "tls_*", "dir_key"])
    given = "LoadCredential=dir:/etc/creds\nSetCredentialEncrypted=tls_a: x\nLoadCredential={}:/etc/db"
    case.check(SAFE.replace("Restart=", given.format("db") + "\nRestart="))
    assert case.found == []
    case.check(SAFE.replace("Restart=", given.format("other") + "\nRestart="))
    case.only("error", "LoadCredential=other:/etc/db", "no credential db", "source credentials")
    case.check(SAFE.replace("Restart=", "ImportCredential=*\nRestart="))
    assert case.found == []


def test_systemctl_needs_a_socket_where_something_is_to_be_restarted(case):
    unit = SAFE.replace("Restart=", "RestrictAddressFamilies=AF_INET AF_INET6\nRestart=")
    case.check(unit)
    assert case.found == []
    case.tables.append('[on_change]\nreload = ["nginx.service"]\n')
    case.check(unit)
    case.only("warning", "RestrictAddressFamilies=AF_INET AF_INET6", "nginx.service", "AF_UNIX")
    for good in ("RestrictAddressFamilies=AF_INET AF_UNIX", "RestrictAddressFamilies=~AF_PACKET"):
        case.check(SAFE.replace("Restart=", good + "\nRestart="))
        assert case.found == []
    case.check(SAFE.replace("Restart=", "RestrictAddressFamilies=~AF_UNIX\nRestart="))
    case.only("warning", "RestrictAddressFamilies=~AF_UNIX", "AF_UNIX")


def test_sealing_needs_the_keys_of_the_host(case):
    case.tables.append('[last_good]\nat_rest = "encrypted"\n')
    case.check()
    assert case.found == []
    strict = "ProtectSystem=strict\nReadWritePaths=/run -/etc/foo /var/lib/envsync"
    case.check(SAFE.replace("Restart=", strict + "\nRestart="))
    case.only("warning", "ProtectSystem=strict", "credential.secret", "ReadWritePaths=/var/lib/systemd", "setup")
    case.check(SAFE.replace("Restart=", strict + " /var/lib/systemd\nRestart="))
    assert case.found == []
    case.check(SAFE.replace("Restart=", "InaccessiblePaths=/var/lib/systemd\nRestart="))
    case.only("warning", "InaccessiblePaths=/var/lib/systemd", "hides")
    case.check(SAFE.replace("Restart=", "PrivateDevices=yes\nRestart="))
    case.only("warning", "PrivateDevices=yes", "TPM", "DeviceAllow=/dev/tpmrm0 rw")
    shipped = BUILDDIR / "packaging" / "systemd" / "envsync@.service"
    case.check(shipped.read_text(), "envsync@.service")
    assert case.found == []


def test_variables_come_from_the_unit(case):
    case.tables.insert(0, 'env = ["BUCKET"]\n')
    case.tables = [text.replace('bucket = "b"', 'bucket = "${BUCKET}"') for text in case.tables]
    assert "${BUCKET} is set nowhere" in case.check().err
    case.check(SAFE.replace("User=", "Environment=BUCKET=b\nUser="))
    assert case.found == []
    file = case.scratch.write("boot.env", "BUCKET=c\n")
    case.check(SAFE.replace("User=", f"EnvironmentFile=-{file}\nUser="))
    assert case.found == []
    case.check(env={"BUCKET": "b"})
    case.only("warning", "[Service]", "does not set BUCKET", "your own environment")
    case.check(SAFE.replace("User=", "PassEnvironment=BUCKET\nUser="), env={"BUCKET": "b"})
    assert case.found == []


def test_no_value_of_the_unit_is_ever_shown(case):
    secret = "s3cr3t-canary"
    unit = SAFE.replace("User=", f"Environment=A={secret} 'B={secret}'\nExecStartPre=-/bin/{secret}\nUser=")
    result = case.check("Unit]\n" + unit.replace("=-/run", "=/run").replace("TimeoutStartSec=90", "TimeoutStartSec=1"))
    assert case.found and secret not in result.err + result.out
