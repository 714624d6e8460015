"""What every end to end test uses: the built program, and a folder of its own to let it work in.

The build to test is $ENVSYNC_BUILDDIR (default: build/). $ENVSYNC_WRAPPER is put before the program
(valgrind), $ENVSYNC_SLOW multiplies every timeout.
"""
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

try:
    import tomllib  # noqa: F401
except ModuleNotFoundError:  # Python 3.10; tests may say `import tomllib` all the same
    import tomli

    sys.modules["tomllib"] = tomli

SRCDIR = Path(__file__).resolve().parents[2]
BUILDDIR = Path(os.environ.get("ENVSYNC_BUILDDIR", SRCDIR / "build")).resolve()
WRAPPER = shlex.split(os.environ.get("ENVSYNC_WRAPPER", ""))
SLOW = float(os.environ.get("ENVSYNC_SLOW", "1"))

pytest_plugins = ["boot"]


def pytest_configure(config):
    config.addinivalue_line("markers", "boot: boots a systemd; not run with a sanitizer")
    config.addinivalue_line("markers", "valgrind: runs under valgrind as well")


@dataclass
class Result:
    """How a program ended: status (negative: killed by that signal), stdout and stderr as text."""

    rc: int
    out: str
    err: str

    def __str__(self):
        return f"rc={self.rc}\n-- stdout --\n{self.out}\n-- stderr --\n{self.err}"


class Envsync:
    """Calls the built envsync. The environment is nearly empty unless a test says otherwise."""

    program = BUILDDIR / "envsync"
    command = [*WRAPPER, str(program)]

    def __init__(self, cwd):
        self.cwd = cwd

    def environment(self, extra=None):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        # Those of the sanitizers reach the program as they came from tests/check.
        env |= {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
        return env | (extra or {})

    def __call__(self, *args, env=None, input=None, timeout=60, **keywords):
        """Runs to the end. input is text; without it stdin is empty. Never raises for a status."""
        keywords.setdefault("cwd", self.cwd)
        if input is None:
            keywords.setdefault("stdin", subprocess.DEVNULL)
        else:
            keywords["input"] = input.encode()
        done = subprocess.run(
            [*self.command, *map(str, args)], env=self.environment(env), timeout=timeout * SLOW,
            capture_output=True, **keywords,
        )  # fmt: skip
        return Result(
            done.returncode,
            done.stdout.decode(errors="surrogateescape"),
            done.stderr.decode(errors="surrogateescape"),
        )

    def ok(self, *args, **keywords):
        """The same, and the test fails where the status is not 0."""
        result = self(*args, **keywords)
        assert result.rc == 0, str(result)
        return result


class Scratch:
    """A folder of the test's own: `root` is for --root, `path()` for anything else."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir(mode=0o755)

    def path(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name, content, mode=0o644):
        """Writes text or bytes; gives the path."""
        path = self.path(name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def config(self, content, name="envsync.toml"):
        """Writes a configuration; {dir} in it stands for the scratch folder."""
        return self.write(name, content.replace("{dir}", str(self.folder)))

    def output(self, path):
        """Bytes of what was written to an absolute path below --root."""
        return (self.root / path.lstrip("/")).read_bytes()

    def tree(self):
        """{path below root: (kind, mode)} of everything there."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            mode = path.lstat().st_mode
            kind = "link" if path.is_symlink() else "dir" if path.is_dir() else "file"
            found["/" + str(path.relative_to(self.root))] = (kind, mode & 0o7777)
        return found


@pytest.fixture
def scratch(tmp_path):
    return Scratch(tmp_path)


@pytest.fixture
def envsync(tmp_path):
    return Envsync(tmp_path)


@pytest.fixture(scope="session")
def tool():
    """Path of a helper program that was built from tests/tools/NAME.c."""
    return lambda name: BUILDDIR / "tests" / "tools" / name


@pytest.fixture(scope="session")
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A tree as `make install DESTDIR=...` makes it."""
    tree = tmp_path_factory.mktemp("installed")
    command = ["make", "-C", BUILDDIR, "-s", "--no-print-directory", "install", f"DESTDIR={tree}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return tree
