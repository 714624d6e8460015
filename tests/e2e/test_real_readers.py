"""What the writers write, the real readers read back to the same bytes: shells, systemd's own
parser, Ruby's dotenv 3, Python, node and jq. Each process reads all values at once."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("ENVSYNC_BUILDDIR", SOURCE / "build"))
TOOL = BUILD / "tests/tools/format_tool"

SHELLS = {
    "dash": ["dash", "-c"],
    "bash": ["bash", "-c"],
    "bash-posix": ["bash", "--posix", "-c"],
    "busybox": ["busybox", "ash", "-c"],
    "ksh": ["ksh", "-c"],
    "mksh": ["mksh", "-c"],
    "zsh": ["zsh", "--emulate", "sh", "-c"],
}


def missing(what):
    """A reader that is not installed: loud, and under CI=true a failure unless tests/skips.txt says
    why not."""
    pytest.skip(f"NOT TESTED: {what} is not installed")


def need(program):
    if not shutil.which(program):
        missing(program)


def hostile_values(canary):
    """Several hundred values, always the same ones."""
    specials = list("'\"\\$`!#=~%*?[]{}()<>|&;:,.^@+-/ \t\n\r") + ["\\n", "\\r", "${A}", "\\'"]
    yield from ["", "plain", "http://u:p@host:80/x?a=b&c=d#e", "x" * 100_000, "-n", "-e", "true"]
    yield from [" x", "x ", "\tx", "x\t", "\nx", "x\n", "x\n\n", "a\nB=c\nd", "é", "日本", "😀", "\u2028"]
    yield from ["\ufeffx", "\ufffd", "\ufffe", "\ufdd0", "\U0010ffff", "a\u0301", "\x85", "\xa0"]
    yield from [f"$(touch {canary})", f"`touch {canary}`", f"';touch {canary};'"]
    yield from [f'";touch {canary};"', f"'$(touch {canary})", f"\\$(touch {canary})'", "$(("]
    yield from ["'a'", '"a"', "''", '""', "'a'\"b\"", "'\"'\"'", "a\\", "a\\\\", "it's\\", "#\\"]
    yield from ["-----BEGIN X-----\nabc/+=\n-----END X-----\n", "<%= x %>", "%{x} %s %%", "a;b", "!!"]
    yield from [f"{a}{b}" for a in specials for b in specials[:12]]
    yield from [f"x{a}'y" for a in specials]
    yield from [chr(c) for c in range(0, 0x20)] + ["\x7f", "'\x01", "\\\x1b'", "a\0b"]
    dice = random.Random(20240229)
    letters = specials + list("abn0é😀\x01\x7f")
    for _ in range(400):
        yield "".join(dice.choice(letters) for _ in range(dice.randint(1, 14)))


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    """A file that comes into being where a value is run."""
    path = tmp_path_factory.mktemp("canary") / "ran"
    yield path
    assert not path.exists()


@pytest.fixture(scope="module")
def values(canary):
    return {f"V{i:04d}": v for i, v in enumerate(hostile_values(canary))}


def run_tool(mode, name, data):
    return subprocess.run([TOOL, mode, name], input=data, capture_output=True, check=False)


def write(name, values):
    """The document of all values that the format carries, and the names that it refuses."""
    first = run_tool("write", name, json.dumps(values).encode())
    refused = set(re.findall(r"^refused: (\w+): ", first.stderr.decode(), re.M))
    if first.returncode == 0:
        assert not refused
        return first.stdout, refused
    assert first.returncode == 65 and first.stdout == b"" and refused, first.stderr
    carried = {k: v for k, v in values.items() if k not in refused}
    second = run_tool("write", name, json.dumps(carried).encode())
    assert second.returncode == 0, second.stderr
    return second.stdout, refused


def is_noncharacter(c):
    return 0xFDD0 <= ord(c) <= 0xFDEF or ord(c) & 0xFFFE == 0xFFFE


def env_refuses(value):
    return any((c < " " and c not in "\t\n") or c == "\x7f" or is_noncharacter(c) for c in value)


def dotenv_refuses(value):
    if "\0" in value or "\r" in value:
        return True
    if "'" not in value and not value.endswith("\\"):
        return False
    return "$(" in value or (value.endswith("\\") and ("#" in value or "\n" in value))


REFUSES = {
    "env": env_refuses,
    "shell": lambda value: "\0" in value,
    "dotenv": dotenv_refuses,
    "json": lambda value: False,
}


def assert_same(values, refused, got):
    wrong = [k for k, v in values.items() if k not in refused and got.get(k) != v.encode()]
    assert not wrong, [(values[k], got.get(k)) for k in wrong[:5]]


@pytest.fixture(scope="module")
def documents(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    ret = {}
    for name in REFUSES:
        text, refused = write(name, values)
        path = folder / name
        path.write_bytes(text)
        ret[name] = (path, refused)
    return ret


@pytest.mark.parametrize("name", REFUSES)
def test_refuses_just_what_the_format_cannot_carry(name, values, documents):
    refused = documents[name][1]
    assert refused == {k for k, v in values.items() if REFUSES[name](v)}
    assert len(values) - len(refused) > 500


@pytest.mark.parametrize("name", REFUSES)
def test_our_own_reader_reads_it_back(name, values, documents):
    path, refused = documents[name]
    back = run_tool("read", name, path.read_bytes())
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout) == {k: v for k, v in values.items() if k not in refused}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["env", "shell"])
def test_a_shell_that_sources_it_has_the_same_values(name, shell, locale, values, documents):
    need(SHELLS[shell][0])
    path, refused = documents[name]
    script = f"{'set -a;' if name == 'env' else ''} . {path}; exec /usr/bin/env -0"
    done = subprocess.run(
        SHELLS[shell] + [script],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": locale},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    pairs = (pair.split(b"=", 1) for pair in done.stdout.split(b"\0") if pair)
    assert_same(values, refused, {k.decode(): v for k, v in pairs})


# Runs apart: the library is systemd's own business, and might take the process with it.
SYSTEMD_READER = r"""
import ctypes, json, sys
lib, libc = ctypes.CDLL(sys.argv[1]), ctypes.CDLL(None)
def load(path):
    strv = ctypes.POINTER(ctypes.c_char_p)()
    r = lib.load_env_file(None, path.encode(), ctypes.byref(strv))
    if r < 0:
        return None
    pairs, i = {}, 0
    while strv and strv[i]:
        name, value = strv[i].split(b"=", 1)
        pairs[name.decode()] = value.decode()
        i += 1
    return pairs
