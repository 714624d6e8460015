"""The one JSON object of --json: what it has, on success and on failure. Programs rely on it."""
import json

import pytest

FIELDS = {"result": str, "dry_run": bool, "app": str, "exit": int, "sources": list,
          "outputs": list, "files": list, "kept": list, "stale": list, "errors": list,
          "on_change": str, "actions": list,
          "warnings": list}  # fmt: skip


def read(result):
    """Exactly one object on one line, with the fields of a run."""
    assert result.out.count("\n") == 1, str(result)
    found = json.loads(result.out)
    assert set(found) - {"app"} == set(FIELDS) - {"app"}
    for key, value in found.items():
        assert type(value) is FIELDS[key], key
    assert found["exit"] == result.rc
    for source in found["sources"]:
        assert set(source) == {"name", "type", "state"}
    for output in found["outputs"]:
        assert set(output) == {"path", "format", "state", "changes"}
        for change in output["changes"]:
            assert change["change"] in "+~-" and change["key"]
            assert ("source" in change) == (change["change"] != "-")
    return found


@pytest.fixture
def plain(host):
    host.source("A=1\nB=1\n")
    host.source(file="nowhere.env", name="extra", optional=True)
    host.place = host.output()
    return host


def test_a_first_run(plain):
    found = read(plain.sync("--json"))
    assert found["result"] == "changed" and found["app"] == "foo" and not found["dry_run"]
    assert found["sources"] == [{"name": "file", "type": "file", "state": "given"},
                                {"name": "extra", "type": "file", "state": "absent"}]  # fmt: skip
    assert found["outputs"] == [{
        "path": "/etc/foo/environment", "format": "env", "state": "created",
        "changes": [{"change": "+", "key": key, "source": "file"} for key in "AB"],
    }]  # fmt: skip
    assert found["stale"] == found["kept"] == found["errors"] == []


def test_an_unchanged_run(plain):
    plain.ok()
    found = read(plain.sync("--json"))
    assert found["result"] == "unchanged"
    assert [o["state"] for o in found["outputs"]] == ["unchanged"]


def test_an_update_and_a_repair(plain):
    plain.ok()
    plain.place.chmod(0o600)
    assert read(plain.sync("--json"))["outputs"][0]["state"] == "repaired"
    plain.write("source.env", "A=2\nC=1\n")
    (output,) = read(plain.sync("--json"))["outputs"]
    assert output["state"] == "updated"
    marks = {(change["change"], change["key"]) for change in output["changes"]}
    assert marks == {("~", "A"), ("-", "B"), ("+", "C")}


def test_a_dry_run_and_its_exit_code(plain):
    found = read(plain.sync("--json", "--dry-run", "--exit-code"))
    assert found["dry_run"] and found["exit"] == 1 and found["result"] == "changed"
    assert found["outputs"][0]["state"] == "created"
    assert not plain.place.exists()


@pytest.mark.parametrize("code, kind, breakage", [
    (65, "invalid", lambda h: h.source("A='CANARY", "bad.env", name="bad")),
    (66, "absent", lambda h: h.source(path="/nowhere.env", name="bad")),
    (73, "output", lambda h: h.place.mkdir(parents=True)),
    (78, "config", lambda h: h.top.update(group="nosuchgroup")),
    (77, "denied", lambda h: (h.place.parent.mkdir(parents=True), h.place.parent.chmod(0o777))),
])  # fmt: skip
def test_a_failure_has_class_and_message_and_the_same_line_on_stderr(plain, code, kind, breakage):
    breakage(plain)
    result = plain.sync("--json")
    assert result.rc == code, str(result)
    found = read(result)
    assert found["result"] == "failed"
    (error,) = found["errors"]
    assert set(error) == {"class", "message"} and error["class"] == kind
    assert f"error: {error['message']}\n" in result.err
    assert "CANARY" not in result.out


def test_warnings_are_in_it(plain):
    plain.outputs[0] += "types = { NOWHERE = 'integer' }\n"
    (warning,) = read(plain.sync("--json"))["warnings"]
    assert "NOWHERE" in warning["message"]


def test_names_that_are_no_unicode_or_have_controls_are_escaped(plain):
    plain.source("x", b"bad\xff\x1b.env".decode(errors="surrogateescape"), name="bad")
    result = plain.sync("--json", "-v")
    assert "\x1b" not in result.out + result.err
    read(result)


def test_a_full_stdout_is_no_success(plain):
    with open("/dev/full", "w") as full:
        import subprocess

        done = subprocess.run([*plain.envsync.command, "-c", plain.file, "--root", plain.root,
                               "--json"], stdout=full, stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert done.returncode == 73 and "stdout" in done.stderr
