"""SSM Parameter Store: the reads envsync makes, from the store or, mended, from moto.

moto knows no Selector in its answers, and a secret through /aws/reference/secretsmanager/ only in part.
"""
from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from . import secretsmanager
from .errors import AwsError
from .identity import ACCOUNT
from .store import Parameter
from .wire import Response

if TYPE_CHECKING:
    from .gateway import Call, Gateway

MAX_RESULTS = 10
REFERENCE = "/aws/reference/secretsmanager/"
TYPE = "application/x-amz-json-1.1"


def reply(document: dict[str, Any]) -> Response:
    return Response(200, [("Content-Type", TYPE)], json.dumps(document).encode())


def arguments(call: Call) -> dict[str, Any]:
    try:
        found = json.loads(call.request.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AwsError(400, "SerializationException", "Start of structure or map found where not expected.")
    return found


def invalid(text: str) -> AwsError:
    return AwsError(400, "ValidationException", text)


def show(call: Call, name: str, versions: list[Parameter], number: int, selector: str, decrypt: bool) -> dict[str, Any]:
    thing = versions[number - 1]
    value = thing.value
    if thing.type == "SecureString" and not decrypt:
        value = "AQICAH" + base64.b64encode(value.encode()[::-1]).decode()     # what an undecrypted value looks like
    shown: dict[str, Any] = {"Name": name, "Type": thing.type, "Value": value, "Version": number,
                             "LastModifiedDate": thing.modified, "DataType": "text",
                             "ARN": f"arn:aws:ssm:{call.region}:{ACCOUNT}:parameter/{name.lstrip('/')}"}
    if selector:
        shown["Selector"] = selector
    return shown


def split(name: str) -> tuple[str, str]:
    """`name[:selector]` or an ARN with one -> the plain name and the selector with its colon."""
    match = re.fullmatch(r"arn:[a-z-]+:ssm:[a-z0-9-]+:\d{12}:parameter(/[^:]+)((?::[^:]+)?)", name)
    if match:
        plain = match[1]
        return plain if plain.count("/") > 1 else plain[1:], match[2]
    match = re.fullmatch(r"([A-Za-z0-9_.\-/]+)((?::[^:]+)?)", name)
    if not match:
        raise invalid("Parameter name: can't be prefixed with \"ssm\" or \"aws\" (case-insensitive), and can include only "
                      "letters, numbers and the symbols .-_/")
    return match[1], match[2]


def find(gateway: Gateway, call: Call, name: str, decrypt: bool) -> dict[str, Any] | None:
    """One parameter by name, version, label or ARN. None: there is none; a version or label that is not there raises."""
    if name.startswith(REFERENCE):
        return find_secret(gateway, call, name, decrypt)
    plain, selector = split(name)
    versions = gateway.store.parameters.get(plain) or gateway.store.parameters.get("/" + plain)
    if not versions:
        return from_moto(gateway, call, name, plain, selector, decrypt) if gateway.upstream else None
    wanted = selector[1:]
    number = len(versions)
    if wanted.isdecimal():
        number = int(wanted)
    elif wanted:
        number = next((n for n, v in enumerate(versions, 1) if wanted in v.labels), 0)
    if not 1 <= number <= len(versions):
        raise AwsError(400, "ParameterVersionNotFound", f"Systems Manager could not find version {wanted} of {plain}.")
    stored = plain if plain in gateway.store.parameters else "/" + plain
    return show(call, stored, versions, number, selector, decrypt)


def from_moto(gateway: Gateway, call: Call, name: str, plain: str, selector: str, decrypt: bool) -> dict[str, Any] | None:
    assert gateway.upstream
    got = gateway.upstream.json(call, "ssm", "AmazonSSM.GetParameter",
                                {"Name": plain + selector, "WithDecryption": decrypt})
    if got is None:
        if selector and gateway.upstream.json(call, "ssm", "AmazonSSM.GetParameter", {"Name": plain}):
            raise AwsError(400, "ParameterVersionNotFound", f"Systems Manager could not find version {selector[1:]} of "
                                                            f"{plain}.")
        return None
    found = got["Parameter"]
    if selector:
        found["Selector"] = selector
    return found


def find_secret(gateway: Gateway, call: Call, name: str, decrypt: bool) -> dict[str, Any] | None:
    if not decrypt:
        raise invalid("WithDecryption flag must be True for retrieving a Secret Manager secret.")
    ident, _, selector = name[len(REFERENCE):].partition(":")
    wanted: dict[str, str] = {}
    if selector:
        wanted = {"VersionId" if re.fullmatch(r"[0-9a-f-]{36}", selector) else "VersionStage": selector}
    try:
        secret = secretsmanager.find(gateway, call, {"SecretId": ident, **wanted})
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            return None
        raise
    shown = {"Name": REFERENCE + ident, "Type": "SecureString", "Value": secret.get("SecretString", ""), "Version": 0,
             "LastModifiedDate": secret["CreatedDate"], "DataType": "text", "ARN": secret["ARN"],
             "SourceResult": json.dumps({**secret, "CreatedDate": "Jan 1, 2024 12:00:00 AM"})}
    if selector:
        shown["Selector"] = ":" + selector
    return shown


def get_parameter(gateway: Gateway, call: Call) -> Response:
    given = arguments(call)
    found = find(gateway, call, str(given.get("Name", "")), bool(given.get("WithDecryption")))
    if found is None:
        raise AwsError(400, "ParameterNotFound")
    return reply({"Parameter": found})


def get_parameters(gateway: Gateway, call: Call) -> Response:
    given = arguments(call)
    names = given.get("Names")
    if not isinstance(names, list) or not 1 <= len(names) <= 10:
        raise invalid("1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length "
                      "less than or equal to 10")
    if len(set(names)) != len(names):
        raise invalid("Duplicate names in request.")
    good, bad = [], []
    for name in names:
        try:
            found = find(gateway, call, name, bool(given.get("WithDecryption")))
        except AwsError as error:
            if error.code != "ParameterVersionNotFound":
                raise
            found = None
        if found is None:
            bad.append(name)
        else:
            good.append(found)
    good.sort(key=lambda p: p["Name"])      # AWS promises no order
    return reply({"Parameters": good, "InvalidParameters": bad})


def filtered(filters: list[dict[str, Any]], name: str, versions: list[Parameter]) -> int:
    """The version number that passes the filters, 0 for none."""
    number = len(versions)
    for one in filters:
        key, option, values = one.get("Key"), one.get("Option", "Equals"), one.get("Values", [])
        if key == "Type" and option == "Equals":
            if versions[number - 1].type not in values:
                return 0
        elif key == "Label" and option == "Equals":
            number = next((n for n, v in enumerate(versions, 1) if set(values) & set(v.labels)), 0)
            if not number:
                return 0
        elif key != "KeyId":
            raise AwsError(400, "InvalidFilterKey", f"The following filter key is not valid: {key}.")
    return number


def by_path(gateway: Gateway, call: Call) -> Response:
    given = arguments(call)
    path, limit = given.get("Path"), given.get("MaxResults", MAX_RESULTS)
    if not isinstance(path, str) or not path.startswith("/"):
        raise invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a "
                      "forward slash \"/\".")
    if not isinstance(limit, int) or not 1 <= limit <= MAX_RESULTS:
        raise invalid(f"1 validation error detected: Value '{limit}' at 'maxResults' failed to satisfy constraint: Member "
                      "must have value less than or equal to 10")
    below = path.rstrip("/") + "/"
    mine = any(name.startswith(below) for name in gateway.store.parameters)
    if not mine and gateway.upstream:
        return gateway.upstream.ask(call, "ssm")
    token = given.get("NextToken") or ""
    after = token_name(token) if token else ""
    recursive, decrypt = bool(given.get("Recursive")), bool(given.get("WithDecryption"))
    page: list[dict[str, Any]] = []
    for name, versions in sorted(gateway.store.parameters.items()):
        if not name.startswith(below) or name <= after or (not recursive and "/" in name[len(below):]):
            continue
        number = filtered(given.get("ParameterFilters") or [], name, versions)
        if not number:
            continue
        if len(page) == limit:
            return reply({"Parameters": page, "NextToken": name_token(page[-1]["Name"])})
        page.append(show(call, name, versions, number, "", decrypt))
    return reply({"Parameters": page})


