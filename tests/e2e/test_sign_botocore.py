"""The signer against botocore's, over generated requests: what is signed, and the signature."""

import datetime
import json
import os
import pathlib
import random
import subprocess
import urllib.parse

import botocore.auth as botocore_auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TOOL = pathlib.Path(os.environ.get("ENVSYNC_BUILDDIR", "."), "tests/tools/sign_tool").absolute()
COUNT = 4000
PIECES = (
    list("abzAZ09-._~ +=&?#%/:@!$'()*,;[]{}|\\^`\"<>")
    + ["//", "/./", "/../", "..", "%2F", "%25", "%zz", "&amp;", "\t", "\n", "\x7f"]
    + ["ü", "ß", "日本", "\U0001f600", "\u00a0", "e\u0301", "\ufeff"]
)
VISIBLE = [chr(c) for c in range(0x21, 0x7F)]


def text(rng, low, high):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(low, high)))


def header_value(rng):
    words = ["".join(rng.choice(VISIBLE) for _ in range(rng.randint(1, 8))) for _ in range(rng.randint(0, 4))]
    gap = " " * rng.randint(1, 4)
    return " " * rng.randint(0, 3) + gap.join(words) + " " * rng.randint(0, 3)


def query(rng):
    pairs = [[text(rng, 0, 4), text(rng, 0, 6)] for _ in range(rng.randint(0, 8))]
    pairs += [rng.choice(pairs)] * rng.randint(0, 2) if pairs else []
    pairs += [["a", "2"], ["a-b", "1"]] * rng.randint(0, 1)
    pairs += [["", text(rng, 0, 3)]] * rng.randint(0, 1)
    rng.shuffle(pairs)
    return pairs


def generate(rng):
    s3 = rng.random() < 0.7
    names = ["x-amz-meta-a", "X-Amz-Target", "Range", "If-Match", "content-type", "x-amz-z", "X-AMZ-Meta-B"]
    return {
        "s3": s3,
        "region": rng.choice(["eu-west-1", "us-east-1", "cn-north-1"]),
        "service": "s3" if s3 else rng.choice(["ssm", "secretsmanager", "sts"]),
        "now": rng.randint(0, 4102444799),
        "id": "AKIDEXAMPLE",
        "secret": rng.choice(["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "s" * 64, "t" * 65, "ü" * 40]),
        "token": rng.choice(["", "SESSION/TOKEN+==" * 20]),
        "method": rng.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
        "host": rng.choice(["b.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000", "[::1]:8080"]),
        "path": "/" + text(rng, 0, 20),
        "query": query(rng),
        "headers": [[rng.choice(names), header_value(rng)] for _ in range(rng.randint(0, 6))],
        "body": text(rng, 0, 30) if rng.random() < 0.5 else "",
    }


def encode(raw, safe):
    return urllib.parse.quote(raw, safe=safe)


def expected(request, monkeypatch):
    """botocore's canonical request and Authorization for the request as it goes over the wire."""
    now = datetime.datetime.fromtimestamp(request["now"], datetime.timezone.utc).replace(tzinfo=None)
    monkeypatch.setattr(botocore_auth, "get_current_datetime", lambda *a, **k: now)
    signer_class = botocore_auth.S3SigV4Auth if request["s3"] else botocore_auth.SigV4Auth
    keys = Credentials(request["id"], request["secret"], request["token"] or None)
    signer = signer_class(keys, request["service"], request["region"])
    url = "http://" + request["host"] + encode(request["path"], "/~-._")
    wire = AWSRequest(method=request["method"], url=url, data=request["body"].encode())
    wire.params = [(n, v) for n, v in request["query"]]
    for name, value in request["headers"]:
        wire.headers[name] = value
    # On the wire S3 and the others differ only in what the signature says of them.
    wire.headers["Host"] = request["host"]
    seen = {}
    real = signer.canonical_request
    monkeypatch.setattr(signer, "canonical_request", lambda r: seen.setdefault("cr", real(r)))
    signer.add_auth(wire)
    return seen["cr"], "Authorization: " + wire.headers["Authorization"]


def run_tool(requests):
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    done = subprocess.run([TOOL], input=lines, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(requests)
    return results


def test_generated_requests_sign_as_botocore_signs_them(monkeypatch):
    rng = random.Random(20260102)
    requests = [generate(rng) for _ in range(COUNT)]
    results = run_tool(requests)
    for request, result in zip(requests, results):
        canonical, authorization = expected(request, monkeypatch)
        assert result["canonical"] == canonical, request
        assert result["authorization"] == authorization, request


def test_the_target_is_what_was_signed_and_decodes_to_what_was_asked():
    rng = random.Random(7)
    requests = [dict(generate(rng), s3=True, service="s3") for _ in range(500)]
    for request, result in zip(requests, run_tool(requests)):
        path, _, wire_query = result["target"].partition("?")
        assert result["canonical"].split("\n")[1:3] == [path, wire_query]
        assert urllib.parse.unquote(path) == request["path"]
        pairs = [tuple(p.split("=", 1)) for p in wire_query.split("&")] if wire_query else []
        assert pairs == sorted(pairs)
        asked = sorted((encode(n, "~-._"), encode(v, "~-._")) for n, v in request["query"])
        assert pairs == asked
