"""The guides of docs/, typed as they stand, on a booted systemd with real apps.

S3, SSM and the metadata service are played by tests/gateway inside of the machine; everything else
is real: releases of Elixir and of rebar3, Erlang, Ruby, Puma.
"""
import json
import os
import shutil
import subprocess
import time
import tomllib

import pytest

from conftest import SLOW, SRCDIR
from guide import follow

pytestmark = pytest.mark.boot

APPS = SRCDIR / "tests" / "apps"
ENDPOINT = "http://127.0.0.1:4566"
ADDRESS = "172.3.3.15"  # what the instance data says


CA = "-----BEGIN CERTIFICATE-----\nsample\n-----END CERTIFICATE-----\n"
PHOENIX = {
    "buckets": {"foo-config": {"region": "us-east-2", "objects": {
        "prod/environment": 'PHX_HOST="www.example.com"\nPHX_SERVER=true\n',
        "prod/config.toml": '[foo."FooWeb.Endpoint"]\nport = 4001\ncheck_origin = ["//a", "//b"]\n',
        "prod/tls/ca.pem": CA,
        "prod/README": "passed over"}}},
    "parameters": {
        "/foo/prod/database_url": {"type": "SecureString", "value": "ecto://foo:it's $ample \\ #1@db/foo"},
        "/foo/prod/secret_key_base": {"type": "SecureString", "value": "sample+" * 9},
        "/foo/prod/erlang_cookie": {"type": "SecureString", "value": "LmCMGNz04yEJ4MQc6jt3cS7QjAppYOw_bQa7NE5hPZJGqL3Yry1jUg=="},
        "/foo/prod/foo/Elixir.Foo.Repo/pool_size/Integer": "15",
        "/foo/prod/foo/Elixir.Foo.Repo/log/Atom": "debug"},
}  # fmt: skip
BILLING = {
    "buckets": {"billing-config": {"region": "us-east-2", "objects": {
        "prod/vm.args": "-name ${NODE_NAME}\n+K true\n",
        "prod/sys.config": '[{billing, [{url, "ecto://billing:${DB_PASSWORD}@${DB_HOST}/billing_prod"}]}].\n',
        "prod/prod.secret.exs": 'import Config\nconfig :billing, key: "it\'s #{1 + 1}"\n'}}},
    "parameters": {
        "/billing/prod/db_host": "db.example.com",
        "/billing/prod/db_password": {"type": "SecureString", "value": "a&b/c#d e"},
        "/billing/prod/erlang_cookie": {"type": "SecureString", "value": "FJQRWZTKOLPDNCAVXSEB"}},
}  # fmt: skip
SHOP = {
    "buckets": {"shop-config": {"region": "us-east-2", "objects": {"prod/tls/db.pem": CA}}},
    "parameters": {
        "/shop/prod/database_url": {"type": "SecureString", "value": "postgres://shop:it's #1 $(id)@db/shop"},
        "/shop/prod/secret_key_base": {"type": "SecureString", "value": "sample+" * 9}},
}  # fmt: skip


def wait_for(look, what):
    """Waits until look() gives something true; gives that."""
    end = time.monotonic() + 20 * SLOW
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come")


def wait_for_file(machine, path):
    look = machine.run("sh", "-c", f"i=0; until [ -e {path} ] || [ $i = 400 ]; do sleep 0.05; i=$((i+1)); done; cat {path}",
                       check=False)  # fmt: skip
    assert look.returncode == 0, f"{path} did not come"
    return look.stdout


@pytest.fixture(scope="module")
def aws(machine):
    """AWS at its own metadata address, on an instance in us-east-2 with a role. Gives what a shell
    and a unit need to find it; that is all which a guide does not say."""
    machine.unpack(SRCDIR / "tests" / "gateway", "/opt/aws/tests/gateway")
    machine.write("/opt/aws/fixtures.json", json.dumps({name: {**PHOENIX[name], **BILLING[name], **SHOP[name]} for name in SHOP}))
    machine.write("/run/cloud-init/instance-data.json",
                  (SRCDIR / "tests/vectors/instance-data/aws.json").read_text())  # fmt: skip
    machine.run("sh", "-c", f"for a in 169.254.169.254 {ADDRESS}; do ip addr add $a/32 dev lo; done")
    machine.unit("aws.service", f"""[Service]
        Environment=PYTHONPATH=/opt/aws PYTHONDONTWRITEBYTECODE=1
        ExecStart=/usr/bin/python3 -m tests.gateway --plain --http 4566 --imds 169.254.169.254:80 \\
            --fixtures /opt/aws/fixtures.json --config '{json.dumps({"region": "us-east-2"})}'
        """)
    machine.start("aws.service")
    wait_for(lambda: machine.run("curl", "-sf", ENDPOINT + "/__requests", check=False).returncode == 0, "AWS")

    def known_to(unit):
        machine.write(f"/etc/systemd/system/{unit}.d/test.conf",
                      f"[Service]\nEnvironment=AWS_ENDPOINT_URL={ENDPOINT}\nTimeoutStopSec=5\n")
        return {"AWS_ENDPOINT_URL": ENDPOINT}

    return known_to


