"""Name servers that fail, and addresses that lead nowhere: a resolver of the test's own stands behind
/etc/resolv.conf, in a mount namespace, and says what it likes about aws.test."""
import contextlib
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

pytest_plugins = ("aws",)
pytestmark = pytest.mark.usefixtures("as_root")

SERVER = "127.0.0.54"
A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2


class NameServer:
    """answers: {query type: address}; code: what all are told; delay: how long it thinks."""

    def __init__(self, answers=(), code=0, delay=0.0):
        self.answers, self.code, self.delay = dict(answers), code, delay
        self.asked, self.over = 0, False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self):
        self.sock.bind((SERVER, 53))
        self.sock.settimeout(0.05)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.sock.close()

    def serve(self):
        while not self.over:
            with contextlib.suppress(TimeoutError):
                query, peer = self.sock.recvfrom(512)
                self.asked += 1
                threading.Timer(self.delay, self.answer, (query, peer)).start()

    def answer(self, query, peer):
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        (kind,) = struct.unpack(">H", question[-4:-2])
        data = self.answers.get(kind, b"") if self.code == 0 else b""
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | self.code, 1, bool(data), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data if data else b""
        with contextlib.suppress(OSError):
            self.sock.sendto(head + question + record, peer)


@pytest.fixture
def sync(envsync, scratch, gateway):
    gateway.fixtures(parameters={"/foo/a": "1"})
    resolv = scratch.write("resolv.conf", f"nameserver {SERVER}\noptions timeout:1 attempts:1\n")
    port = gateway.told["http"]
    config = scratch.config(f"""
app = "foo"
group = "root"

[[source]]
type = "ssm"
path = "/foo/"
endpoint = "http://aws.test:{port}"

[[output]]
path = "/run/foo/environment"
format = "env"
""")

    def run(deadline="10s"):
        began = time.monotonic()
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"', "sh",
             resolv, *envsync.command, "-c", config, "--root", scratch.root, "--deadline", deadline],
            env=gateway.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stderr, time.monotonic() - began

    return run


LOOPBACK = {A: socket.inet_aton("127.0.0.1")}


def test_a_name_is_found_by_the_server_of_the_test(sync):
    with NameServer(LOOPBACK) as server:
        code, said, _ = sync()
        assert (code, server.asked > 0) == (0, True), said


@pytest.mark.parametrize("code", [NXDOMAIN, SERVFAIL])
def test_a_name_server_that_refuses_is_69_and_names_the_host(sync, code):
    with NameServer(code=code) as server:
        status, said, _ = sync("2s")
        assert status == 69 and "aws.test" in said and server.asked, said
        assert len(said.splitlines()) == 1, said


def test_a_slow_name_server_is_waited_for(sync):
    with NameServer(LOOPBACK, delay=0.7):
        code, said, took = sync()
        assert code == 0 and took > 0.7, said


def test_a_name_server_that_comes_back_is_asked_again(sync):
    with NameServer(LOOPBACK, code=SERVFAIL) as server:
        threading.Timer(1, lambda: setattr(server, "code", 0)).start()
        code, said, _ = sync()
        assert code == 0, said


def test_an_ipv6_address_that_leads_nowhere_costs_no_more_than_a_moment(sync, gateway):
    """A listener whose backlog is full drops what comes, as a black hole does."""
    with contextlib.ExitStack() as held:
        hole = held.enter_context(socket.socket(socket.AF_INET6))
        hole.bind(("::1", gateway.told["http"]))
        hole.listen(0)
        for _ in range(4):
            sock = held.enter_context(socket.socket(socket.AF_INET6))
            sock.setblocking(False)
            sock.connect_ex(hole.getsockname())
        held.enter_context(NameServer(LOOPBACK | {AAAA: socket.inet_pton(socket.AF_INET6, "::1")}))
        code, said, took = sync()
        assert code == 0 and 0.15 < took < 2 * float(os.environ.get("ENVSYNC_SLOW", "1")), (said, took)