def name_token(name: str) -> str:
    return "AAEAA+/" + base64.b64encode(name.encode()).decode()


def token_name(token: str) -> str:
    try:
        return base64.b64decode(token.removeprefix("AAEAA+/"), validate=True).decode()
    except ValueError:
        raise AwsError(400, "InvalidNextToken", "The specified token isn't valid.") from None


def put_parameter(gateway: Gateway, call: Call) -> Response:
    """Into the store where that has the name or there is no moto."""
    given = arguments(call)
    name = given["Name"]
    versions = gateway.store.parameters.get(name)
    if versions is None and gateway.upstream:
        return gateway.upstream.ask(call, "ssm")
    if versions and not given.get("Overwrite"):
        raise AwsError(400, "ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the "
                       "overwrite option in the request to true.")
    gateway.store.parameters[name] = (versions or []) + [Parameter(given["Value"], given.get("Type", "String"))]
    return reply({"Version": len(gateway.store.parameters[name]), "Tier": "Standard"})


OPERATIONS = {"GetParameter": get_parameter, "GetParameters": get_parameters, "GetParametersByPath": by_path,
              "PutParameter": put_parameter}


def answer(gateway: Gateway, call: Call) -> Response:
    run = OPERATIONS.get(call.operation)
    if run:
        with gateway.store.lock:
            return run(gateway, call)
    if gateway.upstream and call.operation:
        return gateway.upstream.ask(call, "ssm")
    raise AwsError(400, "UnknownOperationException")
