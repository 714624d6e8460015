"""What the network and the services may do to a run, each fault by its name: the right exit code in one
error line without a value, every file as the last good run left it, no temporary file, and the run after
it is whole again.
"""
import contextlib
import json
import socket

import pytest

from aws import one_of_each

pytest_plugins = ("aws",)

CANARY = "CANARY-77d0"
CONFIGURATION = f"""
app = "foo"
group = "root"
deadline = "20s"
{one_of_each("foo/one", "foo/two")}
[[output]]
path = "/run/foo/all.json"
format = "json"

[[output]]
path = "/etc/foo/environment"
format = "env"
"""


def contents(turn):
    """Everything that the services hold; all of it differs from turn to turn."""
    value = f"{CANARY}-{turn}"
    return {
        "buckets": {"config": {"objects": {
            "app.json": json.dumps({"object": value}), "a.pem": f"{value} a\n" * 50, "b.pem": f"{value} b\n"}}},
        "parameters": {f"/foo/p{n}": {"value": f"{value} {n}", "type": "SecureString"} for n in range(3)},
        "secrets": {"foo/one": json.dumps({"one": value}), "foo/two": json.dumps({"two": value})},
    }  # fmt: skip


class Site:
    """A host that has a good set, and services that have newer values."""

    def __init__(self, envsync, scratch, host, gateway):
        self.envsync, self.host, self.gateway, self.root = envsync, host, gateway, scratch.root
        self.file = scratch.config(CONFIGURATION)
        gateway.fixtures(**contents("old"))
        assert self.sync().rc == 0
        gateway.fixtures(**contents("new"))
        self.before = host.state()

    def sync(self, *arguments, env=None):
        result = self.envsync("sync", "-c", self.file, "--root", self.root, *arguments,
                              env=self.gateway.environment() | (env or {}))  # fmt: skip
        assert CANARY not in result.out + result.err, "a value was printed"
        return result

    def fails(self, code, *arguments, env=None):
        result = self.sync(*arguments, env=env)
        assert result.rc == code, str(result)
        errors = [line for line in result.err.splitlines() if "error: " in line]
        assert errors and all("source " in line for line in errors), str(result)
        assert self.host.state() == self.before, "something was written"
        assert not self.host.temps()
        self.gateway.faults()
        self.recovers()
        return errors

    def recovers(self):
        result = self.sync()
        assert result.rc == 0, str(result)
        found = json.loads((self.root / "run/foo/all.json").read_text())
        assert {value.split()[0] for value in found.values()} == {f"{CANARY}-new"}
        assert (self.root / "etc/foo/tls/a.pem").read_text().startswith(f"{CANARY}-new")
        assert not self.host.temps()


@pytest.fixture
def site(envsync, scratch, host, gateway):
    return Site(envsync, scratch, host, gateway)


LIST = {"service": "s3", "operation": "ListObjectsV2"}
OBJECT = {"service": "s3", "operation": "GetObject", "path": "app.json"}
MIRRORED = {"service": "s3", "operation": "GetObject", "path": "a.pem"}
SSM = {"service": "ssm"}
SECRETS = {"service": "secretsmanager"}

# ---- faults that last: 69, at the deadline ----