def build(app, command, tmp_path, **env):
    """Builds an app of tests/apps, in a copy; gives the folder."""
    folder = tmp_path / app
    shutil.copytree(APPS / app, folder)
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120 * SLOW,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", **env})  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def phoenix(machine, aws, tmp_path_factory):
    """docs/phoenix.md, with a release in /srv/foo/current."""
    folder = build("phoenix", ["mix", "release", "--quiet", "--path", "release"],
                   tmp_path_factory.mktemp("phoenix"), MIX_ENV="prod")  # fmt: skip
    machine.run("useradd", "--system", "--user-group", "--home-dir", "/srv/foo", "foo")
    machine.unpack(folder / "release", "/srv/foo/current", "root:foo")
    return follow(machine, "docs/phoenix.md", env=aws("foo.service"))


def test_a_release_starts_with_what_s3_ssm_and_cloud_init_say(machine, phoenix):
    seen = json.loads(wait_for_file(machine, "/run/foo/tmp/seen.json"))
    parameters = PHOENIX["parameters"]
    assert seen["node"] == f"foo@{ADDRESS}"
    assert seen["cookie"] == parameters["/foo/prod/erlang_cookie"]["value"]
    assert seen["repo"]["url"] == parameters["/foo/prod/database_url"]["value"]
    # From ssm.json, typed as its names say.
    assert (seen["repo"]["pool_size"], seen["repo"]["log"]) == (15, "debug")
    assert seen["repo"]["ca"] == CA
    assert seen["endpoint"]["host"] == "www.example.com"
    assert seen["environment"]["AWS_REGION"] == "us-east-2"
    assert "FOO_REPO_POOL_SIZE" not in seen["environment"]
    # What the migration printed, which had the environment from envsync exec.
    assert [step.said for step in phoenix if "setpriv" in step.typed] == ["migrated\n"]


def test_what_the_release_reads_is_roots_and_only_its_group_may_read_it(machine, phoenix):
    files = ["/run/foo/environment", "/etc/foo/config.toml", "/etc/foo/ssm.json", "/etc/foo/tls/ca.pem"]
    for path in files:
        assert machine.run("stat", "-c%a %U:%G", path).stdout == b"640 root:foo\n"
    # systemd makes /run/foo, since the app's own directory is in it.
    folders = {"/run/foo": b"755 root:root", "/etc/foo": b"750 root:foo", "/etc/foo/tls": b"750 root:foo"}
    for folder, owned in folders.items():
        assert machine.run("stat", "-c%a %U:%G", folder).stdout.strip() == owned
    config = tomllib.loads(machine.read("/etc/foo/config.toml").decode())
    assert config == {"foo": {"FooWeb.Endpoint": {"port": 4001, "check_origin": ["//a", "//b"]}}}
    assert not machine.run("ls", "/etc/foo/environment", check=False).stdout


@pytest.fixture(scope="module")
def billing(machine, aws, tmp_path_factory):
    """docs/distillery.md, with a release of relx's in /srv/billing/current."""
    if not shutil.which("rebar3"):
        pytest.skip("NOT TESTED: rebar3 is not installed")
    folder = build("relx", ["rebar3", "release"], tmp_path_factory.mktemp("relx"), TERM="dumb")
    machine.run("useradd", "--system", "--user-group", "--home-dir", "/srv/billing", "billing")
    machine.run("mkdir", "-p", "/etc/envsync")
    machine.unpack(folder / "_build/default/rel/billing", "/srv/billing/current", "root:billing")
    return follow(machine, "docs/distillery.md", env=aws("billing.service"))


def test_relx_replaces_variables_in_mirrored_files_and_takes_the_cookie(machine, billing):
    seen = json.loads(wait_for_file(machine, "/run/billing/tmp/seen.json"))
    assert seen == {"node": f"billing@{ADDRESS}", "cookie": "FJQRWZTKOLPDNCAVXSEB",
                    "url": "ecto://billing:a&b/c#d e@db.example.com/billing_prod",
                    "home": "/srv/billing"}  # fmt: skip
    for name, content in BILLING["buckets"]["billing-config"]["objects"].items():
        assert machine.read("/etc/billing/" + name.removeprefix("prod/")).decode() == content
    assert machine.run("stat", "-c%a %U:%G", "/srv/billing/.erlang.cookie").stdout == b"400 billing:billing\n"
    assert billing[-1].said == "true\n"


