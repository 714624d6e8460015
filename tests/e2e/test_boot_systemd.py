"""A real systemd reads what the env writer writes: every value must arrive byte for byte."""
import itertools
import json
import random
import subprocess

import pytest

pytestmark = pytest.mark.boot

# What some reader of env files is known to trip over: escapes, quotes, comments, expansions,
# continuation lines, blanks at the ends, and text that is longer than a line.
PIECES = [
    "", "a", " ", "\t", "\n", "'", '"', "\\", "$", "`", "#", ";", "=", "%", "!", "*", "~", "&", "|",
    "<", ">", "(", ")", "{", "}", "[", "]", "?", "^", ",", ":", "@", "-", "é", "日本", "\U0001f600",
]  # fmt: skip
WHOLE = [
    "$HOME", "${HOME}", "$(id)", "`id`", "%n", "%%", "%h", "\\n", "\\t", "\\\\", "\\$", "\\`", '\\"',
    "\\'", "a\\", "a\\\n", "\\\nb", "a\nb", "a\n\nb", "\n", "\n\n", "a\n", "\na", " a", "a ", " a ",
    "\ta\t", "'a'", '"a"', "'a", "a'", '"a', 'a"', "'a'b'c'", "a'\\''b", "'a'\"'\"'b'", '"a" "b"',
    "x # c", "# c", "; c", "#", "a#b", "KEY=value", "=", "==", "a=b=c", "export A=b", "A=1\nB=2",
    "a\n# c\nb", "a\n=b", "a\n\\", "~", "~/x", "*", "?", "[a]", "{a,b}", "!x", "!!", "&&", "||", ";",
    "a;b", "a&b", "a|b", "<a", ">a", "2>&1", "(a)", "${x:-y}", "$((1+1))", "$$", "$?", "$1", "$",
    "a$", "$'a\\nb'", '$"a"', "postgres://u:p@h:5432/d?a=b&c=d%20e", "-----BEGIN X-----\nAA==\n---",
    '{"a": "b\\n", "c": [1, "$x"]}', "C:\\dir\\new\\table", "null", "true", "0", "-1", "1e5",
    "a" * 4095, "'" * 2000, '"' * 2000, "\\" * 2001, "$" * 2000, "a\n" * 2000, "x" * 60000,
    "\u00a0", "\u200b", "\u2028", "e\u0301", "\U0010fffd", "\ufdcf", "\ufffd",
]  # fmt: skip


def hostile():
    """Several hundred values, the same ones in every run."""
    chance = random.Random(2)
    values = list(WHOLE)
    values += [a + b for a, b in itertools.product(PIECES[:12], PIECES[:12])]
    values += [f"a{piece}b" for piece in PIECES]
    values += ["".join(chance.choices(PIECES, k=chance.randint(2, 12))) for _ in range(250)]
    return {f"V{n:04}": value for n, value in enumerate(values)}


def test_every_hostile_value_arrives_in_a_unit_byte_for_byte(machine, tool):
    values = hostile()
    assert len(values) > 500
    rendered = subprocess.run(
        [tool("format_tool"), "write", "env"], input=json.dumps(values).encode(), capture_output=True
    )
    assert rendered.returncode == 0, rendered.stderr.decode()
    machine.write("/run/values/environment", rendered.stdout)
    machine.unit(
        "values.service",
        """[Service]
        Type=oneshot
        User=app
        EnvironmentFile=/run/values/environment
        ExecStart=/bin/cat /proc/self/environ
        StandardOutput=truncate:/run/values/dump
        """,
    )
    machine.start("values.service")
    dump = machine.read("/run/values/dump").decode().split("\0")
    arrived = dict(entry.split("=", 1) for entry in dump if entry)
    wrong = {name: value for name, value in values.items() if arrived.get(name) != value}
    assert not wrong, "\n".join(f"{v!r} arrived as {arrived.get(n)!r}" for n, v in wrong.items())


def test_the_machine_shows_a_wrong_value(machine):
    """The test above must be able to fail: a known trap of systemd's grammar does differ."""
    machine.write("/run/trap/environment", "TRAP='a'\\''b'\n")
    machine.unit(
        "trap.service",
        """[Service]
        Type=oneshot
        EnvironmentFile=/run/trap/environment
        ExecStart=/bin/cat /proc/self/environ
        StandardOutput=truncate:/run/trap/dump
        """,
    )
    machine.start("trap.service")
    assert b"TRAP=a''b'\0" in machine.read("/run/trap/dump")


def test_the_installed_programs_are_on_the_machine(machine):
    machine.run("test", "-x", "/usr/libexec/envsync/worker")
    assert machine.run("/usr/bin/envsync", "--version").stdout.startswith(b"envsync ")
    for name in ("app", "evil"):
        machine.run("id", name)
