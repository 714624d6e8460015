"""The exec provider: a program's answer as a source. What docs/exec.md promises."""
import json
import os
import pwd
import time

import pytest

from keeping import open_to_all


@pytest.fixture
def source(host):
    """Writes the program and the source that runs it; gives the place of the output."""
    host.place = host.output("json", "/etc/foo/all.json")

    def write(script, *words, **options):
        path = host.write("program", "#!/bin/sh\n" + script + "\n", 0o755)
        open_to_all(host.scratch.folder)
        host.source(type="exec", name="vault", command=[str(path), *words], **options)
        return host

    return write


def read(host):
    return json.loads(host.place.read_text())


def test_the_members_of_the_object_are_keys(source):
    host = source("""echo '{"db": {"password": "x y", "port": 5432}, "LIST": [1, true]}'""")
    host.ok()
    assert read(host) == {"db": {"password": "x y", "port": 5432}, "LIST": [1, True]}
    host.outputs.clear()
    place = host.output()
    host.ok()
    assert place.read_text() == "DB_PASSWORD='x y'\nDB_PORT=5432\nLIST='[1,true]'\n"


STATUS = {0: 0, 66: 66, 69: 69, 75: 69, 77: 77, 65: 65, 64: 65, 70: 65, 73: 65, 78: 65, 126: 65,
          127: 65, 1: 65, 2: 65, 128: 65, 255: 65}  # fmt: skip


@pytest.mark.parametrize("status", STATUS)
def test_the_exit_status_decides_whatever_was_printed(source, status):
    host = source(f"""echo '{{"A": "CANARY"}}'; exit {status}""")
    if status == 0:
        host.ok()
        return
    result = host.fails(STATUS[status], "source vault", "program", str(status))
    assert not host.place.exists() and "CANARY" not in result.err


@pytest.mark.parametrize("status", [s for s in STATUS if s != 0])
def test_the_exit_status_decides_also_where_nothing_or_nonsense_was_printed(source, status):
    host = source(f"echo nonsense; exit {status}")
    host.fails(STATUS[status], "source vault", str(status))


def test_a_signal_is_65_and_is_named(source):
    source("kill -SEGV $$").fails(65, "source vault", "signal 11")


@pytest.mark.parametrize("status", [66, 69, 77, 1])
def test_optional_forgives_only_what_is_not_there(source, status):
    host = source(f"exit {status}", optional=True)
    host.source("A=1\n")
    if status == 66:
        host.ok()
        assert read(host) == {"A": "1"}
    else:
        assert host.sync().rc == STATUS[status]


@pytest.mark.parametrize("text, words", [
    ("", "printed nothing"), ("\n", "printed nothing"), ("[1]", ""), ('"x"', ""), ('{"A": 1', ""), ('{"A": null}', "null"),
    ('{"A": "CANARY", "A": 2}', "1:19"), ("A=1", ""), ('{"A": 1} CANARY', ""),
])  # fmt: skip
def test_what_is_no_good_object_is_65_and_no_value_is_told(source, text, words):
    host = source(f"printf '%s' '{text}'")
    result = host.fails(65, "source vault", words)
    assert "CANARY" not in result.err and not host.place.exists()


def test_an_empty_object_is_a_source_without_keys(source):
    host = source("echo '{}'")
    host.ok()
    assert read(host) == {}


def test_more_than_a_document_may_have_is_65_and_the_program_is_not_waited_for(source):
    host = source("""printf '{"A": "'; yes | tr -d '\\n'""", timeout="30s")
    begin = time.monotonic()
    host.fails(65, "source vault", "1 MiB", run=["sync", "--root", host.root, "--deadline", "20s"])
    assert time.monotonic() - begin < 15


def test_there_is_no_shell_between_and_words_stay_words(source):
    host = source("""printf '{"A": "%s|%s|%s"}' "$#" "$1" "$2" """, "$HOME; exit 1", "two words")
    host.ok()
    assert read(host) == {"A": "2|$HOME; exit 1|two words"}


