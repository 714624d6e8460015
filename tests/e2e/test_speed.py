"""Exact numbers of what a run costs: round trips in sequence, requests, connections, system calls.

They are counted by the canned AWS of tests/bench in lock step, where nothing is answered before
everybody has said what there is to say: so a round is a round trip in sequence, on a machine of any
speed. Times are `make bench`'s to measure.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BUILDDIR, SLOW, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from world import Server, make_certificates  # noqa: E402

QUIET = str(round(80 * SLOW))  # milliseconds after which a wave is over
PARAMETER = "/bench/p500/PARAM_{:05d}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture
def lock_step(certificates):
    server = Server(BUILDDIR, "127.0.0.1", "-q", QUIET, tls=certificates)
    yield server
    server.stop()


@pytest.fixture
def plain(certificates):
    server = Server(BUILDDIR, "127.0.0.1")
    yield server
    server.stop()


@pytest.fixture
def run(envsync, scratch, certificates):
    """Syncs sources from a server; gives what the server has counted."""

    def sync(server, *sources, tls=True, env=None):
        where = {"endpoint": server.url(tls), "region": "us-east-1"}
        if tls:
            where["ca_file"] = str(certificates / "ca.pem")
        scratch.config(
            'app = "bench"\nuser = "nobody"\ngroup = "nogroup"\n'
            + "".join(table("source", **source, **where) for source in sources)
            + table("output", path="/run/bench/environment", format="env",
                    from_=[s["type"] for s in sources if "mirror" not in s])  # fmt: skip
        )
        server.reset()
        keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
        envsync.ok("sync", "-c", scratch.path("envsync.toml"), "--root", scratch.root,
                   env=keys if env is None else env)  # fmt: skip
        return server.stats()

    return sync


S3 = {"type": "s3", "bucket": "n20-s1024", "mirror": ["**"], "dir": "/etc/bench"}
PATH = {"type": "ssm", "path": "/bench/p20/"}


def test_objects_come_in_four_round_trips(run, lock_step, scratch):
    """TCP, TLS, the listing, all objects at once: connections are made while the listing comes."""
    counted = run(lock_step, S3)
    assert (counted["list"], counted["get"], counted["head"]) == (1, 20, 0)
    assert counted["requests"] == 21 and counted["refused"] == 0
    assert counted["rounds"] == 4
    assert len(list((scratch.root / "etc/bench").iterdir())) == 20


def test_parameters_below_a_path_come_in_two_round_trips_and_their_pages(run, lock_step):
    counted = run(lock_step, PATH)
    assert counted["requests"] == counted["ssm"] == 2
    assert counted["rounds"] == 2 + 2
    assert counted["connections"] == 2  # one is that of the question


def test_five_hundred_names_take_two_round_trips_after_the_connection(run, lock_step):
    """TCP; TLS, and TCP of the others; their TLS goes with the first answers."""
    names = [PARAMETER.format(i) for i in range(500)]
    counted = run(lock_step, {"type": "ssm", "names": names})
    assert counted["requests"] == counted["ssm"] == 50
    assert counted["rounds"] <= 2 + 2


def test_the_metadata_service_is_asked_while_connections_are_made(run, lock_step, plain):
    """Its four round trips add none to the others, where it is as near as it is."""
    env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": plain.url(False)}
    plain.reset()
    counted = run(lock_step, S3, env=env)
    assert plain.stats()["imds"] == 3
    assert counted["rounds"] == 4
    assert counted["requests"] == 21


@pytest.mark.bare
def test_an_unchanged_run_asks_for_no_object_and_writes_nothing(run, plain, envsync, scratch):
    run(plain, S3, PATH, tls=False)
    log = scratch.path("strace")
    program = envsync.command
    envsync.command = ["strace", "-f", "-y", "-s", "0", "-o", str(log), "-e",
                       "trace=fsync,fdatasync,sync,syncfs,write,pwrite64,writev,rename,renameat,renameat2",
                       *program]  # fmt: skip
    counted = run(plain, S3, PATH, tls=False)
    envsync.command = program
    assert (counted["list"], counted["get"], counted["head"], counted["ssm"]) == (1, 0, 0, 2)
    calls = [line for line in log.read_text().splitlines() if re.match(r"^\d+ +\w+\(", line)]
    assert not [line for line in calls if re.match(r"^\d+ +(f?data)?f?sync|syncfs|rename", line)]
    assert not [line for line in calls if str(scratch.root) in line]


def test_a_fleet_that_boots_at_once_is_served_about_as_fast_as_its_quota_allows():
    """10,000 hosts, 40 calls a second, 15 minutes: with the program's own retries."""
    done = subprocess.run([BUILDDIR / "tests/bench/fleet"], capture_output=True, check=True)
    told = json.loads(done.stdout)
    assert told["served"] == told["hosts"] == 10000
    assert told["ratio"] <= 1.2
