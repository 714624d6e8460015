"""Where the AWS client finds its credentials, and what each way of failing is called."""
from __future__ import annotations

import json
import threading
import time

import pytest

from calling import BODY, CANARY, GET, ROLE, SSM, Outcome, operations, run, without_keys

pytest_plugins = ("aws", "calling")


@pytest.mark.parametrize("link", ["imds", "ecs", "eks"])
def test_credentials_of_instance_and_containers(seeded, link):
    assert run(seeded.environment_without_keys(link), BODY, *SSM)["class"] == "ok"


def test_the_metadata_service_is_asked_in_version_2_and_once_for_all(seeded):
    outcome = run(seeded.environment_without_keys("imds"), BODY, "count=20", "waves=2", *SSM)
    asked = [r for r in seeded.requests() if r["listener"] == "imds"]
    assert outcome["ok"] == 40 and [r["method"] for r in asked] == ["PUT", "GET", "GET"]


def test_a_metadata_service_that_is_late_is_waited_for(seeded):
    env = seeded.environment_without_keys("imds")
    seeded.down("imds", 2)
    assert run(env, BODY, *SSM)["class"] == "ok"


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_an_early_401_of_the_metadata_service_is_survived(seeded, method):
    seeded.faults({"action": "body", "status": 401, "listener": "imds", "method": method, "count": 1})
    assert run(seeded.environment_without_keys("imds"), BODY, *SSM)["class"] == "ok"


def test_a_metadata_service_that_refuses_is_denied_and_named(seeded):
    seeded.faults({"action": "body", "status": 403, "listener": "imds"})
    outcome = run(seeded.environment_without_keys("imds"), BODY, *SSM)
    assert outcome["class"] == "denied" and "metadata service" in outcome["message"]


