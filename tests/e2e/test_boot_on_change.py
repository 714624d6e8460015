"""[on_change] under a real systemd: a unit is restarted once, never by its own start and never in a
circle, and who watches a flag sees it."""
import itertools
import json
import time

import pytest

from conftest import SLOW, toml

pytestmark = pytest.mark.boot

# No job for a quarter of a second: long enough for a watcher to have woken up.
CALM = """calm=0
while [ $calm -lt 5 ]; do
    if [ -z "$(systemctl list-jobs --no-legend)" ]; then calm=$((calm + 1)); else calm=0; fi
    sleep 0.05
done"""

numbers = itertools.count(1)


class Site:
    """An app on the machine: its configuration, one source, and a unit that counts its starts."""

    def __init__(self, machine):
        self.machine = machine
        self.name = f"site{next(numbers)}"
        self.unit = f"{self.name}.service"
        self.folder = f"/srv/{self.name}"
        self.flag = f"{self.folder}/flags/restart.flag"
        self.config = f"/etc/envsync/{self.name}.toml"
        self.command = f"/usr/bin/envsync -c {self.config}"
        machine.run("mkdir", "-p", f"{self.folder}/flags")
        self.change("V=1\n")

    def change(self, text):
        self.machine.write(f"{self.folder}/source.env", text)

    def configure(self, source=None, top="", **actions):
        lines = "".join(f"{key} = {toml(value)}\n" for key, value in actions.items())
        source = source or f'type = "file"\npath = "{self.folder}/source.env"\n'
        self.machine.write(
            self.config,
            f'app = "{self.name}"\ngroup = "app"\n{top}[[source]]\n{source}'
            f'[[output]]\npath = "/run/{self.name}/environment"\nformat = "env"\n'
            f"[on_change]\n{lines}",
        )

    def service(self, name=None, unit="", **directives):
        """A unit; a directive that is None is left out."""
        name = name or self.unit
        lines = "".join(f"{key}={value}\n" for key, value in directives.items() if value)
        self.machine.unit(name, f"[Unit]\n{unit}\n[Service]\n{lines}")
        return name

    def app(self, pre=True, unit="", within="", **directives):
        """The unit of the app. Each start is a line with the value that it saw."""
        self.service(
            unit=unit,
            ExecStartPre=f"!{within}{self.command} -v" if pre else None,
            EnvironmentFile=f"-/run/{self.name}/environment",
            User="app",
            StandardOutput=f"append:{self.folder}/starts", StandardError="journal",
            ExecStart="/bin/sh -c 'echo $V; exec sleep infinity'",
            ExecReload="/bin/echo reloaded",
            **directives,
        )

    def refresh(self, **directives):
        """A oneshot that runs envsync, as a timer starts it."""
        return self.service(
            f"{self.name}-refresh.service",
            Type="oneshot", ExecStart=f"{self.command} --json", StandardOutput=f"truncate:{self.folder}/json",
            StandardError="journal",
            **directives,
        )  # fmt: skip

    def watcher(self, kind="PathModified"):
        """What mix_systemd makes for restart_method = :systemd_flag."""
        self.machine.unit(
            f"{self.name}-restart.service",
            f"[Service]\nType=oneshot\nExecStart=/bin/systemctl restart {self.unit}\n",
        )
        self.machine.unit(f"{self.name}-restart.path", f"[Path]\n{kind}={self.flag}\n")
        self.machine.start(f"{self.name}-restart.path")

    def settled(self):
        """Waits until nothing happens any more."""
        self.machine.run("sh", "-c", CALM, timeout=60 * SLOW)

    def starts(self):
        self.settled()
        read = self.machine.run("cat", f"{self.folder}/starts", check=False)
        return read.stdout.decode().split()

    def told(self):
        """What the refresh said."""
        return json.loads(self.machine.read(f"{self.folder}/json"))

    def pending(self):
        done = self.machine.run("/usr/bin/envsync", "status", "-c", self.config, "--json")
        return [item["what"] for item in json.loads(done.stdout)["pending"]]

    def flagged(self):
        return self.machine.run("test", "-e", self.flag, check=False).returncode == 0

    def close(self):
        for suffix in ".path", ".timer", ".service":
            self.machine.run("sh", "-c", f"systemctl stop '{self.name}*{suffix}'", check=False)


