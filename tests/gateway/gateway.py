"""One request's way: route, skew, verify, fault, answer, record."""
from __future__ import annotations

import copy
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from . import faults, imds, s3, secretsmanager, sigv4, ssm, sts
from .errors import AwsError, render, trouble
from .identity import Credential, Identities
from .recording import Recorder
from .store import Store
from .upstream import Upstream
from .verify import verify
from .wire import Request, Response

# ssm.R.S, ssm-fips.R.S, secretsmanager..., sts...; sts.amazonaws.com is the global one
JSON_HOST = re.compile(r"(?P<service>ssm|secretsmanager|sts)(?:-fips)?(?:\.(?P<region>[a-z0-9-]+))?"
                       r"\.(?:amazonaws\.com(?:\.cn)?|api\.aws|localhost)\Z")
TARGETS = {"AmazonSSM": "ssm", "secretsmanager": "secretsmanager"}
SIGNED = ("s3", "ssm", "secretsmanager", "sts")

SETTINGS: dict[str, Any] = {
    "clock_offset": 0.0,        # the gateway's clock minus the machine's
    "clock": None,              # or a clock that stands still there
    "region": "eu-west-1",      # what a signature for a host without a region must name; "*": any
    "wrong_region": 400,        # S3 on such a host: AuthorizationHeaderMalformed (400) or PermanentRedirect (301)
    "space": "plus",            # in url-encoded listings: "plus" as S3, "percent" as others
    "s3_page": 1000,
    "roles": {},                # role ARN: {"external_id", "denied", "seconds"}
    "web_identity_tokens": [],  # empty: any
    "imds": {"role": "app", "seconds": 21600, "failure": ""},
    "container": {"relative_uri": "/v2/credentials/0badcafe-0000-4000-8000-000000000001", "token": "eks-token/+=",
                  "seconds": 21600},
}


@dataclass
class Call:
    """A request, understood."""

    request: Request
    service: str
    operation: str = ""
    bucket: str = ""
    key: str = ""
    style: str = ""
    host_region: str | None = None
    region: str = ""
    query: dict[str, str] = field(default_factory=dict)
    credential: Credential | None = None


@dataclass
class Outcome:
    response: Response
    rule: faults.Rule | None = None      # set where the answer is to be sent wrongly