def test_nobody_at_the_metadata_service_is_no_credentials_and_names_the_user(seeded):
    env = seeded.environment_without_keys("imds", AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:1")
    outcome = run(env, BODY, "deadline=20000", *SSM)
    assert outcome["class"] == "denied" and "no credentials" in outcome["message"] and "user " in outcome["message"]


def test_a_role_in_trouble_is_denied(seeded):
    seeded.config(imds={"role": "app", "seconds": 21600, "failure": "AssumeRoleUnauthorizedAccess"})
    outcome = run(seeded.environment_without_keys("imds"), BODY, *SSM)
    assert outcome["class"] == "denied" and "role of the instance" in outcome["message"]


def test_no_credentials_at_all_is_denied(seeded):
    outcome = run(without_keys(seeded), BODY, *SSM)
    assert outcome["class"] == "denied" and "no credentials" in outcome["message"]


def test_credentials_that_expire_in_the_run_are_fetched_again_once(seeded):
    done = {}

    def background() -> None:
        done["outcome"] = run(seeded.environment_without_keys("imds"), BODY, "count=3", "waves=2", "pause=1500", *SSM)

    thread = threading.Thread(target=background)
    thread.start()
    time.sleep(0.7)
    seeded.expire()
    thread.join()
    assert done["outcome"]["class"] == "ok"
    assert sum("security-credentials/app" in r["path"] for r in seeded.requests()) == 2


def test_static_credentials_that_are_expired_are_denied_and_named(seeded, call):
    seeded.faults({"action": "expired_token"})
    outcome = call(BODY, *SSM)
    assert outcome["class"] == "denied" and "AWS_ACCESS_KEY_ID" in outcome["message"]
    assert "expired" in outcome["message"]


def test_a_container_that_refuses_is_denied(seeded):
    env = seeded.environment_without_keys("eks", AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARY)
    outcome = run(env, BODY, *SSM)
    assert outcome["class"] == "denied" and "container" in outcome["message"]


def test_a_container_token_with_a_line_break_is_refused(seeded):
    env = seeded.environment_without_keys("eks", AWS_CONTAINER_AUTHORIZATION_TOKEN=f"a\r\nx: {CANARY}")
    assert run(env, BODY, *SSM)["class"] == "config" and not seeded.requests()


def test_the_token_file_of_a_container_goes_before_the_variable(seeded, tmp_path):
    env = seeded.environment_without_keys("eks")
    (tmp_path / "token").write_text(env["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
    env |= {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "wrong", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token")}
    assert run(env, BODY, *SSM)["class"] == "ok"


def test_a_role_is_assumed_with_what_was_found(seeded, call):
    assert call(BODY, f"role_arn={ROLE}", *SSM)["class"] == "ok"
    assert operations(seeded) == ["AssumeRole", "GetParametersByPath"]


def test_a_role_that_may_not_be_assumed_names_action_and_role(seeded, call):
    seeded.config(roles={ROLE: {"denied": True}})
    outcome = call(BODY, f"role_arn={ROLE}", *SSM)
    assert outcome["class"] == "denied" and "sts:AssumeRole" in outcome["message"] and ROLE in outcome["message"]


def test_web_identity_is_exchanged_without_a_signature(seeded, tmp_path):
    (tmp_path / "token").write_text(f"{CANARY}.x.y\n")
    env = without_keys(seeded, AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"), AWS_ROLE_ARN=ROLE)
    assert run(env, BODY, *SSM)["class"] == "ok"
    assert operations(seeded) == ["AssumeRoleWithWebIdentity", "GetParametersByPath"]


def test_a_throttled_sts_is_waited_for(seeded, call):
    seeded.faults({"action": "throttle", "service": "sts", "count": 1})
    assert call(BODY, f"role_arn={ROLE}", *SSM)["class"] == "ok"


@pytest.fixture
def profiles(seeded, tmp_path):
    """Runs with a config file and no keys in the environment."""
    def run_with(text: str, *arguments: str, credentials: str = "", **more: str) -> Outcome:
        (tmp_path / "config").write_text(text)
        (tmp_path / "credentials").write_text(credentials)
        return run(without_keys(seeded, AWS_CONFIG_FILE=str(tmp_path / "config"),
                                AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"), **more), BODY, *arguments, *SSM)
    return run_with


def keys(seeded) -> str:
    return f"aws_access_key_id = {seeded.access_key}\naws_secret_access_key = {seeded.secret_key}\n"


def test_keys_of_the_default_profile(seeded, profiles):
    assert profiles("", credentials="[default]\n" + keys(seeded))["class"] == "ok"


def test_a_profile_that_was_asked_for_goes_before_the_environment(seeded, profiles):
    outcome = profiles("", "profile=app", credentials="[app]\n" + keys(seeded), AWS_ACCESS_KEY_ID="AKIDWRONG",
                       AWS_SECRET_ACCESS_KEY="wrong")
    assert outcome["class"] == "ok"


def test_a_role_of_a_profile_over_another_one(seeded, profiles):
    seeded.config(roles={ROLE: {"external_id": "ext"}})
    outcome = profiles(f"[profile app]\nrole_arn={ROLE}\nsource_profile=base\nexternal_id=ext\nrole_session_name=me\n",
                       "profile=app", credentials="[base]\n" + keys(seeded))
    assert outcome["class"] == "ok" and operations(seeded) == ["AssumeRole", "GetParametersByPath"]


def test_a_role_with_the_credentials_of_the_instance(seeded, profiles):
    outcome = profiles(f"[default]\nrole_arn={ROLE}\ncredential_source=Ec2InstanceMetadata\n",
                       AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=seeded.url("imds"))
    assert outcome["class"] == "ok"


@pytest.fixture
def process(seeded, profiles, tmp_path):
    def run_with(script: str, *arguments: str) -> Outcome:
        program = tmp_path / "my process"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        return profiles(f"[default]\ncredential_process = '{program}' \"a b\" $HOME\n", *arguments)
    return run_with


def document(seeded, version: str = "1") -> str:
    return json.dumps({"Version": int(version), "AccessKeyId": seeded.access_key, "SecretAccessKey": seeded.secret_key})


def test_a_process_gives_credentials_without_a_shell(seeded, process):
    script = f'[ "$1" = "a b" ] && [ "$2" = \'$HOME\' ] && [ $# = 2 ] && echo \'{document(seeded)}\'\n'
    assert process(script)["class"] == "ok"


@pytest.mark.parametrize(("script", "kind"), [
    (f"echo {CANARY} >&2; exit 3", "denied"), (f"echo {CANARY}", "invalid"), ("kill -9 $$", "denied"),
    (f'echo \'{{"Version": 2, "AccessKeyId": "a", "SecretAccessKey": "{CANARY}"}}\'', "invalid"),
    ("yes", "invalid"), ("", "invalid")])
def test_a_process_that_fails_is_named_and_its_words_are_not_repeated(process, script, kind):
    outcome = process(script + "\n")
    assert outcome["class"] == kind and "credential_process" in outcome["message"]


def test_a_process_that_hangs_ends_with_the_deadline(process):
    outcome = process("exec sleep 60\n", "deadline=1500")
    assert outcome["class"] in ("unavailable", "internal") and outcome["ms"] < 1800
