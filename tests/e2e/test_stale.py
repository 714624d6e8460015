"""What a run serves of an earlier one: fresh_for, last-good and skip."""
import json

import pytest

from conftest import in_namespace
from keeping import HOUR, add, age, changed, down, plain, program, stale, vault

# ---- fresh_for ----


def test_a_fresh_set_is_published_without_fetching_and_fresh_fetches(plain):
    plain.top["fresh_for"] = "1h"
    plain.ok()
    plain.path("source.env").unlink()
    plain.place.unlink()
    result = plain.ok("--json")
    assert json.loads(result.out)["result"] == "fresh"
    assert [output["state"] for output in json.loads(result.out)["outputs"]] == ["restored"]
    assert plain.place.read_text() == "A=1\n"
    assert plain.sync("--fresh").rc == 66
    changed(plain)
    plain.ok()
    assert plain.place.read_text() == "A=1\n"
    plain.ok("--fresh")
    assert plain.place.read_text() == "A=2\n"


@pytest.mark.parametrize("why", ["old", "future", "source", "output", "removed"])
def test_a_set_that_is_old_of_the_future_or_of_another_configuration_is_not_fresh(plain, why):
    plain.top["fresh_for"] = "1h"
    other = plain.output("json", "/etc/foo/all.json")
    plain.ok()
    changed(plain)
    if why in ("old", "future"):
        age(plain.root / "var/lib/envsync/foo/current", 2 * HOUR if why == "old" else -HOUR)
    elif why == "source":
        plain.source("B=1\n", "b.env", name="b")
    elif why == "output":
        plain.output("toml", "/etc/foo/all.toml")
    else:
        plain.outputs.pop()
        other.unlink()
    plain.ok()
    assert "A=2\n" in plain.place.read_text()


def test_a_set_with_a_skipped_source_is_not_fresh(vault):
    vault.top["fresh_for"] = "1h"
    down(vault)
    vault.source(**vault.exec, on_unavailable="skip")
    vault.ok()
    changed(vault)
    vault.status.write_text("0")
    vault.answer.write_text('{"V": "2"}')
    vault.ok()
    assert json.loads(vault.other.read_text()) == {"V": "2"}

# ---- last-good ----


@pytest.mark.parametrize("status", [69, 75])
def test_last_good_serves_an_unavailable_source_and_the_others_are_fetched(vault, status):
    add(vault, on_unavailable="last-good")
    age(vault.stored()["source-1"], HOUR)
    changed(vault)
    down(vault, status)
    result = vault.ok("--json")
    (entry,), states = stale(result)
    assert entry["source"] == "vault" and HOUR <= entry["age"] < HOUR + 60
    assert states == {"file": "given", "vault": "stale"}
    assert "vault" in result.err and "60 min old" in result.err
    assert vault.place.read_text() == "A=2\nV=1\n"
    found = json.loads(vault.run("status", "--root", vault.root, "--json").out)
    assert not found["complete"] and found["sources"][1]["stale"]
    assert found["sources"][1]["age"] >= HOUR


def test_a_stale_source_does_not_grow_young(vault):
    """However many runs are served, its age counts from the last time that it was fetched."""
    vault.top["last_good"] = {"max_age": "2h"}
    add(vault, on_unavailable="last-good")
    age(vault.stored()["source-1"], HOUR)
    down(vault)
    for i in range(3):
        changed(vault, f"A={i}\n")
        (entry,), _ = stale(vault.ok("--json"))
        assert entry["age"] >= HOUR
    age(vault.stored()["source-1"], 3 * HOUR)
    vault.fails(69, "vault", "69")


@pytest.mark.parametrize("status, code", [(66, 66), (77, 77), (1, 65), (65, 65)])
def test_last_good_never_follows_another_failure(vault, status, code):
    add(vault, on_unavailable="last-good")
    before = vault.state()
    changed(vault)
    down(vault, status)
    vault.fails(code, "source vault")
    assert vault.state() == before


def test_last_good_without_a_set_is_69(vault):
    down(vault)
    vault.source(**vault.exec, on_unavailable="last-good")
    vault.fails(69, "source vault", "no last good values of it are kept")


@pytest.mark.parametrize("seconds", [73 * HOUR, -HOUR])
def test_last_good_that_is_too_old_or_of_the_future_does_not_count(vault, seconds):
    """A time in the future says that a clock was wrong: nobody knows how old it is."""
    add(vault, on_unavailable="last-good")
    age(vault.stored()["source-1"], seconds)
    down(vault)
    vault.fails(69, "source vault", "3 days old, over max_age" if seconds > 0 else "a time in the future")
    told = vault.run("status", "--root", vault.root).out
    (line,) = [line for line in told.splitlines() if "source vault" in line]
    assert "no last good" in line and (" s old" if seconds > 0 else "time in the future") in line, line
    assert " -" not in line.split(", ")[1]
    (source,) = json.loads(vault.run("status", "--root", vault.root, "--json").out)["sources"][1:]
    assert source["last_good"] is False and source.get("age", 0) >= 0
    age(vault.stored()["source-1"], 71 * HOUR)
    vault.ok()


