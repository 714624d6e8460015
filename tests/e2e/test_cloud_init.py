"""The cloud-init source through the whole program. What a fact is on which cloud is tested fact by
fact in tests/unit/test_facts.c; here each vector goes its whole way into an env file."""
import json
import os
import shutil
import subprocess
import time

import pytest

from conftest import SRCDIR

VECTORS = SRCDIR / "tests/vectors/instance-data"
FACTS = {"ID": "instance_id", "HOST": "hostname", "CLOUD": "cloud", "REGION": "region:-none",
         "ZONE": "zone:-none", "PUBLIC": "public_ipv4:-none"}  # fmt: skip


@pytest.fixture
def cloud(host):
    """Gives a function that makes a cloud-init source of a vector, or of data."""

    def make(data, **keys):
        path = host.path("cloud/instance-data.json")
        if isinstance(data, str):
            shutil.copy(VECTORS / f"{data}.json", path)
            twin = VECTORS / f"{data}-sensitive.json"
            if twin.exists():
                shutil.copy(twin, path.with_name("instance-data-sensitive.json"))
        elif data is not None:
            path.write_text(json.dumps(data))
        host.source(type="cloud-init", path=path, keys={k: v for k, v in keys.items()})
        host.data = path
        return host

    return make


def read(host):
    place = host.output("json", "/etc/foo/facts.json")
    host.ok()
    return json.loads(place.read_text())


# instance_id, hostname, cloud, region, zone, public_ipv4 of each
CLOUDS = ["aws", "azure", "configdrive", "digitalocean", "gce", "hetzner", "nocloud", "openstack",
          "oracle"]  # fmt: skip


@pytest.mark.parametrize("name", CLOUDS)
def test_the_facts_of_nine_clouds(cloud, name):
    data = json.loads((VECTORS / f"{name}.json").read_text())
    found = read(cloud(name, **{key: "${%s}" % fact for key, fact in FACTS.items()}))
    assert found["CLOUD"] in (data["v1"]["cloud_name"], data["v1"]["platform"])
    assert found["ID"] == data["v1"]["instance_id"] or name == "azure"
    assert found["HOST"] and "." not in found["HOST"]
    assert found["REGION"] and found["ZONE"]


def test_the_readme_example_on_digitalocean(cloud):
    found = read(cloud(
        "digitalocean", RELEASE_DISTRIBUTION="name", RELEASE_NODE="foo@${primary_ipv4}",
        ANCHOR_IP="${ds.meta_data.interfaces.public[0].anchor_ipv4.ip_address:-none}",
        TAG="${tags.role:-no tag}",
    ))  # fmt: skip
    data = json.loads((VECTORS / "digitalocean.json").read_text())["ds"]["meta_data"]
    private = data["interfaces"]["private"][0]["ipv4"]["ip_address"]
    assert found["RELEASE_DISTRIBUTION"] == "name" and found["RELEASE_NODE"] == f"foo@{private}"
    assert found["TAG"] == "no tag" and found["ANCHOR_IP"]


def test_hyphens_and_underscores_both_find_a_path(cloud):
    found = read(cloud("aws", A="${ds.meta_data.instance_id}", B="${ds.meta-data.instance-id}"))
    assert found["A"] == found["B"] != ""


def test_keys_stay_as_they_are_written_in_an_env_output(cloud):
    host = cloud("aws", mixed_Case="x", REGION="${region}")
    place = host.output()
    host.ok()
    assert [line.split("=")[0] for line in place.read_text().splitlines()] == ["REGION",
                                                                               "mixed_Case"]  # fmt: skip


@pytest.mark.parametrize("value", [None, "missing"])
def test_a_path_that_is_missing_or_null_and_has_no_default_is_65(cloud, value):
    data = {"v1": {"cloud_name": "aws"}, "ds": {"here": None} if value is None else {}}
    host = cloud(data, NODE="${ds.here}")
    place = host.output()
    host.fails(65, "NODE", "ds.here", ":-")
    assert not place.exists()


def test_a_null_never_becomes_text(cloud):
    host = cloud({"v1": {"cloud_name": "x", "region": None}}, A="${region:-}", B="${v1.region:-d}")
    assert read(host) == {"A": "", "B": "d"}


def test_a_redacted_value_is_77_and_told(cloud):
    host = cloud({"v1": {}, "ds": {"user_data": "redacted for non-root user"}},
                 A="${ds.user_data:-default}")  # fmt: skip
    host.output()
    host.fails(77, "A", "ds.user_data")


def test_the_sensitive_twin_is_used_where_it_may_be_read(cloud):
    host = cloud("redacted", A="${merged_system_cfg.secret:-none}")
    host.data.with_name("instance-data-sensitive.json").chmod(0o600)
    redacted = json.loads((VECTORS / "redacted.json").read_text())
    whole = json.loads((VECTORS / "redacted-sensitive.json").read_text())
    path = next(k for k, v in redacted["ds"].items() if v == "redacted for non-root user")
    host.sources.clear()
    host.source(type="cloud-init", path=host.data, keys={"A": "${ds.%s}" % path})
    value = read(host)["A"]
    wanted = whole["ds"][path]
    assert value == wanted if isinstance(wanted, str) else value


