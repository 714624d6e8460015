"""What stands in the outputs: names, types, order, refusals. How each format quotes is tested with
its real readers in test_real_readers.py; here the way through the whole program counts."""
import json
import subprocess
import tomllib

import pytest

VARIABLES = ["env", "shell", "dotenv"]


def one(host, format="env", path="/etc/foo/out", **options):
    place = host.output(format, path, **options)
    host.ok()
    return place.read_text()


def test_env_is_sorted_bytewise_without_comment_and_ends_with_a_newline(host):
    host.source("b=2\nB=1\nA=3\n_X=4\nA_B=5\nAB=6\n")
    assert one(host) == "A=3\nAB=6\nA_B=5\nB=1\n_X=4\nb=2\n"


def test_paths_become_upper_case_variables_and_env_names_stay(host):
    host.source("kept_As=1\n", "a.env", name="a")
    host.source("single = 1\n[db]\npass-word = 2\n[db.'x.y']\nz = 3\n", "b.toml", name="b")
    assert one(host) == "DB_PASS_WORD=2\nDB_X_Y_Z=3\nSINGLE=1\nkept_As=1\n"


def test_case_keep_keeps_all(host):
    host.source("single = 1\n[Db]\npass-word = 2\n", "b.toml")
    assert one(host, case="keep") == "Db_pass_word=2\nsingle=1\n"


def test_scalars_of_env_outputs_are_in_their_shortest_exact_form(host):
    host.source(
        'b = true\nf = 0.1\nbig = 9223372036854775807\nw = 3.0\ne = 1e300\nl = [1, "a"]\n'
        "d = 2026-01-02T03:04:05Z\nt = { x = 1 }\nm = [{ y = 2 }]\n", "a.toml",
    )  # fmt: skip
    lines = dict(line.split("=", 1) for line in one(host).splitlines())
    assert lines["B"] == "true" and lines["F"] == "0.1" and lines["BIG"] == "9223372036854775807"
    assert float(lines["W"]) == 3 and float(lines["E"]) == 1e300
    assert lines["D"] == "2026-01-02T03:04:05Z" and lines["T_X"] == "1"
    assert json.loads(lines["L"].strip("'")) == [1, "a"]
    assert json.loads(lines["M"].strip("'")) == [{"y": 2}]


def test_types_survive_into_toml_and_json(host):
    host.source(
        's = "1"\ni = -9223372036854775808\nf = 0.1\nw = 3.0\nb = false\nl = [1, 2]\n'
        "d = 2026-01-02T03:04:05Z\n'a.b' = 'é\\n'\n", "a.toml",
    )  # fmt: skip
    wanted = {"s": "1", "i": -(2**63), "f": 0.1, "w": 3.0, "b": False, "l": [1, 2],
              "d": "2026-01-02T03:04:05Z", "a.b": "é\\n"}  # fmt: skip
    in_json = host.output("json", "/etc/foo/out.json")
    read = tomllib.loads(one(host, "toml"))
    assert read == wanted and isinstance(read["w"], float)
    assert json.loads(in_json.read_text()) == wanted


def test_strings_of_env_files_stay_strings_unless_types_says_otherwise(host):
    host.source("A=1\nB=1.5\nC=true\nD=a,b\nE={\"x\":[1]}\nF=07\n")
    text = one(host, "json", types={"A": "integer", "B": "float", "C": "boolean", "D": "list",
                                    "E": "json"})  # fmt: skip
    assert json.loads(text) == {
        "A": 1, "B": 1.5, "C": True, "D": ["a", "b"], "E": {"x": [1]}, "F": "07",
    }  # fmt: skip


@pytest.mark.parametrize("type", ["integer", "float", "boolean", "json"])
def test_a_value_that_does_not_fit_its_type_is_65_with_the_key_and_no_value(host, type):
    host.source("GOOD=1\nBAD=CANARY\n")
    host.output("json", types={"BAD": type})
    result = host.fails(65, "BAD", "/etc/foo/environment", "source file")
    assert "CANARY" not in result.err + result.out


def test_a_type_for_a_key_that_is_not_there_is_warned_of(host):
    host.source("A=1\n")
    host.output("json", types={"B": "integer"})
    assert "warning" in host.ok().err


def test_shell_writes_export_and_a_shell_reads_it(host):
    host.source("A='it\"s $HOME `x`'\nB=plain\n")
    place = host.output("shell", "/etc/foo/out.sh")
    host.ok()
    assert place.read_text().startswith("export A=")
    script = f'. {place}; printf "%s|%s" "$A" "$B"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stdout == 'it"s $HOME `x`|plain'


def test_value_writes_the_bytes_and_nothing_more(host):
    host.source("[a]\ncookie = 'one\ttwo  '\n", "a.toml")
    assert one(host, "value", key="a.cookie") == "one\ttwo  "