json.dump([load(p) for p in sys.argv[2:]], sys.stdout)
"""


def systemd_reads(paths):
    """What systemd's parser (the code that PID 1 runs for EnvironmentFile=) finds in files; None
    where it rejects one."""
    found = glob("/usr/lib/*/systemd/libsystemd-shared-*.so") + glob(
        "/usr/lib/systemd/libsystemd-shared-*.so"
    )
    if not found:
        missing("libsystemd-shared")
    done = subprocess.run(
        [sys.executable, "-c", SYSTEMD_READER, found[0], *map(str, paths)],
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_systemds_own_parser_has_the_same_values(values, documents):
    path, refused = documents["env"]
    (got,) = systemd_reads([path])
    assert_same(values, refused, {k: v.encode() for k, v in got.items()})
    assert len(got) == len(values) - len(refused)


def generated_env_files(folder):
    """Files of pieces that mean something to the grammar, in any order."""
    dice = random.Random(1)
    pieces = "A B = = ' \" \\ # ; $ ` x y _ 1 %".split() + ["A=", "\nA=", "\nB='", '\nC="']
    pieces += ["\n", "\n", " ", "\t", "\r", "\r\n", "\\\n", "é", "\n# c", "\n; d\\\n", "\nexport "]
    for i in range(400):
        path = folder / f"{i:03d}.env"
        text = "A=" + "".join(dice.choice(pieces) for _ in range(dice.randint(0, 16)))
        path.write_bytes(text.encode())
        yield path


def test_our_reader_finds_in_env_files_what_systemd_finds(tmp_path):
    paths = list(generated_env_files(tmp_path))
    read = 0
    for path, theirs in zip(paths, systemd_reads(paths), strict=True):
        ours = run_tool("read", "env", path.read_bytes())
        if ours.returncode == 0:
            assert json.loads(ours.stdout) == theirs, path.read_bytes()
            read += 1
        else:
            assert ours.returncode == 65
            assert re.match(rb"format_tool: \d+:\d+: ", ours.stderr), ours.stderr
    assert read > 100


def ruby_dotenv():
    """The command line of a Ruby that has dotenv 3: installed, or ENVSYNC_DOTENV_LIB is the lib
    folder of its source."""
    need("ruby")
    folder = os.environ.get("ENVSYNC_DOTENV_LIB")
    ruby = ["ruby", *(["-I", folder] if folder else [])]
    script = 'require "dotenv"; require "dotenv/version"; print Dotenv::VERSION'
    done = subprocess.run(ruby + ["-e", script], capture_output=True, check=False)
    if not done.stdout.startswith(b"3."):
        missing("Ruby's dotenv 3")
    return ruby


def test_rubys_dotenv_has_the_same_values(values, documents):
    ruby = ruby_dotenv()
    path, refused = documents["dotenv"]
    script = 'require "dotenv"; require "json"; print JSON.generate(Dotenv.parse(ARGV[0]))'
    done = subprocess.run(
        ruby + ["-e", script, path],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
    )
    got = json.loads(done.stdout)
    assert_same(values, refused, {k: v.encode() for k, v in got.items()})
    assert len(got) == len(values) - len(refused)


JSON_READERS = {
    "node": ["node", "-e", "process.stdout.write(JSON.stringify(JSON.parse("
             "require('fs').readFileSync(0, 'utf8'))))"],
    "jq": ["jq", "-c", "."],
    "python": [sys.executable, "-c", "import json, sys; json.dump(json.load(sys.stdin), sys.stdout)"],
}


@pytest.mark.parametrize("reader", JSON_READERS)
def test_a_json_reader_has_the_same_values(reader, values, documents):
    need(JSON_READERS[reader][0])
    text = documents["json"][0].read_bytes()
    done = subprocess.run(JSON_READERS[reader], input=text, capture_output=True, check=True)
    assert json.loads(done.stdout) == values


@pytest.mark.parametrize("number", ["9223372036854775807", "-9223372036854775808", "0.1", "1e+300",
                                    "-0.0", "5e-324", "2.5", "1e+16", "123456789012345.6"])
def test_numbers_come_back_exactly(number):
    text = run_tool("write", "json", b'{"n":%s}' % number.encode()).stdout
    back = json.loads(text)["n"]
    assert back == json.loads(number) and type(back) is type(json.loads(number))
    assert str(back) == str(json.loads(number))
