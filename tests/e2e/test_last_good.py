"""Last-good by what went wrong: served where a source is away, and never where it has answered
something else. One run asks many sources, each with a fault of its own."""
import json
import os
import re
import socket
import subprocess
import threading

import pytest

pytest_plugins = ("aws",)

SERVICES = "ssm", "secrets-manager", "s3"
CANARY = "CANARY-77d0"

# What makes a source unavailable, besides what lies below the request (see the tests of endpoints).
AWAY = {
    "throttled": {"action": "throttle"},
    "internal": {"action": "internal"},
    "unavailable": {"action": "unavailable"},
    "proxy": {"action": "bad_gateway", "status": 502},
    "gateway-timeout": {"action": "bad_gateway", "status": 504},
    "reset": {"action": "reset", "where": "before"},
    "cut-head": {"action": "close", "where": "headers"},
    "cut-body": {"action": "reset", "where": "body"},
    "stalled": {"action": "stall", "where": "before"},
    "stalled-body": {"action": "stall", "where": "body"},
}
# What is an answer, and of which class.
ANSWERS = {
    "denied": ({"action": "access_denied"}, "denied"),
    "key-denied": ({"action": "kms_denied"}, "denied"),
    "expired": ({"action": "expired_token"}, "denied"),
    "bad-signature": ({"action": "bad_signature"}, "denied"),
    "gone": ({"action": "not_found"}, "absent"),
    "portal": ({"action": "captive_portal"}, "invalid"),
    "bare-401": ({"action": "bad_gateway", "status": 401}, "invalid"),
    "bare-403": ({"action": "bad_gateway", "status": 403}, "invalid"),
    "bare-404": ({"action": "bad_gateway", "status": 404}, "invalid"),
    "redirect": ({"action": "redirect", "status": 303}, "invalid"),
    "malformed": ({"action": "malformed"}, "invalid"),
}


class Fleet:
    """Sources of every service, each with a key of its own: "SERVICE-NAME"."""

    def __init__(self, host, gateway, names):
        self.host, self.gateway = host, gateway
        self.names = [f"{service}-{name}" for service in SERVICES for name in names]
        self.place = host.output("json", "/etc/foo/all.json")
        host.top["deadline"] = "20s"
        # A bucket each: what S3 answers to a listing is of a bucket, and a key could not be told apart.
        gateway.fixtures(
            parameters={f"/{n}/v": CANARY for n in self.names},
            secrets={n: json.dumps({n: CANARY}) for n in self.names},
            buckets={n: {"objects": {f"{n}/a.json": json.dumps({n: CANARY})}} for n in self.names},
        )
        for n in self.names:
            self.source(n)

    def source(self, n, on_unavailable="last-good"):
        service = next(s for s in SERVICES if n.startswith(s + "-"))
        options = {"ssm": {"path": f"/{n}/", "prefix_key": n}, "secrets-manager": {"ids": [n]},
                   "s3": {"bucket": n, "prefix": f"{n}/", "merge": ["*.json"]}}[service]  # fmt: skip
        self.host.source(type=service, name=n, on_unavailable=on_unavailable, **options)

    def faults(self, faults):
        """Each on the sources of its name. Longer names first: one may begin with another."""
        rules = []
        for name in sorted(faults, key=len, reverse=True):
            for service in SERVICES:
                where = "path" if service == "s3" else "body"
                rules.append({**faults[name], where: f"{service}-{name}[/\"?]"})
        self.gateway.faults(*rules)

    def run(self, *args, env=None):
        result = self.host.sync("--json", *args, env=env or self.gateway.environment())
        assert CANARY not in result.out + result.err
        return result, json.loads(result.out)


def test_whatever_is_no_answer_is_served_from_the_last_good(host, gateway):
    fleet = Fleet(host, gateway, AWAY)
    assert fleet.run()[0].rc == 0
    before = fleet.place.read_bytes()
    fleet.faults(AWAY)
    result, found = fleet.run("--deadline", "2s")
    assert result.rc == 0, str(result)
    assert sorted(entry["source"] for entry in found["stale"]) == sorted(fleet.names)
    assert fleet.place.read_bytes() == before
    last = result.err.splitlines()[-1]
    assert "; stale: " in last and all(f"{name} (" in last for name in fleet.names)
    fleet.gateway.faults()
    result, found = fleet.run()
    assert result.rc == 0 and found["stale"] == [] and "stale" not in result.err


