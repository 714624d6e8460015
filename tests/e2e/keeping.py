"""What the tests of the state share: a host with a file, one that has a program besides, and what may
happen to them and to what is kept of them."""
import json
import os
import time

import pytest

HOUR = 3600


@pytest.fixture
def plain(host):
    host.source("A=1\n")
    host.place = host.output()
    return host


def program(host, name="vault"):
    """An exec source whose answer and exit status the test writes to files."""
    answer, status = host.write(f"{name}.json", '{"V": "1"}'), host.write(f"{name}.status", "0")
    script = host.write(f"{name}.sh", f'#!/bin/sh\ncat "{answer}"\nexit "$(cat "{status}")"\n', 0o755)
    open_to_all(host.scratch.folder)
    return script, answer, status


def open_to_all(folder):
    """The program runs as an ordinary user: pytest's folders are root's alone."""
    for path in [folder, *folder.parents]:
        if path.stat().st_uid == os.geteuid() and path.name.startswith(("pytest", "popen", "test_")):
            path.chmod(path.stat().st_mode | 0o055)


@pytest.fixture
def vault(plain):
    """The file source, then a program; what it gives goes to an output of its own as well."""
    plain.script, plain.answer, plain.status = program(plain)
    plain.exec = {"name": "vault", "type": "exec", "command": [str(plain.script)]}
    plain.other = plain.root / "run/foo/vault.json"
    plain.output("json", "/run/foo/vault.json", from_=["vault"])
    return plain


def add(vault, **options):
    vault.source(**vault.exec, **options)
    vault.ok()
    assert vault.place.read_text() == "A=1\nV=1\n"
    return vault


def down(vault, status=69):
    vault.status.write_text(str(status))
    vault.answer.write_text("")


def changed(host, text="A=2\n"):
    host.write("source.env", text)


def age(path, seconds):
    """Moves a file's time back, or into the future."""
    os.utime(path, times=(time.time() - seconds,) * 2)


def rollback(host):
    return host.run("rollback", "--root", host.root)


def stale(result):
    found = json.loads(result.out)
    assert len(found["warnings"]) >= 1
    return found["stale"], {source["name"]: source["state"] for source in found["sources"]}


def flip(path):
    """One bit of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
