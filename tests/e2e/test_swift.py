"""Swift's S3 interface, the peer that nobody here wrote: hostile keys come back, a wrong secret does not get in."""
from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

pytest_plugins = ("swift",)

HOSTILE = ["plain", "a/b", "sp ace", "plus+", "pct%2F", "a//b", "/lead", "back\\slash", "tab\t", "./dot", "x/../y", "üñí", "<&>\"'", "tail/", "q?x=1&y",
           "hash#", "semi;colon", "tilde~", "star*(x)!", "日本", "a=b&c", "%"]


def test_hostile_keys_come_back_as_they_were(swift):
    client = swift.client()
    client.create_bucket(Bucket="hostile")
    for key in HOSTILE:
        client.put_object(Bucket="hostile", Key=key, Body=key.encode())
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="hostile", PaginationConfig={"PageSize": 5})
    assert [thing["Key"] for page in pages for thing in page["Contents"]] == sorted(HOSTILE, key=str.encode)
    for key in HOSTILE:
        assert client.get_object(Bucket="hostile", Key=key)["Body"].read() == key.encode()


def test_if_match_of_another_etag_is_refused(swift):
    client = swift.client()
    client.create_bucket(Bucket="match")
    etag = client.put_object(Bucket="match", Key="k", Body=b"one")["ETag"]
    assert client.get_object(Bucket="match", Key="k", IfMatch=etag)["Body"].read() == b"one"
    client.put_object(Bucket="match", Key="k", Body=b"two")
    with pytest.raises(ClientError) as refused:
        client.get_object(Bucket="match", Key="k", IfMatch=etag)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


@pytest.mark.parametrize("keys", [{"secret_key": "wrong"}, {"access_key": "test:nobody"}])
def test_a_wrong_secret_or_key_is_rejected(swift, keys):
    swift.client().create_bucket(Bucket="locked")
    with pytest.raises(ClientError) as refused:
        swift.client(**keys).list_objects_v2(Bucket="locked")
    found = refused.value.response
    assert (found["ResponseMetadata"]["HTTPStatusCode"], found["Error"]["Code"]) == (403, "SignatureDoesNotMatch")


def test_an_unsigned_request_gets_nothing(swift):
    client = swift.client()
    client.create_bucket(Bucket="locked")
    client.put_object(Bucket="locked", Key="k", Body=b"secret")
    for path in ("/locked?list-type=2", "/locked/k"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(swift.url + path)
        # Without an Authorization Swift does not take it for S3 at all, and the path is none of its own.
        assert 400 <= refused.value.code < 500
