"""What the AWS client does with one call, seen by its outcome and by the gateway's record of requests."""
from __future__ import annotations

import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import SLOW
from calling import BODY, CANARY, GET, OBJECT, ROLE, SSM, TOOL, Outcome, run

pytest_plugins = ("aws", "calling")


# Signatures

def test_a_signature_is_accepted_by_ssm(call):
    assert call(BODY, *SSM)["class"] == "ok"


def test_a_signature_is_accepted_by_s3(call):
    assert call(*GET)["bytes"] == len(OBJECT)


@pytest.mark.parametrize("key", ["/a b", "/a+b", "/a//b", "/../x", "/%2F", "/ü", "/a=b&c?d#e", "/.", "/a%20b", "/'\"<>"])
def test_a_hostile_key_goes_out_byte_for_byte(seeded, call, key):
    seeded.fixtures(buckets={"bkt": {"objects": {key[1:]: "found"}}})
    assert call("bucket=bkt", "s3", "GetObject", key)["bytes"] == 5


def test_a_wrong_secret_is_denied(call):
    outcome = call(BODY, *SSM, AWS_SECRET_ACCESS_KEY=CANARY)
    assert outcome["class"] == "denied" and "InvalidSignatureException, request" in outcome["message"]


# The network's faults: what becomes of each, and that the one after it is served

FAULTS = {
    "close-before": {"action": "close", "where": "before"},
    "close-in-headers": {"action": "close", "where": "headers"},
    "half-close-in-body": {"action": "close", "where": "body"},
    "reset-before": {"action": "reset", "where": "before"},
    "reset-in-headers": {"action": "reset", "where": "headers"},
    "reset-in-body": {"action": "reset", "where": "body"},
    "truncated": {"action": "truncate"},
    "chunks-without-size": {"action": "bad_chunking", "kind": "size"},
    "chunk-overflow": {"action": "bad_chunking", "kind": "overflow"},
    "chunks-without-end": {"action": "bad_chunking", "kind": "short"},
    "internal": {"action": "internal"},
    "unavailable": {"action": "unavailable"},
    "bad-gateway": {"action": "bad_gateway"},
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("what", ["ssm", "s3"])
def test_a_fault_that_passes_is_survived(seeded, call, name, what):
    seeded.faults({**FAULTS[name], "count": 2})
    outcome = call(BODY, *SSM) if what == "ssm" else call(*GET)
    assert outcome["class"] == "ok", outcome
    assert len(seeded.requests()) == 3
    if what == "s3":
        assert outcome["bytes"] == len(OBJECT)      # what a broken body began does not count


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_stays_is_unavailable_at_the_deadline(seeded, call, name):
    seeded.faults(FAULTS[name])
    outcome = call(BODY, "deadline=1500", *SSM)
    assert outcome["class"] == "unavailable" and outcome["ms"] < 1700
    assert "127.0.0.1" in outcome["message"] and "tr" in outcome["message"]


def test_a_stall_ends_with_the_deadline(seeded, call):
    seeded.faults({"action": "stall"})
    outcome = call(BODY, "deadline=1000", *SSM)
    assert outcome["class"] == "unavailable" and 900 <= outcome["ms"] < 1200
    assert "waiting for its answer" in outcome["message"]


def test_a_stall_in_the_body_is_given_up_after_ten_seconds_and_tried_again(seeded, call):
    seeded.faults({"action": "stall", "where": "body", "count": 1})
    outcome = call("deadline=30000", *GET)
    assert outcome["class"] == "ok" and 9000 < outcome["ms"] < 14000 and outcome["restarts"] == 1


def test_one_byte_a_second_is_a_stall(seeded, call):
    seeded.faults({"action": "slow", "bytes_per_second": 1, "count": 1})
    outcome = call("deadline=30000", *GET)
    assert outcome["class"] == "ok" and outcome["ms"] < 16000


def test_an_endless_body_is_cut_at_its_cap(seeded, call):
    seeded.faults({"action": "huge_body"})
    outcome = call("max=100000", *GET)
    assert outcome["class"] == "invalid" and "too large" in outcome["message"] and len(seeded.requests()) == 1


def test_endless_headers_are_cut_at_their_cap(seeded, call):
    seeded.faults({"action": "huge_headers"})
    outcome = call(BODY, *SSM)
    assert outcome["class"] == "invalid" and "too large" in outcome["message"]


def test_a_redirect_is_never_followed(seeded, call):
    seeded.faults({"action": "redirect", "location": seeded.url("https") + "/elsewhere"})
    outcome = call(BODY, *SSM)
    assert outcome["class"] == "invalid" and len(seeded.requests()) == 1


def test_a_status_with_html_is_no_answer_of_awss(seeded, call):
    seeded.faults({"action": "body", "status": 403, "body": f"<html>{CANARY}</html>", "content_type": "text/html"})
    assert call(BODY, *SSM)["class"] == "invalid"


def test_a_refused_connection_is_unavailable_and_says_so(call):
    outcome = call(BODY, "deadline=1500", *SSM, AWS_ENDPOINT_URL="https://127.0.0.1:1")
    assert outcome["class"] == "unavailable" and "no connection" in outcome["message"]


def test_a_name_that_does_not_resolve_is_unavailable_and_says_so(call):
    outcome = call(BODY, "deadline=2000", *SSM, AWS_ENDPOINT_URL="https://no-such-host.invalid")
    assert outcome["class"] == "unavailable" and outcome["ms"] < 2300
    assert "no-such-host.invalid" in outcome["message"]


def missing(what: str) -> None:
    """Loud, and a failure where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"NOT TESTED: {what} is missing")


def test_a_name_server_that_says_nothing_does_not_outlast_the_deadline(tmp_path):
    """In a mount namespace with a resolv.conf of its own. The resolver's thread cannot be cancelled."""
    if os.geteuid() != 0:
        missing("root")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    env = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}
    command = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {TOOL} deadline=1000 '{BODY}' ssm GetParameter"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.53", 53))
        start = time.monotonic()
        outcome = Outcome(subprocess.run(["unshare", "-m", "sh", "-c", command], env=env, capture_output=True, text=True))
        assert time.monotonic() - start < 1 + 0.3 * SLOW
    assert outcome["class"] == "unavailable" and "name was looked up" in outcome["message"]


