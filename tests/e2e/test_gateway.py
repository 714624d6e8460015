"""The gateway itself: right requests pass, wrong ones get AWS's refusal, and what is asked is on record."""
from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from rawclient import Draft, ask, exchange, json_draft, sigv4

from tests.gateway.errors import AwsError
from tests.gateway.identity import Credential, Identities
from tests.gateway.verify import parse_stamp, verify
from tests.gateway.wire import Request

pytest_plugins = ("aws",)

HOSTILE = ["plain", "a/b", "sp ace", "plus+", "pct%2F", "a//b", "/lead", "./dot", "x/../y", "üñí", "<&>\"'", "tail/",
           "q?x=1&y", "hash#", "semi;colon", "tilde~", "tab\t", "star*(x)!", "日本", "a=b&c", "%", "back\\slash", "'"]

# AWS's documentation of SigV4 for S3 ("Examples: Signature Calculations"), and requests signed by botocore.
EXAMPLE_KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "")
BOTOCORE_KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "SESSIONTOKEN")
EXAMPLE_TIME, BOTOCORE_TIME = "20130524T000000Z", "20260102T030405Z"


def s3_example(target: str, **headers: str) -> Request:
    lines = [("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", EXAMPLE_TIME),
             ("x-amz-content-sha256", sigv4.EMPTY_SHA256)]
    return Request("GET", target, lines + list(headers.items()))


def botocore_example(host: str, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Request:
    lines = [("Host", f"{host}.eu-west-1.amazonaws.com"), ("X-Amz-Date", BOTOCORE_TIME),
             ("X-Amz-Security-Token", "SESSIONTOKEN")]
    return Request(method, target, lines + list(headers.items()), body)


EMPTY = {"x-amz-content-sha256": sigv4.EMPTY_SHA256}
VECTORS = {
    "range": (s3_example("/test.txt", Range="bytes=0-9"), "us-east-1", "s3",
              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    "lifecycle": (s3_example("/?lifecycle"), "us-east-1", "s3",
                  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    "list": (s3_example("/?max-keys=2&prefix=J"), "us-east-1", "s3",
             "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    "ssm": (botocore_example("ssm", "POST", "/", {"Content-Type": "application/x-amz-json-1.1",
                                                  "X-Amz-Target": "AmazonSSM.GetParametersByPath"},
                             b'{"Path":"/app/prod","Recursive":true,"WithDecryption":true,"MaxResults":10}'),
            "eu-west-1", "ssm", "7659a4246cde2499484717816507884005a7450945e784e137eff89667d3491a"),
    "s3-list": (botocore_example("mybucket.s3", "GET", "/?continuation-token=1%2Bab%2F%3D%3D&encoding-type=url&list-type=2"
                                 "&prefix=app%2F%C3%BC%20x%2F", EMPTY),
                "eu-west-1", "s3", "b81f236b6e36ae3c78203c9eb09801139436af79b27ad9df3e39b607d6a8b679"),
    "s3-key": (botocore_example("mybucket.s3", "GET", "/app//a%3Db/../%25%20~%2B%28x%29?versionId=null",
                                {**EMPTY, "If-Match": '"abc"', "x-amz-checksum-mode": "ENABLED",
                                 "x-amz-expected-bucket-owner": "123456789012"}),
               "eu-west-1", "s3", "0096c9cfdddf285752be0f4d29af686b8cd1da7b8bd1cd14a71068825b49fb3e"),
}


def signed_vector(name: str) -> tuple[Request, str, str, Credential, float]:
    bare, region, service, digest = VECTORS[name]
    keys, stamp = (EXAMPLE_KEYS, EXAMPLE_TIME) if region == "us-east-1" else (BOTOCORE_KEYS, BOTOCORE_TIME)
    names = tuple(sorted({n.lower() for n, _ in bare.headers}))
    auth = sigv4.Authorization(keys[0], stamp[:8], region, service, names, digest)
    request = Request(bare.method, bare.target, bare.headers + [("Authorization", auth.text())], bare.body)
    return request, region, service, Credential(*keys), parse_stamp(stamp) or 0.0


@pytest.mark.parametrize("name", VECTORS)
def test_published_signatures_verify_at_their_time_and_not_16_minutes_off(name):
    request, region, service, credential, when = signed_vector(name)
    known = Identities([credential])
    assert verify(request, service, region, known, when + 14 * 60).access_key == credential.access_key
    for now in (when - 16 * 60, when + 16 * 60):
        with pytest.raises(AwsError) as refused:
            verify(request, service, region, known, now)
        assert refused.value.code == ("RequestTimeTooSkewed" if service == "s3" else "InvalidSignatureException")


def test_the_query_is_sorted_by_pairs_and_keeps_what_is_empty_or_double():
    assert sigv4.canonical_query("a-b=1&a=2&=x&a=1&a=1&flag&sp=a+b&sl=%2f") == "=x&a=1&a=1&a=2&a-b=1&flag=&sl=%2F&sp=a%20b"


def test_header_values_are_trimmed_collapsed_and_joined_in_the_order_sent():
    headers = [("X-A", '  a   "b   c" '), ("x-b", "2"), ("X-B", "1")]
    assert sigv4.canonical_headers(headers, ("x-a", "x-b")) == 'x-a:a "b c"\nx-b:2,1\n'


def test_s3_paths_stay_as_they_are_and_others_are_normalised_and_encoded_again():
    assert sigv4.canonical_path("/a//b/../c%20d", s3=True) == "/a//b/../c%20d"
    assert sigv4.canonical_path("/a//b/../c%20d/", s3=False) == "/a/c%2520d/"


# botocore's requests pass

def temporary(gateway) -> dict[str, str]:
    got = gateway.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/app", RoleSessionName="test")
    keys = got["Credentials"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"]}


@pytest.fixture(params=["http", "https"])
def listener(request):
    return request.param


@pytest.fixture(params=["long-term", "temporary"])
def keys(request, gateway):
    return temporary(gateway) if request.param == "temporary" else {}


def round_trip(client, bucket: str) -> None:
    for key in HOSTILE:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    listed = [thing for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 5}) for thing in page["Contents"]]
    assert [thing["Key"] for thing in listed] == sorted(HOSTILE, key=str.encode)
    for thing in listed:
        key, etag = thing["Key"], thing["ETag"]
        got = client.get_object(Bucket=bucket, Key=key, IfMatch=etag, Range="bytes=0-", ChecksumMode="ENABLED")
        assert got["Body"].read() == key.encode()
        assert client.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())


