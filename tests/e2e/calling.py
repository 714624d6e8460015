"""The tool aws_call as fixtures: one call by the AWS client against the gateway, with nothing around it.

    pytest_plugins = ("aws", "calling")

    def test_it(seeded, call):
        assert call(BODY, *SSM)["class"] == "ok"
"""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("ENVSYNC_BUILDDIR", SOURCE / "build")) / "tests/tools/aws_call"
CANARY = "c4n4ry-s3cr3t"
SSM = ("ssm", "GetParametersByPath")
BODY = 'body={"Path":"/app"}'
GET = ("bucket=bkt", "stream=1", "s3", "GetObject", "/k")
OBJECT = "0123456789" * 10
ROLE = "arn:aws:iam::123456789012:role/x"


class Outcome(dict):
    """The tool's line, and what it said on stderr."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode in (0, 1), done.stderr
        super().__init__(json.loads(done.stdout))
        self.said = done.stderr
        assert CANARY not in done.stdout + done.stderr
        assert "Signature=" not in done.stderr


@pytest.fixture
def seeded(gateway):
    gateway.fixtures(buckets={"bkt": {"objects": {"k": OBJECT}}, "far": {"region": "us-west-2", "objects": {"k": "far"}}},
                     parameters={f"/app/p{n}": f"value {n}" for n in range(3)})
    gateway.forget()
    return gateway


def run(env: dict[str, str], *arguments: str, timeout: float = 60, **more: str) -> Outcome:
    return Outcome(subprocess.run([TOOL, *arguments], env={**env, **more}, capture_output=True, text=True, timeout=timeout))


@pytest.fixture
def call(seeded):
    """Runs the tool against the gateway: call(arguments..., VARIABLE=value)."""
    return lambda *arguments, **more: run(seeded.environment(), *arguments, **more)


def without_keys(seeded, **more: str) -> dict[str, str]:
    return {n: v for n, v in seeded.environment(**more).items() if "ACCESS_KEY" not in n}


def operations(gateway) -> list[str]:
    return [r["operation"] for r in gateway.requests()]
