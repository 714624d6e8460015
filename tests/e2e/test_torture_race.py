"""Many runs at once, and an adversary in the output directory while envsync writes there as root."""
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from conftest import SLOW, TEMP_MARK, table
from racer import Racer
from torture import OLD, SHARE

pytest_plugins = ("aws",)
pytestmark = [pytest.mark.usefixtures("as_root"), pytest.mark.bare]

SECONDS = 60 if SHARE else 3
APP = "daemon", 1, 1  # a user that every Debian has


# ---- many at once ----


@pytest.mark.parametrize("many", [50] * (5 if SHARE else 1))
def test_fifty_runs_at_once_leave_one_set_and_nothing_else(plain, many):
    root = plain.fresh("old")
    runs = [subprocess.Popen([*plain.command(root), "--deadline", "20s"], env=plain.environment(),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE) for _ in range(many)]  # fmt: skip
    ended = [(run.communicate(timeout=60 * SLOW)[1].decode(), run.returncode) for run in runs]
    assert {code for _, code in ended} <= {0, 75}, ended
    assert any(code == 0 for _, code in ended)
    assert sum("changed: 2 of 2 outputs" in err for err, _ in ended) == 1, ended
    assert plain.is_one(plain.read(root), "new")
    assert plain.temps_of(root) == []
    assert plain.listing(root) == plain.listing(plain.sample("new"))
    shutil.rmtree(root)


# ---- against the app ----


@pytest.fixture
def arena(as_root, open_folder, envsync, gateway):
    """A directory of the app's, victims outside, and a configuration that writes there."""
    return Arena(Path(tempfile.mkdtemp(dir=open_folder)), envsync, gateway)


class Arena:
    def __init__(self, folder, envsync, gateway):
        self.folder, self.envsync, self.gateway = folder, envsync, gateway
        self.root = folder / "root"
        self.home = self.root / "srv/foo"
        self.outside = folder / "outside"
        for path in self.home, self.outside:
            path.mkdir(parents=True)
        for path in folder, self.root, self.root / "srv", self.home, self.outside:
            path.chmod(0o755)
        os.chown(self.home, *APP[1:])
        self.victims = [self.victim("roots", 0, 0o600), self.victim("open", 0, 0o644), self.victim("own", APP[1], 0o644),
                        str(self.outside)]  # fmt: skip
        self.number = 0

    def victim(self, name, uid, mode):
        path = self.outside / name
        path.write_text("not yours\n")
        path.chmod(mode)
        os.chown(path, uid, uid)
        return str(path)

    def look(self):
        """What must not change outside. The app may link to its own file, and only it."""
        found = {}
        for path in [self.outside, *sorted(self.outside.iterdir())]:
            st = path.lstat()
            text = path.read_text() if path.is_file() else sorted(os.listdir(path))
            found[path.name] = (text, oct(st.st_mode), st.st_uid, st.st_gid, st.st_ino, st.st_mtime_ns)
        return found

    def configure(self, *sources):
        source = self.folder / "source.env"
        source.write_text(OLD)
        output = table("output", path="/srv/foo/environment", format="env")
        top = f'app = "foo"\nuser = "{APP[0]}"\ngroup = "{APP[0]}"\ndeadline = "10s"\n'
        self.config = self.folder / "envsync.toml"
        self.config.write_text("\n".join([top, table("source", type="file", path=source), *sources, output]))

    def sync(self):
        """A run in which something changes."""
        self.number += 1
        (self.folder / "source.env").write_text(f"A={self.number}\n")
        if self.gateway:
            self.gateway.fixtures(buckets={"config": {"objects": {"prod/a.pem": f"{self.number}"}}})
        env = self.gateway.environment("http") if self.gateway else {}
        began = time.monotonic()
        done = self.envsync("sync", "-c", self.config, "--root", self.root, env=env, timeout=30)
        assert time.monotonic() - began < 15 * SLOW, f"it hung: {done}"
        return done

    def race(self, *names):
        racers = [Racer(self.home, name, self.victims, *APP[1:], seed) for seed, name in enumerate(names)]
        for racer in racers:
            racer.start()
        before, codes = self.look(), {}
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                done = self.sync()
                codes[done.rc] = codes.get(done.rc, 0) + 1
                errors = [line for line in done.err.splitlines() if "error: " in line]
                assert done.rc in (0, 73), done
                assert len(errors) == (done.rc != 0), done
                assert self.look() == before, done
        finally:
            fought = [racer.stop() for racer in racers]
        assert all(fought), "the adversary gave up"
        return codes

    def check_peace(self):
        """Once nobody disturbs, the next run leaves one set and no temporary file of envsync's."""
        for path in self.home.iterdir():
            if TEMP_MARK not in path.name:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for _ in range(2):
            done = self.sync()
        assert done.rc == 0, done
        assert (self.home / "environment").read_text() == f"A={self.number}\n"
        left = [path for path in self.home.iterdir() if TEMP_MARK in path.name and path.lstat().st_uid == 0
                and path.is_file() and not path.is_symlink()]  # fmt: skip
        assert left == []


def test_an_adversary_in_the_output_directory_gains_nothing(arena):
    arena.gateway = None
    arena.configure()
    codes = arena.race("environment", "environment")
    assert set(codes) == {0, 73}, f"it was no race: {codes}"
    arena.check_peace()


def test_an_adversary_among_mirrored_files_gains_nothing(arena):
    arena.configure(table("source", type="s3", bucket="config", prefix="prod", mirror=["*.pem"], dir="/srv/foo"))
    codes = arena.race("a.pem", "environment")
    assert set(codes) == {0, 73}, f"it was no race: {codes}"
    arena.check_peace()
    assert (arena.home / "a.pem").read_text() == str(arena.number)
