"""S3: where a request goes (bucket, key, region), and its answer from the store or, mended, from moto."""
from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from . import sigv4, upstream
from .checksums import ALGORITHMS, checksum
from .errors import AwsError
from .identity import ACCOUNT
from .s3list import NAMESPACE, list_objects
from .store import Bucket, Object
from .wire import Channel, Request, Response, dechunk

if TYPE_CHECKING:
    from .gateway import Call, Gateway

# B.s3.R.suffix, B.s3-fips.R..., B.s3.dualstack.R..., B.s3.localhost; without B the path names the bucket
HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:-fips)?(?:\.dualstack)?(?:\.(?P<region>[a-z0-9-]+))?"
                  r"\.(?:amazonaws\.com(?:\.cn)?|localhost)\Z")
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")


@dataclass
class Place:
    bucket: str
    key: str
    region: str | None      # what the host stands for
    style: str


def locate(request: Request, hostname: str) -> Place:
    match = HOST.match(hostname)
    path = sigv4.decode(request.path).decode("utf-8", "surrogateescape")
    region = match["region"] if match else None
    if match and match["bucket"]:
        return Place(match["bucket"], path[1:], region, "virtual")
    bucket, _, key = path[1:].partition("/")
    return Place(bucket, key, region, "path")


def operation(request: Request, place: Place, query: dict[str, str]) -> str:
    if not place.bucket:
        return "ListBuckets"
    if not place.key:
        if request.method == "GET":
            if "location" in query:
                return "GetBucketLocation"
            return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
        return {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket",
                "POST": "DeleteObjects"}.get(request.method, "Unknown")
    return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject",
            "DELETE": "DeleteObject"}.get(request.method, "Unknown")


def bucket_region(gateway: Gateway, name: str) -> str | None:
    bucket = gateway.store.buckets.get(name)
    if bucket:
        return bucket.region
    return gateway.upstream.bucket_region(name) if gateway.upstream and name else None


def permanent_redirect(bucket: str, region: str, status: int = 301) -> AwsError:
    return AwsError(status, "PermanentRedirect" if status == 301 else "TemporaryRedirect",
                    "The bucket you are attempting to access must be addressed using the specified endpoint. Please send "
                    "all future requests to this endpoint.",
                    {"Endpoint": f"{bucket}.s3.{region}.amazonaws.com", "Bucket": bucket},
                    {"x-amz-bucket-region": region, "Location": f"https://{bucket}.s3.{region}.amazonaws.com/"})


def expected_region(gateway: Gateway, call: Call) -> str | None:
    """The region that the signature must name. Raises the redirect that a wrong one gets."""
    own = bucket_region(gateway, call.bucket)
    scope = call.request.header("authorization").partition("Credential=")[2].split("/")[2:3]
    if call.host_region:
        if own and own != call.host_region and scope == [call.host_region]:
            raise permanent_redirect(call.bucket, own)
        return call.host_region
    if own and scope and scope != [own] and gateway.config["wrong_region"] == 301:
        raise permanent_redirect(call.bucket, own)
    return own or gateway.any_region()