def test_packets_that_vanish_end_with_the_deadline(call):
    """A listener whose backlog is full drops what comes."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        held = [socket.socket() for _ in range(4)]
        for sock in held:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        outcome = call(BODY, "deadline=1000", *SSM, AWS_ENDPOINT_URL=f"https://127.0.0.1:{full.getsockname()[1]}")
        for sock in held:
            sock.close()
    assert outcome["class"] == "unavailable" and outcome["ms"] < 1200


def test_what_speaks_no_tls_is_insecure_and_not_only_away(call):
    with Answerer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        outcome = call(BODY, "deadline=1500", *SSM, AWS_ENDPOINT_URL=f"https://127.0.0.1:{port}")
    assert outcome["class"] == "insecure" and "TLS" in outcome["message"]


def test_a_body_without_a_length_is_not_taken_for_whole(call):
    with Answerer(b"HTTP/1.1 200 OK\r\n\r\n{}") as port:
        outcome = call(BODY, "deadline=1500", *SSM, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    assert outcome["class"] == "unavailable" and "broke off" in outcome["message"]


def test_garbage_in_place_of_http_is_survived_until_the_deadline(call):
    with Answerer(b"\x00\xff garbage\r\n\r\n") as port:
        outcome = call(BODY, "deadline=1500", *SSM, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    assert outcome["class"] == "unavailable"


class Answerer:
    """Answers every connection with the same bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.sock = data, socket.socket()

    def __enter__(self) -> int:
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()
        return self.sock.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                peer.sendall(self.data)

    def __exit__(self, *_: object) -> None:
        self.sock.close()


# Certificates

@pytest.mark.parametrize("listener", ["expired", "wrong-host", "self-signed"])
def test_a_wrong_certificate_is_denied_at_once(seeded, call, listener):
    outcome = call(BODY, *SSM, AWS_ENDPOINT_URL=seeded.url(listener))
    assert outcome["class"] == "denied" and outcome["ms"] < 1000 and "certificate" in outcome["message"]
    assert not seeded.requests()


def test_the_systems_authorities_do_not_vouch_for_a_private_one(seeded):
    env = {n: v for n, v in seeded.environment().items() if n != "AWS_CA_BUNDLE"}
    outcome = run(env, BODY, *SSM)
    assert outcome["class"] == "denied" and "ca_file" in outcome["message"]


def test_ca_file_goes_before_the_environment(seeded, call, tmp_path):
    (tmp_path / "empty.pem").write_text("nothing\n")
    assert call(BODY, f"ca_file={seeded.ca}", *SSM, AWS_CA_BUNDLE=str(tmp_path / "empty.pem"))["class"] == "ok"


