"""ListObjects, versions 1 and 2, of a bucket in the store, spelled as S3 spells it.

With encoding-type=url real S3 writes a space as `+` and leaves `/` alone; moto writes `%20`. Which one is sent is the
gateway's setting "space".
"""
from __future__ import annotations

import base64
import time

from .errors import AwsError, xml
from .sigv4 import encode
from .store import Bucket, Object, key_bytes
from .wire import Response

MAX_KEYS = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + ".000Z"


def url_key(key: str, space: str) -> str:
    text = encode(key_bytes(key), keep=b"/*")
    return text.replace("%20", "+") if space == "plus" else text


def token_for(key: str) -> str:
    """Opaque, and with characters that have to be percent-encoded in a query."""
    return "1/+" + base64.b64encode(key_bytes(key)).decode() + "="


def key_of(token: str) -> str:
    try:
        if token[:3] != "1/+" or token[-1:] != "=":
            raise ValueError
        return base64.b64decode(token[3:-1], validate=True).decode("utf-8", "surrogateescape")
    except ValueError:
        raise AwsError(400, "InvalidArgument", "The continuation token provided is incorrect",
                       {"ArgumentName": "continuation-token"}) from None


def contents(key: str, thing: Object) -> str:
    inner = f"<Key>{key}</Key>" + xml("LastModified", iso(thing.modified)) + xml("ETag", f'"{thing.etag}"')
    for name in thing.checksums:
        inner += xml("ChecksumAlgorithm", name.upper())
    inner += xml("Size", thing.size) + xml("StorageClass", thing.storage_class)
    if thing.restored:
        inner += "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"
    return f"<Contents>{inner}</Contents>"


def list_objects(name: str, bucket: Bucket, query: dict[str, str], page: int, space: str) -> Response:
    version2 = query.get("list-type") == "2"
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = number(query.get("max-keys", str(MAX_KEYS)))
    limit = min(limit, page, MAX_KEYS)
    url = query.get("encoding-type") == "url"
    if "encoding-type" in query and not url:
        raise AwsError(400, "InvalidArgument", "Invalid Encoding Method specified in Request")
    token = query.get("continuation-token")
    if token is not None and not token:
        raise AwsError(400, "InvalidArgument", "The continuation token provided is incorrect")
    after = key_of(token) if token else query.get("start-after" if version2 else "marker", "")

    def shown(text: str) -> str:
        return url_key(text, space) if url else xml("x", text)[3:-4]

    entries: list[str] = []
    groups: list[str] = []
    last, more = "", False
    for key in bucket.keys():
        if not key.startswith(prefix) or key_bytes(key) <= key_bytes(after):
            continue
        group = ""
        if delimiter and delimiter in key[len(prefix):]:
            group = prefix + key[len(prefix):].split(delimiter)[0] + delimiter
            if group in groups or (after and after.startswith(group)):
                last = key
                continue
        if len(entries) + len(groups) >= limit:
            more = limit > 0
            break
        if group:
            groups.append(group)
        else:
            entries.append(contents(shown(key), bucket.objects[key]))
        last = key

    inner = xml("Name", name) + f"<Prefix>{shown(prefix)}</Prefix>"
    if version2:
        if token:
            inner += xml("ContinuationToken", token)
        inner += xml("KeyCount", len(entries) + len(groups))
    else:
        inner += f"<Marker>{shown(after)}</Marker>"
    inner += xml("MaxKeys", limit)
    if delimiter:
        inner += f"<Delimiter>{shown(delimiter)}</Delimiter>"
    if url:
        inner += xml("EncodingType", "url")
    inner += xml("IsTruncated", "true" if more else "false")
    if more:
        inner += xml("NextContinuationToken", token_for(last)) if version2 else f"<NextMarker>{shown(last)}</NextMarker>"
    inner += "".join(entries)
    inner += "".join(f"<CommonPrefixes><Prefix>{shown(g)}</Prefix></CommonPrefixes>" for g in groups)
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}">{inner}</ListBucketResult>'
    return Response(200, [("Content-Type", "application/xml")], body.encode("utf-8", "surrogateescape"))


def number(text: str) -> int:
    if not text.isdecimal():
        raise AwsError(400, "InvalidArgument", "Provided max-keys not an integer or within integer range")
    return int(text)
