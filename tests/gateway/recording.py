"""What was asked: one entry per request, in the order of arrival, for tests that check requests."""
from __future__ import annotations

import threading
from typing import Any

from .wire import Request


class Recorder:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.entries: list[dict[str, Any]] = []
        self.number = 0

    def reset(self) -> None:
        with self.lock:
            self.entries = []

    def begin(self, request: Request) -> dict[str, Any]:
        """Notes the request when it is whole, before it is judged; the caller fills in what it learns."""
        with self.lock:
            self.number += 1
            entry: dict[str, Any] = {
                "number": self.number, "time": request.time, "connection": request.connection,
                "listener": request.listener, "tls": request.tls, "method": request.method, "host": request.host,
                "path": request.path, "query": request.query, "headers": [list(h) for h in request.headers],
                "body_size": len(request.body), "service": "", "operation": "", "bucket": "", "key": "",
                "signature": "none", "access_key": "", "region": "", "error": "", "fault": "", "status": 0,
            }
            self.entries.append(entry)
            return entry

    def snapshot(self) -> list[dict[str, Any]]:
        with self.lock:
            return [dict(e) for e in self.entries]
