"""What the tests of `at_rest = "encrypted"` share: a host that seals, with the real systemd-creds, whose
host key lies in a folder of the test's own, and an SSM source that is up or down.

    pytest_plugins = ("aws", "sealing")

    def test_it(sealing):
        sealing.ok()
"""
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from conftest import BUILDDIR

CREDS = "/usr/bin/systemd-creds"
CANARY = "CANARY-5e41ed"

# The machine with a /var/lib/systemd and, where it is named, a systemd-creds of the test's own.
# Below it no other program is found: envsync has to do without PATH.
ENTER = """keys=$1 creds=$2; shift 2
mount -t tmpfs -o mode=755 none /run; mount -t tmpfs -o mode=755 none /var/lib
mkdir /var/lib/systemd; mount --bind "$keys" /var/lib/systemd
case $creds in
'') ;;
absent) exec unshare --mount sh -euc 'mount -t tmpfs none /usr/bin; exec "$@"' sh "$@" ;;
*) mount --bind "$creds" /usr/bin/systemd-creds ;;
esac
exec "$@"
"""


@pytest.fixture(scope="session")
def disk():
    """A folder that is surely no tmpfs, where systemd-creds would not put a key."""
    with tempfile.TemporaryDirectory(dir=BUILDDIR) as folder:
        yield Path(folder)


class Sealing:
    """A host whose only output is below /run, fed by SSM."""

    def __init__(self, host, gateway, disk):
        self.host, self.gateway = host, gateway
        self.root, self.top = host.root, host.top
        self.keys = Path(tempfile.mkdtemp(dir=disk))
        self.creds = ""
        self.command = host.envsync.command
        self.place = host.output("json", "/run/foo/config.json")
        self.top |= {"deadline": "20s", "last_good": {"at_rest": "encrypted"}}
        host.source(type="ssm", name="params", path="/foo/", on_unavailable="last-good")
        self.give(a=f"{CANARY}-1")
        self.up()

    def give(self, **values):
        self.gateway.fixtures(parameters={f"/foo/{name}": value for name, value in values.items()})

    def up(self):
        self.env = self.gateway.environment()

    def down(self):
        self.env = self.gateway.environment(AWS_ENDPOINT_URL="http://127.0.0.1:1")

    def inside(self, *before):
        """envsync's command within the machine, and before it what is to run it."""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ENTER, "sh",
                str(self.keys), self.creds, *before, *self.command]  # fmt: skip

    def run(self, *args, before=()):
        self.host.envsync.command = self.inside(*before)
        deadline = ("--deadline", "1s") if args[0] in ("sync", "rollback") and self.env["AWS_ENDPOINT_URL"].endswith(":1") else ()
        result = self.host.run(args[0], "--root", self.root, *args[1:], *deadline, env=self.env)
        assert CANARY not in result.out + result.err
        self.no_canary_on_disk()
        return result

    def ok(self, *args):
        result = self.run("sync", *args)
        assert result.rc == 0, str(result)
        return result

    def fails(self, code, *words, run=("sync",)):
        result = self.run(*run)
        assert result.rc == code, str(result)
        (line,) = [line for line in result.err.splitlines() if "error: " in line]
        for word in words:
            assert word in line, str(result)
        return result

    def reboot(self):
        self.host.reboot()

    def value(self):
        return json.loads(self.place.read_text())

    def no_canary_on_disk(self):
        for path in (self.root / "var").rglob("*"):
            assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path

    def sealed(self):
        return self.host.stored()["sealed"]

    def wrapper(self, text):
        """A program in the place of systemd-creds; $real is the real one."""
        real = self.host.path("real-creds")
        if not real.exists():
            shutil.copy(CREDS, real)
        self.creds = str(self.host.write("creds.sh", f"#!/bin/sh\nreal='{real}'\n{text}\n", 0o755))


@pytest.fixture
def sealing(host, gateway, disk):
    if not os.path.exists(CREDS):
        pytest.skip("systemd before 250 has no systemd-creds")
    return Sealing(host, gateway, disk)
