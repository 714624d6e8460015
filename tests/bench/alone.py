"""The worker alone: what a run would cost without its other half, the wall and the commit.

It is started as envsync starts it, by whoever runs the bench and with all rights, and gets a job
that envsync would have given it; what it says is read and thrown away.
"""
import os
import socket
import struct
import time

from probe import Failed

STRING, INTEGER, BOOLEAN, LIST, TABLE, JOB = 0, 1, 3, 5, 6, 1


def text(value):
    value = value.encode()
    return struct.pack("<I", len(value)) + value


def encode(value):
    """As es_put_value() does."""
    if isinstance(value, bool):
        return struct.pack("<BB", BOOLEAN, value)
    if isinstance(value, int):
        return struct.pack("<Bq", INTEGER, value)
    if isinstance(value, str):
        return struct.pack("<B", STRING) + text(value)
    if isinstance(value, list):
        return struct.pack("<BI", LIST, len(value)) + b"".join(map(encode, value))
    return struct.pack("<BI", TABLE, len(value)) + b"".join(
        text(key) + encode(item) for key, item in value.items()
    )


def job_of(contender):
    """The S3 and SSM sources of a contender's job, as a frame."""
    job, common = contender.job, {"region": "us-east-1", "endpoint": contender.server.url()}
    sources = []
    if job.objects:
        sources.append(("s3", {"bucket": job.bucket, "mirror": ["**"], "dir": "/etc/bench"}))
    if job.parameters:
        sources.append(("ssm", {"path": job.path}))
    imds = contender.environment()["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
    value = {
        "milliseconds": 60000, "describe": 0, "verbose": 0,
        "environment": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds},
        "sources": [{"number": i, "type": kind, "optional": 0, "options": options | common, "files": []}
                    for i, (kind, options) in enumerate(sources)],
    }  # fmt: skip
    payload = encode(value)
    return struct.pack("<IB", len(payload) + 1, JOB) + payload


def time_alone(contender):
    """Seconds until all that it has to say was read."""
    worker = str(contender.world.build / "worker/worker")
    frame = job_of(contender)
    mine, its = socket.socketpair()
    out, records = os.pipe()
    for fd in (its.fileno(), records):
        os.set_inheritable(fd, True)
    start = time.perf_counter()
    pid = os.posix_spawn(
        worker, [worker, str(its.fileno()), str(records), str(os.getpid())],
        {"PATH": "/usr/bin:/bin", "GNUTLS_NO_IMPLICIT_INIT": "1"},
    )  # fmt: skip
    its.close()
    os.close(records)
    mine.sendall(frame)
    mine.close()
    while os.read(out, 1 << 16):
        pass
    seconds = time.perf_counter() - start
    os.close(out)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise Failed(f"the worker alone: status {status}")
    return seconds