def test_an_answer_is_never_replaced_by_the_last_good(host, gateway):
    fleet = Fleet(host, gateway, ANSWERS)
    assert fleet.run()[0].rc == 0
    state = host.state()
    fleet.faults({name: fault for name, (fault, _) in ANSWERS.items()})
    result, found = fleet.run("--deadline", "10s")
    assert result.rc in (65, 66, 77), str(result)
    assert found["stale"] == [] and "last good" not in result.err
    told = {}
    for error in found["errors"]:
        told[re.match(r"source ([^:]+):", error["message"])[1]] = error["class"]
    wanted = {f"{service}-{name}": kind for service in SERVICES for name, (_, kind) in ANSWERS.items()}
    assert told == wanted
    assert host.state() == state


def one(host, gateway):
    """One source whose last good is there."""
    gateway.fixtures(parameters={"/foo/a": CANARY})
    host.source(type="ssm", name="params", path="/foo/", on_unavailable="last-good")
    place = host.output("json", "/etc/foo/all.json")
    host.ok(env=gateway.environment())
    return place


def listening(answer):
    """A server that reads once and answers so. Gives its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.recv(4096)
                    peer.sendall(answer)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    return "127.0.0.1:%d" % server.getsockname()[1]


def black_hole():
    """Accepts nothing: the queue of connections is full."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    address = server.getsockname()
    fill = [socket.socket() for _ in range(3)]
    for sock in fill:
        sock.setblocking(False)
        sock.connect_ex(address)
    return (server, fill), "127.0.0.1:%d" % address[1]


@pytest.mark.parametrize("where", ["no name", "refused", "black hole", "closes", "resets TLS"])
def test_a_host_that_cannot_be_reached_is_away(host, gateway, where):
    place = one(host, gateway)
    held, address = black_hole() if where == "black hole" else (None, None)
    url = {
        "no name": "https://nowhere.invalid",
        "refused": "http://127.0.0.1:1",
        "black hole": f"http://{address}",
        "closes": f"http://{listening(b'')}",
        "resets TLS": f"https://{listening(b'')}",
    }[where]
    result = host.ok("--json", "--deadline", "1s", env=gateway.environment(AWS_ENDPOINT_URL=url))
    assert [entry["source"] for entry in json.loads(result.out)["stale"]] == ["params"], str(result)
    assert json.loads(place.read_text()) == {"a": CANARY}
    del held


@pytest.mark.parametrize("where", ["expired", "wrong-host", "self-signed", "no TLS", "alert"])
def test_who_does_not_prove_to_be_aws_is_not_away(host, gateway, where):
    place = one(host, gateway)
    before = place.stat().st_mtime_ns
    url = {
        "no TLS": f"https://{listening(b'HTTP/1.1 400 Bad Request' + 2 * bytes([13, 10]))}",
        "alert": f"https://{listening(bytes([21, 3, 3, 0, 2, 2, 40]))}",
    }.get(where) or gateway.url(where)
    env = gateway.environment(AWS_ENDPOINT_URL=url)
    result = host.sync("--json", "--deadline", "2s", env=env)
    assert result.rc == (69 if where in ("no TLS", "alert") else 77), str(result)
    assert json.loads(result.out)["stale"] == [] and place.stat().st_mtime_ns == before


@pytest.mark.parametrize("why", ["none", "wrong", "expired", "role"])
def test_without_credentials_that_count_nothing_is_served(host, gateway, why):
    one(host, gateway)
    env = gateway.environment()
    if why == "none":
        del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    elif why == "wrong":
        env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    elif why == "expired":
        gateway.faults({"action": "expired_token"})
    else:
        host.sources[0] = host.sources[0].replace("[[source]]", '[[source]]\nrole_arn = "arn:aws:iam::123456789012:role/app"')
        host.ok(env=env)
        gateway.faults({"action": "access_denied", "service": "sts"})
    result = host.sync("--json", "--deadline", "5s", env=env)
    assert result.rc == 77 and json.loads(result.out)["stale"] == [], str(result)


def test_a_role_that_cannot_be_assumed_in_an_outage_is_away(host, gateway):
    one(host, gateway)
    host.sources[0] = host.sources[0].replace("[[source]]", '[[source]]\nrole_arn = "arn:aws:iam::123456789012:role/app"')
    host.ok(env=gateway.environment())
    gateway.faults({"action": "unavailable", "service": "sts"})
    result = host.ok("--json", "--deadline", "2s", env=gateway.environment())
    assert len(json.loads(result.out)["stale"]) == 1


