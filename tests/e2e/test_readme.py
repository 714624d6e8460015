"""The tour of README.md, typed in as it is written there, on a host that is thrown away."""
import re
import subprocess

import pytest

from conftest import BUILDDIR, SRCDIR
from guide import blocks

pytestmark = pytest.mark.boot  # needs namespaces, like a booted systemd

README = (SRCDIR / "README.md").read_text()

# A host of its own: /etc is a copy on write, what else the tour writes to is empty.
HOST = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/bin"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
mount -t tmpfs -o mode=755 tmpfs /srv
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
ln -s "$2/envsync" "$1/bin/envsync"
userdel foo 2>/dev/null || :
PATH=$1/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
"""


def tour():
    """Its commands and its configuration as one script, in the order in which they stand."""
    start, end = README.index("## Five minutes"), README.index("## The same with S3 and SSM")
    for language, text in re.findall(r"```(sh|toml)\n(.*?)```", README[start:end], re.DOTALL):
        if language == "toml":
            text = f"cat >/etc/envsync/foo.toml <<'THE_CONFIGURATION'\n{text}THE_CONFIGURATION\n"
        yield text


def on_a_host(folder, script):
    command = ["unshare", "--mount", "sh", "-c", HOST + script, "sh", folder, BUILDDIR]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_command_of_the_tour_works_as_it_is_written(as_root, tmp_path):
    said = on_a_host(tmp_path, "\n".join(tour()))
    assert "/etc/envsync/foo.toml: fine (4 sources, 2 outputs)" in said
    assert re.search(r"^-rw-r----- 1 root foo .* /run/foo/environment$", said, re.MULTILINE)
    assert re.search(r"^-rw-r----- 1 root foo .* /etc/foo/config.toml$", said, re.MULTILINE)
    assert re.search(r"^foo: set [0-9a-f]{16}, last success .* \(\d+ s ago\)$", said, re.MULTILINE)
    # The last command shows the environment that a task of the app gets.
    assert "\nPHX_HOST=www.example.com\n" in said
    assert "\nPORT=4000\n" in said


def test_what_explain_says_is_what_the_tour_shows(as_root, tmp_path):
    shown = re.search(r"```\n(PHX_HOST\n.*?)```", README, re.DOTALL)[1]
    said = on_a_host(tmp_path, "\n".join(tour()))
    time = re.compile(r"\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)")
    assert time.sub("(TIME)", shown) in time.sub("(TIME)", said)


def test_what_replaces_mix_deploys_scripts_is_in_the_guides_that_are_followed():
    followed = "".join(text for guide in ("phoenix", "distillery") for _, text in blocks(f"docs/{guide}.md"))
    table = re.search(r"\n\| script \|.*?\n\n", README, re.DOTALL)[0]
    shown = re.findall(r"`([\w ]+ = [^`]+)`", table)
    assert len(shown) >= 8
    for line in shown:
        assert f"\n{line}" in followed, line
