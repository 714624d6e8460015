"""The addresses that tests use, on every listener; they are neither signed nor recorded.

    GET  /__requests          the request log (JSON)
    POST /__reset             back to the state at start;  ?only=requests or ?only=faults for just that
    POST /__faults            a JSON list of rules (faults.py); replaces those that are there
    POST /__config            settings (gateway.SETTINGS)
    POST /__fixtures          adds to the store (store.py)
    POST /__expire            ends all temporary credentials
    POST /__down?listener=imds&seconds=2    closes a listener for a while: connections are refused
    GET  /__ready
"""
from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .wire import Request, Response

if TYPE_CHECKING:
    from .server import Server


def is_control(request: Request) -> bool:
    return request.path.startswith("/__")


def reply(status: int, document: object) -> Response:
    data = json.dumps(document).encode()
    return Response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))], data)


def handle(server: Server, request: Request) -> Response:
    try:
        found = run(server, request)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return reply(400, {"error": str(error)})
    return reply(404, {"error": "no such address"}) if found is None else reply(200, found)


def run(server: Server, request: Request) -> object | None:
    gateway = server.gateway
    options = {n: v[-1] for n, v in parse_qs(request.query).items()}
    address = f"{request.method} {request.path}"
    if address == "GET /__ready":
        return {"ready": True}
    if address == "GET /__requests":
        return gateway.recorder.snapshot()
    if address == "POST /__reset":
        parts = {"": gateway, "requests": gateway.recorder, "faults": gateway.faults}
        parts[options.get("only", "")].reset()
    elif address == "POST /__faults":
        gateway.faults.load(json.loads(request.body))
    elif address == "POST /__config":
        gateway.configure(json.loads(request.body))
    elif address == "POST /__fixtures":
        gateway.store.load(json.loads(request.body))
    elif address == "POST /__expire":
        gateway.identities.expire_all(gateway.now())
    elif address == "POST /__down":
        server.listeners[options["listener"]].pause(float(options.get("seconds", "1")))
    else:
        return None
    return {"done": True}
