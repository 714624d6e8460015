"""What every end to end test uses: the built program, and a folder of its own to let it work in.

The build to test is $ENVSYNC_BUILDDIR (default: build/). $ENVSYNC_WRAPPER is put before the program
(valgrind), $ENVSYNC_SLOW multiplies every timeout.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
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

pytest_plugins = ["boot", "torture"]
# Plugins that tests import names from, too: by then pytest could not explain their asserts any more.
pytest.register_assert_rewrite("aws", "calling", "sealing")


def pytest_configure(config):
    config.addinivalue_line("markers", "boot: boots a systemd; not run with a sanitizer")
    config.addinivalue_line("markers", "valgrind: runs under valgrind as well")
    config.addinivalue_line("markers", "bare: traces the program, or looks at what a sanitizer sets")


def pytest_collection_modifyitems(config, items):
    """A sanitizer's leak checker is a tracer itself, and there can be one only."""
    header = BUILDDIR / "build.h"
    if header.exists() and "#define ES_SANITIZED 1" in header.read_text():
        bare = [item for item in items if item.get_closest_marker("bare")]
        config.hook.pytest_deselected(items=bare)
        items[:] = [item for item in items if item not in bare]


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


def toml(value):
    """A value as TOML. JSON's strings, numbers and booleans are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


def table(kind, **options):
    """A [[source]] or [[output]]; from_ stands for from, which is Python's own word."""
    lines = [f"{key.rstrip('_')} = {toml(value)}" for key, value in options.items()]
    return "\n".join([f"[[{kind}]]", *lines, ""])


# A group that every Debian has; the app's own would have to be created.
GROUP = "daemon"
TEMP_MARK = ".envsync-"
STATE = ("/run/envsync", "/var/lib/envsync")


def resum(path, data):
    """Writes a file of a set, without its sum, as envsync would have: times stay, the sum fits."""
    st = path.stat()
    sum_ = (1 << 64) - 1
    for byte in f"{path.parent.name}\0{path.name}\0".encode() + data:
        sum_ ^= byte
        for _ in range(8):
            sum_ = sum_ >> 1 ^ (0xC96C5795D7870F42 if sum_ & 1 else 0)
    path.write_bytes(data + (sum_ ^ (1 << 64) - 1).to_bytes(8, "little"))
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def reboot(root):
    """What a reboot takes. The state says that it is of an earlier boot."""
    shutil.rmtree(root / "run")
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    for path in (root / "var").rglob("manifest"):
        resum(path, path.read_bytes()[:-8].replace(boot, b"0" * len(boot)))


class Host:
    """A scratch host: sources as files, a configuration, and runs into --root."""

    def __init__(self, scratch, envsync):
        self.scratch, self.envsync = scratch, envsync
        self.root, self.path, self.write = scratch.root, scratch.path, scratch.write
        self.sources = []
        self.outputs = []
        self.top = {"app": "foo", "group": GROUP}

    def source(self, content=None, file="source.env", type="file", **options):
        """A file source with this content, or a source of another type. Gives the file's path."""
        path = None
        if type == "file" and "path" not in options:
            path = self.write(file, content) if content is not None else self.path(file)
            options["path"] = path
        self.sources.append(table("source", type=type, **options))
        return path

    def output(self, format="env", path="/etc/foo/environment", **options):
        """An output. Gives the place below --root where it will be."""
        self.outputs.append(table("output", path=path, format=format, **options))
        return self.root / path.lstrip("/")

    @property
    def text(self):
        top = [f"{key} = {toml(value)}\n" for key, value in self.top.items()]
        return "".join([*top, *self.sources, *self.outputs])

    @property
    def file(self):
        return self.scratch.write("envsync.toml", self.text)

    def run(self, *args, **keywords):
        """A subcommand and its arguments, with -c put in."""
        return self.envsync(args[0], "-c", self.file, *args[1:], **keywords)

    def sync(self, *args, **keywords):
        return self.run("sync", "--root", self.root, *args, **keywords)

    def ok(self, *args, **keywords):
        result = self.sync(*args, **keywords)
        assert result.rc == 0, str(result)
        return result

    def fails(self, code, *words, run=None, **keywords):
        """The run ends with `code`, in one error line that has these words in it."""
        result = self.run(*run, **keywords) if run else self.sync(**keywords)
        assert result.rc == code, str(result)
        lines = [line for line in result.err.splitlines() if "error: " in line]
        assert len(lines) == 1, str(result)
        for word in words:
            assert str(word) in lines[0], str(result)
        return result

    def temps(self):
        return [path for path in self.root.rglob("*") if TEMP_MARK in path.name]

    def look(self, ours):
        """{path: bytes, inode, times, mode, owner} of the files of the state, or of all others."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            st = path.lstat()
            name = "/" + str(path.relative_to(self.root))
            if path.is_file() and not path.is_symlink() and name.startswith(STATE) == ours:
                found[name] = (path.read_bytes(), st.st_ino, st.st_mtime_ns, oct(st.st_mode),
                               st.st_uid, st.st_gid)  # fmt: skip
        return found

    def state(self):
        """What must not change where a run fails: every file that somebody reads."""
        return self.look(False)

    def kept(self):
        """{path: bytes} of what envsync keeps for itself. An unchanged run may only touch it."""
        return {path: found[0] for path, found in self.look(True).items()}

    def reboot(self):
        reboot(self.root)

    def stored(self, name="foo"):
        """The present set's files: {name: path}, of both halves."""
        halves = [self.root / half.lstrip("/") / name for half in STATE]
        pointers = [half / "current" for half in halves if (half / "current").exists()]
        assert len(pointers) == 1, pointers
        current = pointers[0].read_text().split()[0]
        return {path.name: path for half in halves if (half / current).exists()
                for path in (half / current).iterdir()}  # fmt: skip


@pytest.fixture
def host(scratch, envsync):
    return Host(scratch, envsync)


@pytest.fixture
def public():
    """A folder that every user may enter, with the program in it: for runs as somebody else."""
    folder = Path(tempfile.mkdtemp(prefix="envsync-"))
    folder.chmod(0o755)
    (folder / "worker").mkdir(mode=0o755)
    for name in "envsync", "worker/worker":
        shutil.copy(BUILDDIR / name, folder / name)
        (folder / name).chmod(0o755)
    yield folder
    shutil.rmtree(folder)


ORDINARY = 12345  # a uid and gid that nobody has


@pytest.fixture
def guest(as_root, public):
    """A host whose envsync runs as an ordinary user; the test itself is root."""
    as_user = Envsync(public)
    as_user.program = public / "envsync"
    setpriv = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
    as_user.command = [*setpriv, str(as_user.program)]
    return Host(Scratch(public), as_user)


# No run of a test may leave anything in the machine's own directories.
PRIVATE = "for dir in /run /var/lib; do mount -t tmpfs -o mode=755 none $dir; done\n"


def in_namespace(script, *args, **keywords):
    """Runs a shell script as root in a mount namespace with a /run and /var/lib of its own."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", PRIVATE + script, "sh",
         *map(str, args)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOW, **keywords,
    )  # fmt: skip


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
        pytest.skip("not root")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A tree as `make install DESTDIR=...` makes it, or what $ENVSYNC_INSTALLED has unpacked."""
    if "ENVSYNC_INSTALLED" in os.environ:
        return Path(os.environ["ENVSYNC_INSTALLED"])
    tree = tmp_path_factory.mktemp("installed")
    command = ["make", "-C", BUILDDIR, "-s", "--no-print-directory", "install", f"DESTDIR={tree}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return tree