def test_a_value_output_whose_key_nobody_gives_is_65(host):
    host.source("A=1\n")
    host.output("value", key="cookie")
    host.fails(65, "cookie", "/etc/foo/environment")


def test_include_and_exclude_of_an_output_select_keys(host):
    host.source("[db]\nhost = 1\nport = 2\n[other]\nx = 3\n", "a.toml")
    assert one(host, include=["db.*"], exclude=["**.port"]) == "DB_HOST=1\n"


@pytest.mark.parametrize("name", ["LD_PRELOAD", "BASH_ENV", "IFS", "NOTIFY_SOCKET", "LISTEN_FDS",
                                  "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "TZDIR", "PPID",
                                  "GLIBC_TUNABLES", "SYSTEMD_LOG_LEVEL", "WATCHDOG_USEC"])  # fmt: skip
@pytest.mark.parametrize("format", VARIABLES)
def test_a_refused_name_is_65_and_names_it(host, format, name):
    host.source(f"{name}=x\nA=1\n")
    place = host.output(format)
    host.fails(65, name, "allow", "/etc/foo/environment")
    assert not place.exists()


def test_a_refused_name_is_refused_also_where_a_path_of_segments_forms_it(host):
    host.source("[ld]\npreload = 'x'\n", "a.toml")
    host.output()
    host.fails(65, "LD_PRELOAD", "ld.preload")


def test_allow_lets_a_refused_name_through_by_its_name(host):
    host.source("TZDIR=x\n")
    assert one(host, allow=["TZDIR"]) == "TZDIR=x\n"


def test_refused_names_are_no_matter_in_toml_and_json(host):
    host.source("LD_PRELOAD=x\n")
    assert json.loads(one(host, "json")) == {"LD_PRELOAD": "x"}


@pytest.mark.parametrize("name", ["HOME", "PATH", "RUBYOPT", "ERL_FLAGS", "http_proxy",
                                  "MALLOC_ARENA_MAX", "RUNTIME_X", "ENVIRONMENT"])  # fmt: skip
def test_what_is_the_apps_business_is_not_refused(host, name):
    host.source(f"{name}=x\n")
    assert one(host) == f"{name}=x\n"


def test_a_required_name_is_named_as_it_stands_in_the_output(host):
    host.source("[db]\nurl = 'x'\n", "a.toml")
    assert one(host, require=["DB_URL"]) == "DB_URL=x\n"
    host.outputs.clear()
    assert "url" in one(host, "toml", require=["db.url", "db"])


@pytest.mark.parametrize("content", ["A=1\n", "A=1\nSECRET_KEY_BASE=\n", "A=1\nsecret_key_base=x\n"])
def test_a_required_name_that_is_missing_or_empty_is_65(host, content):
    host.source(content)
    place = host.output(require=["SECRET_KEY_BASE", "A", "ALSO"])
    host.fails(65, "SECRET_KEY_BASE", "ALSO", "/etc/foo/environment")
    assert not place.exists()


def test_a_key_that_makes_no_variable_is_65(host):
    host.source('{"9lives": 1}', "a.json")
    host.output()
    host.fails(65, "9lives")


@pytest.mark.parametrize("format, value, where", [
    ("env", '"a\\u0000b"', "NUL"), ("env", '"a\\rb"', "carriage return"),
    ("env", '"a\\u0001b"', "control"), ("shell", '"a\\u0000b"', "NUL"),
    ("dotenv", '"a\\u0000b"', "NUL"), ("env", '"\\ufdd0"', "noncharacter"),
])  # fmt: skip
def test_what_a_format_cannot_carry_is_65_with_the_key(host, format, value, where):
    host.source('{"GOOD": 1, "BAD": %s}' % value, "a.json")
    place = host.output(format)
    host.fails(65, "BAD", where)
    assert not place.exists()


def test_a_variable_at_the_kernels_limit_is_written_and_one_byte_more_is_65(host):
    limit = 131072 - len("A=") - 1
    host.source("A=" + "x" * limit + "\n")
    place = host.output()
    host.ok()
    assert place.stat().st_size == limit + 3
    host.write("source.env", "A=" + "x" * (limit + 1) + "\n")
    before = host.state()
    host.fails(65, "A")
    assert host.state() == before


def test_ssm_json_takes_no_source_of_another_type(host):
    host.source("A=1\n", name="mine")
    host.output("ssm-json")
    host.fails(78, "mine")


def test_everything_is_checked_before_the_first_output_is_written(host):
    host.source("A=1\n")
    first = host.output("env", "/etc/foo/a")
    host.output("env", "/etc/foo/b", require=["NOWHERE"])
    host.fails(65, "/etc/foo/b")
    assert not first.exists()
