"""Our TOML reader against the public toml-test suite, and our writer against Python's tomllib."""

import base64
import json
import math
import os
import pathlib
import re
import subprocess
import tomllib

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ENVSYNC_BUILDDIR", SOURCE / "build"))
DECODE = BUILD / "tests" / "tools" / "toml_decode"
CASES = json.loads((SOURCE / "tests/vectors/toml-test.json").read_text(encoding="utf-8"))["cases"]
VALID = [case for case in CASES if "want" in case]
INVALID = [case for case in CASES if "want" not in case]

REFUSED, NOT_ACCEPTED = 1, 2


def name_of(case):
    return case["name"]


def document(case):
    return base64.b64decode(case["base64"]) if "base64" in case else case["toml"].encode()


def run(data, *args):
    return subprocess.run(
        [DECODE, *args], input=data, capture_output=True, timeout=20, check=False
    )


def plain_datetime(text):
    """One spelling for all: T and Z in capitals, no zeros at the end of a fraction."""
    text = re.sub(r"^(\d{4}-\d\d-\d\d)[ t]", r"\1T", text).replace("z", "Z")
    return re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", text).replace(".Z", "Z")


def same_float(a, b):
    return (math.isnan(a) and math.isnan(b)) or (
        a == b and math.copysign(1, a) == math.copysign(1, b)
    )


def same(want, got):
    """Two documents of tagged JSON mean the same."""
    if isinstance(want, list):
        return (
            isinstance(got, list)
            and len(want) == len(got)
            and all(same(w, g) for w, g in zip(want, got))
        )
    if set(want) != set(got):
        return False
    if set(want) != {"type", "value"} or not isinstance(want["type"], str):
        return all(same(want[key], got[key]) for key in want)
    if want["type"] != got["type"]:
        return False
    if want["type"] == "float":
        return same_float(float(want["value"]), float(got["value"]))
    if want["type"] in ("datetime", "datetime-local", "date-local", "time-local"):
        return plain_datetime(want["value"]) == plain_datetime(got["value"])
    return want["value"] == got["value"]


def untag(value):
    """Tagged JSON as the data that a reader of what we write must find: date-times as strings."""
    if isinstance(value, list):
        return [untag(item) for item in value]
    if set(value) != {"type", "value"} or not isinstance(value["type"], str):
        return {key: untag(item) for key, item in value.items()}
    kind, text = value["type"], value["value"]
    if kind == "integer":
        return int(text)
    if kind == "float":
        return float(text)
    if kind == "bool":
        return text == "true"
    return text


def equal(want, got):
    """Equal in value and in type, NaN included."""
    if type(want) is not type(got):
        return False
    if isinstance(want, dict):
        return list(sorted(want)) == list(sorted(got)) and all(
            equal(want[key], got[key]) for key in want
        )
    if isinstance(want, list):
        return len(want) == len(got) and all(equal(w, g) for w, g in zip(want, got))
    if isinstance(want, float):
        return same_float(want, got)
    return want == got


def mixed(value):
    """True where a list in the data holds more than one type."""
    if isinstance(value, dict):
        return any(mixed(item) for item in value.values())
    if isinstance(value, list):
        return len({type(item) for item in value}) > 1 or any(mixed(item) for item in value)
    return False


@pytest.mark.parametrize("case", VALID, ids=name_of)
def test_a_valid_document_is_read_to_the_data_of_the_suite(case):
    done = run(document(case))
    assert done.returncode == 0, done.stderr.decode()
    got = json.loads(done.stdout)
    assert same(case["want"], got), got


@pytest.mark.parametrize("case", INVALID, ids=name_of)
def test_an_invalid_document_is_refused_with_line_and_column(case):
    done = run(document(case))
    assert done.returncode == REFUSED, done.stdout.decode()
    assert done.stdout == b""
    assert re.fullmatch(rb"[1-9]\d*:[1-9]\d*: [^\n]+\n", done.stderr), done.stderr


@pytest.mark.parametrize("case", VALID, ids=name_of)
def test_what_is_written_is_the_same_data_to_another_reader(case):
    read = run(document(case))
    assert read.returncode == 0, read.stderr.decode()
    want = untag(json.loads(read.stdout))
    done = run(document(case), "--write")
    if mixed(want):
        assert done.returncode == NOT_ACCEPTED, done.stderr.decode()
        assert b"TOML 0.5" in done.stderr
        return
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    got = tomllib.loads(text)
    assert equal(want, got), text
    again = run(done.stdout, "--write")
    assert again.returncode == 0 and again.stdout == done.stdout, "written twice, it differs"
