"""Get and use a capability with the OAuth standards alone: an HTTP client, PyJWT, and none of our code.

What another language would do, in the order of its RFCs: find the endpoints (8414), prove the key (9449), exchange the
device credential for a capability (8693, 9396), look at it (7662), give it back (7009), and get an access token for the
control plane's own API (7523, 9068). With a control plane running (`ztfm serve`):

    ztfm tokens issue --role consumer --segment homes > token.txt
    python -m examples.token_exchange --url http://127.0.0.1:8181 --token token.txt
"""

import argparse
import hashlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the grant's name
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body) if self.body else None


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """Send one request; an error status is an answer too."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"not the URL of a control plane: {url}")
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)  # noqa: S310 - looked at
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - the same
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


@dataclass
class Device:
    """A key, and what follows from it."""

    issuer: str
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    nonce: str | None = None

    def __post_init__(self) -> None:
        """Find the endpoints (RFC 8414)."""
        self.server = send("GET", f"{self.issuer}/.well-known/oauth-authorization-server").json

    @property
    def jwk(self) -> dict[str, str]:
        """The public key (RFC 7517)."""
        numbers = self.key.public_key().public_numbers()
        x, y = (b64(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    @property
    def id(self) -> str:
        """The name that the control plane gives to this key: its thumbprint (RFC 7638) after ``dev-``."""
        return "dev-" + b64(hashlib.sha256(json.dumps(self.jwk, separators=(",", ":")).encode()).digest())

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """Return a DPoP proof for one request (RFC 9449 section 4.2)."""
        claims: dict[str, Any] = {"jti": str(uuid4()), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        if self.nonce is not None:
            claims["nonce"] = self.nonce
        return jwt.encode(claims, self.key, "ES256", headers={"typ": "dpop+jwt", "jwk": self.jwk})

    def assertion(self) -> str:
        """Return the device credential: the key says who holds it, to this issuer, for half a minute."""
        now = int(time.time())
        named = {"iss": self.id, "sub": self.id, "aud": self.server["issuer"]}
        return jwt.encode({**named, "iat": now, "exp": now + 30, "jti": str(uuid4())}, self.key, "ES256")

    def call(self, method: str, url: str, body: bytes | None, kind: str, token: str | None = None) -> Answer:
        """Send a request with a proof, and once more when the server asks for its nonce (sections 8 and 9)."""
        for _ in range(2):
            headers = {"DPoP": self.proof(method, url, token), "Content-Type": kind}
            if token is not None:
                headers["Authorization"] = f"DPoP {token}"
            answer = send(method, url, body, headers)
            asks = answer.status in (400, 401) and "use_dpop_nonce" in (
                answer.headers.get("WWW-Authenticate", "") + answer.body.decode()
            )
            self.nonce = answer.headers.get("DPoP-Nonce", self.nonce)
            if not asks:
                break
        return answer

    def form(self, url: str, **parameters: str) -> Answer:
        """Post a form with a proof."""
        body = urllib.parse.urlencode(parameters).encode()
        return self.call("POST", url, body, "application/x-www-form-urlencoded")

    def enrol(self, token: str, role: str, segment: str) -> Answer:
        """Register the key against a single-use token."""
        body = json.dumps({"token": token, "roles": [role], "segment": segment}).encode()
        return self.call("POST", f"{self.issuer}/v1/devices", body, "application/json")

    def capability(self, audience: str, **detail: Any) -> Answer:
        """Exchange the device credential for a capability (RFC 8693)."""
        # The assertion is used up by a try that gets as far as the grant, so each call makes a new one.
        return self.form(
            self.server["token_endpoint"],
            grant_type=TOKEN_EXCHANGE,
            subject_token=self.assertion(),
            subject_token_type=JWT_TYPE,
            audience=audience,
            authorization_details=json.dumps([{"type": "ztfm", **detail}]),
        )

    def access_token(self) -> Answer:
        """Get an access token for the control plane's own API (RFC 7523 section 2.2)."""
        return self.form(
            self.server["token_endpoint"],
            grant_type="client_credentials",
            client_assertion=self.assertion(),
            client_assertion_type=JWT_BEARER,
        )


def tour(issuer: str, enrolment_token: str, model: str = "smart-home-intents") -> dict[str, Any]:
    """Go through all of it, and return what each step answered."""
    device = Device(issuer)
    enrolled = device.enrol(enrolment_token, "consumer", "homes")
    granted = device.capability(
        "gateway-1",
        action="inference",
        resource_type="model",
        resource_id=model,
        inference={"prompt_tokens": 8, "max_output_tokens": 16},
    )
    if granted.status != 200:
        return {"enrolled": enrolled.json, "refused": granted.json}
    token = granted.json["access_token"]
    before = device.form(device.server["introspection_endpoint"], token=token)
    given_back = device.form(device.server["revocation_endpoint"], token=token)
    after = device.form(device.server["introspection_endpoint"], token=token)
    access = device.access_token()
    decision = device.call(
        "GET",
        f"{issuer}/v1/decisions/{granted.json['decision_id']}",
        None,
        "application/json",
        token=access.json["access_token"],
    )
    return {
        "enrolled": enrolled.json,
        "granted": {name: value for name, value in granted.json.items() if name != "access_token"},
        "active": before.json["active"],
        "given back": given_back.status,
        "active after that": after.json["active"],
        "scope of the access token": access.json["scope"],
        "decision": decision.json["outcome"],
    }


def main() -> None:
    """Go through it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the control plane's public URL, e.g. http://127.0.0.1:8181")
    parser.add_argument("--token", type=Path, required=True, help="file with an enrolment token for a consumer")
    options = parser.parse_args()
    print(json.dumps(tour(options.url.rstrip("/"), options.token.read_text().split()[0]), indent=2))


if __name__ == "__main__":
    main()
