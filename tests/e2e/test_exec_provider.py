"""type = "exec": a program gives the keys, as nobody that matters, bounded in time, output and environment."""
import json
import time

import pytest


@pytest.fixture
def program(host):
    """Runs `envsync sync` with this shell script as its one source; gives (result, the json output or None)."""

    def run(script, env=None, deadline="10s", **options):
        command = ["/bin/sh", "-c", script, "sh", "one argument"]
        host.source(type="exec", name="vault", command=command, **options)
        written = host.output("json", "/etc/foo/all.json")
        result = host.sync("--deadline", deadline, env=env)
        return result, json.loads(written.read_text()) if written.exists() else None

    return run


def test_a_json_object_becomes_keys_and_arguments_arrive_whole(program):
    result, found = program("""printf '{"a": {"b": "%s", "n": 1.0}}' "$1" """)
    assert result.rc == 0 and found == {"a": {"b": "one argument", "n": 1.0}}, result


def test_it_gets_no_variable_that_is_not_named(program):
    result, found = program("""printf '{"given": "%s", "other": "%s"}' "$GIVEN" "$OTHER" """,
                            env={"GIVEN": "1", "OTHER": "2"}, environment=["GIVEN"])  # fmt: skip
    assert result.rc == 0 and found == {"given": "1", "other": ""}, result


def test_it_is_never_root(program):
    result, found = program("""printf '{"uid": %s}' "$(id -u)" """)
    assert result.rc == 0 and found["uid"] != 0, result


def test_one_that_fails_gives_nothing_whatever_it_printed(program):
    result, found = program("""printf '{"a": "CANARY"}'; exit 3""")
    assert result.rc == 65 and found is None and "exit status 3" in result.err, result
    assert "CANARY" not in result.err


def test_one_that_prints_too_much_is_65_at_once_and_no_outage(program):
    start = time.monotonic()
    result, found = program("exec head -c 20000000 /dev/zero", on_unavailable="skip")
    assert result.rc == 65 and found is None and "more than 1 MiB" in result.err, result
    assert time.monotonic() - start < 8


def test_one_that_takes_too_long_is_69(program):
    result, found = program("sleep 60", timeout="300ms")
    assert result.rc == 69 and found is None and "300 ms" in result.err, result
