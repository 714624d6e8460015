"""python3 -m tests.gateway [options]: starts, prints one line of JSON (ports, CA file, credentials), runs until killed."""
from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from . import tls
from .gateway import Gateway
from .identity import DEFAULT, Credential
from .server import Server


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.gateway", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1", help="address of the service listeners")
    parser.add_argument("--http", type=int, default=0, metavar="PORT")
    parser.add_argument("--https", type=int, default=0, metavar="PORT")
    parser.add_argument("--imds", default="127.0.0.1:0", metavar="HOST:PORT", help="the metadata service")
    parser.add_argument("--container", default="127.0.0.1:0", metavar="HOST:PORT", help="container credentials")
    parser.add_argument("--plain", action="store_true", help="no TLS: without https, and without the openssl command")
    parser.add_argument("--bad-tls", action="store_true", help="also listen with an expired, a wrong-host and a "
                                                               "self-signed certificate")
    parser.add_argument("--upstream", default="", metavar="URL", help="moto; without it the built-in store answers alone")
    parser.add_argument("--fixtures", type=Path, metavar="FILE", help="JSON for the built-in store")
    parser.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="settings, as for /__config")
    parser.add_argument("--key", action="append", default=[], metavar="ID:SECRET", help="a long-term key that may sign")
    parser.add_argument("--directory", type=Path, help="where certificates are kept (default: a temporary one)")
    return parser.parse_args()


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main() -> int:
    args = parse_arguments()
    keys = [Credential(*key.split(":", 1)) for key in args.key] or [DEFAULT]
    fixtures = json.loads(args.fixtures.read_text()) if args.fixtures else {}
    directory = args.directory or Path(tempfile.mkdtemp(prefix="gateway-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        good = None if args.plain else tls.context(directory)
        server = Server(Gateway(args.config, keys, fixtures, args.upstream), good)
        told: dict[str, object] = {
            "http": server.add("http", args.bind, args.http),
            "imds": server.add("imds", *address(args.imds)), "container": server.add("container", *address(args.container)),
            "access_key": keys[0].access_key, "secret_key": keys[0].secret,
        }
        if good:
            told |= {"https": server.add("https", args.bind, args.https, good), "ca": str(directory / "ca.pem")}
        for variant in tls.VARIANTS[1:] if args.bad_tls else ():
            told[variant] = server.add(variant, args.bind, 0, tls.context(directory, variant))
        print(json.dumps(told), flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        if not args.directory:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