@pytest.mark.parametrize("text", ["nothing\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_ca_file_without_a_certificate_is_a_wrong_configuration(call, tmp_path, text):
    (tmp_path / "bad.pem").write_text(text)
    outcome = call(BODY, f"ca_file={tmp_path}/bad.pem", *SSM)
    assert outcome["class"] == "config" and outcome["message"].startswith("ca_file")


def test_a_ca_file_that_is_not_there_is_a_wrong_configuration(call):
    assert call(BODY, "ca_file=/nowhere/ca.pem", *SSM)["class"] == "config"


def test_tls_below_1_2_is_refused(call, seeded):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(seeded.ca).parent / "good.pem", Path(seeded.ca).parent / "good.key")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    outcome = call(BODY, "deadline=1500", *SSM, AWS_ENDPOINT_URL=f"https://127.0.0.1:{server.server_port}")
    server.shutdown()
    assert outcome["class"] == "insecure" and "TLS" in outcome["message"]


# Time

def test_throttled_and_then_served(seeded, call):
    seeded.faults({"action": "throttle", "count": 3})
    assert call(BODY, "deadline=30000", *SSM)["class"] == "ok"
    assert len(seeded.requests()) == 4


def test_throttled_to_the_end_is_unavailable_and_names_the_code(seeded, call):
    seeded.faults({"action": "throttle"})
    outcome = call(BODY, "deadline=2500", *SSM)
    assert outcome["class"] == "unavailable" and "ThrottlingException" in outcome["message"]


@pytest.mark.parametrize("seconds", [3600, -3600, -1_700_000_000])
@pytest.mark.parametrize("service", ["ssm", "s3"])
def test_a_wrong_clock_is_corrected_once(seeded, call, seconds, service):
    seeded.config(clock_offset=float(seconds))
    outcome = call(BODY, "count=1", "waves=3", *SSM) if service == "ssm" else call("waves=3", *GET)
    assert outcome["class"] == "ok"
    assert len(seeded.requests()) == 4      # the first one twice, and the others right


def test_a_wrong_clock_is_corrected_for_all_that_are_under_way(seeded, call):
    seeded.config(clock_offset=3600.0)
    assert call(BODY, "count=20", *SSM)["ok"] == 20


def test_a_wrong_clock_is_not_believed_without_tls(seeded, call):
    seeded.config(clock_offset=3600.0)
    assert call(BODY, *SSM, AWS_ENDPOINT_URL=seeded.url("http"))["class"] == "denied"


# Regions

@pytest.mark.parametrize("status", [301, 400])
def test_a_bucket_in_another_region_is_found_once(seeded, call, status):
    seeded.config(wrong_region=status)
    outcome = call("bucket=far", "count=1", "waves=3", "s3", "GetObject", "/k")
    assert outcome["class"] == "ok" and len(seeded.requests()) == 4


HIDDEN = {"action": "wrong_region", "status": 301, "hide": True, "region": "us-west-2", "method": "GET",
          "any_signature": True}  # fmt: skip
HEAD = {"method": "HEAD", "any_signature": True}


def test_a_bucket_whose_region_is_hidden_is_asked_by_head(seeded, call):
    seeded.config(wrong_region=301)
    seeded.faults(HIDDEN | {"count": 1})
    outcome = call("bucket=far", "s3", "GetObject", "/k")
    assert [r["method"] for r in seeded.requests()][:2] == ["GET", "HEAD"]
    assert outcome["class"] == "ok"


@pytest.mark.parametrize("fault", [{"action": "internal"}, {"action": "unavailable"}, {"action": "throttle"}])
def test_a_question_for_the_region_that_fails_is_asked_again(seeded, call, fault):
    """It is as transient as any other: no wrong answer of AWS's."""
    seeded.config(wrong_region=301)
    seeded.faults(HIDDEN | {"count": 2}, HEAD | fault | {"count": 1})
    assert call("bucket=far", "s3", "GetObject", "/k")["class"] == "ok"
    assert [r["method"] for r in seeded.requests()] == ["GET", "HEAD", "GET", "HEAD", "GET"]


def test_a_question_for_the_region_that_never_gets_through_is_unavailable(seeded, call):
    seeded.config(wrong_region=301)
    seeded.faults(HIDDEN, HEAD | {"action": "close", "where": "before"})
    outcome = call("bucket=far", "deadline=2500", "s3", "GetObject", "/k")
    assert outcome["class"] == "unavailable", outcome



def test_a_region_that_is_no_region_is_a_wrong_configuration(seeded):
    env = {**seeded.environment(), "AWS_REGION": "evil.example.org/"}
    outcome = run(env, BODY, *SSM)
    assert outcome["class"] == "config" and not seeded.requests()


def test_a_region_of_the_metadata_service_that_is_no_region_is_refused(seeded):
    env = seeded.environment_without_keys("imds")
    env = {n: v for n, v in env.items() if "REGION" not in n and n != "AWS_ENDPOINT_URL"}
    seeded.faults({"action": "body", "path": "placement/region", "body": "evil.example.org/"})
    assert run(env, BODY, *SSM)["class"] == "config"


def test_with_an_endpoint_and_no_region_it_is_us_east_1_and_nobody_is_asked(seeded):
    env = {n: v for n, v in seeded.environment().items() if "REGION" not in n}
    seeded.config(region="us-east-1")
    outcome = run(env, BODY, *SSM, AWS_EC2_METADATA_SERVICE_ENDPOINT=seeded.url("imds"), AWS_EC2_METADATA_DISABLED="false")
    assert outcome["class"] == "ok" and outcome["region"] == "us-east-1"
    assert all(r["listener"] == "https" for r in seeded.requests())


# Connections

def test_connections_are_reused(seeded, call):
    assert call(BODY, "count=1", "waves=20", *SSM)["ok"] == 20
    assert len({r["connection"] for r in seeded.requests()}) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(seeded, call):
    seeded.faults({"action": "close", "where": "before", "nth": 2, "count": 1})
    assert call(BODY, "count=1", "waves=3", *SSM)["ok"] == 3


def test_connections_grow_where_answers_are_slow(call):
    with Slow(0.1) as slow:
        outcome = call(BODY, "count=200", "waves=2", *SSM, AWS_ENDPOINT_URL=f"http://127.0.0.1:{slow.port}")
        assert outcome["ok"] == 400
        assert 30 < slow.most <= 96


class Slow:
    """Serves every request after a while, and counts those that are there together."""

    def __init__(self, seconds: float) -> None:
        self.most = self.now = 0
        lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    outer.now += 1
                    outer.most = max(outer.most, outer.now)
                time.sleep(seconds)
                with lock:
                    outer.now -= 1
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket.listen(128)
        self.port = self.server.server_port

    def __enter__(self) -> Slow:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


def test_later_connections_resume_the_tls_session(seeded, call):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(seeded.ca).parent / "good.pem", Path(seeded.ca).parent / "good.key")
    resumed = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
                with context.wrap_socket(peer, server_side=True) as tls:
                    tls.recv(65536)
                    resumed.append(tls.session_reused)
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        outcome = call(BODY, "count=1", "waves=4", *SSM, AWS_ENDPOINT_URL=f"https://127.0.0.1:{listener.getsockname()[1]}")
    assert outcome["ok"] == 4 and resumed == [False, True, True, True]