def test_what_edeliver_reads_beside_relx_has_the_values(machine, billing):
    shell = "set -eu; . /run/billing/profile; exec env -0"
    done = machine.run("setpriv", "--reuid=evil", "--regid=evil", "--groups=billing", "sh", "-c", shell)
    assert b"DB_PASSWORD=a&b/c#d e\0" in done.stdout and b"COOKIE" not in done.stdout.upper()
    read = 'IO.inspect(Config.Reader.read!("/etc/billing/prod.secret.exs"))'
    assert machine.run("elixir", "-e", read).stdout == b'[billing: [key: "it\'s 2"]]\n'


@pytest.fixture(scope="module")
def shop(machine, aws):
    """docs/rails.md, with a Rack app in /srv/shop/current."""
    machine.unpack(APPS / "rack", "/srv/shop/current")
    return follow(machine, "docs/rails.md", env=aws("puma.service"))


def test_puma_is_started_by_its_socket_with_what_ssm_says(machine, shop):
    answers = [json.loads(step.said.splitlines()[-1]) for step in shop if "curl" in step.typed]
    for answer in answers:
        assert answer["environment"]["DATABASE_URL"] == SHOP["parameters"]["/shop/prod/database_url"]["value"]
        assert answer["environment"]["RACK_ENV"] == "production"
    # The restart made a new one.
    assert answers[0]["pid"] != answers[1]["pid"]
    assert "Activated tcp://127.0.0.1:9292" in machine.journal("puma.service")
    assert machine.read("/etc/shop/tls/db.pem").decode() == CA
    # Where a step shows warnings of the unit there are none.
    assert "-- No entries --" in [step.said for step in shop if "-p warning" in step.typed][0]
    assert shop[-1].said == "production\n"


def test_check_finds_nothing_in_the_units_of_the_guides(machine, phoenix, billing, shop):
    for unit in "foo", "billing", "puma":
        done = machine.run("envsync", "check", "--unit", f"{unit}.service", check=False)
        told = (done.stdout + done.stderr).decode()
        assert done.returncode == 0 and f"{unit}.service: fine" in told, told


DIRECT = """
[Unit]
Requires=direct.socket

[Service]
User=shop
SyslogIdentifier=puma
WorkingDirectory=/srv/shop/current
ExecStart=/usr/bin/envsync exec -c /etc/envsync/direct.toml -- /usr/bin/puma -b tcp://127.0.0.1:9393
"""


def test_puma_behind_exec_has_its_socket_and_its_signals(machine, shop):
    machine.write_all({
        "/etc/envsync/direct.toml": 'app = "direct"\ngroup = "shop"\n[[source]]\ntype = "file"\n'
                                    'path = "/srv/shop/shared/defaults.env"\n',
        "/etc/systemd/system/direct.service": DIRECT,
        "/etc/systemd/system/direct.socket": "[Socket]\nListenStream=127.0.0.1:9393\n",
    })  # fmt: skip
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "direct.socket")

    def ask():
        return json.loads(machine.run("curl", "-sS", "http://127.0.0.1:9393/").stdout)

    first = ask()
    main = int(machine.run("systemctl", "show", "--value", "-p", "MainPID", "direct").stdout)
    # Two workers, as WEB_CONCURRENCY says, of the process that systemd has started.
    assert first["parent"] == main and first["environment"]["RACK_ENV"] == "production"
    assert "Activated tcp://127.0.0.1:9393" in machine.journal("direct.service")
    machine.run("systemctl", "kill", "--kill-who=main", "-s", "TTIN", "direct.service")
    wait_for(lambda: "Worker 2 (PID:" in machine.journal("direct.service"), "one worker more")
    machine.run("systemctl", "stop", "direct.service")
    assert "Goodbye!" in machine.journal("direct.service")


def test_after_mix_deploy_the_line_says_what_the_guide_mends(machine, phoenix):
    """The layout that mix_deploy leaves: /etc/foo is the deploy user's, and /run/foo the app's."""
    machine.run("sh", "-c", "systemctl stop foo; rm -rf /run/foo /etc/foo /run/envsync /var/lib/envsync; "
                "install -d -o evil -g foo -m 0750 /etc/foo; install -d -o foo -g foo -m 0750 /run/foo; "
                "install -o evil -g foo -m 0640 /dev/null /etc/foo/environment")  # fmt: skip
    assert machine.start("foo.service", check=False).returncode != 0
    machine.run("systemctl", "stop", "foo.service")
    errors = {text for who, priority, text in machine.entries("foo.service") if who == "envsync" and priority == 3}
    assert len(errors) == 1 and "/etc/foo" in errors.pop()
    follow(machine, "docs/phoenix.md", heading="Coming from mix_deploy")
    assert wait_for_file(machine, "/run/foo/tmp/seen.json")
    assert machine.run("stat", "-c%a %U:%G", "/etc/foo/config.toml").stdout == b"640 root:foo\n"
