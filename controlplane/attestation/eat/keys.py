"""Keys of platforms that an operator lists one by one, where there is no authority that certifies them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import ValidationError

from controlplane.attestation.cbor import read_cbor
from controlplane.attestation.certificates import RootsInvalid, files_of, read_file
from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.identity import PublicKey
from controlplane.contracts.unambiguous import read_json
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import load_public, thumbprint

MAX_KEYS = 4096

ListedKeys = Mapping[str, tuple[str, EllipticCurvePublicKey]]
"""By thumbprint (RFC 7638): the anchor's name, and the key."""

_EC2, _P256 = 2, 1


def listed(keys: Mapping[str, PublicKey]) -> ListedKeys:
    """Return keys as they are found, from keys by their anchors' names.

    Raises:
        ValueError: one is on no curve.
    """
    return {thumbprint(key): (anchor, load_public(key)) for anchor, key in keys.items()}


def load_keys(folder: Path) -> ListedKeys:
    """Return the keys of a folder: each ``NAME.jwk`` (RFC 7517) or ``NAME.cose`` (RFC 9052 section 7).

    Raises:
        RootsInvalid: one is no public key on P-256, is there under two names, or there are more than `MAX_KEYS`.
    """
    paths = [*files_of(folder, ".jwk"), *files_of(folder, ".cose")]
    if len(paths) > MAX_KEYS:
        raise RootsInvalid(f"{folder} has more than {MAX_KEYS} keys: certify platforms under a root instead")
    found: dict[str, tuple[str, EllipticCurvePublicKey]] = {}
    for path in paths:
        try:
            key = (_jwk if path.suffix == ".jwk" else _cose)(read_file(path))
            name, usable = thumbprint(key), load_public(key)
        except (ValidationError, ValueError, EvidenceRefused, RecursionError):
            raise RootsInvalid(f"{path} is no public key on P-256, as a JWK or as a COSE key") from None
        if name in found:
            raise RootsInvalid(f"{path} holds the key of {found[name][0]} as well: keep it under one name")
        found[name] = (path.stem, usable)
    return found


def _jwk(data: bytes) -> PublicKey:
    found = read_json(data)
    if not isinstance(found, dict) or "d" in found:
        raise ValueError("no public key")
    return PublicKey.model_validate({name: found[name] for name in ("kty", "crv", "x", "y") if name in found})


def _cose(data: bytes) -> PublicKey:
    found: Any = read_cbor(data, "the key")
    if not isinstance(found, dict) or (found.get(1), found.get(-1)) != (_EC2, _P256) or -4 in found:
        raise ValueError("no public key on P-256")
    x, y = found.get(-2), found.get(-3)
    if not isinstance(x, bytes) or not isinstance(y, bytes):
        raise ValueError("no coordinates")
    return PublicKey(kty="EC", crv="P-256", x=encode_segment(x).decode(), y=encode_segment(y).decode())
