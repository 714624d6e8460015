"""`check --unit`: which unit and which line runs envsync, and with which configuration."""
import re

import pytest

from conftest import in_namespace
from unit_case import APP, ONESHOT, SAFE, case


def test_the_oneshot_of_the_other_layout_is_judged_with_the_app(case):
    def judge(oneshot=ONESHOT, app=APP):
        case.scratch.write("envsync@.service", oneshot)
        case.check(app)

    judge(ONESHOT.replace("RuntimeDirectoryPreserve=yes\n", ""))
    assert len(case.found) == 2  # the outputs, and the state
    case.has("error", "RuntimeDirectory=foo envsync", "RuntimeDirectoryPreserve=yes", file="envsync@.service")
    judge(ONESHOT.replace("Type=oneshot\n", ""))
    case.only("error", "ExecStart=/usr/bin/envsync -c /etc/envsync/%i.toml", "Type=oneshot", file="envsync@.service")
    judge(ONESHOT.replace("Type=oneshot\n", "Type=oneshot\nRemainAfterExit=yes\n"))
    case.only("warning", "RemainAfterExit=yes", "restart of the app", file="envsync@.service")
    judge(app=APP.replace("[Service]", "ConditionPathExists=/run/foo/environment\n[Service]"))
    assert case.found == []
    judge(ONESHOT.replace("[Service]", "AssertPathExists=/run/foo/environment\n[Service]"))
    case.only("error", "AssertPathExists=/run/foo/environment", "fails the unit", file="envsync@.service")
    judge(app=APP.replace("Requires=", "Wants="))
    case.only("error", "Wants=envsync@foo.service", "Requires=envsync@foo.service")
    judge(app=APP.replace("After=envsync@foo.service\n", ""))
    case.only("error", "Requires=envsync@foo.service", "After=envsync@foo.service")
    judge(app=APP.replace("EnvironmentFile=/run/foo/environment\n", ""))
    case.only("warning", "[Service]", "add EnvironmentFile=/run/foo/environment")
    judge(app=APP.replace("[Service]", "[Service]\nRuntimeDirectory=foo"))
    assert all(level == "warning" for level, *_ in case.found)


def test_a_oneshot_that_names_the_configuration_counts_before_a_shell(case):
    shell = "ExecStartPre=/bin/sh -c 'envsync status'\nExecStart="
    case.scratch.write("envsync@.service", ONESHOT)
    case.check(APP.replace("ExecStart=", shell))
    assert case.found == []
    # Two shells are two guesses, and the unit's own is the better one.
    case.scratch.write("envsync@.service", ONESHOT.replace("ExecStart=/usr", "ExecStart=/usr/bin/env /usr"))
    case.check(APP.replace("ExecStart=", shell))
    assert any(file == "foo.service" for _, file, *_ in case.found)
    case.check(APP)
    assert case.found == []


def test_drop_ins_beside_the_file_count(case):
    case.scratch.write("foo.service.d/10-more.conf", "[Service]\nEnvironmentFile=/run/foo/environment\n")
    case.check()
    assert [(level, file, line) for level, file, line, _ in case.found] == [("error", "10-more.conf", 2)]
    case.scratch.write("foo.service.d/20-mend.conf",
                       "[Service]\nEnvironmentFile=\nEnvironmentFile=-/run/foo/environment\n")  # fmt: skip
    case.check()
    assert case.found == []


def test_without_c_the_configuration_is_the_one_that_the_unit_names(case):
    case.check()
    config = case.scratch.path("foo.toml")
    unit = case.scratch.write("foo.service", SAFE.replace("/etc/envsync/%p.toml", str(config)))
    result = case.envsync.ok("check", "--unit", unit)
    assert f"{config}: fine" in result.err and "foo.service: fine (1 file)" in result.err
    result = case.envsync("check", "--unit", "./foo.service", cwd=case.scratch.folder)
    assert result.rc == 0


def test_without_c_the_configuration_is_that_of_the_oneshot_that_the_unit_requires(case):
    case.tables[1] = case.tables[1].replace('"b"', '"${BUCKET}"')
    case.tables.insert(0, 'env = ["BUCKET"]\n')
    case.check()
    oneshot = ONESHOT.replace("/etc/envsync/%i.toml", str(case.scratch.folder / "%i.toml"))
    oneshot = oneshot.replace("PrivateTmp=yes", "Environment=BUCKET=b")
    case.scratch.write("envsync@.service", oneshot)
    # What it is ordered after may run envsync for itself: that is no matter of this unit.
    case.scratch.write("db.service", SAFE.replace("/etc/envsync/%p.toml", "/etc/envsync/other.toml"))
    unit = case.scratch.write("foo.service", APP.replace("After=", "After=db.service "))
    result = case.envsync.ok("check", "--unit", unit)
    assert f"{case.scratch.path('foo.toml')}: fine" in result.err
    assert "error" not in result.err and "warning" not in result.err
    unit.write_text(APP.replace("Requires=envsync@foo.service\n", ""))
    result = case.envsync("check", "--unit", unit)
    assert result.rc == 78 and "Requires=envsync@foo.service" in result.err


def test_without_c_and_without_envsync_that_alone_is_told(case):
    unit = case.scratch.write("foo.service", APP)  # what it requires is not there
    result = case.envsync("check", "--unit", unit)
    assert result.rc == 78
    assert re.fullmatch(f"envsync: error: {unit}: nothing in foo.service runs envsync before the app starts: "
                        r"add to \[Service\] ExecStartPre=!/\S+/envsync -c /\S+/foo.toml, or .*\n", result.err)  # fmt: skip
    case.check()
    late = SAFE.replace("ExecStartPre=!", "ExecStartPost=!").replace("/etc/envsync/%p", str(case.scratch.folder / "%p"))
    unit.write_text(late)
    result = case.envsync("check", "--unit", unit)
    assert result.rc == 78 and "make it ExecStartPre=" in result.err
    unit.write_text(SAFE.replace("/etc/envsync/%p.toml", "${CONFIG}"))
    result = case.envsync("check", "--unit", unit)
    assert result.rc == 64 and "name it with -c" in result.err


def test_a_name_is_looked_for_where_systemd_looks(case, as_root):
    case.check()
    config, unit = case.scratch.path("foo.toml"), case.scratch.path("foo.service")
    script = """mkdir -p /run/systemd/system/foo.service.d
        cp "$2" /run/systemd/system/; printf '[Service]\\nUser=nobody\\n' >/run/systemd/system/foo.service.d/a.conf
        "$3" check -c "$1" --unit foo; "$3" check -c "$1" --unit foo.service; "$3" check -c "$1" --unit bar"""
    done = in_namespace(script, config, unit, case.envsync.program)
    assert done.stderr.count("foo.service: fine (2 files)") == 2
    assert "there is no unit bar.service on this host" in done.stderr and done.returncode == 78


@pytest.mark.parametrize("name", ["foo.socket", "foo.timer", "foo.service.d/a.conf"])
def test_what_is_no_service_is_a_wrong_command_line(case, name):
    case.check()
    path = case.scratch.write(name, "[Unit]\n")
    result = case.envsync("check", "-c", case.scratch.path("foo.toml"), "--unit", path)
    assert result.rc == 64 and "name the" in result.err


def test_a_unit_that_systemd_would_not_load_is_told_with_its_line(case):
    case.check()
    path = case.scratch.write("foo.service", "[Unit]\n[Service\n")
    result = case.envsync("check", "-c", case.scratch.path("foo.toml"), "--unit", path)
    assert result.rc == 78 and f"{path}:2: " in result.err
