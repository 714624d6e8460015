"""A client that hides nothing: signed requests as bytes over a socket, and the bytes that came back."""
from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws import Gateway

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.gateway import sigv4     # noqa: E402

REGION = "eu-west-1"
LONG = 10.0


@dataclass
class Answer:
    """What came before the connection ended or the answer was whole. `raw` is all of it."""

    raw: bytes
    reset: bool = False
    seconds: float = 0.0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    head_whole: bool = False

    def __post_init__(self) -> None:
        head, end, self.body = self.raw.partition(b"\r\n\r\n")
        self.head_whole = bool(end)
        if end:
            lines = head.decode("latin-1").split("\r\n")
            self.status = int(lines[0].split(" ")[1])
            self.headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}

    @property
    def code(self) -> str:
        """AWS's error code, from XML or JSON."""
        found = re.search(rb"<Code>([^<]+)</Code>", self.body)
        if found:
            return found[1].decode()
        try:
            return json.loads(self.body)["__type"].rpartition("#")[2]
        except (ValueError, KeyError, TypeError):
            return ""


@dataclass
class Draft:
    """A request that is signed when it is sent; change it before (then it is right) or the result after (then not)."""

    service: str
    method: str = "GET"
    target: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    host: str = ""
    region: str = REGION
    when: float | None = None
    signed: tuple[str, ...] | None = None
    scope_service: str = ""
    scope_date: str = ""

    def lines(self, gateway: Gateway, access_key: str = "", secret: str = "") -> list[tuple[str, str]]:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if self.when is None else self.when))
        headers = [("Host", self.host or f"127.0.0.1:{gateway.told['http']}"), ("X-Amz-Date", stamp)]
        if self.service == "s3":
            headers.append(("x-amz-content-sha256", hashlib.sha256(self.body).hexdigest()))
        headers += list(self.headers.items())
        return sigv4.sign(self.method, self.target, headers, self.body, access_key or gateway.access_key,
                          secret or gateway.secret_key, self.region, self.scope_service or self.service, self.signed,
                          self.scope_date)

    def data(self, gateway: Gateway, **keys: str) -> bytes:
        return assemble(self.method, self.target, self.lines(gateway, **keys), self.body)


def assemble(method: str, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1"] + [f"{n}: {v}" for n, v in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def json_draft(service: str, operation: str, document: dict[str, Any], **more: Any) -> Draft:
    prefix = {"ssm": "AmazonSSM", "secretsmanager": "secretsmanager"}[service]
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{prefix}.{operation}"}
    return Draft(service, "POST", "/", headers, json.dumps(document).encode(), **more)


def exchange(port: int, data: bytes, limit: float = LONG, most: int = 1 << 30) -> Answer:
    """Sends and reads until the answer is whole by its Content-Length, the peer ends, `most` bytes or `limit` seconds."""
    start, raw, was_reset = time.monotonic(), b"", False
    with socket.create_connection(("127.0.0.1", port), limit) as sock:
        sock.sendall(data)
        head_only = data.startswith(b"HEAD ")
        try:
            while len(raw) < most:
                sock.settimeout(max(0.001, start + limit - time.monotonic()))
                got = sock.recv(1 << 16)
                if not got:
                    break
                raw += got
                head, end, body = raw.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                if end and (head_only or (length and len(body) >= int(length[1]))):
                    break
        except ConnectionResetError:
            was_reset = True
        except TimeoutError:
            pass
    return Answer(raw, was_reset, time.monotonic() - start)


def ask(gateway: Gateway, draft: Draft, **options: Any) -> Answer:
    return exchange(gateway.told["http"], draft.data(gateway), **options)


def plain(gateway: Gateway, listener: str, method: str, path: str, **headers: str) -> Answer:
    """An unsigned request to the metadata or container listener; _ in a header's name is a dash."""
    lines = [("Host", "127.0.0.1")] + [(n.replace("_", "-"), v) for n, v in headers.items()]
    return exchange(gateway.told[listener], assemble(method, path, lines))
