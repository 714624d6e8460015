"""Fixtures for tests in a booted systemd; see tests/boot-systemd.

`machine` is one systemd for all tests of a module, with the built envsync installed. Where none can
be booted (not root, mostly) the tests are skipped, loudly: under CI=true that is a failure.
"""
import io
import json
import shlex
import subprocess
import tarfile
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parent.parent / "boot-systemd"
CANNOT = 77


class Machine:
    """A running systemd."""

    def __init__(self, folder, *options):
        self.folder = folder
        done = self._harness("start", *options)
        if done.returncode == CANNOT:
            pytest.skip(done.stderr.decode().strip())
        assert done.returncode == 0, done.stderr.decode()

    def _harness(self, verb, *arguments, input=None, timeout=120):
        command = [str(word) for word in (HARNESS, verb, self.folder, *arguments)]
        given = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(command, capture_output=True, timeout=timeout, **given)

    def run(self, *command, input=None, check=True, timeout=120):
        """Runs a command inside, as root. input and what comes back are bytes."""
        done = self._harness("exec", *command, input=input, timeout=timeout)
        assert not check or done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done

    def write(self, path, content, mode="0644", owner="root:root"):
        """Makes a file inside, with the folders above it."""
        content = content.encode() if isinstance(content, str) else content
        script = f"""set -e
            mkdir -p "$(dirname {shlex.quote(path)})"
            cat >{shlex.quote(path)}
            chmod {mode} {shlex.quote(path)}
            chown {owner} {shlex.quote(path)}"""
        self.run("sh", "-c", script, input=content)

    def write_all(self, files):
        """Makes several files at once, root's and mode 0644: {path: text}."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path, content in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(content.encode()), 0o644
                tar.addfile(entry, io.BytesIO(content.encode()))
        self.run("tar", "x", "-C", "/", input=packed.getvalue())

    def unpack(self, folder, target, owner="root:root"):
        """Copies a folder of this host into the machine."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(folder, arcname=".", filter=lambda e: None if "__pycache__" in e.name else e)
        script = 'mkdir -p "$1" && tar x -C "$1" && chown -R "$2" "$1"'
        self.run("sh", "-c", script, "sh", target, owner, input=packed.getvalue())

    def read(self, path):
        return self.run("cat", path).stdout

    def unit(self, name, text):
        """Makes a unit known."""
        self.write(f"/etc/systemd/system/{name}", text)
        self.run("systemctl", "daemon-reload")

    def start(self, unit, check=True):
        """Starts a unit and waits until it is up, or done where it is a oneshot."""
        done = self.run("systemctl", "start", unit, check=False)
        assert not check or done.returncode == 0, self.journal(unit)
        return done

    def journal(self, unit):
        command = ["-u", unit, "-o", "short-full", "--no-hostname"]
        return self._harness("log", *command).stdout.decode(errors="replace")

    def entries(self, unit):
        """The journal of a unit: [(who, priority, message)]."""
        text = self._harness("log", "-q", "-u", unit, "-o", "json").stdout.decode(errors="replace")
        found = [json.loads(line) for line in text.splitlines()]
        return [(e.get("SYSLOG_IDENTIFIER"), int(e["PRIORITY"]), e["MESSAGE"]) for e in found]

    def stop(self):
        done = self._harness("stop")
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def machine(tmp_path_factory, as_root, installed):
    booted = Machine(tmp_path_factory.mktemp("boot") / "machine", "--install", installed)
    yield booted
    booted.stop()
