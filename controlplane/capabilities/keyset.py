"""A published key set, read for verification (RFC 7517)."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import ValidationError

from controlplane.capabilities.errors import KeySetError
from controlplane.contracts.identity import PublicKey
from controlplane.jose.keys import load_public

_MAX_KEYS = 32
_PUBLIC_NAMES = ("kty", "crv", "x", "y")


def read_keys(jwks: Mapping[str, Any]) -> dict[str, EllipticCurvePublicKey]:
    """Return the ES256 verification keys of a set by their ``kid``; keys for other uses are passed over.

    Raises:
        KeySetError: not a key set, more than 32 keys, a private key, a missing or repeated ``kid``,
            or a key that is no point of the curve.
    """
    entries = jwks.get("keys")
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise KeySetError(f"a key set has a list `keys` of at most {_MAX_KEYS} keys; check the URL that it came from")
    keys: dict[str, EllipticCurvePublicKey] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise KeySetError("every key of a set is an object")
        if "d" in entry or "k" in entry:
            raise KeySetError("the set holds a secret key: it is compromised, replace it at its issuer")
        if not _is_es256(entry):
            continue
        kid = entry.get("kid")
        if not isinstance(kid, str) or not kid or kid in keys:
            raise KeySetError("every ES256 key of a set needs a `kid` of its own")
        keys[kid] = _load(entry)
    return keys


def _is_es256(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("kty") == "EC"
        and entry.get("crv") == "P-256"
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", "ES256") == "ES256"
    )


def _load(entry: Mapping[str, Any]) -> EllipticCurvePublicKey:
    try:
        return load_public(PublicKey.model_validate({name: entry.get(name) for name in _PUBLIC_NAMES}))
    except (ValidationError, ValueError):
        raise KeySetError("a P-256 key of the set has coordinates that are no point of the curve") from None