NETWORK = {
    "closed-before-the-answer": SSM | {"action": "close"},
    "closed-in-the-headers": LIST | {"action": "close", "where": "headers"},
    "half-closed-in-the-body": SECRETS | {"action": "close", "where": "body"},
    "half-closed-in-a-mirrored-file": MIRRORED | {"action": "close", "where": "body"},
    "reset-before-the-answer": LIST | {"action": "reset"},
    "reset-in-the-headers": SECRETS | {"action": "reset", "where": "headers"},
    "reset-in-the-body": OBJECT | {"action": "reset", "where": "body"},
    "reset-in-a-mirrored-file": MIRRORED | {"action": "reset", "where": "body"},
    "one-byte-a-second": SSM | {"action": "slow", "bytes_per_second": 1},
    "stalled-before-the-answer": SECRETS | {"action": "stall"},
    "stalled-in-the-body": OBJECT | {"action": "stall", "where": "body"},
    "stalled-in-a-mirrored-file": MIRRORED | {"action": "stall", "where": "body"},
    "longer-content-length-than-body": MIRRORED | {"action": "truncate"},
    "chunks-without-a-size": SSM | {"action": "bad_chunking", "kind": "size"},
    "chunk-of-more-than-64-bits": LIST | {"action": "bad_chunking", "kind": "overflow"},
    "chunks-without-an-end": OBJECT | {"action": "bad_chunking", "kind": "short"},
    "internal-error": SSM | {"action": "internal"},
    "unavailable": LIST | {"action": "unavailable"},
    "throttled": SECRETS | {"action": "throttle"},
    "a-proxy-that-fails": SSM | {"action": "bad_gateway"},
    "an-error-in-a-200": LIST | {"action": "error_in_200"},
}


@pytest.mark.parametrize("name", NETWORK)
def test_a_network_that_stays_broken_is_69_and_changes_nothing(site, name):
    site.gateway.faults(NETWORK[name])
    site.fails(69, "--deadline", "1200ms")


def test_packets_that_vanish_are_69(site):
    """A listener whose backlog is full drops what comes."""
    with contextlib.ExitStack() as held, socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            sock = held.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        nowhere = f"https://127.0.0.1:{full.getsockname()[1]}"
        site.fails(69, "--deadline", "1200ms", env={"AWS_ENDPOINT_URL_SSM": nowhere})


def test_a_refused_connection_is_69(site):
    site.fails(69, "--deadline", "1200ms", env={"AWS_ENDPOINT_URL_SSM": "https://127.0.0.1:1"})


@pytest.mark.parametrize("listener", ["expired", "wrong-host", "self-signed"])
def test_a_certificate_that_does_not_verify_is_77_at_once(site, listener):
    other = {"AWS_ENDPOINT_URL_S3": site.gateway.url(listener)}
    assert any("certificate" in line for line in site.fails(77, env=other))


# ---- answers that nobody should believe: at once, and never again ----

DEEP = "[" * 100_000 + "]" * 100_000
BOMB = ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "' + "a" * 1000 + '">' + "".join(
    f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefg", "bcdefgh")) + "]><x>&h;</x>")  # fmt: skip