def all_good(gateway) -> bool:
    return {r["signature"] for r in gateway.requests() if r["service"] != "proxy"} == {"good"}


def test_botocore_s3_passes_with_hostile_keys(gateway, listener, keys):
    gateway.fixtures(buckets={"bkt": {}})
    gateway.forget()
    round_trip(gateway.client("s3", listener, **keys), "bkt")
    assert all_good(gateway)
    assert {r["style"] for r in gateway.requests()} == {"path"}


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_botocore_s3_passes_under_amazons_own_names_through_the_gateway_as_proxy(gateway, style):
    gateway.fixtures(buckets={"bkt": {}})
    client = gateway.client("s3", endpoint_url=None, config={"s3": {"addressing_style": style},
                                                             "proxies": {"https": gateway.url()}})
    round_trip(client, "bkt")
    assert all_good(gateway)
    seen = [r for r in gateway.requests() if r["service"] == "s3"]
    assert {r["host"] for r in seen} == {"bkt.s3.eu-west-1.amazonaws.com" if style == "virtual"
                                         else "s3.eu-west-1.amazonaws.com"}
    assert {(r["bucket"], r["style"], r["tls"]) for r in seen} == {("bkt", style, True)}


def test_botocore_s3_passes_before_moto(aws, listener):
    aws.moto("s3").create_bucket(Bucket="bkt", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    round_trip(aws.client("s3", listener), "bkt")
    assert all_good(aws)


def test_botocore_ssm_passes(gateway, listener, keys):
    gateway.fixtures(parameters={f"/app/p{n:02}": {"value": str(n), "type": "SecureString"} for n in range(23)})
    client = gateway.client("ssm", listener, **keys)
    pages = list(client.get_paginator("get_parameters_by_path").paginate(Path="/app", Recursive=True, WithDecryption=True))
    assert [len(p["Parameters"]) for p in pages] == [10, 10, 3]
    assert [p["Value"] for page in pages for p in page["Parameters"]] == [str(n) for n in range(23)]
    got = client.get_parameters(Names=["/app/p01", "/app/nope"], WithDecryption=True)
    assert [p["Value"] for p in got["Parameters"]] == ["1"] and got["InvalidParameters"] == ["/app/nope"]
    assert client.get_parameter(Name="/app/p02", WithDecryption=True)["Parameter"]["Value"] == "2"
    assert {r["signature"] for r in gateway.requests(service="ssm")} == {"good"}


def test_botocore_secrets_manager_passes(gateway, listener, keys):
    gateway.fixtures(secrets={"app/prod": ['{"old": 1}', '{"a": 1}'], "bin": {"binary": "AAEC"}})
    client = gateway.client("secretsmanager", listener, **keys)
    assert client.get_secret_value(SecretId="app/prod")["SecretString"] == '{"a": 1}'
    assert client.get_secret_value(SecretId="app/prod", VersionStage="AWSPREVIOUS")["SecretString"] == '{"old": 1}'
    assert client.get_secret_value(SecretId="bin")["SecretBinary"] == b"\0\1\2"
    got = client.batch_get_secret_value(SecretIdList=["app/prod", "nope"])
    assert [s["Name"] for s in got["SecretValues"]] == ["app/prod"]
    assert [(e["SecretId"], e["ErrorCode"]) for e in got["Errors"]] == [("nope", "ResourceNotFoundException")]
    assert {r["signature"] for r in gateway.requests(service="secretsmanager")} == {"good"}


def test_botocore_sts_passes_and_what_it_issues_is_accepted(gateway, listener, keys):
    client = gateway.client("sts", listener, **keys)
    role = {"RoleArn": "arn:aws:iam::123456789012:role/app", "RoleSessionName": "s1"}
    client.assume_role(**role)
    client.get_caller_identity()
    assert {r["signature"] for r in gateway.requests(service="sts")} == {"good"}
    gateway.forget()
    got = client.assume_role_with_web_identity(**role, WebIdentityToken="a.b.c")["Credentials"]
    assert [r["signature"] for r in gateway.requests()] == ["none"]
    made = gateway.client("sts", listener, aws_access_key_id=got["AccessKeyId"], aws_session_token=got["SessionToken"],
                          aws_secret_access_key=got["SecretAccessKey"])
    assert made.get_caller_identity()["Arn"] == "arn:aws:sts::123456789012:assumed-role/app/s1"


def test_botocore_json_services_pass_before_moto(aws, listener):
    seed = aws.moto("ssm")
    for n in range(20):
        seed.put_parameter(Name=f"/app/p{n:02}", Value=str(n), Type="SecureString")
    seed.put_parameter(Name="/app/p00", Value="new", Type="SecureString", Overwrite=True)
    aws.moto("secretsmanager").create_secret(Name="app/prod", SecretString="s3cret")
    ssm, secrets = aws.client("ssm", listener), aws.client("secretsmanager", listener)
    pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/app", WithDecryption=True))
    assert sum(len(p["Parameters"]) for p in pages) == 20
    got = ssm.get_parameters(Names=["/app/p00:1", "/app/p00", "/nope"], WithDecryption=True)
    assert {(p["Name"], p.get("Selector"), p["Value"]) for p in got["Parameters"]} == {
        ("/app/p00", ":1", "0"), ("/app/p00", None, "new")}
    assert got["InvalidParameters"] == ["/nope"]
    assert secrets.get_secret_value(SecretId="app/prod")["SecretString"] == "s3cret"
    referred = ssm.get_parameter(Name="/aws/reference/secretsmanager/app/prod", WithDecryption=True)["Parameter"]
    assert referred["Value"] == "s3cret" and "s3cret" in referred["SourceResult"]
    assert all_good(aws)


@pytest.mark.parametrize("link", ["imds", "ecs", "eks"])
def test_botocore_finds_credentials_by_itself_and_they_sign(gateway, link):
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    done = subprocess.run([sys.executable, "-c", code], env=gateway.environment_without_keys(link), text=True,
                          capture_output=True, timeout=60)
    assert ":assumed-role/" in done.stdout, done.stderr
    asked = [(r["service"], r["operation"]) for r in gateway.requests()]
    assert asked == {"imds": [("imds", "Token"), ("imds", "ListRoles"), ("imds", "RoleCredentials")]}.get(
        link, [("container", "Credentials")]) + [("sts", "GetCallerIdentity")]
    assert gateway.requests()[-1]["access_key"].startswith("ASIA")


def test_botocore_trades_a_web_identity_and_signs_with_it(gateway, tmp_path):
    (tmp_path / "token").write_text("header.payload.signature")
    env = gateway.environment(AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
                              AWS_ROLE_ARN="arn:aws:iam::123456789012:role/web")
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    code = "import boto3; print(boto3.client('ssm').get_parameters(Names=['/nope'])['InvalidParameters'])"
    done = subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True, timeout=60)
    assert done.stdout == "['/nope']\n", done.stderr
    assert [(r["operation"], r["signature"]) for r in gateway.requests()] == [
        ("AssumeRoleWithWebIdentity", "none"), ("GetParameters", "good")]


