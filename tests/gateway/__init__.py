"""A stand-in for AWS on loopback that believes nothing it is told.

Every request is checked the way AWS checks it (signature, scope, clock, token, required headers) from the bytes
that came over the wire, recorded so that tests can look at *requests*, and then answered: from moto behind it, or
from a small store of its own. Faults are injected on demand. Only the standard library is used.

    wire.py       HTTP/1.1 as bytes: requests in, answers out
    server.py     listeners, threads, TLS, CONNECT
    control.py    the /__... addresses for tests
    gateway.py    one request's way: route, skew, verify, fault, answer, record
    sigv4.py      canonical request and signature, pure;  verify.py: AWS's rules and refusals
    identity.py   who may sign: fixed and issued credentials
    s3.py s3list.py ssm.py secretsmanager.py sts.py imds.py    the services;  errors.py: refusals as each one writes them
    store.py      objects, parameters and secrets from JSON;  upstream.py: moto
    faults.py     which request goes wrong and how its answer is bent;  badwire.py: how it is sent wrongly
    checksums.py  tls.py  recording.py
"""
