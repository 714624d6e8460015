"""Who may sign: fixed long-term keys, and temporary credentials that the gateway issued itself (STS, IMDS, container)."""
from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Credential:
    access_key: str
    secret: str
    token: str = ""                # empty: a long-term key
    expires: float | None = None   # in the gateway's own time
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/tester"


DEFAULT = Credential("AKIDGATEWAYTEST00001", "gateway/Test+Secret/not+a+real+one/00001")


class Identities:
    def __init__(self, fixed: list[Credential]) -> None:
        self.fixed = fixed or [DEFAULT]
        self.lock = threading.Lock()
        self.known: dict[str, Credential] = {}
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.known = {c.access_key: c for c in self.fixed}

    def find(self, access_key: str) -> Credential | None:
        with self.lock:
            return self.known.get(access_key)

    def add(self, credential: Credential) -> None:
        with self.lock:
            self.known[credential.access_key] = credential

    def expire_all(self, now: float) -> None:
        """Ends every temporary credential at once: the next request with one gets ExpiredToken."""
        with self.lock:
            for key, c in self.known.items():
                if c.token:
                    self.known[key] = Credential(c.access_key, c.secret, c.token, now - 1, c.arn)

    def issue(self, arn: str, now: float, seconds: float) -> Credential:
        """Makes a temporary credential that is accepted until it expires."""
        letters = string.ascii_uppercase + string.digits
        key = "ASIA" + "".join(secrets.choice(letters) for _ in range(16))
        made = Credential(key, secrets.token_urlsafe(30), "IQoJb3JpZ2luX2VjE+/" + secrets.token_urlsafe(240) + "==",
                          now + seconds, arn)
        self.add(made)
        return made