def test_the_aws_cli_syncs_from_the_gateway(gateway, tmp_path):
    gateway.fixtures(buckets={"bkt": {"objects": {f"app/{k}": k for k in ("a b", "c+d", "sub/ü")}}})
    done = subprocess.run([sys.executable, "-m", "awscli", "s3", "sync", "s3://bkt/app/", tmp_path / "out"], text=True,
                          env=gateway.environment(LC_ALL="C.UTF-8", HOME=str(tmp_path)), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = {os.path.relpath(f, tmp_path / "out"): f.read_text() for f in (tmp_path / "out").rglob("*") if f.is_file()}
    assert found == {k: k for k in ("a b", "c+d", "sub/ü")}
    assert all_good(gateway)


# The services answer as AWS does where moto does not

def test_ssm_finds_versions_labels_and_arns_and_says_which_selector_it_was(gateway):
    gateway.fixtures(parameters={"/app/x": [{"value": "old", "labels": ["stable"]}, "new"], "root": "r"})
    client = gateway.client("ssm")
    arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/x"
    wanted = {"/app/x": ("new", None), "/app/x:1": ("old", ":1"), "/app/x:stable": ("old", ":stable"),
              arn: ("new", None), arn + ":1": ("old", ":1"), "root": ("r", None)}
    for name, (value, selector) in wanted.items():
        found = client.get_parameter(Name=name)["Parameter"]
        assert (found["Value"], found.get("Selector")) == (value, selector), name
    got = client.get_parameters(Names=["/app/x:9", "/app/x:1", "/app/x:nolabel", "/gone"])
    assert [p["Value"] for p in got["Parameters"]] == ["old"]
    assert got["InvalidParameters"] == ["/app/x:9", "/app/x:nolabel", "/gone"]
    for name, code in (("/gone", "ParameterNotFound"), ("/app/x:9", "ParameterVersionNotFound"),
                       ("/app/x y", "ValidationException")):
        with pytest.raises(ClientError) as error:
            client.get_parameter(Name=name)
        assert error.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(("operation", "given"), [
    ("GetParametersByPath", {"Path": "app"}), ("GetParametersByPath", {"Path": "/app", "MaxResults": 11}),
    ("GetParameters", {"Names": []}), ("GetParameters", {"Names": [f"/p{n}" for n in range(11)]}),
    ("GetParameters", {"Names": ["/a", "/a"]})])
def test_ssm_refuses_what_is_over_its_limits(gateway, operation, given):
    assert ask(gateway, json_draft("ssm", operation, given)).code == "ValidationException"


def test_ssm_by_path_filters_recurses_and_hides_what_is_not_decrypted(gateway):
    gateway.fixtures(parameters={"/app/a": [{"value": "1", "labels": ["prod"]}, "2"], "/app/b/c": "3", "/apple": "no",
                                 "/app/s": {"value": "secret", "type": "SecureString"}})
    client = gateway.client("ssm")

    def found(**more) -> dict[str, str]:
        return {p["Name"]: p["Value"] for p in client.get_parameters_by_path(Path="/app", **more)["Parameters"]}

    assert set(found()) == {"/app/a", "/app/s"} and found()["/app/s"] != "secret"
    assert found(Recursive=True, WithDecryption=True) == {"/app/a": "2", "/app/b/c": "3", "/app/s": "secret"}
    assert found(ParameterFilters=[{"Key": "Label", "Values": ["prod"]}]) == {"/app/a": "1"}
    assert set(found(ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}])) == {"/app/s"}