def test_explain_names_the_file_that_was_read(cloud):
    host = cloud("aws", A="${region}")
    host.output()
    assert str(host.data) in host.run("explain", "A").out


def test_the_twin_that_may_not_be_read_is_left_out(guest):
    data = {"v1": {"cloud_name": "x"}, "ds": {"a": "public"}}
    path = guest.write("cloud/instance-data.json", json.dumps(data))
    guest.write("cloud/instance-data-sensitive.json", "{}", mode=0o600)
    guest.source(type="cloud-init", path=path, keys={"A": "${ds.a}"})
    guest.output()
    result = guest.sync("--dry-run")
    assert result.rc == 0 and "+ A" in result.out, str(result)


def test_absent_data_is_66_and_says_that_cloud_init_is_not_running(cloud):
    host = cloud(None, A="x")
    place = host.output()
    begin = time.monotonic()
    host.fails(66, host.data, "cloud-init is not running")
    assert time.monotonic() - begin < 5 and not place.exists()


def test_absent_data_of_an_optional_source_is_fine(cloud):
    host = cloud(None, A="x")
    host.sources[0] += "optional = true\n"
    host.source("B=1\n")
    assert read(host) == {"B": "1"}


def test_data_that_is_absent_for_good_is_not_waited_for(cloud):
    """cloud-init is through (result.json) and has left none."""
    host = cloud(None, A="x")
    for name in "status.json", "result.json":
        host.data.with_name(name).write_text("{}")
    host.output()
    host.fails(66, host.data)


def test_a_running_cloud_init_is_waited_for(cloud):
    host = cloud(None, A="${region}")
    host.data.with_name("status.json").write_text("{}")
    place = host.output()
    command = [*host.envsync.command, "-c", host.file, "--root", host.root]
    run = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert b"waiting for cloud-init" in run.stderr.readline()
    temp = host.data.with_name("tmp")
    temp.write_text(json.dumps({"v1": {"region": "eu-west-1"}}))
    os.rename(temp, host.data)
    assert run.wait(10) == 0
    run.stderr.close()
    assert place.read_text() == "A=eu-west-1\n"


def test_a_cloud_init_that_runs_on_until_the_deadline_is_69(cloud):
    host = cloud(None, A="x")
    host.data.with_name("status.json").write_text("{}")
    place = host.output()
    begin = time.monotonic()
    host.fails(69, "cloud-init is still running", "deadline",
               run=["sync", "--root", host.root, "--deadline", "400ms"])  # fmt: skip
    assert 0.4 <= time.monotonic() - begin < 5 and not place.exists()


def test_skip_leaves_an_existing_output_as_it_is_and_makes_a_missing_one_without_it(cloud):
    host = cloud(None, A="x")
    host.sources[0] += 'on_unavailable = "skip"\n'
    host.source("B=1\n")
    host.data.with_name("status.json").write_text("{}")
    old = host.output("env", "/etc/foo/old")
    new = host.output("env", "/etc/foo/new")
    old.parent.mkdir(parents=True)
    old.write_text("A=live\nB=0\n")
    before = old.stat()
    result = host.ok("--deadline", "200ms", "--json")
    assert json.loads(result.out)["kept"] == ["/etc/foo/old"]
    assert "skipped" in result.err
    assert old.read_text() == "A=live\nB=0\n" and old.stat().st_ctime_ns == before.st_ctime_ns
    assert new.read_text() == "B=1\n"


BAD = {
    "not JSON": "{", "an array": "[]", "empty": "", "a key twice": '{"v1": {}, "v1": {}}',
    "too deep": '{"a":' * 200 + "1" + "}" * 200, "not UTF-8": b'{"a": "\xff"}',
    "binary": b"\x7fELF\0\0\0", "huge": b'{"a": "' + b"x" * (8 << 20) + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_instance_data_is_65_and_names_the_file(cloud, what):
    host = cloud({}, A="x")
    content = BAD[what]
    host.data.write_bytes(content.encode() if isinstance(content, str) else content)
    place = host.output()
    place.parent.mkdir(parents=True)
    place.write_text("OLD=1\n")
    host.fails(65, host.data)
    assert place.read_text() == "OLD=1\n"


def test_an_address_that_is_none_is_65(cloud):
    host = cloud({"v1": {"cloud_name": "digitalocean"}, "ds": {"meta_data": {"interfaces": {
        "private": [{"ipv4": {"ip_address": "CANARY; rm -rf /"}}]}}}}, A="${primary_ipv4}")  # fmt: skip
    host.output()
    result = host.fails(65, "primary_ipv4")
    assert "CANARY" not in result.err
