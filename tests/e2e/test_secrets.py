"""Secrets Manager, with the built program, against the gateway (and moto behind it)."""
import base64
import json

import pytest

pytest_plugins = ("aws",)

CANARY = "CANARY-7c1e"


@pytest.fixture
def secrets(envsync, scratch, gateway):
    """Runs `envsync sync` on one source; gives (result, the json output or None)."""

    def run(options, aws=gateway, **keywords):
        config = scratch.config(f"""
app = "foo"
group = "root"
deadline = "20s"

[[source]]
type = "secrets-manager"
{options}

[[output]]
path = "/run/foo/config.json"
format = "json"
""")
        result = envsync("sync", "-c", config, "--root", scratch.root, env=aws.environment(), **keywords)
        assert CANARY not in result.out + result.err
        written = scratch.root / "run/foo/config.json"
        return result, json.loads(written.read_text()) if written.exists() else None

    return run


def operations(aws):
    return [request["operation"] for request in aws.requests()]


def test_a_json_object_becomes_keys(secrets, gateway):
    gateway.fixtures(secrets={"foo/prod": json.dumps({"db": {"password": CANARY, "port": 5432}})})
    result, found = secrets('ids = ["foo/prod"]')
    assert result.rc == 0, result
    assert found == {"db": {"password": CANARY, "port": 5432}}
    assert operations(gateway) == ["GetSecretValue"]


def test_several_come_in_one_batch_and_the_later_id_wins(secrets, gateway):
    gateway.fixtures(secrets={"z": '{"k": "z", "z": "1"}', "a": '{"k": "a", "a": "1"}'})
    result, found = secrets('ids = ["z", "a"]')
    assert result.rc == 0, result
    assert found == {"k": "a", "a": "1", "z": "1"}
    assert operations(gateway) == ["BatchGetSecretValue"]


def test_fifty_come_in_batches_of_twenty(secrets, gateway):
    names = [f"s{n}" for n in range(50)]
    gateway.fixtures(secrets={name: json.dumps({name: name}) for name in names})
    result, found = secrets(f"ids = {json.dumps(names)}")
    assert result.rc == 0, result
    assert found == {name: name for name in names}
    assert set(operations(gateway)) == {"BatchGetSecretValue"}


def test_a_stage_or_version_is_asked_for_alone(secrets, gateway):
    gateway.fixtures(secrets={"a": ['{"k": "old"}', '{"k": "new"}']})
    assert secrets('ids = ["a"]')[1] == {"k": "new"}
    assert secrets('ids = ["a"]\nstage = "AWSPREVIOUS"')[1] == {"k": "old"}
    assert secrets('ids = ["a"]\nversion = "no-such-version-0000000000000000000"')[0].rc == 66


def test_a_plain_string_needs_a_key(secrets, gateway):
    gateway.fixtures(secrets={"token": CANARY})
    result, found = secrets('ids = ["token"]')
    assert result.rc == 65 and "token" in result.err and "key" in result.err and found is None, result
    result, found = secrets('ids = ["token"]\nkey = "api.token"')
    assert result.rc == 0 and found == {"api": {"token": CANARY}}, result


def test_binary_is_its_bytes(envsync, scratch, gateway):
    content = bytes(range(256))
    gateway.fixtures(secrets={"cookie": {"binary": base64.b64encode(content).decode()}})
    config = scratch.config("""
app = "foo"
group = "root"
[[source]]
type = "secrets-manager"
ids = ["cookie"]
key = "cookie"
[[output]]
path = "/run/foo/cookie"
format = "value"
key = "cookie"
""")
    envsync.ok("-c", config, "--root", scratch.root, env=gateway.environment())
    assert scratch.output("/run/foo/cookie") == content


def test_a_missing_secret_is_66_and_named(secrets, gateway):
    gateway.fixtures(secrets={"a": '{"k": "v"}'})
    for ids in '["b"]', '["a", "b"]':
        result, found = secrets(f"ids = {ids}")
        assert result.rc == 66 and " b" in result.err and found is None, result


def test_a_denial_names_action_and_resource(secrets, gateway):
    gateway.fixtures(secrets={"foo/prod": json.dumps({"k": CANARY})})
    gateway.faults({"action": "access_denied", "service": "secretsmanager"})
    result, found = secrets('ids = ["foo/prod"]')
    assert result.rc == 77 and "secretsmanager:GetSecretValue" in result.err, result
    assert "foo/prod" in result.err and found is None


def test_where_only_the_batch_is_denied_each_is_asked_for_alone(secrets, gateway):
    gateway.fixtures(secrets={"a": '{"a": "1"}', "b": '{"b": "2"}'})
    gateway.faults({"action": "access_denied", "operation": "BatchGetSecretValue"})
    result, found = secrets('ids = ["a", "b"]')
    assert result.rc == 0 and found == {"a": "1", "b": "2"}, result


@pytest.mark.parametrize("text", ['{"k": null}', '{"k": 1, "k": 2}', '{"k": ' + '{"a":' * 40 + "1" + "}" * 41])
def test_what_no_document_may_hold_is_65(secrets, gateway, text):
    gateway.fixtures(secrets={"a": text})
    result, found = secrets('ids = ["a"]')
    assert result.rc == 65 and found is None, result


def test_moto_gives_the_same(secrets, aws):
    client = aws.moto("secretsmanager")
    client.create_secret(Name="foo/a", SecretString='{"k": "a"}')
    client.create_secret(Name="foo/b", SecretString='{"l": "b"}')
    result, found = secrets('ids = ["foo/a", "foo/b"]', aws)
    assert result.rc == 0 and found == {"k": "a", "l": "b"}, result


@pytest.mark.parametrize("options", ["", "ids = []", 'ids = ["a", "a"]', 'ids = ["a b"]',
                                     'ids = ["a", "b"]\nversion = "x"'])  # fmt: skip
def test_what_cannot_be_meant_is_78_and_asks_nobody(secrets, gateway, options):
    result, found = secrets(options)
    assert result.rc == 78 and found is None, result
    assert gateway.requests() == []
