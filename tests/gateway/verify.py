"""AWS's rules for a signed request, and the refusals they end in. Reads only the request, the identities and the clock."""
from __future__ import annotations

import hashlib
import hmac
import re
import time
from calendar import timegm

from . import sigv4
from .errors import AwsError, trouble
from .identity import Credential, Identities
from .wire import Request

MAX_SKEW = 15 * 60
# Payload hashes of S3 that are no hash: the body is not covered by the signature.
UNSIGNED_PAYLOADS = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
MUST_BE_SIGNED = ("host", "content-type", "range", "if-match")


def stamp(when: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when))


def parse_stamp(text: str) -> float | None:
    if not re.fullmatch(r"\d{8}T\d{6}Z", text):
        return None
    try:
        return float(timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return None


def authorization(request: Request, service: str) -> sigv4.Authorization:
    values = request.values("authorization")
    if not values:
        raise trouble("no-auth", service, "Request is missing Authentication Token" if service != "s3" else "Access Denied")
    try:
        if len(values) > 1:
            raise sigv4.Malformed
        return sigv4.parse_authorization(values[0])
    except sigv4.Malformed:
        raise trouble("malformed-auth", service, "Authorization header is malformed") from None


def check_date(auth: sigv4.Authorization, request: Request, service: str, now: float) -> str:
    amz_date = request.header("x-amz-date")
    when = parse_stamp(amz_date)
    if when is None:
        raise trouble("malformed-auth", service, "Authorization header requires a valid X-Amz-Date")
    if auth.date != amz_date[:8]:
        raise trouble("scope", service, f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                                        f"from HTTP: '{auth.date}' != '{amz_date[:8]}'")
    if abs(now - when) > MAX_SKEW:
        extra = {"RequestTime": amz_date, "ServerTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
                 "MaxAllowedSkewMilliseconds": str(MAX_SKEW * 1000)} if service == "s3" else None
        text = ("The difference between the request time and the current time is too large." if service == "s3" else
                f"Signature expired: {amz_date} is now earlier than {stamp(now - MAX_SKEW)} ({stamp(now)} - 15 min.)"
                if when < now else
                f"Signature not yet current: {amz_date} is still later than {stamp(now + MAX_SKEW)} ({stamp(now)} + 15 min.)")
        raise trouble("skewed", service, text, extra)
    return amz_date


def check_scope(auth: sigv4.Authorization, service: str, region: str | None) -> None:
    """`region` is the one the host or the bucket stands for; None where any will do."""
    if auth.service != service:
        text = (f"The authorization header is malformed; incorrect service \"{auth.service}\". This endpoint belongs to "
                f"\"s3\"." if service == "s3" else f"Credential should be scoped to correct service: '{service}'.")
        raise trouble("scope", service, text)
    if region is not None and auth.region != region:
        if service == "s3":
            raise trouble("scope", service, f"The authorization header is malformed; the region '{auth.region}' is wrong; "
                                            f"expecting '{region}'", {"Region": region})
        raise trouble("scope", service, "Credential should be scoped to a valid region.")


def check_signed_headers(auth: sigv4.Authorization, request: Request, service: str) -> None:
    present = {name.lower() for name, _ in request.headers}
    missing = sorted(n for n in present
                     if (n in MUST_BE_SIGNED or n.startswith("x-amz-")) and n not in auth.signed)
    absent = sorted(n for n in auth.signed if n not in present)
    if missing:
        names = ", ".join(missing)
        text = ("There were headers present in the request which were not signed" if service == "s3" else
                f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization.")
        raise trouble("unsigned-header", service, text, {"HeadersNotSigned": names} if service == "s3" else None)
    if absent or len(request.values("host")) != 1:
        raise trouble("bad-signature", service, "A signed header is not in the request: " + ", ".join(absent))


def check_token(credential: Credential, request: Request, service: str, now: float) -> None:
    token = request.header("x-amz-security-token")
    if credential.token and not token:
        raise trouble("unknown-key", service, "The security token included in the request is invalid.")
    if not hmac.compare_digest(token.encode(), credential.token.encode()):
        raise trouble("bad-token", service, "The security token included in the request is invalid.")
    if credential.expires is not None and now >= credential.expires:
        raise trouble("expired-token", service, "The security token included in the request is expired" if service != "s3"
                      else "The provided token has expired.")


def payload_hash(request: Request, service: str) -> str:
    actual = hashlib.sha256(request.body).hexdigest()
    if service != "s3":
        return actual
    if not request.has("x-amz-content-sha256"):
        raise AwsError(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    claimed = request.header("x-amz-content-sha256")
    if claimed not in UNSIGNED_PAYLOADS and claimed != actual:
        if not re.fullmatch(r"[0-9a-f]{64}", claimed):
            raise AwsError(400, "InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                           "STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.")
        raise AwsError(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what "
                       "was computed.", {"ClientComputedContentSHA256": claimed, "S3ComputedContentSHA256": actual})
    return claimed


def verify(request: Request, service: str, region: str | None, identities: Identities, now: float) -> Credential:
    """Gives the signer, or raises the refusal that AWS would answer with."""
    auth = authorization(request, service)
    check_scope(auth, service, region)
    amz_date = check_date(auth, request, service, now)
    credential = identities.find(auth.access_key)
    if credential is None:
        raise trouble("unknown-key", service, "The AWS Access Key Id you provided does not exist in our records."
                      if service == "s3" else "The security token included in the request is invalid.")
    check_token(credential, request, service, now)
    check_signed_headers(auth, request, service)
    try:
        canonical = sigv4.canonical_request(request.method, request.path, request.query, request.headers, auth.signed,
                                            payload_hash(request, service), service == "s3")
    except sigv4.Malformed:
        raise trouble("bad-request", service, "Couldn't parse the specified URI.") from None
    right = sigv4.signature(credential.secret, auth, amz_date, canonical)
    if not hmac.compare_digest(right, auth.signature):
        raise trouble("bad-signature", service, "The request signature we calculated does not match the signature you "
                      "provided. Check your AWS Secret Access Key and signing method.",
                      {"AWSAccessKeyId": auth.access_key} if service == "s3" else None)
    return credential
