"""docs/at-3-am.md on a booted systemd: every command is typed, and every output must be as shown.

What happened to the app before each section is done here; AWS is tests/gateway inside the machine.
"""
import json

import pytest

from conftest import SRCDIR
from guide import blocks, follow

pytestmark = pytest.mark.boot

PAGE = "docs/at-3-am.md"
ENDPOINT = "http://127.0.0.1:4566"
KEYS = {
    "AWS_ENDPOINT_URL": ENDPOINT, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDGATEWAYTEST00001",
    "AWS_SECRET_ACCESS_KEY": "gateway/Test+Secret/not+a+real+one/00001",
}  # fmt: skip
BEFORE = {"/foo/prod/database_url": "ecto://one", "/foo/prod/port": "4000"}
AFTER = {**BEFORE, "/foo/prod/database_url": ["ecto://one", "ecto://two"], "/foo/prod/new": "x"}
FILES = {
    "/etc/systemd/system/aws.service": """[Service]
        Environment=PYTHONPATH=/opt/aws PYTHONDONTWRITEBYTECODE=1
        ExecStart=/usr/bin/python3 -m tests.gateway --plain --http 4566 --fixtures /opt/aws/fixtures.json
        """,
    "/opt/aws/fixtures.json": json.dumps({"parameters": BEFORE}),
    "/etc/systemd/system/foo.service": """[Unit]
        Description=foo
        Wants=network-online.target
        After=network-online.target
        StartLimitIntervalSec=0

        [Service]
        User=foo
        ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml
        EnvironmentFile=-/run/foo/environment
        UnsetEnvironment=LD_PRELOAD
        RuntimeDirectory=foo/tmp
        ExecStart=/bin/sleep 1000
        """,
    "/etc/systemd/system/foo.service.d/test.conf":
        "[Service]\nEnvironment=" + " ".join(f"{name}={value}" for name, value in KEYS.items()) + "\n",
}  # fmt: skip


def defaults(machine, text):
    machine.write("/srv/foo/etc/defaults.env", text)


def fails_to_start(machine):
    machine.run("useradd", "--system", "--user-group", "foo")
    machine.unpack(SRCDIR / "tests" / "gateway", "/opt/aws/tests/gateway")
    machine.write_all(FILES)
    machine.write("/etc/envsync/foo.toml", blocks(PAGE)[0][1].replace('"45s"', '"2s"'))
    machine.run("systemctl", "daemon-reload")
    machine.start("aws.service")
    machine.run("curl", "-s", "--retry", "9", "--retry-connrefused", "--retry-delay", "1", ENDPOINT + "/__requests")
    defaults(machine, "PHX_HOST=localhost\nPORT=8080\n")
    machine.start("foo.service")
    defaults(machine, "PHX_HOST=localhost\nexport PORT=8080\n")
    assert machine.run("systemctl", "restart", "foo", check=False).returncode != 0


def is_mended(machine):
    """The page says to mend the source, and then types the restart."""
    defaults(machine, "PHX_HOST=localhost\nPORT=8080\n")
    machine.run("systemctl", "restart", "foo")


def is_changed_in_ssm(machine):
    document = json.dumps({"parameters": AFTER})
    machine.run("curl", "-sf", "-X", "POST", "--data", "@-", ENDPOINT + "/__fixtures", input=document.encode())


def loses_aws(machine):
    machine.run("systemctl", "stop", "aws.service")


def nothing(machine):
    pass


# The sections in their order, and what happens before each.
NIGHT = [
    ("Which value wins", is_mended),
    ("What would change", is_changed_in_ssm),
    ("Roll back, and release", nothing),
    ("Why is it stale", loses_aws),
    ("Without envsync", nothing),
]


def compare(steps):
    for step in steps:
        assert step.is_as_shown(), f"typed:\n{step.typed}\nshown:\n{step.shown}\nsaid:\n{step.said}"


def test_every_command_of_the_page_says_what_the_page_shows(machine):
    fails_to_start(machine)
    first = follow(machine, PAGE, heading="The app does not start", env=KEYS, check=False)
    compare(first[:-1])
    assert "failed" in first[-1].said  # nobody has mended it yet
    shown = [text.split("\n")[0][3:] for text in (SRCDIR / PAGE).read_text().split("\n\n") if text.startswith("## ")]
    assert shown == ["The app does not start", *(heading for heading, _ in NIGHT)]
    for heading, happens in NIGHT:
        happens(machine)
        steps = follow(machine, PAGE, heading=heading, env=KEYS)
        assert steps and any(step.shown for step in steps)
        compare(steps)


def test_every_command_of_the_operations_page_works_in_its_order(machine):
    machine.start("aws.service")
    machine.run("systemctl", "restart", "foo.service")
    steps = follow(machine, "docs/operations.md", env=KEYS)
    assert len(steps) >= 8
    assert "enabled" in machine.run("systemctl", "is-enabled", "envsync@foo.timer").stdout.decode()
    # The last one starts anew.
    assert "last success" in machine.run("envsync", "status", "-c", "/etc/envsync/foo.toml").stdout.decode()
