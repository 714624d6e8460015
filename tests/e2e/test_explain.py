"""explain: which source gives a key, in which version, what it shadows, where it goes."""
import json
import os
import re

import pytest

pytestmark = pytest.mark.valgrind


@pytest.fixture
def three(host):
    host.source("DB_PASSWORD=1\nA=1\n", "one.env", name="one")
    host.source('{\n "db": {"password": 2, "url": 2},\n "A": 2}', "two.json", name="two")
    host.source("A=3\n", "three.env", name="three")
    host.output("env", "/etc/foo/environment")
    host.output("json", "/etc/foo/two.json", from_=["two"])
    return host


def test_the_winner_is_named_with_file_line_and_version_and_the_shadowed_in_order(three):
    lines = three.run("explain", "A").out.splitlines()
    folder = three.scratch.folder
    assert lines[0] == "A"
    version = r"\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)"
    for line, wanted in zip(lines[1:], [
        rf"  from    three: {folder}/three\.env:1 {version}",
        rf"  shadows two: {folder}/two\.json:3 {version}",
        rf"  shadows one: {folder}/one\.env:2 {version}",
        r"  in      /etc/foo/environment as A",
        r"  in      /etc/foo/two\.json as A, there from two",
    ], strict=True):  # fmt: skip
        assert re.fullmatch(wanted, line), lines


def test_a_variable_name_and_a_table_are_keys_too(three):
    by_variable = three.run("explain", "DB_URL").out
    assert by_variable.splitlines()[0] == "db.url"
    below = three.run("explain", "db").out
    assert "db.password\n" in below and "db.url\n" in below


def test_two_keys_with_one_name_are_both_told(three):
    told = three.run("explain", "DB_PASSWORD").out
    assert "db.password\n" in told
    assert re.search(r"not in  /etc/foo/environment: db.password of the later source two", told)


def test_without_a_key_all_are_told_sorted(three):
    told = three.run("explain").out
    assert re.findall(r"^\S+$", told, re.M) == ["A", "DB_PASSWORD", "db.password", "db.url"]


@pytest.mark.parametrize("keys", [["NOWHERE"], ["A", "no.where"], ["a..b"], [""]])
def test_a_key_that_nobody_gives_is_66_and_is_named(three, keys):
    result = three.run("explain", *keys)
    assert result.rc == 66 and result.out == "", str(result)
    assert keys[-1] in result.err


def test_json_has_the_same(three):
    result = json.loads(three.run("explain", "--json", "A").out)
    (key,) = result["keys"]
    assert key["key"] == "A" and key["source"] == "three" and key["line"] == 1
    assert [s["source"] for s in key["shadows"]] == ["two", "one"]
    assert key["outputs"] == [
        {"path": "/etc/foo/environment", "name": "A", "source": "three"},
        {"path": "/etc/foo/two.json", "name": "A", "source": "two"},
    ]  # fmt: skip


def test_rename_and_prefix_are_told_by_the_new_key(host):
    host.source("OLD=1\n", rename={"OLD": "x.new"}, prefix_key="p")
    host.output()
    told = host.run("explain", "p.x.new")
    assert told.rc == 0 and "as P_X_NEW" in told.out, str(told)
    assert host.run("explain", "OLD").rc == 66


def test_an_output_that_cannot_be_made_is_no_reason_not_to_explain(three):
    three.outputs.append("require = ['NOWHERE']\n")
    result = three.run("explain", "A")
    assert result.rc == 0 and "NOWHERE" in result.err and "from    three" in result.out


def test_explain_writes_nothing(three):
    before = sorted(three.scratch.folder.rglob("*"))
    three.run("explain")
    after = sorted(three.scratch.folder.rglob("*"))
    assert [p for p in after if p not in before] in ([], [three.scratch.folder / "envsync.toml"])


@pytest.fixture
def deployed(host):
    """A set that is in its place, and a source that has gone on since."""
    host.write("nested.json", '{"db": {"old": 1, "same": 1, "other": 1}, "gone": 1}')
    host.source(path=host.path("nested.json"), name="nested")
    host.output("json", "/etc/foo/all.json")
    host.ok()
    place = host.write("nested.json", '{"db": {"new": 1, "same": 1, "other": 2}}')
    os.utime(place, (0, 0))  # another version
    return host


def comparison(host, *keys):
    """{key: what stands below it} of `explain --fetch`."""
    result = host.run("explain", "--root", host.root, "--fetch", *keys)
    assert result.rc == 0, str(result)
    found = {}
    for line in result.out.splitlines():
        if not line.startswith(" "):
            key = line
            found[key] = ""
        elif line.startswith(("  deployed", "  not deployed")):
            found[key] = re.sub(", from .*", "", line.strip())
    return found


def test_fetch_beside_a_deployed_set_compares_both(deployed):
    told = {
        "db.new": "not deployed yet",
        "db.other": "deployed with another value",
        "db.same": "deployed with the same value",
        "db.old": "deployed, but no source gives it any more",
        "gone": "deployed, but no source gives it any more",
    }
    assert comparison(deployed) == told
    assert comparison(deployed, "db") == {key: what for key, what in told.items() if key != "gone"}
    assert comparison(deployed, "db.new") == {"db.new": told["db.new"]}
    found = json.loads(deployed.run("explain", "--root", deployed.root, "--fetch", "--json").out)
    assert {key["key"]: key["deployed"] for key in found["keys"]} | {
        key["key"]: told["gone"] for key in found["gone"]} == told  # fmt: skip


@pytest.mark.parametrize("key", ["gone", "db.old"])
def test_a_key_that_is_deployed_and_given_no_more_is_66_and_told_so(deployed, key):
    line = deployed.fails(66, key, "the set that is deployed has it still",
                          run=["explain", "--root", deployed.root, "--fetch", key])  # fmt: skip
    assert "skipped" not in str(line)
    assert deployed.run("explain", "--root", deployed.root, key).rc == 0, "the last set answers"
