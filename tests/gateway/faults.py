"""Which request goes wrong, and how its answer is bent.

A rule is one JSON object: {"action": NAME, which requests, options of the action}.

Which requests: "service" "operation" "method" "listener" (equal), "path" "host" "body" (regular expressions, searched);
"nth" (from the nth such request on, 1), "count" (so many of them, all), "for_seconds" (after the rule was made);
"any_signature" (true: also, and only, those whose signature was refused). "headers": further headers on any answer.
The first rule that fits acts.

Actions on the wire (see badwire.py): slow stall truncate close reset bad_chunking huge_body huge_headers.
Actions on the answer: see ACTIONS below. skew: this request is judged and dated by a clock "seconds" off.
"""
from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import badwire, sigv4
from .checksums import ALGORITHMS, checksum
from .errors import AwsError, render, trouble, xml
from .identity import ACCOUNT
from .wire import Response

if TYPE_CHECKING:
    from .gateway import Call, Gateway

EQUAL = ("service", "operation", "method", "listener")
SEARCHED = ("path", "host", "body")
LOOP, EMPTY = "AAEAA/loop+=", "AAEAA/empty+="      # tokens of repeat_token and empty_page
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/i-0123456789abcdef0"


@dataclass
class Rule:
    action: str
    match: dict[str, str]
    options: dict[str, Any]
    nth: int = 1
    count: int | None = None
    for_seconds: float | None = None
    any_signature: bool = False
    born: float = field(default_factory=time.monotonic)
    seen: int = 0

    @property
    def on_wire(self) -> bool:
        return self.action in badwire.ACTIONS

    def fits(self, call: Call) -> bool:
        request = call.request
        have = {"service": call.service, "operation": call.operation, "method": request.method,
                "listener": request.listener, "path": request.target, "host": request.host,
                "body": request.body.decode("utf-8", "replace")}
        return (all(self.match[n] == have[n] for n in EQUAL if n in self.match)
                and all(re.search(self.match[n], have[n]) for n in SEARCHED if n in self.match))

    def due(self) -> bool:
        """Counts one request that fits and says whether it is among those to fail."""
        if self.for_seconds is not None and time.monotonic() - self.born > self.for_seconds:
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.count is None or self.seen < self.nth + self.count)


def make_rule(given: dict[str, Any]) -> Rule:
    given = dict(given)
    action = given.pop("action", None)
    if action not in ACTIONS and action not in badwire.ACTIONS and action != "skew":
        raise ValueError(f"unknown action: {action}")
    match = {n: str(given.pop(n)) for n in EQUAL + SEARCHED if n in given and not (action == "body" and n == "body")}
    limits = {n: given.pop(n) for n in ("nth", "count", "for_seconds", "any_signature") if n in given}
    return Rule(action, match, given, **limits)


class Faults:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: list[Rule] = []

    def reset(self) -> None:
        with self.lock:
            self.rules = []

    def load(self, given: list[dict[str, Any]]) -> None:
        """Replaces all rules."""
        rules = [make_rule(one) for one in given]
        with self.lock:
            self.rules = rules

    def take(self, call: Call, stage: str) -> Rule | None:
        """The rule that acts on this request. stage: "skew" (before the signature is checked), "verified", "unverified"."""
        with self.lock:
            for rule in self.rules:
                if (rule.action == "skew") != (stage == "skew") or rule.any_signature != (stage == "unverified"):
                    continue
                if rule.fits(call) and rule.due():
                    return rule
        return None


def bend(gateway: Gateway, call: Call, rule: Rule) -> Response:
    if rule.on_wire:
        try:
            return gateway.answer(call)
        except AwsError as error:
            return gateway.refusal(error, call.service, call.request)
    return ACTIONS[rule.action](gateway, call, rule.options)


Options = dict[str, Any]
Action = Callable[["Gateway", "Call", Options], Response]


# Refusals

def refuse(kind: str, message: str) -> Action:
    def run(gateway: Gateway, call: Call, options: Options) -> Response:
        raise trouble(kind, call.service, options.get("message", message))
    return run


def error(gateway: Gateway, call: Call, options: Options) -> Response:
    raise AwsError(int(options.get("status", 400)), options.get("code", "InternalError"), options.get("message", ""),
                   options.get("extra"))


