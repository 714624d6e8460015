"""The user-data of docs/cloud-init.md, on the first boot of a machine with the real cloud-init.

The machine is a copy on write of this host, so that a package can be installed on it; it is found
in a repository of its own. AWS is tests/gateway and comes up too late on purpose.
"""
import hashlib
import json
import shutil
import subprocess

import pytest

from boot import Machine
from conftest import SRCDIR
from guide import blocks, follow

pytestmark = pytest.mark.boot

ADDRESS = "10.1.2.3"

# What takes time or touches what a namespace does not have, and is not about user-data.
QUIET = """datasource_list: [NoCloud]
network: {config: disabled}
locale: false
ssh_genkeytypes: []
ssh_deletekeys: false
resize_rootfs: false
growpart: {mode: 'off'}
apt: {preserve_sources_list: true}
"""
APP = """#!/bin/sh
cat /proc/self/environ >"$RELEASE_TMP/environ"
exec sleep 1000
"""
LATE = """[Service]
Environment=PYTHONPATH=/opt/aws PYTHONDONTWRITEBYTECODE=1
Type=oneshot
RemainAfterExit=yes
ExecStartPre=/bin/sh -c 'until systemctl -q is-active "foo.service" || pgrep -x envsync; do sleep 0.05; done; sleep 1'
ExecStart=/bin/sh -c '/usr/bin/python3 -m tests.gateway --plain --http 4566 --fixtures /opt/aws/fixtures.json & sleep 0.2'
"""


def repository(folder, tree):
    """A repository for apt with what was installed in `tree` as a package."""
    package = folder / "package"
    shutil.copytree(tree, package, symlinks=True)
    control = "Package: envsync\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n"
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text(control + "Description: envsync\n")
    repo = folder / "repo"
    repo.mkdir()
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", package, repo / "envsync.deb"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    data = (repo / "envsync.deb").read_bytes()
    more = f"Filename: ./envsync.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    (repo / "Packages").write_text(control + more + "Description: envsync\n")
    return repo


@pytest.fixture(scope="module")
def instance(as_root, installed, tmp_path_factory):
    """A machine after its first boot."""
    folder = tmp_path_factory.mktemp("first-boot")
    seed = folder / "nocloud"
    seed.mkdir()
    (user_data,) = [text for language, text in blocks("docs/cloud-init.md") if language == "yaml"]
    (seed / "user-data").write_text(user_data)
    (seed / "meta-data").write_text("instance-id: i-0123\nlocal-hostname: web1\n")
    machine = Machine(folder / "machine", "--rootfs", "/", "--copy", f"{seed}:/var/lib/cloud/seed/nocloud",
                      "--copy", f"{repository(folder, installed)}:/srv/repo")  # fmt: skip
    try:
        prepare(machine)
        machine.run("systemctl", "start", "cloud-init.target")
        yield machine
    finally:
        machine.stop()


def prepare(machine):
    """What the image of a cloud has: the app, where packages are, and a network."""
    parameters = {"/foo/prod/database_url": {"type": "SecureString", "value": "ecto://foo:it's $ample@db/foo"}}
    machine.unpack(SRCDIR / "tests" / "gateway", "/opt/aws/tests/gateway")
    machine.run("sh", "-c", "rm -rf /etc/apt/sources.list* /etc/apt/apt.conf.d/* /etc/cloud/cloud-init.disabled")
    machine.write_all({
        "/etc/apt/sources.list": "deb [trusted=yes] file:/srv/repo ./\n",
        "/etc/apt/apt.conf.d/99-test": 'DPkg::Options {"--no-triggers"; "--force-unsafe-io";};\n',
        "/etc/cloud/cloud.cfg.d/99-test.cfg": QUIET,
        "/opt/aws/fixtures.json": json.dumps({"parameters": parameters}),
        "/etc/systemd/system/aws.service": LATE,
        "/etc/systemd/system/foo.service.d/test.conf":
            "[Service]\nEnvironment=AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=eu-west-1\n"
            "Environment=AWS_ACCESS_KEY_ID=AKIDGATEWAYTEST00001\n"
            "Environment=AWS_SECRET_ACCESS_KEY=gateway/Test+Secret/not+a+real+one/00001\n",
    })  # fmt: skip
    machine.write("/srv/foo/current/bin/foo", APP, mode="0755")
    machine.run("sh", "-c", f"ip addr add {ADDRESS}/24 dev lo; ip route add default dev lo; systemctl daemon-reload; "
                "systemctl start --no-block aws.service")  # fmt: skip


def wait_for_app(machine):
    done = machine.run("sh", "-c", "i=0; until [ -s /run/foo/tmp/environ ] || [ $i = 600 ]; do sleep 0.05; "
                       "i=$((i+1)); done; cat /run/foo/tmp/environ", check=False)  # fmt: skip
    assert done.returncode == 0, machine.journal("foo.service") + machine.run("cat", "/var/log/cloud-init-output.log").stdout.decode()
    return dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0")[:-1])


def test_the_app_is_up_after_the_first_boot_with_all_that_it_needs(instance):
    environment = wait_for_app(instance)
    assert environment["DATABASE_URL"] == "ecto://foo:it's $ample@db/foo"
    assert environment["RELEASE_NODE"] == f"foo@{ADDRESS}"
    assert environment["INSTANCE"] == "i-0123"
    assert instance.run("stat", "-c%a %U:%G", "/run/foo/environment").stdout == b"640 root:foo\n"
    assert instance.run("dpkg-query", "-W", "envsync").stdout == b"envsync\t1\n"
    # It was started before AWS could be reached, and went on trying.
    began, up = (int(instance.run("systemctl", "show", "--value", "-p", what, unit).stdout) for unit, what in
                 [("foo", "InactiveExitTimestampMonotonic"), ("aws", "ActiveEnterTimestampMonotonic")])  # fmt: skip
    assert 0 < began < up
    result = json.loads(instance.read("/run/cloud-init/result.json"))
    assert result["v1"]["errors"] == []


def test_what_the_guide_says_for_looking_shows_it(instance):
    wait_for_app(instance)
    keys = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
    steps = follow(instance, "docs/cloud-init.md", heading="Looking", env=keys)
    assert "status: done" in steps[0].said and "foo: set " in steps[0].said
    told = instance.run("envsync", "check", "--unit", "foo.service").stderr.decode()
    assert "foo.service: fine" in told
    assert "from    cloud-init: /run/cloud-init/instance-data" in steps[1].said
