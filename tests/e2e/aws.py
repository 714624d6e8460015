"""The AWS stand-ins as pytest fixtures: `gateway` (the verifying gateway alone) and `aws` (the same before moto).

One process of each per session; every test starts from their state at start. In a test module:

    pytest_plugins = ("aws",)

    def test_one_request(aws, run):
        aws.moto("ssm").put_parameter(Name="/app/x", Value="1", Type="String")      # seeds behind the gateway's back
        run("sync", env=aws.environment())
        assert [r["operation"] for r in aws.requests()] == ["GetParametersByPath"]
"""
from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
READY = 30.0
ECS_PATH = "/v2/credentials/0badcafe-0000-4000-8000-000000000001"     # as in the gateway's settings
EKS_TOKEN = "eks-token/+="
SESSION = boto3.session.Session()      # one for all: it keeps the service models it has parsed


def one_of_each(*ids: str) -> str:
    """Sources, as TOML: one of each service of AWS, the bucket in both of its uses."""
    return f"""
[[source]]
name = "bucket"
type = "s3"
bucket = "config"
merge = ["*.json"]
mirror = ["*.pem"]
dir = "/etc/foo/tls"

[[source]]
name = "params"
type = "ssm"
path = "/foo/"

[[source]]
name = "secrets"
type = "secrets-manager"
ids = {json.dumps(ids)}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def call(url: str, document: Any = None, method: str = "GET") -> Any:
    data = json.dumps(document).encode() if document is not None else b"" if method == "POST" else None
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=30) as answer:
        return json.load(answer)


class Moto:
    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with log.open("w") as output:
            self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        end = time.monotonic() + READY
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError(f"moto did not start:\n{log.read_text()}") from None
                time.sleep(0.05)

    def reset(self) -> None:
        call(f"{self.url}/moto-api/reset", method="POST")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Gateway:
    """A running gateway and what a test says to it."""

    def __init__(self, *options: str, moto: Moto | None = None) -> None:
        self.behind = moto
        self.directory = Path(tempfile.mkdtemp(prefix="gateway-"))
        self.directory.chmod(0o755)     # an unprivileged worker has to read the CA
        command = [sys.executable, "-m", "tests.gateway", "--bad-tls", "--directory", str(self.directory), *options]
        self.process = subprocess.Popen(command + (["--upstream", moto.url] if moto else []), cwd=ROOT,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the gateway did not start, see above")
        self.told: dict[str, Any] = json.loads(line)
        self.access_key, self.secret_key = self.told["access_key"], self.told["secret_key"]
        self.ca = self.told["ca"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, listener: str = "http", host: str = "127.0.0.1") -> str:
        """listener: http https imds container expired wrong-host self-signed."""
        scheme = "http" if listener in ("http", "imds", "container") else "https"
        return f"{scheme}://{host}:{self.told[listener]}"

    def control(self, path: str, document: Any = None, method: str = "POST") -> Any:
        return call(self.url() + path, document, method)

    def reset(self) -> None:
        self.control("/__reset")
        if self.behind:
            self.behind.reset()

    def forget(self) -> None:
        """Empties the request log and nothing else."""
        self.control("/__reset?only=requests")

    def requests(self, **equal: Any) -> list[dict[str, Any]]:
        """The request log, or those entries whose fields are as given."""
        return [r for r in self.control("/__requests", method="GET") if all(r[n] == v for n, v in equal.items())]

    def faults(self, *rules: dict[str, Any]) -> None:
        """Replaces the rules; none: all is well again."""
        self.control("/__faults", list(rules))

    def config(self, **settings: Any) -> None:
        self.control("/__config", settings)

    def fixtures(self, **parts: Any) -> None:
        self.control("/__fixtures", parts)

    def expire(self) -> None:
        self.control("/__expire")

    def down(self, listener: str, seconds: float) -> None:
        self.control(f"/__down?listener={listener}&seconds={seconds}")

    def environment(self, listener: str = "https", **more: str) -> dict[str, str]:
        """What a child needs to find and trust the gateway, with a long-term key; PATH is the caller's."""
        return {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
                "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url(listener),
                "AWS_CA_BUNDLE": self.ca, "AWS_EC2_METADATA_DISABLED": "true", **more}

    def environment_without_keys(self, link: str, listener: str = "https", **more: str) -> dict[str, str]:
        """The same, with the credentials to be had from a link of the chain: imds, ecs or eks. For ecs the full URI stands
        in for the relative one, whose address 169.254.170.2 is not on loopback."""
        found = self.environment(listener)
        del found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]
        base = self.url("container")
        found |= {"imds": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url("imds"), "AWS_EC2_METADATA_DISABLED": "false"},
                  "ecs": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": base + ECS_PATH},
                  "eks": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": base + "/v1/credentials",
                          "AWS_CONTAINER_AUTHORIZATION_TOKEN": EKS_TOKEN}}[link]
        return {**found, **more}

    def client(self, service: str, listener: str = "http", config: dict[str, Any] | None = None, **more: Any) -> Any:
        """A boto3 client that speaks to the gateway and tries once."""
        settings = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **(config or {})}
        chosen = {"endpoint_url": self.url(listener), "verify": self.ca, "region_name": REGION,
                  "aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key, **more}
        return SESSION.client(service, config=Config(**settings), **chosen)

    def moto(self, service: str, region: str = REGION) -> Any:
        """A boto3 client that speaks to moto itself, to seed it."""
        assert self.behind, "this gateway has no moto behind it"
        return SESSION.client(service, endpoint_url=self.behind.url, region_name=region, aws_access_key_id="seed",
                              aws_secret_access_key="seed", config=Config(s3={"addressing_style": "path"}))


@pytest.fixture(scope="session")
def gateway_process() -> Iterator[Gateway]:
    running = Gateway()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def aws_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    moto = Moto(tmp_path_factory.mktemp("moto") / "moto.log")
    try:
        running = Gateway(moto=moto)
        yield running
        running.stop()
    finally:
        moto.stop()


@pytest.fixture
def gateway(gateway_process: Gateway) -> Gateway:
    """The gateway with its own store, empty."""
    gateway_process.reset()
    return gateway_process


@pytest.fixture
def aws(aws_process: Gateway) -> Gateway:
    """The gateway before moto, both empty."""
    aws_process.reset()
    return aws_process
