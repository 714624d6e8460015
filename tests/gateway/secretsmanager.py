"""Secrets Manager: GetSecretValue and BatchGetSecretValue, from the store or from moto."""
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .errors import AwsError
from .identity import ACCOUNT
from .wire import Response

if TYPE_CHECKING:
    from .gateway import Call, Gateway

MAX_IDS = 20


def reply(document: dict[str, Any]) -> Response:
    return Response(200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(document).encode())


def plain_id(ident: str) -> str:
    """A name, or an ARN with its six random characters -> the name."""
    if ident.startswith("arn:"):
        name = ident.split(":", 6)[-1]
        return name[:-7] if name[-7:-6] == "-" else name
    return ident


def find(gateway: Gateway, call: Call, given: dict[str, Any]) -> dict[str, Any]:
    ident = given.get("SecretId")
    if not isinstance(ident, str) or not 1 <= len(ident) <= 2048:
        raise AwsError(400, "ValidationException", "1 validation error detected: Value null at 'secretId' failed to satisfy "
                       "constraint: Member must not be null")
    name, stage, version_id = plain_id(ident), given.get("VersionStage"), given.get("VersionId")
    versions = gateway.store.secrets.get(name)
    if versions is None:
        if gateway.upstream:
            return from_moto(gateway, call, given)
        raise AwsError(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    for version in versions:
        if version_id and version.version_id != version_id:
            continue
        if (stage or not version_id) and (stage or "AWSCURRENT") not in version.stages:
            continue
        shown: dict[str, Any] = {"ARN": f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{name}-a1B2c3",
                                 "Name": name, "VersionId": version.version_id, "VersionStages": version.stages,
                                 "CreatedDate": version.created}
        if version.string is not None:
            shown["SecretString"] = version.string
        if version.binary is not None:
            shown["SecretBinary"] = version.binary
        return shown
    what = f"VersionId: {version_id}" if version_id else f"staging label: {stage}"
    raise AwsError(400, "ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {what}")


def from_moto(gateway: Gateway, call: Call, given: dict[str, Any]) -> dict[str, Any]:
    assert gateway.upstream
    found = gateway.upstream.json(call, "secretsmanager", "secretsmanager.GetSecretValue", given)
    if found is None:
        raise AwsError(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    return found


def arguments(call: Call) -> dict[str, Any]:
    try:
        found = json.loads(call.request.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AwsError(400, "SerializationException")
    return found


def batch(gateway: Gateway, call: Call) -> Response:
    given = arguments(call)
    names = given.get("SecretIdList")
    if given.get("Filters") and not names:
        if gateway.upstream:
            return gateway.upstream.ask(call, "secretsmanager")
        raise AwsError(400, "InvalidParameterException", "Filters are not known here.")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_IDS:
        raise AwsError(400, "ValidationException", "1 validation error detected: Value at 'secretIdList' failed to satisfy "
                       "constraint: Member must have length less than or equal to 20")
    values, errors = [], []
    for name in names:
        try:
            values.append(find(gateway, call, {"SecretId": name}))
        except AwsError as error:
            errors.append({"SecretId": name, "ErrorCode": error.code, "Message": error.message})
    return reply({"SecretValues": values, "Errors": errors})


def answer(gateway: Gateway, call: Call) -> Response:
    with gateway.store.lock:
        if call.operation == "GetSecretValue":
            return reply(find(gateway, call, arguments(call)))
        if call.operation == "BatchGetSecretValue":
            return batch(gateway, call)
    if gateway.upstream and call.operation:
        return gateway.upstream.ask(call, "secretsmanager")
    raise AwsError(400, "UnknownOperationException")
