"""What envsync tells a real systemd while it works for a unit: what it is doing, and that it needs
more time than TimeoutStartSec= gives."""
import time

import pytest

from conftest import SLOW

pytestmark = pytest.mark.boot

LIMIT, WORK = 1.5, 3  # seconds: TimeoutStartSec=, and what the source takes


@pytest.fixture
def slow(machine):
    """A configuration whose one source takes its time and notes what is in its environment."""
    machine.write(
        "/srv/slow.sh", f"#!/bin/sh\nenv >/tmp/program-env\nsleep {WORK}\necho '{{}}'\n", mode="0755"
    )
    machine.write(
        "/etc/envsync/slow.toml",
        'app = "slow"\ngroup = "app"\ndeadline = "20s"\n'
        '[[source]]\ntype = "exec"\ncommand = ["/srv/slow.sh"]\n'
        '[[output]]\npath = "/run/slow/environment"\nformat = "env"\n',
    )
    return machine


def unit(machine, name, *directives, ready="systemd-notify --ready", config="slow"):
    machine.unit(
        f"{name}.service",
        "\n".join(["[Service]", "Type=notify", f"TimeoutStartSec={LIMIT}", *directives,
                   f"ExecStartPre=!/usr/bin/envsync -c /etc/envsync/{config}.toml",
                   f"ExecStart=/bin/sh -c '{ready}; exec sleep infinity'", ""]),
    )  # fmt: skip


def show(machine, name, *properties):
    """The values of some properties, by name."""
    command = ["systemctl", "show", *(f"--property={key}" for key in properties), f"{name}.service"]
    lines = machine.run(*command).stdout.decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def wait_for(machine, name, **wanted):
    until = time.monotonic() + 20 * SLOW
    while time.monotonic() < until:
        found = show(machine, name, *wanted)
        if found == wanted:
            return
        time.sleep(0.05)
    pytest.fail(f"{found}, not {wanted}\n{machine.journal(name)}")


def test_a_long_fetch_is_not_killed_where_systemd_listens_and_the_app_alone_is_ready(slow):
    unit(slow, "heard", "NotifyAccess=all")
    unit(slow, "unheard", "NotifyAccess=main")
    slow.run("systemctl", "start", "--no-block", "heard", "unheard")
    wait_for(slow, "heard", StatusText="envsync: fetching 1 source", ActiveState="activating",
             SubState="start-pre")  # fmt: skip
    # The worker and the program know of no socket.
    worker = slow.run(
        "sh", "-c", "cat $(grep -l ^envsync-worker /proc/[0-9]*/cmdline | sed s/cmdline/environ/)"
    ).stdout
    assert b"PATH=" in worker and b"NOTIFY_SOCKET" not in worker
    assert b"NOTIFY_SOCKET" not in slow.read("/tmp/program-env")
    wait_for(slow, "heard", StatusText="", ActiveState="active", SubState="running")
    # This is what would have become of it.
    wait_for(slow, "unheard", ActiveState="failed", Result="timeout")
    slow.run("systemctl", "stop", "heard")


def test_envsync_never_says_that_the_unit_is_ready(machine):
    """An app that does not say so either is timed out, although envsync was heard."""
    machine.write("/srv/quick.env", "A=1\n")
    machine.write(
        "/etc/envsync/quick.toml",
        'app = "quick"\ngroup = "app"\ndeadline = "1s"\n'
        '[[source]]\ntype = "file"\npath = "/srv/quick.env"\n'
        '[[output]]\npath = "/run/quick/environment"\nformat = "env"\n',
    )
    unit(machine, "quick", "NotifyAccess=all", ready="true", config="quick")
    machine.start("quick", check=False)
    assert show(machine, "quick", "ActiveState", "Result") == {
        "ActiveState": "failed", "Result": "timeout"}  # fmt: skip
    machine.read("/run/quick/environment")


def test_the_status_of_a_failed_start_has_the_reason(machine):
    machine.write(
        "/etc/envsync/missing.toml",
        'app = "missing"\ngroup = "app"\n[[source]]\ntype = "file"\npath = "/srv/nowhere.env"\n',
    )
    unit(machine, "missing", "NotifyAccess=exec", config="missing")
    machine.start("missing", check=False)
    text = show(machine, "missing", "StatusText")["StatusText"]
    assert text.startswith("envsync: source file: /srv/nowhere.env: does not exist"), text
