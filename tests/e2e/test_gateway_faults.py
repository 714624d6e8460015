"""Each fault of the gateway does what it says, seen by a client that hides nothing."""
from __future__ import annotations

import base64
import json
import re
import time

import pytest
from rawclient import Answer, Draft, ask, exchange, json_draft, plain

from tests.gateway import badwire, faults
from tests.gateway.checksums import checksum

pytest_plugins = ("aws",)

BODY = "0123456789" * 10
KEYS = ["a b", "c", "d e"]


@pytest.fixture
def seeded(gateway):
    gateway.fixtures(
        buckets={"bkt": {"objects": {"k": BODY, "cold": {"text": "x", "storage_class": "GLACIER"}}},
                 "far": {"region": "us-west-2", "objects": {"k": "far"}},
                 "list": {"objects": {key: key for key in KEYS}}},
        parameters={f"/app/p{n:02}": f"value {n}" for n in range(12)}, secrets={"one": "1", "two": "2"})
    gateway.forget()
    return gateway


def get(gateway, key: str = "k", bucket: str = "bkt", **headers: str) -> Answer:
    return ask(gateway, Draft("s3", "GET", f"/{bucket}/{key}", {n.replace("_", "-"): v for n, v in headers.items()}))


def listing(gateway, query: str = "encoding-type=url&list-type=2", bucket: str = "list") -> Answer:
    return ask(gateway, Draft("s3", "GET", f"/{bucket}?{query}"))


def by_path(gateway, **more: object) -> Answer:
    return ask(gateway, json_draft("ssm", "GetParametersByPath", {"Path": "/app", **more}))


def batch(gateway) -> Answer:
    return ask(gateway, json_draft("secretsmanager", "BatchGetSecretValue", {"SecretIdList": ["one", "two"]}))


def keys_of(answer: Answer) -> list[str]:
    return re.findall("<Key>([^<]*)</Key>", answer.body.decode())


# Which requests a rule acts on

def test_a_rule_acts_from_the_nth_request_so_many_times(seeded):
    seeded.faults({"action": "throttle", "service": "s3", "nth": 2, "count": 2})
    assert [get(seeded).status for _ in range(5)] == [200, 503, 503, 200, 200]
    assert [r["fault"] for r in seeded.requests()] == ["", "throttle", "throttle", "", ""]


@pytest.mark.parametrize("which", [{"service": "s3"}, {"operation": "GetObject"}, {"path": "^/bkt/k$"}, {"method": "GET"},
                                   {"host": "127"}, {"listener": "http"}])
def test_a_rule_acts_only_on_what_it_names(seeded, which):
    seeded.faults({"action": "internal", **which})
    assert get(seeded).status == 500
    seeded.faults({"action": "internal", **which, "body": "no request has this"})
    assert get(seeded).status == 200
    seeded.faults({"action": "internal", **which, "operation": "GetParametersByPath"})
    assert get(seeded).status == 200


def test_a_rule_ends_after_its_time(seeded):
    seeded.faults({"action": "throttle", "for_seconds": 0.3})
    assert by_path(seeded).code == "ThrottlingException"
    time.sleep(0.4)
    assert by_path(seeded).status == 200


def test_a_request_with_a_wrong_signature_is_refused_and_uses_no_fault_up(seeded):
    seeded.faults({"action": "throttle", "count": 1})
    data = Draft("s3", "GET", "/bkt/k").data(seeded, secret="wrong")
    assert exchange(seeded.told["http"], data).code == "SignatureDoesNotMatch"
    assert get(seeded).code == "SlowDown"
    seeded.faults({"action": "throttle", "any_signature": True})
    assert exchange(seeded.told["http"], data).code == "SlowDown"


def test_further_headers_come_with_any_answer(seeded):
    seeded.faults({"action": "throttle", "headers": {"Retry-After": "2", "x-amz-retry-after": "1500"}})
    answer = by_path(seeded)
    assert (answer.headers["retry-after"], answer.headers["x-amz-retry-after"]) == ("2", "1500")


# Refusals

