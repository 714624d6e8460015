"""Refusals as each service writes them: XML for S3 and STS, JSON 1.1 for SSM and Secrets Manager, text for metadata."""
from __future__ import annotations

import json
from xml.sax.saxutils import escape

from .wire import Response

JSON_SERVICES = ("ssm", "secretsmanager")

# What one trouble is called by each service: (status, code).
DIALECTS: dict[str, dict[str, tuple[int, str]]] = {
    "no-auth": {"s3": (403, "AccessDenied"), "json": (400, "MissingAuthenticationTokenException"),
                "sts": (403, "MissingAuthenticationToken")},
    "malformed-auth": {"s3": (400, "AuthorizationHeaderMalformed"), "json": (400, "IncompleteSignatureException"),
                       "sts": (400, "IncompleteSignature")},
    "unknown-key": {"s3": (403, "InvalidAccessKeyId"), "json": (400, "UnrecognizedClientException"),
                    "sts": (403, "InvalidClientTokenId")},
    "bad-token": {"s3": (400, "InvalidToken"), "json": (400, "UnrecognizedClientException"),
                  "sts": (403, "InvalidClientTokenId")},
    "expired-token": {"s3": (400, "ExpiredToken"), "json": (400, "ExpiredTokenException"), "sts": (403, "ExpiredToken")},
    "bad-signature": {"s3": (403, "SignatureDoesNotMatch"), "json": (400, "InvalidSignatureException"),
                      "sts": (403, "SignatureDoesNotMatch")},
    "skewed": {"s3": (403, "RequestTimeTooSkewed"), "json": (400, "InvalidSignatureException"),
               "sts": (403, "SignatureDoesNotMatch")},
    "unsigned-header": {"s3": (403, "AccessDenied"), "json": (400, "InvalidSignatureException"),
                        "sts": (403, "SignatureDoesNotMatch")},
    "scope": {"s3": (400, "AuthorizationHeaderMalformed"), "json": (400, "InvalidSignatureException"),
              "sts": (403, "SignatureDoesNotMatch")},
    "throttled": {"s3": (503, "SlowDown"), "json": (400, "ThrottlingException"), "sts": (400, "Throttling")},
    "internal": {"s3": (500, "InternalError"), "json": (500, "InternalServerError"), "sts": (500, "InternalFailure")},
    "unavailable": {"s3": (503, "ServiceUnavailable"), "json": (503, "ServiceUnavailable"),
                    "sts": (503, "ServiceUnavailable")},
    "denied": {"s3": (403, "AccessDenied"), "json": (400, "AccessDeniedException"), "sts": (403, "AccessDenied")},
    "bad-request": {"s3": (400, "InvalidURI"), "json": (400, "SerializationException"), "sts": (400, "MalformedInput")},
}

# Codes that AWS sends with a namespace before the #; a client has to cut it off.
NAMESPACES = {"ThrottlingException": "com.amazon.coral.availability", "AccessDeniedException": "com.amazon.coral.service",
              "InvalidSignatureException": "com.amazon.coral.service", "SerializationException": "com.amazon.coral.service"}


class AwsError(Exception):
    """A refusal: what AWS calls it, and what comes with it (further XML elements, headers)."""

    def __init__(self, status: int, code: str, message: str = "", extra: dict[str, str] | None = None,
                 headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message
        self.extra, self.headers = extra or {}, headers or {}


def dialect(service: str) -> str:
    return "json" if service in JSON_SERVICES else service if service in ("s3", "sts") else "s3"


def trouble(kind: str, service: str, message: str, extra: dict[str, str] | None = None) -> AwsError:
    status, code = DIALECTS[kind][dialect(service)]
    return AwsError(status, code, message, extra)


def xml(tag: str, text: object) -> str:
    return f"<{tag}>{escape(str(text))}</{tag}>"


def s3_document(error: AwsError, resource: str, request_id: str, host_id: str) -> bytes:
    inner = xml("Code", error.code) + xml("Message", error.message)
    inner += "".join(xml(name, value) for name, value in error.extra.items())
    inner += xml("Resource", resource) + xml("RequestId", request_id) + xml("HostId", host_id)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode("utf-8", "surrogateescape")


def render(error: AwsError, service: str, resource: str, request_id: str, host_id: str) -> Response:
    headers = list(error.headers.items())
    if service in JSON_SERVICES:
        space = NAMESPACES.get(error.code)
        # AWS is not of one mind about the case of this name either.
        name = "Message" if service == "secretsmanager" or error.code == "AccessDeniedException" else "message"
        body = json.dumps({"__type": f"{space}#{error.code}" if space else error.code, name: error.message}).encode()
        return Response(error.status, headers + [("Content-Type", "application/x-amz-json-1.1")], body)
    if service == "sts":
        kind = "Sender" if error.status < 500 else "Receiver"
        inner = xml("Type", kind) + xml("Code", error.code) + xml("Message", error.message)
        body = (f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>{inner}</Error>'
                f'{xml("RequestId", request_id)}</ErrorResponse>').encode()
        return Response(error.status, headers + [("Content-Type", "text/xml")], body)
    if service == "s3":
        body = s3_document(error, resource, request_id, host_id)
        return Response(error.status, headers + [("Content-Type", "application/xml")], body)
    return Response(error.status, headers + [("Content-Type", "text/plain")], (error.message or error.code).encode())
