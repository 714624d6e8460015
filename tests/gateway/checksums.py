"""The checksums S3 can send with an object, base64 of the big-endian value."""
from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable

ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")


def crc_table(polynomial: int) -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


def reflected(bits: int, polynomial: int) -> Callable[[Iterable[bytes]], bytes]:
    table, ones = crc_table(polynomial), (1 << bits) - 1

    def run(parts: Iterable[bytes]) -> bytes:
        crc = ones
        for part in parts:
            for byte in part:
                crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return (crc ^ ones).to_bytes(bits // 8, "big")

    return run


def zlib_crc32(parts: Iterable[bytes]) -> bytes:
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc.to_bytes(4, "big")


def digest(name: str) -> Callable[[Iterable[bytes]], bytes]:
    def run(parts: Iterable[bytes]) -> bytes:
        state = hashlib.new(name)
        for part in parts:
            state.update(part)
        return state.digest()

    return run


RUN = {"crc32": zlib_crc32, "crc32c": reflected(32, 0x82F63B78), "crc64nvme": reflected(64, 0x9A6C9329AC4BC9B5),
       "sha1": digest("sha1"), "sha256": digest("sha256")}


def checksum(algorithm: str, parts: Iterable[bytes]) -> str:
    return base64.b64encode(RUN[algorithm](parts)).decode()