@pytest.mark.parametrize(("action", "s3", "ssm"), [
    ({"action": "throttle"}, (503, "SlowDown"), (400, "ThrottlingException")),
    ({"action": "internal"}, (500, "InternalError"), (500, "InternalServerError")),
    ({"action": "unavailable"}, (503, "ServiceUnavailable"), (503, "ServiceUnavailable")),
    ({"action": "access_denied"}, (403, "AccessDenied"), (400, "AccessDeniedException")),
    ({"action": "kms_denied"}, (403, "AccessDenied"), (400, "AccessDeniedException")),
    ({"action": "expired_token"}, (400, "ExpiredToken"), (400, "ExpiredTokenException")),
    ({"action": "bad_signature"}, (403, "SignatureDoesNotMatch"), (400, "InvalidSignatureException")),
    ({"action": "not_found"}, (404, "NoSuchKey"), (400, "ParameterNotFound")),
    ({"action": "not_found", "code": "NoSuchBucket"}, (404, "NoSuchBucket"), (400, "NoSuchBucket")),
    ({"action": "error", "status": 429, "code": "TooManyRequestsException"}, (429, "TooManyRequestsException"),
     (429, "TooManyRequestsException")),
    ({"action": "invalid_object_state"}, (403, "InvalidObjectState"), (403, "InvalidObjectState")),
    ({"action": "precondition_failed"}, (412, "PreconditionFailed"), (412, "PreconditionFailed")),
])
def test_a_refusal_speaks_the_dialect_of_its_service(seeded, action, s3, ssm):
    seeded.faults(action)
    first, second = get(seeded), by_path(seeded)
    assert ((first.status, first.code), (second.status, second.code)) == (s3, ssm)
    assert first.body.startswith(b"<?xml") and json.loads(second.body)
    assert first.headers["x-amz-request-id"] and second.headers["x-amzn-requestid"]
    assert f"<RequestId>{first.headers['x-amz-request-id']}</RequestId>".encode() in first.body


def test_denials_tell_iam_from_kms_and_name_action_and_resource(seeded):
    seeded.faults({"action": "access_denied"})
    assert b"ssm:GetParametersByPath on resource: arn:aws:ssm:eu-west-1:123456789012:parameter/app " in by_path(seeded).body
    assert b"s3:GetObject on resource: arn:aws:s3:::bkt/k " in get(seeded).body
    assert b"s3:ListBucket on resource: arn:aws:s3:::list " in listing(seeded).body
    seeded.faults({"action": "kms_denied"})
    assert b"AWSKMS" in by_path(seeded).body and b"kms:Decrypt" in get(seeded).body


def test_a_head_that_is_refused_has_no_body(seeded):
    seeded.faults({"action": "throttle"})
    answer = ask(seeded, Draft("s3", "HEAD", "/bkt/k"))
    assert (answer.status, answer.body) == (503, b"")


@pytest.mark.parametrize("status", [301, 307, 400])
def test_wrong_region_names_the_right_one(seeded, status):
    seeded.faults({"action": "wrong_region", "status": status, "region": "ap-south-1"})
    answer = get(seeded)
    assert answer.status == status
    if status == 400:
        assert answer.code == "AuthorizationHeaderMalformed" and b"<Region>ap-south-1</Region>" in answer.body
    else:
        assert answer.headers["x-amz-bucket-region"] == "ap-south-1" and "ap-south-1" in answer.headers["location"]