def test_max_age_is_what_the_configuration_says(vault):
    vault.top["last_good"] = {"max_age": "10m"}
    add(vault, on_unavailable="last-good")
    down(vault)
    age(vault.stored()["source-1"], 9 * 60)
    vault.ok()
    age(vault.stored()["source-1"], 11 * 60)
    vault.fails(69, "source vault")


def test_last_good_of_other_options_does_not_count(vault):
    add(vault, on_unavailable="last-good")
    down(vault)
    vault.sources.pop()
    vault.exec["command"].append("another secret")
    vault.source(**vault.exec, on_unavailable="last-good")
    vault.fails(69, "source vault", "of another address")


def test_last_good_while_cloud_init_is_still_running(plain):
    data = plain.write("cloud/instance-data.json", '{"v1": {"region": "eu-west-1"}}')
    plain.source(type="cloud-init", path=data, keys={"R": "${region}"}, on_unavailable="last-good")
    plain.ok()
    data.unlink()
    data.with_name("status.json").write_text("{}")
    changed(plain)
    (entry,), _ = stale(plain.ok("--json", "--deadline", "1s"))
    assert entry["source"] == "cloud-init"
    assert plain.place.read_text() == "A=2\nR=eu-west-1\n"


def test_last_good_of_another_machine_does_not_count(as_root, vault):
    """An image that was baked with a set in it."""
    add(vault, on_unavailable="last-good")
    down(vault)
    script = """mkdir -p "$1"; printf '%032d\\n' 7 >"$1/machine-id"
        touch /etc/machine-id; mount --bind "$1/machine-id" /etc/machine-id; shift; exec "$@" """
    done = in_namespace(script, vault.path("machine/x").parent, *vault.envsync.command, "-c",
                        vault.file, "--root", vault.root)  # fmt: skip
    assert done.returncode == 69 and "vault" in done.stderr, done


def test_status_of_a_source_without_versions_ends_with_its_object(vault):
    add(vault)
    vault.ok()
    told = vault.run("status", "--root", vault.root)
    assert f", {vault.script}\n" in told.out, told
    told = json.loads(vault.run("status", "--root", vault.root, "--json").out)
    assert [s["version"] for s in told["sources"] if s["name"] == "vault"] == [str(vault.script)]

# ---- skip ----


def test_skip_keeps_an_output_that_is_there_and_makes_one_that_is_not(vault):
    add(vault, on_unavailable="skip")
    lone = vault.output("toml", "/etc/foo/new.toml")
    mine = vault.output("env", "/etc/foo/mine", from_=["file"])
    before = {path: path.read_bytes() for path in (vault.place, vault.other)}
    changed(vault)
    down(vault)
    result = vault.ok("--json")
    found = json.loads(result.out)
    assert sorted(found["kept"]) == ["/etc/foo/environment", "/run/foo/vault.json"]
    assert {path: path.read_bytes() for path in before} == before
    assert lone.read_text().strip() == 'A = "2"' and mine.read_text() == "A=2\n"
    assert {o["path"]: o["state"] for o in found["outputs"]}["/etc/foo/environment"] == "kept"
    assert {s["name"]: s["state"] for s in found["sources"]}["vault"] == "skipped"
    assert "skipped" in result.err
    vault.place.chmod(0o600)
    vault.place.write_text("edited")
    vault.ok()
    assert vault.place.read_bytes() == before[vault.place], "the last set is put back all the same"
    vault.status.write_text("0")
    vault.answer.write_text('{"V": "3"}')
    vault.ok()
    assert vault.place.read_text() == "A=2\nV=3\n"


def test_explain_says_that_a_skipped_source_left_an_output_as_it_was(vault):
    add(vault, on_unavailable="skip")
    down(vault)
    vault.ok()
    for options in [], ["--fetch"]:
        vault.fails(66, "no source gives the key V; source vault was skipped", "kept as it was",
                    run=["explain", "--root", vault.root, *options, "V"])  # fmt: skip
    assert vault.run("explain", "--root", vault.root, "A").rc == 0


def test_exec_gives_what_a_skipped_source_left_in_the_output(as_root, plain):
    script, answer, status = program(plain)
    plain.outputs.clear()
    plain.output("env", "/run/foo/environment")
    plain.source(type="exec", name="vault", command=[str(script)], on_unavailable="skip")
    show = """envsync=$1 file=$2 answer=$3 status=$4
        gives() { "$envsync" exec -c "$file" -- sh -c 'echo "$A ${V-unset}"'; }
        "$envsync" -c "$file"
        echo 69 >"$status"; : >"$answer"
        gives
        "$envsync" -c "$file"
        gives
        rm -r /run/envsync
        gives"""
    done = in_namespace(show, *plain.envsync.command[-1:], plain.file, answer, status)
    assert done.returncode == 0 and done.stdout == "1 1\n1 1\n1 unset\n", done
    assert "the command gets what the last set has of /run/foo/environment" in done.stderr
