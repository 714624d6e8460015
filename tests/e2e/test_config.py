"""What is wrong in the configuration or on the command line: the place, a hint, the exit code."""
import re

import pytest

from conftest import GROUP

TOP = f'app = "foo"\ngroup = "{GROUP}"\n'
SOURCE = '[[source]]\ntype = "file"\npath = "/srv/a.env"\n'
OUTPUT = '[[output]]\npath = "/etc/foo/environment"\nformat = "env"\n'


@pytest.fixture
def check(scratch, envsync):
    return lambda text, **keywords: envsync("check", "-c", scratch.config(text), **keywords)


def test_a_good_configuration_is_0_and_says_so(check):
    result = check(TOP + SOURCE + OUTPUT)
    assert result.rc == 0 and "1 source, 1 output" in result.err, str(result)


def test_check_asks_no_source(check):
    """/srv/a.env is not there, and that is no matter."""
    assert check(TOP + SOURCE + OUTPUT).rc == 0


# text, line:column, words of the message
WRONG = {
    "misspelt key": (TOP + "deadlin = '1s'\n" + SOURCE, "3:1", "did you mean \"deadline\"?"),
    "misspelt key of a source": (TOP + SOURCE + "optinal = true\n", "6:1", '"optional"?'),
    "misspelt key of an output": (TOP + SOURCE + OUTPUT + "mod = '0640'\n", "9:1", '"mode"?'),
    "unknown key without a neighbour": (TOP + "zzzzzzzzzzzz = 1\n" + SOURCE, "3:1", "unknown key"),
    "wrong type": (TOP + "deadline = 5\n" + SOURCE, "3:12", "deadline"),
    "wrong duration": (TOP + "deadline = '5 apples'\n" + SOURCE, "3:12", "duration"),
    "no deadline": (TOP + "deadline = '0s'\n" + SOURCE, "", "deadline"),
    "boolean as text": (TOP + SOURCE + "optional = 'yes'\n", "6:12", "true or false"),
    "list as text": (TOP + SOURCE + "include = 'a'\n", "6:11", "list of strings"),
    "number in a list": (TOP + SOURCE + "include = ['a', 1]\n", "6:17", "string"),
    "bad glob": (TOP + SOURCE + "include = ['a..b']\n", "6:12", ""),
    "bad key in rename": (TOP + SOURCE + "rename = { 'a' = 'b..c' }\n", "6:", ""),
    "bad prefix_key": (TOP + SOURCE + "prefix_key = '.a'\n", "6:14", ""),
    "unknown provider": (TOP + '[[source]]\ntype = "fil"\n', "4:8", '"file"?'),
    "misspelt type": (TOP + '[[source]]\ntpye = "file"\npath = "/a"\n', "4:1", '"tpye"; did you mean "type"?'),
    "option that its provider refuses": (TOP + '[[source]]\ntype = "ssm"\npath = "a"\n', "5:8", "start with /"),
    "provider missing": (TOP + '[[source]]\npath = "/a"\n', "3:3", "type is missing"),
    "no sources": (TOP, "1:1", "[[source]]"),
    "one bracket": (TOP + '[source]\ntype = "file"\n', "3:", "[[source]]"),
    "relative path": (TOP + '[[source]]\ntype = "file"\npath = "a.env"\n', "5:8", "absolute"),
    "path with dots": (TOP + SOURCE + '[[output]]\nformat = "env"\npath = "/etc/../x"\n', "8:8",
                       "absolute"),
    "unknown format": (TOP + SOURCE + OUTPUT.replace('"env"', '"yaml"'), "8:10", '"ssm-json"'),
    "format missing": (TOP + SOURCE + '[[output]]\npath = "/etc/foo/x"\n', "6:3", "format"),
    "bad mode": (TOP + SOURCE + OUTPUT + 'mode = "0642"\n', "9:8", "mode"),
    "mode as number": (TOP + SOURCE + OUTPUT + "mode = 640\n", "9:8", "mode"),
    "unknown source in from": (TOP + SOURCE + OUTPUT + 'from = ["flie"]\n', "9:9", '"file"?'),
    "unknown group": (TOP + SOURCE + OUTPUT + 'group = "nosuchgroup"\n', "9:9", "nosuchgroup"),
    "unknown owner": (TOP + SOURCE + OUTPUT + 'owner = "nosuchuser"\n', "9:9", "nosuchuser"),
    "unknown app group": ('app = "nosuchapp"\n' + SOURCE, "1:7", "nosuchapp"),
    "unknown app user": (TOP + 'user = "nosuchuser"\n' + SOURCE, "3:8", "nosuchuser"),
    "app missing": (SOURCE, "1:1", "app is missing"),
    "app with a slash": ('app = "a/b"\n' + SOURCE, "1:7", "app"),
    "name with dots": (TOP + 'name = "../x"\n' + SOURCE, "3:8", "name"),
    "two outputs in one place": (TOP + SOURCE + OUTPUT + OUTPUT.replace("/etc/", "//etc//"), "9:3",
                                 "two outputs"),
    "output in the bootstrap file's place": ('bootstrap = "/etc/envsync-test.env"\n' + TOP + SOURCE
                                             + OUTPUT.replace("/etc/foo/environment", "/etc//envsync-test.env"), "7:3",
                                             "place of the bootstrap file"),
    "output below another": (TOP + SOURCE + OUTPUT + OUTPUT.replace("ment", "ment/x"), "9:3",
                             "below"),
    "two sources of one name": (TOP + 2 * (SOURCE + 'name = "a"\n'), "7:3", '"a"'),
    "unknown type": (TOP + SOURCE + OUTPUT + "[output.types]\na = 'int'\n", "10:1", "integer"),
    "value without key": (TOP + SOURCE + OUTPUT.replace('"env"', '"value"'), "6:3", "key"),
    "key without value": (TOP + SOURCE + OUTPUT + 'key = "a"\n', "9:7", "value"),
    "allow in json": (TOP + SOURCE + OUTPUT.replace('"env"', '"json"') + "allow = ['X']\n", "9:9",
                      "allow"),
    "case in json": (TOP + SOURCE + OUTPUT.replace('"env"', '"json"') + "case = 'keep'\n", "9:8",
                     "case"),
    "ssm-json without ssm": (TOP + SOURCE + OUTPUT.replace('"env"', '"ssm-json"'), "", "ssm"),
    "no toml": (TOP + "= x\n", "3:1", ""),
    "unclosed string": (TOP + 'deadline = "1s\n', "3:", ""),
    "key twice": (TOP + 'app = "bar"\n', "3:1", ""),
    "variable set nowhere": (TOP + SOURCE.replace("/srv", "/${NOWHERE}"), "5:8", "NOWHERE"),
    "variable not closed": (TOP + SOURCE.replace("/srv", "/${NOWHERE"), "5:8", "}"),
    "fact in an output path": (TOP + SOURCE + OUTPUT.replace("foo", "${cloud.region}"), "7:8",
                               "instance data"),
    "bad template": (TOP + '[[source]]\ntype = "cloud-init"\n[source.keys]\nA = "${"\n', "", "A"),
    "facts missing": (TOP + '[[source]]\ntype = "cloud-init"\n', "3:3", "keys"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_78_with_file_line_and_column(scratch, check, what):
    text, place, words = WRONG[what]
    result = check(text)
    assert result.rc == 78, str(result)
    lines = result.err.splitlines()
    assert len(lines) == 1, str(result)
    found = re.match(rf"envsync: error: {scratch.folder}/envsync\.toml:(\d+:\d+): (.*)", lines[0])
    assert found, str(result)
    assert found[1].startswith(place) and words in found[2], str(result)


@pytest.mark.parametrize("command", [["sync"], ["sync", "--dry-run"], ["explain"],
                                     ["exec", "--", "true"]])  # fmt: skip
def test_every_command_says_the_same_of_a_wrong_configuration(scratch, envsync, command):
    file = scratch.config(TOP + "deadlin = '1s'\n")
    result = envsync(command[0], "-c", file, *command[1:])
    assert result.rc == 78 and f"{file}:3:1: " in result.err, str(result)


def test_no_configuration_file_is_78(scratch, envsync):
    result = envsync("-c", scratch.path("nowhere.toml"))
    assert result.rc == 78 and "nowhere.toml" in result.err, str(result)


def test_a_directory_as_configuration_is_78(scratch, envsync):
    assert envsync("-c", scratch.folder).rc == 78


def test_a_huge_configuration_is_78(scratch, envsync):
    file = scratch.config("#" * (1 << 20) + "\n")
    result = envsync("-c", file)
    assert result.rc == 78 and "1 MiB" in result.err, str(result)


def test_a_configuration_that_others_may_write_is_77(as_root, scratch, envsync):
    file = scratch.config(TOP + SOURCE + OUTPUT)
    file.chmod(0o666)
    result = envsync("check", "-c", file)
    assert result.rc == 77 and "chmod" in result.err, str(result)


def test_a_configuration_of_somebody_else_is_77_for_root(as_root, scratch, envsync):
    import os

    file = scratch.config(TOP + SOURCE + OUTPUT)
    os.chown(file, 1, 1)
    result = envsync("check", "-c", file)
    assert result.rc == 77 and "chown" in result.err, str(result)


def test_a_relative_configuration_is_found(scratch, envsync):
    scratch.config(TOP + SOURCE + OUTPUT)
    assert envsync("check", "-c", "envsync.toml").rc == 0


def test_a_bootstrap_file_that_is_no_env_file_is_named(scratch, check):
    boot = scratch.write("boot", "A=1\nCANARY\n")
    result = check(TOP + f'bootstrap = "{boot}"\n' + SOURCE + OUTPUT)
    assert result.rc in (65, 78) and f"{boot}:2" in result.err, str(result)
    assert "CANARY" not in result.err


USAGE = {
    "unknown command": (["snyc"], 'did you mean "sync"?'),
    "unknown option": (["--dry-rnu"], "did you mean --dry-run?"),
    "exit code of another command": (["check", "--exit-code"], "envsync check takes no --exit-code"),
    "unknown short option": (["-z"], "-z"),
    "option without its argument": (["-c"], "-c"),
    "long option without its argument": (["--root"], "--root"),
    "option of another command": (["check", "--dry-run"], "--dry-run"),
    "exit code without dry run": (["--exit-code"], "--dry-run"),
    "quiet and verbose": (["-q", "-v"], "-q"),
    "bad deadline": (["--deadline", "soon"], "--deadline"),
    "no deadline": (["--deadline", "0s"], "--deadline"),
    "relative root": (["--root", "x"], "--root"),
    "argument too many": (["check", "x"], '"x"'),
    "argument of sync": (["sync", "x"], '"x"'),
    "exec without a command": (["exec"], "COMMAND"),
    "exec without the dashes": (["exec", "sh", "-c", "true"], "exec -- COMMAND"),
    "exec with nothing behind the dashes": (["exec", "--"], "COMMAND"),
    "unknown provider": (["providers", "fiel"], '"file"?'),
    "help of what is not there": (["help", "snyc"], "snyc"),
}


@pytest.mark.parametrize("what", USAGE)
def test_a_wrong_command_line_is_64_in_one_line(envsync, what):
    args, words = USAGE[what]
    result = envsync(*args)
    assert result.rc == 64 and words in result.err, str(result)
    assert len(result.err.splitlines()) == 1 and result.out == "", str(result)


def test_exec_passes_options_of_the_command_on(scratch, envsync):
    scratch.write("a.env", "A=1\n")
    file = scratch.config(TOP + SOURCE.replace("/srv", "{dir}"))
    result = envsync("exec", "-c", file, "--", "sh", "-c", "echo $A")
    assert (result.rc, result.out) == (0, "1\n"), str(result)


@pytest.mark.parametrize("args", [["--help"], ["help"], ["help", "sync"], ["sync", "--help"],
                                  ["providers"], ["providers", "file"], ["--version"]])  # fmt: skip
def test_help_goes_to_stdout_and_is_0(envsync, args):
    result = envsync.ok(*args)
    assert result.out and not result.err


def test_providers_lists_what_a_source_may_hold(envsync):
    assert {"file", "cloud-init"} <= {line.split()[0] for line in
                                      envsync.ok("providers").out.splitlines()}  # fmt: skip
    told = envsync.ok("providers", "file").out
    for word in "path", "format", "required", "env toml json", "optional", "rename", "fail last-good skip":
        assert word in told


def test_the_default_command_is_sync_and_without_c_the_file_in_etc_counts(envsync):
    result = envsync()
    assert result.rc in (0, 78) or "/etc/envsync/envsync.toml" in result.err
    if result.rc == 78:
        assert "/etc/envsync/envsync.toml" in result.err


def test_a_configuration_without_an_output_is_warned_of_where_it_would_write(scratch, envsync):
    scratch.write("a.env", "A=1\n")
    file = scratch.config(TOP + SOURCE.replace("/srv", "{dir}"))
    for command, warned in {"sync": True, "check": True, "explain": False}.items():
        root = ["--root", scratch.root] if command == "sync" else []
        result = envsync.ok(command, "-c", file, *root)
        assert ("[[output]]" in result.err) == warned, command