def test_the_gateway_knows_where_a_bucket_lives(seeded):
    wrong = get(seeded, bucket="far")
    assert (wrong.status, wrong.code) == (400, "AuthorizationHeaderMalformed")
    assert b"<Region>us-west-2</Region>" in wrong.body
    assert ask(seeded, Draft("s3", "GET", "/far/k", region="us-west-2")).body == b"far"
    assert ask(seeded, Draft("s3", "HEAD", "/far/k")).status == 400
    seeded.config(wrong_region=301)
    moved = get(seeded, bucket="far")
    assert (moved.status, moved.code, moved.headers["x-amz-bucket-region"]) == (301, "PermanentRedirect", "us-west-2")
    other = Draft("s3", "GET", "/k", host="far.s3.eu-west-1.amazonaws.com")
    assert ask(seeded, other).code == "PermanentRedirect"
    right = Draft("s3", "GET", "/k", host="far.s3.us-west-2.amazonaws.com", region="us-west-2")
    assert ask(seeded, right).body == b"far"
    head = ask(seeded, Draft("s3", "HEAD", "/", host="far.s3.eu-west-1.amazonaws.com"))
    assert (head.status, head.headers["x-amz-bucket-region"], head.body) == (301, "us-west-2", b"")


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_skewed_clock_refuses_the_right_time_tells_its_own_and_accepts_that(seeded, seconds):
    seeded.faults({"action": "skew", "seconds": seconds})
    answer, other = get(seeded), by_path(seeded)
    assert (answer.code, other.code) == ("RequestTimeTooSkewed", "InvalidSignatureException")
    told = time.mktime(time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    assert abs(told - (time.time() + seconds)) < 5
    assert ask(seeded, Draft("s3", "GET", "/bkt/k", when=told)).status == 200


# Answers that are not AWS's

def test_a_200_that_holds_an_error(seeded):
    seeded.faults({"action": "error_in_200"})
    answer = listing(seeded)
    assert answer.status == 200 and answer.code == "InternalError" and b"<Error>" in answer.body


def test_a_captive_portal(seeded):
    seeded.faults({"action": "captive_portal"})
    for answer in (get(seeded), by_path(seeded), plain(seeded, "imds", "PUT", "/latest/api/token")):
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html") and b"<html>" in answer.body


def test_a_proxy_that_fails_speaks_html(seeded):
    seeded.faults({"action": "bad_gateway", "status": 504})
    answer = by_path(seeded)
    assert answer.status == 504 and b"<html>" in answer.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_elsewhere(seeded, status):
    seeded.faults({"action": "redirect", "status": status, "location": "https://evil.example.org/x"})
    answer = get(seeded)
    assert (answer.status, answer.headers["location"]) == (status, "https://evil.example.org/x")


def test_any_body_can_be_sent(seeded):
    seeded.faults({"action": "body", "base64": base64.b64encode(b"\0\xff").decode(), "status": 203})
    answer = get(seeded)
    assert (answer.status, answer.body) == (203, b"\0\xff")


# Answers that were right

def test_malformed_documents(seeded):
    seeded.faults({"action": "malformed"})
    with pytest.raises(ValueError):
        json.loads(by_path(seeded).body)
    assert b"</ListBucketResult>" not in listing(seeded).body


def test_duplicate_json_keys(seeded):
    seeded.faults({"action": "duplicate_json_keys"})
    pairs = json.loads(by_path(seeded).body, object_pairs_hook=lambda found: found)
    assert [name for name, _ in pairs].count("Parameters") == 2


@pytest.mark.parametrize(("action", "text"), [("nan", b"NaN"), ("big_number", b"18446744073709551616")])
def test_numbers_that_are_none(seeded, action, text):
    seeded.faults({"action": action})
    for answer in (by_path(seeded), batch(seeded)):
        assert re.search(rb'": ' + text + rb"[,}]", answer.body)


def test_a_nul_in_a_value_or_a_key(seeded):
    seeded.faults({"action": "nul"})
    assert "\0" in json.loads(by_path(seeded).body)["Parameters"][0]["Value"]
    assert "\0" in json.loads(batch(seeded).body)["SecretValues"][0]["SecretString"]
    assert keys_of(listing(seeded))[0].startswith("%00")
    seeded.faults({"action": "nul", "raw": True})
    assert b"\0" in by_path(seeded).body and b"\0" in listing(seeded).body


def test_keys_are_encoded_with_plus_as_s3_does_or_with_percent(seeded):
    assert keys_of(listing(seeded)) == ["a+b", "c", "d+e"]
    seeded.faults({"action": "percent_keys"})
    assert keys_of(listing(seeded)) == ["a%20b", "c", "d%20e"]
    seeded.config(space="percent")
    seeded.faults({"action": "plus_keys"})
    assert keys_of(listing(seeded)) == ["a+b", "c", "d+e"]
    seeded.faults()
    assert keys_of(listing(seeded)) == ["a%20b", "c", "d%20e"]
    assert keys_of(listing(seeded, "list-type=2")) == KEYS


def test_moto_s_listing_is_spelled_like_s3(aws):
    seed = aws.moto("s3")
    seed.create_bucket(Bucket="list", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key in ("a b/c d", "p+q"):
        seed.put_object(Bucket="list", Key=key, Body=b"1")
    answer = listing(aws, "encoding-type=url&list-type=2&prefix=a%20")
    assert keys_of(answer) == ["a+b/c+d"] and b"<Prefix>a+</Prefix>" in answer.body
    assert b"<EncodingType>url</EncodingType>" in answer.body
    assert keys_of(listing(aws)) == ["a+b/c+d", "p%2Bq"]
    refused = get(aws, "p%2Bq", "list", If_Match='"00000000000000000000000000000000"')
    assert (refused.status, refused.code) == (412, "PreconditionFailed")


def test_keys_out_of_order_and_twice(seeded):
    seeded.faults({"action": "unsorted_keys"})
    assert keys_of(listing(seeded)) == ["d+e", "c", "a+b"]
    seeded.faults({"action": "duplicate_keys"})
    assert keys_of(listing(seeded)) == ["a+b", "c", "d+e", "a+b"]


def test_archived_objects_are_listed_so_and_not_given(seeded):
    assert b"<StorageClass>GLACIER</StorageClass>" in listing(seeded, bucket="bkt").body
    assert get(seeded, "cold").code == "InvalidObjectState"
    seeded.faults({"action": "storage_class", "storage_class": "DEEP_ARCHIVE"})
    assert listing(seeded).body.count(b"<StorageClass>DEEP_ARCHIVE</StorageClass>") == 3


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_checksum_headers_right_and_wrong(seeded, algorithm):
    right = checksum(algorithm, [BODY.encode()])
    seeded.faults({"action": "checksum", "algorithm": algorithm})
    assert get(seeded).headers[f"x-amz-checksum-{algorithm}"] == right
    seeded.faults({"action": "wrong_checksum", "algorithm": algorithm})
    answer = get(seeded)
    wrong = answer.headers[f"x-amz-checksum-{algorithm}"]
    assert wrong != right and len(base64.b64decode(wrong)) == len(base64.b64decode(right))
    assert answer.body == BODY.encode()
    seeded.faults({"action": "checksum", "algorithm": algorithm, "suffix": "-3"})
    assert get(seeded).headers[f"x-amz-checksum-{algorithm}"] == right + "-3"


def test_checksums_are_those_of_the_check_string():
    known = {"crc32": "y/Q5Jg==", "crc32c": "4waSgw==", "crc64nvme": "rosUhgp5mIg="}
    assert {name: checksum(name, [b"1234", b"56789"]) for name in known} == known


def test_a_stored_checksum_comes_only_when_asked_for(seeded):
    seeded.fixtures(buckets={"bkt": {"objects": {"sum": {"text": "123456789", "checksum": "crc64nvme"}}}})
    assert "x-amz-checksum-crc64nvme" not in get(seeded, "sum").headers
    assert get(seeded, "sum", x_amz_checksum_mode="ENABLED").headers["x-amz-checksum-crc64nvme"] == "rosUhgp5mIg="


def test_another_etag_another_byte_another_object(seeded):
    etag = get(seeded).headers["etag"]
    seeded.faults({"action": "wrong_etag"})
    assert get(seeded).headers["etag"] != etag
    seeded.faults({"action": "corrupt"})
    answer = get(seeded)
    assert answer.headers["etag"] == etag and len(answer.body) == len(BODY) and answer.body != BODY.encode()
    seeded.faults({"action": "changed"})
    assert get(seeded, If_Match=etag).status == 412
    answer = get(seeded)
    assert answer.status == 200 and answer.headers["etag"] != etag and answer.body != BODY.encode()


def test_if_match_and_range_are_obeyed(seeded):
    etag = get(seeded).headers["etag"]
    assert get(seeded, If_Match=etag).status == 200
    assert get(seeded, If_Match='"other"').status == 412
    part = get(seeded, Range="bytes=10-14")
    assert (part.status, part.headers["content-range"], part.body) == (206, "bytes 10-14/100", b"01234")
    assert get(seeded, Range="bytes=100-").status == 416
    assert get(seeded, x_amz_expected_bucket_owner="999999999999").code == "AccessDenied"


def test_a_batch_that_is_partly_refused(seeded):
    seeded.faults({"action": "partial_batch", "code": "DecryptionFailure"})
    found = json.loads(batch(seeded).body)
    assert [s["Name"] for s in found["SecretValues"]] == ["one"]
    assert [(e["SecretId"], e["ErrorCode"]) for e in found["Errors"]] == [("two", "DecryptionFailure")]


def test_an_empty_page_leads_to_the_page_that_should_have_come(seeded):
    seeded.faults({"action": "empty_page", "operation": "GetParametersByPath", "nth": 1, "count": 1},
                  {"action": "empty_page", "operation": "GetParametersByPath", "nth": 3, "count": 1})
    names, token, sizes = [], None, []
    while True:
        page = json.loads(by_path(seeded, **({"NextToken": token} if token else {})).body)
        names += [p["Name"] for p in page["Parameters"]]
        sizes.append(len(page["Parameters"]))
        token = page.get("NextToken")
        if not token:
            break
    assert names == [f"/app/p{n:02}" for n in range(12)] and 0 in sizes


def test_an_empty_page_of_a_listing_too(seeded):
    seeded.faults({"action": "empty_page", "service": "s3", "count": 1})
    first = listing(seeded)
    token = re.search(rb"<NextContinuationToken>([^<]+)<", first.body)[1].decode()
    assert keys_of(first) == [] and b"<IsTruncated>true<" in first.body
    quoted = token.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert keys_of(listing(seeded, f"continuation-token={quoted}&encoding-type=url&list-type=2")) == ["a+b", "c", "d+e"]


def test_a_token_that_comes_again_and_again(seeded):
    seeded.faults({"action": "repeat_token"})
    first = json.loads(by_path(seeded).body)
    second = json.loads(by_path(seeded, NextToken=first["NextToken"]).body)
    assert first == second and first["Parameters"]
    once = re.search(rb"<NextContinuationToken>([^<]+)<", listing(seeded).body)[1]
    quoted = once.decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    again = listing(seeded, f"continuation-token={quoted}&list-type=2")
    assert once in again.body and keys_of(again) == KEYS


# On the wire

def test_slow_keeps_to_its_rate(seeded):
    seeded.faults({"action": "slow", "bytes_per_second": 100})
    answer = get(seeded)
    assert answer.body == BODY.encode() and 0.8 < answer.seconds < 3


@pytest.mark.parametrize("where", ["before", "headers", "body"])
def test_a_stall_sends_so_much_and_then_nothing(seeded, where):
    seeded.faults({"action": "stall", "where": where})
    answer = ask(seeded, Draft("s3", "GET", "/bkt/k"), limit=0.7)
    assert answer.seconds >= 0.6 and not answer.reset
    assert (bool(answer.raw), answer.head_whole, len(answer.body)) == {
        "before": (False, False, 0), "headers": (True, False, 0), "body": (True, True, 50)}[where]


@pytest.mark.parametrize(("action", "was_reset"), [("close", False), ("reset", True)])
@pytest.mark.parametrize("where", ["before", "headers", "body"])
def test_close_and_reset_send_so_much_and_end(seeded, action, was_reset, where):
    seeded.faults({"action": action, "where": where})
    answer = get(seeded)
    assert answer.reset == was_reset and answer.seconds < 5
    assert (bool(answer.raw), answer.head_whole, len(answer.body)) == {
        "before": (False, False, 0), "headers": (True, False, 0), "body": (True, True, 50)}[where]


def test_truncated_is_shorter_than_its_content_length(seeded):
    seeded.faults({"action": "truncate", "bytes": 7})
    answer = get(seeded)
    assert (answer.headers["content-length"], answer.body) == ("100", BODY[:7].encode())


@pytest.mark.parametrize(("kind", "shape"), [("size", rb"zz\r\n.*"), ("overflow", rb"1f{16}\r\n.*"),
                                             ("short", rb"64\r\n.{100}\r\n"), ("end", rb"64\r\n.{100}XX0\r\n\r\n")])
def test_chunks_that_are_none(seeded, kind, shape):
    seeded.faults({"action": "bad_chunking", "kind": kind})
    answer = get(seeded)
    assert answer.headers["transfer-encoding"] == "chunked" and "content-length" not in answer.headers
    assert re.fullmatch(shape, answer.body, re.S)


def test_a_huge_body_has_no_end(seeded):
    seeded.faults({"action": "huge_body"})
    answer = ask(seeded, Draft("s3", "GET", "/bkt/k"), most=8 << 20)
    assert len(answer.raw) >= 8 << 20 and answer.headers["transfer-encoding"] == "chunked"
    assert answer.body.startswith(b"64\r\n0123456789")
    seeded.faults({"action": "huge_body", "limit": 1 << 16})
    data = Draft("s3", "GET", "/bkt/k", {"Connection": "close"}, signed=("host", "x-amz-content-sha256", "x-amz-date"))
    assert ask(seeded, data).body.endswith(b"0\r\n\r\n")


def test_huge_headers(seeded):
    seeded.faults({"action": "huge_headers", "size": 1 << 20, "line": 8192})
    answer = get(seeded)
    assert len(answer.headers["x-filler-127"]) == 8192 and len(answer.raw) > 1 << 20 and answer.body == BODY.encode()


def test_the_next_connection_is_well_after_every_fault_on_the_wire(seeded):
    for action in badwire.ACTIONS:
        seeded.faults({"action": action, "count": 1, "seconds": 0.1, "bytes_per_second": 10000, "limit": 65536})
        ask(seeded, Draft("s3", "GET", "/bkt/k"), limit=1.0)
        assert get(seeded).body == BODY.encode(), action


def test_a_huge_object_is_made_while_it_is_sent(seeded):
    seeded.fixtures(buckets={"bkt": {"objects": {"huge": {"size": 1 << 30}}}})
    answer = ask(seeded, Draft("s3", "HEAD", "/bkt/huge"))
    assert answer.headers["content-length"] == str(1 << 30)
    tail = get(seeded, "huge", Range="bytes=-64")
    assert tail.body == b"%062d.\n" % ((1 << 24) - 1)


def test_every_action_is_tested_here():
    text = open(__file__).read()
    known = set(faults.ACTIONS) | set(badwire.ACTIONS) | {"skew"}
    assert {name for name in known if f'"{name}"' not in text} == set()


# The metadata and container services

TTL = "x-aws-ec2-metadata-token-ttl-seconds"
ROLES = "/latest/meta-data/iam/security-credentials/"


def token_of(gateway, ttl: str = "21600") -> str:
    return plain(gateway, "imds", "PUT", "/latest/api/token", **{TTL: ttl}).body.decode()


def meta(gateway, path: str, token: str) -> Answer:
    return plain(gateway, "imds", "GET", path, **({"x-aws-ec2-metadata-token": token} if token else {}))


def signs(gateway, found: dict[str, str]) -> bool:
    draft = Draft("s3", "GET", "/bkt/k", {"X-Amz-Security-Token": found["Token"]})
    data = draft.data(gateway, access_key=found["AccessKeyId"], secret=found["SecretAccessKey"])
    return exchange(gateway.told["http"], data).status == 200


def test_imds_gives_credentials_that_sign_and_the_region(seeded):
    token = token_of(seeded)
    role = meta(seeded, ROLES, token).body.decode().split("\n")[0]
    found = json.loads(meta(seeded, ROLES + role, token).body)
    assert found["Code"] == "Success" and signs(seeded, found)
    assert meta(seeded, "/latest/meta-data/placement/region", token).body == b"eu-west-1"
    assert [r["operation"] for r in seeded.requests(service="imds")] == ["Token", "ListRoles", "RoleCredentials", "region"]


@pytest.mark.parametrize("path", [ROLES, ROLES + "app", "/latest/meta-data/placement/region", "/latest/meta-data/"])
def test_imds_gives_nothing_without_its_own_live_token(seeded, path):
    assert meta(seeded, path, "").status == 401
    assert meta(seeded, path, "AQAEAmade-up==").status == 401
    token = token_of(seeded, "60")
    seeded.config(clock_offset=61)
    assert meta(seeded, path, token).status == 401


def test_imds_token_wants_put_a_good_ttl_and_no_proxy(seeded):
    assert plain(seeded, "imds", "GET", "/latest/api/token", **{TTL: "60"}).status == 405
    for ttl in ("", "0", "21601", "x"):
        assert plain(seeded, "imds", "PUT", "/latest/api/token", **({TTL: ttl} if ttl else {})).status == 400
    assert plain(seeded, "imds", "PUT", "/latest/api/token", **{TTL: "60", "X-Forwarded-For": "1.2.3.4"}).status == 403


def test_imds_can_fail_the_first_tries(seeded):
    seeded.faults({"action": "error", "status": 401, "service": "imds", "count": 2})
    assert [plain(seeded, "imds", "PUT", "/latest/api/token", **{TTL: "60"}).status for _ in range(3)] == [401, 401, 200]
    seeded.faults({"action": "reset", "service": "imds", "count": 1})
    assert plain(seeded, "imds", "PUT", "/latest/api/token", **{TTL: "60"}).reset
    assert token_of(seeded)


def test_imds_without_a_role_or_with_one_in_trouble(seeded):
    token = token_of(seeded)
    seeded.config(imds={"failure": "AssumeRoleUnauthorizedAccess"})
    found = json.loads(meta(seeded, ROLES + "app", token).body)
    assert found["Code"] == "AssumeRoleUnauthorizedAccess" and "AccessKeyId" not in found
    seeded.config(imds={"role": ""})
    assert meta(seeded, ROLES, token).status == 404 and meta(seeded, ROLES + "app", token).status == 404


def test_container_credentials_want_the_right_path_or_token(seeded):
    ecs = "/v2/credentials/0badcafe-0000-4000-8000-000000000001"
    assert signs(seeded, json.loads(plain(seeded, "container", "GET", ecs).body))
    assert plain(seeded, "container", "GET", ecs[:-1] + "2").status == 404
    assert plain(seeded, "container", "POST", ecs).status == 405
    found = plain(seeded, "container", "GET", "/v1/credentials", Authorization="eks-token/+=")
    assert signs(seeded, json.loads(found.body))
    for headers in ({}, {"Authorization": "Bearer eks-token/+="}, {"Authorization": "eks-token"}):
        assert plain(seeded, "container", "GET", "/v1/credentials", **headers).status == 401


def test_issued_credentials_expire(seeded):
    seeded.config(container={"seconds": 900})
    found = json.loads(plain(seeded, "container", "GET", "/v1/credentials", Authorization="eks-token/+=").body)
    assert signs(seeded, found)
    seeded.config(clock_offset=901)
    draft = Draft("s3", "GET", "/bkt/k", {"X-Amz-Security-Token": found["Token"]}, when=time.time() + 901)
    data = draft.data(seeded, access_key=found["AccessKeyId"], secret=found["SecretAccessKey"])
    assert exchange(seeded.told["http"], data).code == "ExpiredToken"


def web_identity(gateway, **changes: str) -> Answer:
    given = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "WebIdentityToken": "good.token",
             "RoleArn": "arn:aws:iam::123456789012:role/app", "RoleSessionName": "session", **changes}
    body = "&".join(f"{n}={v}" for n, v in given.items()).encode()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    return exchange(gateway.told["http"], head.encode() + body)


def test_sts_checks_what_it_is_given(seeded):
    seeded.config(web_identity_tokens=["good.token"],
                  roles={"arn:aws:iam::123456789012:role/locked": {"denied": True}})
    assert web_identity(seeded).status == 200
    assert web_identity(seeded, WebIdentityToken="bad.token").code == "InvalidIdentityToken"
    assert web_identity(seeded, RoleArn="arn:aws:iam::123456789012:role/locked").code == "AccessDenied"
    for wrong in ({"RoleArn": "role/app"}, {"RoleSessionName": "no spaces"}, {"DurationSeconds": "60"}):
        assert web_identity(seeded, **wrong).code == "ValidationError"
    assert web_identity(seeded, Action="AssumeRole").code == "MissingAuthenticationToken"
