"""HTTP/1.1 on a socket, kept as bytes.

The path and the query stay exactly as sent (http.server folds leading slashes, which would hide a wrong signature).
What is not plain HTTP/1.1 is refused with BadRequest rather than repaired.
"""
from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from http.client import responses as REASONS
from typing import Protocol

MAX_LINE = 64 * 1024
MAX_HEADERS = 200
MAX_BODY = 64 * 1024 * 1024
CHUNK = 64 * 1024

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class BadRequest(Exception):
    """The peer does not speak HTTP/1.1."""


class Closed(Exception):
    """The peer went away between or within requests."""


class Channel:
    """A socket with a read buffer. Owns the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def fill(self) -> None:
        data = self.sock.recv(CHUNK)
        if not data:
            raise Closed
        self.buffer += data

    def line(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > MAX_LINE:
                raise BadRequest("line too long")
            self.fill()
        line, self.buffer = self.buffer[:end], self.buffer[end + 2:]
        return line

    def exactly(self, size: int) -> bytes:
        parts, have = [self.buffer], len(self.buffer)
        while have < size:
            data = self.sock.recv(CHUNK)
            if not data:
                raise Closed
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[size:]
        return whole[:size]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()


@dataclass
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    connection: int = 0
    listener: str = "http"
    tls: bool = False
    time: float = 0.0
    path: str = field(init=False)
    query: str = field(init=False)

    def __post_init__(self) -> None:
        if absolute := re.match(r"https?://[^/?]*", self.target):   # as a proxy sees it
            self.target = self.target[absolute.end():] or "/"
        self.path, _, self.query = self.target.partition("?")

    def values(self, name: str) -> list[str]:
        return [v for n, v in self.headers if n.lower() == name]

    def header(self, name: str, default: str = "") -> str:
        values = self.values(name)
        return ",".join(values) if values else default

    def has(self, name: str) -> bool:
        return any(n.lower() == name for n, _ in self.headers)

    @property
    def host(self) -> str:
        return self.header("host")

    @property
    def keep_alive(self) -> bool:
        return "close" not in self.header("connection").lower()


class Stream(Protocol):
    """A body too large to hold: it says its size and makes any part of itself."""

    size: int

    def part(self, start: int, length: int) -> bytes: ...


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Stream = b""
    bodyless: bool = False      # a HEAD: Content-Length speaks of what a GET would have brought

    def header(self, name: str, default: str = "") -> str:
        return next((v for n, v in self.headers if n.lower() == name), default)

    def set(self, name: str, value: str) -> None:
        self.drop(name)
        self.headers.append((name, value))

    def drop(self, name: str) -> None:
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]

    @property
    def size(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.body.size

    def part(self, start: int, length: int) -> bytes:
        if isinstance(self.body, bytes):
            return self.body[start:start + length]
        return self.body.part(start, min(length, self.body.size - start))

    def parts(self, size: int = CHUNK, until: int | None = None):
        end = self.size if until is None else min(until, self.size)
        for start in range(0, end, size):
            yield self.part(start, min(size, end - start))

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{n}: {v}" for n, v in self.headers]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def read_request(channel: Channel) -> Request:
    """Reads one request. Raises Closed before its first byte or within, BadRequest for what is no HTTP/1.1."""
    parts = channel.line().decode("latin-1").split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not TOKEN.match(parts[0]):
        raise BadRequest("request line")
    headers: list[tuple[str, str]] = []
    while line := channel.line().decode("latin-1"):
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.match(name):
            raise BadRequest("header line")
        headers.append((name, value.strip(" \t")))
        if len(headers) > MAX_HEADERS:
            raise BadRequest("too many headers")
    request = Request(parts[0], parts[1], headers)
    request.body = read_body(channel, request)
    return request


def read_body(channel: Channel, request: Request) -> bytes:
    if request.method == "CONNECT":
        return b""
    lengths, coding = request.values("content-length"), request.header("transfer-encoding").lower()
    if coding and (coding != "chunked" or lengths):
        raise BadRequest("transfer coding")
    if len(lengths) > 1 or (lengths and not lengths[0].isdecimal()):
        raise BadRequest("content length")
    size = int(lengths[0]) if lengths else 0
    if size > MAX_BODY:
        raise BadRequest("body too large")
    if request.header("expect").lower() == "100-continue":
        channel.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    return dechunk(channel) if coding else channel.exactly(size)


def dechunk(channel: Channel) -> bytes:
    """Reads a chunked body with its trailer, which is dropped."""
    body = b""
    while True:
        text = channel.line().split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", text):
            raise BadRequest("chunk size")
        size = int(text, 16)
        if len(body) + size > MAX_BODY:
            raise BadRequest("body too large")
        if size == 0:
            while channel.line():
                pass
            return body
        body += channel.exactly(size)
        if channel.line():
            raise BadRequest("chunk end")
