"""envsync@.service and its timer as they are installed, hardening and all, before an app that requires them."""
import json
import re
import subprocess
import sys

import pytest
from conftest import SRCDIR

pytestmark = pytest.mark.boot

# Ample for one loopback and a busy machine; a configuration's own deadline is a part of it.
CONFIG = """app = "app"
deadline = "20s"

[[source]]
name = "secrets"
type = "file"
path = "/etc/envsync/app.env"

[[output]]
path = "/run/app/environment"
format = "env"

[[output]]
path = "/etc/app/secret"
format = "value"
key = "SECRET"
"""
APP = """[Unit]
Requires=envsync@app.service
After=envsync@app.service
[Service]
User=app
EnvironmentFile=/run/app/environment
ExecStart=/bin/sh -c 'env >/run/app-%p/env; exec sleep 1000'
RuntimeDirectory=app-%p
"""


@pytest.fixture
def app(machine):
    """A host with a configuration and an app that requires it; nothing has run yet."""
    machine.run("sh", "-c", "id -u envsync >/dev/null 2>&1 || systemd-sysusers envsync.conf")
    machine.write("/etc/envsync/app.toml", CONFIG)
    machine.write("/etc/envsync/app.env", "SECRET=first\n", "0600")
    machine.unit("app.service", APP)
    yield machine
    machine.run(
        "sh", "-c",
        "systemctl stop app.service other.service envsync@app.service envsync@app.timer;"
        "systemctl reset-failed; rm -rf /etc/systemd/system/envsync@* /etc/systemd/system/*app.service.d"
        " /run/app /etc/app /run/envsync/* /var/lib/envsync/*; systemctl daemon-reload",
        check=False,
    )  # fmt: skip


def environment(machine):
    for _ in range(100):
        done = machine.run("sh", "-c", "cat /run/app-app/env", check=False)
        if b"PATH=" in done.stdout:
            return dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    raise AssertionError(machine.journal("app.service"))


def prop(machine, unit, name):
    return machine.run("systemctl", "show", "--value", "-p", name, unit).stdout.decode().strip()


def drop_in(machine, unit, text):
    machine.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
    machine.run("systemctl", "daemon-reload")


def test_the_app_starts_on_what_the_oneshot_wrote_and_modes_are_right(app):
    app.start("app.service")
    assert environment(app)["SECRET"] == "first"
    found = app.run("stat", "-c", "%n %U:%G %a", "/run/app", "/run/app/environment", "/etc/app",
                    "/etc/app/secret", "/run/envsync", "/var/lib/envsync").stdout.decode()  # fmt: skip
    assert found.splitlines() == [
        "/run/app root:app 750", "/run/app/environment root:app 640", "/etc/app root:root 755",
        "/etc/app/secret root:app 640", "/run/envsync root:root 700",
        "/var/lib/envsync root:root 700",
    ]  # fmt: skip


def test_the_worker_and_what_it_starts_run_as_the_packages_own_user(app):
    script = """#!/bin/sh\necho '{"who": "'$(id -un)'"}'\n"""
    app.write("/srv/who-am-i", script, "0755")
    program = '[[source]]\ntype = "exec"\ncommand = ["/srv/who-am-i"]\n'
    app.write("/etc/envsync/app.toml", CONFIG + program)
    app.start("app.service")
    assert environment(app)["WHO"] == "envsync"


def test_without_a_source_the_app_is_not_started_and_is_when_it_is_back(app):
    app.run("rm", "/etc/envsync/app.env")
    assert app.start("app.service", check=False).returncode != 0
    assert prop(app, "envsync@app.service", "ExecMainStatus") == "66"
    assert prop(app, "app.service", "ActiveState") == "inactive"
    assert "/etc/envsync/app.env" in app.journal("envsync@app.service")

    app.write("/etc/envsync/app.env", "SECRET=back\n", "0600")
    app.start("app.service")
    assert environment(app)["SECRET"] == "back"


def test_it_runs_again_at_every_start_of_the_app_also_an_automatic_one(app):
    drop_in(app, "app.service", "[Service]\nRestart=always\nRestartSec=0\n")
    app.start("app.service")
    pid = prop(app, "app.service", "MainPID")
    app.write("/etc/envsync/app.env", "SECRET=second\n", "0600")
    app.run("rm", "/run/app-app/env")
    app.run("kill", "-KILL", pid)
    assert environment(app)["SECRET"] == "second"


def test_a_refresh_that_fails_leaves_the_running_app_alone(app):
    app.start("app.service")
    pid = prop(app, "app.service", "MainPID")
    app.run("rm", "/etc/envsync/app.env")
    assert app.start("envsync@app.service", check=False).returncode != 0
    assert prop(app, "app.service", "MainPID") == pid
    assert app.read("/run/app/environment") == b"SECRET=first\n"


