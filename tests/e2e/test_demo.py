"""tests/demo, which `./bootstrap demo` ends with: what a newcomer sees first."""
import os
import subprocess
from pathlib import Path

import pytest

from conftest import BUILDDIR, SLOW, SRCDIR

DEMO = SRCDIR / "tests" / "demo"


def demo(folder, builddir=BUILDDIR, **keywords):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(folder)}
    env |= {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
    return subprocess.run(
        [DEMO], env=env | {"ENVSYNC_BUILDDIR": str(builddir)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60 * SLOW, **keywords,
    )  # fmt: skip


def command_of(cmdline):
    try:
        return cmdline.read_bytes()
    except OSError:
        return b""  # has ended meanwhile


def assert_it_shows_the_main_job(done):
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    for shown in (
        "$ envsync check -c foo.toml\n",
        "  + DATABASE_URL  (params)\n",
        "+ /etc/foo/tls/ca.pem  (bucket)\n",
        "/run/foo/environment: created (7 keys)\n",
        "/etc/foo/tls/ca.pem: created\n",
        "\n-rw-r----- 1 ",
        "RELEASE_NODE=foo@192.0.2.17\n",
        "/run/foo/environment: unchanged\n",
        "$ envsync explain -c foo.toml --root ",
        "  from    params: /foo/prod/PHX_HOST (version 1)\n",
        "  shadows defaults: ",
        "  source bucket: given, ",
    ):
        assert shown in done.stdout, shown


def test_the_demo_shows_the_main_job_and_cleans_up(tmp_path):
    assert_it_shows_the_main_job(demo(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_demo_works_for_an_ordinary_user(as_root):
    # In /tmp: a folder of pytest is closed to anybody else.
    done = demo("/tmp", user=65534, group=65534, extra_groups=[])
    assert_it_shows_the_main_job(done)
    assert " nogroup " in done.stdout or " nobody " in done.stdout


def test_the_demo_fails_and_says_so_where_nothing_was_built(tmp_path):
    done = demo(tmp_path, builddir=tmp_path / "nowhere")
    assert done.returncode == 1
    assert "./bootstrap demo" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_and_says_so_where_python_is_missing(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "bin/dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/sh", DEMO], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={"PATH": str(tmp_path / "bin"), "TMPDIR": str(tmp_path / "tmp"),
             "ENVSYNC_BUILDDIR": str(BUILDDIR)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "python3 is missing" in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_demo_leaves_no_process_behind(tmp_path):
    demo(tmp_path)
    commands = [command_of(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [command for command in commands if bytes(tmp_path) in command]


@pytest.mark.parametrize("step", ["check", "--dry-run", "explain", "status"])
def test_the_demo_fails_where_a_step_fails(tmp_path, step):
    (tmp_path / "build").mkdir()
    fake = tmp_path / "build" / "envsync"
    fake.write_text(
        f'#!/bin/sh\ncase " $* " in *" {step} "*) exit 65 ;; esac\nexec "{BUILDDIR}/envsync" "$@"\n'
    )
    fake.chmod(0o755)
    folder = tmp_path / "tmp"
    folder.mkdir()
    done = demo(folder, builddir=tmp_path / "build")
    assert done.returncode == 65
    assert list(folder.iterdir()) == []


def test_the_demo_cleans_up_where_nobody_reads_on(tmp_path):
    # As in `tests/demo | head -1`.
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(tmp_path)}
    subprocess.run(
        ["bash", "-c", '"$0" | head -1', DEMO], env=env | {"ENVSYNC_BUILDDIR": str(BUILDDIR)},
        stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=60 * SLOW,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
