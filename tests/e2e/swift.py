"""OpenStack Swift's S3 interface as a pytest fixture (tests/swift-s3): a real server that checks every signature.

    pytest_plugins = ("swift",)

    def test_with_it(swift):
        swift.client().create_bucket(Bucket="b")
"""
from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

STARTER = Path(__file__).resolve().parents[1] / "swift-s3"
REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "test:tester", "testing"


def four_ports() -> int:
    """The first of four neighbouring ports that nobody listens on."""
    for first in range(20000 + os.getpid() % 8000, 32000, 4):
        try:
            for port in range(first, first + 4):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise RuntimeError("no four ports are free")


@dataclass
class Swift:
    url: str

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url,
                "AWS_EC2_METADATA_DISABLED": "true", **more}

    def client(self, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Any:
        # Swift 2.30 knows neither trailing checksums nor the newer algorithms: only send what an operation demands.
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2},
                        request_checksum_calculation="when_required", response_checksum_validation="when_required")
        return boto3.session.Session().client("s3", endpoint_url=self.url, region_name=REGION, config=config,
                                              aws_access_key_id=access_key, aws_secret_access_key=secret_key)


def empty(client: Any) -> None:
    for bucket in client.list_buckets()["Buckets"]:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for thing in page.get("Contents", []):
                client.delete_object(Bucket=bucket["Name"], Key=thing["Key"])
        client.delete_bucket(Bucket=bucket["Name"])


@pytest.fixture(scope="session")
def swift_process() -> Iterator[Swift]:
    # Not below pytest's own directory: Swift runs as nobody and has to reach it.
    with tempfile.TemporaryDirectory(prefix="swift-") as parent:
        Path(parent).chmod(0o755)
        where = f"{parent}/s3"
        try:
            started = subprocess.run([STARTER, "start", where, str(four_ports())], stdout=subprocess.PIPE, text=True,
                                     check=True, timeout=60)
            yield Swift(started.stdout.strip())
        finally:
            subprocess.run([STARTER, "stop", where], check=True, timeout=30)


@pytest.fixture
def swift(swift_process: Swift) -> Iterator[Swift]:
    """Swift without a bucket, before and after."""
    yield swift_process
    empty(swift_process.client())