def test_ssm_refers_to_secrets_in_the_store(gateway):
    gateway.fixtures(secrets={"app/prod": ["first", "second"]})
    client, name = gateway.client("ssm"), "/aws/reference/secretsmanager/app/prod"
    found = client.get_parameter(Name=name + ":AWSPREVIOUS", WithDecryption=True)["Parameter"]
    assert (found["Value"], found["Selector"], found["Name"]) == ("first", ":AWSPREVIOUS", name)
    assert client.get_parameters(Names=[name, name + "x"], WithDecryption=True)["InvalidParameters"] == [name + "x"]
    with pytest.raises(ClientError):
        client.get_parameter(Name=name)


# Tampered requests do not pass

def drafts(gateway) -> dict[str, Draft]:
    gateway.fixtures(buckets={"bkt": {"objects": {"a key": "text"}}}, parameters={"/app/x": "1"}, secrets={"sec": "1"})
    return {
        "s3": Draft("s3", "GET", "/bkt/a%20key?versionId=null", {"If-Match": '"1cb251ec0d568de6a929b520c4aed8d1"',
                                                                  "Range": "bytes=0-1"}),
        "s3-list": Draft("s3", "GET", "/bkt?encoding-type=url&list-type=2&prefix=a%20"),
        "ssm": json_draft("ssm", "GetParametersByPath", {"Path": "/app", "MaxResults": 10}),
        "secretsmanager": json_draft("secretsmanager", "GetSecretValue", {"SecretId": "sec"}),
        "sts": Draft("sts", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
                     b"Action=GetCallerIdentity&Version=2011-06-15"),
    }


