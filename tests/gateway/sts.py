"""STS: AssumeRole, AssumeRoleWithWebIdentity (unsigned) and GetCallerIdentity. What it issues, the gateway accepts."""
from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from uuid import uuid4

from .errors import AwsError, xml
from .identity import ACCOUNT, Credential
from .wire import Response

if TYPE_CHECKING:
    from .gateway import Call, Gateway

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:[\w+=,.@-]+/)*([\w+=,.@-]{1,64})")


def form(call: Call) -> dict[str, str]:
    try:
        return dict(parse_qsl(call.request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))
    except ValueError:
        return {}


def document(operation: str, inner: str) -> Response:
    body = (f'<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>{inner}</{operation}Result>'
            f'<ResponseMetadata>{xml("RequestId", uuid4())}</ResponseMetadata></{operation}Response>')
    return Response(200, [("Content-Type", "text/xml")], body.encode())


def issue(gateway: Gateway, given: dict[str, str]) -> tuple[Credential, str]:
    role = ROLE.fullmatch(given.get("RoleArn", ""))
    session = given.get("RoleSessionName", "")
    if not role:
        raise AwsError(400, "ValidationError", f"{given.get('RoleArn', '')} is invalid")
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", session):
        raise AwsError(400, "ValidationError", "1 validation error detected: Value at 'roleSessionName' failed to satisfy "
                       "constraint")
    seconds = given.get("DurationSeconds", "3600")
    if not seconds.isdecimal() or not 900 <= int(seconds) <= 43200:
        raise AwsError(400, "ValidationError", "1 validation error detected: Value at 'durationSeconds' failed to satisfy "
                       "constraint")
    rule = gateway.config["roles"].get(given["RoleArn"], {})
    if rule.get("denied") or given.get("ExternalId") != rule.get("external_id", given.get("ExternalId")):
        raise AwsError(403, "AccessDenied", f"User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: "
                       f"sts:AssumeRole on resource: {given['RoleArn']}")
    arn = f"arn:aws:sts::{role[1]}:assumed-role/{role[2]}/{session}"
    return gateway.identities.issue(arn, gateway.now(), rule.get("seconds", int(seconds))), arn


def show(credential: Credential, arn: str) -> str:
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(credential.expires or 0))
    keys = (xml("AccessKeyId", credential.access_key) + xml("SecretAccessKey", credential.secret)
            + xml("SessionToken", credential.token) + xml("Expiration", expires))
    user = xml("AssumedRoleId", f"AROAGATEWAYTEST00001:{arn.rpartition('/')[2]}") + xml("Arn", arn)
    return f"<Credentials>{keys}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"


def unsigned(call: Call) -> bool:
    return call.operation == "AssumeRoleWithWebIdentity"


def answer(gateway: Gateway, call: Call) -> Response:
    given = form(call)
    if given.get("Version") != "2011-06-15":
        raise AwsError(400, "InvalidAction", "Could not find operation for the given version")
    if call.operation == "GetCallerIdentity":
        assert call.credential
        arn = call.credential.arn
        return document("GetCallerIdentity", xml("Arn", arn) + xml("UserId", call.credential.access_key)
                        + xml("Account", ACCOUNT))
    if call.operation == "AssumeRole":
        return document("AssumeRole", show(*issue(gateway, given)))
    if call.operation == "AssumeRoleWithWebIdentity":
        token, good = given.get("WebIdentityToken", ""), gateway.config["web_identity_tokens"]
        if len(token) < 4 or (good and token not in good):
            raise AwsError(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
        return document("AssumeRoleWithWebIdentity", show(*issue(gateway, given))
                        + xml("Provider", "arn:aws:iam::123456789012:oidc-provider/oidc.example")
                        + xml("SubjectFromWebIdentityToken", "system:serviceaccount:default:app"))
    raise AwsError(400, "InvalidAction", f"Could not find operation {call.operation} for version 2011-06-15")
