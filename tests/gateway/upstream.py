"""moto behind the gateway: requests go on with a dummy Authorization that names the service, answers come back whole."""
from __future__ import annotations

import http.client
import json
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .wire import Response

if TYPE_CHECKING:
    from .gateway import Call

HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "host", "expect",
              "authorization", "x-amz-security-token", "access-control-allow-origin")


class Upstream:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.local = threading.local()
        self.regions: dict[str, str] = {}

    def reset(self) -> None:
        self.regions.clear()

    def exchange(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        for attempt in (1, 2):      # moto closes idle connections
            link = getattr(self.local, "link", None) or http.client.HTTPConnection(self.host, self.port, timeout=30)
            self.local.link = link
            try:
                link.request(method, target, body=body, headers=headers)
                got = link.getresponse()
                data = got.read()
                break
            except (http.client.HTTPException, OSError):
                link.close()
                self.local.link = None
                if attempt == 2:
                    raise
        kept = [(n, v) for n, v in got.getheaders() if n.lower() not in HOP_BY_HOP]
        response = Response(got.status, kept, data)
        if method == "HEAD":
            response.bodyless = True
            response.headers.append(("Content-Length", got.getheader("content-length", "0")))
        return response

    def ask(self, call: Call, service: str, target: str = "/") -> Response:
        headers = {n: v for n, v in call.request.headers if n.lower() not in HOP_BY_HOP}
        headers["Authorization"] = dummy(service, call.region)
        return self.exchange(call.request.method, target, headers, call.request.body)

    def json(self, call: Call, service: str, target: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """A JSON operation of the gateway's own making; None where it is refused."""
        headers = {"Authorization": dummy(service, call.region), "X-Amz-Target": target,
                   "Content-Type": "application/x-amz-json-1.1"}
        response = self.exchange("POST", "/", headers, json.dumps(body).encode())
        return json.loads(response.part(0, response.size)) if response.status == 200 else None

    def bucket_region(self, name: str) -> str | None:
        if name not in self.regions:
            response = self.exchange("HEAD", f"/{name}", {"Authorization": dummy("s3", "us-east-1")}, b"")
            if response.status != 200:
                return None
            self.regions[name] = response.header("x-amz-bucket-region", "us-east-1")
        return self.regions[name]

    def forget_bucket(self, name: str) -> None:
        self.regions.pop(name, None)


def dummy(service: str, region: str) -> str:
    return (f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20200101/{region}/{service}/aws4_request, "
            "SignedHeaders=host, Signature=" + "0" * 64)


def mend_listing(body: bytes, url: bool, space: str) -> bytes:
    if url and space == "plus":
        return re.sub(rb"(?<=<Key>)[^<]*|(?<=<Prefix>)[^<]*", lambda m: m[0].replace(b"%20", b"+"), body)
    return body