def access_denied(gateway: Gateway, call: Call, options: Options) -> Response:
    action = {"s3": "s3:ListBucket" if "List" in call.operation else "s3:GetObject"}.get(
        call.service, f"{call.service}:{call.operation}")
    asked = call.request.body.decode("utf-8", "replace")
    named = re.search(r'"(?:Path|Name|SecretId|Names|SecretIdList)":\s*\[?\s*"([^"]*)"', asked)
    name = named[1] if named else ""
    resource = {"s3": f"arn:aws:s3:::{call.bucket}" + (f"/{call.key}" if call.key else ""),
                "ssm": f"arn:aws:ssm:{call.region}:{ACCOUNT}:parameter/{name.strip('/')}",
                "secretsmanager": f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{name}"}.get(call.service, "*")
    raise trouble("denied", call.service, options.get("message", f"User: {ROLE} is not authorized to perform: {action} on "
                  f"resource: {resource} because no identity-based policy allows the {action} action"))


def kms_denied(gateway: Gateway, call: Call, options: Options) -> Response:
    key = f"arn:aws:kms:{call.region}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    text = (f"User: {ROLE} is not authorized to perform: kms:Decrypt on resource: {key} because no identity-based policy "
            "allows the kms:Decrypt action") if call.service == "s3" else \
        ("The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
         "allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)")
    raise trouble("denied", call.service, text)


def not_found(gateway: Gateway, call: Call, options: Options) -> Response:
    named = {"s3": (404, "NoSuchKey" if call.key else "NoSuchBucket"), "ssm": (400, "ParameterNotFound"),
             "secretsmanager": (400, "ResourceNotFoundException")}.get(call.service, (404, "NotFound"))
    raise AwsError(int(options.get("status", named[0])), options.get("code", named[1]), options.get("message", ""))


def wrong_region(gateway: Gateway, call: Call, options: Options) -> Response:
    region, status = options.get("region", "eu-central-1"), int(options.get("status", 301))
    if status == 400:
        raise AwsError(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region "
                       f"'{call.region}' is wrong; expecting '{region}'", {"Region": region})
    headers = {} if options.get("hide") else {"x-amz-bucket-region": region}
    raise AwsError(status, "PermanentRedirect" if status == 301 else "TemporaryRedirect", "The bucket you are attempting to "
                   "access must be addressed using the specified endpoint.",
                   {"Endpoint": f"{call.bucket}.s3.{region}.amazonaws.com", "Bucket": call.bucket},
                   {**headers, "Location": options.get("location", f"https://{call.bucket}.s3.{region}.amazonaws.com/")})


def invalid_object_state(gateway: Gateway, call: Call, options: Options) -> Response:
    raise AwsError(403, "InvalidObjectState", "The operation is not valid for the object's storage class",
                   {"StorageClass": options.get("storage_class", "GLACIER")})


def precondition_failed(gateway: Gateway, call: Call, options: Options) -> Response:
    raise AwsError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold",
                   {"Condition": "If-Match"})


# Answers that are not AWS's

def error_in_200(gateway: Gateway, call: Call, options: Options) -> Response:
    wrapped = AwsError(200, options.get("code", "InternalError"), "We encountered an internal error. Please try again.")
    return render(wrapped, call.service, call.request.path, "4442587FB7D0A2F9", "host")


def captive_portal(gateway: Gateway, call: Call, options: Options) -> Response:
    return Response(200, [("Content-Type", "text/html")], b"<!DOCTYPE html><html><head><title>Welcome</title></head>"
                    b"<body><p>Please log in to the network.<br></body></html>\n")


def bad_gateway(gateway: Gateway, call: Call, options: Options) -> Response:
    status = int(options.get("status", 502))
    return Response(status, [("Content-Type", "text/html")], b"<html><body>The proxy could not reach the server.</body></html>")


def redirect(gateway: Gateway, call: Call, options: Options) -> Response:
    return Response(int(options.get("status", 302)), [("Location", options.get("location", "https://elsewhere.example.org/"))])


def body(gateway: Gateway, call: Call, options: Options) -> Response:
    data = base64.b64decode(options["base64"]) if "base64" in options else str(options.get("body", "")).encode()
    return Response(int(options.get("status", 200)), [("Content-Type", options.get("content_type", "text/plain"))], data)


# Answers that were right