class Gateway:
    def __init__(self, settings: dict[str, Any] | None = None, credentials: list[Credential] | None = None,
                 fixtures: dict[str, Any] | None = None, upstream: str = "") -> None:
        self.lock = threading.Lock()
        self.initial, self.fixtures = {**copy.deepcopy(SETTINGS), **(settings or {})}, fixtures or {}
        self.config: dict[str, Any] = {}
        self.recorder, self.faults = Recorder(), faults.Faults()
        self.identities, self.metadata = Identities(credentials or []), imds.Metadata()
        self.store = Store(self.initial["region"])
        self.upstream = Upstream(upstream) if upstream else None
        self.reset()

    def reset(self) -> None:
        """Back to the state at start. What moto holds is moto's to reset."""
        self.config = copy.deepcopy(self.initial)
        for part in (self.recorder, self.faults, self.identities, self.metadata, self.upstream):
            if part:
                part.reset()
        self.store.clear()
        self.store.load(self.fixtures)

    def configure(self, changes: dict[str, Any]) -> None:
        unknown = set(changes) - set(SETTINGS)
        if unknown:
            raise ValueError(f"unknown setting: {', '.join(sorted(unknown))}")
        for name, value in changes.items():
            if name in ("imds", "container"):
                value = {**self.config[name], **value}
            self.config[name] = value

    def now(self) -> float:
        fixed = self.config["clock"]
        return float(fixed) if fixed is not None else time.time() + self.config["clock_offset"]

    def any_region(self) -> str | None:
        return None if self.config["region"] == "*" else self.config["region"]

    def route(self, request: Request) -> Call:
        """Which service and operation a request is for. Raises Malformed where its encoding is wrong."""
        if request.listener == "imds":
            return Call(request, "imds", imds.name_operation(request))
        if request.listener == "container":
            return Call(request, "container", "Credentials")
        query = {n.decode("utf-8", "surrogateescape"): v.decode("utf-8", "surrogateescape")
                 for n, v in sigv4.parse_query(request.query)}
        hostname = request.host.rpartition(":")[0] if re.search(r":\d+\Z", request.host) else request.host
        host = JSON_HOST.match(hostname.lower())
        prefix, _, operation = request.header("x-amz-target").partition(".")
        if host or prefix in TARGETS or self.is_form(request):
            service = host["service"] if host else TARGETS.get(prefix, "sts")
            if service == "sts":
                operation = re.sub(rb".*(?:^|&)Action=([A-Za-z]+).*|.*", rb"\1", request.body, flags=re.S).decode()[:64]
            elif TARGETS.get(prefix) != service:
                operation = ""
            region = (host["region"] or "us-east-1") if host else None
            return Call(request, service, operation, host_region=region, query=query)
        place = s3.locate(request, hostname)
        return Call(request, "s3", s3.operation(request, place, query), place.bucket, place.key, place.style, place.region,
                    query=query)

    @staticmethod
    def is_form(request: Request) -> bool:
        return (request.method == "POST" and request.path.rstrip("/") == ""
                and request.header("content-type").startswith("application/x-www-form-urlencoded"))

    def check(self, call: Call, entry: dict[str, Any], now: float) -> None:
        """Verifies the signature and notes how that went."""
        scope = call.request.header("authorization").partition("Credential=")[2].split("/")
        if len(scope) > 2:
            entry["access_key"], call.region = scope[0], scope[2]
        call.region = entry["region"] = call.region or call.host_region or self.initial["region"]
        if call.service not in SIGNED or (call.service == "sts" and sts.unsigned(call)):
            return
        entry["signature"] = "bad" if call.request.has("authorization") else "none"
        region = s3.expected_region(self, call) if call.service == "s3" else call.host_region or self.any_region()
        call.credential = verify(call.request, call.service, region, self.identities, now)
        entry["signature"] = "good"

    def answer(self, call: Call) -> Response:
        if call.service == "imds":
            return self.metadata.answer(self, call)
        if call.service == "container":
            return imds.container(self, call)
        run = {"s3": s3.answer, "ssm": ssm.answer, "secretsmanager": secretsmanager.answer, "sts": sts.answer}
        return run[call.service](self, call)

    def handle(self, request: Request) -> Outcome:
        entry = self.recorder.begin(request)
        rule, now, service = None, self.now(), "s3"
        try:
            call = self.route(request)
            service = call.service
            entry.update(service=service, operation=call.operation, bucket=call.bucket, key=call.key, style=call.style)
            skew = self.faults.take(call, "skew")
            if skew:
                entry["fault"] = "skew"
                now += float(skew.options.get("seconds", 3600))
            try:
                self.check(call, entry, now)
            except AwsError:
                rule = self.faults.take(call, "unverified")
                if not rule:
                    raise
            else:
                rule = self.faults.take(call, "verified")
            if rule:
                entry["fault"] = rule.action
            faults.untangle(call)
            response = faults.bend(self, call, rule) if rule else self.answer(call)
        except AwsError as error:
            entry["error"] = error.code
            response = self.refusal(error, service, request)
        except (sigv4.Malformed, UnicodeError):
            error = trouble("bad-request", service, "Couldn't parse the specified URI.")
            entry["error"] = error.code
            response = self.refusal(error, service, request)
        if rule:
            for name, value in rule.options.get("headers", {}).items():
                response.set(name, value)
        self.finish(response, service, request, entry, now)
        return Outcome(response, rule if rule and rule.on_wire else None)

    def refusal(self, error: AwsError, service: str, request: Request) -> Response:
        return render(error, service, request.path, secrets.token_hex(8).upper(), secrets.token_urlsafe(40))

    def finish(self, response: Response, service: str, request: Request, entry: dict[str, Any], now: float) -> None:
        """What every answer carries; the ids are those in the document where there is one."""
        entry["status"] = response.status
        if not response.header("date"):
            response.headers.insert(0, ("Date", formatdate(now, usegmt=True)))
        identity = re.search(rb"<RequestId>([^<]+)<", response.body) if isinstance(response.body, bytes) else None
        request_id = identity[1].decode() if identity else secrets.token_hex(8).upper()
        if service == "s3":
            response.set("x-amz-request-id", request_id)
            host_id = re.search(rb"<HostId>([^<]+)<", response.body) if isinstance(response.body, bytes) else None
            response.set("x-amz-id-2", host_id[1].decode() if host_id else secrets.token_urlsafe(40))
        elif service in SIGNED:
            response.set("x-amzn-RequestId", request_id)
        entry["request_id"] = request_id
        if not response.bodyless and response.status not in (204, 304):
            response.set("Content-Length", str(response.size))
        if request.method == "HEAD":
            response.bodyless = True
        if not request.keep_alive:
            response.set("Connection", "close")