MALFORMED = {
    "captive-portal-before-a-listing": (65, LIST | {"action": "captive_portal"}),
    "captive-portal-before-parameters": (65, SSM | {"action": "captive_portal"}),
    "captive-portal-before-an-object": (65, OBJECT | {"action": "captive_portal"}),
    "captive-portal-before-a-mirrored-file": (65, MIRRORED | {"action": "captive_portal"}),
    "a-redirect-to-elsewhere": (65, SSM | {"action": "redirect"}),
    "a-redirect-of-an-object": (65, OBJECT | {"action": "redirect", "status": 307}),
    "endless-body": (65, SSM | {"action": "huge_body", "fill": " "}),
    "endless-listing": (65, LIST | {"action": "huge_body", "fill": " "}),
    "endless-object": (65, OBJECT | {"action": "huge_body", "fill": " "}),
    "endless-headers": (65, SECRETS | {"action": "huge_headers"}),
    "an-endless-header": (65, SECRETS | {"action": "huge_headers", "size": 4 << 20, "line": 4 << 20}),
    "empty-listing-document": (65, LIST | {"action": "body", "body": ""}),
    "empty-json-document": (65, SSM | {"action": "body", "body": ""}),
    "cut-xml": (65, LIST | {"action": "malformed"}),
    "cut-json": (65, SECRETS | {"action": "malformed"}),
    "entity-bomb": (65, LIST | {"action": "body", "body": BOMB, "content_type": "application/xml"}),
    "a-hundred-thousand-levels-of-json": (65, SSM | {"action": "body", "body": DEEP}),
    "a-hundred-thousand-levels-of-xml": (65, LIST | {"action": "body", "body": "<a>" * 100_000}),
    "a-hundred-thousand-levels-in-an-object": (65, OBJECT | {"action": "body", "body": '{"a":' + DEEP + "}"}),
    "invalid-utf8": (65, SSM | {"action": "body", "base64": "eyJQYXJhbWV0ZXJzIjogW10sICLDKCI6IDF9"}),
    "duplicate-json-keys": (65, SSM | {"action": "duplicate_json_keys"}),
    "not-a-number": (65, SSM | {"action": "nan"}),
    "two-to-the-64": (65, SSM | {"action": "big_number"}),
    "nul-in-a-value": (65, SSM | {"action": "nul"}),
    "nul-in-a-key": (65, LIST | {"action": "nul"}),
    "nul-in-a-secret": (65, SECRETS | {"action": "nul"}),
    "token-that-comes-again": (65, SSM | {"action": "repeat_token"}),
    "token-of-a-listing-that-comes-again": (65, LIST | {"action": "repeat_token"}),
    "objects-that-change-all-the-time": (69, MIRRORED | {"action": "wrong_etag"}),
    "wrong-checksum": (65, MIRRORED | {"action": "wrong_checksum"}),
    "expired-credentials": (77, SSM | {"action": "expired_token"}),
    "signature-that-stays-wrong": (77, LIST | {"action": "bad_signature"}),
    "denied": (77, SECRETS | {"action": "access_denied"}),
    "key-not-to-be-used": (77, SSM | {"action": "kms_denied"}),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_an_answer_that_is_not_to_be_believed_changes_nothing(site, name):
    code, rule = MALFORMED[name]
    site.gateway.faults(rule)
    site.fails(code)


@pytest.mark.parametrize("key", ["../x.pem", "a/../../x.pem", "/etc/x.pem", "./x.pem", "a//x.pem"])
def test_a_key_that_leads_elsewhere_is_65(site, key):
    new = contents("new")
    bad = contents("new")
    bad["buckets"]["config"]["objects"][key] = "planted"
    site.file.write_text(CONFIGURATION.replace('["*.pem"]', '["**/*.pem", "*.pem", "**"]'))
    site.before = site.host.state()
    site.gateway.fixtures(**bad)
    result = site.sync()
    assert result.rc == 65 and site.host.state() == site.before and not site.host.temps(), str(result)
    site.gateway.fixtures(**new)


# ---- what is not right and yet is survived ----

SURVIVED = {
    "a-clock-that-is-an-hour-off": {"action": "skew", "seconds": 3600},
    "a-clock-at-1970": {"action": "skew", "seconds": 1_800_000_000},
    "one-reset": MIRRORED | {"action": "reset", "where": "body", "count": 1},
    "one-empty-page": SSM | {"action": "empty_page", "count": 1},
    "one-throttling": LIST | {"action": "throttle", "count": 1},
    "one-cut-body": OBJECT | {"action": "truncate", "count": 1},
    "batch-that-is-partly-refused": SECRETS | {"action": "partial_batch"},
    "keys-with-plus-for-space": LIST | {"action": "plus_keys"},
}


@pytest.mark.parametrize("name", SURVIVED)
def test_what_passes_is_survived(site, name):
    site.gateway.faults(SURVIVED[name])
    site.recovers()


def test_a_key_of_1024_bytes_is_a_file_like_any_other(site):
    new = contents("new")
    key = "/".join(["d" * 200] * 5) + "/" + "x" * 15 + ".pem"
    assert len(key) == 1024
    new["buckets"]["config"]["objects"][key] = f"{CANARY}-new"
    site.gateway.fixtures(**new)
    site.file.write_text(CONFIGURATION.replace('["*.pem"]', '["**/*.pem", "*.pem"]'))
    site.recovers()
    assert (site.root / "etc/foo/tls" / key).read_text() == f"{CANARY}-new"