def answer(gateway: Gateway, call: Call) -> Response:
    owner = call.request.header("x-amz-expected-bucket-owner")
    if owner and owner != ACCOUNT:
        raise AwsError(403, "AccessDenied", "Access Denied")
    bucket = gateway.store.buckets.get(call.bucket)
    if bucket is None and gateway.upstream:
        return from_moto(gateway, call)
    if call.operation == "CreateBucket":
        region = re.search(rb"<LocationConstraint[^>]*>([^<]+)<", call.request.body)
        gateway.store.buckets.setdefault(call.bucket, Bucket(region[1].decode() if region else "us-east-1"))
        return Response(200, [("Location", f"/{call.bucket}")])
    if bucket is None:
        raise AwsError(404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": call.bucket})
    with gateway.store.lock:
        return ANSWERS.get(call.operation, unknown)(gateway, call, bucket)


def unknown(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    raise AwsError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")


def list_(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    return list_objects(call.bucket, bucket, call.query, gateway.config["s3_page"], gateway.config["space"])


def head_bucket(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    return Response(200, [("x-amz-bucket-region", bucket.region), ("Content-Type", "application/xml")])


def location(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    text = "" if bucket.region == "us-east-1" else bucket.region
    return Response(200, [("Content-Type", "application/xml")],
                    f'<LocationConstraint xmlns="{NAMESPACE}">{text}</LocationConstraint>'.encode())


def get_object(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    thing = bucket.objects.get(call.key)
    if thing is None:
        raise AwsError(404, "NoSuchKey", "The specified key does not exist.",
                       {"Key": call.key.encode("utf-8", "surrogateescape").decode("latin-1")})
    wanted = call.query.get("versionId")
    if wanted is not None and wanted != (thing.version_id or "null"):
        raise AwsError(404, "NoSuchVersion", "The specified version does not exist.", {"VersionId": wanted})
    if thing.storage_class in ARCHIVED and not thing.restored and call.operation == "GetObject":
        raise AwsError(403, "InvalidObjectState", "The operation is not valid for the object's storage class",
                       {"StorageClass": thing.storage_class})
    check_conditions(call.request, f'"{thing.etag}"')
    headers = [("Last-Modified", formatdate(thing.modified, usegmt=True)), ("ETag", f'"{thing.etag}"'),
               ("Accept-Ranges", "bytes"), ("Content-Type", thing.content_type)]
    if thing.content_encoding:
        headers.append(("Content-Encoding", thing.content_encoding))
    if thing.version_id:
        headers.append(("x-amz-version-id", thing.version_id))
    if thing.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", thing.storage_class))
    response = Response(200, headers, thing.body)
    ranged = call.request.header("range")
    if ranged:
        return cut_range(response, ranged, thing)
    if call.request.header("x-amz-checksum-mode") == "ENABLED":
        response.headers += [(f"x-amz-checksum-{name}", value) for name, value in thing.checksums.items()]
        if thing.checksums:
            composite = any("-" in value for value in thing.checksums.values())
            response.headers.append(("x-amz-checksum-type", "COMPOSITE" if composite else "FULL_OBJECT"))
    return response


def check_conditions(request: Request, etag: str) -> None:
    if_match, if_none = request.header("if-match"), request.header("if-none-match")
    if if_match and if_match != "*" and etag.strip('"') not in (e.strip().strip('"') for e in if_match.split(",")):
        raise AwsError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold",
                       {"Condition": "If-Match"})
    if if_none and etag.strip('"') in (e.strip().strip('"') for e in if_none.split(",")):
        raise AwsError(304, "NotModified", headers={"ETag": etag})


def cut_range(response: Response, ranged: str, thing: Object) -> Response:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", ranged)
    if not match or match.groups() == ("", ""):
        return response
    first, last, size = match[1], match[2], thing.size
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) if first and last else size - 1, size - 1)
    if start >= size or end < start:
        raise AwsError(416, "InvalidRange", "The requested range is not satisfiable",
                       {"RangeRequested": ranged, "ActualObjectSize": str(size)})
    response.status = 206
    response.headers.append(("Content-Range", f"bytes {start}-{end}/{size}"))
    response.body = response.part(start, end - start + 1)
    return response


class Bytes(Channel):
    """A body read like a connection, to take off the aws-chunked coding of an upload."""

    def __init__(self, data: bytes) -> None:
        self.buffer = data

    def fill(self) -> None:
        raise AwsError(400, "IncompleteBody", "The request body terminated unexpectedly")

    def exactly(self, size: int) -> bytes:
        if len(self.buffer) < size:
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data


def upload_body(request: Request) -> bytes:
    if request.header("x-amz-content-sha256").startswith("STREAMING-"):
        return dechunk(Bytes(request.body))
    return request.body


def put_object(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    body = upload_body(call.request)
    sums = {}
    for name in ALGORITHMS:
        claimed = call.request.header(f"x-amz-checksum-{name}")
        if claimed and claimed != checksum(name, [body]):
            raise AwsError(400, "BadDigest", f"The {name.upper()} you specified did not match the calculated checksum.")
        if claimed or call.request.header("x-amz-trailer") == f"x-amz-checksum-{name}":
            sums[name] = checksum(name, [body])
    coding = ",".join(c for c in call.request.header("content-encoding").split(",") if c.strip() not in ("", "aws-chunked"))
    thing = Object(body, checksums=sums, modified=float(int(gateway.now())), content_encoding=coding,
                   storage_class=call.request.header("x-amz-storage-class", "STANDARD"),
                   content_type=call.request.header("content-type", "binary/octet-stream"))
    bucket.objects[call.key] = thing
    return Response(200, [("ETag", f'"{thing.etag}"')])


def delete_object(gateway: Gateway, call: Call, bucket: Bucket) -> Response:
    bucket.objects.pop(call.key, None)
    return Response(204)


ANSWERS = {"ListObjects": list_, "ListObjectsV2": list_, "HeadBucket": head_bucket, "GetBucketLocation": location,
           "GetObject": get_object, "HeadObject": get_object, "PutObject": put_object, "DeleteObject": delete_object}


def from_moto(gateway: Gateway, call: Call) -> Response:
    """moto's answer, mended: it ignores If-Match where it likes, writes %20 in listings and caps no page."""
    assert gateway.upstream
    target = "/" + sigv4.encode(call.bucket.encode())
    if call.key:
        target += "/" + sigv4.encode(call.key.encode("utf-8", "surrogateescape"), keep=b"/")
    query = call.request.query
    if call.operation.startswith("ListObjects"):
        limit = min(int(call.query.get("max-keys", "1000") or "1000"), gateway.config["s3_page"], 1000)
        query = "&".join(p for p in query.split("&") if p and not p.startswith("max-keys=")) + f"&max-keys={limit}"
    response = gateway.upstream.ask(call, "s3", target + (f"?{query}" if query else ""))
    if call.operation in ("GetObject", "HeadObject") and response.status in (200, 206):
        check_conditions(call.request, response.header("etag"))
    if call.operation.startswith("ListObjects") and response.status == 200 and isinstance(response.body, bytes):
        response.body = upstream.mend_listing(response.body, call.query.get("encoding-type") == "url",
                                              gateway.config["space"])
    if call.operation in ("CreateBucket", "DeleteBucket"):
        gateway.upstream.forget_bucket(call.bucket)
    return response


