"""What schemathesis needs to be somebody, in its own process: for each request the right caller, and a DPoP proof.

A random name leads nowhere and a random token enrols nobody, so every other sound request is about something real.
"""

import itertools
import json
import os
import re
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import schemathesis

from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey

GIVEN = json.loads(os.environ["ZTFM_FUZZING"])
"""``url``: the public one; ``keys``: PEM by the pattern of the paths that their holder may use, the first that fits;
``names``: a real one by the path template; ``tokens``: enrolment tokens for a trainer in the homes; ``alerts_token``:
that of Alertmanager."""

KEYS = [(re.compile(pattern), DeviceKey.from_pem(pem.encode())) for pattern, pem in GIVEN["keys"].items()]
NONCE_SECONDS = 15.0

_turns = itertools.count()


def key_for(method: str, path: str) -> DeviceKey:
    """Return the key of whoever may ask here; nobody is enrolled twice, so a newcomer has a key of its own."""
    if (method, path) == ("POST", "/v1/devices"):
        return DeviceKey.generate()
    return next(key for pattern, key in KEYS if pattern.match(path))


class Nonces:
    """The nonce that the token endpoint wants, asked for when it may have expired."""

    def __init__(self) -> None:
        self._nonce, self._asked_at = "", 0.0

    def current(self) -> str:
        if time.monotonic() - self._asked_at > NONCE_SECONDS:
            request = urllib.request.Request(GIVEN["url"] + "/oauth/token", data=b"", method="POST")
            try:
                urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                self._nonce, self._asked_at = str(error.headers["DPoP-Nonce"]), time.monotonic()
                error.close()
        return self._nonce


NONCES = Nonces()


def make_real(case: Any) -> None:
    """Let every other sound request be about something that is there."""
    if case.meta is None or not case.meta.generation.mode.is_positive or next(_turns) % 2:
        return
    template = case.operation.path
    if template in GIVEN["names"]:
        case.path_parameters["id"] = GIVEN["names"][template]
    if template == "/v1/devices" and isinstance(case.body, dict) and "token" in case.body and GIVEN["tokens"]:
        case.body = {"token": GIVEN["tokens"].pop(), "roles": ["trainer"], "segment": "homes"}


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; the contract wants whole numbers written without a fraction."""
    if isinstance(body, dict):
        return {name: map_body(_context, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(_context, value) for value in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


@schemathesis.auth(refresh_interval=None)
class Proofs:
    """Signs a proof for the very request that is sent."""

    def get(self, case: Any, _context: Any) -> str:
        make_real(case)
        path = urlsplit(case.as_transport_kwargs()["url"]).path
        nonce = NONCES.current() if path == "/oauth/token" else None
        method = case.method.upper()
        return make_proof(key_for(method, path), method=method, url=GIVEN["url"] + path, now=time.time(), nonce=nonce)

    def set(self, case: Any, proof: str, _context: Any) -> None:
        case.headers["DPoP"] = proof
        if case.operation.path == "/v1/alerts":
            case.headers["Authorization"] = f"Bearer {GIVEN['alerts_token']}"


@schemathesis.serializer("application/gzip")
def serialize_bundle(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send what schemathesis takes for a bundle as it is."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
