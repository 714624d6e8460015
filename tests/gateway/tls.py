"""A test CA and server certificates, made with the openssl command at start: one that is right, three that are wrong."""
from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "us-gov-west-1")
VARIANTS = ("good", "expired", "wrong-host", "self-signed")


def names() -> list[str]:
    """What the right certificate stands for. A wildcard is one label, so each region has its own."""
    found = ["DNS:localhost", "IP:127.0.0.1", "IP:::1", "DNS:s3.localhost", "DNS:*.s3.localhost",
             "DNS:*.amazonaws.com", "DNS:*.amazonaws.com.cn"]
    for region in REGIONS:
        for suffix in ("amazonaws.com", "api.aws"):
            found += [f"DNS:*.{region}.{suffix}"]
        found += [f"DNS:*.s3.{region}.amazonaws.com", f"DNS:*.s3-fips.{region}.amazonaws.com",
                  f"DNS:s3.dualstack.{region}.amazonaws.com", f"DNS:*.s3.dualstack.{region}.amazonaws.com",
                  f"DNS:s3-fips.dualstack.{region}.amazonaws.com", f"DNS:*.s3-fips.dualstack.{region}.amazonaws.com"]
    return found


def openssl(directory: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")


def make_ca(directory: Path) -> None:
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=gateway test CA", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    (directory / "ca.cnf").write_text(
        "[ca]\ndefault_ca = d\n[d]\nnew_certs_dir = .\ndatabase = index.txt\nrand_serial = yes\ndefault_md = sha256\n"
        "policy = p\nunique_subject = no\n[p]\ncommonName = supplied\n")
    (directory / "index.txt").write_text("")


def issue(directory: Path, variant: str) -> None:
    subject = ",".join(["DNS:elsewhere.example.org"] if variant == "wrong-host" else names())
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{variant}.key",
           "-subj", f"/CN=gateway {variant}"]
    if variant == "self-signed":
        openssl(directory, *new, "-x509", "-days", "30", "-out", f"{variant}.pem", "-addext", f"subjectAltName={subject}")
        return
    openssl(directory, *new, "-out", f"{variant}.csr")
    (directory / f"{variant}.ext").write_text(f"subjectAltName={subject}\nbasicConstraints=CA:FALSE\n")
    ends = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if variant == "expired" else ["-days", "30"]
    openssl(directory, "ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext", "-in",
            f"{variant}.csr", "-out", f"{variant}.pem", "-extfile", f"{variant}.ext", *ends)


def context(directory: Path, variant: str = "good") -> ssl.SSLContext:
    """A server context for one of VARIANTS; makes what is not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "ca.pem").exists():
        make_ca(directory)
    if not (directory / f"{variant}.pem").exists():
        issue(directory, variant)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(directory / f"{variant}.pem", directory / f"{variant}.key")
    made.set_alpn_protocols(["http/1.1"])
    return made