@pytest.fixture
def site(machine):
    made = Site(machine)
    yield made
    made.close()


def test_a_refresh_restarts_the_running_app_once(site):
    """The app's own start runs envsync too, with the same configuration."""
    site.configure(restart=[site.unit])
    site.app()
    refresh = site.refresh()
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.start(refresh)
    assert site.starts() == ["1", "2"]
    assert site.told()["on_change"] == "done" and site.pending() == []
    site.machine.start(refresh)
    assert site.starts() == ["1", "2"] and site.told()["on_change"] == "none"


def test_a_timer_restarts_the_running_app_once(site):
    site.configure(restart=[site.name])
    site.app()
    site.machine.unit(f"{site.name}-refresh.timer", "[Timer]\nOnActiveSec=10ms\nAccuracySec=1ms\n")
    refresh = site.refresh()
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.start(refresh.replace(".service", ".timer"))
    time.sleep(0.5)
    assert site.starts() == ["1", "2"]


def test_an_app_that_requires_the_refresh_is_restarted_once(site):
    """Neither where the refresh runs alone, nor where the app's start pulls it in."""
    site.configure(restart=[site.unit])
    refresh = site.refresh()
    site.app(pre=False, unit=f"Requires={refresh}\nAfter={refresh}")
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.start(refresh)
    assert site.starts() == ["1", "2"]
    site.change("V=3\n")
    site.machine.run("systemctl", "restart", site.unit)
    assert site.starts() == ["1", "2", "3"]


@pytest.mark.parametrize("alias", [False, True])
def test_the_start_of_an_app_never_restarts_it(site, alias):
    """Not even where each run has another set, and whatever name the unit goes by."""
    clock = f"{site.folder}/clock.sh"
    site.machine.write(clock, "#!/bin/sh\ndate '+{\"V\": \"%N\"}'\n", mode="0755")
    site.configure(
        source=f'type = "exec"\ncommand = ["{clock}"]\n',
        restart=["alias-" + site.unit if alias else site.unit],
    )
    site.app()
    if alias:
        site.machine.run("ln", "-s", site.unit, f"/etc/systemd/system/alias-{site.unit}")
        site.machine.run("systemctl", "daemon-reload")
    for n in range(1, 4):
        site.machine.run("systemctl", "restart", site.unit)
        assert len(site.starts()) == n, site.machine.journal(site.unit)
    assert "belongs to the start of " + site.unit in site.machine.journal(site.unit)
    assert site.pending() == []


def test_the_start_of_an_app_neither_touches_nor_runs(site):
    site.watcher()
    site.configure(touch=[site.flag], run=["touch", f"{site.folder}/ran"])
    site.app()
    refresh = site.refresh()
    site.machine.start(site.unit)
    for value in "23":
        site.change(f"V={value}\n")
        site.machine.run("systemctl", "restart", site.unit)
    assert site.starts() == ["1", "2", "3"] and not site.flagged()
    assert site.pending() == []
    # It was not needed, so it is not made up for.
    site.machine.start(refresh)
    assert site.starts() == ["1", "2", "3"] and not site.flagged()
    assert site.machine.run("test", "-e", f"{site.folder}/ran", check=False).returncode != 0


def test_the_start_of_an_app_restarts_others(site, machine):
    other = Site(machine)
    other.configure()
    other.app(pre=False)
    machine.start(other.unit)
    site.configure(restart=[site.unit, other.unit], top='env = ["SYSTEMD_EXEC_PID"]\n')
    site.app()
    machine.start(site.unit)
    site.change("V=2\n")
    machine.run("systemctl", "restart", site.unit)
    assert site.starts() == ["1", "2"] and len(other.starts()) == 0
    assert machine.run("systemctl", "show", "-P", "MainPID", other.unit).stdout != b"0\n"
    assert f"restart {other.unit}: done" in machine.journal(site.unit)
    other.close()


@pytest.mark.parametrize("kind", ["PathModified", "PathChanged"])
def test_a_watched_flag_restarts_the_app_once(site, kind):
    """Where it is made, and where it is there already."""
    site.watcher(kind)
    site.configure(touch=[site.flag])
    site.app()
    refresh = site.refresh()
    site.machine.start(site.unit)
    for value in "23":
        site.change(f"V={value}\n")
        site.machine.start(refresh)
        site.settled()
    assert site.starts() == ["1", "2", "3"]