def test_its_environment_is_a_path_and_what_is_named(source):
    host = source("""printf '{"A": "%s"}' "$(/usr/bin/env | grep -v ^PWD= | sort | tr '\\n' ' ')" """,
                  environment=["VAULT_ADDR", "UNSET"])  # fmt: skip
    env = {"VAULT_ADDR": "https://x", "SECRET": "CANARY", "HOME": "/root", "LD_PRELOAD": ""}
    host.ok(env=env)
    assert read(host)["A"].split() == ["PATH=/usr/bin:/bin", "VAULT_ADDR=https://x"]


def test_it_runs_in_the_root_directory_without_input_and_without_privileges(as_root, source):
    host = source("""printf '{"CWD": "%s", "IN": "%s", "UID": "%s", "GROUPS": "%s", "NNP": "%s"}' \\
        "$(pwd)" "$(readlink /proc/$$/fd/0)" "$(id -u)" "$(id -G)" \\
        "$(grep NoNewPrivs /proc/$$/status | cut -f2)" """)
    host.ok(input="input")
    found = read(host)
    assert found["CWD"] == "/" and found["IN"] == "/dev/null" and found["NNP"] == "1"
    assert found["UID"] != "0" and "0" not in found["GROUPS"].split()


def test_run_as_is_that_user(as_root, source):
    host = source("""printf '{"A": "%s %s"}' "$(id -un)" "$(id -G)" """, run_as="games")
    host.ok()
    assert read(host)["A"] == f"games {pwd.getpwnam('games').pw_gid}"


@pytest.mark.parametrize("user, words", [("root", "root"), ("nosuchuser", "nosuchuser")])
def test_run_as_root_or_nobody_known_is_78(as_root, source, user, words):
    source("echo '{}'", run_as=user).fails(78, words)


def test_it_gets_none_of_the_descriptors(source):
    with open("/etc/hostname") as other:
        host = source("""printf '{"A": "%s"}' "$([ -e "/proc/$$/fd/$1" ] && echo open || echo closed)" """,
                      str(other.fileno()))  # fmt: skip
        host.ok(pass_fds=[other.fileno()])
    assert read(host) == {"A": "closed"}


def test_one_that_does_not_end_in_its_time_is_69(source):
    host = source("exec sleep 30", timeout="300ms")
    begin = time.monotonic()
    host.fails(69, "source vault", "300 ms")
    assert time.monotonic() - begin < 10


def test_the_deadline_bounds_it_too_and_nothing_goes_on_running(source):
    host = source('echo $$ >"$1"; exec sleep 30', "{pid}")
    pid = host.path("pid")
    pid.write_text("")
    pid.chmod(0o666)
    host.sources[-1] = host.sources[-1].replace("{pid}", str(pid))
    host.fails(69, "source vault", run=["sync", "--root", host.root, "--deadline", "1s"])
    limit = time.monotonic() + 5
    while os.path.exists(f"/proc/{int(pid.read_text())}") and time.monotonic() < limit:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{int(pid.read_text())}")


def test_a_slow_program_does_not_hold_the_others_up(source):
    host = source("""sleep 1; echo '{"A": 1}'""")
    text = host.sources[-1]
    host.sources += [text.replace("vault", f"vault{i}") for i in range(3)]
    begin = time.monotonic()
    host.ok()
    assert time.monotonic() - begin < 3


def test_a_program_that_is_not_there_is_65_and_is_named(source):
    host = source("true")
    host.path("program").unlink()
    host.fails(65, "source vault", "program", "127")


def test_what_it_says_on_stderr_reaches_the_user(source):
    assert "Vault denies" in source("echo 'Vault denies' >&2; exit 77").sync().err


@pytest.mark.parametrize("options, words", [
    ({"command": ["vault"]}, "absolute"), ({"command": []}, "command"), ({}, "command"),
    ({"command": ["/bin/true"], "timeout": "0s"}, "timeout"),
    ({"command": ["/bin/true"], "environment": ["A-B"]}, "A-B"),
    ({"command": ["/bin/true"], "run_as": "root"}, "root"),
])  # fmt: skip
def test_wrong_options_are_78(host, options, words):
    host.source(type="exec", **options)
    host.output()
    host.fails(78, words, run=["check"])


def test_explain_names_the_program(source):
    host = source("""echo '{"A": 1}'""")
    assert f"vault: {host.path('program')}" in host.run("explain", "A").out


def test_a_dry_run_runs_it_too(source):
    host = source("""echo '{"A": 1}'""")
    assert "+ A  (vault)" in host.ok("--dry-run").out
