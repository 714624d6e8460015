"""Signature version 4: canonical request, string to sign, signature. Pure: no clock, no policy (see verify.py).

Two dialects. S3 encodes the path once and never normalises it; the other services remove dot segments and encode the
path that is on the wire once more.
"""
from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

ALGORITHM = "AWS4-HMAC-SHA256"
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Headers = list[tuple[str, str]]


class Malformed(Exception):
    """Not a version 4 signature, or not a percent-encoding."""


@dataclass(frozen=True)
class Authorization:
    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    def text(self) -> str:
        return (f"{ALGORITHM} Credential={self.access_key}/{self.scope}, "
                f"SignedHeaders={';'.join(self.signed)}, Signature={self.signature}")


def parse_authorization(value: str) -> Authorization:
    match = re.fullmatch(r"AWS4-HMAC-SHA256 +Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request *, *"
                         r"SignedHeaders=([a-z0-9;._-]+) *, *Signature=([0-9a-f]{64})", value)
    if not match:
        raise Malformed("authorization header")
    access_key, date, region, service, signed, signature = match.groups()
    names = tuple(signed.split(";"))
    if list(names) != sorted(set(names)):
        raise Malformed("SignedHeaders is not sorted")
    return Authorization(access_key, date, region, service, names, signature)


def encode(data: bytes, keep: bytes = b"") -> str:
    return "".join(chr(b) if b in UNRESERVED or b in keep else f"%{b:02X}" for b in data)


def decode(text: str, plus: bool = False) -> bytes:
    """Undoes percent-encoding, exactly; with plus, `+` is a space as in a query."""
    data = text.encode("latin-1")
    if plus:
        data = data.replace(b"+", b" ")
    if re.search(rb"%(?![0-9A-Fa-f]{2})", data):
        raise Malformed("percent-encoding")
    return re.sub(rb"%(..)", lambda m: bytes.fromhex(m[1].decode()), data)


def remove_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    return "/" + "/".join(kept) + slash


def canonical_path(path: str, s3: bool) -> str:
    if s3:
        return encode(decode(path), keep=b"/") or "/"
    return encode(remove_dots(path).encode("latin-1"), keep=b"/")


def parse_query(query: str) -> list[tuple[bytes, bytes]]:
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((decode(name, plus=True), decode(value, plus=True)))
    return pairs


def canonical_query(query: str) -> str:
    pairs = sorted((encode(name), encode(value)) for name, value in parse_query(query))
    return "&".join(f"{name}={value}" for name, value in pairs)


def canonical_headers(headers: Headers, signed: tuple[str, ...]) -> str:
    lines = []
    for name in signed:
        values = [re.sub(r" +", " ", v.strip()) for n, v in headers if n.lower() == name]
        lines.append(f"{name}:{','.join(values)}\n")
    return "".join(lines)


def canonical_request(method: str, path: str, query: str, headers: Headers, signed: tuple[str, ...],
                      payload: str, s3: bool) -> str:
    return "\n".join([method, canonical_path(path, s3), canonical_query(query), canonical_headers(headers, signed),
                      ";".join(signed), payload])


def signature(secret: str, auth: Authorization, amz_date: str, canonical: str) -> str:
    """The signature that the holder of `secret` would have given; auth.signature is not looked at."""
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    text = "\n".join([ALGORITHM, amz_date, auth.scope, digest])
    key = ("AWS4" + secret).encode()
    for step in (auth.date, auth.region, auth.service, "aws4_request", text):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key.hex()


def sign(method: str, target: str, headers: Headers, body: bytes, access_key: str, secret: str, region: str,
         service: str, signed: tuple[str, ...] | None = None, date: str = "") -> Headers:
    """Gives `headers` with an Authorization line. They must hold Host and X-Amz-Date already; `date` is the scope's where
    that is to differ. For tests."""
    path, _, query = target.partition("?")
    amz_date = next(v for n, v in headers if n.lower() == "x-amz-date")
    payload = next((v for n, v in headers if n.lower() == "x-amz-content-sha256"), hashlib.sha256(body).hexdigest())
    names = signed or tuple(sorted({n.lower() for n, _ in headers}))
    draft = Authorization(access_key, date or amz_date[:8], region, service, names, "")
    canonical = canonical_request(method, path, query, headers, names, payload, service == "s3")
    done = Authorization(access_key, draft.date, region, service, names, signature(secret, draft, amz_date, canonical))
    return headers + [("Authorization", done.text())]
