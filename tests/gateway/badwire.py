"""How an answer is sent, rightly or wrongly.

Every function gets the channel, the answer and the rule's options, and says whether the connection may live on.
`where` in the options: "before" (not a byte), "headers" (within them), "body" (half of it, or "bytes" of it).
"""
from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from .wire import CHUNK, Channel, Response

Options = dict[str, Any]


def send(channel: Channel, response: Response) -> bool:
    head = response.head()
    if response.bodyless or response.status in (204, 304):
        channel.send(head)
        return True
    parts = response.parts()
    channel.send(head + next(parts, b""))
    for part in parts:
        channel.send(part)
    return True


def begin(channel: Channel, response: Response, options: Options, where: str) -> None:
    """Sends as much as is to come before it goes wrong."""
    head = response.head()
    if where == "headers":
        channel.send(head[:len(head) // 2])
    elif where == "body":
        channel.send(head)
        if not response.bodyless:
            for part in response.parts(until=int(options.get("bytes", response.size // 2))):
                channel.send(part)
    elif where != "before":
        raise ValueError(f"where: {where}")


def linger(channel: Channel, seconds: float) -> None:
    """Waits, but not for a peer that has left."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([channel.sock], [], [], min(left, 0.2))
        if readable:
            try:
                if not channel.sock.recv(CHUNK):
                    return
            except OSError:
                return


def slow(channel: Channel, response: Response, options: Options) -> bool:
    rate = max(1, int(options.get("bytes_per_second", 100)))
    channel.send(response.head())
    if not response.bodyless:
        for part in response.parts(size=max(1, rate // 10)):
            channel.send(part)
            time.sleep(len(part) / rate)
    return True


def stall(channel: Channel, response: Response, options: Options) -> bool:
    begin(channel, response, options, options.get("where", "before"))
    linger(channel, float(options.get("seconds", 60)))
    return False


def truncate(channel: Channel, response: Response, options: Options) -> bool:
    begin(channel, response, options, "body")
    return False


def close(channel: Channel, response: Response, options: Options) -> bool:
    begin(channel, response, options, options.get("where", "before"))
    return False


def reset(channel: Channel, response: Response, options: Options) -> bool:
    begin(channel, response, options, options.get("where", "before"))
    if options.get("where", "before") != "before":
        time.sleep(0.1)      # let what was sent arrive: an RST overtakes it
    channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def chunked_head(response: Response) -> bytes:
    response.drop("Content-Length")
    response.set("Transfer-Encoding", "chunked")
    return response.head()


def bad_chunking(channel: Channel, response: Response, options: Options) -> bool:
    """kind: "size" (no hex), "overflow" (a size past 64 bits), "short" (the last chunk never comes), "end" (no CRLF)."""
    data, kind = response.part(0, min(response.size, CHUNK)) or b"x", options.get("kind", "size")
    good = b"%x\r\n%s\r\n" % (len(data), data)
    bad = {"size": b"zz\r\n" + data, "overflow": b"1ffffffffffffffff\r\n" + data, "short": good,
           "end": b"%x\r\n%sXX" % (len(data), data) + b"0\r\n\r\n"}[kind]
    channel.send(chunked_head(response) + bad)
    return False


def huge_body(channel: Channel, response: Response, options: Options) -> bool:
    """The right body, then filler until the peer has had enough or "limit" bytes are sent."""
    limit, fill = int(options.get("limit", 1 << 40)), str(options.get("fill", "A")).encode()
    channel.send(chunked_head(response))
    start = response.part(0, min(response.size, CHUNK))
    if start:
        channel.send(b"%x\r\n%s\r\n" % (len(start), start))
    block = (fill * (CHUNK // len(fill) + 1))[:CHUNK]
    for _ in range(0, limit, CHUNK):
        channel.send(b"%x\r\n%s\r\n" % (len(block), block))
    channel.send(b"0\r\n\r\n")
    return True


def huge_headers(channel: Channel, response: Response, options: Options) -> bool:
    """"size" bytes of headers, in lines of "line" bytes."""
    size, line = int(options.get("size", 1 << 20)), int(options.get("line", 4096))
    for number in range(max(1, size // line)):
        response.headers.append((f"x-filler-{number}", "h" * line))
    return send(channel, response)


ACTIONS: dict[str, Callable[[Channel, Response, Options], bool]] = {
    "slow": slow, "stall": stall, "truncate": truncate, "close": close, "reset": reset, "bad_chunking": bad_chunking,
    "huge_body": huge_body, "huge_headers": huge_headers,
}
