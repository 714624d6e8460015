"""SSM Parameter Store, with the built program, against the gateway (and moto behind it)."""
import json

import pytest

pytest_plugins = ("aws",)

CANARY = "CANARY-0f5d"


@pytest.fixture
def ssm(envsync, scratch, gateway):
    """Runs `envsync sync` on one ssm source; gives (result, the json output or None)."""

    def run(options, aws=gateway, *arguments, env=None, top="", **keywords):
        config = scratch.config(f"""
app = "foo"
group = "root"
deadline = "20s"
{top}

[[source]]
name = "params"
type = "ssm"
{options}

[[output]]
path = "/run/foo/config.json"
format = "json"
""")
        result = envsync("sync", "-c", config, "--root", scratch.root, *arguments,
                         env=aws.environment() if env is None else env, **keywords)
        assert CANARY not in result.out + result.err
        written = scratch.root / "run/foo/config.json"
        return result, json.loads(written.read_text()) if written.exists() else None

    return run


def operations(aws):
    return [request["operation"] for request in aws.requests()]


def test_a_path_becomes_nested_keys_with_every_type_a_string(ssm, gateway):
    gateway.fixtures(parameters={
        "/foo/prod/db/password": {"value": CANARY, "type": "SecureString"},
        "/foo/prod/list": {"value": "a,b", "type": "StringList"},
        "/foo/prod/Foo.Repo/pool_size": "10",
        "/foo/production/other": "no",
    })  # fmt: skip
    result, found = ssm('path = "/foo/prod/"')
    assert result.rc == 0, result
    assert found == {"db": {"password": CANARY}, "list": "a,b", "Foo.Repo": {"pool_size": "10"}}
    assert operations(gateway) == ["GetParametersByPath"]


def test_https_proxy_counts_only_where_env_lists_it(ssm, gateway):
    gateway.fixtures(parameters={"/foo/prod/a": "1"})
    env = gateway.environment(HTTPS_PROXY="http://127.0.0.1:1")
    result, found = ssm('path = "/foo/prod/"', env=env)
    assert result.rc == 0 and found == {"a": "1"}, result
    gateway.forget()
    result, _ = ssm('path = "/foo/prod/"', gateway, "--deadline", "2s", env=env, top='env = ["HTTPS_PROXY"]')
    assert result.rc == 69 and not gateway.requests(), result


@pytest.mark.parametrize("proxy", ["http://user:{}@proxy:99999", "http://user:{}@proxy/x y", "ftp://user:{}@proxy",
                                   "http://user:{}@[::1", "user:{}@:3128"])  # fmt: skip
def test_a_proxy_that_is_none_is_78_and_its_password_is_not_told(ssm, gateway, proxy):
    env = gateway.environment(HTTPS_PROXY=proxy.format(CANARY))
    for arguments in [], ["-v"], ["--json"]:
        result, _ = ssm('path = "/foo/prod/"', gateway, *arguments, env=env, top='env = ["HTTPS_PROXY"]')
        assert result.rc == 78 and "HTTPS_PROXY: " in result.err + result.out, result
        assert CANARY not in result.err + result.out, result
    result, _ = ssm(f'path = "/foo/prod/"\nproxy = "{proxy.format(CANARY)}"', gateway)
    assert result.rc == 78 and "proxy: " in result.err and CANARY not in result.err, result


def test_the_password_of_a_proxy_that_does_not_answer_is_not_told(ssm, gateway):
    env = gateway.environment(HTTPS_PROXY=f"http://user:{CANARY}@127.0.0.1:1")
    result, _ = ssm('path = "/foo/prod/"', gateway, "-v", "--deadline", "1s", env=env, top='env = ["HTTPS_PROXY"]')
    assert result.rc == 69 and CANARY not in result.err, result


def test_what_the_last_run_wrote_is_no_input_of_the_next(host, gateway):
    """A unit reads its env file before its ExecStartPre line runs: what the sources say would decide
    where they are asked."""
    gateway.config(region="*")
    gateway.fixtures(parameters={"/foo/AWS_REGION": "us-west-2"})
    host.source(type="ssm", path="/foo/")
    place = host.output()
    host.ok(env=gateway.environment())
    assert place.read_text() == "AWS_REGION=us-west-2\n"
    again = gateway.environment(AWS_REGION="us-west-2", AWS_DEFAULT_REGION="eu-west-1")
    for listed, region in ([], "eu-west-1"), (["AWS_REGION"], "us-west-2"):
        gateway.forget()
        host.top["env"] = listed
        host.ok(env=again)
        assert {request["region"] for request in gateway.requests()} == {region}


def test_dev_null_is_a_way_to_have_none_of_awss_files(ssm, gateway):
    gateway.fixtures(parameters={"/foo/prod/a": "1"})
    none = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    result, found = ssm('path = "/foo/prod/"', env=gateway.environment(**none))
    assert result.rc == 0 and found == {"a": "1"}, result
    result, _ = ssm('path = "/foo/prod/"', env=gateway.environment(AWS_CONFIG_FILE="/dev/zero"))
    assert result.rc != 0, result


def test_thousand_parameters_come_in_a_hundred_pages(ssm, gateway):
    gateway.fixtures(parameters={f"/foo/p{n:04}": str(n) for n in range(1000)})
    result, found = ssm('path = "/foo"')
    assert result.rc == 0, result
    assert found == {f"p{n:04}": str(n) for n in range(1000)}
    assert len(gateway.requests()) == 100


def test_an_empty_page_with_a_token_is_not_the_end(ssm, gateway):
    gateway.fixtures(parameters={f"/foo/p{n}": str(n) for n in range(15)})
    gateway.faults({"action": "empty_page", "operation": "GetParametersByPath", "count": 1})
    result, found = ssm('path = "/foo"')
    assert result.rc == 0, result
    assert len(found) == 15


