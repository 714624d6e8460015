"""The metadata service (IMDSv2 and nothing else) and the container credential endpoints of ECS and EKS Pod Identity.

Both are strict: a request that real hosts refuse is refused here. They are never signed.
"""
from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

from .identity import ACCOUNT, Credential
from .wire import Request, Response

if TYPE_CHECKING:
    from .gateway import Call, Gateway

TOKEN_TTL = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "x-aws-ec2-metadata-token"
ROLES = "/latest/meta-data/iam/security-credentials"


def text(status: int, body: str, kind: str = "text/plain") -> Response:
    return Response(status, [("Content-Type", kind)], body.encode())


def iso(when: float | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when or 0))


def name_operation(request: Request) -> str:
    """What a metadata request is for, as the request log and faults call it."""
    if request.path == "/latest/api/token":
        return "Token"
    if request.path.rstrip("/") == ROLES:
        return "ListRoles"
    if request.path.startswith(ROLES + "/"):
        return "RoleCredentials"
    return request.path.rpartition("/")[2] or "Index"


class Metadata:
    def __init__(self) -> None:
        self.tokens: dict[str, float] = {}

    def reset(self) -> None:
        self.tokens.clear()

    def answer(self, gateway: Gateway, call: Call) -> Response:
        request, now = call.request, gateway.now()
        if call.operation == "Token":
            return self.token(request, now)
        if request.method not in ("GET", "HEAD"):
            return text(405, "Method Not Allowed")
        if self.tokens.get(request.header(TOKEN), 0.0) <= now:
            return text(401, "Unauthorized")
        return self.document(gateway, call, now)

    def token(self, request: Request, now: float) -> Response:
        if request.method != "PUT":
            return text(405, "Method Not Allowed")
        if request.has("x-forwarded-for"):
            return text(403, "Forbidden")
        ttl = request.header(TOKEN_TTL)
        if not ttl.isdecimal() or not 1 <= int(ttl) <= 21600:
            return text(400, "Bad Request")
        token = "AQAEA" + secrets.token_urlsafe(40) + "=="
        self.tokens[token] = now + int(ttl)
        response = text(200, token)
        response.set(TOKEN_TTL, ttl)
        return response

    def document(self, gateway: Gateway, call: Call, now: float) -> Response:
        settings, region = gateway.config["imds"], gateway.config["region"]
        path, role = call.request.path, settings["role"]
        if call.operation == "ListRoles":
            return text(200, role + "\n") if role else text(404, "Not Found")
        if call.operation == "RoleCredentials":
            if not role or path != f"{ROLES}/{role}":
                return text(404, "Not Found")
            if settings["failure"]:     # a 200 that holds no keys, as a role in trouble gives
                return text(200, json.dumps({"Code": settings["failure"], "Message": "", "LastUpdated": iso(now)}))
            made = gateway.identities.issue(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/i-0123456789abcdef0", now,
                                            settings["seconds"])
            return text(200, json.dumps({"Code": "Success", "LastUpdated": iso(now), "Type": "AWS-HMAC",
                                         "AccessKeyId": made.access_key, "SecretAccessKey": made.secret,
                                         "Token": made.token, "Expiration": iso(made.expires)}))
        plain = {"/latest/meta-data/placement/region": region,
                 "/latest/meta-data/placement/availability-zone": region + "a",
                 "/latest/meta-data/instance-id": "i-0123456789abcdef0",
                 "/latest/dynamic/instance-identity/document": json.dumps({"region": region, "accountId": ACCOUNT})}
        return text(200, plain[path]) if path in plain else text(404, "Not Found")


def container(gateway: Gateway, call: Call) -> Response:
    """ECS at /v2/credentials/ID (the ID is the secret), EKS at /v1/credentials (the Authorization token is)."""
    request, settings, now = call.request, gateway.config["container"], gateway.now()
    if request.method != "GET":
        return text(405, "Method Not Allowed")
    if request.path == "/v1/credentials":
        if request.values("authorization") != [settings["token"]]:
            return text(401, json.dumps({"message": "Invalid or missing service account token"}), "application/json")
    elif request.path != settings["relative_uri"]:
        return text(404, json.dumps({"code": "InvalidIdInRequest", "message": "Invalid request: ID not found"}),
                    "application/json")
    made: Credential = gateway.identities.issue(f"arn:aws:sts::{ACCOUNT}:assumed-role/task/0123456789abcdef", now,
                                                settings["seconds"])
    return text(200, json.dumps({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/task", "AccessKeyId": made.access_key,
                                 "SecretAccessKey": made.secret, "Token": made.token,
                                 "Expiration": iso(made.expires)}), "application/json")
