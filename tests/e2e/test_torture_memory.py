"""Every allocation fails once, in envsync and in the worker, in whatever library: the run ends with a
code of the table and one line, never by a signal; what is there is old or new, and whole; no
temporary file stays.

The worker gets a constant environment from envsync, so a stand-in for it loads the library that
counts allocations (tests/tools/scarce.c) and becomes the real one.
"""
import json
import shutil
import struct

import pytest

from conftest import BUILDDIR, SRCDIR
from torture import OLD, PROGRAM, SHARE, Torture, evenly

pytest_plugins = ("aws",)
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

TOOLS = BUILDDIR / "tests/tools"
# libcurl of Debian 12 divides by the size of a hash that could not be allocated. The worker is there
# to be the one that falls.
LIBCURLS = "the worker was ended by signal 8"
DATA = SRCDIR / "tests/vectors/instance-data/digitalocean.json"


class Scarce(Torture):
    """Sources of every kind that needs no network, or with a gateway those that do."""

    def __init__(self, folder, gateway=None):
        bin = folder / "bin"
        (bin / "worker").mkdir(parents=True)
        for name, to in ("envsync", "envsync"), ("worker/worker", "worker/real"):
            shutil.copy(BUILDDIR / name, bin / to)
        shutil.copy(TOOLS / "preloading_worker", bin / "worker/worker")
        self.library = shutil.copy(TOOLS / "scarce.so", bin)
        self.pages = {"envsync": bin / "envsync.page", "worker": bin / "worker.page"}
        (bin / "worker/preload").write_text(f"LD_PRELOAD={self.library}\nSCARCE={self.pages['worker']}\n")
        for path in folder, bin, *bin.rglob("*"):
            path.chmod(0o755)
        self.reset()
        super().__init__(folder, gateway)

    def configure(self):
        self.envsync.command = [str(self.folder / "bin/envsync")]
        # A failure may come from a try that is then repeated, until there is no time left.
        self.top["deadline"] = "5s"
        self.source(OLD)
        if self.gateway:
            self.source(type="s3", bucket="config", prefix="prod", merge=["*.env"], mirror=["**/*.pem"],
                        dir="/etc/foo/certs", prune=True)  # fmt: skip
            self.source(type="ssm", path="/foo/prod/")
            self.source(type="secrets-manager", ids=["foo/prod"])
        else:
            self.source('t = 1\n[table]\nlist = ["x", "y"]\n', file="source.toml", name="toml")
            self.source('{"j": {"a": [1, 2], "b": true, "c": "\\u00e9"}}', file="source.json", name="json")
            program = self.write("program.json", PROGRAM % "old")
            self.source(type="exec", command=["/bin/cat", str(program)])
            data = self.write("instance-data.json", DATA.read_text())
            self.source(type="cloud-init", path=data, keys={"IP": "${primary_ipv4}", "ID": "x-${instance_id}"})
        self.output("env", "/etc/foo/environment")
        self.output("json", "/run/foo/deep/all.json")
        self.output("toml", "/etc/foo/all.toml")

    def give(self, which):
        super().give(which)
        if self.gateway:
            self.gateway.fixtures(parameters={"/foo/prod/a/b": which, "/foo/prod/c": "1"},
                                  secrets={"foo/prod": json.dumps({"S": which, "T": {"u": [1]}})})  # fmt: skip

    def make_samples(self):
        for which in "old", "new":
            self.keep(which)

    def reset(self, failing=None, number=0):
        for name, page in self.pages.items():
            page.write_bytes(struct.pack("3Q", number if name == failing else 0, 0, 0))
            page.chmod(0o666)

    def counted(self, which):
        """(how many allocations there were, whether one has failed)."""
        _, count, failed = struct.unpack("3Q", self.pages[which].read_bytes())
        return count, bool(failed)

    def environment(self):
        return super().environment() | {"LD_PRELOAD": self.library, "SCARCE": str(self.pages["envsync"])}


@pytest.fixture(scope="module")
def files(as_root, open_folder):
    return Scarce(open_folder / "files")


@pytest.fixture(scope="module")
def aws(as_root, open_folder, gateway_process):
    return Scarce(open_folder / "aws", gateway_process)


def run_out(scarce, which, number, start):
    """False where the run had fewer allocations than that."""
    root = scarce.fresh(start)
    scarce.reset(which, number)
    done = scarce.start(root, "sync", "--fresh")
    failed = scarce.counted(which)[1]
    scarce.reset()
    what = start, which, number, done
    scarce.check_error(done, what)
    assert "signal" not in done.stderr.replace(LIBCURLS, ""), what
    scarce.check_whole(root, what, start, "new")
    if done.returncode == 0:
        assert scarce.is_one(scarce.read(root), "new"), what
    assert scarce.temps_of(root) == [], what
    # A run that ended before its commit has changed nothing; one in ten is looked at all the same.
    if number % 10 == 0 or scarce.read(root) != scarce.samples[start]:
        scarce.check_recovery(root, what, *({start, "new"} - {"none"}))
    else:
        shutil.rmtree(root)
    return failed


@pytest.mark.parametrize("start", ["none", "old"])
@pytest.mark.parametrize("which", ["envsync", "worker"])
@pytest.mark.parametrize("kind", ["files", "aws"])
def test_any_allocation_may_fail(request, kind, which, start):
    scarce = request.getfixturevalue(kind)
    scarce.reset()
    root = scarce.fresh(start)
    scarce.reset()
    scarce.good(root, "sync", "--fresh")
    count, _ = scarce.counted(which)
    assert count > 100
    numbers = range(1, count + 1)
    hit = [run_out(scarce, which, n, start) for n in (numbers[::SHARE] if SHARE else evenly(numbers, 4))]
    assert sum(hit) > 0.9 * len(hit)
