"""Where the contenders run: two network namespaces with a delay between them, a canned AWS beyond it.

    client namespace                                    server namespace
    contenders, metadata service --- TUN, RTT/2 --- canned AWS, at once and with service times

The harness itself moves into the client's namespace, so that nothing but the contender is started
when one is measured; and into a mount namespace of its own, where the system's certificates hold
one more. Nothing outlives it but what is below the scratch folder.
"""
import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

CLIENT, SERVER = "198.18.7.2", "198.18.7.1"  # RFC 2544: for benchmarks
CERTIFICATES = Path("/etc/ssl/certs")
BUNDLE = CERTIFICATES / "ca-certificates.crt"
SERVICE = ["-d", "20", "-D", "10"]  # what S3 and SSM take, in milliseconds
CLONE_NEWNS, CLONE_NEWNET, MS_REC, MS_PRIVATE, MS_BIND = 0x20000, 0x40000000, 0x4000, 1 << 18, 4096

# name: (round trip in microseconds, service times)
LINKS = {"1 ms": (1000, False), "20 ms": (20000, False), "1 ms + service": (1000, True)}

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def run(*command, **keywords):
    return subprocess.run([str(word) for word in command], check=True, **keywords)


def ask(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


class Server:
    """A running canned AWS. `plain` and `tls` are its ports."""

    def __init__(self, build, address, *options, tls=None):
        command = [build / "tests/bench/server", "-b", address, *options]
        if tls:
            command += ["-s", "0", "-c", tls / "server.pem", "-k", tls / "server.key"]
        self.address = address
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
        self.plain = int(self.process.stdout.readline())
        self.tls = int(self.process.stdout.readline()) if tls else None

    def url(self, tls=True):
        return f"https://{self.address}:{self.tls}" if tls else f"http://{self.address}:{self.plain}"

    def stats(self):
        return ask(f"{self.url(False)}/__stats")

    def reset(self):
        ask(f"{self.url(False)}/__reset")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def make_certificates(folder, address):
    """An authority, and a server's certificate of it: ca.pem, server.pem, server.key."""
    folder.mkdir(parents=True, exist_ok=True)
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\n")
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=Canned AWS authority", **quiet)  # fmt: skip
    run("openssl", "req", *key, "-keyout", "server.key", "-out", "server.csr",
        "-subj", f"/CN={address}", **quiet)  # fmt: skip
    run("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "server.pem",
        **quiet)  # fmt: skip
    return folder


def trust(folder):
    """The system's certificates with our authority among them, in this mount namespace only."""
    copy = folder / "certs"
    shutil.copytree(CERTIFICATES, copy, symlinks=True)
    authority = (folder / "ca.pem").read_text()
    (copy / "bench.pem").write_text(authority)
    with open(copy / BUNDLE.name, "a") as bundle:
        bundle.write(authority)
    digest = run("openssl", "x509", "-hash", "-noout", "-in", folder / "ca.pem",
                 capture_output=True, text=True).stdout.strip()  # fmt: skip
    (copy / f"{digest}.0").symlink_to("bench.pem")
    call("mount", str(copy).encode(), str(CERTIFICATES).encode(), None, MS_BIND, None)


class World:
    """Use as a context manager. `link()` changes the round trip."""

    def __init__(self, build):
        self.build = build
        self.scratch = None
        self.delay = None
        self.servers = []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            return self.enter()
        except BaseException:
            self.stack.close()
            raise

    def __exit__(self, *_):
        self.stack.close()

    def enter(self):
        call("unshare", CLONE_NEWNS)
        call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        # Not on a tmpfs: fsync must cost what it costs.
        self.scratch = Path(tempfile.mkdtemp(prefix="envsync-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
        self.stack.callback(shutil.rmtree, self.scratch, ignore_errors=True)
        self.scratch.chmod(0o755)
        self.trash = self.scratch / "trash"
        self.trash.mkdir()
        self.certificates = make_certificates(self.scratch / "tls", SERVER)
        trust(self.certificates)
        self.names = [f"envsync-bench-{os.getpid()}-{side}" for side in ("client", "server")]
        for name in self.names:
            run("ip", "netns", "add", name)
            self.stack.callback(run, "ip", "netns", "delete", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        self.move(self.names[1])
        self.link_up(1000)
        self.aws = self.start(SERVER, tls=self.certificates)
        self.busy = self.start(SERVER, *SERVICE, tls=self.certificates)
        self.move(self.names[0])
        self.imds = self.start("127.0.0.1")
        return self

    def move(self, name):
        with open(f"/run/netns/{name}") as namespace:
            call("setns", namespace.fileno(), CLONE_NEWNET)

    def start(self, address, *options, **keywords):
        server = Server(self.build, address, *options, **keywords)
        self.stack.callback(server.stop)
        return server

    def link_up(self, rtt_us):
        if self.delay:
            self.delay.kill()
            self.delay.wait()
            self.delay.stdout.close()
        else:
            self.stack.callback(self.link_down)
        command = [self.build / "tests/bench/tundelay", *self.names, rtt_us]
        self.delay = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
        if self.delay.stdout.readline() != b"ready\n":
            raise RuntimeError("the link cannot be made; /dev/net/tun and root are needed")
        for name, mine, other in zip(self.names, (CLIENT, SERVER), (SERVER, CLIENT)):
            run("ip", "-n", name, "address", "add", mine, "peer", other, "dev", "bench0")
            run("ip", "-n", name, "link", "set", "bench0", "mtu", "1500", "txqueuelen", "20000", "up")

    def link_down(self):
        self.delay.kill()
        self.delay.wait()
        self.delay.stdout.close()

    def link(self, name):
        """Makes the link; gives the server that stands behind it."""
        rtt_us, service = LINKS[name]
        self.link_up(rtt_us)
        return self.busy if service else self.aws
