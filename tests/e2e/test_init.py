"""`envsync init`: two files that a boot works with, and nothing overwritten."""
import re

import pytest

pytestmark = pytest.mark.boot

CONFIG = "/etc/envsync/{}.toml"
DROPIN = "/etc/systemd/system/{}.service.d/envsync.conf"

# What a unit has, and what it must lead to in the drop-in (words) and in the configuration.
UNITS = {
    "plain": ("User=app", ["ExecStartPre=!/usr/bin/envsync", "EnvironmentFile=-/run/plain/environment",
                           "UnsetEnvironment=LD_PRELOAD", "TimeoutStartSec=90s"], ['user = "app"', 'group = "app"']),
    "roots": ("", ["ExecStartPre=!/usr/bin/envsync"], ['group = "root"']),
    "grouped": ("User=app\nGroup=evil", [], ['user = "app"', 'group = "evil"']),
    "stranger": ("User=nobody-here", [], ['#user = "nobody-here"', 'group = "root"', '#group = "nobody-here"']),
    "owned": ("User=app\nRuntimeDirectory=owned", ["EnvironmentFile=-/run/owned.environment"],
              ['path = "/run/owned.environment"']),
    "tight": ("User=app\nProtectSystem=strict\nPrivateUsers=yes\nCapabilityBoundingSet=",
              ["ExecStartPre=+/usr/bin/envsync"], []),
    "filtered": ("User=app\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources",
                 ["ExecStartPre=+/usr/bin/envsync"], []),
    "dynamic": ("DynamicUser=yes", ["ExecStartPre=+/usr/bin/envsync"], ['group = "root"']),
    "preload": ("User=app\nEnvironment=LD_PRELOAD=", [], []),
    "slow": ("User=app\nTimeoutStartSec=5min", [], []),
    "hasty": ("User=app\nTimeoutStartSec=20", ["TimeoutStartSec=90s"], []),
}  # fmt: skip
ABSENT = {"preload": "UnsetEnvironment", "slow": "TimeoutStartSec"}

CHECK = """for unit in {units}; do
    echo "== $unit"
    envsync init --unit $unit >/run/$unit.told || exit
    echo "A=$unit" >/etc/envsync/$unit.env
    envsync check -c /etc/envsync/$unit.toml --unit $unit 2>&1 || exit
done
systemctl daemon-reload
for unit in {units}; do systemctl start $unit; done"""


def unit(settings, more=""):
    return f"[Service]\nType=exec\n{settings}\n{more}ExecStart=/bin/sh -c 'echo \"got A=$A\"; sleep 1000'\n"


@pytest.fixture(scope="module")
def made(machine):
    """All units of the table, with what init makes for them, started."""
    for name, (settings, _, _) in UNITS.items():
        machine.write(f"/etc/systemd/system/{name}.service", unit(settings))
    startable = [name for name in UNITS if name != "stranger"]
    machine.run("systemctl", "daemon-reload")
    told = machine.run("sh", "-c", CHECK.format(units=" ".join(startable)))
    machine.run("envsync", "init", "--unit", "stranger.service")
    machine.told = told.stdout.decode()
    return machine


def test_what_init_writes_passes_check_and_systemds_own(made):
    assert "warning" not in made.told and "error" not in made.told
    for name in UNITS:
        done = made.run("systemd-analyze", "verify", f"{name}.service", check=False)
        said = done.stderr.decode()
        assert done.returncode == 0 and name not in said.replace("nobody-here", ""), said


def test_the_unit_boots_with_what_init_wrote(made):
    for name in UNITS:
        if name != "stranger":
            assert f"got A={name}\n" in made.journal(f"{name}.service"), made.journal(f"{name}.service")


@pytest.mark.parametrize("name", UNITS)
def test_init_takes_from_the_unit_what_it_has(made, name):
    _, dropin, config = UNITS[name]
    text = made.read(DROPIN.format(name)).decode()
    for word in dropin:
        assert re.search("^" + re.escape(word), text, re.M), text
    assert ABSENT.get(name, "\0") not in text
    text = made.read(CONFIG.format(name)).decode()
    for line in config:
        assert re.search("^" + re.escape(line), text, re.M), text


