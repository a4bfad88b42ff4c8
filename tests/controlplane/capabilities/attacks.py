"""The attacks of RFC 8725 and RFC 9449 as values: what is presented, and the cause with which it must be refused.

Each is tried on the verifier itself, and again at an edge, where its cause must be in the log.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from controlplane.capabilities.proof import make_proof, token_hash
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import DeviceKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class Request:
    """One request that a holder of ``key`` may make.

    Attributes:
        key: the device's.
        token: the capability that goes with it; none for a request that needs none.
    """

    key: DeviceKey
    method: str
    url: str
    now: float
    token: str | None = None
    stranger: DeviceKey = field(default_factory=DeviceKey.generate)

    def proof(self, key: DeviceKey | None = None, **changes: Any) -> str:
        """Return a proof that would hold, but for the changes."""
        stated = {"method": self.method, "url": self.url, "now": self.now, "access_token": self.token, **changes}
        return make_proof(key or self.key, **stated)

    @property
    def header(self) -> dict[str, Any]:
        return {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.public.model_dump()}

    @property
    def claims(self) -> dict[str, Any]:
        bound = {} if self.token is None else {"ath": token_hash(self.token)}
        return {"jti": "j-1", "htm": self.method, "htu": self.url, "iat": self.now, **bound}


def compact(key: DeviceKey, header: Any, payload: Any) -> str:
    """Return a token of any header and payload, signed with ES256."""
    return key.sign(encode_segment(_raw(header)), _raw(payload))


def unsigned(header: Any, payload: Any, signature: bytes = b"") -> str:
    """Return a token of any header and payload with any signature."""
    return b".".join(map(encode_segment, (_raw(header), _raw(payload), signature))).decode()


def keyed(header: Any, payload: Any, secret: bytes, digest: str = "sha256") -> str:
    """Return a token that is authenticated with a shared secret."""
    signed = b".".join(map(encode_segment, (_raw(header), _raw(payload))))
    return (signed + b"." + encode_segment(hmac.new(secret, signed, digest).digest())).decode()


def public_forms(key: DeviceKey) -> dict[str, bytes]:
    """Return the public key in the forms in which a careless library could take it for a shared secret."""
    public = key._private.public_key()
    form, encoding = serialization.PublicFormat, serialization.Encoding
    return {
        "pem": public.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo),
        "der": public.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
        "point": public.public_bytes(encoding.X962, form.UncompressedPoint),
        "jwk": json.dumps(key.public.model_dump()).encode(),
        "x": key.public.x.encode(),
        "empty": b"",
    }


def resigned(token: str, change: Callable[[int, int], bytes]) -> str:
    """Return ``token`` with its signature (r, s) written in another way."""
    signed, _, signature = token.rpartition(".")
    raw = decode_segment(signature.encode())
    changed = change(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return f"{signed}.{encode_segment(changed).decode()}"


def _pair(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def mirrored(token: str) -> str:
    """Return ``token`` with the other signature that holds: ECDSA takes (r, n - s) for (r, s)."""
    return resigned(token, lambda r, s: _pair(r, _ORDER - s))


def _raw(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _another_curve() -> dict[str, str]:
    numbers = generate_private_key(SECP384R1()).public_key().public_numbers()
    x, y = (encode_segment(value.to_bytes(48, "big")).decode() for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-384", "x": x, "y": y}


def _with_private(key: DeviceKey) -> dict[str, str]:
    secret = key._private.private_numbers().private_value
    return {**key.public.model_dump(), "d": encode_segment(secret.to_bytes(32, "big")).decode()}


Make = Callable[[Request], str]
M, S = "proof_malformed", "proof_stale"


def _header(**changes: Any) -> Make:
    return lambda request: compact(request.key, {**request.header, **changes}, request.claims)


def _claims(**changes: Any) -> Make:
    def make(request: Request) -> str:
        claims = {**request.claims, **changes}
        return compact(request.key, request.header, {name: value for name, value in claims.items() if value != "-"})

    return make


_HEADERS: Mapping[str, Any] = {
    "a kid beside the key": {"kid": "../../../etc/passwd"},
    "a jku": {"jku": "https://evil.example/jwks.json"},
    "an x5u": {"x5u": "https://evil.example/chain.pem"},
    "an x5c": {"x5c": ["MIIB"]},
    "a critical extension": {"crit": ["exp"], "exp": 1},
    "an unencoded payload": {"b64": False, "crit": ["b64"]},
    "a nested token": {"cty": "JWT"},
    "a compressed payload": {"zip": "DEF"},
    "another type": {"typ": "JWT"},
    "the type of a capability": {"typ": "at+jwt"},
    "ES384": {"alg": "ES384"},
    "ES256K": {"alg": "ES256K"},
    "a list of algorithms": {"alg": ["ES256"]},
    "a shared key": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "an RSA key": {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
    "a point that is not on the curve": {"jwk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
    "no key": {"jwk": None},
    "a URL for a key": {"jwk": "https://evil.example/key.json"},
}

PROOF_ATTACKS: dict[str, tuple[Make, str]] = {
    "alg none": (lambda r: unsigned({**r.header, "alg": "none"}, r.claims), M),
    "alg none with a signature": (_header(alg="none"), M),
    "alg NONE in other letters": (lambda r: unsigned({**r.header, "alg": "nOnE"}, r.claims), M),
    "an empty signature": (lambda r: unsigned(r.header, r.claims), M),
    "HS256 with the public key": (
        lambda r: keyed({**r.header, "alg": "HS256"}, r.claims, public_forms(r.key)["pem"]),
        M,
    ),
    "HS512, as long as ES256": (
        lambda r: keyed({**r.header, "alg": "HS512"}, r.claims, public_forms(r.key)["jwk"], "sha512"),
        M,
    ),
    "a signature of zeros": (lambda r: unsigned(r.header, r.claims, bytes(64)), "proof_bad_signature"),
    "a signature of the order": (
        lambda r: unsigned(r.header, r.claims, _pair(_ORDER, _ORDER)),
        "proof_bad_signature",
    ),
    "a signature in DER": (lambda r: resigned(r.proof(), encode_dss_signature), M),
    "a private key in the header": (lambda r: _header(jwk=_with_private(r.key))(r), M),
    "a key on another curve": (lambda r: _header(jwk=_another_curve())(r), M),
    **{name: (_header(**change), M) for name, change in _HEADERS.items()},
    "another's key, own signature": (
        lambda r: compact(r.stranger, r.header, r.claims),
        "proof_bad_signature",
    ),
    "another's signature taken over": (
        lambda r: r.proof().rpartition(".")[0] + "." + r.proof(r.stranger).rpartition(".")[2],
        "proof_bad_signature",
    ),
    "another method": (lambda r: r.proof(method="DELETE"), "proof_wrong_target"),
    "a method in small letters": (lambda r: r.proof(method=r.method.lower()), "proof_wrong_target"),
    "another path": (lambda r: r.proof(url=r.url + "x"), "proof_wrong_target"),
    "another host": (lambda r: r.proof(url="https://evil.example/v1/capabilities"), "proof_wrong_target"),
    "a user in the target": (_claims(htu="https://a@control.example/v1"), "proof_wrong_target"),
    "no target": (_claims(htu=""), "proof_wrong_target"),
    "expired": (lambda r: r.proof(now=r.now - 3600.0), S),
    "from the future": (lambda r: r.proof(now=r.now + 60.0), S),
    "from the end of time": (_claims(iat=253_402_300_799), S),
    "from after the end of time": (_claims(iat=10**30), M),
    "a time that is text": (_claims(iat="now"), M),
    "a time that is true": (_claims(iat=True), M),
    "no time": (_claims(iat="-"), M),
    "no identifier": (_claims(jti="-"), M),
    "an identifier that is too long": (_claims(jti="j" * 129), M),
    "an identifier with a line break": (_claims(jti="a\nb"), M),
    "too long": (lambda r: compact(r.key, r.header, {**r.claims, "filler": "x" * 9000}), M),
    "a header that is too long": (_header(typ="dpop+jwt", filler="x" * 2000), M),
    "a token within the token": (lambda r: compact(r.key, r.header, r.proof().encode()), M),
    "five parts, as an encrypted token": (lambda r: r.proof() + ".AAAA.AAAA", M),
    "JSON serialisation": (lambda r: json.dumps({"payload": "e30", "signatures": []}), M),
    "padding": (lambda r: r.proof() + "=", M),
    "white space": (lambda r: r.proof() + " x", M),
    "a name twice in the header": (
        lambda r: compact(r.key, json.dumps(r.header)[:-1].encode() + b', "alg": "none"}', r.claims),
        M,
    ),
    "a claim twice": (
        lambda r: compact(r.key, r.header, json.dumps(r.claims)[:-1].encode() + b', "htm": "GET"}'),
        M,
    ),
}
"""What comes in place of a proof, for a request that is without fault otherwise."""

TOKEN_PROOF_ATTACKS: dict[str, tuple[Make, str]] = {
    "no token hash": (_claims(ath="-"), "proof_wrong_token"),
    "another token's hash": (lambda r: r.proof(access_token="another"), "proof_wrong_token"),
    "the hash in hex": (
        lambda r: _claims(ath=hashlib.sha256((r.token or "").encode()).hexdigest())(r),
        "proof_wrong_token",
    ),
    "the token itself": (lambda r: _claims(ath=r.token)(r), "proof_wrong_token"),
    "a proof by a key that the token is not bound to": (lambda r: r.proof(r.stranger), "wrong_key"),
}
"""What comes in place of the proof that goes with a capability."""

KEY_NAMES = (
    "../../../../dev/null",
    "/etc/passwd",
    "file:///etc/passwd",
    "https://evil.example/jwks.json",
    "' OR '1'='1",
    "x'; DROP TABLE signing_keys; --",
    "' UNION SELECT 'c2VjcmV0' --",
    "$(id)",
    "a\x00b",
    "",
    "*",
    "0",
)
"""What is put into ``kid`` where it is believed to name a file, a row or a place (RFC 8725 section 3.10)."""