def text_edit(edit: Callable[[bytes, Options], bytes]) -> Action:
    def run(gateway: Gateway, call: Call, options: Options) -> Response:
        response = gateway.answer(call)
        response.body = edit(response.part(0, response.size), options)
        return response
    return run


def malformed(data: bytes, options: Options) -> bytes:
    return data[:max(1, len(data) * 2 // 3)]


def duplicate_json_keys(data: bytes, options: Options) -> bytes:
    """The first member of the document comes again, and empty."""
    first = next(iter(json.loads(data)))
    return data.rstrip()[:-1] + b", " + json.dumps(first).encode() + b": null}"


def number_is(text: bytes) -> Callable[[bytes, Options], bytes]:
    def edit(data: bytes, options: Options) -> bytes:
        edited, found = re.subn(rb'("[A-Za-z]+": )-?\d[\d.eE+-]*', rb"\g<1>" + text, data, count=1)
        return edited if found else data.rstrip()[:-1] + b', "Extra": ' + text + b"}"
    return edit


def nul(data: bytes, options: Options) -> bytes:
    zero = b"\0" if options.get("raw") else b"\\u0000"
    if data.lstrip().startswith(b"<"):
        return re.sub(rb"(?<=<Key>)", b"\0" if options.get("raw") else b"%00", data, count=1)
    return re.sub(rb'("(?:Value|SecretString|Token)": "[^"\\]?)', lambda m: m[1] + zero, data, count=1)


def spaces(style: bytes) -> Callable[[bytes, Options], bytes]:
    def edit(data: bytes, options: Options) -> bytes:
        return re.sub(rb"(?<=<Key>)[^<]*|(?<=<Prefix>)[^<]*",
                      lambda m: re.sub(rb"\+|%20", lambda _: style, m[0]), data)
    return edit


def reorder(order: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes, Options], bytes]:
    def edit(data: bytes, options: Options) -> bytes:
        entries = re.findall(rb"<Contents>.*?</Contents>", data, re.S)
        if not entries:
            return data
        start, end = data.index(b"<Contents>"), data.rindex(b"</Contents>") + len(b"</Contents>")
        return data[:start] + b"".join(order(entries)) + data[end:]
    return edit


def storage_class(data: bytes, options: Options) -> bytes:
    name = options.get("storage_class", "GLACIER").encode()
    return re.sub(rb"<StorageClass>[^<]*</StorageClass>", b"<StorageClass>" + name + b"</StorageClass>", data)


def with_checksum(right: bool) -> Action:
    def run(gateway: Gateway, call: Call, options: Options) -> Response:
        response = gateway.answer(call)
        algorithm = options.get("algorithm", "crc32")
        value = checksum(algorithm, response.parts())
        if not right:
            value = checksum(algorithm, [value.encode()])
        for name in ALGORITHMS:
            response.drop(f"x-amz-checksum-{name}")
        response.set(f"x-amz-checksum-{algorithm}", value + options.get("suffix", ""))
        return response
    return run


def wrong_etag(gateway: Gateway, call: Call, options: Options) -> Response:
    response = gateway.answer(call)
    response.set("ETag", options.get("etag", '"00000000000000000000000000000000"'))
    return response


def corrupt(gateway: Gateway, call: Call, options: Options) -> Response:
    """One byte of the body is another; its length and every header stay."""
    response = gateway.answer(call)
    data = bytearray(response.part(0, response.size))
    if data:
        data[len(data) // 2] ^= 1
    response.body = bytes(data)
    return response


def changed(gateway: Gateway, call: Call, options: Options) -> Response:
    """The object is another one than was listed: with If-Match a 412, without it the new content."""
    if call.request.has("if-match"):
        return precondition_failed(gateway, call, options)
    response = gateway.answer(call)
    response.body = str(options.get("text", "changed since the listing\n")).encode()
    response.set("ETag", '"ffffffffffffffffffffffffffffffff"')
    return response


def partial_batch(gateway: Gateway, call: Call, options: Options) -> Response:
    """The last secret of a batch turns into an item of Errors."""
    response = gateway.answer(call)
    found = json.loads(response.part(0, response.size))
    if found.get("SecretValues"):
        lost = found["SecretValues"].pop()
        found.setdefault("Errors", []).append({"SecretId": lost["Name"], "ErrorCode": options.get(
            "code", "AccessDeniedException"), "Message": options.get("message", "Access to KMS is not allowed")})
    response.body = json.dumps(found).encode()
    return response


def empty_page(gateway: Gateway, call: Call, options: Options) -> Response:
    """No item, and a token that leads to the page that should have come (see untangle)."""
    asked = call.query.get("continuation-token", "") if call.service == "s3" else \
        json.loads(call.request.body).get("NextToken") or ""
    token = EMPTY + base64.b64encode(asked.encode()).decode()
    if call.service == "s3":
        text = (xml("Name", call.bucket) + xml("KeyCount", 0) + xml("MaxKeys", 1000) + xml("EncodingType", "url")
                + xml("IsTruncated", "true") + xml("NextContinuationToken", token))
        return Response(200, [("Content-Type", "application/xml")],
                        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{text}</ListBucketResult>'.encode())
    document: dict[str, Any] = {"NextToken": token}
    document |= {"SecretValues": [], "Errors": []} if call.service == "secretsmanager" else {"Parameters": []}
    return Response(200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(document).encode())


def repeat_token(gateway: Gateway, call: Call, options: Options) -> Response:
    """The same page with the same token, for ever."""
    response = gateway.answer(call)
    data = response.part(0, response.size)
    if call.service == "s3":
        data = re.sub(rb"<NextContinuationToken>[^<]*</NextContinuationToken>|<IsTruncated>[^<]*</IsTruncated>", b"", data)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{LOOP}</NextContinuationToken></ListBucketResult>"
        response.body = data.replace(b"</ListBucketResult>", more.encode())
    else:
        response.body = json.dumps({**json.loads(data), "NextToken": LOOP}).encode()
    return response


def untangle(call: Call) -> None:
    """Turns the tokens that empty_page and repeat_token gave out back into what the service knows."""
    if call.service == "s3":
        token = call.query.get("continuation-token", "")
        if token.startswith((LOOP, EMPTY)):
            old = base64.b64decode(token.removeprefix(EMPTY)).decode() if token.startswith(EMPTY) else ""
            kept = [p for p in call.request.query.split("&") if not p.startswith("continuation-token=")]
            call.query.pop("continuation-token")
            if old:
                call.query["continuation-token"] = old
                kept.append("continuation-token=" + sigv4.encode(old.encode()))
            call.request.query = "&".join(kept)
    elif LOOP.encode() in call.request.body or EMPTY.encode() in call.request.body:
        given = json.loads(call.request.body)
        token = given.pop("NextToken", "")
        old = base64.b64decode(token.removeprefix(EMPTY)).decode() if token.startswith(EMPTY) else ""
        if old:
            given["NextToken"] = old
        call.request.body = json.dumps(given).encode()


ACTIONS: dict[str, Action] = {
    "error": error, "access_denied": access_denied, "kms_denied": kms_denied, "not_found": not_found,
    "throttle": refuse("throttled", "Rate exceeded"), "internal": refuse("internal", "An internal error occurred."),
    "unavailable": refuse("unavailable", "Service is unable to handle request."),
    "expired_token": refuse("expired-token", "The security token included in the request is expired"),
    "bad_signature": refuse("bad-signature", "The request signature we calculated does not match."),
    "wrong_region": wrong_region, "invalid_object_state": invalid_object_state, "precondition_failed": precondition_failed,
    "error_in_200": error_in_200, "captive_portal": captive_portal, "bad_gateway": bad_gateway, "redirect": redirect,
    "body": body, "malformed": text_edit(malformed), "duplicate_json_keys": text_edit(duplicate_json_keys),
    "nan": text_edit(number_is(b"NaN")), "big_number": text_edit(number_is(b"18446744073709551616")),
    "nul": text_edit(nul), "plus_keys": text_edit(spaces(b"+")), "percent_keys": text_edit(spaces(b"%20")),
    "unsorted_keys": text_edit(reorder(lambda e: e[::-1])), "duplicate_keys": text_edit(reorder(lambda e: e + e[:1])),
    "storage_class": text_edit(storage_class), "checksum": with_checksum(True), "wrong_checksum": with_checksum(False),
    "wrong_etag": wrong_etag, "corrupt": corrupt, "changed": changed, "partial_batch": partial_batch,
    "empty_page": empty_page, "repeat_token": repeat_token,
}