def test_a_watched_directory_of_the_apps_restarts_it(site):
    site.machine.run("chown", "-R", "app:app", f"{site.folder}/flags")
    site.flag = f"{site.folder}/flags"
    site.watcher("PathChanged")
    site.configure(touch=[site.flag])
    site.app()
    refresh = site.refresh()
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.start(refresh)
    assert site.starts() == ["1", "2"]


def test_a_unit_that_is_down_stays_down(site):
    site.configure(restart=[site.unit], reload=[site.unit])
    site.app()
    refresh = site.refresh()
    site.machine.start(refresh)
    site.change("V=2\n")
    site.machine.start(refresh)
    assert site.starts() == [] and site.told()["on_change"] == "done" and site.pending() == []


def test_a_running_unit_is_reloaded(site):
    site.configure(reload=[site.unit])
    site.app()
    refresh = site.refresh()
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.start(refresh)
    assert site.starts() == ["1", "reloaded"]


def test_what_systemd_refuses_stays_due(site):
    site.configure(restart=[f"{site.name}-late.service"])
    refresh = site.refresh()
    site.machine.start(refresh)
    site.change("V=2\n")
    site.machine.start(refresh)
    told = site.told()
    assert told["on_change"] == "failed" and told["exit"] == 0
    assert f"Unit {site.name}-late.service not found" in told["errors"][0]["message"]
    assert site.pending() == [f"{site.name}-late.service"]
    site.service(f"{site.name}-late.service", ExecStart="sleep infinity")
    site.machine.start(refresh)
    assert site.told()["on_change"] == "done" and site.pending() == []


@pytest.mark.parametrize("blind", [False, True])
def test_a_unit_that_does_not_see_its_own_cgroup_is_not_restarted(site, blind):
    """By the number of its start it is known all the same; else nothing is done, for it may be it."""
    number = "-u INVOCATION_ID INVOCATION_ID=" + "0" * 32 if blind else "-u NOTHING"
    site.configure(touch=[site.flag], restart=[site.unit])
    site.app(within=f"/usr/bin/env {number} /usr/bin/unshare -C ")
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.run("systemctl", "restart", site.unit)
    assert site.starts() == ["1", "2"] and not site.flagged()
    assert site.pending() == ([site.flag, site.unit] if blind else [])


def test_where_systemd_cannot_be_asked_nothing_is_risked(site):
    """Without AF_UNIX envsync cannot know whether it is the app's own start."""
    site.configure(touch=[site.flag], restart=[site.unit])
    site.app(RestrictAddressFamilies="AF_INET")
    refresh = site.refresh()
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.run("systemctl", "restart", site.unit)
    assert site.starts() == ["1", "2"] and not site.flagged()
    told = f"{site.flag}: it is not known whether this run starts {site.unit}: systemctl failed"
    assert told in site.machine.journal(site.unit)
    assert site.pending() == [site.flag]
    site.machine.start(refresh)
    assert site.flagged() and site.pending() == []


def test_the_installed_oneshot_restarts_the_app_once_and_says_what_it_may_not_write(site):
    site.configure(restart=[site.unit], touch=[site.flag], run=["touch", f"/run/{site.name}/ran"])
    refresh = f"envsync@{site.name}.service"
    site.app(pre=False, unit=f"Requires={refresh}\nAfter={refresh}")
    site.machine.start(site.unit)
    site.change("V=2\n")
    site.machine.start(refresh)
    assert site.starts() == ["1", "2"]
    site.machine.run("test", "-e", f"/run/{site.name}/ran")
    # With ProtectSystem=strict a flag needs ReadWritePaths=.
    assert f"touch: {site.flag}: create: Read-only file system" in site.machine.journal(refresh)
    assert site.pending() == [site.flag]
    site.machine.unit(f"{refresh}.d/flag.conf", f"[Service]\nReadWritePaths={site.folder}\n")
    site.machine.start(refresh)
    assert site.starts() == ["1", "2"] and site.pending() == [] and site.flagged()