def test_a_token_that_comes_again_is_65(ssm, gateway):
    gateway.fixtures(parameters={f"/foo/p{n}": str(n) for n in range(15)})
    gateway.faults({"action": "repeat_token", "operation": "GetParametersByPath"})
    result, found = ssm('path = "/foo"')
    assert result.rc == 65, result
    assert found is None


def test_only_one_level_where_recursive_is_false(ssm, gateway):
    gateway.fixtures(parameters={"/foo/a": "1", "/foo/b/c": "2"})
    assert ssm('path = "/foo"\nrecursive = false')[1] == {"a": "1"}


def test_a_path_without_parameters_is_66_and_0_where_optional(ssm, gateway):
    result, found = ssm('path = "/nothing"')
    assert result.rc == 66 and "/nothing" in result.err and found is None, result
    result, found = ssm('path = "/nothing"\noptional = true')
    assert result.rc == 0 and found == {}, result


def test_names_come_in_tens_with_versions_and_labels(ssm, gateway):
    versions = [{"value": "old", "labels": ["live"]}, "newer", "newest"]
    gateway.fixtures(parameters={"/db/password": versions, "/db/user": versions, "/db/host": versions}
                     | {f"/app/p{n}": str(n) for n in range(20)})  # fmt: skip
    names = ["/db/password:live", "/db/user:2", "/db/host", *(f"/app/p{n}" for n in range(20))]
    result, found = ssm(f"names = {json.dumps(names)}")
    assert result.rc == 0, result
    assert found["password"] == "old" and found["user"] == "newer" and found["host"] == "newest"
    assert len(found) == 23
    assert operations(gateway) == ["GetParameters"] * 3


def test_strip_keeps_the_rest_of_a_name(ssm, gateway):
    gateway.fixtures(parameters={"/foo/db/password": "1", "/foo/a": "2"})
    _, found = ssm('names = ["/foo/db/password", "/foo/a"]\nstrip = "/foo/"')
    assert found == {"db": {"password": "1"}, "a": "2"}


def test_missing_names_are_66_and_all_named(ssm, gateway):
    gateway.fixtures(parameters={"/a/b": CANARY})
    result, found = ssm('names = ["/a/x", "/a/b", "/a/y:7"]')
    assert result.rc == 66 and "/a/x" in result.err and "/a/y:7" in result.err, result
    assert found is None


def test_a_reference_to_a_secret_is_a_parameter(ssm, gateway):
    gateway.fixtures(secrets={"foo/token": CANARY})
    _, found = ssm('names = ["/aws/reference/secretsmanager/foo/token"]')
    assert found == {"token": CANARY}


def test_names_that_become_one_key_are_65(ssm, gateway):
    gateway.fixtures(parameters={"/a/x": "1", "/b/x": "2"})
    result, _ = ssm('names = ["/a/x", "/b/x"]')
    assert result.rc == 65 and "/a/x" in result.err and "/b/x" in result.err, result


def test_denied_by_iam_names_action_and_resource(ssm, gateway):
    gateway.fixtures(parameters={"/foo/a": CANARY})
    gateway.faults({"action": "access_denied", "service": "ssm"})
    result, found = ssm('path = "/foo"')
    assert result.rc == 77, result
    assert "ssm:GetParametersByPath" in result.err and "parameter/foo" in result.err
    assert "AccessDenied" in result.err and found is None


def test_denied_by_kms_is_told_apart(ssm, gateway):
    gateway.fixtures(parameters={"/foo/a": {"value": CANARY, "type": "SecureString"}})
    gateway.faults({"action": "kms_denied", "service": "ssm"})
    result, _ = ssm('path = "/foo"')
    assert result.rc == 77 and "kms:Decrypt" in result.err, result


def test_throttled_for_a_while_and_then_served(ssm, gateway):
    gateway.fixtures(parameters={"/foo/a": "1"})
    gateway.faults({"action": "throttle", "service": "ssm", "count": 3})
    result, found = ssm('path = "/foo"')
    assert result.rc == 0 and found == {"a": "1"}, result
    assert len(gateway.requests()) == 4


def test_ssm_json_has_the_full_names(envsync, scratch, gateway):
    gateway.fixtures(parameters={"/foo/prod/b": "2", "/foo/prod/a/c": "1"})
    config = scratch.config("""
app = "foo"
group = "root"
[[source]]
type = "ssm"
path = "/foo/prod"
[[output]]
path = "/etc/foo/ssm.json"
format = "ssm-json"
""")
    envsync.ok("-c", config, "--root", scratch.root, env=gateway.environment())
    named = [{"Name": "/foo/prod/a/c", "Value": "1"}, {"Name": "/foo/prod/b", "Value": "2"}]
    assert json.loads(scratch.output("/etc/foo/ssm.json")) == named


def test_moto_gives_the_same(ssm, aws):
    client = aws.moto("ssm")
    for n in range(23):
        client.put_parameter(Name=f"/foo/prod/p{n}", Value=str(n), Type="SecureString" if n % 2 else "String")
    result, found = ssm('path = "/foo/prod"', aws)
    assert result.rc == 0, result
    assert found == {f"p{n}": str(n) for n in range(23)}


@pytest.mark.parametrize("options", [
    "", 'path = "/a"\nnames = ["/b"]', 'path = "a"', 'names = ["/a/b"]\nstrip = "/c"', 'path = "/a"\nregion = "-"',
])  # fmt: skip
def test_what_cannot_be_meant_is_78_and_asks_nobody(ssm, gateway, options):
    result, found = ssm(options)
    assert result.rc == 78 and found is None, result
    assert gateway.requests() == []