def test_init_says_what_it_wrote_and_what_comes_next(made):
    told = made.read("/run/plain.told").decode().splitlines()
    assert told[:2] == [f"wrote {CONFIG.format('plain')}", f"wrote {DROPIN.format('plain')}"]
    assert f"  envsync check -c {CONFIG.format('plain')} --unit plain.service" in told
    assert "  systemctl daemon-reload" in told
    for path in CONFIG.format("plain"), DROPIN.format("plain"):
        assert made.run("stat", "-c", "%U:%G %a", path).stdout == b"root:root 644\n"


def test_the_commented_examples_are_a_configuration(made):
    text = made.read(CONFIG.format("plain")).decode()
    bare = re.sub(r'(?m)^#(?=\[\[|\w+ = )', "", text)
    assert bare.count("[[source]]") == 5 and "\n#" in bare
    made.write("/srv/bare/plain.toml", bare)
    done = made.run("envsync", "check", "-c", "/srv/bare/plain.toml", "--unit", "plain", check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_init_overwrites_nothing(made):
    before = made.read(CONFIG.format("plain")), made.read(DROPIN.format("plain"))

    def refuse(*args):
        done = made.run("envsync", "init", *args, check=False)
        assert done.returncode == 73 and done.stdout == b""
        return done.stderr.decode()

    assert "runs envsync already" in refuse("--unit", "plain")
    by_name = unit("User=app", "ExecStartPre=!envsync -c /etc/envsync/named.toml\n")
    made.write("/etc/systemd/system/named.service", by_name)
    assert "runs envsync already" in refuse("--unit", "named")
    made.write("/etc/systemd/system/second.service", unit("User=app"))
    made.write(CONFIG.format("second"), "mine\n")
    assert f"{CONFIG.format('second')}: is there already" in refuse("--unit", "second")
    made.run("test", "!", "-e", "/etc/systemd/system/second.service.d")
    made.run("rm", CONFIG.format("second"))
    made.write(DROPIN.format("second"), "# mine\n")
    assert f"{DROPIN.format('second')}: is there already" in refuse("--unit", "second")
    made.run("test", "!", "-e", CONFIG.format("second"))
    assert (made.read(CONFIG.format("plain")), made.read(DROPIN.format("plain"))) == before


def test_the_units_own_lines_come_behind(machine):
    own = "ExecStartPre=/bin/sh -c 'test \"$A\" = lines'\nExecStartPre=-/bin/false %n\n"
    machine.write("/etc/systemd/system/lines.service", unit("User=app", own))
    machine.run("systemctl", "daemon-reload")
    machine.run("envsync", "init", "--unit", "lines.service")
    machine.write("/etc/envsync/lines.env", "A=lines\n")
    machine.run("systemctl", "daemon-reload")
    machine.start("lines.service")
    assert machine.read(DROPIN.format("lines")).decode().count("/bin/false %n") == 1


OVERRIDE = "/etc/systemd/system/{}.service.d/{}.conf"


def lines_of(machine, name):
    """The drop-in's ExecStartPre= lines, and those that systemd makes of all files."""
    machine.run("envsync", "init", "--unit", name)
    machine.run("systemctl", "daemon-reload")
    written = re.findall(r"(?m)^ExecStartPre=(.*)", machine.read(DROPIN.format(name)).decode())
    shown = machine.run("systemctl", "show", "-p", "ExecStartPre", name).stdout.decode()
    return written, re.findall(r"path=(\S+) ;", shown)


def test_only_lines_that_still_count_are_repeated(machine):
    machine.write("/etc/systemd/system/reset.service", unit("User=app", "ExecStartPre=/bin/gone\n"))
    machine.write(OVERRIDE.format("reset", "10-lines"), "[Service]\nExecStartPre=\nExecStartPre=/bin/true b\n")
    assert lines_of(machine, "reset") == (
        ["", "!/usr/bin/envsync -c /etc/envsync/reset.toml", "/bin/true b"], ["/usr/bin/envsync", "/bin/true"])  # fmt: skip
    machine.write("/etc/systemd/system/empty.service", unit("User=app", "ExecStartPre=/bin/gone\nExecStartPre=\n"))
    assert lines_of(machine, "empty") == (
        ["!/usr/bin/envsync -c /etc/envsync/empty.toml"], ["/usr/bin/envsync"])  # fmt: skip


def test_a_drop_in_that_is_read_later_runs_its_lines_once_behind(machine):
    machine.write("/etc/systemd/system/edited.service", unit("User=app", "ExecStartPre=/bin/true a\n"))
    machine.write(OVERRIDE.format("edited", "override"), "[Service]\nExecStartPre=/bin/false\n")
    assert lines_of(machine, "edited") == (
        ["", "!/usr/bin/envsync -c /etc/envsync/edited.toml", "/bin/true a"],
        ["/usr/bin/envsync", "/bin/true", "/bin/false"])  # fmt: skip


def test_a_drop_in_that_would_undo_what_init_writes_is_refused(machine):
    machine.write("/etc/systemd/system/undone.service", unit("User=app", "ExecStartPre=/bin/true a\n"))
    path = OVERRIDE.format("undone", "override")
    machine.write(path, "[Service]\nExecStartPre=\nExecStartPre=/bin/true b\n")
    done = machine.run("envsync", "init", "--unit", "undone", check=False)
    assert done.returncode == 73 and f"{path}:2: " in done.stderr.decode() and "10-override.conf" in done.stderr.decode()
    machine.run("test", "!", "-e", CONFIG.format("undone"), "-a", "!", "-e", DROPIN.format("undone"))
    # As it is told to be done.
    machine.run("mv", path, OVERRIDE.format("undone", "10-override"))
    assert lines_of(machine, "undone")[1] == ["/usr/bin/envsync", "/bin/true"]
    # One of the same name that the new one would hide.
    machine.write("/etc/systemd/system/hidden.service", unit("User=app"))
    path = "/run/systemd/system/hidden.service.d/envsync.conf"
    machine.write(path, "[Service]\nNice=5\n")
    done = machine.run("envsync", "init", "--unit", "hidden", check=False)
    assert done.returncode == 73 and f"{path}: has the name" in done.stderr.decode()


def test_escaped_names_of_units_are_quoted(machine):
    machine.write("/etc/systemd/system/quo@.service", unit("User=app"))
    machine.run("envsync", "init", "--unit", r"quo@a\x2db")
    config = CONFIG.format(r"quo@a\x2db")
    assert rb'name = "quo@a\\x2db"' in machine.read(config)
    machine.run("envsync", "check", "-c", config, "--unit", r"quo@a\x2db")


def test_without_a_unit_a_configuration_alone_is_written(machine):
    done = machine.run("envsync", "init")
    assert done.stdout.decode().splitlines()[0] == f"wrote {CONFIG.format('envsync')}"
    machine.run("envsync", "check")
    machine.run("mkdir", "-p", "/srv/here")
    machine.run("sh", "-c", "cd /srv/here && envsync init -c bar.toml && envsync check -c bar.toml")
    assert b'app = "bar"' in machine.read("/srv/here/bar.toml")
    # A unit that is not there yet is as good as a name.
    machine.run("envsync", "init", "--unit", "later")
    machine.write("/etc/systemd/system/later.service", unit("User=app"))
    machine.run("envsync", "check", "-c", CONFIG.format("later"), "--unit", "later")


def test_init_takes_names_only(envsync):
    for name in "--help", "", "/etc/x.service", "a.socket", ".hidden", "x" * 300, "a b", "a\nb", "a\"b", "\u00e9":
        assert envsync("init", "--unit", name).rc == 64, name
    for path in "/etc/a\nb.toml", "/etc/\udcff.toml":
        assert envsync("init", "-c", path).rc == 64, path
    assert envsync("init", "more").rc == 64
    assert envsync("init", "--root", "/x").rc == 64