def test_another_place_is_refused_until_a_drop_in_names_it(app):
    app.run("install", "-d", "-o", "app", "-m", "0750", "/srv/app")
    app.write("/etc/envsync/app.toml", CONFIG.replace("/etc/app/secret", "/srv/app/secret")
              .replace('key = "SECRET"', 'key = "SECRET"\nowner = "app"\nmode = "0400"'))  # fmt: skip
    assert app.start("envsync@app.service", check=False).returncode != 0
    assert prop(app, "envsync@app.service", "ExecMainStatus") == "73"
    drop_in(app, "envsync@app.service", "[Service]\nReadWritePaths=/srv/app\n")
    app.start("envsync@app.service")
    assert app.run("stat", "-c", "%U %a", "/srv/app/secret").stdout == b"app 400\n"


def test_a_runtime_directory_that_is_the_apps_own_stays_the_apps(app):
    """RuntimeDirectory=%i in the oneshot would chown it, and all in it, below a running app."""
    app.unit("other.service", "[Service]\nUser=app\nRuntimeDirectory=app\n"
             "ExecStart=/bin/sh -c 'touch /run/app/socket; exec sleep 1000'\n")  # fmt: skip
    app.start("other.service")
    app.run("sh", "-c", "until [ -e /run/app/socket ]; do sleep 0.01; done")
    app.start("envsync@app.service")
    found = app.run("stat", "-c", "%U %n", "/run/app", "/run/app/socket", "/run/app/environment")
    assert found.stdout.decode().splitlines() == [
        "app /run/app", "app /run/app/socket", "root /run/app/environment",
    ]  # fmt: skip


def test_what_the_managers_environment_preloads_is_not_loaded(app):
    app.run("systemctl", "set-environment", "LD_PRELOAD=/nonexistent/evil.so")
    try:
        app.start("app.service")
    finally:
        app.run("systemctl", "unset-environment", "LD_PRELOAD")
    assert "evil.so" not in app.journal("envsync@app.service")
    assert "evil.so" in app.journal("app.service")  # so the line above could have seen it


def test_programs_of_a_source_are_ended_at_the_deadline(app):
    """They are other users' processes: it takes CAP_KILL."""
    program = '[[source]]\ntype = "exec"\ncommand = ["/bin/sleep", "777"]\nrun_as = "evil"\n'
    app.write("/etc/envsync/app.toml", CONFIG.replace("20s", "1s") + program)
    assert app.start("envsync@app.service", check=False).returncode != 0
    assert prop(app, "envsync@app.service", "ExecMainStatus") == "69"
    assert app.run("pgrep", "-f", "sleep 777", check=False).returncode == 1


def test_s3_and_ssm_are_reached_from_within_the_sandbox(app, tmp_path):
    values = tmp_path / "aws.json"
    values.write_text(json.dumps({
        "buckets": {"b": {"objects": {"p/a.toml": "[x]\ny = 1\n", "p/ca.pem": "pem\n"}}},
        "parameters": {"/app/db_url": {"type": "SecureString", "value": "it's a $ample"}},
    }))  # fmt: skip
    pid = (app.folder / "pid").read_text().strip()
    gateway = subprocess.Popen(
        ["nsenter", "-t", pid, "-n", sys.executable, "-m", "tests.gateway", "--plain",
         "--fixtures", values, "--directory", tmp_path],
        cwd=SRCDIR, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        told = json.loads(gateway.stdout.readline())
        app.write("/etc/envsync/app.toml", f"""app = "app"
            deadline = "20s"
            [aws]
            region = "eu-west-1"
            endpoint = "http://127.0.0.1:{told['http']}"
            [[source]]
            type = "s3"
            bucket = "b"
            prefix = "p/"
            merge = ["*.toml"]
            mirror = ["*.pem"]
            dir = "/etc/app"
            [[source]]
            type = "ssm"
            path = "/app/"
            [[output]]
            path = "/run/app/environment"
            format = "env"
            """)
        drop_in(app, "envsync@app.service", f"""[Service]
            Environment=AWS_ACCESS_KEY_ID={told['access_key']} AWS_SECRET_ACCESS_KEY={told['secret_key']}
            """)
        app.start("app.service")
    finally:
        gateway.terminate()
        gateway.wait(10)
    assert environment(app).items() >= {"X_Y": "1", "DB_URL": "it's a $ample"}.items()
    assert app.read("/etc/app/ca.pem") == b"pem\n"


def test_systemd_finds_nothing_wrong_and_an_exposure_of_at_most_three(app):
    done = app.run("systemd-analyze", "verify", "--man=no", "envsync@app.service", "envsync@app.timer",
                   check=False)  # fmt: skip
    said = [line for line in (done.stdout + done.stderr).decode().splitlines() if "envsync" in line]
    assert (done.returncode, said) == (0, [])
    told = app.run("systemd-analyze", "security", "--no-pager", "envsync@app.service").stdout.decode()
    level = re.search(r"Overall exposure level for envsync@app.service: ([0-9.]+)", told)
    assert float(level[1]) <= 3.0, told


def test_the_timer_is_due_within_two_hours_and_starts_the_oneshot(app):
    app.run("systemctl", "start", "envsync@app.timer")
    assert prop(app, "envsync@app.timer", "Unit") == "envsync@app.service"
    due = prop(app, "envsync@app.timer", "NextElapseUSecRealtime")
    left = int(app.run("date", "-d", due, "+%s").stdout) - int(app.run("date", "+%s").stdout)
    assert 0 <= left <= 2 * 3600, due