NAMES = ["s3", "s3-list", "ssm", "secretsmanager", "sts"]
MISMATCH = {"s3": "SignatureDoesNotMatch", "json": "InvalidSignatureException", "sts": "SignatureDoesNotMatch"}


def dialect(name: str) -> str:
    return "s3" if name.startswith("s3") else "sts" if name == "sts" else "json"


def refused(gateway, data: bytes, *codes: str) -> None:
    """The answer is one of these refusals, of that very request, and nothing was given."""
    gateway.forget()
    answer = exchange(gateway.told["http"], data)
    assert answer.code in codes, (answer.status, answer.body)
    assert answer.status >= 400 and answer.headers["date"]
    assert answer.headers.get("x-amz-request-id") or answer.headers.get("x-amzn-requestid")
    assert gateway.requests()[-1]["signature"] != "good"


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_raw_request_passes(gateway, name):
    answer = ask(gateway, drafts(gateway)[name])
    assert answer.status in (200, 206), answer.body
    assert gateway.requests()[-1]["signature"] == "good"


def tamper(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1 and old != new
    return data.replace(old, new, 1)


TAMPERED = {
    "path": (b" /bkt/a%20key", b" /bkt/a%20kez", ["s3"]),
    "path-plus-for-space": (b" /bkt/a%20key", b" /bkt/a+key", ["s3"]),
    "path-more-slashes": (b" /bkt/a%20key", b" /bkt//a%20key", ["s3"]),
    "path-dots": (b" /bkt/a%20key", b" /bkt/./a%20key", ["s3"]),
    "query-value": (b"prefix=a%20", b"prefix=b%20", ["s3-list"]),
    "query-name": (b"encoding-type=url&", b"", ["s3-list"]),
    "query-added": (b"list-type=2", b"list-type=2&fetch-owner=true", ["s3-list"]),
    "host": (b"Host: 127.0.0.1", b"Host: 127.0.0.2", NAMES),
    "if-match": (b'If-Match: "1', b'If-Match: "2', ["s3"]),
    "range": (b"bytes=0-1", b"bytes=0-2", ["s3"]),
    "target": (b"ParametersByPath", b"Parameters", ["ssm"]),
    "content-type": (b"amz-json-1.1", b"amz-json-1.0", ["ssm", "secretsmanager"]),
    "body": (b'"/app"', b'"/apq"', ["ssm"]),
    "body-secret": (b'"sec"', b'"sed"', ["secretsmanager"]),
    "body-form": (b"Action=GetCallerIdentity", b"Action=GetCallerIdentitx", ["sts"]),
}


@pytest.mark.parametrize(("old", "new", "name"), [pytest.param(old, new, name, id=f"{what}-{name}")
                                                  for what, (old, new, names) in TAMPERED.items() for name in names])
def test_one_changed_part_is_a_signature_mismatch(gateway, old, new, name):
    refused(gateway, tamper(drafts(gateway)[name].data(gateway), old, new), MISMATCH[dialect(name)])


def test_another_method_is_a_signature_mismatch_and_a_head_has_no_body(gateway):
    data = drafts(gateway)["s3"].data(gateway)
    answer = exchange(gateway.told["http"], tamper(data, b"GET ", b"HEAD "))
    assert (answer.status, answer.body) == (403, b"")
    assert gateway.requests()[-1]["error"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", NAMES)
def test_every_digit_of_the_signature_counts(gateway, name):
    data = drafts(gateway)[name].data(gateway)
    at = data.index(b"Signature=") + len(b"Signature=")
    for place in (at, at + 31, at + 63):
        other = b"0" if data[place:place + 1] != b"0" else b"1"
        refused(gateway, data[:place] + other + data[place + 1:], MISMATCH[dialect(name)])


@pytest.mark.parametrize("name", NAMES)
def test_the_date_counts_to_the_second(gateway, name):
    draft = drafts(gateway)[name]
    draft.when = time.time() - 60
    data = draft.data(gateway)
    stamp = re.search(rb"X-Amz-Date: (\d{8}T\d{5})(\d)Z", data)
    later = b"X-Amz-Date: " + stamp[1] + b"%dZ" % ((int(stamp[2]) + 1) % 10)
    refused(gateway, tamper(data, stamp[0], later), MISMATCH[dialect(name)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("off", [-16 * 60, 16 * 60])
def test_a_stale_or_early_date_is_refused_and_the_answer_tells_the_time(gateway, name, off):
    draft = drafts(gateway)[name]
    draft.when = time.time() + off
    refused(gateway, draft.data(gateway), {"s3": "RequestTimeTooSkewed"}.get(dialect(name), MISMATCH[dialect(name)]))


@pytest.mark.parametrize("name", NAMES)
def test_region_and_service_of_the_scope_must_be_right(gateway, name):
    code = {"s3": "AuthorizationHeaderMalformed"}.get(dialect(name), MISMATCH[dialect(name)])
    draft = drafts(gateway)[name]
    draft.region = "eu-west-2"
    refused(gateway, draft.data(gateway), code)
    draft = drafts(gateway)[name]
    draft.scope_service = "execute-api"
    refused(gateway, draft.data(gateway), code)


@pytest.mark.parametrize("name", NAMES)
def test_the_scope_date_must_be_that_of_the_request(gateway, name):
    draft = drafts(gateway)[name]
    draft.scope_date = time.strftime("%Y%m%d", time.gmtime(time.time() - 86400))
    refused(gateway, draft.data(gateway), {"s3": "AuthorizationHeaderMalformed"}.get(dialect(name), MISMATCH[dialect(name)]))


@pytest.mark.parametrize(("name", "header"), [("s3", "host"), ("s3", "x-amz-date"), ("s3", "if-match"), ("s3", "range"),
                                              ("s3", "x-amz-content-sha256"), ("ssm", "x-amz-target"), ("ssm", "host"),
                                              ("ssm", "content-type"), ("secretsmanager", "x-amz-date"),
                                              ("sts", "content-type")])
def test_a_header_that_must_be_signed_and_is_not_is_refused(gateway, name, header):
    draft = drafts(gateway)[name]
    present = sorted({n.lower() for n, _ in draft.lines(gateway)} - {"authorization"})
    assert header in present
    draft.signed = tuple(n for n in present if n != header)
    refused(gateway, draft.data(gateway), {"s3": "AccessDenied"}.get(dialect(name), MISMATCH[dialect(name)]))


def test_a_signed_header_that_is_missing_is_refused(gateway):
    data = drafts(gateway)["s3"].data(gateway)
    refused(gateway, tamper(data, b"Range: bytes=0-1\r\n", b""), "SignatureDoesNotMatch")


@pytest.mark.parametrize("name", NAMES)
def test_no_or_broken_authorization_is_refused(gateway, name):
    codes = {"s3": ("AccessDenied", "AuthorizationHeaderMalformed"),
             "json": ("MissingAuthenticationTokenException", "IncompleteSignatureException"),
             "sts": ("MissingAuthenticationToken", "IncompleteSignature")}[dialect(name)]
    data = drafts(gateway)[name].data(gateway)
    refused(gateway, re.sub(rb"Authorization: [^\r]*\r\n", b"", data), codes[0])
    refused(gateway, tamper(data, b"AWS4-HMAC-SHA256 ", b"AWS4-HMAC-SHA255 "), codes[1])
    refused(gateway, tamper(data, b"/aws4_request", b"/aws4_requesu"), codes[1])


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_key_or_a_wrong_secret_is_refused(gateway, name):
    code = {"s3": "InvalidAccessKeyId", "json": "UnrecognizedClientException", "sts": "InvalidClientTokenId"}
    draft = drafts(gateway)[name]
    refused(gateway, draft.data(gateway, access_key="AKIDNOBODY"), code[dialect(name)])
    refused(gateway, draft.data(gateway, secret="not the secret"), MISMATCH[dialect(name)])


@pytest.mark.parametrize("name", NAMES)
def test_a_temporary_key_needs_its_own_unexpired_token(gateway, name):
    keys = temporary(gateway)
    pair = {"access_key": keys["aws_access_key_id"], "secret": keys["aws_secret_access_key"]}
    kind = dialect(name)

    def with_token(token: str) -> bytes:
        draft = drafts(gateway)[name]
        if token:
            draft.headers["X-Amz-Security-Token"] = token
        return draft.data(gateway, **pair)

    right = keys["aws_session_token"]
    assert exchange(gateway.told["http"], with_token(right)).status in (200, 206)
    wrong = {"s3": "InvalidToken", "json": "UnrecognizedClientException", "sts": "InvalidClientTokenId"}[kind]
    refused(gateway, with_token(right[:-3] + ("y==" if right[-3] == "x" else "x==")), wrong)
    refused(gateway, with_token(""), {"s3": "InvalidAccessKeyId"}.get(kind, wrong))
    draft = drafts(gateway)[name]
    draft.headers["X-Amz-Security-Token"] = right
    refused(gateway, draft.data(gateway), wrong)
    gateway.expire()
    refused(gateway, with_token(right), {"json": "ExpiredTokenException"}.get(kind, "ExpiredToken"))


def test_s3_checks_the_payload_hash_against_the_body(gateway):
    gateway.fixtures(buckets={"bkt": {}})
    data = Draft("s3", "PUT", "/bkt/k", body=b"the body").data(gateway)
    refused(gateway, tamper(data, b"the body", b"the bodz"), "XAmzContentSHA256Mismatch")
    lines = Draft("s3", "PUT", "/bkt/k", body=b"the body").lines(gateway)
    kept = [(n, v) for n, v in lines if n not in ("x-amz-content-sha256", "Authorization")]
    bare = sigv4.sign("PUT", "/bkt/k", kept, b"the body", gateway.access_key, gateway.secret_key, "eu-west-1", "s3")
    head = "\r\n".join(["PUT /bkt/k HTTP/1.1"] + [f"{n}: {v}" for n, v in bare] + ["Content-Length: 8"])
    refused(gateway, head.encode() + b"\r\n\r\nthe body", "InvalidRequest")
    assert exchange(gateway.told["http"], data).status == 200


def test_the_slash_that_http_servers_like_to_fold_is_part_of_the_signature(gateway):
    data = Draft("s3", "GET", "//bkt/k").data(gateway)
    exchange(gateway.told["http"], data)
    assert [(r["path"], r["signature"]) for r in gateway.requests()] == [("//bkt/k", "good")]
    refused(gateway, tamper(data, b"GET //bkt", b"GET /bkt"), "SignatureDoesNotMatch")


def test_bad_percent_encoding_is_refused_and_not_guessed(gateway):
    data = drafts(gateway)["s3"].data(gateway)
    refused(gateway, tamper(data, b"a%20key", b"a%2key"), "InvalidURI")


# The record and the controls

def test_the_log_tells_what_was_asked_in_order_and_on_which_connection(gateway):
    gateway.fixtures(buckets={"bkt": {"objects": {"k": "v"}}})
    client = gateway.client("s3")
    client.get_object(Bucket="bkt", Key="k")["Body"].read()
    client.list_objects_v2(Bucket="bkt", Prefix="k")
    with pytest.raises(ClientError):
        gateway.client("s3", aws_secret_access_key="wrong").head_object(Bucket="bkt", Key="k")
    first, second, third = gateway.requests()
    assert (first["operation"], first["path"], first["bucket"], first["key"]) == ("GetObject", "/bkt/k", "bkt", "k")
    assert second["operation"] == "ListObjectsV2" and "prefix=k" in second["query"]
    assert first["connection"] == second["connection"] != third["connection"]
    assert (third["signature"], third["status"], third["error"]) == ("bad", 403, "SignatureDoesNotMatch")
    assert first["signature"] == "good" and first["time"] <= second["time"] and first["body_size"] == 0
    assert ["Host", first["host"]] in first["headers"] and first["request_id"]
    gateway.reset()
    assert gateway.requests() == []


def test_parallel_requests_are_all_recorded(gateway):
    gateway.fixtures(buckets={"bkt": {"objects": {f"k{n}": str(n) for n in range(100)}}})
    client = gateway.client("s3", config={"max_pool_connections": 8})
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: client.get_object(Bucket="bkt", Key=f"k{n}")["Body"].read(), range(100)))
    assert got == [b"%d" % n for n in range(100)]
    seen = gateway.requests(signature="good")
    assert sorted(r["key"] for r in seen) == sorted(f"k{n}" for n in range(100))
    assert 1 < len({r["connection"] for r in seen}) <= 8


def test_a_clock_that_is_moved_moves_verification_and_the_date_header(gateway):
    gateway.fixtures(buckets={"bkt": {"objects": {"k": "v"}}})
    gateway.config(clock=1_700_000_000)
    draft = Draft("s3", "GET", "/bkt/k", when=1_700_000_000)
    answer = ask(gateway, draft)
    assert answer.status == 200 and answer.headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    refused(gateway, Draft("s3", "GET", "/bkt/k").data(gateway), "RequestTimeTooSkewed")


def test_a_listener_that_is_down_refuses_connections_and_comes_back(gateway):
    gateway.down("imds", 0.5)
    with pytest.raises(ConnectionRefusedError):
        exchange(gateway.told["imds"], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.8)
    assert exchange(gateway.told["imds"], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").status == 401


def test_unknown_settings_faults_and_fixtures_are_refused(gateway):
    for path, wrong in (("/__config", {"no-such": 1}), ("/__faults", [{"action": "no-such"}]), ("/__fixtures", {"x": {}})):
        with pytest.raises(urllib.error.HTTPError):
            gateway.control(path, wrong)


@pytest.mark.parametrize(("variant", "why"), [("https", ""), ("expired", "expired"), ("wrong-host", "IP address mismatch"),
                                              ("self-signed", "self-signed|self signed")])
def test_only_the_right_certificate_verifies(gateway, variant, why):
    context = ssl.create_default_context(cafile=gateway.ca)
    url = gateway.url(variant) + "/__ready"
    if not why:
        assert urllib.request.urlopen(url, context=context).status == 200
        return
    with pytest.raises(urllib.error.URLError, match=why):
        urllib.request.urlopen(url, context=context)


@pytest.mark.parametrize("data", [b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
                                  b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                  b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                                  b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_what_is_no_http_is_refused(gateway, data):
    answer = exchange(gateway.told["http"], data)
    assert answer.status == 400 and "x-reason" in answer.headers