# A proxy

def test_a_proxy_is_used_where_it_is_configured_and_only_there(seeded, call):
    for proxy in ("https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        assert call(BODY, *SSM, **{proxy: "http://127.0.0.1:1"})["class"] == "ok"
    outcome = call(BODY, "proxy=http://127.0.0.1:1", "deadline=1500", *SSM)
    assert outcome["class"] == "unavailable"
    outcome = call(BODY, "deadline=1500", *SSM, HTTPS_PROXY="http://127.0.0.1:1")
    assert outcome["class"] == "unavailable"
    assert call(BODY, f"proxy={seeded.url('http')}", *SSM)["class"] == "ok"


def test_the_metadata_service_is_never_asked_through_the_proxy(seeded):
    env = seeded.environment_without_keys("imds", AWS_REGION="eu-west-1")
    outcome = run(env, BODY, "proxy=http://127.0.0.1:1", "deadline=2500", *SSM)
    assert outcome["class"] == "unavailable"        # SSM was not reached, but the metadata service was
    assert any("security-credentials/app" in r["path"] for r in seeded.requests())


# Describing

def test_describe_names_link_region_and_endpoint_and_asks_nobody(seeded, call):
    outcome = call("describe=1", f"role_arn={ROLE}", *SSM)
    assert f"credentials: role_arn for {ROLE}, with environment (AWS_ACCESS_KEY_ID)" in outcome.said
    assert "region: eu-west-1, from AWS_REGION" in outcome.said and "endpoint: https" in outcome.said
    assert seeded.secret_key not in outcome.said and not seeded.requests()