def test_last_good_belongs_to_the_address_that_the_facts_make(host, gateway):
    """A machine that moved from prod to staging must not go on with prod's values."""
    gateway.fixtures(parameters={"/foo/prod/a": "prod", "/foo/staging/a": "staging"})
    data = host.write("cloud/instance-data.json", '{"v1": {"availability_zone": "prod"}}')
    host.source(type="cloud-init", path=data, keys={"E": "${zone}"})
    host.source(type="ssm", name="params", path="/foo/${cloud.zone}/", on_unavailable="last-good")
    place = host.output("json", "/etc/foo/all.json", from_=["params"])
    env = gateway.environment()
    host.ok(env=env)
    assert json.loads(place.read_text()) == {"a": "prod"}
    gateway.faults({"action": "unavailable"})
    data.write_text(data.read_text().replace("prod", "staging"))
    host.fails(69, "source params", env=env, run=["sync", "--root", host.root, "--deadline", "1s"])
    data.write_text(data.read_text().replace("staging", "prod"))
    host.ok("--deadline", "1s", env=env)
    assert json.loads(place.read_text()) == {"a": "prod"}


def test_last_good_belongs_to_what_variables_make(host, gateway):
    gateway.fixtures(parameters={"/prod/a": "prod"})
    host.top["env"] = ["STAGE"]
    host.source(type="ssm", name="params", path="/${STAGE}/", on_unavailable="last-good")
    host.output("json", "/etc/foo/all.json")
    env = gateway.environment(STAGE="prod")
    host.ok(env=env)
    gateway.faults({"action": "unavailable"})
    host.ok("--deadline", "1s", env=env)
    env["STAGE"] = "staging"
    host.fails(69, "source params", env=env, run=["sync", "--root", host.root, "--deadline", "1s"])


def test_an_outage_is_not_too_late_to_ask_for_the_last_good(host, gateway):
    """Nor to do something else with what a source gave: that says nothing of where it is."""
    gateway.fixtures(parameters={"/foo/a": "1", "/foo/b": "2"})
    host.source(type="ssm", name="params", path="/foo/")
    place = host.output("json", "/etc/foo/all.json")
    env = gateway.environment()
    host.ok(env=env)
    gateway.faults({"action": "unavailable"})
    before = host.sources.pop()
    host.sources.append(before + 'on_unavailable = "last-good"\n')
    host.ok("--deadline", "1s", env=env)
    assert json.loads(place.read_text()) == {"a": "1", "b": "2"}
    host.sources[0] += 'exclude = ["b"]\nprefix_key = "p"\nrename = { "a" = "c" }\n'
    host.ok("--deadline", "1s", env=env)
    assert json.loads(place.read_text()) == {"p": {"c": "1"}}
    for option in 'path = "/bar/"', 'path = "/foo/"\nregion = "eu-west-1"':
        host.sources[0] = before.replace('path = "/foo/"', option) + 'on_unavailable = "last-good"\n'
        host.fails(69, "source params", env=env, run=["sync", "--root", host.root, "--deadline", "1s"])


def test_what_is_put_back_is_what_the_configuration_still_names(host, gateway):
    place = one(host, gateway)
    other = host.output("json", "/etc/foo/other.json")
    host.ok(env=gateway.environment())
    host.outputs.pop()
    place.unlink()
    other.unlink()
    host.sources[0] = host.sources[0].replace("last-good", "fail")
    gateway.faults({"action": "unavailable"})
    run = ["sync", "--root", host.root, "--deadline", "1s"]
    host.fails(69, "source params", env=gateway.environment(), run=run)
    assert json.loads(place.read_text()) == {"a": CANARY} and not other.exists()


def test_under_the_journal_a_stale_source_is_a_warning_with_its_priority(host, gateway):
    one(host, gateway)
    gateway.faults({"action": "unavailable"})
    read, write = socket.socketpair()
    st = os.fstat(write.fileno())
    command = [*host.envsync.command, "-c", host.file, "--root", host.root, "--deadline", "1s"]
    env = host.envsync.environment(gateway.environment(JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}"))
    done = subprocess.run(list(map(str, command)), env=env, stderr=write)
    write.close()
    told = read.makefile().read()
    assert done.returncode == 0
    assert re.search(r"^<4>warning: source params: .*; its last good values are used, \d+ s old$", told, re.M), told
    assert re.search(r"^<5>changed: 0 of 1 output; stale: params \(\d+ s old\)$", told, re.M), told
