"""The gateway's own objects, parameters and secrets, given as JSON, so that tests can run without moto.

    {"buckets": {"b": {"region": "eu-west-1", "objects": {"a/key": "text" or {OBJECT}}}},
     "parameters": {"/app/x": "text" or {"value", "type", "labels": [..]} or [version 1, version 2, ...]},
     "secrets": {"app/prod": "text" or {"string" or "binary" (base64), "stages": [..], "version_id"}}}

OBJECT: "text", "base64" or "size" (that many made-up bytes, never held in memory); "etag", "checksum" (an algorithm, or
{algorithm: value}), "storage_class", "restored", "modified" (seconds since 1970), "version_id", "content_type",
"content_encoding".
"""
from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass, field
from typing import Any

from .checksums import checksum
from .wire import Stream

MODIFIED = 1_704_067_200.0     # 2024-01-01T00:00:00Z, where a fixture does not say


@dataclass(frozen=True)
class Made:
    """`size` bytes that are a function of their place: lines of text that tell their own number."""

    size: int

    def part(self, start: int, length: int) -> bytes:
        first, last = start // 64, (start + length) // 64
        lines = b"".join(b"%062d.\n" % n for n in range(first, last + 1))
        return lines[start - first * 64:start - first * 64 + length]


@dataclass
class Object:
    body: bytes | Stream
    etag: str = ""
    checksums: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    restored: bool = False
    modified: float = MODIFIED
    version_id: str = ""
    content_type: str = "binary/octet-stream"
    content_encoding: str = ""

    def __post_init__(self) -> None:
        if not self.etag:
            self.etag = hashlib.md5(self.body if isinstance(self.body, bytes) else b"%d" % self.body.size).hexdigest()

    @property
    def size(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.body.size


@dataclass
class Bucket:
    region: str
    objects: dict[str, Object] = field(default_factory=dict)

    def keys(self) -> list[str]:
        return sorted(self.objects, key=key_bytes)


@dataclass
class Parameter:
    value: str
    type: str = "String"
    labels: list[str] = field(default_factory=list)
    modified: float = MODIFIED


@dataclass
class SecretVersion:
    string: str | None
    binary: str | None      # base64
    version_id: str
    stages: list[str]
    created: float = MODIFIED


def key_bytes(key: str) -> bytes:
    """S3 orders keys by their UTF-8 bytes."""
    return key.encode("utf-8", "surrogateescape")


def make_object(given: Any) -> Object:
    if isinstance(given, str):
        given = {"text": given}
    given = dict(given)
    body: bytes | Stream
    if "size" in given:
        body = Made(int(given.pop("size")))
    elif "base64" in given:
        body = base64.b64decode(given.pop("base64"))
    else:
        body = given.pop("text").encode()
    sums = given.pop("checksum", {})
    if isinstance(sums, str):
        parts = [body] if isinstance(body, bytes) else (body.part(n, min(65536, body.size - n))
                                                        for n in range(0, body.size, 65536))
        sums = {sums: checksum(sums, parts)}
    return Object(body, checksums=sums, **given)


def make_parameter(given: Any) -> list[Parameter]:
    versions = given if isinstance(given, list) else [given]
    return [Parameter(v) if isinstance(v, str) else Parameter(**v) for v in versions]


def make_secret(name: str, given: Any) -> list[SecretVersion]:
    versions = given if isinstance(given, list) else [given]
    made = []
    for number, version in enumerate(versions):
        if isinstance(version, str):
            version = {"string": version}
        last = number == len(versions) - 1
        stages = ["AWSCURRENT"] if last else ["AWSPREVIOUS"] if number == len(versions) - 2 else []
        digest = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
        made.append(SecretVersion(version.get("string"), version.get("binary"),
                                  version.get("version_id", f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8"
                                                            f"{digest[17:20]}-{digest[20:32]}"),
                                  version.get("stages", stages)))
    return made


class Store:
    def __init__(self, region: str) -> None:
        self.region = region
        self.lock = threading.RLock()
        self.buckets: dict[str, Bucket] = {}
        self.parameters: dict[str, list[Parameter]] = {}
        self.secrets: dict[str, list[SecretVersion]] = {}

    def clear(self) -> None:
        with self.lock:
            self.buckets.clear()
            self.parameters.clear()
            self.secrets.clear()

    def load(self, fixtures: dict[str, Any]) -> None:
        """Adds the fixtures to what is there; a name that is there already is replaced, null removes an object."""
        unknown = set(fixtures) - {"buckets", "parameters", "secrets"}
        if unknown:
            raise ValueError(f"unknown fixture: {', '.join(sorted(unknown))}")
        with self.lock:
            for name, given in fixtures.get("buckets", {}).items():
                bucket = self.buckets.setdefault(name, Bucket(given.get("region", self.region)))
                bucket.region = given.get("region", bucket.region)
                for key, thing in given.get("objects", {}).items():
                    if thing is None:
                        bucket.objects.pop(key, None)
                    else:
                        bucket.objects[key] = make_object(thing)
            for name, given in fixtures.get("parameters", {}).items():
                self.parameters[name] = make_parameter(given)
            for name, given in fixtures.get("secrets", {}).items():
                self.secrets[name] = make_secret(name, given)
