"""tests/demo, which `./bootstrap demo` ends with: what a newcomer sees first."""
import os
import subprocess

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


def assert_it_shows_the_main_job(done):
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    for shown in (
        "$ envsync check -c foo.toml\n",
        "  + DATABASE_URL  (secrets)\n",
        "/run/foo/environment: created (7 keys)\n",
        "\n-rw-r----- 1 ",
        "RELEASE_NODE=foo@192.0.2.17\n",
        "/run/foo/environment: unchanged\n",
        "$ envsync explain -c foo.toml PHX_HOST\n",
        "  shadows defaults: ",
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


@pytest.mark.parametrize("step", ["check", "--dry-run", "explain"])
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
